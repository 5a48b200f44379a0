//! `examples/requests.http`, for the HTTP clients of editors: written from the route table, and every request of it is played.
//!
//! To update it: `FRSIM_WRITE_SAMPLES=1 cargo test --test it http_file::`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use dukcapil_fr_sim::internals::http::admin::operation::Operation;
use dukcapil_fr_sim::internals::http::admin::routes::operations;
use serde_json::{Value, json};

use crate::openapi::{example_path, with_examples};
use crate::support::{exchange, http};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/requests.http");

const HEAD: &str = "\
# Requests for the HTTP client of an editor (JetBrains, VS Code's REST Client), against `dukcapil-fr-sim` with its default addresses.
# With --admin-token, add a line `Authorization: Bearer TOKEN`. GET /events and POST /shutdown are left out: one never ends, one ends it all.
# A test of this project writes this file and plays it.

@endpoint = http://127.0.0.1:8080
@admin = http://127.0.0.1:9090

### Endpoint: an answer without checks. POST {{admin}}/call, below, sends a request with real ciphertexts.
POST {{endpoint}}/api/face-recognition/always-6018/CALL_FN
Accept: application/json
Content-Type: application/json

{ \"transactionId\": \"T-1\", \"transactionSource\": \"editor\", \"threshold\": \"7\" }

### Endpoint: the NIK identification API
POST {{endpoint}}/api/nik
Content-Type: application/json

{ \"nik\": [\"3174055708909001\"], \"process\": \"full\" }
";

/// Returns the body of an operation's request: its example, but for those that would wait or fail in a simulator with one request.
fn body(operation: &Operation) -> Option<Value> {
    let of_demo = json!({ "customer_id": "demo" });
    match operation.id {
        "verify" => Some(json!({ "match": of_demo, "count": { "at_least": 1 } })),
        "wait" => Some(json!({ "match": of_demo, "count": 1, "timeout": "10s" })),
        _ => operation.body.example.clone(),
    }
}

fn written() -> String {
    let mut text = HEAD.to_owned();
    for operation in operations().iter().filter(|one| !["events", "shutdown"].contains(&one.id)) {
        let (method, path) = (&operation.method, example_path(operation));
        write!(text, "\n### {}: {}\n{method} {{{{admin}}}}{path}\n", operation.tag, operation.summary)
            .unwrap();
        if let Some(body) = body(operation) {
            write!(text, "Content-Type: application/json\n\n{body:#}\n").unwrap();
        }
    }
    text
}

/// A request of the file.
struct FileRequest<'a> {
    method: &'a str,
    /// `endpoint` or `admin`.
    variable: &'a str,
    path: &'a str,
    headers: String,
    body: &'a str,
}

/// Reads the file as an editor does.
fn requests(text: &str) -> impl Iterator<Item = FileRequest<'_>> {
    text.split("\n### ").skip(1).map(|block| {
        let (_, request) = block.split_once('\n').unwrap();
        let (head, body) = request.split_once("\n\n").unwrap_or((request.trim_end(), ""));
        let mut lines = head.lines();
        let (method, target) = lines.next().unwrap().split_once(" {{").unwrap();
        let (variable, path) = target.split_once("}}").unwrap();
        let headers = lines.map(|line| format!("{line}\r\n")).collect();
        FileRequest { method, variable, path, headers, body: body.trim_end() }
    })
}

#[test]
fn the_file_is_what_the_route_table_says() {
    if std::env::var_os("FRSIM_WRITE_SAMPLES").is_some() {
        return fs::write(FILE, written()).unwrap();
    }
    // The package does not contain the examples.
    if Path::new(FILE).parent().is_some_and(Path::exists) {
        assert!(fs::read_to_string(FILE).unwrap() == written(), "see the head of this file");
    }
}

#[test]
fn every_request_of_the_file_is_answered() {
    let text = written();
    let sim = with_examples();
    let mut played = 0;
    for FileRequest { method, variable, path, headers, body } in requests(&text) {
        // Those that change something have a simulator of their own.
        let own = (method != "GET").then(with_examples);
        let sim = own.as_ref().unwrap_or(&sim);
        let address = if variable == "admin" { sim.admin_address() } else { sim.address() };
        let answer = exchange(address, &http(method, path, &headers, body.as_bytes()));
        let expected = match (method, path) {
            ("POST", "/customers") => 201,
            // They are fixtures: nothing was enrolled or created.
            ("DELETE", "/customers/demo" | "/gallery/3174055708909001") => 409,
            _ => 200,
        };
        assert_eq!(answer.status, expected, "{method} {path}: {}", answer.text());
        played += 1;
    }
    assert_eq!(played, operations().len(), "two are left out, two are of the endpoint");
}
