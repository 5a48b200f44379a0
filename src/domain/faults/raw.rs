//! Fault `raw`: sends exactly the configured bytes, then FIN.

use rand::rngs::ChaCha8Rng;

use super::{Params, Plan, Step};
use crate::domain::http_answer::HttpAnswer;

pub fn plan(params: &Params, _: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    let bytes = params.raw.clone();
    let count = bytes.len();
    Plan::steps([Step::Send(bytes), Step::Fin]).note("bytes", count)
}
