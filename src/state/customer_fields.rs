//! Running state of a customer as named fields, and back: what a store keeps of it.
//!
//! A request names the fields that it changed. A change over the admin API compares the fields before and after it, so nothing can be
//! forgotten; only a store pays for that.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};

use super::clock::ClockMode;
use super::customer_state::{CustomerState, CustomerStates, SharedState};
use crate::base::hash::{hex, unhex};
use crate::base::json;
use crate::domain::fidelity::QuotaDoubt;
use crate::domain::rules::{
    Counter, CounterKey, FileReader, Fingerprint, Rule, RuleSpec, Scenario, ScenarioChange, joined,
};
use crate::state::store::{StoreSubject, StoreWrite, set};

/// StoredFields by name.
pub type StoredFields = BTreeMap<String, String>;

/// One field of a customer's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateField {
    /// When the scenario began.
    Began,
    /// Number of requests.
    Requests,
    /// State of the scenario.
    State,
    Clock,
    /// The limit set over the admin API.
    PerDay,
    /// Use of a day's quota.
    Used(Date),
    /// What other values of `quota_counts` would have counted.
    QuotaDoubt,
    /// A rule of the admin API, by name.
    Rule(String),
    Draws(Fingerprint),
    Counter(CounterKey),
}

impl fmt::Display for StateField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateField::Began => f.write_str("began"),
            StateField::Requests => f.write_str("requests"),
            StateField::State => f.write_str("state"),
            StateField::Clock => f.write_str("clock"),
            StateField::PerDay => f.write_str("per_day"),
            StateField::Used(day) => write!(f, "used/{day}"),
            StateField::QuotaDoubt => f.write_str("quota_doubt"),
            StateField::Rule(name) => write!(f, "rule/{name}"),
            StateField::Draws(fingerprint) => write!(f, "draw/{}", hex(fingerprint)),
            StateField::Counter((fingerprint, per)) => write!(f, "count/{}/{}", hex(fingerprint), hex(per)),
        }
    }
}

impl From<ScenarioChange<'_>> for StateField {
    fn from(change: ScenarioChange) -> StateField {
        match change {
            ScenarioChange::State => StateField::State,
            ScenarioChange::Draws(_, fingerprint) => StateField::Draws(fingerprint),
            ScenarioChange::Counter(_, key) | ScenarioChange::Evicted(key) => StateField::Counter(key),
        }
    }
}

/// A rule of the admin API as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredRule {
    /// Position among the customer's rules.
    position: usize,
    spec: RuleSpec,
    put: Option<String>,
    expires: Option<String>,
}

impl CustomerState {
    /// Returns the text of a field; `None` where it is as in a new state.
    fn value_of(&self, field: &StateField) -> Option<String> {
        let count = |count: u64| (count > 0).then(|| count.to_string());
        match field {
            StateField::Began => Some(self.scenario.began.to_string()),
            StateField::Requests => count(self.requests()),
            StateField::State => Some(self.scenario.state.clone()).filter(|state| !state.is_empty()),
            StateField::Clock => (self.clock != ClockMode::default()).then(|| self.clock.to_string()),
            StateField::PerDay => self.quota_override().map(|per_day| json::text(&per_day)),
            StateField::Used(day) => self.used_on(*day).map(|used| used.to_string()),
            StateField::QuotaDoubt => {
                let (day, QuotaDoubt { charged, spared }) = self.newest_quota_doubt()?;
                Some(format!("{day} {charged} {spared}"))
            }
            StateField::Rule(name) => {
                let position = self.put_rules.iter().position(|rule| rule.name == *name)?;
                let rule = &self.put_rules[position];
                let text = |instant: Option<Timestamp>| instant.map(|instant| instant.to_string());
                let (put, expires) = (text(rule.created), text(rule.expires));
                Some(json::text(&StoredRule { position, spec: rule.spec.clone(), put, expires }))
            }
            StateField::Draws(fingerprint) => count(self.scenario.draws_of(fingerprint)?),
            StateField::Counter(key) => {
                let Counter { matched, fired, number } = self.scenario.counter(key)?;
                Some(format!("{matched} {fired} {number}"))
            }
        }
    }

    /// Returns all fields.
    #[must_use]
    pub fn fields(&self) -> StoredFields {
        let plain = [
            StateField::Began,
            StateField::Requests,
            StateField::State,
            StateField::Clock,
            StateField::PerDay,
            StateField::QuotaDoubt,
        ];
        let used = self.days_used().map(StateField::Used);
        let rules = self.put_rules.iter().map(|rule| StateField::Rule(rule.name.clone()));
        let draws = self.scenario.drawn_rules().map(StateField::Draws);
        let counters = self.scenario.counter_keys().map(StateField::Counter);
        let all = plain.into_iter().chain(used).chain(rules).chain(draws).chain(counters);
        all.filter_map(|field| Some((field.to_string(), self.value_of(&field)?))).collect()
    }

