//! What lasts: takes over the state of an earlier run from a store, and hands over every change from then on.

use std::sync::Arc;

use jiff::Timestamp;

use super::Engine;
use crate::state::customer_state::CUSTOMER_PREFIX;
use crate::state::store::{JOURNAL, LAST_ID, Store, StoreError, StoreWrite, StoredState, set};

/// Subject and field of the start of the first run.
const START: &str = "start";
const BEGAN: &str = "began";

/// Returns the write of when the first run began.
pub(super) fn began(began: Timestamp) -> StoreWrite {
    set(&START.into(), BEGAN, began.to_string())
}

/// Returns when the first run began; `None` when a store does not say.
///
/// # Errors
/// When that cannot be read.
pub(super) fn began_of(stored: &StoredState) -> Result<Option<Timestamp>, String> {
    let began = stored.field(START, BEGAN).map(str::parse).transpose();
    began.map_err(|_| format!("the field {BEGAN} of the subject {START}"))
}

impl Engine {
    /// Takes over what a store has, and hands over changes to it from now on. Returns messages for a person: what is not as it was.
    ///
    /// # Errors
    /// What in the store cannot be read.
    pub fn keep_in(&mut self, store: &Arc<Store>, stored: &StoredState) -> Result<Vec<String>, StoreError> {
        let messages = self.restore(stored).map_err(|what| StoreError::damaged(store.path(), what))?;
        self.hand_over_to(store);
        // A store without a start is new, or its first run ended before its first commit.
        store.push(match stored.field(START, BEGAN) {
            None => self.whole_state(),
            // This start has resolved them anew.
            Some(_) => self.customers.whole(),
        });
        if !self.fixtures().keeps_faces() {
            self.matcher.remove_stored_faces();
        }
        // Counters of rules that were removed from the files meanwhile go, as with a reload.
        self.follow_change(self.customers.customers(self.clock.now()));
        Ok(messages)
    }

    /// Hands over changes to a store from now on.
    pub fn hand_over_to(&mut self, store: &Arc<Store>) {
        self.clock.keep_in(store);
        self.customers.keep_in(store);
        self.states.keep_in(store);
        self.matcher.keep_in(store);
        self.journal.keep_in(store);
        self.store = Some(Arc::clone(store));
    }

    /// Restores everything but the customers' states and the journal. Returns messages for a person.
    pub(super) fn restore_settings(&self, stored: &StoredState) -> Result<Vec<String>, String> {
        self.clock.restore(stored)?;
        let messages = self.customers.restore(stored, self.clock.now())?;
        self.states.begin_at(began_of(stored)?.unwrap_or_else(|| self.clock.now()));
        self.matcher.restore(stored, self.fixtures().keeps_faces())?;
        Ok(messages)
    }

    /// Returns messages for a person.
    fn restore(&mut self, stored: &StoredState) -> Result<Vec<String>, String> {
        let mut messages = self.restore_settings(stored)?;
        let fixtures = self.fixtures();
        for (subject, fields) in &stored.fields {
            let Some(customer_id) = subject.strip_prefix(CUSTOMER_PREFIX) else { continue };
            let state = self.states.of(customer_id);
            let file = |name: &str| fixtures.attached_file(name);
            let left_out = state.lock().restore(fields, &file);
            let left_out = left_out.map_err(|what| format!("the customer {customer_id}: {what}"))?;
            messages.extend(
                left_out.into_iter().map(|why| format!("a stored rule of {customer_id} is left out: {why}")),
            );
        }
        self.journal.restore(&stored.entries, stored.number(JOURNAL, LAST_ID)?)?;
        Ok(messages)
    }

    /// Returns the writes that make the whole state.
    #[must_use]
    pub fn whole_state(&self) -> Vec<StoreWrite> {
        let own = vec![began(self.states.began())];
        let parts = [
            own,
            self.clock.whole(),
            self.customers.whole(),
            self.states.whole(),
            self.matcher.whole(self.fixtures().keeps_faces()),
            self.journal.whole(),
        ];
        parts.into_iter().flatten().collect()
    }

