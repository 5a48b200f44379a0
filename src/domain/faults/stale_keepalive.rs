//! Fault `stale_keepalive`: sends a complete keep-alive response, then closes the connection: the next request from a client's connection
//! pool gets FIN or RST.

use rand::rngs::ChaCha8Rng;

use super::{Params, Plan, Step};
use crate::domain::http_answer::{HttpAnswer, Persistence};

pub fn plan(params: &Params, answer: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    Plan::steps([
        Step::Send(answer.head_and_body(Persistence::KeepAlive)),
        Step::Wait(params.after_or(500)),
        Step::Fin,
    ])
}
