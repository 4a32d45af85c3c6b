//! What tasks share: destinations of which each writes its own part, and loops cut into tasks by their work.

use super::pool::Pool;

/// A destination that tasks write disjoint parts of.
#[derive(Clone, Copy)]
pub struct Shared<T>(*mut T);

// SAFETY: whoever takes parts of it from several threads takes disjoint ones.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub fn new(at: *mut T) -> Shared<T> {
        Shared(at)
    }
    /// The place of element `i`.
    ///
    /// # Safety
    /// It is within the destination.
    pub unsafe fn at(&self, i: usize) -> *mut T {
        // SAFETY: by the contract.
        unsafe { self.0.add(i) }
    }
    /// # Safety
    /// `start..start + len` is within the destination, and no other part in use overlaps it.
    #[expect(clippy::mut_from_ref, reason = "parts are disjoint")]
    pub unsafe fn part(&self, start: usize, len: usize) -> &mut [T] {
        // SAFETY: by the contract.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), len) }
    }
}

/// Elements of work in a task, about.
pub const GRAIN: usize = 16 << 10;

/// Calls `f(i)` for every i below `count`, each of about `work` operations.
pub fn each(pool: &Pool, count: usize, work: usize, f: &(dyn Fn(usize) + Sync)) {
    let together = (GRAIN / work.max(1)).clamp(1, count.max(1));
    pool.run(count.div_ceil(together), &|task| {
        let end = ((task + 1) * together).min(count);
        (task * together..end).for_each(f);
    });
}
