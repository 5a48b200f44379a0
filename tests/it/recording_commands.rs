//! The commands that read recordings, as a user runs them: `calibrate`, `record diff` and `record replay`, with good files and broken ones.

use std::path::Path;

use serde_json::{Value, json};

use crate::binary::{command, text};
use crate::support::Sim;

/// Header and exchanges of a recording, as its file has them.
fn lines(exchanges: &[Value]) -> String {
    let header = json!({ "recording": {
        "schema": 1, "tool": "test", "suite": 1, "recording": "rec-0123456789ab",
        "started": "2026-12-01T00:00:00+07:00", "target": "endpoint", "keeps_area": false,
    } });
    let all = std::iter::once(&header).chain(exchanges);
    all.map(|line| format!("{line}\n")).collect()
}

/// An exchange: what was sent as body, and what came back.
fn exchange(number: u64, path: &str, sent: &Value, answer: &Value) -> Value {
    let header = json!({ "name": "Content-Type", "value": "application/json", "bytes": 16 });
    json!({ "exchange": {
        "number": number, "connection": 1, "ordinal": number, "at": format!("2026-12-01T09:00:0{number}+07:00"),
        "request": { "shape": {
            "method": "POST", "path": path, "headers": [header], "framing": "content-length", "body": sent,
        } },
        "answer": answer,
        "times": { "first_byte_us": 1200, "last_byte_us": 1300, "reads": 1 },
    } })
}

const PATH: &str = "/api/face-recognition/{c1}/CALL_FN";

fn whole(status: u16, body: &str) -> Value {
    let head = [
        format!("HTTP/1.1 {status} OK"),
        "content-length: 9".into(),
        "content-type: application/json".into(),
    ];
    let head = head.iter().map(String::as_str).chain(["date: Tue, 01 Dec 2026 02:00:01 GMT"]);
    json!({ "whole": {
        "status": status, "head": head.collect::<Vec<_>>(), "framing": "content-length", "body": body,
        "first_byte_ms": 1, "last_byte_ms": 1, "stays_open": true,
    } })
}

/// The document's answer to an empty object, with a code.
fn refused(code: &str) -> String {
    let sample = include_str!("../../src/protocol/golden/5004.json");
    sample.replace("5004", code)
}

fn run(directory: &Path, args: &[&str]) -> (i32, String, String) {
    let output = command(args).current_dir(directory).output().unwrap();
    (output.status.code().unwrap(), text(&output.stdout).to_owned(), text(&output.stderr).to_owned())
}

