//! Fault `refuse`: closes the connection without a response. For a while after that, the data listener refuses connections.

use rand::rngs::ChaCha8Rng;

use super::{HttpAnswer, ListenerFault, Params, Plan, Step};

pub fn plan(params: &Params, _: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    Plan::steps([Step::Fin]).listener(ListenerFault::Refuse(params.time_or(1)))
}
