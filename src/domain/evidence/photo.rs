//! Validates the photo: base64, then a complete jpg or png within the size limits (doc 2, `image`). Does not decode pixels.

use std::borrow::Cow;
use std::fmt;

use sha2::{Digest, Sha256};

use super::file_kind::{self, FileGuess};
use crate::domain::limits::Limits;
use crate::domain::pixels::{self, PhotoFormat};
use crate::protocol::encoding::{self, Base64Fault, Base64Mode};

/// A photo, as far as it could be parsed.
#[derive(Clone, Default)]
pub struct Photo<'a> {
    source: PhotoSource<'a>,
    /// Properties of the photo.
    pub info: PhotoInfo,
    /// Why the matcher cannot use it; `None` when it can.
    pub fault: Option<PhotoFault>,
}

/// Properties of a photo, without its bytes.
#[derive(Clone, Default)]
pub struct PhotoInfo {
    /// File length in bytes; 0 when the base64 could not be decoded.
    pub bytes: usize,
    /// SHA-256 of the file.
    pub sha256: Option<[u8; 32]>,
    /// File format; `None` unless it is one of the two that the document allows.
    pub format: Option<PhotoFormat>,
    /// Width and height in pixels.
    pub dimensions: Option<(u32, u32)>,
    /// The base64 contained line breaks, which the policy allows.
    pub line_breaks: bool,
    /// Behind the picture's end, the same file follows once more.
    pub is_twice: bool,
}

/// Source of the file's bytes.
#[derive(Clone)]
enum PhotoSource<'a> {
    File(Vec<u8>),
    /// Base64 that is not decoded yet, because the photo's properties were cached.
    Text(&'a str, Base64Mode),
}

impl Default for PhotoSource<'_> {
    fn default() -> Self {
        PhotoSource::File(Vec::new())
    }
}

impl std::ops::Deref for Photo<'_> {
    type Target = PhotoInfo;

    fn deref(&self) -> &PhotoInfo {
        &self.info
    }
}

/// Why a photo is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PhotoFault {
    Base64(Base64Fault),
    DoubleBase64,
    /// Neither a jpg nor a png: every explanation that fits.
    Format(Vec<FileGuess>),
    /// The end marker is missing: EOI of a JPEG, IEND of a PNG.
    Truncated {
        format: PhotoFormat,
        bytes: usize,
    },
    /// The header cannot be read.
    Damaged(PhotoFormat),
    TooManyBytes {
        bytes: usize,
        max: u64,
    },
    TooManyPixels {
        width: u32,
        height: u32,
        max: u64,
    },
    /// Too wide or too high.
    TooLong {
        width: u32,
        height: u32,
        max: u32,
    },
}

// A derived Debug would print the photo.
impl fmt::Debug for Photo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Photo({} bytes, {:?}, {:?})", self.bytes, self.format, self.fault)
    }
}

impl<'a> Photo<'a> {
    /// Parses the text of the field `image`.
    #[must_use]
    pub fn read(text: &str, mode: Base64Mode, limits: &Limits) -> Photo<'a> {
        match encoding::decode(text, mode) {
            Err(fault) => Photo { fault: Some(PhotoFault::Base64(fault)), ..Photo::default() },
            Ok(decoded) => {
                let mut photo = Photo::of_file(decoded.bytes, limits);
                photo.info.line_breaks = decoded.line_breaks;
                if matches!(&photo.fault, Some(PhotoFault::Format(_)))
                    && let Some(fault) = encoding::mistaken(text)
                {
                    photo.fault = Some(PhotoFault::Base64(fault));
                }
                photo
            }
        }
    }

    /// Returns a photo with cached properties: the same text was parsed before, in the same mode, and was valid.
    #[must_use]
    pub fn cached(text: &'a str, mode: Base64Mode, info: PhotoInfo) -> Photo<'a> {
        Photo { source: PhotoSource::Text(text, mode), info, fault: None }
    }

    /// Inspects a file.
    #[must_use]
    pub fn of_file(bytes: Vec<u8>, limits: &Limits) -> Photo<'a> {
        let mut info = PhotoInfo {
            bytes: bytes.len(),
            sha256: Some(Sha256::digest(&bytes).into()),
            ..PhotoInfo::default()
        };
        let fault = info.inspect(&bytes, limits).err();
        Photo { source: PhotoSource::File(bytes), info, fault }
    }

    /// Returns the file; empty when the base64 could not be decoded. Decodes the base64 of a cached photo on each call.
    #[must_use]
    pub fn file(&self) -> Cow<'_, [u8]> {
        match &self.source {
            PhotoSource::File(bytes) => Cow::Borrowed(bytes),
            PhotoSource::Text(text, mode) => {
                let decoded = encoding::decode(text, *mode);
                Cow::Owned(decoded.expect("the same text was decoded before, in the same mode").bytes)
            }
        }
    }

    /// Whether the matcher can use it.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        self.fault.is_none() && self.format.is_some()
    }
}

