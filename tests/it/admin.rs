//! The admin API: its routes, its errors, and who may call it.

use std::collections::BTreeSet;

use dukcapil_fr_sim::internals::http::admin::routes::operations;
use serde_json::{Value, json};

use crate::journal::Events;
use crate::openapi::{example_path, with_examples};
use crate::support::{SITIS_NIK, Sim, eventually, exchange, http};

#[test]
fn health_readiness_and_version() {
    let sim = Sim::start();
    assert_eq!(sim.admin("GET", "/health", ""), (200, json!({ "status": "ok" })));
    assert_eq!(sim.admin("GET", "/ready", "").1["status"], "ready");
    let version = sim.admin("GET", "/version", "").1;
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(version["commit"], dukcapil_fr_sim::internals::version::COMMIT);
}

#[test]
fn the_clock_is_read_advanced_set_released_and_reset() {
    let sim = Sim::start();
    let clock = |body: &str| sim.admin("PUT", "/clock", body);
    assert_eq!(
        sim.admin("GET", "/clock", "").1,
        json!({ "now": "2026-11-21T10:00:00+07:00", "frozen": true })
    );
    assert_eq!(
        clock(r#"{"advance":"25h"}"#).1,
        json!({ "now": "2026-11-22T11:00:00+07:00", "frozen": true })
    );
    assert_eq!(
        clock(r#"{"now":"2026-11-21T23:59:00Z"}"#).1,
        json!({ "now": "2026-11-22T06:59:00+07:00", "frozen": true })
    );
    let released = clock(r#"{"freeze":false}"#).1;
    assert_eq!(released["frozen"], false);
    assert!(released["now"].as_str().unwrap().starts_with("2026-11-22T06:59:00"), "it runs on: {released}");
    eventually("the clock runs", || sim.admin("GET", "/clock", "").1["now"] != released["now"]);
    assert_eq!(clock(r#"{"freeze":true}"#).1["frozen"], true);
    assert_eq!(clock(r#"{"reset":true}"#).1, json!({ "now": "2026-11-21T10:00:00+07:00", "frozen": true }));
}

#[test]
fn an_invalid_clock_changes_nothing_and_says_why() {
    let sim = Sim::start();
    for body in [
        "",
        "{}",
        "[]",
        r#"{"advance":"soon"}"#,
        r#"{"advance":"-1h"}"#,
        r#"{"advance":"99999999years"}"#,
        r#"{"now":"tomorrow"}"#,
        r#"{"now":"2026-11-21T10:00:00"}"#,
        r#"{"now":"99999-01-01T00:00:00Z"}"#,
        r#"["1h"]"#,
        r#"{"reset":false}"#,
        r#"{"frozen":true}"#,
        r#"{"advance":"1h","freeze":true}"#,
        r#"{"advance":1}"#,
    ] {
        let (status, error) = sim.admin("PUT", "/clock", body);
        assert_eq!(status, 400, "{body}");
        assert!(
            error["error"]["message"].as_str().is_some_and(|message| !message.is_empty()),
            "{body}: {error}"
        );
    }
    for path in ["/clock", "/customers/demo/clock"] {
        for (body, says) in [
            (r#"{"advance":"-1h"}"#, "advance only moves the clock forward, and \"-1h\" would put it back"),
            (r#"{"advance":"-soon"}"#, "advance only moves the clock forward, and \"-soon\" is negative"),
            (r#"{"advance":"soon"}"#, "\"soon\" is not a duration"),
            (r#"{"advance":1}"#, "the number 1"),
            (r#"{"freeze":"yes"}"#, "the text \"yes\""),
            (r#"{"freeze":null}"#, "null"),
            (r#"{"reset":false}"#, "reset is false, but can only be true"),
            (r#"{"now":5}"#, "the number 5"),
            (r#"{"now":"2026-11-21T10:00:00Z","freeze":false}"#, "send now first, then freeze false"),
            (r#"{"now":"2026-11-21T10:00:00Z","freeze":true}"#, "now alone freezes"),
            (r#"{"advance":"1h","freeze":true}"#, "advance and freeze cannot be sent together"),
            (
                r#"{"advance":"1h","now":"x","reset":true}"#,
                "advance and now and reset cannot be sent together",
            ),
            ("{}", "the body names no change of the clock"),
            ("", "the body is empty"),
            ("{\"freeze\":tru}", "line 1, column 11: text without quotes"),
        ] {
            let (status, error) = sim.admin("PUT", path, body);
            let message = error["error"]["message"].as_str().unwrap_or_default();
            assert!(status == 400 && message.contains(says), "{path} {body}: {error}");
            assert!(error["error"]["hint"].is_string(), "{path} {body}: {error}");
        }
    }
    let back = sim.admin("PUT", "/clock", r#"{"advance":"-1h"}"#).1;
    assert!(back["error"]["hint"].as_str().is_some_and(|hint| hint.contains(r#"{"now":"#)), "{back}");
    assert_eq!(sim.admin("PUT", "/clock", r#"{"freez":true}"#).1["error"]["hint"], "did you mean `freeze`?");
    assert_eq!(sim.admin("GET", "/clock", "").1["now"], "2026-11-21T10:00:00+07:00");
}

#[test]
fn the_journal_is_listed_newest_first_and_filtered() {
    let sim = Sim::start();
    sim.call("demo", sim.request().set("transactionId", "first").text());
    sim.admin("PUT", "/clock", r#"{"advance":"1m"}"#);
    sim.call("load", sim.request().set("transactionId", "second").text());
    sim.call("demo", sim.request().set("threshold", "0").set("transactionId", "third").text());
    let ids = |query: &str| {
        let (status, listing) = sim.admin("GET", &format!("/requests{query}"), "");
        assert_eq!((status, listing["dropped"].as_u64()), (200, Some(0)), "{query}: {listing}");
        let entries = listing["requests"].as_array().unwrap();
        entries
            .iter()
            .map(|entry| entry["request"]["transaction_id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(""), ["third", "second", "first"]);
    assert_eq!(ids("?customer_id=demo"), ["third", "first"]);
    assert_eq!(ids("?code=6018"), ["second", "first"]);
    assert_eq!(ids("?limit=1"), ["third"]);
    assert_eq!(ids("?since=2026-11-21T10:00:30%2B07:00"), ["third", "second"]);
    assert_eq!(ids("?since=2026-11-21T10:00:30+07:00"), ["third", "second"]);
    for (query, hint) in [
        ("?custmer_id=x&limit=0", json!("did you mean `customer_id`?")),
        ("?limit=0", Value::Null),
        ("?limit=99999999", Value::Null),
        ("?since=x", Value::Null),
        ("?custmer_id=x", json!("did you mean `customer_id`?")),
    ] {
        let (status, error) = sim.admin("GET", &format!("/requests{query}"), "");
        assert_eq!((status, &error["error"]["hint"]), (400, &hint), "{query}: {error}");
    }
}

#[test]
fn entries_are_cleared_for_one_customer_or_all() {
    let sim = Sim::start();
    for customer in ["demo", "load", "demo"] {
        sim.call(customer, sim.request().text());
    }
    let clear = |query: &str| sim.admin("DELETE", &format!("/requests{query}"), "");
    assert_eq!(clear("?custmer_id=demo").0, 400);
    assert_eq!(clear("?customer_id=demo"), (200, json!({ "removed": 2 })));
    assert_eq!(sim.last()["id"], 2);
    assert_eq!(sim.admin("GET", "/requests/1", "").0, 404);
    assert_eq!(clear(""), (200, json!({ "removed": 1 })));
    sim.call("demo", sim.request().text());
    assert_eq!((sim.last()["id"].as_u64(), sim.last()["ordinal"].as_u64()), (Some(4), Some(3)));
}

#[test]
fn an_entry_has_everything_except_photo_and_credentials() {
    let sim = Sim::start();
    let body = sim.request();
    sim.call("demo", body.text());
    let entry = sim.last();
    let keys: Vec<_> = entry.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "id",
            "at",
            "customer_id",
            "methode",
            "connection",
            "ordinal",
            "trace_id",
            "replica",
            "request",
            "findings",
            "warnings",
            "rule",
            "rules",
            "delay",
            "fault",
            "answer",
            "rests_on",
            "basis",
            "state",
            "sent",
            "elapsed_us"
        ]
    );
    assert_eq!((entry["state"].as_str(), entry["ordinal"].as_u64()), (Some("done"), Some(1)));
    assert_eq!(entry["at"], "2026-11-21T10:00:00.000+07:00");
    assert_eq!(entry["request"]["image"]["format"], "jpeg");
    assert_eq!(
        (entry["request"]["image"]["width"].as_u64(), entry["request"]["image"]["height"].as_u64()),
        (Some(360), Some(480))
    );
    let region = "Kebayoran Lama, Kota Administrasi Jakarta Selatan, Daerah Khusus Ibukota Jakarta";
    let candidate = json!({ "nik": "317405XXXXXXXXXX", "region": region, "score": 20.0 });
    assert_eq!(entry["answer"]["candidates"], json!([candidate]));
    let text = entry.to_string();
    for secret in ["demo-user", "demo-password", SITIS_NIK] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    for field in ["user_id", "password", "image"] {
        let sent = body.members[field].as_str().unwrap();
        assert!(!text.contains(&sent[..40]), "{field} in {text}");
    }
    let id = entry["id"].to_string();
    assert_eq!(sim.admin("GET", &format!("/requests/{id}"), ""), (200, entry));
    for unknown in ["0", "99", "x", "-1", "99999999999999999999999"] {
        assert_eq!(sim.admin("GET", &format!("/requests/{unknown}"), "").0, 404);
    }
}

#[test]
fn a_nik_in_an_unexpected_field_is_masked_too() {
    let sim = Sim::start();
    sim.call(
        "demo",
        sim.request()
            .set("transactionId", SITIS_NIK)
            .set("transactionSource", format!("x {SITIS_NIK}"))
            .text(),
    );
    assert!(!sim.last().to_string().contains(SITIS_NIK), "{}", sim.last());
    assert_eq!(sim.last()["request"]["transaction_id"], "317405XXXXXXXXXX");
    sim.call("demo", sim.request().set("transactionId", format!("{SITIS_NIK}-too-long")).text());
    assert!(!sim.last().to_string().contains(SITIS_NIK), "{}", sim.last());
}

#[test]
fn niks_are_unmasked_only_on_request() {
    let sim = Sim::with(|builder| builder.show_nik(true));
    sim.call("demo", sim.request().text());
    assert_eq!(sim.last()["answer"]["candidates"][0]["nik"], SITIS_NIK);
}

#[test]
fn an_explanation_is_complete_and_has_no_side_effects() {
    let sim = Sim::start();
    let body: Value =
        serde_json::from_str(&sim.request().set("threshold", "0").set("ip", "x").text()).unwrap();
    let question = json!({ "customer_id": "demo", "methode": "CALL_FN", "peer": "127.0.0.1", "headers": {}, "body": body });
    let (status, explanation) = sim.admin("POST", "/explain", &question.to_string());
    assert_eq!((status, explanation["code"].as_str()), (200, Some("5003")));
    let failed: Vec<_> = explanation["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["status"] == "failed")
        .map(|finding| finding["check"].as_str().unwrap())
        .collect();
    assert_eq!(failed, ["ip", "threshold"]);
    for finding in explanation["findings"].as_array().unwrap() {
        let keys: Vec<_> = finding.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["check", "status", "code", "reason", "hint"]);
    }
    let good = json!({ "customer_id": "demo", "body": sim.request().text() });
    let (_, explanation) = sim.admin("POST", "/explain", &good.to_string());
    assert_eq!(explanation["code"], "6018", "a body as raw text, and no methode: {explanation}");
    assert_eq!(sim.admin("GET", "/customers/demo/quota", "").1["used"], 0);
    assert_eq!(sim.admin("GET", "/requests", "").1["requests"], json!([]));
}

#[test]
fn an_explanation_of_invalid_input_is_an_answer_or_a_clear_error() {
    let sim = Sim::start();
    let raw = |body: &str| {
        sim.admin("POST", "/explain", &json!({ "customer_id": "demo", "body": body }).to_string())
    };
    assert_eq!(raw("").1["code"], "5004");
    assert_eq!(raw("{“a”:1}").1["code"], "5004");
    assert_eq!(sim.admin("POST", "/explain", r#"{"customer_id":"demo","body":null}"#).1["code"], "5004");
    for (body, path) in [
        ("{}", ""),
        (r#"{"customer_id":"demo"}"#, ""),
        (r#"{"customer_id":1,"body":{}}"#, "/customer_id"),
        (r#"{"customer_id":"demo","body":{},"peer":"x"}"#, "/peer"),
    ] {
        let (status, error) = sim.admin("POST", "/explain", body);
        assert_eq!((status, error["error"]["path"].as_str()), (400, Some(path)), "{body}: {error}");
    }
}

#[test]
fn a_body_beyond_the_admin_limit_is_rejected_in_the_error_shape() {
    let sim = Sim::start();
    let head =
        "PUT /clock HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 99999999\r\n\r\n";
    let answer = exchange(sim.admin_address(), head.as_bytes());
    assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (413, Some("body_too_large")));
}

#[test]
fn public_keys_are_served() {
    let sim = Sim::start();
    let get = |path: &str| exchange(sim.admin_address(), &http("GET", path, "", b""));
    for path in ["/keys/public.pem", "/customers/demo/public.pem"] {
        assert_eq!(get(path).text(), sim.0.public_key_pem());
    }
    assert_eq!(get("/customers/nobody/public.pem").status, 404);
}

#[test]
fn head_is_answered_like_get_without_a_body() {
    let sim = Sim::start();
    sim.call("demo", sim.request().text());
    let mut compared = 0;
    for operation in operations().iter().filter(|operation| operation.method == "GET") {
        let path = example_path(operation);
        for path in [path.as_str(), &format!("{path}?nonsense=1"), &path.replace("demo", "nobody")] {
            let ask = |method: &str| exchange(sim.admin_address(), &http(method, path, "", b""));
            let head = ask("HEAD");
            assert_eq!(head.text(), "", "HEAD {path}");
            if operation.id == "events" && head.status == 200 {
                // The stream of GET never ends.
                assert!(head.head.contains("content-type: text/event-stream"), "{}", head.head);
                continue;
            }
            let lines = |head: &str| {
                // Gauges differ from one scrape to the next.
                let differs = |line: &&str| {
                    !line.starts_with("date: ")
                        && (operation.id != "metrics" || !line.starts_with("content-length: "))
                };
                head.lines().filter(differs).map(str::to_owned).collect::<BTreeSet<_>>()
            };
            assert_eq!(lines(&head.head), lines(&ask("GET").head), "{path}");
            compared += 1;
        }
    }
    assert!(compared > 50, "only {compared} pairs");
    assert_eq!(exchange(sim.admin_address(), &http("HEAD", "/explain", "", b"")).status, 405);
    assert_eq!(exchange(sim.admin_address(), &http("HEAD", "/nothing", "", b"")).status, 404);
    // Without `Connection: close` of the client too.
    let bytes = b"HEAD /events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(exchange(sim.admin_address(), bytes).status, 200, "the connection ends");
}

#[test]
fn no_answer_may_be_embedded_by_a_page_of_another_origin() {
    let policy = "\r\ncross-origin-resource-policy: same-origin";
    let sim = with_examples();
    let check = |sim: &Sim, bytes: &[u8], status: u16| {
        let answer = exchange(sim.admin_address(), bytes);
        let asked = String::from_utf8_lossy(bytes);
        assert_eq!(answer.status, status, "{asked}");
        assert!(answer.head.to_lowercase().contains(policy), "{asked}: {}", answer.head);
    };
    for operation in operations().iter().filter(|one| one.method == "GET" && one.id != "events") {
        check(&sim, &http("GET", &example_path(operation), "", b""), 200);
    }
    check(&sim, &http("GET", "/requests/99", "", b""), 404);
    check(&sim, &http("GET", "/nothing", "", b""), 404);
    check(&sim, &http("DELETE", "/clock", "", b""), 405);
    check(&sim, &http("PUT", "/clock", "", b"{"), 400);
    check(&sim, &http("PUT", "/clock", "Content-Encoding: gzip\r\n", b"{}"), 415);
    check(&sim, &http("GET", "/clock", "Origin: http://evil.example\r\n", b""), 403);
    check(&sim, b"GET /clock HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 421);
    let large =
        "PUT /clock HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 99999999\r\n\r\n";
    check(&sim, large.as_bytes(), 413);
    check(&sim, &http("HEAD", "/events", "", b""), 200);
    assert!(Events::follow(&sim, "", "").head.to_lowercase().contains(policy), "the stream too");
    let sim = Sim::with(|builder| builder.admin_token(Some("s3cret".to_owned())));
    check(&sim, &http("GET", "/clock", "", b""), 401);
    check(&sim, &http("GET", "/health", "", b""), 200);
}

#[test]
fn a_request_for_the_endpoint_is_told_its_port() {
    let files = [(
        "simulator.toml",
        "prefixes = [\"/api/face-recognition\", \"/api /face-recognition\", \"/other\"]",
    )];
    let (open, _directory) = Sim::over(&files);
    let (protected, _directory) =
        Sim::over_with(&files, |builder| builder.admin_token(Some("s3cret".to_owned())));
    for sim in [&open, &protected] {
        for path in [
            "/api/face-recognition/demo/CALL_FN",
            "/api%20/face-recognition/demo/CALL_FN",
            "/api/face-recognition",
            "/other/demo/CALL_FN",
            "/api/nik",
            "/api/%6Eik",
        ] {
            for method in ["POST", "GET"] {
                let (status, error) = sim.admin(method, path, "{}");
                let url = format!("{}{path}", sim.0.url());
                assert_eq!(status, 404, "{method} {path}: {error}");
                assert!(error["error"]["hint"].as_str().is_some_and(|hint| hint.contains(&url)), "{error}");
            }
        }
        let (_, error) = sim.admin("GET", "/api/face-recognitions", "");
        assert!(!error.to_string().contains(&sim.0.url()), "{error}");
    }
    assert_eq!(protected.admin("GET", "/api/face-recognitions", "").0, 401);
    // A prefix that is also a route of this API does not open it.
    let files = [("simulator.toml", "prefixes = [\"/customers\"]")];
    let (sim, _directory) = Sim::over_with(&files, |builder| builder.admin_token(Some("s3cret".to_owned())));
    for (path, status) in [
        ("/customers", 401),
        ("/customers/demo", 401),
        ("/customers/demo/quota", 401),
        ("/customers/demo/CALL_FN", 404),
    ] {
        assert_eq!(sim.admin("GET", path, "").0, status, "{path}");
    }
}

#[test]
fn an_unknown_customer_is_answered_with_the_nearest_one() {
    let sim = Sim::start();
    assert_eq!(sim.admin("PUT", "/customers/bank-niaga", r#"{"extends":"demo"}"#).0, 200);
    for (method, path, body) in [
        ("GET", "/customers/bank-naga", ""),
        ("PATCH", "/customers/bank-naga", "{}"),
        ("DELETE", "/customers/bank-naga", ""),
        ("GET", "/customers/bank-naga/quota", ""),
        ("PUT", "/customers/bank-naga/quota", r#"{"used":1}"#),
        ("GET", "/customers/bank-naga/clock", ""),
        ("PUT", "/customers/bank-naga/clock", r#"{"freeze":true}"#),
        ("GET", "/customers/bank-naga/state", ""),
        ("PUT", "/customers/bank-naga/state", r#"{"state":"x"}"#),
        ("GET", "/customers/bank-naga/rules", ""),
        ("DELETE", "/customers/bank-naga/rules", ""),
        ("GET", "/customers/bank-naga/rules/x", ""),
        ("PUT", "/customers/bank-naga/rules/x", r#"{"reply":{"code":"6014"}}"#),
        ("DELETE", "/customers/bank-naga/rules/x", ""),
        ("GET", "/customers/bank-naga/public.pem", ""),
        ("POST", "/reset?scope=state&customer_id=bank-naga", ""),
        ("GET", "/gallery?customer_id=bank-naga", ""),
        ("DELETE", "/gallery?customer_id=bank-naga", ""),
        ("POST", "/faults/preview", r#"{"customer_id":"bank-naga"}"#),
    ] {
        let (status, error) = sim.admin(method, path, body);
        let hint = error["error"]["hint"].as_str().unwrap_or_default();
        assert!(status == 404 && hint.contains("did you mean `bank-niaga`?"), "{method} {path}: {error}");
    }
    let (_, error) = sim.admin("GET", "/customers/completely-different", "");
    assert_eq!(error["error"]["hint"], "GET /customers lists the ids, such as demo");
}

#[test]
fn instants_are_in_jakarta_time_whatever_zone_they_were_given_in() {
    let sim = Sim::start();
    sim.call("demo", sim.request().text());
    let mut answers = vec![
        sim.admin("PUT", "/clock", r#"{"now":"2026-11-21T03:00:00-05:00"}"#).1,
        sim.admin("PUT", "/customers/demo/clock", r#"{"now":"2026-11-21T23:00:00Z"}"#).1,
        sim.admin("POST", "/customers", r#"{"customer_id":"fresh","ttl":"5m"}"#).1,
        sim.admin("PUT", "/customers/demo/rules/x", r#"{"reply":{"code":"6014"},"ttl":"5m"}"#).1,
        sim.admin("POST", "/requests/verify", r#"{"match":{"since":"2027-01-01T00:00:00Z"},"count":1}"#).1,
    ];
    for path in [
        "/clock",
        "/customers/demo/clock",
        "/customers",
        "/customers/fresh",
        "/customers/demo/rules",
        "/requests",
    ] {
        answers.push(sim.admin("GET", path, "").1);
    }
    let instant = regex::Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[^\x22]*").unwrap();
    let text = Value::from(answers).to_string();
    let found: Vec<_> = instant.find_iter(&text).map(|found| found.as_str()).collect();
    assert!(found.len() > 30, "{found:?}");
    assert!(found.iter().all(|instant| instant.ends_with("+07:00")), "{found:?}");
    assert!(
        text.contains("2026-11-21T15:00:00+07:00") && text.contains("2027-01-01T07:00:00+07:00"),
        "{text}"
    );
}

#[test]
fn unknown_routes_and_methods_have_the_error_shape() {
    let sim = Sim::start();
    for (method, path, expected) in [
        ("GET", "/nothing", 404),
        ("DELETE", "/clock", 405),
        ("POST", "/health", 405),
        ("GET", "/explain", 405),
    ] {
        let (status, error) = sim.admin(method, path, "");
        assert_eq!(status, expected, "{method} {path}");
        let keys: Vec<_> = error["error"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["code", "message", "path", "hint"]);
    }
    let answer = exchange(sim.admin_address(), &http("DELETE", "/clock", "", b""));
    assert!(answer.head.to_lowercase().contains("\r\nallow: get, put"), "{}", answer.head);
}

#[test]
fn other_origins_and_other_hosts_are_rejected() {
    let sim = Sim::start();
    let status = |headers: &str| {
        let bytes = format!("GET /clock HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
        exchange(sim.admin_address(), bytes.as_bytes()).status
    };
    let own = sim.0.admin_url().unwrap().replace("http://", "");
    assert_eq!(status(&format!("Host: {own}\r\n")), 200);
    assert_eq!(status(&format!("Host: {own}\r\nOrigin: http://{own}\r\n")), 200);
    assert_eq!(status(&format!("Host: {own}\r\nOrigin: http://evil.example\r\n")), 403);
    assert_eq!(status("Host: evil.example\r\n"), 421);
}

#[test]
fn a_token_protects_all_but_three_routes() {
    let sim = Sim::with(|builder| builder.admin_token(Some("s3cret".to_owned())));
    let status =
        |path: &str, headers: &str| exchange(sim.admin_address(), &http("GET", path, headers, b"")).status;
    for path in ["/health", "/ready", "/version"] {
        assert_eq!(status(path, ""), 200);
    }
    for path in ["/clock", "/requests", "/keys/public.pem", "/nothing"] {
        assert_eq!(status(path, ""), 401, "{path}");
        assert_eq!(status(path, "Authorization: Bearer wrong\r\n"), 401, "{path}");
    }
    assert_eq!(status("/clock", "Authorization: Bearer s3cret\r\n"), 200);
}
