//! Rules on a running simulator: the shipped scripts, rules in files and over the API, previews and reports.

use serde_json::{Value, json};

use crate::support::{Sim, exchange, http, in_parallel, thread_count};

fn codes(sim: &Sim, customer: &str, transactions: &[&str]) -> Vec<String> {
    let body = |id: &&str| sim.request().set("transactionId", *id).text();
    transactions.iter().map(|id| sim.call(customer, body(id)).code()).collect()
}

#[test]
fn busy_then_ok_is_busy_twice_for_each_transaction() {
    let sim = Sim::start();
    assert_eq!(
        codes(&sim, "busy-then-ok", &["a", "b", "a", "a", "b", "b"]),
        ["6014", "6014", "6014", "6018", "6014", "6018"]
    );
    let entry = sim.last();
    assert_eq!(entry["rule"], Value::Null);
    let (_, listing) = sim.admin("GET", "/requests?code=6014&limit=1", "");
    let busy = &listing["requests"][0];
    assert_eq!(busy["rule"], "busy twice per transaction");
    assert_eq!(
        busy["rules"],
        json!([{
            "rule": "busy twice per transaction", "ordinal": 2, "decides": ["reply"],
            "draw": { "ordinal": 4, "fires": true, "rate": null },
        }])
    );
}

