//! Test support: a simulator, requests, raw HTTP exchanges that return the answer's bytes, waiting, and parallel threads.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Barrier, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use dukcapil_fr_sim::internals::keys;
use dukcapil_fr_sim::internals::protocol::encoding;
use dukcapil_fr_sim::{Builder, Simulator};
use serde_json::{Map, Value, json};

/// The gallery picture that requests send, and its NIK.
pub const SITI: &[u8] = include_bytes!("../../fixtures/gallery/siti.jpg");
pub const SITIS_NIK: &str = "3174055708909001";

/// A Saturday morning, for stopped clocks.
pub const MORNING: &str = "2026-11-21T10:00:00+07:00";

/// A keys directory shared by all tests: generating a key takes longer than any of them.
pub static KEYS: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a directory");
    keys::read_or_generate(directory.path(), 2048).expect("a key");
    directory
});

/// Returns a working directory for the binary, without `./fixtures` and `./keys`: those of the repository are its user's.
pub fn elsewhere() -> &'static Path {
    KEYS.path()
}

/// A running simulator.
pub struct Sim(pub Simulator);

impl Sim {
    /// Starts with the built-in fixtures.
    pub fn start() -> Sim {
        Sim::with(|builder| builder)
    }

    /// Starts with the clock stopped at [`MORNING`], and `change` applied to the builder.
    pub fn with(change: impl FnOnce(Builder) -> Builder) -> Sim {
        let builder = Simulator::builder()
            .keys(Some(KEYS.path().to_owned()))
            .clock(MORNING.parse().expect("an instant"));
        Sim(change(builder).start_blocking().expect("a simulator"))
    }

    /// Starts with fixture files that override the built-in ones.
    pub fn over(files: &[(&str, &str)]) -> (Sim, tempfile::TempDir) {
        Sim::over_with(files, |builder| builder)
    }

    /// Starts with fixture files, and [`thread_count`] threads that serve the endpoint.
    pub fn crowded(files: &[(&str, &str)]) -> (Sim, tempfile::TempDir) {
        Sim::over_with(files, |builder| builder.workers(thread_count()))
    }

    /// Starts with fixture files, and `change` applied to the builder.
    pub fn over_with(
        files: &[(&str, &str)],
        change: impl FnOnce(Builder) -> Builder,
    ) -> (Sim, tempfile::TempDir) {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            write_fixture(directory.path(), name, text);
        }
        let path = directory.path().to_owned();
        (Sim::with(|builder| change(builder.fixtures(Some(path)))), directory)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.url().trim_start_matches("http://").parse().expect("an address")
    }

    pub fn admin_address(&self) -> SocketAddr {
        let url = self.0.admin_url().expect("an admin listener");
        url.trim_start_matches("http://").parse().expect("an address")
    }

    /// Returns a valid request, encrypted with this simulator's key.
    pub fn request(&self) -> Body {
        Body::encrypted_with(&self.0.public_key_pem())
    }

    /// Posts a body to a customer's CALL_FN.
    pub fn call(&self, customer: &str, body: impl AsRef<[u8]>) -> Answer {
        self.post(&format!("/api/face-recognition/{customer}/CALL_FN"), body)
    }

    /// Posts a body to a path, with the headers that the document requires.
    pub fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        let headers = "Accept: application/json\r\nContent-Type: application/json\r\n";
        exchange(self.address(), &http("POST", path, headers, body.as_ref()))
    }

    /// Calls the admin API.
    pub fn admin(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let answer = exchange(self.admin_address(), &http(method, path, "", body.as_bytes()));
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
    }

    /// Returns the number of requests in flight.
    pub fn in_flight(&self) -> u64 {
        self.admin("GET", "/ready", "").1["in_flight"].as_u64().expect("a number")
    }

    /// Waits until this number of requests is in flight.
    #[track_caller]
    pub fn wait_for_in_flight(&self, count: u64) {
        eventually(&format!("{count} requests in flight"), || self.in_flight() == count);
    }

    /// Returns the newest journal entry.
    pub fn last(&self) -> Value {
        let (_, listing) = self.admin("GET", "/requests?limit=1", "");
        listing["requests"][0].clone()
    }
}

/// Writes a fixture file, and creates its directories.
pub fn write_fixture(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    std::fs::write(path, text).expect("a file");
}

/// A request body, to be changed before it is sent.
#[derive(Clone)]
pub struct Body {
    pub members: Map<String, Value>,
    pem: String,
}

