//! The tables of the reference, each from the table in the code that the program itself uses.

use std::collections::BTreeMap;

use dukcapil_fr_sim::internals::config::{schema::FileKind, source};
use dukcapil_fr_sim::internals::domain::faults::KINDS;
use dukcapil_fr_sim::internals::domain::policy::KEYS;
use dukcapil_fr_sim::internals::domain::warnings::WARNINGS;
use dukcapil_fr_sim::internals::http::admin::{openapi, routes};
use dukcapil_fr_sim::internals::protocol::OUTCOMES;
use dukcapil_fr_sim::internals::protocol::body::FIELDS;
use serde_json::{Value, json};

use super::command_line;
use super::page::{Block, Cell, Table, backticks, plain, said};
use crate::support::{Sim, exchange, http};

fn written(key: impl Into<String>) -> Cell {
    Cell::Said(key.into(), None)
}

/// Returns every block.
pub fn blocks() -> Vec<Block> {
    let customer = FileKind::Customer.schema();
    let simulator = FileKind::Simulator.schema();
    let gallery = FileKind::Gallery.schema();
    let api = api();
    let components = &api["components"]["schemas"];
    let in_api = |name, leaves: &'static [&'static str]| members(components, &components[name], leaves);
    let in_customer =
        |name: &str, leaves| members(&customer["definitions"], &customer["definitions"][name], leaves);
    vec![
        codes(),
        fields(),
        checks(),
        policy(),
        faults(),
        Block::new("fault-parameters", MEMBER, in_customer("FaultSpec", &[])),
        Block::new(
            "rules",
            MEMBER,
            in_customer("RuleSpec", &["When", "ReplySpec", "DelaySpec", "FaultSpec"]),
        ),
        Block::new("conditions", MEMBER, in_customer("When", &[])),
        Block::new("replies", MEMBER, in_customer("ReplySpec", &[])),
        Block::new("delays", MEMBER, in_customer("RandomDelay", &[])),
        customers(),
        Block::new(
            "customer-file",
            MEMBER,
            members(&customer["definitions"], &customer, &["PolicySpec", "RuleSpec", "DelaySpec"]),
        ),
        Block::new(
            "simulator-file",
            MEMBER,
            members(&simulator["definitions"], &simulator, &["PolicySpec", "Limits", "DelaySpec"]),
        ),
        Block::new("gallery-file", MEMBER, members(&gallery["definitions"], &gallery, &[])),
        limits(&simulator),
        route_tables(&api),
        command_line::commands(),
        command_line::flags(),
        command_line::exit_codes(),
        metrics(),
        Block::new("journal", &["key", "meaning"], without_examples(in_api("Entry", &["BasisPart"]))),
        constants("states", &components["State"]),
        constants("ends", &components["SentEnd"]),
        Block::new("match", MEMBER, in_api("Match", &[])),
        Block::new("call", MEMBER, in_api("CallRequest", &[])),
        warnings(),
    ]
}

/// Returns the OpenAPI document of the admin API.
pub fn api() -> Value {
    openapi::document(&routes::operations(), false)
}

fn codes() -> Block {
    let rows = OUTCOMES.iter().map(|row| {
        let lower = |name: &dyn std::fmt::Debug| plain(format!("{name:?}").to_lowercase());
        let (shape, from) = (lower(&row.shape), lower(&row.stage));
        vec![plain(row.code), Cell::code(row.message), shape, from, plain(row.standing), plain(row.source)]
    });
    Block::new("codes", &["code", "message", "shape", "answered by", "standing", "source"], rows.collect())
}

fn fields() -> Block {
    let rows = FIELDS.iter().map(|field| {
        let length = field.max_chars.map_or_else(String::new, |chars| chars.to_string());
        let is_shown = if field.secret { "" } else { "✓" };
        vec![Cell::code(field.name), plain(length), plain(is_shown), written(field.name)]
    });
    Block::new("fields", &["field", "max. characters", "in the journal", "meaning"], rows.collect())
}

