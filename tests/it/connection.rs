//! Connections in memory: what the fuzz target `connection` checks, with some hundred seeded inputs and without a fuzzer.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};

use self::harness::{Endpoint, cut};
use crate::request_streams::stream;

#[path = "../../fuzz/connection.rs"]
mod harness;

#[test]
fn a_connection_ends_with_whole_answers_whatever_comes() {
    let endpoint = Endpoint::start();
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut answered = 0;
    for number in 0..600 {
        let mut lengths = [0; 8];
        random.fill_bytes(&mut lengths);
        let stream = stream(number);
        let answers = endpoint.check(cut(&stream.bytes, &lengths[..random.random_range(0..=8)]));
        assert!(stream.valid.is_none_or(|valid| answers.len() == valid), "stream {number}: {answers:?}");
        answered += answers.len();
        // Not even nearly a request.
        random.fill_bytes(&mut lengths);
        endpoint.check(cut(&lengths, &[0]));
    }
    assert!(answered > 600, "{answered}");
}
