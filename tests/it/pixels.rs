//! The two readers of JPEGs give the same hash, whatever a photo's size, quality and order of coefficients; and what is wrong with a
//! photo's pixels is said.

use dukcapil_fr_sim::internals::domain::evidence::PhotoFormat;
use dukcapil_fr_sim::internals::domain::matcher::decode_small;
use dukcapil_fr_sim::internals::domain::matcher::hash::{GreyImage, ProbeHash, Template};
use dukcapil_fr_sim::internals::protocol::encoding::encode;
use image::{DynamicImage, Rgb, RgbImage};
use proptest::prelude::*;

use crate::matching::changes;
use crate::support::{SITI, Sim};

#[path = "../../benches/endpoint/jpeg/mod.rs"]
mod jpeg;

use jpeg::Mode;

/// A picture with the slopes, edges and grain of a photo, and colour.
fn picture(width: u32, height: u32, seed: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let (across, down) = (x as f32 / width as f32, y as f32 / height as f32);
        let phase = seed as f32 * 0.37;
        let wave = (across * (5.0 + phase)).sin() * 45.0 + (down * 7.0 + across * phase).cos() * 40.0;
        let face = if (across - 0.5).powi(2) * 2.0 + (down - 0.4).powi(2) < 0.06 { 60.0 } else { 0.0 };
        let grain = ((x * 7919 + y * 104_729 + seed) % 23) as f32 - 11.0;
        let level = wave + face + 100.0 + grain;
        Rgb([level, level * 0.8 + 10.0, 150.0 - wave].map(|level| level as u8))
    })
}

fn small(file: &[u8], format: PhotoFormat) -> Box<GreyImage> {
    let decoded = decode_small(file, format).unwrap();
    assert_eq!(decoded.damage, None);
    decoded.small
}

/// Mean difference of grey levels, and distance of the hashes in bits.
fn differences(one: &GreyImage, other: &GreyImage) -> (f64, u32) {
    let sum: u32 = one.iter().zip(other).map(|(one, other)| u32::from(one.abs_diff(*other))).sum();
    let distance = ProbeHash::of(one).unwrap().distance(&Template::of(other).unwrap());
    (f64::from(sum) / one.len() as f64, distance)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    /// A JPEG that is read from its blocks, and the same pixels in a PNG, of which each one is read: grey levels differ by less than two
    /// on average (near 0.2 from 480 pixels on), and hashes by at most 4 bits of 224, which is a score of 18.1. A smaller JPEG is decoded
    /// whole, and differs by less.
    #[test]
    fn a_jpeg_and_its_pixels_have_the_same_hash(
        columns in 6..24_u32,
        rows in 6..24_u32,
        (less, lower) in (0..16_u32, 0..16_u32),
        quality in 30..95_u8,
        progressive: bool,
        seed in 0..60_u32,
    ) {
        let (width, height, mode) = match progressive {
            true => (columns * 16, rows * 16, Mode::Progressive),
            false => (columns * 16 - less, rows * 16 - lower, Mode::Baseline),
        };
        let file = jpeg::encode(&picture(width, height, seed), quality, mode);
        let pixels = changes::png(&image::load_from_memory(&file).unwrap());
        let (mean, distance) = differences(&small(&file, PhotoFormat::Jpeg), &small(&pixels, PhotoFormat::Png));
        prop_assert!(mean < 2.0 && distance <= 4, "{}x{} {} {:?}: {} {}", width, height, quality, mode, mean, distance);
    }
}

/// The same pixels: interlaced, with a palette, in an animation.
#[test]
fn interlaced_pngs_and_those_with_a_palette_have_the_hash_of_their_pixels() {
    for file in [
        &include_bytes!("pictures/siti-interlaced.png")[..],
        include_bytes!("pictures/siti-palette.png"),
        include_bytes!("pictures/siti-animated.png"),
    ] {
        let plain = changes::png(&DynamicImage::from(image::load_from_memory(file).unwrap().into_rgb8()));
        assert_eq!(small(file, PhotoFormat::Png), small(&plain, PhotoFormat::Png));
    }
}

