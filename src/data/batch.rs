//! Batches: rows gathered ahead of time by one background thread.
//!
//! A ring of [`SLOTS`] sets of buffers goes round between the thread, which
//! fills them in order, and the consumer, which gives each back by dropping its
//! [`Batch`]; nothing is allocated per batch, and the thread sleeps while every
//! buffer is full. After the last batch of an epoch the thread goes on with the
//! next epoch, so an epoch starts with its first batches ready.
//!
//! What a batch holds depends on the seed, the epoch and the batch's number
//! only: each epoch is a fresh permutation of the chosen rows, so that
//! [`Batches::epoch_from`] resumes anywhere. Sequential order over adjacent rows
//! copies nothing: its batches borrow from the table, and no thread is started. Sparse
//! rows are written out into the buffers.

use super::error::DataError;
use super::shuffle::shuffle;
use super::table::{ColumnData, Storage, Table};
use crate::bytes::{AlignedBytes, Number, numbers_of};
use crate::ir::random::site_key;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Buffers in the ring: one with the consumer, one ready, one being filled.
pub const SLOTS: usize = 3;
/// How many rows ahead of the copy memory is asked for.
const AHEAD: usize = 8;

/// In what order an epoch visits the rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// A permutation of its own for each epoch.
    Shuffled { seed: u64 },
    /// As they are listed.
    Sequential,
}

/// Chosen rows of chosen columns of a table, in batches.
pub struct Batches {
    plan: Arc<Plan>,
    /// None if the batches are borrowed from the table.
    worker: Option<Worker>,
}

/// One pass, or the rest of one, over the rows.
pub struct Epoch<'a> {
    batches: &'a mut Batches,
    epoch: u64,
    next: usize,
}

/// Some rows; its buffers go back into the ring when it is dropped.
pub struct Batch<'a> {
    plan: &'a Plan,
    number: usize,
    rows: usize,
    source: Source<'a>,
}

/// One column of a batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchColumn<'a> {
    pub storage: Storage,
    /// Shape of one row.
    pub shape: &'a [usize],
    /// Rows one after another; at an address that is a multiple of 64 unless borrowed from the table.
    pub bytes: &'a [u8],
}

enum Source<'a> {
    /// Rows of the table from this one on.
    Table { first: usize },
    /// The slot is there until the batch is dropped.
    Ring {
        slot: Option<Slot>,
        shared: &'a Shared,
    },
}

/// What to gather.
struct Plan {
    table: Arc<Table>,
    /// Index in the table, and bytes of a row.
    columns: Vec<(usize, usize)>,
    rows: Vec<u32>,
    size: usize,
    order: Order,
}

/// Buffers for one batch, one a column.
type Slot = Vec<AlignedBytes>;

/// Epoch, and batch in it.
type Position = (u64, usize);

struct Worker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    worker: Condvar,
    consumer: Condvar,
}

#[derive(Default)]
struct State {
    /// What the thread fills next.
    next: Position,
    /// What the consumer gets next: the front of `ready`, or what comes there first.
    expected: Position,
    /// Goes up when the consumer jumps: what is being filled is then stale.
    generation: u64,
    free: Vec<Slot>,
    ready: VecDeque<Slot>,
    sleeping: bool,
    stop: bool,
    /// The thread is gone.
    dead: bool,
}

