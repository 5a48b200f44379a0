//! A text that is not the account's value, but was made of it: in UTF-16, with a line break, hashed, cut. Says so without the value, which
//! people would otherwise compare with a text that looks the same.

use crate::base::hash_functions::HASH_FUNCTIONS;
use crate::protocol::dress::{ALPHABETS, Bounds, Dress, ENCODINGS, Found, PLAIN_FORMS, WRAPPERS, undress};

/// How a text is like the account's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Likeness {
    /// Completes "the field was decrypted, but ...". Never contains the value.
    pub words: String,
    /// What to do about it.
    pub hint: String,
    /// The value itself, or its base64, with no more than white space around.
    pub is_plain: bool,
}

/// What a text is to the account's value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Relation {
    words: String,
    hint: &'static str,
    /// How far it is from the value itself, in dresses: an explanation that needs less is preferred.
    distance: usize,
}

const BOUNDS: Bounds = Bounds { depth: 3, texts: 64 };

/// Longer texts are not looked at: no key encrypts as much.
const MAX_TEXT: usize = 4096;

/// Names what `text` is to the account's value `expected`, or to `sibling`, the value of the other field; `None` when nothing is known.
/// All explanations that need the fewest steps are named.
#[must_use]
pub fn likeness(text: &[u8], expected: &str, sibling: &str) -> Option<Likeness> {
    if text.len() > MAX_TEXT || expected.is_empty() {
        return None;
    }
    let tables = [WRAPPERS, ENCODINGS, PLAIN_FORMS, ALPHABETS];
    let mut found = undress(text, &tables, BOUNDS, |text| relation(text, expected, sibling));
    let distance = |found: &Found<Relation>| found.dresses.len() + found.what.distance;
    let least = found.iter().map(distance).min()?;
    found.retain(|found| distance(found) == least);
    let mut words: Vec<_> = found.iter().map(described).collect();
    words.dedup();
    let mut hints: Vec<_> = found.iter().map(hint).collect();
    hints.dedup();
    let is_plain = |found: &Found<Relation>| {
        found.what.distance == 0 && found.dresses.iter().all(|dress| is_usual(dress))
    };
    Some(Likeness {
        words: format!("it is {}", words.join(", or ")),
        hint: hints.join("; "),
        is_plain: found.iter().any(is_plain) && words.iter().all(|words| words.starts_with(THE_VALUE)),
    })
}

/// The same for a text that was to be encrypted, and was not: only what is certain.
#[must_use]
pub fn unencrypted(text: &str, expected: &str) -> Option<Likeness> {
    likeness(text.as_bytes(), expected, "").filter(|like| !like.words.contains(PART_OF_IT))
}

const THE_VALUE: &str = "the account's value";

/// Words of relations that may be accidental.
const PART_OF_IT: &str = "characters";

fn is_usual(dress: &Dress) -> bool {
    ["in base64", "with a line break", "with a blank", "with white space"]
        .iter()
        .any(|start| dress.words.starts_with(start))
}

fn described(found: &Found<Relation>) -> String {
    let dresses: Vec<_> = found.dresses.iter().rev().map(|dress| dress.words).collect();
    if dresses.is_empty() {
        found.what.words.clone()
    } else {
        format!("{} {}", found.what.words, dresses.join(" and "))
    }
}

fn hint(found: &Found<Relation>) -> &'static str {
    found.dresses.first().map_or(found.what.hint, |dress| dress.hint)
}

fn relation(text: &[u8], expected: &str, sibling: &str) -> Option<Relation> {
    let relation = |words: &str, hint, distance| Some(Relation { words: words.to_owned(), hint, distance });
    if text == expected.as_bytes() {
        return relation(THE_VALUE, "encrypt the value exactly as in the customer's fixture", 0);
    }
    if text.is_empty() {
        return None;
    }
    if text == sibling.as_bytes() {
        return relation("the other field's value", "user_id and password are swapped", 0);
    }
    if let Some(name) = hash_of(text, expected) {
        return relation(&name, "encrypt the value itself, not its hash", 0);
    }
    let text = std::str::from_utf8(text).ok()?;
    if is_joined(text, expected, sibling) {
        return relation("user_id and password in one text", "encrypt each of them by itself", 0);
    }
    let times = text.len() / expected.len();
    if times > 1 && expected.repeat(times) == text {
        return relation(&format!("{THE_VALUE} {times} times"), "encrypt it once", 0);
    }
    if text.to_lowercase() == expected.to_lowercase() {
        return relation(
            &format!("{THE_VALUE} in other upper and lower case"),
            "write it exactly as in the customer's fixture",
            1,
        );
    }
    partial(text, expected)
}

