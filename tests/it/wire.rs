//! The wire of the endpoint's listener under rude clients: what a connection costs, when it is given back, and the exact bytes of heads.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use dukcapil_fr_sim::Simulator;
use dukcapil_fr_sim::internals::http::timeouts::Timeouts;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use socket2::SockRef;

use crate::abuse::{PATIENT, connect, read_answers, read_until_close, request, sent};
#[cfg(target_os = "linux")]
use crate::binary::command;
use crate::binary::{Served, address, listening, run, text};
#[cfg(target_os = "linux")]
use crate::support::Body;
use crate::support::{KEYS, Sim, eventually, exchange, http, parse, unchunked, write_fixture};
use crate::timers::Recorder;

/// Calls the admin API of a binary.
fn admin(served: &Served, path: &str) -> Value {
    exchange(address(&served.value("admin")), &http("GET", path, "", b"")).json()
}

#[cfg(target_os = "linux")]
pub fn in_flight(served: &Served) -> u64 {
    admin(served, "/ready")["in_flight"].as_u64().unwrap()
}

fn entries(sim: &Sim) -> Vec<Value> {
    sim.admin("GET", "/requests?limit=1000", "").1["requests"].as_array().unwrap().clone()
}

fn used(sim: &Sim, customer: &str) -> Value {
    sim.admin("GET", &format!("/customers/{customer}/quota"), "").1["used"].clone()
}

/// Returns a POST of a body to a customer.
fn post(customer: &str, version: &str, lines: &str, body: &str) -> String {
    format!(
        "POST /api/face-recognition/{customer}/CALL_FN HTTP/{version}\r\nHost: x\r\n{lines}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Reads to the end of the connection, which must be a FIN.
fn read_until_fin(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).expect("FIN, not RST");
    all
}

#[test]
fn a_request_that_ends_its_connection_is_the_last_one_answered() {
    for (version, lines) in
        [("1.1", "Connection: close\r\n"), ("1.0", ""), ("1.0", "Connection: keep-alive\r\n")]
    {
        let sim = Sim::start();
        let body = sim.request().text();
        let all = [post("demo", version, lines, &body), post("demo", "1.1", "", &body).repeat(3)].concat();
        let answer = parse(&read_until_fin(&mut sent(sim.address(), all)));
        assert_eq!(answer.code(), "6018", "{version} {lines}");
        assert_eq!((entries(&sim).len(), used(&sim, "demo")), (1, json!(1)), "{version} {lines}");
    }
}

#[test]
fn a_refusal_with_an_unread_body_is_the_last_answer_of_its_connection() {
    for (status, first) in [
        (404, post("demo", "1.1", "", "{}").replace("CALL_FN", "CALL_FN/x")),
        (405, post("demo", "1.1", "", "{}").replace("POST", "PUT")),
        (413, post("demo", "1.1", "", &" ".repeat(5000))),
        (415, post("demo", "1.1", "Content-Encoding: gzip\r\n", "{}")),
    ] {
        let sim = Sim::with(|builder| builder.max_body(4000));
        let all = [first, post("demo", "1.1", "", "{}").repeat(3)].concat();
        let all = read_until_fin(&mut sent(sim.address(), all));
        let answer = parse(&all);
        assert_eq!((answer.status, answer.head.contains("connection: close")), (status, true));
        assert!(
            answer.json()["error"]["hint"].is_string(),
            "one answer and nothing behind it: {}",
            answer.text()
        );
        let entries = entries(&sim);
        assert_eq!((entries.len(), &entries[0]["answer"]["status"]), (1, &json!(status)));
        assert_eq!(used(&sim, "demo"), 0);
    }
}

#[test]
fn a_refusal_that_leaves_nothing_unread_keeps_its_connection() {
    let sim = Sim::start();
    let get = "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n".to_owned();
    let put = post("demo", "1.1", "", "").replace("POST", "PUT");
    let all = [get, put, post("sample-6014", "1.1", "", "{}")].concat();
    let answers = read_answers(&mut sent(sim.address(), all), 3);
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [404, 405, 200]);
}

