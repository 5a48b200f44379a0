//! Long bodies, which bypass the HTTP library: each arrives unchanged, whatever precedes and follows it on the connection, and however
//! it is split.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use dukcapil_fr_sim::internals::http::timeouts::Timeouts;
use dukcapil_fr_sim::internals::protocol::encoding;
use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::abuse::read_answers;
use crate::support::{Answer, Body, SITI, Sim, parse};

const PATH: &str = "/api/face-recognition/load/CALL_FN";

/// A sent request and its expected result.
struct Sent {
    bytes: Vec<u8>,
    /// Status, and the code if the endpoint answers.
    answer: (u16, Option<&'static str>),
    /// Photo digest and body length of the journal entry, by transactionId.
    journaled: Option<(String, String, usize)>,
}

/// Returns a request of one of six kinds, with CR LF or LF, and sometimes empty lines before it.
fn random_request(good: &Body, number: usize, kind: u32, random: &mut ChaCha8Rng) -> Sent {
    let end = if random.random_bool(0.3) { "\n" } else { "\r\n" };
    let empty = if random.random_bool(0.2) { "\r\n\r\n" } else { "" };
    let head =
        |line: &str, more: &str| format!("{empty}{line} HTTP/1.1{end}Host: x{end}{more}{end}").into_bytes();
    let post = format!("POST {PATH}");
    match kind {
        0 => Sent { bytes: head("GET /nowhere", ""), answer: (404, None), journaled: None },
        1 => {
            let mut bytes = head(&post, &format!("Content-Length: 2{end}"));
            bytes.extend(b"{}");
            Sent { bytes, answer: (200, Some("5004")), journaled: None }
        }
        kind => {
            let mut photo = SITI.to_vec();
            photo.resize(random.random_range(30_000..300_000), 0);
            random.fill_bytes(&mut photo[SITI.len()..]);
            let name = format!("T-{number}");
            let body =
                good.clone().set("image", encoding::encode(&photo)).set("transactionId", name.clone()).text();
            let (header, body_bytes) = if kind == 2 {
                ("Transfer-Encoding: chunked".to_owned(), format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()))
            } else {
                (format!("Content-Length: {}", body.len()), body.clone())
            };
            let bytes = [head(&post, &(header + end)), body_bytes.into_bytes()].concat();
            let digest = Sha256::digest(&photo).iter().map(|byte| format!("{byte:02x}")).collect();
            Sent { bytes, answer: (200, Some("6018")), journaled: Some((name, digest, body.len())) }
        }
    }
}

/// Sends bytes in pieces of random size.
fn trickle(mut stream: &TcpStream, bytes: &[u8], random: &mut ChaCha8Rng) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let max_piece = if random.random_bool(0.5) { 200 } else { 200_000 };
        let (piece, behind) = rest.split_at(random.random_range(1..=rest.len().min(max_piece)));
        stream.write_all(piece).unwrap();
        rest = behind;
    }
}

/// Asserts that each request got its answer, and that the journal has its photo unchanged.
fn check(sim: &Sim, all: &[Sent], got: Vec<Answer>) {
    let (_, listing) = sim.admin("GET", "/requests?limit=20", "");
    let journal: Vec<_> =
        listing["requests"].as_array().unwrap().iter().map(|entry| &entry["request"]).collect();
    for (sent, got) in all.iter().zip(got) {
        let code = sent.answer.1.map(|_| got.code());
        assert_eq!((got.status, code.as_deref()), sent.answer, "{}", got.text());
        let Some((name, digest, length)) = &sent.journaled else { continue };
        let request = journal.iter().find(|request| request["transaction_id"] == json!(name)).unwrap();
        assert_eq!(request["image"]["sha256"], json!(digest), "{name}");
        assert_eq!(request["body_bytes"], json!(length), "{name}");
    }
}

#[test]
fn every_long_body_arrives_unchanged() {
    let sim = Sim::with(|builder| builder.journal_bytes(64 << 20));
    let good = sim.request();
    let mut random = ChaCha8Rng::seed_from_u64(7);
    for connection in 0..12 {
        let all: Vec<_> = (0..8)
            .map(|at| random_request(&good, connection * 100 + at, random.random_range(0..6), &mut random))
            .collect();
        let mut stream = TcpStream::connect(sim.address()).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut got = Vec::new();
        for sent in &all {
            trickle(&stream, &sent.bytes, &mut random);
            got.extend(read_answers(&mut stream, 1));
        }
        check(&sim, &all, got);
    }
}

