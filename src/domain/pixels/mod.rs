//! Reads a photo's pixels as a small picture, without ever having all of them in memory.
//!
//! A PNG is shrunk row by row. Of a JPEG only the means of its blocks of 8 x 8 pixels are read; a small JPEG, whose blocks are too few,
//! is decoded whole. Time is bounded by the file's bytes and, in a PNG, by its pixels; memory by a few rows. Colour profiles, text and
//! previews are never unpacked.

mod huffman;
pub mod jpeg;
mod jpeg_dc;
mod plane;
pub mod png;
pub mod standard_codes;
mod turned;

use std::io::Cursor;

use image::metadata::Orientation;
use image::{ImageFormat, ImageReader};

use jpeg_dc::{Colours, Means};
use plane::{Channel, Plane, Side};
pub use turned::{is_turned, turned};

/// Max pixels of a picture whose pixels are read, whatever the limits of requests are.
pub const MAX_PIXELS: u64 = 200_000_000;

/// Min width and height of a JPEG whose brightness is read from its blocks alone, in pixels. Smaller ones are decoded whole.
const MIN_SIDE_FOR_BLOCKS: usize = 320;

/// Max pixels of a JPEG that is decoded whole: its pixels take a few MiB.
const MAX_WHOLE_PIXELS: usize = 512 << 10;

/// The two photo formats that the document allows.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum PhotoFormat {
    Jpeg,
    Png,
}

impl std::fmt::Display for PhotoFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            PhotoFormat::Jpeg => "JPEG",
            PhotoFormat::Png => "PNG",
        })
    }
}

/// Returns width and height in pixels, as the header has them; `None` when it cannot be read.
#[must_use]
pub fn dimensions(file: &[u8], format: PhotoFormat) -> Option<(u32, u32)> {
    match format {
        PhotoFormat::Jpeg => jpeg::frame(file).map(|frame| (frame.width as u32, frame.height as u32)),
        PhotoFormat::Png => png::dimensions(file),
    }
}

/// Returns the offset behind the picture's end: EOI of a JPEG, IEND of a PNG. `None` when it is not there.
#[must_use]
pub fn end(file: &[u8], format: PhotoFormat) -> Option<usize> {
    match format {
        PhotoFormat::Jpeg => jpeg::end(file),
        PhotoFormat::Png => png::end(file),
    }
}

/// Returns the orientation of the EXIF data.
#[must_use]
pub fn orientation(file: &[u8], format: PhotoFormat) -> Orientation {
    match format {
        PhotoFormat::Jpeg => jpeg::orientation(file),
        PhotoFormat::Png => png::orientation(file),
    }
}

/// A picture shrunk to `width` x `height`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// Grey levels, or red, green and blue, row by row.
    pub bytes: Vec<u8>,
    /// What could not be read; the rest of the picture is grey there.
    pub damage: Option<String>,
}

/// Shrinks a photo to `cells`, its width and height: to grey levels, or to red, green and blue. EXIF orientation is not applied.
///
/// # Errors
/// When its pixels cannot be decoded, with the reason; its subject is "it".
pub fn shrink(
    file: &[u8],
    format: PhotoFormat,
    cells: (usize, usize),
    colour: bool,
) -> Result<Shrunk, String> {
    let (width, height) = dimensions(file, format).ok_or("its header cannot be read")?;
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MAX_PIXELS {
        return Err(format!("it has {pixels} pixels, the maximum is {MAX_PIXELS}"));
    }
    let size = (width as usize, height as usize);
    match format {
        PhotoFormat::Png => {
            let planes = png::read(file, size, cells, colour)?;
            Ok(Shrunk { bytes: interleaved(&planes), damage: None })
        }
        PhotoFormat::Jpeg => shrink_jpeg(file, size, cells, colour),
    }
}

