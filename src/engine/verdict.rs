//! The verdict on a request: what is answered and why, and what is to be done on the wire.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::checks::Finding;
use crate::domain::faults::{Delivery, ListenerFault, Plan};
use crate::domain::fidelity::{AnswerGrounds, GroundsRecord};
use crate::domain::http_answer::HttpAnswer;
use crate::domain::rules::{Firing, RuleEffects};
use crate::domain::warnings::Warning;
use crate::protocol::{Candidate, Code, Layout, Shape};
use crate::state::journal::{
    CandidateRecord, DelayRecord, FaultRecord, Redactor, RequestMarks, RequestRecord,
};
use crate::state::timing::StageTimes;
use crate::state::worker_pool::Slot;

/// What is answered, why, and what is done on the wire.
#[derive(Debug)]
pub struct Verdict {
    /// `None` for an answer that has no code.
    pub code: Option<Code>,
    pub shape: Option<Shape>,
    pub layout: Layout,
    /// The answer, were there no fault.
    pub http: HttpAnswer,
    /// What the checks alone answer; `None` when a rule skipped them.
    pub outcome: Option<Code>,
    pub candidates: Vec<Candidate>,
    pub findings: Vec<Finding>,
    pub warnings: Vec<Warning>,
    pub charged: bool,
    pub reason: String,
    pub hint: Option<String>,
    /// Which fields of the customer's state are different now.
    pub would_change: Vec<String>,
    /// Whether the customer's rule counters overflowed for the first time.
    pub(super) counters_overflowed: bool,
    pub(super) effects: RuleEffects,
    /// Before anything is sent.
    pub(super) delay: Option<Duration>,
    pub(super) plan: Option<Plan>,
    pub(super) slot: Option<Slot>,
    /// When it was decided, on the customer's clock.
    pub(super) at: Timestamp,
    pub(super) marks: RequestMarks,
    pub(super) request: RequestRecord,
    /// What the answer rests on; missing where the policy is only tried.
    pub(super) grounds: AnswerGrounds,
    pub(super) times: StageTimes,
}

/// What is to be done on the wire, in the order of the fields.
#[derive(Debug)]
pub struct ResponseAction {
    /// A slot in the matcher's worker pool: the request waits for a worker and for its work.
    pub slot: Option<Slot>,
    /// Before anything is sent.
    pub delay: Option<Duration>,
    pub delivery: Delivery,
    pub listener: Option<ListenerFault>,
    /// What the stages took so far.
    pub times: StageTimes,
    /// Whether the customer's rule counters overflowed for the first time.
    pub counters_overflowed: bool,
}

/// A verdict for a person: what the endpoint would answer, and why.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Explanation {
    pub code: Option<Code>,
    /// What the checks alone answer; null when a rule skips them.
    pub outcome: Option<Code>,
    pub reason: String,
    pub hint: Option<String>,
    pub rule: Option<String>,
    pub rules: Vec<Firing>,
    pub delay: Option<DelayRecord>,
    pub fault: Option<FaultRecord>,
    pub shape: Option<Shape>,
    pub layout: Layout,
    pub candidates: Vec<CandidateRecord>,
    pub findings: Vec<Finding>,
    pub warnings: Vec<Warning>,
    /// What the request would change of the customer's state: `used/<day>`, `state`, `draws/<rule>`, `count/<rule>`.
    pub would_change: Vec<String>,
    #[serde(flatten)]
    pub grounds: GroundsRecord,
    /// HTTP status.
    pub status: u16,
    /// The answer's body as it would be sent, were there no fault.
    pub body: String,
}

impl Verdict {
    /// The verdict for a person. The candidates' NIKs are masked unless `show_nik`; the body is what the endpoint sends.
    #[must_use]
    pub fn explanation(self, show_nik: bool) -> Explanation {
        Explanation {
            rule: self.rule(),
            grounds: self.grounds.record(),
            delay: self.delay_record(),
            fault: self.fault_record(),
            candidates: self.candidate_records(show_nik),
            code: self.code,
            outcome: self.outcome,
            reason: self.reason,
            hint: self.hint,
            rules: self.effects.firings,
            shape: self.shape,
            layout: self.layout,
            findings: self.findings,
            warnings: self.warnings,
            would_change: self.would_change,
            status: self.http.status,
            body: String::from_utf8_lossy(&self.http.body).into_owned(),
        }
    }

    /// Hides what must not be shown of the request; the answer itself is unchanged.
    pub(super) fn redacted(mut self, redactor: &Redactor) -> Verdict {
        redactor.findings(&mut self.findings);
        redactor.warnings(&mut self.warnings);
        self.reason = redactor.message(&self.reason).into_owned();
        self.hint = self.hint.map(|hint| redactor.message(&hint).into_owned());
        self.request = redactor.request(self.request);
        self
    }

    /// The first rule that decided something.
    pub(super) fn rule(&self) -> Option<String> {
        self.effects.firings.first().map(|firing| firing.rule.clone())
    }

    pub(super) fn candidate_records(&self, show_nik: bool) -> Vec<CandidateRecord> {
        self.candidates.iter().map(|candidate| CandidateRecord::of(candidate, show_nik)).collect()
    }

    pub(super) fn delay_record(&self) -> Option<DelayRecord> {
        let (_, rule) = self.effects.delay.as_ref()?;
        Some(DelayRecord {
            rule: rule.clone(),
            us: u64::try_from(self.delay?.as_micros()).unwrap_or(u64::MAX),
        })
    }

    pub(super) fn fault_record(&self) -> Option<FaultRecord> {
        let ((fault, rule), plan) = (self.effects.fault.as_ref()?, self.plan.as_ref()?);
        Some(FaultRecord { note: plan.note.clone(), ..FaultRecord::new(fault.kind(), rule) })
    }
}
