//! Fault `slow_headers`: sends the response head byte by byte over some time, then the body at once.

use rand::rngs::ChaCha8Rng;

use super::{Params, Plan, Step};
use crate::domain::http_answer::{BodyLength, HttpAnswer, Persistence};

pub fn plan(params: &Params, answer: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    let head = answer.head(BodyLength::Bytes(answer.body.len() as u64), Persistence::Close);
    let pause = params.time_or(2) / u32::try_from(head.len()).unwrap_or(u32::MAX);
    let mut steps: Vec<_> =
        head.iter().flat_map(|byte| [Step::Send(vec![*byte]), Step::Wait(pause)]).collect();
    steps.extend([Step::Send(answer.body.clone()), Step::Fin]);
    Plan::steps(steps)
}
