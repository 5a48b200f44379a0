//! Fault `empty_close`: reads the request, then sends FIN without a response.

use rand::rngs::ChaCha8Rng;

use super::{Params, Plan, Step};
use crate::domain::http_answer::HttpAnswer;

pub fn plan(_: &Params, _: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    Plan::steps([Step::Fin])
}