/// The checks in their order, and the code that each leads to: of requests that fail all of them.
fn checks() -> Block {
    let sim = Sim::with(|builder| {
        builder.customer("full", json!({ "extends": "demo", "quota": { "per_day": 0 } }))
    });
    let good = sim.request();
    let explained = |body: &crate::support::Body| {
        let question = json!({ "customer_id": "full", "body": body.members }).to_string();
        sim.admin("POST", "/explain", &question).1["findings"].as_array().cloned().expect("findings")
    };
    let bad = good.clone().without("transactionId").set("threshold", "21").set("image", "x").set("ip", "x");
    let all =
        [explained(&bad.set("password", "AAAA")), explained(&good.encrypted("user_id", "nobody"))].concat();
    let code = |check: &str| {
        let failed = all.iter().find(|finding| finding["check"] == *check && finding["status"] == "failed");
        // Only a matcher with [capacity] can be full.
        failed.map_or("6014".to_owned(), |finding| finding["code"].as_str().expect("a code").to_owned())
    };
    let rows = all[..8].iter().map(|finding| {
        let name = finding["check"].as_str().expect("a name");
        vec![Cell::code(name), plain(code(name)), written(name)]
    });
    Block::new("checks", &["check", "answer", "fails when"], rows.collect())
}

fn policy() -> Block {
    // What is not a value in quotes is a sentence.
    let is_sentence = |text: &str| {
        text.split('"')
            .step_by(2)
            .any(|part| part.chars().any(char::is_alphabetic) && part != "true" && part != "false")
    };
    let value = |key: String, text: &str| match is_sentence(text) {
        true => said(key, text),
        false => plain(text.split(", ").map(backticks).collect::<Vec<_>>().join(", ")),
    };
    let rows = KEYS.iter().map(|key| {
        let default = match key.name {
            "precedence" => said("precedence.default", "the order of the checks"),
            "shape" => said("shape.default", key.default),
            _ => Cell::code(key.default),
        };
        let others = value(format!("{}.others", key.name), key.others);
        vec![Cell::code(key.name), default, others, plain(key.standing), said(key.name, key.meaning)]
    });
    Block::new("policy", &["key", "default", "other values", "standing", "decides"], rows.collect())
}

/// Default of each parameter of a fault, in TOML; `the_defaults_of_faults_are_those_of_the_table` proves them.
pub const DEFAULTS: [(&str, &str, &str); 20] = [
    ("refuse", "for", "\"1s\""),
    ("close_on_accept", "for", "\"1s\""),
    ("close_during_upload", "at", "0.5"),
    ("close_during_upload", "end", "\"rst\""),
    ("slow_read", "bytes_per_second", "10000"),
    ("reset", "after", "\"0s\""),
    ("hang_then_close", "for", "\"10s\""),
    ("garbage", "bytes", "64"),
    ("truncate", "at", "0.5"),
    ("truncate", "end", "\"fin\""),
    ("body_cut", "at", "0.5"),
    ("bad_length", "by", "10"),
    ("dribble", "chunks", "10"),
    ("dribble", "for", "\"2s\""),
    ("bandwidth", "bytes_per_second", "64"),
    ("slow_headers", "for", "\"2s\""),
    ("bitflip", "bits", "1"),
    ("gateway_page", "status", "502"),
    ("stale_keepalive", "after", "\"500ms\""),
    ("late_close", "after", "\"1s\""),
];

fn faults() -> Block {
    let rows = KINDS.iter().map(|kind| {
        let parameter = |name: &&str| {
            let default = DEFAULTS.iter().find(|row| (row.0, row.1) == (kind.name, *name));
            default.map_or(format!("`{name}`"), |row| format!("`{name} = {}`", row.2))
        };
        let parameters = kind.takes.iter().map(parameter).collect::<Vec<_>>().join(", ");
        let (_, with, .., leads) = crate::sent::FAULTS.iter().find(|row| row.0 == kind.name).expect("a row");
        assert!(
            !with.contains("end"),
            "the line of {} is beside its defaults, and not told of {with}",
            kind.name
        );
        let column = |name: &str| written(format!("{}.{name}", kind.name));
        vec![
            Cell::code(kind.name),
            plain(parameters),
            column("wire"),
            column("curl"),
            column("pooled"),
            plain(leads),
        ]
    });
    let head = &["kind", "parameters", "on the wire", "curl reports", "a pooled client sees", "log, `call`"];
    Block::new("faults", head, rows.collect())
}

