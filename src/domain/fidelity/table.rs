//! The table of all behaviour: how certain it is, where it is known from, since when, and what would change our mind. `GET /fidelity` and
//! `docs/reference/fidelity.md` are made of it.

use std::borrow::Cow;
use std::fmt::Write;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::base::json;
use crate::domain::policy::{FIXED, FixedBehaviour, KEYS, Measurement, PolicyKey, PolicyLayers};
use crate::protocol::{OUTCOMES, Outcome, Provenance};

/// What kind of behaviour a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BehaviourKind {
    /// A key of `[policy]`.
    Policy,
    /// Without a setting.
    Fixed,
    /// A code, its text and its shape.
    Code,
}

/// A behaviour of the endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Behaviour {
    pub name: &'static str,
    pub kind: BehaviourKind,
    pub meaning: String,
    /// The global value of a policy key; null for other behaviour, and where the document's values hold.
    pub value: Value,
    pub standing: Provenance,
    /// Section of the document, endpoint, or other source.
    #[schemars(with = "String")]
    pub source: Cow<'static, str>,
    /// When it was read, observed or measured: a date, or the instant of the measurement.
    #[schemars(with = "String")]
    pub date: Cow<'static, str>,
    /// Cases of `conformance` whose answers may change our mind; of what was measured, those that told.
    pub cases: Vec<String>,
}

/// When the document and public clients were last read.
const READ_ON: &str = "2026-11-25";

/// Returns the rows: policy keys, fixed behaviour, codes.
#[must_use]
pub fn behaviours(layers: &PolicyLayers) -> Vec<Behaviour> {
    let policy = json::value(&layers.policy());
    let keys = KEYS.iter().map(|key| of_key(key, layers, &policy[key.name]));
    keys.chain(FIXED.iter().map(of_fixed)).chain(OUTCOMES.iter().map(of_code)).collect()
}

fn of_key(key: &PolicyKey, layers: &PolicyLayers, value: &Value) -> Behaviour {
    let holds_as_documented = value.as_object().is_some_and(serde_json::Map::is_empty);
    let known = Behaviour {
        name: key.name,
        kind: BehaviourKind::Policy,
        meaning: key.meaning.to_owned(),
        value: if holds_as_documented { Value::Null } else { value.clone() },
        standing: key.standing,
        source: key.source.into(),
        date: READ_ON.into(),
        cases: owned(key.cases),
    };
    let measurements: Vec<_> = layers.measurements(key.name).collect();
    let Some(last) = measurements.iter().max_by(|a, b| a.at.cmp(&b.at)) else { return known };
    let Measurement { at, target, run, .. } = last;
    let mut cases: Vec<String> = measurements.iter().flat_map(|one| one.cases.clone()).collect();
    cases.sort();
    cases.dedup();
    let (source, date) = (format!("{target} in {run}").into(), at.clone().into());
    Behaviour { standing: Provenance::Measured, source, date, cases, ..known }
}

fn of_fixed(fixed: &FixedBehaviour) -> Behaviour {
    Behaviour {
        name: fixed.name,
        kind: BehaviourKind::Fixed,
        meaning: fixed.meaning.to_owned(),
        value: Value::Null,
        standing: fixed.standing,
        source: fixed.source.into(),
        date: READ_ON.into(),
        cases: owned(fixed.cases),
    }
}

fn of_code(outcome: &'static Outcome) -> Behaviour {
    Behaviour {
        name: outcome.code,
        kind: BehaviourKind::Code,
        meaning: format!("{:?}, in the {} shape", outcome.message, outcome.shape.name()),
        value: Value::Null,
        standing: outcome.standing,
        source: outcome.source.into(),
        date: READ_ON.into(),
        cases: owned(cases_of(outcome.code)),
    }
}

/// The cases that a code is expected from, or that may find it where another one is expected.
fn cases_of(code: &str) -> &'static [&'static str] {
    match code {
        "6018" => &["match/self", "match/none"],
        "5002" => &["quota/exhausted"],
        "5001" => &["4.3/unknown-user"],
        "5003" => &["4.4/foreign"],
        "5004" => &["4.5/empty-object"],
        "5005" => &["4.6/21"],
        "5006" => &["4.7/other-key"],
        "6019" => &["match/none"],
        "6015" => &["2/not-an-image", "match/no-face"],
        "9002" => &["4.3/wrong-password"],
        _ => &[],
    }
}

