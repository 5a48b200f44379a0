//! Dresses that make other bytes of a text: alphabets of base64, hexadecimal digits, lists of numbers, character sets.

use base64::engine::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Dress, changed, first, utf8};

const NOWHERE: fn(&str) -> Option<usize> = |_| None;

/// From base64 as others write it to base64 as the endpoint takes it.
pub static ALPHABETS: &[Dress] = &[
    Dress {
        words: "with line breaks",
        hint: "encode on one line (base64 -w0, Base64.NO_WRAP), or set policy base64 = \"mime\"",
        place: |text| first(text, |c| matches!(c, '\r' | '\n')),
        undo: |text| without(text, |byte| matches!(byte, b'\r' | b'\n')),
    },
    Dress {
        words: "with blanks between its characters",
        hint: "encode on one line, without blanks and tabs",
        place: |text| first(text, |c| matches!(c, ' ' | '\t')),
        undo: |text| {
            let inner = text.trim_ascii().iter().any(|byte| matches!(byte, b' ' | b'\t'));
            inner.then(|| without(text, |byte| matches!(byte, b' ' | b'\t')))?
        },
    },
    Dress {
        words: "with blanks where + was",
        hint: "the text was form-decoded, which turns + into a blank; send it inside JSON, unchanged",
        place: |text| first(text, |c| c == ' '),
        undo: |text| {
            let text = utf8(text)?.trim_end_matches(['\r', '\n']);
            (text.contains(' ') && !text.contains('+')).then(|| text.replace(' ', "+").into())
        },
    },
    Dress {
        words: "in the url-safe alphabet",
        hint: "use the standard alphabet with + and /, not the url-safe one with - and _",
        place: |text| first(text, |c| matches!(c, '-' | '_')),
        undo: |text| {
            let text = utf8(text)?;
            let is_url_safe = text.contains(['-', '_']) && !text.contains(['+', '/']);
            is_url_safe.then(|| repadded(&text.replace('-', "+").replace('_', "/")).into())
        },
    },
    Dress {
        words: "with missing or wrong = padding at the end",
        hint: "keep the = padding at the end: as many as make the length a multiple of 4",
        place: NOWHERE,
        undo: |text| changed(repadded(utf8(text)?), text),
    },
];

/// From bytes to bytes.
pub static ENCODINGS: &[Dress] = &[
    Dress {
        words: "in base64",
        hint: "encode with base64 once",
        place: NOWHERE,
        undo: |text| STANDARD.decode(text).ok().filter(|bytes| !bytes.is_empty()),
    },
    Dress {
        words: "as hexadecimal digits",
        hint: "encode the bytes themselves with base64, not their hexadecimal digits",
        place: NOWHERE,
        undo: of_hexadecimal,
    },
    Dress {
        words: "as a list of numbers",
        hint: "encode the bytes with base64; a list of numbers is how a language prints bytes",
        place: NOWHERE,
        undo: |text| of_numbers(utf8(text)?),
    },
    Dress {
        words: "in UTF-16LE (a zero byte behind each character)",
        hint: "use UTF-8: Encoding.UTF8, not Encoding.Unicode",
        place: NOWHERE,
        undo: |text| of_utf16(text.strip_prefix(b"\xFF\xFE").unwrap_or(text), u16::from_le_bytes),
    },
    Dress {
        words: "in UTF-16BE (a zero byte before each character)",
        hint: "use UTF-8: StandardCharsets.UTF_8, not UTF_16",
        place: NOWHERE,
        undo: |text| of_utf16(text.strip_prefix(b"\xFE\xFF").unwrap_or(text), u16::from_be_bytes),
    },
    Dress {
        words: "in UTF-32 (three zero bytes with each character)",
        hint: "use UTF-8, not wide characters (wchar_t)",
        place: NOWHERE,
        undo: |text| {
            let (quads, rest) = text.as_chunks::<4>();
            let read = |from: fn([u8; 4]) -> u32| {
                quads.iter().map(|quad| char::from_u32(from(*quad))).collect::<Option<String>>()
            };
            let text = read(u32::from_le_bytes).or_else(|| read(u32::from_be_bytes))?;
            (rest.is_empty() && !text.is_empty()).then(|| text.trim_start_matches('\u{FEFF}').into())
        },
    },
    Dress {
        words: "as UTF-8 text of its bytes (each byte above 7F became two)",
        hint: "keep bytes as bytes: do not pass them through a text in between (binary strings, utf8_encode)",
        place: NOWHERE,
        undo: |text| {
            let text = utf8(text).filter(|text| !text.is_ascii())?;
            text.chars().map(|c| u8::try_from(c as u32).ok()).collect()
        },
    },
];