impl Batches {
    /// `size` rows a batch, the last one shorter if they do not come out even.
    /// `columns` are indices in the table; texts cannot be batched.
    pub fn new(
        table: Arc<Table>,
        columns: &[usize],
        rows: Vec<u32>,
        size: usize,
        order: Order,
    ) -> Result<Batches, DataError> {
        if size == 0 {
            return Err(DataError::BatchSize);
        }
        if rows.is_empty() {
            return Err(DataError::NoRows { doing: "batch" });
        }
        if let Some(&row) = rows.iter().find(|&&r| r as usize >= table.rows()) {
            return Err(DataError::RowIndex {
                row: row as usize,
                rows: table.rows(),
            });
        }
        let columns = columns
            .iter()
            .map(|&i| {
                let column = &table.columns()[i];
                match column.storage().size() {
                    Some(size) => Ok((i, size * column.per_row())),
                    None => Err(DataError::ColumnKind {
                        column: column.name.clone(),
                        found: "text",
                        doing: "a batch",
                        expected: "numbers",
                    }),
                }
            })
            .collect::<Result<Vec<_>, _>>()?;
        let size = size.min(rows.len());
        let whole = |&(i, _): &(usize, usize)| table.columns()[i].as_bytes().is_some();
        let borrowed = order == Order::Sequential
            && columns.iter().all(whole)
            && rows.windows(2).all(|w| w[0].checked_add(1) == Some(w[1]));
        let plan = Arc::new(Plan {
            table,
            columns,
            rows,
            size,
            order,
        });
        let worker = (!borrowed).then(|| Worker::start(&plan)).transpose()?;
        Ok(Batches { plan, worker })
    }

    /// Batches in an epoch.
    pub fn len(&self) -> usize {
        self.plan.batches()
    }

    /// False: there is at least one row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows in an epoch.
    pub fn rows(&self) -> usize {
        self.plan.rows.len()
    }

    /// Rows of a full batch.
    pub fn size(&self) -> usize {
        self.plan.size
    }

    /// The rows in the order in which `epoch` visits them.
    pub fn order(&self, epoch: u64) -> Vec<u32> {
        let mut rows = self.plan.rows.clone();
        self.plan.permute(&mut rows, epoch);
        rows
    }

    pub fn epoch(&mut self, epoch: u64) -> Epoch<'_> {
        self.epoch_from(epoch, 0)
    }

    /// The rest of an epoch from batch `first` on.
    pub fn epoch_from(&mut self, epoch: u64, first: usize) -> Epoch<'_> {
        Epoch {
            batches: self,
            epoch,
            next: first,
        }
    }
}

impl Epoch<'_> {
    /// The next batch; the one before must have been dropped.
    pub fn next_batch(&mut self) -> Option<Batch<'_>> {
        let plan = &*self.batches.plan;
        let number = self.next;
        let rows = plan.rows_of(number);
        if rows.is_empty() {
            return None;
        }
        self.next += 1;
        let source = match &self.batches.worker {
            None => Source::Table {
                first: plan.rows[rows.start] as usize,
            },
            Some(worker) => Source::Ring {
                slot: Some(worker.take((self.epoch, number), plan)),
                shared: &worker.shared,
            },
        };
        Some(Batch {
            plan,
            number,
            rows: rows.len(),
            source,
        })
    }
}

impl Batch<'_> {
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Its place in the epoch, from 0.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Columns, in the order in which they were asked for.
    pub fn columns(&self) -> usize {
        self.plan.columns.len()
    }

    /// Column `i` of those asked for.
    pub fn column(&self, i: usize) -> BatchColumn<'_> {
        let (index, stride) = self.plan.columns[i];
        let column = &self.plan.table.columns()[index];
        let bytes = match &self.source {
            Source::Table { first } => {
                let all = column.as_bytes().unwrap_or_default();
                &all[first * stride..(first + self.rows) * stride]
            }
            Source::Ring { slot, .. } => slot
                .as_ref()
                .map_or(&[][..], |s| &s[i][..self.rows * stride]),
        };
        BatchColumn {
            storage: column.storage(),
            shape: column.shape(),
            bytes,
        }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        if let Source::Ring { slot, shared } = &mut self.source
            && let Some(slot) = slot.take()
        {
            let mut state = shared.lock();
            state.free.push(slot);
            shared.wake_worker(&state);
        }
    }
}

impl<'a> BatchColumn<'a> {
    pub fn as_ptr(self) -> *const u8 {
        self.bytes.as_ptr()
    }

