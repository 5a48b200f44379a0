//! Faces: a new photo of an enrolled person, matched by the vectors of a face engine. The engine is a fake one, which says what a test
//! wants. `.ci/faces` has the check with a real one.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dukcapil_fr_sim::internals::protocol::encoding;
use dukcapil_fr_sim::{Builder, Entry, Observer, Problem};
use image::{DynamicImage, Rgb, RgbImage};
use serde_json::{Value, json};

use crate::matching::changes;
use crate::redis_server::RedisServer;
use crate::support::{
    Body, SITI, SITIS_NIK, Sim, eventually, exchange, http, in_parallel, unchunked, write_fixture,
};

const NIK: &str = "3273010101909777";
const OTHER: &str = "3273010101909778";

/// A photo that looks like no other: squares of random grey.
fn photo(seed: u64) -> Vec<u8> {
    changes::png(&squares(seed))
}

fn squares(seed: u64) -> DynamicImage {
    let shade = |x: u32, y: u32| {
        let mut mixed = seed ^ u64::from(x / 16) << 32 ^ u64::from(y / 16) << 48;
        for _ in 0..3 {
            mixed = (mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9).wrapping_add(1);
        }
        (mixed >> 56) as u8
    };
    RgbImage::from_fn(192, 256, |x, y| Rgb([shade(x, y); 3])).into()
}

/// A request that the engine got.
#[derive(Clone, Debug)]
struct Asked {
    head: String,
    body: Vec<u8>,
}

/// What the engine does with a request.
#[derive(Clone)]
enum Does {
    Answers(u16, String),
    /// Sends these bytes.
    Sends(Vec<u8>),
    Closes,
    /// Says nothing until the gate opens.
    Waits,
}

/// Answers with the vectors of these faces.
fn faces(vectors: &[&[f64]]) -> Does {
    let results: Vec<_> = vectors.iter().map(|vector| json!({ "embedding": vector })).collect();
    Does::Answers(200, json!({ "results": results }).to_string())
}

#[derive(Default)]
struct EngineState {
    /// By photo; the default for all others.
    photos: HashMap<Vec<u8>, Does>,
    other: Option<Does>,
    asked: Vec<Asked>,
    /// Whether those that wait go on.
    is_open: bool,
    at_once: usize,
    max_at_once: usize,
    /// The connections of those that wait.
    held: Vec<TcpStream>,
}

/// A face engine that says what a test wants.
struct FakeEngine {
    address: SocketAddr,
    state: Arc<(Mutex<EngineState>, Condvar)>,
    is_stopped: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl FakeEngine {
    fn start() -> FakeEngine {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (state, is_stopped) =
            (Arc::<(Mutex<EngineState>, Condvar)>::default(), Arc::new(AtomicBool::new(false)));
        let address = listener.local_addr().unwrap();
        let (its_state, its_stop) = (Arc::clone(&state), Arc::clone(&is_stopped));
        let acceptor = thread::spawn(move || {
            for stream in listener.incoming() {
                if its_stop.load(Ordering::Relaxed) {
                    return;
                }
                let state = Arc::clone(&its_state);
                thread::spawn(move || serve(stream.unwrap(), &state));
            }
        });
        FakeEngine { address, state, is_stopped, acceptor: Some(acceptor) }
    }

    fn set(&self, change: impl FnOnce(&mut EngineState)) {
        change(&mut self.state.0.lock().unwrap());
        self.state.1.notify_all();
    }

    /// Lets the engine find a face with this vector in a photo.
    fn knows(&self, photo: &[u8], vector: &[f64]) {
        self.set(|state| drop(state.photos.insert(photo.to_vec(), faces(&[vector]))));
    }

    fn otherwise(&self, does: Does) {
        self.set(|state| state.other = Some(does));
    }

    fn asked(&self) -> Vec<Asked> {
        self.state.0.lock().unwrap().asked.clone()
    }

    fn count(&self) -> usize {
        self.state.0.lock().unwrap().asked.len()
    }

    fn at_once(&self) -> (usize, usize) {
        let state = self.state.0.lock().unwrap();
        (state.at_once, state.max_at_once)
    }

    fn open_gate(&self) {
        self.set(|state| state.is_open = true);
    }

    /// Closes the port.
    fn stop(&mut self) {
        self.open_gate();
        self.is_stopped.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().unwrap();
        }
    }

    /// `[matcher.faces]` for this engine, with more keys.
    fn settings(&self, more: &str) -> String {
        format!(
            "[matcher.faces]\nurl = 'http://{}/represent?key=geheim'\nvectors = 'results/*/embedding'\n\
             strangers = {{ mean = 0.0, deviation = 0.1 }}\n{more}\n",
            self.address
        )
    }

    /// A simulator that asks this engine.
    fn sim(&self, more: &str) -> (Sim, tempfile::TempDir) {
        Sim::over(&[("simulator.toml", &self.settings(more))])
    }

    /// How messages name it.
    fn name(&self) -> String {
        format!("the face engine at http://{}/represent: ", self.address)
    }
}

impl Drop for FakeEngine {
    fn drop(&mut self) {
        self.stop();
    }
}

