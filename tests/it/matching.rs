//! Changed photos against the built-in gallery: the right person is found with a good score, and nobody else.

use dukcapil_fr_sim::internals::config::{Fixtures, StartPolicy, load};
use dukcapil_fr_sim::internals::domain::evidence::Photo;
use dukcapil_fr_sim::internals::domain::limits::Limits;
use dukcapil_fr_sim::internals::domain::matcher::{FaceLook, Gallery};
use dukcapil_fr_sim::internals::keys::{KeyRing, PrivateKey};
use dukcapil_fr_sim::internals::protocol::Candidate;
use dukcapil_fr_sim::internals::state::face_matcher::{FaceMatcher, SearchScope};
use image::{DynamicImage, RgbImage};

use crate::support::{SITI, SITIS_NIK};

#[path = "../../examples/measure_matching/changes.rs"]
pub mod changes;

/// Loads the built-in fixtures.
fn fixtures() -> Fixtures {
    let key = PrivateKey::generate("a test's key", 1024).unwrap();
    load(None, KeyRing::new(key, None), &StartPolicy::default()).unwrap()
}

struct TestMatcher {
    fixtures: Fixtures,
    own: Gallery,
    matcher: FaceMatcher,
}

impl TestMatcher {
    fn new() -> TestMatcher {
        TestMatcher { fixtures: fixtures(), own: Gallery::default(), matcher: FaceMatcher::new(0) }
    }

    /// Returns all candidates with a score, best first.
    fn search(&self, file: Vec<u8>) -> Vec<Candidate> {
        let scope = SearchScope {
            customer_id: "demo",
            own: &self.own,
            shared: Some(&self.fixtures.gallery),
            perceptual: true,
        };
        let photo = Photo::of_file(file, &Limits::NONE);
        self.matcher.find(&scope, &photo, 0.0, &FaceLook::NotAsked).candidates(usize::MAX)
    }
}

/// Returns the files of the gallery with their owners.
fn pictures() -> Vec<(String, Vec<u8>)> {
    let fixtures = fixtures();
    let files = dukcapil_fr_sim::internals::config::source::built_in();
    let owner = |sha256: &[u8; 32]| {
        let mut people = fixtures.gallery.identities();
        people
            .find(|person| person.pictures.iter().any(|picture| picture.sha256 == *sha256))
            .unwrap()
            .nik
            .clone()
    };
    files
        .into_iter()
        .filter(|(name, _)| name.ends_with(".jpg") || name.ends_with(".png"))
        .map(|(_, file)| {
            let sha256 = Photo::of_file(file.bytes.to_vec(), &Limits::NONE).sha256.unwrap();
            (owner(&sha256), file.bytes.into_owned())
        })
        .collect()
}

#[test]
fn every_changed_portrait_matches_its_owner_above_7_and_nobody_else_above_5() {
    let test_matcher = TestMatcher::new();
    for (nik, file) in pictures() {
        let picture = image::load_from_memory(&file).unwrap();
        for change in changes::all() {
            let found = test_matcher.search(change.apply(&picture));
            let best = &found[0];
            assert!(best.nik == nik && best.score > 7.0, "{nik} {} {}: {found:?}", change.kind, change.name);
            let other = found.iter().skip(1).map(|other| other.score).fold(0.0, f32::max);
            assert!(other < 5.0, "{nik} {} {}: {found:?}", change.kind, change.name);
        }
    }
}

#[test]
fn different_portraits_of_the_gallery_score_below_5() {
    let test_matcher = TestMatcher::new();
    for (nik, file) in pictures() {
        let found = test_matcher.search(file);
        assert_eq!((found[0].nik.as_str(), found[0].score), (nik.as_str(), 20.0));
        assert!(found.iter().skip(1).all(|other| other.score < 5.0), "{found:?}");
    }
}

