//! The bytes that a field may have meant: what its base64 says, and what is under other dresses of the text.

use std::borrow::Cow;

use crate::protocol::dress::{ALPHABETS, Bounds, Dress, ENCODINGS, Found, WRAPPERS, undress};

/// Bytes that may be, or hold, a ciphertext, and how they were dressed.
pub(super) struct Form {
    /// What is said of the field; `None` for plain base64.
    dress: Option<(String, &'static str)>,
    pub bytes: Vec<u8>,
}

impl Form {
    /// The words about its dress, as the first part of an explanation.
    pub fn parts(&self) -> Vec<(Cow<'static, str>, &'static str)> {
        self.dress.iter().map(|(words, hint)| (Cow::Owned(words.clone()), *hint)).collect()
    }
}

/// Longer texts are not searched: ten times the base64 of the longest ciphertext.
const MAX_TEXT: usize = 16 << 10;

const BOUNDS: Bounds = Bounds { depth: 4, texts: 48 };

/// Max forms that are tried.
const MAX_FORMS: usize = 4;

/// What is said first when an explanation of `text` is searched: its bytes as decoded, then those under other dresses that have a length
/// which fits `size`, the key's.
#[must_use]
pub(super) fn forms(text: &str, decoded: &[u8], size: usize) -> Vec<Form> {
    let mut forms = vec![Form { dress: None, bytes: decoded.to_vec() }];
    if text.len() > MAX_TEXT {
        return forms;
    }
    let fits = |bytes: &[u8]| {
        bytes.len().abs_diff(size) <= 4 || bytes.len().is_multiple_of(size) || is_usual(bytes.len())
    };
    // A ciphertext is never all ASCII; what is needs to be undressed further.
    let goal = |bytes: &[u8]| (!bytes.is_ascii() && fits(bytes)).then(|| bytes.to_vec());
    let found = undress(text.as_bytes(), &[ENCODINGS, WRAPPERS, ALPHABETS], BOUNDS, goal);
    let dressed = found.into_iter().filter(|found| found.what != decoded).take(MAX_FORMS);
    forms.extend(
        dressed.map(|Found { dresses, what }| Form { dress: Some(described(&dresses)), bytes: what }),
    );
    forms
}

/// Lengths of ciphertexts of usual keys, which others of the simulator may be.
fn is_usual(length: usize) -> bool {
    matches!(length, 128 | 256 | 384 | 512 | 1024)
}

fn described(dresses: &[&'static Dress]) -> (String, &'static str) {
    let is_base64 = |dress: &&&'static Dress| **dress == &ENCODINGS[0];
    let hint = dresses.iter().find(|dress| !is_base64(dress)).unwrap_or(&dresses[0]).hint;
    let times = dresses.iter().take_while(is_base64).count();
    let rest: Vec<_> = dresses[times..].iter().map(|dress| dress.words).collect();
    let base64 = match times {
        0 => return (format!("is not base64 but the ciphertext {}", rest.join(" and ")), hint),
        1 => return (format!("is base64 of the ciphertext {}", rest.join(" and ")), hint),
        2 => "is base64 twice".to_owned(),
        times => format!("is base64 {times} times"),
    };
    let rest =
        if rest.is_empty() { String::new() } else { format!(", of the ciphertext {}", rest.join(" and ")) };
    (format!("{base64}{rest}: it decodes to base64 again"), hint)
}
