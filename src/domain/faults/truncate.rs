//! Fault `truncate`: announces the full Content-Length, but sends only part of the body.

use rand::rngs::ChaCha8Rng;

use super::{End, Offset, Params, Plan, Step};
use crate::domain::http_answer::{BodyLength, HttpAnswer, Persistence};

pub fn plan(params: &Params, answer: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    let total = answer.body.len();
    let sent = params.at.unwrap_or(Offset::Fraction(0.5)).of(total).min(total.saturating_sub(1));
    let mut bytes = answer.head(BodyLength::Bytes(total as u64), Persistence::KeepAlive);
    bytes.extend_from_slice(&answer.body[..sent]);
    let end = params.end.unwrap_or(End::Fin).step();
    Plan::steps([Step::Send(bytes), end]).note("sent", sent).note("of", total)
}
