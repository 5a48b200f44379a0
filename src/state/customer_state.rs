//! Running state of customers: quota use per day, rule counters, clock and request count. One lock per customer, held briefly:
//! nothing expensive is computed under it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use jiff::Timestamp;
use jiff::civil::Date;

use super::clock;
use super::recent::RecentRequests;
use crate::domain::quota::QuotaView;
use crate::domain::rules::{Rule, Scenario};

/// Max. days of quota use that are kept, so that a clock set back finds its day again.
const DAYS_KEPT: usize = 400;

/// Running state of a customer.
#[derive(Debug, Default)]
pub struct CustomerState {
    requests: u64,
    used: BTreeMap<Date, u64>,
    /// Set by `PUT /customers/{customer_id}/quota`; `Some(None)` removes the limit.
    per_day: Option<Option<u64>>,
    /// Requests in flight.
    pub in_flight: u64,
    pub scenario: Scenario,
    /// The customer's own clock.
    pub clock: clock::ClockMode,
    /// Rules created over the admin API; they are evaluated before the customer's own and survive a reload.
    pub put_rules: Vec<Arc<Rule>>,
    /// Recent requests.
    pub recent: RecentRequests,
}

impl CustomerState {
    /// Counts a request and returns its ordinal, from 1.
    pub fn arrive(&mut self) -> u64 {
        self.requests += 1;
        self.requests
    }

    /// Returns the ordinal of the next request.
    #[must_use]
    pub fn next_ordinal(&self) -> u64 {
        self.requests + 1
    }

    /// Returns the quota of `day`; `fixture` is the limit in the fixtures.
    #[must_use]
    pub fn quota(&self, day: Date, fixture: Option<u64>) -> QuotaView {
        QuotaView {
            per_day: self.per_day.unwrap_or(fixture),
            used: self.used.get(&day).copied().unwrap_or_default(),
        }
    }

    /// Charges one request to `day`. Returns false, and charges nothing, when the quota is used up.
    pub fn charge(&mut self, day: Date, fixture: Option<u64>) -> bool {
        if self.quota(day, fixture).left() == Some(0) {
            return false;
        }
        self.set_used(day, self.used.get(&day).copied().unwrap_or_default().saturating_add(1));
        true
    }

    /// Sets the quota use of `day`.
    pub fn set_used(&mut self, day: Date, used: u64) {
        self.used.insert(day, used);
        if self.used.len() > DAYS_KEPT {
            let oldest = self.used.keys().copied().find(|kept| *kept != day);
            oldest.map(|oldest| self.used.remove(&oldest));
        }
    }

    /// Overrides the customer's own limit; `None`: no limit.
    pub fn set_per_day(&mut self, per_day: Option<u64>) {
        self.per_day = Some(per_day);
    }

    /// Removes the override: the customer's own limit applies again.
    pub fn clear_quota_override(&mut self) {
        self.per_day = None;
    }

    /// Resets the quota use of all days and removes the override.
    pub fn reset_quota(&mut self) {
        self.used.clear();
        self.clear_quota_override();
    }

    /// Restarts the scenario: resets its state, rule counters, request ordinals and recent requests.
    pub fn reset_scenario(&mut self, began: Timestamp) {
        self.requests = 0;
        self.scenario = Scenario::begin(began);
        self.recent = RecentRequests::default();
    }

    /// Removes the rules of the admin API for which `goes` is true, with their counters. Returns how many.
    pub fn remove_rules(&mut self, goes: impl Fn(&Rule) -> bool) -> usize {
        let gone: Vec<_> = self.put_rules.extract_if(.., |rule| goes(rule)).collect();
        gone.iter().for_each(|rule| self.scenario.forget(rule.fingerprint));
        gone.len()
    }

    /// Returns the active rules: those of the admin API that have not expired, then the customer's own.
    #[must_use]
    pub fn rules(&self, own: &[Arc<Rule>], now: Timestamp) -> Vec<Arc<Rule>> {
        let alive = |rule: &&Arc<Rule>| rule.expires.is_none_or(|expires| now < expires);
        self.put_rules.iter().chain(own).filter(alive).cloned().collect()
    }
}

