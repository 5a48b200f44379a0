//! An answer with its call, as the search for a policy looks at it; and how what it tells is written down. A call of a run is known; of one
//! of a recording several are possible, and one of them has the answer.

use serde_json::{Value, json};

use super::cases::{self, FORM_KEYS};
use super::comparable::{Comparable, ReadBody, comparable, read_body};
use super::model::{Model, ModelCall, World};
use super::recording::exchange::{RecordedExchange, Recording};
use super::run_file::{RecordedCall, RecordedRun};
use crate::domain::policy::{Measurement, PolicySpec};
use crate::protocol::{Code, Shape};

/// Answers of one endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answers<'a> {
    pub runs: &'a [RecordedRun],
    pub recordings: &'a [Recording],
    /// How many requests of a day the contract includes, where that is known.
    pub daily_quota: Option<u64>,
}

impl<'a> Answers<'a> {
    /// Those of conformance runs alone.
    #[must_use]
    pub fn of_runs(runs: &'a [RecordedRun]) -> Answers<'a> {
        Answers { runs, ..Answers::default() }
    }
}

/// Where an answer stands.
#[derive(Clone, Copy, Debug)]
pub struct AnswerPlace<'a> {
    /// Id of the run or the recording.
    pub run: &'a str,
    pub target: &'a str,
    pub started: &'a str,
    pub suite: u32,
    /// Of the call or the exchange.
    pub number: u64,
    pub at: &'a str,
    /// The cases that the call serves; none of an exchange.
    pub cases: &'a [String],
    /// Number of answers that stand for this one.
    pub count: u32,
}

impl<'a> AnswerPlace<'a> {
    /// Where an exchange of a recording stands.
    #[must_use]
    pub fn of_exchange(recording: &'a Recording, exchange: &'a RecordedExchange) -> AnswerPlace<'a> {
        AnswerPlace {
            run: &recording.header.recording,
            target: &recording.header.target,
            started: &recording.header.started,
            suite: recording.header.suite,
            number: exchange.number,
            at: &exchange.at,
            cases: &[],
            count: 1,
        }
    }

    /// Where a call of a run stands.
    #[must_use]
    pub fn of_call(run: &'a RecordedRun, call: &'a RecordedCall) -> AnswerPlace<'a> {
        AnswerPlace {
            run: &run.header.run,
            target: &run.header.target,
            started: &run.header.started,
            suite: run.header.suite,
            number: u64::from(call.number),
            at: &call.at,
            cases: &call.cases,
            count: 1,
        }
    }

    /// The first case, or the number of the exchange.
    #[must_use]
    pub fn label(&self) -> String {
        self.cases.first().cloned().unwrap_or_else(|| format!("exchange {}", self.number))
    }
}

/// One answer with its call.
pub struct Observation<'a> {
    /// Position among the observations.
    pub index: usize,
    pub place: AnswerPlace<'a>,
    /// The calls that it may answer; one for a run.
    pub alternatives: Vec<Alternative>,
    /// More that are possible, and differ only in what they use up.
    pub also: Vec<Alternative>,
    pub seen: Comparable,
    /// Of an answer with status 200.
    pub body: Option<ReadBody>,
    /// As sent, where it is known.
    pub threshold: String,
    pub origin: Origin,
}

/// A call that an answer may belong to.
pub struct Alternative {
    pub call: ModelCall,
    /// What the model is to know of the customer; `None` where the search says whether any address may call.
    pub world: Option<World>,
    /// More candidates than a policy allows are none of its answers.
    pub candidates: usize,
}

/// Where an answer was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Whether the quota of the day was used up before.
    Run { exhausted: bool },
    /// The decisions of the policy that it may bear on.
    Recording(Vec<&'static str>),
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
    /// Of a recording: what it echoes.
    transaction_id: Option<&'a str>,
}

impl Observation<'_> {
    /// Whether the answer bears on a decision of the policy.
    pub fn bears_on(&self, key: &str) -> bool {
        let keys = |id: &String| cases::find(id).is_ok_and(|case| case.keys.contains(&key));
        // Any call may reach the matcher, where what it asks is accepted.
        let is_matchers = self.body.as_ref().is_some_and(|body| {
            body.code.starts_with('6') && !["6014", "6015"].contains(&body.code.as_str())
        });
        match &self.origin {
            Origin::Run { .. } => self.place.cases.iter().any(keys) || (key == "not_found" && is_matchers),
            Origin::Recording(keys) => keys.contains(&key),
        }
    }

    /// Whether the customer_id is the customer's own, whatever else is not known.
    pub fn is_own(&self) -> bool {
        self.alternatives.iter().all(|one| one.call.is_own)
    }

    pub fn is_recorded(&self) -> bool {
        matches!(self.origin, Origin::Recording(_))
    }

    /// What the model is to know of the customer.
    pub fn world(&self, alternative: &Alternative, any_ip: bool) -> World {
        let exhausted = matches!(self.origin, Origin::Run { exhausted: true });
        alternative.world.unwrap_or(World { any_ip, exhausted })
    }

    /// Answers of one kind have the same form.
    pub fn kind(&self) -> AnswerKind<'_> {
        let body = self.body.as_ref();
        let code = body.map(|body| body.code.as_str());
        let is_matchers = code.is_some_and(|code| code.starts_with('6'));
        AnswerKind {
            status: self.seen.status,
            code,
            shape: body.map(|body| body.shape),
            is_own: self.is_own(),
            threshold: is_matchers.then_some(self.threshold.as_str()),
            transaction_id: body
                .filter(|_| self.is_recorded())
                .and_then(|body| body.transaction_id.as_deref()),
        }
    }
}

/// The answers of runs that the model knows. Answers of a busy matcher tell nothing, and those of a run with the quota used up only where one said so.
pub fn observations<'a>(model: &Model, runs: &'a [RecordedRun]) -> Vec<Observation<'a>> {
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
                found.push(Observation {
                    index: found.len(),
                    place: AnswerPlace::of_call(run, call),
                    alternatives: vec![Alternative { call: model, world: None, candidates: 0 }],
                    also: Vec::new(),
                    seen: comparable(answer),
                    body: body.filter(|_| answer.status == 200),
                    threshold: call.sends.threshold().to_owned(),
                    origin: Origin::Run { exhausted: run.header.exhausted },
                });
            }
        }
    }
    found
}

/// Exchanges that are named as the source of a value.
const MAX_EXAMPLES: usize = 3;

/// Where a value comes from: the calls that tell it.
pub fn measured_by(key: &str, telling: &[AnswerPlace]) -> Option<Measurement> {
    let last = telling.iter().max_by(|a, b| a.at.cmp(b.at))?;
    let mut cases: Vec<String> = Vec::new();
    let mut exchanges = 0;
    for place in telling {
        let label = place.label();
        exchanges += usize::from(place.cases.is_empty());
        let is_one_more = place.cases.is_empty() && exchanges > MAX_EXAMPLES;
        cases.extend(Some(label).filter(|label| !is_one_more && !cases.contains(label)));
    }
    Some(Measurement {
        key: key.to_owned(),
        at: last.at.to_owned(),
        target: last.target.to_owned(),
        run: last.run.to_owned(),
        cases,
        calls: telling.iter().map(|place| place.count).sum(),
        suite: last.suite,
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
