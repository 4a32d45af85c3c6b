//! The rows of a field, gathered from its values and their levels.

use super::fields::Field;
use crate::data::error::{DataError, ValuePlace};
use crate::data::formats::decode::Number;
use crate::data::formats::sink::{Refusal, Sink, expected};
use crate::plural::count;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use std::path::Path;

/// Values that are decoded at a time, unless a row has more.
const BATCH: usize = 1 << 13;

/// A value of a leaf.
pub(super) enum Value<'a> {
    Number(Number),
    Bytes(&'a [u8]),
}

/// Why reading stopped.
pub(super) enum Stop {
    Parquet(ParquetError),
    Data(Box<DataError>),
}

/// The rows of a field, gathered from its values and levels.
pub(super) struct ParquetRows<'a> {
    pub path: &'a Path,
    pub field: &'a Field,
    pub shape: &'a [usize],
    /// Values of a row.
    pub each: usize,
    pub sink: &'a mut Sink,
    /// Rows begun.
    pub row: u64,
    /// The last of them is not ended.
    pub open: bool,
    /// Values of the current row.
    pub found: usize,
}

impl ParquetRows<'_> {
    pub(super) fn take<T: DataType>(
        &mut self,
        mut reader: ColumnReaderImpl<T>,
        value: impl Fn(&T::T) -> Value<'_>,
    ) -> Result<(), Stop> {
        let (mut defs, mut reps, mut values) = (Vec::new(), Vec::new(), Vec::new());
        let (max_def, lists) = (self.field.max_def(), self.field.max_rep() > 0);
        let records = (BATCH / self.each.max(1)).max(1);
        loop {
            defs.clear();
            reps.clear();
            values.clear();
            let read = reader.read_records(records, Some(&mut defs), Some(&mut reps), &mut values);
            let (count, _, levels) = read.map_err(Stop::Parquet)?;
            if count == 0 {
                break;
            }
            let mut next = values.iter();
            for i in 0..levels {
                let rep: i16 = reps.get(i).copied().unwrap_or(0);
                if rep == 0 {
                    self.end_row()?;
                    self.open = true;
                    self.row += 1;
                }
                if let Some(&def) = defs.get(i).filter(|&&def| def < max_def) {
                    if !lists && self.sink.nothing() {
                        self.found += 1;
                        continue;
                    }
                    return Err(self.missing(def));
                }
                let Some(x) = next.next() else { break };
                self.put(rep, value(x))?;
            }
        }
        self.end_row()
    }

    fn put(&mut self, rep: i16, x: Value<'_>) -> Result<(), Stop> {
        // where the next list of a depth begins is told by the shape
        let depth = self.field.max_rep();
        if depth > 1 && self.found < self.each {
            let begins = |axis: &usize| {
                let inner: usize = self.shape[*axis..].iter().product();
                self.found.is_multiple_of(inner)
            };
            let level = (0..self.shape.len())
                .find(begins)
                .unwrap_or(self.shape.len());
            if level as i16 != rep {
                return Err(self.refused("lists of different lengths".into()));
            }
        }
        self.found += 1;
        if self.found > self.each {
            return Ok(());
        }
        let taken = match x {
            Value::Number(x) => self.sink.number(x),
            Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => self.sink.text(text),
                Err(_) => {
                    return Err(Stop::Data(Box::new(DataError::NotUtf8 {
                        place: Box::new(self.place()),
                    })));
                }
            },
        };
        taken.map_err(|refusal| Stop::Data(Box::new(refusal.at(self.place()))))
    }

    /// The row that ends must have been whole.
    fn end_row(&mut self) -> Result<(), Stop> {
        let found = std::mem::take(&mut self.found);
        if !std::mem::take(&mut self.open) || found == self.each {
            return Ok(());
        }
        Err(self.refused(format!("a list of {}", count(found, "number"))))
    }

    /// Something is missing, according to the definition level `def`.
    fn missing(&self, def: i16) -> Stop {
        let lists = self.field.max_rep() > 0;
        self.refused(match lists && def + 1 < self.field.max_def() {
            true => "null or an empty list".into(),
            false if lists => "a list that contains null".into(),
            false => "null".into(),
        })
    }

    fn refused(&self, found: String) -> Stop {
        let refusal = Refusal::Kind {
            found,
            expected: match (self.shape, self.field.max_rep()) {
                ([_, ..], 1) => format!("a list of {}", count(self.each, "number")),
                (shape, _) => expected(self.sink.element(), shape),
            },
        };
        Stop::Data(Box::new(refusal.at(self.place())))
    }

    fn place(&self) -> ValuePlace {
        ValuePlace {
            path: self.path.to_owned(),
            line: None,
            row: self.row,
            column: self.field.name.clone(),
        }
    }
}
