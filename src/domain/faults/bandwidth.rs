//! Fault `bandwidth`: sends the body at a limited rate in bytes per second, ten portions a second.

use std::time::Duration;

use rand::rngs::ChaCha8Rng;

use super::{Params, Plan, Step};
use crate::domain::http_answer::{BodyLength, HttpAnswer, Persistence};

pub fn plan(params: &Params, answer: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    let rate = params.bytes_per_second.unwrap_or(64);
    let portion = usize::try_from(rate / 10).unwrap_or(usize::MAX).max(1);
    let mut steps =
        vec![Step::Send(answer.head(BodyLength::Bytes(answer.body.len() as u64), Persistence::Close))];
    for (number, bytes) in answer.body.chunks(portion).enumerate() {
        if number > 0 {
            steps.push(Step::Wait(Duration::from_secs_f64(portion as f64 / rate as f64)));
        }
        steps.push(Step::Send(bytes.to_vec()));
    }
    steps.push(Step::Fin);
    Plan::steps(steps).note("bytes_per_second", rate)
}
