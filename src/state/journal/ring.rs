//! The journal itself: a ring bounded in bytes, the oldest out first; the file beside it; and news of what happens in it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

use super::{Entry, Match, State};

#[derive(Debug, Default)]
struct Ring {
    /// With their weights; ids rise, and have gaps where one customer's were cleared.
    entries: VecDeque<(usize, Arc<Entry>)>,
    bytes: usize,
    last_id: u64,
    dropped: u64,
    /// The id of the newest entry that was dropped; 0 while none was.
    last_dropped: u64,
}

/// What happens in the journal.
#[derive(Clone, Debug)]
pub enum JournalEvent {
    /// An entry is in.
    Added(Arc<Entry>),
    /// It is done or aborted.
    Ended(Arc<Entry>),
    /// Entries were forgotten on request.
    Cleared,
}

/// News that a slow reader may fall behind before it loses some.
const NEWS_KEPT: usize = 1024;

/// News, from where a reader left off.
#[derive(Debug)]
pub struct Subscription {
    /// What has happened since, oldest first.
    pub missed: Vec<JournalEvent>,
    /// How many entries since then the ring has lost, at most.
    pub lost: u64,
    /// What happens from now on.
    pub news: broadcast::Receiver<JournalEvent>,
}

/// How much a journal holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    pub entries: usize,
    /// About so much memory.
    pub bytes: usize,
    /// Entries that were lost for want of room.
    pub dropped: u64,
}

/// The ring, and the file that finished entries are appended to.
#[derive(Debug)]
pub struct Journal {
    ring: Mutex<Ring>,
    most_bytes: usize,
    /// Whether writing to it failed the last time.
    file: Option<Mutex<(File, bool)>>,
    /// Sent under the ring's lock, so that news come in the ring's order.
    news: broadcast::Sender<JournalEvent>,
}

