//! What an endpoint answered that the simulator would not have under a policy: for each exchange all answers that it could have given are
//! compared, because the recording does not say everything of a request.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;

use super::alternatives::{recorded_answers, whole};
use super::exchange::{RecordedAnswer, RecordedRequest, Recording};
use super::request::target;
use crate::base::json;
use crate::conformance::answer::KeptAnswer;
use crate::conformance::calibrate::{Calibration, calibrate, calibrate_quota};
use crate::conformance::comparable::{Comparable, read_body};
use crate::conformance::difference::{AnswerDifference, DifferenceKind, closes, compared_fields};
use crate::conformance::model::{Model, ModelAnswer};
use crate::conformance::observation::{Answers, Observation};
use crate::domain::policy::Policy;
use crate::protocol::Code;

/// Answers that differ in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drift {
    pub kind: DifferenceKind,
    /// What came, and what was expected.
    pub what: String,
    /// Number of exchanges.
    pub count: u32,
    /// Number of one of them.
    pub example: u64,
    /// The recording that has the example.
    pub recording: String,
}

/// A policy key under another value of which answers would not differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DriftingKey {
    pub key: String,
    /// As JSON.
    pub expected: Value,
    pub observed: Value,
    /// Why another value would do as well; `None` where none would.
    pub undetermined: Option<String>,
}

/// How recordings differ from what the simulator would have answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DriftReport {
    pub recordings: Vec<String>,
    pub exchanges: u32,
    /// Exchanges that are compared.
    pub compared: u32,
    /// The others, by the reason.
    pub not_compared: BTreeMap<String, u32>,
    /// Exchanges with an answer that the simulator would not have given.
    pub drifting: u32,
    pub drift: Vec<Drift>,
    pub keys: Vec<DriftingKey>,
    /// Exchanges that no policy explains.
    pub unexplained: u32,
}

/// Compares recordings with a policy.
#[must_use]
pub fn drift(model: &Model, recordings: &[Recording], policy: &Policy) -> DriftReport {
    let mut observations = Vec::new();
    let mut report = DriftReport {
        recordings: recordings.iter().map(|one| one.header.recording.clone()).collect(),
        exchanges: 0,
        compared: 0,
        not_compared: BTreeMap::new(),
        drifting: 0,
        drift: Vec::new(),
        keys: Vec::new(),
        unexplained: 0,
    };
    let known: Vec<_> =
        recordings.iter().map(|recording| recorded_answers(model, recording, &mut observations)).collect();
    let closest: Vec<_> = observations.iter().map(|one| closest(model, policy, one)).collect();
    for (recording, known) in recordings.iter().zip(known) {
        for (exchange, index) in recording.exchanges.iter().zip(known) {
            report.exchanges += 1;
            let answer = index.zip(whole(exchange).map(|(_, answer)| answer));
            let Some((index, answer)) = answer else {
                let why = not_compared(&exchange.request, &exchange.answer);
                *report.not_compared.entry(why).or_default() += 1;
                continue;
            };
            report.compared += 1;
            let found = differences(&observations[index].seen, answer, &closest[index]);
            report.drifting += u32::from(!found.is_empty());
            for difference in found {
                report.add(difference, exchange.number, &recording.header.recording);
            }
        }
    }
    report.drift.sort_by_key(|one| (one.kind, std::cmp::Reverse(one.count)));
    let answers = Answers { recordings, ..Answers::default() };
    // What uses up quota is told only by many answers, none of which differs.
    let calibration = match report.drift.is_empty() {
        true => calibrate_quota(model, &answers, policy),
        false => calibrate(model, &answers, policy),
    };
    report.keys = drifting_keys(&calibration, policy);
    report.unexplained = report.compared - calibration.explained.min(report.compared);
    report
}

impl DriftReport {
    /// Whether the simulator would have answered otherwise under the policy, or used up quota otherwise.
    #[must_use]
    pub fn differs(&self) -> bool {
        !self.drift.is_empty() || !self.keys.is_empty()
    }

    fn add(&mut self, difference: AnswerDifference, example: u64, recording: &str) {
        let AnswerDifference { kind, what } = difference;
        match self.drift.iter_mut().find(|one| one.kind == kind && one.what == what) {
            Some(known) => known.count += 1,
            None => {
                self.drift.push(Drift { kind, what, count: 1, example, recording: recording.to_owned() });
            }
        }
    }