    /// Hands these fields to the store, as they are now. To be called under the lock under which they were changed.
    pub fn commit(&self, changed: impl Iterator<Item = StateField>) {
        let Some(link) = self.link() else { return };
        let write = |field: StateField| match self.value_of(&field) {
            Some(value) => set(&link.subject, field.to_string(), value),
            None => StoreWrite::Remove { subject: Arc::clone(&link.subject), field: field.to_string() },
        };
        link.store.push(changed.map(write).collect());
    }

    /// Sets everything to what a store has. Returns a message for each rule that is left out, because a file that it names is missing.
    ///
    /// # Errors
    /// Which field cannot be read.
    pub fn restore(&mut self, fields: &StoredFields, file: FileReader) -> Result<Vec<String>, String> {
        let (mut draws, mut counters) = (HashMap::new(), HashMap::new());
        let (mut rules, mut left_out) = (Vec::new(), Vec::new());
        let mut scenario = Scenario::begin(self.scenario.began);
        for (name, value) in fields {
            let (kind, key) = name.split_once('/').unwrap_or((name, ""));
            let read = match kind {
                "began" => value.parse().map(|began| scenario.began = began).ok(),
                "requests" => value.parse().map(|requests| self.set_requests(requests)).ok(),
                "state" => value.parse().map(|state| scenario.state = state).ok(),
                "clock" => value.parse().map(|clock| self.clock = clock).ok(),
                "per_day" => serde_json::from_str(value).map(|per_day| self.set_per_day(per_day)).ok(),
                "used" => both(key.parse(), value.parse()).map(|(day, used)| {
                    self.restore_used(day, used);
                }),
                "quota_doubt" => quota_doubt(value).map(|(day, doubt)| self.set_quota_doubt(day, doubt)),
                "draw" => unhex(key).zip(value.parse().ok()).map(|draw| draws.extend([draw])),
                "count" => counter(key, value).map(|counter| counters.extend([counter])),
                "rule" => serde_json::from_str(value).map(|rule: StoredRule| rules.push(rule)).ok(),
                _ => None,
            };
            read.ok_or_else(|| format!("the field {name} is {value:?}"))?;
        }
        scenario.restore(draws, counters);
        self.scenario = scenario;
        rules.sort_by_key(|rule| rule.position);
        for StoredRule { spec, put, expires, .. } in rules {
            let instant = |text: Option<String>| text.and_then(|text| text.parse().ok());
            match Rule::new(&spec, 1, file) {
                Ok(rule) => {
                    self.put_rules.push(Arc::new(rule.with_times(instant(put), instant(expires))));
                }
                Err(errors) => left_out.push(joined(&errors)),
            }
        }
        Ok(left_out)
    }
}

impl CustomerState {
    /// Sets everything to what a store has; what is not there is as in a new state, which began at `began`.
    ///
    /// # Errors
    /// Which field cannot be read.
    pub fn reset_to(
        &mut self,
        fields: &StoredFields,
        (began, instance): (Timestamp, u64),
        file: FileReader,
    ) -> Result<Vec<String>, String> {
        self.begin_again(began, instance);
        self.restore(fields, file)
    }

