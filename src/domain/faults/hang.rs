//! Fault `hang`: sends no response and keeps the connection open until the client closes it.

use rand::rngs::ChaCha8Rng;

use super::{Params, Plan, Step};
use crate::domain::http_answer::HttpAnswer;

pub fn plan(_: &Params, _: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    Plan::steps([Step::WaitForClient])
}
