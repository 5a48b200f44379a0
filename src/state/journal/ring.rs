//! Journal: a ring buffer bounded in bytes that drops the oldest entries, an optional log file (JSON Lines), and a broadcast of
//! events.
//!
//! Events are sent under the ring's lock, into a bounded channel that never blocks. So they have the order of the ids, and a reader that
//! reconnects ([`Journal::follow`]) misses no event and receives none twice.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::broadcast;

use super::file::JournalFile;
use super::pending::{PendingEntries, SharedEnd};
use super::recent::{Earlier, RecentIndex};
use super::{Entry, Match, RequestMarks, SendingRecord, Sent, State, stored};
use crate::base::json;
use crate::domain::faults::End;
use crate::domain::warnings::Warning;
use crate::state::change::Change;
use crate::state::store::{self, Store, StoreWrite, StoredEntry};

#[derive(Debug, Default)]
pub(super) struct Ring {
    /// Ids are ascending, with gaps where a customer's entries were cleared.
    pub(super) entries: VecDeque<Kept>,
    /// Marks of these entries.
    recent: RecentIndex,
    bytes: usize,
    pub(super) last_id: u64,
    dropped: u64,
    /// Id of the newest dropped entry; 0 if none was dropped.
    pub(super) last_dropped: u64,
    /// The newest clearings, oldest first: the newest id then, and whose entries; `None`: all. For readers that reconnect.
    clearings: VecDeque<(u64, Option<String>)>,
    /// Newest id at the last clearing that this list has no longer.
    forgotten_clearing: Option<u64>,
}

/// An entry of the ring.
#[derive(Debug)]
pub(super) struct Kept {
    weight: usize,
    pub(super) entry: Arc<Entry>,
    marks: RequestMarks,
    /// `None` where replicas share nothing.
    pub(super) shared_end: Option<SharedEnd>,
}

impl Kept {
    pub(super) fn is_of(&self, replica: &str) -> bool {
        self.entry.replica.as_deref() == Some(replica)
    }
}

impl Ring {
    fn insert(&mut self, entry: Arc<Entry>, marks: RequestMarks) {
        self.insert_of(None, entry, marks);
    }

    pub(super) fn insert_of(
        &mut self,
        shared_end: Option<SharedEnd>,
        entry: Arc<Entry>,
        marks: RequestMarks,
    ) {
        let weight = entry.weight();
        self.bytes += weight;
        self.recent.insert(&marks, entry.id);
        self.entries.push_back(Kept { weight, entry, marks, shared_end });
    }

    /// Drops the oldest entries until there are at most `max_bytes`. Returns the newest that it dropped.
    pub(super) fn trim(&mut self, max_bytes: usize) -> Option<u64> {
        let before = self.dropped;
        while self.bytes > max_bytes {
            let Some(dropped) = self.entries.pop_front() else { break };
            self.recent.remove(&dropped.marks, dropped.entry.id);
            self.bytes -= dropped.weight;
            self.dropped += 1;
            self.last_dropped = dropped.entry.id;
        }
        (self.dropped > before).then_some(self.last_dropped)
    }

    pub(super) fn find_mut(&mut self, id: u64) -> Option<&mut Kept> {
        let index = self.index_of(id)?;
        self.entries.get_mut(index)
    }

    fn find(&self, id: u64) -> Option<&Kept> {
        self.entries.get(self.index_of(id)?)
    }

    fn index_of(&self, id: u64) -> Option<usize> {
        // Without gaps, which clearing leaves, the place follows from the id. A search would touch a dozen entries, each far from the others.
        let first = self.entries.front()?.entry.id;
        let most = usize::try_from(id.checked_sub(first)?).ok()?;
        if self.entries.get(most).is_some_and(|kept| kept.entry.id == id) {
            return Some(most);
        }
        self.entries.binary_search_by_key(&id, |kept| kept.entry.id).ok()
    }

    fn remember_clearing(&mut self, customer_id: Option<&str>) {
        self.clearings.retain(|(_, whose)| customer_id.is_some() && whose.as_deref() != customer_id);
        self.clearings.push_back((self.last_id, customer_id.map(str::to_owned)));
        if self.clearings.len() > MAX_CLEARINGS {
            self.forgotten_clearing = self.clearings.pop_front().map(|(at, _)| at);
        }
    }

