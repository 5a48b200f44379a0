//! Strings: what opens and closes one, escapes, and what must not stand inside.

use super::super::characters::{is_typographic, is_typographic_single};
use super::super::mistake::JsonMistake;
use super::{Located, Scanner};

impl Scanner<'_> {
    /// Reads a string that `quote` opens. Returns where its text begins and ends.
    pub(super) fn string(&mut self, quote: char, is_key: bool) -> Option<(usize, usize)> {
        let is_end = |c: char| match quote {
            '"' | '\'' | '`' => c == quote,
            _ if is_typographic(quote) => is_typographic(c) || c == '"',
            _ => is_typographic_single(c) || c == '\'',
        };
        match quote {
            '"' if self.rest().starts_with("\"\"\"") => return self.stop(JsonMistake::TripleQuotes),
            '"' => {}
            '\'' => self.note(JsonMistake::SingleQuotes)?,
            '`' => self.note(JsonMistake::Backticks)?,
            _ => self.note(JsonMistake::TypographicQuote(quote))?,
        }
        self.at += quote.len_utf8();
        let start = self.at;
        // serde_json decodes these only; elsewhere it lets half a surrogate pair pass.
        let is_decoded = self.open.len() == 1 && (is_key || self.field.is_some());
        let mut high_half = None;
        let mut other_end = None;
        while let Some(c) = self.peek() {
            if high_half.is_some() && c != '\\' {
                self.surrogate(high_half.take())?;
            }
            match c {
                // The bulk of a body is base64.
                _ if c.is_ascii_alphanumeric() => self.skip_plain(),
                _ if is_end(c) => {
                    let end = self.at;
                    self.at += c.len_utf8();
                    if let (true, Some(offset)) = (self.is_followed_by_text(), other_end) {
                        return self.stop_at(offset, JsonMistake::TypographicQuote(self.char_at(offset)?));
                    }
                    return Some((start, end));
                }
                '\\' => {
                    let at = self.at;
                    let unit = self.escape()?;
                    match (high_half.take(), unit) {
                        (Some(_), Some(0xDC00..=0xDFFF)) | (None, None) => {}
                        (None, Some(0xD800..=0xDBFF)) if is_decoded => high_half = Some(at),
                        (None, Some(0xDC00..=0xDFFF)) if is_decoded => self.surrogate(Some(at))?,
                        (Some(half), _) => self.surrogate(Some(half))?,
                        (None, Some(_)) => {}
                    }
                }
                '\0'..='\u{1F}' => {
                    if let Some(offset) = other_end {
                        return self.stop_at(offset, JsonMistake::TypographicQuote(self.char_at(offset)?));
                    }
                    self.control(c)?;
                    self.at += 1;
                }
                _ => {
                    self.at += c.len_utf8();
                    if quote == '"' && other_end.is_none() && is_typographic(c) && self.is_before_token() {
                        other_end = Some(self.at - c.len_utf8());
                    }
                }
            }
        }
        if let Some(offset) = other_end {
            return self.stop_at(offset, JsonMistake::TypographicQuote(self.char_at(offset)?));
        }
        self.ends_early(if is_key { "in the middle of a key" } else { "in the middle of a string" })
    }

    fn surrogate(&mut self, offset: Option<usize>) -> Option<()> {
        let found = Located { offset: offset?, field: self.field, mistake: JsonMistake::Surrogate };
        self.record(found)
    }

    /// Reads an escape, and returns the code unit of one with `\u`.
    fn escape(&mut self) -> Option<Option<u32>> {
        let rest = &self.rest()[1..];
        match rest.chars().next() {
            None => {
                self.at = self.text.len();
                Some(None)
            }
            Some('u') => {
                let digits = rest.get(1..5).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
                match digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
                    Some(unit) => {
                        self.at += 6;
                        Some(Some(unit))
                    }
                    None if rest.len() < 5 => {
                        self.at = self.text.len();
                        Some(None)
                    }
                    None => {
                        self.note(JsonMistake::UnicodeEscape)?;
                        self.at += 2;
                        Some(None)
                    }
                }
            }
            Some('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't') => {
                self.at += 2;
                Some(None)
            }
            Some(c) => {
                self.note(JsonMistake::Escape(c))?;
                self.at += 1;
                // A control character is a mistake of its own.
                if c >= ' ' {
                    self.at += c.len_utf8();
                }
                Some(None)
            }
        }
    }

    /// Notes a control character inside a string. A line break before what looks like the next member is a quote that is missing.
    fn control(&mut self, found: char) -> Option<()> {
        let mistake = JsonMistake::Control { found, base64: self.is_base64_field() };
        // Once only: it looks ahead, and a string may be all line breaks.
        let is_first = !self.has_noted(&mistake);
        if is_first && matches!(found, '\n' | '\r') && self.rest().trim_start().starts_with(['"', '}']) {
            return self.stop(JsonMistake::OpenString);
        }
        self.note(mistake)
    }

    fn skip_plain(&mut self) {
        let rest = self.rest().as_bytes();
        self.at += rest.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(rest.len());
    }

    fn char_at(&self, offset: usize) -> Option<char> {
        self.text[offset..].chars().next()
    }

    /// Whether a letter or digit follows directly, which no grammar has behind a string.
    fn is_followed_by_text(&self) -> bool {
        self.peek().is_some_and(char::is_alphanumeric)
    }

    /// Whether a token that may follow a string comes next.
    fn is_before_token(&self) -> bool {
        let rest = self.rest().as_bytes().trim_ascii_start();
        matches!(rest.first(), Some(b':' | b',' | b'}' | b']'))
    }
}
