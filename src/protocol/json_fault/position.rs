//! Where something stands in a text, as editors count it.

use std::fmt;

/// Line and column from 1; columns count characters.
pub struct Position {
    line: usize,
    column: usize,
}

impl Position {
    /// Returns the position of the byte at `offset`.
    pub fn at(bytes: &[u8], offset: usize) -> Position {
        let before = &bytes[..offset.min(bytes.len())];
        let start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        // Every byte but a continuation byte of UTF-8 begins a character.
        let column = before[start..].iter().filter(|byte| **byte & 0xC0 != 0x80).count() + 1;
        Position { line, column }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}
