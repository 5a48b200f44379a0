//! Validates the photo: base64, then a complete jpg or png within the size limits (doc 2, `image`). Does not decode pixels.

use std::borrow::Cow;
use std::fmt;
use std::io::Cursor;

use image::{ImageFormat, ImageReader};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::domain::limits::Limits;
use crate::protocol::encoding::{self, Base64Fault, Base64Mode};

/// The two photo formats that the document allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PhotoFormat {
    Jpeg,
    Png,
}

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
    /// Another file format; `None` for an unknown one.
    Format(Option<&'static str>),
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
                if photo.fault == Some(PhotoFault::Format(None))
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
        let (width, height) = dimensions(file, format).ok_or_else(|| header_fault(file, format))?;
        self.dimensions = Some((width, height));
        if u64::from(width) * u64::from(height) > limits.image_pixels {
            return Err(PhotoFault::TooManyPixels { width, height, max: limits.image_pixels });
        }
        if is_complete(file, format) { Ok(()) } else { Err(PhotoFault::Truncated { format, bytes }) }
    }
}

/// Returns why a header cannot be parsed: the file is truncated, or else damaged.
fn header_fault(file: &[u8], format: PhotoFormat) -> PhotoFault {
    if is_complete(file, format) {
        PhotoFault::Damaged(format)
    } else {
        PhotoFault::Truncated { format, bytes: file.len() }
    }
}

fn detect_format(bytes: &[u8]) -> Result<PhotoFormat, PhotoFault> {
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => Ok(PhotoFormat::Jpeg),
        Ok(ImageFormat::Png) => Ok(PhotoFormat::Png),
        _ if is_base64_of_a_photo(bytes) => Err(PhotoFault::DoubleBase64),
        Ok(other) => Err(PhotoFault::Format(Some(name(other)))),
        Err(_) => Err(PhotoFault::Format(name_by_magic_bytes(bytes))),
    }
}

/// Whether the bytes start like a base64-encoded JPEG or PNG, or like a data URI.
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

/// Names formats that users upload and that the `image` crate does not detect, by their magic bytes.
fn name_by_magic_bytes(bytes: &[u8]) -> Option<&'static str> {
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

fn is_complete(bytes: &[u8], format: PhotoFormat) -> bool {
    match format {
        PhotoFormat::Jpeg => has_end_marker(bytes),
        PhotoFormat::Png => has_end_chunk(bytes).unwrap_or(false),
    }
}

/// Searches for EOI after the start of the scan. Camera files may contain a thumbnail with its own EOI before the scan, and trailing
/// data after the real EOI.
fn has_end_marker(bytes: &[u8]) -> bool {
    scan_start(bytes).is_some_and(|start| memchr::memmem::find(&bytes[start..], b"\xFF\xD9").is_some())
}

/// Returns the offset after the SOS segment, found by walking the segments.
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

/// Walks the chunks up to IEND. `None` or `Some(false)`: IEND is missing.
fn has_end_chunk(bytes: &[u8]) -> Option<bool> {
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
            PhotoFault::DoubleBase64 => f.write_str("is base64 twice: it decodes to the base64 of a photo"),
            PhotoFault::Format(Some(format)) => write!(f, "is {format}, not a jpg or png"),
            PhotoFault::Format(None) => {
                f.write_str("is not a jpg or png: its first bytes match no known format")
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
            PhotoFault::Format(_) => "send a jpg or png",
            PhotoFault::Truncated { .. } => {
                "send the complete file; check what truncated it before it was encoded"
            }
            PhotoFault::Damaged(_) => "save the picture again",
            PhotoFault::TooManyBytes { .. } | PhotoFault::TooManyPixels { .. } => {
                "scale the picture down; about 195 kB before base64 is typical"
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
    fn other_formats_are_named() {
        check_fault(b"GIF89a\x01\x00\x01\x00", "is GIF, not");
        check_fault(b"RIFF\x00\x00\x00\x00WEBPVP8 ", "is WebP, not");
        check_fault(b"BM000000", "is BMP, not");
        check_fault(b"%PDF-1.7", "is PDF, not");
        check_fault(b"\0\0\0\x18ftypheic\0\0\0\0", "is HEIC, not");
        check_fault(b"hello world", "is not a jpg or png");
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
        let exact = Limits { image_pixels: 1200, ..Limits::default() };
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
