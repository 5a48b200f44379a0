//! Memory of bodies: kept while requests come, and given back to the system afterwards. Only glibc has to be told; of other allocators
//! nothing is known.

/// Lets the allocator keep what bodies took for the next ones. By itself glibc gives every block of more than 128 kB back at once, and
/// the system clears and maps its pages anew each time: a fifth of what a body of a megabyte costs. It concerns the whole process, so it
/// is the program's affair and not the library's.
pub fn keep() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes no pointers, and may be called at any time from any thread.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_KEPT);
        libc::mallopt(libc::M_TRIM_THRESHOLD, MOST_KEPT);
    }
}

/// The largest that glibc takes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGEST_KEPT: libc::c_int = 32 << 20;

/// Of every thread, in bytes. [`give_back`] is for what is kept too long.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MOST_KEPT: libc::c_int = 64 << 20;

/// Gives back what the allocator keeps for later.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes no pointer, and may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
