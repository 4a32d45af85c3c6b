//! Windows: some blocks in memory at a time, their rows in an epoch's order.
//!
//! An epoch's blocks are permuted; each window takes the next of them, and mixes the part's
//! rows among them, row by row. The order depends on the seed, the epoch and the blocks alone,
//! and any place of it is found without what comes before. While one window is read from, a
//! thread fills the next.

use super::StreamPart;
use crate::bytes::AlignedBytes;
use crate::data::batch::Order;
use crate::data::error::DataError;
use crate::data::shuffle::shuffle;
use crate::random::site_key;
use std::ops::Range;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Rows of chosen columns of a part, by their place in an epoch.
pub struct Windows {
    plan: Arc<Plan>,
    /// The epoch whose order it is.
    order: Option<Arc<EpochOrder>>,
    current: Option<Window>,
    next: Option<JoinHandle<Result<Window, DataError>>>,
    spare: Option<Window>,
}

struct Plan {
    part: StreamPart,
    columns: Vec<usize>,
    order: Order,
    /// Blocks in a window.
    size: usize,
}

/// The blocks as an epoch visits them.
struct EpochOrder {
    epoch: u64,
    blocks: Vec<u32>,
    /// Places in the epoch at which windows start, and its end.
    starts: Vec<u64>,
}

/// Some blocks.
struct Window {
    epoch: u64,
    number: usize,
    /// A column's rows of all blocks, one block after another.
    data: Vec<AlignedBytes>,
    /// Which of them come in turn.
    rows: Vec<u32>,
}

impl Windows {
    /// `window`: blocks that are mixed at a time.
    pub fn new(part: StreamPart, columns: &[usize], order: Order, window: usize) -> Windows {
        let plan = Plan {
            part,
            columns: columns.to_vec(),
            order,
            size: window.max(1),
        };
        Windows {
            plan: Arc::new(plan),
            order: None,
            current: None,
            next: None,
            spare: None,
        }
    }

    /// Bytes that windows of so many blocks take at most, all columns asked for.
    pub fn bytes(part: &StreamPart, window: usize) -> usize {
        let stream = &part.stream;
        let columns = 0..stream.columns().len();
        let row: usize = columns.map(|c| stream.stride(c)).sum();
        let rows = stream.block_rows() * window.min(stream.blocks.len());
        2 * rows * (row + size_of::<u32>())
    }

    /// Copies the rows at `places` of an epoch's order, a column into each of `to`.
    pub fn fill(
        &mut self,
        epoch: u64,
        places: Range<usize>,
        to: &mut [AlignedBytes],
    ) -> Result<(), DataError> {
        let order = self.order_of(epoch);
        let (first, end) = (places.start as u64, places.end as u64);
        let mut at = first;
        while at < end {
            let number = order.starts.partition_point(|s| *s <= at) - 1;
            self.go_to(&order, number)?;
            let Some(window) = &self.current else { break };
            let start = order.starts[number];
            let until = end.min(order.starts[number + 1]);
            let rows = &window.rows[(at - start) as usize..(until - start) as usize];
            for ((&column, from), to) in self.plan.columns.iter().zip(&window.data).zip(&mut *to) {
                let stride = self.plan.part.stream.stride(column);
                let to = &mut to[(at - first) as usize * stride..];
                for (to, &row) in to.chunks_exact_mut(stride).zip(rows) {
                    to.copy_from_slice(&from[row as usize * stride..][..stride]);
                }
            }
            at = until;
        }
        Ok(())
    }

    fn order_of(&mut self, epoch: u64) -> Arc<EpochOrder> {
        match &self.order {
            Some(order) if order.epoch == epoch => order.clone(),
            _ => {
                let order = Arc::new(self.plan.order_of(epoch));
                self.order = Some(order.clone());
                order
            }
        }
    }

