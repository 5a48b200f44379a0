//! Several replicas that act as one: how a request is admitted and decided over the state that they share, and how what others changed
//! is applied here.
//!
//! The decision itself is the one of every simulator, on a copy of the customer's state. It is run again when another step came first.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::MutexGuard;

use super::request::{Admission, LateDraft, RequestHead};
use super::verdict::ResponseAction;
use super::{Engine, lasting};
use crate::domain::rules::FileReader;
use crate::state::clock;
use crate::state::customer_fields::StoredFields;
use crate::state::customer_state::{CUSTOMER_PREFIX, InFlight, SharedState, StateDraft};
use crate::state::customers::{CUSTOMERS, GENERATED, MADE};
use crate::state::enrolled_fields::{self, NIKS};
use crate::state::journal::{Entry, Journal, KeptEntry};
use crate::state::observer::Observer;
use crate::state::store::redis::{
    Appended, HistoryReader, HistoryRecord, HistoryStep, NoTurn, SharedStore, StoreDown, Turn,
};
use crate::state::store::{StoreWrite, StoredState};

/// How long a step may be overtaken by others.
const OVERTAKEN: Duration = Duration::from_secs(10);

/// A step that was overtaken: it has the turn of its customer's steps at this replica, which would overtake each other.
struct Queued<'a> {
    deadline: Instant,
    _turn: MutexGuard<'a, ()>,
}

impl<'a> Queued<'a> {
    /// Waits until what overtook a step is applied here, and at the first time for the customer's queue.
    fn follow(
        queued: &mut Option<Queued<'a>>,
        shared: &'a SharedStore,
        customer_id: &str,
        position: u64,
    ) -> Result<(), StoreDown> {
        let queued = queued.get_or_insert_with(|| Queued {
            deadline: Instant::now() + OVERTAKEN,
            _turn: shared.queue(customer_id),
        });
        match Instant::now() < queued.deadline {
            true => shared.applied(position),
            false => Err(StoreDown),
        }
    }
}

impl Engine {
    /// Returns the store, if replicas share it.
    #[must_use]
    pub fn shared(&self) -> Option<&Arc<SharedStore>> {
        self.store.as_ref().and_then(|store| store.shared())
    }

    /// Waits until this replica has applied everything that was answered by any replica so far.
    ///
    /// # Errors
    /// When the shared store cannot be reached.
    pub async fn caught_up(&self) -> Result<(), StoreDown> {
        match self.shared() {
            Some(shared) => shared.caught_up().await,
            None => Ok(()),
        }
    }

    /// Waits for the turn to change settings, which replicas share; `None` where they share nothing.
    ///
    /// # Errors
    /// When the shared store cannot be reached, or others have the turn for too long.
    pub async fn take_turn(&self) -> Result<Option<Turn>, NoTurn> {
        match self.shared() {
            Some(shared) => shared.take_turn().await.map(Some),
            None => Ok(None),
        }
    }

    /// The same, for threads.
    ///
    /// # Errors
    /// When the shared store cannot be reached, or others have the turn for too long.
    pub fn take_turn_blocking(&self) -> Result<Option<Turn>, NoTurn> {
        self.shared().map(SharedStore::take_turn_blocking).transpose()
    }

