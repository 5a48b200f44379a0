//! What is kept of a request, by the allow-list, and what of it its answer must not repeat.

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use super::allow_list::{self, METHODS, keeps_threshold, masks};
use super::answer_mask::AnswerMask;
use super::exchange::{BodyShape, HeaderShape, MemberShape, RequestFraming, RequestShape, ValueShape};
use super::message_mask::SentPieces;
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

/// Texts of a request that its answer may repeat. They are in memory until the answer is masked.
#[derive(Default)]
pub struct SentValues {
    transaction_id: Option<String>,
    customer_id: Option<String>,
    others: Vec<String>,
}

/// Max members of an object that is described, and max bytes of its layout.
const MAX_MEMBERS: usize = 64;
const MAX_LAYOUT: usize = 4096;
/// Max words of what has no shape that are looked for in the answer, and how far they are looked for.
const MAX_WORDS: usize = 2000;
const MAX_SEARCHED: usize = 64 << 10;
const BOM: &str = "\u{FEFF}";

impl SentValues {
    /// Calls with the mask of an answer to this request.
    pub fn with_mask<T>(&self, keeps_area: bool, call: impl FnOnce(&AnswerMask) -> T) -> T {
        let sent: Vec<&str> = self.others.iter().map(String::as_str).collect();
        call(&AnswerMask {
            transaction_id: self.transaction_id.as_deref(),
            customer_id: self.customer_id.as_deref(),
            sent: &sent,
            keeps_area,
        })
    }

    /// Adds the words of a text that is not read any further.
    fn add_words(&mut self, text: &str) {
        let words = text[..text.floor_char_boundary(MAX_SEARCHED)].split(|c: char| !c.is_alphanumeric());
        let words = words.filter(|word| !word.is_empty() && !is_field(word));
        self.others.extend(words.take(MAX_WORDS).map(str::to_owned));
    }
}

fn is_field(name: &str) -> bool {
    FIELDS.iter().any(|rule| rule.name == name)
}

/// The shape of a request.
pub fn shape_of(request: &RequestParts, tokens: &mut Tokens) -> (RequestShape, SentValues) {
    let mut sent = SentValues::default();
    let body = body_shape(request.body, &mut sent, tokens);
    let path_end = request.target.find(['?', '#']).unwrap_or(request.target.len());
    let (path, query) = request.target.split_at(path_end);
    sent.add_words(query);
    // A target such as `http://host/path` names the host.
    let kept_path = if path.starts_with('/') {
        allow_list::path(path, &mut |customer_id| {
            sent.customer_id = Some(customer_id.to_owned());
            tokens.customer(customer_id)
        })
    } else {
        masks(path)
    };
    let segments = path.split('/').filter(|segment| !allow_list::is_path_word(segment));
    segments.for_each(|segment| sent.others.push(segment.to_owned()));
    let pieces = sent.with_mask(false, |mask| {
        let ids = [mask.transaction_id, mask.customer_id].into_iter().flatten();
        SentPieces::of(ids.chain(mask.sent.iter().copied()))
    });
    let headers = request.headers.iter().map(|(name, value)| {
        let name = allow_list::header_name(&String::from_utf8_lossy(name), &|part| pieces.has(part));
        let (shape, hidden) = header(name, value);
        sent.add_words(&hidden);
        shape
    });
    let headers = headers.collect();
    let is_known = METHODS.contains(&request.method);
    let method = if is_known { request.method.to_owned() } else { masks(request.method) };
    (RequestShape { method, path: kept_path, headers, framing: request.framing, body }, sent)
}

