//! Values that other languages have and JSON has not: words, numbers, bytes.

use crate::protocol::number::is_json_number;

const PYTHON: &str = "use json.dumps, which writes null, true and false: this is Python's str() or repr()";
const NOT_FINITE: &str =
    "send a number or null: JSON has neither NaN nor Infinity (Python: json.dumps(..., allow_nan=False))";

/// Returns a word of another language, and what to do instead.
pub fn foreign(word: &str) -> Option<(&'static str, &'static str)> {
    const WORDS: [(&str, &str); 17] = [
        ("None", PYTHON),
        ("True", PYTHON),
        ("False", PYTHON),
        ("NaN", NOT_FINITE),
        ("nan", NOT_FINITE),
        ("Infinity", NOT_FINITE),
        ("inf", NOT_FINITE),
        ("undefined", "the variable has no value: give it one, and use JSON.stringify"),
        ("nil", "write null: nil is the word of Ruby, Go and Lua"),
        ("NULL", "write null in lower case"),
        ("Null", "write null in lower case"),
        ("TRUE", "write true in lower case"),
        ("FALSE", "write false in lower case"),
        ("yes", "write true: yes is YAML's word"),
        ("no", "write false: no is YAML's word"),
        ("on", "write true: on is YAML's word"),
        ("off", "write false: off is YAML's word"),
    ];
    WORDS.iter().copied().find(|(known, _)| *known == word)
}

/// In which way a token is no number of JSON.
pub enum NumberFault {
    /// No number of any language: text without quotes, such as an IP address.
    Text,
    /// A number that other languages accept.
    Form(&'static str),
    /// `-Infinity` and its like.
    Word(&'static str, &'static str),
    /// Ends where a digit must follow.
    Cut,
}

/// Returns what is wrong with a token that begins like a number; `None` when it is one.
pub fn not_a_number(token: &str) -> Option<NumberFault> {
    if is_json_number(token) {
        return None;
    }
    let unsigned = token.trim_start_matches(['+', '-']);
    if let Some((word, instead)) = foreign(unsigned) {
        return Some(NumberFault::Word(word, instead));
    }
    let is_hex = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let digits = unsigned.strip_suffix(['f', 'F', 'd', 'D', 'l', 'L', 'm', 'M', 'n']).unwrap_or(unsigned);
    Some(if unsigned.is_empty() || unsigned.ends_with(['e', 'E', '+', '-']) {
        NumberFault::Cut
    } else if unsigned.strip_prefix("0x").is_some_and(is_hex) {
        NumberFault::Form("hexadecimal digits (0x)")
    } else if token.starts_with('+') && is_json_number(unsigned) {
        NumberFault::Form("a plus sign")
    } else if unsigned.strip_prefix('0').is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit())) {
        NumberFault::Form("a leading zero")
    } else if is_json_number(&format!("0{unsigned}")) {
        NumberFault::Form("no digit before the point")
    } else if unsigned.strip_suffix('.').is_some_and(is_json_number) {
        NumberFault::Form("no digit behind the point")
    } else if unsigned.contains('_') && is_json_number(&unsigned.replace('_', "")) {
        NumberFault::Form("underscores")
    } else if digits.len() < unsigned.len() && is_json_number(digits) {
        NumberFault::Form("a letter for its type (7.0f, 7L)")
    } else {
        NumberFault::Text
    })
}

/// Says which bytes these are: the first one of them is not UTF-8.
pub fn not_utf8(bytes: &[u8]) -> &'static str {
    match bytes {
        [0xC0, 0x80, ..] => "C0 80, a NUL in Java's modified UTF-8",
        [0xED, 0xA0..=0xBF, 0x80..=0xBF, ..] => {
            "halves of a surrogate pair one by one, as CESU-8 and Java's modified UTF-8 write them"
        }
        [0xC0 | 0xC1, ..] => "an overlong form that UTF-8 forbids",
        [0xFF, 0xD8, 0xFF, ..] => "a JPEG picture, raw",
        [0x89, b'P', b'N', b'G', ..] => "a PNG picture, raw",
        [0x80..=0x9F, ..] if is_mostly_text(bytes) => "they look like Windows-1252",
        [0xA0..=0xFF, ..] if is_cut(bytes) => "the text ends in the middle of a character",
        [0xA0..=0xFF, ..] if is_mostly_text(bytes) => "they look like Latin-1 or Windows-1252",
        _ => "another encoding, or no text at all",
    }
}

fn is_cut(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
}

/// Whether few of the next bytes are outside ASCII, and none is a control character but blanks.
fn is_mostly_text(bytes: &[u8]) -> bool {
    let near = &bytes[..bytes.len().min(64)];
    let outside = near.iter().filter(|byte| !byte.is_ascii()).count();
    let is_control = |byte: &u8| byte.is_ascii_control() && !byte.is_ascii_whitespace();
    !near.iter().any(is_control) && outside * 3 <= near.len().max(3)
}
