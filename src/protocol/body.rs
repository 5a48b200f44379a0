//! Decoding: the bytes of a request to its seven fields, borrowed wherever JSON allows it.
//!
//! A body that is not JSON still yields a [`Body`], with the fault in it, so that every later check can say what it can
//! and cannot judge.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json_fault::{self, JsonFault};
use super::{number, photo};
use crate::base::text::{preview, quoted, truncate};

/// A field of the request (doc 2, the table of parameters).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    TransactionId,
    TransactionSource,
    Threshold,
    Image,
    UserId,
    Password,
    Ip,
}

/// What the document says of a field, and whether its value may be shown.
#[derive(Debug)]
pub struct FieldRule {
    /// The field this row is about.
    pub field: Field,
    /// Its key in the JSON object.
    pub name: &'static str,
    /// Longest value, in characters (Unicode scalar values).
    pub max_chars: Option<usize>,
    /// Credentials and photos are never shown, logged or journaled.
    pub secret: bool,
}

/// Doc 2, in its order. All seven are required and not empty (FIELD-NOTES, "Request", observed).
pub static FIELDS: [FieldRule; 7] = [
    FieldRule { field: Field::TransactionId, name: "transactionId", max_chars: Some(20), secret: false },
    FieldRule {
        field: Field::TransactionSource,
        name: "transactionSource",
        max_chars: Some(50),
        secret: false,
    },
    FieldRule { field: Field::Threshold, name: "threshold", max_chars: None, secret: false },
    FieldRule { field: Field::Image, name: "image", max_chars: None, secret: true },
    FieldRule { field: Field::UserId, name: "user_id", max_chars: None, secret: true },
    FieldRule { field: Field::Password, name: "password", max_chars: None, secret: true },
    FieldRule { field: Field::Ip, name: "ip", max_chars: Some(15), secret: false },
];

impl Field {
    /// The document's row for this field.
    #[must_use]
    pub fn rule(self) -> &'static FieldRule {
        &FIELDS[self as usize]
    }

    /// The field's key in the JSON object.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.rule().name
    }

    fn by_name(name: &str) -> Option<Field> {
        FIELDS.iter().find(|rule| rule.name == name).map(|rule| rule.field)
    }
}

/// What stands behind a key.
#[derive(Clone, Default, PartialEq)]
pub enum Value<'a> {
    #[default]
    Missing,
    Null,
    Text(Cow<'a, str>),
    /// A number, as written.
    Number(Cow<'a, str>),
    Bool(bool),
    Array,
    Object,
}

// A derived Debug would print photos and credentials.
impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

impl Value<'_> {
    fn into_owned<'b>(self) -> Value<'b> {
        match self {
            Value::Missing => Value::Missing,
            Value::Null => Value::Null,
            Value::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Value::Number(text) => Value::Number(Cow::Owned(text.into_owned())),
            Value::Bool(truth) => Value::Bool(truth),
            Value::Array => Value::Array,
            Value::Object => Value::Object,
        }
    }

    /// The JSON type, for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Missing => "nothing",
            Value::Null => "null",
            Value::Text(_) => "a string",
            Value::Number(_) => "a number",
            Value::Bool(_) => "a boolean",
            Value::Array => "an array",
            Value::Object => "an object",
        }
    }
}

/// A decoded request body.
#[derive(Debug, Default)]
pub struct Body<'a> {
    values: [Value<'a>; 7],
    /// Keys that are none of the seven; ignored (FIELD-NOTES, "Request", observed).
    pub extra_keys: Vec<String>,
    /// Keys that stand more than once; the last one counts.
    pub duplicate_keys: Vec<String>,
    /// A UTF-8 byte order mark stood before the JSON.
    pub bom: bool,
    /// Why the body is no JSON object, if it is none.
    pub fault: Option<JsonFault>,
}

/// At most so many extra or duplicate keys are remembered, each cut to [`KEY_CHARS`] characters.
const KEYS_KEPT: usize = 16;
const KEY_CHARS: usize = 40;

