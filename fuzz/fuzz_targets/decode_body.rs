//! Fuzzes request bodies and photos: decoding arbitrary bytes never panics, error messages are short enough for a log line, and pixels are
//! read or refused, whatever the header promises.

#![no_main]

use dukcapil_fr_sim::internals::domain::evidence::Photo;
use dukcapil_fr_sim::internals::domain::limits::Limits;
use dukcapil_fr_sim::internals::domain::pixels::{self, PhotoFormat};
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
    let photo = Photo::of_file(bytes.to_vec(), &Limits::default());
    let fault = photo.fault.as_ref().map_or_else(String::new, ToString::to_string);
    assert!(fault.len() < 1000, "{fault}");
    // Also what a request would not have decoded, such as a file without an end. PNGs take time by their pixels.
    let format = if bytes.starts_with(b"\x89PNG") { PhotoFormat::Png } else { PhotoFormat::Jpeg };
    let size = pixels::dimensions(bytes, format);
    if size.is_some_and(|(width, height)| u64::from(width) * u64::from(height) <= 1 << 20) {
        for colour in [false, true] {
            if let Ok(shrunk) = pixels::shrink(bytes, format, (48, 48), colour) {
                assert_eq!(shrunk.bytes.len(), if colour { 3 * 48 * 48 } else { 48 * 48 });
            }
        }
    }
    let _ = pixels::orientation(bytes, format);
});
