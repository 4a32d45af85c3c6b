//! JSON lines: one object per line, fields by name; gzip or not.
//!
//! A column takes a field: a number, a text, or lists of numbers as deep as its shape (or
//! one flat list of as many). `true` and `false` are 1 and 0. Every row must have the
//! field; fields that no column takes are skipped. Ranges and indices go by the order of
//! the first line's fields. Lines are parsed as they stream by: memory is the columns and
//! one line.

use super::csv::ColumnSpec;
use super::sink::Sink;
use super::source::{Source, refuse_utf16};
use crate::data::error::{self, DataError, ValuePlace};
use crate::data::table::Table;
use serde::de::{Deserializer, Visitor};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use values::{Field, Names, Row};

mod values;

/// A longer line is refused.
const MAX_LINE: u64 = 32 << 20;
/// A line of more fields is refused.
const MAX_FIELDS: usize = 1 << 20;

/// Reads the columns asked for.
pub fn read_jsonl(path: &Path, specs: &[ColumnSpec]) -> Result<Table, DataError> {
    let mut lines = Lines::open(path)?;
    if !lines.advance()? {
        return Err(lines.empty());
    }
    let names = lines.names()?;
    let mut row = Row::default();
    let mut columns = specs
        .iter()
        .map(|spec| Column::new(spec, &names, &mut row, &lines))
        .collect::<Result<Vec<_>, _>>()?;
    loop {
        lines.parse(&mut row)?;
        for column in &mut columns {
            column.take(&row, &lines)?;
        }
        if !lines.advance()? {
            break;
        }
    }
    let finished = columns.into_iter().map(|c| c.sink.finish(&c.shape));
    Table::new(finished.collect::<Result<_, _>>()?)
}

/// The names of the first line's fields, in their order.
pub fn jsonl_names(path: &Path) -> Result<Vec<String>, DataError> {
    let mut lines = Lines::open(path)?;
    if lines.advance()? {
        lines.names()
    } else {
        Err(lines.empty())
    }
}

/// A column and the fields that it takes: one, or one a number.
struct Column {
    sink: Sink,
    shape: Vec<usize>,
    fields: Vec<usize>,
}

impl Column {
    fn new(
        spec: &ColumnSpec,
        names: &[String],
        row: &mut Row,
        lines: &Lines,
    ) -> Result<Column, DataError> {
        let places = spec.select.places(lines.path(), names, names.len())?;
        let several = spec.select.is_several();
        let shape = match &spec.shape {
            Some(shape) => shape.clone(),
            None if several => vec![places.len()],
            None => vec![],
        };
        let each: usize = shape.iter().product();
        if several && each != places.len() {
            return Err(DataError::Shape {
                path: lines.path().to_owned(),
                column: spec.name.clone(),
                found: vec![places.len()],
                expected: shape,
            });
        }
        let most = if several { 1 } else { each };
        let fields = places.iter().map(|&at| row.field(&names[at], most));
        Ok(Column {
            sink: Sink::new(&spec.name, spec.element).with_missing(spec.missing),
            fields: fields.collect(),
            shape,
        })
    }

    fn take(&mut self, row: &Row, lines: &Lines) -> Result<(), DataError> {
        let several = self.fields.len() > 1;
        for &field in &self.fields {
            let field = &row.fields[field];
            let shape: &[usize] = if several { &[] } else { &self.shape };
            let taken = field.put(shape, &mut self.sink);
            taken.map_err(|refusal| refusal.at(lines.place(&field.name)))?;
        }
        Ok(())
    }
}

/// The lines that are not blank.
struct Lines {
    source: BufReader<Source>,
    text: Vec<u8>,
    /// From 1, as rows.
    line: u64,
    row: u64,
}

impl Lines {
    fn open(path: &Path) -> Result<Lines, DataError> {
        Ok(Lines {
            source: BufReader::with_capacity(64 << 10, Source::open(path)?),
            text: Vec::new(),
            line: 0,
            row: 0,
        })
    }

    fn path(&self) -> &Path {
        &self.source.get_ref().path
    }

    fn empty(&self) -> DataError {
        DataError::Empty {
            path: self.path().to_owned(),
        }
    }

    fn advance(&mut self) -> Result<bool, DataError> {
        loop {
            self.text.clear();
            let mut limited = (&mut self.source).take(MAX_LINE);
            let read = limited.read_until(b'\n', &mut self.text);
            if let Err(e) = read {
                return Err(self.source.get_ref().fault(&e));
            }
            if self.text.is_empty() {
                return Ok(false);
            }
            self.line += 1;
            if self.text.len() as u64 == MAX_LINE {
                return Err(DataError::FieldTooLong {
                    path: self.path().to_owned(),
                    line: self.line,
                    what: "line",
                    limit: MAX_LINE,
                });
            }
            if self.line == 1 && self.text.starts_with(b"\xef\xbb\xbf") {
                self.text.drain(..3);
            }
            if self.line == 1 {
                refuse_utf16(&self.source.get_ref().path, &self.text)?;
            }
            let end = self.text.trim_ascii_end().len();
            self.text.truncate(end);
            if !self.text.is_empty() {
                self.row += 1;
                return Ok(true);
            }
        }
    }

    /// Has the row's fields hold the line's values.
    fn parse(&self, row: &mut Row) -> Result<(), DataError> {
        row.fields.iter_mut().for_each(Field::clear);
        self.object(row)
    }

    fn names(&self) -> Result<Vec<String>, DataError> {
        let mut names = Vec::new();
        self.object(Names(&mut names))?;
        Ok(names)
    }

    fn object<'de>(&'de self, to: impl Visitor<'de, Value = ()>) -> Result<(), DataError> {
        let mut json = serde_json::Deserializer::from_slice(&self.text);
        let parsed = json.deserialize_map(to).and_then(|()| json.end());
        parsed.map_err(|e| self.fault(&e))
    }

    /// What serde_json says, with the place in the line, which is the whole file to it.
    fn fault(&self, error: &serde_json::Error) -> DataError {
        let text = error.to_string();
        let what = text.split(" at line ").next().unwrap_or_default();
        let what = match what.strip_prefix("invalid type: ") {
            Some(kind) => format!("found {}", kind.replacen("sequence", "a list", 1)),
            None if error.is_data() => what.into(),
            None if error.is_eof() => {
                "not JSON: the line ends too early (each object must be on one line)".into()
            }
            None if std::str::from_utf8(&self.text).is_err() => "not valid UTF-8".into(),
            None if what == "recursion limit exceeded" => "JSON nested too deep".into(),
            None => format!("not JSON: {what}"),
        };
        let near = match error.column() {
            at if at == 0 || error.is_eof() => String::new(),
            at => {
                let rest = self.text.get(at - 1..).unwrap_or_default();
                let rest = String::from_utf8_lossy(&rest[..rest.len().min(80)]);
                format!(", at byte {at} of the line: {}", error::shown(&rest))
            }
        };
        DataError::Syntax {
            path: self.path().to_owned(),
            line: self.line,
            reason: what + &near,
        }
    }

    fn place(&self, column: &str) -> ValuePlace {
        ValuePlace {
            path: self.path().to_owned(),
            line: Some(self.line),
            row: self.row,
            column: column.into(),
        }
    }
}
