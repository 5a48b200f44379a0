//! Answers of a recording, brought into the form in which they are compared: whoever the matcher found, with whatever scores, is what the
//! recording says of its gallery, and none of the policy's.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::conformance::answer::{Comparable, KeptAnswer, comparable, pattern};
use crate::protocol::number;

/// A masked NIK with its score, in a text that may be within a JSON string.
static CANDIDATE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?:[0-9]{6})?(X[X ]{9,23}\\?["”]\s*:\s*)(-?[0-9][0-9.eE+-]*)"#));

/// Number of candidates of a masked body.
#[must_use]
pub fn candidates_in(body: &str) -> usize {
    CANDIDATE.find_iter(body).count()
}

/// Brings an answer into its comparable form. A score that the simulator could print stands for any other.
#[must_use]
pub fn comparable_of(answer: &KeptAnswer) -> Comparable {
    let body = CANDIDATE.replace_all(&answer.body, |found: &Captures| {
        let score = &found[2];
        let printed = score.parse().ok().map(number::java_double);
        let behind = found[1].trim_start_matches(['X', ' ']);
        let score = if printed.as_deref() == Some(score) { "0" } else { score };
        format!("XXXXXXXXXXXXXXXX{behind}{score}")
    });
    comparable(&KeptAnswer { body: body.into_owned(), ..answer.clone() })
}