fn serve(mut stream: TcpStream, (state, changed): &(Mutex<EngineState>, Condvar)) {
    // A mere connection is no request.
    let Some(asked) = read_request(&mut stream) else { return };
    let mut guard = state.lock().unwrap();
    let does = guard.photos.get(&asked.body).or(guard.other.as_ref()).cloned().unwrap_or_else(|| faces(&[]));
    guard.asked.push(asked);
    guard.at_once += 1;
    guard.max_at_once = guard.max_at_once.max(guard.at_once);
    if matches!(does, Does::Waits) {
        guard.held.push(stream.try_clone().unwrap());
        guard = changed.wait_while(guard, |state| !state.is_open).unwrap();
    }
    guard.at_once -= 1;
    drop(guard);
    let answer = match does {
        Does::Answers(status, body) => {
            format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
        }
        Does::Sends(bytes) => bytes,
        Does::Closes => Vec::new(),
        Does::Waits => b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{\"results\":[]}".to_vec(),
    };
    // The simulator may be gone.
    let _ = stream.write_all(&answer);
}

fn read_request(stream: &mut TcpStream) -> Option<Asked> {
    let (mut bytes, mut part) = (Vec::new(), [0; 65536]);
    loop {
        let read = stream.read(&mut part).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&part[..read]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
        let length: usize = length.parse().unwrap();
        if bytes.len() >= end + 4 + length {
            return Some(Asked { head, body: bytes[end + 4..].to_vec() });
        }
    }
}

/// Enrols a person with one picture.
fn enrol(sim: &Sim, nik: &str, picture: &[u8]) -> (u16, Value) {
    let body = json!({ "nik": nik, "name": "Baru", "pictures": [encoding::encode(picture)] });
    sim.admin("POST", "/gallery", &body.to_string())
}

fn body_with(sim: &Sim, photo: &[u8]) -> Body {
    sim.request().set("image", encoding::encode(photo))
}

/// What a request with this photo is answered, by code and NIKs, and its entry.
fn call(sim: &Sim, photo: &[u8]) -> (String, Vec<String>, Value) {
    let answer = sim.call("load", body_with(sim, photo).text());
    let code = answer.code();
    let found = if code == "6018" {
        answer.candidates().into_iter().map(|(nik, _)| nik).collect()
    } else {
        Vec::new()
    };
    (code, found, sim.last())
}

fn explain(sim: &Sim, photo: &[u8]) -> Value {
    let body: Value = serde_json::from_str(&body_with(sim, photo).text()).unwrap();
    sim.admin("POST", "/explain", &json!({ "customer_id": "load", "body": body }).to_string()).1
}

fn metric(sim: &Sim, name: &str) -> Option<String> {
    let answer = exchange(sim.admin_address(), &http("GET", "/metrics", "", b""));
    let text = String::from_utf8(answer.body).unwrap();
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned))
}