/// Real-world file variants: each matches Siti or nobody, without errors.
#[test]
fn unusual_file_formats_of_a_portrait_match_too() {
    let test_matcher = TestMatcher::new();
    let siti = image::load_from_memory(SITI).unwrap();
    let sixteen_bit = changes::png(&DynamicImage::from(siti.to_rgb16()));
    let transparent = changes::png(&DynamicImage::from(siti.to_rgba8()));
    let grey = changes::jpeg(&DynamicImage::from(siti.to_luma8()), 85);
    let grey_alpha = changes::png(&DynamicImage::from(siti.to_luma_alpha16()));
    for (what, file) in [
        ("16-bit", &sixteen_bit[..]),
        ("transparent", &transparent),
        ("grey", &grey),
        ("grey with alpha", &grey_alpha),
        ("CMYK", include_bytes!("pictures/siti-cmyk.jpg")),
        ("progressive", include_bytes!("pictures/siti-progressive.jpg")),
        ("animated", include_bytes!("pictures/siti-animated.png")),
        ("palette", include_bytes!("pictures/siti-palette.png")),
        ("interlaced", include_bytes!("pictures/siti-interlaced.png")),
    ] {
        let found = test_matcher.search(file.to_vec());
        let best = found.first().unwrap_or_else(|| panic!("{what}: nobody"));
        assert!(best.nik == SITIS_NIK && best.score > 7.0, "{what}: {found:?}");
    }
}

#[test]
fn a_blank_picture_matches_nobody() {
    let test_matcher = TestMatcher::new();
    for shade in [0, 255] {
        let plain = DynamicImage::from(RgbImage::from_pixel(360, 480, image::Rgb([shade; 3])));
        for file in [changes::png(&plain), changes::jpeg(&plain, 85)] {
            assert!(test_matcher.search(file).is_empty());
        }
    }
    let dot = DynamicImage::from(RgbImage::from_pixel(1, 1, image::Rgb([200, 10, 10])));
    assert!(test_matcher.search(changes::png(&dot)).is_empty());
}

#[test]
fn corrupt_pixels_match_nobody_and_cause_no_error() {
    let test_matcher = TestMatcher::new();
    let scan = SITI.len() / 2;
    let mut cut = SITI[..scan].to_vec();
    cut.extend_from_slice(b"\xFF\xD9");
    let mut noise = changes::png(&image::load_from_memory(SITI).unwrap());
    let middle = noise.len() / 2;
    noise[middle..middle + 100].fill(0xA5);
    for file in [cut, noise] {
        assert!(Photo::of_file(file.clone(), &Limits::default()).is_fit());
        let found = test_matcher.search(file);
        // The decodable part may be enough for a match, but never for a wrong person.
        assert!(found.iter().all(|other| other.nik == SITIS_NIK || other.score < 5.0), "{found:?}");
    }
}

/// 20,000 x 20,000 black pixels in 50 kB. Request limits reject it; without them it is not decoded either.
#[test]
fn a_decompression_bomb_is_rejected_by_its_header() {
    let bomb = include_bytes!("pictures/bomb.png");
    assert!(bomb.len() < 100_000);
    let photo = Photo::of_file(bomb.to_vec(), &Limits::default());
    assert_eq!(photo.dimensions, Some((20_000, 20_000)));
    assert!(photo.fault.unwrap().to_string().contains("limits.image_pixels"));
    assert!(TestMatcher::new().search(bomb.to_vec()).is_empty());
    let refused =
        dukcapil_fr_sim::internals::domain::matcher::Picture::new(bomb.to_vec(), &Limits::NONE).unwrap_err();
    assert!(refused.contains("it has 400000000 pixels, the maximum is 200000000"), "{refused}");
}

#[test]
fn a_score_does_not_depend_on_the_caches() {
    let picture = image::load_from_memory(SITI).unwrap();
    let copy = changes::jpeg(&picture, 60);
    let fresh = TestMatcher::new().search(copy.clone());
    let test_matcher = TestMatcher::new();
    for (_, file) in pictures() {
        test_matcher.search(file);
    }
    assert_eq!(test_matcher.search(copy.clone()), fresh);
    assert_eq!(test_matcher.search(copy), fresh);
    // The hash of the identical file comes from the gallery; that of the same pixels in another file, from decoding.
    let mut trailer = SITI.to_vec();
    trailer.extend_from_slice(b"behind the end");
    let others = |found: Vec<Candidate>| found.into_iter().skip(1).collect::<Vec<_>>();
    assert_eq!(others(test_matcher.search(SITI.to_vec())), others(test_matcher.search(trailer)));
}
