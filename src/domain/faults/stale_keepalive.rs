//! A complete answer that promises to keep the connection; it is closed all the same, so that a pooled next request meets FIN or RST.

use rand::rngs::ChaCha8Rng;

use super::{HttpAnswer, Params, Plan, Step};

pub fn plan(params: &Params, answer: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    Plan::steps([Step::Send(answer.whole(false)), Step::Wait(params.after_or(500)), Step::Fin])
}
