//! Fault `late_close`: sends a complete response with `Connection: close`; the FIN comes late.

use rand::rngs::ChaCha8Rng;

use super::{HttpAnswer, Params, Plan, Step};

pub fn plan(params: &Params, answer: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    Plan::steps([Step::Send(answer.head_and_body(true)), Step::Wait(params.after_or(1000)), Step::Fin])
}
