//! Fault `reset`: reads the request, then sends RST without a response.

use rand::rngs::ChaCha8Rng;

use super::{Params, Plan, Step};
use crate::domain::http_answer::HttpAnswer;

pub fn plan(params: &Params, _: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    Plan::steps([Step::Wait(params.after_or(0)), Step::Rst])
}
