//! The request is closed without a byte; then connecting to the data listener is refused for a while.

use rand::rngs::ChaCha8Rng;

use super::{HttpAnswer, ListenerFault, Params, Plan, Step};

pub fn plan(params: &Params, _: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    Plan::steps([Step::Fin]).listener(ListenerFault::Refuse(params.time_or(1)))
}
