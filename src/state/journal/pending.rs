//! What the journal that replicas share has beside its ring: entries on their way, and who serves each.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use parking_lot::Mutex;

use super::{Entry, RequestMarks};

/// The replica that serves an entry.
#[derive(Debug)]
pub(super) struct Author {
    pub replica: Arc<str>,
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
