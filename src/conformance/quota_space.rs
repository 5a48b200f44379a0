//! What uses up quota, and what `quotaLimiter` prints: told together by the numbers that successive answers print, because each explains
//! some of what the other does.

use serde_json::{Value, json};

use super::observation::{AnswerPlace, measured_by, spec_of};
use super::quota_days::allowed_by;
use super::quota_steps::{COUNTS, QuotaStep, QuotaSubject};
use super::recording::allow_list::masks;
use super::recording::request::is_masked;
use crate::base::json as own_json;
use crate::domain::policy::{Measurement, Policy, PolicySpec, Undetermined};

/// What the numbers say.
#[derive(Debug, Default)]
pub struct QuotaFinding<'a> {
    /// One that explains the numbers.
    pub policy: PolicySpec,
    /// The keys of which only one value does.
    pub told: PolicySpec,
    pub measured: Vec<Measurement>,
    pub undetermined: Vec<Undetermined>,
    /// The last read, where nothing explains the reads of runs.
    pub contradiction: Option<AnswerPlace<'a>>,
}

/// What `quotaLimiter` prints.
#[derive(Clone, Debug, PartialEq)]
enum Printed {
    /// What is left; 80 for a customer without a limit.
    Left,
    Limit,
    Literal(String),
}

const SAMPLE: &str = "80";

impl Printed {
    fn explains(&self, subject: &QuotaSubject, counts: usize) -> bool {
        let all = |explains: &dyn Fn(&[QuotaStep]) -> bool| subject.runs.iter().all(|run| explains(run));
        let is_limited = subject.runs.iter().flatten().any(|step| step.is_used_up);
        let is_unlimited = |run: &[QuotaStep]| !is_limited && reads(run).all(|read| read == SAMPLE);
        match self {
            Printed::Literal(text) => {
                all(&|run| reads(run).all(|read| [text, &masks(text)].into_iter().any(|one| one == read)))
            }
            Printed::Limit => all(&is_constant),
            Printed::Left => all(&is_unlimited) || all(&|run| counts_down(run, counts)),
        }
    }

    fn value(&self) -> &str {
        match self {
            Printed::Left => "left",
            Printed::Limit => "limit",
            Printed::Literal(text) => text,
        }
    }
}

fn reads<'a>(run: &'a [QuotaStep]) -> impl Iterator<Item = &'a str> {
    run.iter().filter_map(|step| step.read.as_deref())
}

fn is_constant(run: &[QuotaStep]) -> bool {
    let mut reads = reads(run);
    let first = reads.next();
    first.is_none_or(|first| first.parse::<u64>().is_ok() && reads.all(|read| read == first))
}

/// Whether each number is the one before it, less the calls that were charged since.
fn counts_down(run: &[QuotaStep], counts: usize) -> bool {
    let (mut left, mut day) = (None::<u64>, None);
    for step in run {
        let charged = step.usage.charged[counts].filter(|_| step.is_apart && step.day == day);
        day = step.day;
        left = left.zip(charged).map(|(left, charged)| left.saturating_sub(u64::from(charged)));
        left = if step.is_used_up { Some(0) } else { left };
        let Some(read) = &step.read else { continue };
        match (read.parse::<u64>(), left) {
            (Ok(read), Some(left)) if read != left => return false,
            // Beside another call it may be the number before that one or behind it.
            (Ok(read), _) => left = Some(read).filter(|_| step.is_apart),
            (Err(_), _) => return false,
        }
    }
    true
}

/// A pair of values that explains the numbers: what is printed, and what counts.
type Pair = (Printed, usize);

