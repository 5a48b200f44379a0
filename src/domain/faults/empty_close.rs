//! Fault `empty_close`: reads the request, then sends FIN without a response.

use rand::rngs::ChaCha8Rng;

use super::{HttpAnswer, Params, Plan, Step};

pub fn plan(_: &Params, _: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    Plan::steps([Step::Fin])
}
