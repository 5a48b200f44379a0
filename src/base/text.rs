//! Prepares client text for messages: truncated, quoted, and with photos and ciphertexts redacted.

use unicode_width::UnicodeWidthStr;

/// Max length of a quoted text, in characters.
const MAX_QUOTED_CHARS: usize = 40;

/// Returns a received value quoted, escaped and truncated, safe for a log line. Redacts long base64.
#[must_use]
pub fn quoted(text: &str) -> String {
    if is_long_base64(text) {
        preview(text, MAX_QUOTED_CHARS)
    } else {
        format!("{:?}", truncate(text, MAX_QUOTED_CHARS))
    }
}

/// Returns a received value truncated. Redacts all of a value that looks like a photo or a ciphertext: it was sent in the wrong field.
#[must_use]
pub fn preview(text: &str, max_chars: usize) -> String {
    if is_long_base64(text) {
        format!("({} characters of base64)", text.len())
    } else {
        truncate(text, max_chars)
    }
}

/// Returns whether a text looks like a photo or a ciphertext. 80 characters are more than any text of the document has and fewer
/// than any ciphertext: 172 for the shortest key, 1024 bits.
#[must_use]
pub fn is_long_base64(text: &str) -> bool {
    text.len() >= 80 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/-_=\r\n".contains(&b))
}

/// Returns the first `max_chars` characters.
#[must_use]
pub fn first_chars(text: &str, max_chars: usize) -> &str {
    text.char_indices().nth(max_chars).map_or(text, |(end, _)| &text[..end])
}

/// Returns the first `max_chars` characters, with an ellipsis if the text was longer.
#[must_use]
pub fn truncate(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Breaks a text at blanks into lines of at most so many columns; a longer word has a line of its own.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_break_at_blanks() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a-very-long-word b", 5), ["a-very-long-word", "b"]);
    }
}
