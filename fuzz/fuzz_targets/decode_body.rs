//! Fuzzes request bodies: decoding arbitrary bytes never panics, and error messages are short enough for a log line.

#![no_main]

use dukcapil_fr_sim::internals::domain::evidence::Photo;
use dukcapil_fr_sim::internals::domain::limits::Limits;
use dukcapil_fr_sim::internals::protocol::body::FIELDS;
use dukcapil_fr_sim::internals::protocol::encoding::Base64Mode;
use dukcapil_fr_sim::internals::protocol::{Body, Field};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let body = Body::decode(bytes);
    for rule in &FIELDS {
        if let Some(fault) = body.field_fault(rule.field) {
            assert!(fault.len() < 400, "{fault}");
        }
    }
    let _ = body.threshold();
    if let Some(text) = body.text(Field::Image) {
        let _ = Photo::read(text, Base64Mode::Mime, &Limits::default());
    }
});
