//! Every fault of the table on a raw socket: the received bytes, how the connection ends, and the server's waits, recorded by a timer
//! that does not wait.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use dukcapil_fr_sim::internals::domain::faults::KINDS;
use dukcapil_fr_sim::internals::state::timer::Timer;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::json;

use crate::support::{Sim, http, parse, write_fixture};

/// A timer that records sleeps and returns at once.
#[derive(Default)]
struct Recorder(Mutex<Vec<Duration>>);

impl Timer for Recorder {
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        self.0.lock().push(time);
        std::future::ready(()).boxed()
    }
}

/// How a connection ended for the client.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Fin,
    Rst,
}

struct Rig {
    sim: Sim,
    timer: Arc<Recorder>,
    _directory: tempfile::TempDir,
}

impl Rig {
    /// Starts with a customer `f` that answers every request with 6014 and this fault.
    fn new(fault: &str) -> Rig {
        Rig::with_rule(&format!("reply = {{ code = '6014' }}\nfault = {fault}"))
    }

    fn with_rule(rule: &str) -> Rig {
        let directory = tempfile::tempdir().unwrap();
        let text = format!("extends = 'load'\n[[rules]]\nname = 'f'\n{rule}\n");
        write_fixture(directory.path(), "customers/f.toml", &text);
        let (timer, path) = (Arc::new(Recorder::default()), directory.path().to_owned());
        let sim =
            Sim::with(|builder| builder.fixtures(Some(path)).timer(Arc::clone(&timer) as Arc<dyn Timer>));
        Rig { sim, timer, _directory: directory }
    }

    /// Sends a complete request and reads until the connection closes.
    fn exchange(&self) -> (Vec<u8>, End) {
        let mut stream = self.send(&self.request());
        read_to_the_end(&mut stream)
    }

    fn request(&self) -> Vec<u8> {
        let head = "Accept: application/json\r\nContent-Type: application/json\r\n";
        let body = r#"{"transactionId":"T-1","threshold":"7"}"#;
        let request = http("POST", "/api/face-recognition/f/CALL_FN", head, body.as_bytes());
        // No `Connection: close`, so that only the fault closes the connection.
        String::from_utf8(request).unwrap().replace("Connection: close\r\n", "").into_bytes()
    }

    fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.sim.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(bytes).unwrap();
        stream
    }

    /// Returns the answer's body without the fault.
    fn honest_body(&self) -> Vec<u8> {
        self.sim.call("always-6014", r#"{"transactionId":"T-1","threshold":"7"}"#).body
    }

    fn waits(&self) -> Vec<Duration> {
        self.timer.0.lock().clone()
    }

    fn fault_record(&self) -> serde_json::Value {
        self.sim.last()["fault"].clone()
    }
}

fn read_to_the_end(stream: &mut TcpStream) -> (Vec<u8>, End) {
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Ok(_) => (all, End::Fin),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => (all, End::Rst),
        Err(error) => panic!("neither FIN nor RST: {error}"),
    }
}

