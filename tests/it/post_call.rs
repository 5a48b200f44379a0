//! `POST /call`: one request to the own endpoint, and what came back.

use std::io::Write;
use std::net::TcpStream;

use dukcapil_fr_sim::internals::protocol::encoding::{self, Base64Mode};
use serde_json::{Value, json};

use crate::sent::FAULTS;
use crate::support::{SITI, SITIS_NIK, Sim, eventually, exchange, http, parse, read_to_the_end, stranger};

fn call(sim: &Sim, body: &Value) -> (u16, Value) {
    sim.admin("POST", "/call", &body.to_string())
}

fn called(sim: &Sim, body: Value) -> Value {
    let (status, answer) = call(sim, &body);
    assert_eq!(status, 200, "{body}: {answer}");
    answer
}

#[test]
fn the_entry_is_found_also_where_the_journal_shows_another_text() {
    let sim = Sim::start();
    let long = "x ".repeat(300);
    for (user_agent, id) in
        [("app 3174051708909990", "t"), (&*long, "t"), ("demo-password", "demo-password"), ("app", &long)]
    {
        let request =
            json!({ "customer_id": "demo", "transaction_id": id, "headers": { "User-Agent": user_agent } });
        let answer = called(&sim, request);
        assert!(answer["entry"]["id"].is_u64(), "{user_agent} {id}: {}", answer["entry"]);
    }
}

fn bytes_of(answer: &Value) -> Vec<u8> {
    encoding::decode(answer["body_base64"].as_str().unwrap(), Base64Mode::Strict).unwrap().bytes
}

#[test]
fn a_call_returns_what_came_back_to_the_byte_and_its_entry() {
    let sim = Sim::start();
    let answer = called(&sim, json!({ "customer_id": "demo" }));
    assert_eq!((&answer["status"], &answer["end"]), (&json!(200), &json!("complete")));
    let text = answer["text"].as_str().unwrap();
    assert_eq!(bytes_of(&answer), text.as_bytes());
    let sent = &answer["sent"];
    let body: Value = serde_json::from_str(sent["body"].as_str().unwrap()).unwrap();
    let names: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["transactionId", "transactionSource", "threshold", "image", "user_id", "password", "ip"]
    );
    // What was sent is a request that anybody can send: the same bytes come back, blanks and all.
    let again = sim.call("demo", sent["body"].as_str().unwrap());
    assert_eq!((again.text(), &*again.code()), (text, "6018"));
    assert_eq!(sent["url"], format!("{}/api/face-recognition/demo/CALL_FN", sim.0.url()));
    let length = json!({ "name": "content-length", "value": text.len().to_string() });
    assert!(answer["headers"].as_array().unwrap().contains(&length), "{}", answer["headers"]);
    let entry = &answer["entry"];
    assert_eq!(sim.admin("GET", &format!("/requests/{}", entry["id"]), "").1, *entry);
    assert_eq!(entry["sent"]["end"], "complete");
    assert_eq!(entry["request"]["transaction_id"], body["transactionId"]);
    let times = ["connect_us", "first_byte_us", "total_us"].map(|name| answer[name].as_u64().unwrap());
    assert!(times.is_sorted(), "{times:?}");
    let url = sent["url"].as_str().unwrap();
    let curl = answer["curl"].as_str().unwrap();
    assert!(
        curl.starts_with(&format!("curl -i '{url}' -H '")) && curl.ends_with(" --data @body.json"),
        "{curl}"
    );
    assert!(curl.contains(" -H 'Content-Type: application/json' ") && !curl.contains("User-Agent"), "{curl}");
}