#[test]
fn an_http_1_0_request_changes_no_other_connection() {
    let sim = Sim::start();
    // One more than there are threads: one of them serves both an old connection and a kept one.
    let threads = std::thread::available_parallelism().unwrap().get();
    let mut kept: Vec<_> = (0..=threads).map(|_| connect(sim.address())).collect();
    let ask = |kept: &mut TcpStream| {
        kept.write_all(request("Content-Length: 2\r\n", "{}").as_bytes()).unwrap();
        assert_eq!(read_answers(kept, 1)[0].code(), "6014");
    };
    kept.iter_mut().for_each(ask);
    for _ in 0..=threads {
        assert_eq!(
            parse(&read_until_fin(&mut sent(sim.address(), post("sample-6014", "1.0", "", "{}")))).code(),
            "6014"
        );
    }
    kept.extend((0..=threads).map(|_| connect(sim.address())));
    for stream in &mut kept {
        (0..20).for_each(|_| ask(stream));
    }
    // Longer than the time that a connection has behind its last answer.
    kept[0].set_read_timeout(Some(Duration::from_millis(2200))).unwrap();
    let idle = kept[0].read(&mut [0]).unwrap_err();
    assert!(matches!(idle.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{idle}");
    kept.iter_mut().for_each(ask);
}

/// Returns the number behind a name in a file such as `/proc/1/status`.
#[cfg(target_os = "linux")]
pub fn kilobytes_resident(served: &Served) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", served.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Returns the processor time used so far, in ticks of ten milliseconds.
#[cfg(target_os = "linux")]
pub fn processor_ticks(served: &Served) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", served.id())).unwrap();
    // The name before the last parenthesis may have blanks. utime and stime are the 14th and 15th field.
    let fields = stat.rsplit_once(')').unwrap().1;
    fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
}

/// Returns what the open descriptors refer to, without the numbers of sockets.
#[cfg(target_os = "linux")]
pub fn descriptors(served: &Served) -> Vec<String> {
    let open = std::fs::read_dir(format!("/proc/{}/fd", served.id())).unwrap();
    // One may be closed while they are listed.
    let targets = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    targets
        .map(|target| target.display().to_string().split('[').next().unwrap_or_default().to_owned())
        .collect()
}

/// Customers whose requests wait: for ever in a fault, for an hour in a delay, and for an hour in the matcher's queue.
#[cfg(target_os = "linux")]
const WAITING: [(&str, &str); 3] = [
    ("hang", ""),
    ("late", "extends = 'load'\n[[rules]]\ndelay = '1h'\n"),
    ("queued", "extends = 'load'\ncapacity = { workers = 1, queue = 1000, service_time = '1h' }\n"),
];

/// Starts a binary that has the waiting customers.
#[cfg(target_os = "linux")]
fn with_waiting_customers(more: &[&str]) -> (Served, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in WAITING.iter().filter(|(_, text)| !text.is_empty()) {
        write_fixture(directory.path(), &format!("customers/{name}.toml"), text);
    }
    let served =
        Served::plain(&[&["--quiet", "--fixtures", directory.path().to_str().unwrap()], more].concat());
    (served, directory)
}

#[cfg(target_os = "linux")]
fn good_body() -> String {
    Body::encrypted_with(&std::fs::read_to_string(KEYS.path().join("public.pem")).unwrap()).text()
}

/// Writes as much as the connection takes without anyone reading. Returns how much that was.
#[cfg(target_os = "linux")]
fn stuff(mut stream: &TcpStream, bytes: &[u8]) -> usize {
    stream.set_nonblocking(true).unwrap();
    let mut written = 0;
    while let Some(count) = stream.write(&bytes[written..]).ok().filter(|count| *count > 0) {
        written += count;
    }
    stream.set_nonblocking(false).unwrap();
    written
}

#[cfg(target_os = "linux")]
#[test]
fn a_megabyte_behind_a_waiting_answer_costs_no_processor_time_and_the_end_is_seen() {
    let (served, _directory) = with_waiting_customers(&[]);
    let (data, body) = (address(&served.value("endpoint")), good_body());
    let pipelined = post("hang", "1.1", "", "{}").repeat(20_000);
    for (customer, _) in WAITING {
        let mut stream = sent(data, post(customer, "1.1", "", &body));
        // The entry is written once the photo is evaluated, which takes time too.
        let waiting = || admin(&served, "/requests?state=in_flight")["requests"].as_array().unwrap().len();
        eventually(customer, || waiting() == 1);
        let taken = stuff(&stream, &pipelined.as_bytes()[..1 << 20]);
        assert!(taken >= 128 << 10, "only {taken}");
        let before = processor_ticks(&served);
        stream.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
        assert!(stream.read(&mut [0]).is_err(), "no answer comes");
        let ticks = processor_ticks(&served) - before;
        assert!(ticks <= 8, "{customer}: {ticks} ticks of 40");
        // Where a request may follow, what is sent ahead stays unread, and FIN waits behind it in the client's kernel.
        let how = if customer == "hang" { Leave::Close } else { Leave::Reset };
        leave(stream, how);
        eventually(customer, || in_flight(&served) == 0);
    }
}

/// How a client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leave {
    Close,
    HalfClose,
    Reset,
}

