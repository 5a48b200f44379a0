//! The engine: from a request's bytes to its verdict. What decides is pure ([`decision`], and the layers below); the engine reads the clock,
//! takes the customer's lock at admission, where rules look at the head, and to decide and charge, and writes the journal. It knows no
//! socket and waits for nothing.
//!
//! `request.rs` admits, `evaluation.rs` is the way of a request step by step, `decision.rs` decides, `verdict.rs` is the result, `record.rs`
//! the journal's entry of it. `control.rs` is what the admin API changes, `lasting.rs` what a store keeps, `reload.rs` reads the
//! fixtures again, `gallery_faces.rs` asks a face engine about their pictures.
//!
//! An answer is computed on the thread that calls. A private-key operation takes 0.4 ms, for which two thread switches would not pay; the
//! listener calls from another thread where a large photo is to be decoded, or a face engine to be asked (`http/data/exchange.rs`).

mod control;
mod decision;
mod evaluation;
pub mod gallery_faces;
mod lasting;
mod record;
pub mod reload;
mod request;
pub mod shared;
mod verdict;

pub use control::Scope;
pub use request::{Admission, RefusedRequest, RequestHead};
pub use verdict::{Explanation, ResponseAction, Verdict};

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::base::text::quoted;
use crate::base::time;
use crate::config::Fixtures;
use crate::domain::customer::Customer;
use crate::domain::policy::Policy;
use crate::domain::quota::QuotaView;
use crate::domain::rules::{DrawContext, Phase, RuleEffects};
use crate::state::clock::Clock;
use crate::state::customer_fields::StateField;
use crate::state::customer_state::{self, BegunRequest, CustomerState, CustomerStates, SharedState};
use crate::state::customers::CustomerRegistry;
use crate::state::evidence_cache::EvidenceCache;
use crate::state::face_matcher::FaceMatcher;
use crate::state::journal::{Entry, Journal};
use crate::state::store::Store;
use crate::state::worker_pool::{CapacityGauge, WorkerPools};
use request::{Caller, PoolShare};

/// What requests share.
#[derive(Debug)]
pub struct Engine {
    pub customers: CustomerRegistry,
    pub clock: Clock,
    pub states: CustomerStates,
    pub journal: Journal,
    pub matcher: FaceMatcher,
    /// Valid ciphertexts and photos are cached.
    pub evidence: EvidenceCache,
    settings: EngineSettings,
    pools: WorkerPools,
    /// Where state is kept over a restart.
    store: Option<Arc<Store>>,
}

/// What the command line says about answering.
#[derive(Clone, Copy, Debug, Default)]
pub struct EngineSettings {
    /// Seed of all random decisions.
    pub seed: u64,
    /// Whether NIKs are shown in full in journal and explanations.
    pub show_nik: bool,
}

impl Engine {
    /// An engine with these fixtures.
    #[must_use]
    pub fn new(fixtures: Fixtures, clock: Clock, journal: Journal, settings: EngineSettings) -> Engine {
        let states = CustomerStates::new(clock.now());
        Engine {
            customers: CustomerRegistry::new(fixtures),
            clock,
            states,
            journal,
            matcher: FaceMatcher::new(settings.seed),
            evidence: EvidenceCache::default(),
            settings,
            pools: WorkerPools::default(),
            store: None,
        }
    }

    /// The active fixtures.
    #[must_use]
    pub fn fixtures(&self) -> Arc<Fixtures> {
        self.customers.fixtures()
    }

    /// The customer with this id, from the fixtures or created over the admin API.
    #[must_use]
    pub fn customer(&self, id: &str) -> Option<Arc<Customer>> {
        self.customers.customer(id, self.clock.now())
    }

    /// The error about an unknown customer, in words, with the closest id.
    #[must_use]
    pub fn unknown_customer(&self, id: &str) -> String {
        let suggestion = self.customers.suggestion(id, self.clock.now());
        format!("no customer has the id {}{suggestion}", quoted(id))
    }

    /// Whether a face engine is asked about photos, which takes long.
    #[must_use]
    pub fn asks_faces(&self) -> bool {
        self.customers.fixtures_guard().faces.is_some()
    }

    /// Whether NIKs are shown in full in journal and explanations.
    #[must_use]
    pub fn shows_nik(&self) -> bool {
        self.settings.show_nik
    }

