//! The files of the portraits, in order: most are JPEG, as phones send them, two are PNG.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, ImageResult, RgbImage};

pub const FILES: [&str; 12] = [
    "siti.jpg",
    "bambang.jpg",
    "agus.jpg",
    "maria.jpg",
    "ratna.jpg",
    "rizky.jpg",
    "putu.jpg",
    "andi.png",
    "mei.jpg",
    "yosef.jpg",
    "karim.png",
    "fatimah.jpg",
];

/// Encodes a portrait in the format of the file name.
pub fn encode(portrait: &RgbImage, name: &str) -> ImageResult<Vec<u8>> {
    let mut out = Cursor::new(Vec::new());
    if name.ends_with(".png") {
        portrait.write_to(&mut out, ImageFormat::Png)?;
    } else {
        portrait.write_with_encoder(JpegEncoder::new_with_quality(&mut out, 88))?;
    }
    Ok(out.into_inner())
}
