//! Builds an answer from its code: the values that it echoes from the request, and those that the policy sets.

use super::policy::{Policy, SAMPLE_TRANSACTION_ID, TransactionIdPolicy};
use super::quota::QuotaView;
use crate::protocol::{Answer, AnsweredBy, Candidate, Code, Shape, number};

/// Values of the request that an answer echoes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo<'a> {
    /// `None` when it could not be read.
    pub transaction_id: Option<&'a str>,
    /// `None` when it could not be read.
    pub threshold: Option<f64>,
    /// As the client wrote it; `None` when it could not be read.
    pub threshold_as_written: Option<&'a str>,
}

/// `quotaLimiter` of a customer without a limit, and of an unknown customer: the document's value.
const SAMPLE_QUOTA_LIMITER: &str = "80";

/// What a rule overrides in an answer besides its code.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnswerOverrides<'a> {
    /// The message, sent unchanged.
    pub error: Option<&'a str>,
    pub shape: Option<Shape>,
}

/// Content of an answer, before the policy is applied.
#[derive(Clone, Debug)]
pub struct AnswerContent<'a> {
    pub code: &'a Code,
    pub echo: Echo<'a>,
    pub quota: QuotaView,
    pub candidates: Vec<Candidate>,
    pub overrides: AnswerOverrides<'a>,
}

/// Builds an answer.
#[must_use]
pub fn compose(content: AnswerContent, policy: &Policy) -> Answer {
    let AnswerContent { code, echo, quota, candidates, overrides } = content;
    let message = code.message();
    let message = if policy.trim_messages { message.trim() } else { message };
    Answer {
        shape: overrides.shape.unwrap_or_else(|| policy.shape_of(code)),
        types: policy.types,
        message: overrides.error.unwrap_or(message).to_owned(),
        // Doc 4.5: an answer without `response` also has a null `tid`.
        tid: echo.transaction_id.filter(|_| code.has_response()).map(str::to_owned),
        transaction_id: match policy.transaction_id {
            TransactionIdPolicy::Echo => echo.transaction_id.unwrap_or_default(),
            TransactionIdPolicy::Literal => SAMPLE_TRANSACTION_ID,
        }
        .to_owned(),
        max_results: policy.max_results,
        face_threshold: face_threshold(code, echo, &policy.face_threshold),
        response: code.has_response().then_some(candidates),
        uid: policy.uid.clone(),
        quota_limiter: quota_limiter(policy, quota),
        code: code.clone(),
    }
}

/// Returns `faceThreshold` under a setting of the policy key. Doc 4: `"0"` in answers of the frontend, the request's threshold in answers of the matcher; `"0"` too when it cannot be read.
#[must_use]
pub fn face_threshold(code: &Code, echo: Echo, setting: &str) -> String {
    let echoed = match (code.stage(), setting) {
        (AnsweredBy::Frontend, _) => None,
        (AnsweredBy::Matcher, "echo") => echo.threshold.map(number::java_double),
        (AnsweredBy::Matcher, "verbatim") => echo.threshold_as_written.map(str::to_owned),
        (AnsweredBy::Matcher, literal) => Some(literal.to_owned()),
    };
    echoed.unwrap_or_else(|| "0".to_owned())
}

fn quota_limiter(policy: &Policy, quota: QuotaView) -> String {
    let number = match policy.quota_limiter.as_str() {
        "left" => quota.left(),
        "limit" => quota.per_day,
        literal => return literal.to_owned(),
    };
    number.map_or_else(|| SAMPLE_QUOTA_LIMITER.to_owned(), |number| number.to_string())
}
