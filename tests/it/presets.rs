//! Presets, and what a server answers before the endpoint's own code: 415, 406 and 400.

use std::io::{Read, Write};
use std::net::TcpStream;

use dukcapil_fr_sim::Preset;
use serde_json::{Value, json};

use crate::binary::{Served, command, listening, run, text};
use crate::support::{Answer, KEYS, SITIS_NIK, Sim, exchange, http, parse, unchunked, write_fixture};

const JSON: &str = "Accept: application/json\r\nContent-Type: application/json\r\n";

fn probable() -> Sim {
    Sim::with(|builder| builder.preset(Preset::Probable))
}

/// Posts to a customer, and reads an answer with a Tomcat's head.
fn post(sim: &Sim, customer: &str, headers: &str, body: impl AsRef<[u8]>) -> Answer {
    let path = format!("/api/face-recognition/{customer}/CALL_FN");
    let answer = exchange(sim.address(), &http("POST", &path, headers, body.as_ref()));
    assert!(answer.head.contains("\r\nTransfer-Encoding: chunked\r\n"), "{}", answer.head);
    Answer { body: unchunked(&answer.body), ..answer }
}

fn spring_error(status: u16, error: &str, path: &str) -> String {
    format!(
        r#"{{"timestamp":"2026-11-21T03:00:00.000+00:00","status":{status},"error":"{error}","path":"{path}"}}"#
    )
}

fn identification(tid: &str, error: &str, code: &str, threshold: &str, response: &str) -> String {
    format!(
        "{{\"tid\":{tid},\"encounter_id\":null,\"error\":\"{error}\",\"errorCode\":\"{code}\",\"finger_data\":null,\
         \"iris_data\":null,\"face_data\":null,\"request_type\":\"Identification\",\"maxResults\":10,\
         \"faceThreshold\":\"{threshold}\",\"fingerThreshold\":0,\"irisThreshold\":0{response}}}"
    )
}

