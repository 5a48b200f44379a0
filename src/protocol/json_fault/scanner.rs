//! Reads a broken JSON text once, and notes its mistakes: where each stands, and in which field. It goes on behind a mistake where the
//! rest of the text is sure to mean what it seems to, so that one answer names all of them.
//!
//! One pass without recursion, at most [`MAX_DEPTH`](super::MAX_DEPTH) levels and [`MAX_MISTAKES`] mistakes of different kinds: time is
//! linear in the body, and memory does not grow with it.

mod strings;

use super::characters::{invisible, is_typographic, is_typographic_single, narrow};
use super::mistake::{EndsEarly, JsonMistake};
use super::{MAX_DEPTH, words};
use crate::protocol::field::Field;

/// Max number of mistakes named in one answer.
const MAX_MISTAKES: usize = 4;

/// A mistake and where it stands.
#[derive(Debug)]
pub struct Located {
    /// Offset in bytes.
    pub offset: usize,
    /// The document's field in whose value it stands.
    pub field: Option<Field>,
    pub mistake: JsonMistake,
}

/// Returns the mistakes of a text, in their order; none when it is a JSON object.
pub fn mistakes(bytes: &[u8]) -> Vec<Located> {
    let (text, is_text) = super::valid_prefix(bytes);
    let has_quotes = memchr::memchr(b'"', bytes).is_some();
    let mut scanner =
        Scanner { bytes, text, is_text, has_quotes, at: 0, open: Vec::new(), field: None, found: Vec::new() };
    // `None` only says that a mistake ended the scan.
    let _ = scanner.object();
    scanner.found
}

struct Scanner<'a> {
    bytes: &'a [u8],
    /// The part of `bytes` before the first one that is not UTF-8.
    text: &'a str,
    /// Whether that part is all.
    is_text: bool,
    /// Whether the body has a double quote anywhere.
    has_quotes: bool,
    at: usize,
    /// The brackets that are open.
    open: Vec<char>,
    field: Option<Field>,
    found: Vec<Located>,
}

/// What the grammar expects next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// A key, or the end of an object without members.
    FirstKey,
    Key,
    Colon,
    /// An element, or the end of an empty array.
    FirstElement,
    Value,
    /// A comma or a closing bracket.
    Separator,
}

impl<'a> Scanner<'a> {
    /// Reads the whole body. `None` once a mistake ends the scan.
    fn object(&mut self) -> Option<()> {
        if !self.skip_blanks()? || self.peek() != Some('{') {
            return self.stop(JsonMistake::NotAnObject);
        }
        self.at += 1;
        self.open.push('{');
        let mut expected = Expected::FirstKey;
        while !self.open.is_empty() {
            if !self.skip_blanks()? {
                return self.ends_early(match expected {
                    Expected::Colon => "behind a key",
                    Expected::Value => "before a value",
                    _ => "before the closing bracket",
                });
            }
            let c = self.peek()?;
            expected = match expected {
                Expected::FirstKey | Expected::Key => self.key(c, expected == Expected::Key)?,
                Expected::Colon => self.colon(c)?,
                Expected::FirstElement if c == ']' => self.close(c)?,
                Expected::FirstElement | Expected::Value => self.value(c)?,
                Expected::Separator => self.separator(c)?,
            };
        }
        self.field = None;
        if self.skip_blanks()? { self.behind() } else { Some(()) }
    }

