//! Running state of customers: quota use per day, rule counters, clock and request count. One lock per customer, held briefly:
//! nothing expensive is computed under it.
//!
//! The newest statement about a quota applies. `PUT /customers/{customer_id}/quota` overrides the customer's limit. A later PUT or
//! PATCH of the customer ends the override when it states a quota or results in another one. A change of a base and a reload do not:
//! the override is more specific to the customer.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use jiff::civil::Date;
use parking_lot::{Mutex, RwLock};

use super::clock;
use super::store::redis::{Arrival, SharedStore, StepBasis};
use super::store::{Store, StoreSubject, StoreWrite};
use crate::domain::fidelity::QuotaDoubt;
use crate::domain::quota::QuotaView;
use crate::domain::rules::{Rule, Scenario};

/// Max. days of quota use that are kept, so that a clock set back finds its day again.
const DAYS_KEPT: usize = 400;

/// Running state of a customer.
#[derive(Clone, Debug, Default)]
pub struct CustomerState {
    /// Which run of this customer's state it is: another after each creation and each reset of the scenario. What the journal has of
    /// earlier runs is not compared with.
    instance: u64,
    requests: u64,
    used: BTreeMap<Date, u64>,
    /// Of the newest day that has one.
    quota_doubt: Option<(Date, QuotaDoubt)>,
    /// Set by `PUT /customers/{customer_id}/quota`; `Some(None)` removes the limit.
    per_day: Option<Option<u64>>,
    in_flight: Arc<AtomicU64>,
    pub scenario: Scenario,
    /// The customer's own clock.
    pub clock: clock::ClockMode,
    /// Rules created over the admin API; they are evaluated before the customer's own and survive a reload.
    pub put_rules: Vec<Arc<Rule>>,
    /// Where changes are kept over a restart; `None` without a store, in a copy, and once the customer is removed.
    link: Option<StoreLink>,
}

/// The store of a state, and the subject that it has there.
#[derive(Clone, Debug)]
pub struct StoreLink {
    pub store: Arc<Store>,
    pub subject: StoreSubject,
}

/// The subject of a customer's state in a store begins with this.
pub const CUSTOMER_PREFIX: &str = "c:";

impl StoreLink {
    fn new(store: &Arc<Store>, customer_id: &str) -> StoreLink {
        StoreLink { store: Arc::clone(store), subject: format!("{CUSTOMER_PREFIX}{customer_id}").into() }
    }
}

impl CustomerState {
    /// Counts a request: its ordinal from 1, the requests in flight including it, and the guard that ends it.
    pub fn begin_request(&mut self) -> BegunRequest {
        self.requests += 1;
        let in_flight = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        let guard = InFlight { count: Some(Arc::clone(&self.in_flight)), shared: None };
        BegunRequest { ordinal: self.requests, in_flight, guard }
    }

    /// Which run of the customer's state this is.
    #[must_use]
    pub fn instance(&self) -> u64 {
        self.instance
    }

    /// Returns the number of requests counted since the scenario began.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Sets the number of requests counted, to that of an earlier run.
    pub fn set_requests(&mut self, requests: u64) {
        self.requests = requests;
    }

    /// Returns where changes are kept.
    #[must_use]
    pub fn link(&self) -> Option<&StoreLink> {
        self.link.as_ref()
    }

    /// Returns what is used of a day's quota; `None` for a day without use.
    #[must_use]
    pub fn used_on(&self, day: Date) -> Option<u64> {
        self.used.get(&day).copied()
    }

    /// Returns the days with use.
    pub fn days_used(&self) -> impl Iterator<Item = Date> {
        self.used.keys().copied()
    }

    /// Returns the limit set over the admin API: `None` when there is none, `Some(None)` when it removes the customer's own.
    #[must_use]
    pub fn quota_override(&self) -> Option<Option<u64>> {
        self.per_day
    }

    /// Returns the quota of `day`; `fixture` is the limit in the fixtures.
    #[must_use]
    pub fn quota(&self, day: Date, fixture: Option<u64>) -> QuotaView {
        QuotaView {
            per_day: self.per_day.unwrap_or(fixture),
            used: self.used.get(&day).copied().unwrap_or_default(),
        }
    }