/// What shares only a part with the value.
fn partial(text: &str, expected: &str) -> Option<Relation> {
    let (length, full) = (text.chars().count(), expected.chars().count());
    let relation = |words: String, hint| Some(Relation { words, hint, distance: 5 });
    // Less would be an accident.
    if length >= 3 && length * 2 >= full {
        let cut = "send the whole value: something cuts it, such as a field or a buffer of that length";
        if expected.starts_with(text) {
            return relation(format!("only the first {length} {PART_OF_IT} of the account's {full}"), cut);
        }
        if expected.ends_with(text) {
            return relation(format!("only the last {length} {PART_OF_IT} of the account's {full}"), cut);
        }
    }
    if full >= 4 && text.contains(expected) {
        let more = length - full;
        return relation(
            format!("{THE_VALUE} with {more} more {PART_OF_IT} before or behind it"),
            "encrypt the value alone: no name, no label, no time stamp with it",
        );
    }
    if full >= 6 && length < 256 && strsim::osa_distance(text, expected) == 1 {
        return relation(
            format!("{THE_VALUE} but for one of its {PART_OF_IT}"),
            "compare it with [account] of the customer's fixture letter by letter: O and 0, l and 1 look alike",
        );
    }
    let is_password_hash = ["$2a$", "$2b$", "$2y$", "$argon2", "$1$", "$5$", "$6$", "{SSHA", "pbkdf2"];
    if is_password_hash.iter().any(|start| text.starts_with(start)) {
        return relation(
            "a password's hash (bcrypt, Argon2 or crypt), as databases keep it".to_owned(),
            "encrypt the value itself, not its hash",
        );
    }
    None
}

/// `user:password` and its like.
fn is_joined(text: &str, expected: &str, sibling: &str) -> bool {
    let both = |first: &str, second: &str| {
        let between = text.strip_prefix(first).and_then(|text| text.strip_suffix(second));
        !sibling.is_empty()
            && between.is_some_and(|between| between.len() <= 3 && !between.contains(char::is_alphanumeric))
    };
    both(expected, sibling) || both(sibling, expected)
}

