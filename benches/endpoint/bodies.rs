//! Generates requests with a photo and their own ciphertexts, and fixtures whose gallery has the person in the photo.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dukcapil_fr_sim::internals::keys;
use dukcapil_fr_sim::internals::protocol::encoding;
use serde_json::json;

use super::drawing::PORTRAIT;
use super::load::{Request, Serial};
use super::photos::Photo;

/// Size of the simulator's ciphertext cache, and number of ciphertext pairs sent in rotation. There are many more pairs, so that each is
/// evicted before it is sent again: every ciphertext is a cache miss.
pub const CACHED: usize = 500;
pub const PAIRS: usize = 1000;

/// Sizes of the photos, in bytes.
pub const SIZES: [usize; 7] = [30_000, 60_000, 100_000, 300_000, 1_000_000, 2_000_000, 3_000_000];

/// Returns the picture of the gallery, padded to `bytes` by data after its end marker. It is not what cameras send: only
/// 26 kB of it are a picture, and once its text is cached, nothing of it is decoded.
fn padded_portrait(bytes: usize) -> Vec<u8> {
    let filler = (PORTRAIT.len()..bytes).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8);
    PORTRAIT.iter().copied().chain(filler).collect()
}

/// Writes fixtures with that picture in the gallery and a ciphertext cache of [`CACHED`].
pub fn fixtures() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let gallery = directory.path().join("gallery");
    std::fs::create_dir(&gallery).expect("a directory");
    std::fs::write(gallery.join("photo.jpg"), PORTRAIT).expect("a file");
    let text = "[[identities]]\nnik = '3174055708909001'\nname = 'Siti Contoh'\npictures = ['photo.jpg']\n";
    std::fs::write(gallery.join("gallery.toml"), text).expect("a file");
    let limits = format!("limits = {{ remembered_ciphertexts = {CACHED} }}\n");
    std::fs::write(directory.path().join("simulator.toml"), limits).expect("a file");
    directory
}

/// Parts of requests that share their photos.
pub struct Bodies<'a> {
    photos: Vec<SharedParts>,
    ends: &'a Ends,
    /// Serial number of the next photo.
    serial: AtomicU64,
}

/// Head and beginning of a request, up to its end.
struct SharedParts {
    start: Vec<u8>,
    rest: Vec<u8>,
    /// Returns a serial number between both parts; `None` if every request has the same photo.
    serial: Option<fn(u64) -> Serial>,
}

/// Ends of bodies, each with its own pair of ciphertexts.
pub struct Ends {
    pairs: Vec<Vec<u8>>,
    /// Continues from row to row: a row of few requests would otherwise send the same few in each round, and find them cached.
    next: AtomicUsize,
}

/// Returns ends with ciphertexts for this key.
pub fn ends(public_pem: &str) -> Ends {
    let public = keys::read_public_pem(public_pem).expect("a key");
    let encrypt =
        |text: &str| encoding::encode(&keys::encrypt(&public, text.as_bytes()).expect("a ciphertext"));
    let end = |_| {
        format!("\"user_id\":\"{}\",\"password\":\"{}\"}}", encrypt("demo-user"), encrypt("demo-password"))
    };
    let pairs = (0..PAIRS).map(|number| end(number).into_bytes()).collect();
    Ends { pairs, next: AtomicUsize::default() }
}

impl Ends {
    /// Returns the length of each end, which is always the same.
    fn length(&self) -> usize {
        self.pairs[0].len()
    }
}

impl SharedParts {
    /// Writes the parts before and after the photo's serial number, of requests whose ends have `end` bytes.
    fn new(photo: [&str; 2], serial: Option<fn(u64) -> Serial>, end: usize) -> SharedParts {
        const IMAGE: &str = "image goes here";
        let body = json!({
            "transactionId": "T-1", "transactionSource": "bench", "threshold": "7", "image": IMAGE,
            "ip": "10.0.0.1",
        });
        let body = body.to_string().replace('}', ",");
        let (start, rest) = body.split_once(IMAGE).expect("an image");
        let (start, rest) = ([start, photo[0]].concat(), [photo[1], rest].concat());
        let length = start.len() + serial.map_or(0, |serial| serial(0).len()) + rest.len() + end;
        let head = format!(
            "POST /api/face-recognition/load/CALL_FN HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        SharedParts { start: (head + &start).into_bytes(), rest: rest.into_bytes(), serial }
    }
}

impl<'a> Bodies<'a> {
    /// Builds requests that all have the same photo of `bytes` bytes: after the first one it is cached, and never decoded.
    pub fn known(bytes: usize, ends: &'a Ends) -> Bodies<'a> {
        let photo = encoding::encode(&padded_portrait(bytes));
        Bodies::of(vec![SharedParts::new([&photo, ""], None, ends.length())], ends)
    }

    /// Builds requests that each have a photo of their own.
    pub fn new_photos(photos: &[Photo], ends: &'a Ends) -> Bodies<'a> {
        let parts = |photo: &Photo| {
            SharedParts::new([&photo.before, &photo.after], Some(photo.serial), ends.length())
        };
        Bodies::of(photos.iter().map(parts).collect(), ends)
    }

    fn of(photos: Vec<SharedParts>, ends: &'a Ends) -> Bodies<'a> {
        Bodies { photos, ends, serial: AtomicU64::default() }
    }

    /// Returns a request whose ciphertexts are not cached.
    pub fn fresh(&self) -> Request<'_> {
        self.request(self.ends.next.fetch_add(1, Ordering::Relaxed) % PAIRS)
    }

    /// Returns a request with always the same ciphertexts.
    pub fn same(&self) -> Request<'_> {
        self.request(0)
    }

    fn request(&self, end: usize) -> Request<'_> {
        let number = self.serial.fetch_add(1, Ordering::Relaxed);
        let parts = &self.photos[number as usize % self.photos.len()];
        let serial = parts.serial.map(|serial| serial(number));
        Request { start: &parts.start, serial, rest: &parts.rest, end: &self.ends.pairs[end] }
    }

    /// Returns the length of a request in bytes.
    pub fn length(&self) -> usize {
        let request = self.same();
        request.start.len()
            + request.serial.map_or(0, |serial| serial.len())
            + request.rest.len()
            + request.end.len()
    }
}
