//! Fault `malformed_chunk`: sends a chunked response whose body is not a valid chunk, then FIN.

use rand::rngs::ChaCha8Rng;

use super::{Params, Plan, Step};
use crate::domain::http_answer::{BodyLength, HttpAnswer, Persistence};

/// Not a chunk: a chunk starts with its length in hexadecimal.
const NOT_A_CHUNK: &[u8] = b"no chunk size\r\n";

pub fn plan(_: &Params, answer: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    let answer = HttpAnswer { status: 200, ..answer.clone() };
    let mut bytes = answer.head(BodyLength::Chunked, Persistence::KeepAlive);
    bytes.extend_from_slice(NOT_A_CHUNK);
    Plan::steps([Step::Send(bytes), Step::Fin])
}
