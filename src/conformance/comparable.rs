//! An answer in the form that is compared with what the simulator would have sent, and how alike two are.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::answer::{KeptAnswer, MARKER, pattern, straight};
use super::raw_client::AnswerFraming;
use crate::protocol::{Code, Shape};

static QUOTA_LIMITER: LazyLock<Regex> = LazyLock::new(|| pattern(r"(quotaLimiter\W{1,12})([0-9]+)"));

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
}

/// Reads a body in one of the two shapes, also one with the document's typographic quotes; `None` for any other, also when its code is
/// none.
#[must_use]
pub fn read_body(body: &str) -> Option<ReadBody> {
    let Ok(Value::Object(members)) = serde_json::from_str::<Value>(&straight(body)) else { return None };
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
    // It is printed to a terminal.
    Code::new(&code).ok()?;
    Some(ReadBody {
        shape,
        code,
        message,
        transaction_id: own("transactionId"),
        uid: own("uid"),
        quota_limiter: own("quotaLimiter"),
        max_results: own("maxResults"),
        face_threshold: own("faceThreshold"),
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
    /// How many parts are the same: what the search for a policy climbs.
    #[must_use]
    pub fn likeness(&self, other: &Comparable) -> usize {
        if self.status != other.status {
            return 0;
        }
        let (Some(own), Some(others)) = (&self.content, &other.content) else { return 20 };
        let [seen, expected] = [own, others].map(|content| features(&content.body));
        let same = seen.iter().filter(|feature| expected.contains(feature)).count();
        let code = seen.first() == expected.first();
        usize::from(own.is_title_case == others.is_title_case)
            + usize::from(own.framing == others.framing)
            + same
            + if code { 8 } else { 0 }
            + if own.body == others.body { 4 } else { 0 }
    }
}

/// The parts of a body, by name; the code first.
fn features(body: &str) -> Vec<(&'static str, String)> {
    let white = MARKER
        .replace_all(body, "")
        .replace(|c: char| !(c.is_whitespace() || "{}:,\"\u{201C}\u{201D}".contains(c)), "");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_letters_and_digits() {
        let read = |code: &str| read_body(&format!(r#"{{"errorCode":"{code}","error":""}}"#)).is_some();
        for (code, is_code) in
            [("5004", true), ("E-1", true), ("", false), (r"5\u001b[31m", false), ("a b", false)]
        {
            assert_eq!(read(code), is_code, "{code}");
        }
    }
}
