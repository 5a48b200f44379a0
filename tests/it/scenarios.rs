//! The cookbook: every recipe of `docs/how-to/scenarios.md` works as printed.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use crate::capacity;
use crate::support::{Answer, Body, End, SITIS_NIK, Sim, http, parse, read_to_the_end, write_fixture};
use crate::timers::Recorder;

const COOKBOOK: &str = include_str!("../../docs/how-to/scenarios.md");

/// Returns the customer and the file content of each recipe.
fn recipes() -> Vec<(&'static str, &'static str)> {
    let blocks = COOKBOOK.split("\n```toml\n").skip(1).map(|rest| rest.split("\n```\n").next().unwrap());
    blocks
        .map(|text| {
            let first = text.lines().next().unwrap();
            let id = first.strip_prefix("# customers/").and_then(|name| name.strip_suffix(".toml"));
            (id.unwrap_or_else(|| panic!("no file name: {first}")), text)
        })
        .collect()
}

/// Generates a test for each function. It receives a [`Scene`] of the recipe with its name in kebab-case.
macro_rules! recipes_tested {
    ($($name:ident),* $(,)?) => {
        const TESTED: &[&str] = &[$(stringify!($name)),*];

        mod recipe {
            $(#[test]
            fn $name() {
                super::$name(&super::Scene::start(stringify!($name)));
            })*
        }
    };
}

recipes_tested! {
    busy_twice, rush_hour, quota_at_midnight, flaky_network, gateway_page, half_an_upload, slow_gpu, stale_keepalive, broken_answers,
    maintenance, outage, new_release, overload,
}

fn id_of(name: &str) -> String {
    name.replace('_', "-")
}

#[test]
fn each_of_the_thirteen_recipes_is_tested() {
    let written: Vec<_> = recipes().into_iter().map(|(id, _)| id.to_owned()).collect();
    let tested: Vec<_> = TESTED.iter().copied().map(id_of).collect();
    assert_eq!(written, tested);
    assert_eq!(written.iter().collect::<BTreeSet<_>>().len(), 13);
    assert_eq!(COOKBOOK.matches("\n## ").count(), 13);
    assert_eq!(COOKBOOK.matches("\nSee it: ").count(), 13);
    assert_eq!(COOKBOOK.matches("\n```toml\n").count() * 2, COOKBOOK.matches("\n```").count());
}

/// A simulator with the whole cookbook as fixtures, and the customer under test.
struct Scene {
    sim: Sim,
    customer: String,
    timer: Arc<Recorder>,
    _directory: tempfile::TempDir,
}

impl Scene {
    fn start(name: &str) -> Scene {
        let directory = tempfile::tempdir().unwrap();
        for (id, text) in recipes() {
            write_fixture(directory.path(), &format!("customers/{id}.toml"), text);
        }
        let timer = Arc::new(Recorder::default());
        let sim =
            Sim::with(|builder| builder.fixtures(Some(directory.path().to_owned())).timer(timer.clone()));
        Scene { sim, customer: id_of(name), timer, _directory: directory }
    }

    fn request(&self) -> Body {
        self.sim.request()
    }

    fn path(&self) -> String {
        format!("/api/face-recognition/{}/CALL_FN", self.customer)
    }

    fn call(&self, body: &Body) -> Answer {
        self.sim.call(&self.customer, body.text())
    }

    /// Returns the codes of `count` valid requests, sent sequentially.
    fn codes(&self, count: usize) -> Vec<String> {
        let body = self.request();
        (0..count).map(|_| self.call(&body).code()).collect()
    }

    /// Returns how many of `count` valid requests are answered with 6014, and asserts that the others find a candidate.
    fn busy(&self, count: usize) -> usize {
        let codes = self.codes(count);
        assert!(codes.iter().all(|code| code == "6014" || code == "6018"), "{codes:?}");
        codes.iter().filter(|code| *code == "6014").count()
    }

