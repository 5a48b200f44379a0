//! Fault `raw`: sends exactly the configured bytes, then FIN.

use rand::rngs::ChaCha8Rng;

use super::{Params, Plan};
use crate::domain::http_answer::HttpAnswer;

pub fn plan(params: &Params, _: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    Plan::bytes(params.raw.clone())
}
