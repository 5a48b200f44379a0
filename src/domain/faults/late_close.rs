//! Fault `late_close`: sends a complete response with `Connection: close`; the FIN comes late.

use rand::rngs::ChaCha8Rng;

use super::{Params, Plan, Step};
use crate::domain::http_answer::{HttpAnswer, Persistence};

pub fn plan(params: &Params, answer: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    Plan::steps([
        Step::Send(answer.head_and_body(Persistence::Close)),
        Step::Wait(params.after_or(1000)),
        Step::Fin,
    ])
}