/// Leaves. What is returned is kept, so that a half-closed connection stays so.
fn leave(stream: TcpStream, how: Leave) -> Option<TcpStream> {
    match how {
        Leave::Close => return None,
        // The server may have ended the connection already.
        Leave::HalfClose => drop(stream.shutdown(Shutdown::Write)),
        Leave::Reset => {
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
            return None;
        }
    }
    Some(stream)
}

#[cfg(target_os = "linux")]
#[test]
fn a_client_that_leaves_a_waiting_answer_gives_everything_back_at_once() {
    let (served, _directory) = with_waiting_customers(&[]);
    let (data, body) = (address(&served.value("endpoint")), good_body());
    let mut before = None;
    for (customer, _) in WAITING {
        for how in [Leave::Close, Leave::HalfClose, Leave::Reset] {
            for (pieces, behind) in [(1, 0), (3, 0), (1, 40_000), (7, 40_000)] {
                let what = format!("{customer} {how:?}, {pieces} pieces, {behind} bytes behind");
                let request = post(customer, "1.1", "", &body);
                let mut stream = connect(data);
                for piece in request.as_bytes().chunks(request.len().div_ceil(pieces)) {
                    stream.write_all(piece).unwrap();
                }
                stream.write_all(&vec![b'x'; behind]).unwrap();
                eventually(&what, || in_flight(&served) == 1);
                let kept = leave(stream, how);
                eventually(&what, || in_flight(&served) == 0);
                eventually(&what, || admin(&served, "/requests?state=in_flight")["requests"] == json!([]));
                drop(kept);
                // Behind the first one, which opens what stays open.
                before.get_or_insert_with(|| descriptors(&served));
            }
        }
    }
    let before = before.unwrap();
    // The last connection of the admin API may still be closing.
    eventually("the descriptors of before", || descriptors(&served).len() <= before.len());
}

#[cfg(target_os = "linux")]
#[test]
fn memory_follows_what_arrives_and_not_what_is_announced() {
    let served = Served::plain(&["--quiet"]);
    let data = address(&served.value("endpoint"));
    let ask = post("sample-6014", "1.1", "Connection: close\r\n", "{}");
    assert_eq!(parse(&read_until_fin(&mut sent(data, ask))).code(), "6014");
    let before = kilobytes_resident(&served);
    let head =
        "POST /api/face-recognition/load/CALL_FN HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n{";
    let _streams: Vec<_> = (0..160).map(|_| sent(data, head)).collect();
    eventually("160 in flight", || in_flight(&served) == 160);
    let grown = kilobytes_resident(&served).saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} kB");
}

#[test]
fn a_maximum_body_beyond_a_gibibyte_is_refused_at_the_start() {
    let keys = tempfile::tempdir().unwrap();
    for size in ["64GiB", "1073741825", "17179869183GiB"] {
        let out = run(&[&["--max-body", size][..], &listening("off", keys.path())].concat());
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{size}: {said}");
        assert!(said.contains("--max-body") && said.contains("1GiB"), "{size}: {said}");
        assert_eq!(std::fs::read_dir(keys.path()).unwrap().count(), 0, "no keys were made");
    }
    let start =
        |bytes| Simulator::builder().keys(Some(KEYS.path().to_owned())).max_body(bytes).start_blocking();
    let error = start((1 << 30) + 1).err().expect("an error").to_string();
    assert!(error.contains("1073741825 bytes") && error.contains("1GiB"), "{error}");
    assert!(start(1 << 30).is_ok());
}

