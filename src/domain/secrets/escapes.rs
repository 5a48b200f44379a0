//! Texts with their escapes resolved: those of URLs, of forms, and of JSON and its like.

use std::ops::Range;

/// Resolves the escape that a text begins with: its length, and the bytes that it stands for.
pub type Escape = fn(&[u8]) -> Option<(usize, EscapedBytes)>;

/// At most four bytes.
pub struct EscapedBytes([u8; 4], usize);

pub const ESCAPES: [Escape; 3] = [percent, blank, backslash];

/// A text with its escapes resolved.
pub struct Unescaped {
    pub bytes: Vec<u8>,
    /// Where each of the bytes comes from.
    sources: Vec<Range<usize>>,
}

impl Unescaped {
    /// Returns what a range of the bytes was written as.
    pub fn source(&self, range: Range<usize>) -> Range<usize> {
        let sources = self.sources.get(range).unwrap_or_default();
        let start = sources.first().map_or(0, |source| source.start);
        start..sources.last().map_or(start, |source| source.end)
    }
}

/// Resolves all escapes of a kind; `None` when the text has none.
pub fn unescape(text: &[u8], escape: Escape) -> Option<Unescaped> {
    let (mut bytes, mut sources) = (Vec::with_capacity(text.len()), Vec::with_capacity(text.len()));
    let (mut at, mut has_any) = (0, false);
    while let Some(first) = text.get(at) {
        let found = escape(&text[at..]);
        has_any |= found.is_some();
        let (length, EscapedBytes(resolved, count)) = found.unwrap_or((1, EscapedBytes([*first; 4], 1)));
        bytes.extend_from_slice(&resolved[..count]);
        sources.extend(std::iter::repeat_n(at..at + length, count));
        at += length;
    }
    has_any.then_some(Unescaped { bytes, sources })
}

fn byte(byte: u8) -> EscapedBytes {
    EscapedBytes([byte; 4], 1)
}

fn character(code: u32) -> Option<EscapedBytes> {
    let mut bytes = [0; 4];
    let length = char::from_u32(code)?.encode_utf8(&mut bytes).len();
    Some(EscapedBytes(bytes, length))
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    let digits =
        std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}

fn percent(text: &[u8]) -> Option<(usize, EscapedBytes)> {
    let digits = text.strip_prefix(b"%")?.get(..2)?;
    Some((3, byte(u8::try_from(hexadecimal(digits)?).ok()?)))
}

fn blank(text: &[u8]) -> Option<(usize, EscapedBytes)> {
    (text[0] == b'+').then_some((1, byte(b' ')))
}

fn backslash(text: &[u8]) -> Option<(usize, EscapedBytes)> {
    let rest = text.strip_prefix(b"\\")?;
    let single = |plain| Some((2, byte(plain)));
    match rest.first()? {
        b'n' => single(b'\n'),
        b'r' => single(b'\r'),
        b't' => single(b'\t'),
        b'b' => single(8),
        b'f' => single(12),
        b'x' => Some((4, byte(u8::try_from(hexadecimal(rest.get(1..3)?)?).ok()?))),
        b'u' if rest.get(1) == Some(&b'{') => {
            let digits = rest.get(2..)?.iter().take(8).position(|byte| *byte == b'}')?;
            Some((4 + digits, character(hexadecimal(rest.get(2..2 + digits)?)?)?))
        }
        b'u' => {
            let unit = hexadecimal(rest.get(1..5)?)?;
            let low = || hexadecimal(rest.get(5..)?.strip_prefix(b"\\u")?.get(..4)?);
            match (unit, low()) {
                (0xD800..0xDC00, Some(low @ 0xDC00..0xE000)) => {
                    Some((12, character(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00))?))
                }
                _ => Some((6, character(unit)?)),
            }
        }
        plain => plain.is_ascii_punctuation().then(|| (2, byte(*plain))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_resolved_and_keep_their_place() {
        let plain = |text: &str, escape: Escape| {
            unescape(text.as_bytes(), escape).map(|plain| String::from_utf8(plain.bytes).unwrap())
        };
        for (escape, text, expected) in [
            (percent as Escape, "a%20%C3%A9%zz%", Some("a é%zz%")),
            (percent, "a%2", None),
            (blank, "a+b", Some("a b")),
            (backslash, r#"\"\\\/\n\x41\u00e9\u{e9}\ud83d\ude00\u12"#, Some("\"\\/\nAéé😀\\u12")),
            (backslash, r"\ud83d\", None),
        ] {
            assert_eq!(plain(text, escape).as_deref(), expected, "{text}");
        }
        let text = unescape(b"ab%20c", percent).unwrap();
        assert_eq!((text.source(1..3), text.source(2..3), text.source(3..4)), (1..5, 2..5, 5..6));
    }
}
