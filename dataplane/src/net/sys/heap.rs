//! The allocator of the C library, told that this process wants little memory rather than many threads that allocate at once.

/// Blocks from this size on are given back to the system at once. Unset it grows with the blocks that are freed: after the
/// first lists of objects they would all stay.
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 128 * 1024;

/// One heap for all threads, and what is free at its end given back. By default each thread has a heap of its own, and what
/// one frees no other can use. What the lanes allocate is small, and comes from a cache of their thread.
///
/// Call it before threads are started. A system that does not know these options goes on as it was.
#[cfg(target_env = "gnu")]
pub fn keep_small() {
    let options = [(libc::M_ARENA_MAX, 1), (libc::M_MMAP_THRESHOLD, LARGE), (libc::M_TRIM_THRESHOLD, LARGE)];
    for (option, value) in options {
        // SAFETY: mallopt takes two numbers, and changes settings of the allocator under its own lock.
        let _ = unsafe { libc::mallopt(option, value) }; // 0: it stays as it was
    }
}

/// Gives back what is free in the middle of the heap too. Where much came and went at once, as at a start, that is a quarter of it.
#[cfg(target_env = "gnu")]
pub fn give_back() {
    // SAFETY: malloc_trim takes a number, and hands free pages to the system under the allocator's own lock.
    let _ = unsafe { libc::malloc_trim(0) }; // 0: there was nothing to give
}

/// Other C libraries have no such options.
#[cfg(not(target_env = "gnu"))]
pub const fn keep_small() {}

/// Nor such a function.
#[cfg(not(target_env = "gnu"))]
pub const fn give_back() {}
