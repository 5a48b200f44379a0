//! Decodes a request body into its seven fields, borrowed wherever JSON allows it.
//!
//! A body that is not JSON still yields a [`Body`] with the fault in it, so that every later check can report what it can and
//! cannot evaluate.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

pub use super::field::{FIELDS, Field, FieldRule};
use super::json_fault::{self, JsonFault, MAX_DEPTH};
use super::number::{self, NumberMode};
use super::photo;
use crate::base::text::{preview, quoted, truncate};

/// The JSON value of a key.
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

    /// Returns the JSON type, for messages.
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
    /// Unknown keys, other than the seven; ignored (FIELD-NOTES, "Request", observed).
    pub extra_keys: Vec<String>,
    /// Duplicate keys; the last value counts.
    pub duplicate_keys: Vec<String>,
    /// Whether a UTF-8 byte order mark (BOM) preceded the JSON.
    pub bom: bool,
    /// Why the body is not a JSON object, if it is not.
    pub fault: Option<JsonFault>,
    /// Values that only [`NumberMode::Loose`] reads, and what they are.
    pub loosely_read: Vec<(Field, &'static str)>,
    numbers: NumberMode,
}

/// Max number of extra or duplicate keys recorded, each truncated to [`MAX_KEY_CHARS`] characters.
const MAX_RECORDED_KEYS: usize = 16;
const MAX_KEY_CHARS: usize = 40;

impl<'a> Body<'a> {
    /// Decodes a body. Never fails: errors are in [`Body::fault`].
    #[must_use]
    pub fn decode(bytes: &'a [u8]) -> Body<'a> {
        let (bytes, bom) = match bytes.strip_prefix(b"\xEF\xBB\xBF") {
            Some(rest) => (rest, true),
            None => (bytes, false),
        };
        let mut body = if bytes.trim_ascii_start().starts_with(b"{") {
            Self::decode_without_photo(bytes).unwrap_or_else(|| Self::object(bytes))
        } else {
            Body { fault: Some(json_fault::explain(bytes)), ..Body::default() }
        };
        body.bom = bom;
        body
    }

    /// Decodes the body without its photo, then inserts the photo: searching for the end of a long text takes a third of the time of
    /// parsing it as JSON. `None` when the photo is not where it seemed to be, or on any fault: then parse the whole body instead.
    fn decode_without_photo(bytes: &'a [u8]) -> Option<Body<'a>> {
        let (start, photo) = photo::find(bytes)?;
        let rest = [&bytes[..start], &bytes[start + photo.len()..]].concat();
        let body = Body::object(&rest);
        // The removed text was inside the quotes of exactly this value.
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
            loosely_read: self.loosely_read,
            numbers: self.numbers,
        }
    }

    fn object(bytes: &'a [u8]) -> Body<'a> {
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        deserializer
            .deserialize_map(BodyVisitor(bytes))
            .and_then(|body| deserializer.end().map(|()| body))
            .unwrap_or_else(|_| Body { fault: Some(json_fault::explain(bytes)), ..Body::default() })
    }

    /// Reads numbers and texts in this mode. In the loose one, as Jackson does, a number or a boolean where the document has a text is
    /// taken as its text, as written; null, arrays and objects never are.
    #[must_use]
    pub fn with_numbers(mut self, mode: NumberMode) -> Body<'a> {
        self.numbers = mode;
        if mode == NumberMode::Strict {
            return self;
        }
        for FieldRule { field, .. } in &FIELDS {
            let value = &mut self.values[*field as usize];
            let kind = value.kind();
            let is_loose = match value {
                Value::Text(text) if *field == Field::Threshold => {
                    !number::is_json_number(text) && number::read(text, mode).is_some()
                }
                Value::Number(text) if *field != Field::Threshold => {
                    *value = Value::Text(std::mem::take(text));
                    true
                }
                Value::Bool(truth) if *field != Field::Threshold => {
                    *value = Value::Text(Cow::Borrowed(if *truth { "true" } else { "false" }));
                    true
                }
                _ => false,
            };
            if is_loose {
                self.loosely_read.push((*field, kind));
            }
        }
        self
    }

    /// Returns whether a value is read in the other mode of numbers as something else.
    #[must_use]
    pub fn depends_on_numbers(&self) -> bool {
        let is_loose = |field: Field| match self.value(field) {
            Value::Text(text) if field == Field::Threshold => {
                !number::is_json_number(text) && number::read(text, NumberMode::Loose).is_some()
            }
            Value::Number(_) | Value::Bool(_) => field != Field::Threshold,
            _ => false,
        };
        !self.loosely_read.is_empty() || FIELDS.iter().any(|rule| is_loose(rule.field))
    }

    /// Returns the value of `field`.
    #[must_use]
    pub fn value(&self, field: Field) -> &Value<'a> {
        &self.values[field as usize]
    }

