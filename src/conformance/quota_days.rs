//! What the calls of whole days say about what uses up quota: the quota is the same on each day, so before the first 5002 of a day as many
//! calls were charged as on every other such day, and on no day more.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::quota_steps::{COUNTS, QuotaStep, QuotaSubject};
use crate::base::time;

/// What the quota of a day can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaBounds {
    pub least: u64,
    /// `None` where the quota was not seen to be used up.
    pub most: Option<u64>,
}

impl QuotaBounds {
    const ANY: QuotaBounds = QuotaBounds { least: 0, most: None };

    fn and(self, other: QuotaBounds) -> QuotaBounds {
        let most = self.most.into_iter().chain(other.most).min();
        QuotaBounds { least: self.least.max(other.least), most }
    }

    fn allow(self, daily_quota: Option<u64>) -> bool {
        let has = |quota: u64| self.least <= quota && self.most.is_none_or(|most| quota <= most);
        daily_quota.map_or_else(|| self.most.is_none_or(|most| self.least <= most), has)
    }
}

/// Which values of `quota_counts`, by [`COUNTS`], explain after how many calls the quota of a customer was used up.
pub fn allowed_by(subject: &QuotaSubject, daily_quota: Option<u64>) -> [bool; 4] {
    let bounds = bounds(subject);
    std::array::from_fn(|counts| bounds[counts].allow(daily_quota))
}

fn bounds(subject: &QuotaSubject) -> [QuotaBounds; COUNTS.len()] {
    let mut bounds = [QuotaBounds::ANY; COUNTS.len()];
    let Some(since) = subject.since else { return bounds };
    let mut days: BTreeMap<Date, Vec<&QuotaStep>> = BTreeMap::new();
    for step in subject.runs.iter().flatten() {
        days.entry(step.day.unwrap_or_default()).or_default().push(step);
    }
    for (day, steps) in days {
        for (counts, own) in bounds.iter_mut().enumerate() {
            *own = own.and(of_day(&steps, counts, begins_before(since, day)));
        }
    }
    bounds
}

/// Whether a recording has the whole day, from its first moment in Jakarta.
fn begins_before(since: Timestamp, day: Date) -> bool {
    let before = since.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(since);
    time::jakarta_day(before) < day
}

/// What one day says. A request that passed all checks found less used than the quota; before the first that was refused, all of it was.
fn of_day(steps: &[&QuotaStep], counts: usize, is_whole: bool) -> QuotaBounds {
    let passed = steps.iter().filter(|step| step.usage.has_passed).filter_map(|step| step.began).max();
    let least = passed.map_or(0, |passed| {
        let is_before = |step: &&&QuotaStep| {
            step.usage.charged[counts] == Some(true) && step.ended.is_some_and(|ended| ended <= passed)
        };
        steps.iter().filter(is_before).count() as u64 + 1
    });
    let refused = steps.iter().filter(|step| step.is_refused).filter_map(|step| step.ended).min();
    let most = refused.filter(|_| is_whole).map(|refused| {
        let may_count = |step: &&&QuotaStep| {
            step.usage.charged[counts] != Some(false) && step.began.is_none_or(|began| began < refused)
        };
        steps.iter().filter(may_count).count() as u64
    });
    QuotaBounds { least, most }
}
