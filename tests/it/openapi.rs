//! `/openapi.json` matches the server: every operation of the table answers as documented.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use dukcapil_fr_sim::internals::http::admin::openapi::document;
use dukcapil_fr_sim::internals::http::admin::operation::Operation;
use dukcapil_fr_sim::internals::http::admin::routes::operations;
use serde_json::{Value, json};

use super::support::{Answer, Sim, exchange, http};

pub static DOCUMENT: LazyLock<Value> = LazyLock::new(|| document(&operations(), false));

/// Returns the document's description of an operation.
fn described(operation: &Operation) -> &'static Value {
    &DOCUMENT["paths"][operation.path][operation.method.as_str().to_lowercase()]
}

/// Resolves references in the document.
fn resolved(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => resolved(DOCUMENT.pointer(reference.trim_start_matches('#')).expect(reference)),
        None => value,
    }
}

/// Returns the path with the examples of its parameters.
pub fn example_path(operation: &Operation) -> String {
    let item = &DOCUMENT["paths"][operation.path];
    let fill = |path: String, parameter: &Value| {
        let example = &parameter["example"];
        let text = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
        path.replace(&format!("{{{}}}", parameter["name"].as_str().unwrap()), &text)
    };
    let path = item["parameters"].as_array().into_iter().flatten().fold(operation.path.to_owned(), fill);
    if operation.id == "reset" { format!("{path}?scope=rules") } else { path }
}

fn send(sim: &Sim, operation: &Operation, body: &str) -> Answer {
    let bytes = http(operation.method.as_str(), &example_path(operation), "", body.as_bytes());
    exchange(sim.admin_address(), &bytes)
}

/// Asserts that the document describes the answer: its status, media type and body.
fn check(operation: &Operation, answer: &Answer) {
    let name = format!("{} {}", operation.method, operation.path);
    let response = resolved(&described(operation)["responses"][answer.status.to_string()]);
    let head = answer.head.to_lowercase();
    let media_type = head.split("\r\ncontent-type: ").nth(1).and_then(|rest| rest.split([';', '\r']).next());
    let content = &response["content"][media_type.unwrap_or_default()];
    assert!(content.is_object(), "{name} answers {} with {media_type:?}", answer.status);
    if media_type == Some("application/json") {
        let schema = json!({ "components": DOCUMENT["components"], "allOf": [content["schema"]] });
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let body = answer.json();
        let errors: Vec<_> = validator.iter_errors(&body).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?} in {body}");
    }
}

/// Starts a simulator with what the examples reference: a rule, a request in the journal.
pub fn with_examples() -> Sim {
    let sim = Sim::start();
    let rule = r#"{"when":{"outcome":"6018"},"times":1,"delay":"1us","fault":{"kind":"truncate"}}"#;
    assert_eq!(sim.admin("PUT", "/customers/demo/rules/busy-twice", rule).0, 200);
    sim.call("demo", sim.request().text());
    sim
}

