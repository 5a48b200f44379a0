//! Fault `hang`: sends no response and keeps the connection open until the client closes it.

use rand::rngs::ChaCha8Rng;

use super::{HttpAnswer, Params, Plan, Step};

pub fn plan(_: &Params, _: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    Plan::steps([Step::WaitForClient])
}
