//! What a test allocates: a global allocator that counts, thread by thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Runs `f` and says how many bytes this thread held in it at most, beyond what it held before.
pub(crate) fn peak<R>(f: impl FnOnce() -> R) -> (R, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let result = f();
    (result, (PEAK.get() - before).max(0) as usize)
}

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

/// A thread that is ending has no counters left; what it frees then is of no interest.
fn count(bytes: isize) {
    let held = HELD.try_with(|h| {
        h.set(h.get() + bytes);
        h.get()
    });
    if let Ok(held) = held {
        let _ = PEAK.try_with(|p| p.set(p.get().max(held)));
    }
}

// SAFETY: it passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as the caller's.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as the caller's.
        unsafe { System.dealloc(start, layout) }
    }
    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: as the caller's.
        unsafe { System.realloc(start, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn it_counts() {
    let (_, bytes) = peak(|| {
        let first = vec![1u8; 10_000];
        let sum: usize = first.iter().map(|&b| b as usize).sum();
        drop(first);
        vec![0u8; 100 + sum / 10_000].len()
    });
    assert!((10_000..11_000).contains(&bytes), "{bytes}");
}
