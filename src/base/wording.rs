//! Words for values that cannot be read, from the JSON Schema of their type: what is wanted, and an example.

use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::json_schema::schema_of;
use super::text;

/// How the writer's document is written; messages use the same form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notation {
    Toml,
    Json,
}

/// Key of a value that TOML has and JSON has not: a date, nan or an infinity. It is accepted nowhere.
pub const ONLY_TOML: &str = "$toml";

/// Max length of a proposal made from what was found, in characters.
const MAX_PROPOSAL_CHARS: usize = 60;

/// Describes mistakes in values of one type.
pub(super) struct Wording {
    schema: Value,
    notation: Notation,
}

impl Wording {
    pub(super) fn of<T: JsonSchema>(notation: Notation) -> Wording {
        Wording { schema: schema_of::<T>(), notation }
    }

    /// Returns a value that is accepted at the path; `None` when the schema has no such key.
    pub(super) fn example(&self, path: &[String]) -> Option<Value> {
        self.example_of(self.at(path)?)
    }

    /// Returns values that may be accepted at the path, the likeliest first: the found one in another type, then the example.
    pub(super) fn proposals(&self, path: &[String], found: &Value, is_type: bool) -> Vec<Value> {
        let mut proposals = Vec::new();
        if is_type && !self.is_secret(path) {
            match found {
                Value::Number(number) if self.takes_numbers_as_text(path) => {
                    proposals.push(json!(number.to_string()));
                }
                Value::String(text) => proposals.extend(serde_json::from_str(text.trim())),
                Value::Array(entries) if entries.len() == 1 => proposals.extend(entries.first().cloned()),
                _ => {}
            }
            if !found.is_array() {
                proposals.push(json!([found]));
            }
            proposals.retain(|value| {
                !value.is_null() && self.written(value).chars().count() <= MAX_PROPOSAL_CHARS
            });
        }
        proposals.extend(self.example(path));
        proposals
    }

    /// Describes a key that is missing.
    pub(super) fn missing(&self, path: &[String], example: Option<&Value>) -> String {
        let key = path.last().map_or("", String::as_str);
        format!("{key} is missing{}", self.advice(": ", path, example))
    }

    /// Describes a value of a wrong type.
    pub(super) fn wrong_type(&self, path: &[String], found: &Value, proposal: Option<&Value>) -> String {
        let wanted = self.at(path).and_then(|schema| self.wanted(schema));
        let wanted = wanted.unwrap_or_else(|| "something else".to_owned());
        let found = self.found(path, found);
        format!("{} must be {wanted}, not {found}{}", self.subject(path), self.advice(": ", path, proposal))
    }

    /// Describes a value of a wrong form: `message` is its parser's.
    pub(super) fn wrong_form(
        &self,
        path: &[String],
        found: &Value,
        message: &str,
        proposal: Option<&Value>,
    ) -> String {
        let key = named_key(path);
        let value = self.written(found);
        let shows = |text: &str| message.contains(text) || message.contains(&text::quoted(text));
        let shows_value = found.as_str().is_some_and(|text| !text.is_empty() && shows(text))
            || (!found.is_string() && message.contains(&value));
        let short = value.chars().count() <= MAX_PROPOSAL_CHARS && !text::is_long_base64(&value);
        let hides_value = shows_value || !short || self.is_secret(path) || proposal.is_none();
        let subject = if message.starts_with(key) || (hides_value && message.contains(key)) {
            String::new()
        } else if hides_value {
            format!("{key}: ")
        } else {
            format!("{}: ", self.assigned(key, &value))
        };
        let advises = ["write ", "such as", "did you mean"].iter().any(|word| message.contains(word));
        let advice = if advises { String::new() } else { self.advice("; ", path, proposal) };
        format!("{subject}{message}{advice}")
    }

    /// Returns `write key = example` behind a separator, or nothing without an example.
    fn advice(&self, separator: &str, path: &[String], example: Option<&Value>) -> String {
        let Some(example) = example else { return String::new() };
        let is_entry = path.last().is_some_and(|last| is_index(last));
        let parent = &path[..path.len().saturating_sub(1)];
        let whole = if is_entry && !self.is_tuple(parent) { Some(json!([example])) } else { None };
        let whole = whole.or_else(|| if is_entry { self.example(parent) } else { None });
        let value = self.written(whole.as_ref().unwrap_or(example));
        let written = if path.is_empty() { value } else { self.assigned(named_key(path), &value) };
        format!("{separator}write {written}")
    }