#[test]
fn the_eight_answers_of_the_probable_server_are_compact_and_flat() {
    let sim = probable();
    let good = sim.request().set("transactionId", "0211202201");
    let tid = "\"0211202201\"";
    let none = r#","response":"{\"face\":{\"FACE_T5\":{}}}""#;
    let found = format!(r#","response":"{{\"face\":{{\"FACE_T5\":{{\"{SITIS_NIK}\":20.0}}}}}}""#);
    for (code, body, expected) in [
        ("6018", good.clone(), identification(tid, "Sukses", "6018", "7.0", &found)),
        (
            "5001",
            good.clone().encrypted("user_id", "nobody"),
            identification(tid, " Akun tidak ditemukan ", "5001", "0", none),
        ),
        (
            "5003",
            good.clone().set("ip", "192.168.0.1"),
            identification(tid, "IP Tidak Sesuai", "5003", "0", none),
        ),
        (
            "5004",
            good.clone().without("ip"),
            identification("null", "Parameter tidak sesuai", "5004", "0", ""),
        ),
        (
            "5005",
            good.clone().set("threshold", "21"),
            identification(tid, " Threshold tidak sesuai.", "5005", "0", none),
        ),
        (
            "5006",
            good.clone().set("password", "AAAA"),
            identification(tid, "Data gagal di decrypt", "5006", "0", none),
        ),
        ("6014", good.clone(), identification(tid, "Sistem Sedang Sibuk", "6014", "7.0", none)),
        (
            "5002",
            good.clone(),
            identification(tid, "Kuota Hari Ini Habis, Silahkan Dicoba Esok Hari", "5002", "0", none),
        ),
    ] {
        if code != "6014" {
            if code == "5002" {
                assert_eq!(sim.admin("PUT", "/customers/demo/quota", r#"{"used":80}"#).0, 200);
            }
            let answer = post(&sim, "demo", JSON, body.text());
            assert_eq!((answer.status, answer.text()), (200, expected.as_str()));
            assert!(answer.head.contains("\r\nContent-Type: application/json\r\n"), "{}", answer.head);
        }
        let always = post(&sim, &format!("always-{code}"), JSON, good.text());
        assert_eq!((always.status, always.text()), (200, expected.as_str()), "always-{code}");
    }
}

#[test]
fn customers_that_answer_without_checks_take_any_request_under_every_preset() {
    for sim in [Sim::start(), probable()] {
        let is_probable = sim.0.preset() == &Preset::Probable;
        for outcome in dukcapil_fr_sim::internals::protocol::Outcome::documented() {
            for (headers, body) in
                [("", ""), ("Content-Type: text/plain\r\nAccept: text/html\r\n", "no json")]
            {
                for kind in ["sample", "always"] {
                    let path = format!("/api/face-recognition/{kind}-{}/ANY", outcome.code);
                    let answer = exchange(sim.address(), &http("POST", &path, headers, body.as_bytes()));
                    let body = if is_probable { unchunked(&answer.body) } else { answer.body.clone() };
                    let answer = Answer { body, ..answer };
                    assert_eq!((answer.status, answer.code().as_str()), (200, outcome.code));
                    let golden =
                        format!("{}/src/protocol/golden/{}.json", env!("CARGO_MANIFEST_DIR"), outcome.code);
                    assert!(kind == "always" || answer.body == std::fs::read(golden).unwrap(), "{path}");
                }
            }
        }
    }
}

#[test]
fn a_servers_answer_is_springs_charges_nothing_and_stands_in_the_journal() {
    let sim = probable();
    let charging = json!({ "extends": "demo", "policy": { "quota_counts": "all" } });
    assert_eq!(sim.admin("PUT", "/customers/c", &charging.to_string()).0, 200);
    let good = sim.request().text();
    let json_type = "Content-Type: application/json\r\n";
    let rejects = |accept: &str| format!("{json_type}Accept: {accept}\r\n");
    for (headers, body, status, error, reason, hint) in [
        (
            "",
            good.as_str(),
            415,
            "Unsupported Media Type",
            "Content-Type is missing",
            "Content-Type: application/json",
        ),
        (
            "Content-Type: application/x-www-form-urlencoded\r\nAccept: text/html\r\n",
            "",
            415,
            "Unsupported Media Type",
            "Content-Type is \"application/x-www-form-urlencoded\", not JSON",
            "Content-Type: application/json",
        ),
        (
            &rejects("application/xml, text/*"),
            "{",
            406,
            "Not Acceptable",
            "Accept is \"application/xml, text/*\", which excludes JSON",
            "Accept: application/json",
        ),
        (json_type, "", 400, "Bad Request", "policy malformed_json = \"400\"", ""),
        (json_type, "{\"ip\":1,}", 400, "Bad Request", "line 1, column 9", ""),
        (json_type, "[]", 400, "Bad Request", "an array", ""),
    ] {
        for customer in ["c", "nobody"] {
            let path = format!("/api/face-recognition/{customer}/CALL_FN");
            let answer = post(&sim, customer, headers, body);
            assert_eq!((answer.status, answer.text()), (status, spring_error(status, error, &path).as_str()));
            assert!(answer.head.contains("\r\nContent-Type: application/json\r\n"), "{}", answer.head);
            let entry = sim.last();
            let told = &entry["answer"];
            assert_eq!((&entry["customer_id"], &entry["findings"]), (&json!(customer), &json!([])));
            assert_eq!((&told["status"], &told["code"]), (&json!(status), &Value::Null));
            assert_eq!(told["charged"], false);
            assert!(told["reason"].as_str().unwrap().contains(reason), "{told}");
            assert!(
                told["hint"].as_str().is_some_and(|told| !told.is_empty() && told.contains(hint)),
                "{told}"
            );
        }
    }
    assert_eq!(sim.admin("GET", "/customers/c/quota", "").1["used"], 0);
    post(&sim, "c", JSON, "{}");
    assert_eq!(
        sim.admin("GET", "/customers/c/quota", "").1["used"],
        1,
        "an answer of the endpoint is charged"
    );
}

#[test]
fn headers_that_spring_takes_reach_the_endpoint() {
    let sim = probable();
    let body = sim.request().text();
    for headers in [
        "Content-Type: application/json\r\n",
        "content-type: APPLICATION/JSON ; charset=utf-8\r\nACCEPT: */*\r\n",
        "Content-Type: application/vnd.dukcapil+json\r\nAccept: application/*\r\n",
        "Content-Type: application/json\r\nAccept: text/html;q=0.9\r\nAccept: application/json;q=0.1\r\n",
        "Content-Type: application/json\r\nAccept: text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2\r\n",
    ] {
        let answer = post(&sim, "load", headers, &body);
        assert_eq!((answer.status, answer.code().as_str()), (200, "6018"), "{headers}");
    }
    let excluded = "Content-Type: application/json\r\nAccept: application/json;q=0, */*\r\n";
    assert_eq!(post(&sim, "load", excluded, &body).status, 406);
}

#[test]
fn another_method_comes_first_and_the_path_is_the_one_sent() {
    let sim = probable();
    let path = "/api%20/face-recognition/de%6Do/CALL_FN";
    let answer = exchange(sim.address(), &http("PUT", path, "", b""));
    assert_eq!(answer.status, 405);
    let answer = exchange(sim.address(), &http("POST", &format!("{path}?x=1"), "", b"{}"));
    assert_eq!(unchunked(&answer.body), spring_error(415, "Unsupported Media Type", path).into_bytes());
}

#[test]
fn the_connection_serves_the_next_request_behind_a_servers_answer() {
    let (sim, _directory) = Sim::over(&[("simulator.toml", "policy = { content_type = '415' }")]);
    let mut stream = TcpStream::connect(sim.address()).unwrap();
    let body = sim.request().text();
    for (headers, status) in [("", 415), (JSON, 200), ("Content-Type: text/plain\r\n", 415), (JSON, 200)] {
        let request = http("POST", "/api/face-recognition/demo/CALL_FN", headers, body.as_bytes());
        let request = String::from_utf8(request).unwrap().replace("Connection: close\r\n", "");
        stream.write_all(request.as_bytes()).unwrap();
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let answer = parse(&head);
        let length = answer.head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).unwrap();
        assert_eq!(answer.status, status);
    }
    let connections: Vec<_> = sim.0.received().iter().map(|entry| entry.connection).collect();
    assert_eq!(connections, [connections[0]; 4]);
}

#[test]
fn rules_still_hold_where_the_server_answers() {
    let sim = probable();
    let put = |name: &str, rule: Value| {
        let (status, answer) = sim.admin("PUT", &format!("/customers/demo/rules/{name}"), &rule.to_string());
        assert_eq!(status, 200, "{answer}");
    };
    let status = |headers: &str| post(&sim, "demo", headers, "{}").status;
    put("by-outcome", json!({ "when": { "outcome": "5004" }, "reply": { "code": "6014" } }));
    assert_eq!(status(""), 415, "no check was made, so there is no outcome");
    assert_eq!(post(&sim, "demo", JSON, "{}").code(), "6014");
    put("twice", json!({ "skip": 1, "times": 1, "reply": { "code": "6014" } }));
    assert_eq!(status(""), 415, "skipped, and counted");
    let replaced = post(&sim, "demo", "", "{}");
    assert_eq!((replaced.status, replaced.code().as_str()), (200, "6014"));
    let told = sim.last()["answer"].clone();
    assert_eq!(
        told["reason"],
        "rule \"twice\" instead of status 415: Content-Type is missing (policy content_type = \"415\")"
    );
    assert_eq!(told["charged"], false);
    assert_eq!(status(""), 415, "it fired once");
    put("slow", json!({ "delay": "1ms", "set_state": "seen" }));
    assert_eq!(status(""), 415);
    assert_eq!(sim.last()["delay"], json!({ "rule": "slow", "us": 1000 }));
    assert_eq!(sim.admin("GET", "/customers/demo/state", "").1["state"], "seen");
    put("found", json!({ "reply": { "code": "6018" } }));
    let found = post(&sim, "demo", "", sim.request().text());
    assert_eq!(found.candidates().keys().collect::<Vec<_>>(), [SITIS_NIK]);
    assert_eq!(sim.admin("DELETE", "/customers/demo/rules", "").0, 200);
    put("skip", json!({ "checks": "skip", "reply": { "sample": "5006" } }));
    assert_eq!(post(&sim, "demo", "", "").code(), "5006", "a rule that skips the checks answers first");
    put("cut", json!({ "fault": { "kind": "empty_close" } }));
    let mut stream = TcpStream::connect(sim.address()).unwrap();
    stream.write_all(&http("POST", "/api/face-recognition/demo/CALL_FN", "", b"{}")).unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    assert!(all.is_empty(), "a fault spoils a server's answer as any other");
}

#[test]
fn a_customers_own_policy_and_simulator_toml_override_the_preset() {
    let lenient = "extends = 'demo'\npolicy = { content_type = 'any', accept = 'any', malformed_json = '5004', head = 'plain' }";
    let files =
        [("simulator.toml", "policy = { layout = 'documented' }"), ("customers/lenient.toml", lenient)];
    let (sim, _directory) = Sim::over_with(&files, |builder| builder.preset(Preset::Probable));
    let answer = sim.call("lenient", "no json");
    assert_eq!((answer.status, answer.code().as_str()), (200, "5004"));
    assert!(
        answer.text().starts_with("{\n    \"tid\""),
        "simulator.toml has the last word on the layout: {}",
        answer.text()
    );
    assert_eq!(post(&sim, "demo", "", "no json").status, 415);
    let (_, config) = sim.admin("GET", "/config", "");
    assert_eq!((&config["preset"], &config["policy"]["layout"]), (&json!("probable"), &json!("documented")));
    assert_eq!(config["policy"]["numbers"], "loose");
    let (status, answer) = sim.admin("POST", "/config/reload", "");
    assert_eq!(status, 200, "{answer}");
    assert_eq!(post(&sim, "demo", "", "no json").status, 415, "a reload keeps the preset");
}

#[test]
fn an_explanation_says_what_the_server_would_answer() {
    let sim = probable();
    let explain = |question: Value| {
        let (status, answer) = sim.admin("POST", "/explain", &question.to_string());
        assert_eq!(status, 200, "{answer}");
        answer
    };
    let path = "/api/face-recognition/demo/CALL_FN";
    let told = explain(json!({ "customer_id": "demo", "body": "no json" }));
    assert_eq!((&told["status"], &told["code"]), (&json!(400), &Value::Null));
    assert_eq!(told["body"], spring_error(400, "Bad Request", path));
    let told = explain(json!({ "customer_id": "demo", "body": {}, "headers": { "Accept": "text/html" } }));
    assert_eq!((&told["status"], &told["findings"]), (&json!(415), &json!([])));
    let told = explain(json!({ "customer_id": "demo", "body": {} }));
    assert_eq!(told["code"], "5004", "headers that are not known are not judged");
    assert!(sim.0.received().is_empty());
}

#[test]
fn the_preset_is_a_flag_and_a_variable_of_serve_explain_and_check() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("body.json");
    std::fs::write(&file, "no json").unwrap();
    let explain = ["explain", file.to_str().unwrap(), "--keys", KEYS.path().to_str().unwrap()];
    // Behind the line that says where the answer comes from.
    let first_line =
        |output: &std::process::Output| text(&output.stdout).lines().nth(1).unwrap_or_default().to_owned();
    assert!(first_line(&run(&explain)).starts_with("5004~  "));
    let probable = run(&[&explain[..], &["--preset", "probable"]].concat());
    assert!(first_line(&probable).starts_with("400~  not JSON"), "{}", first_line(&probable));
    let by_variable = command(&explain).env("FRSIM_PRESET", "probable").output().unwrap();
    assert!(first_line(&by_variable).starts_with("400~  "));

    let row = |output: &std::process::Output, key: &str| {
        let line = text(&output.stdout)
            .lines()
            .find(|line| line.starts_with(&format!("{key} ")))
            .unwrap_or_default();
        line.split_whitespace().take(4).map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    write_fixture(directory.path(), "simulator.toml", "policy = { layout = 'as-printed', max_results = 3 }");
    // Only simulator.toml is read.
    write_fixture(directory.path(), "customers/x.toml", "broken");
    let check = ["check", "--policy", directory.path().to_str().unwrap(), "--preset", "probable"];
    let table = run(&check);
    assert_eq!(table.status.code(), Some(0), "{}", text(&table.stderr));
    assert_eq!(row(&table, "layout"), "layout \"as-printed\" file doc");
    assert_eq!(row(&table, "max_results"), "max_results 3 file doc");
    assert_eq!(row(&table, "head"), "head \"tomcat\" preset assumed");
    assert_eq!(row(&table, "base64"), "base64 \"strict\" default assumed");
    let flagged = command(&check).env("FRSIM_LAYOUT", "compact").output().unwrap();
    assert_eq!(row(&flagged, "layout"), "layout \"compact\" flag doc");

    for (value, expected) in [
        ("probabel", "did you mean \"probable\"?"),
        ("measured:", "measured needs a file"),
        ("measured:/no/such/file.toml", "/no/such/file.toml: "),
    ] {
        for command in [&["serve"][..], &["check"], &["check", "--policy"], &explain] {
            let refused = run(&[command, &["--preset", value]].concat());
            assert_eq!(refused.status.code(), Some(2), "{command:?} {value}");
            assert!(text(&refused.stderr).contains(expected), "{}", text(&refused.stderr));
        }
    }
}

#[test]
fn the_banner_names_another_preset_than_the_documents() {
    let banner = |more: &[&str]| {
        let served = Served::plain(more);
        served.signal("TERM");
        let (code, _, log) = served.end();
        assert_eq!(code, Some(0), "{log}");
        log
    };
    assert!(!banner(&[]).contains("preset"));
    assert!(banner(&["--preset", "probable"]).contains("\n  preset    probable\n"));
    let json = banner(&["--preset", "probable", "--log", "json"]);
    assert!(json.contains(r#""preset":"probable""#), "{json}");
}

#[test]
fn a_measured_file_is_a_preset() {
    let directory = tempfile::tempdir().unwrap();
    let measured = directory.path().join("measured.toml");
    let policy =
        "[policy]\nlayout = 'compact'\nnot_found = '6019'\n[[measured]]\nkey = 'not_found'\ncalls = 1\n";
    std::fs::write(&measured, policy).unwrap();
    let preset = format!("measured:{}", measured.display());
    let arguments = [&listening("127.0.0.1:0", KEYS.path())[..], &["--preset", &preset]].concat();
    let served = Served::from(command(&arguments));
    let admin = served.value("admin").trim_start_matches("http://").parse().unwrap();
    let config = exchange(admin, &http("GET", "/config", "", b"")).json();
    assert_eq!((&config["preset"], &config["policy"]["not_found"]), (&json!(preset), &json!("6019")));
    assert_eq!(config["policy"]["layout"], "compact");
}
