//! `tail`: follows a running simulator from another terminal.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::binary::{Served, address, command, run, text};
use crate::support::{exchange, http};

/// The headers that the document requires: without them there are warnings.
const HEADERS: &str = "Accept: application/json\r\nContent-Type: application/json\r\n";

/// A `tail` that follows; killed when dropped.
struct Following {
    child: Child,
    lines: BufReader<ChildStdout>,
    notes: BufReader<ChildStderr>,
}

impl Following {
    /// Starts it, and waits until it follows.
    fn start(admin: &str, more: &[&str]) -> Following {
        let mut command = command(&[&["tail", "--admin", admin][..], more].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let notes = BufReader::new(child.stderr.take().unwrap());
        let mut following = Following { child, lines, notes };
        assert_eq!(following.note(), format!("following the requests at {admin}; Ctrl-C ends\n"));
        following
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }

    fn note(&mut self) -> String {
        let mut line = String::new();
        self.notes.read_line(&mut line).unwrap();
        line
    }

    /// Waits for the exit. Returns the exit code and the rest of stderr.
    fn end(mut self) -> (Option<i32>, String) {
        let mut notes = String::new();
        self.notes.read_to_string(&mut notes).unwrap();
        (self.child.wait().unwrap().code(), notes)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn send(served: &Served, customer: &str) {
    let path = format!("/api/face-recognition/{customer}/CALL_FN");
    let mut stream = TcpStream::connect(address(&served.value("endpoint"))).unwrap();
    stream.write_all(&http("POST", &path, HEADERS, br#"{"transactionId":"T-1"}"#)).unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
}

#[test]
fn each_request_from_now_on_is_a_line() {
    let served = Served::plain(&[]);
    send(&served, "demo");
    let admin = served.value("admin");
    let mut all = Following::start(&admin, &[]);
    let mut verbose = Following::start(&admin, &["-v", "--customer", "demo"]);
    let mut entries = Following::start(&admin, &["--json", "--customer", "sample-6014"]);
    for customer in ["reset", "sample-6014", "demo"] {
        send(&served, customer);
    }
    let line = all.line();
    assert!(
        line.contains(
            " #2   reset          T-1                  ⚡ RST   reset without a byte by rule \"reset\"; decided 5004"
        ),
        "{line}"
    );
    assert!(all.line().contains(" #3   sample-6014    T-1                  6014 "));
    assert!(all.line().contains(" #4   demo           T-1                  5004 "));
    let line = verbose.line();
    assert!(line.contains(" #4   demo ") && !line.contains('\u{1b}'), "{line:?}");
    assert!(verbose.line().starts_with("             hint: send all seven keys"));
    let line = entries.line();
    let entry: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        entry,
        exchange(served.admin(), &http("GET", "/requests/3", "", b"")).json(),
        "as the journal has it"
    );
}

#[test]
fn a_request_under_way_for_a_second_is_told_and_again_when_it_ends() {
    let served = Served::plain(&[]);
    let mut following = Following::start(&served.value("admin"), &[]);
    let path = "/api/face-recognition/hang/CALL_FN";
    let mut stream = TcpStream::connect(address(&served.value("endpoint"))).unwrap();
    stream.write_all(&http("POST", path, HEADERS, br#"{"transactionId":"T-1"}"#)).unwrap();
    let line = following.line();
    assert!(line.ends_with(" ⚡ …     nothing sent for 1s: hang by rule \"hang\"\n"), "{line}");
    drop(stream);
    let line = following.line();
    assert!(
        line.contains(" ⚡ gone  held open without a byte by rule \"hang\", until the client left; "),
        "{line}"
    );
}

#[test]
fn the_end_of_the_server_is_told() {
    let served = Served::plain(&["--quiet"]);
    let admin = served.value("admin");
    let following = Following::start(&admin, &[]);
    served.signal("TERM");
    let (code, notes) = following.end();
    assert_eq!(code, Some(1));
    let end = "the simulator has stopped, or does not answer any more\n";
    assert!(notes.starts_with(&format!("dukcapil-fr-sim: {admin}: ")) && notes.ends_with(end), "{notes}");
}

#[test]
fn a_closed_stdout_and_a_signal_end_it_quietly() {
    let served = Served::plain(&[]);
    let admin = served.value("admin");
    let mut first = Following::start(&admin, &[]);
    send(&served, "demo");
    assert!(first.line().contains(" demo "));
    let Following { child, lines, notes } = &mut first;
    // Reads no more: the pipe has no reader.
    drop(std::mem::replace(lines, BufReader::new(spare_stdout())));
    send(&served, "demo");
    let mut said = String::new();
    notes.read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
    let signalled = Following::start(&admin, &[]);
    let id = signalled.child.id().to_string();
    // Not SIGINT: a process that was started in the background of a script ignores it.
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let (code, said) = signalled.end();
    assert_eq!((code, said.as_str()), (None, ""), "ended by the signal");
}

/// Returns the stdout of a process that has ended.
fn spare_stdout() -> ChildStdout {
    let mut child = command(&["--version"]).stdout(Stdio::piped()).spawn().unwrap();
    child.wait().unwrap();
    child.stdout.take().unwrap()
}

#[test]
fn a_wrong_token_another_server_and_an_unknown_customer_are_told() {
    let served = Served::plain(&["--admin-token", "t"]);
    let admin = served.value("admin");
    let wrong = run(&["tail", "--admin", &admin, "--admin-token", "wrong"]);
    assert_eq!(wrong.status.code(), Some(1));
    let said = text(&wrong.stderr);
    let why = format!(
        "dukcapil-fr-sim: {admin}: the admin token is missing or wrong; give it with --admin-token or FRSIM_ADMIN_TOKEN\n"
    );
    assert_eq!(said, why);
    let mut unknown = Following::start(&admin, &["--admin-token", "t", "--customer", "dmo"]);
    assert_eq!(unknown.note(), "warning: there is no customer \"dmo\"; did you mean \"demo\"?\n");
    assert_eq!(run(&["tail", "--no-such-flag"]).status.code(), Some(2));
    let (url, server) =
        serving("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\n<a>".to_owned());
    let other = run(&["tail", "--admin", &url]);
    server.join().unwrap();
    assert_eq!(other.status.code(), Some(1));
    assert!(text(&other.stderr).contains("is not the admin API of a simulator"), "{}", text(&other.stderr));
}

/// Serves these bytes to one connection, once its request is read. Returns the URL.
pub fn serving(answer: String) -> (String, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = BufReader::new(stream.try_clone().unwrap());
        let (mut line, mut body) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            request.read_line(&mut line).unwrap();
            if let Some(length) = line.to_lowercase().strip_prefix("content-length:") {
                body = length.trim().parse().unwrap();
            }
        }
        request.read_exact(&mut vec![0; body]).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
    });
    (url, server)
}

#[test]
fn other_events_are_notes_beside_the_requests() {
    let entry = json!({ "id": 7, "at": "2026-11-21T02:11:51.358+07:00", "customer_id": "demo", "request": {},
        "answer": { "status": 200, "code": "6018", "reason": "r" }, "sent": { "status": 200, "bytes": 9, "end": "complete" }, "elapsed_us": 5 });
    let events = [
        ("lagged", json!({ "lost": 3 })),
        ("cleared", json!({})),
        ("changed", json!({ "method": "PUT", "path": "/customers/x", "peer": "127.0.0.1", "name": "ani" })),
        ("news", json!("\u{1b}[31m")),
        ("done", json!({ "not": "an entry" })),
        ("done", entry.clone()),
    ];
    let events: String =
        events.iter().map(|(name, data)| format!("event: {name}\ndata: {data}\n\n")).collect();
    let notes = "3 events lost: they came faster than they were read\njournal cleared\nPUT /customers/x by 127.0.0.1 ani\nnews: \"\\u001b[31m\"\n";
    for is_json in [false, true] {
        let (url, server) =
            serving(format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: ping\n\n{events}"));
        let out = run(&[&["tail", "--admin", &url][..], if is_json { &["--json"] } else { &[] }].concat());
        server.join().unwrap();
        let (lines, said) = (text(&out.stdout), text(&out.stderr));
        assert_eq!(out.status.code(), Some(1), "{said}");
        if is_json {
            assert_eq!(lines, format!("{{\"not\":\"an entry\"}}\n{entry}\n"));
            assert!(said.contains(notes), "{said}");
        } else {
            let unknown = "done: {\"not\":\"an entry\"}\n";
            assert!(lines.starts_with(&format!("{notes}{unknown}02:11:51.358 #7   demo ")), "{lines}");
        }
    }
}
