//! An answer as it is kept: masked before it is written or shown, read in both shapes, and brought into a form that can be compared
//! with what the simulator would have sent.

use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::call_spec::{BuiltCall, Subject};
use super::raw_client::{AnswerFraming, RawAnswer};
use crate::protocol::Shape;

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
static LONG_BASE64: LazyLock<Regex> = LazyLock::new(|| pattern(r"[A-Za-z0-9+/=]{80,}"));
static QUOTA_LIMITER: LazyLock<Regex> = LazyLock::new(|| pattern(r"(quotaLimiter\W{1,12})([0-9]+)"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a fixed pattern compiles")
}

impl KeptAnswer {
    /// Masks an answer. `None` when it contains a credential of the caller, plain or encrypted: nothing of it may be kept then.
    #[must_use]
    pub fn of(raw: &RawAnswer, call: &BuiltCall, subject: &Subject) -> Option<KeptAnswer> {
        let body = String::from_utf8_lossy(&raw.body);
        let ciphertexts = call.ciphertexts.iter().map(String::as_str);
        let secrets = [subject.user_id.as_str(), &subject.password].into_iter().chain(ciphertexts);
        if secrets.into_iter().any(|secret| body.contains(secret) || raw.head.contains(secret)) {
            return None;
        }
        let body = body.replace(&format!("/{}/", subject.customer_id), "/{customer_id}/");
        let body = if subject.ip.len() > 6 { body.replace(&subject.ip, "{ip}") } else { body };
        let ms = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Some(KeptAnswer {
            status: raw.status,
            head: raw.head.lines().map(kept_line).collect(),
            framing: raw.framing,
            body: masked(&body),
            first_byte_ms: ms(raw.first_byte),
            last_byte_ms: ms(raw.last_byte),
            stays_open: raw.stays_open,
        })
    }
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

/// The values of an answer's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadBody {
    pub shape: Shape,
    pub code: String,
    pub message: String,
    pub transaction_id: Option<String>,
    pub uid: Option<String>,
    pub quota_limiter: Option<String>,
    pub max_results: Option<String>,
    pub face_threshold: Option<String>,
    pub candidates: usize,
}

/// Reads a body in one of the two shapes, also one with the document's typographic quotes; `None` for any other.
#[must_use]
pub fn read_body(body: &str) -> Option<ReadBody> {
    let plain = body.replace(['\u{201C}', '\u{201D}', '\u{201E}'], "\"");
    let Ok(Value::Object(members)) = serde_json::from_str::<Value>(&plain) else { return None };
    let text = |value: Option<&Value>| match value {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let own = |name: &str| text(members.get(name));
    let (shape, code, message) = match members.get("error") {
        Some(Value::Object(error)) => {
            (Shape::Verification, text(error.get("errorCode"))?, text(error.get("errorMessage"))?)
        }
        _ => (Shape::Identification, own("errorCode")?, own("error")?),
    };
    let response = own("response").and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let found = response.as_ref().and_then(|response| response["face"]["FACE_T5"].as_object());
    Some(ReadBody {
        shape,
        code,
        message,
        transaction_id: own("transactionId"),
        uid: own("uid"),
        quota_limiter: own("quotaLimiter"),
        max_results: own("maxResults"),
        face_threshold: own("faceThreshold"),
        candidates: found.map_or(0, serde_json::Map::len),
    })
}

/// What of an answer is compared, a part each. The number in `quotaLimiter` depends on the calls before, and is compared elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparable {
    pub status: u16,
    /// Of an answer of the endpoint's own, not of its HTTP server: names of header fields in title case, framing, body.
    pub content: Option<ComparableContent>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComparableContent {
    pub is_title_case: bool,
    pub framing: AnswerFraming,
    pub body: String,
}

/// Brings an answer into its comparable form.
#[must_use]
pub fn comparable(answer: &KeptAnswer) -> Comparable {
    let content = (answer.status == 200).then(|| ComparableContent {
        is_title_case: answer.head.iter().any(|line| line.starts_with("Content-")),
        framing: answer.framing,
        body: QUOTA_LIMITER.replace_all(&answer.body, "${1}0").into_owned(),
    });
    Comparable { status: answer.status, content }
}

impl Comparable {
    /// What is different in `other`, in words; empty when nothing is.
    #[must_use]
    pub fn differences(&self, other: &Comparable) -> Vec<String> {
        if self.status != other.status {
            return vec![format!("status {}, expected {}", self.status, other.status)];
        }
        let (Some(own), Some(others)) = (&self.content, &other.content) else { return Vec::new() };
        let mut differences = Vec::new();
        let mut note = |what: &str, own: String, other: String| {
            if own != other {
                differences.push(format!("{what} {own}, expected {other}"));
            }
        };
        let case = |is_title: bool| if is_title { "Title-Case" } else { "lower-case" }.to_owned();
        note("header names", case(own.is_title_case), case(others.is_title_case));
        note("framing", format!("{:?}", own.framing), format!("{:?}", others.framing));
        for (name, value) in features(&own.body) {
            let expected = features(&others.body).into_iter().find(|(other, _)| *other == name);
            let expected = expected.map_or_else(|| "none".to_owned(), |(_, value)| value);
            match name {
                // Nobody reads these.
                "types" | "white space" if value != expected => {
                    note("other", name.to_owned(), "the usual".to_owned())
                }
                _ => note(name, value, expected),
            }
        }
        if differences.is_empty() && own.body != others.body {
            differences.push("other bytes in the body".to_owned());
        }
        differences
    }

    /// How many parts are the same: what the search for a policy climbs.
    #[must_use]
    pub fn likeness(&self, other: &Comparable) -> usize {
        if self.status != other.status {
            return 0;
        }
        let (Some(own), Some(others)) = (&self.content, &other.content) else { return 20 };
        let expected = features(&others.body);
        let same = features(&own.body).iter().filter(|feature| expected.contains(feature)).count();
        let code = features(&own.body).first() == expected.first();
        usize::from(own.is_title_case == others.is_title_case)
            + usize::from(own.framing == others.framing)
            + same
            + if code { 8 } else { 0 }
            + if own.body == others.body { 4 } else { 0 }
    }
}

/// The parts of a body, by name; the code first.
fn features(body: &str) -> Vec<(&'static str, String)> {
    let white = body.replace(|c: char| !(c.is_whitespace() || "{}:,\"\u{201C}\u{201D}".contains(c)), "");
    let Some(read) = read_body(body) else { return vec![("body", "of neither shape".to_owned())] };
    let shown = |value: Option<String>| format!("{:?}", value.unwrap_or_default());
    let types = ["true", "false", ":0", ": 0"].map(|part| body.contains(part).to_string()).join(",");
    vec![
        ("code", read.code),
        ("shape", format!("{:?}", read.shape).to_lowercase()),
        ("text", format!("{:?}", read.message)),
        ("transactionId", shown(read.transaction_id)),
        ("uid", shown(read.uid)),
        ("quotaLimiter", shown(read.quota_limiter)),
        ("maxResults", shown(read.max_results)),
        ("faceThreshold", shown(read.face_threshold)),
        ("types", types),
        ("white space", format!("{white:?}")),
    ]
}
