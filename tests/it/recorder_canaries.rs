//! Canaries in every place of requests and answers, also malformed ones: none is in a recording or in what `record` prints, in any form.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use dukcapil_fr_sim::internals::conformance::recording::allow_list::{ANSWER_KEYS, HEADERS};
use dukcapil_fr_sim::internals::conformance::recording::exchange::{RecordedAnswer, Recording};

use crate::abuse::{connect, read_until_close};
use crate::binary::{Served, command, text};

/// In every place. Its parts are looked for too.
const CANARY: &str = "Ken4ri-Rahas1a";
const PARTS: [&str; 4] = ["Ken4ri", "Rahas1a", "ken4ri", "rahas1a"];
const NIK: &str = "3174096112900001";
/// A word that could be one of a message.
const WORD: &str = "sitiaminah";

const FIELDS: [&str; 7] =
    ["transactionId", "transactionSource", "threshold", "image", "user_id", "password", "ip"];

fn head(line: &str, fields: &str) -> String {
    format!("{line}\r\nHost: x\r\n{fields}\r\n")
}

fn post(fields: &str, body: &str) -> String {
    let fields = format!("{fields}Content-Length: {}\r\n", body.len());
    head("POST /api/face-recognition/bank/CALL_FN HTTP/1.1", &fields) + body
}