impl PhotoInfo {
    fn inspect(&mut self, file: &[u8], limits: &Limits) -> Result<(), PhotoFault> {
        let bytes = file.len();
        if bytes as u64 > limits.image_bytes.0 {
            return Err(PhotoFault::TooManyBytes { bytes, max: limits.image_bytes.0 });
        }
        let format = detect_format(file)?;
        self.format = Some(format);
        let (width, height) = pixels::dimensions(file, format).ok_or_else(|| header_fault(file, format))?;
        self.dimensions = Some((width, height));
        if u64::from(width) * u64::from(height) > limits.image_pixels {
            return Err(PhotoFault::TooManyPixels { width, height, max: limits.image_pixels });
        }
        if width.max(height) > limits.image_side {
            return Err(PhotoFault::TooLong { width, height, max: limits.image_side });
        }
        let end = pixels::end(file, format).ok_or(PhotoFault::Truncated { format, bytes })?;
        self.is_twice = file[end..].starts_with(&file[..end]);
        Ok(())
    }
}

/// Returns why a header cannot be parsed: the file is truncated, or else damaged.
fn header_fault(file: &[u8], format: PhotoFormat) -> PhotoFault {
    if pixels::end(file, format).is_some() {
        PhotoFault::Damaged(format)
    } else {
        PhotoFault::Truncated { format, bytes: file.len() }
    }
}

fn detect_format(bytes: &[u8]) -> Result<PhotoFormat, PhotoFault> {
    if bytes.starts_with(b"\xFF\xD8\xFF") {
        Ok(PhotoFormat::Jpeg)
    } else if bytes.starts_with(b"\x89PNG\r\n\x1A\n") {
        Ok(PhotoFormat::Png)
    } else if is_base64_of_a_photo(bytes) {
        Err(PhotoFault::DoubleBase64)
    } else {
        Err(PhotoFault::Format(file_kind::guesses(bytes)))
    }
}

/// Whether the bytes start like a base64-encoded JPEG or PNG, or like a data URI.
fn is_base64_of_a_photo(bytes: &[u8]) -> bool {
    [&b"/9j/"[..], b"iVBORw0KGgo", b"data:image/"].iter().any(|start| bytes.starts_with(start))
}