/// What only a short text that was encrypted is looked at for.
pub static PLAIN_FORMS: &[Dress] = &[
    Dress {
        words: "in Latin-1 (ISO 8859-1, Windows-1252) instead of UTF-8",
        hint: "use UTF-8: getBytes(StandardCharsets.UTF_8), Encoding.UTF8",
        place: NOWHERE,
        undo: |text| {
            let is_latin = utf8(text).is_none();
            is_latin.then(|| text.iter().map(|byte| char::from(*byte)).collect::<String>().into_bytes())
        },
    },
    Dress {
        words: "backwards",
        hint: "do not reverse the bytes of the text before encrypting",
        place: NOWHERE,
        undo: |text| changed(text.iter().rev().copied().collect::<Vec<_>>(), text),
    },
    Dress {
        words: "padded to the length of a block as for AES (PKCS#7)",
        hint: "encrypt the text alone: RSA pads it by itself",
        place: NOWHERE,
        undo: |text| {
            let padding = *text.last().filter(|count| matches!(count, 1..=32))?;
            let (plain, padded) = text.split_at_checked(text.len().checked_sub(usize::from(padding))?)?;
            padded.iter().all(|byte| *byte == padding).then(|| changed(plain, text))?
        },
    },
];

fn without(text: &[u8], is_removed: fn(u8) -> bool) -> Option<Vec<u8>> {
    let has_any = text.iter().any(|byte| is_removed(*byte));
    // In a ciphertext they are no line breaks.
    (has_any && utf8(text).is_some())
        .then(|| changed(text.iter().copied().filter(|byte| !is_removed(*byte)).collect::<Vec<_>>(), text))?
}

/// Base64 with the padding that its length asks for.
fn repadded(text: &str) -> String {
    let body = text.trim_end_matches('=');
    body.to_owned() + &"=".repeat((4 - body.len() % 4) % 4)
}

/// Hexadecimal digits, also `0x` before all or before each pair, `\x`, and colons, blanks, commas and angle brackets between.
fn of_hexadecimal(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.trim_ascii();
    let mut digits = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, behind)) = rest.split_first() {
        rest = match byte {
            b'0' | b'\\' if matches!(behind.first(), Some(b'x' | b'X')) => &behind[1..],
            b':' | b' ' | b'-' | b',' | b'\r' | b'\n' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' => behind,
            _ => {
                digits.push((*byte as char).to_digit(16)? as u8);
                behind
            }
        };
    }
    let (pairs, odd) = digits.as_chunks::<2>();
    (!pairs.is_empty() && odd.is_empty()).then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// `[1, 2, -3]`, `{1,2}`, `1 2 3`, `Uint8Array(3) [1, 2, 3]`, `{"type":"Buffer","data":[1,2,3]}`: at least two numbers, all bytes.
fn of_numbers(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let inner = match (text.find('['), text.rfind(']')) {
        (Some(start), Some(end)) if start < end && start <= 40 => &text[start + 1..end],
        _ => text.trim_start_matches('{').trim_end_matches('}'),
    };
    let numbers = inner.split([',', ' ', ';', '\n', '\r', '\t']).filter(|number| !number.is_empty());
    let bytes: Option<Vec<u8>> = numbers
        .map(|number| {
            let number: i16 = number.parse().ok()?;
            // Java's bytes have a sign.
            u8::try_from(number).ok().or_else(|| i8::try_from(number).ok().map(|number| number as u8))
        })
        .collect();
    bytes.filter(|bytes| bytes.len() > 1)
}

fn of_utf16(bytes: &[u8], from: fn([u8; 2]) -> u16) -> Option<Vec<u8>> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() || pairs.is_empty() {
        return None;
    }
    let units: Vec<_> = pairs.iter().map(|pair| from(*pair)).collect();
    // Any text of an even length is UTF-16 of something; Chinese, mostly. Accounts and base64 are not.
    let is_likely = units.iter().all(|unit| *unit < 0x2100)
        && units.iter().filter(|unit| **unit < 0x100).count() * 2 > units.len();
    if !is_likely {
        return None;
    }
    String::from_utf16(&units).ok().map(String::into_bytes)
}