    pub(super) fn repetition(&self, marks: &RequestMarks) -> Option<Warning> {
        let find = |id| self.find(id).map(|kept| Earlier { entry: &kept.entry, marks: &kept.marks });
        self.recent.warning(marks, find)
    }
}

/// Event in the journal.
#[derive(Clone, Debug)]
pub enum JournalEvent {
    /// An entry was added.
    Added(Arc<Entry>),
    /// A request ended: done or aborted.
    Ended(Arc<Entry>),
    /// Entries of this customer were cleared on request; `None`: all entries.
    Cleared(Option<String>),
    /// Something else was changed over the admin API, or the fixtures were reloaded.
    Changed(Arc<Change>),
}

/// An event as its readers share it.
#[derive(Debug)]
pub struct SharedEvent {
    pub event: JournalEvent,
    text: OnceLock<Bytes>,
}

impl SharedEvent {
    /// Returns the event's text. `render` makes it, once for all readers.
    pub fn text(&self, render: impl FnOnce(&JournalEvent) -> Bytes) -> Bytes {
        self.text.get_or_init(|| render(&self.event)).clone()
    }
}

impl From<JournalEvent> for SharedEvent {
    fn from(event: JournalEvent) -> SharedEvent {
        SharedEvent { event, text: OnceLock::new() }
    }
}

/// Max clearings that a reader which reconnects is told of.
const MAX_CLEARINGS: usize = 64;

/// Capacity of the event channel: a reader that falls behind by more events loses some.
const EVENT_CAPACITY: usize = 1024;

/// Subscription that resumes where a reader left off.
#[derive(Debug)]
pub struct Subscription {
    /// Events since then, oldest first.
    pub missed: Vec<JournalEvent>,
    /// Upper bound on the entries since then that were dropped.
    pub lost: u64,
    /// Events from now on.
    pub news: broadcast::Receiver<Arc<SharedEvent>>,
}

/// Usage of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    pub entries: usize,
    /// Approximate memory use.
    pub bytes: usize,
    /// Entries dropped because the journal was full.
    pub dropped: u64,
}

/// Journal of requests: the ring, and the file that ended entries are appended to.
#[derive(Debug)]
pub struct Journal {
    pub(super) ring: Mutex<Ring>,
    pub(super) max_bytes: usize,
    file: Option<Mutex<JournalFile>>,
    /// Sends under the ring's lock, so that events have the ring's order.
    events: broadcast::Sender<Arc<SharedEvent>>,
    /// Where entries are kept over a restart; steps are pushed under the ring's lock.
    pub(super) store: Option<Arc<Store>>,
    /// Entries on their way to the history that replicas share.
    pub(super) pending: PendingEntries,
}