    /// Returns the text of `field`, when it is a string and not empty.
    #[must_use]
    pub fn text(&self, field: Field) -> Option<&str> {
        match self.value(field) {
            Value::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// Returns the threshold: a number, or a string with one, which is written as JSON writes numbers unless they are read loosely. Infinite
    /// when it exceeds a double.
    #[must_use]
    pub fn threshold(&self) -> Option<f64> {
        match self.value(Field::Threshold) {
            Value::Number(text) => text.parse().ok(),
            Value::Text(text) => number::read(text, self.numbers),
            _ => None,
        }
    }

    /// Returns the threshold as the client wrote it; `None` when it cannot be read.
    #[must_use]
    pub fn threshold_as_written(&self) -> Option<&str> {
        match self.value(Field::Threshold) {
            Value::Number(text) | Value::Text(text) if self.threshold().is_some() => Some(text),
            _ => None,
        }
    }

    /// Returns the threshold as sent, truncated.
    #[must_use]
    pub fn threshold_text(&self) -> Option<String> {
        match self.value(Field::Threshold) {
            Value::Number(text) | Value::Text(text) => Some(truncate(text, MAX_KEY_CHARS)),
            _ => None,
        }
    }

    /// Returns what is wrong with `field`, for a person; `None` when its form is valid.
    #[must_use]
    pub fn field_fault(&self, field: Field) -> Option<String> {
        let rule = field.rule();
        let name = rule.name;
        match self.value(field) {
            Value::Missing => Some(format!("{name} is missing")),
            Value::Null => Some(format!("{name} is null")),
            Value::Text(text) if text.is_empty() => Some(format!("{name} is empty")),
            Value::Text(text) if field == Field::Threshold && number::read(text, self.numbers).is_none() => {
                Some(format!("{name} is the string {}, which is not a number", quoted(text)))
            }
            Value::Text(text) => too_long(rule, text),
            Value::Number(_) if field == Field::Threshold => None,
            Value::Number(number) if !rule.secret => {
                Some(format!("{name} is the number {}, not a string", truncate(number, MAX_KEY_CHARS)))
            }
            other => Some(format!("{name} is {}, not {}", other.kind(), expected(field))),
        }
    }

    fn insert(&mut self, field: Field, value: Value<'a>) {
        if *self.value(field) != Value::Missing {
            record_key(&mut self.duplicate_keys, field.name());
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

fn record_key(keys: &mut Vec<String>, key: &str) {
    if keys.len() < MAX_RECORDED_KEYS && !keys.iter().any(|recorded| recorded == key) {
        keys.push(preview(key, MAX_KEY_CHARS));
    }
}

/// Visits the object in one pass. Holds the whole body, so that a fault inside a value is located in the body.
struct BodyVisitor<'a>(&'a [u8]);

impl<'de> Visitor<'de> for BodyVisitor<'de> {
    type Value = Body<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut body = Body::default();
        let mut extra = std::collections::HashSet::new();
        let mut is_faulty = false;
        while let Some(JsonKey(key)) = map.next_key()? {
            let raw: &RawValue = map.next_value()?;
            match Field::by_name(&key) {
                Some(field) => match classify(raw) {
                    Ok(value) => body.insert(field, value),
                    Err(_) => is_faulty = true,
                },
                None => {
                    record_key(&mut body.extra_keys, &key);
                    if extra.len() < MAX_RECORDED_KEYS && !extra.insert(key.clone()) {
                        record_key(&mut body.duplicate_keys, &key);
                    }
                }
            }
            is_faulty |= depth(raw.get()) > MAX_DEPTH;
        }
        // Once, whatever the number of faulty values: it reads the whole body.
        body.fault = is_faulty.then(|| json_fault::explain(self.0));
        Ok(body)
    }
}

/// A key, borrowed unless it contains an escape.
struct JsonKey<'a>(Cow<'a, str>);

impl<'de> de::Deserialize<'de> for JsonKey<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text).map(JsonKey)
    }
}

