//! What the executables of a run share: the threads, and the memory for what is
//! alive only within a step. One of them runs at a time, so the memory of the
//! largest does for all.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::pool::Pool;

pub struct Workspace {
    pub pool: Pool,
    memory: Mutex<Buffers>,
}

/// Values of a step, and scratch of its products.
pub struct Buffers {
    arena: Memory,
    scratch: Memory,
}

impl Workspace {
    pub fn new(threads: usize) -> Workspace {
        Workspace {
            pool: Pool::new(threads),
            memory: Mutex::new(Buffers {
                arena: Memory::new(0),
                scratch: Memory::new(0),
            }),
        }
    }

    /// From now on there are at least so many bytes; what was in them is lost.
    pub fn reserve(&self, arena: usize, scratch: usize) {
        let mut memory = self.lock();
        for (mine, bytes) in [(0, arena), (1, scratch)] {
            let buffer = match mine {
                0 => &mut memory.arena,
                _ => &mut memory.scratch,
            };
            if buffer.layout.size() < bytes {
                // freed first: both at once would be the peak of the process
                *buffer = Memory::new(0);
                *buffer = Memory::new(bytes);
            }
        }
    }

    /// The memory, for one run.
    pub fn lock(&self) -> MutexGuard<'_, Buffers> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buffers {
    pub fn arena(&self) -> *mut u8 {
        self.arena.at
    }

    pub fn scratch(&self) -> *mut u8 {
        self.scratch.at
    }
}

/// Memory aligned to `passes::memory::ALIGN`, written before it is read: pages that no
/// step touches stay the system's. Of no bytes, a dangling pointer.
struct Memory {
    at: *mut u8,
    layout: Layout,
}

// SAFETY: it owns plain bytes.
unsafe impl Send for Memory {}

impl Memory {
    fn new(bytes: usize) -> Memory {
        let layout = Layout::from_size_align(bytes, crate::passes::memory::ALIGN)
            .expect("sizes of tensors are limited");
        let at = match bytes {
            0 => std::ptr::without_provenance_mut(layout.align()),
            // SAFETY: the size is not zero.
            _ => unsafe { alloc(layout) },
        };
        if at.is_null() {
            handle_alloc_error(layout);
        }
        Memory { at, layout }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.layout.size() > 0 {
            // SAFETY: allocated with this layout.
            unsafe { dealloc(self.at, self.layout) }
        }
    }
}