/// The shape of a header field, and its value where that is not kept.
fn header(name: String, value: &[u8]) -> (HeaderShape, String) {
    let bytes = value.len() as u64;
    let text = String::from_utf8_lossy(value).into_owned();
    let kept = allow_list::header_value(&name, &text);
    let is_kept = kept == text;
    let has_any = kept.contains(|c: char| c.is_ascii_alphanumeric() && c != allow_list::MASK);
    let shape = HeaderShape { name, value: has_any.then_some(kept), bytes };
    (shape, if is_kept { String::new() } else { text })
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

fn body_shape(body: &[u8], sent: &mut SentValues, tokens: &Tokens) -> BodyShape {
    let bytes = body.len() as u64;
    if body.is_empty() {
        return BodyShape::Empty;
    }
    let Ok(text) = std::str::from_utf8(body) else {
        sent.add_words(&String::from_utf8_lossy(&body[..body.len().min(MAX_SEARCHED)]));
        return BodyShape::NotJson { bytes };
    };
    let json = text.strip_prefix(BOM).unwrap_or(text);
    let Ok(RawMembers(members)) = serde_json::from_str(json) else {
        sent.add_words(text);
        return match serde_json::from_str::<&RawValue>(json) {
            Ok(value) => BodyShape::Other { bytes, kind: kind(value.get()).to_owned() },
            Err(_) => BodyShape::NotJson { bytes },
        };
    };
    let layout = layout(text, &members);
    if members.len() > MAX_MEMBERS || layout.len() > MAX_LAYOUT {
        sent.add_words(text);
        return BodyShape::Other { bytes, kind: "object".to_owned() };
    }
    let members = members.iter().map(|(name, value)| member(name, value.get(), sent, tokens)).collect();
    BodyShape::Object { bytes, layout, members }
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

fn member(name: &str, written: &str, sent: &mut SentValues, tokens: &Tokens) -> MemberShape {
    let field = FIELDS.iter().find(|rule| rule.name == name).map(|rule| rule.field);
    let kind = kind(written);
    let text = match kind {
        "string" => serde_json::from_str::<String>(written).ok(),
        "number" => Some(written.to_owned()),
        _ => None,
    };
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
    if field.is_none() {
        sent.others.push(name.to_owned());
    }
    match text {
        Some(text) if field == Some(Field::TransactionId) => sent.transaction_id = Some(text),
        Some(text) => sent.others.push(text),
        None if matches!(kind, "array" | "object") => sent.add_words(written),
        None => {}
    }
    MemberShape { name: field.map(|field| field.name().to_owned()), kind: kind.to_owned(), value }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(target: &str, headers: &[(&str, &str)], body: &[u8]) -> (RequestShape, SentValues) {
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
            ("Authorization", "Basic c2l0aQ=="),
            ("X-Bank-1", "1"),
            ("x_y", ""),
        ];
        let (found, _) = shape(&format!("{PATH}?nik=3174096112900001"), &headers, b"");
        assert_eq!(found.path, "/api/face-recognition/{c1}/CALL_FN");
        let expected = [
            ("Host", None, 10),
            ("CONTENT-TYPE", Some("application/json"), 16),
            ("User-Agent", Some("okhttp/4.9.3 XXXXXX"), 19),
            ("Authorization", None, 14),
            ("XXXXXXXX", None, 1),
            ("XXX", None, 0),
        ];
        let found: Vec<_> =
            found.headers.iter().map(|field| (&*field.name, field.value.as_deref(), field.bytes)).collect();
        assert_eq!(found, expected);
        let (absolute, _) = shape("http://bank/api", &[], b"");
        assert_eq!(absolute.path, "XXXXXXXXXXXXXXX");
    }

    #[test]
    fn an_answer_is_masked_by_everything_that_was_sent() {
        let body =
            br#"{"transactionId":"tid-0001","transactionSource":"onboarding","umur":["gudang"],"rahasia":1}"#;
        let (_, sent) = shape(&format!("{PATH}?x=kunci"), &[("X-Nama", "siti aminah")], body);
        let answer = r#"{"tid":"tid-0001","errorCode":"5004","error":"salah: onboarding gudang rahasia kunci siti AMINAH bank atas"}"#;
        let masked = sent.with_mask(false, |mask| mask.body(answer.as_bytes()));
        let expected = r#"{"tid":"{{tid.}}","errorCode":"5004","error":"salah: XXXXXXXXXX XXXXXX XXXXXXX XXXXX XXXX XXXXXX XXXX atas"}"#;
        assert_eq!(masked.as_deref(), Some(expected));
        let (_, malformed) = shape(PATH, &[], b"{\"nama\": siti}");
        let answer = br#"{"errorCode":"5004","error":"token siti di bank-1"}"#;
        let masked = malformed.with_mask(false, |mask| mask.body(answer));
        assert_eq!(masked.as_deref(), Some(r#"{"errorCode":"5004","error":"token XXXX di XXXXXX"}"#));
    }
}