/// Returns the value of raw JSON text, which serde_json has validated except for the escapes inside strings.
fn classify(raw: &RawValue) -> serde_json::Result<Value<'_>> {
    let text = raw.get();
    Ok(match text.as_bytes().first() {
        // A photo has a megabyte and no escape: memchr avoids a second scan byte by byte.
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

/// Returns how deeply arrays and objects are nested in valid JSON text.
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

/// Deserializes a string, borrowed unless it contains an escape.
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
    fn the_field_table_is_in_the_order_of_the_enum() {
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

    /// What a field is read as: its text, or why not.
    fn read_as(field: Field, json: &str, mode: NumberMode) -> Result<String, String> {
        let text = format!(r#"{{"{}":{json}}}"#, field.name());
        let body = Body::decode(text.as_bytes()).with_numbers(mode);
        assert!(body.fault.is_none(), "{json}");
        if let Some(fault) = body.field_fault(field) {
            assert!(body.threshold().is_none() || field != Field::Threshold, "{json}");
            return Err(fault);
        }
        let is_strict = decode(&text).field_fault(field).is_none();
        assert_eq!(
            body.loosely_read.is_empty(),
            is_strict,
            "{json}: what only the loose mode reads is recorded"
        );
        let written = body.threshold_as_written().filter(|_| field == Field::Threshold);
        Ok(written.or(body.text(field)).expect("a value").to_owned())
    }

    #[test]
    fn loosely_read_values_of_all_seven_fields() {
        use NumberMode::{Loose, Strict};
        for rule in FIELDS.iter().filter(|rule| rule.field != Field::Threshold) {
            for (json, text) in
                [("11", "11"), ("-1.50", "-1.50"), ("1e3", "1e3"), ("true", "true"), ("false", "false")]
            {
                assert_eq!(read_as(rule.field, json, Loose).as_deref(), Ok(text), "{}: {json}", rule.name);
                assert!(read_as(rule.field, json, Strict).is_err(), "{}: {json}", rule.name);
            }
            assert_eq!(read_as(rule.field, "\" x \"", Loose).as_deref(), Ok(" x "), "nothing is trimmed");
            for json in ["null", "\"\"", "[1]", "[\"1\"]", "{}"] {
                assert!(read_as(rule.field, json, Loose).is_err(), "{}: {json}", rule.name);
            }
        }
        for (json, text) in [
            ("\" 5\"", " 5"),
            ("\"+5\"", "+5"),
            ("\"05\"", "05"),
            ("\"5\\n\"", "5\n"),
            ("\"5.\"", "5."),
            ("\".5\"", ".5"),
        ] {
            assert_eq!(read_as(Field::Threshold, json, Loose).as_deref(), Ok(text));
            assert!(read_as(Field::Threshold, json, Strict).is_err(), "{json}");
        }
        for (json, text) in [("5", "5"), ("5.00", "5.00"), ("1e1", "1e1"), ("\"5.00\"", "5.00")] {
            assert_eq!(read_as(Field::Threshold, json, Loose).as_deref(), Ok(text));
            assert_eq!(read_as(Field::Threshold, json, Strict).as_deref(), Ok(text));
        }
        for json in ["true", "null", "\"\"", "\" \"", "\"5,0\"", "\"NaN\"", "[5]"] {
            assert!(read_as(Field::Threshold, json, Loose).is_err(), "{json}");
        }
        let too_long = "123456789012345678901";
        for (field, fits) in
            [(Field::TransactionId, false), (Field::TransactionSource, true), (Field::Ip, false)]
        {
            assert_eq!(
                read_as(field, too_long, Loose).is_ok(),
                fits,
                "the length of {} counts",
                field.name()
            );
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
        assert_eq!(fault(Field::Threshold), "threshold is the string \"5,0\", which is not a number");
        assert_eq!(fault(Field::Image), "image is null");
        assert_eq!(fault(Field::UserId), "user_id is empty");
        assert_eq!(fault(Field::Password), "password is missing");
        assert_eq!(fault(Field::Ip), "ip is a boolean, not a string");
    }

    #[test]
    fn a_photo_or_ciphertext_in_a_wrong_field_is_redacted() {
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
    fn extra_and_duplicate_keys_are_recorded_and_the_last_value_counts() {
        let body = decode(r#"{"ip":"10.0.0.1","nik":"1","ip":"10.0.0.2","template":{"a":[1]},"nik":2}"#);
        assert_eq!(body.text(Field::Ip), Some("10.0.0.2"));
        assert_eq!(body.extra_keys, ["nik", "template"]);
        assert_eq!(body.duplicate_keys, ["ip", "nik"]);
    }

    #[test]
    fn a_byte_order_mark_is_accepted_and_recorded() {
        let body = Body::decode(b"\xEF\xBB\xBF{\"ip\":\"10.0.0.1\"}");
        assert!(body.bom && body.fault.is_none());
        assert_eq!(body.text(Field::Ip), Some("10.0.0.1"));
    }

    #[test]
    fn numbers_beyond_a_double_are_accepted_where_they_are_not_used() {
        let body = decode(r#"{"x":1e999,"y":[1e999],"image":1e999}"#);
        assert!(body.fault.is_none(), "{:?}", body.fault);
        assert_eq!(body.field_fault(Field::Image).as_deref(), Some("image is a number, not a string"));
    }

    #[test]
    fn a_fault_inside_a_value_is_located_in_the_body() {
        let fault = decode("{\n\"ip\":1,\n\"password\":\"ge\\ud800heim\"}").fault.expect("a fault");
        assert_eq!(
            fault.reason,
            "not JSON: line 3, column 15, in password: half of a surrogate pair in a \\u escape"
        );
    }

    /// JSON documents with a photo, with text that looks like one, or with a duplicate photo.
    fn documents() -> impl Strategy<Value = String> {
        let photo = prop::sample::select(vec!["A", "\\/", "\\\"", "\"", "\n", "é", "\u{7f}", "}"])
            .prop_map(|odd| [&"B".repeat(photo::MIN_BYTES), odd, "C"].concat());
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
        fn decoding_without_the_photo_changes_nothing(document in documents()) {
            let (body, plain) = (decode(&document), Body::object(document.as_bytes()));
            prop_assert!(body.values == plain.values);
            prop_assert_eq!(format!("{:?}", body), format!("{:?}", plain));
        }
    }

    #[test]
    fn a_long_photo_is_not_parsed_as_json() {
        let photo = "A".repeat(photo::MIN_BYTES);
        let document = format!("{{\"ip\":\"1\",\"image\" : \"{photo}\",\"threshold\":5}}");
        let body = Body::decode_without_photo(document.as_bytes()).expect("the photo is found");
        assert_eq!((body.text(Field::Image), body.text(Field::Ip)), (Some(&*photo), Some("1")));
        for unsupported in [
            document.replace("A\"", "\\/\""),
            document.replace('}', ",\"image\":null}"),
            document.replace("\"image\"", "\"x\":\"image\""),
            document.replace('}', ""),
        ] {
            assert!(
                Body::decode_without_photo(unsupported.as_bytes()).is_none(),
                "{}",
                unsupported.replace(&photo, "...")
            );
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
    fn the_number_of_recorded_keys_is_limited() {
        let keys: Vec<_> = (0..1000).map(|n| format!(r#""k{n}":0"#)).collect();
        let text = format!("{{{}}}", keys.join(","));
        assert_eq!(decode(&text).extra_keys.len(), MAX_RECORDED_KEYS);
    }
}
