//! An answer as it is kept: masked before it is written or shown.

use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::call_spec::{BuiltCall, Subject};
use super::raw_client::{AnswerFraming, RawAnswer};
use crate::domain::customer::Account;
use crate::domain::secrets::SecretIndex;

/// An answer without secrets and personal data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    pub status: u16,
    /// Status line and header fields in order, as sent; values that are not known to be harmless are left out.
    pub head: Vec<String>,
    pub framing: AnswerFraming,
    /// NIKs masked.
    pub body: String,
    pub first_byte_ms: u64,
    pub last_byte_ms: u64,
    pub stays_open: bool,
}

/// Header fields whose values are kept.
const KEPT_VALUES: [&str; 9] = [
    "allow",
    "connection",
    "content-length",
    "content-type",
    "date",
    "keep-alive",
    "server",
    "transfer-encoding",
    "vary",
];

static NIK: LazyLock<Regex> = LazyLock::new(|| pattern(r"[0-9]{16,}"));
static MASKED: LazyLock<Regex> = LazyLock::new(|| pattern(r"X{16,}"));
static LONG_BASE64: LazyLock<Regex> = LazyLock::new(|| pattern(r"[A-Za-z0-9+/=]{80,}"));
/// What a recording has in place of a transactionId. A short one is in no other text of an answer: `~` is masked.
pub(super) static MARKER: LazyLock<Regex> = LazyLock::new(|| pattern(r"\{\{tid\.*\}\}|~{1,6}"));

/// What is kept in place of a NIK of the usual length.
pub(super) const MASKED_NIK: &str = "XXXXXXXXXXXXXXXX";

/// Compiles a pattern of the program's own.
pub(super) fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a fixed pattern compiles")
}

impl KeptAnswer {
    /// Masks an answer. `None` when it contains a credential of the caller, plain or encrypted, in any encoding: nothing of it may be
    /// kept then.
    #[must_use]
    pub fn of(raw: &RawAnswer, call: &BuiltCall, subject: &Subject) -> Option<KeptAnswer> {
        let body = String::from_utf8_lossy(&raw.body);
        if repeats_secret(&body, call, subject) || repeats_secret(&raw.head, call, subject) {
            return None;
        }
        let id = &subject.customer_id;
        let body = body.replace(&format!("/{id}/"), "/{customer_id}/");
        let body = body.replace(&format!("\\/{id}\\/"), "\\/{customer_id}\\/");
        let body = if subject.ip.len() > 6 { body.replace(&subject.ip, "{ip}") } else { body };
        let ms = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Some(KeptAnswer {
            status: raw.status,
            head: raw.head.lines().map(kept_line).collect(),
            framing: raw.framing,
            body: without_names(masked(&body)),
            first_byte_ms: ms(raw.first_byte),
            last_byte_ms: ms(raw.last_byte),
            stays_open: raw.stays_open,
        })
    }
}

/// Whether a text contains a credential or a ciphertext of a call: as it is, or in an encoding of it.
fn repeats_secret(text: &str, call: &BuiltCall, subject: &Subject) -> bool {
    let own = [&subject.user_id, &subject.password];
    let all: Vec<&String> = own.into_iter().chain(&call.ciphertexts).collect();
    // The index leaves short values out.
    let plain = text.replace('\\', "");
    if all.iter().any(|secret| text.contains(secret.as_str()) || plain.contains(secret.as_str())) {
        return true;
    }
    let mut index = SecretIndex::default();
    for secret in all {
        index.add("", &Account { user_id: secret.clone(), password: String::new() });
    }
    index.hidden(text) != text
}

/// Removes the texts in `response` that may be personal, where there are candidates.
fn without_names(body: String) -> String {
    if candidates_in(&body) == 0 {
        return body;
    }
    let Ok(Value::Object(mut members)) = serde_json::from_str::<Value>(&body) else {
        return format!("({} bytes that are not JSON, with {MASKED_NIK})", body.len());
    };
    let Some(response) = members.get_mut("response") else { return body };
    let cleaned = match response.as_str().map(serde_json::from_str::<Value>) {
        Some(Ok(inner)) if nameless(&inner) == inner => return body,
        Some(Ok(inner)) => Value::String(nameless(&inner).to_string()),
        _ => nameless(response),
    };
    if *response == cleaned {
        return body;
    }
    *response = cleaned;
    Value::Object(members).to_string()
}

/// A value whose texts are replaced, but for numbers, masks, and the two keys of the document.
fn nameless(value: &Value) -> Value {
    let text = |text: &String| {
        let is_harmless = ["face", "FACE_T5"].contains(&text.as_str())
            || text.parse::<f64>().is_ok_and(f64::is_finite)
            || (!text.is_empty() && text.bytes().all(|byte| byte == b'X'));
        match is_harmless {
            true => text.clone(),
            false if MASKED.is_match(text) => MASKED_NIK.to_owned(),
            false => "...".to_owned(),
        }
    };
    match value {
        Value::String(own) => Value::String(text(own)),
        Value::Array(items) => items.iter().map(nameless).collect(),
        Value::Object(members) => members.iter().map(|(key, value)| (text(key), nameless(value))).collect(),
        other => other.clone(),
    }
}

