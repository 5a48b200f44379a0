//! Fault `slow_read`: reads the request's body slowly; the response is the regular one.

use rand::rngs::ChaCha8Rng;

use super::{Params, Plan, Upload};
use crate::domain::http_answer::HttpAnswer;

pub fn upload(params: &Params) -> Upload {
    Upload::Slowly(params.bytes_per_second.unwrap_or(10_000))
}

pub fn plan(_: &Params, answer: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    Plan::answer(answer.clone())
}
