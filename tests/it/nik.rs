//! The NIK identification API over HTTP.

use serde_json::{Value, json};

use crate::support::{Answer, Sim, exchange, http};

const FULL: &str = include_str!("../../src/domain/nik/golden/full.json");
const LIMITED: &str = include_str!("../../src/domain/nik/golden/limited.json");
const FAILED: &str = include_str!("../../src/domain/nik/golden/failed.json");

fn ask(sim: &Sim, nik: &Value, process: &str) -> Answer {
    sim.post("/api/nik", json!({ "nik": nik, "process": process }).to_string())
}

fn limited(sim: &Sim, nik: Value) -> Value {
    let answer = ask(sim, &nik, "limited");
    assert_eq!(answer.status, 200, "{nik}: {}", answer.text());
    answer.json()
}

#[test]
fn the_documents_examples_byte_for_byte() {
    let sim = Sim::start();
    for (process, expected) in [("full", FULL), ("limited", LIMITED), ("something", FAILED)] {
        let answer = ask(&sim, &json!(["1234567891234567"]), process);
        assert_eq!((answer.status, answer.text()), (200, expected));
        assert!(answer.head.to_lowercase().contains("content-type: application/json"), "{}", answer.head);
    }
    assert_eq!(sim.admin("GET", "/requests", "").1["requests"], json!([]), "the journal is the endpoint's");
    assert_eq!(sim.admin("GET", "/ready", "").1["in_flight"], 0);
}

#[test]
fn every_invalid_element_has_an_answer() {
    let sim = Sim::start();
    for (element, read) in [
        (json!("3174051708909990"), true),
        (json!(3_174_051_708_909_990_u64), true),
        (json!("3174051"), true),
        (json!("9999999999999999999999999999"), true),
        (json!(1_234_567), true),
        (json!("317405"), false),
        (json!(123_456), false),
        (json!(-3_174_051_708_909_990_i64), false),
        (json!(3.5), false),
        (json!(""), false),
        (json!(" 3174051708909990"), false),
        (json!("3174051708909990 "), false),
        (json!("3174 0517 0890 9990"), false),
        (json!("317405170890999O"), false),
        (json!("３１７４０５１７０８９０９９９０"), false),
        (json!("٣١٧٤٠٥١٧٠٨٩٠٩٩٩٠"), false),
        (json!("3174051708909990\n"), false),
        (Value::Null, false),
        (json!(true), false),
        (json!(["3174051708909990"]), false),
        (json!([[[]]]), false),
        (json!({ "nik": "3174051708909990" }), false),
    ] {
        let answer = limited(&sim, json!([element]));
        let errors = if read { json!([]) } else { json!([element]) };
        assert_eq!(answer["errors"], errors);
        assert_eq!(
            answer["data"].as_object().map(serde_json::Map::len),
            Some(usize::from(read)),
            "{element}"
        );
        assert_eq!(answer["summary"]["number"], 1);
        assert_eq!(answer["summary"]["number_processed"], u64::from(read), "{element}");
        assert_eq!(answer["summary"]["error"], u64::from(!read), "{element}");
    }
}

#[test]
fn duplicates_share_a_key_and_are_counted_each() {
    let sim = Sim::start();
    let answer =
        limited(&sim, json!(["3174051708909990", 3_174_051_708_909_990_u64, "3174051708900000", "x"]));
    assert_eq!(answer["data"], json!({ "3174051708909990": true, "3174051708900000": false }));
    assert_eq!(answer["summary"]["number_processed"], 3);
    let section = json!({ "length": 3, "area": 3, "dob": 3, "gender": 3, "computerized": 2 });
    assert_eq!(answer["summary"]["valid"], json!({ "all_section": 2, "section": section }));
}

