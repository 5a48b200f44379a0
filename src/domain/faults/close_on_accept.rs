//! Fault `close_on_accept`: closes the connection without a response. For a while after that, new connections are accepted and closed
//! unread.

use rand::rngs::ChaCha8Rng;

use super::{ListenerFault, Params, Plan, Step};
use crate::domain::http_answer::HttpAnswer;

pub fn plan(params: &Params, _: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    Plan::steps([Step::Fin]).listener(ListenerFault::CloseOnAccept(params.time_or(1)))
}
