//! Timer for delays, faults and the matcher's service times: real time, or a replacement that the project's own tests inject. No flag
//! and no route changes it.

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

/// Source of sleeps and of monotonic time.
pub trait Timer: Send + Sync {
    /// Returns a future that completes after `time`.
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()>;

    /// Returns the current real time.
    fn now(&self) -> Instant {
        Instant::now()
    }
}

/// Timer in real time, on Tokio.
#[derive(Debug)]
pub struct RealTimer;

impl Timer for RealTimer {
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(time).boxed()
    }
}
