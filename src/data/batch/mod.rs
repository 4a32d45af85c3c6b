//! Batches: rows gathered ahead of time by background threads.
//!
//! ```text
//! gather   rows of a table in memory into buffers, augmented where that is asked for
//! (../stream  rows of a table that is larger than memory)
//! ring     buffers that go round between workers, which fill them, and the trainer
//! ```
//!
//! What a batch holds depends on the seed, the epoch and the batch's number
//! only, not on the number of workers: each epoch is a fresh permutation of the chosen rows,
//! and what is drawn for a row depends on the row and the epoch, so that
//! [`Batches::epoch_from`] resumes anywhere. Sequential order over adjacent rows that are
//! taken as they are copies nothing: its batches borrow from the table, and no thread is
//! started. Sparse rows are written out into the buffers.

mod gather;
mod ring;

use std::sync::Arc;
use std::time::Duration;

use super::augment::Augment;
use super::error::DataError;
use super::packed::stream::{StreamPart, Windows};
use super::table::{Storage, Table};
use crate::bytes::{AlignedBytes, Number, numbers_of};
use gather::{Gather, Plan};
use ring::Ring;

/// Buffers in the ring beside those that are being filled: one with the consumer, one ready.
const SPARE: usize = 2;

/// In what order an epoch visits the rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// A permutation of its own for each epoch.
    Shuffled { seed: u64 },
    /// As they are listed.
    Sequential,
}

/// A column as batches hold it.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The index in the table.
    pub column: usize,
    /// What is done to each of its rows, differently in each epoch.
    pub augment: Option<Arc<Augment>>,
}

/// Epoch, and batch in it.
type Position = (u64, usize);

/// Buffers for one batch, one a column.
type Slot = Vec<AlignedBytes>;

/// Fills the buffers of batches; each worker has one of its own.
trait Filler: Send {
    /// Batch `number` of `epoch`; the buffers have room for a full one.
    fn fill(&mut self, at: Position, slot: &mut Slot) -> Result<(), DataError>;
}

/// What batches hold, and how many rows make one.
struct Layout {
    columns: Vec<Held>,
    /// In an epoch.
    rows: usize,
    /// Rows of a full batch.
    size: usize,
}

/// A column as the buffers hold it.
pub struct Held {
    /// Index in the table.
    index: usize,
    pub augment: Option<Arc<Augment>>,
    pub storage: Storage,
    /// Shape of one row.
    pub shape: Vec<usize>,
    /// Bytes of a row.
    pub stride: usize,
}

/// Chosen rows of chosen columns of a table, in batches.
pub struct Batches {
    rows: RowSource,
    /// None if the batches are borrowed from the table.
    ring: Option<Ring>,
}

/// Where the rows are.
enum RowSource {
    Table(Arc<Plan>),
    Stream(Arc<Layout>),
}

/// Fills batches out of windows of a stream.
struct Streamed {
    layout: Arc<Layout>,
    windows: Windows,
}

/// One pass, or the rest of one, over the rows.
pub struct Epoch<'a> {
    batches: &'a mut Batches,
    epoch: u64,
    next: usize,
}

/// Some rows; its buffers go back into the ring when it is dropped.
pub struct Batch<'a> {
    layout: &'a Layout,
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

/// What batches have cost since they were made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Costs {
    /// How long the consumer waited for one.
    pub waited: Duration,
    /// Time of the workers, all together, in which rows were augmented.
    pub augmenting: Duration,
}

impl Costs {
    /// What came after `before`.
    pub fn since(self, before: Costs) -> Costs {
        Costs {
            waited: self.waited.saturating_sub(before.waited),
            augmenting: self.augmenting.saturating_sub(before.augmenting),
        }
    }
}

