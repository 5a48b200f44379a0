//! What uses up quota, and what `quotaLimiter` prints: told together by the numbers that successive answers print, because each explains
//! some of what the other does.

use serde_json::json;

use super::observation::{measured_by, spec_of};
use super::run_file::{RecordedCall, RecordedRun};
use crate::base::json as own_json;
use crate::domain::policy::{Measurement, Policy, PolicySpec, QuotaCounts, Undetermined};

/// The values of `quota_counts`, in the order of [`QuotaStep::charged`].
pub const COUNTS: [QuotaCounts; 4] =
    [QuotaCounts::Matched, QuotaCounts::Identified, QuotaCounts::Authenticated, QuotaCounts::All];

/// One call, as far as the quota is concerned.
pub struct QuotaStep<'a> {
    /// The quota is another one on the next day.
    pub day: &'a str,
    pub call: &'a RecordedCall,
    pub run: &'a RecordedRun,
    /// `quotaLimiter` of the answer, where it prints one.
    pub read: Option<String>,
    /// Whether the call uses up quota, by [`COUNTS`]; `None` where that is not known.
    pub charged: Option<[bool; 4]>,
}

/// What the numbers say.
#[derive(Debug, Default)]
pub struct QuotaFinding<'a> {
    /// One that explains the numbers.
    pub policy: PolicySpec,
    /// The keys of which only one value does.
    pub told: PolicySpec,
    pub measured: Vec<Measurement>,
    pub undetermined: Vec<Undetermined>,
    /// The last read, where nothing explains the reads.
    pub contradiction: Option<(&'a RecordedCall, &'a RecordedRun)>,
}

/// What `quotaLimiter` prints.
#[derive(Clone, Debug, PartialEq)]
enum Printed {
    /// What is left; 80 for a customer without a limit.
    Left {
        is_limited: bool,
    },
    Limit {
        is_limited: bool,
    },
    Literal(String),
}

const SAMPLE: &str = "80";

impl Printed {
    fn explains(&self, runs: &[Vec<QuotaStep>], counts: usize) -> bool {
        runs.iter().all(|run| match self {
            Printed::Literal(text) => reads(run).all(|read| read == text),
            Printed::Left { is_limited: false } | Printed::Limit { is_limited: false } => {
                reads(run).all(|read| read == SAMPLE)
            }
            Printed::Limit { is_limited: true } => is_constant(run),
            Printed::Left { is_limited: true } => counts_down(run, counts),
        })
    }

    fn value(&self) -> &str {
        match self {
            Printed::Left { .. } => "left",
            Printed::Limit { .. } => "limit",
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
    let (mut left, mut day) = (None::<u64>, "");
    for step in run {
        let Some(charged) = step.charged else {
            left = None;
            continue;
        };
        if step.day != day {
            (left, day) = (None, step.day);
        }
        left = left.map(|left| left.saturating_sub(u64::from(charged[counts])));
        let Some(read) = &step.read else { continue };
        match (read.parse::<u64>(), left) {
            (Ok(read), Some(left)) if read != left => return false,
            (Ok(read), _) => left = Some(read),
            (Err(_), _) => return false,
        }
    }
    true
}

/// Finds what explains the numbers in the calls of each run.
#[must_use]
pub fn find<'a>(runs: &[Vec<QuotaStep<'a>>], base: &Policy) -> QuotaFinding<'a> {
    let undetermined = |key: &str, why: &str| Undetermined { key: key.to_owned(), why: why.to_owned() };
    let last = runs.iter().flatten().rfind(|step| step.read.is_some());
    let Some(last) = last else {
        let why = "no answer printed quotaLimiter";
        let undetermined = ["quota_limiter", "quota_counts"].map(|key| undetermined(key, why)).into();
        return QuotaFinding { undetermined, ..QuotaFinding::default() };
    };
    let literal =
        reads(runs.iter().find(|run| reads(run).next().is_some()).map_or(&[], Vec::as_slice)).next();
    let named = [true, false]
        .into_iter()
        .flat_map(|is_limited| [Printed::Left { is_limited }, Printed::Limit { is_limited }]);
    let pairs = |printed: Vec<Printed>| {
        let all = printed
            .into_iter()
            .flat_map(|printed| (0..COUNTS.len()).map(move |counts| (printed.clone(), counts)));
        all.filter(|(printed, counts)| printed.explains(runs, *counts)).collect::<Vec<_>>()
    };
    let mut fitting = pairs(named.collect());
    if fitting.is_empty() {
        // A text of its own is believed only where no named value explains it.
        fitting = pairs(literal.map(|text| Printed::Literal(text.to_owned())).into_iter().collect());
    }
    if fitting.is_empty() {
        return QuotaFinding { contradiction: Some((last.call, last.run)), ..QuotaFinding::default() };
    }
    let spec = |printed: &Printed, counts: usize| {
        let limiter = spec_of("quota_limiter", &json!(printed.value())).unwrap_or_default();
        limiter.overlaid(&PolicySpec { quota_counts: Some(COUNTS[counts]), ..PolicySpec::default() })
    };
    let own = fitting.iter().find(|(printed, counts)| {
        base.quota_limiter == printed.value() && base.quota_counts == COUNTS[*counts]
    });
    let policy = own.or(fitting.first()).map(|(printed, counts)| spec(printed, *counts)).unwrap_or_default();
    let mut finding = QuotaFinding { policy, ..QuotaFinding::default() };
    let telling: Vec<_> =
        runs.iter().flatten().filter(|step| step.read.is_some()).map(|step| (step.call, step.run)).collect();
    let distinct = |key: &str| {
        let mut values: Vec<_> = fitting
            .iter()
            .map(|(printed, counts)| own_json::value(&spec(printed, *counts))[key].clone())
            .collect();
        values.dedup();
        values.sort_by_key(ToString::to_string);
        values.dedup();
        values
    };
    for key in ["quota_limiter", "quota_counts"] {
        match distinct(key).as_slice() {
            [value] => {
                finding.told = finding.told.overlaid(&spec_of(key, value).unwrap_or_default());
                finding.measured.extend(measured_by(key, &telling));
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
