//! Decodes base64 as the endpoint accepts it, and diagnoses base64 that it rejects.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use base64::engine::{DecodePaddingMode, Engine, GeneralPurpose, GeneralPurposeConfig, Simd};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How base64 is decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Base64Mode {
    /// Standard alphabet, padded, no white space.
    #[default]
    Strict,
    /// Accepts line breaks, with a warning (MIME writes lines of 76 characters).
    Mime,
}

/// Why a text is not base64 that the endpoint accepts. Positions count characters from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base64Fault {
    /// `data:image/jpeg;base64,...`: the prefix up to and including the comma.
    DataUri(String),
    /// Valid without its line breaks.
    LineBreaks { first: usize, count: usize },
    /// Valid with `+` for every blank: a form decoder replaced them.
    Blanks { first: usize },
    /// Url-safe alphabet: uses `-` and `_`.
    UrlSafe { character: char, position: usize },
    /// A character that is not allowed here: outside the standard alphabet, or `=` before the end.
    Character { character: char, position: usize },
    /// The `=` padding at the end is missing.
    Unpadded { length: usize },
    /// A length that no base64 text has, stray padding, or bits left over in the last character.
    Broken { length: usize },
}

/// Static, so that the instruction set is detected only once.
static STANDARD: LazyLock<Simd> = LazyLock::new(|| Simd::standard(GeneralPurposeConfig::new()));

/// The url-safe alphabet, padded or not: only to diagnose a rejected text.
static URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Decoded bytes, and whether line breaks were skipped.
#[derive(PartialEq, Eq)]
pub struct Decoded {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Whether line breaks were skipped (only in [`Base64Mode::Mime`]).
    pub line_breaks: bool,
}

// A derived Debug would print the bytes, which are a photo's or a ciphertext's.
impl fmt::Debug for Decoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Decoded({} bytes)", self.bytes.len())
    }
}

/// Decodes base64.
///
/// # Errors
/// What is wrong with the text, as exactly as possible.
pub fn decode(text: &str, mode: Base64Mode) -> Result<Decoded, Base64Fault> {
    if let Ok(bytes) = STANDARD.decode(text) {
        return Ok(Decoded { bytes, line_breaks: false });
    }
    match (diagnose(text), mode) {
        (Base64Fault::LineBreaks { .. }, Base64Mode::Mime) => STANDARD
            .decode(without_line_breaks(text).as_ref())
            .map(|bytes| Decoded { bytes, line_breaks: true })
            .map_err(|_| Base64Fault::Broken { length: text.len() }),
        (fault, _) => Err(fault),
    }
}

/// Encodes as the endpoint's clients do: standard alphabet, padded, one line.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn diagnose(text: &str) -> Base64Fault {
    if let Some(prefix) = data_uri_prefix(text) {
        return Base64Fault::DataUri(prefix.to_owned());
    }
    let clean = without_line_breaks(text);
    if clean.len() < text.len() && STANDARD.decode(clean.as_ref()).is_ok() {
        return Base64Fault::LineBreaks {
            first: text.find(['\r', '\n']).map_or(1, |at| at + 1),
            count: text.bytes().filter(|b| *b == b'\n').count().max(1),
        };
    }
    // Line breaks are not the fault, or not the only one.
    match diagnose_one_line(&clean) {
        Base64Fault::Blanks { first } => Base64Fault::Blanks { first: position_with_breaks(text, first) },
        Base64Fault::UrlSafe { character, position } => {
            Base64Fault::UrlSafe { character, position: position_with_breaks(text, position) }
        }
        Base64Fault::Character { character, position } => {
            Base64Fault::Character { character, position: position_with_breaks(text, position) }
        }
        other => other,
    }
}

fn diagnose_one_line(text: &str) -> Base64Fault {
    if let Some(at) = text.find(' ')
        && STANDARD.decode(text.replace(' ', "+")).is_ok()
    {
        return Base64Fault::Blanks { first: at + 1 };
    }
    match foreign_character(text) {
        Some((position, character)) if URL_SAFE.decode(text).is_ok() => {
            Base64Fault::UrlSafe { character, position }
        }
        Some((position, character)) => Base64Fault::Character { character, position },
        None if unpadded(text) => Base64Fault::Unpadded { length: text.len() },
        None => Base64Fault::Broken { length: text.len() },
    }
}

/// Maps a position in the text without its line breaks to the position in `text`.
fn position_with_breaks(text: &str, position: usize) -> usize {
    let kept = text.chars().enumerate().filter(|(_, c)| !matches!(c, '\r' | '\n'));
    kept.map(|(index, _)| index + 1).nth(position - 1).unwrap_or(position)
}

fn data_uri_prefix(text: &str) -> Option<&str> {
    let head = text.get(..5)?;
    if !head.eq_ignore_ascii_case("data:") {
        return None;
    }
    let window = text.char_indices().nth(80).map_or(text, |(end, _)| &text[..end]);
    window.find(',').map(|comma| &text[..=comma])
}

