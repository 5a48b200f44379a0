//! The photo: base64, then a whole jpg or png of a size that is allowed (doc 2, `image`). Pixels are not decoded here.

use std::borrow::Cow;
use std::fmt;
use std::io::Cursor;

use image::{ImageFormat, ImageReader};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::domain::limits::Limits;
use crate::protocol::encoding::{self, Base64Fault, Base64Mode};

/// The two formats of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PhotoFormat {
    Jpeg,
    Png,
}

/// A photo as far as it could be read.
#[derive(Clone, Default)]
pub struct Photo<'a> {
    source: PhotoSource<'a>,
    /// What was seen in it.
    pub look: PhotoInfo,
    /// Why it is not fit for the matcher.
    pub fault: Option<PhotoFault>,
}

/// What is seen in a photo, without the photo.
#[derive(Clone, Default)]
pub struct PhotoInfo {
    /// The file's length; 0 when the base64 could not be decoded.
    pub bytes: usize,
    /// SHA-256 of the file.
    pub sha256: Option<[u8; 32]>,
    /// Its format, when it is one of the document's.
    pub format: Option<PhotoFormat>,
    /// Width and height in pixels.
    pub dimensions: Option<(u32, u32)>,
    /// Line breaks in the base64 were let pass.
    pub line_breaks: bool,
}

/// Where the file's bytes are.
#[derive(Clone)]
enum PhotoSource<'a> {
    File(Vec<u8>),
    /// Not decoded: the photo was seen before.
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
        &self.look
    }
}

/// Why a photo is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PhotoFault {
    Base64(Base64Fault),
    DoubleBase64,
    /// Some other kind of file, or none known.
    Format(Option<&'static str>),
    /// No end marker: EOI of a JPEG, IEND of a PNG.
    Truncated {
        format: PhotoFormat,
        bytes: usize,
    },
    /// The header cannot be read.
    Damaged(PhotoFormat),
    TooManyBytes {
        bytes: usize,
        most: u64,
    },
    TooManyPixels {
        width: u32,
        height: u32,
        most: u64,
    },
}

// A derived Debug would print the photo.
impl fmt::Debug for Photo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Photo({} bytes, {:?}, {:?})", self.bytes, self.format, self.fault)
    }
}

impl<'a> Photo<'a> {
    /// Reads the text of the field `image`.
    #[must_use]
    pub fn read(text: &str, mode: Base64Mode, limits: &Limits) -> Photo<'a> {
        match encoding::decode(text, mode) {
            Err(fault) => Photo { fault: Some(PhotoFault::Base64(fault)), ..Photo::default() },
            Ok(decoded) => {
                let mut photo = Photo::of_file(decoded.bytes, limits);
                photo.look.line_breaks = decoded.line_breaks;
                photo
            }
        }
    }

    /// A photo that was read before, from the same text in the same mode, and found fit.
    #[must_use]
    pub fn seen(text: &'a str, mode: Base64Mode, look: PhotoInfo) -> Photo<'a> {
        Photo { source: PhotoSource::Text(text, mode), look, fault: None }
    }

    /// Looks at a file.
    #[must_use]
    pub fn of_file(bytes: Vec<u8>, limits: &Limits) -> Photo<'a> {
        let mut look = PhotoInfo {
            bytes: bytes.len(),
            sha256: Some(Sha256::digest(&bytes).into()),
            ..PhotoInfo::default()
        };
        let fault = look.at(&bytes, limits).err();
        Photo { source: PhotoSource::File(bytes), look, fault }
    }

    /// The file; empty when the base64 could not be decoded. One that was seen before is decoded here.
    #[must_use]
    pub fn file(&self) -> Cow<'_, [u8]> {
        match &self.source {
            PhotoSource::File(bytes) => Cow::Borrowed(bytes),
            // It was decoded before, in this mode.
            PhotoSource::Text(text, mode) => {
                Cow::Owned(encoding::decode(text, *mode).map(|decoded| decoded.bytes).unwrap_or_default())
            }
        }
    }

    /// Whether the matcher can take it.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        self.fault.is_none() && self.format.is_some()
    }
}

impl PhotoInfo {
    fn at(&mut self, file: &[u8], limits: &Limits) -> Result<(), PhotoFault> {
        let bytes = file.len();
        if bytes as u64 > limits.image_bytes.0 {
            return Err(PhotoFault::TooManyBytes { bytes, most: limits.image_bytes.0 });
        }
        let format = recognise(file)?;
        self.format = Some(format);
        let (width, height) = dimensions(file, format).ok_or_else(|| header_fault(file, format))?;
        self.dimensions = Some((width, height));
        if u64::from(width) * u64::from(height) > limits.image_pixels {
            return Err(PhotoFault::TooManyPixels { width, height, most: limits.image_pixels });
        }
        if is_whole(file, format) { Ok(()) } else { Err(PhotoFault::Truncated { format, bytes }) }
    }
}

