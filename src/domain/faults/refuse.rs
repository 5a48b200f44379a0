//! Fault `refuse`: closes the connection without a response. For a while after that, the data listener refuses connections.

use rand::rngs::ChaCha8Rng;

use super::{ListenerFault, Params, Plan, Step};
use crate::domain::http_answer::HttpAnswer;

pub fn plan(params: &Params, _: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    Plan::steps([Step::Fin]).listener(ListenerFault::Refuse(params.time_or(1)))
}
