//! Reads a broken JSON text once, and notes its mistakes: where each stands, and in which field. It goes on behind a mistake where the
//! rest of the text is sure to mean what it seems to, so that one answer names all of them.
//!
//! One pass without recursion, at most [`MAX_DEPTH`](super::MAX_DEPTH) levels and [`MAX_MISTAKES`] mistakes of different kinds: time is
//! linear in the body, and memory does not grow with it.

mod strings;

use super::characters::{invisible, is_typographic, is_typographic_single, narrow};
use super::mistake::{EndsEarly, Mistake};
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
    pub mistake: Mistake,
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
            return self.stop(Mistake::NotAnObject);
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
                    self.note(Mistake::TrailingComma)?;
                }
                return self.close(c);
            }
            ',' => {
                self.note(Mistake::DoubledComma)?;
                self.at += 1;
                return Some(Expected::Key);
            }
            '0'..='9' if after_comma => return self.stop(Mistake::DecimalComma),
            ':' if self.rest()[1..].starts_with(|next: char| next.is_alphabetic()) => {
                self.note(Mistake::BareKey { has_quotes: self.has_quotes })?;
                self.at += 1;
                self.skip_word();
            }
            _ if self.starts_string(c) => {
                let text = self.string(c, true)?;
                self.set_field(Field::by_name(&self.text[text.0..text.1]));
            }
            _ if c == '.' || c == '…' => return self.stop(Mistake::Ellipsis),
            _ if c.is_alphanumeric() || c == '_' || c == '$' => {
                if self.starts_prefixed_string() {
                    return self.stop(Mistake::StringPrefix);
                }
                self.skip_word();
                let end = self.at;
                self.at = start;
                if self.text[end..].starts_with("://") {
                    return self.stop(Mistake::Unexpected(c));
                }
                self.note(Mistake::BareKey { has_quotes: self.has_quotes })?;
                self.at = end;
                self.set_field(Field::by_name(&self.text[start..end]));
            }
            ']' => return self.stop(Mistake::Bracket(c)),
            _ => return self.stop(self.strange(c)),
        }
        Some(Expected::Colon)
    }

    fn colon(&mut self, c: char) -> Option<Expected> {
        match c {
            ':' => {}
            '=' if self.rest().starts_with("=>") => {
                self.note(Mistake::Equals("=>"))?;
                self.at += 1;
            }
            '=' => self.note(Mistake::Equals("="))?,
            _ if narrow(c) == Some(':') => self.note(Mistake::FullWidth(c, ':'))?,
            _ if self.is_behind_quote() && (c.is_alphanumeric() || c == '"') => {
                return self.stop(Mistake::QuoteInString);
            }
            _ => return self.stop(Mistake::MissingColon),
        }
        self.at += c.len_utf8();
        Some(Expected::Value)
    }

    fn value(&mut self, c: char) -> Option<Expected> {
        match c {
            '{' if self.rest().starts_with("{{") => return self.stop(Mistake::Placeholder),
            '{' | '[' => {
                // The outermost bracket is the body itself.
                if self.open.len() > MAX_DEPTH {
                    return self.stop(Mistake::TooDeep);
                }
                self.open.push(c);
                self.at += 1;
                return Some(if c == '{' { Expected::FirstKey } else { Expected::FirstElement });
            }
            _ if self.starts_string(c) => drop(self.string(c, false)?),
            '0'..='9' | '-' | '+' | '.' => self.number()?,
            ']' if self.open.last() == Some(&'[') => {
                self.note(Mistake::TrailingComma)?;
                return self.close(c);
            }
            ',' | '}' | ']' => {
                self.note(Mistake::MissingValue)?;
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
            ';' => self.note(Mistake::Semicolon)?,
            '}' | ']' => return self.close(c),
            _ if narrow(c).is_some_and(|plain| plain == ',' || plain == ';') => {
                self.note(Mistake::FullWidth(c, ','))?;
            }
            '+' | '.' | '&' if self.ends_with_quote() => return self.stop(Mistake::Concatenation),
            '"' if self.text[..self.at].ends_with("\"\"") => return self.stop(Mistake::TripleQuotes),
            _ if self.is_behind_quote() && c != '\\' => return self.stop(Mistake::QuoteInString),
            _ if in_object && self.starts_string(c) => {
                self.set_field(None);
                self.note(Mistake::MissingComma)?;
                return Some(Expected::Key);
            }
            '{' | '[' | '"' => return self.stop(Mistake::MissingComma),
            _ if c.is_alphanumeric() => return self.stop(Mistake::BareValue),
            _ => return self.stop(self.strange(c)),
        }
        self.set_field(None);
        self.at += c.len_utf8();
        Some(next)
    }

    fn close(&mut self, c: char) -> Option<Expected> {
        let matching = if c == '}' { '{' } else { '[' };
        if self.open.last() != Some(&matching) {
            return self.stop(Mistake::Bracket(c));
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
            '{' | '[' => Mistake::SecondValue,
            '}' | ']' => Mistake::ClosedTwice,
            '=' if rest.trim_end() == "=" => Mistake::FormKey,
            _ => Mistake::TextBehind(c),
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
                words::NumberFault::Text if token.starts_with("...") => return self.stop(Mistake::Ellipsis),
                words::NumberFault::Text => return self.stop(Mistake::BareValue),
                words::NumberFault::Form(what) => self.note(Mistake::Number(what))?,
                words::NumberFault::Word(word, instead) => self.note(Mistake::Word(word, instead))?,
                words::NumberFault::Cut if end.is_none() => {
                    self.at = self.text.len();
                    return self.ends_early("in the middle of a number");
                }
                words::NumberFault::Cut => return self.stop(Mistake::Number("a digit missing")),
            }
        }
        self.at += token.len();
        Some(())
    }

    fn word(&mut self) -> Option<()> {
        if self.starts_prefixed_string() {
            return self.stop(Mistake::StringPrefix);
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
            Some((word, instead)) => self.note(Mistake::Word(word, instead))?,
            None if self.text[end..].starts_with('(') || word == "new" => return self.stop(Mistake::Call),
            None => return self.stop(Mistake::BareValue),
        }
        self.at = end;
        Some(())
    }

    /// Names a character that stands where none of its kind can stand.
    fn strange(&self, c: char) -> Mistake {
        let rest = self.rest();
        match c {
            '\\' if ["\"", "u0022"].iter().any(|quote| rest.trim_start_matches('\\').starts_with(quote)) => {
                Mistake::EscapedQuotes
            }
            '&' if ["&quot;", "&#34;", "&#39;", "&#x22;", "&apos;"].iter().any(|e| rest.starts_with(e)) => {
                Mistake::HtmlEntity
            }
            '{' if self.text[..self.at].ends_with('{') => Mistake::Placeholder,
            '$' | '<' | '%' | '@' | '#' => {
                let is_open = ["${", "$(", "<%", "<?", "%{", "%s", "%v", "#{", "@{", "%(", "<<", "$"];
                if is_open.iter().any(|open| rest.starts_with(open)) {
                    Mistake::Placeholder
                } else {
                    Mistake::Unexpected(c)
                }
            }
            '…' => Mistake::Ellipsis,
            _ => narrow(c).map_or(Mistake::Unexpected(c), |plain| Mistake::FullWidth(c, plain)),
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
                    self.note(Mistake::Invisible(c))?;
                    self.at += c.len_utf8();
                    continue;
                }
                '/' if rest.starts_with("//") => rest.find('\n'),
                '/' if rest.starts_with("/*") => rest.find("*/").map(|end| end + 2),
                '#' if !rest.starts_with("#{") => rest.find('\n'),
                _ => return Some(true),
            };
            self.note(Mistake::Comment)?;
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

    fn note(&mut self, mistake: Mistake) -> Option<()> {
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
    fn has_noted(&self, mistake: &Mistake) -> bool {
        let kind = std::mem::discriminant(mistake);
        self.found.iter().any(|known| std::mem::discriminant(&known.mistake) == kind)
    }

    /// Records a mistake behind which nothing is sure.
    fn stop<T>(&mut self, mistake: Mistake) -> Option<T> {
        self.stop_at(self.at, mistake)
    }

    fn stop_at<T>(&mut self, offset: usize, mistake: Mistake) -> Option<T> {
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
        self.stop_at(last, Mistake::EndsEarly(end))
    }

    fn not_utf8<T>(&mut self) -> Option<T> {
        let base64 = self.is_base64_field();
        let what = words::not_utf8(&self.bytes[self.text.len()..]);
        self.stop_at(self.text.len(), Mistake::NotUtf8 { what, base64 })
    }
}