    /// Admits a request like [`Engine::admit`], over the state that replicas share.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub fn admit_at_all(
        &self,
        shared: &Arc<SharedStore>,
        head: &RequestHead,
        arrived: Instant,
    ) -> Result<Admission, StoreDown> {
        let id = &*head.customer_id;
        let is_known = || self.customer(id).is_some();
        let mut was_known = is_known();
        let mut arrival = shared.arrive(id, was_known)?;
        let mut in_flight = was_known.then(|| InFlight::at_all(shared, id, arrival));
        shared.applied(arrival.position)?;
        if !was_known && is_known() {
            // Another replica has just created it.
            was_known = true;
            arrival = shared.arrive(id, was_known)?;
            in_flight = Some(InFlight::at_all(shared, id, arrival));
            shared.applied(arrival.position)?;
        }
        let found = self.customer_and_state(id).filter(|_| was_known);
        let Some((customer, state)) = found else { return Ok(self.admit_to_nobody(arrived)) };
        let mut queue = None;
        loop {
            let draft = StateDraft::of(&state, shared, Some(&arrival));
            let mut admission = self.admit_to(Arc::clone(&customer), Arc::clone(&draft.state), head, arrived);
            let steps = HistoryStep::of(draft.writes());
            let appended = match (&draft.basis, steps.is_empty()) {
                (Some(basis), false) => shared.append(Some(basis), &steps, shared.next_operation())?,
                _ => Appended::Kept(0),
            };
            match appended {
                Appended::Kept(position) => {
                    shared.applied(position)?;
                    if admission.counters_overflowed {
                        state.lock().scenario.overflow_reported();
                    }
                    if let Some(caller) = &mut admission.caller {
                        caller.state = state;
                        in_flight.take().into_iter().for_each(|in_flight| caller.count(in_flight));
                    }
                    return Ok(admission);
                }
                Appended::Overtaken(position) => Queued::follow(&mut queue, shared, id, position)?,
            }
        }
    }

    /// Answers a request like [`Engine::answer`], over the state that replicas share.
    ///
    /// # Errors
    /// When the store cannot be reached; the request may have been counted.
    pub fn answer_at_all(
        &self,
        shared: &Arc<SharedStore>,
        head: &RequestHead,
        admission: &mut Admission,
        body: &[u8],
    ) -> Result<(Arc<Entry>, ResponseAction), StoreDown> {
        // What the face engine said, also that it failed: it is asked once, and not while others of the customer wait.
        let face = OnceCell::new();
        let mut queue = None;
        loop {
            if let Some(caller) = &mut admission.caller {
                caller.draft = Some(LateDraft::new(shared));
            }
            let verdict = self.evaluate(head, admission, body, None, &face);
            let (entry, marks, action) = self.entry_of(head, admission, verdict);
            let draft = admission.caller.as_mut().and_then(|caller| caller.draft.take()?.taken());
            let writes = draft.as_ref().map(StateDraft::writes).unwrap_or_default();
            let basis = draft.as_ref().and_then(|draft| draft.basis.as_ref());
            match self.journal.keep(shared, basis, writes, entry, marks) {
                KeptEntry::Kept(entry) => {
                    if let (true, Some(caller)) = (action.counters_overflowed, &admission.caller) {
                        caller.state.lock().scenario.overflow_reported();
                    }
                    return Ok((entry, action));
                }
                // What is costly of the request is cached by now.
                KeptEntry::Overtaken(position) => {
                    Queued::follow(&mut queue, shared, &head.customer_id, position)?;
                }
                KeptEntry::Down(_) => return Err(StoreDown),
            }
        }
    }

    /// Returns whether some matcher's capacity is limited.
    #[must_use]
    pub fn has_limited_capacity(&self) -> bool {
        let customers = self.customers.customers(self.clock.now());
        self.fixtures().capacities(&customers).next().is_some()
    }

    /// Resets the counters of rules that were removed from the files meanwhile, as a reload does, and removes stored vectors of faces where
    /// none are kept. By whoever has the turn.
    pub fn follow_files(&self) {
        if !self.fixtures().keeps_faces() {
            self.matcher.remove_stored_faces();
        }
        self.follow_change(self.customers.customers(self.clock.now()));
    }

    /// Returns the writes that make a new store.
    #[must_use]
    pub fn initial_state(&self) -> Vec<StoreWrite> {
        let own = lasting::began(self.states.began());
        std::iter::once(own).chain(self.clock.whole()).collect()
    }

    fn take_over(
        &self,
        shared: &SharedStore,
        stored: &StoredState,
        versions: &BTreeMap<String, u64>,
    ) -> Result<Vec<String>, String> {
        let version = |subject: &str| versions.get(subject).copied().unwrap_or_default();
        let mut messages = self.restore_settings(stored)?;
        let of_customers = |subject: &str| !subject.starts_with(CUSTOMER_PREFIX);
        let known = shared.subjects();
        let known = known.iter().map(|subject| &**subject);
        for subject in
            known.chain(versions.keys().map(String::as_str)).filter(|subject| of_customers(subject))
        {
            shared.set_version(subject, version(subject));
        }
        let fixtures = self.fixtures();
        let file = |name: &str| fixtures.attached_file(name);
        let stored_ids = versions.keys().filter_map(|subject| subject.strip_prefix(CUSTOMER_PREFIX));
        let ids: Vec<_> = self.states.ids().into_iter().chain(stored_ids.map(str::to_owned)).collect();
        for id in ids {
            let subject = format!("{CUSTOMER_PREFIX}{id}");
            let state = self.states.of(&id);
            let mut state = state.lock();
            let none = StoredFields::default();
            let fields = stored.fields.get(&subject).unwrap_or(&none);
            let run = (self.states.began(), self.states.next_instance());
            let left_out = state.reset_to(fields, run, &file);
            let left_out = left_out.map_err(|what| format!("the customer {id}: {what}"))?;
            messages
                .extend(left_out.into_iter().map(|why| format!("a stored rule of {id} is left out: {why}")));
            shared.set_version(&subject, version(&subject));
        }
        Ok(messages)
    }

    /// Applies a record of the history, but for what this replica knows already.
    fn apply(&self, shared: &SharedStore, record: &HistoryRecord) -> Result<(), String> {
        let is_own = shared.is_own(record);
        let of_journal = record.steps.iter().filter(|step| step.subject().is_none());
        let mut subjects: Vec<&str> = record.steps.iter().filter_map(HistoryStep::subject).collect();
        subjects.dedup();
        for subject in subjects {
            let steps: Vec<_> = record.steps.iter().filter(|step| step.subject() == Some(subject)).collect();
            if record.position <= shared.version(subject) {
                continue;
            }
            if let Some(id) = subject.strip_prefix(CUSTOMER_PREFIX) {
                self.apply_to_state(shared, id, &steps, record.position)?;
                continue;
            }
            // Its author has applied it, but for the clock.
            if subject == clock::CLOCK {
                for step in steps {
                    if let HistoryStep::Set(_, name, value) = step {
                        self.clock.apply(name, value)?;
                    }
                }
            } else if !is_own {
                self.apply_settings(subject, &steps)?;
            }
            shared.set_version(subject, record.position);
        }
        for step in of_journal {
            self.journal.apply(record, step, shared.replica())?;
        }
        // Requests are counted in the store; what a replica shows of their number follows the entries.
        let is_new = record.entry_id > 0 && !shared.has_taken_over(record.position);
        if let Some(entry) = is_new.then(|| self.journal.get(record.entry_id)).flatten()
            && let (Some(id), Some(ordinal)) = (&entry.customer_id, entry.ordinal)
            && let Some(state) = self.states.get(id)
        {
            let mut state = state.lock();
            let requests = state.requests().max(ordinal);
            state.set_requests(requests);
        }
        Ok(())
    }

    fn apply_to_state(
        &self,
        shared: &SharedStore,
        id: &str,
        steps: &[&HistoryStep],
        position: u64,
    ) -> Result<(), String> {
        let subject = format!("{CUSTOMER_PREFIX}{id}");
        if steps.iter().any(|step| matches!(step, HistoryStep::Clear(_))) {
            self.states.drop_state(id, || shared.set_version(&subject, 0));
            return Ok(());
        }
        let fixtures = self.customers.fixtures_guard();
        let file: FileReader = &|name: &str| fixtures.attached_file(name);
        let state: SharedState = self.states.of(id);
        let mut state = state.lock();
        let run = (self.states.began(), self.states.next_instance());
        let applied = state.apply(&changes(steps), run, file);
        shared.set_version(&subject, position);
        applied.map_err(|what| format!("the customer {id}: {what}"))
    }

    fn apply_settings(&self, subject: &str, steps: &[&HistoryStep]) -> Result<(), String> {
        let is_cleared = steps.iter().any(|step| matches!(step, HistoryStep::Clear(_)));
        let changes = changes(steps);
        if subject == CUSTOMERS {
            if is_cleared {
                self.customers.apply_cleared().iter().for_each(|id| self.forget_beside(id.as_str()));
            }
            let gone = changes.iter().filter(|(_, text)| text.is_none());
            gone.for_each(|(id, _)| self.forget_beside(id));
            let changed = self.customers.apply(&changes, self.clock.now())?;
            changed.iter().for_each(|id| self.follow_pool(id.as_str()));
        } else if let Some(owner) = enrolled_fields::owner(subject) {
            if is_cleared {
                self.matcher.apply_cleared(owner);
            }
            let keeps_faces = self.fixtures().keeps_faces();
            changes.into_iter().try_for_each(|change| self.matcher.apply(owner, change, keeps_faces))?;
        } else if subject == MADE {
            for (name, value) in changes {
                let value = value.unwrap_or("0");
                let damaged = |_| format!("the field {name} of the subject {MADE}");
                match name {
                    GENERATED => self.customers.apply_generated(value.parse().map_err(damaged)?),
                    NIKS => self.matcher.apply_position(value.parse().map_err(damaged)?),
                    _ => return Err(format!("the field {name} of the subject {MADE}")),
                }
            }
        }
        Ok(())
    }
}

