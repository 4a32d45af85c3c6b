//! The columns of one source, read as its format is; sources one under another.
//!
//! A new format is a reader in `data/formats`, a [`Format`], a row of [`SOURCES`] and a case of
//! [`read`]; a new data set is a row in `data/fetch/sets.rs`.

use std::path::Path;

use crate::data::formats::csv::{self, CsvOptions, HeaderLine, Select};
use crate::data::formats::folder::Folder;
use crate::data::formats::images::{self, ImageOptions, read_images};
use crate::data::formats::{idx, jsonl, npy, parquet, texts, wav};
use crate::data::packed::cache::{self, Wanted};
use crate::data::{Column, ColumnData, DataError, ElementType, Table, fetch};
use crate::spec::{
    ColumnKind, ColumnSpec, Field, Format, Holds, OptionKind, Part, Selector, SourceArguments,
    SourceEntry, SourceSpec, Takes,
};

use super::places::Places;
use super::streamed::Streaming;

/// Options of a text with a delimiter.
const TABLE_OPTIONS: &[(&str, OptionKind)] = &[
    ("header", OptionKind::Flag),
    ("quote", OptionKind::Flag),
    ("stream", OptionKind::Flag),
];

/// Every reader that a file may name.
pub const SOURCES: &[SourceEntry] = &[
    SourceEntry {
        name: "csv",
        takes: Takes::One("file.csv"),
        options: TABLE_OPTIONS,
        holds: Holds::Anything,
        make: |given| table(given, b','),
    },
    SourceEntry {
        name: "tsv",
        takes: Takes::One("file.tsv"),
        options: TABLE_OPTIONS,
        holds: Holds::Anything,
        make: |given| table(given, b'\t'),
    },
    SourceEntry {
        name: "jsonl",
        takes: Takes::One("file.jsonl"),
        options: &[],
        holds: Holds::Anything,
        make: |given| Format::Jsonl { path: given.path },
    },
    SourceEntry {
        name: "parquet",
        takes: Takes::One("file.parquet"),
        options: &[],
        holds: Holds::Anything,
        make: |given| Format::Parquet { path: given.path },
    },
    SourceEntry {
        name: "idx",
        takes: Takes::FilePerColumn,
        options: &[],
        holds: Holds::Numbers,
        make: |given| Format::Idx { files: given.files },
    },
    SourceEntry {
        name: "npy",
        takes: Takes::FilePerColumn,
        options: &[],
        holds: Holds::Numbers,
        make: |given| Format::Npy { files: given.files },
    },
    SourceEntry {
        name: "npz",
        takes: Takes::One("file.npz"),
        options: &[],
        holds: Holds::Numbers,
        make: |given| Format::Npz { path: given.path },
    },
    SourceEntry {
        name: "texts",
        takes: Takes::One("folder"),
        options: &[("class_names", OptionKind::Names)],
        holds: Holds::Fields(&[
            ("text", Field::Text),
            ("label", Field::Label),
            ("path", Field::Text),
        ]),
        make: |given| Format::Texts {
            class_names: given.names("class_names"),
            path: given.path,
        },
    },
    SourceEntry {
        name: "wavs",
        takes: Takes::One("folder"),
        options: &[
            ("class_names", OptionKind::Names),
            ("rate", OptionKind::Count),
        ],
        holds: Holds::Fields(&[
            ("audio", Field::Sound),
            ("label", Field::Label),
            ("path", Field::Text),
        ]),
        make: |given| Format::Wavs {
            class_names: given.names("class_names"),
            rate: given.count("rate"),
            path: given.path,
        },
    },
    SourceEntry {
        name: "images",
        takes: Takes::One("folder"),
        options: &[
            ("class_names", OptionKind::Names),
            ("size", OptionKind::Size),
            ("interpolation", OptionKind::Interpolation),
        ],
        holds: Holds::Fields(&[
            ("image", Field::Image),
            ("label", Field::Label),
            ("path", Field::Text),
        ]),
        make: |given| Format::Images {
            class_names: given.names("class_names"),
            size: given.size("size"),
            interpolation: given.interpolation("interpolation"),
            path: given.path,
        },
    },
];

