//! A TOML file as the type that it describes, with all its mistakes and where they stand.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value, json};
use toml::de::{DeTable, DeValue};

use super::problem::Problem;
use super::source::File;
use crate::base::reading::{self, MAX_MISREAD, Misread};
use crate::base::wording::{Notation, ONLY_TOML};

/// A file that could be read, perhaps with mistakes.
pub(super) struct ParsedFile<'a, T> {
    pub(super) text: &'a str,
    /// Its content. In the place of what is wrong stands a value that nobody wrote.
    pub(super) content: T,
    /// Paths of what is wrong.
    pub(super) wrong: Vec<Vec<String>>,
}

impl<T> ParsedFile<'_, T> {
    /// Whether a path leads to, into or around something wrong, so that a problem there may be a consequence.
    pub(super) fn is_wrong(&self, path: &[String]) -> bool {
        self.wrong.iter().any(|wrong| wrong.starts_with(path) || path.starts_with(wrong))
    }
}

/// Parses a TOML file. Adds all mistakes to `problems`, in the order of the file; `None` when nothing can be read.
pub(super) fn parse<'a, T: DeserializeOwned + JsonSchema>(
    file: &'a File,
    problems: &mut Vec<Problem>,
) -> Option<ParsedFile<'a, T>> {
    let text = match std::str::from_utf8(&file.bytes) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("is not UTF-8 at byte {}", error.valid_up_to() + 1);
            problems.push(Problem::of_file(&file.shown, message));
            return None;
        }
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let mut found: Vec<_> =
            errors.iter().map(|error| Problem::of_toml(&file.shown, text, error)).collect();
        found.sort_by_key(|problem| problem.position);
        // What follows in the same line is a consequence.
        found.dedup_by_key(|problem| problem.position.map(|(line, _)| line));
        problems.extend(found.into_iter().take(MAX_MISREAD));
        return None;
    }
    let (content, misread) = reading::read_all(json_of_table(table.get_ref()), Notation::Toml);
    let wrong = misread.iter().flat_map(wrong_paths).collect();
    let is_cut = misread.len() == MAX_MISREAD;
    let mut found: Vec<_> =
        misread.into_iter().map(|misread| Problem::of_misread(&file.shown, text, misread)).collect();
    found.sort_by_key(|problem| problem.position);
    if let Some(position) = found.last().map(|last| last.position).filter(|_| is_cut) {
        let more = Problem::of_file(&file.shown, "more may be wrong; correct these first");
        found.push(Problem { position, ..more });
    }
    problems.extend(found);
    content.map(|content| ParsedFile { text, content, wrong })
}

/// Returns the paths of what is wrong: the mistake's own, and that of the key which was meant and seems to be missing.
fn wrong_paths(misread: &Misread) -> impl Iterator<Item = Vec<String>> {
    let meant = misread.hint.as_ref().and_then(|hint| hint.split('`').nth(1));
    let sibling = meant.map(|meant| {
        let parent = misread.path.split_last().map_or(&[][..], |(_, parent)| parent);
        [parent, &[meant.to_owned()]].concat()
    });
    std::iter::once(misread.path.clone()).chain(sibling)
}

fn json_of_table(table: &DeTable) -> Value {
    let member =
        |(key, value): (&toml::Spanned<toml::de::DeString>, &toml::Spanned<DeValue>)| -> (String, Value) {
            (key.get_ref().to_string(), json_of(value.get_ref()))
        };
    Value::Object(table.iter().map(member).collect::<Map<_, _>>())
}

fn json_of(value: &DeValue) -> Value {
    match value {
        DeValue::String(text) => json!(text),
        DeValue::Boolean(flag) => json!(flag),
        DeValue::Integer(digits) => {
            let whole = i64::from_str_radix(digits.as_str(), digits.radix());
            whole.map_or_else(|_| number(&digits.to_string()), Value::from)
        }
        DeValue::Float(digits) => number(digits.as_str()),
        DeValue::Datetime(date) => json!({ ONLY_TOML: [date.to_string()] }),
        DeValue::Array(entries) => entries.iter().map(|entry| json_of(entry.get_ref())).collect(),
        DeValue::Table(table) => json_of_table(table),
    }
}

/// Returns a number; nan, infinities and what is too large are accepted nowhere.
fn number(digits: &str) -> Value {
    let number = digits.parse().ok().and_then(Number::from_f64);
    number.map_or_else(|| json!({ ONLY_TOML: [digits] }), Value::Number)
}
