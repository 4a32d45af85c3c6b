//! A fork-join pool for jobs of microseconds: a training step is some dozens of them, one after the other.
//!
//! [`Pool::run`] calls `f(0), .. f(tasks - 1)`, each once, and returns when all are done. The caller works too, as
//! participant 0; the others are threads made once. Every participant owns a contiguous range of the tasks, the
//! same in each run with as many tasks (so that data stays in the cache of the core that wrote it), takes it from the
//! front, and then steals from the back of the others' ranges, so that a thread that lost its core holds up
//! no more than the task it is in.
//!
//! One 64-bit word a participant holds (generation, next, end); taking a task is one compare-and-swap. A
//! generation's tasks must all be finished before the next begins, hence:
//! - a swap that succeeds proves that the generation is still running, so the job pointer read before it is live;
//! - a thread that wakes late finds nothing to take, and nobody waits for it.
//!
//! Idle threads spin for some tens of microseconds, then give way to others (`yield_now`), then park: the word is written
//! before the `asleep` flag is read, and the flag is set before the word is read, so no wake-up is lost.
//! A task that panics does not stop the others; the panic goes on in the caller once all are finished.
//! A run from within a task, or while another thread is running one, is done by its caller alone.
//!
//! Nothing is allocated by a run. Measured: `benches/gemm.rs`.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, Thread};

/// A job: called with the number of a task.
type Job<'a> = &'a (dyn Fn(usize) + Sync + 'a);

/// Threads that run the tasks of one job at a time. Results cannot depend on their number as long as each task writes
/// only what is its own.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<(Thread, Option<JoinHandle<()>>)>,
    busy: AtomicBool,
}

impl Pool {
    /// A pool of `threads` participants, the caller of `run` included. Zero counts as one. Where the system
    /// refuses a thread, the pool is smaller.
    pub fn new(threads: usize) -> Pool {
        let threads = threads.clamp(1, MAX_THREADS);
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        let shared = Arc::new(Shared {
            job: AtomicPtr::new(std::ptr::null_mut()),
            slots: (0..threads).map(|_| Slot::default()).collect(),
            finished: Padded(AtomicUsize::new(0)),
            stop: AtomicBool::new(false),
            panic: Mutex::new(None),
            spins: if threads > cores { 32 } else { SPINS },
        });
        let mut workers = Vec::with_capacity(threads - 1);
        for me in 1..threads {
            let theirs = Arc::clone(&shared);
            let name = format!("nnc-{me}");
            let Ok(handle) = std::thread::Builder::new()
                .name(name)
                .spawn(move || theirs.work(me))
            else {
                break;
            };
            workers.push((handle.thread().clone(), Some(handle)));
        }
        Pool {
            shared,
            workers,
            busy: AtomicBool::new(false),
        }
    }

    /// How many threads take part in a run.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `f` once for each number below `tasks`, on any participant and in any order, and waits for all.
    pub fn run(&self, tasks: usize, f: Job) {
        if tasks <= 1 || self.workers.is_empty() || self.busy.swap(true, Acquire) {
            return (0..tasks).for_each(f);
        }
        let mut done = 0;
        let mut panicked = None;
        while done < tasks && panicked.is_none() {
            let some = (tasks - done).min(MAX_TASKS);
            panicked = match done {
                0 => self.fork(some, f),
                _ => self.fork(some, &|i| f(done + i)),
            };
            done += some;
        }
        self.busy.store(false, Release);
        if let Some(payload) = panicked {
            resume_unwind(payload);
        }
    }

