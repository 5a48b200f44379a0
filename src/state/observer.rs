//! Who is told what happens: the terminal of `serve`, or nobody in a test.

use super::journal::Entry;
use crate::config::Problem;

/// Hears of requests and of the simulator's own news. Called from the server's threads, so that who blocks here stops answers;
/// the terminal of `serve` hands its lines to a thread that writes them.
pub trait Observer: Send + Sync {
    /// A request is over.
    fn request(&self, entry: &Entry);

    /// Something came to the data listener that is no request of the endpoint, and got this status.
    fn unknown_path(&self, status: u16, method: &str, path: &str) {
        let _ = (status, method, path);
    }

    /// A connection was refused because there are too many; told once until there is room again.
    fn connection_rejected(&self, peer: std::net::IpAddr) {
        let _ = peer;
    }

    /// A customer's rules count by more keys than are kept; told once.
    fn counters_overflow(&self, customer_id: &str) {
        let _ = customer_id;
    }

    /// Edited fixtures are in force.
    fn reloaded(&self, customers: usize);

    /// Edited fixtures are wrong; the old ones stay in force.
    fn refused(&self, problems: &[Problem]);

    /// Something is not as it should be, and the simulator serves all the same.
    fn warned(&self, _message: &str) {}
}

/// Hears and says nothing.
#[derive(Debug)]
pub struct NoopObserver;

impl Observer for NoopObserver {
    fn request(&self, _: &Entry) {}
    fn reloaded(&self, _: usize) {}
    fn refused(&self, _: &[Problem]) {}
}