/// Finds what explains the numbers that the calls of each customer read, and after how many calls its quota was used up.
#[must_use]
pub fn find<'a>(subjects: &[QuotaSubject<'a>], base: &Policy, daily_quota: Option<u64>) -> QuotaFinding<'a> {
    let steps = || subjects.iter().flat_map(|subject| subject.runs.iter().flatten());
    let by_days: Vec<_> = subjects.iter().map(|subject| allowed_by(subject, daily_quota)).collect();
    let is_allowed = |counts: &usize| by_days.iter().all(|allowed| allowed[*counts]);
    let allowed: Vec<usize> = (0..COUNTS.len()).filter(is_allowed).collect();
    let is_bounded = allowed.len() < COUNTS.len();
    let undetermined = |key: &str, why: &str| Undetermined { key: key.to_owned(), why: why.to_owned() };
    let last = steps().rfind(|step| step.read.is_some());
    let printed: Vec<Printed> = match last {
        Some(_) => {
            let is_base = |read: &str| read == masks(&base.quota_limiter);
            let literal = steps().find_map(|step| step.read.clone());
            let literal = literal.map(|read| if is_base(&read) { base.quota_limiter.clone() } else { read });
            [Printed::Left, Printed::Limit].into_iter().chain(literal.map(Printed::Literal)).collect()
        }
        None => vec![Printed::Literal(base.quota_limiter.clone())],
    };
    let fits = |subjects: &[QuotaSubject], (printed, counts): &Pair| {
        subjects.iter().all(|subject| printed.explains(subject, *counts))
    };
    let pairs = printed.iter().flat_map(|printed| (0..COUNTS.len()).map(|counts| (printed.clone(), counts)));
    let mut fitting: Vec<Pair> = pairs.clone().filter(|pair| fits(subjects, pair)).collect();
    let runs: Vec<_> = subjects.iter().filter(|subject| subject.since.is_none()).cloned().collect();
    if fitting.is_empty() && !pairs.clone().any(|pair| fits(&runs, &pair)) {
        let contradiction = last.map(|step| step.place);
        return QuotaFinding { contradiction, ..QuotaFinding::default() };
    }
    if !fitting.is_empty() {
        fitting.retain(|(_, counts)| allowed.contains(counts));
    }
    if fitting.is_empty() {
        let why = "the numbers of quotaLimiter and of calls fit no value: did every call of the customer go through the recording?";
        let undetermined = ["quota_limiter", "quota_counts"].map(|key| undetermined(key, why)).into();
        return QuotaFinding { undetermined, ..QuotaFinding::default() };
    }
    let spec = |(printed, counts): &Pair| {
        let limiter = spec_of("quota_limiter", &json!(printed.value())).unwrap_or_default();
        limiter.overlaid(&PolicySpec { quota_counts: Some(COUNTS[*counts]), ..PolicySpec::default() })
    };
    let is_base = |(printed, counts): &&Pair| {
        base.quota_limiter == printed.value() && base.quota_counts == COUNTS[*counts]
    };
    let own = fitting.iter().find(is_base).or(fitting.first());
    let mut finding = QuotaFinding { policy: own.map(spec).unwrap_or_default(), ..QuotaFinding::default() };
    let bounds = |step: &QuotaStep| is_bounded && (step.is_refused || step.usage.has_passed);
    let tells = |step: &&QuotaStep| step.read.is_some() || bounds(step);
    let telling: Vec<_> = steps().filter(tells).map(|step| step.place).collect();
    let distinct = |key: &str| {
        let mut values: Vec<_> =
            fitting.iter().map(|pair| own_json::value(&spec(pair))[key].clone()).collect();
        values.sort_by_key(ToString::to_string);
        values.dedup();
        values
    };
    for key in ["quota_limiter", "quota_counts"] {
        let values = distinct(key);
        let is_masked = values.iter().any(|value| value.as_str().is_some_and(is_masked));
        match values.as_slice() {
            _ if last.is_none() && (key == "quota_limiter" || !is_bounded) => {
                finding.undetermined.push(undetermined(key, "no answer printed quotaLimiter"));
            }
            [value] if !is_masked => {
                finding.told = finding.told.overlaid(&spec_of(key, value).unwrap_or_default());
                finding.measured.extend(measured_by(key, &telling));
            }
            [Value::String(masked)] if is_masked => {
                let why = format!("the recording does not say the text of {} characters", masked.len());
                finding.undetermined.push(undetermined(key, &why));
            }
            values => {
                let values: Vec<_> = values.iter().map(ToString::to_string).collect();
                let why = format!("the numbers would be the same with {}", values.join(" or "));
                finding.undetermined.push(undetermined(key, &why));
            }
        }
    }
    finding
}