    /// Seed of all random decisions.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.settings.seed
    }

    /// The present instant on a customer's clock.
    #[must_use]
    pub fn now_of(&self, state: &CustomerState) -> Timestamp {
        state.clock.read(self.clock.read()).now
    }

    /// Today's quota of a customer, and which day today is; `None` for an unknown customer.
    #[must_use]
    pub fn quota(&self, customer_id: &str) -> Option<(QuotaView, Date)> {
        let (customer, state) = self.customer_and_state(customer_id)?;
        let state = state.lock();
        let day = time::jakarta_day(self.now_of(&state));
        Some((state.quota(day, customer.per_day), day))
    }

    /// Usage of every matcher whose capacity is limited: the shared one first, then the customers' own by id.
    #[must_use]
    pub fn capacities(&self) -> Vec<CapacityGauge> {
        let (fixtures, customers) = (self.fixtures(), self.customers.customers(self.clock.now()));
        let capacities = fixtures.capacities(&customers);
        capacities.map(|(owner, capacity)| self.pools.gauge(owner, capacity)).collect()
    }

    /// Admits a request whose head has come: counts it, and tries the rules that are decided before the body. `arrived` is real time.
    #[must_use]
    pub fn admit(&self, head: &RequestHead, arrived: Instant) -> Admission {
        match self.customer_and_state(&head.customer_id) {
            Some((customer, state)) => self.admit_to(customer, state, head, arrived),
            None => self.admit_to_nobody(arrived),
        }
    }

    fn admit_to_nobody(&self, arrived: Instant) -> Admission {
        Admission {
            caller: None,
            ordinal: None,
            in_flight: 0,
            now: self.clock.now(),
            arrived,
            effects: RuleEffects::default(),
            counters_overflowed: false,
        }
    }

    /// Returns a customer and its state. The customer may be removed, and another be created with its id, between the two look-ups: a state
    /// is never paired with a customer that it is not of, and none is left behind.
    fn customer_and_state(&self, id: &str) -> Option<(Arc<Customer>, SharedState)> {
        let mut customer = self.customer(id)?;
        loop {
            let state = self.states.of(&customer.id);
            match self.customer(id) {
                Some(same) if Arc::ptr_eq(&same, &customer) => return Some((customer, state)),
                Some(changed) => customer = changed,
                None => {
                    self.states.close_only(&customer.id, &state);
                    return None;
                }
            }
        }
    }

    /// Returns a customer's state; a new one, of nobody, when the customer has been removed meanwhile.
    #[must_use]
    pub fn state_of(&self, id: &str) -> SharedState {
        self.customer_and_state(id).map(|(_, state)| state).unwrap_or_default()
    }

    fn admit_to(
        &self,
        customer: Arc<Customer>,
        state: SharedState,
        head: &RequestHead,
        arrived: Instant,
    ) -> Admission {
        let fixtures = self.customers.fixtures_guard();
        let mut locked = state.lock();
        let now = self.now_of(&locked);
        let BegunRequest { ordinal, in_flight, guard } = locked.begin_request();
        let mut caller = Caller::new(Arc::clone(&customer), Arc::clone(&state), guard);
        caller.instance = locked.instance();
        caller.rules = locked.rules(&customer.rules, now);
        let mut admission = Admission {
            caller: None,
            ordinal: Some(ordinal),
            in_flight,
            now,
            arrived,
            effects: RuleEffects::default(),
            counters_overflowed: false,
        };
        locked.commit(std::iter::once(StateField::Requests));
        drop(locked);
        let rules = caller.rules.iter().map(Arc::as_ref).filter(|rule| rule.phase() == Phase::BeforeBody);
        let (facts, draws) = (admission.head_facts(head), self.draw_context(&customer.id, &fixtures));
        let rules: Vec<_> = rules.filter(|rule| rule.spec.when.matches_texts(&facts)).collect();
        if !rules.is_empty() {
            let mut locked = state.lock();
            let changes = locked.scenario.decide(rules.into_iter(), &facts, draws, &mut admission.effects);
            locked.commit(changes.into_iter().map(StateField::from));
            admission.counters_overflowed = locked.scenario.take_overflow();
        }
        caller.pool = fixtures.capacity_of(&customer).map(|(owner, capacity)| PoolShare {
            pool: self.pools.of(owner, capacity),
            service_time: capacity.time_for(self.seed(), &customer.id, ordinal),
        });
        Admission { caller: Some(caller), ..admission }
    }

    /// Where a customer's rules draw their random numbers from, and how many counters they keep.
    #[must_use]
    pub fn draw_context<'a>(&self, customer_id: &'a str, fixtures: &Fixtures) -> DrawContext<'a> {
        DrawContext { seed: self.seed(), customer_id, max_counters: fixtures.limits.rule_counters }
    }

    /// Answers a request: charges quota, counts rules and adds to the journal. Returns the entry, to be ended, and what is to be done on the
    /// wire.
    pub fn answer(
        &self,
        head: &RequestHead,
        admission: &Admission,
        body: &[u8],
    ) -> (Arc<Entry>, ResponseAction) {
        let verdict = self.evaluate(head, admission, body, None, &OnceCell::new());
        self.record(head, admission, verdict)
    }

    /// What [`Engine::answer`] would answer now: the same steps, on a copy of the customer's state and of the matcher's worker pool.
    #[must_use]
    pub fn explain(&self, head: &RequestHead, body: &[u8]) -> Verdict {
        self.explain_under(None, head, body)
    }

    /// What would be answered now under another policy than the customer's.
    #[must_use]
    pub fn explain_under(&self, policy: Option<&Policy>, head: &RequestHead, body: &[u8]) -> Verdict {
        let arrived = Instant::now();
        let mut admission = match self.customer_and_state(&head.customer_id) {
            Some((customer, state)) => self.admit_to(customer, customer_state::copy(&state), head, arrived),
            // Not a second look-up: a customer created meanwhile would count the request.
            None => self.admit_to_nobody(arrived),
        };
        if let Some(share) = admission.caller.as_mut().and_then(|caller| caller.pool.as_mut()) {
            share.pool = share.pool.copy();
        }
        let mut verdict = self.evaluate(head, &admission, body, policy, &OnceCell::new());
        verdict.warnings.extend(self.journal.repetition(&record::marks(&admission, &verdict)));
        verdict
    }
}
