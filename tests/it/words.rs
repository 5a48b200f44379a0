//! Errors of the admin API in plain words: every operation gets wrong types and unknown keys, and no answer speaks of Rust or serde.

use dukcapil_fr_sim::internals::http::admin::operation::Operation;
use dukcapil_fr_sim::internals::http::admin::routes::operations;
use regex::Regex;
use serde_json::{Value, json};

use crate::openapi::{DOCUMENT, example_path};
use crate::support::{Sim, exchange, http};

/// Words that only a reader of the source understands.
fn jargon() -> Regex {
    let words = [
        r"\b[iu](8|16|32|64|128|size)\b",
        r"\bf(32|64)\b",
        r"\b(struct|enum|variants?|tuple|newtype|untagged|serde|deserializ\w*|sequence|map|Option|Some|None|EOF|ident)\b",
        r"\b(invalid type|invalid value|invalid length|missing field|unknown field|duplicate field|invalid digit)\b",
        r"\bexpected (value|ident|`|a |an |[a-z]+ at)",
        r"at line \d+ column",
        r"::",
    ];
    Regex::new(&words.join("|")).unwrap()
}

/// Sends a request that may be wrong. Returns what is wrong with the error's wording.
struct Reader {
    sim: Sim,
    jargon: Regex,
    rejected: usize,
    bad: Vec<String>,
}

impl Reader {
    fn start() -> Reader {
        let sim = Sim::start();
        let rule = r#"{"when":{"outcome":"6018"},"times":1,"delay":"1us","fault":{"kind":"truncate"}}"#;
        assert_eq!(sim.admin("PUT", "/customers/demo/rules/busy-twice", rule).0, 200);
        Reader { sim, jargon: jargon(), rejected: 0, bad: Vec::new() }
    }

    /// `key`: the key that is wrong, which the error must name.
    fn send(&mut self, operation: &Operation, path: &str, body: &str, key: &str) {
        let bytes = http(operation.method.as_str(), path, "", body.as_bytes());
        let answer = exchange(self.sim.admin_address(), &bytes);
        if answer.status != 400 {
            assert!(answer.status < 500, "{} {path} {body}: {}", operation.method, answer.head);
            return;
        }
        self.rejected += 1;
        let error = answer.json()["error"].clone();
        let part = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        let (message, hint, pointer) = (part("message"), part("hint"), part("path"));
        let asked = format!("{} {path} {body}", operation.method);
        if let Some(found) = self.jargon.find(&format!("{message} | {hint}")) {
            self.bad.push(format!("{:?} in {error} for {asked}", found.as_str()));
        }
        if !message.contains(key) && !pointer.contains(key) && !hint.contains(key) {
            self.bad.push(format!("{key} is not named in {error} for {asked}"));
        }
    }

    fn finish(self, at_least: usize) {
        assert!(self.rejected >= at_least, "only {} requests were rejected", self.rejected);
        let shown = self.bad.iter().take(40).map(String::as_str).collect::<Vec<_>>().join("\n");
        assert!(self.bad.is_empty(), "{} errors are not in plain words:\n{shown}", self.bad.len());
    }
}

/// Calls `see` with every pointer into a value.
fn each_pointer(value: &Value, pointer: &str, see: &mut impl FnMut(&str)) {
    see(pointer);
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(key, member)| each_pointer(member, &format!("{pointer}/{key}"), see));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, item)| each_pointer(item, &format!("{pointer}/{index}"), see));
        }
        _ => {}
    }
}

/// Returns the body with every value in turn replaced by a value of every type, and with an unknown key in every object; with the key.
fn wrong_bodies(example: &Value) -> Vec<(String, Value)> {
    let mut pointers = Vec::new();
    each_pointer(example, "", &mut |pointer| pointers.push(pointer.to_owned()));
    let values = [
        json!(null),
        json!(true),
        json!(7),
        json!(-7),
        json!(1.5),
        json!("zz"),
        json!([]),
        json!([{}]),
        json!({}),
        json!({ "zz": 1 }),
    ];
    let mut bodies = Vec::new();
    for pointer in pointers {
        let key = pointer.rsplit('/').find(|part| part.parse::<usize>().is_err()).unwrap_or_default();
        for value in &values {
            let mut body = example.clone();
            if let Some(place) = body.pointer_mut(&pointer) {
                *place = value.clone();
            }
            bodies.push((key.to_owned(), body));
        }
        let mut body = example.clone();
        if let Some(Value::Object(members)) = body.pointer_mut(&pointer) {
            members.insert("zz_unknown".to_owned(), json!(1));
            bodies.push(("zz_unknown".to_owned(), body));
        }
    }
    bodies
}

