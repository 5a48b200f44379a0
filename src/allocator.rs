//! Memory that is free goes back to the system.

/// Gives back what the allocator keeps for later. glibc keeps nearly all that a thousand large bodies took; of other allocators nothing
/// is known.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes no pointer, and may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
