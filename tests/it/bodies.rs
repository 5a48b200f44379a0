//! Arbitrary input as a request: a documented answer or a clear error, never a 500, a panic or a lost count.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::LazyLock;

use proptest::prelude::*;

use crate::support::{Sim, exchange, http, parse};

static SIM: LazyLock<Sim> = LazyLock::new(Sim::start);

/// All codes that a request without rules can get.
const CODES: [&str; 7] = ["5001", "5003", "5004", "5005", "5006", "6014", "6018"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_as_a_body(body in proptest::collection::vec(any::<u8>(), 0..600)) {
        let answer = SIM.call("load", &body);
        prop_assert_eq!(answer.status, 200);
        prop_assert!(CODES.contains(&answer.code().as_str()));
    }

    #[test]
    fn any_json_in_any_field(field in 0usize..7, value in json_value()) {
        let names = ["transactionId", "transactionSource", "threshold", "image", "user_id", "password", "ip"];
        let answer = SIM.call("load", SIM.request().set(names[field], value).text());
        prop_assert_eq!(answer.status, 200);
        prop_assert!(CODES.contains(&answer.code().as_str()));
    }

    #[test]
    fn a_valid_body_with_some_bytes_changed(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut body = SIM.request().text().into_bytes();
        for (index, byte) in changes {
            let at = index.index(body.len());
            body[at] = byte;
        }
        let answer = SIM.call("load", &body);
        prop_assert_eq!(answer.status, 200);
        prop_assert!(CODES.contains(&answer.code().as_str()));
    }

    #[test]
    fn any_path(path in "/[!-~]{0,80}") {
        let answer = exchange(SIM.address(), &http("POST", &path, "", b"{}"));
        prop_assert!(matches!(answer.status, 200 | 400 | 404), "{}", answer.head);
    }

    #[test]
    fn any_admin_body(body in proptest::collection::vec(any::<u8>(), 0..200), route in 0usize..4) {
        let routes = [("PUT", "/clock"), ("PUT", "/customers/demo/quota"), ("POST", "/explain"), ("POST", "/requests/verify")];
        let (method, path) = routes[route];
        let answer = exchange(SIM.admin_address(), &http(method, path, "", &body));
        // 200 when the bytes happen to be valid: `{}` sets no quota.
        prop_assert!(matches!(answer.status, 200 | 400), "{}", answer.head);
    }

    #[test]
    fn any_match(text in "(/?[ -~]{0,30}/?)|(-?[0-9.e]{0,9}\\.\\.[0-9.]{0,9})", name in 0usize..6) {
        let name = ["transaction_id", "ip", "threshold", "since", "state", "fault"][name];
        let wanted = serde_json::json!({ name: text });
        for (route, question) in [
            ("verify", serde_json::json!({ "match": wanted, "count": { "at_least": 0 } })),
            ("wait", serde_json::json!({ "match": wanted, "timeout": "0s" })),
        ] {
            let path = format!("/requests/{route}");
            let answer = exchange(SIM.admin_address(), &http("POST", &path, "", question.to_string().as_bytes()));
            prop_assert!(matches!(answer.status, 200 | 400 | 408), "{}", answer.head);
        }
    }

    #[test]
    fn any_headers(name in "[a-zA-Z-]{1,20}", value in "[ -~]{0,60}") {
        let header = format!("X-{name}: {value}\r\nAccept: {value}\r\n");
        let answer = exchange(SIM.address(), &http("POST", "/api/face-recognition/sample-6018/CALL_FN", &header, b"{}"));
        prop_assert!(matches!(answer.status, 200 | 400), "{}", answer.head);
    }
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
        "[A-Za-z0-9+/=_-]{0,400}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 8, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Into::into))
}

#[test]
fn other_methods_and_paths_have_their_own_errors() {
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let answer = exchange(SIM.address(), &http(method, "/api/face-recognition/demo/CALL_FN", "", b""));
        assert_eq!(answer.status, 405, "{method}");
        assert!(answer.head.to_lowercase().contains("\r\nallow: post"), "{}", answer.head);
    }
    for path in [
        "/",
        "/api",
        "/api/face-recognition",
        "/api/face-recognition/demo",
        "/api/face-recognition/demo/CALL_FN/x",
    ] {
        let answer = exchange(SIM.address(), &http("POST", path, "", b"{}"));
        assert_eq!(
            (answer.status, answer.json()["error"]["code"].as_str()),
            (404, Some("not_found")),
            "{path}"
        );
    }
}

