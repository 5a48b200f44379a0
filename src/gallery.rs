//! The gallery: who can be found, by which pictures. A probe is found by the identical file or by identical pixels.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::io::Cursor;
use std::sync::OnceLock;

use image::ImageReader;
use sha2::{Digest, Sha256};

use crate::evidence::Photo;
use crate::fixtures::Limits;
use crate::protocol::Candidate;

/// Score of identical pictures: the top of the matcher's scale of 0 to 20 (FIELD-NOTES, "Scores").
pub const TOP_SCORE: f32 = 20.0;

/// A citizen of the gallery.
#[derive(Debug)]
pub struct Identity {
    /// Sixteen digits.
    pub nik: String,
    pub name: String,
    pub pictures: Vec<Picture>,
}

/// A picture of an identity.
pub struct Picture {
    bytes: Cow<'static, [u8]>,
    sha256: [u8; 32],
    dimensions: (u32, u32),
    /// Made when a probe of the same dimensions comes.
    pixels: OnceLock<Option<[u8; 32]>>,
}

// A derived Debug would print the picture.
impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({} bytes)", self.bytes.len())
    }
}

impl Picture {
    /// Takes a jpg or png.
    ///
    /// # Errors
    /// When it is neither, or not whole. The limits are for requests and do not hold here.
    pub fn new(bytes: Cow<'static, [u8]>) -> Result<Picture, String> {
        let photo = Photo::of_file(bytes.to_vec(), &Limits::NONE);
        match (photo.fault, photo.sha256, photo.dimensions) {
            (None, Some(sha256), Some(dimensions)) => {
                Ok(Picture { bytes, sha256, dimensions, pixels: OnceLock::new() })
            }
            (fault, ..) => Err(fault.map_or("is no photo".to_owned(), |fault| fault.to_string())),
        }
    }

    /// The file's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn pixels(&self) -> Option<[u8; 32]> {
        *self.pixels.get_or_init(|| pixel_digest(&self.bytes))
    }
}

/// Who can be found.
#[derive(Debug, Default)]
pub struct Gallery {
    identities: Vec<Identity>,
    /// Identities by the digest of a picture's file.
    by_file: HashMap<[u8; 32], Vec<usize>>,
    /// Identity and picture by dimensions: pixels can be equal only where these are.
    by_dimensions: HashMap<(u32, u32), Vec<(usize, usize)>>,
}

impl Gallery {
    /// A gallery of these identities.
    #[must_use]
    pub fn new(identities: Vec<Identity>) -> Gallery {
        let mut gallery = Gallery::default();
        for (person, identity) in identities.iter().enumerate() {
            for (number, picture) in identity.pictures.iter().enumerate() {
                gallery.by_file.entry(picture.sha256).or_default().push(person);
                gallery.by_dimensions.entry(picture.dimensions).or_default().push((person, number));
            }
        }
        gallery.identities = identities;
        gallery
    }

    /// The identities, in the order of the file.
    #[must_use]
    pub fn identities(&self) -> &[Identity] {
        &self.identities
    }

    /// The candidates at or above `threshold`, best first, at most `max`. Deterministic.
    #[must_use]
    pub fn search(&self, probe: &Photo, threshold: f64, max: usize) -> Vec<Candidate> {
        if f64::from(TOP_SCORE) < threshold {
            return Vec::new();
        }
        let mut found = self.identical(probe);
        found.sort_unstable();
        found.dedup();
        found
            .into_iter()
            .take(max)
            .map(|person| Candidate { nik: self.identities[person].nik.clone(), score: TOP_SCORE })
            .collect()
    }

    fn identical(&self, probe: &Photo) -> Vec<usize> {
        if let Some(people) = probe.sha256.and_then(|digest| self.by_file.get(&digest)) {
            return people.clone();
        }
        let Some(same_size) = probe.dimensions.and_then(|dimensions| self.by_dimensions.get(&dimensions))
        else {
            return Vec::new();
        };
        let Some(pixels) = pixel_digest(&probe.bytes) else { return Vec::new() };
        same_size
            .iter()
            .filter(|(person, number)| self.identities[*person].pictures[*number].pixels() == Some(pixels))
            .map(|(person, _)| *person)
            .collect()
    }
}

/// Digest of the decoded pixels; `None` for a picture that cannot be decoded.
fn pixel_digest(bytes: &[u8]) -> Option<[u8; 32]> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
    Some(Sha256::digest(reader.decode().ok()?.to_rgb8().as_raw()).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{DynamicImage, ImageFormat, RgbImage};

    /// Three pictures of one size that differ.
    fn picture(number: u8) -> RgbImage {
        RgbImage::from_fn(64, 48, |x, y| image::Rgb([x as u8 * 3, y as u8 * 5, number * 80]))
    }

    fn encode(pixels: &RgbImage, format: ImageFormat) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        DynamicImage::from(pixels.clone()).write_to(&mut out, format).unwrap();
        out.into_inner()
    }

    fn probe(bytes: &[u8]) -> Photo {
        Photo::of_file(bytes.to_vec(), &Limits::default())
    }

    fn identity(nik: &str, picture: Vec<u8>) -> Identity {
        let pictures = vec![Picture::new(Cow::Owned(picture)).unwrap()];
        Identity { nik: nik.to_owned(), name: "Contoh".to_owned(), pictures }
    }

    fn niks(candidates: &[Candidate]) -> Vec<&str> {
        candidates.iter().map(|candidate| candidate.nik.as_str()).collect()
    }

    #[test]
    fn a_person_is_found_by_the_file_and_by_its_pixels_and_a_stranger_is_not() {
        let (first, second, third) = (picture(0), picture(1), picture(2));
        let gallery = Gallery::new(vec![
            identity("1111111111119001", encode(&first, ImageFormat::Png)),
            identity("2222222222229002", encode(&second, ImageFormat::Jpeg)),
        ]);
        let search = |bytes: &[u8]| gallery.search(&probe(bytes), 7.0, 10);
        assert_eq!(niks(&search(&encode(&first, ImageFormat::Png))), ["1111111111119001"]);
        let jpeg = encode(&second, ImageFormat::Jpeg);
        assert_eq!(niks(&search(&jpeg)), ["2222222222229002"]);
        let as_png = encode(&image::load_from_memory(&jpeg).unwrap().to_rgb8(), ImageFormat::Png);
        assert_eq!(niks(&search(&as_png)), ["2222222222229002"]);
        assert!(search(&encode(&third, ImageFormat::Png)).is_empty());
    }

    #[test]
    fn the_threshold_is_inclusive_and_results_are_cut() {
        let picture = encode(&picture(0), ImageFormat::Png);
        let twins = ["1111111111119001", "1111111111119002", "1111111111119003"];
        let gallery = Gallery::new(twins.iter().map(|nik| identity(nik, picture.clone())).collect());
        assert_eq!(niks(&gallery.search(&probe(&picture), 20.0, 10)), twins);
        assert_eq!(niks(&gallery.search(&probe(&picture), 1.0, 2)), twins[..2]);
        assert!(gallery.search(&probe(&picture), 20.000_001, 10).is_empty());
    }
}