    /// One generation of at most `MAX_TASKS` tasks. The result is the first panic.
    fn fork(&self, tasks: usize, f: Job) -> Option<Box<dyn Any + Send>> {
        let shared = &*self.shared;
        let threads = self.threads();
        shared.finished.0.store(0, Relaxed);
        // A thin pointer to the fat one. The lifetime ends only after every task is finished.
        shared
            .job
            .store((&raw const f).cast::<()>().cast_mut(), Relaxed);
        let generation = (shared.slots[0].word.load(Relaxed) >> 32).wrapping_add(1) << 32;
        // Rounded up, so that participant 0, who is awake, is never the one without a task.
        let start = |p: usize| (p * tasks).div_ceil(threads);
        for (p, slot) in shared.slots[..threads].iter().enumerate() {
            let (next, end) = (start(p), start(p + 1));
            slot.word
                .store(generation | (next as u64) << 16 | end as u64, SeqCst);
        }
        for (slot, (thread, _)) in shared.slots[1..].iter().zip(&self.workers) {
            if slot.asleep.load(SeqCst) && slot.asleep.swap(false, SeqCst) {
                thread.unpark();
            }
        }
        shared.take_tasks(0);
        let mut waited = 0;
        while shared.finished.0.load(Acquire) != tasks {
            waited += 1;
            relax(waited, shared.spins);
        }
        if shared.slots[0].panicked.swap(false, Relaxed) {
            return shared
                .panic
                .lock()
                .map_or_else(|poisoned| poisoned.into_inner().take(), |mut p| p.take());
        }
        None
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        for (thread, handle) in &mut self.workers {
            thread.unpark();
            if let Some(handle) = handle.take() {
                // A worker catches every panic of a task, so it ends in order.
                let _ = handle.join();
            }
        }
    }
}

/// The most tasks of one generation: 16 bits each for the next and the end.
const MAX_TASKS: usize = (1 << 16) - 1;
const MAX_THREADS: usize = 1024;
/// Polls before giving way, about 30 us on the machines tried.
const SPINS: u32 = 3_000;
/// Times a worker gives way before it parks.
const YIELDS: u32 = 200;

struct Shared {
    job: AtomicPtr<()>,
    slots: Box<[Slot]>,
    finished: Padded<AtomicUsize>,
    stop: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    spins: u32,
}

/// One participant's share. Alone on its pair of cache lines. `panicked` is used in slot 0 only.
#[derive(Default)]
#[repr(align(128))]
struct Slot {
    word: AtomicU64,
    asleep: AtomicBool,
    panicked: AtomicBool,
}

#[repr(align(128))]
struct Padded<T>(T);

impl Shared {
    /// The life of participant `me`.
    fn work(&self, me: usize) {
        let slot = &self.slots[me];
        let mut seen = 0;
        loop {
            let mut waited = 0;
            while slot.word.load(Acquire) >> 32 == seen {
                if self.stop.load(Relaxed) {
                    return;
                }
                waited += 1;
                relax(waited, self.spins);
                if waited > self.spins + YIELDS {
                    slot.asleep.store(true, SeqCst);
                    while slot.asleep.load(SeqCst)
                        && slot.word.load(SeqCst) >> 32 == seen
                        && !self.stop.load(SeqCst)
                    {
                        std::thread::park();
                    }
                    slot.asleep.store(false, SeqCst);
                    waited = 0;
                }
            }
            seen = slot.word.load(Acquire) >> 32;
            self.take_tasks(me);
        }
    }

    /// Runs tasks, one's own first, until none is left to take.
    fn take_tasks(&self, me: usize) {
        let count = self.slots.len();
        let mut finished = 0;
        for turn in 0..count {
            let victim = &self.slots[if me + turn < count {
                me + turn
            } else {
                me + turn - count
            }];
            while let Some((task, job)) = self.take(victim, turn == 0) {
                // SAFETY: the swap in `take` proves that the generation runs, so `fork` is still in the
                // frame that holds the reference.
                let f: Job = unsafe { *job.cast::<Job>() };
                if let Err(payload) = catch_unwind(AssertUnwindSafe(|| f(task))) {
                    self.slots[0].panicked.store(true, Relaxed);
                    self.panic
                        .lock()
                        .unwrap_or_else(|e| e.into_inner())
                        .get_or_insert(payload);
                }
                finished += 1;
            }
            // Reported before stealing: once the last is reported, the generation may end.
            if finished != 0 {
                self.finished.0.fetch_add(finished, Release);
                finished = 0;
            }
        }
    }

