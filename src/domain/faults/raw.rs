//! Fault `raw`: sends exactly the configured bytes, then FIN.

use rand::rngs::ChaCha8Rng;

use super::{HttpAnswer, Params, Plan, Step};

pub fn plan(params: &Params, _: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    let bytes = params.raw.clone();
    let count = bytes.len();
    Plan::steps([Step::Send(bytes), Step::Fin]).note("bytes", count)
}
