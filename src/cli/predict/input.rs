//! The rows to be predicted: a text some rows at a time, arrays whole.

use std::path::Path;

use crate::cli::common::Failure;
use crate::data::csv::{self, CsvBlocks, CsvOptions, Select};
use crate::data::{Column, DataError, Table, npy};
use crate::lower::spec::{ColumnSpec, Missing, Selector};
use crate::train::RunError;
use crate::train::dataset::{csv_columns, element, shaped};

/// Formats, by the end of a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kinds {
    Text,
    Npy,
    Npz,
}

impl Kinds {
    pub fn of(path: &Path) -> Kinds {
        match path.extension().and_then(|e| e.to_str()) {
            Some("npy") => Kinds::Npy,
            Some("npz") => Kinds::Npz,
            _ => Kinds::Text,
        }
    }
}

/// The rows, some at a time where they are text.
pub enum Input {
    Blocks {
        text: Box<CsvBlocks>,
        rows: usize,
        read: bool,
    },
    Whole(Option<Table>),
}

impl Input {
    /// The columns of `specs`; of a text `rows` at a time.
    pub fn open(path: &Path, specs: &[&ColumnSpec], rows: usize) -> Result<Input, Failure> {
        Ok(match Kinds::of(path) {
            Kinds::Text => Input::Blocks {
                text: Box::new(open_text(path, specs)?),
                rows,
                read: false,
            },
            Kinds::Npy => Input::Whole(Some(read_npy(path, specs)?)),
            Kinds::Npz => Input::Whole(Some(read_npz(path, specs)?)),
        })
    }

    /// The next rows; none at the end. There is at least one.
    pub fn next(&mut self) -> Result<Option<Table>, DataError> {
        match self {
            Input::Blocks { text, rows, read } => match text.next(*rows)? {
                None if !*read => Err(text.empty()),
                found => {
                    *read = true;
                    Ok(found)
                }
            },
            Input::Whole(table) => Ok(table.take()),
        }
    }
}

/// An array, in the shape that the model takes.
fn read_npy(path: &Path, specs: &[&ColumnSpec]) -> Result<Table, Failure> {
    let [spec] = specs else {
        return Err(Failure::Usage {
            message: format!(
                "an npy file holds one array, the model takes {}",
                names(specs)
            ),
            help: Some("give a CSV or an npz file".into()),
        });
    };
    let column = npy::read_npy(path, &spec.name, Some(element(spec.kind)))?;
    Ok(Table::new(vec![reshape(path, column, &spec.shape)?])?)
}

/// Arrays by the names of the columns.
fn read_npz(path: &Path, specs: &[&ColumnSpec]) -> Result<Table, Failure> {
    let members: Vec<_> = specs
        .iter()
        .map(|c| (c.name.as_str(), c.name.as_str(), Some(element(c.kind))))
        .collect();
    let table = npy::read_npz(path, &members)?;
    let columns = table
        .into_columns()
        .into_iter()
        .zip(specs)
        .map(|(column, spec)| reshape(path, column, &spec.shape));
    Ok(Table::new(columns.collect::<Result<_, _>>()?)?)
}

/// Rows of as many elements are taken in the shape that the model takes.
fn reshape(path: &Path, column: Column, shape: &[usize]) -> Result<Column, DataError> {
    if column.per_row() == shape.iter().product::<usize>() {
        return column.reshaped(shape.to_vec());
    }
    shaped(path, column, shape)
}

fn open_text(path: &Path, specs: &[&ColumnSpec]) -> Result<CsvBlocks, Failure> {
    let options = CsvOptions::detect();
    let (header, width) = csv::csv_header(path, options)?;
    let header = header.unwrap_or_default();
    let there = |name: &String| header.contains(name);
    let by_name = specs.iter().all(|s| match &s.selector {
        Selector::Name(name) => there(name),
        Selector::Names(first, last) => there(first) && there(last),
        Selector::Index(_) | Selector::Indices(..) => false,
    });
    let fields: usize = specs
        .iter()
        .map(|s| s.shape.iter().product::<usize>())
        .sum();
    let mut columns = csv_columns(specs);
    // a line for each row: none is left out
    for (column, spec) in columns.iter_mut().zip(specs) {
        column.missing = column.missing && spec.missing != Some(Missing::Drop);
    }
    if !by_name && width == fields {
        let mut at = 0;
        for (column, spec) in columns.iter_mut().zip(specs) {
            let count: usize = spec.shape.iter().product();
            column.select = if spec.shape.is_empty() {
                Select::Index(at)
            } else {
                Select::Indices(at, at + count - 1)
            };
            at += count;
        }
    } else if !by_name && width < fields {
        return Err(Failure::from(RunError::Usage {
            what: format!("{} has {width} columns", path.display()),
            reason: format!("the model takes {fields}: {}", names(specs)),
        }));
    }
    Ok(CsvBlocks::open(path, options, &columns)?)
}

/// `sepal_length, petals[3]`
fn names(specs: &[&ColumnSpec]) -> String {
    let shown: Vec<String> = specs
        .iter()
        .map(|s| match &s.shape[..] {
            [] => s.name.clone(),
            shape => format!("{}{shape:?}", s.name),
        })
        .collect();
    shown.join(", ")
}
