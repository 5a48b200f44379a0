//! `call`: what a person who sees only its output can tell, and its exit codes.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Output;

use dukcapil_fr_sim::internals::domain::faults::KINDS;

use crate::binary::{Served, command, run, text};
use crate::sent::{FAULTS, serve_all};
use crate::support::{KEYS, eventually, exchange, http, write_fixture};

/// Calls a served simulator.
fn call(served: &Served, customer: &str, more: &[&str]) -> Output {
    let (endpoint, admin) = (served.value("endpoint"), served.value("admin"));
    let args = ["call", "--url", &endpoint, "--admin", &admin, "--customer", customer];
    run(&[&args[..], more].concat())
}

#[test]
fn each_of_the_faults_is_told_as_deliberate() {
    let (served, _directory) = serve_all("text");
    for (kind, _, status, end, outcome, _) in FAULTS {
        let timeout: &[&str] = if kind == "hang" { &["--timeout", "300ms"] } else { &[] };
        let mut called = None;
        // The listener may still be closed by the fault before.
        eventually("a connection", || {
            let out = called.insert(call(&served, kind, timeout));
            out.status.code() != Some(3)
        });
        let called = called.unwrap();
        let (out, err) = (text(&called.stdout), text(&called.stderr));
        assert_eq!((called.status.code(), err), (Some(1), ""), "{kind}: {out}");
        let effect = KINDS.iter().find(|row| row.name == kind).unwrap().effect;
        let fault = format!("\nfault:   {kind} on purpose: rule \"f\" of customer {kind} ({effect})\n");
        assert!(out.contains(&fault), "{out}");
        let sent = out.split_once("sent:    ").unwrap_or_else(|| panic!("{out}")).1.lines().next().unwrap();
        let (sent, entry) = sent.split_once("; request #").unwrap();
        assert!(entry.split(',').next().unwrap().parse::<u64>().is_ok(), "{entry}");
        let leads = match (status, outcome) {
            (Some(status), "6014") => format!("HTTP {status}, code 6014, "),
            (Some(status), _) => format!("HTTP {status}, "),
            (None, _) if end == "complete" => String::new(),
            (None, _) => "no byte, ".to_owned(),
        };
        let ends = match (status, end) {
            (Some(_), "complete") => ", complete",
            (Some(_), "fin") => ", closed before the announced end (FIN)",
            (Some(_), "rst") => ", reset before the announced end (RST)",
            (None, "complete") => ", not HTTP, then closed (FIN)",
            (None, "fin") => ", then closed (FIN)",
            (None, "rst") => ", then reset (RST)",
            _ => ", until the client left",
        };
        assert!(sent.starts_with(&leads) && sent.ends_with(ends), "{kind}: {sent}");
        let decided = if outcome == "6014" { "\nreason:  " } else { "\ndecided: code 6014: " };
        // Of an upload that was cut there is no decision.
        assert!(out.contains(decided) || kind == "close_during_upload", "{out}");
        assert!(!out.contains("os error"), "{out}");
        if kind == "hang" {
            assert!(out.starts_with("got:     no whole answer within 300ms (--timeout)\n"), "{out}");
        } else if outcome == "6014" {
            assert!(out.starts_with('{'), "the body comes first: {out}");
        } else if kind == "malformed_chunk" {
            assert!(out.starts_with("got:     HTTP 200, then bytes that are not HTTP came ("), "{out}");
        } else if matches!(end, "fin" | "rst") && kind != "close_during_upload" {
            assert!(out.starts_with("got:     ") && out.contains(" the connection was "), "{kind}: {out}");
        }
    }
}

#[test]
fn a_delay_by_a_rule_is_told_with_the_answer_and_with_a_time_out() {
    let directory = tempfile::tempdir().unwrap();
    for (customer, delay) in [("late", "1ms"), ("never", "1h")] {
        let rule = format!("extends = 'load'\n[[rules]]\nname = 'd'\ndelay = '{delay}'\n");
        write_fixture(directory.path(), &format!("customers/{customer}.toml"), &rule);
    }
    let served = Served::plain(&["--fixtures", directory.path().to_str().unwrap()]);
    let late = call(&served, "late", &[]);
    let out = text(&late.stdout);
    assert_eq!(late.status.code(), Some(0), "{out}");
    assert!(
        out.contains("\ndelay:   1ms on purpose: rule \"d\" of customer late\nreason:  1 candidate"),
        "{out}"
    );
    let never = call(&served, "never", &["--timeout", "300ms"]);
    let out = text(&never.stdout);
    assert_eq!(never.status.code(), Some(1), "{out}");
    assert!(out.starts_with("got:     no whole answer within 300ms (--timeout)\nsent:    no byte, until the client left; request #2, after "), "{out}");
    assert!(
        out.contains(
            "\ndelay:   1h on purpose: rule \"d\" of customer never\ndecided: code 6018: 1 candidate"
        ),
        "{out}"
    );
}