#[test]
fn each_part_of_the_request_can_be_chosen() {
    let sim = Sim::start();
    assert_eq!(sim.admin("PUT", "/customers/bank", r#"{"extends":"demo","methode":["ONE","TWO"]}"#).0, 200);
    let user_agent = "okhttp/4.12 it's";
    let answer = called(
        &sim,
        json!({
            "customer_id": "bank", "methode": "TWO", "account": { "user_id": "somebody" }, "transaction_id": "T-9",
            "transaction_source": "here", "threshold": 12.5, "ip": "10.1.2.3", "image": encoding::encode(&stranger()),
            "headers": { "user-agent": user_agent, "X-More": "1", "Accept": "text/plain" }, "timeout": "5s",
        }),
    );
    let entry = &answer["entry"];
    assert_eq!((&entry["methode"], &entry["answer"]["code"]), (&json!("TWO"), &json!("5001")), "{entry}");
    let request = &entry["request"];
    assert_eq!((&request["transaction_id"], &request["transaction_source"]), (&json!("T-9"), &json!("here")));
    assert_eq!((&request["threshold"], &request["ip"]), (&json!(12.5), &json!("10.1.2.3")));
    assert_eq!((&request["image"]["format"], &request["user_agent"]), (&json!("png"), &json!(user_agent)));
    let headers = answer["sent"]["headers"].as_array().unwrap();
    let names: Vec<_> = headers.iter().map(|header| header["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Content-Type", "Accept", "X-More", "user-agent"], "each once");
    assert!(
        answer["curl"].as_str().unwrap().contains(r"-H 'user-agent: okhttp/4.12 it'\''s'"),
        "{}",
        answer["curl"]
    );
    let body: Value = serde_json::from_str(answer["sent"]["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["threshold"], json!(12.5), "a number stays a number");
    let wrong = called(&sim, json!({ "customer_id": "bank", "threshold": [true] }));
    assert_eq!(wrong["entry"]["answer"]["code"], "5004", "and so does a value of a wrong type");
    let first = called(&sim, json!({ "customer_id": "bank", "threshold": "x" }));
    assert_eq!(
        (&first["entry"]["methode"], &first["entry"]["answer"]["code"]),
        (&json!("ONE"), &json!("5004"))
    );
}

#[test]
fn a_picture_of_the_gallery_finds_its_person() {
    let sim = Sim::start();
    let found = |nik: &str| {
        let answer = called(&sim, json!({ "customer_id": "load", "nik": nik }));
        let candidates = parse_candidates(&answer);
        (answer, candidates)
    };
    let (answer, candidates) = found(SITIS_NIK);
    assert_eq!(answer["entry"]["request"]["image"]["bytes"], SITI.len(), "its own file");
    assert_eq!(candidates, [SITIS_NIK]);
    // Of an enrolled person only a thumbnail is kept.
    let picture = include_bytes!("../../fixtures/gallery/siti.jpg");
    let mirrored = image::load_from_memory(picture).unwrap().fliph();
    let mut file = std::io::Cursor::new(Vec::new());
    mirrored.write_to(&mut file, image::ImageFormat::Png).unwrap();
    let enrolled = json!({ "nik": "3273010101909777", "pictures": [encoding::encode(file.get_ref())] });
    assert_eq!(sim.admin("POST", "/gallery", &enrolled.to_string()).0, 200);
    let (answer, candidates) = found("3273010101909777");
    assert_eq!(answer["entry"]["request"]["image"]["format"], "jpeg");
    assert!(candidates.contains(&"3273010101909777".to_owned()), "{candidates:?}");
}

fn parse_candidates(answer: &Value) -> Vec<String> {
    let body: Value = serde_json::from_str(answer["text"].as_str().unwrap()).unwrap();
    let response: Value = serde_json::from_str(body["response"].as_str().unwrap()).unwrap();
    response["face"]["FACE_T5"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn each_mistake_gives_the_documents_answer_and_its_reason() {
    let sim = Sim::start();
    assert_eq!(
        sim.admin("PUT", "/customers/closed", r#"{"extends":"demo","access":{"allow":["10.0.0.0/8"]}}"#).0,
        200
    );
    let fixed = json!({ "extends": "demo", "access": { "allow": ["0.0.0.0/0"] } });
    assert_eq!(sim.admin("PUT", "/customers/open", &fixed.to_string()).0, 200);
    let mut listed = Vec::new();
    for (mistake, code, reason) in [
        ("missing_field", "5004", "transactionSource"),
        ("typographic_quotes", "5004", "typographic"),
        ("trailing_comma", "5004", "comma"),
        ("oaep", "5006", "OAEP (SHA-1) instead of PKCS#1 v1.5"),
        ("unencrypted", "5006", "was sent unencrypted"),
        ("url_safe_base64", "5006", "URL-safe"),
        ("truncated_image", "5004", "truncated"),
        ("data_uri", "5004", "data:"),
        ("ip_not_allowed", "5003", "allow"),
        ("threshold_21", "5005", "21"),
    ] {
        for customer in ["demo", "closed", "open"] {
            let answer = called(&sim, json!({ "customer_id": customer, "break": mistake }));
            let decided = &answer["entry"]["answer"];
            assert_eq!(decided["code"], code, "{mistake} {customer}: {decided}");
            let expected =
                if (mistake, customer) == ("ip_not_allowed", "open") { "not an IP address" } else { reason };
            let said = decided["reason"].as_str().unwrap();
            assert!(said.to_lowercase().contains(&expected.to_lowercase()), "{mistake}: {said}");
            assert!(answer["text"].as_str().unwrap().contains(code), "{mistake}: {}", answer["text"]);
        }
        assert_eq!(called(&sim, json!({ "customer_id": "closed" }))["entry"]["answer"]["code"], "6018");
        listed.push(json!(mistake));
    }
    let schema = &crate::openapi::DOCUMENT["components"]["schemas"]["Breakage"];
    let documented: Vec<_> =
        schema["oneOf"].as_array().unwrap().iter().map(|one| one["const"].clone()).collect();
    assert_eq!(documented, listed, "every mistake is tested");
}

#[test]
fn each_fault_is_seen_as_a_client_sees_it() {
    let rule = |(kind, parameters, ..): &crate::sent::Row| {
        let fault = [format!("kind = '{kind}'"), (*parameters).to_owned()].join(", ");
        let text = format!(
            "extends = 'load'\n[[rules]]\nname = 'f'\nfault = {{ {} }}\n[[rules]]\nname = 'a'\nreply = {{ code = '6014' }}\n",
            fault.trim_end_matches(", ")
        );
        (format!("customers/{kind}.toml"), text)
    };
    let files: Vec<_> = FAULTS.iter().map(rule).collect();
    let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let (sim, _directory) = Sim::over(&files);
    for (kind, _, status, end, ..) in FAULTS {
        let timeout = if kind == "hang" { "300ms" } else { "60s" };
        let mut answer = Value::Null;
        // The listener may still be closed by the fault before.
        eventually("a connection", || {
            answer = called(&sim, json!({ "customer_id": kind, "timeout": timeout }));
            answer["end"] != "refused" && !answer["entry"].is_null()
        });
        let sees = match (kind, end) {
            ("hang", _) => "timeout",
            // Not HTTP: nothing says where it is complete.
            ("garbage" | "raw", _) => "fin",
            // What the kernel makes of unread bytes.
            ("close_during_upload" | "refuse" | "close_on_accept", _) => answer["end"].as_str().unwrap(),
            (_, end) => end,
        };
        assert_eq!((&answer["status"], &answer["end"]), (&json!(status), &json!(sees)), "{kind}: {answer}");
        assert!(["fin", "rst", "complete", "timeout"].contains(&sees), "{kind}: {sees}");
        let entry = &answer["entry"];
        assert_eq!(
            (&entry["customer_id"], &entry["sent"]["end"]),
            (&json!(kind), &json!(end)),
            "{kind}: {entry}"
        );
        if kind == "raw" {
            assert_eq!(answer["text"], "HTTP/1.1 banana");
        }
        if kind == "garbage" {
            assert_eq!(bytes_of(&answer).len(), 8);
        }
    }
}

#[test]
fn calls_that_hang_block_nobody_are_bounded_and_end_with_their_caller() {
    let sim = Sim::start();
    let body = json!({ "customer_id": "hang" }).to_string();
    let request = http("POST", "/call", "", body.as_bytes());
    let mut callers: Vec<_> = (0..8)
        .map(|_| {
            let mut caller = TcpStream::connect(sim.admin_address()).unwrap();
            caller.write_all(&request).unwrap();
            caller
        })
        .collect();
    sim.wait_for_in_flight(8);
    assert_eq!(sim.admin("GET", "/health", "").0, 200);
    let (status, answer) = call(&sim, &json!({ "customer_id": "demo" }));
    assert_eq!((status, &answer["error"]["code"]), (429, &json!("too_many")));
    callers.pop();
    sim.wait_for_in_flight(7);
    eventually("a free place", || call(&sim, &json!({ "customer_id": "demo" })).0 == 200);
    // A shutdown ends them at once.
    assert_eq!(sim.admin("POST", "/shutdown", "").0, 200);
    for mut caller in callers {
        assert_eq!(parse(&read_to_the_end(&mut caller).0).status, 503);
    }
}

#[test]
fn what_cannot_be_sent_is_refused_with_its_place() {
    let sim = Sim::start();
    for (body, status, path, message) in [
        (json!({}), 400, "", "customer_id"),
        (json!({ "customer_id": 1 }), 400, "/customer_id", ""),
        (json!({ "customer_id": "demo", "url": "http://evil.example" }), 400, "/url", "unknown"),
        (json!({ "customer_id": "demo", "break": "all" }), 400, "/break", "all"),
        (json!({ "customer_id": "demo", "nik": SITIS_NIK, "image": "" }), 400, "/image", "not both"),
        (json!({ "customer_id": "demo", "nik": "3174055708909998" }), 404, "/nik", "no identity"),
        (json!({ "customer_id": "demo", "nik": "1" }), 400, "/nik", ""),
        (json!({ "customer_id": "demo", "image": "*" }), 400, "/image", "'*'"),
        (json!({ "customer_id": "demo", "account": { "user": "x" } }), 400, "/account/user", "unknown"),
        (json!({ "customer_id": "demo", "account": [null, null] }), 400, "/account", "object"),
        (
            json!({ "customer_id": "demo", "account": { "password": "x".repeat(246) } }),
            400,
            "/account",
            "at most 245",
        ),
        (
            json!({ "customer_id": "demo", "account": { "password": "x".repeat(230) }, "break": "oaep" }),
            400,
            "/account",
            "",
        ),
        (json!({ "customer_id": "demo", "headers": { "A": "1\r\nB: 2" } }), 400, "/headers/A", "line break"),
        (
            json!({ "customer_id": "demo", "headers": { "A: 1\r\nB": "2" } }),
            400,
            "/headers/A: 1\r\nB",
            "not a name",
        ),
        (json!({ "customer_id": "demo", "headers": { "Host": "x" } }), 400, "/headers/Host", "follows from"),
        (
            json!({ "customer_id": "demo", "headers": { "content-LENGTH": "1" } }),
            400,
            "/headers/content-LENGTH",
            "",
        ),
        (json!({ "customer_id": "demo", "headers": { "A": 1 } }), 400, "/headers/A", ""),
        (json!({ "customer_id": "demo", "timeout": "3m" }), 400, "/timeout", "2 minutes"),
        (json!({ "customer_id": "demo", "timeout": "soon" }), 400, "/timeout", ""),
    ] {
        let (got, answer) = call(&sim, &body);
        assert_eq!((got, &answer["error"]["path"]), (status, &json!(path)), "{body}: {answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(message), "{body}: {answer}");
    }
    assert_eq!(sim.0.received().len(), 0, "nothing was sent");
}

#[test]
fn a_hostile_customer_id_stays_one_segment_of_the_path() {
    let sim = Sim::start();
    let long = "x".repeat(100_000);
    for (id, status, code) in [
        ("nobody", 200, Some("5001")),
        ("../../nik", 200, Some("5001")),
        ("..", 200, Some("5001")),
        ("a/b?c#d", 200, Some("5001")),
        ("x HTTP/1.1\r\nHost: evil.example\r\n\r\n", 200, Some("5001")),
        ("@evil.example:80/", 200, Some("5001")),
        ("http://evil.example/", 200, Some("5001")),
        ("\u{202e}é\0", 200, Some("5001")),
        ("", 404, None),
        (&long, 400, None),
    ] {
        let shown: String = id.chars().take(40).collect();
        let before = sim.0.received().len();
        let answer = called(&sim, json!({ "customer_id": id }));
        assert_eq!(answer["status"], status, "{shown:?}: {answer}");
        let entry = &answer["entry"];
        assert_eq!(entry["answer"]["code"].as_str(), code, "{shown:?}: {entry}");
        assert_eq!(sim.0.received().len(), before + 1, "{shown:?} is one request");
        let path = answer["sent"]["url"].as_str().unwrap().strip_prefix(&sim.0.url()).unwrap();
        assert_eq!(path.matches('/').count(), 4, "{shown:?}");
    }
}

#[test]
fn the_endpoint_is_reached_behind_its_own_proxy_protocol() {
    let (sim, _directory) = Sim::over(&[("simulator.toml", "peer = 'proxy-protocol'\n")]);
    let answer = called(&sim, json!({ "customer_id": "demo" }));
    let entry = &answer["entry"];
    assert_eq!((&entry["answer"]["code"], &entry["request"]["peer"]), (&json!("6018"), &json!("127.0.0.1")));
}

#[test]
fn a_call_needs_the_token_and_is_refused_to_other_pages() {
    let sim = Sim::with(|builder| builder.admin_token(Some("s3cret".to_owned())));
    let status = |headers: &str| {
        let request = http("POST", "/call", headers, br#"{"customer_id":"demo"}"#);
        exchange(sim.admin_address(), &request).status
    };
    assert_eq!(status(""), 401);
    assert_eq!(status("Authorization: Bearer s3cret\r\nOrigin: http://evil.example\r\n"), 403);
    assert_eq!(status("Authorization: Bearer s3cret\r\n"), 200);
}