fn shrink_jpeg(
    file: &[u8],
    (width, height): (usize, usize),
    cells: (usize, usize),
    colour: bool,
) -> Result<Shrunk, String> {
    let means = jpeg_dc::read(file, cells, colour)?;
    let (read, all) = means.read;
    let damage = (read < all).then(|| {
        let percent = read * 100 / all;
        format!(
            "its image data is damaged or ends too early: {percent} % of it can be read, the rest is grey"
        )
    });
    let is_small = width.min(height) < MIN_SIDE_FOR_BLOCKS || colour;
    if damage.is_none()
        && is_small
        && width * height <= MAX_WHOLE_PIXELS
        && let Some(bytes) = shrink_whole(file, cells, colour)
    {
        return Ok(Shrunk { bytes, damage });
    }
    Ok(Shrunk { bytes: colours(&means, colour), damage })
}

/// Decodes all pixels of a JPEG, and shrinks them.
fn shrink_whole(file: &[u8], cells: (usize, usize), colour: bool) -> Option<Vec<u8>> {
    let picture = ImageReader::with_format(Cursor::new(file), ImageFormat::Jpeg).decode().ok()?.into_rgb8();
    let side = |pixels: u32| Side::of_pixels(pixels as usize);
    let plane = || Plane::new(side(picture.width()), side(picture.height()), cells);
    let mut planes: Vec<_> = (0..if colour { 3 } else { 1 }).map(|_| plane()).collect();
    let mut samples = vec![0; picture.width() as usize];
    for (y, row) in picture.as_raw().chunks_exact(samples.len() * 3).enumerate() {
        for (channel, plane) in planes.iter_mut().enumerate() {
            let channel = if colour { Channel::Byte(channel) } else { Channel::Luma };
            channel.take(row, 3, &mut samples, (0, 1));
            plane.add(y, &samples);
        }
    }
    Some(interleaved(&planes))
}

/// The cells of all planes, whose values are 0 to 255.
fn interleaved(planes: &[Plane]) -> Vec<u8> {
    let means: Vec<_> = planes.iter().map(|plane| plane.means(1)).collect();
    let cells = means.first().map_or(0, Vec::len);
    (0..cells).flat_map(|cell| means.iter().map(move |plane| shown(plane[cell]))).collect()
}

/// The cells of a JPEG's planes, as grey levels or colours.
fn colours(means: &Means, colour: bool) -> Vec<u8> {
    // A mean is a sum over 8 lines of 8, divided by 8.
    let planes: Vec<_> = means.planes.iter().map(|plane| plane.means(8)).collect();
    let cells = planes.first().map_or(0, Vec::len);
    let mut bytes = Vec::with_capacity(if colour { cells * 3 } else { cells });
    for cell in 0..cells {
        let channel = |number: usize| planes.get(number).map_or(0, |plane| plane[cell]) + 128;
        let level = |number| i32::from(shown(channel(number)));
        let pixel = match means.colours {
            _ if planes.len() == 1 => [shown(channel(0)); 3],
            Colours::Grey => [shown(channel(0)); 3],
            Colours::YCbCr => rgb(level(0), level(1), level(2)),
            Colours::Rgb => [0, 1, 2].map(|number| shown(channel(number))),
            Colours::Cmyk => [0, 1, 2].map(|number| shown(level(number) * level(3) / 255)),
            Colours::Ycck => {
                rgb(level(0), level(1), level(2)).map(|ink| shown((255 - i32::from(ink)) * level(3) / 255))
            }
        };
        if colour {
            bytes.extend(pixel);
        } else {
            bytes.push(plane::luma(pixel[0], pixel[1], pixel[2]));
        }
    }
    bytes
}

/// Converts YCbCr as JFIF defines it.
fn rgb(y: i32, blue: i32, red: i32) -> [u8; 3] {
    let (blue, red) = (blue - 128, red - 128);
    let scaled = |product: i32| (product + (1 << 15)) >> 16;
    [
        shown(y + scaled(91881 * red)),
        shown(y - scaled(22554 * blue + 46802 * red)),
        shown(y + scaled(116_130 * blue)),
    ]
}

fn shown(level: i32) -> u8 {
    level.clamp(0, 255) as u8
}

#[cfg(test)]
mod tests;
