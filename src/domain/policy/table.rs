//! The table that `check --policy` prints.

use std::fmt::Write;

use super::keys::{FIXED, KEYS};
use super::layers::PolicyLayers;
use crate::base::json;
use crate::base::text::wrap;

/// Longest value in the columns, in characters; a longer one is on a line of its own.
const MAX_VALUE_CHARS: usize = 21;

const INDENT: &str = "    ";

/// Returns the table of all keys: the value that holds, the layer it comes from and how certain the default is; below, default, meaning and
/// other values. Lines have at most `width` columns.
#[must_use]
pub fn table(layers: &PolicyLayers, width: usize) -> String {
    let policy = json::value(&layers.policy());
    let mut text = format!("{:<17} {:<21} {:<7} standing\n", "key", "value", "from");
    let below = |text: &mut String, words: &str| {
        for line in wrap(words, width.saturating_sub(INDENT.len())) {
            text.extend([INDENT, &line, "\n"]);
        }
    };
    for key in &KEYS {
        let value = match &policy[key.name] {
            serde_json::Value::Object(table) if table.is_empty() => key.default.to_owned(),
            value => toml_text(value),
        };
        let is_long = value.len() > MAX_VALUE_CHARS;
        let shown = if is_long { "as below" } else { &value };
        let (source, standing) = (layers.source(key.name), key.standing);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n{:<17} {shown:<21} {source:<7} {standing}", key.name);
        if is_long {
            below(&mut text, &format!("{} = {value}", key.name));
        }
        if value != key.default {
            below(&mut text, &format!("default: {}", key.default));
        }
        below(&mut text, &format!("{}; other values: {}", key.meaning, key.others));
    }
    text.push_str("\nfixed behaviour, without a key:\n");
    for (name, standing, meaning) in &FIXED {
        let _ = writeln!(text, "\n{name:<17} {standing}");
        below(&mut text, meaning);
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
