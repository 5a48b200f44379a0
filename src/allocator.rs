//! Memory that the allocator keeps. Only glibc has to be told; of other allocators nothing is known.

/// Gives back what the allocator keeps for later.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes no pointer, and may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
