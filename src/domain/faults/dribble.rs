//! Fault `dribble`: sends the body in equal chunks spread over some time.

use rand::rngs::ChaCha8Rng;

use super::{Params, Plan, Step};
use crate::domain::http_answer::{BodyLength, HttpAnswer, Persistence};

pub fn plan(params: &Params, answer: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    let total = answer.body.len();
    let chunks = (params.chunks.unwrap_or(10) as usize).clamp(1, total.max(1));
    let pause = params.time_or(2) / u32::try_from(chunks.saturating_sub(1).max(1)).unwrap_or(u32::MAX);
    let mut steps = vec![Step::Send(answer.head(BodyLength::Bytes(total as u64), Persistence::Close))];
    for number in 0..chunks {
        // The pauses are between the chunks; the one of a single chunk comes before it.
        if number > 0 || chunks == 1 {
            steps.push(Step::Wait(pause));
        }
        let (from, to) = (total * number / chunks, total * (number + 1) / chunks);
        steps.push(Step::Send(answer.body[from..to].to_vec()));
    }
    steps.push(Step::Fin);
    Plan::steps(steps).note("chunks", chunks)
}
