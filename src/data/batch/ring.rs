//! Sets of buffers that go round between workers, which fill them, and one consumer, which
//! gives each back.
//!
//! A worker takes a free set and the number of the next batch together, so that the batch
//! that is awaited always has its buffers; batches are done in any order and handed out in
//! theirs. Nothing is allocated per batch, and a worker sleeps while every buffer is full.
//! After the last batch of an epoch come those of the next, so an epoch starts with its
//! first batches ready.

use super::{Filler, Layout, Position, Slot, slots};
use crate::data::error::DataError;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The buffers, and the workers.
pub(super) struct Ring {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    workers: Condvar,
    consumer: Condvar,
    /// Batches in an epoch.
    batches: usize,
    /// Nanoseconds that the consumer waited.
    waited: AtomicU64,
}

#[derive(Default)]
struct State {
    /// What a worker fills next.
    next: Position,
    /// What the consumer gets next.
    expected: Position,
    /// Goes up when the consumer jumps: what is being filled is then stale.
    generation: u64,
    free: Vec<Slot>,
    ready: Vec<(Position, Slot, Result<(), DataError>)>,
    /// Workers that sleep.
    sleeping: usize,
    stop: bool,
    /// A worker is gone.
    dead: bool,
}

impl Ring {
    /// Begins to fill the batches of epoch 0; each filler has a thread.
    pub(super) fn start(fillers: Vec<Box<dyn Filler>>, layout: &Layout) -> Result<Ring, DataError> {
        let count = slots(fillers.len());
        let state = State {
            free: (0..count).map(|_| layout.slot()).collect(),
            ready: Vec::with_capacity(count),
            ..State::default()
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            workers: Condvar::new(),
            consumer: Condvar::new(),
            batches: layout.batches(),
            waited: AtomicU64::new(0),
        });
        let mut ring = Ring {
            shared,
            threads: Vec::with_capacity(fillers.len()),
        };
        for mut filler in fillers {
            let shared = ring.shared.clone();
            let thread = std::thread::Builder::new()
                .name("nnc-batches".into())
                .spawn(move || work(&mut *filler, &shared))
                .map_err(|e| DataError::io("batches".as_ref(), "start a thread", &e))?;
            ring.threads.push(thread);
        }
        Ok(ring)
    }

    /// The buffers of the batch at `position`; has the workers jump there if they are elsewhere.
    ///
    /// # Errors
    /// What filling them met; the batch may be asked for again.
    pub(super) fn take(&self, position: Position) -> Result<Slot, DataError> {
        let mut state = self.shared.lock();
        if state.expected != position {
            state.generation += 1;
            (state.next, state.expected) = (position, position);
            while let Some((_, slot, _)) = state.ready.pop() {
                state.free.push(slot);
            }
            if state.sleeping > 0 {
                self.shared.workers.notify_all();
            }
        }
        let mut started = None;
        loop {
            if let Some(at) = state.ready.iter().position(|(p, ..)| *p == position) {
                state.expected = self.shared.after(position);
                let (_, slot, filled) = state.ready.swap_remove(at);
                if let Some(started) = started {
                    let waited = Instant::elapsed(&started).as_nanos() as u64;
                    self.shared.waited.fetch_add(waited, Relaxed);
                }
                if let Err(error) = filled {
                    drop(state);
                    self.give(slot);
                    return Err(error);
                }
                return Ok(slot);
            }
            assert!(!state.dead, "a thread that prepares batches has died");
            started.get_or_insert_with(Instant::now);
            let woken = self.shared.consumer.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Buffers that the consumer is done with.
    pub(super) fn give(&self, slot: Slot) {
        let mut state = self.shared.lock();
        state.free.push(slot);
        // waking costs a system call: only where there is someone to wake
        if state.sleeping > 0 {
            self.shared.workers.notify_one();
        }
    }

    /// How long the consumer has waited so far.
    pub(super) fn waited(&self) -> Duration {
        Duration::from_nanos(self.shared.waited.load(Relaxed))
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.workers.notify_all();
        for thread in self.threads.drain(..) {
            // It has nothing to tell; a panic of its was reported where it arose.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn after(&self, (epoch, number): Position) -> Position {
        if number + 1 < self.batches {
            (epoch, number + 1)
        } else {
            (epoch + 1, 0)
        }
    }
}

/// Wakes the consumer, which would wait for ever, when a worker unwinds.
struct Farewell<'a>(&'a Shared);

impl Drop for Farewell<'_> {
    fn drop(&mut self) {
        self.0.lock().dead = true;
        self.0.consumer.notify_all();
    }
}

/// A worker: fills free buffers until it is asked to stop.
fn work(filler: &mut dyn Filler, shared: &Shared) {
    let _farewell = Farewell(shared);
    loop {
        let mut state = shared.lock();
        let mut slot = loop {
            if state.stop {
                return;
            }
            if let Some(slot) = state.free.pop() {
                break slot;
            }
            state.sleeping += 1;
            let woken = shared.workers.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
            state.sleeping -= 1;
        };
        let position = state.next;
        state.next = shared.after(position);
        let generation = state.generation;
        drop(state);

        let filled = filler.fill(position, &mut slot);

        let mut state = shared.lock();
        if state.generation == generation {
            state.ready.push((position, slot, filled));
            if position == state.expected {
                shared.consumer.notify_one();
            }
        } else {
            state.free.push(slot);
        }
    }
}