/// The built-in customers: what the comment of each file says. `always-5001` and so on are one row.
fn customers() -> Block {
    let mut rows: BTreeMap<String, String> = BTreeMap::new();
    for (name, file) in source::built_in() {
        let Some(id) = name.strip_prefix("customers/").and_then(|name| name.strip_suffix(".toml")) else {
            continue;
        };
        let text = String::from_utf8_lossy(&file.bytes).into_owned();
        let comment = text.lines().map_while(|line| line.strip_prefix("# ")).collect::<Vec<_>>().join(" ");
        let stem = ["always-", "sample-"].into_iter().find(|stem| id.starts_with(stem));
        let code = id.rsplit('-').next().unwrap_or_default();
        match stem {
            Some(stem) => rows.insert(format!("{stem}<code>"), comment.replace(code, "the code")),
            None => rows.insert(id.to_owned(), comment),
        };
    }
    let rows = rows.into_iter().map(|(id, comment)| vec![Cell::code(&id), said(id, comment)]);
    Block::new("customers", &["customer", "meaning"], rows.collect())
}

const MEMBER: &[&str] = &["key", "values, or an example", "meaning"];

/// The members of a schema and, below each that is an object, its own; not of those types whose names are `leaves`.
fn members(types: &Value, schema: &Value, leaves: &[&str]) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    add_members(types, schema, leaves, "", &mut rows);
    rows
}

fn add_members(types: &Value, schema: &Value, leaves: &[&str], prefix: &str, rows: &mut Vec<Vec<Cell>>) {
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let key = format!("{prefix}{name}");
        let type_name = type_of(member).or_else(|| type_of(&member["items"]));
        let described = type_name.map_or(&Value::Null, |name| &types[name]);
        let text = [member, described].into_iter().find_map(|one| one["description"].as_str());
        let english = text.map(|text| text.trim_end_matches('.').to_owned());
        let is_object =
            described.get("properties").is_some() && !type_name.is_some_and(|name| leaves.contains(&name));
        let example = if is_object { String::new() } else { example(member, described) };
        rows.push(vec![Cell::code(&key), Cell::code(example), Cell::Said(key.clone(), english)]);
        if is_object {
            add_members(types, described, leaves, &format!("{key}."), rows);
        }
    }
}

/// Returns the values that a member can have, if they are few, else an example, else its default; as in a fixture file.
fn example(member: &Value, described: &Value) -> String {
    let constants = described["oneOf"].as_array().into_iter().flatten().map(|one| &one["const"]);
    let listed = [member, described].into_iter().find_map(|one| one["enum"].as_array());
    let values: Vec<_> =
        listed.into_iter().flatten().chain(constants).filter(|value| !value.is_null()).collect();
    if (1..=10).contains(&values.len()) {
        return values.into_iter().map(toml_value).collect::<Vec<_>>().join("`, `");
    }
    let found = [member, described].into_iter().find_map(|one| {
        let default = Some(&one["default"]).filter(|value| !value.is_object());
        one["examples"].get(0).or(default).filter(|value| !value.is_null())
    });
    let text = found.map(toml_value).unwrap_or_default();
    let is_list = [member, described].iter().any(|one| {
        one["type"] == "array" || one["type"].as_array().is_some_and(|types| types.contains(&json!("array")))
    });
    match text.chars().count() {
        // A hash, for example.
        49.. => text.chars().take(24).chain("...\"".chars()).collect(),
        1.. if is_list && !text.starts_with('[') => format!("[{text}]"),
        _ => text,
    }
}

/// Returns the name of the type that a schema refers to.
fn type_of(schema: &Value) -> Option<&str> {
    let nested = ["allOf", "anyOf"].into_iter().find_map(|name| schema[name].as_array());
    let own = schema["$ref"].as_str();
    own.or_else(|| nested?.iter().find_map(|one| one["$ref"].as_str()))?.rsplit('/').next()
}

/// Returns a value as it stands in a fixture file.
fn toml_value(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let member = |(key, value): (&String, &Value)| format!("{key} = {}", toml_value(value));
            format!("{{ {} }}", members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(toml_value).collect::<Vec<_>>().join(", ")),
        Value::Number(number) if number.as_u64().is_some_and(|number| number >= 10_000) => {
            grouped(number.as_u64().unwrap_or_default())
        }
        other => other.to_string(),
    }
}

/// Returns a number with its digits in groups of three, as TOML reads it.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned());
    groups.collect::<Vec<_>>().join("_")
}

fn without_examples(rows: Vec<Vec<Cell>>) -> Vec<Vec<Cell>> {
    let two = |mut row: Vec<Cell>| {
        row.remove(1);
        row
    };
    rows.into_iter().map(two).collect()
}