enum Source<'a> {
    /// Rows of the table from this one on.
    Table { plan: &'a Plan, first: usize },
    /// The slot is there until the batch is dropped.
    Ring { slot: Option<Slot>, ring: &'a Ring },
}

/// Sets of buffers that so many workers and a consumer need.
pub fn slots(workers: usize) -> usize {
    workers + SPARE
}

impl Taken {
    pub fn plain(column: usize) -> Taken {
        Taken {
            column,
            augment: None,
        }
    }
}

impl Batches {
    /// Columns unchanged; `size` rows per batch, the last one shorter if they do not divide
    /// evenly. `columns` are indices in the table; texts cannot be batched.
    pub fn new(
        table: Arc<Table>,
        columns: &[usize],
        rows: Vec<u32>,
        size: usize,
        order: Order,
    ) -> Result<Batches, DataError> {
        let columns: Vec<Taken> = columns.iter().map(|&c| Taken::plain(c)).collect();
        Batches::prepared(table, &columns, rows, size, order, 1)
    }

    /// Columns that may be augmented, made ready by so many `workers`.
    pub fn prepared(
        table: Arc<Table>,
        columns: &[Taken],
        rows: Vec<u32>,
        size: usize,
        order: Order,
        workers: usize,
    ) -> Result<Batches, DataError> {
        let plan = Arc::new(Plan::new(table, columns, rows, size, order)?);
        let ring = (!plan.is_borrowed()).then(|| {
            let fillers = (0..workers.max(1)).map(|_| Box::new(Gather::new(&plan)) as _);
            Ring::start(fillers.collect(), &plan.layout)
        });
        let ring = ring.transpose()?;
        let rows = RowSource::Table(plan);
        Ok(Batches { rows, ring })
    }

    /// Columns of a stream, some blocks of which are mixed at a time.
    pub fn streamed(
        part: &StreamPart,
        columns: &[usize],
        size: usize,
        order: Order,
        window: usize,
    ) -> Result<Batches, DataError> {
        let held = columns.iter().map(|&i| {
            let column = &part.stream().columns()[i];
            Held {
                index: i,
                augment: None,
                storage: column.storage,
                shape: column.shape.clone(),
                stride: column.stride().unwrap_or_default(),
            }
        });
        let layout = Arc::new(Layout::new(held.collect(), part.rows(), size)?);
        let filler = Streamed {
            layout: layout.clone(),
            windows: Windows::new(part.clone(), columns, order, window),
        };
        let ring = Some(Ring::start(vec![Box::new(filler)], &layout)?);
        let rows = RowSource::Stream(layout);
        Ok(Batches { rows, ring })
    }

    fn layout(&self) -> &Layout {
        match &self.rows {
            RowSource::Table(plan) => &plan.layout,
            RowSource::Stream(layout) => layout,
        }
    }

    /// Batches in an epoch.
    pub fn len(&self) -> usize {
        self.layout().batches()
    }

    /// False: there is at least one row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows in an epoch.
    pub fn rows(&self) -> usize {
        self.layout().rows
    }

    /// Rows of a full batch.
    pub fn size(&self) -> usize {
        self.layout().size
    }

    /// Whether a column is augmented.
    pub fn augments(&self) -> bool {
        self.layout().columns.iter().any(|c| c.augment.is_some())
    }

    /// What they have cost so far.
    pub fn costs(&self) -> Costs {
        Costs {
            waited: self.ring.as_ref().map_or(Duration::ZERO, Ring::waited),
            augmenting: match &self.rows {
                RowSource::Table(plan) => plan.augmenting(),
                RowSource::Stream(_) => Duration::ZERO,
            },
        }
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
    /// The next batch, none at the end; the one before must have been dropped.
    pub fn next_batch(&mut self) -> Result<Option<Batch<'_>>, DataError> {
        let layout = self.batches.layout();
        let number = self.next;
        let places = layout.places_of(number);
        if places.is_empty() {
            return Ok(None);
        }
        let source = match (&self.batches.ring, &self.batches.rows) {
            (Some(ring), _) => Source::Ring {
                slot: Some(ring.take((self.epoch, number))?),
                ring,
            },
            (None, RowSource::Table(plan)) => Source::Table {
                plan,
                first: plan.rows[places.start] as usize,
            },
            // a stream has a ring
            (None, RowSource::Stream(_)) => return Ok(None),
        };
        self.next += 1;
        Ok(Some(Batch {
            layout,
            number,
            rows: places.len(),
            source,
        }))
    }
}

impl Layout {
    fn new(columns: Vec<Held>, rows: usize, size: usize) -> Result<Layout, DataError> {
        if size == 0 {
            return Err(DataError::BatchSize);
        }
        if rows == 0 {
            return Err(DataError::NoRows { doing: "batch" });
        }
        Ok(Layout {
            columns,
            rows,
            size: size.min(rows),
        })
    }

    fn batches(&self) -> usize {
        self.rows.div_ceil(self.size)
    }

    /// Which places of an epoch's order make up a batch; none past the end.
    fn places_of(&self, number: usize) -> std::ops::Range<usize> {
        let start = number.saturating_mul(self.size).min(self.rows);
        start..(start + self.size).min(self.rows)
    }

    /// Buffers for a full batch.
    fn slot(&self) -> Slot {
        let buffers = self.columns.iter();
        buffers
            .map(|c| AlignedBytes::zeroed(c.stride * self.size))
            .collect()
    }
}

impl Filler for Streamed {
    fn fill(&mut self, (epoch, number): Position, slot: &mut Slot) -> Result<(), DataError> {
        let places = self.layout.places_of(number);
        self.windows.fill(epoch, places, slot)
    }
}

impl Batch<'_> {
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The batch's place in the epoch, from 0.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Columns, in the order in which they were asked for.
    pub fn columns(&self) -> usize {
        self.layout.columns.len()
    }

    /// Column `i` of those asked for.
    pub fn column(&self, i: usize) -> BatchColumn<'_> {
        let taken = &self.layout.columns[i];
        let bytes = match &self.source {
            Source::Table { plan, first } => {
                let all = plan.column(taken).as_bytes().unwrap_or_default();
                &all[first * taken.stride..(first + self.rows) * taken.stride]
            }
            Source::Ring { slot, .. } => slot
                .as_ref()
                .map_or(&[][..], |s| &s[i][..self.rows * taken.stride]),
        };
        BatchColumn {
            storage: taken.storage,
            shape: &taken.shape,
            bytes,
        }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        if let Source::Ring { slot, ring } = &mut self.source
            && let Some(slot) = slot.take()
        {
            ring.give(slot);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::table::{Column, ColumnData, TextColumn};
    use crate::diag::Code;

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
        while let Some(batch) = epoch.next_batch().unwrap() {
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
                epoch
                    .next_batch()
                    .unwrap()
                    .unwrap()
                    .column(1)
                    .i32s()
                    .unwrap(),
                first[start]
            );
        }
        assert_eq!(drain(shuffled(257, 16).epoch(1)), second);
    }

    #[test]
    fn buffers_are_aligned_and_reused() {
        let mut batches = shuffled(500, 7);
        let mut epoch = batches.epoch(0);
        let mut addresses = std::collections::BTreeSet::new();
        while let Some(batch) = epoch.next_batch().unwrap() {
            for i in 0..batch.columns() {
                assert_eq!(batch.column(i).as_ptr() as usize % crate::bytes::ALIGN, 0);
            }
            addresses.insert(batch.column(0).as_ptr() as usize);
        }
        assert!(addresses.len() <= slots(1), "{addresses:?}");
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
                epoch.next_batch().unwrap().unwrap().column(0).as_ptr(),
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
        assert_eq!(new(vec![0], 0).unwrap().code(), Code::E0931);
        assert_eq!(
            new(vec![], 1).unwrap().to_string(),
            "nothing to batch: no rows are selected"
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
            "column `review` holds text, but a batch needs numbers"
        );
    }
}