#[test]
fn an_unread_answer_of_a_fault_is_cut_after_the_idle_timeout() {
    const SIZE: usize = 16 << 20;
    let large = json!({ "status": 200, "body": "x".repeat(SIZE) });
    for rule in [
        json!({ "fault": { "kind": "garbage", "bytes": SIZE } }),
        json!({ "reply": large, "fault": { "kind": "dribble", "chunks": 5, "for": "2s" } }),
        json!({ "reply": large, "fault": { "kind": "bandwidth", "bytes_per_second": 10_000_000 } }),
        json!({ "reply": large, "fault": { "kind": "late_close", "after": "1s" } }),
        json!({ "reply": large }),
    ] {
        let kind = rule["fault"]["kind"].to_string();
        let sim = Sim::with(|builder| {
            let timeouts = Timeouts { idle: Duration::from_millis(300), ..PATIENT };
            builder.timeouts(timeouts).timer(Arc::new(Recorder::default())).rule("load", "large", rule)
        });
        // A slow machine may exceed the idle timeout before the request: then it is sent again.
        let mut stream = (0..100)
            .find_map(|_| {
                let stream = sent(sim.address(), post("load", "1.1", "", "{}"));
                stream.peek(&mut [0]).is_ok_and(|count| count == 1).then_some(stream)
            })
            .expect("one of a hundred");
        eventually(&kind, || sim.admin("GET", "/ready", "").1["in_flight"] == 0);
        assert_eq!(sim.last()["state"], "aborted", "{kind}");
        let all = read_until_close(&mut stream);
        assert!(all.len() < SIZE, "{kind}: all {} bytes came", all.len());
    }
}

#[test]
fn the_documents_own_url_with_its_blank_is_served_with_a_warning() {
    let sim = Sim::start();
    let body = sim.request().text();
    let raw = post("demo", "1.1", "", &body).replace("/api/", "/api /");
    let escaped = post("demo", "1.1", "", &body).replace("/api/", "/api%20/");
    let warns = || {
        let warnings = sim.last()["warnings"].clone();
        warnings.as_array().unwrap().iter().any(|warning| warning["name"] == "raw_blank")
    };
    let mut stream = connect(sim.address());
    for (request, is_warned) in [(raw, true), (escaped, false)] {
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(read_answers(&mut stream, 1)[0].code(), "6018");
        assert_eq!(warns(), is_warned);
    }
    let elsewhere = "POST /api/face-recognition/demo/CALL FN HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(parse(&read_until_fin(&mut sent(sim.address(), elsewhere))).status, 400);
}

#[test]
fn what_is_not_a_request_gets_a_reason_a_journal_entry_and_a_log_line() {
    let served = Served::plain(&[]);
    let data = address(&served.value("endpoint"));
    let cases: [(&[u8], u16, &str, &str); 6] = [
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", 400, "malformed_request", "TLS handshake"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "malformed_request", "HTTP/2"),
        (b"\0\0\0\x10", 400, "malformed_request", "not HTTP"),
        (b"POST /\r\n\r\n", 400, "malformed_request", "no HTTP version"),
        (b"POST /x HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n", 400, "malformed_request", "header line"),
        (b"POST /no where HTTP/1.1\r\nHost: x\r\n\r\n", 400, "malformed_request", "blank"),
    ];
    for (bytes, status, code, words) in cases {
        let shown = String::from_utf8_lossy(bytes);
        let answer = parse(&read_until_fin(&mut sent(data, bytes)));
        let error = &answer.json()["error"];
        assert_eq!((answer.status, &error["code"]), (status, &json!(code)), "{shown:?}");
        assert!(error["message"].as_str().unwrap().contains(words), "{shown:?}: {error}");
        assert!(error["hint"].is_string(), "{shown:?}: {error}");
        let last = || admin(&served, "/requests?limit=1")["requests"][0].clone();
        // The entry ends behind the answer.
        eventually("the entry", || last()["state"] == "done");
        let entry = last();
        assert_eq!(
            (&entry["customer_id"], &entry["answer"]["status"]),
            (&json!(null), &json!(status)),
            "{entry}"
        );
        assert!(entry["answer"]["reason"].as_str().unwrap().contains(words), "{entry}");
    }
    served.signal("TERM");
    let (_, _, log) = served.end();
    for (_, status, _, words) in cases {
        let lines =
            log.lines().filter(|line| line.contains(&format!("HTTP {status}")) && line.contains(words));
        assert_eq!(lines.count(), 1, "{words}: {log}");
    }
}

