//! Parquet files, through the parquet crate: truth values, whole numbers, floats, strings,
//! and lists of numbers, which are columns with a shape.
//!
//! ```text
//! fields   which columns of the file make a column
//! rows     values and levels -> rows
//! pages    what is held against the file before the crate allocates by it
//! thrift   the headers of a file, as far as that needs them
//! ```
//!
//! A list is as deep as the column's shape, or flat and of as many numbers. Dates and times
//! are the whole numbers that the file keeps. Null and lists of another length are refused,
//! by row and column. Compressed by Snappy or gzip, or not at all. Memory is the columns and
//! a page (columns that are made of several fields are there twice for a moment).

use super::csv::ColumnSpec;
use super::decode::Number;
use super::sink::Sink;
use super::source::Source;
use crate::data::error::{self, DataError};
use crate::data::table::{Column, ColumnData, Table};
use ::parquet::basic::Compression;
use ::parquet::column::reader::{ColumnReader, get_column_reader};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::ParquetMetaData;
use ::parquet::file::reader::FileReader;
use ::parquet::file::serialized_reader::SerializedFileReader;
use fields::{Field, Fields};
use pages::Pages;
use rows::{ParquetRows, Stop, Value};
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod fields;
mod pages;
mod rows;
mod thrift;

const MAGIC: &[u8; 4] = b"PAR1";
/// Runs of equal values take next to nothing: a file that is said to hold more than this
/// and more than so many times its size lies.
const LARGE: u128 = 1 << 30;
const MOST: u128 = 10_000;

/// Reads the columns asked for.
pub fn read_parquet(path: &Path, specs: &[ColumnSpec]) -> Result<Table, DataError> {
    let parquet = Parquet::open(path)?;
    let fields = Fields::of(&parquet.path, &parquet.metadata);
    // the crate's decoders assert where pages contradict each other
    let read = catch_unwind(AssertUnwindSafe(|| {
        let columns = specs.iter().map(|spec| parquet.column(&fields, spec));
        Table::new(columns.collect::<Result<_, _>>()?)
    }));
    read.unwrap_or_else(|_| Err(parquet.bad("its pages contradict each other".into())))
}

/// The names of the columns, in their order.
pub fn parquet_names(path: &Path) -> Result<Vec<String>, DataError> {
    let parquet = Parquet::open(path)?;
    Ok(Fields::of(&parquet.path, &parquet.metadata).names())
}

struct Parquet {
    path: PathBuf,
    file: Arc<File>,
    size: u64,
    metadata: ParquetMetaData,
    rows: usize,
}

impl Parquet {
    fn open(path: &Path) -> Result<Parquet, DataError> {
        let source = Source::open(path)?;
        let path = source.path.clone();
        let bad = |reason: String| DataError::BadHeader {
            path: path.clone(),
            reason,
        };
        let file = source.into_file().ok_or_else(|| {
            bad(
                "a Parquet file is already compressed: a gzipped Parquet file is not supported"
                    .into(),
            )
        })?;
        let file = file.into_inner();
        let size = check(&path, &file)?;
        let opened = catch_unwind(AssertUnwindSafe(|| {
            SerializedFileReader::new(file.try_clone()?).map(|r| r.metadata().clone())
        }));
        let metadata = match opened {
            Ok(Ok(metadata)) => metadata,
            Ok(Err(e)) => return Err(bad(format!("its footer is corrupt: {}", said(&e)))),
            Err(_) => return Err(bad("its footer is corrupt".into())),
        };
        let groups = metadata.row_groups().iter().map(|g| g.num_rows());
        let rows = groups.clone().try_fold(0i64, |n, rows| n.checked_add(rows));
        let (Some(rows), true) = (rows, groups.min().is_none_or(|n| n >= 0)) else {
            return Err(bad("its row counts are invalid".into()));
        };
        if rows == 0 {
            return Err(DataError::Empty { path });
        }
        let rows = usize::try_from(rows).map_err(|_| bad("its row counts are invalid".into()))?;
        Ok(Parquet {
            file: Arc::new(file),
            path,
            size,
            metadata,
            rows,
        })
    }