    fn key(&mut self, c: char, after_comma: bool) -> Option<Expected> {
        self.set_field(None);
        let start = self.at;
        match c {
            '}' => {
                if after_comma {
                    self.note(JsonMistake::TrailingComma)?;
                }
                return self.close(c);
            }
            ',' => {
                self.note(JsonMistake::DoubledComma)?;
                self.at += 1;
                return Some(Expected::Key);
            }
            '0'..='9' if after_comma => return self.stop(JsonMistake::DecimalComma),
            ':' if self.rest()[1..].starts_with(|next: char| next.is_alphabetic()) => {
                self.note(JsonMistake::BareKey { has_quotes: self.has_quotes })?;
                self.at += 1;
                self.skip_word();
            }
            _ if self.starts_string(c) => {
                let text = self.string(c, true)?;
                self.set_field(Field::by_name(&self.text[text.0..text.1]));
            }
            _ if c == '.' || c == '…' => return self.stop(JsonMistake::Ellipsis),
            _ if c.is_alphanumeric() || c == '_' || c == '$' => {
                if self.starts_prefixed_string() {
                    return self.stop(JsonMistake::StringPrefix);
                }
                self.skip_word();
                let end = self.at;
                self.at = start;
                if self.text[end..].starts_with("://") {
                    return self.stop(JsonMistake::Unexpected(c));
                }
                self.note(JsonMistake::BareKey { has_quotes: self.has_quotes })?;
                self.at = end;
                self.set_field(Field::by_name(&self.text[start..end]));
            }
            ']' => return self.stop(JsonMistake::Bracket(c)),
            _ => return self.stop(self.strange(c)),
        }
        Some(Expected::Colon)
    }

    fn colon(&mut self, c: char) -> Option<Expected> {
        match c {
            ':' => {}
            '=' if self.rest().starts_with("=>") => {
                self.note(JsonMistake::Equals("=>"))?;
                self.at += 1;
            }
            '=' => self.note(JsonMistake::Equals("="))?,
            _ if narrow(c) == Some(':') => self.note(JsonMistake::FullWidth(c, ':'))?,
            _ if self.is_behind_quote() && (c.is_alphanumeric() || c == '"') => {
                return self.stop(JsonMistake::QuoteInString);
            }
            _ => return self.stop(JsonMistake::MissingColon),
        }
        self.at += c.len_utf8();
        Some(Expected::Value)
    }

    fn value(&mut self, c: char) -> Option<Expected> {
        match c {
            '{' if self.rest().starts_with("{{") => return self.stop(JsonMistake::Placeholder),
            '{' | '[' => {
                // The outermost bracket is the body itself.
                if self.open.len() > MAX_DEPTH {
                    return self.stop(JsonMistake::TooDeep);
                }
                self.open.push(c);
                self.at += 1;
                return Some(if c == '{' { Expected::FirstKey } else { Expected::FirstElement });
            }
            _ if self.starts_string(c) => drop(self.string(c, false)?),
            '0'..='9' | '-' | '+' | '.' => self.number()?,
            ']' if self.open.last() == Some(&'[') => {
                self.note(JsonMistake::TrailingComma)?;
                return self.close(c);
            }
            ',' | '}' | ']' => {
                self.note(JsonMistake::MissingValue)?;
            }
            _ if c.is_alphabetic() || c == '_' => self.word()?,
            _ => return self.stop(self.strange(c)),
        }
        Some(Expected::Separator)
    }

    fn separator(&mut self, c: char) -> Option<Expected> {
        let in_object = self.open.last() == Some(&'{');
        let next = if in_object { Expected::Key } else { Expected::Value };
        match c {
            ',' => {}
            ';' => self.note(JsonMistake::Semicolon)?,
            '}' | ']' => return self.close(c),
            _ if narrow(c).is_some_and(|plain| plain == ',' || plain == ';') => {
                self.note(JsonMistake::FullWidth(c, ','))?;
            }
            '+' | '.' | '&' if self.ends_with_quote() => return self.stop(JsonMistake::Concatenation),
            '"' if self.text[..self.at].ends_with("\"\"") => return self.stop(JsonMistake::TripleQuotes),
            _ if self.is_behind_quote() && c != '\\' => return self.stop(JsonMistake::QuoteInString),
            _ if in_object && self.starts_string(c) => {
                self.set_field(None);
                self.note(JsonMistake::MissingComma)?;
                return Some(Expected::Key);
            }
            '{' | '[' | '"' => return self.stop(JsonMistake::MissingComma),
            _ if c.is_alphanumeric() => return self.stop(JsonMistake::BareValue),
            _ => return self.stop(self.strange(c)),
        }
        self.set_field(None);
        self.at += c.len_utf8();
        Some(next)
    }

