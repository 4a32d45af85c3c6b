//! The rows to be predicted: a text some rows at a time, others whole; or the files of a
//! folder, such as the model was trained on.

use std::path::Path;

use crate::cli::common::{Common, Failure};
use crate::cli::{console, warnings};
use crate::data::formats::csv::{self, CsvBlocks, CsvOptions, HeaderLine, Select};
use crate::data::formats::folder::Folder;
use crate::data::formats::images::{self, ImageOptions, read_images};
use crate::data::formats::{jsonl, npy, parquet, texts, wav};
use crate::data::{Column, ColumnData, DataError, Table};
use crate::diag::Code;
use crate::plural::count;
use crate::spec::{ColumnSpec, Format, Missing, Selector, SourceSpec};
use crate::train::RunError;
use crate::train::dataset::{csv_columns, element, shaped};

/// Formats, by the end of a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kinds {
    Text,
    Jsonl,
    Parquet,
    Npy,
    Npz,
}

impl Kinds {
    pub(super) fn of(path: &Path) -> Kinds {
        let plain = path.with_extension("");
        let path = match path.extension() {
            Some(ending) if ending == "gz" => &plain,
            _ => path,
        };
        match path.extension().and_then(|e| e.to_str()) {
            Some("jsonl" | "ndjson") => Kinds::Jsonl,
            Some("parquet") => Kinds::Parquet,
            Some("npy") => Kinds::Npy,
            Some("npz") => Kinds::Npz,
            _ => Kinds::Text,
        }
    }
}

/// The rows, some at a time where they are text.
pub(super) enum Input {
    Blocks {
        text: Box<CsvBlocks>,
        rows: usize,
        read: bool,
    },
    Whole(Option<Table>),
    Files {
        table: Option<Table>,
        paths: Vec<String>,
    },
}

impl Input {
    /// The columns of `specs`; of a text `rows` at a time, of a folder as `sources` are read.
    pub(super) fn open(
        path: &Path,
        specs: &[&ColumnSpec],
        rows: usize,
        sources: &[SourceSpec],
        common: &Common,
    ) -> Result<Input, Failure> {
        if path.is_dir() {
            return read_folder(path, specs, sources);
        }
        Ok(match Kinds::of(path) {
            Kinds::Text => Input::Blocks {
                text: Box::new(open_text(path, specs, sources, common)?),
                rows,
                read: false,
            },
            Kinds::Jsonl => Input::Whole(Some(jsonl::read_jsonl(path, &asked(specs))?)),
            Kinds::Parquet => Input::Whole(Some(parquet::read_parquet(path, &asked(specs))?)),
            Kinds::Npy => Input::Whole(Some(read_npy(path, specs)?)),
            Kinds::Npz => Input::Whole(Some(read_npz(path, specs)?)),
        })
    }

    /// The next rows; none at the end. There is at least one.
    pub(super) fn next(&mut self) -> Result<Option<Table>, DataError> {
        match self {
            Input::Blocks { text, rows, read } => match text.next(*rows)? {
                None if !*read => Err(text.empty()),
                found => {
                    *read = true;
                    Ok(found)
                }
            },
            Input::Whole(table) | Input::Files { table, .. } => Ok(table.take()),
        }
    }

    /// The column `path`, of files.
    pub(super) fn paths(&self) -> Result<Option<Column>, DataError> {
        let Input::Files { paths, .. } = self else {
            return Ok(None);
        };
        let paths = paths.iter().map(String::as_str).collect();
        Column::new("path", vec![], ColumnData::Text(paths)).map(Some)
    }
}