fn owned(cases: &[&str]) -> Vec<String> {
    cases.iter().map(ToString::to_string).collect()
}

/// Returns the page about the simulator's defaults.
#[must_use]
pub fn markdown() -> String {
    let mut text = INTRODUCTION.to_owned();
    let rows = behaviours(&PolicyLayers::default());
    for (kind, heading) in [
        (BehaviourKind::Policy, "## Settings"),
        (BehaviourKind::Fixed, "## Without a setting"),
        (BehaviourKind::Code, "## Codes"),
    ] {
        let has_value = kind == BehaviourKind::Policy;
        let [value, line] = if has_value { [" default |", " --- |"] } else { ["", ""] };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n{heading}\n\n| behaviour | what |{value} standing | known from | read on | what would change our mind |\n\
             | --- | --- |{line} --- | --- | --- | --- |\n"
        );
        for row in rows.iter().filter(|row| row.kind == kind) {
            let value = match &row.value {
                _ if !has_value => String::new(),
                Value::Null => " as documented |".to_owned(),
                value => format!(" `{}` |", cell(&value.to_string())),
            };
            let cases: Vec<_> = row.cases.iter().map(|case| format!("`{case}`")).collect();
            let cases = if cases.is_empty() { "-".to_owned() } else { cases.join(", ") };
            let Behaviour { name, meaning, standing, source, date, .. } = row;
            let (meaning, source) = (cell(meaning), cell(source));
            let _ =
                writeln!(text, "| `{name}` | {meaning} |{value} {standing} | {source} | {date} | {cases} |");
        }
    }
    text
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

const INTRODUCTION: &str = "# Fidelity: what is known of the real endpoint, and how surely

<!-- Generated from the code: UPDATE_DOCS=1 cargo test --test it fidelity:: -->

The document says little, and nobody outside can ask the real endpoint. So each behaviour of the simulator has a standing:

| standing | what it means |
| --- | --- |
| measured | `calibrate` found it in the answers of a real endpoint ([how](../how-to/conformance.md)) |
| doc | printed in the document |
| observed | seen in public clients of this API or of its 1:1 sibling |
| computed | checked on the document's own numbers |
| assumed | nobody outside knows; the simulator has a default |

This page shows the defaults. `GET /fidelity` shows the same for a running simulator, with what was measured, and
`dukcapil-fr-sim check --policy` prints it.

## Answers that rest on an assumption

Each entry of the journal and each explanation says what its answer rests on:

- `rests_on` lists each assumed policy key with another value under which this answer would differ: the key, its standing, such a value, what
  would be answered then, and whether the `code` (or the HTTP status) or a `value` in the body differs. It is found by deciding again,
  mostly when the entry is read, from what the entry keeps. An empty list: the answer is the same under every value that the simulator knows
  of the assumed keys.
- `basis` says of code, text, shape, white space and head how certain each is, and where it is known from: a section of the document, a policy
  key, or a rule of yours, which has no standing.
- `~` behind a code in the terminal and in the console: another code or status is possible.
- The head (`head`) is in every answer's `basis` and not in `rests_on`: it would be in all. Rules are not tried
  again: of an answer by a rule, only the code of `when.outcome` and what is echoed of a document's answer are asked about. What no policy key
  decides, such as 5001 for a wrong password, is in `basis` alone. What was used of a quota before is taken as it is, but `quota_counts` knows
  how many of today's requests other values would have counted since the quota was set.

A test that passes only thanks to a guess is found by a call at its end:

    POST /requests/verify {\"match\":{\"customer_id\":\"my-test\",\"rests_on\":\"assumed\"},\"count\":{\"exactly\":0}}

`rests_on` is a pattern, compared with the key, the standing, and what differs: `\"code\"` ignores values in the body, `\"not_found\"` asks for one
key, `\"/^(precedence|not_found)$/\"` for two. `GET /requests?rests_on=` takes the same.
";
