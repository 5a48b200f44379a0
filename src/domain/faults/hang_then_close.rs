//! Fault `hang_then_close`: sends nothing for a while, then FIN.

use rand::rngs::ChaCha8Rng;

use super::{Params, Plan, Step};
use crate::domain::http_answer::HttpAnswer;

pub fn plan(params: &Params, _: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    Plan::steps([Step::Wait(params.time_or(10)), Step::Fin])
}