    fn close(&mut self, c: char) -> Option<Expected> {
        let matching = if c == '}' { '{' } else { '[' };
        if self.open.last() != Some(&matching) {
            return self.stop(JsonMistake::Bracket(c));
        }
        self.open.pop();
        self.at += 1;
        Some(Expected::Separator)
    }

    /// Names what stands behind the object.
    fn behind(&mut self) -> Option<()> {
        let rest = self.rest();
        let c = self.peek()?;
        self.stop(match c {
            '{' | '[' => JsonMistake::SecondValue,
            '}' | ']' => JsonMistake::ClosedTwice,
            '=' if rest.trim_end() == "=" => JsonMistake::FormKey,
            _ => JsonMistake::TextBehind(c),
        })
    }

    fn starts_string(&self, c: char) -> bool {
        matches!(c, '"' | '\'' | '`') || is_typographic(c) || is_typographic_single(c)
    }

    fn starts_prefixed_string(&self) -> bool {
        let rest = self.rest().trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == '@' || c == '$');
        let prefix = self.rest().len() - rest.len();
        (1..=2).contains(&prefix) && rest.starts_with(['\'', '"'])
    }

    fn number(&mut self) -> Option<()> {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-._".contains(c)));
        let token = &rest[..end.unwrap_or(rest.len())];
        if let Some(what) = words::not_a_number(token) {
            match what {
                words::NumberFault::Text if token.starts_with("...") => {
                    return self.stop(JsonMistake::Ellipsis);
                }
                words::NumberFault::Text => return self.stop(JsonMistake::BareValue),
                words::NumberFault::Form(what) => self.note(JsonMistake::Number(what))?,
                words::NumberFault::Word(word, instead) => self.note(JsonMistake::Word(word, instead))?,
                words::NumberFault::Cut if end.is_none() => {
                    self.at = self.text.len();
                    return self.ends_early("in the middle of a number");
                }
                words::NumberFault::Cut => return self.stop(JsonMistake::Number("a digit missing")),
            }
        }
        self.at += token.len();
        Some(())
    }

    fn word(&mut self) -> Option<()> {
        if self.starts_prefixed_string() {
            return self.stop(JsonMistake::StringPrefix);
        }
        let start = self.at;
        self.skip_word();
        let word = &self.text[start..self.at];
        if matches!(word, "true" | "false" | "null") {
            return Some(());
        }
        let end = std::mem::replace(&mut self.at, start);
        if end == self.text.len() && ["true", "false", "null"].iter().any(|whole| whole.starts_with(word)) {
            self.at = end;
            return self.ends_early("in the middle of a value");
        }
        match words::foreign(word) {
            Some((word, instead)) => self.note(JsonMistake::Word(word, instead))?,
            None if self.text[end..].starts_with('(') || word == "new" => {
                return self.stop(JsonMistake::Call);
            }
            None => return self.stop(JsonMistake::BareValue),
        }
        self.at = end;
        Some(())
    }

    /// Names a character that stands where none of its kind can stand.
    fn strange(&self, c: char) -> JsonMistake {
        let rest = self.rest();
        match c {
            '\\' if ["\"", "u0022"].iter().any(|quote| rest.trim_start_matches('\\').starts_with(quote)) => {
                JsonMistake::EscapedQuotes
            }
            '&' if ["&quot;", "&#34;", "&#39;", "&#x22;", "&apos;"].iter().any(|e| rest.starts_with(e)) => {
                JsonMistake::HtmlEntity
            }
            '{' if self.text[..self.at].ends_with('{') => JsonMistake::Placeholder,
            '$' | '<' | '%' | '@' | '#' => {
                let is_open = ["${", "$(", "<%", "<?", "%{", "%s", "%v", "#{", "@{", "%(", "<<", "$"];
                if is_open.iter().any(|open| rest.starts_with(open)) {
                    JsonMistake::Placeholder
                } else {
                    JsonMistake::Unexpected(c)
                }
            }
            '…' => JsonMistake::Ellipsis,
            _ => narrow(c).map_or(JsonMistake::Unexpected(c), |plain| JsonMistake::FullWidth(c, plain)),
        }
    }

    /// Skips blanks, characters that cannot be seen, and comments; notes the last two. Returns whether something is left.
    fn skip_blanks(&mut self) -> Option<bool> {
        loop {
            let rest = self.rest();
            let Some(c) = self.peek() else {
                return if self.is_text { Some(false) } else { self.not_utf8() };
            };
            let comment_end = match c {
                ' ' | '\t' | '\n' | '\r' => {
                    self.at += 1;
                    continue;
                }
                _ if invisible(c).is_some() => {
                    self.note(JsonMistake::Invisible(c))?;
                    self.at += c.len_utf8();
                    continue;
                }
                '/' if rest.starts_with("//") => rest.find('\n'),
                '/' if rest.starts_with("/*") => rest.find("*/").map(|end| end + 2),
                '#' if !rest.starts_with("#{") => rest.find('\n'),
                _ => return Some(true),
            };
            self.note(JsonMistake::Comment)?;
            self.at += comment_end.unwrap_or(rest.len());
        }
    }

    fn skip_word(&mut self) {
        let rest = self.rest();
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '-');
        self.at += rest.find(|c| !is_word(c)).unwrap_or(rest.len());
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn is_behind_quote(&self) -> bool {
        self.text[..self.at].ends_with(['"', '\'', '”'])
    }

    fn ends_with_quote(&self) -> bool {
        self.text[..self.at].trim_end().ends_with(['"', '\''])
    }

    fn is_base64_field(&self) -> bool {
        self.field.is_some_and(|field| field.rule().secret)
    }

    /// Sets the field of the member that begins, if it is one of the body's own.
    fn set_field(&mut self, field: Option<Field>) {
        if self.open.len() == 1 {
            self.field = field;
        }
    }

    fn note(&mut self, mistake: JsonMistake) -> Option<()> {
        self.record(Located { offset: self.at, field: self.field, mistake })
    }

    /// Records a mistake, unless one of its kind is. `None` when enough are.
    fn record(&mut self, located: Located) -> Option<()> {
        if !self.has_noted(&located.mistake) {
            self.found.push(located);
        }
        (self.found.len() < MAX_MISTAKES).then_some(())
    }

    /// Whether a mistake of this kind is recorded.
    fn has_noted(&self, mistake: &JsonMistake) -> bool {
        let kind = std::mem::discriminant(mistake);
        self.found.iter().any(|known| std::mem::discriminant(&known.mistake) == kind)
    }

    /// Records a mistake behind which nothing is sure.
    fn stop<T>(&mut self, mistake: JsonMistake) -> Option<T> {
        self.stop_at(self.at, mistake)
    }

    fn stop_at<T>(&mut self, offset: usize, mistake: JsonMistake) -> Option<T> {
        self.record(Located { offset, field: self.field, mistake })?;
        None
    }

    fn ends_early<T>(&mut self, place: &'static str) -> Option<T> {
        if !self.is_text {
            return self.not_utf8();
        }
        let end = EndsEarly {
            place,
            bytes: self.bytes.len(),
            extra_bytes: self.bytes.iter().filter(|byte| **byte & 0xC0 == 0x80).count(),
            ends_closed: place.ends_with("string") && self.text.trim_end().ends_with('}'),
        };
        let last = self.text.len() - self.text.chars().next_back().map_or(0, char::len_utf8);
        self.stop_at(last, JsonMistake::EndsEarly(end))
    }

    fn not_utf8<T>(&mut self) -> Option<T> {
        let base64 = self.is_base64_field();
        let what = words::not_utf8(&self.bytes[self.text.len()..]);
        self.stop_at(self.text.len(), JsonMistake::NotUtf8 { what, base64 })
    }
}
