//! Tables that are larger than memory: packed files read a few blocks at a time.
//!
//! ```text
//! divide   which rows of a block are of which part
//! window   some blocks in memory, their rows in an epoch's order; batches out of them
//! ```
//!
//! Memory is two windows, whatever the number of rows: what is kept of a block is how many
//! rows of each part lie before it.

mod divide;
mod window;

use crate::data::error::DataError;
use crate::data::packed::{Packed, PackedColumn, column_of};
use crate::data::table::{Column, Table};
use crate::random::site_key;
use divide::Division;
use std::sync::Arc;

pub use window::Windows;

/// Takes a column's rows of a block, and which of them are of the part.
pub type Visit<'a> = dyn FnMut(&Column, &[u32]) -> Result<(), DataError> + 'a;

/// Blocks that are mixed row by row: 32 MiB of rows, as blocks are 512 KiB.
pub const WINDOW: usize = 64;

/// The rows of packed files of the same columns, one after another.
#[derive(Debug)]
pub struct Stream {
    files: Vec<Packed>,
    blocks: Vec<Block>,
    rows: u64,
    /// Says what is in it.
    hash: String,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    file: usize,
    /// In the file.
    number: usize,
    rows: usize,
    /// In the stream.
    first: u64,
}

/// The rows of one part of a stream.
#[derive(Clone, Debug)]
pub struct StreamPart {
    stream: Arc<Stream>,
    division: Arc<Division>,
    part: usize,
}

impl Stream {
    /// A stream of one or more files, each with a hash of its contents.
    pub fn new(files: Vec<(Packed, String)>) -> Stream {
        let hash = files.iter().map(|(_, key)| key.as_str());
        let hash = hash.collect::<Vec<_>>().join(" ");
        let files: Vec<Packed> = files.into_iter().map(|(file, _)| file).collect();
        let mut blocks = Vec::new();
        let mut rows = 0;
        for (file, packed) in files.iter().enumerate() {
            for number in 0..packed.blocks() {
                let block = Block {
                    file,
                    number,
                    rows: packed.rows_of(number),
                    first: rows,
                };
                rows += block.rows as u64;
                blocks.push(block);
            }
        }
        Stream {
            files,
            blocks,
            rows,
            hash,
        }
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    pub fn hash(&self) -> &str {
        &self.hash
    }

    pub fn columns(&self) -> &[PackedColumn] {
        self.files.first().map_or(&[], Packed::columns)
    }

    /// Index of the column called `name`.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.columns().iter().position(|c| c.name == name)
    }

    /// Bytes of a row of a column.
    fn stride(&self, column: usize) -> usize {
        self.files.first().map_or(0, |f| f.stride(column))
    }

    /// Rows of the largest block.
    fn block_rows(&self) -> usize {
        let rows = self.blocks.iter().map(|b| b.rows);
        rows.max().unwrap_or(0)
    }

    /// A column of a block; `to` has just as many bytes as that takes.
    fn segment(&self, block: usize, column: usize, to: &mut [u8]) -> Result<(), DataError> {
        let Block { file, number, .. } = self.blocks[block];
        let file = &self.files[file];
        file.segment(number, column, to).map_err(|e| file.fault(&e))
    }

    /// Parts of so many rows each, which add up to all of them; which row is of which depends
    /// on the seed and on how many rows there are.
    pub fn divided(self: &Arc<Stream>, sizes: &[usize], seed: u64) -> Vec<StreamPart> {
        let key = site_key(seed, "split of a stream");
        let blocks = self.blocks.iter().map(|b| (b.first, b.rows));
        let division = Arc::new(Division::new(blocks, sizes, key));
        (0..sizes.len())
            .map(|part| StreamPart {
                stream: self.clone(),
                division: division.clone(),
                part,
            })
            .collect()
    }
}

impl StreamPart {
    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    pub fn rows(&self) -> usize {
        self.division.rows(self.part) as usize
    }

    /// Says which rows of the stream they are.
    pub fn describe(&self) -> String {
        format!("{} {}", self.division.describe(), self.part)
    }

    /// Goes over a column, some rows at a time, in order: the column's rows of a block, and
    /// which of them are of the part.
    pub fn each(&self, column: usize, f: &mut Visit) -> Result<(), DataError> {
        let mut rows = Vec::new();
        for (number, block) in self.stream.blocks.iter().enumerate() {
            rows.clear();
            self.rows_of(number, |row| rows.push(row));
            if !rows.is_empty() {
                let file = &self.stream.files[block.file];
                f(&file.column(block.number, column)?, &rows)?;
            }
        }
        Ok(())
    }

    /// The first rows, at most `most`, and their numbers in the stream.
    pub fn head(&self, most: usize) -> Result<(Table, Vec<u64>), DataError> {
        let stream = &*self.stream;
        let mut bytes = vec![Vec::new(); stream.columns().len()];
        let mut numbers = Vec::new();
        for (number, block) in stream.blocks.iter().enumerate() {
            let mut rows = Vec::new();
            self.rows_of(number, |row| rows.push(row as usize));
            rows.truncate(most - numbers.len());
            if rows.is_empty() {
                continue;
            }
            for (column, bytes) in bytes.iter_mut().enumerate() {
                let stride = stream.stride(column);
                let mut all = vec![0; stride * block.rows];
                stream.segment(number, column, &mut all)?;
                rows.iter()
                    .for_each(|&row| bytes.extend(&all[row * stride..][..stride]));
            }
            numbers.extend(rows.iter().map(|&row| block.first + row as u64));
            if numbers.len() == most {
                break;
            }
        }
        let columns = stream.columns().iter().zip(&bytes);
        let columns = columns.map(|(spec, bytes)| column_of(spec, bytes));
        let table = Table::new(columns.collect::<Result<_, _>>()?)?;
        Ok((table, numbers))
    }

    /// The number in the stream of the part's row at this place among its rows.
    pub fn number(&self, place: usize) -> u64 {
        let mut left = place;
        for (i, block) in self.stream.blocks.iter().enumerate() {
            let mut rows = Vec::new();
            self.rows_of(i, |row| rows.push(row));
            if let Some(row) = rows.get(left) {
                return block.first + u64::from(*row);
            }
            left -= rows.len();
        }
        0
    }

    /// The part's rows of a block, in order.
    fn rows_of(&self, block: usize, f: impl FnMut(u32)) {
        let Block { first, rows, .. } = self.stream.blocks[block];
        self.division.rows_of(block, first, rows, self.part, f);
    }
}