#[test]
fn an_answer_is_told_with_its_reason_and_only_6018_is_a_success() {
    let served = Served::plain(&[]);
    for (customer, more, code, parts) in [
        (
            "demo",
            &[][..],
            0,
            &["\nsent:    HTTP 200, code 6018, ", ", complete; request #1, after ", "\nreason:  1 candidate"]
                [..],
        ),
        ("demo", &["--transaction-id", "a*"], 0, &["request #2, "]),
        (
            "demo",
            &["--threshold", "0"],
            1,
            &["code 5005", "\nreason:  threshold 0 is not within 1 to 20", "\nhint:    "],
        ),
        ("sample-6014", &[], 1, &["code 6014"]),
        // An unknown customer: what may be meant.
        ("dmo", &[], 1, &["code 5001", "did you mean \"demo\"?"]),
        ("/d", &[], 1, &["code 5001", "there is no customer \"/d\""]),
        ("x y*", &[], 1, &["code 5001", "there is no customer \"x y*\"\n"]),
    ] {
        let called = call(&served, customer, more);
        let out = text(&called.stdout);
        assert_eq!((called.status.code(), text(&called.stderr)), (Some(code), ""), "{out}");
        for part in parts {
            assert!(out.contains(part), "no {part:?} in {out}");
        }
        assert_eq!(out.matches("did you mean").count(), usize::from(customer == "dmo"), "{out}");
    }
    // A wrong path: the answer says what is wrong.
    let lost = format!("{}/lost", served.value("endpoint"));
    let lost = run(&["call", "--url", &lost, "--admin", &served.value("admin")]);
    let out = text(&lost.stdout);
    assert_eq!(lost.status.code(), Some(1), "{out}");
    assert!(
        out.contains("\nsent:    HTTP 404, ") && out.contains("\nreason:  nothing is at this path: "),
        "{out}"
    );
}

#[test]
fn without_a_server_it_says_so_and_exits_3() {
    let empty = tempfile::tempdir().unwrap();
    let nothing = "http://127.0.0.1:1";
    let key = KEYS.path().join("public.pem");
    let from = |args: &[&str]| command(args).current_dir(empty.path()).output().unwrap();
    for args in [
        &["call", "--url", nothing, "--admin", nothing][..],
        &["call", "--url", nothing, "--admin", nothing, "--public-key", key.to_str().unwrap()],
        &["tail", "--admin", nothing],
    ] {
        let out = from(args);
        let said = text(&out.stderr);
        assert_eq!((out.status.code(), text(&out.stdout)), (Some(3), ""), "{said}");
        let sentence = "dukcapil-fr-sim: nothing answers at http://127.0.0.1:1; is the simulator running?";
        assert!(said.starts_with(sentence) && !said.contains("os error"), "{said}");
    }
    let served = Served::plain(&[]);
    let admin = served.value("admin");
    let out = from(&["call", "--url", nothing, "--admin", &admin]);
    assert_eq!(out.status.code(), Some(3));
    assert!(text(&out.stderr).contains(&format!("The admin API at {admin} does answer; is --url right?")));
    for wrong in ["127.0.0.1:8080", "https://127.0.0.1:8080", "x"] {
        for args in [["call", "--url", wrong], ["call", "--admin", wrong], ["tail", "--admin", wrong]] {
            assert_eq!(from(&args).status.code(), Some(2), "{args:?}");
        }
    }
}

