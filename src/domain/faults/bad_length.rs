//! Fault `bad_length`: the Content-Length is some bytes too long or too short; the body is complete.

use rand::rngs::ChaCha8Rng;

use super::{Params, Plan, Step};
use crate::domain::http_answer::{BodyLength, HttpAnswer, Persistence};

pub fn plan(params: &Params, answer: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    let announced = (answer.body.len() as u64).saturating_add_signed(params.by.unwrap_or(10));
    let mut bytes = answer.head(BodyLength::Bytes(announced), Persistence::KeepAlive);
    bytes.extend_from_slice(&answer.body);
    Plan::steps([Step::Send(bytes), Step::Fin]).note("announced", announced).note("sent", answer.body.len())
}
