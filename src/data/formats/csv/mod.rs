//! CSV and TSV: text tables, quoted as in RFC 4180, gzip or not.
//!
//! Columns are chosen by header name, by index from 0, or by an inclusive range
//! of either, which makes one column of shape `[n]`. Numbers may have spaces
//! around them; a number that is not finite, an empty field and a row of another
//! length than the first are refused, naming the place. Rows are parsed as they
//! stream by: memory is the columns and one row.

use crate::data::error::DataError;
use crate::data::table::{ElementType, Storage, Table};
use rows::CsvRows;
use sink::Sink;
use std::path::Path;

mod rows;
mod select;
mod sink;
mod write;

pub use select::Select;
pub use write::{write_csv, write_tables, write_to};

/// How a text table is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CsvOptions {
    /// None: a tab in a `.tsv` file (`.tsv.gz` too), a comma in others.
    pub delimiter: Option<u8>,
    pub header: HeaderLine,
    /// Whether a quote at the start of a field opens one; else it is a character as any other.
    pub quote: bool,
}

/// Whether the first line names the columns.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum HeaderLine {
    Present,
    Absent,
    /// It is a header if none of its fields is a number.
    #[default]
    Detect,
}

/// A column to be read.
#[derive(Clone, PartialEq, Debug)]
pub struct ColumnSpec {
    /// What it is called in the table.
    pub name: String,
    pub select: Select,
    pub element: ElementType,
    /// Shape of one row; none: `[]` for one field, `[n]` for a range.
    pub shape: Option<Vec<usize>>,
    /// A field may hold nothing: it is marked as missing.
    pub missing: bool,
}

impl CsvOptions {
    pub fn detect() -> CsvOptions {
        CsvOptions {
            delimiter: None,
            header: HeaderLine::Detect,
            quote: true,
        }
    }

    fn delimiter(&self, path: &Path) -> u8 {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        let tabs = name.trim_end_matches(".gz").ends_with(".tsv");
        self.delimiter.unwrap_or(if tabs { b'\t' } else { b',' })
    }
}

/// Reads the columns asked for.
pub fn read_csv(
    path: &Path,
    options: CsvOptions,
    specs: &[ColumnSpec],
) -> Result<Table, DataError> {
    let mut blocks = CsvBlocks::open(path, options, specs)?;
    match blocks.next(usize::MAX)? {
        Some(table) => Ok(table),
        None => Err(blocks.empty()),
    }
}

/// A file's rows, some at a time: memory is a block's columns and one row.
pub struct CsvBlocks {
    rows: CsvRows,
    sinks: Vec<Sink>,
}

impl CsvBlocks {
    pub fn open(
        path: &Path,
        options: CsvOptions,
        specs: &[ColumnSpec],
    ) -> Result<CsvBlocks, DataError> {
        let rows = CsvRows::open(path, options)?;
        let sinks = specs
            .iter()
            .map(|spec| Sink::new(spec, &rows))
            .collect::<Result<_, _>>()?;
        Ok(CsvBlocks { rows, sinks })
    }

    /// The next `most` rows, or what is left of them; none at the end.
    pub fn next(&mut self, most: usize) -> Result<Option<Table>, DataError> {
        let mut taken = 0;
        while taken < most && self.rows.advance()? {
            for sink in &mut self.sinks {
                sink.take(&self.rows)?;
            }
            taken += 1;
        }
        if taken == 0 {
            return Ok(None);
        }
        let columns = self.sinks.iter_mut().map(Sink::column);
        Table::new(columns.collect::<Result<_, _>>()?).map(Some)
    }

    /// What is to be said of a file without rows.
    pub fn empty(&self) -> DataError {
        DataError::Empty {
            path: self.rows.path().to_owned(),
        }
    }

    /// Name, storage and shape of each column.
    pub fn layout(&self) -> impl Iterator<Item = (&str, Storage, &[usize])> {
        let sinks = self.sinks.iter();
        sinks.map(Sink::layout)
    }

    /// Bytes of text in all, where they are not compressed.
    pub fn exact_size(&self) -> Option<u64> {
        self.rows.size()
    }

    /// Bytes of text read so far.
    pub fn bytes_read(&self) -> u64 {
        self.rows.read_so_far()
    }
}

/// The names in the header line, if there is one, and the number of columns.
pub fn csv_header(
    path: &Path,
    options: CsvOptions,
) -> Result<(Option<Vec<String>>, usize), DataError> {
    let rows = CsvRows::open(path, options)?;
    Ok((rows.names, rows.width))
}