/// Running state of a customer, shared by its requests.
pub type SharedState = Arc<Mutex<CustomerState>>;

/// Running state of all customers.
#[derive(Debug)]
pub struct CustomerStates {
    books: RwLock<HashMap<String, SharedState>>,
    /// Start of the simulator: the scenarios of the fixtures begin then.
    began: Timestamp,
}

impl CustomerStates {
    /// Creates an empty collection.
    #[must_use]
    pub fn new(began: Timestamp) -> CustomerStates {
        CustomerStates { books: RwLock::default(), began }
    }

    /// Returns the state of an existing customer; created on first use.
    #[must_use]
    pub fn book(&self, customer_id: &str) -> SharedState {
        self.state_since(customer_id, self.began)
    }

    /// Returns the state of a customer; if it has none yet, creates one whose scenario began at `began`.
    pub fn state_since(&self, customer_id: &str, began: Timestamp) -> SharedState {
        let known = self.books.read().unwrap_or_else(PoisonError::into_inner).get(customer_id).cloned();
        known.unwrap_or_else(|| {
            let mut books = self.books.write().unwrap_or_else(PoisonError::into_inner);
            let book = || CustomerState { scenario: Scenario::begin(began), ..CustomerState::default() };
            Arc::clone(books.entry(customer_id.to_owned()).or_insert_with(|| Arc::new(Mutex::new(book()))))
        })
    }

    /// Returns all states created so far.
    #[must_use]
    pub fn opened(&self) -> Vec<SharedState> {
        self.books.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Removes a customer's state. Its requests in flight keep the state that they began with.
    pub fn close(&self, customer_id: &str) {
        self.books.write().unwrap_or_else(PoisonError::into_inner).remove(customer_id);
    }
}

/// Locks a customer's state. Ignores poisoning: every change is one assignment, so a panic cannot leave it half changed.
pub fn lock(book: &Mutex<CustomerState>) -> MutexGuard<'_, CustomerState> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    const TODAY: Date = date(2026, 11, 21);

    #[test]
    fn a_quota_is_used_up_exactly_and_a_new_day_is_a_new_one() {
        let mut book = CustomerState::default();
        assert!(book.charge(TODAY, Some(2)) && book.charge(TODAY, Some(2)) && !book.charge(TODAY, Some(2)));
        assert_eq!(book.quota(TODAY, Some(2)), QuotaView { per_day: Some(2), used: 2 });
        let tomorrow = TODAY.tomorrow().unwrap();
        assert_eq!(book.quota(tomorrow, Some(2)).left(), Some(2));
        assert!(book.charge(tomorrow, Some(2)));
        assert_eq!(book.quota(TODAY, Some(2)).left(), Some(0), "a clock set back finds its day again");
    }

    #[test]
    fn what_the_api_sets_replaces_the_fixtures_limit() {
        let mut book = CustomerState::default();
        book.set_per_day(Some(1));
        book.set_used(TODAY, 1);
        assert!(!book.charge(TODAY, Some(80)));
        book.set_per_day(None);
        assert!(book.charge(TODAY, Some(80)));
        assert_eq!(book.quota(TODAY, Some(80)), QuotaView { per_day: None, used: 2 });
    }

    #[test]
    fn old_days_are_forgotten_and_today_never_is() {
        let mut book = CustomerState::default();
        book.charge(TODAY, None);
        let mut day = TODAY;
        for _ in 0..DAYS_KEPT + 10 {
            day = day.tomorrow().unwrap();
            book.charge(day, None);
        }
        assert_eq!(book.used.len(), DAYS_KEPT);
        assert_eq!(book.quota(day, None).used, 1);
        book.charge(TODAY, None);
        assert_eq!(book.quota(TODAY, None).used, 1);
    }
}
