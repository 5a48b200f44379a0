//! Answers of a recording, brought into the form in which they are compared: whoever the matcher found, with whatever scores, is what the
//! recording says of its gallery, and none of the policy's.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::conformance::answer::{KeptAnswer, MARKER, MASKED_NIK, pattern};
use crate::conformance::comparable::{Comparable, comparable};
use crate::protocol::number;

/// A masked NIK with its score, in a text that may be within a JSON string.
static CANDIDATE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?:[0-9]{6})?(X[X ]{9,23}\\?["”]\s*:\s*(?:\\?["“”])?)(-?[0-9][0-9.eE+-]*)"#));

/// Number of candidates of a masked body that have a score.
#[must_use]
pub fn scored_candidates_in(body: &str) -> usize {
    CANDIDATE.find_iter(body).count()
}

/// What stands for a transactionId of any length: what of it was escaped, and so how long it was written, is not known of the request.
const TRANSACTION_ID: &str = "{{tid}}";

/// Brings an answer into its comparable form. A score stands for any other of its form, 0 for those that the simulator could
/// print.
#[must_use]
pub fn comparable_of(answer: &KeptAnswer) -> Comparable {
    let body = CANDIDATE.replace_all(&answer.body, |found: &Captures| {
        let score = &found[2];
        let printed = score.parse().ok().map(number::java_double);
        let behind = found[1].trim_start_matches(['X', ' ']);
        let score = match printed {
            Some(printed) if printed == score || score == "0" => "0".to_owned(),
            // Of a form that it does not print, the digits do not matter.
            _ => score.replace(|c: char| c.is_ascii_digit(), "9"),
        };
        format!("{MASKED_NIK}{behind}{score}")
    });
    let body = MARKER.replace_all(&body, TRANSACTION_ID).into_owned();
    comparable(&KeptAnswer { body, ..answer.clone() })
}
