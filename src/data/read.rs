//! Files of any kind, told apart by their names.
//!
//! ```text
//! .csv .tsv          columns by name, index or range
//! .npz               columns by name: its members
//! .npy, IDX          one array: a column that takes all of it
//! ```
//!
//! `.gz` may follow, but after `.npz`. MNIST's files (`train-images-idx3-ubyte`) are IDX, as is `.idx`.

use super::csv::{ColumnSpec, CsvOptions, Select, read_csv, write_csv};
use super::error::DataError;
use super::idx::read_idx;
use super::npy::{read_npy, read_npz, write_npy};
use super::table::{Column, Table};
use std::path::Path;

/// Kinds of data files.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Format {
    Csv,
    Idx,
    Npy,
    Npz,
}

impl Format {
    /// What a file's name says.
    pub fn of(path: &Path) -> Result<Format, DataError> {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        let ends = |suffixes: &[&str]| suffixes.iter().any(|s| name.ends_with(s));
        if ends(&[".csv", ".tsv"]) {
            Ok(Format::Csv)
        } else if ends(&[".npy"]) {
            Ok(Format::Npy)
        } else if ends(&[".npz"]) {
            Ok(Format::Npz)
        } else if ends(&[".idx", "-ubyte"]) || name.contains("-idx") {
            Ok(Format::Idx)
        } else {
            Err(DataError::UnknownFormat {
                path: path.to_owned(),
            })
        }
    }
}

/// Reads the columns asked for, of a file of `format`; `options` matter to CSV alone.
pub fn read(
    path: &Path,
    format: Format,
    options: CsvOptions,
    specs: &[ColumnSpec],
) -> Result<Table, DataError> {
    match format {
        Format::Csv => read_csv(path, options, specs),
        Format::Npz => {
            let members = specs
                .iter()
                .map(|spec| match &spec.select {
                    Select::Name(member) => {
                        Ok((member.as_str(), spec.name.as_str(), Some(spec.element)))
                    }
                    other => Err(refused(path, "an npz file", other, "by name")),
                })
                .collect::<Result<Vec<_>, _>>()?;
            shaped(read_npz(path, &members)?.into_columns(), path, specs)
        }
        Format::Npy | Format::Idx => {
            let columns = specs
                .iter()
                .map(|spec| match (&spec.select, format) {
                    (Select::All, Format::Npy) => read_npy(path, &spec.name, Some(spec.element)),
                    (Select::All, _) => read_idx(path, &spec.name, Some(spec.element)),
                    (other, _) => Err(refused(path, "a file of one array", other, "as a whole")),
                })
                .collect::<Result<Vec<_>, _>>()?;
            shaped(columns, path, specs)
        }
    }
}

/// Writes a table as the name says: CSV or TSV; npy if it has one column of numbers.
pub fn write(path: &Path, table: &Table) -> Result<(), DataError> {
    match (Format::of(path)?, table.columns()) {
        (Format::Csv, _) => write_csv(path, table),
        (Format::Npy, [column]) => write_npy(path, column),
        (format, columns) => Err(DataError::BadHeader {
            path: path.to_owned(),
            reason: match format {
                Format::Npy => format!(
                    "an npy file holds one column, but there are {}: write CSV",
                    columns.len()
                ),
                _ => "only CSV, TSV and npy files are written".into(),
            },
        }),
    }
}

/// Gives each column the shape asked for.
fn shaped(columns: Vec<Column>, path: &Path, specs: &[ColumnSpec]) -> Result<Table, DataError> {
    let columns = columns
        .into_iter()
        .zip(specs)
        .map(|(column, spec)| match &spec.shape {
            None => Ok(column),
            Some(shape) => column.reshaped(shape.clone()).map_err(|e| e.in_file(path)),
        });
    Table::new(columns.collect::<Result<_, _>>()?)
}

fn refused(path: &Path, what: &str, select: &Select, how: &str) -> DataError {
    let asked = match select {
        Select::Name(name) => format!("column `{name}`"),
        Select::Index(i) => format!("column {i}"),
        Select::Names(a, b) => format!("columns `{a}` .. `{b}`"),
        Select::Indices(a, b) => format!("columns {a} .. {b}"),
        Select::All => "everything".into(),
    };
    DataError::BadHeader {
        path: path.to_owned(),
        reason: format!("{asked} was asked for, but {what} is read {how}"),
    }
}