impl<'a> Body<'a> {
    /// Decodes a body. Never fails: what is wrong stands in [`Body::fault`].
    #[must_use]
    pub fn decode(bytes: &'a [u8]) -> Body<'a> {
        let (bytes, bom) = match bytes.strip_prefix(b"\xEF\xBB\xBF") {
            Some(rest) => (rest, true),
            None => (bytes, false),
        };
        let mut body = match json_fault::not_an_object(bytes) {
            Some(fault) => Body { fault: Some(fault), ..Body::default() },
            None => Self::around_the_photo(bytes).unwrap_or_else(|| Self::object(bytes)),
        };
        body.bom = bom;
        body
    }

    /// Reads the body without its photo, and puts the photo in: looking for the end of a long text takes a third of what reading it as
    /// JSON takes. `None` when the photo is not where it seemed to be, or anything else is wrong: then all is read, which tells what.
    fn around_the_photo(bytes: &'a [u8]) -> Option<Body<'a>> {
        let (start, photo) = photo::find(bytes)?;
        let rest = [&bytes[..start], &bytes[start + photo.len()..]].concat();
        let body = Body::object(&rest);
        // What was taken out stood inside the quotes of just this value.
        let is_there = match body.value(Field::Image) {
            Value::Text(Cow::Borrowed(text)) => text.is_empty() && text.as_ptr() == rest[start..].as_ptr(),
            _ => false,
        };
        (is_there && body.fault.is_none()).then(|| {
            let mut body = body.into_owned();
            body.values[Field::Image as usize] = Value::Text(Cow::Borrowed(photo));
            body
        })
    }

    fn into_owned<'b>(self) -> Body<'b> {
        Body {
            values: self.values.map(Value::into_owned),
            extra_keys: self.extra_keys,
            duplicate_keys: self.duplicate_keys,
            bom: self.bom,
            fault: self.fault,
        }
    }

    fn object(bytes: &'a [u8]) -> Body<'a> {
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        deserializer
            .deserialize_map(BodyVisitor(bytes))
            .and_then(|body| deserializer.end().map(|()| body))
            .unwrap_or_else(|error| Body {
                fault: Some(JsonFault::explain(bytes, &error)),
                ..Body::default()
            })
    }

    /// What stands behind the key of `field`.
    #[must_use]
    pub fn value(&self, field: Field) -> &Value<'a> {
        &self.values[field as usize]
    }

    /// The text of `field`, when it is a string that is not empty.
    #[must_use]
    pub fn text(&self, field: Field) -> Option<&str> {
        match self.value(field) {
            Value::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// The threshold: a number, or a string that follows JSON's number grammar. Infinite when it is beyond a double.
    #[must_use]
    pub fn threshold(&self) -> Option<f64> {
        match self.value(Field::Threshold) {
            Value::Number(text) => text.parse().ok(),
            Value::Text(text) if number::is_json_number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The threshold as it was sent, cut.
    #[must_use]
    pub fn threshold_text(&self) -> Option<String> {
        match self.value(Field::Threshold) {
            Value::Number(text) | Value::Text(text) => Some(truncate(text, KEY_CHARS)),
            _ => None,
        }
    }

    /// What is wrong with `field`, for a person; `None` when its form is right.
    #[must_use]
    pub fn field_fault(&self, field: Field) -> Option<String> {
        let rule = field.rule();
        let name = rule.name;
        match self.value(field) {
            Value::Missing => Some(format!("{name} is missing")),
            Value::Null => Some(format!("{name} is null")),
            Value::Text(text) if text.is_empty() => Some(format!("{name} is empty")),
            Value::Text(text) if field == Field::Threshold && !number::is_json_number(text) => {
                Some(format!("{name} is the string {}, which is no number", quoted(text)))
            }
            Value::Text(text) => too_long(rule, text),
            Value::Number(_) if field == Field::Threshold => None,
            Value::Number(number) if !rule.secret => {
                Some(format!("{name} is the number {}, not a string", truncate(number, KEY_CHARS)))
            }
            other => Some(format!("{name} is {}, not {}", other.kind(), expected(field))),
        }
    }

    fn put(&mut self, field: Field, value: Value<'a>) {
        if *self.value(field) != Value::Missing {
            remember(&mut self.duplicate_keys, field.name());
        }
        self.values[field as usize] = value;
    }
}

fn expected(field: Field) -> &'static str {
    if field == Field::Threshold { "a number or a numeric string" } else { "a string" }
}

fn too_long(rule: &FieldRule, text: &str) -> Option<String> {
    let max = rule.max_chars?;
    // A text of at most `max` bytes has at most `max` characters.
    let count = if text.len() <= max { 0 } else { text.chars().count() };
    (count > max)
        .then(|| format!("{} has {count} characters, at most {max} are allowed: {}", rule.name, quoted(text)))
}

fn remember(keys: &mut Vec<String>, key: &str) {
    if keys.len() < KEYS_KEPT && !keys.iter().any(|known| known == key) {
        keys.push(preview(key, KEY_CHARS));
    }
}

/// Reads the object in one pass. It holds the whole body, so that a fault inside a value is found by its place in the body.
struct BodyVisitor<'a>(&'a [u8]);

impl<'de> Visitor<'de> for BodyVisitor<'de> {
    type Value = Body<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut body = Body::default();
        let mut extra = std::collections::HashSet::new();
        while let Some(JsonKey(key)) = map.next_key()? {
            let raw: &RawValue = map.next_value()?;
            match Field::by_name(&key) {
                Some(field) => match classify(raw) {
                    Ok(value) => body.put(field, value),
                    Err(error) => body.fault = Some(JsonFault::inside(self.0, raw.get(), &error)),
                },
                None => {
                    remember(&mut body.extra_keys, &key);
                    if extra.len() < KEYS_KEPT && !extra.insert(key.clone()) {
                        remember(&mut body.duplicate_keys, &key);
                    }
                }
            }
            if depth(raw.get()) > MAX_DEPTH {
                body.fault = Some(JsonFault::too_deep(self.0, raw.get(), MAX_DEPTH));
            }
        }
        Ok(body)
    }
}

/// A key, borrowed unless it holds an escape.
struct JsonKey<'a>(Cow<'a, str>);

impl<'de> de::Deserialize<'de> for JsonKey<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text).map(JsonKey)
    }
}

