//! A heap for a short command. `nnc check` makes many small things and ends; a fifth of its
//! time was the kernel's, which gave it the memory a page at a time.

/// Has the heap grow by [`STEP`] bytes at a time, in huge pages where the kernel has them.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(super) fn in_large_steps() {
    use std::ptr::without_provenance_mut;

    const HUGE: usize = 2 << 20;
    // SAFETY: these set how malloc asks for memory, and advise on memory that is malloc's own.
    unsafe {
        if libc::mallopt(libc::M_ARENA_MAX, 1) == 0
            || libc::mallopt(libc::M_TOP_PAD, STEP as i32) == 0
        {
            return;
        }
        let before = libc::sbrk(0) as usize;
        // More than is left of the heap, and each too small for memory of its own.
        let grown = [
            Vec::<u8>::with_capacity(120 << 10),
            Vec::with_capacity(120 << 10),
        ];
        std::hint::black_box(&grown);
        let (first, end) = (before.next_multiple_of(HUGE), libc::sbrk(0) as usize);
        if end > first {
            libc::madvise(
                without_provenance_mut(first),
                end - first,
                libc::MADV_HUGEPAGE,
            );
        }
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn in_large_steps() {}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
const STEP: usize = 32 << 20;
