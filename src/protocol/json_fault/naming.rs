//! A name for what a body is, by what its text begins with.

use std::borrow::Cow;

/// What a body is, and what to do.
pub type Named = (Cow<'static, str>, &'static str);

pub fn named(what: &'static str, hint: &'static str) -> Option<Named> {
    Some((Cow::Borrowed(what), hint))
}

/// Returns the first that a text begins with.
pub fn starting(text: &str, table: &[(&str, &'static str, &'static str)]) -> Option<Named> {
    table
        .iter()
        .find(|(start, ..)| text.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start)))
        .and_then(|(_, what, hint)| named(what, hint))
}

pub fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_$.".contains(&b))
}
