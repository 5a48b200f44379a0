//! Gives memory back to the system when it is quiet.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::http::state::AppState;

/// How often it is looked whether there is memory to give back.
const QUIET: Duration = Duration::from_secs(1);

/// How often it is then given back: connections take a while to end after their last request.
const TIMES: u32 = 4;

/// Connections and requests within [`QUIET`] that are too many for it: the next ones would have to wait, and pay for new memory.
const BUSY: u64 = 20;

/// Gives memory back when connections or requests have come, few still come and none is under way. Ends with the server only.
pub(super) async fn give_memory_back(shared: &AppState) {
    let (mut last, mut times, mut compacted) = (0, 0, 0);
    loop {
        actix_rt::time::sleep(QUIET).await;
        let came = shared.engine.journal.count() + shared.connections.load(Ordering::Relaxed);
        let new = came - last;
        last = came;
        if new > 0 {
            times = TIMES;
        }
        if times > 0 && new <= BUSY && *shared.in_flight.borrow() == 0 {
            compacted = shared.engine.journal.compact(compacted);
            shared.buffers.release();
            trim_heap();
            times -= 1;
        }
    }
}

/// Gives back what the allocator keeps for later.
fn trim_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes no pointer, and may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
