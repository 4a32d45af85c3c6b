//! The columns of a Parquet file, and which of them make a column of a table.

use crate::data::error::DataError;
use crate::data::formats::csv::ColumnSpec;
use crate::data::table::ElementType;
use parquet::basic::{ConvertedType, LogicalType, Type};
use parquet::file::metadata::ParquetMetaData;
use parquet::schema::types::ColumnDescPtr;
use std::path::{Path, PathBuf};

/// What can be read, in words.
const READ: &str = "bool, an integer, f32, f64, a string, or lists of numbers";

/// A column of the file whose values are all of one type.
pub(super) struct Field {
    pub name: String,
    /// The place among the columns that hold values.
    pub leaf: usize,
    /// Whole numbers from 0.
    pub unsigned: bool,
    descr: ColumnDescPtr,
}

impl Field {
    /// The level of a value that is there.
    pub(super) fn max_def(&self) -> i16 {
        self.descr.max_def_level()
    }

    /// How deep its lists are; 0 if it has none.
    pub(super) fn max_rep(&self) -> i16 {
        self.descr.max_rep_level()
    }
}

/// All columns: their names, and each as a field or what it is instead.
pub(super) struct Fields {
    path: PathBuf,
    all: Vec<(String, Result<Field, String>)>,
}

impl Fields {
    pub(super) fn of(path: &Path, metadata: &ParquetMetaData) -> Fields {
        let schema = metadata.file_metadata().schema_descr();
        let roots = schema.root_schema().get_fields();
        let field = |(at, root): (usize, &parquet::schema::types::TypePtr)| {
            let mut leaves =
                (0..schema.num_columns()).filter(|&i| schema.get_column_root_idx(i) == at);
            let field = match (leaves.next(), leaves.next()) {
                (Some(leaf), None) => of_leaf(root.name(), leaf, schema.column(leaf)),
                _ => Err("a structure of several values".into()),
            };
            (root.name().to_owned(), field)
        };
        Fields {
            path: path.to_owned(),
            all: roots.iter().enumerate().map(field).collect(),
        }
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.all.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The fields of a column, and the shape of its rows.
    pub(super) fn choose(&self, spec: &ColumnSpec) -> Result<(Vec<&Field>, Vec<usize>), DataError> {
        let path = || self.path.clone();
        let places = (spec.select).places(&self.path, &self.names(), self.all.len())?;
        let mut chosen = Vec::new();
        for (name, field) in places.iter().map(|&at| &self.all[at]) {
            chosen.push(field.as_ref().map_err(|what| DataError::ElementType {
                path: path(),
                found: format!("of column `{name}`, {what},"),
                expected: READ,
            })?);
        }
        let several = spec.select.is_several();
        let own = if several { vec![chosen.len()] } else { vec![] };
        let shape = spec.shape.clone().unwrap_or_else(|| own.clone());
        let each: usize = shape.iter().product();
        let text = spec.element == ElementType::Text;
        let flat = chosen.iter().all(|f| f.max_rep() == 0);
        let fits = match several {
            true => flat && each == chosen.len() && !text,
            false => (flat == (each == 1)) || (!flat && !text),
        };
        if !fits {
            return Err(DataError::Shape {
                path: path(),
                column: spec.name.clone(),
                found: own,
                expected: shape,
            });
        }
        Ok((chosen, shape))
    }
}

fn of_leaf(name: &str, leaf: usize, descr: ColumnDescPtr) -> Result<Field, String> {
    let logical = descr.logical_type_ref();
    let converted = descr.converted_type();
    let physical = descr.physical_type();
    let decimal =
        matches!(logical, Some(LogicalType::Decimal(_))) || converted == ConvertedType::DECIMAL;
    if decimal {
        return Err("decimal".into());
    }
    match physical {
        Type::INT96 => return Err("a 96-bit timestamp".into()),
        Type::FIXED_LEN_BYTE_ARRAY => return Err("fixed-length bytes".into()),
        Type::BYTE_ARRAY if descr.max_rep_level() > 0 => return Err("lists of strings".into()),
        _ => {}
    }
    let unsigned = matches!(
        converted,
        ConvertedType::UINT_8
            | ConvertedType::UINT_16
            | ConvertedType::UINT_32
            | ConvertedType::UINT_64
    ) || matches!(logical, Some(LogicalType::Integer(int)) if !int.is_signed);
    Ok(Field {
        name: name.into(),
        leaf,
        unsigned,
        descr,
    })
}
