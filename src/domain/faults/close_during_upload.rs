//! Fault `close_during_upload`: reads part of the request's body, then closes the connection. The kernel may turn the FIN into a RST,
//! because unread data remains.

use rand::rngs::ChaCha8Rng;

use super::{End, Offset, Params, Plan, Upload};
use crate::domain::http_answer::HttpAnswer;

pub fn upload(params: &Params) -> Upload {
    Upload::CloseAt(params.at.unwrap_or(Offset::Fraction(0.5)), params.end.unwrap_or(End::Rst))
}

pub fn plan(params: &Params, _: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    Plan::steps([params.end.unwrap_or(End::Rst).step()])
}
