//! The journal that replicas share: an entry is in the ring once it is in their history, at the place that it has there. The replica that
//! serves it keeps the entry itself, whose sending goes on; others have a copy that the history ends.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use super::pending::{PendingEntry, SharedEnd};
use super::ring::{Kept, ended};
use super::{Entry, Journal, JournalEvent, RequestMarks, SendingRecord};
use crate::base::json;
use crate::state::store::StoreWrite;
use crate::state::store::redis::{Appended, HistoryRecord, HistoryStep, SharedStore, StepBasis};

/// How long an entry that is in the history may take to this replica's own ring.
const HANDOVER: Duration = Duration::from_secs(4);

/// What became of an entry, and of the step that it tells of.
#[derive(Debug)]
pub enum KeptEntry {
    /// Both are in the history.
    Kept(Arc<Entry>),
    /// The step was overtaken, by a record at this position.
    Overtaken(u64),
    /// The store cannot be reached. The entry has no id, and is in no journal.
    Down(Box<Entry>),
}

impl Journal {
    /// Returns the store, if replicas share it.
    pub(super) fn shared(&self) -> Option<&Arc<SharedStore>> {
        self.store.as_ref().and_then(|store| store.shared())
    }

    /// Adds an entry to the journal that replicas share. While the store is down it is in none.
    pub(super) fn add_to_all(&self, shared: &SharedStore, entry: Entry, marks: RequestMarks) -> Arc<Entry> {
        match self.keep(shared, None, Vec::new(), entry, marks) {
            KeptEntry::Kept(entry) => entry,
            KeptEntry::Down(entry) => Arc::new(*entry),
            // Nothing overtakes what was decided on nothing.
            KeptEntry::Overtaken(_) => Arc::new(Entry::blank(jiff::Timestamp::UNIX_EPOCH)),
        }
    }

    /// Appends a step and its entry to the history, together, and waits until the ring has the entry.
    pub fn keep(
        &self,
        shared: &SharedStore,
        basis: Option<&StepBasis>,
        writes: Vec<StoreWrite>,
        mut entry: Entry,
        marks: RequestMarks,
    ) -> KeptEntry {
        entry.warnings.extend(self.repetition(&marks));
        let mut steps = HistoryStep::of(writes);
        steps.push(HistoryStep::Add(json::text(&entry)));
        let operation = shared.next_operation();
        let (ring_has_it, handover) = sync_channel(1);
        self.pending.0.lock().insert(operation, PendingEntry { entry, marks, ring_has_it });
        let appended = shared.append(basis, &steps, operation);
        if matches!(appended, Ok(Appended::Kept(_)))
            && let Ok(entry) = handover.recv_timeout(HANDOVER)
        {
            return KeptEntry::Kept(entry);
        }
        match (self.pending.0.lock().remove(&operation), appended) {
            (Some(_), Ok(Appended::Overtaken(position))) => KeptEntry::Overtaken(position),
            (Some(pending), _) => KeptEntry::Down(Box::new(pending.entry)),
            // It came right now.
            (None, _) => match handover.recv_timeout(HANDOVER) {
                Ok(entry) => KeptEntry::Kept(entry),
                Err(_) => KeptEntry::Down(Box::new(Entry::blank(jiff::Timestamp::UNIX_EPOCH))),
            },
        }
    }

    /// Removes entries from the journal that replicas share. Returns how many; 0 when the store is down.
    pub(super) fn clear_at_all(&self, shared: &SharedStore, customer_id: Option<&str>) -> usize {
        let goes = |entry: &Entry| customer_id.is_none_or(|id| entry.customer_id.as_deref() == Some(id));
        let count = self.ring.lock().entries.iter().filter(|kept| goes(&kept.entry)).count();
        let clear = StoreWrite::ClearEntries(customer_id.map(str::to_owned));
        shared.push_and_apply(vec![clear]).map_or(0, |()| count)
    }