    pub fn u8s(self) -> Option<&'a [u8]> {
        self.numbers(Storage::U8)
    }

    pub fn u16s(self) -> Option<&'a [u16]> {
        self.numbers(Storage::U16)
    }

    pub fn i32s(self) -> Option<&'a [i32]> {
        self.numbers(Storage::I32)
    }

    pub fn f32s(self) -> Option<&'a [f32]> {
        self.numbers(Storage::F32)
    }

    fn numbers<T: Number>(self, storage: Storage) -> Option<&'a [T]> {
        (self.storage == storage)
            .then(|| numbers_of(self.bytes))
            .flatten()
    }
}

impl Plan {
    fn batches(&self) -> usize {
        self.rows.len().div_ceil(self.size)
    }

    /// Which entries of an epoch's order make up a batch; empty past the end.
    fn rows_of(&self, number: usize) -> std::ops::Range<usize> {
        let end = self.rows.len();
        let start = number.saturating_mul(self.size).min(end);
        start..(start + self.size).min(end)
    }

    fn after(&self, (epoch, number): Position) -> Position {
        if number + 1 < self.batches() {
            (epoch, number + 1)
        } else {
            (epoch + 1, 0)
        }
    }

    /// Orders `rows`, given as listed, for `epoch`.
    fn permute(&self, rows: &mut [u32], epoch: u64) {
        match self.order {
            Order::Shuffled { seed } => shuffle(rows, site_key(seed, "shuffle"), epoch),
            Order::Sequential => {}
        }
    }

    fn slot(&self) -> Slot {
        self.columns
            .iter()
            .map(|&(_, stride)| AlignedBytes::zeroed(stride * self.size))
            .collect()
    }

    fn gather(&self, rows: &[u32], slot: &mut Slot) {
        for (&(index, stride), to) in self.columns.iter().zip(slot) {
            let column = &self.table.columns()[index];
            if let ColumnData::Sparse(bags) = column.data() {
                for (to, &row) in to.chunks_exact_mut(stride).zip(rows) {
                    bags.write(row as usize, to);
                }
                continue;
            }
            let from = column.as_bytes().unwrap_or_default();
            match stride {
                1 => gather_fixed::<1>(from, rows, to),
                4 => gather_fixed::<4>(from, rows, to),
                _ => {
                    for (i, (to, &row)) in to.chunks_exact_mut(stride).zip(rows).enumerate() {
                        if let Some(&soon) = rows.get(i + AHEAD) {
                            prefetch(&from[soon as usize * stride..][..stride]);
                        }
                        to.copy_from_slice(&from[row as usize * stride..][..stride]);
                    }
                }
            }
        }
    }
}

/// Asks for memory that will be read soon. Shuffled rows are not what the
/// hardware foresees, but for the later lines of a long row: 128 rows of 784 bytes take half the time (9.5 us -> 4.5 us).
#[inline(always)]
fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(64).take(16) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint, and the address is within a slice.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}

/// A copy of constant length is a plain load and store.
fn gather_fixed<const N: usize>(from: &[u8], rows: &[u32], to: &mut [u8]) {
    let (from, _) = from.as_chunks::<N>();
    let (to, _) = to.as_chunks_mut::<N>();
    for (to, &row) in to.iter_mut().zip(rows) {
        *to = from[row as usize];
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waking costs a system call: only where there is someone to wake.
    fn wake_worker(&self, state: &State) {
        if state.sleeping {
            self.worker.notify_one();
        }
    }
}

impl Worker {
    fn start(plan: &Arc<Plan>) -> Result<Worker, DataError> {
        let shared = Arc::new(Shared::default());
        {
            let mut state = shared.lock();
            state.free = (0..SLOTS).map(|_| plan.slot()).collect();
            state.ready = VecDeque::with_capacity(SLOTS);
        }
        let (plan, mine) = (plan.clone(), shared.clone());
        let thread = std::thread::Builder::new()
            .name("nnc-batches".into())
            .spawn(move || fill(&plan, &mine))
            .map_err(|e| DataError::io("batches".as_ref(), "start a thread", &e))?;
        Ok(Worker {
            shared,
            thread: Some(thread),
        })
    }

    /// The buffers of the batch at `position`; has the thread jump there if it is elsewhere.
    fn take(&self, position: Position, plan: &Plan) -> Slot {
        let mut state = self.shared.lock();
        if state.expected != position {
            state.generation += 1;
            (state.next, state.expected) = (position, position);
            while let Some(slot) = state.ready.pop_front() {
                state.free.push(slot);
            }
            self.shared.wake_worker(&state);
        }
        loop {
            if let Some(slot) = state.ready.pop_front() {
                state.expected = plan.after(position);
                return slot;
            }
            assert!(!state.dead, "the thread that prepares batches has died");
            state = self
                .shared
                .consumer
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.worker.notify_one();
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell; a panic of its was reported where it arose.
            let _ = thread.join();
        }
    }
}

/// Tells the consumer, which would wait for ever, when the thread unwinds.
struct Farewell<'a>(&'a Shared);

