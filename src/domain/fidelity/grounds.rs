//! What is kept of a decision, so that it can be made again under other values of the policy.

use std::sync::Arc;

use crate::domain::checks::Finding;
use crate::domain::matcher::face::NoFace;
use crate::domain::policy::{Check, Policy};
use crate::domain::server_answer::ServerFaults;
use crate::protocol::{Code, Shape};

/// How an answer came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnsweredThrough {
    /// The checks and the matcher.
    Checks,
    /// A rule behind the checks; it fires only for this outcome of theirs, if for one.
    Rule { outcome: Option<Code> },
    /// A rule without checks.
    RuleWithoutChecks,
    /// The server, before any check.
    Server,
}

/// A failed check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedCheck {
    pub check: Check,
    pub code: Code,
    /// Policy key, or row of the table of fixed behaviour, that decides the code, where one does.
    pub decided_by: Option<&'static str>,
}

impl FailedCheck {
    /// Returns what is kept of a finding; `None` when the check has not failed.
    #[must_use]
    pub fn of(finding: &Finding) -> Option<FailedCheck> {
        let (check, decided_by) = (finding.check, finding.decided_by);
        finding.code.clone().map(|code| FailedCheck { check, code, decided_by })
    }
}

/// The request's threshold, in an answer that echoes it; `None` where it could not be read.
#[derive(Clone, Debug, PartialEq)]
pub struct EchoedThreshold {
    pub number: Option<f64>,
    /// At most [`EchoedThreshold::MAX_CHARS`].
    pub written: Option<Box<str>>,
}

impl EchoedThreshold {
    /// More than a Java double has, so that a text that is cut still differs from every other.
    pub const MAX_CHARS: usize = 40;
}

/// The quota of a customer with a limit, when a request was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaGrounds {
    pub per_day: u64,
    /// Before this request.
    pub used: u64,
    /// What other values of `quota_counts` would have counted today.
    pub doubt: QuotaDoubt,
    /// Whether this request was charged.
    pub charged: bool,
    /// Whether `identified`, which counts least, counts this request.
    pub is_identified: bool,
    /// Whether `all`, which counts most, counts this request.
    pub has_code: bool,
}

/// Requests of a day of which values of `quota_counts` differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaDoubt {
    /// Charged, though `identified` would not.
    pub charged: u64,
    /// Not charged, though `all` would.
    pub spared: u64,
}

/// What would be answered if a value were read in another way. Found when the request is decided, because its texts are not kept; only
/// requests with such a value have one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherReading {
    /// `numbers` or `base64`.
    pub key: &'static str,
    pub value: &'static str,
    pub code: Code,
    /// Whether the body would differ even with the same code.
    pub has_other_body: bool,
}

/// What is kept of a decision.
#[derive(Clone, Debug)]
pub struct Grounds {
    /// In force when it was decided.
    pub policy: Arc<Policy>,
    pub through: AnsweredThrough,
    /// The code of the answer; `None` for an answer of a server.
    pub code: Option<Code>,
    pub shape: Option<Shape>,
    /// Whether the body is one of the document's samples.
    pub is_sample: bool,
    /// Whether a rule says the text.
    pub has_rules_text: bool,
    /// Whether a rule says the shape.
    pub has_rules_shape: bool,
    /// In the default order.
    pub failed: Vec<FailedCheck>,
    /// No check failed, and the matcher found nobody.
    pub found_nobody: bool,
    /// What `no_face` of `[matcher.faces]` says, where no check failed and nobody was found for a photo without a face.
    pub no_face: Option<NoFace>,
    pub server: ServerFaults,
    /// Whether the request's transactionId is the document's literal.
    pub echoes_literal: bool,
    /// Of an answer that has it.
    pub threshold: Option<EchoedThreshold>,
    pub quota: Option<QuotaGrounds>,
    pub readings: Vec<OtherReading>,
}

impl Grounds {
    /// The failed check that was answered.
    #[must_use]
    pub fn first_failed(&self) -> Option<&FailedCheck> {
        self.in_order().next()
    }

    /// The failed checks in the order of the policy.
    pub fn in_order(&self) -> impl Iterator<Item = &FailedCheck> {
        self.policy
            .precedence
            .iter()
            .filter_map(|check| self.failed.iter().find(|failed| failed.check == *check))
    }

    /// Returns the approximate memory use beside the struct, in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.failed.len() * size_of::<FailedCheck>()
            + self.readings.len() * size_of::<OtherReading>()
            + self.threshold.as_ref().and_then(|echo| echo.written.as_deref()).map_or(0, str::len)
    }
}
