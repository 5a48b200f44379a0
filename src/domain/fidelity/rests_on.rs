//! What an answer rests on: the assumed policy keys with another value under which it would differ. Found by deciding again from what is
//! kept; no lock, no state.
//!
//! What was used of a quota before is taken as it was; where other values would have counted other requests, [`QuotaDoubt`] knows how
//! many. `head` is not among them: every answer has a head, so its standing is in every answer's basis.
//!
//! [`QuotaDoubt`]: super::grounds::QuotaDoubt

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::grounds::{AnsweredThrough, FailedCheck, Grounds, QuotaGrounds};
use crate::domain::answer::{Echo, face_threshold};
use crate::domain::matcher::face::NoFace;
use crate::domain::policy::{Check, KEYS, QuotaCounts, SAMPLE_TRANSACTION_ID, TransactionIdPolicy};
use crate::domain::server_answer::ServerFaults;
use crate::protocol::{AnsweredBy, Code, Provenance, Shape};

/// A policy key with an assumed value that matters for an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RestsOn {
    /// Key in `[policy]`; or `no_face` of `[matcher.faces]`.
    #[schemars(with = "String")]
    pub key: Cow<'static, str>,
    /// How certain the value is: always assumed.
    pub standing: Provenance,
    /// Another value, under which the answer would differ.
    pub other_value: Value,
    /// What would be answered then.
    pub other_answer: String,
    pub differs: Differs,
}

impl fmt::Display for RestsOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RestsOn { key, standing, other_value, other_answer, .. } = self;
        write!(f, "{key} is {standing}; with {other_value}: {other_answer}")
    }
}

/// What of an answer differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Differs {
    /// The code or the HTTP status.
    Code,
    /// A value in the body.
    Value,
}

impl Differs {
    /// Returns the name, as in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Differs::Code => "code",
            Differs::Value => "value",
        }
    }
}

/// What another value of a key leads to.
struct OtherOutcome {
    key: &'static str,
    value: Value,
    leads_to: LeadsTo,
}

enum LeadsTo {
    Code(Code),
    Status(u16),
    /// What cannot be told from what is kept.
    OtherChecks,
}

/// The key of `[matcher.faces]` that decides the answer to a photo without a face. Nobody outside knows that answer.
pub(super) const NO_FACE: &str = "no_face";

/// `faceThreshold` of the document's samples.
const SAMPLE_THRESHOLD: &str = "7.0";

impl Grounds {
    /// Returns the assumed keys with another value under which the answer would differ, in the order of the policy table.
    #[must_use]
    pub fn rests_on(&self) -> Vec<RestsOn> {
        let mut found: Vec<RestsOn> = Vec::new();
        let outcomes = self.other_outcomes().into_iter().filter(|other| self.is_changed_by(&other.leads_to));
        let outcomes = outcomes.map(|OtherOutcome { key, value, leads_to }| {
            let answer = match leads_to {
                LeadsTo::Code(code) => code.to_string(),
                LeadsTo::Status(status) => format!("HTTP {status}"),
                LeadsTo::OtherChecks => "what the other checks say".to_owned(),
            };
            rests_on(key, value, answer, Differs::Code)
        });
        let values = [self.transaction_id(), self.face_threshold(), self.quota_limiter()];
        for one in outcomes.chain(values.into_iter().flatten()).chain(self.other_bodies()) {
            let is_known = found.iter().any(|known| known.key == one.key);
            if !is_known && (one.key == NO_FACE || self.policy.is_assumed(&one.key)) {
                found.push(one);
            }
        }
        found.sort_by_key(|one| KEYS.iter().position(|key| key.name == one.key).unwrap_or(KEYS.len()));
        found
    }

    /// Whether an outcome of the checks changes the answer. A rule says the same whatever the outcome, unless it is for one only.
    fn is_changed_by(&self, other: &LeadsTo) -> bool {
        let differs = |own: Option<&Code>| !matches!(other, LeadsTo::Code(code) if Some(code) == own);
        match &self.through {
            AnsweredThrough::Checks | AnsweredThrough::Server => differs(self.code.as_ref()),
            AnsweredThrough::Rule { outcome } => outcome.is_some() && differs(outcome.as_ref()),
            AnsweredThrough::RuleWithoutChecks => false,
        }
    }