/// A header cut short is a truncated file; one that is all there is damaged.
fn header_fault(file: &[u8], format: PhotoFormat) -> PhotoFault {
    if is_whole(file, format) {
        PhotoFault::Damaged(format)
    } else {
        PhotoFault::Truncated { format, bytes: file.len() }
    }
}

fn recognise(bytes: &[u8]) -> Result<PhotoFormat, PhotoFault> {
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => Ok(PhotoFormat::Jpeg),
        Ok(ImageFormat::Png) => Ok(PhotoFormat::Png),
        _ if is_base64_of_a_photo(bytes) => Err(PhotoFault::DoubleBase64),
        Ok(other) => Err(PhotoFault::Format(Some(name(other)))),
        Err(_) => Err(PhotoFault::Format(name_by_magic(bytes))),
    }
}

/// The first bytes of a JPEG or PNG, or of a data URI, written in base64.
fn is_base64_of_a_photo(bytes: &[u8]) -> bool {
    [&b"/9j/"[..], b"iVBORw0KGgo", b"data:image/"].iter().any(|start| bytes.starts_with(start))
}

fn name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Gif => "GIF",
        ImageFormat::WebP => "WebP",
        ImageFormat::Bmp => "BMP",
        ImageFormat::Tiff => "TIFF",
        ImageFormat::Ico => "ICO",
        ImageFormat::Avif => "AVIF",
        other => other.extensions_str().first().copied().unwrap_or("another format"),
    }
}

/// Files that people upload and the `image` crate has no name for.
fn name_by_magic(bytes: &[u8]) -> Option<&'static str> {
    let brand = bytes.get(4..12).unwrap_or_default();
    match bytes {
        _ if bytes.starts_with(b"%PDF") => Some("PDF"),
        _ if brand.starts_with(b"ftyp") => match &brand[4..] {
            b"heic" | b"heix" | b"mif1" | b"msf1" => Some("HEIC"),
            b"avif" => Some("AVIF"),
            _ => Some("a video"),
        },
        _ if bytes.starts_with(b"\xFF\x4F\xFF\x51") || bytes.starts_with(b"\0\0\0\x0CjP  ") => {
            Some("JPEG 2000")
        }
        _ if bytes.starts_with(b"<svg") || bytes.starts_with(b"<?xml") => Some("SVG or XML"),
        _ => None,
    }
}

fn dimensions(bytes: &[u8], format: PhotoFormat) -> Option<(u32, u32)> {
    let format = match format {
        PhotoFormat::Jpeg => ImageFormat::Jpeg,
        PhotoFormat::Png => ImageFormat::Png,
    };
    ImageReader::with_format(Cursor::new(bytes), format).into_dimensions().ok()
}

fn is_whole(bytes: &[u8], format: PhotoFormat) -> bool {
    match format {
        PhotoFormat::Jpeg => jpeg_has_its_end(bytes),
        PhotoFormat::Png => png_has_its_end(bytes).unwrap_or(false),
    }
}

/// Looks for EOI behind the start of the scan. Cameras put thumbnails with an EOI of their own before it, and trailers behind
/// the real one.
fn jpeg_has_its_end(bytes: &[u8]) -> bool {
    scan_start(bytes).is_some_and(|start| memchr::memmem::find(&bytes[start..], b"\xFF\xD9").is_some())
}

/// The offset behind SOS, found by walking the segments.
fn scan_start(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    loop {
        let marker = *bytes.get(at..at + 2)?.strip_prefix(b"\xFF")?.first()?;
        match marker {
            0xFF => at += 1,
            0x01 | 0xD0..=0xD8 => at += 2,
            _ => {
                let length = bytes.get(at + 2..at + 4)?;
                let next = at + 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
                if marker == 0xDA {
                    return (next <= bytes.len()).then_some(next);
                }
                at = next;
            }
        }
    }
}

/// Walks the chunks as far as IEND.
fn png_has_its_end(bytes: &[u8]) -> Option<bool> {
    let mut at = 8;
    loop {
        let head: &[u8; 8] = bytes.get(at..at + 8)?.try_into().ok()?;
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let end = at.checked_add(12)?.checked_add(length)?;
        if end > bytes.len() {
            return Some(false);
        }
        if &head[4..] == b"IEND" {
            return Some(true);
        }
        at = end;
    }
}

impl fmt::Display for PhotoFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PhotoFormat::Jpeg => "JPEG",
            PhotoFormat::Png => "PNG",
        })
    }
}