fn table(given: SourceArguments, delimiter: u8) -> Format {
    Format::Csv {
        header: given.flag("header").unwrap_or(true),
        quote: given.flag("quote").unwrap_or(true),
        path: given.path,
        delimiter,
    }
}

/// The columns of a source, in the shapes that are asked for.
pub(super) fn read(
    source: &SourceSpec,
    columns: &[&ColumnSpec],
    places: &Places,
    how: &Streaming,
    threads: usize,
) -> Result<Table, DataError> {
    match &source.format {
        Format::Csv {
            path,
            delimiter,
            header,
            quote,
        } => {
            let wanted = Wanted {
                path: &places.find(path),
                options: csv_options(*delimiter, *header, *quote),
                columns: &csv_columns(columns),
                block: how.block,
            };
            cache::table(how.cache(), &wanted, how.least, how.tell)
        }
        Format::Idx { files } => each_file(files, columns, places, idx::read_idx),
        Format::Npy { files } => each_file(files, columns, places, npy::read_npy),
        Format::Fetched { set, rows, folder } => {
            let (Some(set), Some(folder)) = (fetch::find(set), folder) else {
                return Err(DataError::NotFound {
                    path: places.find(set),
                    tried: None,
                });
            };
            set.read(folder, *rows == Part::Test, &csv_columns(columns))
        }
        Format::Jsonl { path } => jsonl::read_jsonl(&places.find(path), &csv_columns(columns)),
        Format::Parquet { path } => {
            parquet::read_parquet(&places.find(path), &csv_columns(columns))
        }
        Format::Texts { path, class_names } => {
            let classes = class_names.as_deref();
            let folder = Folder::of_classes(&places.find(path), texts::ENDINGS, classes)?;
            texts::read_texts(&folder, &csv_columns(columns))
        }
        Format::Wavs {
            path,
            class_names,
            rate,
        } => {
            let classes = class_names.as_deref();
            let folder = Folder::of_classes(&places.find(path), wav::ENDINGS, classes)?;
            wav::read_wavs(&folder, *rate, &csv_columns(columns))
        }
        Format::Npz { path } => {
            let path = places.find(path);
            let members: Vec<_> = columns
                .iter()
                .map(|c| (member(c), c.name.as_str(), Some(element(c.kind))))
                .collect();
            let table = npy::read_npz(&path, &members)?;
            let shaped = table
                .into_columns()
                .into_iter()
                .zip(columns)
                .map(|(column, spec)| shaped(&path, column, &spec.shape));
            Table::new(shaped.collect::<Result<_, _>>()?)
        }
        Format::Images {
            path,
            class_names,
            size,
            interpolation,
        } => {
            let classes = class_names.as_deref();
            let folder = Folder::of_classes(&places.find(path), images::ENDINGS, classes)?;
            let options = ImageOptions {
                size: *size,
                interpolation: *interpolation,
                threads,
            };
            read_images(&folder, options, &csv_columns(columns))
        }
    }
}

/// How the CSV reader is told what the file is like.
pub(super) fn csv_options(delimiter: u8, header: bool, quote: bool) -> CsvOptions {
    CsvOptions {
        delimiter: Some(delimiter),
        header: match header {
            true => HeaderLine::Present,
            false => HeaderLine::Absent,
        },
        quote,
    }
}

/// How the CSV reader is asked for `columns`.
pub fn csv_columns(columns: &[&ColumnSpec]) -> Vec<csv::ColumnSpec> {
    columns
        .iter()
        .map(|c| csv::ColumnSpec {
            name: c.name.clone(),
            select: match &c.selector {
                Selector::Name(name) => Select::Name(name.clone()),
                Selector::Index(i) => Select::Index(*i),
                Selector::Names(a, b) => Select::Names(a.clone(), b.clone()),
                Selector::Indices(a, b) => Select::Indices(*a, *b),
                Selector::Each(names) => Select::Each(names.clone()),
            },
            element: element(c.kind),
            shape: Some(c.shape.clone()),
            missing: c.missing.is_some(),
        })
        .collect()
}

