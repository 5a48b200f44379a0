//! What is steered from outside: customers, rules, clocks and quotas, and the way back to the beginning.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Engine;
use crate::base::random::{Purpose, RngKey};
use crate::config::{CustomerId, CustomerSpec, Fixtures};
use crate::domain::customer::Customer;
use crate::domain::matcher;
use crate::domain::rules::{Rule, RuleSpec};
use crate::state::clock::{ClockMove, ClockReading};
use crate::state::customer_state::{self, CustomerState};
use crate::state::customers::{CustomerEntry, CustomerError, CustomerInput};

/// Rules of one customer that are put over the admin API, at most.
const MAX_PUT_RULES: usize = 1000;

/// The customer that a made-up one extends when it names none.
const DEFAULT_BASE: &str = "demo";

/// What `POST /reset` takes back to the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// All of the below.
    All,
    /// The journal's entries.
    Journal,
    /// Rules put over the admin API, and what was counted for all others.
    Rules,
    /// What was used, and limits set over the admin API.
    Quota,
    /// The scenario: its state, its windows, what rules have counted, and the ordinals of requests.
    State,
    /// The clock, back to how the simulator started; a customer's follows it again.
    Clock,
    /// Identities enrolled over the admin API.
    Gallery,
    /// Customers put over the admin API, with all that was put for them.
    Customers,
}

impl Engine {
    /// Puts a customer, in place of the one with its id. The counts of rules that stay the same
    /// go on, and so does what is used of its quota.
    ///
    /// # Errors
    /// Why it is not put; nothing is changed then.
    pub fn put_customer(
        &self,
        id: &CustomerId,
        wanted: CustomerInput,
    ) -> Result<CustomerEntry, CustomerError> {
        let expires = self.end_of_life(wanted.lifetime())?;
        self.update_customer(id, |now| {
            let listed = self.customers.put(id, (wanted.spec, expires), now)?;
            Ok((listed, wanted.states_quota))
        })
    }

    /// Changes a customer: `change` gets what is written of it, and gives what is to be.
    ///
    /// # Errors
    /// Those of `change`, and why it is not put; nothing is changed then.
    pub fn change_customer<E: From<CustomerError>>(
        &self,
        id: &CustomerId,
        change: impl FnOnce(CustomerSpec) -> Result<CustomerInput, E>,
    ) -> Result<CustomerEntry, E> {
        self.update_customer(id, |now| {
            let mut states_quota = false;
            let changed = |(spec, expires)| {
                let wanted = change(spec)?;
                states_quota = wanted.states_quota;
                let expires = match wanted.ttl {
                    Some(ttl) => self.end_of_life(ttl)?,
                    None => expires,
                };
                Ok::<_, E>((wanted.spec, expires))
            };
            let listed = self.customers.change(id, now, changed)?;
            Ok((listed, states_quota))
        })
    }

    /// Puts a customer that was not there: with a made-up id and account where `spec` names none. Without `extends` it extends
    /// demo, and has no quota unless it says so. The same calls after a start give the same ids.
    ///
    /// # Errors
    /// Why it is not put.
    pub fn create_customer(&self, wanted: CustomerInput) -> Result<CustomerEntry, CustomerError> {
        let expires = self.end_of_life(wanted.lifetime())?;
        let mut spec = wanted.spec;
        let id = spec.customer_id.take().unwrap_or_else(|| self.unused_id());
        if spec.extends.is_none() {
            spec.extends = DEFAULT_BASE.parse().ok();
            spec.quota.per_day.get_or_insert(None);
            let (user_id, password) = self.account_for(&id);
            spec.account.user_id.get_or_insert(user_id);
            spec.account.password.get_or_insert(password);
        }
        self.update_customer(&id, |now| {
            Ok((self.customers.add(&id, (spec, expires), now)?, wanted.states_quota))
        })
    }

