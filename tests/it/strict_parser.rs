//! The endpoint's listener against h11, a strict parser of others: what h11 refuses, the listener refuses too, and no byte of a body is
//! ever taken for a request. `tests/strict_parser.py` runs h11, and names the two tolerances that the listener has beyond it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use dukcapil_fr_sim::Entry;
use serde::Deserialize;
use serde_json::Value;

use crate::request_streams::{CODES, RequestStream, stream};
use crate::support::Sim;
use crate::tidy::root;

const STREAMS: u64 = 4000;

/// Why the listener refuses (400) what h11 reads. Being stricter is safe; a new entry here is a decision.
const STRICTER: [&str; 9] = [
    // Also equal ones: proxies differ in which one they keep.
    "Content-Length is not a number of bytes",
    // h11 reads it in HTTP/1.0, which has no chunks.
    "Transfer-Encoding is not chunked",
    // h11 reads none as an empty body.
    "a POST of HTTP/1.0 needs a Content-Length",
    // Folded lines, and control characters in a value.
    "a header line is malformed",
    // A lone CR and control characters in a chunk's extension, and sizes of more than 15 digits.
    "the chunks of the body are malformed",
    // Raw blanks are read only where the document's own URL has one.
    "the target has a blank that is not the document's",
    "the version is neither HTTP/1.1 nor HTTP/1.0",
    "there are both Content-Length and Transfer-Encoding",
    "there is more than one Content-Length",
];