    /// A line for each way to differ, and one for each key.
    #[must_use]
    pub fn text(&self) -> String {
        let DriftReport { exchanges, compared, drifting, .. } = self;
        let mut text = format!(
            "{}: {exchanges} exchanges, {compared} compared, {drifting} drift\n",
            self.recordings.join(", ")
        );
        if *compared == 0 {
            text.push_str("  nothing was compared\n");
        }
        // Writing to a String cannot fail.
        for (why, count) in &self.not_compared {
            let _ = writeln!(text, "  not compared: {count} ({why})");
        }
        for one in &self.drift {
            let _ = writeln!(
                text,
                "{:<14} {:>6}  {} (exchange {} of {})",
                one.kind, one.count, one.what, one.example, one.recording
            );
        }
        if !self.keys.is_empty() {
            let what = match () {
                () if self.drift.is_empty() => "what uses up quota",
                () if self.unexplained > 0 => "a part of it",
                () => "it",
            };
            let _ = writeln!(text, "\nPolicy keys that would explain {what}:");
        }
        for key in &self.keys {
            let _ = write!(text, "  {} = {} instead of {}", key.key, key.observed, key.expected);
            let why = key.undetermined.iter().map(|why| format!(" (not the only explanation: {why})"));
            text.extend(why);
            text.push('\n');
        }
        if self.unexplained > 0 {
            let _ = writeln!(text, "\nNo policy explains {} of the answers.", self.unexplained);
        }
        text
    }

    /// The report as JSON.
    #[must_use]
    pub fn json(&self) -> String {
        String::from_utf8_lossy(&json::indented(self, "  ")).into_owned() + "\n"
    }
}

/// The answer that the simulator could have given and is the most like the one that came.
fn closest(model: &Model, policy: &Policy, one: &Observation) -> Option<ModelAnswer> {
    let possible = one.alternatives.iter().filter(|other| other.candidates <= policy.max_results);
    let answers = possible.map(|other| {
        let answer = model.answer(policy, one.world(other, false), &other.call);
        // Of equals the one with the candidates that were seen, else the first: that all is right which the recording does not say.
        let is_same = answer.comparable == one.seen;
        ((is_same, one.seen.likeness(&answer.comparable), other.candidates), answer)
    });
    let closest = answers.reduce(|best, other| if other.0 > best.0 { other } else { best });
    closest.map(|(_, answer)| answer)
}

fn not_compared(request: &RecordedRequest, answer: &RecordedAnswer) -> String {
    match (request, answer) {
        (RecordedRequest::Unparsed { .. }, _) => "the request could not be parsed".to_owned(),
        (_, RecordedAnswer::Cut { .. }) => "the connection ended without a whole answer".to_owned(),
        (_, RecordedAnswer::Unparsed { status: None, .. }) => "the answer was no HTTP".to_owned(),
        (_, RecordedAnswer::Unparsed { status: Some(status), .. }) => {
            format!("HTTP {status} with a body of neither shape")
        }
        (_, RecordedAnswer::Whole(answer)) if answer.status != 200 => format!("HTTP {}", answer.status),
        (_, RecordedAnswer::Whole(answer)) if read_body(&answer.body).is_none() => {
            "HTTP 200 with a body of neither shape".to_owned()
        }
        (RecordedRequest::Shape(shape), _) if shape.method != "POST" || target(&shape.path).is_none() => {
            "the request is none of a customer's".to_owned()
        }
        _ => "a request of which the recording has too little".to_owned(),
    }
}

fn differences(
    seen: &Comparable,
    answer: &KeptAnswer,
    expected: &Option<ModelAnswer>,
) -> Vec<AnswerDifference> {
    let Some(expected) = expected else {
        return vec![AnswerDifference::new(DifferenceKind::Code, "more candidates than maxResults")];
    };
    // A client may have wanted the end of the connection, which a recording does not say.
    let heads = [&answer.head, &expected.head].map(|head| compared_fields(head, closes(&answer.head)));
    seen.all_differences(&expected.comparable, heads)
}

/// The keys whose value in the policy that explains the most differs from a policy's.
fn drifting_keys(calibration: &Calibration, policy: &Policy) -> Vec<DriftingKey> {
    let told = calibration.measured.iter().map(|one| &one.key);
    let keys = told.chain(calibration.undetermined.iter().map(|one| &one.key));
    let codes: Vec<Code> = keys.filter_map(|key| Code::new(key.strip_prefix("shape.")?).ok()).collect();
    let [best, own] = [&calibration.best, policy].map(|policy| flat(policy, &codes));
    let differing = own.into_iter().filter_map(|(key, expected)| {
        let observed = best.get(&key).cloned().unwrap_or(Value::Null);
        let why = calibration.undetermined.iter().find(|one| one.key == key).map(|one| one.why.clone());
        let is_told = calibration.measured.iter().any(|one| one.key == key);
        let undetermined = why.filter(|_| !is_told);
        (observed != expected).then_some(DriftingKey { key, expected, observed, undetermined })
    });
    differing.collect()
}

/// The values of a policy by key; the shapes of these codes.
fn flat(policy: &Policy, codes: &[Code]) -> BTreeMap<String, Value> {
    let Value::Object(members) = json::value(policy) else { return BTreeMap::new() };
    let flat = |(key, value): (String, Value)| match (key.as_str(), value) {
        ("shape", _) => {
            codes.iter().map(|code| (format!("shape.{code}"), json::value(&policy.shape_of(code)))).collect()
        }
        // Its place is not told by answers.
        ("precedence", Value::Array(checks)) => {
            let told = checks.into_iter().filter(|check| check != "capacity").collect();
            vec![(key, Value::Array(told))]
        }
        (_, value) => vec![(key, value)],
    };
    members.into_iter().flat_map(flat).collect()
}
