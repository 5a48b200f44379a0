//! The table that `check --policy` prints.

use std::fmt::Write;

use jiff::Timestamp;
use jiff::civil::Date;

use super::keys::{FIXED, FixedBehaviour, KEYS, PolicyKey};
use super::layers::PolicyLayers;
use super::measured::Measurement;
use crate::base::json;
use crate::base::text::wrap;
use crate::base::time;
use crate::protocol::{Code, Provenance};

/// Longest value in the columns, in characters; a longer one is on a line of its own.
const MAX_VALUE_CHARS: usize = 21;

const INDENT: &str = "    ";

/// Days after which a measurement is called stale.
const FRESH_DAYS: i32 = 365;

/// Returns the table of all keys: the value that holds, the layer it comes from and how certain it is; below, how it was measured, default,
/// meaning and other values. Lines have at most `width` columns. `today` tells which measurements are old.
#[must_use]
pub fn table(layers: &PolicyLayers, width: usize, today: Date) -> String {
    let resolved = layers.policy();
    let policy = json::value(&resolved);
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
        let measurements: Vec<_> = layers.measurements(key.name).collect();
        let standing = if measurements.is_empty() { key.standing } else { Provenance::Measured };
        let source = layers.source(key.name);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n{:<17} {shown:<21} {source:<7} {standing}", key.name);
        if is_long {
            below(&mut text, &format!("{} = {value}", key.name));
        }
        for measurement in measurements {
            // Of a shape, each code has a value of its own.
            let differs = match measurement.key.strip_prefix("shape.").map(Code::new) {
                Some(Ok(code)) => resolved.shape_of(&code) != code.shape(),
                _ => value != key.default,
            };
            below(&mut text, &measured(measurement, key, differs, today));
        }
        if value != key.default {
            below(&mut text, &format!("default: {}", key.default));
        }
        below(&mut text, &format!("{}; other values: {}", key.meaning, key.others));
    }
    text.push_str("\nfixed behaviour, without a key:\n");
    for FixedBehaviour { name, standing, meaning, .. } in &FIXED {
        let _ = writeln!(text, "\n{name:<17} {standing}");
        below(&mut text, meaning);
    }
    text
}

/// Says when and how a key was measured, what that contradicts, and whether it is old.
fn measured(measurement: &Measurement, key: &PolicyKey, differs: bool, today: Date) -> String {
    let Measurement { key: name, at, target, cases, .. } = measurement;
    let part = if name == key.name { String::new() } else { format!("{name} ") };
    let at_target = if target.is_empty() { String::new() } else { format!(" at {target}") };
    let day = at.parse::<Timestamp>().ok().map(time::jakarta_day);
    let shown = day.map_or_else(|| at.clone(), |day| day.to_string());
    let against = if differs && key.standing == Provenance::Doc { ", against the document" } else { "" };
    let is_old = day.and_then(|day| today.since(day).ok()).is_some_and(|span| span.get_days() > FRESH_DAYS);
    let stale = if is_old { "; stale: more than a year old" } else { "" };
    format!("{part}measured {shown}{at_target} by {}{against}{stale}", cases.join(", "))
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