    /// Charges one request to `day`. Returns the days whose use is different now: `day`, and one that was forgotten for it; none when the
    /// quota is used up, and nothing is charged.
    pub fn charge(&mut self, day: Date, fixture: Option<u64>) -> Vec<Date> {
        if self.quota(day, fixture).left() == Some(0) {
            return Vec::new();
        }
        let forgotten =
            self.restore_used(day, self.used.get(&day).copied().unwrap_or_default().saturating_add(1));
        std::iter::once(day).chain(forgotten).collect()
    }

    /// Sets the quota use of `day`. Returns the day that was forgotten for it, if one was.
    pub fn set_used(&mut self, day: Date, used: u64) -> Option<Date> {
        // What was said to be used is used, whatever counted before.
        self.quota_doubt = None;
        self.restore_used(day, used)
    }

    /// Returns what other values of the policy key `quota_counts` would have counted on a day.
    #[must_use]
    pub fn quota_doubt(&self, day: Date) -> QuotaDoubt {
        self.quota_doubt.filter(|(known, _)| *known == day).map(|(_, doubt)| doubt).unwrap_or_default()
    }

    /// Sets what other values of the policy key `quota_counts` would have counted on a day.
    pub fn set_quota_doubt(&mut self, day: Date, doubt: QuotaDoubt) {
        self.quota_doubt = Some((day, doubt));
    }

    pub(super) fn forget_quota_doubt(&mut self) {
        self.quota_doubt = None;
    }

    /// Returns what other values of `quota_counts` would have counted, and on which day.
    #[must_use]
    pub fn newest_quota_doubt(&self) -> Option<(Date, QuotaDoubt)> {
        self.quota_doubt
    }

    /// Sets the quota use of `day` to what was counted. Returns the day that was forgotten for it, if one was.
    pub fn restore_used(&mut self, day: Date, used: u64) -> Option<Date> {
        self.used.insert(day, used);
        if self.used.len() <= DAYS_KEPT {
            return None;
        }
        let oldest = self.used.keys().copied().find(|kept| *kept != day)?;
        self.used.remove(&oldest);
        Some(oldest)
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
        self.quota_doubt = None;
        self.clear_quota_override();
    }

    /// Makes it a new state, that began then.
    pub(super) fn begin_again(&mut self, began: Timestamp, instance: u64) {
        let (in_flight, link) = (Arc::clone(&self.in_flight), self.link.take());
        let scenario = Scenario::begin(began);
        *self = CustomerState { instance, in_flight, link, scenario, ..CustomerState::default() };
    }

    /// Notes that another run of this state has begun.
    pub(super) fn begin_run(&mut self, instance: u64) {
        self.instance = instance;
    }

    /// Forgets the quota use of a day.
    pub(super) fn forget_used(&mut self, day: Date) {
        self.used.remove(&day);
    }

    /// Restarts the scenario: resets its state, rule counters and request ordinals. `instance` is the number of the new run.
    pub fn reset_scenario(&mut self, began: Timestamp, instance: u64) {
        self.instance = instance;
        self.requests = 0;
        self.scenario = Scenario::begin(began);
    }

    /// Removes the rules of the admin API for which `goes` is true, with their counters. Returns how many.
    pub fn remove_rules(&mut self, goes: impl Fn(&Rule) -> bool) -> usize {
        let gone: Vec<_> = self.put_rules.extract_if(.., |rule| goes(rule)).collect();
        gone.iter().for_each(|rule| self.scenario.forget(rule.fingerprint));
        gone.len()
    }

    /// Resets the counters of all rules but those of the admin API and the customer's own, which are given.
    pub fn forget_other_rules(&mut self, own: &[Arc<Rule>]) {
        if !self.scenario.has_no_counters() {
            let kept = self.put_rules.iter().chain(own).map(|rule| rule.fingerprint).collect();
            self.scenario.keep_only(&kept);
        }
    }

    /// Returns the active rules: those of the admin API that have not expired, then the customer's own.
    #[must_use]
    pub fn rules(&self, own: &[Arc<Rule>], now: Timestamp) -> Vec<Arc<Rule>> {
        let alive = |rule: &&Arc<Rule>| rule.expires.is_none_or(|expires| now < expires);
        self.put_rules.iter().chain(own).filter(alive).cloned().collect()
    }
}

/// A request that was counted.
#[derive(Debug)]
pub struct BegunRequest {
    /// From 1.
    pub ordinal: u64,
    /// Requests of the customer in flight, this one included.
    pub in_flight: u64,
    pub guard: InFlight,
}

/// Counts a request as in flight until it is released or dropped. No lock is taken, where replicas share no state.
#[derive(Debug)]
pub struct InFlight {
    count: Option<Arc<AtomicU64>>,
    /// Where it is counted for all replicas.
    shared: Option<Box<SharedFlight>>,
}

