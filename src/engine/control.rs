//! What the admin API and the library change: customers, rules, clocks, quotas, the gallery; and the reset of each.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Engine;
use crate::base::random::{Purpose, RngKey};
use crate::base::size::Size;
use crate::config::{CustomerId, CustomerSpec, Fixtures};
use crate::domain::customer::Customer;
use crate::domain::matcher;
use crate::domain::rules::{Rule, RuleSpec, joined};
use crate::state::clock::{ClockMove, ClockReading};
use crate::state::customer_fields::{StateField, edit};
use crate::state::customer_state::SharedState;
use crate::state::customers::{CustomerEntry, CustomerError, CustomerInput, SpecAndExpiry};
use crate::state::face_matcher::{PictureError, still_learning};

/// The customer that a generated one extends when it names none.
const DEFAULT_BASE: &str = "demo";

/// What `POST /reset` resets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// All of the below.
    All,
    /// The journal's entries.
    Journal,
    /// Removes the rules created over the admin API, and resets the counters of all others.
    Rules,
    /// Usage, and limits set over the admin API.
    Quota,
    /// The scenario: its state, its windows, the counters of rules, and the ordinals of requests.
    State,
    /// The clock, to how the simulator started; a customer's clock follows it again.
    Clock,
    /// Identities enrolled over the admin API.
    Gallery,
    /// Customers created over the admin API, with everything that belongs to them.
    Customers,
}

impl Engine {
    /// Creates a customer, or replaces the one with its id. The counters of rules that stay the same continue, and so does the usage of
    /// its quota.
    ///
    /// # Errors
    /// Why it is rejected; nothing is changed then.
    pub fn put_customer(
        &self,
        id: &CustomerId,
        input: CustomerInput,
    ) -> Result<CustomerEntry, CustomerError> {
        let expires = self.expiry(input.lifetime())?;
        self.update_customer(id, |now| {
            let entry = self.customers.put(id, SpecAndExpiry { spec: input.spec, expires }, now)?;
            Ok((entry, input.states_quota))
        })
    }

    /// Changes a customer: `change` gets its specification and returns the new one.
    ///
    /// # Errors
    /// Those of `change`, and why the result is rejected; nothing is changed then.
    pub fn change_customer<E: From<CustomerError>>(
        &self,
        id: &CustomerId,
        change: impl FnOnce(CustomerSpec) -> Result<CustomerInput, E>,
    ) -> Result<CustomerEntry, E> {
        self.update_customer(id, |now| {
            let mut states_quota = false;
            let changed = |SpecAndExpiry { spec, expires }| {
                let input = change(spec)?;
                states_quota = input.states_quota;
                let expires = match input.ttl {
                    Some(ttl) => self.expiry(ttl)?,
                    None => expires,
                };
                Ok::<_, E>(SpecAndExpiry { spec: input.spec, expires })
            };
            let entry = self.customers.change(id, now, changed)?;
            Ok((entry, states_quota))
        })
    }

    /// Creates a new customer, with a generated id and account where it names none. Without `extends` it extends demo, and has no quota
    /// unless it sets one. The same calls after a start generate the same ids.
    ///
    /// # Errors
    /// Why it is rejected.
    pub fn create_customer(&self, input: CustomerInput) -> Result<CustomerEntry, CustomerError> {
        let expires = self.expiry(input.lifetime())?;
        let mut spec = input.spec;
        let id = spec.customer_id.take().unwrap_or_else(|| self.unused_id());
        if spec.extends.is_none() {
            spec.extends = DEFAULT_BASE.parse().ok();
            spec.quota.per_day.get_or_insert(None);
            let (user_id, password) = self.account_for(&id);
            spec.account.user_id.get_or_insert(user_id);
            spec.account.password.get_or_insert(password);
        }
        self.update_customer(&id, |now| {
            Ok((self.customers.add(&id, SpecAndExpiry { spec, expires }, now)?, input.states_quota))
        })
    }

