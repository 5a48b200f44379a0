//! What is kept of a request, by the allow-list.

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use super::allow_list::{self, METHODS, is_field, keeps_threshold, masks};
use super::exchange::{BodyShape, HeaderShape, MemberShape, RequestFraming, RequestShape, ValueShape};
use super::tokens::Tokens;
use super::value_shape;
use crate::protocol::Field;
use crate::protocol::body::FIELDS;

/// A request as it came.
#[derive(Clone, Copy)]
pub struct RequestParts<'a> {
    pub method: &'a str,
    /// With its query.
    pub target: &'a str,
    /// Names and values, without white space around them.
    pub headers: &'a [(&'a [u8], &'a [u8])],
    pub framing: RequestFraming,
    pub body: &'a [u8],
}

/// Max members of an object that is described, and max bytes of its layout.
const MAX_MEMBERS: usize = 64;
const MAX_LAYOUT: usize = 4096;
const BOM: &str = "\u{FEFF}";

/// The shape of a request, and its transactionId, by which its answer is masked.
pub fn shape_of(request: &RequestParts, tokens: &mut Tokens) -> (RequestShape, Option<String>) {
    let (body, transaction_id) = body_shape(request.body, tokens);
    let path_end = request.target.find(['?', '#']).unwrap_or(request.target.len());
    let path = &request.target[..path_end];
    // A target such as `http://host/path` names the host.
    let path = match path.starts_with('/') {
        true => allow_list::path(path, &mut |customer_id| tokens.customer(customer_id)),
        false => masks(path),
    };
    let headers = request.headers.iter().map(|(name, value)| header(name, value)).collect();
    let is_known = METHODS.contains(&request.method);
    let method = if is_known { request.method.to_owned() } else { masks(request.method) };
    (RequestShape { method, path, headers, framing: request.framing, body }, transaction_id)
}

fn header(name: &[u8], value: &[u8]) -> HeaderShape {
    let name = allow_list::header_name(&String::from_utf8_lossy(name));
    let text = String::from_utf8_lossy(value);
    let kept = allow_list::header_value(&name, &text);
    let has_any = (kept == text && !kept.contains(allow_list::MASK) && !kept.is_empty())
        || kept.contains(|c: char| c.is_ascii_alphanumeric() && c != allow_list::MASK);
    HeaderShape { name, value: has_any.then_some(kept), bytes: value.len() as u64 }
}

