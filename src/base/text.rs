//! Texts that clients sent, made fit for a message: cut, quoted, and without photos and ciphertexts.

/// Length of a quoted text, in characters.
const QUOTED_CHARS: usize = 40;

/// A value seen, quoted, escaped and cut, fit for a log line.
#[must_use]
pub fn quoted(text: &str) -> String {
    if is_long_base64(text) {
        preview(text, QUOTED_CHARS)
    } else {
        format!("{:?}", truncate(text, QUOTED_CHARS))
    }
}

/// A value seen, cut. Of what is a photo or a ciphertext by its looks not even the beginning is given: it is in another field's
/// place.
#[must_use]
pub fn preview(text: &str, chars: usize) -> String {
    if is_long_base64(text) {
        format!("({} characters of base64)", text.len())
    } else {
        truncate(text, chars)
    }
}

/// Longer than any text of the document, and shorter than any ciphertext: of the shortest key, 1024 bits, it has 172 characters.
#[must_use]
pub fn is_long_base64(text: &str) -> bool {
    text.len() >= 80 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/-_=\r\n".contains(&b))
}

/// The first `chars` characters, with an ellipsis where something was cut off.
#[must_use]
pub fn truncate(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
