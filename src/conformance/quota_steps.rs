//! The calls of a customer, one after the other, as far as the quota is concerned: what each read, what it used up, and on which day.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::observation::{AnswerPlace, Answers, Observation};
use super::recording::alternatives::customer_of;
use super::recording::exchange::Recording;
use super::run_file::RecordedRun;
use crate::base::time;
use crate::domain::policy::QuotaCounts;
use crate::protocol::Code;

/// The values of `quota_counts`.
pub const COUNTS: [QuotaCounts; 4] =
    [QuotaCounts::Matched, QuotaCounts::Identified, QuotaCounts::Authenticated, QuotaCounts::All];

/// What an answer says about the quota.
#[derive(Clone, Copy, Debug, Default)]
pub struct QuotaUsage {
    /// Whether it uses up quota, by [`COUNTS`]; `None` where that is not known.
    pub charged: [Option<bool>; 4],
    /// Whether the request passed every check, so that of quota, too.
    pub has_passed: bool,
}

/// One call, as far as the quota is concerned.
#[derive(Clone, Debug)]
pub struct QuotaStep<'a> {
    pub place: AnswerPlace<'a>,
    /// The quota is another one on the next day.
    pub day: Option<Date>,
    /// `quotaLimiter` of the answer, where it prints one.
    pub read: Option<String>,
    pub usage: QuotaUsage,
    /// No other call was under way.
    pub is_apart: bool,
    /// The answer says that the quota was used up.
    pub is_refused: bool,
    /// The operator of the run says so.
    pub is_used_up: bool,
    pub began: Option<Timestamp>,
    pub ended: Option<Timestamp>,
}

/// The calls of one customer, in order.
#[derive(Clone, Debug, Default)]
pub struct QuotaSubject<'a> {
    /// Several for several runs against the same customer.
    pub runs: Vec<Vec<QuotaStep<'a>>>,
    /// From when on all calls of the customer are known; `None` where others may be between them.
    pub since: Option<Timestamp>,
}

/// The customers of runs, which are one, and of each recording.
pub fn subjects<'a>(
    answers: &Answers<'a>,
    observations: &[Observation<'a>],
    of_exchanges: &[Vec<Option<usize>>],
    usage: &dyn Fn(&Observation) -> QuotaUsage,
) -> Vec<QuotaSubject<'a>> {
    let usages: Vec<_> = observations.iter().map(usage).collect();
    let of_run = |run: &'a RecordedRun| run_steps(run, observations, &usages);
    let runs = QuotaSubject { runs: answers.runs.iter().map(of_run).collect(), since: None };
    let recordings = answers.recordings.iter().zip(of_exchanges);
    let recordings =
        recordings.flat_map(|(recording, known)| recording_subjects(recording, known, observations, &usages));
    std::iter::once(runs).chain(recordings).collect()
}

fn run_steps<'a>(
    run: &'a RecordedRun,
    observations: &[Observation<'a>],
    usages: &[QuotaUsage],
) -> Vec<QuotaStep<'a>> {
    let step = |call: &'a super::run_file::RecordedCall| {
        let place = AnswerPlace::of_call(run, call);
        let is_call = |one: &&Observation| {
            !one.is_recorded()
                && std::ptr::eq(one.place.cases, place.cases)
                && one.place.number == place.number
        };
        let one = observations.iter().find(is_call);
        let began = call.at.parse::<Timestamp>().ok();
        QuotaStep {
            place,
            day: began.map(time::jakarta_day),
            read: one.and_then(read_of),
            // Whether a lost call was charged is not known.
            usage: one.map(|one| usages[one.index]).unwrap_or_default(),
            is_apart: true,
            is_refused: false,
            is_used_up: run.header.exhausted,
            began,
            ended: began,
        }
    };
    run.calls.iter().map(step).collect()
}

/// Of the customer's own quota.
fn read_of(one: &Observation) -> Option<String> {
    one.body.as_ref().filter(|_| one.is_own()).and_then(|body| body.quota_limiter.clone())
}

fn recording_subjects<'a>(
    recording: &'a Recording,
    known: &[Option<usize>],
    observations: &[Observation<'a>],
    usages: &[QuotaUsage],
) -> Vec<QuotaSubject<'a>> {
    let mut customers: BTreeMap<&str, Vec<QuotaStep>> = BTreeMap::new();
    for (exchange, index) in recording.exchanges.iter().zip(known) {
        let Some(customer) = customer_of(exchange) else { continue };
        let one = index.map(|index| &observations[index]);
        let began = exchange.at.parse::<Timestamp>().ok();
        let lasted = exchange.times.upload_us.saturating_add(exchange.times.last_byte_us);
        let lasted = SignedDuration::from_micros(i64::try_from(lasted).unwrap_or(i64::MAX));
        let body = one.and_then(|one| one.body.as_ref());
        let own_read = super::recording::alternatives::whole(exchange)
            .and_then(|(_, answer)| super::comparable::read_body(&answer.body))
            .and_then(|body| body.quota_limiter);
        customers.entry(customer).or_default().push(QuotaStep {
            place: AnswerPlace::of_exchange(recording, exchange),
            day: began.map(time::jakarta_day),
            read: own_read.filter(|_| one.is_some_and(Observation::is_own)),
            usage: one.map(|one| usages[one.index]).unwrap_or_default(),
            is_apart: true,
            is_refused: body.is_some_and(|body| body.code == Code::QUOTA.as_str()),
            is_used_up: false,
            began,
            ended: began.and_then(|began| began.checked_add(lasted).ok()),
        });
    }
    let since = recording.header.started.parse().ok();
    let subject = |mut steps: Vec<QuotaStep<'a>>| {
        mark_overlaps(&mut steps);
        QuotaSubject { runs: vec![steps], since }
    };
    customers.into_values().map(subject).collect()
}

/// Marks the calls beside which another one was under way: which of them was charged first is not known.
fn mark_overlaps(steps: &mut [QuotaStep]) {
    let mut order: Vec<usize> = (0..steps.len()).collect();
    order.sort_by_key(|index| steps[*index].began);
    let mut latest: Option<usize> = None;
    for index in order {
        if let Some(before) = latest
            && (steps[before].ended.is_none() || steps[before].ended > steps[index].began)
        {
            (steps[before].is_apart, steps[index].is_apart) = (false, false);
        }
        if latest.is_none_or(|before| steps[index].ended > steps[before].ended) {
            latest = Some(index);
        }
    }
}