/// Operations that change something run on their own simulator.
#[test]
fn every_operation_accepts_its_example_and_answers_as_documented() {
    let sim = with_examples();
    for operation in operations() {
        let own = (operation.method != "GET").then(with_examples);
        let sim = own.as_ref().unwrap_or(&sim);
        let example = operation.body.example.as_ref().map(Value::to_string).unwrap_or_default();
        let expected = match operation.id {
            // The stream never ends.
            "events" => continue,
            // Nothing was enrolled or created, so this is a 409.
            "removeIdentity" | "removeCustomer" => 409,
            // One of the two expected requests.
            "verify" => 409,
            "makeCustomer" => 201,
            _ => 200,
        };
        let example = if operation.id == "wait" { r#"{"count":1}"#.to_owned() } else { example };
        let answer = send(sim, &operation, &example);
        assert_eq!(answer.status, expected, "{} {}: {}", operation.method, operation.path, answer.head);
        check(&operation, &answer);
    }
}

#[test]
fn errors_are_answered_as_documented() {
    let sim = with_examples();
    for operation in operations().iter().filter(|operation| operation.id != "shutdown") {
        if operation.query.is_some() {
            let path = format!("{}?nonsense=1", example_path(operation).split('?').next().unwrap());
            let answer = exchange(sim.admin_address(), &http(operation.method.as_str(), &path, "", b""));
            assert_eq!(answer.status, 400, "{path}");
            check(operation, &answer);
        }
        for body in ["{\"nonsense\":1}", "[]", "{"] {
            if !operation.body.contents.is_empty() {
                let answer = send(&sim, operation, body);
                assert_eq!(answer.status, 400, "{} {} {body}", operation.method, operation.path);
                check(operation, &answer);
            }
        }
        let item = &DOCUMENT["paths"][operation.path];
        if item["parameters"].is_array() && operation.id != "putCustomer" {
            let path = operation.path.replace("{customer_id}", "nobody").replace("{nik}", "3174055708909998");
            let path = path.replace("{id}", "999").replace("{name}", "none");
            let body = operation.body.example.as_ref().map(Value::to_string).unwrap_or_default();
            let answer =
                exchange(sim.admin_address(), &http(operation.method.as_str(), &path, "", body.as_bytes()));
            assert_eq!(answer.status, 404, "{} {path}", operation.method);
            check(operation, &answer);
        }
    }
}

#[test]
fn other_methods_are_rejected_with_the_allowed_ones() {
    let sim = Sim::start();
    let paths: BTreeSet<_> = operations().iter().map(|operation| operation.path).collect();
    for path in paths {
        let all = operations();
        let taken: Vec<_> = all.iter().filter(|operation| operation.path == path).collect();
        let head = taken.iter().any(|operation| operation.method == "GET").then_some("HEAD");
        let methods = taken.iter().map(|operation| operation.method.as_str()).chain(head);
        let allow = methods.collect::<Vec<_>>().join(", ");
        for method in ["GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "QUERY"] {
            if taken.iter().any(|operation| operation.method == method) {
                continue;
            }
            let answer = exchange(sim.admin_address(), &http(method, &example_path(taken[0]), "", b""));
            assert_eq!(answer.status, 405, "{method} {path}");
            assert!(answer.head.contains(&format!("allow: {allow}\r\n")), "{method} {path}: {}", answer.head);
        }
    }
}

#[test]
fn it_is_served_and_declares_the_token_if_there_is_one() {
    let sim = Sim::start();
    assert_eq!(sim.admin("GET", "/openapi.json", ""), (200, DOCUMENT.clone()));
    assert_eq!(DOCUMENT["security"], json!([]));
    let sim = Sim::with(|builder| builder.admin_token(Some("s3cret".to_owned())));
    let bearer = "Authorization: Bearer s3cret\r\n";
    let served = exchange(sim.admin_address(), &http("GET", "/openapi.json", bearer, b"")).json();
    assert_eq!(served, document(&operations(), true));
    for operation in operations() {
        let path = example_path(&operation);
        let is_open = served["paths"][operation.path]["get"]["security"] == json!([]);
        let answer = exchange(sim.admin_address(), &http(operation.method.as_str(), &path, "", b""));
        assert_eq!(answer.status == 401, !is_open, "{} {path}", operation.method);
        if !is_open {
            check(&operation, &answer);
        }
    }
}

fn each_reference(value: &Value, see: &mut impl FnMut(&str)) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member.as_str() {
                    Some(reference) if name == "$ref" => see(reference),
                    _ => each_reference(member, see),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| each_reference(item, see)),
        _ => {}
    }
}

#[test]
fn it_is_consistent() {
    let mut used = BTreeSet::new();
    each_reference(&DOCUMENT, &mut |reference| {
        assert!(DOCUMENT.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
        used.insert(reference.to_owned());
    });
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().unwrap() {
        assert!(!name.ends_with(|c: char| c.is_ascii_digit()), "{name}: two types have one name");
        jsonschema::draft202012::meta::validate(schema).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let (mut ids, mut pairs) = (BTreeSet::new(), BTreeSet::new());
    for operation in operations() {
        assert!(ids.insert(operation.id), "{} twice", operation.id);
        assert!(pairs.insert(format!("{} {}", operation.method, operation.path)), "{} twice", operation.path);
        assert!(operation.summary.ends_with('.') && !operation.tag.is_empty(), "{}", operation.id);
        let parameters = DOCUMENT["paths"][operation.path]["parameters"].as_array();
        let declared: BTreeSet<_> =
            parameters.into_iter().flatten().map(|one| one["name"].as_str().unwrap()).collect();
        let there: BTreeSet<_> =
            operation.path.split('{').skip(1).filter_map(|part| part.split('}').next()).collect();
        assert_eq!(declared, there, "{}", operation.path);
        for (media_type, content) in
            described(&operation)["requestBody"]["content"].as_object().into_iter().flatten()
        {
            let Some(example) = content.get("example") else { continue };
            let schema = json!({ "components": DOCUMENT["components"], "allOf": [content["schema"]] });
            let valid = jsonschema::draft202012::new(&schema).unwrap();
            assert!(valid.is_valid(example), "{}: {media_type}", operation.id);
        }
    }
}

/// Parts of the fixture model have the same form in requests and answers, except for defaults.
#[test]
fn a_returned_customer_or_rule_can_be_put_again() {
    let sim = with_examples();
    for path in ["/customers/demo", "/customers/flaky", "/customers/demo/rules/busy-twice"] {
        let shown = sim.admin("GET", path, "").1;
        let (status, put) = sim.admin("PUT", path, &shown.to_string());
        assert_eq!(status, 200, "{path}: {put}");
    }
}

#[test]
fn an_entry_has_the_members_that_are_documented() {
    let sim = Sim::start();
    sim.call("demo", "{}");
    let entry = sim.admin("GET", "/requests/1", "").1;
    let mut schema = &DOCUMENT["paths"]["/requests/{id}"]["get"]["responses"]["200"]["content"];
    schema = resolved(&schema["application/json"]["schema"]);
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&schema["properties"]), names(&entry), "clients make their types from the schema");
}