#[test]
fn long_bodies_can_be_pipelined() {
    let sim = Sim::start();
    let (good, mut random) = (sim.request(), ChaCha8Rng::seed_from_u64(8));
    let all: Vec<_> = (0..8).map(|at| random_request(&good, at, 3, &mut random)).collect();
    let mut stream = TcpStream::connect(sim.address()).unwrap();
    let (mut writer, bytes) = (stream.try_clone().unwrap(), all.iter().flat_map(|sent| sent.bytes.clone()));
    let bytes: Vec<u8> = bytes.collect();
    let got = thread::scope(|scope| {
        scope.spawn(|| writer.write_all(&bytes).unwrap());
        read_answers(&mut stream, all.len())
    });
    check(&sim, &all, got);
}

#[test]
fn a_long_body_over_http_1_0_closes_the_connection_after_its_answer() {
    let sim = Sim::start();
    let body = sim.request().text();
    let head = format!("POST {PATH} HTTP/1.0\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut stream = TcpStream::connect(sim.address()).unwrap();
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    assert_eq!(parse(&all).code(), "6018");
    assert_eq!(sim.last()["request"]["body_bytes"], json!(body.len()));
}

/// Sends a head with a larger `Content-Length` than the body that follows.
fn send_incomplete(sim: &Sim, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(sim.address()).unwrap();
    let head = format!("POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len() + 1);
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    stream
}

#[test]
fn a_truncated_long_body_is_journaled_as_aborted() {
    let sim = Sim::start();
    let mut stream = send_incomplete(&sim, &" ".repeat(500_000));
    stream.shutdown(Shutdown::Write).unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
    let wanted = json!({ "match": { "customer_id": "load" }, "count": 1, "timeout": "60s" });
    assert_eq!(sim.admin("POST", "/requests/wait", &wanted.to_string()).0, 200);
    assert_eq!(sim.last()["state"], json!("aborted"));
    assert_eq!(sim.call("load", sim.request().text()).code(), "6018");
}

#[test]
fn a_long_body_that_times_out_is_answered_408() {
    let timeouts = Timeouts { body: Duration::from_millis(20), ..Timeouts::default() };
    let sim = Sim::with(|builder| builder.timeouts(timeouts));
    let Answer { status, body, .. } =
        read_answers(&mut send_incomplete(&sim, &" ".repeat(500_000)), 1).remove(0);
    let error: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &error["error"]["code"]), (408, &json!("body_too_slow")));
}

#[test]
fn an_early_answer_arrives_while_the_long_body_is_still_sent() {
    let sim = Sim::with(|builder| builder.max_body(900_000));
    let body = " ".repeat(1_000_000);
    for (line, header, status) in [
        ("POST /nowhere", "", 404),
        ("PUT /api/face-recognition/load/CALL_FN", "", 405),
        (&*format!("POST {PATH}"), "Content-Encoding: gzip\r\n", 415),
        (&*format!("POST {PATH}"), "", 413),
        ("POST /api/nik", "", 413),
    ] {
        let mut stream = TcpStream::connect(sim.address()).unwrap();
        let head = format!("{line} HTTP/1.1\r\nHost: x\r\n{header}Content-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        let answer = parse(&all);
        assert_eq!(answer.status, status, "{line} {header}");
        assert!(answer.head.contains("connection: close"), "{}", answer.head);
    }
}

#[test]
fn draining_a_rejected_body_is_limited_in_time() {
    let sim = Sim::start();
    let mut stream = TcpStream::connect(sim.address()).unwrap();
    let head = b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";
    stream.write_all(&[&head[..], &[b' '; 20_000]].concat()).unwrap();
    let mut all = Vec::new();
    // Ends when the simulator closes; the rest is never sent.
    let _ = stream.read_to_end(&mut all);
    assert_eq!(parse(&all).status, 404);
}