/// The value behind raw JSON text, which serde_json has found to be valid but for the escapes inside strings.
fn classify(raw: &RawValue) -> serde_json::Result<Value<'_>> {
    let text = raw.get();
    Ok(match text.as_bytes().first() {
        // A photo has a megabyte and no escape: it is not scanned a second time for them byte by byte.
        Some(b'"') if memchr::memchr(b'\\', text.as_bytes()).is_none() => {
            Value::Text(Cow::Borrowed(&text[1..text.len() - 1]))
        }
        Some(b'"') => Value::Text(serde_json::Deserializer::from_str(text).deserialize_str(Text)?),
        Some(b'n') => Value::Null,
        Some(b't' | b'f') => Value::Bool(text == "true"),
        Some(b'[') => Value::Array,
        Some(b'{') => Value::Object,
        _ => Value::Number(Cow::Borrowed(text)),
    })
}

/// Deepest nesting of a value that is let pass.
const MAX_DEPTH: usize = 128;

/// How deeply arrays and objects are nested in valid JSON text.
fn depth(text: &str) -> usize {
    if !text.starts_with(['[', '{']) {
        return 0;
    }
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Reads a string, borrowed unless it holds an escape.
struct Text;

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Value, *};

    fn decode(text: &str) -> Body<'_> {
        Body::decode(text.as_bytes())
    }

    #[test]
    fn the_field_table_stands_in_the_order_of_the_enum() {
        for (index, rule) in FIELDS.iter().enumerate() {
            assert_eq!(rule.field as usize, index, "{}", rule.name);
        }
    }

    #[test]
    fn strings_without_escapes_are_borrowed() {
        let body = decode(r#"{"image":"AAAA","ip":"10.0.0.1","password":"a\/b"}"#);
        assert!(matches!(body.value(Field::Image), Value::Text(Cow::Borrowed("AAAA"))));
        assert!(matches!(body.value(Field::Ip), Value::Text(Cow::Borrowed("10.0.0.1"))));
        assert!(matches!(body.value(Field::Password), Value::Text(Cow::Owned(text)) if text == "a/b"));
    }

    #[test]
    fn a_threshold_comes_as_a_number_or_as_a_numeric_string() {
        for (json, expected) in [
            (r#""5""#, Some(5.0)),
            (r#""5.0""#, Some(5.0)),
            ("5", Some(5.0)),
            ("1", Some(1.0)),
            ("7.25", Some(7.25)),
            (r#""1e1""#, Some(10.0)),
            ("1e999", Some(f64::INFINITY)),
            (r#"" 5""#, None),
            (r#""+5""#, None),
            (r#""nan""#, None),
            ("true", None),
            ("[5]", None),
        ] {
            let text = format!(r#"{{"threshold":{json}}}"#);
            let body = decode(&text);
            assert!(body.fault.is_none(), "{json}");
            assert_eq!(body.threshold(), expected, "{json}");
            assert_eq!(body.field_fault(Field::Threshold).is_none(), expected.is_some(), "{json}");
        }
    }

    #[test]
    fn field_faults_name_the_field_the_rule_and_the_value_seen() {
        let body = decode(
            r#"{"transactionId":"123456789012345678901","transactionSource":11,"threshold":"5,0","image":null,"user_id":"","ip":false}"#,
        );
        let fault = |field| body.field_fault(field).unwrap_or_default();
        assert_eq!(
            fault(Field::TransactionId),
            "transactionId has 21 characters, at most 20 are allowed: \"123456789012345678901\""
        );
        assert_eq!(fault(Field::TransactionSource), "transactionSource is the number 11, not a string");
        assert_eq!(fault(Field::Threshold), "threshold is the string \"5,0\", which is no number");
        assert_eq!(fault(Field::Image), "image is null");
        assert_eq!(fault(Field::UserId), "user_id is empty");
        assert_eq!(fault(Field::Password), "password is missing");
        assert_eq!(fault(Field::Ip), "ip is a boolean, not a string");
    }

    #[test]
    fn of_a_photo_or_ciphertext_in_a_wrong_place_nothing_is_shown() {
        let ciphertext = format!("{}+/==", "Ab1".repeat(50));
        assert_eq!(quoted(&ciphertext), "(154 characters of base64)");
        assert_eq!(preview(&ciphertext, 100), "(154 characters of base64)");
        assert_eq!(quoted(&"a ".repeat(50)), format!("\"{}…\"", "a ".repeat(20)));
        assert_eq!(preview("T-1", 100), "T-1");
    }

    #[test]
    fn a_credential_of_the_wrong_type_is_not_shown() {
        let body = decode(r#"{"password":123456}"#);
        assert_eq!(body.field_fault(Field::Password).as_deref(), Some("password is a number, not a string"));
    }

    #[test]
    fn lengths_count_unicode_scalar_values() {
        for (count, fits) in [(20, true), (21, false)] {
            let text = format!(r#"{{"transactionId":"{}"}}"#, "é".repeat(count));
            assert_eq!(decode(&text).field_fault(Field::TransactionId).is_none(), fits, "{count}");
        }
    }

    #[test]
    fn extra_and_duplicate_keys_are_remembered_and_the_last_value_counts() {
        let body = decode(r#"{"ip":"10.0.0.1","nik":"1","ip":"10.0.0.2","template":{"a":[1]},"nik":2}"#);
        assert_eq!(body.text(Field::Ip), Some("10.0.0.2"));
        assert_eq!(body.extra_keys, ["nik", "template"]);
        assert_eq!(body.duplicate_keys, ["ip", "nik"]);
    }

    #[test]
    fn a_byte_order_mark_is_let_pass_and_remembered() {
        let body = Body::decode(b"\xEF\xBB\xBF{\"ip\":\"10.0.0.1\"}");
        assert!(body.bom && body.fault.is_none());
        assert_eq!(body.text(Field::Ip), Some("10.0.0.1"));
    }

    #[test]
    fn numbers_beyond_a_double_do_no_harm_where_they_are_not_used() {
        let body = decode(r#"{"x":1e999,"y":[1e999],"image":1e999}"#);
        assert!(body.fault.is_none(), "{:?}", body.fault);
        assert_eq!(body.field_fault(Field::Image).as_deref(), Some("image is a number, not a string"));
    }

    #[test]
    fn a_fault_inside_a_value_is_found_by_its_place_in_the_body() {
        let fault = decode("{\n\"ip\":1,\n\"password\":\"ge\\ud800heim\"}").fault.expect("a fault");
        assert_eq!(fault.reason, "not JSON: line 3, column 21: unexpected end of hex escape");
    }

    /// Documents in which a photo stands, seems to stand, or stands twice.
    fn documents() -> impl Strategy<Value = String> {
        let photo = prop::sample::select(vec!["A", "\\/", "\\\"", "\"", "\n", "é", "\u{7f}", "}"])
            .prop_map(|odd| [&"B".repeat(photo::LONG), odd, "C"].concat());
        let parts = vec![
            "{",
            "}",
            "\"image\"",
            ":",
            "\"",
            ",",
            " ",
            "\"ip\":\"1\"",
            "\"image\":\"\"",
            "\"x\":\"\\\"image\\\":\"",
            "[1]",
            "null",
        ];
        let part = prop_oneof![
            2 => photo.clone().prop_map(|photo| format!("\"image\":\"{photo}\"")),
            1 => photo,
            3 => prop::sample::select(parts).prop_map(str::to_owned),
        ];
        let joined = prop_oneof![Just(","), Just("")];
        (prop::collection::vec(part, 1..6), joined)
            .prop_map(|(parts, comma)| format!("{{{}}}", parts.join(comma)))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_photo_taken_out_changes_nothing(document in documents()) {
            let (body, plainly) = (decode(&document), Body::object(document.as_bytes()));
            prop_assert!(body.values == plainly.values);
            prop_assert_eq!(format!("{:?}", body), format!("{:?}", plainly));
        }
    }

    #[test]
    fn a_long_photo_is_read_without_json() {
        let photo = "A".repeat(photo::LONG);
        let whole = format!("{{\"ip\":\"1\",\"image\" : \"{photo}\",\"threshold\":5}}");
        let body = Body::around_the_photo(whole.as_bytes()).expect("it is found");
        assert_eq!((body.text(Field::Image), body.text(Field::Ip)), (Some(&*photo), Some("1")));
        for hidden in [
            whole.replace("A\"", "\\/\""),
            whole.replace('}', ",\"image\":null}"),
            whole.replace("\"image\"", "\"x\":\"image\""),
            whole.replace('}', ""),
        ] {
            assert!(Body::around_the_photo(hidden.as_bytes()).is_none(), "{}", hidden.replace(&photo, "..."));
        }
    }

    #[test]
    fn depth_is_limited() {
        let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(200), "]".repeat(200));
        assert!(decode(&deep).fault.is_some());
        let flat = format!(r#"{{"x":{}{}}}"#, "[".repeat(100), "]".repeat(100));
        assert!(decode(&flat).fault.is_none());
    }

    #[test]
    fn a_thousand_extra_keys_are_not_all_kept() {
        let keys: Vec<_> = (0..1000).map(|n| format!(r#""k{n}":0"#)).collect();
        let text = format!("{{{}}}", keys.join(","));
        assert_eq!(decode(&text).extra_keys.len(), KEYS_KEPT);
    }
}