/// All files of a folder, whatever folders in it they are in.
fn read_folder(
    path: &Path,
    specs: &[&ColumnSpec],
    sources: &[SourceSpec],
) -> Result<Input, Failure> {
    let columns = asked(specs);
    for source in sources {
        let (folder, table) = match &source.format {
            Format::Texts { .. } => {
                let folder = Folder::of_files(path, texts::ENDINGS)?;
                let table = texts::read_texts(&folder, &columns)?;
                (folder, table)
            }
            Format::Wavs { rate, .. } => {
                let folder = Folder::of_files(path, wav::ENDINGS)?;
                let table = wav::read_wavs(&folder, *rate, &columns)?;
                (folder, table)
            }
            Format::Images {
                size,
                interpolation,
                ..
            } => {
                let folder = Folder::of_files(path, images::ENDINGS)?;
                let options = ImageOptions {
                    size: *size,
                    interpolation: *interpolation,
                    threads: std::thread::available_parallelism().map_or(1, usize::from),
                };
                let table = read_images(&folder, options, &columns)?;
                (folder, table)
            }
            // of one file, or fetched
            Format::Csv { .. }
            | Format::Idx { .. }
            | Format::Npy { .. }
            | Format::Npz { .. }
            | Format::Fetched { .. }
            | Format::Jsonl { .. }
            | Format::Parquet { .. } => continue,
        };
        return Ok(Input::Files {
            table: Some(table),
            paths: folder.files.into_iter().map(|file| file.path).collect(),
        });
    }
    Err(Failure::Usage {
        message: format!(
            "{} is a folder, but the model does not read its rows from files in a folder",
            path.display()
        ),
        help: Some(format!("pass a file with the columns {}", names(specs))),
    })
}

/// How readers are asked for `specs`: a row is predicted for each, so none is left out.
fn asked(specs: &[&ColumnSpec]) -> Vec<csv::ColumnSpec> {
    let mut columns = csv_columns(specs);
    for (column, spec) in columns.iter_mut().zip(specs) {
        column.missing = column.missing && spec.missing != Some(Missing::Drop);
    }
    columns
}

/// An array, in the shape that the model takes.
fn read_npy(path: &Path, specs: &[&ColumnSpec]) -> Result<Table, Failure> {
    let [spec] = specs else {
        return Err(Failure::Usage {
            message: format!(
                "an npy file holds one array, but the model takes {}",
                names(specs)
            ),
            help: Some("pass a CSV or npz file".into()),
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

/// By name where the file has any of the names; by place where it has none of them, but just
/// the fields that the model takes.
fn open_text(
    path: &Path,
    specs: &[&ColumnSpec],
    sources: &[SourceSpec],
    common: &Common,
) -> Result<CsvBlocks, Failure> {
    let mut options = CsvOptions::detect();
    options.quote = !(sources.iter()).any(|s| matches!(s.format, Format::Csv { quote: false, .. }));
    let (first, width) = csv::csv_header(
        path,
        CsvOptions {
            header: HeaderLine::Present,
            ..options
        },
    )?;
    let first = first.unwrap_or_default();
    let named: Vec<&String> = specs.iter().flat_map(|s| wanted(s)).collect();
    let by_name = !named.is_empty() && named.iter().any(|name| fits(name, &first));
    if by_name {
        // names of digits are names too
        options.header = HeaderLine::Present;
    }
    let fields: usize = specs
        .iter()
        .map(|s| s.shape.iter().product::<usize>())
        .sum();
    let mut columns = asked(specs);
    if !by_name && width == fields {
        let (header, _) = csv::csv_header(path, options)?;
        if let (Some(header), false) = (header, named.is_empty()) {
            warn_of_places(path, &header, &named);
            warnings::deny(common, 1)?;
        }
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
            what: format!("{} has {}", path.display(), count(width, "column")),
            reason: format!("the model takes {fields}: {}", names(specs)),
        }));
    }
    Ok(CsvBlocks::open(path, options, &columns)?)
}

/// The names that a column is found by.
fn wanted(spec: &ColumnSpec) -> Vec<&String> {
    match &spec.selector {
        Selector::Name(name) => vec![name],
        Selector::Names(first, last) => vec![first, last],
        Selector::Each(names) => names.iter().collect(),
        Selector::Index(_) | Selector::Indices(..) => Vec::new(),
    }
}

/// Whether a header has a name, or one that must be meant: written in other letters, or nearly so.
fn fits(name: &str, header: &[String]) -> bool {
    header
        .iter()
        .any(|n| n == name || n.to_lowercase() == name.to_lowercase())
}

/// Says that the names of a file are other ones than those that the model was trained on.
fn warn_of_places(path: &Path, header: &[String], named: &[&String]) {
    let list = |names: &[&String]| {
        let shown = names.iter().take(8).map(|n| format!("`{n}`"));
        let more = if names.len() > 8 { ", ..." } else { "" };
        shown.collect::<Vec<_>>().join(", ") + more
    };
    let header: Vec<&String> = header.iter().collect();
    console::note(&format!(
        "warning[{}]: {}: its columns are {}, the model was trained on {}: they are matched by position\n  \
         help: give the columns the names that the model was trained on",
        Code::W0970,
        path.display(),
        list(&header),
        list(named),
    ));
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