#[test]
fn a_listener_that_a_fault_closed_is_told_as_perhaps_deliberate() {
    let directory = tempfile::tempdir().unwrap();
    let rule = "extends = 'load'\n[[rules]]\nname = 'f'\nfault = { kind = 'KIND', for = '1h' }\n";
    for kind in ["refuse", "close_on_accept"] {
        write_fixture(directory.path(), &format!("customers/{kind}.toml"), &rule.replace("KIND", kind));
    }
    for (kind, code) in [("refuse", 3), ("close_on_accept", 1)] {
        let served = Served::plain(&["--fixtures", directory.path().to_str().unwrap()]);
        assert_eq!(call(&served, kind, &[]).status.code(), Some(1));
        let mut next = None;
        // The listener closes just after the request's end.
        eventually("the listener closes", || {
            let out = next.insert(call(&served, "load", &[]));
            !out.status.success()
        });
        let next = next.unwrap();
        let said = text(&next.stderr);
        assert_eq!(next.status.code(), Some(code), "{said}");
        let why = format!(
            "Perhaps on purpose: request #1 closed the endpoint for a while, {kind} by rule \"f\" of customer {kind}\n"
        );
        assert!(said.ends_with(&why), "{said}");
    }
}

#[test]
fn a_broken_network_is_not_told_as_deliberate() {
    let served = Served::plain(&["--admin-token", "t"]);
    let admin = served.value("admin");
    let key = KEYS.path().join("public.pem");
    let call = |admin: &str, token: &str| {
        // A network that breaks: it takes the request, and closes.
        let broken = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", broken.local_addr().unwrap());
        let breaking = std::thread::spawn(move || {
            let (mut stream, _) = broken.accept().unwrap();
            let _ = stream.read(&mut [0; 100]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx");
        });
        let out = run(&[
            "call",
            "--url",
            &url,
            "--admin",
            admin,
            "--admin-token",
            token,
            "--public-key",
            key.to_str().unwrap(),
        ]);
        breaking.join().unwrap();
        let said = text(&out.stderr).to_owned();
        assert_eq!(out.status.code(), Some(1), "{said}");
        let got = text(&out.stdout);
        assert!(
            got.starts_with("got:     ") && got.contains("the connection was ") && !got.contains("os error"),
            "{got}"
        );
        said
    };
    let missing = call(&admin, "t");
    assert!(
        missing
            .contains(&format!("the journal at {admin} has no entry of this request: the network broke it")),
        "{missing}"
    );
    let refused = call(&admin, "wrong");
    assert!(refused.contains("the admin token is missing or wrong; give it with --admin-token or FRSIM_ADMIN_TOKEN, so a deliberate fault cannot be told from a broken network"), "{refused}");
    let alone = call("http://127.0.0.1:1", "t");
    assert!(
        alone.contains("nothing answers at http://127.0.0.1:1, the admin API, so a deliberate fault cannot"),
        "{alone}"
    );
}

#[test]
fn without_the_admin_api_the_answer_is_told_all_the_same() {
    let served = Served::plain(&[]);
    let (endpoint, key) = (served.value("endpoint"), KEYS.path().join("public.pem"));
    let args =
        ["call", "--url", &endpoint, "--admin", "http://127.0.0.1:1", "--public-key", key.to_str().unwrap()];
    let out = run(&args);
    assert!(out.status.success() && text(&out.stdout).ends_with("\n\ngot:     HTTP 200, code 6018\n"));
    let out = run(&[&args[..], &["--customer", "gateway-down"]].concat());
    assert_eq!(out.status.code(), Some(1));
    let why = "hint:    the reason is not known: nothing answers at http://127.0.0.1:1, the admin API; see --admin\n";
    assert!(text(&out.stdout).ends_with(&format!("\ngot:     HTTP 502\n{why}")), "{}", text(&out.stdout));
    // A journal of another simulator has no entry of it, and that is no mistake.
    let other = Served::plain(&[]);
    let out = run(&["call", "--url", &endpoint, "--admin", &other.value("admin")]);
    assert!(out.status.success() && text(&out.stdout).ends_with("\ngot:     HTTP 200, code 6018\n"));
    assert_eq!(
        exchange(other.admin(), &http("GET", "/requests", "", b"")).json()["requests"],
        serde_json::json!([])
    );
}

#[test]
fn the_readmes_show_what_is_printed() {
    let served = Served::plain(&[]);
    let called = call(&served, "reset", &[]);
    // Numbers and times differ.
    let differing = regex::Regex::new("request #\\d+, after [0-9.]+ ms").unwrap();
    let printed = differing.replace(text(&called.stdout), "request #2, after 1.9 ms");
    for readme in ["README.md", "README.id.md"] {
        let shown = format!("```console\n$ dukcapil-fr-sim call --customer reset\n{printed}```\n");
        assert!(crate::tidy::read(readme).contains(&shown), "{readme} does not show {printed}");
    }
}
