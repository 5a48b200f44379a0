//! Draws pictures with the sizes and the entropy of photographs, of nobody.

use std::sync::LazyLock;

use image::imageops::FilterType;
use image::{Rgb, RgbImage};

/// The picture in the gallery.
pub const PORTRAIT: &[u8] = include_bytes!("../../fixtures/gallery/siti.jpg");

/// Draws the portrait at any size, as a camera would see it: with light, texture and grain.
pub fn draw(width: u32, height: u32, seed: u32) -> RgbImage {
    static PICTURE: LazyLock<RgbImage> =
        LazyLock::new(|| image::load_from_memory(PORTRAIT).expect("a picture").into_rgb8());
    let mut picture = image::imageops::resize(&*PICTURE, width, height, FilterType::CatmullRom);
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        // The texture has more contrast in some places than in others, as sharp and blurred parts of a photo.
        let sharpness = 0.5 + noise(x, y, 8, seed ^ 0x5A) / 2.0;
        let texture: f32 = (1..7).map(|octave| noise(x, y, octave, seed) * TEXTURE).sum();
        let grain = noise(x, y, 0, seed) * GRAIN;
        let Rgb(channels) = pixel;
        for (channel, number) in channels.iter_mut().zip(1..) {
            let colour = noise(x, y, 1, seed ^ number << 8) * COLOUR;
            *channel = (f32::from(*channel) + texture * sharpness + grain + colour) as u8;
        }
    }
    picture
}

/// Amplitude of each octave of the texture, of the sensor's grain, and of its coloured part, in grey levels.
const TEXTURE: f32 = 7.0;
const GRAIN: f32 = 5.0;
const COLOUR: f32 = 2.0;

/// Smooth noise from -1 to 1, whose points are 2^octave pixels apart.
fn noise(x: u32, y: u32, octave: u32, seed: u32) -> f32 {
    let (left, top, size) = (x >> octave, y >> octave, (1 << octave) as f32);
    let [across, down] = [(x, left), (y, top)].map(|(at, cell)| {
        let at = (at - (cell << octave)) as f32 / size;
        at * at * (3.0 - 2.0 * at)
    });
    let point = |x: u32, y: u32| {
        let mut hash = x.wrapping_mul(0x9E37_79B1) ^ y.wrapping_mul(0x85EB_CA77) ^ (octave << 24 ^ seed);
        hash = (hash ^ hash >> 15).wrapping_mul(0xC2B2_AE3D);
        hash = (hash ^ hash >> 13).wrapping_mul(0x27D4_EB2F);
        (hash >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let line = |y: u32| point(left, y) * (1.0 - across) + point(left + 1, y) * across;
    line(top) * (1.0 - down) + line(top + 1) * down
}