#[test]
fn an_invalid_request_is_a_400_that_says_what_to_send() {
    let sim = Sim::start();
    for (body, message, path) in [
        ("", "the body is not a JSON object", Value::Null),
        ("{", "the body is not a JSON object", Value::Null),
        ("nik=3174051708909990&process=full", "the body is not a JSON object", Value::Null),
        ("[\"3174051708909990\"]", "the body is not a JSON object", Value::Null),
        ("null", "the body is not a JSON object", Value::Null),
        ("{}", "nik is missing", Value::Null),
        (r#"{"nik":["3174051708909990"]}"#, "process is missing", Value::Null),
        (r#"{"nik":"3174051708909990","process":"full"}"#, "nik is not a list", json!("/nik")),
        (r#"{"nik":null,"process":"full"}"#, "nik is not a list", json!("/nik")),
        (r#"{"nik":[],"process":null}"#, "process is not a string", json!("/process")),
    ] {
        let answer = sim.post("/api/nik", body);
        let error = &answer.json()["error"];
        let keys: Vec<_> = error.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!((answer.status, keys), (400, vec!["code", "message", "path", "hint"]), "{body}");
        assert!(error["message"].as_str().unwrap().starts_with(message), "{body}: {error}");
        assert_eq!(error["path"], path, "{body}");
        assert!(error["hint"].as_str().unwrap().contains(r#"{"nik":["1234567891234567"],"process":"full"}"#));
    }
}

#[test]
fn the_path_is_exact_and_accepts_only_post() {
    let sim = Sim::start();
    for method in ["GET", "PUT", "DELETE"] {
        let answer = exchange(sim.address(), &http(method, "/api/nik", "", b""));
        assert_eq!(
            (answer.status, answer.json()["error"]["code"].as_str()),
            (405, Some("method_not_allowed"))
        );
        assert!(answer.head.to_lowercase().contains("\r\nallow: post"), "{}", answer.head);
    }
    assert_eq!(sim.post("/api/%6Eik", r#"{"nik":[],"process":"full"}"#).status, 200);
    let unknown = sim.post("/api/nik/", "{}");
    assert_eq!(unknown.status, 404);
    assert!(
        unknown.json()["error"]["hint"].as_str().unwrap().ends_with(" or /api/nik"),
        "{}",
        unknown.text()
    );
}

#[test]
fn the_day_follows_the_simulators_clock_in_jakarta() {
    let sim = Sim::start();
    let dob =
        |nik: &str| ask(&sim, &json!([nik]), "full").json()["data"][nik]["data"]["dob"]["value"].clone();
    let birthday = "3174052211099990";
    assert_eq!(dob(birthday), json!({ "dob": "None", "age": "None" }), "16 until tomorrow");
    sim.admin("PUT", "/clock", r#"{"now":"2026-11-21T16:59:59Z"}"#);
    assert_eq!(dob(birthday)["age"], "None");
    sim.admin("PUT", "/clock", r#"{"now":"2026-11-21T17:00:00Z"}"#);
    assert_eq!(dob(birthday), json!({ "dob": "22-11-2009", "age": 17 }));
    sim.admin("PUT", "/clock", r#"{"now":"2009-11-21T10:00:00+07:00"}"#);
    assert_eq!(dob(birthday), json!({ "dob": "22-11-1909", "age": 99 }));
}

#[test]
fn the_minimum_age_is_a_policy() {
    let (sim, _directory) = Sim::over(&[("simulator.toml", "policy = { nik_min_age = 0 }")]);
    let answer = ask(&sim, &json!(["3174052111269990"]), "full").json();
    assert_eq!(
        answer["data"]["3174052111269990"]["data"]["dob"]["value"],
        json!({ "dob": "21-11-2026", "age": 0 })
    );
}

#[test]
fn ten_thousand_niks_in_one_request() {
    let sim = Sim::start();
    let niks: Vec<String> = (1..=10_000).map(|serial| format!("317405170890{serial:04}")).collect();
    assert_eq!(niks.last().map(String::len), Some(17), "one of them is too long");
    let answer = ask(&sim, &json!(niks), "full").json();
    let keys: Vec<_> = answer["data"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, niks, "in the order sent");
    assert_eq!(answer["summary"]["valid"]["all_section"], 9_999);
}

#[test]
fn a_body_beyond_the_limit_is_a_413() {
    let sim = Sim::with(|builder| builder.max_body(1000));
    let answer = sim.post("/api/nik", "x".repeat(1001));
    assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (413, Some("body_too_large")));
    assert!(answer.head.to_lowercase().contains("connection: close"), "{}", answer.head);
}