#[test]
fn the_other_scripts_do_what_their_names_say() {
    let sim = Sim::start();
    let body = sim.request().text();
    assert_eq!(codes(&sim, "quota-one-left", &["a", "b"]), ["6018", "5002"]);
    assert_eq!(sim.call("gateway-down", &body).status, 502);
    let cut = sim.call("truncated", &body);
    assert!(cut.head.contains("content-length: ") && serde_json::from_slice::<Value>(&cut.body).is_err());
    let path = |customer: &str| {
        http("POST", &format!("/api/face-recognition/{customer}/CALL_FN"), "", body.as_bytes())
    };
    let mut stream = std::net::TcpStream::connect(sim.address()).unwrap();
    std::io::Write::write_all(&mut stream, &path("reset")).unwrap();
    let error = std::io::Read::read_to_end(&mut stream, &mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let explain = |customer: &str| {
        let question = json!({ "customer_id": customer, "body": body });
        sim.admin("POST", "/explain", &question.to_string()).1
    };
    assert_eq!(explain("hang")["fault"], json!({ "kind": "hang", "rule": "hang" }));
    assert_eq!(explain("slow")["delay"]["rule"], "slow");
    assert!(explain("slow")["delay"]["us"].as_u64().unwrap() > 0);
    assert_eq!(explain("flaky")["code"].as_str().map(str::len), Some(4));
}

#[test]
fn a_rule_applies_when_the_previous_ones_ttl_expires() {
    let sim = Sim::start();
    let rules = json!([
        { "name": "one", "reply": { "code": "6014" }, "ttl": "5m" },
        { "name": "two", "reply": { "code": "5000" } },
    ]);
    let customer = json!({ "extends": "demo", "rules": rules }).to_string();
    let (status, answer) = sim.admin("PUT", "/customers/relay", &customer);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(codes(&sim, "relay", &["a"]), ["6014"]);
    sim.admin("PUT", "/clock", r#"{"advance":"5m"}"#);
    assert_eq!(codes(&sim, "relay", &["b"]), ["5000"]);
}

#[test]
fn flaky_fails_at_its_rate() {
    let sim = Sim::start();
    let (_, preview) = sim.admin("POST", "/faults/preview", r#"{"customer_id":"flaky","count":100}"#);
    let rules = preview["rules"].as_array().unwrap();
    assert!(rules.len() > 1, "{preview}");
    for rule in rules {
        let fires = rule["draws"].as_array().unwrap().iter().filter(|draw| draw["fires"] == true).count();
        assert_eq!(fires, 10, "{}", rule["name"]);
    }
}

#[test]
fn a_rule_is_created_listed_previewed_and_removed() {
    let sim = Sim::start();
    let rule = r#"{"when":{"outcome":"6018"},"times":2,"per":"transaction_id","reply":{"code":"6014"}}"#;
    let path = "/customers/demo/rules/twice";
    let (status, put) = sim.admin("PUT", path, rule);
    assert_eq!((status, put["name"].as_str(), put["times"].as_u64()), (200, Some("twice"), Some(2)));
    assert_eq!(codes(&sim, "demo", &["a", "a", "a"]), ["6014", "6014", "6018"]);
    assert_eq!(sim.admin("PUT", path, rule).0, 200);
    assert_eq!(codes(&sim, "demo", &["a"]), ["6018"], "putting the same rule again keeps its count");
    assert_eq!(sim.admin("GET", path, "").1, put);
    assert_eq!(sim.admin("GET", "/customers/demo/rules", "").1["rules"], json!([put]));
    assert_eq!(sim.admin("DELETE", path, ""), (200, json!({ "removed": 1 })));
    assert_eq!(sim.admin("DELETE", path, "").0, 404);
    assert_eq!(codes(&sim, "demo", &["b"]), ["6018"]);
}

#[test]
fn api_rules_precede_fixture_rules_and_expire() {
    let sim = Sim::start();
    let rule = r#"{"checks":"skip","reply":{"code":"5000"},"ttl":"60s"}"#;
    assert_eq!(sim.admin("PUT", "/customers/always-6014/rules/first", rule).0, 200);
    assert_eq!(sim.call("always-6014", "{}").code(), "5000");
    sim.admin("PUT", "/clock", r#"{"advance":"60s"}"#);
    assert_eq!(sim.call("always-6014", "{}").code(), "6014");
    let (status, error) = sim.admin("DELETE", "/customers/always-6014/rules/always%206014", "");
    assert_eq!((status, error["error"]["code"].as_str()), (400, Some("invalid")), "{error}");
}

#[test]
fn rules_are_tried_in_order_whether_they_skip_the_checks_or_not() {
    let sim = Sim::start();
    let put =
        |customer: &str, rule: &str| sim.admin("PUT", &format!("/customers/{customer}/rules/x"), rule).0;
    assert_eq!(put("always-6018", r#"{"reply":{"code":"6014"}}"#), 200);
    assert_eq!(sim.call("always-6018", "{}").code(), "6014", "an API rule precedes the fixture's rule");
    let rules = "extends = 'demo'
[[rules]]
when = { outcome = '5004' }
reply = { code = '5000' }
[[rules]]
checks = 'skip'
reply = { code = '6014' }
";
    let (sim, _directory) = Sim::over(&[("customers/c.toml", rules)]);
    assert_eq!(sim.call("c", "{}").code(), "5000");
    assert_eq!(sim.call("c", sim.request().text()).code(), "6014");
    assert_eq!(sim.admin("GET", "/customers/c/quota", "").1["used"], 0, "the checks were skipped");
}

#[test]
fn a_recreated_rule_starts_from_zero() {
    let sim = Sim::start();
    let rule = r#"{"reply":{"code":"6014"},"times":1}"#;
    for _ in 0..2 {
        sim.admin("PUT", "/customers/demo/rules/x", rule);
        assert_eq!(codes(&sim, "demo", &["a", "a"]), ["6014", "6018"]);
        sim.admin("DELETE", "/customers/demo/rules", "");
    }
}

#[test]
fn an_explanation_includes_upload_faults_and_the_next_ordinal() {
    let rules = "extends = 'demo'
[[rules]]
when = { request = '2' }
fault = { kind = 'slow_read' }
";
    let (sim, _directory) = Sim::over(&[("customers/c.toml", rules)]);
    let question = json!({ "customer_id": "c", "body": {} }).to_string();
    let fault = || sim.admin("POST", "/explain", &question).1["fault"].clone();
    assert_eq!(fault(), Value::Null);
    sim.call("c", "{}");
    assert_eq!(fault()["kind"], "slow_read");
    assert_eq!(fault()["kind"], "slow_read", "it consumes nothing");
}

#[test]
fn an_invalid_rule_is_rejected_with_a_pointer_and_a_hint() {
    let sim = Sim::start();
    for (rule, path, hint) in [
        (r#"{"repyl":{"code":"6014"}}"#, Some("/repyl"), Some("did you mean `reply`?")),
        (r#"{"reply":{"code":"6014"},"when":{"threshold":"9..1"}}"#, Some("/when/threshold"), None),
        (r#"{"delay":"-1s"}"#, Some("/delay"), None),
        (r#"{"fault":{"kind":"rest"}}"#, None, None),
        (r#"{"name":"other","delay":"1s"}"#, Some("/name"), None),
        ("{}", None, None),
    ] {
        let (status, error) = sim.admin("PUT", "/customers/demo/rules/x", rule);
        assert_eq!(
            (status, error["error"]["path"].as_str(), error["error"]["hint"].as_str()),
            (400, path, hint),
            "{error}"
        );
    }
    assert_eq!(sim.admin("GET", "/customers/demo/rules", "").1["rules"], json!([]));
    assert_eq!(sim.admin("PUT", "/customers/nobody/rules/x", r#"{"delay":"1s"}"#).0, 404);
}

#[test]
fn a_run_is_reproducible_after_a_restart_with_other_traffic_and_on_many_threads() {
    let fixture = (
        "customers/c.toml",
        "extends = 'load'\n[[rules]]\nname = 'r'\nrate = 0.5\nreply = { code = '6014' }",
    );
    let threads = thread_count();
    let calls = threads * 5;
    let run = |disturbed: bool| {
        let (sim, _directory) = Sim::over(&[fixture]);
        std::thread::scope(|scope| {
            if disturbed {
                scope
                    .spawn(|| (0..20).for_each(|_| assert_eq!(sim.call("sample-6014", "{}").code(), "6014")));
            }
            codes(&sim, "c", &vec!["t"; calls])
        })
    };
    let first = run(false);
    assert!(first.contains(&"6014".to_owned()) && first.contains(&"6018".to_owned()), "{first:?}");
    assert_eq!(run(false), first);
    assert_eq!(run(true), first);
    let (sim, _directory) = Sim::crowded(&[fixture]);
    let body = sim.request().text();
    let codes = in_parallel(threads, |_| [(); 5].map(|()| sim.call("c", &body).code())).concat();
    let busy = |codes: &[String]| codes.iter().filter(|code| *code == "6014").count();
    assert_eq!(busy(&codes), busy(&first));
    let mut ordinals: Vec<_> = sim.0.received().iter().filter_map(|entry| entry.ordinal).collect();
    ordinals.sort_unstable();
    assert_eq!(ordinals, (1..=calls as u64).collect::<Vec<_>>(), "each ordinal once");
}

#[test]
fn times_and_exact_hold_on_many_threads() {
    const CALLS: usize = 40;
    let threads = thread_count();
    let rules = format!(
        "extends = 'load'
[[rules]]
exact = '1/5'
reply = {{ code = '7777' }}
[[rules]]
times = {threads}
reply = {{ code = '6014' }}
[[rules]]
times = 3
per = 'transaction_id'
reply = {{ code = '5000' }}
"
    );
    let (sim, _directory) = Sim::crowded(&[("customers/c.toml", &rules)]);
    // Without a photo, so that the server does little else than decide.
    let bodies = ["a", "b"].map(|id| json!({ "transactionId": id }).to_string());
    let codes = in_parallel(threads, |_| {
        std::array::from_fn::<_, CALLS, _>(|call| sim.call("c", &bodies[call % 2]).code())
    })
    .concat();
    let counts = ["7777", "6014", "5000", "5004"].map(|code| codes.iter().filter(|it| *it == code).count());
    assert_eq!(counts, [CALLS / 5 * threads, threads, 2 * 3, (CALLS - CALLS / 5 - 1) * threads - 6]);
}

#[test]
fn candidates_messages_shapes_and_raw_answers_are_as_given() {
    let rules = "extends = 'demo'
[[rules]]
when = { transaction_id = 'candidates' }
reply = { code = '6018', candidates = [{ nik = 'low', score = 7.5 }, { nik = '317503XXXXXXXXXX', score = 9.88261890411377 }] }
[[rules]]
when = { transaction_id = 'message' }
reply = { code = '7777', error = 'Halo', shape = 'verification' }
[[rules]]
when = { transaction_id = 'free' }
reply = { status = 404, headers = { X-Why = 'because' }, body = 'nothing' }
";
    let (sim, _directory) = Sim::over(&[("customers/c.toml", rules)]);
    let call = |id: &str| sim.call("c", sim.request().set("transactionId", id).text());
    let given = call("candidates");
    assert!(
        given.text().contains(r#"{\"low\":7.5,\"317503XXXXXXXXXX\":9.88261890411377}"#),
        "{}",
        given.text()
    );
    assert_eq!(call("message").json()["error"], json!({ "errorCode": 7777, "errorMessage": "Halo" }));
    let free = call("free");
    assert_eq!((free.status, free.text()), (404, "nothing"));
    assert!(free.head.to_lowercase().contains("\r\nx-why: because"), "{}", free.head);
    assert_eq!(sim.admin("GET", "/customers/c/quota", "").1["used"], 1, "only the 6018 was charged");
}

#[test]
fn the_state_is_read_and_set_over_the_api() {
    let rules = "extends = 'demo'\n[[rules]]\nwhen = { state = 'down' }\nreply = { code = '6014' }";
    let (sim, _directory) = Sim::over(&[("customers/c.toml", rules)]);
    assert_eq!(sim.admin("GET", "/customers/c/state", "").1, json!({ "state": "" }));
    assert_eq!(codes(&sim, "c", &["a"]), ["6018"]);
    assert_eq!(sim.admin("PUT", "/customers/c/state", r#"{"state":"down"}"#).0, 200);
    assert_eq!(codes(&sim, "c", &["a"]), ["6014"]);
}

#[test]
fn previews_are_limited_and_name_existing_rules() {
    let sim = Sim::start();
    for (body, expected) in [
        (r#"{"customer_id":"flaky","count":0}"#, 400),
        (r#"{"customer_id":"flaky","count":1001}"#, 400),
        (r#"{"customer_id":"flaky","rule":"rest"}"#, 404),
        (r#"{"customer_id":"nobody"}"#, 404),
        (r#"{"customer_id":"flaky","rule":"reset","count":3}"#, 200),
    ] {
        assert_eq!(sim.admin("POST", "/faults/preview", body).0, expected, "{body}");
    }
}

#[test]
fn an_invalid_rule_of_a_fixture_is_reported_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let text = "extends = 'demo'\n[[rules]]\ndelay = '1s'\n[[rules]]\nreply = { code = '6014' }\nwhen = { request = '<1' }\n";
    crate::support::write_fixture(directory.path(), "customers/x.toml", text);
    let checked = crate::binary::run(&["check", directory.path().to_str().unwrap()]);
    let said = String::from_utf8([checked.stdout, checked.stderr].concat()).unwrap();
    assert_eq!(checked.status.code(), Some(2));
    assert!(said.contains("x.toml:4:1: rule \"rule 2\": it can never match: request"), "{said}");
}

#[test]
fn a_fault_of_one_customer_does_not_affect_admin_or_others() {
    let sim = Sim::start();
    let body = sim.request().text();
    let hanging = std::net::TcpStream::connect(sim.address()).unwrap();
    std::io::Write::write_all(
        &mut (&hanging),
        &http("POST", "/api/face-recognition/hang/CALL_FN", "", body.as_bytes()),
    )
    .unwrap();
    sim.wait_for_in_flight(1);
    assert_eq!(sim.call("demo", &body).code(), "6018");
    assert_eq!(exchange(sim.admin_address(), &http("GET", "/health", "", b"")).status, 200);
}

#[test]
fn conditions_match_real_requests() {
    let rules = format!(
        "extends = 'load'
[[rules]]
when = {{ image = {{ similar_to = '{}', size = '>1000' }}, header = {{ x-test = 'a*' }}, request = '2..' }}
reply = {{ code = '6014' }}
[[rules]]
when = {{ ip = '10.9.0.0/16', threshold = '>=15' }}
reply = {{ code = '5000' }}
",
        crate::support::SITIS_NIK
    );
    let (sim, _directory) = Sim::over(&[("customers/c.toml", &rules)]);
    let with_header = |header: &str| {
        let body = sim.request().text();
        let bytes = http("POST", "/api/face-recognition/c/CALL_FN", header, body.as_bytes());
        exchange(sim.address(), &bytes).code()
    };
    assert_eq!(with_header("X-Test: abc\r\n"), "6018", "the first request is not the second");
    assert_eq!(with_header("X-Test: abc\r\n"), "6014");
    assert_eq!(with_header("X-Test: bc\r\n"), "6018");
    let stranger = dukcapil_fr_sim::internals::protocol::encoding::encode(&crate::support::stranger());
    let body = sim.request().set("image", stranger).set("ip", "10.9.1.1").set("threshold", 15);
    assert_eq!(sim.call("c", body.text()).code(), "5000");
}

#[test]
fn a_window_of_an_api_rule_starts_when_it_is_created() {
    let sim = Sim::start();
    sim.admin("PUT", "/clock", r#"{"advance":"1h"}"#);
    let rule = r#"{"when":{"window":"10s..20s"},"reply":{"code":"6014"}}"#;
    assert_eq!(sim.admin("PUT", "/customers/demo/rules/soon", rule).0, 200);
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.extend(codes(&sim, "demo", &["a"]));
        sim.admin("PUT", "/clock", r#"{"advance":"10s"}"#);
    }
    assert_eq!(seen, ["6018", "6014", "6014", "6018"], "both ends are inside");
}

#[test]
fn rules_read_pages_and_recorded_times_from_attached_files() {
    let rules = "extends = 'load'\n[[rules]]\nreply = { status = 503, body_file = 'page.html' }\ndelay = { from = 'times.csv' }";
    let files = [
        ("customers/c.toml", rules),
        ("customers/page.html", "<p>tutup</p>"),
        ("customers/times.csv", "0\n"),
    ];
    let (sim, _directory) = Sim::over(&files);
    let answer = sim.call("c", "{}");
    assert_eq!((answer.status, answer.text()), (503, "<p>tutup</p>"));
    assert_eq!(sim.last()["delay"], json!({ "rule": "rule 1", "us": 0 }));
}