/// Returns the head of an answer with its empty line, and its body.
fn split(all: &[u8]) -> (&str, &[u8]) {
    let at = all.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    (std::str::from_utf8(&all[..at]).unwrap(), &all[at..])
}

const DATE: &str = "Sat, 21 Nov 2026 03:00:00 GMT";

/// Asserts the bytes of an answer that ends its connection.
#[track_caller]
fn assert_head(address: SocketAddr, request: impl AsRef<[u8]>, expected: &str) -> Vec<u8> {
    let all = read_until_fin(&mut sent(address, request));
    let (head, body) = split(&all);
    let length = body.len().to_string();
    assert_eq!(head, expected.replace("{length}", &length).replace("{date}", DATE));
    body.to_vec()
}

const PLAIN: &str = "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\ncontent-type: application/json\r\ndate: {date}\r\n\
                     connection: close\r\n\r\n";
const PLAIN_405: &str = "HTTP/1.1 405 Method Not Allowed\r\ncontent-length: {length}\r\ncontent-type: application/json\r\n\
                         allow: POST\r\ndate: {date}\r\nconnection: close\r\n\r\n";
const TOMCAT: &str = "HTTP/1.1 200 \r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nDate: {date}\r\n\
                      Connection: close\r\n\r\n";

#[test]
fn a_plain_head_is_the_same_to_the_byte_every_time() {
    let sim = Sim::start();
    for _ in 0..20 {
        let body =
            assert_head(sim.address(), post("sample-6014", "1.1", "Connection: close\r\n", "{}"), PLAIN);
        assert_eq!(body, sim.call("sample-6014", "{}").body);
        let put = post("sample-6014", "1.1", "Connection: close\r\n", "{}").replace("POST", "PUT");
        assert_head(sim.address(), put, PLAIN_405);
    }
    let mut kept = sent(sim.address(), request("Content-Length: 2\r\n", "{}"));
    let answer = read_answers(&mut kept, 1).remove(0);
    let kept_head = PLAIN.replace("connection: close\r\n", "").replace("{date}", DATE);
    assert_eq!(answer.head + "\r\n\r\n", kept_head.replace("{length}", &answer.body.len().to_string()));
}

#[test]
fn a_tomcat_head_has_its_own_bytes_and_the_same_body() {
    let policy = "[policy]\nhead = 'tomcat'\n";
    let customer = format!("extends = 'always-6014'\n{policy}");
    let body = Sim::start().call("always-6014", "{}").body;
    let close = |customer: &str, version: &str| post(customer, version, "Connection: close\r\n", "{}");
    for (files, customer) in
        [([("simulator.toml", policy)], "always-6014"), ([("customers/t.toml", customer.as_str())], "t")]
    {
        let (sim, _directory) = Sim::over(&files);
        let chunked = assert_head(sim.address(), close(customer, "1.1"), TOMCAT);
        assert_eq!(unchunked(&chunked), body);
        let keeps = "Keep-Alive: timeout=60\r\nConnection: keep-alive\r\n";
        let kept_head = TOMCAT.replace("Connection: close\r\n", keeps).replace("{date}", DATE);
        let mut kept = sent(sim.address(), post(customer, "1.1", "", "{}"));
        let mut head = vec![0; kept_head.len() + chunked.len()];
        for _ in 0..2 {
            kept.read_exact(&mut head).unwrap();
            assert_eq!(split(&head), (kept_head.as_str(), chunked.as_slice()));
            kept.write_all(post(customer, "1.1", "", "{}").as_bytes()).unwrap();
        }
        let old = TOMCAT.replace("Transfer-Encoding: chunked", "Content-Length: {length}");
        assert_eq!(assert_head(sim.address(), close(customer, "1.0"), &old), body, "HTTP/1.0 has no chunks");
    }
    let (sim, _directory) = Sim::over(&[("customers/t.toml", customer.as_str())]);
    assert_head(sim.address(), close("always-6014", "1.1"), PLAIN);
}