impl Journal {
    /// Creates a journal of at most `max_bytes` in memory. Ended entries are also appended to `file`, one JSON object per line.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn new(max_bytes: usize, file: Option<&Path>) -> io::Result<Journal> {
        let file = file.map(JournalFile::open).transpose()?.map(Mutex::new);
        Ok(Journal {
            ring: Mutex::default(),
            max_bytes,
            file,
            events: broadcast::Sender::new(EVENT_CAPACITY),
            store: None,
            pending: PendingEntries::default(),
        })
    }

    /// Takes over the entries of an earlier run, as many as there is room for. Ids continue behind `last_id`.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn restore(&mut self, stored: &[StoredEntry], last_id: u64) -> Result<(), String> {
        let ring = self.ring.get_mut();
        for (number, stored) in stored.iter().enumerate() {
            let entry = stored::read(stored).map_err(|error| format!("entry {}: {error}", number + 1))?;
            ring.last_id = ring.last_id.max(entry.id);
            ring.insert(Arc::new(entry), RequestMarks::default());
            ring.trim(self.max_bytes);
        }
        ring.last_id = ring.last_id.max(last_id);
        // A reader that comes back learns how many it missed; those of the earlier run are not dropped in this one.
        ring.last_dropped = ring.entries.front().map_or(ring.last_id, |oldest| oldest.entry.id - 1);
        ring.dropped = 0;
        Ok(())
    }

    /// Hands over entries to a store from now on; first what a smaller ring than the earlier run's has dropped.
    pub fn keep_in(&mut self, store: &Arc<Store>) {
        store.push(vec![StoreWrite::DropEntries(self.ring.get_mut().last_dropped)]);
        self.store = Some(Arc::clone(store));
    }

    /// Returns the writes that make the whole journal.
    #[must_use]
    pub fn whole(&self) -> Vec<StoreWrite> {
        let ring = self.ring.lock();
        let entries = ring.entries.iter().map(|kept| StoreWrite::Add(Arc::clone(&kept.entry) as _));
        // Behind the entries: it may be newer than the newest of them.
        entries
            .chain([store::set(&store::JOURNAL.into(), store::LAST_ID, ring.last_id.to_string())])
            .collect()
    }

    fn push(&self, writes: impl FnOnce() -> Vec<StoreWrite>) {
        if let Some(store) = &self.store {
            store.push(writes());
        }
    }

    /// Adds an entry: assigns its id, and a warning when it repeats an earlier one by its marks. Returns the entry, for
    /// [`Journal::end`].
    pub fn add(&self, mut entry: Entry, marks: RequestMarks) -> Arc<Entry> {
        if let Some(shared) = self.shared() {
            return self.add_to_all(shared, entry, marks);
        }
        let mut ring = self.ring.lock();
        ring.last_id += 1;
        entry.id = ring.last_id;
        entry.warnings.extend(ring.repetition(&marks));
        let entry = Arc::new(entry);
        ring.insert(Arc::clone(&entry), marks);
        let dropped = ring.trim(self.max_bytes);
        self.push(|| {
            let added = StoreWrite::Add(Arc::clone(&entry) as _);
            std::iter::once(added).chain(dropped.map(StoreWrite::DropEntries)).collect()
        });
        self.publish(JournalEvent::Added(Arc::clone(&entry)));
        entry
    }

    /// Returns the warning that a request with these marks would get: it repeats an earlier one, or comes too soon after its failure.
    #[must_use]
    pub fn repetition(&self, marks: &RequestMarks) -> Option<Warning> {
        self.ring.lock().repetition(marks)
    }

    /// Sets how a request ended (`None` when it was cut), `now` in real time, and appends its entry to the file, even if the ring has dropped it. Returns an error only when
    /// writing begins to fail: a full disk does not stop the endpoint and is reported once.
    pub fn end(
        &self,
        entry: &Arc<Entry>,
        end: Option<End>,
        elapsed: Duration,
        now: Instant,
    ) -> Option<io::Error> {
        {
            let _in_order = self.ring.lock();
            entry.sending.end(end, elapsed, now);
            self.push(|| ended(entry, &entry.sending.record(), true));
            self.publish(JournalEvent::Ended(Arc::clone(entry)));
        }
        self.append(entry)
    }

    /// Stores what will have been sent of an entry in a moment, so that a client which has its answer finds the request ended also when the
    /// simulator is killed right then.
    pub fn foresee(&self, entry: &Entry, sent: Sent, elapsed: Duration) {
        let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        self.push(|| ended(entry, &SendingRecord { state: sent.state(), sent, elapsed_us }, false));
    }

    /// Reports a change to the readers of events.
    pub fn report(&self, change: Change) {
        if let Some(shared) = self.shared().filter(|_| change.call.is_some()) {
            shared.push_changed(json::text(&change));
        }
        self.publish(JournalEvent::Changed(Arc::new(change)));
    }

    pub(super) fn publish(&self, event: JournalEvent) {
        // Sending fails only without readers.
        let _ = self.events.send(Arc::new(event.into()));
    }

    fn append(&self, entry: &Entry) -> Option<io::Error> {
        let file = self.file.as_ref()?;
        file.lock().append(&(json::text(entry) + "\n"))
    }

    /// Returns all entries, newest first, and the number of dropped entries. Only copying them holds the lock.
    #[must_use]
    pub fn entries(&self) -> (Vec<Arc<Entry>>, u64) {
        let ring = self.ring.lock();
        (ring.entries.iter().rev().map(|kept| Arc::clone(&kept.entry)).collect(), ring.dropped)
    }

    /// Returns at most `limit` entries that match `filter`, newest first, and the number of dropped entries.
    #[must_use]
    pub fn list(&self, filter: &Match, limit: usize) -> (Vec<Arc<Entry>>, u64) {
        let (entries, dropped) = self.entries();
        (entries.into_iter().filter(|entry| filter.matches(entry)).take(limit).collect(), dropped)
    }

    /// Subscribes to the events from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<SharedEvent>> {
        self.events.subscribe()
    }

    /// Subscribes to the events of entries after `id`, past and future, without a gap. An id above the newest is from another run of
    /// the simulator: the subscription then starts at the beginning, with a [`JournalEvent::Cleared`]. Clearings since `id` come first:
    /// the entries that they removed are not among the missed. One right after `id` may come a second time. Changes do not come again.
    #[must_use]
    pub fn follow(&self, id: u64) -> Subscription {
        let ring = self.ring.lock();
        let other_run = id > ring.last_id;
        let id = if other_run { 0 } else { id };
        let since = ring.clearings.iter().filter(|(at, _)| !other_run && *at >= id);
        let clearings = other_run.then_some(None).into_iter().chain(since.map(|(_, whose)| whose.clone()));
        let start = ring.entries.partition_point(|kept| kept.entry.id <= id);
        let missed = ring.entries.range(start..).flat_map(|Kept { entry, .. }| {
            let ended =
                (entry.sending.state() != State::InFlight).then(|| JournalEvent::Ended(Arc::clone(entry)));
            std::iter::once(JournalEvent::Added(Arc::clone(entry))).chain(ended)
        });
        let lost = ring.last_dropped.saturating_sub(id)
            + u64::from(!other_run && ring.forgotten_clearing.is_some_and(|at| at >= id));
        let missed = clearings.map(JournalEvent::Cleared).chain(missed).collect();
        Subscription { missed, lost, news: self.events.subscribe() }
    }

    /// Returns how much the journal holds.
    #[must_use]
    pub fn fill(&self) -> Usage {
        let ring = self.ring.lock();
        Usage { entries: ring.entries.len(), bytes: ring.bytes, dropped: ring.dropped }
    }

    /// Returns how many entries were added so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.ring.lock().last_id
    }

    /// Returns the entry with this id, if it is still kept.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<Arc<Entry>> {
        self.ring.lock().find(id).map(|kept| Arc::clone(&kept.entry))
    }

    /// Removes all entries, or one customer's, including those in flight. Returns how many. Ids continue, and cleared entries do not
    /// count as dropped.
    pub fn clear(&self, customer_id: Option<&str>) -> usize {
        if let Some(shared) = self.shared() {
            return self.clear_at_all(shared, customer_id);
        }
        self.remove(customer_id, || {
            self.push(|| vec![StoreWrite::ClearEntries(customer_id.map(str::to_owned))]);
        })
    }

    /// Removes entries; `removed` is run under the ring's lock.
    pub(super) fn remove(&self, customer_id: Option<&str>, removed: impl FnOnce()) -> usize {
        let mut ring = self.ring.lock();
        let before = ring.entries.len();
        let is_kept = |kept: &Kept| {
            customer_id.is_some_and(|cleared| kept.entry.customer_id.as_deref() != Some(cleared))
        };
        let Ring { entries, recent, .. } = &mut *ring;
        entries.retain(|kept| {
            let stays = is_kept(kept);
            if !stays {
                recent.remove(&kept.marks, kept.entry.id);
            }
            stays
        });
        ring.bytes = ring.entries.iter().map(|kept| kept.weight).sum();
        ring.remember_clearing(customer_id);
        removed();
        self.publish(JournalEvent::Cleared(customer_id.map(str::to_owned)));
        before - ring.entries.len()
    }

    /// Number of marks in the index of recent requests.
    #[cfg(test)]
    pub(super) fn indexed(&self) -> usize {
        self.ring.lock().recent.len()
    }
}

