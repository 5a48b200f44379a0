//! What the journal that replicas share has beside its ring: entries on their way, and whose end is told.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use parking_lot::Mutex;

use super::{Entry, RequestMarks};

/// How far the end of a request is told, where replicas share the journal.
#[derive(Debug)]
pub(super) struct SharedEnd {
    /// Whether the history has the end of the request.
    pub is_settled: bool,
    /// Whether it was read from the history: nobody at this replica ends it.
    pub is_copy: bool,
}

/// Entries on their way to the history, by operation.
#[derive(Debug, Default)]
pub(super) struct PendingEntries(pub Mutex<HashMap<u64, PendingEntry>>);

#[derive(Debug)]
pub(super) struct PendingEntry {
    pub entry: Entry,
    pub marks: RequestMarks,
    pub ring_has_it: SyncSender<Arc<Entry>>,
}