/// The name of the hash of `expected` that the bytes are, also of the value with a line break (`echo value | sha256sum`).
fn hash_of(bytes: &[u8], expected: &str) -> Option<String> {
    let fitting = HASH_FUNCTIONS.iter().filter(|function| function.size == bytes.len());
    let ends = [("", ""), ("\n", " and a line break"), ("\r\n", " and a line break")];
    fitting.flat_map(|function| ends.map(|end| (function, end))).find_map(|(function, (end, words))| {
        ((function.digest)(expected.as_bytes(), end.as_bytes()) == bytes)
            .then(|| format!("the {} hash of {THE_VALUE}{words}", function.name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::encoding::encode;

    const USER: &str = "dukcapil-é&+User";
    const PASSWORD: &str = "Rahasia/7=x";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn utf16(text: &str, from: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(from).collect()
    }

    #[track_caller]
    fn check(text: impl AsRef<[u8]>, words: &str) {
        let text = text.as_ref();
        let found = likeness(text, USER, PASSWORD);
        let like =
            found.unwrap_or_else(|| panic!("nothing for {:?}: {words}", String::from_utf8_lossy(text)));
        assert!(like.words.contains(words), "{:?}: {like:?}", String::from_utf8_lossy(text));
        assert!(!like.hint.is_empty());
        for secret in [USER, PASSWORD, "dukcapil", "User", "Rahasia"] {
            assert!(!format!("{like:?}").contains(secret), "{like:?}");
        }
    }

    #[test]
    fn other_clothes_of_the_value_are_named() {
        for (text, words) in [
            (utf16(USER, u16::to_le_bytes), "it is the account's value in UTF-16LE"),
            ([&b"\xFF\xFE"[..], &utf16(USER, u16::to_le_bytes)].concat(), "in UTF-16LE"),
            (utf16(USER, u16::to_be_bytes), "in UTF-16BE"),
            ([&b"\xFE\xFF"[..], &utf16(USER, u16::to_be_bytes)].concat(), "in UTF-16BE"),
            (
                utf16(&format!("{USER}\0"), u16::to_le_bytes),
                "the account's value with a NUL byte at the end and in UTF-16LE",
            ),
            (USER.chars().flat_map(|c| (c as u32).to_le_bytes()).collect(), "in UTF-32"),
            (USER.chars().map(|c| c as u8).collect(), "in Latin-1"),
            (USER.bytes().map(char::from).collect::<String>().into_bytes(), "as UTF-8 text of its bytes"),
            (USER.bytes().rev().collect(), "backwards"),
            ([USER.as_bytes(), &[15; 15]].concat(), "as for AES (PKCS#7)"),
        ] {
            check(text, words);
        }
        for (text, words) in [
            (format!("{USER}\0"), "with a NUL byte at the end"),
            (format!("{USER}\0\0\0"), "with a NUL byte at the end"),
            (format!("{USER}\n"), "with a line break at the end"),
            (format!("{USER}\r\n"), "with a line break at the end"),
            (format!("{USER} "), "with a blank at the end"),
            (format!(" {USER}"), "with white space before it"),
            (format!("\u{FEFF}{USER}"), "with a byte order mark (BOM) before it"),
            (format!("{USER}\u{200B}"), "with invisible characters"),
            (USER.to_uppercase(), "in other upper and lower case"),
            (format!("\"{USER}\""), "with quotes around it"),
            (format!("'{USER}'"), "with quotes around it"),
            (format!("\"{USER}\"\n"), "with quotes around it and with a line break at the end"),
            (format!("[\"{USER}\"]"), "in a JSON text of its own"),
            (format!("{{\"user_id\":\"{USER}\"}}"), "in a JSON text of its own"),
            (USER.replace('é', "\\u00e9"), "with escape sequences in it"),
            (encode(USER.as_bytes()), "in base64"),
            (encode(encode(USER.as_bytes()).as_bytes()), "in base64 and in base64"),
            (encode(USER.as_bytes()).trim_end_matches('=').to_owned(), "in base64"),
            (hex(USER.as_bytes()), "as hexadecimal digits"),
            (hex(USER.as_bytes()).to_uppercase(), "as hexadecimal digits"),
            (USER.replace('&', "%26").replace('+', "%2B"), "percent-encoded"),
            (USER.replace('+', " "), "with blanks where + was"),
            (USER.replace('&', "&amp;"), "HTML-escaped"),
            (USER.replace('é', "e\u{301}"), "in another Unicode form"),
            (USER.replace('-', "\u{2013}"), "with typographic or full-width characters"),
            (USER.replace('U', "\u{FF35}"), "with typographic or full-width characters"),
            (PASSWORD.to_owned(), "the other field's value"),
            (format!("{PASSWORD}\n"), "the other field's value with a line break at the end"),
            (format!("{USER}:{PASSWORD}"), "user_id and password in one text"),
            (format!("{PASSWORD}|{USER}"), "user_id and password in one text"),
            (encode(format!("{USER}:{PASSWORD}").as_bytes()), "user_id and password in one text in base64"),
            (format!("{USER}{USER}"), "the account's value 2 times"),
            (USER.chars().take(10).collect(), "only the first 10 characters of the account's 16"),
            (USER.chars().skip(4).collect(), "only the last 12 characters of the account's 16"),
            (format!("tanggal={USER};1"), "the account's value with 10 more characters before or behind it"),
            (USER.replace('k', "c"), "the account's value but for one of its characters"),
            ("$2y$10$abcdefghijklmnopqrstuv".to_owned(), "a password's hash (bcrypt"),
        ] {
            check(text, words);
        }
    }

    #[test]
    fn hashes_of_the_value_are_named() {
        for function in &HASH_FUNCTIONS {
            let words = format!("the {} hash of the account's value", function.name);
            for end in ["", "\n", "\r\n"] {
                let digest = (function.digest)(USER.as_bytes(), end.as_bytes());
                let words = words.clone() + if end.is_empty() { "" } else { " and a line break" };
                check(&digest, &words);
                check(hex(&digest), &format!("{words} as hexadecimal digits"));
                check(hex(&digest).to_uppercase(), &format!("{words} as hexadecimal digits"));
                check(encode(&digest), &format!("{words} in base64"));
            }
        }
    }

    #[test]
    fn other_texts_are_like_nothing() {
        for text in ["x", "du", "somebody else", "0123456789abcdef", "AAAA", "\0", "[1,2,3]", "%41", "é"] {
            assert_eq!(likeness(text.as_bytes(), USER, PASSWORD), None, "{text}");
        }
        assert_eq!(likeness(b"x", "", ""), None);
        assert_eq!(likeness(&[b'x'; MAX_TEXT + 1], USER, PASSWORD), None);
    }

    #[test]
    fn a_value_sent_unencrypted_is_certain() {
        for (text, is_plain) in [
            (USER.to_owned(), true),
            (encode(USER.as_bytes()), true),
            (encode(format!("{USER}\n").as_bytes()), true),
            (hex(USER.as_bytes()), false),
            (encode(&(HASH_FUNCTIONS[1].digest)(USER.as_bytes(), b"")), false),
            (format!("\"{USER}\""), false),
        ] {
            assert_eq!(unencrypted(&text, USER).map(|like| like.is_plain), Some(is_plain), "{text}");
        }
        for text in [&USER[..8], "somebody"] {
            assert_eq!(unencrypted(text, USER), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_judged_without_showing_the_value(text in proptest::collection::vec(0..=255u8, 0..80), at in 0..80usize) {
            let at = at.min(text.len());
            let around = [&text[..at], USER.as_bytes(), &text[at..]].concat();
            for text in [text, around] {
                let words = likeness(&text, USER, PASSWORD).map(|like| format!("{like:?}")).unwrap_or_default();
                proptest::prop_assert!(!words.contains("dukcapil") && !words.contains("Rahasia"), "{}", words);
            }
        }
    }
}
