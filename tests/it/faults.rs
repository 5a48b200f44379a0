//! Every fault of the table on a raw socket: the received bytes, how the connection ends, and the server's waits, recorded by a timer
//! that does not wait.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dukcapil_fr_sim::internals::config::Problem;
use dukcapil_fr_sim::internals::domain::faults::KINDS;
use dukcapil_fr_sim::internals::state::journal::Entry;
use dukcapil_fr_sim::internals::state::observer::Observer;
use dukcapil_fr_sim::internals::state::timer::Timer;
use serde_json::json;

use crate::support::{End, Sim, eventually, http, parse, read_to_the_end, write_fixture};
use crate::timers::{Recorder, VirtualTime};

/// Generates a test for each kind of fault. The function receives the [`Fault`]; a request must have met it at the end.
macro_rules! kinds_tested {
    ($($kind:ident: $test:ident),* $(,)?) => {
        const TESTED: &[&str] = &[$(stringify!($kind)),*];

        mod kind {
            $(#[test]
            fn $test() {
                let fault = super::Fault::of_kind(stringify!($kind));
                super::$test(&fault);
                fault.assert_met();
            })*
        }
    };
}

kinds_tested! {
    refuse: refuse_closes_the_port_and_opens_it_again_while_admin_stays_up,
    close_on_accept: close_on_accept_accepts_connections_and_closes_them_unread,
    close_during_upload: close_during_upload_reads_only_part_of_the_body,
    early_response: early_response_is_sent_before_the_body,
    slow_read: slow_read_paces_the_upload_and_then_answers,
    empty_close: empty_close,
    reset: reset,
    hang: hang_lasts_until_the_client_disconnects_and_is_listed_meanwhile,
    hang_then_close: hang_then_close,
    garbage: garbage_is_seeded_and_differs_for_each_request,
    raw: raw_bytes,
    malformed_chunk: malformed_chunk,
    truncate: truncate,
    body_cut: body_cut,
    bad_length: bad_length,
    dribble: dribble,
    bandwidth: bandwidth,
    slow_headers: slow_headers,
    bitflip: bitflip_flips_the_bits_in_the_journal,
    gateway_page: gateway_page,
    stale_keepalive: stale_keepalive_closes_later_and_does_not_announce_it,
    late_close: late_close_closes_later_and_announces_it,
}

#[test]
fn every_kind_of_fault_is_tested() {
    assert_eq!(TESTED, KINDS.each_ref().map(|kind| kind.name));
}

/// The fault under test: starts simulators with it, and observes whether a request has met it.
struct Fault {
    kind: &'static str,
    met: AtomicBool,
}

impl Observer for Fault {
    fn request(&self, entry: &Entry) {
        if entry.fault.as_ref().is_some_and(|fault| fault.kind == self.kind) {
            self.met.store(true, Ordering::Relaxed);
        }
    }

    fn reloaded(&self, _: usize) {}
    fn refused(&self, _: &[Problem]) {}
}

impl Fault {
    fn of_kind(kind: &'static str) -> Arc<Fault> {
        Arc::new(Fault { kind, met: AtomicBool::new(false) })
    }

    fn assert_met(&self) {
        eventually(&format!("a request with {}", self.kind), || self.met.load(Ordering::Relaxed));
    }

    /// Starts with a customer `f` that answers every request with 6014 and this fault.
    fn rig(self: &Arc<Self>, parameters: &str) -> Rig {
        self.rig_with_rule("reply = { code = '6014' }", parameters)
    }

    fn rig_with_rule(self: &Arc<Self>, rule: &str, parameters: &str) -> Rig {
        let timer = Arc::new(Recorder::default());
        let (sim, directory) = self.start(rule, parameters, timer.clone());
        Rig { sim, timer, _directory: directory }
    }

    fn start(
        self: &Arc<Self>,
        rule: &str,
        parameters: &str,
        timer: Arc<dyn Timer>,
    ) -> (Sim, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let members = [&format!("kind = '{}'", self.kind), parameters].join(", ");
        let members = members.trim_end_matches(", ");
        let text = format!("extends = 'load'\n[[rules]]\nname = 'f'\n{rule}\nfault = {{ {members} }}\n");
        write_fixture(directory.path(), "customers/f.toml", &text);
        let path = directory.path().to_owned();
        let sim = Sim::with(|builder| builder.fixtures(Some(path)).timer(timer).observer(self.clone()));
        (sim, directory)
    }
}

struct Rig {
    sim: Sim,
    timer: Arc<Recorder>,
    _directory: tempfile::TempDir,
}

impl Rig {
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
        self.timer.sleeps()
    }

    fn fault_record(&self) -> serde_json::Value {
        self.sim.last()["fault"].clone()
    }
}

