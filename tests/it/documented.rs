//! The eight documented answers: reproduced byte for byte by requests that have a sample answer's values.

use std::fs;

use dukcapil_fr_sim::internals::protocol::Outcome;

use crate::support::{Body, Sim};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/protocol/golden");

/// A golden answer's bytes.
macro_rules! golden {
    ($name:literal) => {
        include_bytes!(concat!("../../src/protocol/golden/", $name))
    };
}

/// Returns the codes that have a golden answer with this file name extension, in order, and its bytes.
fn golden_answers(extension: &str) -> Vec<(String, Vec<u8>)> {
    let names = fs::read_dir(GOLDEN).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let answers = names.filter_map(|name| {
        let (code, rest) = name.split_once('.')?;
        (rest == extension).then(|| (code.to_owned(), fs::read(format!("{GOLDEN}/{name}")).unwrap()))
    });
    let mut answers: Vec<_> = answers.collect();
    answers.sort();
    answers
}

const TID: &str = "0211202201";

/// The transactionId in the samples of the verification shape.
const VERIFICATION_TID: &str = "nxGen NBAP TestTool";

#[track_caller]
fn check(sim: &Sim, customer: &str, body: &Body, golden: &[u8]) {
    let answer = sim.call(customer, body.text());
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("\r\ncontent-type: application/json\r\n"), "{}", answer.head);
    assert_eq!(answer.text(), std::str::from_utf8(golden).unwrap());
}

