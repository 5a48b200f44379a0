//! Reads values that people write, in files and in requests, and says in their words what cannot be read: the key, what was found, what
//! is wanted, and what to write. The type says how; its JSON Schema says what is wanted, with an example.
//!
//! All mistakes are reported, not only the first: a wrong value is replaced by one that is accepted in its place, and reading goes on.
//! So what a message proposes was tried.

use std::cell::LazyCell;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use super::strict::Strict;
use super::suggestion;
use super::wording::{Notation, Wording};

/// A value that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misread {
    /// Keys and indices that lead to the value, or to where it is missing.
    pub path: Vec<String>,
    /// What is wrong, and what to write.
    pub message: String,
    /// What was probably meant.
    pub hint: Option<String>,
    pub mistake: Mistake,
}

/// What is wrong at the path of a [`Misread`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    Value,
    /// The key itself.
    Key,
    /// The key is missing.
    Missing,
}

/// Max reported mistakes of one document: each costs another reading.
pub const MAX_MISREAD: usize = 50;

/// Reads a value.
///
/// # Errors
/// The first mistake.
pub fn read<T: DeserializeOwned + JsonSchema>(value: Value, notation: Notation) -> Result<T, Misread> {
    let (read, misread) = repaired(value, notation, 1);
    match (misread.into_iter().next(), read) {
        (None, Some(read)) => Ok(read),
        (first, _) => Err(first.unwrap_or_default()),
    }
}

/// Reads a value. Returns all mistakes, at most [`MAX_MISREAD`], and what was read, with made-up values in place of the wrong ones;
/// `None` when there is no value in their place.
pub fn read_all<T: DeserializeOwned + JsonSchema>(
    value: Value,
    notation: Notation,
) -> (Option<T>, Vec<Misread>) {
    repaired(value, notation, MAX_MISREAD)
}

impl Default for Misread {
    fn default() -> Misread {
        Misread {
            path: Vec::new(),
            message: "cannot be read".to_owned(),
            hint: None,
            mistake: Mistake::Value,
        }
    }
}

/// A failed attempt to read: where, and serde's message.
struct FailedAttempt {
    path: Vec<Segment>,
    message: String,
}

fn attempt<T: DeserializeOwned>(value: &Value) -> Result<T, FailedAttempt> {
    serde_path_to_error::deserialize(Strict(value)).map_err(|error| FailedAttempt {
        path: error.path().iter().filter(|part| !is_nameless(part)).cloned().collect(),
        message: error.into_inner().to_string(),
    })
}

/// Whether a part of serde's path is not a part of the document.
fn is_nameless(part: &Segment) -> bool {
    matches!(part, Segment::Enum { .. } | Segment::Unknown)
}

fn repaired<T: DeserializeOwned + JsonSchema>(
    mut value: Value,
    notation: Notation,
    max: usize,
) -> (Option<T>, Vec<Misread>) {
    let wording = LazyCell::new(|| Wording::of::<T>(notation));
    let mut misread: Vec<Misread> = Vec::new();
    loop {
        let FailedAttempt { path, message } = match attempt::<T>(&value) {
            Ok(read) => return (Some(read), misread),
            Err(failure) => failure,
        };
        let names: Vec<String> = path.iter().map(name).collect();
        if misread.len() == max || misread.iter().any(|before| before.path == names) {
            return (None, misread);
        }
        misread.push(repair::<T>(&mut value, names, &message, &wording));
    }
}

fn name(part: &Segment) -> String {
    match part {
        Segment::Map { key } => key.clone(),
        Segment::Seq { index } => index.to_string(),
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    }
}

/// Describes the mistake at `path`, and replaces it in `value`.
fn repair<T: DeserializeOwned>(
    value: &mut Value,
    mut path: Vec<String>,
    message: &str,
    wording: &Wording,
) -> Misread {
    if let Some(key) = quoted_name(message, "unknown field `") {
        remove(value, &path);
        let hint = suggestion::hint(message);
        return Misread { path, message: format!("unknown key `{key}`"), hint, mistake: Mistake::Key };
    }
    if let Some(key) = quoted_name(message, "missing field `") {
        path.push(key.to_owned());
        let example = wording.example(&path);
        let message = wording.missing(&path, example.as_ref());
        set(value, &path, example.unwrap_or_default());
        return Misread { path, message, hint: None, mistake: Mistake::Missing };
    }
    let found = get(value, &path).cloned().unwrap_or_default();
    let is_type = ["invalid type", "invalid value", "invalid length", "unknown variant"]
        .iter()
        .any(|start| message.starts_with(start));
    let near = suggestion::near(message).map(Value::from);
    let proposals = near.into_iter().chain(wording.proposals(&path, &found, is_type));
    let accepted = proposals.into_iter().find(|proposal| {
        set(value, &path, proposal.clone());
        attempt::<T>(value).err().is_none_or(|failure| !is_at_or_below(&failure.path, &path))
    });
    let mistake = if accepted.is_some() { Mistake::Value } else { Mistake::Key };
    if accepted.is_none() {
        // No value is accepted: the key itself is wrong, or nothing is known about it.
        remove(value, &path);
    }
    // The standard library's words.
    let message = message.replace("invalid IP address syntax", "it is not an IP address");
    let text = if is_type {
        wording.wrong_type(&path, &found, accepted.as_ref())
    } else {
        wording.wrong_form(&path, &found, &message, accepted.as_ref())
    };
    Misread { path, message: text, hint: None, mistake }
}

fn quoted_name<'a>(message: &'a str, start: &str) -> Option<&'a str> {
    message.strip_prefix(start)?.split('`').next()
}

fn is_at_or_below(path: &[Segment], place: &[String]) -> bool {
    path.len() >= place.len() && path.iter().zip(place).all(|(part, key)| name(part) == *key)
}

fn step<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    match value {
        Value::Object(members) => members.get_mut(key),
        Value::Array(entries) => entries.get_mut(key.parse::<usize>().ok()?),
        _ => None,
    }
}

/// Returns the value that a path leads to.
pub fn get<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| match value {
        Value::Object(members) => members.get(key),
        Value::Array(entries) => entries.get(key.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Sets the value that a path leads to; a table may lack the last key.
fn set(value: &mut Value, path: &[String], new: Value) {
    let Some((last, parents)) = path.split_last() else { return *value = new };
    let parent = parents.iter().try_fold(value, |value, key| step(value, key));
    match parent {
        Some(Value::Object(members)) => drop(members.insert(last.clone(), new)),
        Some(parent) => drop(step(parent, last).map(|place| *place = new)),
        None => {}
    }
}

fn remove(value: &mut Value, path: &[String]) {
    let Some((last, parents)) = path.split_last() else { return *value = Value::Object(Default::default()) };
    if let Some(Value::Object(members)) = parents.iter().try_fold(value, |value, key| step(value, key)) {
        members.shift_remove(last);
    }
}