    /// Puts a customer by `put`, and looks after what was counted: a new one begins with nothing, rules that are gone leave
    /// nothing, and the newest word on the quota holds. `put` is told the instant on the customer's clock, and gives what was put and
    /// whether that says anything of the quota. Gives what was put: another call may have taken it back since.
    fn update_customer<E>(
        &self,
        id: &CustomerId,
        put: impl FnOnce(Timestamp) -> Result<(CustomerEntry, bool), E>,
    ) -> Result<CustomerEntry, E> {
        self.remove_expired();
        let before = self.customer(id.as_str());
        let now = match &before {
            Some(customer) => self.now_of(&self.states.of(&customer.id).lock()),
            None => self.clock.now(),
        };
        let done = put(now);
        if done.is_err() && before.is_none() {
            self.fixtures().keys.forget(id.as_str());
        }
        let (listed, states_quota) = done?;
        let state = self.states.state_since(id.as_str(), now);
        if let Some(before) = before {
            let mut state = state.lock();
            forget_the_gone(&mut state, &before, &listed.customer);
            if states_quota || before.per_day != listed.customer.per_day {
                state.clear_quota_override();
            }
        }
        Ok(listed)
    }

    fn end_of_life(&self, ttl: Option<Duration>) -> Result<Option<Timestamp>, CustomerError> {
        let wrong =
            |_| CustomerError::Wrong((vec!["ttl".to_owned()], "ttl goes beyond the year 9999".to_owned()));
        ttl.map(|ttl| self.clock.now().checked_add(ttl).map_err(wrong)).transpose()
    }