/// How many candidates a masked body has, by its shape or by the NIKs in it.
#[must_use]
pub fn candidates_in(body: &str) -> usize {
    let plain = straight(body);
    let response = serde_json::from_str::<Value>(&plain).ok().and_then(|body| match &body["response"] {
        Value::String(text) => serde_json::from_str::<Value>(text).ok(),
        other => Some(other.clone()),
    });
    let named = response.and_then(|response| Some(response["face"]["FACE_T5"].as_object()?.len()));
    named.unwrap_or(0).max(MASKED.find_iter(body).count())
}

/// A body with straight quotes instead of the document's typographic ones.
pub fn straight(body: &str) -> String {
    body.replace(['\u{201C}', '\u{201D}', '\u{201E}'], "\"")
}

/// Masks NIKs, and what is as long as a photo or a ciphertext.
#[must_use]
pub fn masked(text: &str) -> String {
    let without_base64 =
        LONG_BASE64.replace_all(text, |found: &regex::Captures| format!("({} characters)", found[0].len()));
    NIK.replace_all(&without_base64, |found: &regex::Captures| "X".repeat(found[0].len())).into_owned()
}

fn kept_line(line: &str) -> String {
    match line.split_once(':') {
        Some((name, _)) if !KEPT_VALUES.contains(&name.to_ascii_lowercase().as_str()) => {
            format!("{name}: ...")
        }
        _ => masked(line),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::conformance::call_spec::CallSpec;
    use crate::conformance::pictures::TestPictures;
    use crate::keys;

    /// What is kept of a body, with a password and a ciphertext that need escapes.
    fn kept(body: impl Fn(&str) -> String) -> Option<String> {
        let pem = keys::PrivateKey::generate("test", 1024).unwrap();
        let subject = Subject {
            customer_id: "bank".to_owned(),
            methode: "CALL_FN".to_owned(),
            ip: "10.0.0.1".to_owned(),
            user_id: "canary-user".to_owned(),
            password: "canary/\"password".to_owned(),
            key: keys::read_public_pem(pem.public_pem()).unwrap(),
            prefix: String::new(),
            pictures: TestPictures::small(),
            made_up: ("nobody".to_owned(), "nothing".to_owned()),
        };
        let call = CallSpec::default().build(&subject, "cf-1").unwrap();
        let raw = RawAnswer {
            status: 200,
            head: "HTTP/1.1 200 OK".to_owned(),
            body: body(&call.ciphertexts[0]).into_bytes(),
            framing: AnswerFraming::Close,
            first_byte: Duration::ZERO,
            last_byte: Duration::ZERO,
            stays_open: false,
        };
        KeptAnswer::of(&raw, &call, &subject).map(|kept| kept.body)
    }

    #[test]
    fn a_repeated_credential_is_noticed_in_every_encoding() {
        let base64 = crate::protocol::encoding::encode(b"canary-user:canary/\"password");
        for body in [
            "canary/\"password",
            r#""canary\/\"password""#,
            r#""canary\/\u0022password""#,
            "canary%2F%22password",
            "63616e6172792d75736572",
            &base64,
        ] {
            assert_eq!(kept(|_| format!("<{body}>")), None, "{body}");
        }
        for escaped in [("/", "\\/"), ("+", "%2B"), ("=", "\\u003d")] {
            assert_eq!(kept(|ciphertext| ciphertext.replace(escaped.0, escaped.1)), None, "{escaped:?}");
        }
        assert_eq!(kept(|_| "canary-uses".to_owned()), Some("canary-uses".to_owned()));
    }

    #[test]
    fn candidates_are_counted_and_what_is_beside_them_is_masked() {
        let nik = "3174096112900001";
        let (open, masked) = (r#"{"errorCode":"6018","response":"#, MASKED_NIK);
        for (response, expected, count) in [
            (r#""{\"face\": {}}"}"#.to_owned(), r#""{\"face\": {}}"}"#.to_owned(), 0),
            (
                format!(r#""{{\"face\": {{\"FACE_T5\":{{\"{nik}\": \"9.5\"}}}}}}"}}"#),
                format!(r#""{{\"face\": {{\"FACE_T5\":{{\"{masked}\": \"9.5\"}}}}}}"}}"#),
                1,
            ),
            (
                format!(r#"{{"face":{{"FACE_T5":{{"{nik}":["SITI",9.5],"7":"BUDI"}}}}}}}}"#),
                format!(r#"{{"face":{{"FACE_T5":{{"{masked}":["...",9.5],"7":"..."}}}}}}}}"#),
                2,
            ),
            (format!(r#""[\"{nik}\",\"SITI\"]"}}"#), format!(r#""[\"{masked}\",\"...\"]"}}"#), 1),
            (format!(r#""SITI {nik}"}}"#), format!(r#""{masked}"}}"#), 1),
        ] {
            let found = kept(|_| format!("{open}{response}")).unwrap();
            assert_eq!(found, format!("{open}{expected}"));
            assert_eq!(candidates_in(&found), count, "{found}");
        }
        let cut = kept(|_| format!("{open}\"SITI {nik}")).unwrap();
        assert!(candidates_in(&cut) == 1 && !cut.contains("SITI"), "{cut}");
    }
}
