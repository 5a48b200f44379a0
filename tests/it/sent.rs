//! What left the socket is what is told: in the terminal's line, the JSON log, the journal, `verify` and the metrics, for every kind of fault.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use dukcapil_fr_sim::internals::config::Problem;
use dukcapil_fr_sim::internals::domain::faults::KINDS;
use dukcapil_fr_sim::internals::http::timeouts::Timeouts;
use dukcapil_fr_sim::internals::state::journal::{Entry, State};
use dukcapil_fr_sim::internals::state::observer::{Observer, SlowUpload};
use serde_json::{Value, json};

use crate::abuse::PATIENT;
use crate::binary::{Served, address};
use crate::support::{Sim, eventually, exchange, http, read_to_the_end, write_fixture};

/// A fault: parameters, status and end of what is sent, label of the metrics, what leads the line.
pub type Row = (&'static str, &'static str, Option<u16>, &'static str, &'static str, &'static str);

/// One row for each kind, in the order of the table, the two that close the listener last. `docs/reference/faults.md` has what leads the
/// line beside the defaults of the parameters, so no row has another `end`.
#[rustfmt::skip]
pub const FAULTS: [Row; 22] = [
    ("close_during_upload", "", None, "rst", "rst", "⚡ RST"),
    ("early_response", "", Some(200), "complete", "http_200", "⚡ 200"),
    ("slow_read", "", Some(200), "complete", "6014", "⚡ 6014"),
    ("empty_close", "", None, "fin", "fin", "⚡ FIN"),
    ("reset", "", None, "rst", "rst", "⚡ RST"),
    ("hang", "", None, "none", "none", "⚡ gone"),
    ("hang_then_close", "for = '1ms'", None, "fin", "fin", "⚡ FIN"),
    ("garbage", "bytes = 8", None, "complete", "fin", "⚡ FIN"),
    ("raw", "text = 'HTTP/1.1 banana'", None, "complete", "fin", "⚡ FIN"),
    ("malformed_chunk", "", Some(200), "fin", "fin", "⚡ FIN"),
    ("truncate", "", Some(200), "fin", "fin", "⚡ FIN"),
    ("body_cut", "", Some(200), "complete", "http_200", "⚡ 200"),
    ("bad_length", "", Some(200), "fin", "fin", "⚡ FIN"),
    ("dribble", "for = '1ms'", Some(200), "complete", "6014", "⚡ 6014"),
    ("bandwidth", "bytes_per_second = 100000", Some(200), "complete", "6014", "⚡ 6014"),
    ("slow_headers", "for = '1ms'", Some(200), "complete", "6014", "⚡ 6014"),
    ("bitflip", "", Some(200), "complete", "http_200", "⚡ 200"),
    ("gateway_page", "", Some(502), "complete", "http_502", "⚡ 502"),
    ("stale_keepalive", "after = '1ms'", Some(200), "complete", "6014", "⚡ 6014"),
    ("late_close", "after = '1ms'", Some(200), "complete", "6014", "⚡ 6014"),
    ("refuse", "for = '1ms'", None, "fin", "fin", "⚡ FIN"),
    ("close_on_accept", "for = '1ms'", None, "fin", "fin", "⚡ FIN"),
];

/// Sends a request to the customer of each fault. Returns the log.
fn send_to_each(served: &Served, data: std::net::SocketAddr) {
    for (kind, ..) in FAULTS {
        let path = format!("/api/face-recognition/{kind}/CALL_FN");
        let request = http("POST", &path, "", br#"{"transactionId":"T-1","threshold":"7"}"#);
        let mut connected = None;
        // The listener may still be closed by the fault before.
        eventually("a connection", || {
            connected = TcpStream::connect(data).ok();
            connected.is_some()
        });
        let mut stream = connected.unwrap();
        stream.write_all(&request).unwrap();
        if kind == "hang" {
            eventually("the hang", || of(served, kind)["state"] == "in_flight");
            drop(stream);
        } else {
            let _ = read_to_the_end(&mut stream);
        }
        eventually(kind, || of(served, kind)["sent"]["end"].as_str().is_some_and(|end| end != "pending"));
    }
}

fn of(served: &Served, customer: &str) -> Value {
    admin(served, "GET", &format!("/requests?customer_id={customer}"), "")["requests"][0].clone()
}

fn admin(served: &Served, method: &str, path: &str, body: &str) -> Value {
    exchange(served.admin(), &http(method, path, "Content-Type: application/json\r\n", body.as_bytes()))
        .json()
}

/// Serves a customer for each fault, named as its kind.
pub fn serve_all(log: &str) -> (Served, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    for (kind, parameters, ..) in FAULTS {
        let fault = [&format!("kind = '{kind}'"), parameters].join(", ");
        let fault = fault.trim_end_matches(", ");
        // Some faults are decided before the body is read, so the answer has a rule of its own.
        let text = format!(
            "extends = 'load'\n[[rules]]\nname = 'f'\nfault = {{ {fault} }}\n\
             [[rules]]\nname = 'r'\nreply = {{ code = '6014' }}\nchecks = 'skip'\n"
        );
        write_fixture(directory.path(), &format!("customers/{kind}.toml"), &text);
    }
    let fixtures = directory.path().to_str().unwrap().to_owned();
    (Served::plain(&["--fixtures", &fixtures, "--log", log]), directory)
}

#[test]
fn every_kind_of_fault_has_a_row() {
    let mut rows: Vec<_> = FAULTS.iter().map(|row| row.0).collect();
    let mut kinds: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
    rows.sort_unstable();
    kinds.sort_unstable();
    assert_eq!(rows, kinds);
}

#[test]
fn a_fault_that_ends_otherwise_than_by_default_is_told_so() {
    for (kind, status, end) in [("close_during_upload", None, "fin"), ("truncate", Some(200), "rst")] {
        let rule =
            format!("extends = 'load'\n[[rules]]\nname = 'f'\nfault = {{ kind = '{kind}', end = '{end}' }}");
        let (sim, _directory) = Sim::over(&[("customers/f.toml", &rule)]);
        let mut stream = TcpStream::connect(sim.address()).unwrap();
        let path = "/api/face-recognition/f/CALL_FN";
        stream.write_all(&http("POST", path, "", sim.request().text().as_bytes())).unwrap();
        let _ = read_to_the_end(&mut stream);
        eventually("its end", || sim.last()["sent"]["end"] == end);
        assert_eq!(sim.last()["sent"]["status"], json!(status), "{kind}");
    }
}

#[test]
fn the_terminal_the_journal_verify_and_the_metrics_tell_what_was_sent() {
    let (served, _directory) = serve_all("text");
    send_to_each(&served, address(&served.value("endpoint")));
    let metrics = exchange(served.admin(), &http("GET", "/metrics", "", b""));
    for (kind, _, status, end, outcome, _) in FAULTS {
        let entry = of(&served, kind);
        assert_eq!(
            (&entry["sent"]["status"], &entry["sent"]["end"]),
            (&json!(status), &json!(end)),
            "{kind}"
        );
        assert_eq!(entry["sent"]["bytes"] != json!(0), status.is_some() || end == "complete", "{entry}");
        let verify = |more: Value| {
            let mut matching = json!({ "customer_id": kind });
            matching.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let body = json!({ "match": matching, "count": { "at_least": 0 } }).to_string();
            admin(&served, "POST", "/requests/verify", &body)["count"].as_u64().unwrap()
        };
        assert_eq!(verify(json!({ "code": "6014" })), u64::from(outcome == "6014"), "{kind}");
        let shown = status.map_or(json!("1.."), Value::from);
        assert_eq!(verify(json!({ "status": shown })), u64::from(status.is_some()), "{kind}");
        assert_eq!(verify(json!({ "sent": { "end": end } })), 1, "{kind}");
        let line = format!("frsim_requests_total{{customer=\"{kind}\",outcome=\"{outcome}\"}} 1\n");
        assert!(metrics.text().contains(&line), "no {line} in {}", metrics.text());
    }
    served.signal("TERM");
    let (_, _, log) = served.end();
    for (kind, _, _, _, _, leads) in FAULTS {
        let lines: Vec<_> = log.lines().filter(|line| line.contains(&format!(" {kind} "))).collect();
        let effect = KINDS.iter().find(|row| row.name == kind).unwrap().effect;
        let says = |line: &&&str| line.contains(leads) && line.contains(&format!("{effect} by rule \"f\""));
        assert_eq!(lines.iter().filter(says).count(), 1, "{kind}: {lines:?}");
    }
    let summary = log.lines().last().unwrap();
    assert!(summary.starts_with("stopped: 22 requests: ") && summary.contains("fin ×"), "{summary}");
    assert!(summary.contains("; faults: ") && summary.ends_with("; seed 0"), "{summary}");
}

#[test]
fn the_json_log_tells_what_was_sent() {
    let (served, _directory) = serve_all("json");
    let ready: Value = serde_json::from_str(served.ready()).unwrap();
    send_to_each(&served, address(ready["endpoint"].as_str().unwrap()));
    served.signal("TERM");
    let (_, _, log) = served.end();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (kind, _, status, end, outcome, _) in FAULTS {
        let is_its = |line: &&Value| line["event"] == "request" && line["customer_id"] == kind;
        let line = lines.iter().find(is_its).unwrap();
        assert_eq!((&line["sent"]["status"], &line["sent"]["end"]), (&json!(status), &json!(end)), "{kind}");
        assert_eq!((&line["outcome"], &line["fault"]["kind"]), (&json!(outcome), &json!(kind)), "{line}");
    }
}

#[test]
fn what_was_decided_stands_beside_what_was_sent() {
    let sim = Sim::start();
    let body = sim.request().text();
    sim.call("gateway-down", &body);
    let entry = sim.last();
    assert_eq!((&entry["answer"]["status"], &entry["answer"]["code"]), (&json!(200), &json!("6018")));
    assert_eq!((&entry["sent"]["status"], &entry["sent"]["end"]), (&json!(502), &json!("complete")));
    let answer = sim.call("demo", &body);
    let bytes = answer.head.len() + b"\r\n\r\n".len() + answer.body.len();
    assert_eq!(sim.last()["sent"], json!({ "status": 200, "bytes": bytes, "end": "complete" }));
}

/// Observer of notices.
#[derive(Default)]
struct Told {
    entry: AtomicU64,
    upload: AtomicBool,
}

impl Observer for Told {
    fn request(&self, _: &Entry) {}

    fn under_way(&self, entry: &Entry, time: Duration) {
        assert_eq!((entry.sending.state(), time), (State::InFlight, Duration::from_millis(5)));
        self.entry.store(entry.id, Ordering::Relaxed);
    }

    fn upload_under_way(&self, upload: &SlowUpload) {
        assert_eq!((upload.customer_id.as_str(), &upload.rule), ("hang", &None));
        self.upload.store(true, Ordering::Relaxed);
    }

    fn reloaded(&self, _: usize) {}
    fn refused(&self, _: &[Problem]) {}
}

#[test]
fn a_refusal_tells_the_customer_of_its_path_and_where_to_go() {
    let sim = Sim::start();
    let get = |method: &str, path: &str| {
        let answer = exchange(sim.address(), &http(method, path, "", b""));
        (answer.status, answer.json()["error"]["hint"].as_str().unwrap().to_owned(), sim.last())
    };
    let (status, hint, entry) = get("GET", "/api/face-recognition/demo/CALL_FN");
    assert_eq!((status, hint.as_str()), (405, "use POST"));
    assert_eq!((&entry["customer_id"], &entry["methode"]), (&json!("demo"), &json!("CALL_FN")));
    assert_eq!((&entry["answer"]["hint"], &entry["sent"]["status"]), (&json!("use POST"), &json!(405)));
    assert_eq!(entry["ordinal"], json!(null), "it is no call");
    let (_, _, masked) = get("GET", "/api/face-recognition/3174055708909001/CALL_FN");
    assert_eq!(masked["customer_id"], "317405XXXXXXXXXX");
    let (_, _, hidden) = get("GET", "/api/face-recognition/demo/demo-password");
    assert!(!hidden.to_string().contains("demo-password"), "{hidden}");
    let (status, hint, entry) = get("GET", "/customers/demo?x=1");
    let url = format!("http://{}/customers/demo", sim.admin_address());
    assert!(status == 404 && hint.contains(&url), "{hint}");
    assert_eq!(entry["customer_id"], json!(null));
    let (status, hint, _) = get("POST", "/api/face-recognition/demo");
    assert!(status == 404 && hint.contains("{customer_id}/{methode}"), "{hint}");
}

#[test]
fn an_answer_before_the_body_does_not_call_it_empty() {
    let rule = "extends = 'load'\n[[rules]]\nname = 'f'\nfault = { kind = 'early_response' }";
    let (sim, _directory) = Sim::over(&[("customers/f.toml", rule)]);
    sim.call("f", sim.request().text());
    let reason = &sim.last()["answer"]["reason"];
    assert_eq!(reason, "the body was not read: a rule answers before it");
}

#[test]
fn a_body_left_unread_is_not_malformed() {
    let rule = "extends = 'load'\npolicy = { malformed_json = '400' }\n[[rules]]\nname = 'f'\nfault = { kind = 'early_response' }";
    let (sim, _directory) = Sim::over(&[("customers/f.toml", rule)]);
    let answer = sim.call("f", sim.request().text());
    assert_eq!((answer.status, answer.code().as_str()), (200, "5004"));
    assert_eq!(sim.last()["answer"]["reason"], "the body was not read: a rule answers before it");
}

#[test]
fn a_request_under_way_for_a_while_is_told() {
    let told = Arc::new(Told::default());
    let timeouts = Timeouts { notice: Duration::from_millis(5), ..PATIENT };
    let sim = Sim::with(|builder| builder.timeouts(timeouts).observer(told.clone()));
    let path = "/api/face-recognition/hang/CALL_FN";
    let request = http("POST", path, "", sim.request().text().as_bytes());
    let mut stream = TcpStream::connect(sim.address()).unwrap();
    let (first, last) = request.split_at(request.len() - 1);
    stream.write_all(first).unwrap();
    eventually("the notice of the upload", || told.upload.load(Ordering::Relaxed));
    stream.write_all(last).unwrap();
    eventually("the notice", || told.entry.load(Ordering::Relaxed) == 1);
}
