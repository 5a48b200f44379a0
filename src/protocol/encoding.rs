//! Decodes base64 as the endpoint accepts it, and diagnoses base64 that it rejects.

use std::fmt;
use std::sync::LazyLock;

use base64::engine::{Engine, GeneralPurposeConfig, Simd};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dress::{self, ALPHABETS, Bounds, Dress, WRAPPERS, undress};

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

/// Why a text is not base64 that the endpoint accepts, for a person: what it is instead. Never quotes more of it than one character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base64Fault {
    /// Completes "the field ...".
    reason: String,
    hint: &'static str,
}

/// Static, so that the instruction set is detected only once.
static STANDARD: LazyLock<Simd> = LazyLock::new(|| Simd::standard(GeneralPurposeConfig::new()));

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
    if mode == Base64Mode::Mime
        && text.contains(['\r', '\n'])
        && let Ok(bytes) = STANDARD.decode(text.replace(['\r', '\n'], ""))
    {
        return Ok(Decoded { bytes, line_breaks: true });
    }
    Err(diagnose(text))
}

/// Encodes as the endpoint's clients do: standard alphabet, padded, one line.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Returns what a text is that is base64 by accident, such as `null` or hexadecimal digits: for texts whose bytes make no sense.
#[must_use]
pub fn mistaken(text: &str) -> Option<Base64Fault> {
    let shapes = dress::shapes(text);
    let (_, hint) = shapes.first()?;
    let words: Vec<_> = shapes.iter().map(|(words, _)| *words).collect();
    Some(Base64Fault { reason: format!("is not base64 but {}", words.join(", or ")), hint })
}

/// Max bytes that are looked at under all dresses together: each dress costs a copy, and anybody may send ten megabytes.
const MAX_LOOKED_AT: usize = 1 << 20;

/// Shorter texts than any photo or ciphertext may be base64 by accident, once blanks are taken out.
const SHORT_TEXT: usize = 80;

fn diagnose(text: &str) -> Base64Fault {
    let accident = text.len() < SHORT_TEXT || dress::is_printed_bytes(text);
    let shape = if accident { mistaken(text) } else { None };
    shape
        .or_else(|| dressed(text))
        .or_else(|| glued(text))
        .or_else(|| mistaken(text))
        .unwrap_or_else(|| foreign_character(text).unwrap_or_else(|| broken(text)))
}

/// The text is base64 under some dress.
fn dressed(text: &str) -> Option<Base64Fault> {
    let bounds = Bounds { depth: 4, texts: (MAX_LOOKED_AT / text.len().max(1)).clamp(4, 48) };
    let is_base64 = |text: &[u8]| (!text.is_empty() && STANDARD.decode(text).is_ok()).then_some(());
    let found = undress(text.as_bytes(), &[WRAPPERS, ALPHABETS], bounds, is_base64);
    let least = found.first()?.dresses.len();
    let all = found.iter().filter(|found| found.dresses.len() == least);
    let described = all.map(|found| described(&found.dresses, text)).collect::<Vec<_>>();
    Some(Base64Fault {
        reason: format!("is base64 {}{}", described.join(", or "), usual_cut(text)),
        hint: found.first()?.dresses.first()?.hint,
    })
}

