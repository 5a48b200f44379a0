//! From a decided code to the answer's values: what is echoed, and what policy puts in its place.

use super::policy::{Policy, SAMPLE_TRANSACTION_ID, TransactionIdPolicy};
use super::quota::QuotaView;
use crate::protocol::{Answer, AnsweredBy, Candidate, Code, Shape, number};

/// What an answer repeats of the request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo<'a> {
    /// `None` when it could not be read.
    pub transaction_id: Option<&'a str>,
    /// `None` when it could not be read.
    pub threshold: Option<f64>,
}

/// `quotaLimiter` where there is no limit or no such customer: the document's.
const SAMPLE_QUOTA_LIMITER: &str = "80";

/// What a rule says of an answer beyond its code.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnswerOverrides<'a> {
    /// The message, as it is.
    pub error: Option<&'a str>,
    pub shape: Option<Shape>,
}

/// Puts an answer together.
#[must_use]
pub fn compose(
    code: &Code,
    echo: Echo,
    policy: &Policy,
    quota: QuotaView,
    candidates: Vec<Candidate>,
    said: AnswerOverrides,
) -> Answer {
    let message = code.message();
    let message = if policy.trim_messages { message.trim() } else { message };
    Answer {
        shape: said.shape.unwrap_or_else(|| policy.shape_of(code)),
        message: said.error.unwrap_or(message).to_owned(),
        // Doc 4.5: the answer without response is also the one whose tid is null.
        tid: echo.transaction_id.filter(|_| code.has_response()).map(str::to_owned),
        transaction_id: match policy.transaction_id {
            TransactionIdPolicy::Echo => echo.transaction_id.unwrap_or_default(),
            TransactionIdPolicy::Literal => SAMPLE_TRANSACTION_ID,
        }
        .to_owned(),
        max_results: policy.max_results,
        face_threshold: face_threshold(code, echo, policy),
        response: code.has_response().then_some(candidates),
        uid: policy.uid.clone(),
        quota_limiter: quota_limiter(policy, quota),
        code: code.clone(),
    }
}

/// Doc 4: `"0"` in what is found before the matcher, the request's in the matcher's own answers.
fn face_threshold(code: &Code, echo: Echo, policy: &Policy) -> String {
    match (code.stage(), policy.face_threshold.as_str(), echo.threshold) {
        (AnsweredBy::Frontend, ..) | (AnsweredBy::Matcher, "echo", None) => "0".to_owned(),
        (AnsweredBy::Matcher, "echo", Some(threshold)) => number::java_double(threshold),
        (AnsweredBy::Matcher, literal, _) => literal.to_owned(),
    }
}

fn quota_limiter(policy: &Policy, quota: QuotaView) -> String {
    let number = match policy.quota_limiter.as_str() {
        "left" => quota.left(),
        "limit" => quota.per_day,
        literal => return literal.to_owned(),
    };
    number.map_or_else(|| SAMPLE_QUOTA_LIMITER.to_owned(), |number| number.to_string())
}
