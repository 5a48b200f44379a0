//! The pictures that calls send: drawn here, so that no person is shown, and in no gallery.

use std::io::Cursor;
use std::sync::LazyLock;

use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};
use serde::{Deserialize, Serialize};

use crate::protocol::encoding;

/// A picture of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestImage {
    /// A drawn portrait of nobody.
    #[default]
    Portrait,
    /// The portrait, in base64 with line breaks.
    WrappedPortrait,
    /// One colour, without a face.
    Blank,
    /// A text instead of a picture.
    NotAnImage,
    /// The first half of the portrait's file.
    Truncated,
    /// With `data:image/jpeg;base64,` before it.
    DataUri,
    Gif,
    /// The operator's own photo.
    Face,
}

const SIZE: (u32, u32) = (240, 320);

static PORTRAIT: LazyLock<Vec<u8>> = LazyLock::new(|| jpeg(&RgbImage::from_fn(SIZE.0, SIZE.1, portrait)));
static SMALL: LazyLock<Vec<u8>> =
    LazyLock::new(|| jpeg(&RgbImage::from_fn(8, 8, |x, y| Rgb([x as u8 * 30, y as u8 * 30, 90]))));
static BLANK: LazyLock<Vec<u8>> =
    LazyLock::new(|| jpeg(&RgbImage::from_pixel(SIZE.0, SIZE.1, Rgb([190, 196, 204]))));

/// A GIF of one pixel.
const GIF: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xFF\xFF\xFF\x2C\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3B";

/// The pictures of a caller.
#[derive(Clone)]
pub struct TestPictures {
    /// Of nobody.
    portrait: &'static [u8],
    /// A real photo, which the operator allowed to be sent; without one the portrait stands for it.
    face: Option<Vec<u8>>,
}

impl TestPictures {
    /// Those that are sent to an endpoint.
    #[must_use]
    pub fn drawn(face: Option<Vec<u8>>) -> TestPictures {
        TestPictures { portrait: &PORTRAIT, face }
    }

    /// Small ones, for an endpoint that does not look at them.
    pub(super) fn small() -> TestPictures {
        TestPictures { portrait: &SMALL, face: None }
    }

    /// Returns the text of the field `image`.
    pub(super) fn base64_of(&self, image: TestImage) -> String {
        base64_of(image, self.portrait, self.face.as_deref())
    }
}

fn base64_of(image: TestImage, portrait: &[u8], face: Option<&[u8]>) -> String {
    match image {
        TestImage::Portrait => encoding::encode(portrait),
        TestImage::WrappedPortrait => mime_lines(&encoding::encode(portrait)),
        TestImage::Blank => encoding::encode(&BLANK),
        TestImage::NotAnImage => {
            encoding::encode(b"this is a text and not a picture, sent by a conformance test")
        }
        TestImage::Truncated => encoding::encode(&portrait[..portrait.len() / 2]),
        TestImage::DataUri => format!("data:image/jpeg;base64,{}", encoding::encode(portrait)),
        TestImage::Gif => encoding::encode(GIF),
        TestImage::Face => encoding::encode(face.unwrap_or(portrait)),
    }
}

/// Lines of 76 characters, as MIME has them (RFC 2045, 6.8).
pub(super) fn mime_lines(base64: &str) -> String {
    let lines = base64.as_bytes().chunks(76).map(String::from_utf8_lossy);
    lines.collect::<Vec<_>>().join("\r\n")
}

fn jpeg(pixels: &RgbImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    // Writing to memory cannot fail; an empty picture would be refused by the endpoint, and seen.
    let _ = pixels.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 85));
    bytes.into_inner()
}

/// A head with hair, eyes, a nose and a mouth over shoulders, before a wall that is lit from the left.
fn portrait(x: u32, y: u32) -> Rgb<u8> {
    let (x, y) = (i64::from(x), i64::from(y));
    let inside = |cx: i64, cy: i64, rx: i64, ry: i64| {
        let (dx, dy) = ((x - cx) * ry, (y - cy) * rx);
        dx * dx + dy * dy <= rx * rx * ry * ry
    };
    let shade = (x / 12) as u8;
    let lit = |red: u8, green: u8, blue: u8| Rgb([red, green, blue].map(|value| value.saturating_sub(shade)));
    let eye = |cx| inside(cx, 140, 13, 7);
    if inside(95, 140, 5, 5) || inside(145, 140, 5, 5) {
        lit(45, 32, 30)
    } else if eye(95) || eye(145) {
        lit(250, 248, 244)
    } else if inside(95, 122, 17, 4) || inside(145, 122, 17, 4) {
        lit(60, 42, 36)
    } else if inside(120, 205, 22, 6) {
        lit(176, 84, 84)
    } else if inside(120, 172, 8, 14) {
        lit(196, 146, 116)
    } else if inside(120, 158, 58, 78) && y > 98 {
        lit(222, 172, 140)
    } else if inside(120, 128, 70, 76) {
        lit(58, 40, 34)
    } else if inside(120, 230, 24, 50) {
        lit(204, 154, 124)
    } else if inside(120, 330, 100, 84) {
        lit(70, 104, 150)
    } else {
        lit(206, 214, 220)
    }
}
