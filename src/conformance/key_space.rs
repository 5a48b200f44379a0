//! The values that a policy key may have, for the search: the named ones, and for keys with any text or code those that were seen.

use serde_json::{Value, json};

use super::answer::MASKED_NIK;
use super::cases::CASES;
use super::observation::{Observation, is_form, spec_of};
use crate::base::json as own_json;
use crate::domain::policy::{KEYS, Policy, PolicySpec};
use crate::protocol::{Code, NumberMode, number};

/// A key and the values to compare.
#[derive(Debug)]
pub struct KeySpace {
    /// Such as `layout`, or `shape.5001`.
    pub key: String,
    /// Of a shape.
    pub code: Option<String>,
    pub values: Vec<PolicySpec>,
}

/// A text that no endpoint sends: where it would not be noticed, nothing prints the key.
const NEVER: &str = "?";
/// A code that no endpoint sends.
const NEVER_CODE: &str = "NEVER";
/// A number of candidates that no endpoint returns.
const MANY: u64 = 1000;

impl KeySpace {
    fn new(key: &str, values: impl IntoIterator<Item = Value>) -> KeySpace {
        let values = values.into_iter().filter_map(|value| spec_of(key, &value)).collect();
        KeySpace { key: key.to_owned(), code: key.strip_prefix("shape.").map(str::to_owned), values }
    }

    /// Whether the key decides the form of an answer.
    #[must_use]
    pub fn is_form(&self) -> bool {
        is_form(&self.key)
    }

    /// Whether a value is only there to see whether another one would be noticed.
    #[must_use]
    pub fn is_never(&self, spec: &PolicySpec) -> bool {
        let value = self.member(&own_json::value(spec));
        [&value, &value["code"]].into_iter().any(|one| one == NEVER || one == NEVER_CODE || one == MANY)
    }

    /// A value for a person.
    #[must_use]
    pub fn shown(&self, spec: &PolicySpec) -> String {
        if self.is_never(spec) {
            return "any other value".to_owned();
        }
        self.member(&own_json::value(spec)).to_string()
    }

    /// The value that a policy has.
    #[must_use]
    pub fn value_in(&self, policy: &Policy) -> Option<PolicySpec> {
        let value = match &self.code {
            Some(code) => json!(policy.shape_of(&Code::new(code).ok()?)),
            None => self.member(&own_json::value(policy)),
        };
        spec_of(&self.key, &value)
    }

    /// Both keys at once, for answers that tell either only if the other is right. It has the key of the first.
    #[must_use]
    pub fn with(&self, other: &KeySpace) -> KeySpace {
        let both = |own: &PolicySpec| {
            other.values.iter().map(|value| own.clone().overlaid(value)).collect::<Vec<_>>()
        };
        KeySpace { key: self.key.clone(), code: None, values: self.values.iter().flat_map(both).collect() }
    }

    fn member(&self, written: &Value) -> Value {
        self.key.split('.').fold(written, |value, name| &value[name]).clone()
    }

    /// Whether a policy's value was masked, so that it is not known: `is_recorded` says that all of uid and any unusual text is.
    #[must_use]
    pub fn is_masked_in(&self, policy: &Policy, is_recorded: bool) -> bool {
        let written = own_json::value(policy);
        let value = self.member(&written);
        let texts = [&value, &value["error"]].into_iter().filter_map(Value::as_str);
        let is_masked = |text: &str| text.contains(MASKED_NIK) || (is_recorded && has_masks(text));
        (self.key == "uid" && is_recorded) || texts.into_iter().any(is_masked)
    }

    /// The cases that ask it.
    #[must_use]
    pub fn asked_by(&self) -> String {
        let asking = CASES.iter().filter(|case| case.keys.contains(&self.key.as_str()));
        asking.map(|case| case.id).collect::<Vec<_>>().join(" or ")
    }
}

