//! A picture, decoded once: small and grey for the hash, a thumbnail to look at. What is enormous is decoded with bounds or not at all,
//! and what was shipped only when it is first needed.

use std::fmt;
use std::io::Cursor;
use std::sync::OnceLock;

use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader};

use super::hash::{GreyImage, SIDE, Template};
use crate::domain::evidence::{Photo, PhotoFormat};
use crate::domain::limits::Limits;

/// Most bytes of decoded pixels; a picture with more is found by its file alone.
const MAX_PIXEL_BYTES: u64 = 256 << 20;

/// From so many bytes of pixels on, one picture is decoded at a time, so that a few requests cannot take all the memory there is.
const LARGE: u64 = 32 << 20;

/// Width and height of a thumbnail, at most.
const THUMBNAIL: u32 = 96;

/// Of 1 to 100: good enough to recognise who it is.
const THUMBNAIL_QUALITY: u8 = 70;

/// A picture of an identity. The file itself is not kept.
#[derive(Clone)]
pub struct Picture {
    pub sha256: [u8; 32],
    pub format: PhotoFormat,
    /// As the file has it, before it is turned the way EXIF says.
    pub dimensions: (u32, u32),
    /// Of the file.
    pub bytes: usize,
    seen: OnceLock<DecodedPicture>,
    /// Empty for all but those that are part of the program.
    shipped: &'static [u8],
}

/// What is kept of a picture's pixels.
#[derive(Clone)]
struct DecodedPicture {
    small: Box<GreyImage>,
    template: Option<Template>,
    /// A JPEG.
    thumbnail: Vec<u8>,
}

/// The file says it all.
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
    /// Takes a whole jpg or png.
    ///
    /// # Errors
    /// When it is neither, not whole, cannot be decoded or is beyond `limits`.
    pub fn new(bytes: Vec<u8>, limits: &Limits) -> Result<Picture, String> {
        let photo = Photo::of_file(bytes, limits);
        let picture = Picture::unseen(&photo, &[])?;
        let _ = picture.seen.set(DecodedPicture::of_file(&photo.file())?);
        Ok(picture)
    }

    /// Takes a whole jpg or png that is part of the program. It is decoded when that is first needed, so that the program is ready
    /// the sooner.
    ///
    /// # Errors
    /// When it is neither, or not whole.
    pub fn shipped(file: &'static [u8]) -> Result<Picture, String> {
        Picture::unseen(&Photo::of_file(file.to_vec(), &Limits::NONE), file)
    }

    fn unseen(photo: &Photo, shipped: &'static [u8]) -> Result<Picture, String> {
        let (None, Some(sha256), Some(format), Some(dimensions)) =
            (&photo.fault, photo.sha256, photo.format, photo.dimensions)
        else {
            return Err(photo.fault.as_ref().map_or("is no photo".to_owned(), |fault| fault.to_string()));
        };
        Ok(Picture { sha256, format, dimensions, bytes: photo.bytes, seen: OnceLock::new(), shipped })
    }

    fn seen(&self) -> &DecodedPicture {
        // A test decodes all that are shipped; were one damaged, it would be found by its file alone.
        self.seen.get_or_init(|| {
            DecodedPicture::of_file(self.shipped).unwrap_or_else(|_| DecodedPicture::nothing())
        })
    }

    /// What it looks like, small.
    #[must_use]
    pub fn small(&self) -> &GreyImage {
        &self.seen().small
    }

    /// What it is compared by; `None` for a picture without contrast, which is found by its file alone.
    #[must_use]
    pub fn template(&self) -> Option<&Template> {
        self.seen().template.as_ref()
    }

    /// A JPEG of at most 96 pixels a side.
    #[must_use]
    pub fn thumbnail(&self) -> &[u8] {
        &self.seen().thumbnail
    }
}

impl DecodedPicture {
    fn of_file(file: &[u8]) -> Result<DecodedPicture, String> {
        let (image, orientation) = decode(file, || ())?;
        let small = small(&image, orientation);
        let (template, thumbnail) = (Template::of(&small), thumbnail(&image, orientation)?);
        Ok(DecodedPicture { small: Box::new(small), template, thumbnail })
    }

    fn nothing() -> DecodedPicture {
        DecodedPicture { small: Box::new([0; SIDE * SIDE]), template: None, thumbnail: Vec::new() }
    }
}

/// Decodes a photo to a small, grey, upright image; `None` when its pixels cannot be decoded within the bounds. What `admit_large`
/// returns is held while a large one is decoded, so that a few requests cannot take all the memory there is.
pub fn decode_small<G>(bytes: &[u8], admit_large: impl FnOnce() -> G) -> Option<GreyImage> {
    let (image, orientation) = decode(bytes, admit_large).ok()?;
    Some(small(&image, orientation))
}

fn decode<G>(bytes: &[u8], admit_large: impl FnOnce() -> G) -> Result<(DynamicImage, Orientation), String> {
    let told = |error: image::ImageError| format!("cannot be decoded: {error}");
    let reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    let mut decoder = reader.into_decoder().map_err(told)?;
    let pixel_bytes = decoder.total_bytes();
    if pixel_bytes > MAX_PIXEL_BYTES {
        return Err(format!(
            "cannot be decoded: its pixels take {pixel_bytes} bytes, the most is {MAX_PIXEL_BYTES}"
        ));
    }
    let _admitted = (pixel_bytes >= LARGE).then(admit_large);
    // What EXIF says wrongly about the orientation is as good as nothing.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((DynamicImage::from_decoder(decoder).map_err(told)?, orientation))
}

/// Turning comes last: there is less to turn.
fn small(image: &DynamicImage, orientation: Orientation) -> GreyImage {
    let side = SIDE as u32;
    let mut small = DynamicImage::from(image.thumbnail_exact(side, side).to_luma8());
    small.apply_orientation(orientation);
    let mut shades = [0; SIDE * SIDE];
    shades.copy_from_slice(&small.into_luma8());
    shades
}

fn thumbnail(image: &DynamicImage, orientation: Orientation) -> Result<Vec<u8>, String> {
    let mut thumbnail = DynamicImage::from(image.thumbnail(THUMBNAIL, THUMBNAIL).to_rgb8());
    thumbnail.apply_orientation(orientation);
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, THUMBNAIL_QUALITY)
        .encode_image(&thumbnail)
        .map_err(|error| format!("gives no thumbnail: {error}"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source;

    #[test]
    fn every_shipped_picture_decodes_and_is_seen_as_any_other() {
        let files = source::built_in();
        let pictures = files.iter().filter(|(name, _)| name.ends_with(".jpg") || name.ends_with(".png"));
        let mut count = 0;
        for (name, file) in pictures {
            let other = Picture::new(file.bytes.to_vec(), &Limits::NONE).unwrap();
            let shipped = Picture::shipped(file.bytes.to_vec().leak()).unwrap();
            assert!(shipped.seen.get().is_none(), "{name} is decoded too early");
            assert!(shipped.small() == other.small() && shipped.thumbnail() == other.thumbnail(), "{name}");
            assert!(shipped.template().is_some() && shipped.template() == other.template(), "{name}");
            count += 1;
        }
        assert!(count > 10, "{count} pictures");
    }
}