    /// Applies a step of the history. `me`: this replica's name.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn apply(&self, record: &HistoryRecord, step: &HistoryStep, me: &str) -> Result<(), String> {
        match step {
            HistoryStep::Add(text) => {
                let own = (record.replica == me).then(|| self.pending.0.lock().remove(&record.operation));
                self.apply_added(record, text, own.flatten())
            }
            HistoryStep::End(id, text, is_over) => self.apply_end(*id, text, *is_over, record.replica == me),
            HistoryStep::ClearEntries(whose) => {
                self.remove(whose.as_deref(), || ());
                Ok(())
            }
            HistoryStep::Gone(replica) => {
                self.apply_gone(replica, me);
                Ok(())
            }
            HistoryStep::Changed(text) if record.replica != me => {
                let change = serde_json::from_str(text).map_err(|error| format!("a change: {error}"))?;
                self.publish(JournalEvent::Changed(Arc::new(change)));
                Ok(())
            }
            HistoryStep::Changed(_) => Ok(()),
            HistoryStep::Set(..) | HistoryStep::Remove(..) | HistoryStep::Clear(_) => Ok(()),
        }
    }

    fn apply_added(
        &self,
        record: &HistoryRecord,
        text: &str,
        own: Option<PendingEntry>,
    ) -> Result<(), String> {
        let id = record.entry_id;
        let (mut entry, marks, waiting) = match own {
            Some(PendingEntry { entry, marks, ring_has_it }) => (entry, marks, Some(ring_has_it)),
            None => {
                let entry = serde_json::from_str(text).map_err(|error| format!("entry {id}: {error}"))?;
                (entry, RequestMarks::default(), None)
            }
        };
        entry.id = id;
        entry.replica = Some(record.replica.clone());
        let entry = Arc::new(entry);
        let shared_end = SharedEnd { is_settled: false, is_copy: waiting.is_none() };
        let mut ring = self.ring.lock();
        if ring.last_id == 0 {
            // A reader that comes back learns how many the log has no longer.
            ring.last_dropped = id.saturating_sub(1);
        }
        ring.last_id = ring.last_id.max(id);
        ring.insert_of(Some(shared_end), Arc::clone(&entry), marks);
        ring.trim(self.max_bytes);
        self.publish(JournalEvent::Added(Arc::clone(&entry)));
        drop(ring);
        if let Some(waiting) = waiting {
            // It fails only when nobody waits any more.
            let _ = waiting.try_send(entry);
        }
        Ok(())
    }

    fn apply_end(&self, id: u64, text: &str, is_over: bool, is_own: bool) -> Result<(), String> {
        let record: SendingRecord =
            serde_json::from_str(text).map_err(|error| format!("the end of entry {id}: {error}"))?;
        let mut ring = self.ring.lock();
        let Some(kept) = ring.find_mut(id) else { return Ok(()) };
        if let Some(shared_end) = &mut kept.shared_end {
            shared_end.is_settled |= is_over;
        }
        // Own ones have ended already, but for those that were read from the log again.
        kept.entry.sending.follow(&record, is_over);
        if is_over && !is_own {
            let entry = Arc::clone(&kept.entry);
            self.publish(JournalEvent::Ended(entry));
        }
        Ok(())
    }

    fn apply_gone(&self, replica: &str, me: &str) {
        if replica == me {
            return;
        }
        let ring = self.ring.lock();
        for kept in ring.entries.iter().filter(|kept| kept.is_of(replica)) {
            if kept.entry.sending.cut() {
                self.publish(JournalEvent::Ended(Arc::clone(&kept.entry)));
            }
        }
    }

    /// Forgets all entries: the history begins again.
    pub fn begin_again(&self) {
        self.remove(None, || ());
        let mut ring = self.ring.lock();
        (ring.last_id, ring.last_dropped) = (0, 0);
    }

    /// Hands over again how this replica's requests ended, where the history may not have it: the store was down.
    pub fn hand_over_ends(&self, me: &str) {
        let ring = self.ring.lock();
        let is_missing = |end: &SharedEnd| !end.is_settled;
        let kept = ring
            .entries
            .iter()
            .filter(|kept| kept.is_of(me) && kept.shared_end.as_ref().is_some_and(is_missing));
        let ended_or_cut = |kept: &&Kept| {
            // Its request was answered 503: the store went away before it was known to be in the history.
            if kept.shared_end.as_ref().is_some_and(|end| end.is_copy) && kept.entry.sending.cut() {
                self.publish(JournalEvent::Ended(Arc::clone(&kept.entry)));
            }
            kept.entry.sending.is_over()
        };
        let entries = kept.filter(ended_or_cut).map(|kept| Arc::clone(&kept.entry));
        let writes: Vec<_> = entries.flat_map(|entry| ended(&entry, &entry.sending.record(), true)).collect();
        if let Some(shared) = self.shared() {
            shared.push(writes);
        }
    }
}