/// The file or the array that a column is.
fn member(column: &ColumnSpec) -> &str {
    match &column.selector {
        Selector::Name(name) => name,
        _ => &column.name,
    }
}

/// A file a column.
fn each_file(
    files: &[(String, String)],
    columns: &[&ColumnSpec],
    places: &Places,
    read: impl Fn(&Path, &str, Option<ElementType>) -> Result<Column, DataError>,
) -> Result<Table, DataError> {
    let columns = columns.iter().map(|spec| {
        let wanted = member(spec);
        let (_, path) = files
            .iter()
            .find(|(name, _)| name == wanted || *name == spec.name)
            .ok_or_else(|| DataError::UnknownColumn {
                path: places.find(""),
                name: wanted.into(),
                names: files.iter().map(|(name, _)| name.clone()).collect(),
                suggestion: None,
            })?;
        let path = places.find(path);
        let column = read(&path, &spec.name, Some(element(spec.kind)))?;
        shaped(&path, column, &spec.shape)
    });
    Table::new(columns.collect::<Result<_, _>>()?)
}

/// What a column is asked to hold.
pub fn element(kind: ColumnKind) -> ElementType {
    match kind {
        ColumnKind::U8 => ElementType::U8,
        ColumnKind::I32 => ElementType::I32,
        ColumnKind::F32 => ElementType::F32,
        ColumnKind::Class(n) | ColumnKind::Token(n) => {
            ElementType::Class(u32::try_from(n).unwrap_or(u32::MAX))
        }
        ColumnKind::Bool => ElementType::Class(2),
        ColumnKind::Text => ElementType::Text,
    }
}

/// The column in the shape that is asked for; `[]` and `[1]` are the same to it.
pub fn shaped(path: &Path, column: Column, shape: &[usize]) -> Result<Column, DataError> {
    let scalar = |s: &[usize]| s.iter().all(|&d| d == 1);
    if column.shape() == shape {
        return Ok(column);
    }
    if scalar(column.shape()) && scalar(shape) {
        return column.reshaped(shape.to_vec());
    }
    Err(DataError::Shape {
        path: path.to_owned(),
        column: column.name.clone(),
        found: column.shape().to_vec(),
        expected: shape.to_vec(),
    })
}

/// Tables of the same columns, one under another.
pub(super) fn stack(mut tables: Vec<Table>) -> Result<Table, DataError> {
    if tables.len() == 1 {
        return Ok(tables.swap_remove(0));
    }
    let mut stacked: Vec<Column> = Vec::new();
    for table in tables {
        let columns = table.into_columns();
        if stacked.is_empty() {
            stacked = columns;
            continue;
        }
        let both = stacked.into_iter().zip(columns);
        stacked = both
            .map(|(above, below)| {
                let (name, shape) = (above.name.clone(), above.shape().to_vec());
                Column::new(name, shape, append(above.data(), below.data()))
            })
            .collect::<Result<_, _>>()?;
    }
    Table::new(stacked)
}

/// One after the other; as i32 where one is u8 and the other i32.
fn append(a: &ColumnData, b: &ColumnData) -> ColumnData {
    use ColumnData::{F32, I32, Sparse, Text, U8, U16};
    let wide = |v: &[u8]| v.iter().map(|&x| i32::from(x)).collect::<Vec<i32>>();
    match (a, b) {
        (U8(a), U8(b)) => U8([&a[..], b].concat()),
        (I32(a), I32(b)) => I32([&a[..], b].concat()),
        (F32(a), F32(b)) => F32([&a[..], b].concat()),
        (U8(a), I32(b)) => I32([&wide(a), &b[..]].concat()),
        (I32(a), U8(b)) => I32([&a[..], &wide(b)].concat()),
        (Text(a), Text(b)) => Text(a.iter().chain(b.iter()).collect()),
        // one column asked for as one type is read as that type; the others are not read
        (F32(_) | Text(_) | U16(_) | Sparse(_), _) | (_, F32(_) | Text(_) | U16(_) | Sparse(_)) => {
            a.clone()
        }
    }
}
