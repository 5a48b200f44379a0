//! How long the endpoint's listener waits for a client that owes it something.

use std::time::Duration;

/// How long what a client still sends is read after a response that ends the connection: closing at once would reset the connection, and
/// the client would never see a 413.
pub const LINGER: Duration = Duration::from_secs(2);

/// How long a client may take, in real time. There is no limit while the server itself takes its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the first byte of a request, on a new connection and after each response; and for taking any byte of a response.
    pub idle: Duration,
    /// For a request's head, from its first byte.
    pub head: Duration,
    /// For a request's body.
    pub body: Duration,
    /// Until the observer is told that a request is under way.
    pub notice: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        // 75 seconds idle, as proxies commonly do; ten megabytes within five minutes need 35 kB a second.
        let [idle, head, body, notice] = [75, 30, 300, 1].map(Duration::from_secs);
        Timeouts { idle, head, body, notice }
    }
}
