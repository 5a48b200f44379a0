//! Rude clients: pictures that lie, pipelines that are left, long lists that are not read, foreign credentials, events that are not taken,
//! and customers that are removed in the middle of an upload.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::Ordering;
use std::time::Duration;

use dukcapil_fr_sim::internals::protocol::encoding::encode;
use rand::RngExt;
use rand::seq::IndexedRandom;
use serde_json::json;

use super::clients::{Caller, body, http};

/// Elements of a list that is not read.
const NIKS: usize = 20_000;

/// Bytes of a text that a rule is compared with.
const LONG_TEXT: usize = 2 << 20;

impl Caller<'_> {
    /// Does one rude thing after the other.
    pub fn rudeness(mut self) {
        let customer = format!("/customers/{}", self.long_texts());
        self.admin("PUT", &customer, Some(json!({ "extends": "load" })));
        let rule = json!({ "when": { "transaction_id": "/(a|b|ab)*c$/" }, "reply": { "code": "6014" } });
        self.admin("PUT", &format!("{customer}/rules/slow"), Some(rule));
        while self.is_running() {
            self.counts.requests.fetch_add(1, Ordering::Relaxed);
            match self.rng.random_range(0..7) {
                0 => self.picture(),
                1 => self.pipeline(),
                2 => self.unread_list(),
                3 => self.foreign_credentials(),
                4 => self.long_text(),
                5 => self.unread_events(),
                _ => self.removal_during_an_upload(),
            }
        }
        self.admin("DELETE", &customer, None);
    }

    /// The customer whose rule has a regex.
    fn long_texts(&self) -> String {
        format!("soak-texts-{}", self.number)
    }

    /// Sends a picture that is damaged, or announces more than it has.
    fn picture(&mut self) {
        let mut photo = include_bytes!("../../fixtures/gallery/siti.jpg").to_vec();
        match self.rng.random_range(0..3) {
            0 => photo.truncate(self.rng.random_range(0..photo.len())),
            1 => {
                for _ in 0..20 {
                    let at = self.rng.random_range(0..photo.len());
                    photo[at] = self.rng.random();
                }
            }
            // The head of a PNG with 65,535 x 65,535 pixels.
            _ => {
                photo = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xff\xff\0\0\xff\xff\x08\x06\0\0\0".to_vec();
                photo.extend([0; 4000]);
            }
        }
        let mut members = self.good.clone();
        members.insert("image".to_owned(), json!(encode(&photo)));
        let answer = self.exchange("load", &body(&members), Duration::from_secs(20));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
    }

    /// Sends several requests at once, and leaves after a part of the first answer.
    fn pipeline(&mut self) {
        let request = http("load", &body(&self.good));
        let request = String::from_utf8_lossy(&request).replace("Connection: close\r\n", "");
        let count = self.rng.random_range(2..8);
        self.leave(&request.repeat(count), 40);
    }

    /// Asks about many NIKs, and reads a few bytes of the answer.
    fn unread_list(&mut self) {
        let list = json!({ "nik": vec!["3174051708909990"; NIKS], "process": "full" }).to_string();
        let head = "POST /api/nik HTTP/1.1\r\nHost: soak\r\nContent-Type: application/json\r\n";
        self.leave(&format!("{head}Content-Length: {}\r\n\r\n{list}", list.len()), 5000);
    }

    /// Sends the credentials of one customer to another one, and within other texts.
    fn foreign_credentials(&mut self) {
        let mut members = self.good.clone();
        members.insert("transactionId".to_owned(), json!("demo-user:demo-password"));
        members.insert("user_id".to_owned(), json!(encode(b"demo-user:demo-password")));
        let customer = ["always-6018", "nobody", "load"].choose(&mut self.rng).expect("a customer");
        self.exchange(customer, &body(&members), Duration::from_secs(20));
        let (_, journal) = self.program.call("GET", "/requests?limit=20", None).expect("the journal");
        assert!(!journal.contains("demo-password"), "a password in the journal");
    }

    /// Sends a text of megabytes, which a rule's regex would take long for.
    fn long_text(&mut self) {
        let mut members = self.good.clone();
        members.insert("transactionId".to_owned(), json!("ab".repeat(LONG_TEXT / 2)));
        let answer = self.exchange(&self.long_texts(), &body(&members), Duration::from_secs(20));
        assert!(answer.contains("\"5004\""), "{answer:?}");
    }

    /// Subscribes to the events, and does not read them.
    fn unread_events(&mut self) {
        let address = self.program.admin.trim_start_matches("http://").to_owned();
        let Ok(mut stream) = TcpStream::connect(address) else { return };
        let _ = stream.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.counted();
        let _ = stream.shutdown(Shutdown::Both);
    }

    /// Removes a customer while a body of it is under way, and creates another one with its id.
    fn removal_during_an_upload(&mut self) {
        let (id, spec) = (format!("soak-rude-{}", self.number), json!({ "extends": "load" }));
        let path = format!("/customers/{id}");
        self.admin("PUT", &path, Some(spec.clone()));
        let request = http(&id, &body(&self.good));
        let (first, second) = request.split_at(request.len() / 2);
        let Ok(mut stream) = TcpStream::connect(self.program.endpoint) else { return };
        let _ = stream.write_all(first);
        self.admin("DELETE", &path, None);
        self.admin("PUT", &path, Some(spec));
        let mut answer = Vec::new();
        let _ = stream.write_all(second).and_then(|()| stream.read_to_end(&mut answer));
        self.admin("DELETE", &path, None);
    }

    /// Sends bytes, reads some, and leaves.
    fn leave(&self, sent: &str, read: usize) {
        let Ok(mut stream) = TcpStream::connect(self.program.endpoint) else { return };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
        let _ = stream.write_all(sent.as_bytes());
        let _ = stream.read(&mut vec![0; read]);
    }
}