/// Returns the changed fields of a subject and their values.
fn changes<'a>(steps: &[&'a HistoryStep]) -> Vec<(&'a str, Option<&'a str>)> {
    let change = |step: &&'a HistoryStep| match step {
        HistoryStep::Set(_, field, value) => Some((field.as_str(), Some(value.as_str()))),
        HistoryStep::Remove(_, field) => Some((field.as_str(), None)),
        _ => None,
    };
    steps.iter().filter_map(change).collect()
}

/// What the history that replicas share does to an engine.
pub struct Replica {
    pub engine: Weak<Engine>,
    pub observer: Arc<dyn Observer>,
}

impl Replica {
    /// Runs something over the engine, unless it is gone.
    fn over<T>(&self, work: impl FnOnce(&Engine, &SharedStore) -> T) -> Option<T> {
        let engine = self.engine.upgrade()?;
        let shared = engine.shared()?;
        Some(work(&engine, shared))
    }

    fn journal(&self, work: impl FnOnce(&Journal, &str)) {
        self.over(|engine, shared| work(&engine.journal, shared.replica()));
    }
}

impl HistoryReader for Replica {
    fn begin_again(&self) {
        self.journal(|journal, _| journal.begin_again());
    }

    fn take_over(&self, stored: &StoredState, versions: &BTreeMap<String, u64>) -> Result<(), String> {
        let taken = self.over(|engine, shared| engine.take_over(shared, stored, versions));
        let messages = taken.unwrap_or_else(|| Ok(Vec::new()))?;
        messages.iter().for_each(|message| self.observer.warned(message));
        Ok(())
    }

    fn apply(&self, record: HistoryRecord) -> Result<(), String> {
        self.over(|engine, shared| engine.apply(shared, &record)).unwrap_or(Ok(()))
    }

    fn resume(&self) {
        self.journal(|journal, me| journal.hand_over_ends(me));
    }

    fn report(&self, message: &str) {
        self.observer.warned(message);
    }
}