    /// Waits until everything that was changed so far is committed. Without a store there is nothing to wait for.
    pub async fn committed(&self) {
        if let Some(store) = &self.store {
            store.committed().await;
        }
    }

    /// Returns the store; `None` when nothing lasts.
    #[must_use]
    pub fn store(&self) -> Option<&Store> {
        self.store.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{StartPolicy, load};
    use crate::domain::limits::Limits;
    use crate::domain::matcher::{Enrolment, Picture};
    use crate::engine::EngineSettings;
    use crate::keys::{KeyRing, PrivateKey};
    use crate::state::clock::{Clock, ClockStart};
    use crate::state::customers::CustomerInput;
    use crate::state::journal::Journal;

    /// An engine over these fixtures, kept in a store that has this, and the store.
    fn start(fixtures: Option<&Path>, stored: &StoredState) -> (Engine, Arc<Store>) {
        let key = PrivateKey::generate("the server's key", 1024).unwrap();
        let fixtures = load(fixtures, KeyRing::new(key, None), &StartPolicy::default()).unwrap();
        let journal = Journal::new(10_000, None).unwrap();
        let clock = Clock::new(ClockStart::System);
        let mut engine = Engine::new(fixtures, clock, journal, EngineSettings::default());
        let store = Store::for_tests();
        engine.keep_in(&store, stored).unwrap();
        (engine, store)
    }

    fn put(engine: &Engine, id: &str, spec: &str) {
        let input = CustomerInput::read(serde_json::from_str(spec).unwrap()).unwrap();
        engine.put_customer(&id.parse().unwrap(), input).unwrap();
    }

    #[test]
    fn a_store_whose_first_run_ended_before_its_first_commit_gets_the_whole_state() {
        let (engine, store) = start(None, &StoredState::default());
        let mut stored = StoredState::default();
        stored.apply(store.take());
        let began = engine.states.began();
        assert_eq!(stored.field(START, BEGAN), Some(&*began.to_string()));
        assert_eq!(start(None, &stored).0.states.began(), began);
    }

    #[test]
    fn what_a_start_resolved_anew_is_stored() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("customers")).unwrap();
        let base = directory.path().join("customers/base.toml");
        let write = |methode: &str| {
            std::fs::write(&base, format!("extends = 'demo'\nmethode = ['{methode}']")).unwrap()
        };
        let mut stored = StoredState::default();
        write("OLD");
        let (engine, store) = start(Some(directory.path()), &stored);
        put(&engine, "bank", r#"{"extends":"base"}"#);
        stored.apply(store.take());
        write("NEW");
        stored.apply(start(Some(directory.path()), &stored).1.take());
        std::fs::remove_file(&base).unwrap();
        let (engine, _) = start(Some(directory.path()), &stored);
        assert_eq!(engine.customer("bank").unwrap().methode, ["NEW"], "as it was in the last run");
    }

    #[test]
    fn a_new_customer_gets_nothing_that_an_earlier_owner_of_its_id_left() {
        let fields = [("began", "2026-11-21T00:00:00Z"), ("requests", "5"), ("used/2026-11-21", "3")];
        let left = fields.map(|(name, value)| set(&"c:bank".into(), name, value));
        let mut stored = StoredState::default();
        stored.apply(left.to_vec());
        let (engine, store) = start(None, &stored);
        stored.apply(store.take());
        let file = include_bytes!("../../fixtures/gallery/siti.jpg").to_vec();
        let picture = Picture::new(file, &Limits::NONE).unwrap();
        let enrolled = Enrolment {
            nik: None,
            name: None,
            customer_id: Some("bank".to_owned()),
            pictures: vec![picture],
            similar: None,
        };
        engine.enrol(enrolled).unwrap();
        put(&engine, "bank", r#"{"extends":"demo"}"#);
        stored.apply(store.take());
        assert_eq!(engine.state_of("bank").lock().requests(), 0);
        assert_eq!(stored.fields["c:bank"].keys().collect::<Vec<_>>(), ["began"]);
        assert_eq!(engine.reset_gallery(Some("bank")), 0);
    }
}