fn split(bytes: &[u8]) -> (String, &[u8]) {
    let at = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    (String::from_utf8(bytes[..at].to_vec()).unwrap(), &bytes[at..])
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn empty_close(fault: &Arc<Fault>) {
    let rig = fault.rig("");
    assert_eq!(rig.exchange(), (Vec::new(), End::Fin));
}

fn reset(fault: &Arc<Fault>) {
    let rig = fault.rig("after = '250ms'");
    assert_eq!(rig.exchange(), (Vec::new(), End::Rst));
    assert_eq!(rig.waits(), [ms(250)]);
}

fn hang_then_close(fault: &Arc<Fault>) {
    let rig = fault.rig("for = '7s'");
    assert_eq!(rig.exchange(), (Vec::new(), End::Fin));
    assert_eq!(rig.waits(), [ms(7000)]);
}

fn hang_lasts_until_the_client_disconnects_and_is_listed_meanwhile(fault: &Arc<Fault>) {
    let rig = fault.rig("");
    let stream = rig.send(&rig.request());
    let hanging =
        || rig.sim.admin("GET", "/requests?state=in_flight", "").1["requests"].as_array().unwrap().len();
    eventually("one hangs", || hanging() == 1);
    stream.set_read_timeout(Some(ms(50))).unwrap();
    let mut byte = [0];
    assert!(matches!(
        (&stream).read(&mut byte).unwrap_err().kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut
    ));
    drop(stream);
    eventually("none hangs", || hanging() == 0);
    assert_eq!(rig.sim.last()["state"], "aborted");
}

fn garbage_is_seeded_and_differs_for_each_request(fault: &Arc<Fault>) {
    let rig = fault.rig("bytes = 100");
    let ((first, end), (second, _)) = (rig.exchange(), rig.exchange());
    assert_eq!((first.len(), second.len(), end), (100, 100, End::Fin));
    assert_ne!(first, second);
    let again = fault.rig("bytes = 100");
    assert_eq!(
        (again.exchange().0, again.exchange().0),
        (first, second),
        "the same seed generates the same bytes"
    );
}

fn raw_bytes(fault: &Arc<Fault>) {
    assert_eq!(fault.rig("text = 'HTTP/1.1 banana'").exchange(), (b"HTTP/1.1 banana".to_vec(), End::Fin));
    assert_eq!(fault.rig("base64 = 'AP8='").exchange(), (vec![0x00, 0xFF], End::Fin));
}

fn malformed_chunk(fault: &Arc<Fault>) {
    let (bytes, end) = fault.rig("").exchange();
    let (head, body) = split(&bytes);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n"), "{head}");
    assert!(!body.is_empty() && !body[0].is_ascii_hexdigit());
    assert_eq!(end, End::Fin);
}

fn truncate(fault: &Arc<Fault>) {
    for (at, sent) in [("60", 60), ("0.5", 181), ("9999", 362), ("0", 0)] {
        for (end, expected) in [("fin", End::Fin), ("rst", End::Rst)] {
            let rig = fault.rig(&format!("at = {at}, end = '{end}'"));
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

fn body_cut(fault: &Arc<Fault>) {
    let rig = fault.rig("at = 100");
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

fn bad_length(fault: &Arc<Fault>) {
    for (by, announced) in [(10, 373), (-10, 353), (-9999, 0)] {
        let rig = fault.rig(&format!("by = {by}"));
        let (bytes, end) = rig.exchange();
        let (head, body) = split(&bytes);
        assert!(head.contains(&format!("\r\ncontent-length: {announced}\r\n")), "{head}");
        assert_eq!((body, end), (&rig.honest_body()[..], End::Fin));
    }
}

fn dribble(fault: &Arc<Fault>) {
    let rig = fault.rig("chunks = 5, for = '2s'");
    let (bytes, end) = rig.exchange();
    assert_eq!((split(&bytes).1, end), (&rig.honest_body()[..], End::Fin));
    assert_eq!(rig.waits(), [ms(500); 4]);
    assert_eq!(parse(&bytes).code(), "6014");
}

fn bandwidth(fault: &Arc<Fault>) {
    let rig = fault.rig("bytes_per_second = 1000");
    let (bytes, _) = rig.exchange();
    assert_eq!(split(&bytes).1, rig.honest_body());
    assert_eq!(rig.waits(), [ms(100); 3], "363 bytes, in portions of a tenth of a second");
}

fn slow_headers(fault: &Arc<Fault>) {
    let rig = fault.rig("for = '1s'");
    let (bytes, _) = rig.exchange();
    let (head, body) = split(&bytes);
    assert_eq!(body, rig.honest_body());
    let waits = rig.waits();
    assert_eq!(waits.len(), head.len(), "a wait behind every byte of the head");
    assert!(waits.iter().all(|wait| *wait == ms(1000) / head.len() as u32));
}

fn bitflip_flips_the_bits_in_the_journal(fault: &Arc<Fault>) {
    let rig = fault.rig("bits = 3");
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

fn gateway_page(fault: &Arc<Fault>) {
    for (status, phrase) in [(502, "Bad Gateway"), (503, "Service Unavailable"), (504, "Gateway Timeout")] {
        let rig = fault.rig(&format!("status = {status}"));
        let answer = rig.sim.call("f", "{}");
        assert_eq!(answer.status, status);
        assert!(answer.head.contains("content-type: text/html"), "{}", answer.head);
        assert!(answer.text().contains(&format!("<h1>{status} {phrase}</h1>")), "{}", answer.text());
    }
}

fn stale_keepalive_closes_later_and_does_not_announce_it(fault: &Arc<Fault>) {
    let head = head_of_a_later_close(fault);
    assert!(!head.contains("\r\nconnection: close\r\n"), "{head}");
}

fn late_close_closes_later_and_announces_it(fault: &Arc<Fault>) {
    let head = head_of_a_later_close(fault);
    assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
}

/// Asserts that the connection closes three seconds after the whole answer, and returns the answer's head.
fn head_of_a_later_close(fault: &Arc<Fault>) -> String {
    let rig = fault.rig("after = '3s'");
    let (bytes, end) = rig.exchange();
    let (head, body) = split(&bytes);
    assert_eq!((body, end), (&rig.honest_body()[..], End::Fin));
    assert_eq!(rig.waits(), [ms(3000)]);
    head
}

fn early_response_is_sent_before_the_body(fault: &Arc<Fault>) {
    let rig = fault.rig_with_rule("reply = { status = 503, body = 'no' }", "");
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

fn close_during_upload_reads_only_part_of_the_body(fault: &Arc<Fault>) {
    for (end, expected) in [("rst", &[End::Rst][..]), ("fin", &[End::Fin, End::Rst])] {
        let rig = fault.rig_with_rule("", &format!("at = 10, end = '{end}'"));
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

fn slow_read_paces_the_upload_and_then_answers(fault: &Arc<Fault>) {
    let rig = fault.rig_with_rule("", "bytes_per_second = 100");
    for (length, time) in [(50, ms(500)), (100_000, ms(1_000_000))] {
        let earlier = rig.waits().len();
        let answer = rig.sim.call("f", vec![b' '; length]);
        assert_eq!(answer.code(), "5004");
        let waits = &rig.waits()[earlier..];
        assert_eq!(waits.iter().sum::<Duration>(), time, "{length} bytes at 100 a second");
        assert!(waits.iter().all(|wait| *wait <= ms(90_000)), "a long body is read in pieces as well");
    }
}

/// Starts with virtual time. The fault of the first request holds for five seconds.
fn for_five_seconds(fault: &Arc<Fault>) -> (Sim, Arc<VirtualTime>, tempfile::TempDir) {
    let timer = Arc::new(VirtualTime::default());
    let (sim, directory) = fault.start("times = 1", "for = '5s'", timer.clone());
    (sim, timer, directory)
}

fn is_refused(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

fn refuse_closes_the_port_and_opens_it_again_while_admin_stays_up(fault: &Arc<Fault>) {
    let (sim, timer, _directory) = for_five_seconds(fault);
    let mut stream = TcpStream::connect(sim.address()).unwrap();
    stream.write_all(&http("POST", "/api/face-recognition/f/CALL_FN", "", b"{}")).unwrap();
    assert_eq!(read_to_the_end(&mut stream), (Vec::new(), End::Fin));
    assert!(is_refused(sim.address()), "at once");
    assert_eq!(sim.admin("GET", "/health", "").0, 200);
    timer.end_sleep(ms(5000));
    eventually("the port is open", || !is_refused(sim.address()));
    assert_eq!(sim.call("f", "{}").code(), "5004");
}

fn close_on_accept_accepts_connections_and_closes_them_unread(fault: &Arc<Fault>) {
    let (sim, timer, _directory) = for_five_seconds(fault);
    let request = http("POST", "/api/face-recognition/f/CALL_FN", "", b"{}");
    let exchange = || {
        let mut stream = TcpStream::connect(sim.address()).unwrap();
        let _ = stream.write_all(&request);
        read_to_the_end(&mut stream).0
    };
    for _ in 0..3 {
        assert!(exchange().is_empty());
    }
    timer.end_sleep(ms(5000));
    eventually("connections are served", || !exchange().is_empty());
}

#[test]
fn a_thousand_hanging_connections_are_cheap_and_closed_at_the_end() {
    let rig = Fault::of_kind("hang").rig("");
    let request = rig.request();
    let streams: Vec<_> = (0..1000).map(|_| rig.send(&request)).collect();
    rig.sim.wait_for_in_flight(1000);
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
    eventually("a connection is accepted", || !refused());
}
