//! Text files in a folder for each class, as Keras' `text_dataset_from_directory`.
//!
//! The columns are `text`, `label` and `path`; `.txt` files, in UTF-8, of at most 16 MB.

use super::csv::{ColumnSpec, Select};
use super::folder::{Entry, Folder};
use super::sink::{Refusal, Sink};
use super::source::Source;
use crate::data::error::{DataError, ValuePlace, nearest};
use crate::data::table::{ElementType, Table};
use std::io::Read;

/// A longer text is refused.
const MAX_TEXT: u64 = 16 << 20;

pub const ENDINGS: &[&str] = &[".txt"];
pub const COLUMNS: &[&str] = &["text", "label", "path"];

/// Reads the columns asked for.
pub fn read_texts(folder: &Folder, specs: &[ColumnSpec]) -> Result<Table, DataError> {
    let mut buffer = Vec::new();
    read_files(folder, specs, COLUMNS, |_, entry, sink| {
        let path = folder.at(entry);
        let mut source = Source::open(&path)?;
        buffer.clear();
        let mut limited = source.by_ref().take(MAX_TEXT + 1);
        if let Err(e) = limited.read_to_end(&mut buffer) {
            return Err(source.fault(&e));
        }
        if buffer.len() as u64 > MAX_TEXT {
            return Err(DataError::FieldTooLong {
                path,
                line: 1,
                what: "text",
                limit: MAX_TEXT,
            });
        }
        let place = |row| ValuePlace {
            path: path.clone(),
            line: None,
            row,
            column: "text".into(),
        };
        let row = sink.len() as u64 + 1;
        match std::str::from_utf8(&buffer) {
            Ok(text) => sink
                .text(text.strip_prefix('\u{feff}').unwrap_or(text))
                .map_err(|r| r.at(place(row))),
            Err(_) => Err(DataError::NotUtf8 {
                place: Box::new(place(row)),
            }),
        }
    })
}

/// The columns of a folder of files: `label` and `path` are the folder's own, and the first
/// of `columns` is what `content` puts in of each file.
pub fn read_files(
    folder: &Folder,
    specs: &[ColumnSpec],
    columns: &[&str],
    mut content: impl FnMut(&ColumnSpec, &Entry, &mut Sink) -> Result<(), DataError>,
) -> Result<Table, DataError> {
    let mut made = Vec::new();
    for spec in specs {
        let name = match &spec.select {
            Select::Name(name) => name.as_str(),
            _ => spec.name.as_str(),
        };
        let mut sink = Sink::new(&spec.name, spec.element);
        if name == columns[0] {
            for entry in &folder.files {
                content(spec, entry, &mut sink)?;
            }
        } else if !columns.contains(&name) {
            return Err(DataError::UnknownColumn {
                path: folder.path.clone(),
                name: name.into(),
                names: columns.iter().map(|c| (*c).to_owned()).collect(),
                suggestion: nearest(name, columns.iter().copied()),
            });
        } else {
            if let (ElementType::Class(n), true) = (spec.element, name == "label") {
                folder.expect(n)?;
            }
            for (row, entry) in (1..).zip(&folder.files) {
                let put: Result<(), Refusal> = match name {
                    "label" => folder.label(entry, &mut sink),
                    _ => sink.text(&entry.path),
                };
                put.map_err(|r| {
                    r.at(ValuePlace {
                        path: folder.path.clone(),
                        line: None,
                        row,
                        column: name.into(),
                    })
                })?;
            }
        }
        made.push(sink.finish(spec.shape.as_deref().unwrap_or_default())?);
    }
    Table::new(made)
}
