//! The compact file that a slow text becomes: rows of fixed width, in blocks.
//!
//! ```text
//! magic              8 bytes
//! block 0            column 0's elements of its rows, column 1's, ...: little-endian, as in memory
//! block 1            ...; every block has as many rows, the last one what is left
//! directory          JSON: rows, rows a block, the columns
//! sums               XXH3-64 of each column of each block
//! directory's place, its length, XXH3-64 of directory and sums, magic: 32 bytes
//! ```
//!
//! How many rows a block has depends on the columns alone ([`BLOCK`]), so that an order
//! made of blocks is the same on every machine. Each read of a column of a block checks its
//! sum; a file that was cut off anywhere lacks its end, and is no packed file.

pub mod cache;
pub mod stream;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::bytes::{Number, bytes_of_mut};
use crate::data::error::DataError;
use crate::data::table::{Column, ColumnData, Storage, Table, TextColumn};

/// Bytes that a block has at most, if it has more than one row.
pub const BLOCK: usize = 512 << 10;

const MAGIC: &[u8; 8] = b"nncrows1";
const TRAILER: usize = 32;

/// A column of a packed file.
#[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
pub struct PackedColumn {
    pub name: String,
    pub storage: Storage,
    /// Shape of one row.
    pub shape: Vec<usize>,
}

#[derive(PartialEq, Debug, serde::Serialize, serde::Deserialize)]
struct Directory {
    rows: u64,
    block_rows: usize,
    columns: Vec<PackedColumn>,
}

/// A packed file, open for reading; several threads may.
#[derive(Debug)]
pub struct Packed {
    path: PathBuf,
    file: Mutex<File>,
    directory: Directory,
    /// Bytes of a row of each column, and of those before it.
    strides: Vec<(usize, usize)>,
    sums: Vec<u64>,
}

/// Why a packed file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it is corrupt")]
    Damaged,
}

impl PackedColumn {
    /// Bytes of a row; none for texts.
    pub fn stride(&self) -> Option<usize> {
        let elements = self
            .shape
            .iter()
            .try_fold(1usize, |n, &d| n.checked_mul(d))?;
        elements.checked_mul(self.storage.size()?)
    }
}

/// Rows of a block for rows of `bytes`.
pub fn block_rows(bytes: usize, block: usize) -> usize {
    (block / bytes.max(1)).max(1)
}

/// Writes blocks as they come; all but the last must be of `block_rows` rows.
pub struct Packer<W> {
    out: W,
    at: u64,
    directory: Directory,
    sums: Vec<u64>,
}

impl<W: Write> Packer<W> {
    pub fn new(mut out: W, columns: Vec<PackedColumn>, block_rows: usize) -> io::Result<Packer<W>> {
        out.write_all(MAGIC)?;
        Ok(Packer {
            out,
            at: MAGIC.len() as u64,
            directory: Directory {
                rows: 0,
                block_rows,
                columns,
            },
            sums: Vec::new(),
        })
    }

    /// A block; its columns are those that were declared.
    pub fn block(&mut self, table: &Table) -> io::Result<()> {
        for column in table.columns() {
            let bytes = column.as_bytes().unwrap_or_default();
            self.sums.push(xxh3_64(bytes));
            self.out.write_all(bytes)?;
            self.at += bytes.len() as u64;
        }
        self.directory.rows += table.rows() as u64;
        Ok(())
    }

    pub fn rows(&self) -> u64 {
        self.directory.rows
    }

    /// Writes what says where everything is; the file is none without it.
    pub fn finish(mut self) -> io::Result<W> {
        let directory = serde_json::to_vec(&self.directory)?;
        let sums: Vec<u8> = self.sums.iter().flat_map(|s| s.to_le_bytes()).collect();
        let mut sum = Xxh3::new();
        sum.update(&directory);
        sum.update(&sums);
        self.out.write_all(&directory)?;
        self.out.write_all(&sums)?;
        self.out.write_all(&self.at.to_le_bytes())?;
        self.out
            .write_all(&(directory.len() as u64).to_le_bytes())?;
        self.out.write_all(&sum.digest().to_le_bytes())?;
        self.out.write_all(MAGIC)?;
        Ok(self.out)
    }
}