#[test]
fn a_body_beyond_the_limit_is_413_and_closes_the_connection() {
    let sim = Sim::with(|builder| builder.max_body(1000));
    let announced =
        b"POST /api/face-recognition/demo/CALL_FN HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n";
    let answer = exchange(sim.address(), announced);
    assert_eq!(answer.status, 413);
    assert!(answer.head.to_lowercase().contains("\r\nconnection: close"), "{}", answer.head);
    let mut chunked =
        b"POST /api/face-recognition/demo/CALL_FN HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3E9\r\n".to_vec();
    chunked.extend([b' '; 1001]);
    chunked.extend(b"\r\n0\r\n\r\n");
    assert_eq!(exchange(sim.address(), &chunked).status, 413);
    let entry = sim.last();
    assert_eq!((entry["answer"]["status"].as_u64(), entry["ordinal"].as_u64()), (Some(413), Some(2)));
    assert_eq!(sim.call("demo", " ".repeat(1000)).code(), "5004", "the limit itself is allowed");
}

#[test]
fn a_truncated_upload_is_journaled_as_aborted() {
    let sim = Sim::start();
    let mut stream = TcpStream::connect(sim.address()).unwrap();
    stream
        .write_all(
            b"POST /api/face-recognition/demo/CALL_FN HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
        )
        .unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(sim.call("demo", "{}").code(), "5004");
    let (_, listing) = sim.admin("GET", "/requests", "");
    let states: Vec<_> = listing["requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["done", "aborted"], "{listing}");
}

#[test]
fn a_reset_upload_is_journaled_as_aborted() {
    let sim = Sim::start();
    let stream = TcpStream::connect(sim.address()).unwrap();
    (&stream)
        .write_all(
            b"POST /api/face-recognition/demo/CALL_FN HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
        )
        .unwrap();
    sim.wait_for_in_flight(1);
    socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(stream);
    sim.wait_for_in_flight(0);
    let entry = sim.last();
    assert_eq!((entry["state"].as_str(), entry["ordinal"].as_u64()), (Some("aborted"), Some(1)), "{entry}");
    assert_eq!(entry["answer"]["status"], serde_json::Value::Null);
}

#[test]
fn a_client_that_sends_a_far_too_large_body_still_receives_the_413() {
    let sim = Sim::with(|builder| builder.max_body(1000));
    let answer = sim.call("demo", vec![b' '; 3 << 20]);
    assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (413, Some("body_too_large")));
}

#[test]
fn an_upgrade_request_is_answered_with_connection_close() {
    let sim = Sim::start();
    let offer = b"POST /api/face-recognition/sample-6014/X HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nUpgrade: h2c\r\n\
                  Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n{}";
    let answer = exchange(sim.address(), offer);
    assert_eq!((answer.status, answer.code().as_str()), (200, "6014"));
    assert!(answer.head.contains("\r\nconnection: close"), "{}", answer.head);
}

#[test]
fn a_connection_is_kept_alive_and_numbered() {
    let sim = Sim::start();
    let mut stream = TcpStream::connect(sim.address()).unwrap();
    let request =
        b"POST /api/face-recognition/sample-6014/X HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
    for _ in 0..3 {
        stream.write_all(request).unwrap();
        let mut bytes = Vec::new();
        let mut chunk = [0; 4096];
        while !bytes.ends_with(b"\n}") {
            let count = stream.read(&mut chunk).unwrap();
            assert_ne!(count, 0);
            bytes.extend_from_slice(&chunk[..count]);
        }
        assert_eq!(parse(&bytes).code(), "6014");
    }
    sim.call("sample-6014", "{}");
    let (_, listing) = sim.admin("GET", "/requests", "");
    let numbers: Vec<_> = listing["requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["connection"].as_u64().unwrap(), entry["ordinal"].as_u64().unwrap()))
        .collect();
    assert_eq!(numbers, [(2, 4), (1, 3), (1, 2), (1, 1)]);
}
