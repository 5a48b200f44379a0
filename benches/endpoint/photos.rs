//! New photos, as cameras make them: each request has another file, which the simulator has to hash and decode.
//!
//! Two pictures of each kind are drawn and encoded beforehand: the gallery's portrait, enlarged, with noise of many scales, so that file
//! sizes and entropy are those of photographs. A serial number in a comment (COM of a JPEG, tEXt of a PNG) makes each request's file
//! another one. No cache has its text or its SHA-256, so all of its pixels are decoded, although an earlier request had the same.

use std::thread;

use dukcapil_fr_sim::internals::protocol::encoding;
use image::ImageFormat;

use super::drawing::draw;
use super::jpeg::{self, Mode};
use super::load::Serial;

/// Number of pictures of each kind, sent in turn.
const PICTURES: u32 = 2;

/// A kind of photo.
#[derive(Debug)]
pub struct Kind {
    pub name: &'static str,
    pub width: u32,
    pub height: u32,
    pub format: Format,
    /// Most processor time of a request that is acceptable, in times of two private-key operations.
    pub most: f64,
}

#[derive(Clone, Copy, Debug)]
pub enum Format {
    /// Quality and order of the coefficients. The qualities were chosen for the sizes in the names.
    Jpeg(u8, Mode),
    Png,
}

pub const KINDS: [Kind; 6] = [
    Kind {
        name: "100 kB JPEG",
        width: 640,
        height: 800,
        format: Format::Jpeg(90, Mode::Baseline),
        most: 2.5,
    },
    Kind {
        name: "300 kB JPEG",
        width: 1200,
        height: 1600,
        format: Format::Jpeg(88, Mode::Baseline),
        most: 6.0,
    },
    Kind {
        name: "300 kB progressive JPEG",
        width: 1200,
        height: 1600,
        format: Format::Jpeg(84, Mode::Progressive),
        most: 12.0,
    },
    Kind { name: "1 MB PNG", width: 680, height: 850, format: Format::Png, most: 20.0 },
    Kind {
        name: "1 MB JPEG",
        width: 2400,
        height: 3200,
        format: Format::Jpeg(85, Mode::Baseline),
        most: 20.0,
    },
    Kind {
        name: "3 MB JPEG",
        width: 3000,
        height: 4000,
        format: Format::Jpeg(93, Mode::Baseline),
        most: 50.0,
    },
];

/// A photo in base64, without its serial number.
#[derive(Debug)]
pub struct Photo {
    pub before: String,
    pub after: String,
    /// Length of the file in bytes.
    pub bytes: usize,
    /// Returns the base64 that belongs between both parts.
    pub serial: fn(u64) -> Serial,
}

/// The largest: a phone's, of twelve megapixels.
pub const LARGEST: &Kind = &KINDS[KINDS.len() - 1];

impl Kind {
    /// Whether it is what cameras write.
    pub fn is_baseline(&self) -> bool {
        matches!(self.format, Format::Jpeg(_, Mode::Baseline))
    }

    /// Draws and encodes the pictures of this kind, on one thread each.
    pub fn photos(&self) -> Vec<Photo> {
        thread::scope(|scope| {
            let drawn: Vec<_> = (0..PICTURES).map(|seed| scope.spawn(move || self.photo(seed))).collect();
            drawn.into_iter().map(|thread| thread.join().expect("a photo")).collect()
        })
    }

    fn photo(&self, seed: u32) -> Photo {
        let picture = draw(self.width, self.height, seed);
        match self.format {
            Format::Jpeg(quality, mode) => {
                let file = jpeg::encode(&picture, quality, mode);
                // A comment of twelve bytes, behind the start marker.
                let comment = [&file[..2], b"\xFF\xFE\0\x0E"].concat();
                Photo::new(&comment, &file[2..], jpeg_serial)
            }
            Format::Png => {
                let mut file = std::io::Cursor::new(Vec::new());
                picture.write_to(&mut file, ImageFormat::Png).expect("a PNG");
                let file = file.into_inner();
                // A text of ten bytes, behind the header. The length counts the keyword, but not the type.
                let length = (PNG_TEXT.len() - 4 + 8) as u32;
                let comment = [&file[..PNG_HEADER], &length.to_be_bytes(), PNG_TEXT].concat();
                Photo::new(&comment, &file[PNG_HEADER..], png_serial)
            }
        }
    }
}

/// Length of a PNG's signature and IHDR.
const PNG_HEADER: usize = 33;
/// Type, keyword and beginning of the text that has the serial number.
const PNG_TEXT: &[u8] = b"tEXtComment\0No";

/// Length of a serial number in bytes, before base64.
const SERIAL: usize = 12;

impl Photo {
    fn new(before: &[u8], after: &[u8], serial: fn(u64) -> Serial) -> Photo {
        // The base64 of the serial number is then apart from that of the rest.
        assert_eq!(before.len() % 3, 0, "whole groups of base64");
        let bytes = before.len() + SERIAL + after.len();
        Photo { before: encoding::encode(before), after: encoding::encode(after), bytes, serial }
    }
}

/// Returns twelve digits.
fn jpeg_serial(number: u64) -> Serial {
    base64(format!("{number:012}").as_bytes())
}

/// Returns eight digits and the checksum of the chunk.
fn png_serial(number: u64) -> Serial {
    let digits = format!("{number:08}");
    let checksum = crc32(&[PNG_TEXT, digits.as_bytes()].concat());
    base64(&[digits.as_bytes(), &checksum.to_be_bytes()].concat())
}

fn base64(bytes: &[u8]) -> Serial {
    encoding::encode(bytes).into_bytes().try_into().expect("16 characters")
}

/// Returns the CRC-32 of a PNG chunk.
fn crc32(bytes: &[u8]) -> u32 {
    let shifted = |crc: u32| crc >> 1 ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| shifted(crc)))
}