impl fmt::Display for PhotoFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PhotoFault::Base64(fault) => fault.fmt(f),
            PhotoFault::DoubleBase64 => f.write_str("is base64 twice: it decodes to the base64 of a photo"),
            PhotoFault::Format(guesses) => {
                let guesses: Vec<_> = guesses.iter().map(ToString::to_string).collect();
                f.write_str(&guesses.join("; or "))
            }
            PhotoFault::Truncated { format: PhotoFormat::Jpeg, bytes } => {
                write!(
                    f,
                    "is truncated: a JPEG of {bytes} bytes without its end marker (EOI) after the image data"
                )
            }
            PhotoFault::Truncated { format: PhotoFormat::Png, bytes } => {
                write!(f, "is truncated: a PNG of {bytes} bytes without its end chunk (IEND)")
            }
            PhotoFault::Damaged(format) => write!(f, "is a damaged {format}: its header cannot be read"),
            PhotoFault::TooManyBytes { bytes, max } => {
                write!(f, "is too large: {bytes} bytes, limits.image_bytes is {max}")
            }
            PhotoFault::TooManyPixels { width, height, max } => {
                write!(f, "is too large: {width} x {height} pixels, limits.image_pixels is {max}")
            }
            PhotoFault::TooLong { width, height, max } => {
                write!(f, "is too large: {width} x {height} pixels, limits.image_side is {max}")
            }
        }
    }
}

impl PhotoFault {
    /// Returns what to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            PhotoFault::Base64(fault) => fault.hint(),
            PhotoFault::DoubleBase64 => "encode the file with base64 once",
            PhotoFault::Format(guesses) => guesses.first().map_or("send a jpg or png", FileGuess::hint),
            PhotoFault::Truncated { .. } => {
                "send the complete file; check what truncated it before it was encoded"
            }
            PhotoFault::Damaged(_) => "save the picture again",
            PhotoFault::TooManyBytes { .. }
            | PhotoFault::TooManyPixels { .. }
            | PhotoFault::TooLong { .. } => "scale the picture down; about 195 kB before base64 is typical",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use image::{DynamicImage, ImageFormat, RgbImage};

    fn picture(format: ImageFormat) -> Vec<u8> {
        let pixels = RgbImage::from_fn(40, 30, |x, y| image::Rgb([x as u8 * 5, y as u8 * 7, 90]));
        let mut out = Cursor::new(Vec::new());
        DynamicImage::from(pixels).write_to(&mut out, format).unwrap();
        out.into_inner()
    }