    fn assigned(&self, key: &str, value: &str) -> String {
        let bare =
            !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        match self.notation {
            Notation::Toml if bare => format!("{key} = {value}"),
            Notation::Toml => format!("{} = {value}", json!(key)),
            Notation::Json => format!("{}: {value}", json!(key)),
        }
    }

    /// Returns a value as it is written in the document.
    fn written(&self, value: &Value) -> String {
        match (self.notation, value) {
            (Notation::Toml, Value::Array(entries)) => {
                let entries: Vec<_> = entries.iter().map(|entry| self.written(entry)).collect();
                format!("[{}]", entries.join(", "))
            }
            (Notation::Toml, Value::Object(members)) => match only_toml(members) {
                Some(text) => text.to_owned(),
                None => {
                    let member = |(key, value): (&String, &Value)| self.assigned(key, &self.written(value));
                    let members: Vec<_> = members.iter().map(member).collect();
                    format!("{{ {} }}", members.join(", "))
                }
            },
            _ => value.to_string(),
        }
    }

    /// Returns what stands where something else is wanted; of a secret only its type.
    fn found(&self, path: &[String], found: &Value) -> String {
        let table = self.table();
        match found {
            Value::Null => "null".to_owned(),
            Value::String(_) if self.is_secret(path) => "text".to_owned(),
            Value::Number(_) if self.is_secret(path) => "a number".to_owned(),
            Value::String(written) => format!("the text {}", text::quoted(written)),
            Value::Number(number) => format!("the number {number}"),
            Value::Bool(flag) => flag.to_string(),
            Value::Array(entries) => format!("a list of {}", entries.len()),
            Value::Object(members) => only_toml(members).map_or_else(|| table.to_owned(), str::to_owned),
        }
    }

