//! Cost of matching: decoding a picture, hashing a photo, and searching ten thousand identities. `cargo bench --bench matching`

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dukcapil_fr_sim::internals::domain::evidence::Photo;
use dukcapil_fr_sim::internals::domain::limits::Limits;
use dukcapil_fr_sim::internals::domain::matcher::{FaceLook, Gallery, Identity, Picture, look_alikes};
use dukcapil_fr_sim::internals::state::face_matcher::{FaceMatcher, SearchScope};
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, RgbImage};

const PEOPLE: usize = 10_000;
/// Number of different pictures, shared by the people.
const PICTURES: usize = 500;

fn main() {
    let files: Vec<_> = (0..PICTURES).map(|number| photo(number as f32, 640, 480)).collect();
    let start = Instant::now();
    let pictures: Vec<_> = files
        .iter()
        .map(|file| Arc::new(Picture::new(file.clone(), &Limits::NONE).expect("a picture")))
        .collect();
    print_time("opening a picture of the gallery (640 x 480), one thread", start.elapsed() / PICTURES as u32);
    let different: Gallery =
        (0..PEOPLE).map(|number| identity(number, &pictures[number % PICTURES])).collect();
    // All look nearly the same, so every crop is compared with each of them.
    let alike = Arc::new(Picture::new(photo(7.02, 640, 480), &Limits::NONE).expect("a picture"));
    let near: Gallery = (0..PEOPLE).map(|number| identity(number, &alike)).collect();
    for (what, gallery) in [("that differ", &different), ("that all look like the probe", &near)] {
        let matcher = FaceMatcher::new(0);
        let unseen = Photo::of_file(photo(7.0, 641, 480), &Limits::NONE);
        print_time(
            &format!("the first search among {PEOPLE} people {what}"),
            once(|| search(&matcher, gallery, &unseen)),
        );
        let again = (0..100).map(|_| once(|| search(&matcher, gallery, &unseen))).min().unwrap_or_default();
        print_time(&format!("searching again among {PEOPLE} people {what}"), again);
    }
    let strangers =
        (0..100).map(|photo| once(|| drop(black_box(look_alikes(0, &[photo; 32], 285_000_000, 5.0, 10)))));
    print_time("ten look-alikes of a population", strangers.min().unwrap_or_default());
}

fn search(matcher: &FaceMatcher, gallery: &Gallery, photo: &Photo) {
    let own = Gallery::default();
    let scope = SearchScope { customer_id: "bench", own: &own, shared: Some(gallery), perceptual: true };
    black_box(matcher.find(&scope, photo, 7.0, &FaceLook::NotAsked).candidates(10));
}

fn once(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn print_time(what: &str, time: Duration) {
    println!("{what}: {time:?}");
}

fn identity(number: usize, picture: &Arc<Picture>) -> Identity {
    Identity {
        nik: format!("{:016}", 1_111_111_111_110_000 + number),
        name: String::new(),
        pictures: vec![Arc::clone(picture)],
        similar: Vec::new(),
    }
}

/// Returns a JPEG of crossing waves; `kind` makes it different from the others.
fn photo(kind: f32, width: u32, height: u32) -> Vec<u8> {
    let pixels = RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (x as f32 / width as f32, y as f32 / height as f32);
        let wave = (x * (5.0 + kind * 0.3)).sin()
            + (y * (7.0 + kind * 0.7) + x).cos()
            + (x * y * (3.0 + kind)).sin();
        image::Rgb([(127.0 + 40.0 * wave) as u8; 3])
    });
    let mut out = Vec::new();
    JpegEncoder::new_with_quality(&mut out, 85)
        .encode_image(&DynamicImage::from(pixels))
        .expect("a picture can be encoded");
    out
}