impl fmt::Display for PhotoFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PhotoFault::Base64(fault) => fault.fmt(f),
            PhotoFault::DoubleBase64 => {
                f.write_str("is base64 twice: what it decodes to is base64 of a photo")
            }
            PhotoFault::Format(Some(format)) => write!(f, "is {format}, not a jpg or png"),
            PhotoFault::Format(None) => {
                f.write_str("is no jpg or png: its first bytes are of no known format")
            }
            PhotoFault::Truncated { format: PhotoFormat::Jpeg, bytes } => {
                write!(
                    f,
                    "is truncated: a JPEG of {bytes} bytes without its end marker (EOI) behind the image data"
                )
            }
            PhotoFault::Truncated { format: PhotoFormat::Png, bytes } => {
                write!(f, "is truncated: a PNG of {bytes} bytes without its end chunk (IEND)")
            }
            PhotoFault::Damaged(format) => write!(f, "is a damaged {format}: its header cannot be read"),
            PhotoFault::TooManyBytes { bytes, most } => {
                write!(f, "is too large: {bytes} bytes, limits.image_bytes is {most}")
            }
            PhotoFault::TooManyPixels { width, height, most } => {
                write!(f, "is too large: {width} x {height} pixels, limits.image_pixels is {most}")
            }
        }
    }
}

impl PhotoFault {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            PhotoFault::Base64(fault) => fault.hint(),
            PhotoFault::DoubleBase64 => "encode the file with base64 once",
            PhotoFault::Format(_) => "send a jpg or png",
            PhotoFault::Truncated { .. } => {
                "send the whole file; check what cut it off before it was encoded"
            }
            PhotoFault::Damaged(_) => "save the picture again",
            PhotoFault::TooManyBytes { .. } | PhotoFault::TooManyPixels { .. } => {
                "shrink the picture; about 195 kB before base64 is usual"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{DynamicImage, RgbImage};

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
    fn a_jpg_and_a_png_are_recognised_with_their_dimensions() {
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
    fn a_file_cut_anywhere_is_truncated() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png] {
            let bytes = picture(format);
            for kept in [bytes.len() - 1, bytes.len() - 10, bytes.len() / 2, 60, 20] {
                check_fault(&bytes[..kept], "is truncated");
            }
        }
    }

    #[test]
    fn the_end_marker_of_a_thumbnail_does_not_count_and_a_trailer_does_no_harm() {
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
    fn other_formats_are_named() {
        check_fault(b"GIF89a\x01\x00\x01\x00", "is GIF, not");
        check_fault(b"RIFF\x00\x00\x00\x00WEBPVP8 ", "is WebP, not");
        check_fault(b"BM000000", "is BMP, not");
        check_fault(b"%PDF-1.7", "is PDF, not");
        check_fault(b"\0\0\0\x18ftypheic\0\0\0\0", "is HEIC, not");
        check_fault(b"hello world", "is no jpg or png");
        check_fault(encoding::encode(&picture(ImageFormat::Png)).as_bytes(), "is base64 twice");
        check_fault(encoding::encode(&picture(ImageFormat::Jpeg)).as_bytes(), "is base64 twice");
    }

    #[test]
    fn a_header_that_makes_no_sense_is_damaged() {
        let mut bytes = picture(ImageFormat::Png);
        bytes[16..20].fill(0);
        check_fault(&bytes, "is a damaged PNG");
    }

    #[test]
    fn limits_hold_before_anything_is_decoded() {
        let bytes = picture(ImageFormat::Png);
        let text = encoding::encode(&bytes);
        let few_pixels = Limits { image_pixels: 1199, ..Limits::default() };
        let fault = Photo::read(&text, Base64Mode::Strict, &few_pixels).fault.unwrap();
        assert_eq!(fault, PhotoFault::TooManyPixels { width: 40, height: 30, most: 1199 });
        let exact = Limits { image_pixels: 1200, ..Limits::default() };
        assert!(Photo::read(&text, Base64Mode::Strict, &exact).is_fit());
        let few_bytes = Limits { image_bytes: crate::base::size::Size(10), ..Limits::default() };
        let fault = Photo::read(&text, Base64Mode::Strict, &few_bytes).fault.unwrap();
        assert_eq!(fault, PhotoFault::TooManyBytes { bytes: bytes.len(), most: 10 });
    }

    #[test]
    fn base64_mistakes_are_passed_on() {
        let text = format!("data:image/png;base64,{}", encoding::encode(&picture(ImageFormat::Png)));
        let photo = Photo::read(&text, Base64Mode::Strict, &Limits::default());
        assert!(photo.fault.as_ref().unwrap().to_string().contains("data-URI prefix"));
        assert!(photo.sha256.is_none() && photo.bytes == 0 && photo.file().is_empty());
    }
}
