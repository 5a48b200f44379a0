//! What is sent: requests of a photo of any length, with ciphertexts of their own, and a gallery that knows the photos.

use dukcapil_fr_sim::internals::keys;
use dukcapil_fr_sim::internals::protocol::encoding;
use serde_json::json;

use super::load::Request;

/// Ciphertexts that the simulator under load remembers, and pairs of them that are sent in turn: many more, so that each is
/// forgotten when it comes again. Each is fresh to the simulator.
pub const REMEMBERED: usize = 500;
pub const PAIRS: usize = 1000;

/// Lengths of the photos, in bytes.
pub const SIZES: [usize; 7] = [30_000, 60_000, 100_000, 300_000, 1_000_000, 2_000_000, 3_000_000];

/// A picture of the gallery, made as long as wanted by what stands behind its end, as cameras do.
pub fn photo(bytes: usize) -> Vec<u8> {
    let mut photo = include_bytes!("../../fixtures/gallery/siti.jpg").to_vec();
    let filler = (photo.len()..bytes).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8);
    photo.extend(filler.collect::<Vec<_>>());
    photo
}

/// Fixtures with such a gallery and so small a memory.
pub fn fixtures() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let gallery = directory.path().join("gallery");
    std::fs::create_dir(&gallery).expect("a directory");
    std::fs::write(gallery.join("photo.jpg"), photo(0)).expect("a file");
    let text = "[[identities]]\nnik = '3174055708909001'\nname = 'Siti Contoh'\npictures = ['photo.jpg']\n";
    std::fs::write(gallery.join("gallery.toml"), text).expect("a file");
    let limits = format!("limits = {{ remembered_ciphertexts = {REMEMBERED} }}\n");
    std::fs::write(directory.path().join("simulator.toml"), limits).expect("a file");
    directory
}

/// The parts of requests whose photo has a certain length.
pub struct Bodies {
    shared: Vec<u8>,
    own: Vec<Vec<u8>>,
}

/// Pairs of ciphertexts, each pair the end of a body.
pub fn ends(public_pem: &str) -> Vec<Vec<u8>> {
    let public = keys::read_public_pem(public_pem).expect("a key");
    let seal = |text: &str| encoding::encode(&keys::encrypt(&public, text.as_bytes()).expect("a ciphertext"));
    let end =
        |_| format!("\"user_id\":\"{}\",\"password\":\"{}\"}}", seal("demo-user"), seal("demo-password"));
    (0..PAIRS).map(|number| end(number).into_bytes()).collect()
}

impl Bodies {
    /// With a photo of `bytes` bytes and each of the `ends` once.
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

    /// The `turn`-th request of one of `threads` threads: no two of them send the same.
    pub fn fresh(&self, thread: usize, threads: usize, turn: usize) -> Request<'_> {
        let share = self.own.len() / threads;
        Request { shared: &self.shared, own: &self.own[thread * share + turn % share] }
    }

    /// Bytes of a request.
    pub fn length(&self) -> usize {
        self.shared.len() + self.own[0].len()
    }

    /// The same request over and over.
    pub fn same(&self) -> Request<'_> {
        Request { shared: &self.shared, own: &self.own[0] }
    }
}