/// The dresses in words, each with its place in the text.
fn described(dresses: &[&'static Dress], text: &str) -> String {
    let words = dresses.iter().map(|dress| match (dress.place)(text) {
        Some(position) => format!("{} (character {position})", dress.words),
        None => dress.words.to_owned(),
    });
    words.collect::<Vec<_>>().join(" and ")
}

/// Several base64 texts one behind the other: each `=` is legal in its own.
fn glued(text: &str) -> Option<Base64Fault> {
    let between = |c: char| c.is_ascii_whitespace() || matches!(c, ',' | ';' | '|' | ':' | '.');
    let mut texts = Vec::new();
    let mut rest = text.trim_matches(between);
    while !rest.is_empty() {
        let body = rest.find(|c| c == '=' || between(c)).unwrap_or(rest.len());
        let padding = rest[body..].bytes().take_while(|byte| *byte == b'=').count();
        let (one, behind) = rest.split_at(body + padding);
        if one.is_empty() || STANDARD.decode(one).is_err() {
            return None;
        }
        texts.push(one.len());
        rest = behind.trim_start_matches(between);
    }
    (texts.len() > 1).then(|| Base64Fault {
        reason: format!(
            "is not one base64 text but {}, one behind the other: the first ends at character {}",
            texts.len(),
            texts[0]
        ),
        hint: "encode all bytes at once, and send one base64 text",
    })
}

/// The first character that is not allowed. The padding itself is never blamed, but what stands behind it.
fn foreign_character(text: &str) -> Option<Base64Fault> {
    let standard = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    let hint = "encode the bytes with standard base64: A-Z a-z 0-9 + / and = at the end";
    if let Some((index, c)) = text.chars().enumerate().find(|(_, c)| !standard(*c)) {
        return Some(Base64Fault {
            reason: format!("is not base64: {} at character {}", shown(c), index + 1),
            hint,
        });
    }
    let padding = text.find('=')?;
    let behind = text[padding..].find(|c| c != '=')?;
    let reason =
        format!("is not base64: it goes on behind the = at its end, at character {}", padding + behind + 1);
    Some(Base64Fault { reason, hint: "check that two texts were not put together" })
}

/// A character for a person, by name where it cannot be seen.
fn shown(c: char) -> String {
    match c {
        ' ' => "a blank".to_owned(),
        '\t' => "a tab".to_owned(),
        '\r' | '\n' => "a line break".to_owned(),
        '\0' => "a NUL character".to_owned(),
        _ if c.is_control() || c.is_whitespace() || !c.is_ascii() => format!("{c:?} (U+{:04X})", c as u32),
        _ => format!("{c:?}"),
    }
}

/// Lengths at which databases and forms cut a text.
const USUAL_CUTS: [usize; 14] = [50, 64, 100, 128, 150, 191, 200, 250, 254, 255, 256, 300, 1024, 65_535];

/// What to think of the length of a text whose end is missing; empty where there is nothing to say.
#[must_use]
pub fn usual_cut(text: &str) -> String {
    let length = text.len();
    if USUAL_CUTS.contains(&length) {
        format!(" (cut? {length} characters are a usual length of database columns and form fields)")
    } else {
        String::new()
    }
}

fn broken(text: &str) -> Base64Fault {
    Base64Fault {
        reason: format!(
            "is not base64: {} characters with an invalid end (truncated?){}",
            text.len(),
            usual_cut(text)
        ),
        hint: "check that the text was not truncated or concatenated",
    }
}

impl fmt::Display for Base64Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Base64Fault {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        self.hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let fault = decode(text, Base64Mode::Strict).unwrap_err();
        assert!(fault.to_string().contains(expected), "{text:?} {fault}");
        assert!(!fault.hint().is_empty());
    }

    #[test]
    fn standard_base64_is_decoded() {
        for bytes in [&b""[..], b"a", b"ab", b"abc", &[0xFB; 300]] {
            let decoded = decode(&encode(bytes), Base64Mode::Strict).unwrap();
            assert_eq!(decoded, Decoded { bytes: bytes.to_vec(), line_breaks: false });
        }
    }

    #[test]
    fn base64_under_a_dress_is_named_with_its_place() {
        let good = encode(&[0xFB; 62]);
        for (text, expected) in [
            (format!("data:image/png;base64,{good}"), "is base64 with a prefix before it"),
            (format!("Data:;base64,{good}"), "with a prefix before it"),
            (format!("base64:{good}"), "with a prefix before it"),
            (format!("Basic {good}"), "with a prefix before it"),
            (format!("{good} "), "is base64 with a blank at the end (character 85)"),
            (format!("{good}\t"), "with a blank at the end (character 85)"),
            (format!("{good}\r\n"), "with a line break at the end (character 85)"),
            (format!("{good}\0"), "with a NUL byte at the end (character 85)"),
            (format!(" {good}"), "with white space before it (character 1)"),
            (format!("\u{FEFF}{good}"), "with a byte order mark (BOM) before it"),
            (
                format!("{}\u{200B}{}", &good[..4], &good[4..]),
                "with invisible characters in it (character 5)",
            ),
            (format!("{}\r\n{}", &good[..8], &good[8..]), "is base64 with line breaks (character 9)"),
            (format!("{} \t{}", &good[..8], &good[8..]), "with blanks between its characters (character 9)"),
            (format!("b'{good}'"), "as Python prints bytes: b'...'"),
            (format!("b\"{good}\""), "as Python prints bytes"),
            (format!("bytearray(b'{good}')"), "as Python prints bytes"),
            (format!("b'{}\\n{}\\n'", &good[..8], &good[8..]), "as Python prints bytes: b'...' and with"),
            (format!("\"{good}\""), "with quotes around it"),
            (format!("\u{201C}{good}\u{201D}"), "with quotes around it"),
            (format!("{good}'"), "with a quote at one end (character 85)"),
            (format!("[\"{good}\"]"), "in a JSON text of its own"),
            (format!("{{\"data\":\"{good}\"}}"), "in a JSON text of its own"),
            (
                format!("Optional(\"{good}\")"),
                "as another language prints it: name(\"...\") and with quotes around it",
            ),
            (good.replace('+', "\\u002b"), "with escape sequences in it (\\n, \\/, \\u002B) (character 1)"),
            (good.replace('=', "%3D"), "percent-encoded (character 84)"),
            (good.replace('+', "&#43;"), "HTML-escaped"),
            (good.replace('+', "&#x2B;").replace('=', "&equals;"), "HTML-escaped"),
            (good.replace('=', "=3D"), "in quoted-printable"),
            (format!("-----BEGIN MESSAGE-----\n{good}\n-----END MESSAGE-----\n"), "of PEM"),
            (format!("<image>{good}</image>"), "in an XML element"),
            (format!("<![CDATA[{good}]]>"), "in an XML element or CDATA section"),
            (
                good.replace('=', "\u{FF1D}"),
                "with typographic or full-width characters for plain ones (character 84)",
            ),
            (good.replace('+', " "), "with blanks where + was (character 1)"),
            (
                "AAAA\r\nAA-_".to_owned(),
                "with line breaks (character 5) and in the url-safe alphabet (character 9)",
            ),
            ("AA-_".to_owned(), "is base64 in the url-safe alphabet (character 3)"),
            ("-_8".to_owned(), "in the url-safe alphabet (character 1)"),
            ("AAA".to_owned(), "is base64 with missing or wrong = padding at the end"),
            ("AAAA====".to_owned(), "with missing or wrong = padding"),
            ("AAAA\nAAA".to_owned(), "with line breaks (character 5) and with missing or wrong = padding"),
            ("AA A".to_owned(), "with blanks where + was (character 3)"),
        ] {
            check(&text, expected);
        }
    }

    #[test]
    fn a_text_that_was_never_base64_is_named_by_what_it_is() {
        for (texts, expected) in [
            (
                &[
                    "{{proof_photo}}",
                    "${PHOTO}",
                    "$photo",
                    "<base64 of photo>",
                    "%s",
                    "{0}",
                    ":image",
                    "#{x}",
                    "YOUR_IMAGE",
                    "xxxxxxx",
                    "base64({ image})",
                    " encrypt {xxxxxxxxxxxxxx}",
                    "%PHOTO%",
                    "@photo",
                    "[[photo]]",
                    "{% photo %}",
                ][..],
                "a placeholder that was not filled in",
            ),
            (&["null", "(null)", "undefined", "NaN", "None", "nil", "true"], "prints for no value"),
            (
                &[
                    "[object Object]",
                    "[object Promise]",
                    "System.Byte[]",
                    "System.IO.MemoryStream",
                    "[B@1a2b3c",
                    "java.io.File@7d4991ad",
                    "<Buffer 89 50 4e 47 ...>",
                    "Resource id #5",
                    "<_io.BufferedReader name='a'>",
                    "Promise { <pending> }",
                    "Instance of 'Uint8List'",
                    "#<File:0x0001>",
                    "<PIL.Image.Image image mode=RGB at 0x7F>",
                    "256 bytes",
                    "<__main__.Photo object at 0x7f00>",
                    "function () { return 1; }",
                    "0xc000012345",
                ],
                "prints for an object",
            ),
            (
                &[
                    &format!("[{}]", "137, 80, 78, 71, ".repeat(99)),
                    &"137 80 78 71 ".repeat(99),
                    "[137, 80, 78, 71]",
                    "[-1, -40, -1]",
                    "{1,2,3}",
                    "137 80 78 71",
                    "[137 80 78 71]",
                    "Uint8Array(3) [ 1, 2, 3 ]",
                    "{\"type\":\"Buffer\",\"data\":[1,2,3]}",
                    "[255, 216, 255, ...",
                ],
                "a list of numbers",
            ),
            (
                &[
                    &"0xFF 0xD8 0x00 0x1A ".repeat(99),
                    "0xFF 0xD8 0xFF 0xE0 0x00 0x10 0x4A 0x46",
                    "ff:d8:ff:e0:00:10:4a:46",
                    "FFD8FFE000104A46",
                    "\\xff\\xd8\\xff\\xe0\\x00\\x10\\x4a\\x46",
                    "<ffd8ffe0 00104a46>",
                ],
                "hexadecimal digits",
            ),
            (
                &[
                    "C:\\foto\\siti.jpg",
                    "/home/siti/foto.png",
                    "https://x.example/foto.jpg",
                    "file:///tmp/a",
                    "./siti.jpg",
                    "siti.png",
                    "@siti.jpg",
                    "content://media/1",
                    "blob:http://x/1",
                ],
                "a file's name, a path or a URL",
            ),
            (&["{\"a\":1}", "[{\"a\":1}]"], "JSON"),
            (&["<html><body>404</body></html>", "<!DOCTYPE html>"], "XML or HTML"),
            (
                &["-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----", "ssh-rsa AAAA siti"],
                "a key, a certificate",
            ),
            (&["eyJhbGciOi.eyJzdWIi.c2ln"], "a token of three or five parts"),
            (
                &["\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\0\u{10}JFIF", "\u{89}PNG\r\n", "%PDF-1.7"],
                "the bytes of a file as text",
            ),
            (&["a\u{FFFD}b"], "lost bytes"),
            (&["/9j/4AAQSkZJRg...", "iVBORw0KGgo…", "AAAA[truncated 300]"], "a shortened text"),
            (&["begin 644 siti.jpg"], "uuencoded"),
            (&["the file could not be read"], "plain text of several words"),
        ] {
            for text in texts {
                check_shape(text, expected);
            }
        }
    }

    /// Also where the text is base64 by accident.
    #[track_caller]
    fn check_shape(text: &str, expected: &str) {
        let fault = decode(text, Base64Mode::Strict).err().or_else(|| mistaken(text));
        let reason = fault.map(|fault| fault.to_string()).unwrap_or_default();
        assert!(reason.contains("is not base64 but ") && reason.contains(expected), "{text:?} {reason}");
    }

    #[test]
    fn every_shape_that_fits_is_named() {
        check("<photo.jpg>", "a placeholder that was not filled in");
        check("https://x.example/{{photo}}.jpg", "a placeholder that was not filled in");
        check("https://x.example/${photo}/a.jpg", "a placeholder");
        let fault = decode("<ff d8 ff e0 ... 4a 46 00 01>", Base64Mode::Strict).unwrap_err().to_string();
        assert!(fault.contains("a shortened text"), "{fault}");
    }

    #[test]
    fn texts_in_a_row_and_single_characters_are_named_and_never_a_legal_padding() {
        check(
            "AA==AAAA",
            "is not one base64 text but 2, one behind the other: the first ends at character 4",
        );
        check("AA==,AAA=", "but 2, one behind the other");
        check("AA==\nAA==\nAA==", "but 3, one behind the other");
        check(&("AA==".repeat(500_000) + "!"), "'!' at character 2000001");
        check("AA==A", "it goes on behind the = at its end, at character 5");
        check("AA!A", "is not base64: '!' at character 3");
        check("AAé-", "is not base64: 'é' (U+00E9) at character 3");
        check("AAA= A*", "is not base64: a blank at character 5");
        check("AAAAA", "is not base64: 5 characters with an invalid end (truncated?)");
        check(&"A".repeat(65), "invalid end (truncated?)");
        check(&format!("{}B", "A".repeat(256)), "257 characters");
        check("AB==", "invalid end");
    }

    #[test]
    fn real_base64_has_no_shape() {
        for bytes in [&b""[..], &[0; 300], b"\xFF\xD8\xFF\xE0\0\x10JFIF", b"\x89PNG\r\n\x1A\n", &[0xFF; 256]]
        {
            assert_eq!(mistaken(&encode(bytes)), None);
        }
    }

    #[test]
    fn mime_mode_accepts_line_breaks_and_nothing_else() {
        let decoded = decode("AAAA\r\nAAAA\n", Base64Mode::Mime).unwrap();
        assert_eq!(decoded, Decoded { bytes: vec![0; 6], line_breaks: true });
        for bad in ["AA A", "AA!A\n", "AAA\n", "\n!"] {
            assert!(decode(bad, Base64Mode::Mime).is_err(), "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_a_reason_that_does_not_quote_it(text in "[ -~\u{A0}-\u{FFFF}]{0,60}", start in 0..8usize, end in 0..8usize) {
            let around = ["", "b'", "{{", "data:,", "&#x", "%4", "-----BEGIN X-----", "[1,"];
            let text = format!("{}{text}{}", around[start], around[end]);
            if let Err(fault) = decode(&text, Base64Mode::Strict) {
                let quoted: String = text.chars().filter(|c| c.is_alphanumeric()).collect();
                proptest::prop_assert!(quoted.chars().count() < 12 || !fault.to_string().contains(&quoted));
            }
            let _ = mistaken(&text);
        }
    }
}
