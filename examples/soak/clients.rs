//! Load threads with their own random generators: endpoint clients, admin API clients, and an editor of the fixtures.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dukcapil_fr_sim::internals::keys;
use dukcapil_fr_sim::internals::protocol::encoding::encode;
use rand::rngs::ChaCha8Rng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value, json};

use super::Counts;
use super::program::Program;

/// Read timeout of a client, for customers that may hang.
const ODD_TIMEOUT: Duration = Duration::from_millis(300);

/// Customers with broken answers or connections.
const ODD: [&str; 9] = [
    "always-6014",
    "flaky",
    "gateway-down",
    "hang",
    "reset",
    "truncated",
    "crowded",
    "sample-6018",
    "nobody",
];

/// State of one load thread.
pub struct Caller<'a> {
    pub program: &'a Program,
    pub counts: &'a Counts,
    stop: &'a AtomicBool,
    pub rng: ChaCha8Rng,
    pub number: u64,
    pub good: Map<String, Value>,
}

/// Creates the customer whose quota is counted. Its clock is stopped, so that its day does not end.
pub fn prepare(program: &Program) -> Result<(), String> {
    put(program, "/customers/counted", json!({ "extends": "load", "quota": { "per_day": 1_000_000_000 } }))?;
    put(program, "/customers/counted/clock", json!({ "now": "2026-11-21T10:00:00+07:00" }))
}

fn put(program: &Program, path: &str, body: Value) -> Result<(), String> {
    let (status, text) = program.call("PUT", path, Some(body.to_string()))?;
    if status < 300 { Ok(()) } else { Err(format!("PUT {path}: {status} {text}")) }
}

