//! The trace that a request belongs to: its `traceparent` header in journal, filter and log.

use serde_json::{Value, json};

use crate::binary::{Served, address};
use crate::support::{exchange, http};

const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The same account value as in the fixture, hexadecimal: it is in no log, not even as a trace id.
const SECRET: &str = "sixteen-byte-pwd";

fn admin(served: &Served, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = exchange(served.admin(), &http(method, path, "", body.as_bytes()));
    (answer.status, answer.json())
}

/// Sends what is traced: a call of a customer, a rejected body, a wrong method, an unknown path; then calls without a valid trace. Returns
/// the log.
fn log_of_all(format: &str) -> String {
    let served = Served::plain(&["--log", format]);
    let endpoint = match serde_json::from_str::<Value>(served.ready()) {
        Ok(ready) => address(ready["endpoint"].as_str().unwrap()),
        Err(_) => address(&served.value("endpoint")),
    };
    let send = |method: &str, path: &str, headers: &str| {
        exchange(endpoint, &http(method, path, headers, b"{}"));
    };
    let traced = format!("traceparent: 00-{ID}-00f067aa0ba902b7-01\r\n");
    let call = "/api/face-recognition/load/CALL_FN";
    send("POST", call, &traced);
    send("POST", call, &format!("{traced}Content-Encoding: br\r\n"));
    send("GET", call, &traced);
    send("POST", "/nowhere", &traced);
    send("POST", call, "traceparent: 00-4bf9-00f067aa0ba902b7-01\r\n");
    send("POST", call, &format!("{traced}{traced}"));
    send("POST", call, "");
    let (_, account) = admin(
        &served,
        "PUT",
        "/customers/secretive",
        &json!({ "extends": "load", "account": { "password": SECRET } }),
    );
    assert_eq!(account["customer_id"], "secretive");
    let hexadecimal: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    send("POST", call, &format!("traceparent: 00-{hexadecimal}-00f067aa0ba902b7-01\r\n"));

    let (_, journal) = admin(&served, "GET", "/requests", &Value::Null);
    let mut ids: Vec<_> =
        journal["requests"].as_array().unwrap().iter().map(|entry| &entry["trace_id"]).collect();
    ids.reverse();
    assert_eq!(ids[..4], [ID; 4]);
    assert_eq!(ids[4..7], [&Value::Null; 3]);
    assert!(ids[7].is_string() && !ids[7].as_str().unwrap().contains(&hexadecimal), "{}", ids[7]);
    for (filter, count) in [(ID, 4), ("4bf9*", 4), ("/^4bf9.*36$/", 4), ("4bf9", 0)] {
        let asked = json!({ "match": { "trace_id": filter }, "count": { "exactly": count } });
        assert_eq!(
            admin(&served, "POST", "/requests/verify", &asked),
            (200, json!({ "count": count })),
            "{filter}"
        );
    }
    let unmet =
        json!({ "match": { "trace_id": "00", "customer_id": "load", "methode": "CALL_FN" }, "count": 1 });
    let (status, unmet) = admin(&served, "POST", "/requests/verify", &unmet);
    assert_eq!(
        (status, unmet["nearest"].to_string().contains(&json!({ "want": "00", "got": ID }).to_string())),
        (409, true),
        "{unmet}"
    );
    admin(&served, "POST", "/shutdown", &Value::Null);
    let (_, _, log) = served.end();
    assert!(!log.contains(&hexadecimal), "{log}");
    log
}

#[test]
fn a_trace_id_is_in_the_journal_the_filter_and_the_json_log() {
    let log = log_of_all("json");
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ids: Vec<_> =
        events.filter(|event| event["event"] == "request").map(|event| event["trace_id"].clone()).collect();
    assert_eq!(ids[..4], [ID; 4]);
    assert_eq!(ids[4..7], [Value::Null, Value::Null, Value::Null]);
}

#[test]
fn a_trace_id_ends_the_line_of_the_text_log() {
    let log = log_of_all("text");
    assert_eq!(log.matches(&format!("; trace {ID} ")).count(), 4, "{log}");
    assert_eq!(log.matches("; trace ").count(), 5, "only requests with a valid header: {log}");
}