    /// Applies changes that a replica made: names of fields and their values; `None` where a field is as in a new state.
    ///
    /// # Errors
    /// Which field cannot be read.
    pub fn apply(
        &mut self,
        changes: &[(&str, Option<&str>)],
        (began, instance): (Timestamp, u64),
        file: FileReader,
    ) -> Result<(), String> {
        let mut rules: Vec<_> = std::mem::take(&mut self.put_rules).into_iter().enumerate().collect();
        let mut is_read = Ok(());
        for (name, value) in changes {
            let (kind, key) = name.split_once('/').unwrap_or((name, ""));
            let read = match (kind, *value) {
                ("began", value) => value
                    .map_or(Some(began), |value| value.parse().ok())
                    .map(|began| self.scenario.began = began),
                ("requests", None) => {
                    // The scenario was reset.
                    self.begin_run(instance);
                    self.set_requests(0);
                    Some(())
                }
                ("state", value) => {
                    value.unwrap_or_default().clone_into(&mut self.scenario.state);
                    Some(())
                }
                ("clock", value) => value
                    .map_or(Some(ClockMode::default()), |value| value.parse().ok())
                    .map(|clock| self.clock = clock),
                ("per_day", None) => {
                    self.clear_quota_override();
                    Some(())
                }
                ("per_day", Some(value)) => {
                    serde_json::from_str(value).map(|per_day| self.set_per_day(per_day)).ok()
                }
                ("used", None) => key.parse().map(|day| self.forget_used(day)).ok(),
                ("used", Some(value)) => both(key.parse(), value.parse()).map(|(day, used)| {
                    self.restore_used(day, used);
                }),
                ("quota_doubt", None) => {
                    self.forget_quota_doubt();
                    Some(())
                }
                ("quota_doubt", Some(value)) => {
                    quota_doubt(value).map(|(day, doubt)| self.set_quota_doubt(day, doubt))
                }
                ("draw", None) => unhex(key).map(|rule| self.scenario.set_draws(rule, None)),
                ("draw", Some(value)) => unhex(key)
                    .zip(value.parse().ok())
                    .map(|(rule, draws)| self.scenario.set_draws(rule, Some(draws))),
                ("count", value) => value
                    .map_or_else(
                        || counter_key(key).map(|key| (key, None)),
                        |value| counter(key, value).map(|(key, counter)| (key, Some(counter))),
                    )
                    .map(|(key, counter)| self.scenario.set_counter(key, counter)),
                ("rule", value) => {
                    rules.retain(|(_, rule)| rule.name != key);
                    value.map_or(Some(()), |value| {
                        let StoredRule { position, spec, put, expires } = serde_json::from_str(value).ok()?;
                        let instant = |text: Option<String>| text.and_then(|text| text.parse().ok());
                        // One whose file is missing here is left out, as at a start.
                        if let Ok(rule) = Rule::new(&spec, 1, file) {
                            let rule = rule.with_times(instant(put), instant(expires));
                            rules.push((position, Arc::new(rule)));
                        }
                        Some(())
                    })
                }
                _ => None,
            };
            if read.is_none() {
                is_read = Err(format!("the field {name} is {value:?}"));
            }
        }
        rules.sort_by_key(|(position, _)| *position);
        self.put_rules = rules.into_iter().map(|(_, rule)| rule).collect();
        is_read
    }
}

impl CustomerStates {
    /// Returns the writes that make all states.
    #[must_use]
    pub fn whole(&self) -> Vec<StoreWrite> {
        let writes = |state: SharedState| {
            let state = state.lock();
            let subject = Arc::clone(&state.link()?.subject);
            let fields = state.fields().into_iter();
            Some(fields.map(|(field, value)| set(&subject, field, value)).collect::<Vec<_>>())
        };
        self.opened().into_iter().filter_map(writes).flatten().collect()
    }
}

fn both<A, E, B, F>(a: Result<A, E>, b: Result<B, F>) -> Option<(A, B)> {
    a.ok().zip(b.ok())
}

fn counter_key(key: &str) -> Option<CounterKey> {
    let (rule, per) = key.split_once('/')?;
    Some((unhex(rule)?, unhex(per)?))
}

fn counter(key: &str, value: &str) -> Option<(CounterKey, Counter)> {
    let mut numbers = value.split(' ').map(u64::from_str);
    let mut number = || numbers.next()?.ok();
    let counter = Counter { matched: number()?, fired: number()?, number: number()? };
    Some((counter_key(key)?, counter))
}

fn quota_doubt(value: &str) -> Option<(Date, QuotaDoubt)> {
    let mut parts = value.split(' ');
    let day = parts.next()?.parse().ok()?;
    let mut number = || parts.next()?.parse().ok();
    Some((day, QuotaDoubt { charged: number()?, spared: number()? }))
}

/// A state that is being changed over the admin API. When it is dropped, the store gets what is different.
#[derive(Debug)]
pub struct StateEdit<'a> {
    state: EditedState<'a>,
    instance: u64,
    /// `None` without a store.
    before: Option<StoredFields>,
}

#[derive(Debug)]
enum EditedState<'a> {
    /// Locked.
    Own(MutexGuard<'a, CustomerState>),
    /// A copy: replicas, this one too, change theirs once the change is in the history that they share.
    Copy(Box<CustomerState>),
}

/// Locks a state to change it, or copies it where replicas share it.
pub fn edit(state: &Mutex<CustomerState>) -> StateEdit<'_> {
    let state = state.lock();
    let (instance, before) = (state.instance(), state.link().map(|_| state.fields()));
    let is_shared = state.link().is_some_and(|link| link.store.shared().is_some());
    let state = if is_shared { EditedState::Copy(Box::new(state.clone())) } else { EditedState::Own(state) };
    StateEdit { state, instance, before }
}

