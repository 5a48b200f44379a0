//! Fault `early_response`: sends the response before it reads the request's body, then closes the connection.

use rand::rngs::ChaCha8Rng;

use super::{Params, Plan, Step, Upload};
use crate::domain::http_answer::{HttpAnswer, Persistence};

pub fn upload(_: &Params) -> Upload {
    Upload::Unread
}

pub fn plan(_: &Params, answer: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    Plan::steps([Step::Send(answer.head_and_body(Persistence::Close)), Step::Fin])
}