    fn bad(&self, reason: String) -> DataError {
        DataError::BadHeader {
            path: self.path.clone(),
            reason,
        }
    }

    fn column(&self, fields: &Fields, spec: &ColumnSpec) -> Result<Column, DataError> {
        let (chosen, shape) = fields.choose(spec)?;
        if let [field] = chosen[..] {
            let mut sink = Sink::new(&spec.name, spec.element).with_missing(spec.missing);
            self.read(field, &shape, &mut sink)?;
            return sink.finish(&shape);
        }
        let mut parts = Vec::new();
        for field in &chosen {
            let mut sink = Sink::new(&spec.name, spec.element).with_missing(spec.missing);
            self.read(field, &[], &mut sink)?;
            parts.push(sink.finish(&[])?);
        }
        Column::new(&spec.name, shape, side_by_side(&parts))
    }

    /// All of a field's values, in the shape of a row.
    fn read(&self, field: &Field, shape: &[usize], sink: &mut Sink) -> Result<(), DataError> {
        let each: usize = shape.iter().product();
        let depth = usize::try_from(field.max_rep()).unwrap_or(0);
        if depth > 1 && depth != shape.len() {
            return Err(self.bad(format!(
                "column `{}` holds lists nested {depth} deep, which does not match the shape {}",
                field.name,
                error::shape(shape)
            )));
        }
        let declared = self.rows as u128 * each.max(1) as u128 * 4;
        let most = LARGE.max(u128::from(self.size) * MOST);
        if declared > most {
            return Err(DataError::TooLarge {
                path: self.path.clone(),
                declared,
                limit: u64::try_from(most).unwrap_or(u64::MAX),
            });
        }
        let mut rows = ParquetRows {
            path: &self.path,
            field,
            shape,
            each,
            sink,
            row: 0,
            open: false,
            found: 0,
        };
        for (number, group) in self.metadata.row_groups().iter().enumerate() {
            let fault = |what: &str| {
                self.bad(format!(
                    "column `{}`, row group {number}, {what}",
                    field.name
                ))
            };
            let crate_fault = |e: ParquetError| fault(&said(&e));
            let chunk = group
                .columns()
                .get(field.leaf)
                .ok_or_else(|| fault("is missing"))?;
            match chunk.compression() {
                Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_) => {}
                other => {
                    return Err(fault(&format!(
                        "is compressed with {}; expected Snappy, gzip or no compression",
                        other.to_string().split('(').next().unwrap_or_default()
                    )));
                }
            }
            let end = rows.row + group.num_rows() as u64;
            let pages = Pages::open(&self.file, chunk, group.num_rows() as usize);
            let pages = Box::new(pages.map_err(crate_fault)?);
            match get_column_reader(chunk.column_descr_ptr(), pages) {
                ColumnReader::BoolColumnReader(r) => {
                    rows.take(r, |&x| Value::Number(Number::Whole(i64::from(x))))
                }
                ColumnReader::Int32ColumnReader(r) if field.unsigned => {
                    rows.take(r, |&x| Value::Number(Number::Whole(i64::from(x as u32))))
                }
                ColumnReader::Int32ColumnReader(r) => {
                    rows.take(r, |&x| Value::Number(Number::Whole(i64::from(x))))
                }
                ColumnReader::Int64ColumnReader(r) if field.unsigned => rows.take(r, |&x| {
                    let x = x as u64;
                    Value::Number(i64::try_from(x).map_or(Number::Huge(x), Number::Whole))
                }),
                ColumnReader::Int64ColumnReader(r) => {
                    rows.take(r, |&x| Value::Number(Number::Whole(x)))
                }
                ColumnReader::FloatColumnReader(r) => {
                    rows.take(r, |&x| Value::Number(Number::Float(f64::from(x))))
                }
                ColumnReader::DoubleColumnReader(r) => {
                    rows.take(r, |&x| Value::Number(Number::Float(x)))
                }
                ColumnReader::ByteArrayColumnReader(r) => rows.take(r, |x| Value::Bytes(x.data())),
                // `Fields` chooses no such column
                ColumnReader::Int96ColumnReader(_)
                | ColumnReader::FixedLenByteArrayColumnReader(_) => {
                    return Err(fault("holds values of an unknown type"));
                }
            }
            .map_err(|stop| match stop {
                Stop::Parquet(e) => crate_fault(e),
                Stop::Data(e) => *e,
            })?;
            if rows.row != end {
                let before = end - group.num_rows() as u64;
                return Err(fault(&format!(
                    "has {} rows, but the file declares {}",
                    rows.row - before,
                    group.num_rows()
                )));
            }
        }
        Ok(())
    }
}

