//! Audit of the admin API: each change is an event and a log line that say who changed what; and the tokens with names.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use dukcapil_fr_sim::internals::http::admin::routes::operations;
use serde_json::{Value, json};

use crate::binary::{Served, address, listening, run, text};
use crate::journal::Events;
use crate::support::{KEYS, Sim, eventually, exchange, http, write_fixture};

/// Operations that are not GET and change nothing.
const READS: [(&str, &str, &str); 5] = [
    ("validate", "/config/validate", ""),
    ("explain", "/explain", r#"{"customer_id":"demo","body":{}}"#),
    ("previewFaults", "/faults/preview", r#"{"customer_id":"demo"}"#),
    ("verify", "/requests/verify", r#"{"count":{"at_least":0}}"#),
    ("wait", "/requests/wait", r#"{"count":1}"#),
];

/// Returns the events `changed` so far: those before the one of a request made now.
fn changes(sim: &Sim, events: &mut Events) -> Vec<Value> {
    sim.call("load", sim.request().text());
    let until_request = std::iter::repeat_with(|| events.next()).take_while(|(kind, ..)| kind != "request");
    let changed = until_request.filter(|(kind, ..)| kind == "changed");
    changed
        .map(|(_, id, data)| {
            assert_eq!(id, None, "only requests have ids");
            data
        })
        .collect()
}

#[test]
fn each_change_is_one_event_with_caller_and_path_and_nothing_else_is() {
    let sim = Sim::start();
    let mut events = Events::follow(&sim, "", "");
    let enrolled = operations().into_iter().find(|operation| operation.id == "enrol").unwrap().body.example;
    let enrolled = enrolled.unwrap().to_string();
    let mut seen = BTreeSet::from(["shutdown"]);
    for (id, method, path, body, what, customer_id) in [
        ("makeCustomer", "POST", "/customers", r#"{"customer_id":"fresh"}"#, "customers", json!("fresh")),
        ("putCustomer", "PUT", "/customers/bank", r#"{"extends":"demo"}"#, "customers", json!("bank")),
        (
            "patchCustomer",
            "PATCH",
            "/customers/bank",
            r#"{"quota":{"per_day":7}}"#,
            "customers",
            json!("bank"),
        ),
        ("changeQuota", "PUT", "/customers/bank/quota", r#"{"used":1}"#, "quota", json!("bank")),
        ("changeState", "PUT", "/customers/bank/state", r#"{"state":"x"}"#, "state", json!("bank")),
        ("changeClockOf", "PUT", "/customers/bank/clock", r#"{"advance":"1h"}"#, "clock", json!("bank")),
        ("putRule", "PUT", "/customers/bank/rules/r", r#"{"reply":{"code":"6014"}}"#, "rules", json!("bank")),
        ("removeRule", "DELETE", "/customers/bank/rules/r", "", "rules", json!("bank")),
        ("removeRules", "DELETE", "/customers/bank/rules", "", "rules", json!("bank")),
        ("removeCustomer", "DELETE", "/customers/bank", "", "customers", json!("bank")),
        ("changeClock", "PUT", "/clock", r#"{"advance":"1h"}"#, "clock", json!(null)),
        ("enrol", "POST", "/gallery", enrolled.as_str(), "gallery", json!(null)),
        ("removeIdentity", "DELETE", "/gallery/3273010101909777", "", "gallery", json!(null)),
        ("emptyGallery", "DELETE", "/gallery?customer_id=demo", "", "gallery", json!("demo")),
        ("forgetRequests", "DELETE", "/requests?customer_id=demo", "", "journal", json!("demo")),
        ("reset", "POST", "/reset?scope=rules", "", "reset", json!(null)),
        ("reload", "POST", "/config/reload", "", "fixtures", json!(null)),
    ] {
        let (status, answer) = sim.admin(method, path, body);
        assert!(status == 200 || status == 201, "{method} {path}: {answer}");
        let now = sim.admin("GET", "/clock", "").1["now"].as_str().unwrap().replace("+07:00", ".000+07:00");
        let path = path.replace("3273010101909777", "327301XXXXXXXXXX");
        let expected = json!({
            "at": now, "what": what, "customer_id": customer_id, "method": method, "path": path, "peer": "127.0.0.1", "name": null,
            "problems": [],
        });
        assert_eq!(changes(&sim, &mut events), [expected], "{method} {path}");
        seen.insert(id);
    }
    // A request over the admin API is a request: the journal has it.
    assert!(seen.insert("call"));
    assert_eq!(sim.admin("POST", "/call", r#"{"customer_id":"demo"}"#).0, 200);
    assert_eq!(changes(&sim, &mut events), Vec::<Value>::new());
    for (id, path, body) in READS {
        assert_eq!(sim.admin("POST", path, body).0, 200, "{path}");
        assert_eq!(changes(&sim, &mut events), Vec::<Value>::new(), "{path}");
        assert!(seen.insert(id));
    }
    for (method, path, body) in [
        ("PUT", "/clock", "{}"),
        ("PUT", "/customers/nobody/quota", r#"{"used":1}"#),
        ("DELETE", "/customers/demo", ""),
        ("POST", "/customers", r#"{"customer_id":"demo"}"#),
        ("POST", "/reset?scope=nothing", ""),
        ("DELETE", "/gallery/3273010101909777", ""),
        ("GET", "/customers", ""),
        ("POST", "/nothing", ""),
    ] {
        let status = sim.admin(method, path, body).0;
        assert!(status >= 400 || method == "GET", "{method} {path}");
        assert_eq!(changes(&sim, &mut events), Vec::<Value>::new(), "{method} {path}");
    }
    let others: BTreeSet<_> = operations()
        .iter()
        .filter(|operation| operation.method != "GET")
        .map(|operation| operation.id)
        .collect();
    assert_eq!(seen, others, "every operation is one or the other");
}

#[test]
fn a_change_whose_caller_leaves_early_is_reported_too() {
    let sim = Sim::start();
    let mut events = Events::follow(&sim, "", "");
    let mut caller = TcpStream::connect(sim.admin_address()).unwrap();
    let body = br#"{"extends":"demo","key":"generate"}"#;
    caller.write_all(&http("PUT", "/customers/bank", "", body)).unwrap();
    // The admin API has one thread: it has begun with the call when it answers this one.
    assert_eq!(sim.admin("GET", "/health", "").0, 200);
    drop(caller);
    eventually("the customer exists", || sim.admin("GET", "/customers/bank", "").0 == 200);
    let (kind, _, change) = events.next();
    assert_eq!((kind.as_str(), &change["path"]), ("changed", &json!("/customers/bank")));
}

#[test]
fn readers_of_one_customer_get_its_changes_and_those_of_all() {
    let sim = Sim::start();
    let mut of_demo = Events::follow(&sim, "?customer_id=demo", "");
    for path in ["/customers/load/state", "/customers/demo/state"] {
        sim.admin("PUT", path, r#"{"state":"x"}"#);
    }
    sim.admin("PUT", "/clock", r#"{"advance":"1h"}"#);
    let paths = [(); 2].map(|()| of_demo.next().2["path"].clone());
    assert_eq!(paths, [json!("/customers/demo/state"), json!("/clock")]);
}

#[test]
fn reloaded_and_rejected_fixtures_are_events_with_their_problems() {
    let (sim, directory) = Sim::over(&[("customers/bank.toml", "extends = \"demo\"")]);
    let mut events = Events::follow(&sim, "", "");
    let write = |text: &str| write_fixture(directory.path(), "customers/bank.toml", text);
    write("extends = \"nobody\"");
    assert!(sim.0.reload().is_err());
    assert_eq!(sim.admin("POST", "/config/reload", "").0, 422);
    write("extends = \"load\"");
    assert!(sim.0.reload().is_ok());
    assert_eq!(sim.admin("POST", "/config/reload", "").0, 200);
    let found = changes(&sim, &mut events);
    let problem = found[0]["problems"][0].as_str().unwrap_or_default();
    assert!(problem.starts_with("customers/bank.toml:1:") || problem.contains("bank.toml:1:"), "{found:?}");
    let shown: Vec<_> = found
        .iter()
        .map(|change| {
            let problems = change["problems"].as_array().unwrap().len();
            (change["what"].as_str().unwrap(), problems, change["method"].as_str())
        })
        .collect();
    assert_eq!(
        shown,
        [("fixtures", 1, None), ("fixtures", 1, None), ("fixtures", 0, None), ("fixtures", 0, Some("POST"))]
    );
}

fn token_file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tokens");
    std::fs::write(&path, text).unwrap();
    (directory, path)
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

#[test]
fn the_log_names_the_holder_of_a_token() {
    let (_directory, path) = token_file("# team\n\nbudi token-of-budi\nsiti@bank  token-of-siti\n");
    let tokens = ["--admin-token", "plain-token", "--admin-token-file", path.to_str().unwrap()];
    let mut logs = Vec::new();
    for more in [&[][..], &["--log", "json"], &["--quiet"], &["--show-nik"]] {
        let port_file = path.with_extension("ports");
        let ports = ["--port-file", port_file.to_str().unwrap()];
        let served = Served::plain(&[&tokens[..], &ports, more].concat());
        let written: Value = serde_json::from_slice(&std::fs::read(&port_file).unwrap()).unwrap();
        let admin = address(written["admin"].as_str().unwrap());
        let call = |method: &str, path: &str, token: &str, body: &str| {
            exchange(admin, &http(method, path, &bearer(token), body.as_bytes())).status
        };
        let enrolled = operations().into_iter().find(|one| one.id == "enrol").unwrap().body.example.unwrap();
        for (method, path, token, body, status) in [
            ("PUT", "/clock", "token-of-budi", r#"{"now":"2026-11-21T10:00:00+07:00"}"#, 200),
            (
                "PUT",
                "/customers/demo/rules/x%20by%201.2.3.4%20root",
                "token-of-siti",
                r#"{"reply":{"code":"6014"}}"#,
                200,
            ),
            ("POST", "/gallery", "plain-token", &enrolled.to_string(), 200),
            ("DELETE", "/gallery/327301010190%39777", "plain-token", "", 200),
            ("PUT", "/clock", "token-of-bud", r#"{"advance":"1h"}"#, 401),
            ("PUT", "/clock", "token-of-budi", r#"{"advance":"soon"}"#, 400),
            ("POST", "/shutdown", "token-of-budi", "", 200),
        ] {
            assert_eq!(call(method, path, token, body), status, "{method} {path}");
        }
        let (code, _, log) = served.end();
        assert_eq!(code, Some(0));
        assert!(!log.contains("token-of") && !log.contains("plain-token"), "{log}");
        logs.push(log);
    }
    let lines = |log: &str| {
        let lines = log.lines().filter(|line| line.contains(" by 127.0.0.1"));
        lines.map(|line| line.split_once(" ").map_or(line, |(_, rest)| rest).to_owned()).collect::<Vec<_>>()
    };
    let expected = |nik: &str| {
        [
            "PUT /clock by 127.0.0.1 budi".to_owned(),
            "PUT /customers/demo/rules/x%20by%201.2.3.4%20root by 127.0.0.1 siti@bank".to_owned(),
            "POST /gallery by 127.0.0.1".to_owned(),
            format!("DELETE /gallery/{nik} by 127.0.0.1"),
            "POST /shutdown by 127.0.0.1 budi".to_owned(),
        ]
    };
    assert_eq!(lines(&logs[0]), expected("327301XXXXXXXXXX"), "{}", logs[0]);
    assert!(logs[0].contains("\n10:00:00.000 PUT /clock"), "the time first: {}", logs[0]);
    assert_eq!(lines(&logs[3]), expected("3273010101909777"), "{}", logs[3]);
    assert_eq!(logs[2], "", "not with --quiet");
    let json_lines = logs[1].lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let changed: Vec<_> = json_lines.filter(|line| line["event"] == "changed").collect();
    assert_eq!(changed.len(), 5, "{}", logs[1]);
    assert_eq!(
        changed[1],
        json!({
            "event": "changed", "at": "2026-11-21T10:00:00.000+07:00", "what": "rules", "customer_id": "demo", "method": "PUT",
            "path": "/customers/demo/rules/x%20by%201.2.3.4%20root", "peer": "127.0.0.1", "name": "siti@bank",
        })
    );
}

#[test]
fn an_event_names_the_holder_of_a_token() {
    let (_directory, path) = token_file("budi token-of-budi\n");
    let sim = Sim::with(|builder| builder.admin_token_file(Some(path.clone())));
    let status = |headers: &str| {
        exchange(sim.admin_address(), &http("PUT", "/clock", headers, br#"{"advance":"1h"}"#)).status
    };
    let mut events = Events::follow(&sim, "", &bearer("token-of-budi"));
    assert_eq!(
        [status(""), status(&bearer("token-of-siti")), status(&bearer("token-of-budi"))],
        [401, 401, 200]
    );
    assert_eq!(events.next().2["name"], "budi");
    let headers = bearer("token-of-budi") + "Origin: https://localhost\r\n";
    assert_eq!(status(&headers), 200, "a page that came through a TLS proxy");
    assert_eq!(status(&(bearer("token-of-budi") + "Origin: https://evil.example\r\n")), 403);
    let config = exchange(sim.admin_address(), &http("GET", "/config", &bearer("token-of-budi"), b"")).json();
    assert_eq!(config["admin_token"], true);
}

#[test]
fn a_wrong_file_of_tokens_exits_2_with_file_and_line_and_shows_no_token() {
    let start = |path: &Path| {
        let args =
            [&listening("127.0.0.1:0", KEYS.path())[..], &["--admin-token-file", path.to_str().unwrap()]]
                .concat();
        let output = run(&args);
        (output.status.code(), text(&output.stderr).to_owned())
    };
    for (content, line) in [
        ("budi", ":1: "),
        ("budi s3cret-token\n\nsiti s3cret", ":3: "),
        ("budi s3cret-token\nbudi s3cret-other", ":2: "),
        ("budi s3cret-token\nsiti s3cret-token", ":2: "),
        ("budi s3cret-token extra", ":1: "),
        ("# nobody", ": there is no token"),
    ] {
        let (_directory, path) = token_file(content);
        let (code, message) = start(&path);
        assert_eq!(code, Some(2), "{content:?}: {message}");
        assert!(message.contains(&format!("{}{line}", path.display())), "{content:?}: {message}");
        assert!(!message.contains("s3cret"), "{content:?}: {message}");
    }
    let (_directory, path) = token_file("");
    std::fs::write(&path, b"budi \xFF\xFE-token").unwrap();
    assert_eq!(start(&path).0, Some(2));
    assert_eq!(start(&path.with_extension("missing")).0, Some(2));
    assert_eq!(start(Path::new("/dev/zero")).0, Some(2), "it is not read for ever");
}

#[test]
fn beyond_loopback_a_file_of_tokens_is_enough() {
    let (_directory, path) = token_file("budi token-of-budi\n");
    let args =
        [&listening("0.0.0.0:0", KEYS.path())[..], &["--admin-token-file", path.to_str().unwrap()]].concat();
    let served = Served::from(crate::binary::command(&args));
    assert!(served.value("admin").starts_with("http://0.0.0.0:"));
    let output = run(&listening("0.0.0.0:0", KEYS.path()));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--admin-token-file"), "{}", text(&output.stderr));
}