    fn other_outcomes(&self) -> Vec<OtherOutcome> {
        let readings = self.readings.iter().map(|reading| OtherOutcome {
            key: reading.key,
            value: reading.value.into(),
            leads_to: LeadsTo::Code(reading.code.clone()),
        });
        self.server_answers()
            .into_iter()
            .chain(
                [
                    self.precedence(),
                    self.code_of_check(),
                    self.not_found(),
                    self.no_face(),
                    self.quota_counts(),
                ]
                .into_iter()
                .flatten(),
            )
            .chain(readings)
            .collect()
    }

    /// Read in another way, the request gets the same code, but another value is echoed.
    fn other_bodies(&self) -> impl Iterator<Item = RestsOn> {
        let is_of_checks = self.through == AnsweredThrough::Checks;
        let same = self.readings.iter().filter(move |reading| is_of_checks && reading.has_other_body);
        same.map(|reading| {
            let answer = format!("{} with another value", reading.code);
            rests_on(reading.key, reading.value.into(), answer, Differs::Value)
        })
    }

    /// Under other values of these three keys the server refuses other requests.
    fn server_answers(&self) -> Vec<OtherOutcome> {
        let refused = ServerFaults::refused_by(&self.policy);
        let now = self.server.status(refused);
        let flipped = [
            (
                "content_type",
                ["any", "415"],
                ServerFaults { content_type: !refused.content_type, ..refused },
                refused.content_type,
            ),
            ("accept", ["any", "406"], ServerFaults { accept: !refused.accept, ..refused }, refused.accept),
            (
                "malformed_json",
                ["5004", "400"],
                ServerFaults { malformed: !refused.malformed, ..refused },
                refused.malformed,
            ),
        ];
        let differing = flipped.into_iter().filter_map(|(key, [lenient, strict], other, is_refused)| {
            let then = self.server.status(other);
            let leads_to = then.map_or(LeadsTo::OtherChecks, LeadsTo::Status);
            let value = if is_refused { lenient } else { strict }.into();
            (then != now).then_some(OtherOutcome { key, value, leads_to })
        });
        differing.collect()
    }

    /// In another order, another failed check is answered.
    fn precedence(&self) -> Option<OtherOutcome> {
        let first = self.first_failed()?;
        let other = self.in_order().find(|failed| failed.code != first.code)?;
        Some(OtherOutcome {
            key: "precedence",
            value: json!([other.check.name()]),
            leads_to: LeadsTo::Code(other.code.clone()),
        })
    }

    /// The answered check has a code that a key decides.
    fn code_of_check(&self) -> Option<OtherOutcome> {
        let FailedCheck { code, decided_by, .. } = self.first_failed()?;
        let (key, others) = match *decided_by {
            Some(key @ "unknown_customer") => (key, [Code::ACCOUNT, Code::PARAMETERS]),
            Some(key @ "wrong_methode") => (key, [Code::PARAMETERS, Code::ACCOUNT]),
            Some(key @ "bad_image") => (key, [Code::PARAMETERS, Code::BAD_PHOTO]),
            _ => return None,
        };
        let other = others.into_iter().find(|other| other != code)?;
        Some(OtherOutcome { key, value: json!(other), leads_to: LeadsTo::Code(other) })
    }

    fn not_found(&self) -> Option<OtherOutcome> {
        let is_found = self.policy.not_found.code == Code::FOUND;
        let other = if is_found { Code::NOT_FOUND } else { Code::FOUND };
        self.found_nobody.then(|| OtherOutcome {
            key: "not_found",
            value: json!(other),
            leads_to: LeadsTo::Code(other),
        })
    }

