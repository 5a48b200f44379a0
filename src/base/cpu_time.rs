//! Processor time of the calling thread, to charge for work: what others keep the thread waiting for is not counted.

use std::time::Duration;

/// Returns the processor time that the calling thread has used so far.
#[cfg(any(target_os = "linux", target_os = "macos"))]
#[must_use]
pub fn of_this_thread() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

/// Returns the time since the first call: elsewhere, elapsed time is the upper bound of processor time.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
#[must_use]
pub fn of_this_thread() -> Duration {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    START.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_counted() {
        let started = of_this_thread();
        let sum: u64 = (0..1_000_000).map(std::hint::black_box).sum();
        assert!(sum > 0 && of_this_thread() > started);
    }
}