    /// Returns the raw answer to a valid request, and how the connection ended.
    fn raw(&self) -> (Vec<u8>, End) {
        let body = self.request().text();
        let mut stream = self.connect();
        match stream.write_all(&http("POST", &self.path(), "", body.as_bytes())) {
            Err(error) if error.kind() == ErrorKind::ConnectionReset => (Vec::new(), End::Rst),
            written => {
                written.unwrap();
                read_to_the_end(&mut stream)
            }
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.sim.address()).unwrap();
        // Only so that a failing test does not hang.
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    fn clock(&self, change: &str) {
        let (status, reading) = self.sim.admin("PUT", "/clock", change);
        assert_eq!((status, &reading["frozen"]), (200, &serde_json::json!(true)), "{change}");
    }

    fn charged(&self) -> u64 {
        let (_, quota) = self.sim.admin("GET", &format!("/customers/{}/quota", self.customer), "");
        quota["used"].as_u64().unwrap()
    }
}

/// Returns the `Content-Length` of an answer.
fn announced(answer: &Answer) -> usize {
    let length = answer.head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.and_then(|length| length.parse().ok()).unwrap_or_else(|| panic!("no length: {}", answer.head))
}

fn busy_twice(scene: &Scene) {
    let [first, second] = ["T-1", "T-2"].map(|id| scene.request().set("transactionId", id));
    let mixed = [&first, &second, &first, &first, &second, &second, &first];
    let codes = mixed.map(|body| scene.call(body).code());
    assert_eq!(codes, ["6014", "6014", "6014", "6018", "6014", "6018", "6018"]);
    for number in 0..5 {
        let new = scene.request().set("transactionId", format!("new-{number}"));
        assert_eq!(scene.call(&new).code(), "6014");
    }
}

fn rush_hour(scene: &Scene) {
    let mut rising = Vec::new();
    for _ in 0..4 {
        rising.push(scene.busy(40));
        scene.clock(r#"{"advance":"15s"}"#);
    }
    assert_eq!(rising[0], 0, "{rising:?}");
    assert!(rising.is_sorted_by(|before, after| before < after), "{rising:?}");
    assert_eq!(scene.busy(8), 8);
    let wrong = scene.request().encrypted("password", "wrong");
    assert_eq!(scene.call(&wrong).code(), "5001", "what the checks refuse stays");
    scene.clock(r#"{"advance":"30s"}"#);
    assert_eq!(scene.busy(8), 8, "at the end of the half minute");
    scene.clock(r#"{"advance":"1s"}"#);
    for _ in 0..5 {
        assert_eq!(scene.busy(4), 1, "exactly one in four");
    }
    scene.clock(r#"{"advance":"30s"}"#);
    assert_eq!(scene.busy(8), 0);
}

fn quota_at_midnight(scene: &Scene) {
    scene.clock(r#"{"now":"2026-11-21T23:59:00+07:00"}"#);
    assert_eq!(scene.codes(4), ["6018", "6018", "6018", "5002"]);
    scene.clock(r#"{"advance":"59s"}"#);
    assert_eq!(scene.codes(1), ["5002"]);
    scene.clock(r#"{"advance":"1s"}"#);
    assert_eq!(scene.codes(4), ["6018", "6018", "6018", "5002"]);
}

fn flaky_network(scene: &Scene) {
    let run = |scene: &Scene| {
        let attempts = (0..30).map(|_| match scene.raw() {
            (bytes, End::Rst) => {
                assert!(bytes.is_empty(), "a reset comes without a byte");
                true
            }
            (bytes, End::Fin) => {
                assert_eq!(parse(&bytes).code(), "6018");
                false
            }
        });
        attempts.collect::<Vec<_>>()
    };
    let resets = run(scene);
    for ten in resets.chunks(10) {
        assert_eq!(ten.iter().filter(|reset| **reset).count(), 3, "{resets:?}");
    }
    assert_eq!(scene.charged(), 30, "lost answers are charged");
    assert_eq!(run(&Scene::start("flaky_network")), resets, "the same seed reproduces the run");
}

fn gateway_page(scene: &Scene) {
    for _ in 0..2 {
        assert_eq!(scene.codes(2), ["6018", "6018"]);
        let page = scene.call(&scene.request());
        assert_eq!(page.status, 502);
        assert!(page.head.contains("\r\ncontent-type: text/html"), "{}", page.head);
        assert!(page.text().starts_with("<html>") && page.text().contains("502 Bad Gateway"));
        assert_eq!(announced(&page), page.body.len());
    }
}

fn half_an_upload(scene: &Scene) {
    assert_eq!(scene.raw(), (Vec::new(), End::Rst));
    assert_eq!((scene.charged(), &scene.sim.last()["answer"]["code"]), (0, &serde_json::Value::Null));
    assert_eq!(scene.codes(2), ["6018", "6018"]);
}

fn slow_gpu(scene: &Scene) {
    let refused = scene.request().set("threshold", "0");
    assert_eq!((scene.call(&refused).code().as_str(), scene.timer.sleeps()), ("5005", vec![]));
    let mut journaled = Vec::new();
    for _ in 0..100 {
        assert_eq!(scene.codes(1), ["6018"]);
        journaled.push(Duration::from_micros(scene.sim.last()["delay"]["us"].as_u64().unwrap()));
    }
    let mut times = scene.timer.sleeps();
    assert_eq!(times, journaled);
    times.sort();
    let (median, beyond) = (times[50], times.iter().filter(|time| **time > Duration::from_secs(4)).count());
    assert!((600..1000).contains(&median.as_millis()), "{median:?}");
    assert!(beyond <= 4, "{beyond} of a hundred above the 99th percentile");
    assert!(times[99] > 2 * median, "a tail: {:?}", times[99]);
}

fn stale_keepalive(scene: &Scene) {
    let body = scene.request().text();
    let request =
        format!("POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", scene.path(), body.len());
    for number in 1..=2 {
        let mut pooled = scene.connect();
        pooled.write_all(request.as_bytes()).unwrap();
        let mut all = Vec::new();
        pooled.read_to_end(&mut all).expect("a FIN");
        let answer = parse(&all);
        assert_eq!((answer.code().as_str(), announced(&answer)), ("6018", answer.body.len()));
        assert!(!answer.head.contains("connection: close"), "{}", answer.head);
        assert_eq!(scene.timer.sleeps(), vec![Duration::from_secs(2); number]);
        // The kernel may accept the next request or not; in both cases no byte is received.
        let _ = pooled.write_all(request.as_bytes());
        let mut more = Vec::new();
        match pooled.read_to_end(&mut more) {
            Ok(count) => assert_eq!(count, 0),
            Err(error) => assert_eq!((error.kind(), more.len()), (ErrorKind::ConnectionReset, 0)),
        }
    }
}

fn broken_answers(scene: &Scene) {
    let (bytes, end) = scene.raw();
    let truncated = parse(&bytes);
    assert_eq!((end, truncated.status), (End::Fin, 200));
    assert_eq!(truncated.body.len(), announced(&truncated) / 2);
    let (bytes, end) = scene.raw();
    let cut = parse(&bytes);
    assert_eq!((end, cut.status, cut.body.len()), (End::Fin, 200, announced(&cut)));
    let error = serde_json::from_slice::<serde_json::Value>(&cut.body).unwrap_err();
    assert!(error.is_eof(), "{error}");
    assert_eq!(cut.body, truncated.body, "the same half");
    assert_eq!(scene.codes(2), ["6018", "6018"]);
}

fn maintenance(scene: &Scene) {
    let is_closed = |at: &str| {
        scene.clock(&format!(r#"{{"now":"{at}+07:00"}}"#));
        let answer = scene.call(&scene.request().encrypted("password", "wrong"));
        if answer.status == 200 {
            assert_eq!((answer.code().as_str(), scene.codes(1)[0].as_str()), ("5001", "6018"));
            return false;
        }
        assert_eq!((answer.status, answer.text()), (503, "Sistem sedang dalam pemeliharaan\n"));
        for header in ["\r\nretry-after: 3600", "\r\ncontent-type: text/plain"] {
            assert!(answer.head.contains(header), "{}", answer.head);
        }
        assert_eq!(scene.sim.last()["answer"]["charged"], false);
        true
    };
    for (at, closed) in [
        ("2026-11-21T21:59:59", false),
        ("2026-11-21T22:00:00", true),
        ("2026-11-22T00:00:00", true),
        ("2026-11-22T04:59:59", true),
        ("2026-11-22T05:00:00", true),
        ("2026-11-22T05:00:01", false),
    ] {
        assert_eq!(is_closed(at), closed, "{at}");
    }
}

fn outage(scene: &Scene) {
    assert_eq!(scene.codes(3), ["6018", "6018", "6018"]);
    for _ in 0..4 {
        assert_eq!(scene.raw(), (Vec::new(), End::Fin));
    }
    assert_eq!(scene.charged(), 3);
    assert_eq!(scene.codes(4), ["6018", "6018", "6018", "6018"]);
    assert_eq!(scene.charged(), 7);
}

fn new_release(scene: &Scene) {
    let from = |ip: &str| scene.request().set("ip", ip);
    let unknown = |ip: &str| scene.call(&from(ip).encrypted("user_id", "nobody")).json();
    let (new, old) = (unknown("10.7.0.3"), unknown("10.8.0.3"));
    assert_eq!((new["errorCode"].as_str(), new["error"].is_object()), (Some("5001"), false), "{new}");
    assert_eq!((old["error"]["errorCode"].as_i64(), old.get("errorCode")), (Some(5001), None), "{old}");
    for ip in ["10.7.0.3", "10.8.0.3"] {
        let found = scene.call(&from(ip));
        assert_eq!(found.code(), "6018");
        assert!(found.candidates().contains_key(SITIS_NIK));
    }
}

/// Uses virtual time: with the scene's timer nobody waits, so there would never be an overload.
fn overload(scene: &Scene) {
    let recipes = recipes();
    let (id, text) = recipes.iter().find(|(id, _)| *id == scene.customer).unwrap();
    let rig = capacity::Rig::start(&[(&format!("customers/{id}.toml"), text)]);
    let ten_at_once = || {
        let mut inside: Vec<_> = (0..10).map(|_| rig.good(id)).collect();
        for refused in inside.split_off(6) {
            assert_eq!(refused.code(), "6014");
        }
        inside
    };
    for _ in 0..2 {
        let mut inside = ten_at_once();
        while !inside.is_empty() {
            rig.time.wait_for_sleepers(2);
            rig.time.advance(Duration::from_secs(1));
            for served in inside.drain(..2) {
                assert_eq!(served.code(), "6018");
            }
        }
        rig.until_empty(id);
    }
}
