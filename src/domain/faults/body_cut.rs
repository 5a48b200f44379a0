//! The body is cut and its length matches: valid HTTP, broken JSON.

use rand::rngs::ChaCha8Rng;

use super::{HttpAnswer, Offset, Params, Plan};

pub fn plan(params: &Params, answer: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    let whole = answer.body.len();
    let kept = params.at.unwrap_or(Offset::Fraction(0.5)).of(whole).min(whole.saturating_sub(1));
    let body = answer.body[..kept].to_vec();
    Plan::answer(HttpAnswer { body, ..answer.clone() }).note("kept", kept).note("of", whole)
}
