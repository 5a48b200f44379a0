//! Real time for delays and faults, and a place where the project's own tests put another.

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

/// Waits.
pub trait Timer: Send + Sync {
    /// Done after `time`.
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()>;

    /// Real time now.
    fn now(&self) -> Instant {
        Instant::now()
    }
}

/// Waits in real time.
#[derive(Debug)]
pub struct RealTimer;

impl Timer for RealTimer {
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(time).boxed()
    }
}
