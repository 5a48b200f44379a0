//! What a run found, case by case, against an expected policy or an earlier run; as text, JSON, JUnit and Markdown.

use std::fmt::Write;

use schemars::JsonSchema;
use serde::Serialize;

use super::answer::KeptAnswer;
use super::cases::{CASES, TestCase};
use super::comparable::{Comparable, comparable, read_body};
use super::difference::compared_fields;
use super::model::{Model, World};
use super::run_file::{RecordedCall, RecordedRun, RunHeader};
use crate::base::json;
use crate::domain::policy::Policy;

/// What answers are compared with.
pub enum ComparedWith<'a> {
    /// What the simulator would answer under a policy.
    Policy(&'a Model, &'a Policy),
    /// An earlier run: only what moved differs.
    Baseline(&'a RecordedRun),
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CaseVerdict {
    AsExpected,
    /// How the answers differ.
    Differs(Vec<String>),
    /// There is nothing to compare the answer with.
    Seen,
    /// No answer came: why.
    Lost(String),
    /// Not asked: why.
    Skipped(String),
}

/// A case of a run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CaseResult {
    /// Id, such as `4.6/21`.
    pub case: &'static str,
    pub question: &'static str,
    pub verdict: CaseVerdict,
    /// Codes of the answers, or `HTTP` and a status.
    pub answers: Vec<String>,
    /// Numbers of the calls.
    pub calls: Vec<u32>,
    /// Time to the last bytes of the answers, together.
    pub milliseconds: u64,
}

/// A run with its results.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RunReport {
    pub run: RunHeader,
    /// Why it stopped early; null for a complete run.
    pub stopped: Option<String>,
    /// Number of calls.
    pub calls: usize,
    pub cases: Vec<CaseResult>,
}

impl RunReport {
    /// Compares a run.
    #[must_use]
    pub fn new(run: &RecordedRun, expected: &ComparedWith) -> RunReport {
        RunReport {
            run: run.header.clone(),
            stopped: run.stopped.clone(),
            calls: run.calls.len(),
            cases: CASES.iter().filter_map(|case| result(run, case, expected)).collect(),
        }
    }

    /// Whether an answer differs, or did not come.
    #[must_use]
    pub fn differs(&self) -> bool {
        self.cases.iter().any(|case| matches!(case.verdict, CaseVerdict::Differs(_) | CaseVerdict::Lost(_)))
    }

    fn count(&self, of: fn(&CaseVerdict) -> bool) -> usize {
        self.cases.iter().filter(|case| of(&case.verdict)).count()
    }

    fn summary(&self) -> String {
        let RunReport { run, calls, .. } = self;
        let counts = [
            ("as expected", self.count(|verdict| *verdict == CaseVerdict::AsExpected)),
            ("differ", self.count(|verdict| matches!(verdict, CaseVerdict::Differs(_)))),
            ("not compared", self.count(|verdict| *verdict == CaseVerdict::Seen)),
            ("lost", self.count(|verdict| matches!(verdict, CaseVerdict::Lost(_)))),
            ("skipped", self.count(|verdict| matches!(verdict, CaseVerdict::Skipped(_)))),
        ];
        let counts =
            counts.iter().filter(|(_, count)| *count > 0).map(|(what, count)| format!("{count} {what}"));
        let state = if run.exhausted { ", quota used up" } else { "" };
        format!(
            "{} against {}{state}: {calls} calls; cases: {}",
            run.run,
            run.target,
            counts.collect::<Vec<_>>().join(", ")
        )
    }

    /// A line a case.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for case in &self.cases {
            let (what, lines) = shown(&case.verdict);
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{:<20} {:<12} {}", case.case, what, case.answers.join(" "));
            lines.iter().for_each(|line| text.extend(["    ", line, "\n"]));
        }
        text.extend(["\n", &self.summary(), "\n"]);
        self.stopped.iter().for_each(|why| text.extend(["stopped early: ", why, "\n"]));
        text
    }

    /// A table.
    #[must_use]
    pub fn markdown(&self) -> String {
        let cell = |text: &str| text.replace('|', "\\|").replace(['\n', '\r'], " ");
        let mut text = format!(
            "{}\n\n| case | question | answers | result |\n| --- | --- | --- | --- |\n",
            cell(&self.summary())
        );
        for case in &self.cases {
            let (what, lines) = shown(&case.verdict);
            let result = std::iter::once(what.to_owned()).chain(lines).collect::<Vec<_>>().join("; ");
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} |",
                case.case,
                cell(case.question),
                cell(&case.answers.join(" ")),
                cell(&result)
            );
        }
        self.stopped.iter().for_each(|why| text.extend(["\nStopped early: ", &cell(why), "\n"]));
        text
    }

    /// The results as JSON.
    #[must_use]
    pub fn json(&self) -> String {
        String::from_utf8_lossy(&json::indented(self, "  ")).into_owned() + "\n"
    }

    /// A test case each, as CI systems read them. A lost answer and an early stop are errors.
    #[must_use]
    pub fn junit(&self) -> String {
        let failures = self.count(|verdict| matches!(verdict, CaseVerdict::Differs(_)));
        let skipped = self.count(|verdict| matches!(verdict, CaseVerdict::Skipped(_)));
        let stops = usize::from(self.stopped.is_some());
        let errors = self.count(|verdict| matches!(verdict, CaseVerdict::Lost(_))) + stops;
        let tests = self.cases.len() + stops;
        let seconds = |ms: u64| format!("{}.{:03}", ms / 1000, ms % 1000);
        let time = seconds(self.cases.iter().map(|case| case.milliseconds).sum());
        let mut text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"conformance\" tests=\"{tests}\" \
             failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" time=\"{time}\" timestamp=\"{}\">\n",
            xml(self.run.started.get(..19).unwrap_or_default())
        );
        for case in &self.cases {
            let _ = write!(
                text,
                "    <testcase classname=\"conformance\" name=\"{}\" time=\"{}\"",
                xml(case.case),
                seconds(case.milliseconds)
            );
            let inside = match &case.verdict {
                CaseVerdict::AsExpected | CaseVerdict::Seen => None,
                CaseVerdict::Differs(lines) => Some(("failure", lines.join("; "))),
                CaseVerdict::Lost(why) => Some(("error", format!("no answer: {why}"))),
                CaseVerdict::Skipped(why) => Some(("skipped", why.clone())),
            };
            match inside {
                None => text.push_str("/>\n"),
                Some((kind, message)) => {
                    let _ =
                        write!(text, ">\n      <{kind} message=\"{}\"/>\n    </testcase>\n", xml(&message));
                }
            }
        }
        if let Some(why) = &self.stopped {
            let _ = write!(
                text,
                "    <testcase classname=\"conformance\" name=\"run\" time=\"0.000\">\n      <error message=\"{}\"/>\n    </testcase>\n",
                xml(why)
            );
        }
        text + "  </testsuite>\n</testsuites>\n"
    }
}

