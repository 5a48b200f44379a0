//! Misbehaving clients on raw sockets: each is handled as `docs/reference/http-behaviour.md` says, and the simulator keeps serving others.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use dukcapil_fr_sim::internals::http::timeouts::Timeouts;
use serde_json::json;

use crate::binary::{Served, address};
use crate::support::{Answer, Sim, eventually, exchange, http, parse, read_to_the_end};

pub const PATH: &str = "/api/face-recognition/sample-6014/X";

/// A timeout that expires at once. Tests wait for its effect and do not measure time.
const AT_ONCE: Duration = Duration::from_millis(1);

/// A timeout that never expires during a test.
const LONG: Duration = Duration::from_secs(3600);

pub const PATIENT: Timeouts = Timeouts { idle: LONG, head: LONG, body: LONG, notice: LONG };

pub fn with(timeouts: Timeouts) -> Sim {
    Sim::with(|builder| builder.timeouts(timeouts))
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    // Only so that a failing test does not hang.
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// Opens a connection and sends bytes on it.
pub fn sent(address: SocketAddr, bytes: impl AsRef<[u8]>) -> TcpStream {
    let mut stream = connect(address);
    // The server may have answered and closed before it has read everything.
    let _ = stream.write_all(bytes.as_ref());
    stream
}

/// Reads until the server closes the connection, with FIN or RST.
pub fn read_until_close(stream: &mut TcpStream) -> Vec<u8> {
    read_to_the_end(stream).0
}

/// Sends bytes and returns the only answer; the connection must close after it.
fn answer(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Answer {
    parse(&read_until_close(&mut sent(address, bytes)))
}

/// Reads `count` answers from a connection that stays open.
pub fn read_answers(stream: &mut TcpStream, count: usize) -> Vec<Answer> {
    let (mut all, mut answers) = (Vec::new(), Vec::new());
    while answers.len() < count {
        while let Some(end) = first_answer_end(&all) {
            answers.push(parse(&all[..end]));
            all.drain(..end);
        }
        if answers.len() < count {
            let mut chunk = [0; 4096];
            let read = stream.read(&mut chunk).unwrap();
            assert_ne!(read, 0, "{} of {count} answers", answers.len());
            all.extend_from_slice(&chunk[..read]);
        }
    }
    assert_eq!(all, b"");
    answers
}

/// Returns the end of the first answer, if it is complete.
pub fn first_answer_end(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).unwrap();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    let end = head + length.parse::<usize>().unwrap();
    (bytes.len() >= end).then_some(end)
}

/// Returns a request's bytes, with these header lines.
pub fn request(lines: &str, body: &str) -> String {
    format!("POST {PATH} HTTP/1.1\r\nHost: x\r\n{lines}\r\n{body}")
}

/// Asserts that the simulator still serves.
#[track_caller]
fn assert_serves(sim: &Sim) {
    assert_eq!(sim.call("sample-6014", "{}").code(), "6014");
    assert_eq!(sim.admin("GET", "/health", "").0, 200);
}

/// Asserts the status of a request with these header lines, and `Connection: close` in the answer.
#[track_caller]
fn assert_rejected(sim: &Sim, lines: &str, body: &str, status: u16) -> Answer {
    let answer = read_answers(&mut sent(sim.address(), request(lines, body)), 1).remove(0);
    assert_eq!(answer.status, status, "{lines:?}: {}", answer.head);
    assert!(answer.head.to_lowercase().contains("\r\nconnection: close"), "{}", answer.head);
    assert_serves(sim);
    answer
}

#[test]
fn an_incomplete_head_is_answered_408() {
    let sim = with(Timeouts { head: AT_ONCE, ..PATIENT });
    for bytes in ["P", "POST /x HTTP/1.1\r\n", "POST /x HTTP/1.1\r\nHost: x\r\nX: "] {
        let answer = answer(sim.address(), bytes);
        assert_eq!(
            (answer.status, answer.json()["error"]["code"].as_str().unwrap()),
            (408, "head_too_slow"),
            "{bytes:?}"
        );
    }
    assert_serves(&sim);
}

#[test]
fn a_slow_second_head_is_answered_408() {
    let sim = with(Timeouts { head: Duration::from_millis(50), ..PATIENT });
    let mut stream = sent(sim.address(), request("Content-Length: 2\r\n", "{}"));
    assert_eq!(read_answers(&mut stream, 1)[0].code(), "6014");
    stream.write_all(b"POST /x HTTP/1.1\r\nHos").unwrap();
    assert_eq!(parse(&read_until_close(&mut stream)).status, 408);
}

#[test]
fn trickled_bytes_do_not_extend_the_head_timeout() {
    let sim = with(Timeouts { head: Duration::from_millis(50), ..PATIENT });
    let mut stream = sent(sim.address(), "POST /x HTTP/1.1\r\nX: ");
    stream.set_nonblocking(true).unwrap();
    let mut chunk = [0; 512];
    let mut length = 0;
    eventually("an answer", || {
        // The server may have closed; then the read says so.
        let _ = stream.write(b"x");
        match stream.read(&mut chunk) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            read => length = read.unwrap(),
        }
        true
    });
    assert!(chunk[..length].starts_with(b"HTTP/1.1 408 "));
    assert_serves(&sim);
}