/// Collects what a simulator warns of.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Observer for Warnings {
    fn request(&self, _: &Entry) {}
    fn reloaded(&self, _: usize) {}
    fn refused(&self, problems: &[Problem]) {
        panic!("{}", Problem::list(problems));
    }
    fn warned(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

impl Warnings {
    #[track_caller]
    fn wait_for(&self, part: &str) {
        eventually(part, || self.0.lock().unwrap().iter().any(|message| message.contains(part)));
    }
}

fn warned(builder: Builder) -> (Builder, Arc<Warnings>) {
    let warnings = Arc::new(Warnings::default());
    (builder.observer(Arc::clone(&warnings) as Arc<dyn Observer>), warnings)
}

#[test]
fn a_new_photo_finds_the_enrolled_person_by_the_face() {
    let engine = FakeEngine::start();
    let (sim, _fixtures) = engine.sim("");
    let (enrolled, selfie, stranger) = (photo(1), photo(2), photo(3));
    engine.knows(&enrolled, &[3.0, 0.0, 0.0]);
    engine.knows(&selfie, &[0.7, 0.714_142_842_854_285, 0.0]);
    engine.knows(&stranger, &[0.1, 0.0, 0.9]);
    let (status, answer) = enrol(&sim, NIK, &enrolled);
    assert_eq!((status, &answer["pictures"][0]["face"], answer.get("warnings")), (200, &json!(true), None));
    let (code, found, entry) = call(&sim, &selfie);
    assert_eq!((&*code, found), ("6018", vec![NIK.to_owned()]));
    let candidate = &entry["answer"]["candidates"][0];
    assert_eq!(candidate["by"], "face");
    // The cosine is 0.7, and 7 deviations are -log10 of 1.3e-12.
    assert!((candidate["score"].as_f64().unwrap() - 11.89).abs() < 0.02, "{candidate}");
    assert_eq!(entry["answer"]["reason"], "1 candidate, score 11.89, by the face");
    let explanation = explain(&sim, &selfie);
    assert_eq!(
        (&explanation["candidates"], &explanation["reason"]),
        (&entry["answer"]["candidates"], &entry["answer"]["reason"])
    );
    let (code, found, entry) = call(&sim, &enrolled);
    assert_eq!(
        (&*code, found, &entry["answer"]["candidates"][0]["by"]),
        ("6018", vec![NIK.to_owned()], &json!("picture"))
    );
    assert_eq!(call(&sim, &stranger).1, Vec::<String>::new());
    assert_eq!(engine.count(), 3, "once for each photo");
    assert!(engine.asked()[0].head.contains("content-type: image/png") && engine.asked()[0].body == enrolled);
    assert_eq!(sim.admin("GET", "/ready", "").1["faces"], "ok");
    assert_eq!(metric(&sim, r#"frsim_face_engine_photos_total{result="vector"}"#).as_deref(), Some("3"));
    assert_eq!(metric(&sim, "frsim_face_engine_failing{}").as_deref(), Some("0"));
}

#[test]
fn the_engine_is_asked_as_the_settings_say() {
    let engine = FakeEngine::start();
    let more = r#"
        body = '{"model_name":"SFace","img":"data:image/jpeg;base64,{image}"}'
        headers = { X-Api-Key = "abc-123" }"#;
    let (sim, _fixtures) = engine.sim(more);
    call(&sim, &photo(1));
    let Asked { head, body } = &engine.asked()[0];
    assert!(head.starts_with("post /represent?key=geheim http/1.1\r\n"), "{head}");
    assert!(
        head.contains("content-type: application/json\r\n") && head.contains("x-api-key: abc-123"),
        "{head}"
    );
    let image = format!("data:image/jpeg;base64,{}", encoding::encode(&photo(1)));
    assert_eq!(
        serde_json::from_slice::<Value>(body).unwrap(),
        json!({ "model_name": "SFace", "img": image })
    );
}

/// What an engine may do wrong, and what the reason says behind its name.
fn failures() -> Vec<(&'static str, Does, &'static str)> {
    let vector = |json: &str| Does::Answers(200, format!(r#"{{"results":[{{"embedding":{json}}}]}}"#));
    let redirect = b"HTTP/1.1 307 X\r\nLocation: /represent\r\nContent-Length: 0\r\n\r\n";
    let long = Does::Answers(
        200,
        format!(r#"{{"results":[{{"embedding":[1]}}],"more":"{}"}}"#, "x".repeat(10_000_000)),
    );
    vec![
        ("null", vector("null"), "the vector is null, not a list of numbers"),
        ("null in it", vector("[1,null]"), "element 1 of the vector is null, not a number"),
        ("NaN", vector("[NaN, 1]"), "its answer is not JSON at line 1 column 27; JSON has no NaN"),
        ("a zero vector", vector("[0, 0.0, 0]"), "the vector is nothing but zeros"),
        ("a text", vector("\"[1]\""), "the vector is a text, not a list of numbers"),
        ("over 10 MB", long, "its answer is longer than 10000000 bytes"),
        ("a redirect", Does::Sends(redirect.to_vec()), "it answers 307, a redirect, which is not followed"),
        ("4xx", Does::Answers(404, "{}".to_owned()), "it answers 404"),
        ("5xx", Does::Answers(500, r#"{"results":[{"embedding":[1]}]}"#.to_owned()), "it answers 500"),
        ("no JSON", Does::Answers(200, "<html>".to_owned()), "its answer is not JSON at line 1 column 1"),
        ("no such path", Does::Answers(200, "{}".to_owned()), "its answer has no \"results\""),
        ("no HTTP", Does::Sends(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()), "bytes that are not HTTP came"),
        ("no answer", Does::Closes, "before an answer"),
        (
            "half an answer",
            Does::Sends(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_vec()),
            "before the end of the answer",
        ),
    ]
}

/// Checks that a photo is answered 6014, and that the reason is everywhere.
#[track_caller]
fn check_failure(what: &str, sim: &Sim, photo: &[u8], engine: &str, reason: &str) {
    let (code, _, entry) = call(sim, photo);
    let told = entry["answer"]["reason"].as_str().unwrap();
    assert!(code == "6014" && told.starts_with(engine) && told.contains(reason), "{what}: {code}, {told}");
    assert_eq!(entry["warnings"][0], json!({ "name": "faces", "message": told }), "{what}");
    assert!(
        !entry["rests_on"].to_string().contains("not_found"),
        "{what}: not what the matcher says of nobody"
    );
    assert!(entry["answer"]["hint"].as_str().unwrap().contains("[matcher.faces]"), "{what}");
    let explanation = explain(sim, photo);
    let said = explanation["reason"].as_str().unwrap();
    assert!(
        explanation["code"] == "6014" && said.starts_with(engine) && said.contains(reason),
        "{what}: {explanation}"
    );
    for text in [told, said] {
        assert!(!text.contains("geheim"), "{what}: the query is hidden: {text}");
    }
}

#[test]
fn an_engine_that_fails_is_6014_with_its_name_in_the_reason() {
    let engine = FakeEngine::start();
    let (sim, _fixtures) = engine.sim("timeout = '1m'");
    let enrolled = photo(1);
    engine.knows(&enrolled, &[1.0, 0.0]);
    assert_eq!(enrol(&sim, NIK, &enrolled).0, 200);
    for (number, (what, does, reason)) in failures().into_iter().enumerate() {
        engine.otherwise(does);
        let asked = engine.count();
        let selfie = photo(100 + number as u64);
        check_failure(what, &sim, &selfie, &engine.name(), reason);
        assert_eq!(engine.count(), asked + 2, "{what}: once a request, and a failure is not cached");
        assert_eq!(sim.admin("GET", "/ready", "").1["faces"], "failing", "{what}");
    }
    assert_eq!(sim.admin("GET", "/ready", "").0, 200, "the simulator itself serves");
    let failed = (failures().len() * 2).to_string();
    assert_eq!(metric(&sim, r#"frsim_face_engine_photos_total{result="failed"}"#), Some(failed));
    assert_eq!(metric(&sim, "frsim_face_engine_failing{}").as_deref(), Some("1"));
    // The enrolled picture itself: its vector is known.
    assert_eq!(call(&sim, &enrolled).1, [NIK]);
    let count = json!({ "match": { "warning": "faces" }, "count": { "exactly": failures().len() } });
    assert_eq!(sim.admin("POST", "/requests/verify", &count.to_string()).0, 200);
}

#[test]
fn an_engine_that_is_slow_is_6014_within_its_timeout() {
    let engine = FakeEngine::start();
    let (sim, _fixtures) = engine.sim("timeout = '50ms'");
    engine.otherwise(Does::Waits);
    check_failure("slow", &sim, &photo(1), &engine.name(), "no whole answer within 50ms");
}

#[test]
fn vectors_of_another_length_are_6014() {
    let engine = FakeEngine::start();
    let (sim, _fixtures) = engine.sim("");
    engine.knows(&photo(1), &[1.0, 0.0]);
    engine.knows(&photo(2), &[1.0, 0.0, 0.0]);
    assert_eq!(enrol(&sim, NIK, &photo(1)).0, 200);
    check_failure(
        "length",
        &sim,
        &photo(2),
        "the face engine",
        "a vector of 3 numbers, but one of an enrolled picture has 2",
    );
    let failed = r#"frsim_face_engine_photos_total{result="failed"}"#;
    let check_failing = |failures: &str| {
        assert_eq!(sim.admin("GET", "/ready", "").1["faces"], "failing");
        assert_eq!(metric(&sim, failed).as_deref(), Some(failures));
        assert_eq!(metric(&sim, "frsim_face_engine_failing{}").as_deref(), Some("1"));
    };
    check_failing("2");
    // Enrolled, it would make every photo 6014.
    let (status, answer) = enrol(&sim, OTHER, &photo(2));
    assert_eq!((status, &answer["error"]["code"]), (503, &json!("face_engine")), "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().starts_with(&engine.name()), "{answer}");
    check_failing("3");
    assert_eq!(sim.admin("GET", &format!("/gallery/{OTHER}"), "").0, 404);
    // The first model again.
    engine.knows(&photo(2), &[1.0, 0.1]);
    assert_eq!(call(&sim, &photo(2)).1, [NIK]);
    assert_eq!(sim.admin("GET", "/ready", "").1["faces"], "ok");
}

#[test]
fn two_pictures_with_vectors_of_two_lengths_are_not_enrolled() {
    let engine = FakeEngine::start();
    let (sim, _fixtures) = engine.sim("");
    engine.knows(&photo(1), &[1.0, 0.0]);
    engine.knows(&photo(2), &[1.0, 0.0, 0.0]);
    let pictures = [photo(1), photo(2)].map(|picture| encoding::encode(&picture));
    let (status, answer) =
        sim.admin("POST", "/gallery", &json!({ "nik": NIK, "pictures": pictures }).to_string());
    assert_eq!((status, &answer["error"]["path"]), (503, &json!("/pictures/1")), "{answer}");
    assert_eq!(sim.admin("GET", &format!("/gallery/{NIK}"), "").0, 404);
}

/// A vector that was cached when nobody was enrolled does not stay when another model's people are.
#[test]
fn a_cached_vector_of_another_length_is_asked_for_again() {
    let engine = FakeEngine::start();
    let (sim, _fixtures) = engine.sim("");
    engine.knows(&photo(1), &[1.0, 0.0, 0.0]);
    assert_eq!(call(&sim, &photo(1)).1, Vec::<String>::new());
    for number in [1, 2] {
        engine.knows(&photo(number), &[1.0, 0.0]);
    }
    assert_eq!(enrol(&sim, NIK, &photo(2)).0, 200);
    assert_eq!(call(&sim, &photo(1)).1, [NIK]);
    assert_eq!(engine.count(), 3);
}

#[test]
fn an_engine_that_is_down_is_6014_and_a_warning_at_the_start() {
    let mut engine = FakeEngine::start();
    engine.stop();
    let directory = tempfile::tempdir().unwrap();
    write_fixture(directory.path(), "simulator.toml", &engine.settings(""));
    let (builder, warnings) =
        warned(dukcapil_fr_sim::Simulator::builder().fixtures(Some(directory.path().to_owned())));
    let sim = Sim(builder.start_blocking().unwrap());
    warnings.wait_for(&format!("{}nothing answers; photos are answered 6014", engine.name()));
    assert_eq!(sim.admin("GET", "/ready", "").1["faces"], "failing");
    check_failure("down", &sim, &photo(1), &engine.name(), "nothing answers");
    // The built-in drawings have no face, so the examples of the README go on.
    let (code, found, entry) = call(&sim, SITI);
    assert_eq!((&*code, found), ("6018", vec![SITIS_NIK.to_owned()]));
    assert!(!entry["warnings"].to_string().contains("faces"), "{entry}");
    // Nothing is enrolled when it is not known who is in the picture.
    let (status, answer) = enrol(&sim, NIK, &photo(1));
    assert_eq!(
        (status, &answer["error"]["code"], &answer["error"]["path"]),
        (503, &json!("face_engine"), &json!("/pictures/0"))
    );
    assert!(answer["error"]["message"].as_str().unwrap().starts_with(&engine.name()), "{answer}");
    assert_eq!(sim.admin("GET", &format!("/gallery/{NIK}"), "").0, 404);
}

#[test]
fn the_engine_is_not_asked_about_drawings_nor_about_requests_that_fail() {
    let engine = FakeEngine::start();
    let (sim, _fixtures) = engine.sim("");
    engine.otherwise(faces(&[&[1.0, 0.0]]));
    assert_eq!(call(&sim, SITI).1, [SITIS_NIK]);
    let (status, answer) = enrol(&sim, NIK, SITI);
    assert_eq!((status, &answer["pictures"][0]["face"]), (200, &json!(false)), "{answer}");
    let wrong = body_with(&sim, &photo(1)).encrypted("password", "another");
    assert_eq!(sim.call("load", wrong.text()).code(), "5001");
    assert_eq!(engine.count(), 0);
    // Whoever has a face is not taken for a drawing.
    assert_eq!(call(&sim, &photo(1)).1, Vec::<String>::new());
    assert_eq!(engine.count(), 1);
}

#[test]
fn rules_find_people_by_the_face_too_and_an_engine_that_fails_is_a_warning_there() {
    let engine = FakeEngine::start();
    let (sim, _fixtures) = engine.sim("");
    engine.knows(&photo(1), &[1.0, 0.0]);
    engine.knows(&photo(2), &[0.9, 0.1]);
    engine.otherwise(Does::Answers(500, String::new()));
    assert_eq!(enrol(&sim, NIK, &photo(1)).0, 200);
    let always = |photo: &[u8]| sim.call("always-6018", body_with(&sim, photo).text());
    assert_eq!(always(&photo(2)).candidates().keys().collect::<Vec<_>>(), [NIK]);
    let answer = always(&photo(3));
    assert_eq!((answer.code(), answer.candidates().len()), ("6018".to_owned(), 0), "the rule decides");
    assert_eq!(sim.last()["warnings"][0]["message"], format!("{}it answers 500", engine.name()));
    let rule =
        json!({ "when": { "image": { "similar_to": NIK } }, "checks": "skip", "reply": { "code": "5000" } });
    assert_eq!(sim.admin("PUT", "/customers/load/rules/ani", &rule.to_string()).0, 200);
    assert_eq!((call(&sim, &photo(2)).0, call(&sim, &photo(4)).0), ("5000".to_owned(), "6014".to_owned()));
    assert_eq!(engine.count(), 4, "a photo is asked about once in a request");
}

#[test]
fn a_photo_without_a_face_is_nobody_or_the_code_of_no_face() {
    let by_error = "no_face_when = { status = 400, body = '/no face/' }";
    let refusal = || Does::Answers(400, r#"{"error":"there is no face"}"#.to_owned());
    for (more, does, code) in [
        ("".to_owned(), faces(&[]), "6018"),
        ("no_face = 'nobody'".to_owned(), faces(&[]), "6018"),
        ("no_face = '6015'".to_owned(), faces(&[]), "6015"),
        (by_error.to_owned(), refusal(), "6018"),
        (format!("{by_error}\nno_face = '6015'"), refusal(), "6015"),
    ] {
        let engine = FakeEngine::start();
        engine.otherwise(does);
        let (sim, _fixtures) = engine.sim(&more);
        let (status, answer) = enrol(&sim, NIK, &photo(1));
        assert_eq!((status, &answer["pictures"][0]["face"]), (200, &json!(false)), "{more}");
        assert_eq!(
            answer["warnings"],
            json!(["picture 0 has no face for the face engine, so it matches by content only"])
        );
        let (found_code, found, entry) = call(&sim, &photo(2));
        assert_eq!((&*found_code, found.len()), (code, 0), "{more}");
        let reason = entry["answer"]["reason"].as_str().unwrap();
        assert!(reason.contains("the face engine finds no face in the photo"), "{more}: {reason}");
        assert!(code == "6018" || reason.contains("no_face of [matcher.faces] (assumed)"), "{reason}");
        assert_eq!(entry["warnings"][0]["message"], "the face engine finds no face in the photo");
        assert_eq!(entry["rests_on"].to_string().contains("not_found"), code == "6018", "{more}");
        let other = if code == "6018" { ("6015", "6015") } else { ("nobody", "6018") };
        let guess = json!({
            "key": "no_face", "standing": "assumed", "other_value": other.0, "other_answer": other.1, "differs": "code",
        });
        assert!(entry["rests_on"].as_array().unwrap().contains(&guess), "{more}: {entry}");
        let source = if code == "6018" { "policy not_found, no_face" } else { "no_face of [matcher.faces]" };
        assert_eq!(entry["basis"]["code"], json!({ "standing": "assumed", "source": source }), "{more}");
        let rests = json!({ "match": { "code": code, "rests_on": "no_face" }, "count": { "exactly": 1 } });
        assert_eq!(sim.admin("POST", "/requests/verify", &rests.to_string()).0, 200, "{more}");
        // A picture is found by its content all the same, and rests on no guess.
        let smaller = changes::jpeg(&changes::scaled(&squares(1), 0.5), 80);
        let (_, found, entry) = call(&sim, &smaller);
        assert_eq!(found, [NIK], "{more}");
        assert!(!entry["rests_on"].to_string().contains("no_face"), "{more}: {entry}");
        assert_eq!(sim.admin("GET", "/ready", "").1["faces"], "ok");
    }
}

#[test]
fn a_photo_that_exif_turns_goes_turned_and_others_go_unchanged() {
    let engine = FakeEngine::start();
    let (sim, _fixtures) = engine.sim("");
    let turned = changes::turned(&squares(4), 6);
    call(&sim, &turned);
    let Asked { head, body } = &engine.asked()[0];
    assert!(head.contains("content-type: image/jpeg"), "{head}");
    let (sent, stored) = (image::load_from_memory(body).unwrap(), image::load_from_memory(&turned).unwrap());
    assert_eq!((sent.width(), sent.height()), (stored.height(), stored.width()));
    assert!(!body.windows(4).any(|window| window == b"Exif"), "nobody turns it again");
    // Orientation 6: the first row as stored is the right side.
    let upright = stored.rotate90().into_rgb8();
    let close = |(a, b): (&u8, &u8)| a.abs_diff(*b) < 24;
    assert!(upright.iter().zip(sent.into_rgb8().iter()).all(close));
    for file in [changes::jpeg(&squares(5), 90), photo(6)] {
        call(&sim, &file);
        assert!(engine.asked().last().unwrap().body == file);
    }
}

#[test]
fn people_of_the_fixtures_are_found_by_the_face_too() {
    let engine = FakeEngine::start();
    let (ani, selfie, card) = (photo(1), photo(2), photo(3));
    engine.knows(&ani, &[1.0, 0.0]);
    engine.knows(&selfie, &[0.8, 0.6]);
    let directory = tempfile::tempdir().unwrap();
    let fixture = |name: &str, bytes: &[u8]| {
        write_fixture(directory.path(), name, "");
        std::fs::write(directory.path().join(name), bytes).unwrap();
    };
    fixture("gallery/ani.png", &ani);
    fixture("gallery/card.png", &card);
    let person = |nik: &str, picture: &str| {
        format!("[[identities]]\nnik = '{nik}'\nname = 'X'\npictures = ['{picture}']\n")
    };
    fixture("gallery/gallery.toml", (person(NIK, "ani.png") + &person(OTHER, "card.png")).as_bytes());
    fixture("simulator.toml", engine.settings("").as_bytes());
    let (builder, warnings) =
        warned(dukcapil_fr_sim::Simulator::builder().fixtures(Some(directory.path().to_owned())));
    let sim = Sim(builder.start_blocking().unwrap());
    // Read at the start, on a thread of its own.
    warnings.wait_for("the face engine finds no face in gallery/card.png, which matches by content only");
    eventually("both pictures", || engine.count() == 2);
    assert_eq!(call(&sim, &selfie).1, [NIK]);
    assert_eq!(engine.count(), 3);
    sim.0.reload().unwrap();
    assert_eq!(call(&sim, &selfie).1, [NIK]);
    assert_eq!(engine.count(), 3, "what is known stays known");
    // Another engine has other vectors.
    fixture("simulator.toml", engine.settings("body = '\"{image}\"'").as_bytes());
    assert_eq!(enrol(&sim, "3273010101909779", &photo(9)).0, 200);
    engine.otherwise(faces(&[&[0.0, 1.0]]));
    sim.0.reload().unwrap();
    warnings.wait_for("1 of the enrolled pictures has no vector of this face engine");
    let (_, found, entry) = call(&sim, &photo(10));
    assert_eq!(found, [NIK, OTHER], "{entry}");
    assert!(
        entry["warnings"][0]["message"]
            .as_str()
            .unwrap()
            .contains("1 of the enrolled pictures has no vector")
    );
}

#[test]
fn a_search_asks_about_the_pictures_that_are_still_unknown() {
    let engine = FakeEngine::start();
    engine.knows(&photo(1), &[1.0, 0.0]);
    engine.knows(&photo(2), &[1.0, 0.0]);
    let directory = tempfile::tempdir().unwrap();
    write_fixture(directory.path(), "gallery/ani.png", "");
    std::fs::write(directory.path().join("gallery/ani.png"), photo(1)).unwrap();
    write_fixture(
        directory.path(),
        "gallery/gallery.toml",
        &format!("[[identities]]\nnik = '{NIK}'\nname = 'X'\npictures = ['ani.png']\n"),
    );
    write_fixture(directory.path(), "simulator.toml", &engine.settings(""));
    engine.set(|state| drop(state.photos.insert(photo(1), Does::Answers(503, String::new()))));
    let sim = Sim::with(|builder| builder.fixtures(Some(directory.path().to_owned())));
    eventually("the engine was asked at the start", || {
        sim.admin("GET", "/ready", "").1["faces"] == "failing"
    });
    check_failure("gallery", &sim, &photo(2), &engine.name(), "it answers 503");
    engine.knows(&photo(1), &[1.0, 0.0]);
    assert_eq!(call(&sim, &photo(2)).1, [NIK]);
}

#[test]
fn until_the_gallery_of_the_fixtures_is_learned_the_simulator_is_not_ready() {
    let engine = FakeEngine::start();
    for number in [1, 3] {
        engine.knows(&photo(number), &[1.0, 0.0]);
    }
    engine.otherwise(Does::Waits);
    let directory = tempfile::tempdir().unwrap();
    let mut people = String::new();
    for (nik, name, picture) in [(NIK, "ani.png", photo(1)), (OTHER, "budi.png", photo(2))] {
        write_fixture(directory.path(), &format!("gallery/{name}"), "");
        std::fs::write(directory.path().join("gallery").join(name), picture).unwrap();
        people += &format!("[[identities]]\nnik = '{nik}'\nname = 'X'\npictures = ['{name}']\n");
    }
    write_fixture(directory.path(), "gallery/gallery.toml", &people);
    write_fixture(directory.path(), "simulator.toml", &engine.settings("timeout = '1m'"));
    let sim = Sim::with(|builder| builder.fixtures(Some(directory.path().to_owned())));
    eventually("the second picture is asked about", || engine.at_once().0 == 1);
    let (status, answer) = sim.admin("GET", "/ready", "");
    assert_eq!((status, &answer["error"]["code"]), (503, &json!("learning_gallery")));
    assert!(answer["error"]["message"].as_str().unwrap().contains("for 1 of its 2 pictures"), "{answer}");
    assert_eq!(sim.admin("GET", "/health", "").0, 200);
    thread::scope(|scope| {
        let waits = scope.spawn(|| call(&sim, &photo(3)).1);
        eventually("the photo is asked about", || engine.count() == 3);
        assert!(!waits.is_finished(), "a part of the gallery is not the gallery");
        engine.open_gate();
        assert_eq!(waits.join().unwrap(), [NIK]);
    });
    eventually("it is learned", || sim.admin("GET", "/ready", "").0 == 200);
    assert_eq!(engine.count(), 3, "each picture once, though a request waited for it too");
}

/// Eight photos are asked about at once and 32 wait; who comes then is told so, and requests that need no engine are served.
#[test]
fn a_bounded_number_is_asked_at_once_and_others_are_served_meanwhile() {
    let engine = FakeEngine::start();
    let (sim, _fixtures) =
        Sim::over_with(&[("simulator.toml", &engine.settings("timeout = '1m'"))], |builder| {
            builder.workers(2)
        });
    engine.otherwise(Does::Waits);
    let answered = AtomicUsize::new(0);
    let codes = thread::scope(|scope| {
        let crowd = scope.spawn(|| {
            in_parallel(41, |number| {
                let code = sim.call("load", body_with(&sim, &photo(200 + number as u64)).text()).code();
                answered.fetch_add(1, Ordering::Relaxed);
                code
            })
        });
        eventually("eight are asked about", || engine.at_once().0 == 8);
        eventually("one finds no place", || answered.load(Ordering::Relaxed) == 1);
        let reason = sim.admin("GET", "/requests?code=6014", "").1["requests"][0]["answer"]["reason"].clone();
        assert!(reason.as_str().unwrap().contains("32 photos wait for it already"), "{reason}");
        assert_eq!(call(&sim, SITI).1, [SITIS_NIK], "nothing is asked about a drawing");
        let wrong = body_with(&sim, &photo(1000)).encrypted("password", "another");
        assert_eq!(sim.call("load", wrong.text()).code(), "5001");
        assert_eq!((answered.load(Ordering::Relaxed), sim.admin("GET", "/ready", "").0), (1, 200));
        engine.open_gate();
        crowd.join().unwrap()
    });
    let found = codes.iter().filter(|code| *code == "6018").count();
    assert_eq!((found, codes.len()), (40, 41), "{codes:?}");
    assert_eq!(engine.at_once(), (0, 8));
}

#[test]
fn explanations_that_wait_for_the_engine_leave_the_admin_api_to_others() {
    let engine = FakeEngine::start();
    let (sim, _fixtures) = engine.sim("timeout = '1m'");
    engine.otherwise(Does::Waits);
    thread::scope(|scope| {
        let asks = (0..8).map(|number| {
            let (sim, photo) = (&sim, photo(300 + number));
            scope.spawn(move || explain(sim, &photo)["code"].clone())
        });
        let asks: Vec<_> = asks.collect();
        eventually("the engine is asked", || engine.at_once().0 > 0);
        assert_eq!(sim.admin("PUT", "/customers/load/quota", r#"{"per_day":5}"#).0, 200);
        assert_eq!(sim.admin("PUT", "/customers/own", r#"{"extends":"demo"}"#).0, 200);
        assert!(asks.iter().all(|asked| !asked.is_finished()));
        engine.open_gate();
        assert!(asks.into_iter().all(|asked| asked.join().unwrap() == "6018"));
    });
}

#[test]
fn a_simulator_that_stops_does_not_wait_for_the_engine() {
    let engine = FakeEngine::start();
    let settings = engine.settings("timeout = '1m'");
    let (sim, _fixtures) =
        Sim::over_with(&[("simulator.toml", &settings)], |builder| builder.grace(Duration::ZERO));
    engine.otherwise(Does::Waits);
    let mut stream = TcpStream::connect(sim.address()).unwrap();
    let path = "/api/face-recognition/load/CALL_FN";
    stream.write_all(&http("POST", path, "", body_with(&sim, &photo(1)).text().as_bytes())).unwrap();
    eventually("the engine is asked", || engine.at_once().0 == 1);
    sim.0.stop();
    // The simulator has not given up the exchange, which would have taken the minute; it did not wait for it.
    let state = engine.state.0.lock().unwrap();
    state.held[0].set_nonblocking(true).unwrap();
    assert_eq!(state.held[0].peek(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

/// Vectors are biometric data: no output has them.
#[test]
fn no_vector_is_shown_or_stored_unless_the_user_keeps_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let engine = FakeEngine::start();
    let vector = [0.612_345_678, 0.790_597_1];
    engine.knows(&photo(1), &vector);
    engine.knows(&photo(2), &vector);
    let start = |more: &str| {
        let settings = engine.settings(more);
        let path = path.clone();
        Sim::over_with(&[("simulator.toml", &settings)], |builder| {
            builder.store(Some(path)).journal_file(Some(directory.path().join("journal")))
        })
    };
    let stored_face = || stored_identities(&path)[0]["pictures"][0].get("face").cloned();
    let session = |sim: &Sim| {
        let listed = sim.admin("GET", "/gallery", "").1.to_string();
        let outputs =
            [listed, sim.admin("GET", "/requests", "").1.to_string(), explain(sim, &photo(2)).to_string()];
        let journal = std::fs::read_to_string(directory.path().join("journal")).unwrap();
        for text in outputs.iter().chain([&journal]) {
            assert!(!text.contains("0.6123") && !text.contains("embedding"), "{text}");
        }
    };
    {
        let (sim, _fixtures) = start("");
        assert_eq!(enrol(&sim, NIK, &photo(1)).0, 200);
        assert_eq!(call(&sim, &photo(2)).1, [NIK]);
        session(&sim);
    }
    assert_eq!(stored_face(), None, "not kept");
    {
        let (sim, _fixtures) = start("keep = true");
        let (_, found, entry) = call(&sim, &photo(2));
        assert!(
            found.is_empty()
                && entry["answer"]["reason"].as_str().unwrap().contains("no vector of this face engine"),
            "{entry}"
        );
        // The same picture again is asked about again.
        assert_eq!(enrol(&sim, NIK, &photo(1)).1["pictures"][0]["face"], true);
        assert_eq!(call(&sim, &photo(2)).1, [NIK]);
        session(&sim);
    }
    assert!(stored_face().unwrap()["vector"].is_string(), "kept");
    {
        let (sim, _fixtures) = start("keep = true");
        let asked = engine.count();
        assert_eq!(call(&sim, &photo(2)).1, [NIK]);
        assert_eq!(engine.count(), asked + 1, "only about the new photo");
    }
    {
        let (sim, _fixtures) = start("");
        assert_eq!(call(&sim, &photo(2)).1, Vec::<String>::new());
    }
    assert_eq!(stored_face(), None, "what is no longer to be kept is removed");
}

/// A replica that asks this engine and shares this store.
fn replica(settings: &str, server: &RedisServer) -> (Sim, tempfile::TempDir) {
    let store = server.store("team");
    Sim::over_with(&[("simulator.toml", settings)], |builder| builder.shared_store(Some(&store)))
}

#[test]
fn replicas_find_a_person_by_the_face_and_forget_one_that_was_removed() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let engine = FakeEngine::start();
    let vector = [0.612_345_678, 0.790_597_1];
    engine.knows(&photo(1), &vector);
    engine.knows(&photo(2), &vector);
    let settings = engine.settings("keep = true");
    let (one, _fixtures) = replica(&settings, &server);
    let (other, _fixtures_too) = replica(&settings, &server);
    assert_eq!(enrol(&one, NIK, &photo(1)).0, 200);
    assert_eq!(call(&other, &photo(2)).1, [NIK]);
    assert_eq!(call(&other, &photo(2)).1, [NIK]);
    assert_eq!(engine.count(), 2, "each photo once");
    assert_eq!(one.admin("DELETE", &format!("/gallery/{NIK}"), "").0, 200);
    assert_eq!(call(&other, &photo(2)).1, Vec::<String>::new());
    assert_eq!(engine.count(), 3, "its vector was forgotten with the person");
    assert_eq!(one.admin("DELETE", "/gallery", "").0, 200);
    assert_eq!(enrol(&one, NIK, &photo(1)).0, 200);
    assert_eq!(call(&other, &photo(2)).1, [NIK]);
    let asked = engine.count();
    assert_eq!(one.admin("DELETE", "/gallery", "").0, 200);
    assert_eq!(call(&other, &photo(2)).1, Vec::<String>::new());
    assert_eq!(engine.count(), asked + 1, "also with all people");
    assert_eq!(enrol(&one, NIK, &photo(1)).0, 200);
    drop((one, other));
    let stored = || server.ask(&["HGET", "{frsim:team}:s:gallery", NIK]);
    assert!(stored().contains(r#""vector""#), "{}", stored());
    // Without a face engine nothing of a face is kept, from the start.
    let (sim, _fixtures) = replica("", &server);
    assert!(stored().contains(r#""sha256""#) && !stored().contains(r#""vector""#), "{}", stored());
    assert_eq!(call(&sim, &photo(1)).1, [NIK], "by its picture");
}

#[test]
fn an_engine_is_asked_once_for_a_request_that_others_overtake() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let engine = FakeEngine::start();
    engine.otherwise(Does::Answers(500, String::new()));
    let settings = engine.settings("keep = true");
    let (sim, _fixtures) = replica(&settings, &server);
    let bank =
        json!({ "extends": "load", "quota": { "per_day": 1000 }, "policy": { "quota_counts": "all" } });
    assert_eq!(sim.admin("PUT", "/customers/bank", &bank.to_string()).0, 200);
    let body = body_with(&sim, &photo(1)).text();
    let codes = in_parallel(30, |_| sim.call("bank", &body).code());
    assert!(codes.iter().all(|code| code == "6014"), "{codes:?}");
    assert_eq!(engine.count(), 30, "a failure is not asked about again");
}

#[test]
fn an_enrolment_that_waits_for_the_engine_keeps_no_other_change_waiting() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let engine = FakeEngine::start();
    engine.otherwise(Does::Waits);
    let settings = engine.settings("keep = true\ntimeout = '1m'");
    let (one, _fixtures) = replica(&settings, &server);
    let (other, _fixtures_too) = replica(&settings, &server);
    thread::scope(|scope| {
        let enrolment = scope.spawn(|| enrol(&one, NIK, &photo(1)));
        eventually("it is asked", || engine.at_once().0 == 1);
        for sim in [&one, &other] {
            assert_eq!(sim.admin("PUT", "/customers/load/quota", r#"{"per_day":7}"#).0, 200);
        }
        engine.open_gate();
        assert_eq!(enrolment.join().unwrap().0, 200);
    });
    assert!(other.admin("GET", "/gallery", "").1.to_string().contains(NIK));
}

/// What has no `[matcher.faces]` is answered, shown and stored as before there was one.
#[test]
fn without_a_face_engine_nothing_changes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let sim = Sim::with(|builder| builder.store(Some(path.clone())));
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let (status, enrolled) = enrol(&sim, NIK, &photo(1));
    assert_eq!(status, 200);
    assert_eq!(keys(&enrolled), ["nik", "name", "customer_id", "source", "pictures", "similar"]);
    assert_eq!(keys(&enrolled["pictures"][0]), ["sha256", "width", "height", "format", "bytes"]);
    let (code, found, entry) = call(&sim, &photo(1));
    assert_eq!((&*code, found), ("6018", vec![NIK.to_owned()]));
    assert_eq!(keys(&entry["answer"]["candidates"][0]), ["nik", "region", "score"]);
    assert_eq!(
        (&entry["answer"]["reason"], &entry["warnings"]),
        (&json!("1 candidate, score 20.00"), &json!([]))
    );
    assert_eq!(keys(&explain(&sim, &photo(1))["candidates"][0]), ["nik", "region", "score"]);
    let (_, _, entry) = call(&sim, &photo(2));
    assert_eq!(entry["answer"]["reason"], "nobody in the gallery reaches the threshold");
    let ready = exchange(sim.admin_address(), &http("GET", "/ready", "", b""));
    let customers = sim.admin("GET", "/ready", "").1["customers"].clone();
    let body = if ready.head.contains("chunked") { unchunked(&ready.body) } else { ready.body };
    assert_eq!(
        String::from_utf8(body).unwrap(),
        format!(r#"{{"status":"ready","customers":{customers},"in_flight":0,"store":"file"}}"#)
    );
    let metrics = exchange(sim.admin_address(), &http("GET", "/metrics", "", b""));
    assert!(!String::from_utf8(metrics.body).unwrap().contains("face_engine"));
    drop(sim);
    let stored = stored_identities(&path).remove(0);
    assert_eq!(keys(&stored), ["number", "name", "pictures", "similar"]);
    assert_eq!(
        keys(&stored["pictures"][0]),
        ["sha256", "format", "dimensions", "bytes", "small", "thumbnail"]
    );
}

/// Returns the enrolled identities that a store has.
fn stored_identities(path: &Path) -> Vec<Value> {
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut query = connection.prepare("SELECT value FROM field WHERE subject = 'gallery'").unwrap();
    let rows = query.query_map([], |row| row.get::<_, String>(0)).unwrap();
    rows.map(|text| serde_json::from_str(&text.unwrap()).unwrap()).collect()
}