/// Members of an object in order, with their values as written.
struct RawMembers<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for RawMembers<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = RawMembers<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawMembers<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(RawMembers(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

fn body_shape(body: &[u8], tokens: &Tokens) -> (BodyShape, Option<String>) {
    let bytes = body.len() as u64;
    if body.is_empty() {
        return (BodyShape::Empty, None);
    }
    let Ok(text) = std::str::from_utf8(body) else { return (BodyShape::NotJson { bytes }, None) };
    let json = text.strip_prefix(BOM).unwrap_or(text);
    let Ok(RawMembers(members)) = serde_json::from_str(json) else {
        let shape = match serde_json::from_str::<&RawValue>(json) {
            Ok(value) => BodyShape::Other { bytes, kind: kind(value.get()).to_owned() },
            Err(_) => BodyShape::NotJson { bytes },
        };
        return (shape, None);
    };
    let of_field = |(name, value): &(String, &RawValue)| {
        (name == Field::TransactionId.name()).then(|| text_of(value.get())).flatten()
    };
    let transaction_id = members.iter().filter_map(of_field).next_back();
    let layout = layout(text, &members);
    if members.len() > MAX_MEMBERS || layout.len() > MAX_LAYOUT {
        return (BodyShape::Other { bytes, kind: "object".to_owned() }, transaction_id);
    }
    let members = members.iter().map(|(name, value)| member(name, value.get(), tokens)).collect();
    (BodyShape::Object { bytes, layout, members }, transaction_id)
}

/// A string without its quotes and escapes, or a number as written.
fn text_of(written: &str) -> Option<String> {
    match kind(written) {
        "string" => serde_json::from_str(written).ok(),
        "number" => Some(written.to_owned()),
        _ => None,
    }
}

/// A text without its values and unknown keys.
fn layout(text: &str, members: &[(String, &RawValue)]) -> String {
    let (mut layout, mut at) = (String::new(), 0);
    for (name, value) in members {
        let value = value.get();
        let start = value.as_ptr() as usize - text.as_ptr() as usize;
        let before = &text[at..start];
        let quotes = before.find('"').zip(before.rfind('"'));
        match quotes.filter(|_| !is_field(name)) {
            Some((open, close)) => layout.extend([&before[..=open], "?", &before[close..]]),
            None => layout.push_str(before),
        }
        layout.push('$');
        at = start + value.len();
    }
    layout + &text[at..]
}

fn kind(value: &str) -> &'static str {
    match value.as_bytes().first() {
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        Some(b'[') => "array",
        Some(b'{') => "object",
        _ => "number",
    }
}

fn member(name: &str, written: &str, tokens: &Tokens) -> MemberShape {
    let field = FIELDS.iter().find(|rule| rule.name == name).map(|rule| rule.field);
    let (kind, text) = (kind(written), text_of(written));
    let value = match (field, &text) {
        (Some(Field::Threshold), Some(text)) if keeps_threshold(text) => ValueShape::Verbatim(text.clone()),
        (Some(Field::Image), Some(text)) if kind == "string" => value_shape::image(text, tokens),
        (Some(Field::UserId | Field::Password), Some(text)) if kind == "string" => {
            value_shape::ciphertext(text)
        }
        (Some(Field::Ip), Some(text)) if kind == "string" => value_shape::ip(text, tokens),
        (Some(Field::TransactionId | Field::TransactionSource) | None, Some(text)) => {
            value_shape::text(text, tokens)
        }
        _ => ValueShape::Length(written.len() as u64),
    };
    MemberShape { name: field.map(|field| field.name().to_owned()), kind: kind.to_owned(), value }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(target: &str, headers: &[(&str, &str)], body: &[u8]) -> (RequestShape, Option<String>) {
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        let parts = RequestParts {
            method: "POST",
            target,
            headers: &headers,
            framing: RequestFraming::ContentLength,
            body,
        };
        shape_of(&parts, &mut Tokens::default())
    }

    const PATH: &str = "/api/face-recognition/bank-1/CALL_FN";

    fn body(text: &str) -> BodyShape {
        shape(PATH, &[], text.as_bytes()).0.body
    }

    #[test]
    fn a_layout_has_no_value_and_no_unknown_key() {
        for (text, expected) in [
            ("{}", "{}"),
            ("\u{FEFF}{ }\n", "\u{FEFF}{ }\n"),
            (r#"{"threshold": "7", "user_id":"x"}"#, r#"{"threshold": $, "user_id":$}"#),
            ("{\r\n\t\"nama \\\"ibu\\\"\" : {\"a\":[1]} ,\"ip\":null}", "{\r\n\t\"?\" : $ ,\"ip\":$}"),
            (r#"{"threshold":7,"threshold":8}"#, r#"{"threshold":$,"threshold":$}"#),
            (r#"{"":1}"#, r#"{"?":$}"#),
        ] {
            let BodyShape::Object { layout, bytes, .. } = body(text) else { panic!("{text}") };
            assert_eq!((layout.as_str(), bytes), (expected, text.len() as u64));
        }
    }

    #[test]
    fn members_are_kept_by_their_field() {
        for (text, expected) in [
            (r#""threshold":"7.5""#, ValueShape::Verbatim("7.5".to_owned())),
            (r#""threshold":7"#, ValueShape::Verbatim("7".to_owned())),
            (r#""threshold":" 5,0""#, ValueShape::Verbatim(" 5,0".to_owned())),
            (r#""threshold":"siti""#, ValueShape::Length(6)),
            (r#""threshold":"123456789""#, ValueShape::Length(11)),
            (r#""threshold":[7]"#, ValueShape::Length(3)),
            (r#""image":12"#, ValueShape::Length(2)),
            (r#""password":null"#, ValueShape::Length(4)),
            (r#""ip":{"siti":1}"#, ValueShape::Length(10)),
            (r#""nama":true"#, ValueShape::Length(4)),
        ] {
            let BodyShape::Object { members, .. } = body(&format!("{{{text}}}")) else { panic!("{text}") };
            assert_eq!(members[0].value, expected, "{text}");
        }
        let BodyShape::Object { members, .. } = body(r#"{"transactionId":11,"nama":"11"}"#) else { panic!() };
        assert_eq!(members[0].value, members[1].value, "equal texts have equal tokens");
        assert_eq!((members[0].name.as_deref(), members[1].name.as_deref()), (Some("transactionId"), None));
        assert_eq!((members[0].kind.as_str(), members[1].kind.as_str()), ("number", "string"));
    }

    #[test]
    fn other_bodies_have_a_length() {
        for (text, expected) in [
            ("", BodyShape::Empty),
            ("[1]", BodyShape::Other { bytes: 3, kind: "array".to_owned() }),
            ("\"siti\"", BodyShape::Other { bytes: 6, kind: "string".to_owned() }),
            ("siti", BodyShape::NotJson { bytes: 4 }),
            ("{\"a\":1", BodyShape::NotJson { bytes: 6 }),
        ] {
            assert_eq!(body(text), expected);
        }
        assert_eq!(shape(PATH, &[], b"\xFF{}").0.body, BodyShape::NotJson { bytes: 3 });
        let many = format!("{{{}\"ip\":1}}", "\"a\":1,".repeat(MAX_MEMBERS));
        assert!(matches!(body(&many), BodyShape::Other { kind, .. } if kind == "object"));
        let wide = format!("{{{}}}", " ".repeat(MAX_LAYOUT));
        assert!(matches!(body(&wide), BodyShape::Other { kind, .. } if kind == "object"));
    }

    #[test]
    fn a_head_keeps_what_the_list_names() {
        let headers = [
            ("Host", "fr.bank.id"),
            ("CONTENT-TYPE", "application/json"),
            ("User-Agent", "okhttp/4.9.3 bank/1"),
            ("Accept", "*/*"),
            ("Authorization", "Basic c2l0aQ=="),
            ("X-Siti", "1"),
            ("x_y", ""),
        ];
        let (found, _) = shape(&format!("{PATH}?nik=3174096112900001"), &headers, b"");
        assert_eq!(found.path, "/api/face-recognition/{c1}/CALL_FN");
        let expected = [
            ("Host", None, 10),
            ("CONTENT-TYPE", Some("application/json"), 16),
            ("User-Agent", Some("okhttp/4.9.3 XXXXXX"), 19),
            ("Accept", Some("*/*"), 3),
            ("Authorization", None, 14),
            ("XXXXXX", None, 1),
            ("XXX", None, 0),
        ];
        let found: Vec<_> =
            found.headers.iter().map(|field| (&*field.name, field.value.as_deref(), field.bytes)).collect();
        assert_eq!(found, expected);
        let (absolute, _) = shape("http://bank/api", &[], b"");
        assert_eq!(absolute.path, "XXXXXXXXXXXXXXX");
    }

    #[test]
    fn the_transaction_id_is_told_to_the_mask_of_the_answer() {
        for (text, expected) in [
            (r#"{"transactionId":"a\u0031"}"#, Some("a1")),
            (r#"{"transactionId":11}"#, Some("11")),
            (r#"{"transactionId":"a","transactionId":"b"}"#, Some("b")),
            (r#"{"transactionId":null}"#, None),
            (r#"[{"transactionId":"a"}]"#, None),
            ("{", None),
        ] {
            assert_eq!(shape(PATH, &[], text.as_bytes()).1.as_deref(), expected, "{text}");
        }
    }
}