/// Escapes a text for XML, and drops what XML 1.0 cannot have.
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\r' | '\t' => escaped.push(' '),
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => {}
            c => escaped.push(c),
        }
    }
    escaped
}

fn shown(verdict: &CaseVerdict) -> (&'static str, Vec<String>) {
    match verdict {
        CaseVerdict::AsExpected => ("ok", Vec::new()),
        CaseVerdict::Differs(lines) => ("DIFFERS", lines.clone()),
        CaseVerdict::Seen => ("seen", Vec::new()),
        CaseVerdict::Lost(why) => ("lost", vec![why.clone()]),
        CaseVerdict::Skipped(why) => ("skipped", vec![why.clone()]),
    }
}

/// The result of a case; `None` when the run does not have it.
fn result(run: &RecordedRun, case: &'static TestCase, expected: &ComparedWith) -> Option<CaseResult> {
    let calls: Vec<_> = calls_of(run, case.id).collect();
    let skipped = run.skipped.iter().find(|(id, _)| id == case.id);
    let lost = calls.iter().find_map(|call| call.result.as_ref().err());
    let verdict = match (calls.is_empty(), skipped, lost) {
        (true, None, _) => return None,
        (true, Some((_, why)), _) => CaseVerdict::Skipped(why.clone()),
        (_, _, Some(why)) => CaseVerdict::Lost(why.clone()),
        _ => compare(run, case.id, &calls, expected),
    };
    let answers = calls.iter().filter_map(|call| call.result.as_ref().ok());
    let code = |answer: &KeptAnswer| match read_body(&answer.body) {
        Some(read) if answer.status == 200 => read.code,
        _ => format!("HTTP {}", answer.status),
    };
    Some(CaseResult {
        case: case.id,
        question: case.question,
        verdict,
        milliseconds: answers.clone().map(|answer| answer.last_byte_ms).sum(),
        answers: answers.map(code).collect(),
        calls: calls.iter().map(|call| call.number).collect(),
    })
}

/// An answer, and what of its head is compared.
type ComparedAnswer = (Comparable, Vec<String>);

fn calls_of<'a>(run: &'a RecordedRun, id: &'a str) -> impl Iterator<Item = &'a RecordedCall> {
    run.calls.iter().filter(move |call| call.cases.iter().any(|case| case == id))
}

fn compare(run: &RecordedRun, id: &str, calls: &[&RecordedCall], expected: &ComparedWith) -> CaseVerdict {
    let seen = |call: &RecordedCall| {
        let answer = call.result.as_ref().ok()?;
        Some((comparable(answer), compared_fields(&answer.head, false)))
    };
    let pairs: Vec<(ComparedAnswer, ComparedAnswer)> = match expected {
        ComparedWith::Policy(model, policy) => {
            let world = World { any_ip: false, exhausted: run.header.exhausted };
            let pair = |call: &&RecordedCall| {
                let modelled = model.call(&call.sends, &call.transaction_id)?;
                let answer = model.answer(policy, world, &modelled);
                let fields = compared_fields(&answer.head, false);
                Some((seen(call)?, (answer.comparable, fields)))
            };
            calls.iter().filter_map(pair).collect()
        }
        ComparedWith::Baseline(baseline) => {
            let before: Vec<_> = calls_of(baseline, id).collect();
            if !before.is_empty() && before.len() != calls.len() {
                return CaseVerdict::Differs(vec![format!("{} calls, before {}", calls.len(), before.len())]);
            }
            let both = calls.iter().zip(before);
            both.filter_map(|(call, before)| {
                Some((without_id(seen(call)?, call), without_id(seen(before)?, before)))
            })
            .collect()
        }
    };
    let mut differences: Vec<String> = Vec::new();
    let all = |((seen, own), (expected, other)): &(ComparedAnswer, ComparedAnswer)| {
        seen.all_differences(expected, [own.clone(), other.clone()])
    };
    for one in pairs.iter().flat_map(all) {
        let one = one.to_string();
        if !differences.contains(&one) {
            differences.push(one);
        }
    }
    match (pairs.is_empty(), differences.is_empty()) {
        (true, _) => CaseVerdict::Seen,
        (_, true) => CaseVerdict::AsExpected,
        (_, false) => CaseVerdict::Differs(differences),
    }
}

/// Without the transactionId, which is another one in each run.
fn without_id((mut seen, fields): ComparedAnswer, call: &RecordedCall) -> ComparedAnswer {
    if let Some(content) = &mut seen.content {
        content.body = content.body.replace(&call.transaction_id, "{transactionId}");
    }
    (seen, fields)
}
