//! Fault `body_cut`: truncates the body and sends the matching Content-Length: valid HTTP, broken JSON.

use rand::rngs::ChaCha8Rng;

use super::{Offset, Params, Plan};
use crate::domain::http_answer::HttpAnswer;

pub fn plan(params: &Params, answer: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    let total = answer.body.len();
    let kept = params.at.unwrap_or(Offset::Fraction(0.5)).of(total).min(total.saturating_sub(1));
    let body = answer.body[..kept].to_vec();
    Plan::answer(HttpAnswer { body, ..answer.clone() }).note("kept", kept).note("of", total)
}
