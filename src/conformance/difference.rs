//! How an answer differs from the expected one, in words.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::answer::straight;
use super::comparable::{Comparable, ComparableContent, read_body};

/// What of an answer differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DifferenceKind {
    /// The code, or the status.
    Code,
    Shape,
    KeyOrder,
    Types,
    WhiteSpace,
    NumberFormat,
    Message,
    Value,
    Header,
    Framing,
}

impl fmt::Display for DifferenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            DifferenceKind::Code => "code",
            DifferenceKind::Shape => "shape",
            DifferenceKind::KeyOrder => "key order",
            DifferenceKind::Types => "types",
            DifferenceKind::WhiteSpace => "white space",
            DifferenceKind::NumberFormat => "number format",
            DifferenceKind::Message => "message",
            DifferenceKind::Value => "value",
            DifferenceKind::Header => "header",
            DifferenceKind::Framing => "framing",
        })
    }
}

/// One way in which an answer differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerDifference {
    pub kind: DifferenceKind,
    /// What came, and what was expected.
    pub what: String,
}

impl AnswerDifference {
    pub fn new(kind: DifferenceKind, what: impl Into<String>) -> AnswerDifference {
        AnswerDifference { kind, what: what.into() }
    }
}

impl fmt::Display for AnswerDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            // The others name it themselves.
            DifferenceKind::Code | DifferenceKind::Header => write!(f, "{} {}", self.kind, self.what),
            _ => f.write_str(&self.what),
        }
    }
}

impl Comparable {
    /// How this answer differs from the expected one as far as a policy decides it; empty when it does not.
    #[must_use]
    pub fn differences(&self, expected: &Comparable) -> Vec<AnswerDifference> {
        let (Some(own), Some(other)) = (&self.content, &expected.content) else {
            return self.status_difference(expected).into_iter().collect();
        };
        let mut found = own.differences(other);
        if own.is_title_case != other.is_title_case {
            let case = |is_title: bool| if is_title { "Title-Case" } else { "lower-case" };
            let what = format!("names {}, expected {}", case(own.is_title_case), case(other.is_title_case));
            found.push(AnswerDifference::new(DifferenceKind::Header, what));
        }
        found
    }

    /// How this answer differs from the expected one, with the fields of both heads (see [`compared_fields`]).
    #[must_use]
    pub fn all_differences(&self, expected: &Comparable, heads: [Vec<String>; 2]) -> Vec<AnswerDifference> {
        let (Some(own), Some(other)) = (&self.content, &expected.content) else {
            return self.status_difference(expected).into_iter().collect();
        };
        let mut found = own.differences(other);
        let [own, other] = heads;
        if own != other {
            let what = format!("{}, expected {}", own.join(", "), other.join(", "));
            found.push(AnswerDifference::new(DifferenceKind::Header, what));
        }
        found
    }

    /// The difference of the status, which is told by the code where there is one.
    fn status_difference(&self, expected: &Comparable) -> Option<AnswerDifference> {
        if self.status == expected.status {
            return None;
        }
        let shown = |one: &Comparable| {
            let body = one.content.as_ref().and_then(|content| read_body(&content.body));
            body.map_or_else(|| format!("none (HTTP {})", one.status), |body| body.code)
        };
        let what = format!("{}, expected {}", shown(self), shown(expected));
        Some(AnswerDifference::new(DifferenceKind::Code, what))
    }
}

impl ComparableContent {
    /// How body and framing differ from the expected ones.
    fn differences(&self, expected: &ComparableContent) -> Vec<AnswerDifference> {
        let mut found = bodies(&self.body, &expected.body);
        if self.framing != expected.framing {
            let what = format!("framing {:?}, expected {:?}", self.framing, expected.framing);
            found.push(AnswerDifference::new(DifferenceKind::Framing, what));
        }
        found
    }
}

/// Whether a head says that the connection ends.
#[must_use]
pub fn closes(head: &[String]) -> bool {
    head.iter().any(|line| line.to_ascii_lowercase().replace(' ', "") == "connection:close")
}