    /// A photo without a face gets a code of its own, or does not.
    fn no_face(&self) -> Option<OtherOutcome> {
        let (value, code) = match self.no_face.as_ref()? {
            NoFace::Nobody => (json!(Code::BAD_PHOTO), Code::BAD_PHOTO),
            NoFace::Code(_) => (json!("nobody"), self.policy.not_found.code.clone()),
        };
        Some(OtherOutcome { key: NO_FACE, value, leads_to: LeadsTo::Code(code) })
    }

    /// Under another value, the quota is used up now, or is not.
    fn quota_counts(&self) -> Option<OtherOutcome> {
        let QuotaGrounds { per_day, used, doubt, .. } = self.quota?;
        let first = self.first_failed();
        let (value, leads_to) = if first.is_some_and(|first| first.check == Check::Quota) {
            let next = self.in_order().nth(1).map(|failed| LeadsTo::Code(failed.code.clone()));
            (used.saturating_sub(doubt.charged) < per_day)
                .then(|| (QuotaCounts::Identified, next.unwrap_or(LeadsTo::OtherChecks)))?
        } else {
            let place = |check| self.policy.precedence.iter().position(|known| *known == check);
            let is_answered = first.is_none_or(|first| place(Check::Quota) < place(first.check));
            let is_used_up = doubt.spared > 0 && used + doubt.spared >= per_day;
            (is_answered && is_used_up).then_some((QuotaCounts::All, LeadsTo::Code(Code::QUOTA)))?
        };
        Some(OtherOutcome { key: "quota_counts", value: json!(value), leads_to })
    }

    fn is_verification(&self) -> bool {
        self.shape == Some(Shape::Verification) && !self.is_sample
    }

    fn transaction_id(&self) -> Option<RestsOn> {
        let (value, answer) = match self.policy.transaction_id {
            TransactionIdPolicy::Echo => ("literal", format!("transactionId {SAMPLE_TRANSACTION_ID:?}")),
            TransactionIdPolicy::Literal => ("echo", "the request's transactionId".to_owned()),
        };
        (self.is_verification() && !self.echoes_literal)
            .then(|| rests_on("transaction_id", value.into(), answer, Differs::Value))
    }

    fn face_threshold(&self) -> Option<RestsOn> {
        let (echoed, code) = (self.threshold.as_ref()?, self.code.as_ref()?);
        let echo = Echo {
            threshold: echoed.number,
            threshold_as_written: echoed.written.as_deref(),
            ..Echo::default()
        };
        let printed = |setting: &str| face_threshold(code, echo, setting);
        let own = printed(&self.policy.face_threshold);
        let other = ["echo", "verbatim", SAMPLE_THRESHOLD].into_iter().find(|other| printed(other) != own)?;
        // Its text is the client's, who may have written anything there.
        let answer = match other {
            "echo" => "the threshold as a Java double".to_owned(),
            "verbatim" => "the threshold as the client wrote it".to_owned(),
            literal => format!("faceThreshold {literal:?}"),
        };
        (code.stage() == AnsweredBy::Matcher && self.shape == Some(Shape::Identification))
            .then(|| rests_on("face_threshold", other.into(), answer, Differs::Value))
    }

    /// Under another value, another number of requests is left today.
    fn quota_limiter(&self) -> Option<RestsOn> {
        let QuotaGrounds { per_day, used, doubt, charged, is_identified, has_code } = self.quota?;
        if !self.is_verification() || self.policy.quota_limiter != "left" {
            return None;
        }
        let left = |used: u64| per_day.saturating_sub(used);
        let now = left(used + u64::from(charged));
        let least = left(used.saturating_sub(doubt.charged) + u64::from(is_identified));
        let most = left(used + doubt.spared + u64::from(has_code));
        let other = [(QuotaCounts::Identified, least), (QuotaCounts::All, most)];
        let (value, left) = other.into_iter().find(|(_, left)| *left != now)?;
        let answer = format!("quotaLimiter \"{left}\"");
        Some(rests_on("quota_counts", json!(value), answer, Differs::Value))
    }
}

fn rests_on(key: &'static str, other_value: Value, other_answer: String, differs: Differs) -> RestsOn {
    RestsOn { key: key.into(), standing: Provenance::Assumed, other_value, other_answer, differs }
}
