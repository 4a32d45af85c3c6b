//! PNG and JPEG files in a folder for each class, as Keras' `image_dataset_from_directory`.
//!
//! ```text
//! codec    PNG and JPEG files as pixels, pixels as PNG files
//! pixels   a file as numbers, of one size
//! write    numbers as a PNG file
//! ```
//!
//! The columns are `image`, `label` and `path`. A row of `image` has shape
//! `[height, width, 3]`, or without colours `[height, width]` or `[height, width, 1]`. Files
//! are decoded on several threads; the rows are in the order of the files however many there
//! are. Memory is the columns and an image a thread.

mod codec;
mod pixels;
mod write;

pub use codec::{Pixels, decode, encode_png};
pub use write::write_png;

use super::csv::{ColumnSpec, Select};
use super::folder::Folder;
use super::texts::read_files;
use crate::data::augment::Size;
use crate::data::error::DataError;
use crate::data::table::{Column, ColumnData, ElementType, Table};
use crate::spec::Interpolation;

/// File extensions that Keras takes for images; the last two are reported as not supported.
pub const ENDINGS: &[&str] = &[".png", ".jpg", ".jpeg", ".gif", ".bmp"];
pub const COLUMNS: &[&str] = &["image", "label", "path"];

/// How images are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImageOptions {
    /// Height and width; where they are not given, the column's.
    pub size: Option<[usize; 2]>,
    pub interpolation: Interpolation,
    pub threads: usize,
}

/// Reads the columns asked for.
///
/// # Errors
/// A class without an image, a file that is not an image, a number of classes that is not the
/// column's, an unknown column.
pub fn read_images(
    folder: &Folder,
    options: ImageOptions,
    specs: &[ColumnSpec],
) -> Result<Table, DataError> {
    let without = (0..folder.classes.len()).find(|c| folder.files.iter().all(|f| f.class != *c));
    if let Some(class) = without {
        return Err(DataError::Classes {
            path: folder.path.join(&folder.classes[class]),
            reason: "the folder of this class has no images".into(),
        });
    }
    let mut columns = Vec::new();
    for spec in specs {
        let is_image = match &spec.select {
            Select::Name(name) => name == COLUMNS[0],
            _ => spec.name == COLUMNS[0],
        };
        if is_image {
            columns.push(image_column(folder, options, spec)?);
        } else {
            let spec = std::slice::from_ref(spec);
            let others = read_files(folder, spec, COLUMNS, |_, _, _| Ok(()))?;
            columns.extend(others.into_columns());
        }
    }
    Table::new(columns)
}

fn image_column(
    folder: &Folder,
    options: ImageOptions,
    spec: &ColumnSpec,
) -> Result<Column, DataError> {
    let expected = spec.shape.as_deref().unwrap_or_default();
    let other = |found: Vec<usize>| DataError::Shape {
        path: folder.path.clone(),
        column: spec.name.clone(),
        found,
        expected: expected.to_vec(),
    };
    let size = Size::of(expected).filter(|s| matches!(s.channels, 1 | 3));
    let Some(size) = size else {
        let [height, width] = options.size.unwrap_or([64, 64]);
        return Err(other(vec![height, width, 3]));
    };
    if let Some(given) = options.size.filter(|s| *s != expected[..2]) {
        return Err(other([&given, &expected[2..]].concat()));
    }
    let data = match spec.element {
        ElementType::U8 => {
            let round = |x: f32| x.round() as u8;
            ColumnData::U8(pixels::all(folder, size, options, round)?)
        }
        ElementType::F32 => ColumnData::F32(pixels::all(folder, size, options, |x| x)?),
        ElementType::I32 | ElementType::Class(_) | ElementType::Text => {
            return Err(DataError::ColumnKind {
                column: spec.name.clone(),
                found: "images",
                doing: "its type",
                expected: "u8[height, width, 3] or real numbers",
            });
        }
    };
    Column::new(&spec.name, expected.to_vec(), data)
}
