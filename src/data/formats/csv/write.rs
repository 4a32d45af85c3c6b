//! Tables as text, with a header line.

use super::CsvOptions;
use crate::data::error::DataError;
use crate::data::table::{ColumnData, Table};
use crate::data::write;
use ::csv::WriterBuilder;
use std::io;
use std::path::Path;

/// Writes a table with a header line. A column of shape `[n]` takes n fields, `name_0` and on.
pub fn write_csv(path: &Path, table: &Table) -> Result<(), DataError> {
    let delimiter = CsvOptions::detect().delimiter(path);
    write::write_to(path, |out| write_to(out, delimiter, table))
}

/// Writes tables of the same columns one under another, below one header line.
pub fn write_tables(
    path: &Path,
    mut next: impl FnMut() -> io::Result<Option<Table>>,
) -> Result<(), DataError> {
    let delimiter = CsvOptions::detect().delimiter(path);
    write::write_to(path, |out| {
        let mut header = true;
        while let Some(table) = next()? {
            write_rows(&mut *out, delimiter, &table, header)?;
            header = false;
        }
        Ok(())
    })
}

/// Writes a table as text, with a header line.
pub fn write_to(out: impl io::Write, delimiter: u8, table: &Table) -> io::Result<()> {
    write_rows(out, delimiter, table, true)
}

fn write_rows(out: impl io::Write, delimiter: u8, table: &Table, header: bool) -> io::Result<()> {
    let mut writer = WriterBuilder::new().delimiter(delimiter).from_writer(out);
    if header {
        for column in table.columns() {
            if column.shape().is_empty() {
                writer.write_field(&column.name)?;
            } else {
                for i in 0..column.per_row() {
                    writer.write_field(format!("{}_{i}", column.name))?;
                }
            }
        }
        writer.write_record(None::<&[u8]>)?;
    }
    for row in 0..table.rows() {
        for column in table.columns() {
            let fields = row * column.per_row()..(row + 1) * column.per_row();
            for i in fields {
                match column.data() {
                    ColumnData::U8(v) => writer.write_field(v[i].to_string())?,
                    ColumnData::U16(v) => writer.write_field(v[i].to_string())?,
                    ColumnData::I32(v) => writer.write_field(v[i].to_string())?,
                    ColumnData::F32(v) => writer.write_field(format!("{:?}", v[i]))?,
                    ColumnData::Text(v) => writer.write_field(v.get(i).unwrap_or_default())?,
                    ColumnData::Sparse(_) => {
                        let x = column.number(i).unwrap_or_default() as f32;
                        writer.write_field(format!("{x:?}"))?;
                    }
                }
            }
        }
        writer.write_record(None::<&[u8]>)?;
    }
    writer.flush()
}