#[derive(Debug)]
struct SharedFlight {
    store: Arc<SharedStore>,
    customer_id: String,
    arrival: Arrival,
}

impl InFlight {
    /// Counts a request that has come to one of several replicas.
    #[must_use]
    pub fn at_all(store: &Arc<SharedStore>, customer_id: &str, arrival: Arrival) -> InFlight {
        let flight = SharedFlight { store: Arc::clone(store), customer_id: customer_id.to_owned(), arrival };
        InFlight { count: None, shared: Some(Box::new(flight)) }
    }

    /// Ends the request.
    pub fn release(&mut self) {
        if let Some(count) = self.count.take() {
            count.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(flight) = self.shared.take() {
            flight.store.leave(&flight.customer_id, &flight.arrival);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.release();
    }
}

/// Running state of a customer, shared by its requests.
pub type SharedState = Arc<Mutex<CustomerState>>;

/// Running state of all customers.
#[derive(Debug)]
pub struct CustomerStates {
    by_id: RwLock<HashMap<String, SharedState>>,
    /// Number of the newest run of a customer's state.
    last_instance: AtomicU64,
    /// Start of the simulator: the scenarios of the fixtures begin then.
    began: Mutex<Timestamp>,
    store: Option<Arc<Store>>,
}

impl CustomerStates {
    /// Creates an empty collection.
    #[must_use]
    pub fn new(began: Timestamp) -> CustomerStates {
        CustomerStates {
            by_id: RwLock::default(),
            last_instance: AtomicU64::new(0),
            began: Mutex::new(began),
            store: None,
        }
    }

    /// Returns the state of an existing customer; created on first use.
    #[must_use]
    pub fn of(&self, customer_id: &str) -> SharedState {
        self.get(customer_id).unwrap_or_else(|| self.open(customer_id, self.began()))
    }

    fn new_state(&self, customer_id: &str, began: Timestamp) -> SharedState {
        Arc::new(Mutex::new(CustomerState {
            instance: self.next_instance(),
            scenario: Scenario::begin(began),
            link: self.store.as_ref().map(|store| StoreLink::new(store, customer_id)),
            ..CustomerState::default()
        }))
    }

    /// Gives a new customer a state, whose scenario begins at `began`, and returns it.
    pub fn open(&self, customer_id: &str, began: Timestamp) -> SharedState {
        let mut by_id = self.by_id.write();
        Arc::clone(by_id.entry(customer_id.to_owned()).or_insert_with(|| self.new_state(customer_id, began)))
    }

    /// Returns the state of a customer, if it has one yet.
    #[must_use]
    pub fn get(&self, customer_id: &str) -> Option<SharedState> {
        self.by_id.read().get(customer_id).cloned()
    }

    /// Returns the number of a new run of some customer's state.
    pub fn next_instance(&self) -> u64 {
        self.last_instance.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Returns all states created so far.
    #[must_use]
    pub fn opened(&self) -> Vec<SharedState> {
        self.by_id.read().values().cloned().collect()
    }

    /// Removes a customer's state. Its requests in flight keep the state that they began with, which is not stored any more.
    pub fn close(&self, customer_id: &str) {
        match self.store.as_ref().and_then(|store| Some((store, store.shared()?))) {
            // Each replica, this one too, removes it once that is in their history; who closes it learns of a failure by the number of troubles.
            Some((store, shared)) => {
                let clear = StoreWrite::Clear(StoreLink::new(store, customer_id).subject);
                let _ = shared.push_and_apply(vec![clear]);
            }
            None => self.close_if(customer_id, |_| true),
        }
    }

    /// Removes this state of a customer, unless the customer has another one by now.
    pub fn close_only(&self, customer_id: &str, state: &SharedState) {
        match self.store.as_ref().is_some_and(|store| store.shared().is_some()) {
            // Whoever removes the customer says so to all replicas.
            true => self.drop_state(customer_id, || ()),
            false => self.close_if(customer_id, |known| Arc::ptr_eq(known, state)),
        }
    }

    fn close_if(&self, customer_id: &str, goes: impl FnOnce(&SharedState) -> bool) {
        let mut by_id = self.by_id.write();
        if !by_id.get(customer_id).is_some_and(goes) {
            return;
        }
        let Some(state) = by_id.remove(customer_id) else { return };
        // Before another state of this customer can be created.
        if let Some(StoreLink { store, subject }) = state.lock().link.take() {
            store.push(vec![StoreWrite::Clear(subject)]);
        }
    }

    /// Removes a customer's state as another replica did; `removed` is run under its lock.
    pub fn drop_state(&self, customer_id: &str, removed: impl FnOnce()) {
        let mut by_id = self.by_id.write();
        match by_id.remove(customer_id) {
            Some(state) => {
                let mut state = state.lock();
                state.link = None;
                removed();
            }
            None => removed(),
        }
    }

    /// Returns the ids of the customers that have a state.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.by_id.read().keys().cloned().collect()
    }

    /// When the scenarios of the fixtures began; set to that of an earlier run.
    pub fn begin_at(&self, began: Timestamp) {
        *self.began.lock() = began;
    }

    /// When the scenarios of the fixtures began.
    #[must_use]
    pub fn began(&self) -> Timestamp {
        *self.began.lock()
    }

    /// Hands over changes to a store from now on.
    pub fn keep_in(&mut self, store: &Arc<Store>) {
        self.store = Some(Arc::clone(store));
        for (customer_id, state) in self.by_id.get_mut() {
            state.lock().link = Some(StoreLink::new(store, customer_id));
        }
    }
}

/// A step on a copy of a customer's state. What it changes is collected, to be appended to the history that replicas share.
#[derive(Debug)]
pub struct StateDraft {
    pub state: SharedState,
    /// What the step is decided on; `None` for the state of a customer that was removed, which is not stored.
    pub basis: Option<StepBasis>,
    collected: Arc<Store>,
}

impl StateDraft {
    /// Copies a state. The next request that it counts has the ordinal and the number in flight that all replicas gave it.
    #[must_use]
    pub fn of(state: &Mutex<CustomerState>, shared: &SharedStore, arrival: Option<&Arrival>) -> StateDraft {
        let state = state.lock();
        let basis = state.link.as_ref().map(|link| shared.basis(&link.subject));
        let mut copy = state.clone();
        drop(state);
        let collected = Arc::new(Store::draft());
        if let Some(link) = &mut copy.link {
            link.store = Arc::clone(&collected);
        }
        if let Some(arrival) = arrival {
            copy.requests = arrival.ordinal.saturating_sub(1);
        }
        copy.in_flight =
            Arc::new(AtomicU64::new(arrival.map_or(0, |arrival| arrival.under_way.saturating_sub(1))));
        StateDraft { state: Arc::new(Mutex::new(copy)), basis, collected }
    }

    /// Returns what the step changed, but the number of requests: that is counted for all replicas when a request comes.
    #[must_use]
    pub fn writes(&self) -> Vec<StoreWrite> {
        let mut writes = self.collected.take();
        writes.retain(|write| !matches!(write, StoreWrite::Set { field, .. } if field == "requests"));
        writes
    }
}

/// Returns a copy of a customer's state, for a dry run. Nothing that is done to it reaches the original.
#[must_use]
pub fn copy(state: &Mutex<CustomerState>) -> SharedState {
    let copy = state.lock().clone();
    let in_flight = AtomicU64::new(copy.in_flight.load(Ordering::Relaxed));
    Arc::new(Mutex::new(CustomerState { in_flight: Arc::new(in_flight), link: None, ..copy }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    const TODAY: Date = date(2026, 11, 21);

    #[test]
    fn a_quota_is_used_up_exactly_and_a_new_day_is_a_new_one() {
        let mut book = CustomerState::default();
        assert_eq!([(); 3].map(|()| book.charge(TODAY, Some(2)).len()), [1, 1, 0]);
        assert_eq!(book.quota(TODAY, Some(2)), QuotaView { per_day: Some(2), used: 2 });
        let tomorrow = TODAY.tomorrow().unwrap();
        assert_eq!(book.quota(tomorrow, Some(2)).left(), Some(2));
        assert_eq!(book.charge(tomorrow, Some(2)), [tomorrow]);
        assert_eq!(book.quota(TODAY, Some(2)).left(), Some(0), "a clock set back finds its day again");
    }

    #[test]
    fn what_the_api_sets_replaces_the_fixtures_limit() {
        let mut book = CustomerState::default();
        book.set_per_day(Some(1));
        book.set_used(TODAY, 1);
        assert!(book.charge(TODAY, Some(80)).is_empty());
        book.set_per_day(None);
        assert_eq!(book.charge(TODAY, Some(80)), [TODAY]);
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
