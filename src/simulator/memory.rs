//! What the allocator keeps: memory of bodies is used again under load, and returned to the operating system while the server is idle. By
//! default glibc takes each large body from the system and zeroes it anew, or keeps a gigabyte after a thousand bodies of a megabyte.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::http::state::AppState;

/// How often to look whether the server is idle.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Number of releases after activity: connections take a while to close after their last request.
const RELEASES: u32 = 4;

/// Max new connections and requests per [`CHECK_INTERVAL`] for a release. Above it, the next requests would allocate it again.
const MAX_ACTIVITY: u64 = 20;

/// Releases memory after activity, once few requests arrive and none is in flight. Never returns: the server drops it when it stops.
pub(super) async fn release_idle_memory(app: &AppState) {
    let (mut last, mut remaining) = (0, 0);
    loop {
        tokio::time::sleep(CHECK_INTERVAL).await;
        let total = app.engine.journal.count() + app.connections.load(Ordering::Relaxed);
        // A shared history may go back, and with it the number of entries.
        let new = total.saturating_sub(last);
        last = total;
        if new > 0 {
            remaining = RELEASES;
        }
        if remaining > 0 && new <= MAX_ACTIVITY && *app.in_flight.borrow() == 0 {
            trim_heap();
            remaining -= 1;
        }
    }
}

/// Makes the allocator keep large blocks for the next body. For the whole process, so only a program may call it, not a library.
#[allow(unsafe_code, reason = "the allocator's own function, which only C declares")]
pub fn keep_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `mallopt` takes no pointer and may be called at any time from any thread.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 64 << 20);
    }
}

/// Returns the allocator's free memory to the operating system.
#[allow(unsafe_code, reason = "the allocator's own function, which only C declares")]
fn trim_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` takes no pointer and may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