fn split(bytes: &[u8]) -> (String, &[u8]) {
    let at = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    (String::from_utf8(bytes[..at].to_vec()).unwrap(), &bytes[at..])
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn empty_close() {
    let rig = Rig::new("{ kind = 'empty_close' }");
    assert_eq!(rig.exchange(), (Vec::new(), End::Fin));
}

#[test]
fn reset() {
    let rig = Rig::new("{ kind = 'reset', after = '250ms' }");
    assert_eq!(rig.exchange(), (Vec::new(), End::Rst));
    assert_eq!(rig.waits(), [ms(250)]);
}

#[test]
fn hang_then_close() {
    let rig = Rig::new("{ kind = 'hang_then_close', for = '7s' }");
    assert_eq!(rig.exchange(), (Vec::new(), End::Fin));
    assert_eq!(rig.waits(), [ms(7000)]);
}

#[test]
fn hang_lasts_until_the_client_disconnects_and_is_listed_meanwhile() {
    let rig = Rig::new("{ kind = 'hang' }");
    let stream = rig.send(&rig.request());
    let hanging =
        || rig.sim.admin("GET", "/requests?state=in_flight", "").1["requests"].as_array().unwrap().len();
    while hanging() != 1 {}
    stream.set_read_timeout(Some(ms(50))).unwrap();
    let mut byte = [0];
    assert!(matches!(
        (&stream).read(&mut byte).unwrap_err().kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut
    ));
    drop(stream);
    while hanging() != 0 {}
    assert_eq!(rig.sim.last()["state"], "aborted");
}

#[test]
fn garbage_is_seeded_and_differs_for_each_request() {
    let rig = Rig::new("{ kind = 'garbage', bytes = 100 }");
    let ((first, end), (second, _)) = (rig.exchange(), rig.exchange());
    assert_eq!((first.len(), second.len(), end), (100, 100, End::Fin));
    assert_ne!(first, second);
    let again = Rig::new("{ kind = 'garbage', bytes = 100 }");
    assert_eq!(
        (again.exchange().0, again.exchange().0),
        (first, second),
        "the same seed generates the same bytes"
    );
}

#[test]
fn raw_bytes() {
    assert_eq!(
        Rig::new("{ kind = 'raw', text = 'HTTP/1.1 banana' }").exchange(),
        (b"HTTP/1.1 banana".to_vec(), End::Fin)
    );
    assert_eq!(Rig::new("{ kind = 'raw', base64 = 'AP8=' }").exchange(), (vec![0x00, 0xFF], End::Fin));
}

#[test]
fn malformed_chunk() {
    let (bytes, end) = Rig::new("{ kind = 'malformed_chunk' }").exchange();
    let (head, body) = split(&bytes);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n"), "{head}");
    assert!(!body.is_empty() && !body[0].is_ascii_hexdigit());
    assert_eq!(end, End::Fin);
}

#[test]
fn truncate() {
    for (at, sent) in [("60", 60), ("0.5", 181), ("9999", 362), ("0", 0)] {
        for (end, expected) in [("fin", End::Fin), ("rst", End::Rst)] {
            let rig = Rig::new(&format!("{{ kind = 'truncate', at = {at}, end = '{end}' }}"));
            let honest = rig.honest_body();
            let (bytes, how) = rig.exchange();
            let (head, body) = split(&bytes);
            assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", honest.len())), "{head}");
            assert_eq!((body, how), (&honest[..sent], expected), "{at} {end}");
            assert_eq!(
                rig.fault_record(),
                json!({ "kind": "truncate", "rule": "f", "sent": sent, "of": honest.len() })
            );
        }
    }
}

#[test]
fn body_cut() {
    let rig = Rig::new("{ kind = 'body_cut', at = 100 }");
    let honest = rig.honest_body();
    let mut stream = rig.send(&[rig.request(), rig.request()].concat());
    let mut bytes = vec![0; 1];
    stream.read_exact(&mut bytes).unwrap();
    while bytes.windows(8).filter(|window| window == b"HTTP/1.1").count() < 2
        || !bytes.ends_with(&honest[90..100])
    {
        let mut more = [0; 256];
        let count = stream.read(&mut more).unwrap();
        assert_ne!(count, 0, "the connection is kept");
        bytes.extend_from_slice(&more[..count]);
    }
    let (head, rest) = split(&bytes);
    assert!(head.contains("\r\ncontent-length: 100\r\n"), "{head}");
    assert_eq!(&rest[..100], &honest[..100]);
    assert_eq!(
        rig.fault_record(),
        json!({ "kind": "body_cut", "rule": "f", "kept": 100, "of": honest.len() })
    );
}

#[test]
fn bad_length() {
    for (by, announced) in [(10, 373), (-10, 353), (-9999, 0)] {
        let rig = Rig::new(&format!("{{ kind = 'bad_length', by = {by} }}"));
        let (bytes, end) = rig.exchange();
        let (head, body) = split(&bytes);
        assert!(head.contains(&format!("\r\ncontent-length: {announced}\r\n")), "{head}");
        assert_eq!((body, end), (&rig.honest_body()[..], End::Fin));
    }
}

#[test]
fn dribble() {
    let rig = Rig::new("{ kind = 'dribble', chunks = 5, for = '2s' }");
    let (bytes, end) = rig.exchange();
    assert_eq!((split(&bytes).1, end), (&rig.honest_body()[..], End::Fin));
    assert_eq!(rig.waits(), [ms(500); 4]);
    assert_eq!(parse(&bytes).code(), "6014");
}

#[test]
fn bandwidth() {
    let rig = Rig::new("{ kind = 'bandwidth', bytes_per_second = 1000 }");
    let (bytes, _) = rig.exchange();
    assert_eq!(split(&bytes).1, rig.honest_body());
    assert_eq!(rig.waits(), [ms(100); 3], "363 bytes, in portions of a tenth of a second");
}

#[test]
fn slow_headers() {
    let rig = Rig::new("{ kind = 'slow_headers', for = '1s' }");
    let (bytes, _) = rig.exchange();
    let (head, body) = split(&bytes);
    assert_eq!(body, rig.honest_body());
    let waits = rig.waits();
    assert_eq!(waits.len(), head.len(), "a wait behind every byte of the head");
    assert!(waits.iter().all(|wait| *wait == ms(1000) / head.len() as u32));
}

#[test]
fn bitflip_flips_the_bits_in_the_journal() {
    let rig = Rig::new("{ kind = 'bitflip', bits = 3 }");
    let answer = rig.sim.call("f", r#"{"transactionId":"T-1","threshold":"7"}"#);
    let mut body = answer.body.clone();
    let record = rig.fault_record();
    let bits: Vec<_> =
        record["bits"].as_array().unwrap().iter().map(|bit| bit.as_u64().unwrap() as usize).collect();
    assert_eq!(bits.len(), 3);
    assert_ne!(body, rig.honest_body());
    for bit in bits {
        body[bit / 8] ^= 0x80 >> (bit % 8);
    }
    assert_eq!(body, rig.honest_body());
}

#[test]
fn gateway_page() {
    for (status, phrase) in [(502, "Bad Gateway"), (503, "Service Unavailable"), (504, "Gateway Timeout")] {
        let rig = Rig::new(&format!("{{ kind = 'gateway_page', status = {status} }}"));
        let answer = rig.sim.call("f", "{}");
        assert_eq!(answer.status, status);
        assert!(answer.head.contains("content-type: text/html"), "{}", answer.head);
        assert!(answer.text().contains(&format!("<h1>{status} {phrase}</h1>")), "{}", answer.text());
    }
}

#[test]
fn stale_keepalive_and_late_close_differ_in_the_connection_header() {
    for (kind, closes) in [("stale_keepalive", false), ("late_close", true)] {
        let rig = Rig::new(&format!("{{ kind = '{kind}', after = '3s' }}"));
        let (bytes, end) = rig.exchange();
        let (head, body) = split(&bytes);
        assert_eq!((body, end), (&rig.honest_body()[..], End::Fin));
        assert_eq!(head.contains("\r\nconnection: close\r\n"), closes, "{head}");
        assert_eq!(rig.waits(), [ms(3000)]);
    }
}

#[test]
fn early_response_is_sent_before_the_body() {
    let rig = Rig::with_rule("fault = { kind = 'early_response' }\nreply = { status = 503, body = 'no' }");
    for length in LENGTHS {
        let mut stream = rig.send(&upload(length));
        let (bytes, _) = read_to_the_end(&mut stream);
        let answer = parse(&bytes);
        assert_eq!((answer.status, answer.text()), (503, "no"), "{length}");
        assert!(answer.head.contains("connection: close"), "{}", answer.head);
    }
}

/// Lengths of a body that the HTTP library reads, and of one that the long-body reader reads.
const LENGTHS: [usize; 2] = [1000, 1_000_000];

/// Returns the head of an upload of `length` bytes.
fn upload(length: usize) -> Vec<u8> {
    format!("POST /api/face-recognition/f/CALL_FN HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n")
        .into_bytes()
}

#[test]
fn close_during_upload_reads_only_part_of_the_body() {
    for (end, expected) in [("rst", &[End::Rst][..]), ("fin", &[End::Fin, End::Rst])] {
        let rig =
            Rig::with_rule(&format!("fault = {{ kind = 'close_during_upload', at = 10, end = '{end}' }}"));
        for length in LENGTHS {
            let mut stream = rig.send(&[&upload(length)[..], &[b' '; 20]].concat());
            let (bytes, how) = read_to_the_end(&mut stream);
            // The kernel may send RST instead of FIN when data is unread.
            assert!(bytes.is_empty() && expected.contains(&how), "{end} {length}: {how:?}");
            let entry = rig.sim.last();
            assert_eq!(
                (entry["fault"]["kind"].as_str(), entry["answer"]["status"].clone()),
                (Some("close_during_upload"), json!(null))
            );
        }
    }
}

#[test]
fn slow_read_paces_the_upload_and_then_answers() {
    let rig = Rig::with_rule("fault = { kind = 'slow_read', bytes_per_second = 100 }");
    for (length, time) in [(50, ms(500)), (100_000, ms(1_000_000))] {
        let earlier = rig.waits().len();
        let answer = rig.sim.call("f", vec![b' '; length]);
        assert_eq!(answer.code(), "5004");
        let waits = &rig.waits()[earlier..];
        assert_eq!(waits.iter().sum::<Duration>(), time, "{length} bytes at 100 a second");
        assert!(waits.iter().all(|wait| *wait <= ms(90_000)), "a long body is read in pieces as well");
    }
}

/// A timer whose sleeps end when the test releases them.
#[derive(Default)]
struct Held(Mutex<Vec<tokio::sync::oneshot::Sender<()>>>);

impl Timer for Held {
    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        let (release, held) = tokio::sync::oneshot::channel();
        self.0.lock().push(release);
        held.map(drop).boxed()
    }
}

impl Held {
    fn release(&self) {
        loop {
            if let Some(release) = self.0.lock().pop() {
                let _ = release.send(());
                return;
            }
        }
    }
}

fn held(fault: &str) -> (Sim, Arc<Held>, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let text = format!("extends = 'load'\n[[rules]]\nname = 'f'\ntimes = 1\nfault = {fault}\n");
    write_fixture(directory.path(), "customers/f.toml", &text);
    let (timer, path) = (Arc::new(Held::default()), directory.path().to_owned());
    let sim = Sim::with(|builder| builder.fixtures(Some(path)).timer(Arc::clone(&timer) as Arc<dyn Timer>));
    (sim, timer, directory)
}

fn is_refused(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

#[test]
fn refuse_closes_the_port_and_opens_it_again_while_admin_stays_up() {
    let (sim, timer, _directory) = held("{ kind = 'refuse', for = '5s' }");
    let mut stream = TcpStream::connect(sim.address()).unwrap();
    stream.write_all(&http("POST", "/api/face-recognition/f/CALL_FN", "", b"{}")).unwrap();
    assert_eq!(read_to_the_end(&mut stream), (Vec::new(), End::Fin));
    assert!(is_refused(sim.address()), "at once");
    assert_eq!(sim.admin("GET", "/health", "").0, 200);
    timer.release();
    while is_refused(sim.address()) {}
    assert_eq!(sim.call("f", "{}").code(), "5004");
}

#[test]
fn close_on_accept_accepts_connections_and_closes_them_unread() {
    let (sim, timer, _directory) = held("{ kind = 'close_on_accept', for = '5s' }");
    let request = http("POST", "/api/face-recognition/f/CALL_FN", "", b"{}");
    let exchange = || {
        let mut stream = TcpStream::connect(sim.address()).unwrap();
        let _ = stream.write_all(&request);
        read_to_the_end(&mut stream).0
    };
    for _ in 0..3 {
        assert!(exchange().is_empty());
    }
    timer.release();
    while exchange().is_empty() {}
}

#[test]
fn every_kind_of_fault_has_a_test_here() {
    let tests = include_str!("faults.rs");
    for kind in &KINDS {
        let named = tests.contains(&format!("kind = '{}'", kind.name));
        let in_a_list = tests.contains(&format!("\"{}\"", kind.name));
        assert!(named || in_a_list, "{} is not tested", kind.name);
    }
}

#[test]
fn a_thousand_hanging_connections_are_cheap_and_closed_at_the_end() {
    let rig = Rig::new("{ kind = 'hang' }");
    let request = rig.request();
    let streams: Vec<_> = (0..1000).map(|_| rig.send(&request)).collect();
    while rig.sim.admin("GET", "/ready", "").1["in_flight"] != 1000 {}
    assert_eq!(rig.sim.call("always-6014", "{}").code(), "6014", "another customer is served");
    let (_, listing) = rig.sim.admin("GET", "/requests?state=in_flight&limit=10000", "");
    assert_eq!(listing["requests"].as_array().unwrap().len(), 1000);
    rig.sim.0.stop();
    for mut stream in streams {
        assert_eq!(read_to_the_end(&mut stream).0, b"");
    }
}

#[test]
fn connections_are_limited_and_closed_ones_free_their_permit() {
    let (sim, _directory) = Sim::over(&[("simulator.toml", "limits = { connections = 2 }")]);
    let first = TcpStream::connect(sim.address()).unwrap();
    let second = TcpStream::connect(sim.address()).unwrap();
    let refused = || {
        let mut third = TcpStream::connect(sim.address()).unwrap();
        let _ = third.write_all(&http("POST", "/api/face-recognition/always-6014/X", "", b"{}"));
        let mut all = Vec::new();
        let _ = third.read_to_end(&mut all);
        all.is_empty()
    };
    assert!(refused());
    drop((first, second));
    while refused() {}
}
