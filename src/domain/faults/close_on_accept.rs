//! The request is closed without a byte; then connections are accepted and closed unread for a while.

use rand::rngs::ChaCha8Rng;

use super::{HttpAnswer, ListenerFault, Params, Plan, Step};

pub fn plan(params: &Params, _: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    Plan::steps([Step::Fin]).listener(ListenerFault::CloseOnAccept(params.time_or(1)))
}