/// What of a head is compared: the status line, and header fields in order, by their names where values depend on time. `any_connection` says
/// that it does not matter what becomes of the connection.
#[must_use]
pub fn compared_fields(head: &[String], any_connection: bool) -> Vec<String> {
    let field = |line: &String| {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        match name.to_ascii_lowercase().as_str() {
            "content-length" | "transfer-encoding" => None,
            "connection" | "keep-alive" if any_connection => None,
            "connection" | "content-type" => Some(format!("{name}:{value}")),
            _ => Some(name.trim_end().to_owned()),
        }
    };
    head.iter().filter_map(field).collect()
}

/// How two bodies differ.
fn bodies(own: &str, other: &str) -> Vec<AnswerDifference> {
    if own == other {
        return Vec::new();
    }
    let (Some(read), Some(expected)) = (read_body(own), read_body(other)) else {
        return vec![AnswerDifference::new(DifferenceKind::Shape, "a body of neither shape")];
    };
    if read.code != expected.code {
        return vec![AnswerDifference::new(
            DifferenceKind::Code,
            format!("{}, expected {}", read.code, expected.code),
        )];
    }
    let of = |what: &str| format!("{what} of {}", read.code);
    if read.shape != expected.shape {
        let shown = |shape| format!("{shape:?}").to_lowercase();
        let what = format!("{} {}, expected {}", of("shape"), shown(read.shape), shown(expected.shape));
        return vec![AnswerDifference::new(DifferenceKind::Shape, what)];
    }
    let [own_members, other_members] = [own, other].map(members);
    let mut found = Vec::new();
    let keys = |members: &[(String, Value)]| members.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    let (own_keys, other_keys) = (keys(&own_members), keys(&other_members));
    if own_keys != other_keys {
        let sorted = |mut keys: Vec<String>| {
            keys.sort();
            keys
        };
        let is_order = sorted(own_keys.clone()) == sorted(other_keys.clone());
        let kind = if is_order { DifferenceKind::KeyOrder } else { DifferenceKind::Shape };
        let what = format!("{} {}, expected {}", of("keys"), own_keys.join(" "), other_keys.join(" "));
        found.push(AnswerDifference::new(kind, what));
    }
    for (key, value) in &own_members {
        let expected = other_members.iter().find(|(other, _)| other == key).map(|(_, value)| value);
        let Some(expected) = expected.filter(|expected| *expected != value) else { continue };
        let what = format!("{} {value}, expected {expected}", of(key));
        found.push(AnswerDifference::new(kind_of(key, value, expected), what));
    }
    if found.is_empty() {
        found.push(AnswerDifference::new(
            DifferenceKind::WhiteSpace,
            format!("{} or quotes", of("white space")),
        ));
    }
    found
}

fn kind_of(key: &str, own: &Value, other: &Value) -> DifferenceKind {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let number = |value: &Value| text(value).trim().parse::<f64>().ok();
    if std::mem::discriminant(own) != std::mem::discriminant(other) {
        return if own.is_null() || other.is_null() { DifferenceKind::Value } else { DifferenceKind::Types };
    }
    let without_digits =
        |value: &Value| text(value).replace(|c: char| c.is_ascii_digit() || ".eE+-".contains(c), "");
    match key {
        "error" | "error.errorMessage" => DifferenceKind::Message,
        "response" if without_digits(own) == without_digits(other) => DifferenceKind::NumberFormat,
        _ if number(own).is_some() && number(own) == number(other) => DifferenceKind::NumberFormat,
        _ => DifferenceKind::Value,
    }
}

/// The members of a body and of its objects, in order.
fn members(body: &str) -> Vec<(String, Value)> {
    let Ok(Value::Object(members)) = serde_json::from_str::<Value>(&straight(body)) else {
        return Vec::new();
    };
    let flat = |(key, value): (String, Value)| match value {
        Value::Object(inner) => {
            inner.into_iter().map(|(name, value)| (format!("{key}.{name}"), value)).collect::<Vec<_>>()
        }
        value => vec![(key, value)],
    };
    members.into_iter().flat_map(flat).collect()
}