impl Deref for StateEdit<'_> {
    type Target = CustomerState;

    fn deref(&self) -> &CustomerState {
        match &self.state {
            EditedState::Own(state) => state,
            EditedState::Copy(state) => state,
        }
    }
}

impl DerefMut for StateEdit<'_> {
    fn deref_mut(&mut self) -> &mut CustomerState {
        match &mut self.state {
            EditedState::Own(state) => state,
            EditedState::Copy(state) => state,
        }
    }
}

impl Drop for StateEdit<'_> {
    fn drop(&mut self) {
        let Some((link, before)) = self.link().zip(self.before.as_ref()) else { return };
        let mut changes = difference(&link.subject, before, self.fields());
        let Some(shared) = link.store.shared() else { return link.store.push(changes) };
        if self.instance != self.state_instance() {
            // Requests that came to other replicas are counted in the store only.
            let (subject, field) = (Arc::clone(&link.subject), StateField::Requests.to_string());
            changes.push(StoreWrite::Remove { subject, field });
        }
        // Whoever made the change learns of a failure by the number of troubles.
        let _ = shared.push_and_apply(changes);
    }
}

impl StateEdit<'_> {
    fn state_instance(&self) -> u64 {
        self.deref().instance()
    }
}

/// Returns the writes that make `after` of `before`.
fn difference(subject: &StoreSubject, before: &StoredFields, after: StoredFields) -> Vec<StoreWrite> {
    let gone = before.keys().filter(|name| !after.contains_key(*name)).cloned();
    let gone =
        gone.map(|field| StoreWrite::Remove { subject: Arc::clone(subject), field }).collect::<Vec<_>>();
    let new = after.into_iter().filter(|(name, value)| before.get(name) != Some(value));
    gone.into_iter().chain(new.map(|(field, value)| set(subject, field, value))).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::civil::date;
    use serde_json::json;

    use super::*;
    use crate::domain::rules::{DrawContext, Facts, RuleEffects};
    use crate::state::clock::ClockMove;
    use crate::state::store::Store;

    fn rule(spec: serde_json::Value) -> Arc<Rule> {
        let spec = serde_json::from_value(spec).unwrap();
        Arc::new(Rule::new(&spec, 1, &|_| Err(String::new())).unwrap())
    }

    /// Applies writes to what a store has of one subject.
    fn apply(stored: &mut StoredFields, writes: Vec<StoreWrite>) {
        for write in writes {
            match write {
                StoreWrite::Set { subject, field, value } => {
                    assert_eq!(&*subject, "c:demo");
                    stored.insert(field, value);
                }
                StoreWrite::Remove { field, .. } => drop(stored.remove(&field)),
                StoreWrite::Clear(_) => stored.clear(),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn the_store_has_what_memory_has_after_every_step_and_it_is_read_back() {
        let store = Store::for_tests();
        let mut states = CustomerStates::new(Timestamp::UNIX_EPOCH);
        states.keep_in(&store);
        let state = states.of("demo");
        let mut stored = StoredFields::new();
        let own = [
            rule(json!({ "name": "a", "per": "transaction_id", "times": 1, "reply": { "code": "6014" } })),
            rule(json!({ "name": "b", "exact": "1/3", "set_state": "down" })),
            rule(json!({ "name": "c", "when": { "state": "down" }, "set_state": "", "every": 2 })),
        ];
        let decide = |number: usize| {
            let mut state = state.lock();
            state.begin_request();
            let id = (number % 7).to_string();
            let facts = Facts { transaction_id: Some(&id), ..Facts::default() };
            // Few counters, so that some are evicted.
            let context = DrawContext { seed: 3, customer_id: "demo", max_counters: 3 };
            let rules = own.iter().map(Arc::as_ref);
            let changes = state.scenario.decide(rules, &facts, context, &mut RuleEffects::default());
            let day = date(2026, 11, 21 + (number % 3) as i8);
            let used = state.charge(day, None);
            state.set_quota_doubt(day, QuotaDoubt { charged: number as u64, spared: 1 });
            let changes = changes.into_iter().map(StateField::from);
            let used = used.into_iter().map(StateField::Used);
            let plain = [StateField::Requests, StateField::QuotaDoubt];
            state.commit(plain.into_iter().chain(used).chain(changes));
        };
        let steps: [&dyn Fn(); 8] = [
            &|| edit(&state).set_per_day(None),
            &|| edit(&state).put_rules.push(rule(json!({ "name": "x y", "ttl": "5m", "delay": "1s" }))),
            &|| edit(&state).put_rules.insert(0, rule(json!({ "name": "z", "set_state": "q" }))),
            &|| edit(&state).clock = ClockMove::Advance(Duration::from_secs(9)).applied(),
            &|| assert_eq!(edit(&state).remove_rules(|rule| rule.name == "x y"), 1),
            &|| edit(&state).reset_quota(),
            &|| edit(&state).scenario.forget(own[1].fingerprint),
            &|| edit(&state).reset_scenario(Timestamp::from_second(77).unwrap(), 2),
        ];
        // Another replica's, which applies the changes one by one.
        let other = CustomerStates::new(Timestamp::UNIX_EPOCH).of("demo");
        for number in 0..40 {
            decide(number);
            if number % 5 == 4 {
                steps[number / 5]();
            }
            let writes = store.take();
            let changes = writes.iter().map(|write| match write {
                StoreWrite::Set { field, value, .. } => (field.as_str(), Some(value.as_str())),
                StoreWrite::Remove { field, .. } => (field.as_str(), None),
                other => panic!("{other:?}"),
            });
            let changes: Vec<_> = changes.collect();
            let run = (Timestamp::UNIX_EPOCH, number as u64);
            let own = changes.iter().filter(|(name, value)| *name != "requests" || value.is_none());
            other.lock().apply(&own.copied().collect::<Vec<_>>(), run, &|_| Err(String::new())).unwrap();
            other.lock().set_requests(state.lock().requests());
            assert_eq!(other.lock().fields(), state.lock().fields(), "applied after step {number}");
            apply(&mut stored, writes);
            let mut fields = state.lock().fields();
            if !stored.contains_key("began") {
                fields.remove("began");
            }
            assert_eq!(stored, fields, "after step {number}");
            let again = CustomerStates::new(Timestamp::UNIX_EPOCH).of("demo");
            let left_out = again.lock().restore(&stored, &|_| Err(String::new()));
            assert_eq!(left_out, Ok(Vec::new()));
            assert_eq!(again.lock().fields(), state.lock().fields(), "read back after step {number}");
        }
        states.close("demo");
        decide(41);
        apply(&mut stored, store.take());
        assert!(stored.is_empty(), "a removed customer's requests in flight leave nothing: {stored:?}");
    }

    impl ClockMove {
        fn applied(self) -> ClockMode {
            let now = crate::state::clock::ClockReading { now: Timestamp::UNIX_EPOCH, frozen: true };
            ClockMode::default().changed(self, now, ClockMode::default()).unwrap()
        }
    }

    #[test]
    fn a_copy_for_an_explanation_hands_over_nothing() {
        let store = Store::for_tests();
        let mut states = CustomerStates::new(Timestamp::UNIX_EPOCH);
        states.keep_in(&store);
        let copy = crate::state::customer_state::copy(&states.of("demo"));
        copy.lock().commit(std::iter::once(StateField::Requests));
        edit(&copy).set_per_day(Some(3));
        assert!(store.take().is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (name, value) in [
            ("requests", "x"),
            ("used/yesterday", "1"),
            ("count/ab/cd", "1 2 3"),
            ("draw/00", "1"),
            ("clock", "stopped"),
            ("rule/x", "{}"),
            ("other", "1"),
        ] {
            let fields = StoredFields::from([(name.to_owned(), value.to_owned())]);
            let error = CustomerState::default().restore(&fields, &|_| Err(String::new())).unwrap_err();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn evicted_counters_are_the_same_after_a_restart() {
        let rules =
            [rule(json!({ "name": "a", "per": "transaction_id", "times": 1, "reply": { "code": "6014" } }))];
        let run = |state: &mut CustomerState, ids: &[&str]| {
            let fired = |id: &&str| {
                let facts = Facts { transaction_id: Some(id), ..Facts::default() };
                let context = DrawContext { seed: 0, customer_id: "demo", max_counters: 3 };
                let mut effects = RuleEffects::default();
                state.scenario.decide(rules.iter().map(Arc::as_ref), &facts, context, &mut effects);
                !effects.firings.is_empty()
            };
            ids.iter().map(fired).collect::<Vec<_>>()
        };
        let mut state = CustomerState::default();
        run(&mut state, &["9", "1", "5", "3"]);
        let mut again = CustomerState::default();
        again.restore(&state.fields(), &|_| Err(String::new())).unwrap();
        // The oldest left is 1: 7 evicts it.
        let more = ["7", "1", "3"];
        assert_eq!(run(&mut again, &more), run(&mut state, &more));
        assert_eq!(run(&mut again, &["3", "5"]), [false, true]);
    }
}
