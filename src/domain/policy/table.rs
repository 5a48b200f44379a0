//! The table that `check --policy` prints.

use std::fmt::Write;

use super::keys::{FIXED, KEYS};
use super::layers::PolicyLayers;
use crate::base::json;

/// Longest value and default in the table, in characters; a longer one is listed below it.
const MAX_VALUE_CHARS: usize = 21;

/// Returns the table of all keys: the value that holds and the layer it comes from, the default and how certain that is.
#[must_use]
pub fn table(layers: &PolicyLayers) -> String {
    let policy = json::value(&layers.policy());
    let (mut text, mut long) = (String::new(), String::new());
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{:<17} {:<21} {:<7} {:<9} {:<21} other values; meaning",
        "key", "value", "from", "standing", "default"
    );
    for key in &KEYS {
        let source = layers.source(key.name);
        let value = match &policy[key.name] {
            serde_json::Value::Object(table) if table.is_empty() => key.default.to_owned(),
            value => toml_text(value),
        };
        if value.len() > MAX_VALUE_CHARS {
            let _ = writeln!(long, "{} = {value}", key.name);
        }
        if key.default.len() > MAX_VALUE_CHARS && value != key.default {
            let _ = writeln!(long, "{}, by default = {}", key.name, key.default);
        }
        let short = |text: &str| {
            if text.len() > MAX_VALUE_CHARS { "as listed below".to_owned() } else { text.to_owned() }
        };
        let _ = writeln!(
            text,
            "{:<17} {:<21} {source:<7} {:<9} {:<21} {}; {}",
            key.name,
            short(&value),
            key.standing,
            short(key.default),
            key.others,
            key.meaning
        );
    }
    let _ = writeln!(text, "\n{long}\nfixed behaviour, without a key:");
    for (name, standing, meaning) in &FIXED {
        let _ = writeln!(text, "{name:<17} {standing:<9} {meaning}");
    }
    text
}

/// Returns a JSON value as TOML on one line.
fn toml_text(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::Array(items) => {
            format!("[{}]", items.iter().map(toml_text).collect::<Vec<_>>().join(", "))
        }
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| format!("{name} = {}", toml_text(value)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
        // A JSON string is a TOML string too, but for `\\/`, which is never written.
        plain => plain.to_string(),
    }
}
