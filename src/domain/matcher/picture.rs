//! A picture, decoded once: a small greyscale image for the hash, and a thumbnail for display. Large pictures are decoded one at a
//! time, enormous ones not at all, and built-in ones lazily.

use std::fmt;
use std::io::Cursor;
use std::sync::OnceLock;

use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader};

use super::hash::{GreyImage, SIDE, Template};
use crate::domain::evidence::{Photo, PhotoFormat};
use crate::domain::limits::Limits;

/// Max bytes of decoded pixels; a probe with more matches by identical file only.
const MAX_PIXEL_BYTES: u64 = 256 << 20;

/// Min bytes of pixels at which pictures are decoded one at a time, so that a few requests cannot exhaust the memory.
const LARGE_PIXEL_BYTES: u64 = 32 << 20;

/// Max width and height of a thumbnail, in pixels.
const THUMBNAIL_SIDE: u32 = 96;

/// JPEG quality, 1 to 100: enough to recognise the person.
const THUMBNAIL_QUALITY: u8 = 70;

/// A picture of an identity. The file itself is not kept.
#[derive(Clone)]
pub struct Picture {
    pub sha256: [u8; 32],
    pub format: PhotoFormat,
    /// Width and height as stored, before EXIF orientation is applied.
    pub dimensions: (u32, u32),
    /// File length in bytes.
    pub bytes: usize,
    decoded: OnceLock<DecodedPicture>,
    /// The file of a built-in picture; empty for all others.
    shipped: &'static [u8],
}

/// Data computed from a picture's pixels.
#[derive(Clone)]
struct DecodedPicture {
    small: Box<GreyImage>,
    template: Option<Template>,
    /// A JPEG.
    thumbnail: Vec<u8>,
}

/// Two pictures are equal when their files are.
impl PartialEq for Picture {
    fn eq(&self, other: &Picture) -> bool {
        self.sha256 == other.sha256
    }
}

// A derived Debug would print the picture.
impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({} bytes, {:?})", self.bytes, self.dimensions)
    }
}

impl Picture {
    /// Decodes a complete jpg or png.
    ///
    /// # Errors
    /// When it is neither, is truncated, cannot be decoded or exceeds `limits`.
    pub fn new(bytes: Vec<u8>, limits: &Limits) -> Result<Picture, String> {
        let photo = Photo::of_file(bytes, limits);
        let picture = Picture::undecoded(&photo, &[])?;
        let _ = picture.decoded.set(DecodedPicture::of_file(&photo.file())?);
        Ok(picture)
    }

    /// Accepts a complete jpg or png that is built into the program. It is decoded lazily, on first use, for a faster start.
    ///
    /// # Errors
    /// When it is neither, or truncated.
    pub fn shipped(file: &'static [u8]) -> Result<Picture, String> {
        Picture::undecoded(&Photo::of_file(file.to_vec(), &Limits::NONE), file)
    }

    fn undecoded(photo: &Photo, shipped: &'static [u8]) -> Result<Picture, String> {
        let (None, Some(sha256), Some(format), Some(dimensions)) =
            (&photo.fault, photo.sha256, photo.format, photo.dimensions)
        else {
            return Err(photo.fault.as_ref().map_or("is not a photo".to_owned(), |fault| fault.to_string()));
        };
        Ok(Picture { sha256, format, dimensions, bytes: photo.bytes, decoded: OnceLock::new(), shipped })
    }

    fn decoded(&self) -> &DecodedPicture {
        // A test decodes all of them.
        self.decoded
            .get_or_init(|| DecodedPicture::of_file(self.shipped).expect("a built-in picture decodes"))
    }

    /// Returns the small greyscale image.
    #[must_use]
    pub fn small(&self) -> &GreyImage {
        &self.decoded().small
    }

    /// Returns the template for comparison; `None` for a picture without contrast, which matches by identical file only.
    #[must_use]
    pub fn template(&self) -> Option<&Template> {
        self.decoded().template.as_ref()
    }

    /// Returns a JPEG of at most 96 x 96 pixels.
    #[must_use]
    pub fn thumbnail(&self) -> &[u8] {
        &self.decoded().thumbnail
    }
}

impl DecodedPicture {
    fn of_file(file: &[u8]) -> Result<DecodedPicture, String> {
        let (image, orientation) = decode(file, || ())?;
        let small = downscale(&image, orientation);
        let (template, thumbnail) = (Template::of(&small), thumbnail(&image, orientation)?);
        Ok(DecodedPicture { small: Box::new(small), template, thumbnail })
    }
}

/// Decodes a photo to a small upright greyscale image; `None` when its pixels cannot be decoded within the limits. The value that
/// `admit_large` returns is held while a large photo is decoded, so that a few requests cannot exhaust the memory.
pub fn decode_small<G>(bytes: &[u8], admit_large: impl FnOnce() -> G) -> Option<GreyImage> {
    let (image, orientation) = decode(bytes, admit_large).ok()?;
    Some(downscale(&image, orientation))
}

fn decode<G>(bytes: &[u8], admit_large: impl FnOnce() -> G) -> Result<(DynamicImage, Orientation), String> {
    let message = |error: image::ImageError| format!("cannot be decoded: {error}");
    let reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    let mut decoder = reader.into_decoder().map_err(message)?;
    let pixel_bytes = decoder.total_bytes();
    if pixel_bytes > MAX_PIXEL_BYTES {
        return Err(format!(
            "cannot be decoded: its pixels take {pixel_bytes} bytes, the maximum is {MAX_PIXEL_BYTES}"
        ));
    }
    let _guard = (pixel_bytes >= LARGE_PIXEL_BYTES).then(admit_large);
    // Ignores invalid EXIF.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((DynamicImage::from_decoder(decoder).map_err(message)?, orientation))
}

/// Scales first and applies the orientation last, to fewer pixels.
fn downscale(image: &DynamicImage, orientation: Orientation) -> GreyImage {
    let side = SIDE as u32;
    let mut small = DynamicImage::from(image.thumbnail_exact(side, side).to_luma8());
    small.apply_orientation(orientation);
    let mut shades = [0; SIDE * SIDE];
    shades.copy_from_slice(&small.into_luma8());
    shades
}

fn thumbnail(image: &DynamicImage, orientation: Orientation) -> Result<Vec<u8>, String> {
    let mut thumbnail = DynamicImage::from(image.thumbnail(THUMBNAIL_SIDE, THUMBNAIL_SIDE).to_rgb8());
    thumbnail.apply_orientation(orientation);
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, THUMBNAIL_QUALITY)
        .encode_image(&thumbnail)
        .map_err(|error| format!("cannot be scaled to a thumbnail: {error}"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source;

    #[test]
    fn every_built_in_picture_decodes_lazily_and_equals_an_eager_one() {
        let files = source::built_in();
        let pictures = files.iter().filter(|(name, _)| name.ends_with(".jpg") || name.ends_with(".png"));
        let mut count = 0;
        for (name, file) in pictures {
            let eager = Picture::new(file.bytes.to_vec(), &Limits::NONE).unwrap();
            let shipped = Picture::shipped(file.bytes.to_vec().leak()).unwrap();
            assert!(shipped.decoded.get().is_none(), "{name} is decoded too early");
            assert!(shipped.small() == eager.small() && shipped.thumbnail() == eager.thumbnail(), "{name}");
            assert!(shipped.template().is_some() && shipped.template() == eager.template(), "{name}");
            count += 1;
        }
        assert!(count > 10, "{count} pictures");
    }
}