    /// Makes a window the current one, and has the one after it filled meanwhile.
    fn go_to(&mut self, order: &Arc<EpochOrder>, number: usize) -> Result<(), DataError> {
        let here = |w: &Window| (w.epoch, w.number) == (order.epoch, number);
        if self.current.as_ref().is_some_and(here) {
            return Ok(());
        }
        let ready = self.next.take().map(|thread| match thread.join() {
            Ok(filled) => filled,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        let mut spares = [self.current.take(), self.spare.take()]
            .into_iter()
            .flatten();
        let window = match ready {
            Some(Ok(window)) if here(&window) => window,
            // of another place, or what failed may be fine by now
            Some(Ok(window)) => self.plan.filled(order, number, Some(window))?,
            Some(Err(_)) | None => self.plan.filled(order, number, spares.next())?,
        };
        self.current = Some(window);
        let spare = spares.next();
        drop(spares);
        let after = if number + 2 < order.starts.len() {
            Some((order.clone(), number + 1))
        } else {
            None
        };
        match after {
            Some((order, number)) => {
                let plan = self.plan.clone();
                let thread = std::thread::Builder::new()
                    .name("nnc-window".into())
                    .spawn(move || plan.filled(&order, number, spare))
                    .map_err(|e| DataError::io("batches".as_ref(), "start a thread", &e))?;
                self.next = Some(thread);
            }
            None => self.spare = spare,
        }
        Ok(())
    }
}

impl Drop for Windows {
    fn drop(&mut self) {
        if let Some(thread) = self.next.take() {
            // what it read is of no use any more
            let _ = thread.join();
        }
    }
}

impl Plan {
    fn order_of(&self, epoch: u64) -> EpochOrder {
        let division = &self.part.division;
        let count = |b: u32| {
            let (b, part) = (b as usize, self.part.part);
            division.before(b + 1, part) - division.before(b, part)
        };
        let blocks = 0..self.part.stream.blocks.len() as u32;
        // those without a row of the part are not read
        let mut blocks: Vec<u32> = blocks.filter(|b| count(*b) > 0).collect();
        if let Order::Shuffled { seed } = self.order {
            shuffle(&mut blocks, site_key(seed, "shuffle blocks"), epoch);
        }
        let mut starts = vec![0];
        let mut rows = 0;
        for window in blocks.chunks(self.size) {
            rows += window.iter().map(|b| count(*b)).sum::<u64>();
            starts.push(rows);
        }
        EpochOrder {
            epoch,
            blocks,
            starts,
        }
    }

    /// A window read; in the buffers of another, if there is one.
    fn filled(
        &self,
        order: &EpochOrder,
        number: usize,
        spare: Option<Window>,
    ) -> Result<Window, DataError> {
        let stream = &*self.part.stream;
        let mut window = spare.unwrap_or_else(|| {
            let rows = stream.block_rows() * self.size.min(order.blocks.len());
            let buffers = self.columns.iter();
            let buffers = buffers.map(|&c| AlignedBytes::zeroed(rows * stream.stride(c)));
            Window {
                epoch: 0,
                number: 0,
                data: buffers.collect(),
                rows: Vec::new(),
            }
        });
        (window.epoch, window.number) = (order.epoch, number);
        window.rows.clear();
        let blocks = order.blocks.chunks(self.size).nth(number);
        let mut before = 0;
        for &block in blocks.unwrap_or_default() {
            let rows = stream.blocks[block as usize].rows;
            for (&column, data) in self.columns.iter().zip(&mut window.data) {
                let stride = stream.stride(column);
                let to = &mut data[before * stride..][..rows * stride];
                stream.segment(block as usize, column, to)?;
            }
            let chosen = &mut window.rows;
            self.part
                .rows_of(block as usize, |row| chosen.push(before as u32 + row));
            before += rows;
        }
        if let Order::Shuffled { seed } = self.order {
            let key = site_key(seed, "shuffle windows");
            shuffle(&mut window.rows, key, order.epoch << 32 | number as u64);
        }
        Ok(window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::packed::stream::Stream;
    use crate::data::packed::{Packed, PackedColumn, Packer};
    use crate::data::table::{Column, ColumnData, Storage, Table};
    use crate::diag::Code;

    /// Files of so many rows in blocks of five; row r has [r, r + 0.5] and r mod 251.
    fn stream(files: &[usize]) -> (tempfile::TempDir, Arc<Stream>) {
        let folder = tempfile::tempdir().unwrap();
        let column = |name: &str, storage, shape: &[usize]| PackedColumn {
            name: name.into(),
            storage,
            shape: shape.to_vec(),
        };
        let mut packed = Vec::new();
        let mut first = 0;
        for (i, &rows) in files.iter().enumerate() {
            let columns = vec![
                column("x", Storage::F32, &[2]),
                column("y", Storage::U8, &[]),
            ];
            let mut packer = Packer::new(Vec::new(), columns, 5).unwrap();
            for start in (0..rows).step_by(5) {
                let of = first + start..first + rows.min(start + 5);
                let x = of.clone().flat_map(|r| [r as f32, r as f32 + 0.5]);
                let y = of.map(|r| (r % 251) as u8).collect();
                let x = Column::new("x", vec![2], ColumnData::F32(x.collect())).unwrap();
                let y = Column::new("y", vec![], ColumnData::U8(y)).unwrap();
                packer.block(&Table::new(vec![x, y]).unwrap()).unwrap();
            }
            first += rows;
            let path = folder.path().join(i.to_string());
            std::fs::write(&path, packer.finish().unwrap()).unwrap();
            packed.push((Packed::open(&path).unwrap(), i.to_string()));
        }
        (folder, Arc::new(Stream::new(packed)))
    }

    /// The rows at `places` of an epoch, by number.
    fn rows(windows: &mut Windows, epoch: u64, places: Range<usize>) -> Vec<usize> {
        let n = places.len();
        let mut to = [AlignedBytes::zeroed(8 * n), AlignedBytes::zeroed(n)];
        windows.fill(epoch, places, &mut to).unwrap();
        let x: &[f32] = crate::bytes::numbers_of(&to[0]).unwrap();
        let found = x.chunks(2).zip(to[1].iter()).map(|(x, &y)| {
            assert_eq!((x[0] + 0.5, x[0] as usize % 251), (x[1], usize::from(y)));
            x[0] as usize
        });
        found.collect()
    }

    #[test]
    fn every_row_of_a_part_comes_once_an_epoch_and_epochs_differ() {
        let (_folder, stream) = stream(&[503, 20, 1]);
        let parts = stream.divided(&[400, 124], 3);
        let order = Order::Shuffled { seed: 9 };
        let mut seen = Vec::new();
        for part in &parts {
            let n = part.rows();
            let mut windows = Windows::new(part.clone(), &[0, 1], order, 8);
            let first = rows(&mut windows, 0, 0..n);
            let second = rows(&mut windows, 1, 0..n);
            assert_ne!(first, second);
            assert_eq!(rows(&mut windows, 0, 0..n), first);
            // as it is cut makes no difference, nor where it is entered, nor by whom
            let mut other = Windows::new(part.clone(), &[0, 1], order, 8);
            for start in [n - 7, 0, 31, 30] {
                let cut = start..(start + 50).min(n);
                assert_eq!(rows(&mut other, 1, cut.clone()), second[cut]);
            }
            // mixed: neighbours in the file are not neighbours in the epoch
            let near = first.windows(2).filter(|w| w[0].abs_diff(w[1]) < 6).count();
            assert!(near < n / 4, "{near} of {n}");
            let mut sorted = first;
            sorted.sort_unstable();
            let mut second = second;
            second.sort_unstable();
            assert_eq!(sorted, second);
            seen.extend(sorted);
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..524).collect::<Vec<_>>());
    }

    #[test]
    fn sequential_order_is_the_files() {
        let (_folder, stream) = stream(&[33, 4]);
        let part = &stream.divided(&[37], 3)[0];
        let mut windows = Windows::new(part.clone(), &[0, 1], Order::Sequential, 2);
        assert_eq!(rows(&mut windows, 4, 0..37), (0..37).collect::<Vec<_>>());
        assert_eq!(rows(&mut windows, 5, 30..35), [30, 31, 32, 33, 34]);
        let parts = stream.divided(&[20, 17], 3);
        let (table, numbers) = parts[1].head(6).unwrap();
        let mut windows = Windows::new(parts[1].clone(), &[0, 1], Order::Sequential, 2);
        let first = rows(&mut windows, 0, 0..6);
        assert_eq!(
            numbers.iter().map(|n| *n as usize).collect::<Vec<_>>(),
            first
        );
        assert_eq!(table.columns()[1].number(5), Some(first[5] as f64));
    }

    #[test]
    fn a_column_is_gone_over_in_pieces() {
        let (_folder, stream) = stream(&[40]);
        let part = &stream.divided(&[30, 10], 3)[0];
        let mut found = Vec::new();
        part.each(1, &mut |column, rows| {
            let numbers = rows.iter().filter_map(|&r| column.number(r as usize));
            found.extend(numbers.map(|x| x as usize));
            Ok(())
        })
        .unwrap();
        let mut windows = Windows::new(part.clone(), &[0, 1], Order::Sequential, 3);
        assert_eq!(found, rows(&mut windows, 0, 0..30));
    }

    #[test]
    fn what_happens_to_a_file_meanwhile_is_an_error() {
        let (folder, stream) = stream(&[400]);
        let part = &stream.divided(&[400], 3)[0];
        let mut windows = Windows::new(part.clone(), &[0, 1], Order::Sequential, 2);
        let path = folder.path().join("0");
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let mut to = [AlignedBytes::zeroed(3200), AlignedBytes::zeroed(400)];
        let error = windows.fill(0, 0..400, &mut to).unwrap_err();
        assert_eq!(error.code(), Code::E0965);
        bytes[middle] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(rows(&mut windows, 0, 0..400).len(), 400);
    }
}