impl Packed {
    /// Opens a file that is whole by its length and its directory; what is in the blocks is
    /// checked as they are read.
    pub fn open(path: &Path) -> Result<Packed, Broken> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let trailer_at = length
            .checked_sub(TRAILER as u64)
            .filter(|at| *at >= MAGIC.len() as u64)
            .ok_or(Broken::Damaged)?;
        let mut head = [0; MAGIC.len()];
        file.read_exact(&mut head)?;
        let mut trailer = [0; TRAILER];
        file.seek(SeekFrom::Start(trailer_at))?;
        file.read_exact(&mut trailer)?;
        let word = |i: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&trailer[i * 8..][..8]);
            u64::from_le_bytes(bytes)
        };
        let (at, json, sum) = (word(0), word(1), word(2));
        let tail = trailer_at.checked_sub(at).filter(|tail| json <= *tail);
        let tail = tail.and_then(|t| usize::try_from(t).ok());
        let Some(tail) = tail.filter(|_| head == *MAGIC && trailer[24..] == *MAGIC) else {
            return Err(Broken::Damaged);
        };
        let mut bytes = vec![0; tail];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut bytes)?;
        if xxh3_64(&bytes) != sum {
            return Err(Broken::Damaged);
        }
        let (json, sums) = bytes.split_at(json as usize);
        let directory: Directory = serde_json::from_slice(json).map_err(|_| Broken::Damaged)?;
        let (sums, rest) = sums.as_chunks::<8>();
        let sums: Vec<u64> = sums.iter().map(|s| u64::from_le_bytes(*s)).collect();
        let mut strides = Vec::new();
        let mut before = 0usize;
        for column in &directory.columns {
            let stride = column.stride().filter(|s| *s > 0).ok_or(Broken::Damaged)?;
            strides.push((stride, before));
            before = before.checked_add(stride).ok_or(Broken::Damaged)?;
        }
        let packed = Packed {
            path: path.to_owned(),
            file: Mutex::new(file),
            directory,
            strides,
            sums,
        };
        let body = (packed.directory.rows).checked_mul(before as u64);
        let segments = packed.blocks().checked_mul(packed.strides.len());
        let whole = packed.directory.block_rows > 0
            && rest.is_empty()
            && body.and_then(|b| b.checked_add(MAGIC.len() as u64)) == Some(at)
            && segments == Some(packed.sums.len());
        whole.then_some(packed).ok_or(Broken::Damaged)
    }

    /// Reads everything once: whether it is what was written.
    pub fn verify(&self) -> Result<(), Broken> {
        let most = self.strides.iter().map(|(s, _)| s * self.block_rows());
        let mut buffer = vec![0; most.max().unwrap_or(0)];
        for block in 0..self.blocks() {
            for column in 0..self.strides.len() {
                let bytes = self.strides[column].0 * self.rows_of(block);
                self.segment(block, column, &mut buffer[..bytes])?;
            }
        }
        Ok(())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn rows(&self) -> u64 {
        self.directory.rows
    }

    pub fn columns(&self) -> &[PackedColumn] {
        &self.directory.columns
    }

    /// Bytes of a row of a column.
    pub fn stride(&self, column: usize) -> usize {
        self.strides[column].0
    }

    /// Bytes of a row.
    pub fn row_bytes(&self) -> usize {
        self.strides.last().map_or(0, |(s, before)| s + before)
    }

    pub fn block_rows(&self) -> usize {
        self.directory.block_rows
    }

    pub fn blocks(&self) -> usize {
        (self.directory.rows).div_ceil(self.directory.block_rows.max(1) as u64) as usize
    }

    /// Rows of a block: fewer in the last.
    pub fn rows_of(&self, block: usize) -> usize {
        let first = block as u64 * self.directory.block_rows as u64;
        let left = self.directory.rows.saturating_sub(first);
        left.min(self.directory.block_rows as u64) as usize
    }

    /// Reads a column of a block; `to` has just as many bytes as that takes.
    pub fn segment(&self, block: usize, column: usize, to: &mut [u8]) -> Result<(), Broken> {
        let (_, before) = self.strides[column];
        let first = block as u64 * self.directory.block_rows as u64 * self.row_bytes() as u64;
        let at = MAGIC.len() as u64 + first + (before * self.rows_of(block)) as u64;
        {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(to)?;
        }
        if xxh3_64(to) != self.sums[block * self.strides.len() + column] {
            return Err(Broken::Damaged);
        }
        Ok(())
    }

    /// What a failure of a packed file is to the user.
    pub fn fault(&self, broken: &Broken) -> DataError {
        DataError::Cache {
            path: self.path.clone(),
            reason: broken.to_string(),
        }
    }

    /// A column of a block as a column of a table.
    pub fn column(&self, block: usize, column: usize) -> Result<Column, DataError> {
        self.columns_of(block..block + 1, column)
    }

    /// All of it as a table in memory.
    pub fn table(&self) -> Result<Table, DataError> {
        let all = 0..self.blocks();
        let columns = 0..self.strides.len();
        let columns = columns.map(|column| self.columns_of(all.clone(), column));
        Table::new(columns.collect::<Result<_, _>>()?)
    }

    /// A column's rows of some blocks.
    fn columns_of(&self, blocks: Range<usize>, column: usize) -> Result<Column, DataError> {
        let spec = &self.directory.columns[column];
        let data = match spec.storage {
            Storage::U8 => ColumnData::U8(self.elements(blocks, column)?),
            Storage::U16 => ColumnData::U16(self.elements(blocks, column)?),
            Storage::I32 => ColumnData::I32(self.elements(blocks, column)?),
            Storage::F32 => ColumnData::F32(self.elements(blocks, column)?),
            // a packed file has none: `stride` refuses them
            Storage::Text => ColumnData::Text(TextColumn::default()),
        };
        Column::new(spec.name.clone(), spec.shape.clone(), data)
    }

    fn elements<T: Number>(
        &self,
        blocks: Range<usize>,
        column: usize,
    ) -> Result<Vec<T>, DataError> {
        let bytes = |block| self.rows_of(block) * self.strides[column].0;
        let all: usize = blocks.clone().map(bytes).sum();
        let mut elements = vec![T::default(); all / size_of::<T>()];
        let mut rest = bytes_of_mut(&mut elements);
        for block in blocks {
            let (to, after) = rest.split_at_mut(bytes(block));
            self.segment(block, column, to)
                .map_err(|e| self.fault(&e))?;
            rest = after;
        }
        Ok(elements)
    }
}

