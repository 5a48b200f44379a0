//! Budget of the search for reasons: so much processor time of each second, for all requests together. A flood of wrong ciphertexts then
//! costs others no more than that.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::keys::Budget;

/// What was spent, less what time has paid back since.
#[derive(Debug, Default)]
struct Spending {
    spent: Duration,
    at: Option<Instant>,
}

impl Spending {
    /// Pays back `per_second` for each second until `now`, and returns whether less than one second's worth is spent.
    fn is_left(&mut self, now: Instant, per_second: Duration) -> bool {
        let passed = self.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let paid = per_second.as_nanos().saturating_mul(passed.as_nanos()) / 1_000_000_000;
        self.spent = self.spent.saturating_sub(Duration::from_nanos(u64::try_from(paid).unwrap_or(u64::MAX)));
        self.at = Some(now);
        self.spent < per_second
    }

    fn charge(&mut self, spent: Duration) {
        self.spent = self.spent.saturating_add(spent);
    }
}

/// The budget that requests share.
#[derive(Debug, Default)]
pub struct DiagnosisBudget(Mutex<Spending>);

impl DiagnosisBudget {
    /// Returns the budget with `per_second` to spend (`limits.diagnosis`), at the instants that `now` gives.
    pub fn at(&self, per_second: Duration, now: impl Fn() -> Instant) -> impl Budget {
        Grant { account: &self.0, per_second, now }
    }
}

/// The budget as one request sees it.
struct Grant<'a, N> {
    account: &'a Mutex<Spending>,
    per_second: Duration,
    now: N,
}

impl<N: Fn() -> Instant> Budget for Grant<'_, N> {
    fn is_left(&self) -> bool {
        self.account.lock().is_left((self.now)(), self.per_second)
    }

    fn charge(&self, spent: Duration) {
        self.account.lock().charge(spent);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const HALF: Duration = Duration::from_millis(500);

    #[test]
    fn what_is_spent_comes_back_with_time_and_never_more_than_a_seconds_worth() {
        let (budget, now) = (DiagnosisBudget::default(), Cell::new(Instant::now()));
        let granted = budget.at(HALF, || now.get());
        let pass = |ms| now.set(now.get() + Duration::from_millis(ms));
        assert!(granted.is_left());
        granted.charge(Duration::from_millis(499));
        assert!(granted.is_left(), "a millisecond is left");
        // The last operation may take more than what is left: the next ones wait for it.
        granted.charge(Duration::from_millis(101));
        assert!(!granted.is_left());
        pass(200);
        assert!(!granted.is_left(), "600 ms were spent, 100 paid back");
        pass(1);
        assert!(granted.is_left());
        pass(3_600_000);
        assert!(granted.is_left());
        granted.charge(HALF);
        assert!(!granted.is_left(), "an idle hour gives no more than a second's worth");
        pass(1000);
        assert!(granted.is_left());
    }

    #[test]
    fn all_requests_share_it_and_a_reload_may_change_it() {
        let (budget, now) = (DiagnosisBudget::default(), Instant::now());
        budget.at(HALF, || now).charge(HALF);
        assert!(!budget.at(HALF, || now).is_left());
        assert!(budget.at(Duration::from_secs(1), || now).is_left());
        assert!(!budget.at(Duration::ZERO, || now + Duration::from_secs(9)).is_left(), "0 is never");
        assert!(budget.at(Duration::MAX, || now + Duration::MAX / 2_000_000_000).is_left(), "no overflow");
    }

    #[test]
    fn a_clock_that_goes_back_pays_nothing_back() {
        let (budget, now) = (DiagnosisBudget::default(), Instant::now() + HALF);
        let granted = budget.at(HALF, || now);
        assert!(granted.is_left());
        granted.charge(HALF);
        assert!(!budget.at(HALF, || now - HALF).is_left());
    }
}