fn without_line_breaks(text: &str) -> Cow<'_, str> {
    if text.contains(['\r', '\n']) { Cow::Owned(text.replace(['\r', '\n'], "")) } else { Cow::Borrowed(text) }
}

/// Returns the first character outside the standard alphabet, with its position from 1.
fn foreign_character(text: &str) -> Option<(usize, char)> {
    // Padding is allowed at the end only.
    let body = text.trim_end_matches('=').len();
    let standard = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/');
    text[..body].chars().enumerate().find(|(_, c)| !standard(*c)).map(|(index, c)| (index + 1, c))
}

fn unpadded(text: &str) -> bool {
    !text.len().is_multiple_of(4)
        && !text.contains('=')
        && STANDARD.decode(format!("{text}{}", "=".repeat(4 - text.len() % 4))).is_ok()
}

impl fmt::Display for Base64Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Base64Fault::DataUri(prefix) => {
                write!(f, "is not plain base64: it starts with a data-URI prefix, {prefix:?}")
            }
            Base64Fault::LineBreaks { first, count } => {
                write!(f, "is base64 with line breaks: {count}, the first at character {first}")
            }
            Base64Fault::Blanks { first } => {
                write!(f, "is not base64: blanks where + was, the first at character {first}")
            }
            Base64Fault::UrlSafe { character, position } => {
                write!(f, "is base64 in the url-safe alphabet: {character:?} at character {position}")
            }
            Base64Fault::Character { character, position } => {
                write!(f, "is not base64: {character:?} at character {position}")
            }
            Base64Fault::Unpadded { length } => {
                write!(f, "is base64 without padding: {length} characters, no = at the end")
            }
            Base64Fault::Broken { length } => {
                write!(f, "is not base64: {length} characters with an invalid end (truncated?)")
            }
        }
    }
}

impl Base64Fault {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Base64Fault::DataUri(_) => "send only the part after the comma",
            Base64Fault::LineBreaks { .. } => {
                "encode on one line (base64 -w0, Base64.NO_WRAP), or set policy base64 = \"mime\""
            }
            Base64Fault::Blanks { .. } => {
                "the text was form-decoded, which turns + into a blank; send it inside JSON, unchanged"
            }
            Base64Fault::UrlSafe { .. } => {
                "use the standard alphabet with + and /, not the url-safe one with - and _"
            }
            Base64Fault::Character { .. } => {
                "encode the bytes with standard base64: A-Z a-z 0-9 + / and = at the end"
            }
            Base64Fault::Unpadded { .. } => "keep the = padding at the end",
            Base64Fault::Broken { .. } => "check that the text was not truncated or concatenated",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Base64Fault) {
        assert_eq!(decode(text, Base64Mode::Strict).unwrap_err(), expected);
        assert!(!expected.hint().is_empty());
    }

    #[test]
    fn standard_base64_is_decoded() {
        for bytes in [&b""[..], b"a", b"ab", b"abc", &[0xFB; 300]] {
            let decoded = decode(&encode(bytes), Base64Mode::Strict).unwrap();
            assert_eq!(decoded, Decoded { bytes: bytes.to_vec(), line_breaks: false });
        }
    }

    #[test]
    fn every_fault_is_distinguished() {
        check("data:image/png;base64,AAAA", Base64Fault::DataUri("data:image/png;base64,".into()));
        check("AAAA\r\nAAAA\r\nAA==", Base64Fault::LineBreaks { first: 5, count: 2 });
        check("AAAA\n", Base64Fault::LineBreaks { first: 5, count: 1 });
        check("AA A", Base64Fault::Blanks { first: 3 });
        check("AAAA\r\nAA-_", Base64Fault::UrlSafe { character: '-', position: 9 });
        check("AAAA\nAAA", Base64Fault::Unpadded { length: 7 });
        check("AA-_", Base64Fault::UrlSafe { character: '-', position: 3 });
        check("-_8", Base64Fault::UrlSafe { character: '-', position: 1 });
        check("AA!A", Base64Fault::Character { character: '!', position: 3 });
        check("AAé-", Base64Fault::Character { character: 'é', position: 3 });
        check("AAA", Base64Fault::Unpadded { length: 3 });
        check("AAAAA", Base64Fault::Broken { length: 5 });
        check("AA==AAAA", Base64Fault::Character { character: '=', position: 3 });
        check("AAAA====", Base64Fault::Broken { length: 8 });
        check("AB==", Base64Fault::Broken { length: 4 });
    }

    #[test]
    fn mime_mode_accepts_line_breaks_and_nothing_else() {
        let decoded = decode("AAAA\r\nAAAA\n", Base64Mode::Mime).unwrap();
        assert_eq!(decoded, Decoded { bytes: vec![0; 6], line_breaks: true });
        assert!(matches!(decode("AA A", Base64Mode::Mime), Err(Base64Fault::Blanks { .. })));
        assert!(matches!(decode("AA!A\n", Base64Mode::Mime), Err(Base64Fault::Character { .. })));
    }
}
