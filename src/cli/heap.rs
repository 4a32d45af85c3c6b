//! The heap of the process: what it says when the system refuses memory, and how it grows in a
//! short command. `nnc check` makes many small things and ends; a fifth of its
//! time was the kernel's, which gave it the memory a page at a time.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::bytes::may_fail;
use crate::cli::common::exit;
use crate::diag::Code;

/// Whether a program reads stdout: `--json`.
static TELL_PROGRAMS: AtomicBool = AtomicBool::new(false);

/// Has refused memory told to programs as well.
pub(super) fn tell_programs(json: bool) {
    TELL_PROGRAMS.store(json, Relaxed);
}

/// The system's, but that a process which is refused memory says so and ends as other failures do.
#[derive(Debug)]
pub struct Heap;

// SAFETY: every call is the system allocator's, which is given what this one is given.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        granted(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        granted(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        granted(unsafe { System.realloc(old, layout, size) }, size)
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

/// The memory that was asked for; without it the process ends, unless it asked whether there is any.
#[inline]
fn granted(memory: *mut u8, size: usize) -> *mut u8 {
    if memory.is_null() && !may_fail() {
        refused(size);
    }
    memory
}

/// Past the buffer of the standard library, which may be the memory that was asked for.
fn write_to_stdout(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the bytes are there.
        let written = unsafe { libc::write(1, bytes.as_ptr().cast(), bytes.len() as _) };
        match usize::try_from(written) {
            Ok(n) if n > 0 => bytes = &bytes[n..],
            _ => return,
        }
    }
}

/// Nothing here takes memory.
#[cold]
fn refused(size: usize) -> ! {
    let mut text = [0; 512];
    let room = text.len();
    let mut rest = &mut text[..];
    let _ = write!(
        rest,
        "error[{}]: not enough memory: {size} bytes were asked for\n  \
         help: make the model, the batch or the vocabulary smaller\n",
        Code::E0960.name()
    );
    let written = room - rest.len();
    let _ = std::io::stderr().write_all(&text[..written]);
    if TELL_PROGRAMS.load(Relaxed) {
        let mut rest = &mut text[..];
        let _ = writeln!(
            rest,
            "{{\"event\":\"error\",\"code\":\"{}\",\"message\":\"not enough memory: {size} bytes \
             were asked for\",\"help\":\"make the model, the batch or the vocabulary smaller\"}}",
            Code::E0960.name()
        );
        let written = room - rest.len();
        write_to_stdout(&text[..written]);
    }
    // SAFETY: ends the process, with nothing run at its end that might ask for memory.
    unsafe { libc::_exit(i32::from(exit::RUN)) }
}

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