#[test]
fn refusals_have_the_style_of_answers_and_head_requests_get_no_body() {
    let timeouts = Timeouts { head: Duration::from_millis(1), body: Duration::from_millis(1), ..PATIENT };
    for style in ["plain", "tomcat"] {
        let directory = tempfile::tempdir().unwrap();
        write_fixture(directory.path(), "simulator.toml", &format!("[policy]\nhead = '{style}'\n"));
        let path = directory.path().to_owned();
        let start = |timeouts| Sim::with(|builder| builder.fixtures(Some(path.clone())).timeouts(timeouts));
        let (sim, hurried) = (start(PATIENT), start(timeouts));
        let line = |name: &str, value: &str| match style {
            "plain" => format!("{}: {value}\r\n", name.to_lowercase()),
            _ => format!("{name}: {value}\r\n"),
        };
        let head = |status: u16, phrase: &str, more: &str, length: usize| {
            let (kind, length) =
                (line("Content-Type", "application/json"), line("Content-Length", &length.to_string()));
            let date = line("Date", DATE);
            match style {
                "plain" => format!("HTTP/1.1 {status} {phrase}\r\n{length}{kind}{more}{date}"),
                _ => format!("HTTP/1.1 {status} \r\n{kind}{more}{length}{date}"),
            }
        };
        let (close, allow) = (line("Connection", "close") + "\r\n", line("Allow", "POST"));
        for (address, request, status, phrase, more) in [
            (
                sim.address(),
                "POST /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
                404,
                "Not Found",
                "",
            ),
            (
                sim.address(),
                post("load", "1.1", "", "{}").replace("POST", "PUT"),
                405,
                "Method Not Allowed",
                allow.as_str(),
            ),
            (hurried.address(), "POST /x HT".to_owned(), 408, "Request Timeout", ""),
            (hurried.address(), request("Content-Length: 9\r\n", "{"), 408, "Request Timeout", ""),
        ] {
            let all = read_until_close(&mut sent(address, request));
            let (got, body) = split(&all);
            assert_eq!(got, head(status, phrase, more, body.len()) + &close, "{style} {status}");
            assert!(serde_json::from_slice::<Value>(body).unwrap()["error"]["code"].is_string());
        }
        for (path, status, phrase, more) in [
            ("/api/face-recognition/load/CALL_FN", 405, "Method Not Allowed", allow.as_str()),
            ("/api/nik", 405, "Method Not Allowed", allow.as_str()),
            ("/x", 404, "Not Found", ""),
        ] {
            let length = exchange(sim.address(), &http("GET", path, "", b"")).body.len();
            let all = read_until_fin(&mut sent(sim.address(), http("HEAD", path, "", b"")));
            let (got, body) = split(&all);
            assert_eq!(body, b"", "{style} {path}");
            let announced = length + usize::from(path == "/api/nik");
            assert_eq!(got, head(status, phrase, more, announced) + &close, "{style} {path}");
        }
    }
}

/// Returns a binary that may have few open files.
#[cfg(target_os = "linux")]
fn with_few_descriptors(count: u32) -> Served {
    let binary = command(
        &[&listening("127.0.0.1:0", KEYS.path())[..], &["--fixtures", KEYS.path().to_str().unwrap()]]
            .concat(),
    );
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-c", &format!("ulimit -n {count}; exec \"$0\" \"$@\"")])
        .arg(binary.get_program())
        .args(binary.get_args());
    shell.env_remove("CI").stdin(std::process::Stdio::null());
    Served::from(shell)
}

#[cfg(target_os = "linux")]
#[test]
fn connections_up_to_the_limit_of_descriptors_leave_the_admin_api_alive() {
    let served = with_few_descriptors(128);
    let (data, ask) = (address(&served.value("endpoint")), request("Content-Length: 2\r\n", "{}"));
    let mut streams: Vec<_> = (0..200).map(|_| connect(data)).collect();
    // Connections are handed over in order: the last one has been decided about when it is at its end.
    let refused = streams.last_mut().unwrap();
    assert_eq!(read_until_close(refused), b"", "closed unread");
    for _ in 0..20 {
        let health = exchange(address(&served.value("admin")), &http("GET", "/health", "", b""));
        assert_eq!(health.status, 200);
    }
    streams[0].write_all(ask.as_bytes()).unwrap();
    assert_eq!(read_answers(&mut streams[0], 1)[0].code(), "6014", "those that are open are served");
    drop(streams);
    eventually("room again", || {
        let all = read_until_close(&mut sent(data, http("POST", crate::abuse::PATH, "", b"{}")));
        !all.is_empty()
    });
    served.signal("TERM");
    let (_, _, log) = served.end();
    assert_eq!(log.matches("too many connections").count(), 1, "{log}");
}

