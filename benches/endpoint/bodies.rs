//! Generates requests with a photo of any length and their own ciphertexts, and fixtures whose gallery has the photo.

use dukcapil_fr_sim::internals::keys;
use dukcapil_fr_sim::internals::protocol::encoding;
use serde_json::json;

use super::load::Request;

/// Size of the simulator's ciphertext cache, and number of ciphertext pairs sent in rotation. There are many more pairs, so that each is
/// evicted before it is sent again: every ciphertext is a cache miss.
pub const CACHED: usize = 500;
pub const PAIRS: usize = 1000;

/// Sizes of the photos, in bytes.
pub const SIZES: [usize; 7] = [30_000, 60_000, 100_000, 300_000, 1_000_000, 2_000_000, 3_000_000];

/// Returns a picture of the gallery, padded to `bytes` by data after its end marker, as cameras do.
pub fn photo(bytes: usize) -> Vec<u8> {
    let mut photo = include_bytes!("../../fixtures/gallery/siti.jpg").to_vec();
    let filler = (photo.len()..bytes).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8);
    photo.extend(filler.collect::<Vec<_>>());
    photo
}

/// Writes fixtures with that picture in the gallery and a ciphertext cache of [`CACHED`].
pub fn fixtures() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let gallery = directory.path().join("gallery");
    std::fs::create_dir(&gallery).expect("a directory");
    std::fs::write(gallery.join("photo.jpg"), photo(0)).expect("a file");
    let text = "[[identities]]\nnik = '3174055708909001'\nname = 'Siti Contoh'\npictures = ['photo.jpg']\n";
    std::fs::write(gallery.join("gallery.toml"), text).expect("a file");
    let limits = format!("limits = {{ remembered_ciphertexts = {CACHED} }}\n");
    std::fs::write(directory.path().join("simulator.toml"), limits).expect("a file");
    directory
}

/// Parts of requests with a photo of one size.
pub struct Bodies {
    shared: Vec<u8>,
    own: Vec<Vec<u8>>,
}

/// Returns ends of bodies, each with its own pair of ciphertexts.
pub fn ends(public_pem: &str) -> Vec<Vec<u8>> {
    let public = keys::read_public_pem(public_pem).expect("a key");
    let encrypt =
        |text: &str| encoding::encode(&keys::encrypt(&public, text.as_bytes()).expect("a ciphertext"));
    let end = |_| {
        format!("\"user_id\":\"{}\",\"password\":\"{}\"}}", encrypt("demo-user"), encrypt("demo-password"))
    };
    (0..PAIRS).map(|number| end(number).into_bytes()).collect()
}

impl Bodies {
    /// Builds one request per end, with a photo of `bytes` bytes.
    pub fn new(bytes: usize, ends: &[Vec<u8>]) -> Bodies {
        let start = json!({
            "transactionId": "T-1", "transactionSource": "bench", "threshold": "7",
            "image": encoding::encode(&photo(bytes)), "ip": "10.0.0.1",
        });
        let start = start.to_string().replace('}', ",");
        let length = start.len() + ends[0].len();
        let head = format!(
            "POST /api/face-recognition/load/CALL_FN HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        Bodies { shared: (head + &start).into_bytes(), own: ends.to_vec() }
    }

    /// Returns the `turn`-th request of one of `threads` threads. No two threads send the same.
    pub fn fresh(&self, thread: usize, threads: usize, turn: usize) -> Request<'_> {
        let share = self.own.len() / threads;
        Request { shared: &self.shared, own: &self.own[thread * share + turn % share] }
    }

    /// Returns the length of a request in bytes.
    pub fn length(&self) -> usize {
        self.shared.len() + self.own[0].len()
    }

    /// Returns always the same request.
    pub fn same(&self) -> Request<'_> {
        Request { shared: &self.shared, own: &self.own[0] }
    }
}