    fn table(&self) -> &'static str {
        if self.notation == Notation::Toml { "a table" } else { "an object" }
    }

    fn subject(&self, path: &[String]) -> String {
        match path.last() {
            None => if self.notation == Notation::Toml { "the file" } else { "the body" }.to_owned(),
            Some(last) if is_index(last) => format!("each entry of {}", named_key(path)),
            Some(last) => last.clone(),
        }
    }

    /// Returns what the schema accepts, in words; `None` when it does not say.
    fn wanted(&self, schema: &Value) -> Option<String> {
        let forms = self.forms(schema);
        let values = |form: &&Value| form.get("const").or_else(|| form.get("enum")).is_some();
        let any_text = forms.iter().any(|form| has_type(form, "string") && !values(form));
        let mut words: Vec<String> = Vec::new();
        for form in forms {
            let listed = form.get("const").into_iter().chain(form["enum"].as_array().into_iter().flatten());
            let listed: Vec<_> = listed.map(|value| self.written(value)).collect();
            let new = if listed.is_empty() {
                ["string", "integer", "number", "boolean", "array", "object"]
                    .into_iter()
                    .filter(|name| has_type(form, name))
                    .map(|name| self.type_words(name, form))
                    .collect()
            } else if any_text {
                vec!["text in quotes".to_owned()]
            } else {
                listed
            };
            new.into_iter().for_each(|word| {
                if !words.contains(&word) {
                    words.push(word)
                }
            });
        }
        let last = words.pop()?;
        Some(if words.is_empty() { last } else { format!("{} or {last}", words.join(", ")) })
    }

    fn type_words(&self, name: &str, form: &Value) -> String {
        match name {
            "string" => "text in quotes".to_owned(),
            "integer" => format!("a whole number{}", bounds(form)),
            "number" => format!("a number{}", bounds(form)),
            "boolean" => "true or false".to_owned(),
            "array" => match (form["minItems"].as_u64(), form["maxItems"].as_u64()) {
                (Some(min), Some(max)) if min == max => format!("a list of {min}"),
                _ => "a list".to_owned(),
            },
            _ => self.table().to_owned(),
        }
    }

    /// Returns the schema at a path, with its own descriptions; `None` when there is none.
    fn at(&self, path: &[String]) -> Option<&Value> {
        path.iter().try_fold(&self.schema, |schema, key| {
            self.forms(schema).into_iter().find_map(|form| match form.get("items") {
                Some(Value::Array(items)) => items.get(key.parse::<usize>().ok()?),
                Some(item) => is_index(key).then_some(item),
                None => member(form, key),
            })
        })
    }

    /// Whether a number in quotes is likely meant: the type checks it, or its example is one.
    fn takes_numbers_as_text(&self, path: &[String]) -> bool {
        let Some(schema) = self.at(path) else { return false };
        let example = self.example_of(schema);
        self.forms(schema).len() > 1 || example.is_some_and(|value| value.as_str().is_some_and(is_index))
    }

    fn is_tuple(&self, path: &[String]) -> bool {
        let forms = self.at(path).map(|schema| self.forms(schema));
        forms.into_iter().flatten().any(|form| form.get("items").is_some_and(Value::is_array))
    }

    fn is_secret(&self, path: &[String]) -> bool {
        // OpenAPI's hint for what is not shown. Not `writeOnly`: GET returns accounts.
        let is_secret = |schema: &Value| schema["format"] == "password";
        let holds_secrets = |schema: &&Value| {
            is_secret(schema)
                || schema["properties"].as_object().is_some_and(|members| members.values().any(is_secret))
        };
        self.at(path).is_some_and(|schema| self.forms(schema).iter().any(holds_secrets))
    }

    /// Returns the alternatives of a schema: itself, what it refers to, and all that these consist of.
    fn forms<'a>(&'a self, schema: &'a Value) -> Vec<&'a Value> {
        let referred =
            schema["$ref"].as_str().and_then(|name| self.schema.pointer(name.trim_start_matches('#')));
        let parts =
            ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|name| schema[name].as_array()).flatten();
        let below = referred.into_iter().chain(parts).flat_map(|part| self.forms(part));
        std::iter::once(schema).chain(below).collect()
    }

    fn example_of(&self, schema: &Value) -> Option<Value> {
        let forms = self.forms(schema);
        let given = |form: &&Value| {
            let listed = ["examples", "enum"].into_iter().find_map(|name| form[name].as_array()?.first());
            listed.or_else(|| form.get("const")).cloned()
        };
        forms.iter().find_map(given).or_else(|| forms.into_iter().find_map(|form| self.composed(form)))
    }

    /// Composes an example of a type.
    fn composed(&self, form: &Value) -> Option<Value> {
        match form["type"].as_str()? {
            "boolean" => Some(json!(true)),
            "string" => Some(json!("text")),
            "integer" | "number" => Some(form.get("minimum").cloned().unwrap_or(json!(1))),
            "array" => match &form["items"] {
                Value::Array(items) => items.iter().map(|item| self.example_of(item)).collect(),
                item => Some(json!([self.example_of(item)?])),
            },
            "object" => {
                let required = form["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let mut keys: Vec<_> = required.collect();
                if keys.is_empty() {
                    keys.extend(form["properties"].as_object()?.keys().next().map(String::as_str));
                }
                let example = |key: &str| Some((key.to_owned(), self.example_of(member(form, key)?)?));
                keys.into_iter().map(example).collect::<Option<Map<_, _>>>().map(Value::Object)
            }
            _ => None,
        }
    }
}

fn only_toml(members: &Map<String, Value>) -> Option<&str> {
    members.get(ONLY_TOML)?.get(0)?.as_str()
}

fn is_index(key: &str) -> bool {
    key.bytes().all(|b| b.is_ascii_digit())
}

/// Returns the last key of a path that is not an index.
fn named_key(path: &[String]) -> &str {
    path.iter().rev().find(|key| !is_index(key)).map_or("", String::as_str)
}

fn has_type(form: &Value, name: &str) -> bool {
    match &form["type"] {
        Value::String(one) => one == name,
        Value::Array(many) => many.iter().any(|one| one == name),
        _ => false,
    }
}

/// Returns the schema of a table's key: a known one, or any.
fn member<'a>(form: &'a Value, key: &str) -> Option<&'a Value> {
    let any = || form["patternProperties"].as_object().and_then(|patterns| patterns.values().next());
    let other = || form.get("additionalProperties").filter(|schema| schema.is_object());
    form["properties"].get(key).or_else(any).or_else(other)
}

fn bounds(form: &Value) -> String {
    let number = |name: &str| form.get(name).filter(|value| value.is_number());
    let (min, max, above) = (number("minimum"), number("maximum"), number("exclusiveMinimum"));
    match (min, max, above) {
        (Some(min), Some(max), _) => format!(" from {min} to {max}"),
        (_, Some(max), Some(above)) => format!(" above {above}, at most {max}"),
        (Some(min), None, _) => format!(", {min} or more"),
        (None, Some(max), None) => format!(", at most {max}"),
        (None, None, Some(above)) => format!(" above {above}"),
        (None, None, None) => String::new(),
    }
}