    fn unused_id(&self) -> CustomerId {
        loop {
            let number = self.next_generated.fetch_add(1, Ordering::Relaxed);
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

    /// Takes back a customer that was put, with all that was counted and put for it.
    ///
    /// # Errors
    /// When none was put, or another extends it.
    pub fn remove_customer(&self, id: &CustomerId) -> Result<(), CustomerError> {
        self.remove_expired();
        self.customers.remove(id, self.clock.now())?;
        self.forget_customer(id);
        Ok(())
    }

    /// Takes back the customers whose time is over.
    fn remove_expired(&self) {
        self.customers.remove_expired(self.clock.now()).iter().for_each(|id| self.forget_customer(id));
    }

    fn forget_customer(&self, id: &CustomerId) {
        self.states.close(id.as_str());
        self.pools.forget(id.as_str());
        self.reset_gallery(Some(id.as_str()));
        self.fixtures().keys.forget(id.as_str());
    }

    /// Enrols somebody, or adds to who is enrolled.
    ///
    /// # Errors
    /// Why it cannot be done; nothing has changed then.
    pub fn enrol(&self, new: matcher::Enrolment) -> Result<matcher::Identity, matcher::EnrolError> {
        let (fixtures, customers) = (self.fixtures(), self.customers.customers(self.clock.now()));
        let customer_id = new.customer_id.clone();
        let owner = |nik: &str| fixtures.nik_owner(&customers, nik, customer_id.as_deref());
        self.matcher.enrolled_mut().enrol(new, owner)
    }

    /// Takes out who was enrolled over the admin API: everybody, or those of one customer. Gives how many.
    pub fn reset_gallery(&self, customer_id: Option<&str>) -> usize {
        self.matcher.enrolled_mut().reset(customer_id)
    }

    /// Puts other fixtures in force, as a whole; what was put over the admin API stays. Whoever is inside a matcher stays; its
    /// new numbers hold for the next. Gives a line for each customer of which
    /// that is not possible.
    pub fn replace_fixtures(&self, fixtures: Fixtures) -> Vec<String> {
        let warnings = self.customers.replace_fixtures(fixtures, self.clock.now());
        let (fixtures, customers) = (self.fixtures(), self.customers.customers(self.clock.now()));
        self.pools.follow(fixtures.capacities(&customers));
        self.evidence.clear_ciphertexts();
        warnings
    }

    /// The rules of a customer in force, in the order in which they are tried.
    #[must_use]
    pub fn rules(&self, customer: &Customer) -> Vec<Arc<Rule>> {
        let state = self.states.of(&customer.id);
        let state = state.lock();
        state.rules(&customer.rules, self.now_of(&state))
    }

    /// Puts a rule of this name, in place of the one that was put before. It comes before the customer's own rules.
    ///
    /// # Errors
    /// What is wrong with it, or that the customer has too many.
    pub fn put_rule(&self, customer_id: &str, name: &str, spec: RuleSpec) -> Result<RuleSpec, String> {
        let spec = RuleSpec { name: Some(name.to_owned()), ..spec };
        let fixtures = self.fixtures();
        let mut rule = Rule::new(&spec, 1, &|name| fixtures.attached_file(name))?;
        let state = self.states.of(customer_id);
        let mut state = state.lock();
        let now = self.now_of(&state);
        rule.put_at(now)?;
        state.remove_rules(|known| known.expires.is_some_and(|expires| expires <= now));
        match state.put_rules.iter().position(|known| known.name == rule.name) {
            // The same rule put again changes nothing but its end: its counts and its window go on.
            Some(index) if state.put_rules[index].fingerprint == rule.fingerprint => {
                rule.put = state.put_rules[index].put;
                state.put_rules[index] = Arc::new(rule);
            }
            Some(index) => {
                let replaced = std::mem::replace(&mut state.put_rules[index], Arc::new(rule));
                state.scenario.forget(replaced.fingerprint);
            }
            None if state.put_rules.len() >= MAX_PUT_RULES => {
                return Err(format!(
                    "{customer_id} has {MAX_PUT_RULES} rules put over the admin API; take some back"
                ));
            }
            None => state.put_rules.push(Arc::new(rule)),
        }
        Ok(spec)
    }

    /// Takes back a rule that was put, or all of them. Gives how many.
    pub fn remove_rules(&self, customer_id: &str, name: Option<&str>) -> usize {
        let state = self.states.of(customer_id);
        let mut state = state.lock();
        state.remove_rules(|rule| name.is_none_or(|name| rule.name == name))
    }

    /// What a customer's clock shows.
    #[must_use]
    pub fn clock_of(&self, customer_id: &str) -> ClockReading {
        let state = self.states.of(customer_id);
        let mode = state.lock().clock;
        mode.read(self.clock.read())
    }

    /// Changes a customer's own clock, and shows it. A reset lets it follow the simulator's again.
    ///
    /// # Errors
    /// When that leaves the range of instants.
    pub fn change_clock_of(&self, customer_id: &str, change: ClockMove) -> Result<ClockReading, String> {
        let state = self.states.of(customer_id);
        let mut state = state.lock();
        let lead = self.clock.read();
        state.clock = state.clock.changed(change, lead, crate::state::clock::ClockMode::default())?;
        Ok(state.clock.read(lead))
    }

    /// Takes something back to the beginning, for one customer or for all. [`Scope::All`] of one customer keeps the customer.
    ///
    /// # Errors
    /// When the customer to be taken back is extended by another one.
    pub fn reset(&self, scope: Scope, customer_id: Option<&CustomerId>) -> Result<(), CustomerError> {
        let includes = |part| scope == Scope::All || scope == part;
        match customer_id {
            Some(id) if scope == Scope::Customers => {
                return match self.remove_customer(id) {
                    // As with other scopes: nothing was put, so it is at the beginning.
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
            let mut state = state.lock();
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

    /// The states of all, or of one customer, with the instant on each one's clock.
    fn states(&self, customer_id: Option<&str>) -> Vec<(customer_state::SharedState, Timestamp)> {
        let states = match customer_id {
            Some(id) => self.customer(id).map(|customer| self.states.of(&customer.id)).into_iter().collect(),
            None => self.states.opened(),
        };
        let now = |state: &customer_state::SharedState| self.now_of(&state.lock());
        states.into_iter().map(|state| (Arc::clone(&state), now(&state))).collect()
    }

    fn reset_clocks(&self, customer_id: Option<&str>) {
        if customer_id.is_none() {
            // A reset cannot leave the range of instants.
            let _ = self.clock.change(ClockMove::Reset);
        }
        for (state, _) in self.states(customer_id) {
            state.lock().clock = crate::state::clock::ClockMode::default();
        }
    }
}

/// What was counted for rules that a customer has no longer.
fn forget_the_gone(state: &mut CustomerState, before: &Customer, after: &Customer) {
    let stays = |rule: &Rule| after.rules.iter().any(|after| after.fingerprint == rule.fingerprint);
    before.rules.iter().filter(|rule| !stays(rule)).for_each(|rule| state.scenario.forget(rule.fingerprint));
}
