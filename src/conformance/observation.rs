//! An answer with its call, as the search for a policy looks at it; and how what it tells is written down.

use serde_json::{Value, json};

use super::answer::{Comparable, ReadBody, comparable, read_body};
use super::cases::{self, FORM_KEYS};
use super::model::{Model, ModelCall, World};
use super::run_file::{RecordedCall, RecordedRun};
use crate::domain::policy::{Measurement, PolicySpec};
use crate::protocol::{Code, Shape};

/// One answer with its call.
pub struct Observation<'a> {
    /// Position among the observations.
    pub index: usize,
    pub call: &'a RecordedCall,
    pub run: &'a RecordedRun,
    pub model: ModelCall,
    pub seen: Comparable,
    /// Of an answer with status 200.
    pub body: Option<ReadBody>,
}

/// What the form of an answer depends on, beside the policy.
#[derive(PartialEq, Eq)]
pub struct AnswerKind<'a> {
    status: u16,
    pub code: Option<&'a str>,
    shape: Option<Shape>,
    is_own: bool,
    /// As sent, where the matcher answers: it echoes it.
    threshold: Option<&'a str>,
}

impl Observation<'_> {
    /// Whether the answer bears on a decision of the policy.
    pub fn bears_on(&self, key: &str) -> bool {
        let keys = |id: &String| cases::find(id).is_ok_and(|case| case.keys.contains(&key));
        // Any call may reach the matcher, where what it asks is accepted.
        let is_matchers = self.body.as_ref().is_some_and(|body| {
            body.code.starts_with('6') && !["6014", "6015"].contains(&body.code.as_str())
        });
        self.call.cases.iter().any(keys) || (key == "not_found" && is_matchers)
    }

    /// What the model is to know of the customer.
    pub fn world(&self, any_ip: bool) -> World {
        World { any_ip, exhausted: self.run.header.exhausted }
    }

    /// Answers of one kind have the same form.
    pub fn kind(&self) -> AnswerKind<'_> {
        let code = self.body.as_ref().map(|body| body.code.as_str());
        let is_matchers = code.is_some_and(|code| code.starts_with('6'));
        AnswerKind {
            status: self.seen.status,
            code,
            shape: self.body.as_ref().map(|body| body.shape),
            is_own: self.model.is_own,
            threshold: is_matchers.then(|| self.call.sends.threshold()),
        }
    }
}

/// The answers that the model knows. Answers of a busy matcher tell nothing, and those of a run with the quota used up only where one said so.
pub fn observations<'a>(model: &'a Model, runs: &'a [RecordedRun]) -> Vec<Observation<'a>> {
    let mut found = Vec::new();
    for run in runs {
        let bodies: Vec<_> = run
            .calls
            .iter()
            .map(|call| call.result.as_ref().ok().and_then(|answer| read_body(&answer.body)))
            .collect();
        let has = |code: &Code| bodies.iter().flatten().any(|body| body.code == code.as_str());
        if run.header.exhausted && !has(&Code::QUOTA) {
            continue;
        }
        for (call, body) in run.calls.iter().zip(bodies) {
            let Ok(answer) = &call.result else { continue };
            let is_busy = body.as_ref().is_some_and(|body| body.code == Code::BUSY.as_str());
            if let Some(model) = model.call(&call.sends, &call.transaction_id).filter(|_| !is_busy) {
                let body = body.filter(|_| answer.status == 200);
                let index = found.len();
                found.push(Observation { index, call, run, model, seen: comparable(answer), body });
            }
        }
    }
    found
}

/// Where a value comes from: the calls that tell it.
pub fn measured_by(key: &str, telling: &[(&RecordedCall, &RecordedRun)]) -> Option<Measurement> {
    let (last, run) = telling.iter().max_by(|a, b| a.0.at.cmp(&b.0.at))?;
    let mut cases: Vec<String> = Vec::new();
    for (call, _) in telling {
        cases.extend(call.cases.first().filter(|case| !cases.contains(case)).cloned());
    }
    Some(Measurement {
        key: key.to_owned(),
        at: last.at.clone(),
        target: run.header.target.clone(),
        run: run.header.run.clone(),
        cases,
        calls: telling.len() as u32,
        suite: run.header.suite,
    })
}

/// A specification of one key; `None` for a value that the key does not take.
pub fn spec_of(key: &str, value: &Value) -> Option<PolicySpec> {
    let written = match key.split_once('.') {
        Some((key, member)) => json!({ key: { member: value } }),
        None => json!({ key: value }),
    };
    serde_json::from_value(written).ok()
}

/// Whether a key is one of an answer's form.
pub fn is_form(key: &str) -> bool {
    FORM_KEYS.contains(&key.split('.').next().unwrap_or_default())
}
