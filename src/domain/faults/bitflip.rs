//! Fault `bitflip`: flips random bits of the body. The journal lists their positions, counted from the body's first bit.

use std::collections::BTreeSet;

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use super::{Params, Plan};
use crate::domain::http_answer::HttpAnswer;

pub fn plan(params: &Params, answer: &HttpAnswer, random: &mut ChaCha8Rng) -> Plan {
    let mut body = answer.body.clone();
    let total = body.len() * 8;
    let count = (params.bits.unwrap_or(1) as usize).min(total);
    let mut positions = BTreeSet::new();
    while positions.len() < count {
        positions.insert((random.random::<u64>() % total as u64) as usize);
    }
    for bit in &positions {
        body[bit / 8] ^= 0x80 >> (bit % 8);
    }
    let positions: Vec<_> = positions.into_iter().collect();
    Plan::answer(HttpAnswer { body, ..answer.clone() }).note("bits", positions)
}