impl Journal {
    /// A journal of at most `most_bytes`, and a file that every finished entry is appended to, one JSON object a line.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn new(most_bytes: usize, file: Option<&Path>) -> io::Result<Journal> {
        let open =
            |path| File::options().create(true).append(true).open(path).map(|file| Mutex::new((file, false)));
        let file = file.map(open).transpose()?;
        Ok(Journal { ring: Mutex::default(), most_bytes, file, news: broadcast::Sender::new(NEWS_KEPT) })
    }

    /// Adds an entry, gives it its id, and hands it back to be ended.
    pub fn add(&self, mut entry: Entry) -> Arc<Entry> {
        let mut ring = self.lock();
        ring.last_id += 1;
        entry.id = ring.last_id;
        let (weight, entry) = (entry.weight(), Arc::new(entry));
        ring.bytes += weight;
        ring.entries.push_back((weight, Arc::clone(&entry)));
        while ring.bytes > self.most_bytes {
            let Some((weight, lost)) = ring.entries.pop_front() else { break };
            ring.bytes -= weight;
            ring.dropped += 1;
            ring.last_dropped = lost.id;
        }
        self.publish(JournalEvent::Added(Arc::clone(&entry)));
        entry
    }

    /// Says how a request ended, and appends its entry to the file, also one that the ring has lost. Gives the error when that
    /// begins to fail: a full disk does not stop the endpoint, and is told once.
    pub fn end(&self, entry: &Arc<Entry>, state: State, elapsed_us: u64) -> Option<io::Error> {
        {
            let _in_order = self.lock();
            entry.end(state, elapsed_us);
            self.publish(JournalEvent::Ended(Arc::clone(entry)));
        }
        self.append(entry)
    }

    fn publish(&self, news: JournalEvent) {
        // Without readers there is nobody to tell.
        let _ = self.news.send(news);
    }

    fn append(&self, entry: &Entry) -> Option<io::Error> {
        let file = self.file.as_ref()?;
        let mut line = serde_json::to_vec(entry).unwrap_or_default();
        line.push(b'\n');
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = file.0.write_all(&line).err();
        let news = failed.is_some() && !file.1;
        file.1 = failed.is_some();
        failed.filter(|_| news)
    }

    /// All entries, newest first; and how many the ring has lost. Looking through them needs no lock any more.
    #[must_use]
    pub fn entries(&self) -> (Vec<Arc<Entry>>, u64) {
        let ring = self.lock();
        (ring.entries.iter().rev().map(|(_, entry)| Arc::clone(entry)).collect(), ring.dropped)
    }

    /// The entries that are meant, newest first, at most `limit`; and how many the ring has lost.
    #[must_use]
    pub fn list(&self, wanted: &Match, limit: usize) -> (Vec<Arc<Entry>>, u64) {
        let (entries, dropped) = self.entries();
        (entries.into_iter().filter(|entry| wanted.matches(entry)).take(limit).collect(), dropped)
    }

    /// What happens from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<JournalEvent> {
        self.news.subscribe()
    }

    /// What has happened to entries behind `id` and happens from now on, without a gap. An id that was never given is of another
    /// run: then everything is news.
    #[must_use]
    pub fn follow(&self, id: u64) -> Subscription {
        let ring = self.lock();
        let id = if id > ring.last_id { 0 } else { id };
        let start = ring.entries.partition_point(|(_, entry)| entry.id <= id);
        let missed = ring.entries.range(start..).flat_map(|(_, entry)| {
            let ended =
                (entry.state.get() != State::InFlight).then(|| JournalEvent::Ended(Arc::clone(entry)));
            std::iter::once(JournalEvent::Added(Arc::clone(entry))).chain(ended)
        });
        let lost = ring.last_dropped.saturating_sub(id);
        Subscription { missed: missed.collect(), lost, news: self.news.subscribe() }
    }

    /// How much it holds.
    #[must_use]
    pub fn fill(&self) -> Usage {
        let ring = self.lock();
        Usage { entries: ring.entries.len(), bytes: ring.bytes, dropped: ring.dropped }
    }

    /// How many entries were ever added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.lock().last_id
    }

    /// One entry.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<Arc<Entry>> {
        let ring = self.lock();
        let index = ring.entries.binary_search_by_key(&id, |(_, entry)| entry.id).ok()?;
        ring.entries.get(index).map(|(_, entry)| Arc::clone(entry))
    }

    /// Forgets every entry, or one customer's, also those in flight. Gives how many. Ids go on counting, and what was cleared
    /// does not count as dropped.
    pub fn clear(&self, customer_id: Option<&str>) -> usize {
        let mut ring = self.lock();
        let before = ring.entries.len();
        ring.entries.retain(|(_, entry)| customer_id.is_some_and(|cleared| entry.customer_id != cleared));
        ring.bytes = ring.entries.iter().map(|(weight, _)| weight).sum();
        self.publish(JournalEvent::Cleared);
        before - ring.entries.len()
    }

    /// Copies the entries behind `id` that are over, and forgets the originals; gives the newest id. Made while requests came, they lie
    /// between what belonged to these, and each keeps pages of memory from being given back; the copies lie side by side.
    pub fn compact(&self, id: u64) -> u64 {
        let entries = self.entries().0;
        let newest = entries.first().map_or(id, |entry| entry.id);
        let is_over = |entry: &&Arc<Entry>| entry.state.get() != State::InFlight;
        for entry in entries.iter().take_while(|entry| entry.id > id).filter(is_over) {
            self.replace(Arc::new(Entry::clone(entry)));
        }
        newest
    }

    fn replace(&self, entry: Arc<Entry>) {
        let mut ring = self.lock();
        // It may have been cleared meanwhile.
        if let Ok(index) = ring.entries.binary_search_by_key(&entry.id, |(_, entry)| entry.id) {
            ring.entries[index].1 = entry;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::protocol::Code;
    use crate::state::journal::tests::entry;

    #[test]
    fn entries_come_newest_first_and_filtered() {
        let journal = Journal::new(1 << 20, None).unwrap();
        journal.add(entry("a", Code::FOUND));
        journal.add(entry("b", Code::BUSY));
        journal.add(entry("a", Code::BUSY));
        let ids = |wanted: serde_json::Value| {
            let wanted = serde_json::from_value(wanted).unwrap();
            journal.list(&wanted, 10).0.iter().map(|entry| entry.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(json!({})), [3, 2, 1]);
        assert_eq!(ids(json!({ "customer_id": "a" })), [3, 1]);
        assert_eq!(ids(json!({ "code": "6014" })), [3, 2]);
        assert!(ids(json!({ "since": "2026-11-21T03:00:01Z" })).is_empty());
        assert_eq!(journal.list(&Match::default(), 1).0.len(), 1);
    }

    #[test]
    fn the_ring_is_bounded_in_bytes_and_counts_what_it_lost() {
        let weight = entry("a", Code::FOUND).weight();
        let journal = Journal::new(3 * weight, None).unwrap();
        for _ in 0..5 {
            journal.add(entry("a", Code::FOUND));
        }
        let (kept, dropped) = journal.entries();
        assert_eq!(kept.iter().map(|entry| entry.id).collect::<Vec<_>>(), [5, 4, 3]);
        assert_eq!(dropped, 2);
        assert!(journal.get(1).is_none() && journal.get(4).is_some());
    }

    #[test]
    fn copies_say_the_same_and_who_is_under_way_is_left_alone() {
        let journal = Journal::new(1 << 20, None).unwrap();
        let [over, under_way, new] = [(); 3].map(|()| journal.add(entry("a", Code::FOUND)));
        journal.end(&over, State::Done, 7);
        let told = |entry: &Entry| serde_json::to_value(entry).unwrap();
        assert_eq!(journal.compact(0), 3);
        journal.end(&new, State::Done, 8);
        let now = journal.entries().0;
        assert_eq!([&now[2], &now[1], &now[0]].map(|entry| entry.id), [1, 2, 3]);
        assert!(told(&now[2]) == told(&over) && !Arc::ptr_eq(&now[2], &over));
        assert!(Arc::ptr_eq(&now[1], &under_way), "its end would be lost");
        assert_eq!(journal.compact(3), 3);
        assert!(Arc::ptr_eq(&journal.get(3).unwrap(), &new), "not behind the id");
        assert_eq!(Journal::new(1, None).unwrap().compact(5), 5);
    }

    #[test]
    fn what_is_cleared_is_gone_and_the_ids_go_on() {
        let journal = Journal::new(1 << 20, None).unwrap();
        for customer in ["a", "b", "a", "b"] {
            journal.add(entry(customer, Code::FOUND));
        }
        assert_eq!((journal.clear(Some("nobody")), journal.clear(Some("a"))), (0, 2));
        let ids = || journal.entries().0.iter().map(|entry| entry.id).collect::<Vec<_>>();
        assert_eq!(ids(), [4, 2]);
        assert!(journal.get(1).is_none() && journal.get(3).is_none());
        assert_eq!(journal.get(2).map(|entry| entry.customer_id.clone()).as_deref(), Some("b"));
        assert_eq!(journal.clear(None), 2);
        assert_eq!(journal.lock().bytes, 0);
        assert_eq!(journal.add(entry("a", Code::FOUND)).id, 5);
        assert_eq!(journal.entries().1, 0, "cleared is not dropped");
    }

    #[test]
    fn an_ended_entry_is_appended_to_the_file_even_when_the_ring_has_lost_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.jsonl");
        let journal = Journal::new(0, Some(&path)).unwrap();
        let added = journal.add(entry("a", Code::FOUND));
        assert!(journal.get(added.id).is_none());
        assert!(journal.end(&added, State::Done, 42).is_none());
        let line: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!((line["state"].as_str(), line["elapsed_us"].as_u64()), (Some("done"), Some(42)));
        assert_eq!(line["at"].as_str(), Some("2026-11-21T10:00:00.000+07:00"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_once() {
        let journal = Journal::new(0, Some(Path::new("/dev/full"))).unwrap();
        let entry = journal.add(entry("a", Code::FOUND));
        assert_eq!([(); 2].map(|()| journal.end(&entry, State::Done, 1).is_some()), [true, false]);
    }

    /// What news say: a letter, and the entry's id.
    fn told(news: &JournalEvent) -> String {
        match news {
            JournalEvent::Added(entry) => format!("+{}", entry.id),
            JournalEvent::Ended(entry) => format!("-{}", entry.id),
            JournalEvent::Cleared => "cleared".to_owned(),
        }
    }

    #[test]
    fn who_follows_misses_nothing_and_hears_nothing_twice() {
        let journal = Journal::new(1 << 20, None).unwrap();
        let entries = [(); 3].map(|()| journal.add(entry("a", Code::FOUND)));
        journal.end(&entries[1], State::Done, 1);
        let mut followed = journal.follow(1);
        assert_eq!(followed.missed.iter().map(told).collect::<Vec<_>>(), ["+2", "-2", "+3"]);
        assert_eq!(followed.lost, 0);
        journal.end(&entries[2], State::Aborted, 1);
        journal.add(entry("a", Code::FOUND));
        journal.clear(None);
        let heard: Vec<_> =
            std::iter::from_fn(|| followed.news.try_recv().ok()).map(|news| told(&news)).collect();
        assert_eq!(heard, ["-3", "+4", "cleared"]);
        assert!(journal.follow(4).missed.is_empty());
    }

    #[test]
    fn who_left_off_before_what_the_ring_still_has_is_told_how_much_is_lost() {
        let weight = entry("a", Code::FOUND).weight();
        let journal = Journal::new(2 * weight, None).unwrap();
        for _ in 0..5 {
            journal.add(entry("a", Code::FOUND));
        }
        let lost = |id| (journal.follow(id).lost, journal.follow(id).missed.len());
        assert_eq!([lost(0), lost(1), lost(3), lost(5)], [(3, 2), (2, 2), (0, 2), (0, 0)]);
        assert_eq!(lost(99), (3, 2), "another run's id");
        assert_eq!(journal.fill(), Usage { entries: 2, bytes: 2 * weight, dropped: 3 });
    }

    #[test]
    fn only_the_first_end_counts() {
        let entry = entry("a", Code::FOUND);
        entry.end(State::Done, 42);
        entry.end(State::Aborted, 43);
        assert_eq!((entry.state.get(), entry.elapsed_us.micros()), (State::Done, 42));
    }
}