#[test]
fn a_request_with_a_samples_values_returns_that_answer_byte_for_byte() {
    let sim = Sim::start();
    let good = sim.request().set("transactionId", TID);
    let verification = sim.request().set("transactionId", VERIFICATION_TID);
    check(&sim, "demo", &verification.clone().encrypted("user_id", "nobody"), golden!("5001.json"));
    check(&sim, "demo", &good.clone().set("ip", "192.168.0.1"), golden!("5003.json"));
    check(&sim, "demo", &good.clone().without("ip"), golden!("5004.json"));
    check(&sim, "demo", &verification.set("threshold", "21"), golden!("5005.json"));
    check(&sim, "demo", &good.clone().set("password", "AAAA"), golden!("5006.json"));
    let (status, _) = sim.admin("PUT", "/customers/demo/quota", r#"{"used":80}"#);
    assert_eq!(status, 200);
    check(&sim, "demo", &good, golden!("5002.json"));
}

#[test]
fn always_customers_return_their_answer_byte_for_byte() {
    let sim = Sim::start();
    let good = sim.request().set("transactionId", TID);
    let verification = sim.request().set("transactionId", VERIFICATION_TID);
    for (code, golden) in [
        ("5002", &golden!("5002.json")[..]),
        ("5003", golden!("5003.json")),
        ("5004", golden!("5004.json")),
        ("5006", golden!("5006.json")),
        ("6014", golden!("6014.json")),
    ] {
        check(&sim, &format!("always-{code}"), &good, golden);
    }
    for (code, golden) in [("5001", &golden!("5001.json")[..]), ("5005", golden!("5005.json"))] {
        check(&sim, &format!("always-{code}"), &verification, golden);
    }
}

/// The document's sample has invented NIKs, so this compares the bytes around the candidates, and the candidates by format.
#[test]
fn a_found_citizen_is_answered_with_the_samples_bytes() {
    let sim = Sim::start();
    let answer = sim.call("demo", sim.request().set("transactionId", TID).text());
    let golden = std::str::from_utf8(golden!("6018.json")).unwrap();
    let (head, rest) = golden.split_once("FACE_T5\\\":{").unwrap();
    let tail = &rest[rest.find('}').unwrap()..];
    let candidates = answer.text().strip_prefix(head).and_then(|text| text.strip_prefix("FACE_T5\\\":{"));
    let candidates =
        candidates.and_then(|text| text.strip_suffix(tail)).expect("the sample's bytes around it");
    assert_eq!(candidates, format!("\\\"{}\\\":20.0", crate::support::SITIS_NIK));
}

#[test]
fn sample_customers_always_answer_the_documents_bytes_in_every_layout() {
    let (sim, _directory) = Sim::over(&[("simulator.toml", "[policy]\nlayout = 'compact'")]);
    let answers = golden_answers("json");
    let mut documented: Vec<_> = Outcome::documented().map(|outcome| outcome.code).collect();
    documented.sort_unstable();
    assert_eq!(answers.iter().map(|(code, _)| code.as_str()).collect::<Vec<_>>(), documented);
    for (code, golden) in answers {
        for body in [&b""[..], b"\xFF\x00", b"{}"] {
            let answer = sim.post(&format!("/api/face-recognition/sample-{code}/ANYTHING"), body);
            assert_eq!((answer.status, &answer.body), (200, &golden), "{code}");
        }
    }
}

#[test]
fn the_layout_as_printed_has_the_documents_typographic_quotes() {
    let (sim, _directory) = Sim::over(&[("simulator.toml", "[policy]\nlayout = 'as-printed'")]);
    let verification = sim.request().set("transactionId", VERIFICATION_TID);
    let good = sim.request().set("transactionId", TID);
    let answers = golden_answers("as-printed.txt");
    assert_eq!(answers.iter().map(|(code, _)| code.as_str()).collect::<Vec<_>>(), ["5001", "5005"]);
    for (code, golden) in answers {
        check(&sim, &format!("always-{code}"), &verification, &golden);
    }
    check(&sim, "always-5003", &good, golden!("5003.json"));
}

#[test]
fn the_compact_layout_has_the_same_keys_order_and_values_without_white_space() {
    let (sim, _directory) = Sim::over(&[("simulator.toml", "[policy]\nlayout = 'compact'")]);
    let good = sim.request().set("transactionId", TID);
    let verification = sim.request().set("transactionId", VERIFICATION_TID);
    for (code, body, golden) in [
        ("5001", &verification, &golden!("5001.json")[..]),
        ("5005", &verification, golden!("5005.json")),
        ("5004", &good, golden!("5004.json")),
        ("6014", &good, golden!("6014.json")),
    ] {
        // serde_json preserves the order of keys here.
        let documented: serde_json::Value = serde_json::from_slice(golden).unwrap();
        assert_eq!(sim.call(&format!("always-{code}"), body.text()).text(), documented.to_string());
    }
}

#[test]
fn both_documented_paths_lead_to_the_endpoint() {
    let sim = Sim::start();
    for path in ["/api/face-recognition/demo/CALL_FN", "/api%20/face-recognition/demo/CALL_FN"] {
        assert_eq!(sim.post(path, sim.request().text()).code(), "6018", "{path}");
    }
}

#[test]
fn an_always_customer_echoes_what_it_can_read() {
    let sim = Sim::start();
    for body in ["", "not json", r#"{"transactionId":11,"threshold":"x"}"#] {
        let answer = sim.call("always-6018", body).json();
        assert_eq!(
            (answer["tid"].clone(), answer["faceThreshold"].as_str()),
            (serde_json::Value::Null, Some("0"))
        );
        assert_eq!(sim.call("always-5001", body).json()["transactionId"], "");
    }
    let answer = sim.call("always-6014", r#"{"transactionId":"x","threshold":7.25}"#).json();
    assert_eq!((answer["tid"].as_str(), answer["faceThreshold"].as_str()), (Some("x"), Some("7.25")));
    let found = sim.call("always-6018", sim.request().text());
    assert_eq!(found.candidates().keys().collect::<Vec<_>>(), [crate::support::SITIS_NIK]);
    let (_, quota) = sim.admin("GET", "/customers/always-6018/quota", "");
    assert_eq!(quota["used"], 0, "nothing is charged");
}
