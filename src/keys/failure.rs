//! Why a ciphertext is rejected, in words.

use std::borrow::Cow;

pub(super) const WITH_THIS_KEY: &str =
    "encrypt with this customer's public key: GET /customers/{customer_id}/public.pem on the admin listener";

/// Why a ciphertext is rejected, for a person. Never contains what was sent, or what was in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecryptFailure {
    /// Completes "the field ...".
    pub reason: String,
    /// What to do about it.
    pub hint: String,
}

impl DecryptFailure {
    /// Joins several things that are true of the same ciphertext.
    pub(super) fn of(parts: Vec<(Cow<'static, str>, &'static str)>) -> DecryptFailure {
        let mut hints: Vec<&str> = parts.iter().map(|(_, hint)| *hint).collect();
        hints.dedup();
        let words: Vec<_> = parts.iter().map(|(words, _)| words.as_ref()).collect();
        DecryptFailure { reason: words.join(" and "), hint: hints.join("; ") }
    }
}