#[test]
fn a_silent_connection_is_closed_without_a_byte() {
    let sim = with(Timeouts { idle: AT_ONCE, ..PATIENT });
    assert_eq!(read_until_close(&mut connect(sim.address())), b"");
}

/// Retries until the machine was fast enough to send before the idle timeout.
pub fn first_success<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    (0..1000).find_map(|_| attempt()).expect("one of a thousand")
}

#[test]
fn an_idle_keep_alive_connection_is_closed_without_a_byte() {
    let sim = with(Timeouts { idle: Duration::from_millis(50), ..PATIENT });
    let all = first_success(|| {
        let mut stream = sent(sim.address(), request("Content-Length: 2\r\n", "{}"));
        Some(read_until_close(&mut stream)).filter(|all| !all.is_empty())
    });
    assert_eq!(first_answer_end(&all), Some(all.len()), "one answer and the end");
    let all = first_success(|| {
        let get = request("", "").replace("POST", "GET");
        Some(read_until_close(&mut sent(sim.address(), get))).filter(|all| !all.is_empty())
    });
    assert_eq!(
        (first_answer_end(&all), parse(&all).status),
        (Some(all.len()), 405),
        "answered without a pause"
    );
}

#[test]
fn a_client_that_does_not_read_its_answer_times_out() {
    let sim = with(Timeouts { idle: Duration::from_millis(50), ..PATIENT });
    let niks: Vec<_> =
        (0..20_000).map(|number| format!("{:016}", 3_174_055_708_900_000_u64 + number)).collect();
    let body = json!({ "nik": niks, "process": "full" }).to_string();
    let bytes = format!("POST /api/nik HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut stream = first_success(|| {
        let stream = sent(sim.address(), &bytes);
        let begun = stream.peek(&mut [0]).is_ok_and(|count| count == 1);
        begun.then_some(stream)
    });
    sim.wait_for_in_flight(0);
    let all = read_until_close(&mut stream);
    assert!(all.len() > 1000 && first_answer_end(&all).is_none(), "cut after {} bytes", all.len());
}

#[test]
fn a_missing_body_is_answered_408_and_journaled() {
    let sim = with(Timeouts { body: AT_ONCE, ..PATIENT });
    for lines in ["Content-Length: 100\r\n", "Transfer-Encoding: chunked\r\n"] {
        let answer = assert_rejected(&sim, lines, "", 408);
        assert_eq!(answer.json()["error"]["code"], "body_too_slow");
        let entry = &sim.admin("GET", "/requests?limit=2", "").1["requests"][1];
        assert_eq!((&entry["answer"]["status"], &entry["state"]), (&json!(408), &json!("done")));
    }
    let admin =
        sent(sim.admin_address(), "PUT /clock HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{");
    assert_eq!(read_answers(&mut { admin }, 1)[0].status, 408, "the admin listener has the same timeout");
}