    /// Takes one task from the front or the back of a slot's range.
    fn take(&self, slot: &Slot, front: bool) -> Option<(usize, *const ())> {
        let mut word = slot.word.load(Acquire);
        loop {
            let (next, end) = (word >> 16 & 0xffff, word & 0xffff);
            if next >= end {
                return None;
            }
            let job = self.job.load(Relaxed);
            let (task, taken) = if front {
                (next, word + (1 << 16))
            } else {
                (end - 1, word - 1)
            };
            match slot
                .word
                .compare_exchange_weak(word, taken, AcqRel, Acquire)
            {
                Ok(_) => return Some((task as usize, job)),
                Err(now) => word = now,
            }
        }
    }
}

/// Waits a moment: on the core at first, then by letting others have it.
fn relax(waited: u32, spins: u32) {
    if waited < spins {
        std::hint::spin_loop();
    } else {
        std::thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every task runs once, whatever the numbers of tasks and threads.
    #[test]
    fn each_task_runs_once() {
        for threads in [1, 2, 3, 5] {
            let pool = Pool::new(threads);
            assert_eq!(pool.threads(), threads);
            let counts: Vec<AtomicUsize> = (0..150_000).map(|_| AtomicUsize::new(0)).collect();
            let sizes = [
                0,
                1,
                2,
                3,
                4,
                7,
                64,
                1000,
                MAX_TASKS,
                MAX_TASKS + 1,
                150_000,
            ];
            for &tasks in &sizes {
                pool.run(tasks, &|i| {
                    counts[i].fetch_add(1, Relaxed);
                });
            }
            for (i, count) in counts.iter().enumerate() {
                assert_eq!(
                    count.load(Relaxed),
                    sizes.iter().filter(|&&n| i < n).count(),
                    "task {i}, {threads} threads"
                );
            }
        }
    }

    /// Many short generations, some after a pause long enough for the workers to park.
    #[test]
    fn stress() {
        let pool = Pool::new(3);
        let mut cells = vec![0u64; 16];
        for round in 0..30_000u64 {
            let tasks = (round % 17) as usize;
            let base = cells.as_mut_ptr() as usize;
            pool.run(tasks, &|i| {
                // SAFETY: each task has its own cell, and the vector outlives the run.
                unsafe { *(base as *mut u64).add(i) += i as u64 + 1 }
            });
            if round % 3000 == 0 {
                std::thread::sleep(std::time::Duration::from_millis(3));
            }
        }
        for (i, &cell) in cells.iter().enumerate() {
            let runs = (0..30_000u64)
                .filter(|round| (round % 17) as usize > i)
                .count() as u64;
            assert_eq!(cell, runs * (i as u64 + 1));
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_stays_usable() {
        for threads in [1, 2, 3] {
            let pool = Pool::new(threads);
            for bad in [0, 5, 9] {
                let caught = catch_unwind(AssertUnwindSafe(|| {
                    pool.run(10, &|i| assert!(i != bad, "task {i}"));
                }));
                let text = *caught
                    .expect_err("no panic")
                    .downcast::<String>()
                    .expect("not a message");
                assert_eq!(text, format!("task {bad}"));
                let sum = AtomicUsize::new(0);
                pool.run(10, &|i| {
                    sum.fetch_add(i, Relaxed);
                });
                assert_eq!(sum.into_inner(), 45);
            }
        }
    }

    /// From within a task, and from two threads at once.
    #[test]
    fn nested_and_concurrent_runs_complete() {
        let pool = Pool::new(2);
        let sum = AtomicUsize::new(0);
        let add = |i: usize| {
            pool.run(4, &|j| {
                sum.fetch_add(i * j, Relaxed);
            });
        };
        pool.run(4, &add);
        assert_eq!(sum.swap(0, Relaxed), 36);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..2000).for_each(|_| add(1)));
            }
        });
        assert_eq!(sum.into_inner(), 3 * 2000 * 6);
    }
}