/// The values of an enumeration, each with its own text.
fn constants(name: &'static str, schema: &Value) -> Block {
    let rows = schema["oneOf"].as_array().expect("values").iter().map(|one| {
        let value = one["const"].as_str().expect("a text");
        vec![
            Cell::code(value),
            said(value, one["description"].as_str().expect("a text").trim_end_matches('.')),
        ]
    });
    Block::new(name, &["value", "meaning"], rows.collect())
}

fn limits(simulator: &Value) -> Block {
    let defaults = &simulator["properties"]["limits"]["default"];
    let types = &simulator["definitions"];
    let rows = members(types, &types["Limits"], &[]).into_iter().map(|mut row| {
        let Cell::Plain(key) = &row[0] else { return row };
        let (name, of_type) = (key.trim_matches('`'), &types["Limits"]["properties"]);
        let default = &defaults[name];
        let is_size = type_of(&of_type[name]) == Some("Size");
        row[1] = match (default.as_u64().filter(|_| is_size), default) {
            (Some(bytes), _) => Cell::code(format!("\"{}MiB\"", bytes >> 20)),
            (None, Value::Null) => plain(""),
            (None, value) => Cell::code(toml_value(value)),
        };
        row
    });
    Block::new("limits", &["key", "default", "meaning"], rows.collect())
}

fn route_tables(api: &Value) -> Block {
    let operations = routes::operations();
    let mut tables: Vec<Table> = Vec::new();
    for operation in &operations {
        let method = operation.method.as_str();
        let parameters = api["paths"][operation.path][method.to_lowercase()]["parameters"].as_array();
        let of_query = parameters.into_iter().flatten().filter(|one| one["in"] == "query");
        let query: Vec<_> = of_query.filter_map(|one| one["name"].as_str()).collect();
        let takes = match (&operation.body.example, query.is_empty()) {
            (Some(example), _) => example.to_string(),
            (None, false) => format!("?{}=", query.join("=&")),
            (None, true) => String::new(),
        };
        let row = vec![
            plain(method),
            Cell::code(operation.path),
            said(operation.id, operation.summary.trim_end_matches('.')),
            Cell::code(takes),
        ];
        let heading = Some(operation.tag.to_owned());
        match tables.last_mut().filter(|table| table.heading == heading) {
            Some(table) => table.rows.push(row),
            None => tables.push(Table {
                heading,
                head: &["method", "path", "what it does", "query or body"],
                rows: vec![row],
            }),
        }
    }
    Block { name: "routes", tables }
}

/// The metrics of a simulator that has answered, once with a fault and once in a matcher of a customer's own.
fn metrics() -> Block {
    let sim = Sim::with(|builder| {
        let own = json!({ "extends": "load", "capacity": { "workers": 1 } });
        builder.customer("own", own).rule("own", "f", json!({ "fault": { "kind": "body_cut" } }))
    });
    sim.call("own", sim.request().text());
    let text = exchange(sim.admin_address(), &http("GET", "/metrics", "", b"")).text().to_owned();
    let help = |line: &str| {
        line.strip_prefix("# HELP ")
            .and_then(|rest| rest.split_once(' '))
            .map(|(name, help)| (name.to_owned(), help.trim_end_matches('.').to_owned()))
    };
    let rows = text.lines().filter_map(help).map(|(name, help)| {
        let kind =
            text.lines().find_map(|line| line.strip_prefix(&format!("# TYPE {name} "))).expect("a type");
        let sample =
            text.lines().find(|line| !line.starts_with('#') && line.starts_with(&name) && line.contains('{'));
        let labels =
            sample.and_then(|line| line.split_once('{')?.1.split_once('}')).map_or("", |(labels, _)| labels);
        let labels = labels
            .split(',')
            .filter_map(|label| label.split('=').next())
            .filter(|label| !label.is_empty() && *label != "le");
        // A counter's sample has this ending.
        let ending = if kind == "counter" { "_total" } else { "" };
        let labels = labels.map(backticks).collect::<Vec<_>>().join(", ");
        vec![Cell::code(format!("{name}{ending}")), plain(kind), plain(labels), said(name, help)]
    });
    Block::new("metrics", &["metric", "type", "labels", "meaning"], rows.collect())
}

fn warnings() -> Block {
    let rows = WARNINGS.iter().map(|(name, text)| vec![Cell::code(name), said(*name, *text)]);
    Block::new("warnings", &["warning", "meaning"], rows.collect())
}
