//! Changes that happen to a photo between two systems: re-encoded, scaled, cropped, brightened, rotated. Each returns a file.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageEncoder, ImageFormat};

/// A change: its kind, its name in tables, and its function.
pub struct Change {
    pub kind: &'static str,
    pub name: String,
    make: Make,
}

/// Returns the file of the changed picture.
type Make = Box<dyn Fn(&DynamicImage) -> Vec<u8>>;

impl Change {
    fn new(
        kind: &'static str,
        name: impl Into<String>,
        make: impl Fn(&DynamicImage) -> Vec<u8> + 'static,
    ) -> Change {
        Change { kind, name: name.into(), make: Box::new(make) }
    }

    /// Returns the file of the changed picture.
    pub fn apply(&self, picture: &DynamicImage) -> Vec<u8> {
        (self.make)(picture)
    }
}

/// Every change that a photo has to survive.
pub fn all() -> Vec<Change> {
    let mut all = Vec::new();
    for quality in [40, 60, 80, 95] {
        all.push(Change::new("JPEG quality", quality.to_string(), move |picture| jpeg(picture, quality)));
    }
    all.push(Change::new("PNG", "PNG", png));
    for factor in [0.25, 0.5, 0.7, 2.0, 4.0] {
        // A large PNG is encoded faster than a large JPEG.
        let encode = if factor > 1.0 { png } else { |picture: &DynamicImage| jpeg(picture, 85) };
        all.push(Change::new("scaled", format!("{factor}x"), move |picture| {
            encode(&scaled(picture, factor))
        }));
    }
    for crop in CROPS {
        all.push(Change::new("cropped", shown(crop), move |picture| jpeg(&cropped(picture, crop), 85)));
    }
    for factor in [0.85, 1.15] {
        all.push(Change::new("brightness", format!("{factor}x"), move |picture| {
            jpeg(&shaded(picture, |shade| shade * factor), 85)
        }));
    }
    for step in [-38.0, 38.0] {
        all.push(Change::new("brightness", format!("{step:+} of 255"), move |picture| {
            jpeg(&shaded(picture, |shade| shade + step), 85)
        }));
    }
    for orientation in 2..=8 {
        all.push(Change::new("EXIF orientation", orientation.to_string(), move |picture| {
            turned(picture, orientation)
        }));
    }
    all.push(Change::new("all at once", "0.5x, cropped 2-3 %, 1.15x, quality 60", |picture| {
        jpeg(&shaded(&scaled(&cropped(picture, [0.03, 0.02, 0.03, 0.02]), 0.5), |shade| shade * 1.15), 60)
    }));
    all
}

/// Fractions cropped from the left, top, right and bottom: single sides, corners, all sides, and values between those that the hash
/// tries.
const CROPS: [[f64; 4]; 12] = [
    [0.05, 0.0, 0.0, 0.0],
    [0.0, 0.05, 0.0, 0.0],
    [0.0, 0.0, 0.05, 0.0],
    [0.0, 0.0, 0.0, 0.05],
    [0.05, 0.05, 0.0, 0.0],
    [0.0, 0.0, 0.05, 0.05],
    [0.0, 0.05, 0.05, 0.0],
    [0.05, 0.0, 0.05, 0.0],
    [0.025, 0.025, 0.025, 0.025],
    [0.05, 0.05, 0.05, 0.05],
    [0.03, 0.01, 0.04, 0.02],
    [0.012, 0.037, 0.012, 0.037],
];

fn shown(crop: [f64; 4]) -> String {
    let [left, top, right, bottom] = crop.map(|part| part * 100.0);
    format!("{left} {top} {right} {bottom} %")
}

pub fn jpeg(picture: &DynamicImage, quality: u8) -> Vec<u8> {
    let mut out = Vec::new();
    JpegEncoder::new_with_quality(&mut out, quality)
        .encode_image(&picture.to_rgb8())
        .expect("a picture can be encoded");
    out
}

pub fn png(picture: &DynamicImage) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    picture.write_to(&mut out, ImageFormat::Png).expect("a picture can be encoded");
    out.into_inner()
}

pub fn scaled(picture: &DynamicImage, factor: f64) -> DynamicImage {
    let side = |pixels: u32| (f64::from(pixels) * factor).round().max(1.0) as u32;
    picture.resize_exact(side(picture.width()), side(picture.height()), FilterType::Triangle)
}

fn cropped(picture: &DynamicImage, [left, top, right, bottom]: [f64; 4]) -> DynamicImage {
    let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
    let pixels = |of: f64| of.round() as u32;
    let (x, y) = (pixels(width * left), pixels(height * top));
    picture.crop_imm(x, y, pixels(width * (1.0 - right)) - x, pixels(height * (1.0 - bottom)) - y)
}

fn shaded(picture: &DynamicImage, shade: impl Fn(f64) -> f64) -> DynamicImage {
    let mut pixels = picture.to_rgb8();
    pixels.iter_mut().for_each(|value| *value = shade(f64::from(*value)).clamp(0.0, 255.0) as u8);
    pixels.into()
}

/// Rotates the pixels and sets the EXIF orientation that reverses it, as cameras do.
pub fn turned(picture: &DynamicImage, orientation: u8) -> Vec<u8> {
    let stored = match orientation {
        2 => picture.fliph(),
        3 => picture.rotate180(),
        4 => picture.flipv(),
        5 => picture.rotate90().fliph(),
        6 => picture.rotate270(),
        7 => picture.rotate270().fliph(),
        8 => picture.rotate90(),
        _ => picture.clone(),
    };
    let mut out = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut out, 85);
    // TIFF, little endian, with one entry: 0x0112, a short.
    let exif =
        [b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0", &[orientation, 0, 0, 0][..], &[0; 4]].concat();
    encoder.set_exif_metadata(exif).expect("a JPEG takes EXIF");
    encoder.encode_image(&stored.to_rgb8()).expect("a picture can be encoded");
    out
}