/// Elements as they lie in a packed file.
pub fn column_of(spec: &PackedColumn, bytes: &[u8]) -> Result<Column, DataError> {
    fn numbers<T: Number>(bytes: &[u8]) -> Vec<T> {
        let mut numbers = vec![T::default(); bytes.len() / size_of::<T>()];
        bytes_of_mut(&mut numbers).copy_from_slice(bytes);
        numbers
    }
    let data = match spec.storage {
        Storage::U8 => ColumnData::U8(bytes.to_vec()),
        Storage::U16 => ColumnData::U16(numbers(bytes)),
        Storage::I32 => ColumnData::I32(numbers(bytes)),
        Storage::F32 => ColumnData::F32(numbers(bytes)),
        Storage::Text => ColumnData::Text(TextColumn::default()),
    };
    Column::new(spec.name.clone(), spec.shape.clone(), data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<PackedColumn> {
        let column = |name: &str, storage, shape: &[usize]| PackedColumn {
            name: name.into(),
            storage,
            shape: shape.to_vec(),
        };
        vec![
            column("x", Storage::F32, &[3]),
            column("y", Storage::I32, &[]),
            column("p", Storage::U8, &[2, 2]),
        ]
    }

    fn table(rows: std::ops::Range<usize>) -> Table {
        let each = |n: usize| {
            rows.clone()
                .flat_map(move |r| (0..n).map(move |i| r * 10 + i))
        };
        let x = each(3).map(|v| v as f32 / 4.0).collect();
        let y = each(1).map(|v| v as i32).collect();
        let p = each(4).map(|v| v as u8).collect();
        Table::new(vec![
            Column::new("x", vec![3], ColumnData::F32(x)).unwrap(),
            Column::new("y", vec![], ColumnData::I32(y)).unwrap(),
            Column::new("p", vec![2, 2], ColumnData::U8(p)).unwrap(),
        ])
        .unwrap()
    }

    fn packed(rows: usize) -> Vec<u8> {
        let mut packer = Packer::new(Vec::new(), columns(), 4).unwrap();
        for first in (0..rows).step_by(4) {
            packer.block(&table(first..rows.min(first + 4))).unwrap();
        }
        packer.finish().unwrap()
    }

    fn open(bytes: &[u8]) -> (tempfile::TempDir, Result<Packed, Broken>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        std::fs::write(&path, bytes).unwrap();
        let packed = Packed::open(&path);
        (folder, packed)
    }

    #[test]
    fn what_was_packed_is_read_block_by_block() {
        let (_folder, packed) = open(&packed(10));
        let packed = packed.unwrap();
        assert_eq!(
            (packed.rows(), packed.blocks(), packed.rows_of(2)),
            (10, 3, 2)
        );
        assert_eq!((packed.row_bytes(), packed.stride(2)), (20, 4));
        packed.verify().unwrap();
        for block in 0..3 {
            let expected = table(block * 4..10.min(block * 4 + 4));
            for column in 0..3 {
                let found = packed.column(block, column).unwrap();
                assert_eq!(found, expected.columns()[column]);
            }
        }
    }

    #[test]
    fn a_file_that_is_cut_off_or_changed_anywhere_is_told() {
        let whole = packed(10);
        for length in 0..whole.len() {
            assert!(open(&whole[..length]).1.is_err(), "{length} bytes");
        }
        let longer = [&whole[..], &[0]].concat();
        assert!(open(&longer).1.is_err());
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            let (_folder, found) = open(&changed);
            assert!(found.and_then(|p| p.verify()).is_err(), "byte {at}");
        }
    }

    #[test]
    fn blocks_are_of_a_size_that_the_columns_decide() {
        assert_eq!(block_rows(20, 100), 5);
        assert_eq!(block_rows(1000, 100), 1);
        assert_eq!(block_rows(0, 100), 100);
    }
}