impl<'a> Caller<'a> {
    pub fn new(program: &'a Program, counts: &'a Counts, stop: &'a AtomicBool, number: u64) -> Caller<'a> {
        let (_, pem) = program.call("GET", "/keys/public.pem", None).expect("a public key");
        Caller {
            program,
            counts,
            stop,
            rng: ChaCha8Rng::seed_from_u64(number),
            number,
            good: request(&pem, "demo-password"),
        }
    }

    pub fn is_running(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// Sends requests of every kind.
    pub fn requests(mut self) {
        while self.is_running() {
            self.counts.requests.fetch_add(1, Ordering::Relaxed);
            match self.rng.random_range(0..10) {
                0..5 => self.counted(),
                5 => self.wrong(),
                6 | 7 => self.odd(),
                8 => self.malformed(),
                _ => self.aborted(),
            }
        }
    }

    /// Sends a valid request, which must be found and charged.
    pub fn counted(&mut self) {
        let answer = self.exchange("counted", &body(&self.good), Duration::from_secs(20));
        assert!(answer.contains("\"6018\""), "{answer:?}");
        self.counts.charged.fetch_add(1, Ordering::Relaxed);
    }

    /// Sends a request with one invalid field; HTTP status must still be 200.
    fn wrong(&mut self) {
        let mut members = self.good.clone();
        let name = ["user_id", "password", "image", "ip", "threshold"].choose(&mut self.rng).expect("a name");
        let values =
            [json!(null), json!("x"), json!(encode(b"no photo")), json!([1]), json!("A".repeat(70_000))];
        members.insert((*name).to_owned(), values.choose(&mut self.rng).expect("a value").clone());
        let answer = self.exchange("load", &body(&members), Duration::from_secs(20));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
    }

    fn odd(&mut self) {
        let customer = ODD.choose(&mut self.rng).expect("a customer");
        let _ = self.exchange(customer, &body(&self.good), ODD_TIMEOUT);
    }

    /// Sends bytes that are not HTTP, or malformed HTTP.
    fn malformed(&mut self) {
        let mut bytes = [0; 200];
        self.rng.fill(&mut bytes);
        let bad_chunk = format!(
            "POST /api/face-recognition/load/CALL_FN HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{:?}",
            &bytes[..9]
        );
        let sent = if self.rng.random() { &bytes[..] } else { bad_chunk.as_bytes() };
        let _ = self.send(sent, ODD_TIMEOUT);
    }

    /// Disconnects in the middle of an upload, or before the answer.
    fn aborted(&mut self) {
        let sent = http("load", &body(&self.good));
        let end = self.rng.random_range(0..=sent.len());
        if let Ok(mut stream) = TcpStream::connect(self.program.endpoint) {
            let _ = stream.write_all(&sent[..end]);
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn exchange(&self, customer: &str, body: &[u8], timeout: Duration) -> String {
        self.send(&http(customer, body), timeout).unwrap_or_default()
    }

    fn send(&self, sent: &[u8], timeout: Duration) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.program.endpoint)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.write_all(sent)?;
        let mut answer = Vec::new();
        // Ignores errors: a partial answer counts too.
        let _ = stream.read_to_end(&mut answer);
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Calls every kind of admin operation, reads and changes.
    pub fn administration(mut self) {
        let own = format!("soak-{}", self.number);
        while self.is_running() {
            match self.rng.random_range(0..8) {
                0 => self.new_key(&own),
                1 => self.jump_clock(),
                2 => self.create_and_remove_rule(),
                3 => self.admin("POST", "/reset?scope=state&customer_id=load", None),
                4 => self.admin("POST", "/requests/wait", Some(json!({ "count": 1000, "timeout": "50ms" }))),
                _ => {
                    let paths =
                        ["/requests?limit=50", "/metrics", "/customers", "/config", "/ready", "/gallery"];
                    let path = paths.choose(&mut self.rng).expect("a path");
                    self.admin("GET", path, None);
                }
            }
        }
    }

    /// Calls the admin API, which must succeed. Only a reload may reject invalid fixtures, and a wait may time out.
    pub fn admin(&self, method: &str, path: &str, body: Option<Value>) {
        self.counts.admin.fetch_add(1, Ordering::Relaxed);
        let (status, text) =
            self.program.call(method, path, body.map(|body| body.to_string())).expect("an answer");
        let max_status = if path.ends_with("/reload") || path.ends_with("/wait") { 499 } else { 399 };
        assert!(status <= max_status, "{method} {path}: {status} {text}");
    }

    /// Creates a customer with a generated key, calls it and removes it. Each time the key is new.
    fn new_key(&self, own: &str) {
        let customer = format!("/customers/{own}");
        self.admin("PUT", &customer, Some(json!({ "extends": "load", "key": "generate" })));
        let pem = self.program.call("GET", &format!("{customer}/public.pem"), None).expect("a key").1;
        for _ in 0..2 {
            let answer = self.exchange(own, &body(&request(&pem, "demo-password")), Duration::from_secs(20));
            assert!(answer.contains("\"6018\""), "{answer:?}");
        }
        let old = self.exchange(own, &body(&self.good), Duration::from_secs(20));
        assert!(old.contains("\"5006\""), "encrypted with another key: {old:?}");
        self.admin("DELETE", &customer, None);
    }

    fn jump_clock(&mut self) {
        let by = ["1h", "36h", "400d"].choose(&mut self.rng).expect("a time");
        self.admin("PUT", "/clock", Some(json!({ "advance": by })));
        self.admin("PUT", "/clock", Some(json!({ "now": "2026-11-21T10:00:00+07:00" })));
    }

    fn create_and_remove_rule(&self) {
        let rule = format!("/customers/load/rules/soak-{}", self.number);
        let body = json!({ "when": { "transaction_id": "nobody's" }, "reply": { "code": "6014" } });
        self.admin("PUT", &rule, Some(body));
        self.admin("DELETE", &rule, None);
    }

    /// Writes valid and invalid fixtures, and reloads them.
    pub fn reloads(mut self) {
        let file = self.program.directory.path().join("fixtures/customers/edited.toml");
        while self.is_running() {
            let texts =
                ["extends = 'demo'\n", "extends = 'nobody'\n", "extends = 'load'\n[quota]\nper_day = 5\n"];
            fs::write(&file, texts.choose(&mut self.rng).expect("a text")).expect("a file");
            self.admin("POST", "/config/reload", None);
            std::thread::sleep(Duration::from_millis(50));
        }
        fs::remove_file(&file).expect("it was there");
        self.admin("POST", "/config/reload", None);
    }
}

/// Returns the JSON members of a valid request.
fn request(pem: &str, password: &str) -> Map<String, Value> {
    let public = keys::read_public_pem(pem).expect("a public key");
    let encrypt = |text: &str| encode(&keys::encrypt(&public, text.as_bytes()).expect("a ciphertext"));
    let photo = include_bytes!("../../fixtures/gallery/siti.jpg");
    let request = json!({
        "transactionId": "T-1", "transactionSource": "soak", "threshold": "7", "image": encode(photo),
        "user_id": encrypt("demo-user"), "password": encrypt(password), "ip": "10.0.0.1",
    });
    request.as_object().cloned().unwrap_or_default()
}

pub fn body(members: &Map<String, Value>) -> Vec<u8> {
    Value::Object(members.clone()).to_string().into_bytes()
}

pub fn http(customer: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /api/face-recognition/{customer}/CALL_FN HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}