    /// Stores a customer with `store`, and updates its running state: a new customer starts from zero, removed rules lose their counters,
    /// and the latest statement about the quota wins: an override set with `PUT /customers/{customer_id}/quota` ends when the customer
    /// itself states a quota or inherits another one. `store` gets the instant on the customer's clock.
    fn update_customer<E>(
        &self,
        id: &CustomerId,
        store: impl FnOnce(Timestamp) -> Result<(CustomerEntry, bool), E>,
    ) -> Result<CustomerEntry, E> {
        self.remove_expired();
        let before = self.customer(id.as_str());
        let now = match &before {
            Some(customer) => self.now_of(&self.state_of(&customer.id).lock()),
            None => self.clock.now(),
        };
        if before.is_none() {
            // An earlier owner of the id may have left its own, such as a customer of a file that is gone.
            self.states.close(id.as_str());
            self.reset_gallery(Some(id.as_str()));
        }
        let stored = store(now);
        if stored.is_err() && before.is_none() {
            self.fixtures().keys.forget(id.as_str());
        }
        let (entry, states_quota) = stored?;
        match before {
            Some(before) if states_quota || before.per_day != entry.customer.per_day => {
                edit(&self.state_of(id.as_str())).clear_quota_override();
            }
            Some(_) => {}
            None => {
                let state = self.states.open(id.as_str(), now);
                // When a new customer's scenario began is not what the store takes for granted.
                state.lock().commit(std::iter::once(StateField::Began));
                self.pools.forget(id.as_str());
            }
        }
        self.follow_change(std::iter::once(Arc::clone(&entry.customer)).chain(self.customers.dependents(id)));
        Ok(entry)
    }

    /// Brings what customers have beside their specifications up to a change of these: counters of removed rules, and the sizes of pools.
    pub(super) fn follow_change(&self, changed: impl IntoIterator<Item = Arc<Customer>>) {
        for customer in changed {
            if let Some(state) = self.states.get(&customer.id) {
                edit(&state).forget_other_rules(&customer.rules);
            }
            if let Some(capacity) = &customer.capacity {
                self.pools.set(Some(&customer.id), capacity);
            }
        }
    }

    fn expiry(&self, ttl: Option<Duration>) -> Result<Option<Timestamp>, CustomerError> {
        let wrong =
            |_| CustomerError::Wrong((vec!["ttl".to_owned()], "ttl goes beyond the year 9999".to_owned()));
        ttl.map(|ttl| self.clock.now().checked_add(ttl).map_err(wrong)).transpose()
    }

    fn unused_id(&self) -> CustomerId {
        loop {
            let number = self.customers.next_generated();
            let mut random = self.random_for("", number);
            // Always a good id: letters, a hyphen and hexadecimal digits.
            if let Ok(id) = format!("test-{:08x}", random.random::<u32>()).parse::<CustomerId>()
                && self.customer(id.as_str()).is_none()
            {
                return id;
            }
        }
    }

    fn account_for(&self, id: &CustomerId) -> (String, String) {
        let mut random = self.random_for(id.as_str(), 0);
        (format!("user-{:08x}", random.random::<u32>()), format!("pass-{:016x}", random.random::<u64>()))
    }

    fn random_for(&self, customer_id: &str, ordinal: u64) -> rand::rngs::ChaCha8Rng {
        RngKey { seed: self.settings.seed, customer_id, rule: "" }.random(Purpose::Customer, ordinal)
    }

    /// Removes a customer created over the admin API, with its state, rules, key and enrolled people.
    ///
    /// # Errors
    /// When there is none, or when another one that extends it would become invalid.
    pub fn remove_customer(&self, id: &CustomerId) -> Result<(), CustomerError> {
        self.remove_expired();
        self.customers.remove(id, self.clock.now())?;
        self.forget_customer(id);
        self.follow_change(self.customers.dependents(id));
        Ok(())
    }

    /// Removes the customers whose ttl is over.
    fn remove_expired(&self) {
        self.customers.remove_expired(self.clock.now()).iter().for_each(|id| self.forget_customer(id));
    }

    fn forget_customer(&self, id: &CustomerId) {
        self.states.close(id.as_str());
        self.reset_gallery(Some(id.as_str()));
        self.forget_beside(id.as_str());
    }

    /// Forgets what only this process has of a customer that was removed.
    pub(super) fn forget_beside(&self, id: &str) {
        self.pools.forget(id);
        self.fixtures().keys.forget(id);
    }

    /// Brings a customer's pool up to a change of the customer.
    pub(super) fn follow_pool(&self, id: &str) {
        let customer = self.customer(id);
        if let Some(capacity) = customer.as_ref().and_then(|customer| customer.capacity.as_ref()) {
            self.pools.set(Some(id), capacity);
        }
    }

