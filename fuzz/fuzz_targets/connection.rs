//! Fuzzes connections of the endpoint: whatever a client sends, cut however, the connection ends, and every answer is HTTP/1.1. The first
//! eight bytes are the lengths of the pieces.

#![no_main]

use std::sync::LazyLock;

#[path = "../connection.rs"]
mod connection;

use connection::{Endpoint, cut};

static ENDPOINT: LazyLock<Endpoint> = LazyLock::new(Endpoint::start);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (lengths, bytes) = bytes.split_at(bytes.len().min(8));
    let _ = ENDPOINT.check(cut(bytes, lengths));
});