impl Body {
    pub fn encrypted_with(pem: &str) -> Body {
        let mut body = Body { members: Map::new(), pem: pem.to_owned() };
        let (user, password) = (body.encrypt("demo-user"), body.encrypt("demo-password"));
        for (name, value) in [
            ("transactionId", json!("T-1")),
            ("transactionSource", json!("test")),
            ("threshold", json!("7")),
            ("image", json!(encoding::encode(SITI))),
            ("user_id", json!(user)),
            ("password", json!(password)),
            ("ip", json!("10.0.0.1")),
        ] {
            body.members.insert(name.to_owned(), value);
        }
        body
    }

    /// Encrypts as a client does.
    pub fn encrypt(&self, plain: &str) -> String {
        let key = keys::read_public_pem(&self.pem).expect("a public key");
        encoding::encode(&keys::encrypt(&key, plain.as_bytes()).expect("a ciphertext"))
    }

    pub fn set(mut self, name: &str, value: impl Into<Value>) -> Body {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    pub fn without(mut self, name: &str) -> Body {
        self.members.shift_remove(name);
        self
    }

    pub fn encrypted(self, name: &str, plain: &str) -> Body {
        let value = self.encrypt(plain);
        self.set(name, value)
    }

    pub fn text(&self) -> String {
        Value::Object(self.members.clone()).to_string()
    }
}

impl From<Body> for Vec<u8> {
    fn from(body: Body) -> Vec<u8> {
        body.text().into_bytes()
    }
}

/// A received answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Returns the code, from both answer shapes.
    pub fn code(&self) -> String {
        let json = self.json();
        let code = if json["error"].is_object() { &json["error"]["errorCode"] } else { &json["errorCode"] };
        code.as_str().map_or_else(|| code.to_string(), str::to_owned)
    }

    /// Returns the candidates in `response`.
    pub fn candidates(&self) -> Map<String, Value> {
        let json = self.json();
        let response: Value =
            serde_json::from_str(json["response"].as_str().expect("a response")).expect("JSON");
        response["face"]["FACE_T5"].as_object().expect("an object").clone()
    }
}

/// Returns the bytes of a request with `Connection: close`.
pub fn http(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Sends bytes and reads until the server closes.
pub fn exchange(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).expect("a connection");
    // Ignores errors: the server may answer and close before it has read everything.
    let _ = stream.write_all(bytes);
    let mut all = Vec::new();
    stream.read_to_end(&mut all).expect("an answer");
    parse(&all)
}

pub fn parse(all: &[u8]) -> Answer {
    let split = all.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8(all[..split].to_vec()).expect("a head in ASCII");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head, body: all[split + 4..].to_vec() }
}

/// Decodes a body of one chunk.
pub fn unchunked(body: &[u8]) -> Vec<u8> {
    let at = body.windows(2).position(|window| window == b"\r\n").unwrap();
    let size = usize::from_str_radix(std::str::from_utf8(&body[..at]).unwrap(), 16).unwrap();
    let (data, end) = body[at + 2..].split_at(size);
    assert_eq!(end, b"\r\n0\r\n\r\n");
    data.to_vec()
}

/// How a connection ended for the client.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    Fin,
    Rst,
}

/// Reads until the server closes the connection. Panics when that does not happen within the stream's timeout.
pub fn read_to_the_end(stream: &mut TcpStream) -> (Vec<u8>, End) {
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Ok(_) => (all, End::Fin),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => (all, End::Rst),
        Err(error) => panic!("neither FIN nor RST: {error}"),
    }
}

/// Waits until `condition` holds. Panics with `what` after a minute: the deadline only guards against endlessness.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        thread::yield_now();
    }
}

/// Returns a number of threads that exceeds the number of cores, so that the kernel interrupts them anywhere.
pub fn thread_count() -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    (2 * cores).max(8)
}

/// Runs `work` on `threads` threads that start together. It receives the thread's number, from 0. Returns the results in order.
pub fn in_parallel<T: Send>(threads: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(threads);
    thread::scope(|scope| {
        let (start, work) = (&start, &work);
        let begin = |number| {
            scope.spawn(move || {
                start.wait();
                work(number)
            })
        };
        let running: Vec<_> = (0..threads).map(begin).collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// Returns a picture of nobody in the gallery, with the size of its pictures.
pub fn stranger() -> Vec<u8> {
    let mut png = std::io::Cursor::new(Vec::new());
    let pixels = image::RgbImage::from_fn(360, 480, |x, y| image::Rgb([x as u8, y as u8, 7]));
    pixels.write_to(&mut png, image::ImageFormat::Png).expect("a PNG");
    png.into_inner()
}