/// One thing that a client does with a connection.
#[derive(Clone, Copy, Debug)]
enum Rude {
    Nothing,
    PartOfAHead,
    PartOfABody,
    Hang,
    HangBehindAnAnswer,
    HalfAChunk,
    WrongFraming,
    Garbage,
    UnreadAnswers,
    NotHttp,
}

const RUDE: [Rude; 10] = [
    Rude::Nothing,
    Rude::PartOfAHead,
    Rude::PartOfABody,
    Rude::Hang,
    Rude::HangBehindAnAnswer,
    Rude::HalfAChunk,
    Rude::WrongFraming,
    Rude::Garbage,
    Rude::UnreadAnswers,
    Rude::NotHttp,
];

impl Rude {
    fn bytes(self, random: &mut ChaCha8Rng) -> Vec<u8> {
        let good = post("sample-6014", "1.1", "", "{}");
        let hang = post("hang", "1.1", "", "{}");
        let text = match self {
            Rude::Nothing => String::new(),
            Rude::PartOfAHead => good[..random.random_range(1..good.len() - 6)].to_owned(),
            Rude::PartOfABody => {
                let whole = post("load", "1.1", "", &" ".repeat(300_000));
                whole[..random.random_range(200..whole.len() - 1)].to_owned()
            }
            Rude::Hang => hang,
            Rude::HangBehindAnAnswer => [good, hang].concat(),
            Rude::HalfAChunk => request("Transfer-Encoding: chunked\r\n", "1000\r\n{"),
            Rude::WrongFraming => {
                request("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "2\r\n{}\r\n")
            }
            Rude::Garbage => [good, "\0\u{1}garbage\r\n\r\n".repeat(random.random_range(1..2000))].concat(),
            Rude::UnreadAnswers => good.repeat(random.random_range(1..200)),
            Rude::NotHttp => "\u{16}\u{3}\u{1}".to_owned(),
        };
        text.into_bytes()
    }
}

#[test]
fn after_any_rude_clients_nothing_is_in_flight() {
    let sim = Sim::start();
    for seed in 0..250 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut kept = Vec::new();
        let mut done = Vec::new();
        for _ in 0..random.random_range(1..6) {
            let rude = RUDE[random.random_range(0..RUDE.len())];
            let how = [Leave::Close, Leave::HalfClose, Leave::Reset][random.random_range(0..3)];
            done.push((rude, how));
            let bytes = rude.bytes(&mut random);
            let mut stream = connect(sim.address());
            let piece = random.random_range(1..=bytes.len().max(1)).max(bytes.len() / 20);
            for piece in bytes.chunks(piece.max(1)) {
                // The server may have refused it already.
                let _ = stream.write_all(piece);
            }
            kept.extend(leave(stream, how));
        }
        let what = format!("seed {seed}: {done:?}");
        eventually(&what, || sim.admin("GET", "/ready", "").1["in_flight"] == 0);
        eventually(&what, || sim.admin("GET", "/requests?state=in_flight", "").1["requests"] == json!([]));
        drop(kept);
    }
    eventually("served", || sim.call("sample-6014", "{}").code() == "6014");
}

#[test]
fn a_large_body_waits_for_its_turn_beside_the_thread_that_serves_others() {
    let sim = Sim::with(|builder| builder.workers(1));
    let app = sim.0.app_state();
    // As if another large photo were being decoded: there is one permit, because there is one thread.
    let permit = app.evaluations.try_acquire().unwrap();
    assert_eq!(app.evaluations.available_permits(), 0);
    let large = format!("{{\"image\":\"{}\"}}", "x".repeat(300 << 10));
    let mut waiting = sent(sim.address(), post("sample-6018", "1.1", "", &large));
    eventually("the large body is admitted", || sim.admin("GET", "/ready", "").1["in_flight"] == 1);
    assert_eq!(sim.call("sample-6014", "{}").code(), "6014", "the only thread serves others meanwhile");
    assert_eq!(sim.admin("GET", "/ready", "").1["in_flight"], 1, "and the large one still waits");
    drop(permit);
    assert_eq!(read_answers(&mut waiting, 1)[0].code(), "6018");
}