#[test]
fn odd_shapes_are_read_and_the_commands_say_what_they_mean() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let empty = json!({ "object": { "bytes": 2, "layout": "{}", "members": [] } });
    let good = exchange(1, PATH, &empty, &whole(200, &refused("5004")));
    let cut = json!({ "cut": { "status": null, "bytes": 0, "by_reset": true, "ended_by": "server" } });
    let odd = [
        exchange(2, PATH, &json!("empty"), &whole(200, &refused("5004"))),
        exchange(3, PATH, &json!({ "not-json": { "bytes": 4 } }), &whole(200, &refused("5004"))),
        exchange(
            4,
            PATH,
            &json!({ "other": { "bytes": 2, "kind": "array" } }),
            &whole(200, &refused("5004")),
        ),
        exchange(5, "/XXXX", &empty, &json!({ "unparsed": { "status": 404, "bytes": 9 } })),
        exchange(6, PATH, &empty, &cut),
        json!({ "end": { "at": "2026-12-01T10:00:00+07:00", "why": "--for" } }),
    ];
    let all: Vec<_> = std::iter::once(good.clone()).chain(odd).collect();
    // The last line is one that a crash cut.
    std::fs::write(path("day.jsonl"), lines(&all) + "{\"exch").unwrap();
    let moved = exchange(7, PATH, &empty, &whole(200, &refused("5009")));
    std::fs::write(path("moved.jsonl"), lines(&[good.clone(), moved])).unwrap();

    let (code, out, err) = run(directory.path(), &["record", "diff", "day.jsonl"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    for part in [
        "6 exchanges, 4 compared, 0 drift",
        "1 (HTTP 404 with a body of neither shape)",
        "1 (the connection ended",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let (code, out, _) = run(directory.path(), &["record", "diff", "moved.jsonl", "--report", "json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &report["drift"][0]["kind"], &report["drift"][0]["example"]),
        (1, &json!("code"), &json!(7))
    );
    let (code, out, _) = run(directory.path(), &["record", "diff", "day.jsonl", "--preset", "probable"]);
    assert!(code == 1 && out.contains("malformed_json = \"5004\" instead of \"400\""), "{out}");

    let (code, out, err) = run(directory.path(), &["calibrate", "day.jsonl", "--write", "measured.toml"]);
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    let measured = std::fs::read_to_string(path("measured.toml")).unwrap();
    for part in ["malformed_json = \"5004\"", "run = \"rec-0123456789ab\"", "\"exchange 2\"", "calls = 3"] {
        assert!(measured.contains(part), "{part}: {measured}");
    }
    let (code, _, _) = run(directory.path(), &["check", "--policy", "--preset", "measured:measured.toml"]);
    assert_eq!(code, 0);

    let (code, out, err) = run(directory.path(), &["record", "replay", "day.jsonl", "--out", "replayed"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("customer c1, methode CALL_FN: 5 exchanges"), "{out}");
    assert!(err.contains("left out: 1"), "{err}");
    let (code, out, err) = run(directory.path(), &["check", "replayed"]);
    assert_eq!(code, 0, "{out} {err}");
    let sim = Sim::with(|builder| builder.fixtures(Some(path("replayed"))));
    assert_eq!(sim.call("c1", "anything").text(), refused("5004"));
    let (code, _, err) = run(directory.path(), &["record", "replay", "day.jsonl", "--out", "replayed"]);
    assert!(code == 2 && err.contains("replayed is not empty"), "{err}");
}

#[test]
fn broken_files_are_refused_with_the_line() {
    let directory = tempfile::tempdir().unwrap();
    let empty = json!({ "object": { "bytes": 2, "layout": "{}", "members": [] } });
    let good = exchange(1, PATH, &empty, &whole(200, &refused("5004")));
    let whole_file = lines(std::slice::from_ref(&good));
    let header = whole_file.lines().next().unwrap();
    for (content, expected) in [
        (String::new(), "no header line"),
        ("{\"recording\"\n".to_owned(), "line 1 is not one of a recording"),
        (format!("{header}\n{header}\n"), "line 2 is a second header"),
        (format!("{whole_file}nonsense\n"), "line 3 is not one of a recording"),
        (whole_file.replace("\"schema\":1", "\"schema\":9"), "its format is 9, this version reads 1"),
        (
            whole_file.replace("content-length\",\"body", "pigeon\",\"body"),
            "line 2 is not one of a recording",
        ),
    ] {
        std::fs::write(directory.path().join("x.jsonl"), &content).unwrap();
        for args in [
            &["calibrate", "x.jsonl"][..],
            &["record", "diff", "x.jsonl"],
            &["record", "replay", "x.jsonl", "--out", "o"],
        ] {
            let (code, out, err) = run(directory.path(), args);
            assert_eq!((code, out.as_str()), (2, ""), "{args:?} {content}");
            assert!(err.contains("x.jsonl: ") && err.contains(expected), "{args:?}: {err}");
        }
    }
    // More values than the layout has places for, and fewer.
    let member = json!({ "name": "ip", "kind": "string", "value": { "length": 3 } });
    for (layout, members) in [("{}", json!([member])), ("{\"ip\": $}", json!([]))] {
        let sent = json!({ "object": { "bytes": 2, "layout": layout, "members": members } });
        std::fs::write(
            directory.path().join("x.jsonl"),
            lines(&[exchange(1, PATH, &sent, &whole(200, &refused("5004")))]),
        )
        .unwrap();
        let (code, out, _) = run(directory.path(), &["record", "diff", "x.jsonl"]);
        assert!(code == 0 && out.contains("0 compared"), "{out}");
    }
    let other = whole_file.replace("\"target\":\"endpoint\"", "\"target\":\"another\"");
    std::fs::write(directory.path().join("a.jsonl"), &whole_file).unwrap();
    std::fs::write(directory.path().join("b.jsonl"), other).unwrap();
    for args in [&["calibrate", "a.jsonl", "b.jsonl"][..], &["record", "diff", "a.jsonl", "b.jsonl"]] {
        let (code, _, err) = run(directory.path(), args);
        assert!(code == 2 && err.contains("two endpoints, endpoint and another"), "{err}");
    }
    // Also a copy of another name.
    std::fs::copy(directory.path().join("a.jsonl"), directory.path().join("copy.jsonl")).unwrap();
    for command in [&["calibrate"][..], &["record", "diff"], &["record", "replay", "--out", "o"]] {
        for twice in [["a.jsonl", "a.jsonl"], ["a.jsonl", "copy.jsonl"]] {
            let (code, out, err) = run(directory.path(), &[command, &twice].concat());
            assert_eq!((code, out.as_str()), (2, ""), "{command:?} {twice:?}");
            assert!(err.contains("the recording rec-0123456789ab is given twice"), "{err}");
        }
    }
}