impl Drop for Farewell<'_> {
    fn drop(&mut self) {
        self.0.lock().dead = true;
        self.0.consumer.notify_all();
    }
}

/// The thread: fills free buffers in order until it is told to stop.
fn fill(plan: &Plan, shared: &Shared) {
    let _farewell = Farewell(shared);
    let mut order = plan.rows.clone();
    let mut ordered_for = None;
    loop {
        let mut state = shared.lock();
        let mut slot = loop {
            if state.stop {
                return;
            }
            if let Some(slot) = state.free.pop() {
                break slot;
            }
            state.sleeping = true;
            state = shared
                .worker
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.sleeping = false;
        };
        let (epoch, number) = state.next;
        state.next = plan.after(state.next);
        let generation = state.generation;
        drop(state);

        if ordered_for != Some(epoch) {
            order.copy_from_slice(&plan.rows);
            plan.permute(&mut order, epoch);
            ordered_for = Some(epoch);
        }
        plan.gather(&order[plan.rows_of(number)], &mut slot);

        let mut state = shared.lock();
        if state.generation == generation {
            state.ready.push_back(slot);
            shared.consumer.notify_one();
        } else {
            state.free.push(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::table::{Column, TextColumn};

    /// Row `r`: image [r, r + 1, r + 2] mod 256, label r.
    fn table(rows: usize) -> Arc<Table> {
        let image = (0..rows)
            .flat_map(|r| [r as u8, (r + 1) as u8, (r + 2) as u8])
            .collect();
        let label = (0..rows as i32).collect();
        Arc::new(
            Table::new(vec![
                Column::new("image", vec![3], ColumnData::U8(image)).unwrap(),
                Column::new("label", vec![], ColumnData::I32(label)).unwrap(),
            ])
            .unwrap(),
        )
    }

    /// Labels batch by batch; checks each image against its label.
    fn drain(mut epoch: Epoch<'_>) -> Vec<Vec<i32>> {
        let mut all = Vec::new();
        while let Some(batch) = epoch.next_batch() {
            let labels = batch.column(1).i32s().unwrap().to_vec();
            let images = batch.column(0).u8s().unwrap();
            assert_eq!(
                (labels.len(), images.len()),
                (batch.rows(), 3 * batch.rows())
            );
            for (image, &label) in images.chunks(3).zip(&labels) {
                assert_eq!(image, [label as u8, (label + 1) as u8, (label + 2) as u8]);
            }
            all.push(labels);
        }
        all
    }

    fn shuffled(rows: usize, size: usize) -> Batches {
        Batches::new(
            table(rows),
            &[0, 1],
            (0..rows as u32).collect(),
            size,
            Order::Shuffled { seed: 7 },
        )
        .unwrap()
    }

    #[test]
    fn an_epoch_visits_every_row_once_and_ends_with_a_partial_batch() {
        let mut batches = shuffled(1003, 100);
        let epoch = drain(batches.epoch(0));
        assert_eq!(
            epoch.iter().map(Vec::len).collect::<Vec<_>>(),
            [[100; 10].as_slice(), &[3]].concat()
        );
        let mut labels = epoch.concat();
        assert_ne!(labels, (0..1003).collect::<Vec<_>>());
        labels.sort();
        assert_eq!(labels, (0..1003).collect::<Vec<_>>());
    }

    #[test]
    fn epochs_differ_and_repeat_and_can_be_entered_anywhere() {
        let mut batches = shuffled(257, 16);
        let first = drain(batches.epoch(0));
        let second = drain(batches.epoch(1));
        assert_ne!(first, second);
        assert_eq!(drain(batches.epoch(0)), first);
        assert_eq!(drain(batches.epoch_from(1, 5)), second[5..]);
        assert!(drain(batches.epoch_from(1, 17)).is_empty());
        // left in the middle, entered elsewhere
        for start in [3, 0, 16, 1] {
            let mut epoch = batches.epoch_from(0, start);
            assert_eq!(
                epoch.next_batch().unwrap().column(1).i32s().unwrap(),
                first[start]
            );
        }
        assert_eq!(drain(shuffled(257, 16).epoch(1)), second);
        assert_eq!(
            second
                .concat()
                .iter()
                .map(|&l| l as u32)
                .collect::<Vec<_>>(),
            batches.order(1)
        );
    }

    #[test]
    fn buffers_are_aligned_and_reused() {
        let mut batches = shuffled(500, 7);
        let mut epoch = batches.epoch(0);
        let mut addresses = std::collections::BTreeSet::new();
        while let Some(batch) = epoch.next_batch() {
            for i in 0..batch.columns() {
                assert_eq!(batch.column(i).as_ptr() as usize % crate::bytes::ALIGN, 0);
            }
            addresses.insert(batch.column(0).as_ptr() as usize);
        }
        assert!(addresses.len() <= SLOTS, "{addresses:?}");
    }

    #[test]
    fn adjacent_rows_in_sequence_are_borrowed_and_others_gathered() {
        let table = table(50);
        let image = table.columns()[0].as_bytes().unwrap().as_ptr();
        let mut batches = Batches::new(
            table.clone(),
            &[0, 1],
            (10..30).collect(),
            8,
            Order::Sequential,
        )
        .unwrap();
        {
            let mut epoch = batches.epoch(0);
            assert_eq!(
                epoch.next_batch().unwrap().column(0).as_ptr(),
                image.wrapping_add(30)
            );
        }
        assert_eq!(
            drain(batches.epoch(0)).concat(),
            (10..30).collect::<Vec<_>>()
        );
        let rows = vec![4, 2, 49, 2];
        let mut batches = Batches::new(table, &[0, 1], rows, 3, Order::Sequential).unwrap();
        assert_eq!(drain(batches.epoch(3)), [vec![4, 2, 49], vec![2]]);
    }

    #[test]
    fn what_cannot_be_batched_is_refused() {
        let table = table(5);
        let new = |rows: Vec<u32>, size| {
            Batches::new(table.clone(), &[0], rows, size, Order::Sequential).err()
        };
        assert_eq!(new(vec![0], 0).unwrap().code(), "E0931");
        assert_eq!(
            new(vec![], 1).unwrap().to_string(),
            "nothing to batch: no rows are chosen"
        );
        assert_eq!(
            new(vec![1, 5], 1).unwrap().to_string(),
            "row 5 is out of range: the table has 5 rows"
        );
        let texts: TextColumn = ["a"].into_iter().collect();
        let text = Column::new("review", vec![], ColumnData::Text(texts)).unwrap();
        let table = Arc::new(Table::new(vec![text]).unwrap());
        let error = Batches::new(table, &[0], vec![0], 1, Order::Sequential)
            .err()
            .unwrap();
        assert_eq!(
            error.to_string(),
            "column `review` holds text; a batch needs numbers"
        );
    }
}
