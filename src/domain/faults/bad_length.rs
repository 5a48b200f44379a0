//! Fault `bad_length`: the Content-Length is some bytes too long or too short; the body is complete.

use rand::rngs::ChaCha8Rng;

use super::{HttpAnswer, Params, Plan, Step};

pub fn plan(params: &Params, answer: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    let announced = (answer.body.len() as i64).saturating_add(params.by.unwrap_or(10)).max(0);
    let mut bytes = answer.head(announced, false);
    bytes.extend_from_slice(&answer.body);
    Plan::steps([Step::Send(bytes), Step::Fin]).note("announced", announced).note("sent", answer.body.len())
}