/// Pixels that cannot be decoded or compared are a warning, and never a silent "nobody": not the first time, and not from the cache.
#[test]
fn pixels_that_cannot_be_compared_are_a_warning_and_part_of_the_reason() {
    let sim = Sim::start();
    let picture = image::load_from_memory(SITI).unwrap();
    let mut wrong_checksum = changes::png(&picture);
    *wrong_checksum.iter_mut().nth_back(12).unwrap() ^= 1;
    let mut arithmetic = SITI.to_vec();
    let frame = SITI.windows(2).position(|two| two == [0xFF, 0xC0]).unwrap();
    arithmetic[frame + 1] = 0xC9;
    let black = changes::png(&DynamicImage::from(RgbImage::new(100, 100)));
    let cut = [&SITI[..SITI.len() * 9 / 10], b"\xFF\xD9"].concat();
    for (file, expected, only_the_file, is_found) in [
        (&wrong_checksum, "a checksum (CRC) is wrong", true, false),
        (&arithmetic, "it is a JPEG with arithmetic coding", true, false),
        (&black, "the image has no contrast", true, false),
        (
            &cut,
            "the image's pixels are damaged: its image data is damaged or ends too early: 92 %",
            false,
            true,
        ),
    ] {
        let body = sim.request().set("image", encode(file)).text();
        for _ in 0..2 {
            let answer = sim.call("load", &body);
            assert_eq!(
                (answer.code(), !answer.candidates().is_empty()),
                ("6018".to_owned(), is_found),
                "{expected}"
            );
            let entry = sim.last();
            let warnings = entry["warnings"].as_array().unwrap().iter();
            let pixels: Vec<_> = warnings.filter(|warning| warning["name"] == "pixels").collect();
            let message = pixels[0]["message"].as_str().unwrap();
            assert!(pixels.len() == 1 && message.contains(expected), "{message}");
            assert_eq!(message.contains("only the identical file matches"), only_the_file, "{message}");
            let reason = entry["answer"]["reason"].as_str().unwrap();
            assert_eq!(reason.contains(expected), !is_found, "{reason}");
        }
    }
    sim.call("load", sim.request().text());
    let warnings = sim.last()["warnings"].to_string();
    assert!(!warnings.contains("pixels"), "{warnings}");
}

/// A client that writes its file twice into one buffer is told so, though other programs show such a file.
#[test]
fn a_photo_that_is_in_its_file_twice_is_a_warning() {
    let sim = Sim::start();
    for (file, expected) in [(SITI.repeat(2), 1), (SITI.to_vec(), 0)] {
        let answer = sim.call("load", sim.request().set("image", encode(&file)).text());
        assert_eq!((answer.code(), answer.candidates().len()), ("6018".to_owned(), 1));
        let entry = sim.last();
        let warnings = entry["warnings"].as_array().unwrap().iter();
        let twice: Vec<_> = warnings.filter(|warning| warning["name"] == "photo_twice").collect();
        assert_eq!(twice.len(), expected, "{entry}");
        assert!(twice.iter().all(|one| one["message"].as_str().unwrap().contains("only the first is read")));
    }
}

/// Enrolling obeys the limits of requests, and takes no picture that is damaged.
#[test]
fn a_picture_that_cannot_be_compared_is_not_enrolled() {
    let (sim, _directory) = Sim::over(&[("simulator.toml", "limits = { image_side = 479 }")]);
    let cut = [&SITI[..SITI.len() / 2], b"\xFF\xD9"].concat();
    let small = changes::jpeg(&image::load_from_memory(&cut).unwrap().thumbnail(300, 300), 80);
    let cut = [&small[..small.len() / 2], b"\xFF\xD9"].concat();
    let enrol = |file: &[u8]| {
        let body = serde_json::json!({ "name": "Contoh", "pictures": [encode(file)] });
        sim.admin("POST", "/gallery", &body.to_string())
    };
    for (file, expected) in [
        (SITI, "360 x 480 pixels, limits.image_side is 479"),
        (&cut[..], "cannot be decoded: its image data is damaged or ends too early"),
    ] {
        let (status, answer) = enrol(file);
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(status == 400 && message.contains(expected), "{status} {message}");
        assert_eq!(answer["error"]["path"], "/pictures/0");
    }
    assert_eq!(enrol(&small).0, 200);
}
