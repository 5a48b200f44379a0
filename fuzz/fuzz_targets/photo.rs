//! Fuzzes the photo reader: whatever a file has, it is read or refused, in words that fit a log line, and its pixels as well.

#![no_main]

use dukcapil_fr_sim::internals::domain::evidence::Photo;
use dukcapil_fr_sim::internals::domain::limits::Limits;
use dukcapil_fr_sim::internals::domain::pixels::{self, PhotoFormat};

#[path = "../inputs.rs"]
mod inputs;

/// Pictures to be edited.
const GOOD: [&[u8]; 2] = [
    include_bytes!("../../fixtures/gallery/siti.jpg"),
    include_bytes!("../../tests/it/pictures/siti-palette.png"),
];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let edited = bytes
        .split_first()
        .map(|(which, edits)| inputs::edited(GOOD[usize::from(*which) % GOOD.len()], edits));
    for file in [Some(bytes.to_vec()), edited].into_iter().flatten() {
        check(&file);
    }
});

fn check(bytes: &[u8]) {
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
}