#[test]
fn a_half_open_connection_leaks_no_request() {
    let sim = with(PATIENT);
    let stream = sent(sim.address(), request("Content-Length: 2\r\n", "{}"));
    stream.shutdown(Shutdown::Write).unwrap();
    read_until_close(&mut { stream });
    let stream = sent(sim.address(), request("Content-Length: 2\r\n", "{"));
    stream.shutdown(Shutdown::Write).unwrap();
    read_until_close(&mut { stream });
    sim.wait_for_in_flight(0);
    assert_eq!(sim.last()["state"], "aborted");
    assert_serves(&sim);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let sim = Sim::start();
    let requests: String = ["6014", "6018", "5004"]
        .iter()
        .cycle()
        .take(60)
        .map(|code| request("Content-Length: 2\r\n", "{}").replace("6014", code))
        .collect();
    let codes: Vec<_> =
        read_answers(&mut sent(sim.address(), requests), 60).iter().map(Answer::code).collect();
    assert_eq!(codes, ["6014", "6018", "5004"].repeat(20));
}

#[test]
fn heads_are_limited_in_bytes_and_lines() {
    let sim = Sim::start();
    assert_rejected(&sim, &format!("X: {}\r\n", "x".repeat(200_000)), "", 431);
    assert_rejected(&sim, &"X: x\r\n".repeat(200), "", 431);
    let long = format!("POST /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(70_000));
    assert_eq!(read_answers(&mut sent(sim.address(), long), 1)[0].status, 400);
    let many = format!("Connection: close\r\nContent-Length: 2\r\n{}", "X: x\r\n".repeat(90));
    assert_eq!(answer(sim.address(), request(&many, "{}")).code(), "6014");
}

#[test]
fn chunked_bodies_beyond_the_limit_close_the_connection() {
    let sim = Sim::with(|builder| builder.max_body(10_000));
    let mut stream = sent(sim.address(), request("Transfer-Encoding: chunked\r\n", ""));
    let chunk = [b"1000\r\n".as_slice(), &[b' '; 0x1000], b"\r\n"].concat();
    // It would send for ever: here, four gigabytes.
    assert!((0..1_000_000).any(|_| stream.write_all(&chunk).is_err()));
    assert_serves(&sim);
    let entry = &sim.admin("GET", "/requests?limit=2", "").1["requests"][1];
    assert_eq!((&entry["answer"]["status"], &entry["state"]), (&json!(413), &json!("done")));
}

#[test]
fn malformed_chunks_are_rejected() {
    let sim = Sim::start();
    for body in
        ["x\r\n{}\r\n0\r\n\r\n", "-2\r\n{}\r\n0\r\n\r\n", "FFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n", "2\r\n{}x"]
    {
        assert_rejected(&sim, "Transfer-Encoding: chunked\r\n", body, 400);
    }
    let good = answer(
        sim.address(),
        request("Connection: close\r\nTransfer-Encoding: chunked\r\n", "1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n"),
    );
    assert_eq!(good.code(), "6014");
}

#[test]
fn a_content_length_too_small_makes_the_rest_the_next_request() {
    let sim = Sim::start();
    let mut stream = sent(sim.address(), request("Content-Length: 2\r\n", "{}{}\r\n\r\n"));
    let both = read_until_close(&mut stream);
    let first = first_answer_end(&both).unwrap();
    assert_eq!(parse(&both[..first]).code(), "6014");
    assert_eq!(parse(&both[first..]).status, 400, "the rest is not a request");
    assert_serves(&sim);
}

#[test]
fn a_content_length_too_large_is_a_truncated_body() {
    let sim = Sim::start();
    let stream = sent(sim.address(), request("Content-Length: 20000000000000\r\n", "{}"));
    assert_eq!(
        parse(&read_until_close(&mut { stream })).status,
        413,
        "rejected without waiting for the body"
    );
    let stream = sent(sim.address(), request("Content-Length: 200\r\n", "{}"));
    stream.shutdown(Shutdown::Write).unwrap();
    read_until_close(&mut { stream });
    sim.wait_for_in_flight(0);
    assert_eq!((&sim.last()["state"], &sim.last()["answer"]["status"]), (&json!("aborted"), &json!(null)));
}

#[test]
fn ambiguous_framing_is_rejected() {
    let sim = Sim::start();
    for lines in [
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Content-Length: 2\r\nContent-Length: 2\r\n",
        "Content-Length: 2, 2\r\n",
        "Content-Length: -2\r\n",
        "Content-Length: +2\r\n",
        "Content-Length: two\r\n",
        "Content-Length: 0x2\r\n",
        "Content-Length:\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "X: y\r\n folded\r\nContent-Length: 2\r\n",
        "X\r\nContent-Length: 2\r\n",
        "X\0: y\r\nContent-Length: 2\r\n",
        "Host: y\r\nContent-Length: 2\r\n",
    ] {
        assert_rejected(&sim, lines, "{}", 400);
    }
    let admin = answer(
        sim.admin_address(),
        "PUT /clock HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    );
    assert_eq!(admin.status, 400);
    assert_eq!(sim.admin("GET", "/requests?customer_id=demo", "").1["requests"], json!([]));
}

#[test]
fn a_compressed_body_is_rejected_and_never_decompressed() {
    let sim = Sim::start();
    for (lines, shown) in [
        ("Content-Encoding: gzip\r\n", "gzip"),
        ("Content-Encoding: gzip, br\r\n", "gzip, br"),
        ("Content-Encoding: identity\r\nContent-Encoding: zstd\r\n", "zstd"),
    ] {
        let refusal =
            assert_rejected(&sim, &format!("{lines}Content-Length: 20\r\n"), &"\u{1f}".repeat(20), 415);
        let error = &refusal.json()["error"];
        assert_eq!(error["code"], "encoded_body");
        assert!(error["message"].as_str().unwrap().contains(shown), "{error}");
        let entry = &sim.admin("GET", "/requests?limit=2", "").1["requests"][1];
        assert_eq!((&entry["answer"]["status"], &entry["answer"]["code"]), (&json!(415), &json!(null)));
    }
    let lines = "Connection: close\r\nContent-Encoding: Identity\r\nContent-Length: 2\r\n";
    assert_eq!(answer(sim.address(), request(lines, "{}")).code(), "6014");
    for (address, start) in [
        (sim.address(), "POST /api/nik HTTP/1.1\r\nHost: x"),
        (sim.admin_address(), "PUT /clock HTTP/1.1\r\nHost: localhost"),
    ] {
        let bytes = format!(
            "{start}\r\nConnection: close\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{{}}"
        );
        let refusal = answer(address, bytes);
        assert_eq!((refusal.status, &refusal.json()["error"]["code"]), (415, &json!("encoded_body")));
    }
}

#[test]
fn http_1_0_is_served_and_its_connection_closed() {
    let sim = Sim::start();
    let old = format!("POST {PATH} HTTP/1.0\r\nContent-Length: 2\r\n\r\n{{}}");
    assert_eq!(answer(sim.address(), old).code(), "6014");
    let no_length = format!("POST {PATH} HTTP/1.0\r\n\r\n{{}}");
    assert_eq!(answer(sim.address(), no_length).status, 400);
    for other in [
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "POST / HTTP/3.0\r\n\r\n",
        "POST /\r\n\r\n",
        "\x16\x03\x01\x02\0\x01",
    ] {
        let refusal = read_until_close(&mut sent(sim.address(), format!("{other}\r\n\r\n")));
        assert_eq!(parse(&refusal).status, 400, "{other:?}");
    }
    assert_serves(&sim);
}

#[test]
fn every_form_of_request_target_is_answered() {
    let sim = Sim::start();
    let get = |target: &str, method: &str| {
        let lines = format!(
            "{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}"
        );
        answer(sim.address(), lines)
    };
    assert_eq!(get(&format!("http://elsewhere.example{PATH}"), "POST").code(), "6014");
    assert_eq!(get(&format!("{PATH}?query=x"), "POST").code(), "6014");
    for (target, method) in
        [("*", "OPTIONS"), ("x:80", "CONNECT"), ("//", "POST"), ("/../..", "POST"), ("/%00", "POST")]
    {
        assert_eq!(get(target, method).status, 404, "{method} {target}");
    }
    assert_serves(&sim);
}

#[test]
fn a_websocket_upgrade_request_does_not_make_the_body_endless() {
    let sim = with(PATIENT);
    let lines = "Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 2\r\n";
    assert_eq!(read_answers(&mut sent(sim.address(), request(lines, "{}")), 1)[0].code(), "6014");
}

#[test]
fn expect_100_continue_is_confirmed_only_if_the_body_is_accepted() {
    let sim = Sim::start();
    let ask = |lines: &str| request(&format!("Expect: 100-continue\r\n{lines}"), "");
    for (lines, status) in
        [("Content-Length: 20000000\r\n", 413), ("Content-Length: 2\r\nContent-Encoding: gzip\r\n", 415)]
    {
        let refusal = read_answers(&mut sent(sim.address(), ask(lines)), 1).remove(0);
        assert_eq!(refusal.status, status, "at once: {}", refusal.head);
        eventually("the entry's end, behind the answer", || sim.last()["state"] == "done");
        assert_eq!(sim.last()["answer"]["status"], status);
    }
    let unknown = ask("Content-Length: 2\r\n").replace(PATH, "/nowhere");
    assert_eq!(read_answers(&mut sent(sim.address(), unknown), 1)[0].status, 404);
    let put = ask("Content-Length: 2\r\n").replace("POST", "PUT");
    assert_eq!(read_answers(&mut sent(sim.address(), put), 1)[0].status, 405);

    let mut stream = sent(sim.address(), ask("Connection: close\r\nContent-Length: 2\r\n"));
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"{}").unwrap();
    assert_eq!(parse(&read_until_close(&mut stream)).code(), "6014");
    assert_eq!(sim.last()["ordinal"], 3, "each was counted once");
}

/// Opens ten thousand connections, or as many as this process may have descriptors. The simulator is a separate process with its own limit.
#[test]
fn idle_connections_do_not_affect_others() {
    let served = Served::plain(&["--quiet"]);
    let data = address(&served.value("endpoint"));
    let descriptors = rlimit::increase_nofile_limit(20_000).unwrap();
    let count = 10_000.min(usize::try_from(descriptors).unwrap().saturating_sub(1_000));
    let idle: Vec<_> = (0..count).map(|_| connect(data)).collect();
    let slow: Vec<_> = (0..50).map(|_| sent(data, "POST /x HTTP/1.1\r\n")).collect();
    let ask = request("Content-Length: 2\r\n", "{}");
    let assert_both_serve = || {
        assert_eq!(read_answers(&mut sent(data, &ask), 1)[0].code(), "6014");
        let health = http("GET", "/health", "", b"");
        assert_eq!(exchange(address(&served.value("admin")), &health).status, 200);
    };
    assert_both_serve();
    for mut stream in idle.into_iter().step_by(100) {
        stream.write_all(ask.as_bytes()).unwrap();
        assert_eq!(read_answers(&mut stream, 1)[0].code(), "6014", "an idle connection still works");
    }
    drop(slow);
    assert_both_serve();
}