    /// Enrols an identity, or adds pictures to an enrolled one.
    ///
    /// # Errors
    /// Why it is rejected; nothing is changed then.
    pub fn enrol(&self, new: matcher::Enrolment) -> Result<matcher::Identity, matcher::EnrolError> {
        let (fixtures, customers) = (self.fixtures(), self.customers.customers(self.clock.now()));
        let customer_id = new.customer_id.clone();
        let owner = |nik: &str| fixtures.nik_owner(&customers, nik, customer_id.as_deref());
        self.matcher.enrol(new, owner, fixtures.keeps_faces())
    }

    /// Says how much of the fixtures' gallery the face engine was asked about, while that is under way.
    #[must_use]
    pub fn still_learning(&self) -> Option<String> {
        let fixtures = self.fixtures();
        let is_learning = fixtures.faces.is_some() && self.matcher.faces.is_learning();
        is_learning.then(|| still_learning(fixtures.pictures.all()))
    }

    /// Reads a picture to enrol beside others, and asks the face engine about it, if there is one. Takes as long as the engine: not for an
    /// I/O thread.
    ///
    /// # Errors
    /// When it is not a picture, or the engine has no answer that can be used.
    pub fn picture(
        &self,
        file: Vec<u8>,
        beside: &[matcher::Picture],
    ) -> Result<matcher::Picture, PictureError> {
        let fixtures = self.fixtures();
        self.matcher.picture(file, &fixtures.limits, fixtures.faces.as_deref(), &fixtures.pictures, beside)
    }

    /// Removes the identities enrolled over the admin API: all, or those of one customer. Returns how many.
    pub fn reset_gallery(&self, customer_id: Option<&str>) -> usize {
        self.matcher.reset(customer_id)
    }

    /// Replaces the fixtures as a whole; what was created over the admin API stays. Requests in a worker pool stay there; its new capacity
    /// applies to later ones. Returns a warning for each customer of the admin API that the new fixtures make invalid: it stays as it was.
    pub fn replace_fixtures(&self, fixtures: Fixtures) -> Vec<String> {
        let kept_faces = self.fixtures().keeps_faces();
        let warnings = self.customers.replace_fixtures(fixtures, self.clock.now());
        let (fixtures, customers) = (self.fixtures(), self.customers.customers(self.clock.now()));
        if fixtures.keeps_faces() != kept_faces {
            self.matcher.keep_faces(fixtures.keeps_faces());
        }
        self.pools.follow(fixtures.capacities(&customers));
        self.follow_change(customers);
        self.evidence.clear_ciphertexts();
        warnings
    }

    /// The active rules of a customer, in the order in which they are tried.
    #[must_use]
    pub fn rules(&self, customer: &Customer) -> Vec<Arc<Rule>> {
        let state = self.state_of(&customer.id);
        let state = state.lock();
        state.rules(&customer.rules, self.now_of(&state))
    }

    /// Creates a rule, or replaces the one of the admin API with its name. It is tried before the customer's own rules.
    ///
    /// # Errors
    /// What is wrong with it, or that the customer has too many.
    pub fn put_rule(&self, customer_id: &str, name: &str, spec: RuleSpec) -> Result<RuleSpec, String> {
        let spec = RuleSpec { name: Some(name.to_owned()), ..spec };
        let fixtures = self.fixtures();
        let limits = &fixtures.limits;
        let mut rule =
            Rule::new(&spec, 1, &|name| fixtures.attached_file(name)).map_err(|errors| joined(&errors))?;
        self.check_regexes(customer_id, &rule, limits.regexes)?;
        let state = self.state_of(customer_id);
        let mut state = edit(&state);
        let now = self.now_of(&state);
        rule.put_at(now)?;
        state.remove_rules(|known| known.expires.is_some_and(|expires| expires <= now));
        match state.put_rules.iter().position(|known| known.name == rule.name) {
            // The same rule again changes only its end: its counters and its window continue.
            Some(index) if state.put_rules[index].fingerprint == rule.fingerprint => {
                rule.created = state.put_rules[index].created;
                state.put_rules[index] = Arc::new(rule);
            }
            Some(index) => {
                let replaced = std::mem::replace(&mut state.put_rules[index], Arc::new(rule));
                state.scenario.forget(replaced.fingerprint);
            }
            None if state.put_rules.len() >= limits.rules => {
                return Err(format!(
                    "{customer_id} has {} rules of the admin API, the maximum (limits.rules); remove some",
                    limits.rules
                ));
            }
            None => state.put_rules.push(Arc::new(rule)),
        }
        Ok(spec)
    }

