//! Releases memory to the operating system while the server is idle.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::http::state::AppState;

/// How often to check whether there is memory to release.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Number of releases after activity: connections take a while to close after their last request.
const RELEASES: u32 = 4;

/// Max new connections and requests per [`CHECK_INTERVAL`] for a release. Above it, the next requests would wait and allocate again.
const MAX_ACTIVITY: u64 = 20;

/// Releases memory after activity, once few requests arrive and none is in flight. Never returns: the server drops it when it stops.
pub(super) async fn release_idle_memory(shared: &AppState) {
    let (mut last, mut remaining, mut compacted) = (0, 0, 0);
    loop {
        actix_rt::time::sleep(CHECK_INTERVAL).await;
        let total = shared.engine.journal.count() + shared.connections.load(Ordering::Relaxed);
        let new = total - last;
        last = total;
        if new > 0 {
            remaining = RELEASES;
        }
        if remaining > 0 && new <= MAX_ACTIVITY && *shared.in_flight.borrow() == 0 {
            compacted = shared.engine.journal.compact(compacted);
            shared.buffers.release();
            trim_heap();
            remaining -= 1;
        }
    }
}

/// Returns the allocator's free memory to the operating system.
#[allow(unsafe_code, reason = "a call of the C library, where there is one")]
fn trim_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` takes no pointer and may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