fn answer(fields: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn flat(member: &str) -> String {
    format!(r#"{{"errorCode":"5004","error":"gagal",{member}}}"#)
}

const NO: &str = r#"{"errorCode":"5004","error":"Parameter tidak sesuai"}"#;

/// Values with a canary: texts, other types, escapes.
fn values() -> Vec<String> {
    vec![
        format!("\"{CANARY}\""),
        format!("\"{NIK}\""),
        format!("\"a {CANARY} {NIK} b\""),
        NIK.to_owned(),
        format!("[\"{CANARY}\",{{\"{CANARY}\":\"{NIK}\"}}]"),
        format!("{{\"{CANARY}\":{NIK}}}"),
        r#""\u004ben4ri\u002DRahas1a""#.to_owned(),
        format!("\"{}\"", CANARY.repeat(20)),
    ]
}

/// Requests with a canary each.
fn requests() -> Vec<String> {
    let mut all = Vec::new();
    for name in FIELDS.iter().copied().chain(["unknown", CANARY, NIK]) {
        all.extend(values().iter().map(|value| post("", &format!("{{\"{name}\": {value}}}"))));
    }
    for name in
        HEADERS.iter().map(|rule| rule.name).chain(["authorization", "cookie", "x-request-id", CANARY, NIK])
    {
        if name != "content-length" {
            all.push(post(&format!("{name}: {CANARY} {NIK}\r\n"), "{}"));
        }
    }
    for body in [
        format!("{{\"nama\": {CANARY}}}"),
        format!("{{\"nama\": \"{CANARY}"),
        format!("nama={CANARY}&nik={NIK}"),
        format!("[\"{CANARY}\", {NIK}]"),
        format!("\"{CANARY}\""),
        NIK.to_owned(),
        format!("{{\"a\":1}} {CANARY}"),
    ] {
        all.push(post("", &body));
    }
    for line in [
        format!("POST /api/face-recognition/{CANARY}/CALL_FN HTTP/1.1"),
        format!("POST /api/face-recognition/bank/{CANARY} HTTP/1.1"),
        format!("POST /{CANARY}/bank/CALL_FN HTTP/1.1"),
        format!("POST /api/face-recognition/bank/CALL_FN?nik={NIK}&{CANARY} HTTP/1.1"),
        format!("POST http://{CANARY}/api HTTP/1.1"),
        format!("{CANARY} / HTTP/1.1"),
        format!("POST {CANARY} {NIK} HTTP/1.1"),
        format!("{CANARY} {NIK}"),
        format!("POST / HTTP/{NIK}"),
    ] {
        all.push(head(&line, ""));
    }
    all.push(head("POST / HTTP/1.1", &format!("{CANARY}\r\n")));
    all.push(head("POST / HTTP/1.1", &format!("X: y\r\n {CANARY}\r\n")));
    all.push(head("POST / HTTP/1.1", &format!("Content-Length: {NIK}\r\n")));
    let chunked = |chunks: String| head("POST / HTTP/1.1", "Transfer-Encoding: chunked\r\n") + &chunks;
    all.push(chunked(format!("2;{CANARY}={NIK}\r\n{{}}\r\n0\r\nX-Nama: {CANARY}\r\n\r\n")));
    all.push(chunked(format!("{CANARY}\r\n")));
    all.push(chunked(format!("40\r\n{CANARY}")));
    all
}

/// Answers with a canary each.
fn answers() -> Vec<String> {
    let mut bodies = Vec::new();
    for name in ANSWER_KEYS.iter().map(|key| key.name).chain(["nama", CANARY, NIK]) {
        bodies.extend(values().iter().map(|value| flat(&format!("\"{name}\":{value}"))));
    }
    for value in values() {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        bodies.push(format!(r#"{{"error":{{"errorCode":5001,"errorMessage":{value}}},"uid":{value}}}"#));
        bodies.push(flat(&format!(
            "\"response\":\"{}\"",
            escaped(&format!("{{\"face\":{{\"FACE_T5\":{{\"{NIK}\":{value}}}}}}}"))
        )));
        bodies.push(flat(&format!("\"response\":\"{}\"", escaped(&format!("{{\"{CANARY}\":{value}}}")))));
        bodies.push(format!(
            r#"{{"timestamp":{value},"status":400,"error":"Bad Request","message":{value},"path":{value}}}"#
        ));
    }
    bodies.extend([
        format!("{{“error”:{{“errorCode”:5001,“errorMessage”:” {CANARY} {NIK} “}},“uid”: “{NIK}”,“{CANARY}”: “{CANARY}”}}"),
        format!("<html>{CANARY} {NIK}</html>"),
        CANARY.to_owned(),
        flat(&format!("\"x\":{CANARY}")),
        flat("\"response\":\"{\\\"face\\\": 3174096112900001\""),
        flat(&format!("\"message\":\"pemohon {WORD} ditolak\"")),
        flat(&format!("\"message\":\"pemohon {} ditolak\"", WORD.to_uppercase())),
    ]);
    let mut all: Vec<String> =
        bodies.iter().map(|body| answer("Content-Type: application/json\r\n", body)).collect();
    for name in HEADERS.iter().map(|rule| rule.name).chain(["set-cookie", "location", "x-id", CANARY, NIK]) {
        if name != "content-length" {
            all.push(answer(&format!("{name}: {CANARY} {NIK}\r\n"), NO));
        }
    }
    all.extend([
        format!("HTTP/1.1 200 {CANARY}\r\nContent-Length: {}\r\n\r\n{NO}", NO.len()),
        format!("HTTP/1.1 103 {CANARY}\r\nLink: {CANARY}\r\n\r\n{}", answer("", NO)),
        format!("HTTP/1.1 200 OK\r\n\r\n{}", flat(&format!("\"tid\":\"{CANARY}\""))),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;{CANARY}\r\n{{}}\r\n0\r\nX: {CANARY}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{{\"errorCode\":\"5004\",\"error\":\"{CANARY}"),
        format!("HTTP/1.1 200 OK\r\nX-Nama: {CANARY}"),
        format!("HTTP/1.1 200 OK\r\n{CANARY}\r\n\r\n"),
        format!("{CANARY} {NIK}\r\n\r\n"),
    ]);
    all
}

/// Sends a request through the recorder to a server that gives this answer.
fn exchange(recorder: SocketAddr, server: &TcpListener, request: &str, answer: &str) {
    let mut client = connect(recorder);
    client.write_all(request.as_bytes()).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut accepted: TcpStream = server.accept().unwrap().0;
    let mut received = Vec::new();
    accepted.read_to_end(&mut received).unwrap();
    assert!(received == request.as_bytes());
    accepted.write_all(answer.as_bytes()).unwrap();
    drop(accepted);
    assert!(read_until_close(&mut client) == answer.as_bytes());
}

#[test]
fn no_canary_of_any_place_is_in_a_file_or_on_the_terminal() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("recording.jsonl");
    let url = format!("http://{}", server.local_addr().unwrap());
    let out_arg = out.to_str().unwrap();
    let served =
        Served::from(command(&["record", "--upstream", &url, "--listen", "127.0.0.1:0", "--out", out_arg]));
    let recorder = served.ready().trim().rsplit_once("http://").unwrap().1.parse().unwrap();
    let (requests, answers) = (requests(), answers());
    for request in &requests {
        exchange(recorder, &server, request, &answer("", NO));
    }
    let asking = post(&format!("X-Nama: {WORD}\r\n"), "{}");
    for own in &answers {
        exchange(recorder, &server, &asking, own);
    }
    // A request whose answer repeats it, in a connection of several.
    let echo = flat(&format!("\"message\":\"kunci {WORD} salah\""));
    exchange(recorder, &server, &post("", &format!("{{\"kunci\":\"{WORD}\"}}")), &answer("", &echo));
    served.signal("TERM");
    let (code, said, err) = served.end();
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let recorded = std::fs::read_to_string(&out).unwrap();
    let lower = recorded.to_lowercase();
    for text in [&recorded, &lower, &said, &err] {
        for part in PARTS.into_iter().chain([NIK, WORD]) {
            let at = text.find(part).map(|at| &text[at.saturating_sub(300)..(at + 40).min(text.len())]);
            assert_eq!(at, None, "{part}");
        }
    }
    let recording = Recording::read(&recorded).unwrap();
    assert_eq!(recording.exchanges.len(), requests.len() + answers.len() + 1, "each leaves a line");
    let whole =
        recording.exchanges.iter().filter(|exchange| matches!(exchange.answer, RecordedAnswer::Whole(_)));
    assert!(whole.count() > requests.len() / 2 + answers.len() / 2, "most are of a known shape, and kept");
    // The same, in every encoding, and the NIK as a credential.
    let credentials = directory.path().join("credentials");
    std::fs::write(&credentials, format!("{CANARY}\n{NIK}\n")).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&credentials, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let check = command(&["record", "check", out_arg, "--credentials", credentials.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(check.status.code(), Some(0), "{}", text(&check.stdout));
}
