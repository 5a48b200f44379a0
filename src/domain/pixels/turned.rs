//! Turns a photo as its EXIF data says, for programs that do not look at these.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageFormat, ImageReader};

use super::{PhotoFormat, orientation};

/// JPEG quality of a turned photo, 1 to 100: as good as a camera's.
const QUALITY: u8 = 95;

/// Returns whether the EXIF data turn the photo.
#[must_use]
pub fn is_turned(file: &[u8], format: PhotoFormat) -> bool {
    orientation(file, format) != Orientation::NoTransforms
}

/// Returns the photo with the right side up, as a JPEG without EXIF data. All of its pixels are in memory meanwhile. `None` when it cannot
/// be decoded.
#[must_use]
pub fn turned(file: &[u8], format: PhotoFormat) -> Option<Vec<u8>> {
    let kind = match format {
        PhotoFormat::Jpeg => ImageFormat::Jpeg,
        PhotoFormat::Png => ImageFormat::Png,
    };
    let mut picture = ImageReader::with_format(Cursor::new(file), kind).decode().ok()?;
    picture.apply_orientation(orientation(file, format));
    let mut bytes = Vec::new();
    let picture = DynamicImage::from(picture.into_rgb8());
    JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(&picture).ok()?;
    Some(bytes)
}
