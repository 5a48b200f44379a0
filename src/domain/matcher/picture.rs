//! A picture, decoded once: a small greyscale image for the hash, and a thumbnail for display. Built-in ones are decoded lazily.

use std::fmt;
use std::sync::{Arc, OnceLock};

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, GrayImage, RgbImage};

use super::face::{FaceEngineId, FaceVector, PictureFace};
use super::hash::{GreyImage, SIDE, Template};
use crate::domain::evidence::{Photo, PhotoFormat};
use crate::domain::limits::Limits;
use crate::domain::pixels;

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
    /// A JPEG.
    thumbnail: OnceLock<Vec<u8>>,
    /// The file of a built-in picture; empty for all others.
    shipped: &'static [u8],
    /// The file of a picture of the fixtures that a face engine may be asked about; empty for all others.
    file: Arc<[u8]>,
    /// What a face engine finds in it; empty until one is asked.
    face: OnceLock<PictureFace>,
}

/// Data computed from a picture's pixels.
#[derive(Clone)]
struct DecodedPicture {
    small: Box<GreyImage>,
    template: Option<Template>,
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
        let file = photo.file();
        let _ = picture.decoded.set(DecodedPicture::of_file(&file, picture.format)?);
        let _ = picture.thumbnail.set(thumbnail(&file, picture.format)?);
        Ok(picture)
    }

    /// Keeps the file, for a face engine that is asked later.
    #[must_use]
    pub fn with_file(self, file: &[u8]) -> Picture {
        Picture { file: file.into(), ..self }
    }

    /// Accepts a complete jpg or png that is built into the program. It is decoded lazily, on first use, for a faster start.
    ///
    /// # Errors
    /// When it is neither, or truncated.
    pub fn shipped(file: &'static [u8]) -> Result<Picture, String> {
        Picture::undecoded(&Photo::of_file(file.to_vec(), &Limits::NONE), file)
    }

    /// Returns a picture of an earlier run: from what was kept of it.
    #[must_use]
    pub fn restored(
        sha256: [u8; 32],
        format: PhotoFormat,
        dimensions: (u32, u32),
        bytes: usize,
        small: Box<GreyImage>,
        thumbnail: Vec<u8>,
    ) -> Picture {
        let decoded = OnceLock::from(DecodedPicture { template: Template::of(&small), small });
        Picture {
            sha256,
            format,
            dimensions,
            bytes,
            decoded,
            thumbnail: OnceLock::from(thumbnail),
            shipped: &[],
            file: Arc::default(),
            face: OnceLock::new(),
        }
    }

    fn undecoded(photo: &Photo, shipped: &'static [u8]) -> Result<Picture, String> {
        let (None, Some(sha256), Some(format), Some(dimensions)) =
            (&photo.fault, photo.sha256, photo.format, photo.dimensions)
        else {
            return Err(photo.fault.as_ref().map_or("is not a photo".to_owned(), |fault| fault.to_string()));
        };
        Ok(Picture {
            sha256,
            format,
            dimensions,
            bytes: photo.bytes,
            decoded: OnceLock::new(),
            thumbnail: OnceLock::new(),
            shipped,
            file: Arc::default(),
            face: OnceLock::new(),
        })
    }

    fn decoded(&self) -> &DecodedPicture {
        // A test decodes all of them.
        self.decoded.get_or_init(|| {
            DecodedPicture::of_file(self.shipped, self.format).expect("a built-in picture decodes")
        })
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
        let built_in = || thumbnail(self.shipped, self.format).expect("a built-in picture decodes");
        self.thumbnail.get_or_init(built_in)
    }
}

impl Picture {
    /// Returns whether the picture is built in: a drawing, which has no face. An engine takes all drawings for one person.
    #[must_use]
    pub fn is_shipped(&self) -> bool {
        !self.shipped.is_empty()
    }

    /// Returns the file, where it was kept for a face engine that was not asked yet.
    #[must_use]
    pub fn file_without_face(&self) -> Option<&[u8]> {
        (!self.file.is_empty() && self.face.get().is_none()).then_some(&*self.file)
    }

    /// Returns whether the file was kept for a face engine, whether or not it was asked.
    #[must_use]
    pub fn is_to_learn(&self) -> bool {
        !self.file.is_empty()
    }

    /// Returns what this engine finds in the picture: the vector of a face, or `None`, no face. The outer `None`: it was not asked.
    #[must_use]
    pub fn face(&self, engine: &FaceEngineId) -> Option<Option<&FaceVector>> {
        self.face.get().filter(|known| known.engine == *engine).map(|known| known.vector.as_ref())
    }

    /// Returns what an engine finds in the picture, whichever was asked.
    #[must_use]
    pub fn any_face(&self) -> Option<&PictureFace> {
        self.face.get()
    }

    /// Sets what an engine finds in the picture, unless that is known.
    pub fn set_face(&self, face: PictureFace) {
        // The first answer stays: another one of the same engine says the same.
        let _ = self.face.set(face);
    }

    /// Returns a file that shows the picture, as a client would send it: its own file where that is built in, else the thumbnail.
    #[must_use]
    pub fn to_send(&self) -> &[u8] {
        if self.shipped.is_empty() { self.thumbnail() } else { self.shipped }
    }
}

impl DecodedPicture {
    fn of_file(file: &[u8], format: PhotoFormat) -> Result<DecodedPicture, String> {
        match decode_small(file, format) {
            Ok(SmallPicture { small, damage: None }) => {
                Ok(DecodedPicture { template: Template::of(&small), small })
            }
            Ok(SmallPicture { damage: Some(reason), .. }) | Err(reason) => Err(message(&reason)),
        }
    }
}

fn message(reason: &str) -> String {
    format!("cannot be decoded: {reason}")
}

/// A photo as far as its pixels could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmallPicture {
    /// Upright.
    pub small: Box<GreyImage>,
    /// What could not be read.
    pub damage: Option<String>,
}

/// Decodes a photo to a small upright greyscale image.
///
/// # Errors
/// When its pixels cannot be decoded, with the reason; its subject is "it".
pub fn decode_small(file: &[u8], format: PhotoFormat) -> Result<SmallPicture, String> {
    let shrunk = pixels::shrink(file, format, (SIDE, SIDE), false)?;
    let side = SIDE as u32;
    let mut upright =
        GrayImage::from_raw(side, side, shrunk.bytes).map(DynamicImage::from).unwrap_or_default();
    upright.apply_orientation(pixels::orientation(file, format));
    let mut small = Box::new([0; SIDE * SIDE]);
    small.copy_from_slice(&upright.into_luma8());
    Ok(SmallPicture { small, damage: shrunk.damage })
}

fn thumbnail(file: &[u8], format: PhotoFormat) -> Result<Vec<u8>, String> {
    let (width, height) = pixels::dimensions(file, format).unwrap_or((1, 1));
    let longest = u64::from(width.max(height));
    let scaled = |side: u32| (u64::from(side) * u64::from(THUMBNAIL_SIDE)).div_ceil(longest) as u32;
    let (width, height) = (scaled(width), scaled(height));
    let shrunk = pixels::shrink(file, format, (width as usize, height as usize), true);
    let shrunk = shrunk.map_err(|reason| message(&reason))?;
    let mut thumbnail =
        RgbImage::from_raw(width, height, shrunk.bytes).map(DynamicImage::from).unwrap_or_default();
    thumbnail.apply_orientation(pixels::orientation(file, format));
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, THUMBNAIL_QUALITY)
        .encode_image(&thumbnail)
        .map_err(|error| message(&error.to_string()))?;
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
