//! Store: state that lasts. The simulator always decides over its state in memory; what a step changed is handed to the store as named
//! fields, in order, and an answer leaves only when its step is committed.
//!
//! With `--store memory` there is none: what would hand over has no store. With a file, one thread writes what has come together as one
//! transaction, so that many answers share a commit. Steps are pushed under the lock of what they change (a customer's state, the journal's
//! ring), so the store has the order of that lock. Values are absolute, so a step may be written twice.
//!
//! A field has a subject (`c:demo`), a name (`used/2026-11-21`) and a text. [`redis`] has the same writes in a history that replicas share.

mod file;
pub mod redis;
mod write;
mod writer;

pub use file::{JOURNAL, LAST_ID, StoreIdentity, StoredEntry, StoredState, backup};
pub use write::{JournalRecord, StoreError, StoreSubject, StoreWrite, set};
pub use writer::{OpenStore, StoreWriter};

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use redis::SharedStore;

/// For the project's own tests: what they must be able to bring about.
#[derive(Clone, Debug, Default)]
pub struct StoreTesting {
    /// Answers do not wait for their commit, which comes late: the mistake that the tests of a kill must find.
    pub answers_first: bool,
    /// Max pages of the file, as a disk of that size; 0: no limit.
    pub max_pages: Arc<AtomicU32>,
}

/// Handle of a store: where what requests share hands over its changes. The other end is [`StoreWriter`].
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    queue: Mutex<StoreQueue>,
    /// Wakes the writer.
    wake: Condvar,
    /// All steps up to this number are committed, or given up.
    done: watch::Sender<u64>,
    failing: AtomicBool,
    testing: StoreTesting,
    /// Where the changes go instead, when replicas share them.
    shared: Option<Arc<SharedStore>>,
}

#[derive(Debug, Default)]
struct StoreQueue {
    writes: Vec<StoreWrite>,
    /// Steps pushed so far.
    pushed: u64,
    /// Whether somebody waits for the newest step.
    is_urgent: bool,
    /// Steps are dropped while the file cannot be written; later the whole state is written instead.
    is_dropping: bool,
    is_closed: bool,
}

impl Store {
    fn new(path: PathBuf, testing: StoreTesting) -> Store {
        Store {
            path,
            queue: Mutex::default(),
            wake: Condvar::new(),
            done: watch::Sender::new(0),
            failing: AtomicBool::new(false),
            testing,
            shared: None,
        }
    }

    /// The handle of a store that several replicas share; `name` is shown as its path.
    pub(super) fn shared_by_replicas(name: PathBuf, shared: Arc<SharedStore>) -> Store {
        Store { shared: Some(shared), ..Store::new(name, StoreTesting::default()) }
    }

    /// A store that only collects changes, of a step that may be decided again.
    #[must_use]
    pub fn draft() -> Store {
        Store::new(PathBuf::new(), StoreTesting::default())
    }

    /// Takes what was handed over so far.
    #[must_use]
    pub fn take(&self) -> Vec<StoreWrite> {
        std::mem::take(&mut self.queue.lock().writes)
    }

    /// Returns what the replicas share; `None`: the store is this process's own.
    #[must_use]
    pub fn shared(&self) -> Option<&Arc<SharedStore>> {
        self.shared.as_ref()
    }

    /// Returns the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Hands over the changes of a step. They are committed together or not at all, and in the order of the calls.
    pub fn push(&self, writes: Vec<StoreWrite>) {
        if writes.is_empty() {
            return;
        }
        if let Some(shared) = &self.shared {
            return shared.push(writes);
        }
        let mut queue = self.queue.lock();
        if queue.is_dropping {
            return;
        }
        queue.pushed += 1;
        let was_empty = queue.writes.is_empty();
        queue.writes.extend(writes);
        if was_empty {
            self.wake.notify_one();
        }
    }

    /// Waits until everything handed over so far is committed. Does not wait while the store cannot be written.
    pub async fn committed(&self) {
        if let Some(shared) = &self.shared {
            return shared.settled().await;
        }
        if self.testing.answers_first {
            return;
        }
        let pushed = {
            let mut queue = self.queue.lock();
            let pushed = queue.pushed;
            if *self.done.borrow() >= pushed {
                return;
            }
            queue.is_urgent = true;
            self.wake.notify_one();
            pushed
        };
        // The sender lives as long as the store.
        let _ = self.done.subscribe().wait_for(|done| *done >= pushed).await;
    }

    /// Returns whether the file cannot be written at present.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
impl Store {
    /// A store without a file.
    pub fn for_tests() -> Arc<Store> {
        Arc::new(Store::new("test.db".into(), StoreTesting::default()))
    }
}

#[cfg(test)]
impl StoredState {
    /// Does what a commit of these writes does to fields.
    pub fn apply(&mut self, writes: Vec<StoreWrite>) {
        for write in writes {
            match write {
                StoreWrite::Set { subject, field, value } => {
                    self.fields.entry(subject.to_string()).or_default().insert(field, value);
                }
                StoreWrite::Remove { subject, field } => {
                    drop(self.fields.get_mut(&*subject).map(|fields| fields.remove(&field)));
                }
                StoreWrite::Clear(subject) => drop(self.fields.remove(&*subject)),
                // Of the journal.
                _ => {}
            }
        }
    }
}