/// h11 in a process of its own.
struct StrictParser {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// What h11 understands of a stream.
#[derive(Debug, Deserialize)]
struct Understood {
    requests: Vec<Request>,
    end: StreamEnd,
    why: String,
    tolerated: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
struct Request {
    method: String,
    target: String,
    /// Each byte as the character with its number.
    body: String,
}

/// What follows the last request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StreamEnd {
    /// Nothing, and the connection is usable.
    Ready,
    /// Nothing that counts: the connection ends with the last request.
    Closed,
    /// A part of a request.
    Incomplete,
    /// What is not a request.
    Refused,
}

impl StrictParser {
    /// Returns `None` where Python or h11 is missing, except in CI.
    fn start() -> Option<StrictParser> {
        let has_h11 = Command::new("python3").args(["-c", "import h11"]).output();
        if !has_h11.is_ok_and(|output| output.status.success()) {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "h11 is missing: .ci/run installs it");
            eprintln!("SKIPPED: python3 with h11 is missing (pip install h11, or python3-h11)");
            return None;
        }
        let mut process = Command::new("python3")
            .arg(root().join("tests/strict_parser.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Some(StrictParser { process, input, output: BufReader::new(output) })
    }

    fn read(&mut self, bytes: &[u8]) -> Understood {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(self.input, "{hex}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn stop(mut self) {
        drop(self.input);
        assert!(self.process.wait().unwrap().success());
    }
}

/// An answer of the simulator, without its interim ones.
#[derive(Debug)]
struct Answer {
    status: u16,
    closes: bool,
    body: String,
}

impl Answer {
    fn is_refusal(&self) -> bool {
        (400..500).contains(&self.status) && self.closes
    }

    /// Why it is a refusal, from its body.
    fn message(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        body.pointer("/error/message").and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

/// Sends a stream, half-closes, and reads to the end.
fn answers(address: SocketAddr, stream: &RequestStream) -> Vec<Answer> {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_nodelay(true).unwrap();
    // Only so that a failing test does not hang.
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    for piece in stream.pieces() {
        // The server may have refused and closed before it has read everything.
        let _ = socket.write_all(piece);
    }
    let _ = socket.shutdown(Shutdown::Write);
    let mut all = Vec::new();
    socket.read_to_end(&mut all).unwrap();
    read_answers(&all)
}

fn read_answers(mut all: &[u8]) -> Vec<Answer> {
    let mut answers = Vec::new();
    while !all.is_empty() {
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut head = httparse::Response::new(&mut fields);
        let length = head.parse(all).unwrap().unwrap();
        let status = head.code.unwrap();
        let value = |name: &str| {
            let field = head.headers.iter().find(|field| field.name == name)?;
            Some(std::str::from_utf8(field.value).unwrap())
        };
        let closes = value("connection") == Some("close");
        let announced = value("content-length").map_or(0, |length| length.parse().unwrap());
        all = &all[length..];
        if status == 100 {
            continue;
        }
        // A HEAD request has no body in its answer, and only it.
        let body_length = if all.starts_with(b"{") { announced } else { 0 };
        let (body, rest) = all.split_at(body_length);
        answers.push(Answer { status, closes, body: String::from_utf8(body.to_vec()).unwrap() });
        all = rest;
    }
    answers
}

/// Checks that an entry and its answer are of a request, and not of other bytes.
fn check_entry(entry: &Entry, answer: &Answer, request: &Request) {
    assert_eq!(entry.answer.status, Some(answer.status));
    let Some(customer) = &entry.customer_id else {
        return assert!((400..500).contains(&answer.status));
    };
    let path = request.target.split(['?', '#']).next().unwrap();
    assert_eq!(entry.methode, path.rsplit('/').next().unwrap());
    assert_eq!(request.method == "POST", answer.status != 405);
    assert!(path.contains(customer.as_str()));
    if answer.status != 200 {
        return;
    }
    // Each customer has an answer of its own, so that their order shows.
    let code = customer.strip_prefix("sample-").filter(|code| CODES.contains(code));
    assert!(code.is_none_or(|code| answer.body.contains(code)), "the answer of another customer");
    let body: Vec<u8> = request.body.chars().map(|character| character as u8).collect();
    assert_eq!(entry.request.body_bytes, body.len());
    let body: Option<Value> = serde_json::from_slice(&body).ok();
    let name = body.as_ref().and_then(|body| body["transactionId"].as_str());
    if let Some(name) = name.filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
        assert_eq!(entry.request.transaction_id.as_deref(), Some(name));
    }
}

/// Checks everything that happened on one connection. Returns why the listener was stricter than h11, if it was.
fn check(
    stream: &RequestStream,
    understood: &Understood,
    answers: &[Answer],
    entries: &[Arc<Entry>],
) -> Option<String> {
    let count = understood.requests.len();
    if let Some(valid) = stream.valid {
        assert_eq!((count, answers.len()), (valid, valid), "a valid stream");
    }
    let may_refuse_more = matches!(understood.end, StreamEnd::Incomplete | StreamEnd::Refused);
    assert!(answers.len() <= count + usize::from(may_refuse_more), "more answers than requests");
    for (index, answer) in answers.iter().enumerate() {
        assert!(!answer.closes || index + 1 == answers.len(), "an answer behind the end");
    }
    let last = answers.last();
    if answers.len() > count {
        assert!(last.unwrap().is_refusal(), "an answer to what is not a request");
    }
    if understood.end == StreamEnd::Refused || answers.len() < count {
        assert!(last.is_some_and(|last| last.closes), "the connection goes on");
    }
    if understood.end == StreamEnd::Closed && answers.len() == count {
        assert!(last.unwrap().closes, "the connection does not say that it ends");
    }
    // One more when the stream ends within a body.
    assert!((answers.len()..=answers.len() + 1).contains(&entries.len()), "{} entries", entries.len());
    for entry in &entries[answers.len()..] {
        assert!(
            answers.len() == count
                && understood.end == StreamEnd::Incomplete
                && entry.answer.status.is_none()
        );
    }
    for ((entry, answer), request) in entries.iter().zip(answers).zip(&understood.requests) {
        check_entry(entry, answer, request);
    }
    // Unknown paths, other methods and encoded bodies are no matter of HTTP/1.1.
    let stricter = answers.len() <= count && last.is_some_and(|last| last.status == 400 && last.closes);
    stricter.then(|| last.unwrap().message())
}

#[test]
fn the_listener_is_never_laxer_than_a_strict_parser() {
    let Some(mut parser) = StrictParser::start() else { return };
    let sim = Sim::with(|builder| builder.journal_bytes(1 << 30));
    let mut exchanges = Vec::new();
    for number in 0..STREAMS {
        let stream = stream(number);
        let understood = parser.read(&stream.bytes);
        exchanges.push((answers(sim.address(), &stream), stream, understood));
    }
    parser.stop();
    // One connection after the other, so that their numbers are the streams' from 1.
    let mut entries: BTreeMap<u64, Vec<Arc<Entry>>> = BTreeMap::new();
    for entry in sim.0.received() {
        entries.entry(entry.connection).or_default().push(entry);
    }
    let mut ends: BTreeMap<StreamEnd, usize> = BTreeMap::new();
    let mut tolerated = BTreeSet::new();
    let mut stricter: BTreeMap<String, usize> = BTreeMap::new();
    for (number, (answers, stream, understood)) in (1..).zip(&exchanges) {
        let entries = entries.remove(&number).unwrap_or_default();
        let checked = std::panic::catch_unwind(|| check(stream, understood, answers, &entries));
        let reason = checked.unwrap_or_else(|_| {
            panic!(
                "stream {}: {}\nh11 ({}): {understood:#?}\nanswers: {answers:#?}\nentries: {:#?}",
                number - 1,
                stream.bytes.escape_ascii(),
                understood.why,
                entries.iter().map(|entry| (&entry.methode, &entry.answer.reason)).collect::<Vec<_>>(),
            )
        });
        if let Some(reason) = reason {
            *stricter.entry(reason).or_default() += 1;
        }
        *ends.entry(understood.end).or_default() += 1;
        tolerated.extend(understood.tolerated.iter().cloned());
    }
    assert_eq!(entries.len(), 0, "entries of no stream");
    assert!(ends.len() == 4 && ends.values().all(|count| *count > 100), "{ends:?}");
    assert_eq!(tolerated.len(), 2, "{tolerated:?}");
    assert_eq!(stricter.into_keys().collect::<Vec<_>>(), STRICTER);
}
