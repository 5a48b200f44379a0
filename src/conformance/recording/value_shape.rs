//! What is kept of a request's values: lengths, classes and formats, and tokens by which equal values can be told.

use std::net::IpAddr;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::exchange::{Base64Shape, ValueShape};
use super::tokens::Tokens;
use crate::base::size::Size;
use crate::conformance::target::{Reach, reach};
use crate::domain::evidence::file_kind::FileGuess;
use crate::domain::evidence::photo::{Photo, PhotoFault};
use crate::domain::limits::Limits;
use crate::domain::pixels::{self, PhotoFormat};

/// Of a text, which may be anything.
#[must_use]
pub fn text(text: &str, tokens: &Tokens) -> ValueShape {
    ValueShape::Text { chars: chars(text), classes: classes(text), token: tokens.of(text) }
}

fn chars(text: &str) -> u64 {
    text.chars().count() as u64
}

/// Names of the classes of characters that a text may have, in their order.
pub const CLASSES: [&str; 6] = ["lower", "upper", "digits", "blank", "other", "non-ascii"];

/// The classes of a text's characters, such as `lower+digits`; `empty` when it has none.
#[must_use]
pub fn classes(text: &str) -> String {
    let class = |c: char| match c {
        'a'..='z' => 0,
        'A'..='Z' => 1,
        '0'..='9' => 2,
        c if c.is_ascii_whitespace() => 3,
        c if c.is_ascii() => 4,
        _ => 5,
    };
    let mut has = [false; CLASSES.len()];
    text.chars().for_each(|c| has[class(c)] = true);
    let names: Vec<_> = CLASSES.iter().zip(has).filter(|(_, has)| *has).map(|(name, _)| *name).collect();
    if names.is_empty() { "empty".to_owned() } else { names.join("+") }
}

/// Of user_id and password.
#[must_use]
pub fn ciphertext(text: &str) -> ValueShape {
    let (base64, bytes) = base64(text);
    ValueShape::Ciphertext { chars: chars(text), base64, bytes: bytes.len() as u64 }
}

/// Of `ip`.
#[must_use]
pub fn ip(text: &str, tokens: &Tokens) -> ValueShape {
    let class = match text.parse::<IpAddr>().map(reach) {
        Ok(Reach::Loopback) => "loopback",
        Ok(Reach::Private) => "private",
        Ok(Reach::Public) => "public",
        Err(_) if text.trim().is_empty() => "blank",
        Err(_) => "malformed",
    };
    ValueShape::Ip { chars: chars(text), class: class.to_owned(), token: tokens.of(text) }
}

/// Of `image`.
#[must_use]
pub fn image(text: &str, tokens: &Tokens) -> ValueShape {
    let (base64, file) = base64(text);
    let bytes = file.len() as u64;
    let limits = Limits {
        image_bytes: Size(u64::MAX),
        image_pixels: u64::MAX,
        image_side: u32::MAX,
        ..Limits::default()
    };
    let photo = Photo::of_file(file, &limits);
    let format = match (photo.format, &photo.fault) {
        (Some(PhotoFormat::Jpeg), _) => Some("jpeg".to_owned()),
        (Some(PhotoFormat::Png), _) => Some("png".to_owned()),
        (None, Some(PhotoFault::Format(guesses))) => guesses.iter().find_map(|guess| match guess {
            FileGuess::Format(name) => Some((*name).to_owned()),
            FileGuess::Content(_) | FileGuess::Changed { .. } => None,
        }),
        (None, _) => None,
    };
    let is_whole = photo.format.is_some_and(|format| pixels::end(&photo.file(), format).is_some());
    ValueShape::Image {
        chars: chars(text),
        base64,
        bytes,
        format,
        pixels: photo.dimensions,
        is_whole,
        token: tokens.of(text),
    }
}

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// How base64 is written, and what it holds; nothing where it is none.
fn base64(text: &str) -> (Base64Shape, Vec<u8>) {
    let without_prefix = text.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    let content = without_prefix.map_or(text, |(_, content)| content);
    let has_line_breaks = content.contains(['\r', '\n']);
    let joined = if has_line_breaks { content.replace(['\r', '\n'], "") } else { content.to_owned() };
    let is_url_safe = joined.contains(['-', '_']);
    let decoded = if is_url_safe { URL_SAFE.decode(&joined) } else { STANDARD.decode(&joined) };
    let shape = Base64Shape {
        is_valid: decoded.is_ok() && !joined.is_empty(),
        is_url_safe,
        is_unpadded: joined.len() % 4 != 0 && !joined.ends_with('='),
        has_line_breaks,
        has_data_uri: without_prefix.is_some(),
    };
    (shape, decoded.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::pictures::{TestImage, TestPictures};

    #[test]
    fn texts_have_classes() {
        for (text, expected) in [
            ("", "empty"),
            ("0211202201", "digits"),
            ("nxGen NBAP-1", "lower+upper+digits+blank+other"),
            ("é", "non-ascii"),
        ] {
            assert_eq!(classes(text), expected);
        }
    }

    #[test]
    fn addresses_have_a_class() {
        let tokens = Tokens::default();
        for (text, expected) in [
            ("10.0.0.1", "private"),
            ("8.8.8.8", "public"),
            ("127.0.0.1", "loopback"),
            ("", "blank"),
            (" ", "blank"),
            (" 10.0.0.1", "malformed"),
            ("x", "malformed"),
        ] {
            let ValueShape::Ip { class, .. } = ip(text, &tokens) else { panic!("{text}") };
            assert_eq!(class, expected, "{text}");
        }
    }

    #[test]
    fn base64_is_described_and_not_kept() {
        let plain = Base64Shape { is_valid: true, ..Base64Shape::default() };
        for (text, expected, bytes) in [
            ("aGVsbG8=", plain, 5),
            ("aGVsbG8", Base64Shape { is_unpadded: true, ..plain }, 5),
            ("aGVs\nbG8=", Base64Shape { has_line_breaks: true, ..plain }, 5),
            ("__-_", Base64Shape { is_url_safe: true, ..plain }, 3),
            ("data:image/png;base64,aGVsbG8=", Base64Shape { has_data_uri: true, ..plain }, 5),
            ("siti!", Base64Shape { is_unpadded: true, ..Base64Shape::default() }, 0),
            ("", Base64Shape::default(), 0),
        ] {
            let ValueShape::Ciphertext { base64, bytes: found, .. } = ciphertext(text) else {
                panic!("{text}")
            };
            assert_eq!((base64, found), (expected, bytes), "{text}");
        }
    }

    #[test]
    fn pictures_have_a_format_a_size_and_an_end() {
        let tokens = Tokens::default();
        let pictures = TestPictures::small();
        for (picture, format, has_pixels, whole) in [
            (TestImage::Portrait, Some("jpeg"), true, true),
            (TestImage::WrappedPortrait, Some("jpeg"), true, true),
            (TestImage::DataUri, Some("jpeg"), true, true),
            (TestImage::Truncated, Some("jpeg"), true, false),
            (TestImage::Gif, Some("GIF"), false, false),
            (TestImage::NotAnImage, None, false, false),
        ] {
            let shape = image(&pictures.base64_of(picture), &tokens);
            let ValueShape::Image { format: found, pixels, is_whole, .. } = shape else {
                panic!("{picture:?}")
            };
            assert_eq!(found.as_deref(), format, "{picture:?}");
            assert_eq!((pixels.is_some(), is_whole), (has_pixels, whole), "{picture:?}");
        }
    }
}