#[test]
fn wrong_types_and_unknown_keys_in_bodies_are_answered_in_plain_words() {
    let mut reader = Reader::start();
    for operation in operations() {
        let example = match operation.id {
            // A wrong body that is right after all must not wait.
            "wait" => {
                json!({ "match": { "customer_id": "demo", "since": "2026-11-21T00:00:00Z", "state": "done" }, "count": { "at_least": 1 }, "timeout": "1ms" })
            }
            "verify" => {
                json!({ "match": { "ordinal": 1, "image": { "sha256": "00" } }, "count": { "at_least": 0, "at_most": 1 } })
            }
            "explain" => {
                json!({ "customer_id": "demo", "methode": "CALL_FN", "peer": "127.0.0.1", "headers": { "a": "b" }, "body": {} })
            }
            "previewFaults" => json!({ "customer_id": "demo", "rule": "busy-twice", "count": 3 }),
            "changeClock" | "changeClockOf" => {
                for key in ["advance", "now", "freeze", "reset"] {
                    for (_, body) in
                        wrong_bodies(&json!({ key: "x" })).iter().filter(|(named, _)| named == key)
                    {
                        reader.send(&operation, &example_path(&operation), &body.to_string(), key);
                    }
                }
                json!({ "advance": "1h" })
            }
            _ => match &operation.body.example {
                Some(example) => example.clone(),
                None => continue,
            },
        };
        let path = example_path(&operation);
        for (key, body) in wrong_bodies(&example) {
            reader.send(&operation, &path, &body.to_string(), &key);
        }
        for text in [
            "",
            "[]",
            "null",
            "7",
            "\"x\"",
            "{",
            "{\"a\"",
            "{\"a\":}",
            "{a:1}",
            "{\"a\":1,}",
            "{} {}",
            "{\"a\":tru}",
            "{“a”:1}",
            "{'a':1}",
            "{\"a\":\"\n\"}",
            "\u{feff}{}",
            "a=1&b=2",
            "{\"a\":\"\\q\"}",
        ] {
            reader.send(&operation, &path, text, "");
        }
    }
    reader.finish(900);
}

#[test]
fn wrong_query_parameters_are_answered_in_plain_words() {
    let mut reader = Reader::start();
    for operation in operations().iter().filter(|operation| operation.query.is_some()) {
        let method = operation.method.as_str().to_lowercase();
        let parameters = DOCUMENT["paths"][operation.path][&method]["parameters"].as_array().unwrap();
        let path = example_path(operation);
        // What is required stands already in the example.
        let path = if path.contains('?') { format!("{path}&") } else { format!("{path}?") };
        let names: Vec<_> = parameters.iter().map(|one| one["name"].as_str().unwrap()).collect();
        for name in &names {
            // The stream would not end.
            let values = if operation.id == "events" {
                &[][..]
            } else {
                &["", "zz%22", "-1", "1.5", "99999999999999999999", "/(/"]
            };
            for value in values {
                reader.send(operation, &format!("{path}{name}={value}"), "", name);
            }
            reader.send(operation, &format!("{path}{name}=1&{name}=1"), "", name);
            let misspelt = name.replacen('i', "", 1) + "s";
            reader.send(operation, &format!("{path}{misspelt}=1"), "", name);
        }
        reader.send(operation, &format!("{path}zz=1"), "", "zz");
        reader.send(operation, &format!("{path}%00=1"), "", "");
    }
    reader.finish(60);
}

#[test]
fn an_error_says_the_key_what_was_found_what_is_wanted_and_an_example() {
    let sim = Sim::start();
    for (method, path, body, says) in [
        (
            "PUT",
            "/customers/demo/quota",
            r#"{"per_day":"five"}"#,
            &["per_day", "the text \"five\"", "a whole number", "80"][..],
        ),
        ("PUT", "/customers/demo/quota", r#"{"use":1}"#, &["use", "did you mean `used`?"]),
        ("PUT", "/customers/demo/state", "{}", &["state", "missing", "down"]),
        ("PUT", "/customers/demo/state", "[]", &["the body is an array", "down"]),
        (
            "PUT",
            "/customers/demo/state",
            "{\"state\":down}",
            &["line 1, column 10", "text without quotes", "down"],
        ),
        (
            "POST",
            "/requests/verify",
            r#"{"count":"2"}"#,
            &["count", "the text \"2\"", "a whole number", "an object"],
        ),
        (
            "POST",
            "/requests/verify",
            r#"{"count":1,}"#,
            &["line 1, column 12: a trailing comma", "for example"],
        ),
        ("POST", "/requests/verify", r#"{"count":1"#, &["the body ends", "for example"]),
        (
            "POST",
            "/explain",
            r#"{"customer_id":"demo","body":{},"peer":"x"}"#,
            &["peer", "IP address", "127.0.0.1"],
        ),
        (
            "GET",
            "/requests?limit=many",
            "",
            &["limit is \"many\", but must be a whole number from 1 to 10000", "default 100"],
        ),
        (
            "GET",
            "/requests?state=over",
            "",
            &["state is \"over\", but must be one of in_flight, done, aborted"],
        ),
        ("POST", "/reset", "", &["the parameter scope is missing", "?scope=VALUE, one of all, journal"]),
        (
            "POST",
            "/reset?scope=journals",
            "",
            &["scope is \"journals\", but must be one of all, journal, rules", "did you mean `journal`?"],
        ),
        ("GET", "/gallery?limt=1", "", &["there is no parameter \"limt\"", "did you mean `limit`?"]),
    ] {
        let (status, answer) = sim.admin(method, path, body);
        let part = |name: &str| answer["error"][name].as_str().unwrap_or_default().to_owned();
        let text = format!("{} | {}", part("message"), part("hint"));
        assert_eq!(status, 400, "{method} {path}");
        for one in says {
            assert!(text.contains(one), "{method} {path} {body}: {one:?} is not in {text}");
        }
    }
}