    fn read(bytes: &[u8]) -> Photo<'static> {
        Photo::read(&encoding::encode(bytes), Base64Mode::Strict, &Limits::default())
    }

    #[track_caller]
    fn check_fault(bytes: &[u8], expected: &str) {
        let fault = read(bytes).fault.expect("a fault");
        assert!(fault.to_string().contains(expected), "{fault}");
        assert!(!fault.hint().is_empty());
    }

    #[test]
    fn jpg_and_png_are_detected_with_their_dimensions() {
        for (format, expected) in
            [(ImageFormat::Jpeg, PhotoFormat::Jpeg), (ImageFormat::Png, PhotoFormat::Png)]
        {
            let bytes = picture(format);
            let photo = read(&bytes);
            assert!(photo.is_fit(), "{:?}", photo.fault);
            assert_eq!((photo.format, photo.dimensions), (Some(expected), Some((40, 30))));
            assert_eq!((photo.bytes, &*photo.file()), (bytes.len(), &*bytes));
        }
    }

    #[test]
    fn a_file_cut_at_any_point_is_truncated() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png] {
            let bytes = picture(format);
            for kept in [bytes.len() - 1, bytes.len() - 10, bytes.len() / 2, 60, 20] {
                check_fault(&bytes[..kept], "is truncated");
            }
        }
    }

    #[test]
    fn a_thumbnails_end_marker_is_ignored_and_trailing_data_is_allowed() {
        let bytes = picture(ImageFormat::Jpeg);
        let mut exif = b"\xFF\xE1\x00\x08\xFF\xD8\xFF\xD9\x00\x00".to_vec();
        let mut with_thumbnail = bytes[..2].to_vec();
        with_thumbnail.append(&mut exif);
        with_thumbnail.extend_from_slice(&bytes[2..]);
        assert!(read(&with_thumbnail).is_fit());
        check_fault(&with_thumbnail[..with_thumbnail.len() - 2], "is truncated");
        assert!(read(&[&bytes[..], &[0; 64]].concat()).is_fit());
    }

    #[test]
    fn a_file_with_its_photo_twice_is_fit_and_known() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png] {
            let bytes = picture(format);
            for (file, expected) in [
                (bytes.repeat(2), true),
                (bytes.repeat(3), true),
                ([&bytes[..], b"more", &bytes].concat(), false),
                ([&bytes[..], &bytes[..bytes.len() - 1]].concat(), false),
                (bytes, false),
            ] {
                let photo = read(&file);
                assert!(photo.is_fit(), "{:?}", photo.fault);
                assert_eq!(photo.is_twice, expected, "{format:?} of {} bytes", file.len());
            }
        }
    }

    #[test]
    fn other_formats_are_named() {
        check_fault(b"GIF89a\x01\x00\x01\x00", "is GIF, not");
        check_fault(b"RIFF\x00\x00\x00\x00WEBPVP8 ", "is WebP, not");
        check_fault(b"BM000000", "is BMP, not");
        check_fault(b"%PDF-1.7", "is PDF, not");
        check_fault(b"\0\0\0\x18ftypheic\0\0\0\0", "is HEIC, not");
        check_fault(b"hello world", "is text of 11 characters, not a jpg or png");
        check_fault(b"\xEF\xBB\xBF\xFF\xD8\xFF\xE0", "the picture begins at byte 4");
        check_fault(encoding::encode(&picture(ImageFormat::Png)).as_bytes(), "is base64 twice");
        check_fault(encoding::encode(&picture(ImageFormat::Jpeg)).as_bytes(), "is base64 twice");
    }

    #[test]
    fn an_invalid_header_is_damaged() {
        let mut bytes = picture(ImageFormat::Png);
        bytes[16..20].fill(0);
        check_fault(&bytes, "is a damaged PNG");
    }

    #[test]
    fn limits_apply_before_pixels_are_decoded() {
        let bytes = picture(ImageFormat::Png);
        let text = encoding::encode(&bytes);
        let few_pixels = Limits { image_pixels: 1199, ..Limits::default() };
        let fault = Photo::read(&text, Base64Mode::Strict, &few_pixels).fault.unwrap();
        assert_eq!(fault, PhotoFault::TooManyPixels { width: 40, height: 30, max: 1199 });
        let narrow = Limits { image_side: 39, ..Limits::default() };
        let fault = Photo::read(&text, Base64Mode::Strict, &narrow).fault.unwrap();
        assert_eq!(fault, PhotoFault::TooLong { width: 40, height: 30, max: 39 });
        let exact = Limits { image_side: 40, image_pixels: 1200, ..Limits::default() };
        assert!(Photo::read(&text, Base64Mode::Strict, &exact).is_fit());
        let few_bytes = Limits { image_bytes: crate::base::size::Size(10), ..Limits::default() };
        let fault = Photo::read(&text, Base64Mode::Strict, &few_bytes).fault.unwrap();
        assert_eq!(fault, PhotoFault::TooManyBytes { bytes: bytes.len(), max: 10 });
    }

    #[test]
    fn a_text_that_is_base64_by_accident_is_named_by_what_it_is() {
        let digits: String = picture(ImageFormat::Png).iter().map(|byte| format!("{byte:02x}")).collect();
        for (text, expected) in
            [(&digits[..], "hexadecimal digits"), ("null", "prints for no value"), ("/tmp/photo/1", "a path")]
        {
            let fault = Photo::read(text, Base64Mode::Strict, &Limits::default()).fault.unwrap();
            assert!(fault.to_string().contains(expected), "{text} {fault}");
        }
    }

    #[test]
    fn base64_faults_are_reported() {
        let text = format!("data:image/png;base64,{}", encoding::encode(&picture(ImageFormat::Png)));
        let photo = Photo::read(&text, Base64Mode::Strict, &Limits::default());
        assert!(photo.fault.as_ref().unwrap().to_string().contains("with a prefix before it, as data URIs"));
        assert!(photo.sha256.is_none() && photo.bytes == 0 && photo.file().is_empty());
    }
}
