//! Fault `garbage`: sends random bytes instead of HTTP, then FIN; the bytes differ for each request.

use rand::Rng;
use rand::rngs::ChaCha8Rng;

use super::{Params, Plan};
use crate::domain::http_answer::HttpAnswer;

pub fn plan(params: &Params, _: &HttpAnswer, random: &mut ChaCha8Rng) -> Plan {
    let mut bytes = vec![0; params.bytes.unwrap_or(64) as usize];
    random.fill_bytes(&mut bytes);
    Plan::bytes(bytes)
}
