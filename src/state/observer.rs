//! Observer of server events: the terminal output of `serve`, or no-op in tests.

use std::time::Duration;

use super::change::Change;
use super::journal::Entry;
use crate::config::Problem;

/// A body that takes its time to arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowUpload {
    /// As the journal shows it.
    pub customer_id: String,
    /// Fault and rule, where one slows the upload.
    pub rule: Option<(&'static str, String)>,
    /// For how long so far.
    pub time: Duration,
}

/// Receives server events. Called on the worker threads: implementations must not block. The terminal output of `serve` passes its
/// lines to a writer thread.
pub trait Observer: Send + Sync {
    /// A request has ended.
    fn request(&self, entry: &Entry);

    /// A request has been under way for a time: nothing or not all of its answer is sent.
    fn under_way(&self, entry: &Entry, time: Duration) {
        let _ = (entry, time);
    }

    /// A request's body has been arriving for a time; it has no entry yet.
    fn upload_under_way(&self, upload: &SlowUpload) {
        let _ = upload;
    }

    /// A connection was rejected because the limit is reached; called once until a connection is accepted again.
    fn connection_rejected(&self, peer: std::net::IpAddr) {
        let _ = peer;
    }

    /// A customer's rules count more keys than the limit (`limits.rule_counters`); called once.
    fn counters_overflow(&self, customer_id: &str) {
        let _ = customer_id;
    }

    /// Something was changed over the admin API.
    fn changed(&self, change: &Change) {
        let _ = change;
    }

    /// Edited fixtures were reloaded and are active.
    fn reloaded(&self, customers: usize);

    /// Edited fixtures are invalid; the previous ones stay active.
    fn refused(&self, problems: &[Problem]);

    /// Warning: something is wrong, but the simulator keeps serving.
    fn warned(&self, _message: &str) {}
}

/// Observer that ignores all events.
#[derive(Debug)]
pub struct NoopObserver;

impl Observer for NoopObserver {
    fn request(&self, _: &Entry) {}
    fn reloaded(&self, _: usize) {}
    fn refused(&self, _: &[Problem]) {}
}
