//! The answer comes before the body is read, then the connection ends.

use rand::rngs::ChaCha8Rng;

use super::{HttpAnswer, Params, Plan, Step, Upload};

pub fn upload(_: &Params) -> Upload {
    Upload::Unread
}

pub fn plan(_: &Params, answer: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    Plan::steps([Step::Send(answer.whole(true)), Step::Fin])
}
