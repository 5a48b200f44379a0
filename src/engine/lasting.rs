//! What lasts: takes over the state of an earlier run from a store, and hands over every change from then on.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Engine;
use crate::state::customer_state::CUSTOMER_PREFIX;
use crate::state::store::{JOURNAL, LAST_ID, Store, StoreError, StoreWrite, StoredState, set};

/// Subject and field of the number of generated customers.
const MADE: &str = "made";
const CUSTOMERS: &str = "customers";

/// Subject and field of the start of the first run.
const START: &str = "start";
const BEGAN: &str = "began";

impl Engine {
    /// Takes over what a store has, and hands over changes to it from now on. Returns messages for a person: what is not as it was.
    ///
    /// # Errors
    /// What in the store cannot be read.
    pub fn keep_in(&mut self, store: &Arc<Store>, stored: &StoredState) -> Result<Vec<String>, StoreError> {
        let messages = self.restore(stored).map_err(|what| StoreError::damaged(store.path(), what))?;
        self.clock.keep_in(store);
        self.customers.keep_in(store);
        self.states.keep_in(store);
        self.matcher.keep_in(store);
        self.journal.keep_in(store);
        self.store = Some(Arc::clone(store));
        if stored.is_new {
            store.push(self.whole_state());
        }
        // Counters of rules that were removed from the files meanwhile go, as with a reload.
        self.follow_change(self.customers.customers(self.clock.now()));
        Ok(messages)
    }

    fn restore(&mut self, stored: &StoredState) -> Result<Vec<String>, String> {
        let number = |subject, name| {
            let text = stored.field(subject, name).unwrap_or("0");
            text.parse::<u64>().map_err(|_| format!("the field {name} of the subject {subject}"))
        };
        self.clock.restore(stored)?;
        let mut messages = self.customers.restore(stored, self.clock.now())?;
        *self.next_generated.get_mut() = number(MADE, CUSTOMERS)?;
        if let Some(began) = stored.field(START, BEGAN) {
            let began = began.parse().map_err(|_| format!("the field {BEGAN} of the subject {START}"))?;
            self.states.begin_at(began);
        } else {
            self.states.begin_at(self.clock.now());
        }
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
        self.matcher.restore(stored)?;
        self.journal.restore(&stored.entries, number(JOURNAL, LAST_ID)?)?;
        Ok(messages)
    }

    /// Returns the writes that make the whole state.
    #[must_use]
    pub fn whole_state(&self) -> Vec<StoreWrite> {
        let generated = self.next_generated.load(Ordering::Relaxed).to_string();
        let own = vec![
            set(&START.into(), BEGAN, self.states.began().to_string()),
            set(&MADE.into(), CUSTOMERS, generated),
        ];
        let parts = [
            own,
            self.clock.whole(),
            self.customers.whole(),
            self.states.whole(),
            self.matcher.whole(),
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

    /// Hands over how many customers were generated.
    pub(super) fn keep_generated(&self, count: u64) {
        if let Some(store) = &self.store {
            store.push(vec![set(&MADE.into(), CUSTOMERS, count.to_string())]);
        }
    }
}