    /// Checks that the regexes of all rules of the admin API stay within their limit, with this rule of a customer.
    fn check_regexes(&self, customer_id: &str, rule: &Rule, max: Size) -> Result<(), String> {
        if rule.regex_bytes() == 0 {
            return Ok(());
        }
        let own = self.states.get(customer_id);
        let is_own = |state: &SharedState| own.as_ref().is_some_and(|own| Arc::ptr_eq(own, state));
        let bytes = |state: &SharedState| {
            let stays = |put: &&Arc<Rule>| !is_own(state) || put.name != rule.name;
            state.lock().put_rules.iter().filter(stays).map(|put| put.regex_bytes()).sum::<usize>()
        };
        let others: usize = self.states.opened().iter().map(bytes).sum();
        if (others + rule.regex_bytes()) as u64 > max.0 {
            return Err(format!(
                "the regexes of all rules of the admin API would take more than {} bytes of memory (limits.regexes); use globs, or remove some",
                max.0
            ));
        }
        Ok(())
    }

    /// Removes a rule of the admin API, or all of them. Returns how many.
    pub fn remove_rules(&self, customer_id: &str, name: Option<&str>) -> usize {
        let state = self.state_of(customer_id);
        let mut state = edit(&state);
        state.remove_rules(|rule| name.is_none_or(|name| rule.name == name))
    }

    /// Reads a customer's clock.
    #[must_use]
    pub fn clock_of(&self, customer_id: &str) -> ClockReading {
        let state = self.state_of(customer_id);
        let mode = state.lock().clock;
        mode.read(self.clock.read())
    }

    /// Moves a customer's own clock and reads it. After a reset it follows the simulator's again.
    ///
    /// # Errors
    /// When that leaves the range of instants.
    pub fn change_clock_of(&self, customer_id: &str, change: ClockMove) -> Result<ClockReading, String> {
        let state = self.state_of(customer_id);
        let mut state = edit(&state);
        let reference = self.clock.read();
        state.clock = state.clock.changed(change, reference, crate::state::clock::ClockMode::default())?;
        Ok(state.clock.read(reference))
    }

    /// Resets the chosen state, for all customers or one. [`Scope::All`] of one customer keeps the customer: a test that starts over needs
    /// it.
    ///
    /// # Errors
    /// When the customer to be removed is extended by another one.
    pub fn reset(&self, scope: Scope, customer_id: Option<&CustomerId>) -> Result<(), CustomerError> {
        let includes = |part| scope == Scope::All || scope == part;
        match customer_id {
            Some(id) if scope == Scope::Customers => {
                return match self.remove_customer(id) {
                    // As with the other scopes: there is nothing to reset.
                    Err(CustomerError::InFile | CustomerError::Unknown) => Ok(()),
                    done => done,
                };
            }
            None if includes(Scope::Customers) => {
                self.customers.clear().iter().for_each(|id| self.forget_customer(id));
            }
            _ => {}
        }
        let customer_id = customer_id.map(CustomerId::as_str);
        if includes(Scope::Clock) {
            self.reset_clocks(customer_id);
        }
        for (state, now) in self.states(customer_id) {
            let mut state = edit(&state);
            if includes(Scope::Rules) {
                state.remove_rules(|_| true);
                state.scenario.forget_all();
            }
            if includes(Scope::Quota) {
                state.reset_quota();
            }
            if includes(Scope::State) {
                state.reset_scenario(now, self.states.next_instance());
            }
        }
        if includes(Scope::Gallery) {
            self.reset_gallery(customer_id);
        }
        if includes(Scope::Journal) {
            self.journal.clear(customer_id);
        }
        Ok(())
    }

    /// The states of all customers, or of one, with the instant on each one's clock.
    fn states(&self, customer_id: Option<&str>) -> Vec<(SharedState, Timestamp)> {
        let states = match customer_id {
            Some(id) => self.customer(id).map(|customer| self.state_of(&customer.id)).into_iter().collect(),
            None => self.states.opened(),
        };
        let now = |state: &SharedState| self.now_of(&state.lock());
        states.into_iter().map(|state| (Arc::clone(&state), now(&state))).collect()
    }

    fn reset_clocks(&self, customer_id: Option<&str>) {
        if customer_id.is_none() {
            // A reset cannot leave the range of instants.
            let _ = self.clock.change(ClockMove::Reset);
        }
        for (state, _) in self.states(customer_id) {
            edit(&state).clock = crate::state::clock::ClockMode::default();
        }
    }
}
