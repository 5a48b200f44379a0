//! Explains why a body is not a JSON object, for a person: what was sent in its place, or line, column, field and character of each
//! mistake, and the tool that makes such. Never quotes a value: at most the offending character and the document's field names.
//!
//! Only rejected bodies come here. Everything is linear in the body, and nothing recurses.

mod binary;
mod characters;
mod formats;
mod mistake;
mod naming;
mod position;
mod prints;
mod scanner;
#[cfg(test)]
mod tests;
mod words;

use mistake::JsonMistake;
use position::Position;

/// What is wrong with a body, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonFault {
    /// What is wrong, and where.
    pub reason: String,
    /// What to do.
    pub hint: String,
}

/// Max nesting depth of a value.
pub const MAX_DEPTH: usize = 128;

const SEND_ONE_OBJECT: &str = "send one JSON object, UTF-8, with the document's seven keys as the body";

impl JsonFault {
    fn new(reason: impl Into<String>, hint: impl Into<String>) -> JsonFault {
        JsonFault { reason: reason.into(), hint: hint.into() }
    }
}

/// Explains a body that is not a JSON object. `bytes` come without the byte order mark of UTF-8.
#[must_use]
pub fn explain(bytes: &[u8]) -> JsonFault {
    if bytes.trim_ascii().is_empty() {
        return JsonFault::new(
            "the body is empty",
            "send the JSON object as the body: check the variable or file it comes from, and that no redirect turned POST into GET",
        );
    }
    if let Some(fault) = binary::name(bytes) {
        return fault;
    }
    let (text, _) = valid_prefix(bytes);
    if !text.trim_ascii_start().starts_with('{') {
        if text.trim_ascii_start().is_empty() {
            let what = words::not_utf8(&bytes[text.len()..]);
            return JsonFault::new(
                format!("the body is not text, or not in UTF-8: {what}"),
                "send JSON text in UTF-8: not encrypted, not compressed, no binary format",
            );
        }
        if let Some((what, hint)) = formats::name(text) {
            return JsonFault::new(format!("the body is {what}"), hint);
        }
    }
    within(bytes)
}

/// Explains the mistakes inside a JSON text.
fn within(bytes: &[u8]) -> JsonFault {
    let found = scanner::mistakes(bytes);
    let mut reason = String::new();
    let mut hints: Vec<String> = Vec::new();
    for located in &found {
        reason += match (reason.is_empty(), &located.mistake) {
            (true, JsonMistake::TooDeep) => "not the expected JSON: ",
            (true, _) => "not JSON: ",
            (false, _) => "; then ",
        };
        reason += &Position::at(bytes, located.offset).to_string();
        if let Some(field) = located.field {
            reason += ", in ";
            reason += field.name();
        }
        reason += ": ";
        reason += &located.mistake.reason();
        let hint = located.mistake.hint();
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    if found.is_empty() {
        return JsonFault::new("not the expected JSON", SEND_ONE_OBJECT);
    }
    JsonFault::new(reason, hints.join("; "))
}

/// Returns the text before the first byte that is not UTF-8, and whether that is all.
fn valid_prefix(bytes: &[u8]) -> (&str, bool) {
    match bytes.utf8_chunks().next() {
        Some(chunk) => (chunk.valid(), chunk.invalid().is_empty()),
        None => ("", true),
    }
}
