//! Those who call, each with its own chance: clients of every kind, those who steer over the admin API, and who edits the fixtures.

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

/// How long a client waits for an answer; what hangs is left.
const PATIENCE: Duration = Duration::from_millis(300);

/// Customers whose answers, or whose connections, break in some way.
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

/// A thread that calls.
pub struct Caller<'a> {
    program: &'a Program,
    counts: &'a Counts,
    stop: &'a AtomicBool,
    chance: ChaCha8Rng,
    number: u64,
    good: Map<String, Value>,
}

/// Puts the customer whose quota is counted. Its clock stands still, so that its day does not end.
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
            chance: ChaCha8Rng::seed_from_u64(number),
            number,
            good: request(&pem, "demo-password"),
        }
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// Sends requests of every kind.
    pub fn requests(mut self) {
        while self.goes_on() {
            self.counts.requests.fetch_add(1, Ordering::Relaxed);
            match self.chance.random_range(0..10) {
                0..5 => self.counted(),
                5 => self.wrong(),
                6 | 7 => self.odd(),
                8 => self.rubbish(),
                _ => self.broken_off(),
            }
        }
    }

    /// A good request that must be found, and charged.
    fn counted(&mut self) {
        let answer = self.exchange("counted", &body(&self.good), Duration::from_secs(20));
        assert!(answer.contains("\"6018\""), "{answer:?}");
        self.counts.charged.fetch_add(1, Ordering::Relaxed);
    }

    /// One field wrong; the answer must say so.
    fn wrong(&mut self) {
        let mut members = self.good.clone();
        let name =
            ["user_id", "password", "image", "ip", "threshold"].choose(&mut self.chance).expect("a name");
        let values =
            [json!(null), json!("x"), json!(encode(b"no photo")), json!([1]), json!("A".repeat(70_000))];
        members.insert((*name).to_owned(), values.choose(&mut self.chance).expect("a value").clone());
        let answer = self.exchange("load", &body(&members), Duration::from_secs(20));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
    }

    fn odd(&mut self) {
        let customer = ODD.choose(&mut self.chance).expect("a customer");
        let _ = self.exchange(customer, &body(&self.good), PATIENCE);
    }

    /// Bytes that are no HTTP, or HTTP that lies.
    fn rubbish(&mut self) {
        let mut bytes = [0; 200];
        self.chance.fill(&mut bytes);
        let lies = format!(
            "POST /api/face-recognition/load/CALL_FN HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{:?}",
            &bytes[..9]
        );
        let sent = if self.chance.random() { &bytes[..] } else { lies.as_bytes() };
        let _ = self.talk(sent, PATIENCE);
    }

    /// A client that goes in the middle of its upload, or before its answer.
    fn broken_off(&mut self) {
        let sent = http("load", &body(&self.good));
        let end = self.chance.random_range(0..=sent.len());
        if let Ok(mut stream) = TcpStream::connect(self.program.endpoint) {
            let _ = stream.write_all(&sent[..end]);
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn exchange(&self, customer: &str, body: &[u8], timeouts: Duration) -> String {
        self.talk(&http(customer, body), timeouts).unwrap_or_default()
    }

    fn talk(&self, sent: &[u8], timeouts: Duration) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.program.endpoint)?;
        stream.set_read_timeout(Some(timeouts))?;
        stream.write_all(sent)?;
        let mut answer = Vec::new();
        // What came before it broke is looked at as well.
        let _ = stream.read_to_end(&mut answer);
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Reads and changes whatever can be read and changed.
    pub fn administration(mut self) {
        let own = format!("soak-{}", self.number);
        while self.goes_on() {
            match self.chance.random_range(0..8) {
                0 => self.new_key(&own),
                1 => self.clock_jumps(),
                2 => self.rule_comes_and_goes(),
                3 => self.steer("POST", "/reset?scope=state&customer_id=load", None),
                4 => self.steer("POST", "/requests/wait", Some(json!({ "count": 1000, "timeout": "50ms" }))),
                _ => {
                    let paths =
                        ["/requests?limit=50", "/metrics", "/customers", "/config", "/ready", "/gallery"];
                    let path = paths.choose(&mut self.chance).expect("a path");
                    self.steer("GET", path, None);
                }
            }
        }
    }

    /// Does something that the admin API must do; it may refuse wrong fixtures, and a wait may end in vain.
    fn steer(&self, method: &str, path: &str, body: Option<Value>) {
        self.counts.admin.fetch_add(1, Ordering::Relaxed);
        let (status, text) =
            self.program.call(method, path, body.map(|body| body.to_string())).expect("an answer");
        let most = if path.ends_with("/reload") || path.ends_with("/wait") { 499 } else { 399 };
        assert!(status <= most, "{method} {path}: {status} {text}");
    }

    /// A customer with a key of its own comes, calls and goes. The next time its key is another.
    fn new_key(&self, own: &str) {
        let customer = format!("/customers/{own}");
        self.steer("PUT", &customer, Some(json!({ "extends": "load", "key": "generate" })));
        let pem = self.program.call("GET", &format!("{customer}/public.pem"), None).expect("a key").1;
        for _ in 0..2 {
            let answer = self.exchange(own, &body(&request(&pem, "demo-password")), Duration::from_secs(20));
            assert!(answer.contains("\"6018\""), "{answer:?}");
        }
        let old = self.exchange(own, &body(&self.good), Duration::from_secs(20));
        assert!(old.contains("\"5006\""), "sealed with another key: {old:?}");
        self.steer("DELETE", &customer, None);
    }

    fn clock_jumps(&mut self) {
        let by = ["1h", "36h", "400d"].choose(&mut self.chance).expect("a time");
        self.steer("PUT", "/clock", Some(json!({ "advance": by })));
        self.steer("PUT", "/clock", Some(json!({ "now": "2026-11-21T10:00:00+07:00" })));
    }

    fn rule_comes_and_goes(&self) {
        let rule = format!("/customers/load/rules/soak-{}", self.number);
        let body = json!({ "when": { "transaction_id": "nobody's" }, "reply": { "code": "6014" } });
        self.steer("PUT", &rule, Some(body));
        self.steer("DELETE", &rule, None);
    }

    /// Edits the fixtures, rightly and wrongly, and has them read again.
    pub fn reloads(mut self) {
        let file = self.program.directory.path().join("fixtures/customers/edited.toml");
        while self.goes_on() {
            let texts =
                ["extends = 'demo'\n", "extends = 'nobody'\n", "extends = 'load'\n[quota]\nper_day = 5\n"];
            fs::write(&file, texts.choose(&mut self.chance).expect("a text")).expect("a file");
            self.steer("POST", "/config/reload", None);
            std::thread::sleep(Duration::from_millis(50));
        }
        fs::remove_file(&file).expect("it was there");
        self.steer("POST", "/config/reload", None);
    }
}

/// The members of a good request.
fn request(pem: &str, password: &str) -> Map<String, Value> {
    let public = keys::read_public_pem(pem).expect("a public key");
    let seal = |text: &str| encode(&keys::encrypt(&public, text.as_bytes()).expect("a ciphertext"));
    let photo = include_bytes!("../../fixtures/gallery/siti.jpg");
    let request = json!({
        "transactionId": "T-1", "transactionSource": "soak", "threshold": "7", "image": encode(photo),
        "user_id": seal("demo-user"), "password": seal(password), "ip": "10.0.0.1",
    });
    request.as_object().cloned().unwrap_or_default()
}

fn body(members: &Map<String, Value>) -> Vec<u8> {
    Value::Object(members.clone()).to_string().into_bytes()
}

fn http(customer: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /api/face-recognition/{customer}/CALL_FN HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}
