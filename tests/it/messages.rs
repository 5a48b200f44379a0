//! Messages about wrong values: every key of the fixtures, and so of the admin API, which has the same model, with values of every wrong
//! type. A message names the key, what was found, what is wanted, and an example, in the words of the person who wrote the value.

use dukcapil_fr_sim::internals::base::json_schema::schema_of;
use dukcapil_fr_sim::internals::base::reading::{Misread, read_all};
use dukcapil_fr_sim::internals::base::wording::Notation;
use dukcapil_fr_sim::internals::config::model::GallerySpec;
use dukcapil_fr_sim::internals::config::{CustomerSpec, SimulatorSpec};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// A key of a file: the way to it, `0` for the entry of a list, and whether its value is a secret.
struct Key {
    path: Vec<String>,
    is_secret: bool,
}

/// Collects every key below a schema.
fn keys(root: &Value, schema: &Value, path: &[String], found: &mut Vec<Key>) {
    let below = |key: &str| [path, &[key.to_owned()]].concat();
    let mut enter = |key: &str, schema: &Value| {
        found.push(Key {
            path: below(key),
            is_secret: ["account", "faces"].contains(&key) || schema["format"] == "password",
        });
        keys(root, schema, &below(key), found);
    };
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        enter(key, property);
    }
    for (name, key) in [("items", "0"), ("additionalProperties", "X-Any")] {
        match &schema[name] {
            item if item.is_object() => enter(key, item),
            Value::Array(items) => enter("0", &items[0]),
            _ => {}
        }
    }
    if let Some(name) = schema["$ref"].as_str() {
        keys(root, root.pointer(name.trim_start_matches('#')).unwrap(), path, found);
    }
    for part in ["allOf", "anyOf", "oneOf"].iter().filter_map(|name| schema[name].as_array()).flatten() {
        keys(root, part, path, found);
    }
}

/// Returns a document with this value at the path, and nothing else.
fn document(path: &[String], value: &Value) -> Value {
    path.iter().rev().fold(value.clone(), |inner, key| match key.as_str() {
        "0" => json!([inner]),
        key => Value::Object(Map::from_iter([(key.to_owned(), inner)])),
    })
}

/// Rust's and its libraries' words, and `CamelCase`.
fn has_foreign_words(message: &str) -> bool {
    let words = [
        "struct",
        "enum",
        "variant",
        "visitor",
        "untagged",
        "invalid type",
        "invalid value",
        "invalid length",
        "expected",
        "u8",
        "u16",
        "u32",
        "u64",
        "i64",
        "usize",
        "f32",
        "f64",
        "string",
        "integer",
        "float",
        "boolean",
        "sequence",
        "tuple",
        "map",
        "unit",
        "None",
        "Some(",
        "field",
    ];
    let text: String = message.split(['"', '`']).step_by(2).collect();
    let mut names = text.split(|c: char| !c.is_ascii_alphanumeric());
    let is_camel = |name: &str| {
        name.starts_with(char::is_uppercase)
            && name.contains(char::is_lowercase)
            && name.chars().skip(1).any(char::is_uppercase)
    };
    words
        .iter()
        .any(|word| text.split(|c: char| !c.is_alphanumeric() && c != '(').any(|found| found == *word))
        || ["invalid type", "invalid value", "invalid length"].iter().any(|words| text.contains(words))
        || names.any(is_camel)
}

/// What stands in a message for a value.
fn found_words(value: &Value, notation: Notation) -> Vec<String> {
    let table = if notation == Notation::Toml { "a table" } else { "an object" };
    match value {
        Value::Object(_) => vec![table.to_owned()],
        Value::Array(entries) if entries.is_empty() => {
            vec!["a list of 0".to_owned(), "[]".to_owned(), "is empty".to_owned()]
        }
        Value::Array(entries) => vec![format!("a list of {}", entries.len()), value.to_string()],
        Value::String(text) => vec![text.clone()],
        other => vec![other.to_string()],
    }
}

const WANTED: [&str; 12] = [
    "must be \"",
    "text in quotes",
    "a whole number",
    "a number",
    "true or false",
    "a list",
    "a table",
    "an object",
    "\" or \"",
    " or 504",
    "1 to 1000",
    "codes of four digits",
];

/// Reads the document with a wrong value. Returns whether it is wrong, or what the message about it lacks.
fn check<T: DeserializeOwned + JsonSchema>(
    key: &Key,
    value: &Value,
    notation: Notation,
) -> Result<bool, String> {
    let (read, misread) = read_all::<T>(document(&key.path, value), notation);
    let place = |misread: &&Misread| misread.path.starts_with(&key.path);
    let Some(Misread { path, message, hint, .. }) = misread.iter().find(place) else { return Ok(false) };
    let name = path.iter().rev().find(|key| key.parse::<usize>().is_err()).unwrap();
    let says_type = !message.contains(" must be ") || WANTED.iter().any(|words| message.contains(words));
    let shows_value = found_words(value, notation).iter().any(|words| message.contains(words.as_str()));
    let at_place = path == &key.path;
    let example = if notation == Notation::Toml { " = " } else { "\": " };
    let advises =
        hint.is_some() || ["write ", "such as", "did you mean"].iter().any(|word| message.contains(word));
    let lacks = [
        (read.is_none(), "an example that is accepted"),
        (has_foreign_words(message), "only people's words"),
        (!message.contains(name.as_str()), "the key"),
        (at_place && !key.is_secret && !shows_value, "the value"),
        (at_place && key.is_secret && value.is_number() && shows_value, "discretion"),
        (at_place && !says_type, "what is wanted"),
        (!advises && !message.contains(example), "an example"),
    ];
    match lacks.iter().find(|(lacks, _)| *lacks) {
        Some((_, what)) => Err(format!("{what}: {:?} = {value}: {message}", key.path)),
        None => Ok(true),
    }
}

/// Checks every key of a file. Returns the number of keys and of wrong values.
fn walk<T: DeserializeOwned + JsonSchema>() -> (usize, usize) {
    let schema = schema_of::<T>();
    let mut found = Vec::new();
    keys(&schema, &schema, &[], &mut found);
    let values = [
        json!(""),
        json!("words and blanks"),
        json!("80"),
        json!(80),
        json!(-1),
        json!(1.5),
        json!(5_000_000_000_u64),
        json!(true),
        json!([]),
        json!([1, 2]),
        json!({}),
        json!({ "x": 1 }),
    ];
    let (mut wrong, mut lacking) = (0, Vec::new());
    for key in &found {
        let toml: Vec<_> = values.iter().map(|value| check::<T>(key, value, Notation::Toml)).collect();
        let json = [json!(80), json!({ "x": 1 })].map(|value| check::<T>(key, &value, Notation::Json));
        let rejected = toml.iter().filter(|result| **result == Ok(true)).count();
        if rejected < 5 {
            lacking.push(format!("{:?} accepts nearly everything", key.path));
        }
        wrong += rejected;
        lacking.extend(toml.into_iter().chain(json).filter_map(Result::err));
    }
    assert!(lacking.is_empty(), "{} messages lack something:\n{}", lacking.len(), lacking.join("\n"));
    (found.len(), wrong)
}

#[test]
fn every_wrong_value_is_described_in_words() {
    let (keys, wrong) = [walk::<CustomerSpec>(), walk::<SimulatorSpec>(), walk::<GallerySpec>()]
        .into_iter()
        .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert!(keys > 150 && wrong > 7 * keys, "{keys} keys, {wrong} wrong values");
}