/// The spaces of all keys but the order of the checks and what uses up quota, in the order in which they are searched: decisions first.
#[must_use]
pub fn key_spaces(observations: &[Observation]) -> Vec<KeySpace> {
    let bodies = || observations.iter().filter_map(|one| Some((one, one.body.as_ref()?)));
    let codes = |key: &str| {
        let seen = bodies().filter(|(one, _)| one.bears_on(key)).map(|(_, body)| body.code.clone());
        distinct(seen.chain([NEVER_CODE.to_owned()]))
    };
    let not_found = bodies().filter(|(one, _)| one.bears_on("not_found")).map(|(_, body)| {
        let known = Code::new(&body.code).map(|code| code.message().to_owned()).unwrap_or_default();
        let is_known = !known.is_empty() && known.trim() == body.message.trim();
        match (body.code.as_str(), is_known) {
            ("6018" | "6019", true) => json!(body.code),
            (code, true) => json!({ "code": code }),
            (code, false) => json!({ "code": code, "error": body.message }),
        }
    });
    let printed = |value: fn(&super::comparable::ReadBody) -> Option<&String>| {
        distinct(bodies().filter_map(|(_, body)| value(body).cloned()))
    };
    let has_typographic_quotes = observations
        .iter()
        .filter_map(|one| one.seen.content.as_ref())
        .any(|content| content.body.contains(['\u{201C}', '\u{201D}']));
    let layouts = ["documented", "compact", "as-printed"];
    // Only a word processor writes such quotes, so they are believed when they are seen.
    let layouts = layouts.into_iter().filter(|name| has_typographic_quotes || *name != "as-printed");
    let results = printed(|body| body.max_results.as_ref()).into_iter();
    let results = results.filter_map(|text| text.as_str()?.parse::<u64>().ok());
    let mut spaces = vec![
        KeySpace::new("malformed_json", ["5004", "400"].map(Value::from)),
        KeySpace::new("content_type", ["any", "415"].map(Value::from)),
        KeySpace::new("accept", ["any", "406"].map(Value::from)),
        KeySpace::new("numbers", ["strict", "loose"].map(Value::from)),
        KeySpace::new("unknown_customer", codes("unknown_customer")),
        KeySpace::new("wrong_methode", codes("wrong_methode")),
        KeySpace::new("bad_image", ["5004", "6015"].map(Value::from)),
        KeySpace::new("base64", ["strict", "mime"].map(Value::from)),
        KeySpace::new("not_found", not_found.chain([json!({ "code": NEVER_CODE })])),
        KeySpace::new("head", ["plain", "tomcat"].map(Value::from)),
    ];
    for code in printed(|body| Some(&body.code)) {
        let key = format!("shape.{}", code.as_str().unwrap_or_default());
        spaces.push(KeySpace::new(&key, ["identification", "verification"].map(Value::from)));
    }
    spaces.extend([
        KeySpace::new("layout", layouts.map(Value::from)),
        KeySpace::new("types", ["documented", "native"].map(Value::from)),
        KeySpace::new("trim_messages", [false, true].map(Value::from)),
        KeySpace::new("transaction_id", ["echo", "literal"].map(Value::from)),
        KeySpace::new("uid", texts(printed(|body| body.uid.as_ref()))),
        KeySpace::new("face_threshold", face_thresholds(observations)),
        KeySpace::new("max_results", results.chain([MANY]).map(Value::from)),
    ]);
    debug_assert!(spaces.iter().all(|space| KEYS.iter().any(|key| space.key.starts_with(key.name))));
    spaces
}

/// Whether a word of a text is masked.
fn has_masks(text: &str) -> bool {
    text.split(' ').any(|word| !word.is_empty() && word.bytes().all(|byte| byte == b'X'))
}

fn distinct(texts: impl Iterator<Item = String>) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    for text in texts {
        if !found.contains(&json!(text)) {
            found.push(json!(text));
        }
    }
    found
}

fn texts(mut seen: Vec<Value>) -> Vec<Value> {
    seen.push(json!(NEVER));
    seen
}

/// Values of `face_threshold`: a literal is believed only where no named value prints what was seen.
fn face_thresholds(observations: &[Observation]) -> Vec<Value> {
    let printed = |one: &Observation| {
        let text = one.body.as_ref().filter(|body| body.code.starts_with('6'))?.face_threshold.clone()?;
        let sent = one.threshold.as_str();
        let echoed = number::read(sent, NumberMode::Strict).map(number::java_double);
        (text != sent && Some(&text) != echoed.as_ref()).then_some(text)
    };
    let named = ["echo", "verbatim"].map(str::to_owned).into_iter();
    texts(distinct(named.chain(observations.iter().filter_map(printed))))
}