/// Returns the write of how an entry's sending stands; none for one that is not in the journal, because the store was down.
pub(super) fn ended(entry: &Entry, sending: &SendingRecord, is_over: bool) -> Vec<StoreWrite> {
    let end = StoreWrite::End { id: entry.id, sending: json::text(sending), is_over };
    (entry.id != 0).then_some(end).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::protocol::Code;
    use crate::state::journal::tests::entry;

    #[test]
    fn entries_are_listed_newest_first_and_filtered() {
        let journal = Journal::new(1 << 20, None).unwrap();
        journal.add(entry("a", Code::FOUND), RequestMarks::default());
        journal.add(entry("b", Code::BUSY), RequestMarks::default());
        journal.add(entry("a", Code::BUSY), RequestMarks::default());
        let ids = |filter: serde_json::Value| {
            let filter = serde_json::from_value(filter).unwrap();
            journal.list(&filter, 10).0.iter().map(|entry| entry.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(json!({})), [3, 2, 1]);
        assert_eq!(ids(json!({ "customer_id": "a" })), [3, 1]);
        assert_eq!(ids(json!({ "code": "6014" })), [3, 2]);
        assert!(ids(json!({ "since": "2026-11-21T03:00:01Z" })).is_empty());
        assert_eq!(journal.list(&Match::default(), 1).0.len(), 1);
    }

    #[test]
    fn the_ring_is_bounded_in_bytes_and_counts_dropped_entries() {
        let weight = entry("a", Code::FOUND).weight();
        let journal = Journal::new(3 * weight, None).unwrap();
        for _ in 0..5 {
            journal.add(entry("a", Code::FOUND), RequestMarks::default());
        }
        let (kept, dropped) = journal.entries();
        assert_eq!(kept.iter().map(|entry| entry.id).collect::<Vec<_>>(), [5, 4, 3]);
        assert_eq!(dropped, 2);
        assert!(journal.get(1).is_none() && journal.get(4).is_some());
    }

    #[test]
    fn cleared_entries_are_removed_and_ids_continue() {
        let journal = Journal::new(1 << 20, None).unwrap();
        for customer in ["a", "b", "a", "b"] {
            journal.add(entry(customer, Code::FOUND), RequestMarks::default());
        }
        assert_eq!((journal.clear(Some("nobody")), journal.clear(Some("a"))), (0, 2));
        let ids = || journal.entries().0.iter().map(|entry| entry.id).collect::<Vec<_>>();
        assert_eq!(ids(), [4, 2]);
        assert!(journal.get(1).is_none() && journal.get(3).is_none());
        assert_eq!(journal.get(2).and_then(|entry| entry.customer_id.clone()).as_deref(), Some("b"));
        assert_eq!(journal.clear(None), 2);
        assert_eq!(journal.ring.lock().bytes, 0);
        assert_eq!(journal.add(entry("a", Code::FOUND), RequestMarks::default()).id, 5);
        assert_eq!(journal.entries().1, 0, "cleared is not dropped");
    }

    #[test]
    fn an_ended_entry_is_appended_to_the_file_even_when_the_ring_has_dropped_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.jsonl");
        let journal = Journal::new(0, Some(&path)).unwrap();
        let added = journal.add(entry("a", Code::FOUND), RequestMarks::default());
        assert!(journal.get(added.id).is_none());
        assert!(journal.end(&added, Some(End::Fin), Duration::from_micros(42), Instant::now()).is_none());
        let line: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!((line["state"].as_str(), line["elapsed_us"].as_u64()), (Some("done"), Some(42)));
        assert_eq!(line["at"].as_str(), Some("2026-11-21T10:00:00.000+07:00"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_reported_once() {
        let journal = Journal::new(0, Some(Path::new("/dev/full"))).unwrap();
        let entry = journal.add(entry("a", Code::FOUND), RequestMarks::default());
        assert_eq!(
            [(); 2].map(|()| journal
                .end(&entry, Some(End::Fin), Duration::from_micros(1), Instant::now())
                .is_some()),
            [true, false]
        );
    }

    /// Formats an event: `+` or `-` and the entry's id, or `cleared`.
    fn shown(event: &JournalEvent) -> String {
        match event {
            JournalEvent::Added(entry) => format!("+{}", entry.id),
            JournalEvent::Ended(entry) => format!("-{}", entry.id),
            JournalEvent::Cleared(whose) => format!("cleared {}", whose.as_deref().unwrap_or("all")),
            JournalEvent::Changed(change) => format!("{:?}", change.what),
        }
    }

    #[test]
    fn a_subscription_has_no_gap_and_no_duplicates() {
        let journal = Journal::new(1 << 20, None).unwrap();
        let entries = [(); 3].map(|()| journal.add(entry("a", Code::FOUND), RequestMarks::default()));
        journal.end(&entries[1], Some(End::Fin), Duration::from_micros(1), Instant::now());
        let mut subscription = journal.follow(1);
        assert_eq!(subscription.missed.iter().map(shown).collect::<Vec<_>>(), ["+2", "-2", "+3"]);
        assert_eq!(subscription.lost, 0);
        journal.end(&entries[2], None, Duration::from_micros(1), Instant::now());
        journal.add(entry("a", Code::FOUND), RequestMarks::default());
        journal.clear(None);
        let received: Vec<_> = std::iter::from_fn(|| subscription.news.try_recv().ok())
            .map(|shared| shown(&shared.event))
            .collect();
        assert_eq!(received, ["-3", "+4", "cleared all"]);
        journal.add(entry("a", Code::FOUND), RequestMarks::default());
        assert!(journal.follow(5).missed.is_empty());
    }

    #[test]
    fn an_event_is_rendered_once_for_all_its_readers() {
        let journal = Journal::new(1 << 20, None).unwrap();
        let mut readers: Vec<_> = (0..64).map(|_| journal.subscribe()).collect();
        journal.add(entry("a", Code::FOUND), RequestMarks::default());
        let mut rendered = 0;
        let mut texts = Vec::new();
        for reader in &mut readers {
            let shared = reader.try_recv().unwrap();
            texts.push(shared.text(|event| {
                rendered += 1;
                Bytes::from(shown(event))
            }));
        }
        assert_eq!(rendered, 1);
        assert!(texts.iter().all(|text| *text == "+1" && text.as_ptr() == texts[0].as_ptr()));
    }

    #[test]
    fn a_subscription_counts_dropped_entries() {
        let weight = entry("a", Code::FOUND).weight();
        let journal = Journal::new(2 * weight, None).unwrap();
        for _ in 0..5 {
            journal.add(entry("a", Code::FOUND), RequestMarks::default());
        }
        let lost = |id| (journal.follow(id).lost, journal.follow(id).missed.len());
        assert_eq!([lost(0), lost(1), lost(3), lost(5)], [(3, 2), (2, 2), (0, 2), (0, 0)]);
        assert_eq!(lost(99), (3, 3), "an id of another run: what that one had is gone");
        assert_eq!(journal.fill(), Usage { entries: 2, bytes: 2 * weight, dropped: 3 });
    }

    #[test]
    fn a_reader_that_reconnects_is_told_of_what_was_cleared_meanwhile() {
        let journal = Journal::new(1 << 20, None).unwrap();
        let missed = |id| {
            let Subscription { missed, lost, .. } = journal.follow(id);
            (missed.iter().map(shown).collect::<Vec<_>>().join(", "), lost)
        };
        for customer in ["a", "b", "a"] {
            journal.add(entry(customer, Code::FOUND), RequestMarks::default());
        }
        journal.clear(Some("a"));
        journal.add(entry("a", Code::FOUND), RequestMarks::default());
        assert_eq!(missed(1), ("cleared a, +2, +4".to_owned(), 0));
        assert_eq!(missed(3), ("cleared a, +4".to_owned(), 0));
        assert_eq!(missed(4), (String::new(), 0), "it has seen the clearing");
        assert_eq!(missed(99), ("cleared all, +2, +4".to_owned(), 0));
        journal.clear(Some("b"));
        journal.clear(None);
        assert_eq!(missed(1), ("cleared all".to_owned(), 0));
        for customer in 0..=MAX_CLEARINGS {
            journal.clear(Some(&customer.to_string()));
        }
        assert_eq!((journal.follow(1).missed.len(), missed(1).1), (MAX_CLEARINGS, 1), "one is forgotten");
    }

    #[test]
    fn only_the_first_end_counts() {
        let entry = entry("a", Code::FOUND);
        entry.sending.end(Some(End::Fin), Duration::from_micros(42), Instant::now());
        entry.sending.end(None, Duration::from_micros(43), Instant::now());
        assert_eq!((entry.sending.state(), entry.sending.elapsed_us()), (State::Done, 42));
    }
}