/// Holds the start, the end and the footer of a file against its size, which it returns.
fn check(path: &Path, mut file: &File) -> Result<u64, DataError> {
    let io = |e: std::io::Error| DataError::io(path, "read the file", &e);
    let bad = |reason: String| DataError::BadHeader {
        path: path.to_owned(),
        reason,
    };
    let size = file.metadata().map_err(io)?.len();
    let mut start = Vec::new();
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    file.take(4).read_to_end(&mut start).map_err(io)?;
    if start.is_empty() {
        return Err(DataError::Empty {
            path: path.to_owned(),
        });
    }
    if start == b"PARE" {
        return Err(bad("it is encrypted, which is not supported".into()));
    }
    if start != MAGIC {
        return Err(DataError::Magic {
            path: path.to_owned(),
            format: "a Parquet file",
            found: start,
            expected: "50 41 52 31",
        });
    }
    let mut tail = [0; 8];
    if size >= 12 {
        file.seek(SeekFrom::End(-8)).map_err(io)?;
        file.read_exact(&mut tail).map_err(io)?;
    }
    if &tail[4..] != MAGIC {
        return Err(bad(
            "it does not end like a Parquet file: it is truncated or was never finished".into(),
        ));
    }
    let length = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    if length > size - 12 {
        return Err(DataError::Truncated {
            path: path.to_owned(),
            part: "footer".into(),
            declared: length,
            found: size - 12,
        });
    }
    let mut footer = Vec::new();
    file.seek(SeekFrom::End(-8 - length as i64)).map_err(io)?;
    file.take(length).read_to_end(&mut footer).map_err(io)?;
    thrift::check_footer(&footer).map_err(|e| match e.kind() {
        ErrorKind::UnexpectedEof => bad("its footer is corrupt: it ends too early".into()),
        _ => bad(format!("its footer is corrupt: {e}")),
    })?;
    Ok(size)
}

/// Columns with one number per row -> one column with a number of each.
fn side_by_side(parts: &[Column]) -> ColumnData {
    fn mixed<T: Copy>(parts: &[Column], of: impl Fn(&ColumnData) -> Option<&Vec<T>>) -> Vec<T> {
        let parts: Vec<&Vec<T>> = parts.iter().filter_map(|c| of(c.data())).collect();
        let rows = parts.first().map_or(0, |p| p.len());
        (0..rows)
            .flat_map(|row| parts.iter().map(move |p| p[row]))
            .collect()
    }
    match parts.first().map(Column::data) {
        Some(ColumnData::U8(_)) => ColumnData::U8(mixed(parts, |d| match d {
            ColumnData::U8(v) => Some(v),
            _ => None,
        })),
        Some(ColumnData::I32(_)) => ColumnData::I32(mixed(parts, |d| match d {
            ColumnData::I32(v) => Some(v),
            _ => None,
        })),
        _ => ColumnData::F32(mixed(parts, |d| match d {
            ColumnData::F32(v) => Some(v),
            _ => None,
        })),
    }
}

/// The crate's words without what kind of error it takes them for.
fn said(error: &ParquetError) -> String {
    match error {
        ParquetError::General(text) | ParquetError::NYI(text) | ParquetError::EOF(text) => {
            text.clone()
        }
        ParquetError::External(error) => error.to_string(),
        other => other.to_string(),
    }
}
