//! A table in memory: named columns of equal length, each one dense array.
//!
//! Elements keep the type the file has them in (images stay `u8`): 60,000
//! images of 28 x 28 take 47 MB. A row of a column has a shape (`[28, 28]`;
//! `[]` for a scalar); rows lie one after another, row-major.

use super::error::DataError;
use super::sparse::Sparse;
use std::path::Path;
use std::sync::Arc;

/// Columns of equal length under distinct names.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Table {
    rows: usize,
    columns: Vec<Column>,
}

/// One column; copies of it share their elements.
#[derive(Clone, PartialEq, Debug)]
pub struct Column {
    pub name: String,
    /// Shape of one row; its product is never 0.
    shape: Vec<usize>,
    data: Arc<ColumnData>,
}

/// The elements of a column.
#[derive(Clone, PartialEq, Debug)]
pub enum ColumnData {
    U8(Vec<u8>),
    /// Ids of a vocabulary of at most 65,536 words.
    U16(Vec<u16>),
    I32(Vec<i32>),
    F32(Vec<f32>),
    Text(TextColumn),
    /// Written out when a batch is gathered, as u8 or f32.
    Sparse(Sparse),
}

/// Texts, end to end in one buffer.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TextColumn {
    text: String,
    /// Byte at which each text ends.
    ends: Vec<usize>,
}

/// How the elements of a column are stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
pub enum Storage {
    U8,
    U16,
    I32,
    F32,
    Text,
}

/// What a column is asked to hold.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ElementType {
    U8,
    I32,
    F32,
    /// A label of `0..n`; stored as i32, or as u8 if the file has it so.
    Class(u32),
    Text,
}

impl Table {
    /// Refuses columns of different lengths and names used twice.
    pub fn new(columns: Vec<Column>) -> Result<Table, DataError> {
        let rows = columns.first().map_or(0, Column::rows);
        for (i, column) in columns.iter().enumerate() {
            if column.rows() != rows {
                return Err(DataError::RowCount {
                    first: columns[0].name.clone(),
                    first_rows: rows,
                    second: column.name.clone(),
                    second_rows: column.rows(),
                });
            }
            if columns[..i].iter().any(|c| c.name == column.name) {
                return Err(DataError::DuplicateColumn {
                    name: column.name.clone(),
                });
            }
        }
        Ok(Table { rows, columns })
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub fn into_columns(self) -> Vec<Column> {
        self.columns
    }

    /// Index of the column called `name`.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.find(name).map(|i| &self.columns[i])
    }

    /// Bytes that the elements take.
    pub fn bytes(&self) -> usize {
        self.columns.iter().map(|c| c.data.bytes()).sum()
    }
}

impl Column {
    /// Rejects a shape without elements, and data that is not a whole number of rows.
    pub fn new(
        name: impl Into<String>,
        shape: Vec<usize>,
        data: ColumnData,
    ) -> Result<Column, DataError> {
        let name = name.into();
        let per_row = shape
            .iter()
            .try_fold(1usize, |n, &d| n.checked_mul(d))
            .unwrap_or(0);
        let text = matches!(data, ColumnData::Text(_));
        if per_row == 0 || !data.len().is_multiple_of(per_row) || (text && !shape.is_empty()) {
            return Err(DataError::Shape {
                path: Path::new("<memory>").to_owned(),
                column: name,
                found: vec![data.len()],
                expected: shape,
            });
        }
        Ok(Column {
            name,
            shape,
            data: Arc::new(data),
        })
    }

    pub fn rows(&self) -> usize {
        self.data.len() / self.per_row()
    }

    /// Shape of one row.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The same elements in a different shape with as many elements per row.
    pub fn reshaped(self, shape: Vec<usize>) -> Result<Column, DataError> {
        if shape.iter().product::<usize>() != self.per_row() {
            return Err(DataError::Shape {
                path: Path::new("<memory>").to_owned(),
                column: self.name,
                found: self.shape,
                expected: shape,
            });
        }
        Ok(Column { shape, ..self })
    }

    /// Elements in a row.
    pub fn per_row(&self) -> usize {
        self.shape.iter().product()
    }

    pub fn data(&self) -> &ColumnData {
        &self.data
    }

    pub fn storage(&self) -> Storage {
        self.data.storage()
    }

    /// The elements as bytes, row after row; none for texts and sparse rows.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match &*self.data {
            ColumnData::U8(v) => Some(v),
            ColumnData::U16(v) => Some(crate::bytes::bytes_of(v)),
            ColumnData::I32(v) => Some(crate::bytes::bytes_of(v)),
            ColumnData::F32(v) => Some(crate::bytes::bytes_of(v)),
            ColumnData::Text(_) | ColumnData::Sparse(_) => None,
        }
    }

    /// Element `i` (counted over all rows) as f64, exactly; none for texts.
    pub fn number(&self, i: usize) -> Option<f64> {
        match &*self.data {
            ColumnData::U8(v) => v.get(i).map(|&x| f64::from(x)),
            ColumnData::U16(v) => v.get(i).map(|&x| f64::from(x)),
            ColumnData::I32(v) => v.get(i).map(|&x| f64::from(x)),
            ColumnData::F32(v) => v.get(i).map(|&x| f64::from(x)),
            ColumnData::Text(_) => None,
            ColumnData::Sparse(v) => {
                let (row, at) = (i / v.width(), i % v.width());
                let found = (row < v.rows()).then(|| v.row(row).find(|(a, _)| *a == at));
                found.map(|f| f.map_or(0.0, |(_, x)| f64::from(x)))
            }
        }
    }
}

impl ColumnData {
    /// Elements over all rows.
    pub fn len(&self) -> usize {
        match self {
            ColumnData::U8(v) => v.len(),
            ColumnData::U16(v) => v.len(),
            ColumnData::I32(v) => v.len(),
            ColumnData::F32(v) => v.len(),
            ColumnData::Text(v) => v.len(),
            ColumnData::Sparse(v) => v.rows() * v.width(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn storage(&self) -> Storage {
        match self {
            ColumnData::U8(_) => Storage::U8,
            ColumnData::U16(_) => Storage::U16,
            ColumnData::I32(_) => Storage::I32,
            ColumnData::F32(_) => Storage::F32,
            ColumnData::Text(_) => Storage::Text,
            ColumnData::Sparse(v) if v.is_ones() => Storage::U8,
            ColumnData::Sparse(_) => Storage::F32,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            ColumnData::U8(v) => v.len(),
            ColumnData::U16(v) => v.len() * 2,
            ColumnData::I32(v) => v.len() * 4,
            ColumnData::F32(v) => v.len() * 4,
            ColumnData::Sparse(v) => v.bytes(),
            ColumnData::Text(v) => v.text.len() + v.ends.len() * size_of::<usize>(),
        }
    }
}

impl TextColumn {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len());
    }

    /// The text of a row.
    pub fn get(&self, row: usize) -> Option<&str> {
        let end = *self.ends.get(row)?;
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        Some(&self.text[start..end])
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|i| self.get(i))
    }
}

impl<'a> FromIterator<&'a str> for TextColumn {
    fn from_iter<I: IntoIterator<Item = &'a str>>(texts: I) -> TextColumn {
        let mut column = TextColumn::default();
        texts.into_iter().for_each(|t| column.push(t));
        column
    }
}

impl Storage {
    /// As it is written in nn.
    pub fn name(self) -> &'static str {
        match self {
            Storage::U8 => "u8",
            Storage::U16 => "u16",
            Storage::I32 => "i32",
            Storage::F32 => "f32",
            Storage::Text => "text",
        }
    }

    /// Bytes of one element; none for texts.
    pub fn size(self) -> Option<usize> {
        match self {
            Storage::U8 => Some(1),
            Storage::U16 => Some(2),
            Storage::I32 | Storage::F32 => Some(4),
            Storage::Text => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Code;

    #[test]
    fn columns_of_a_table_agree_in_length_and_differ_in_name() {
        let x = Column::new("x", vec![2], ColumnData::U8(vec![1, 2, 3, 4])).unwrap();
        let y = Column::new("y", vec![], ColumnData::I32(vec![7, 8])).unwrap();
        let table = Table::new(vec![x.clone(), y.clone()]).unwrap();
        assert_eq!(
            (table.rows(), table.bytes(), table.find("y")),
            (2, 12, Some(1))
        );
        assert_eq!(
            table.columns()[1].as_bytes().unwrap(),
            [7, 0, 0, 0, 8, 0, 0, 0]
        );

        let short = Column::new("z", vec![], ColumnData::F32(vec![1.0])).unwrap();
        let error = Table::new(vec![x.clone(), short]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "columns have different numbers of rows: `x` has 2, `z` has 1"
        );
        let error = Table::new(vec![x.clone(), x]).unwrap_err();
        assert_eq!(
            (error.code(), error.to_string()),
            (Code::E0924, "two columns are named `x`".into())
        );
    }

    #[test]
    fn a_shape_must_divide_the_elements() {
        for (shape, len) in [(vec![3], 4), (vec![0], 0), (vec![usize::MAX, 2], 4)] {
            assert_eq!(
                Column::new("x", shape, ColumnData::U8(vec![0; len]))
                    .unwrap_err()
                    .code(),
                Code::E0921
            );
        }
        let column = Column::new("x", vec![6], ColumnData::U8(vec![0; 12])).unwrap();
        assert_eq!(column.clone().reshaped(vec![2, 3]).unwrap().rows(), 2);
        assert!(column.reshaped(vec![2, 2]).is_err());
    }

    #[test]
    fn texts_share_one_buffer() {
        let texts: TextColumn = ["ab", "", "cé"].into_iter().collect();
        assert_eq!(texts.iter().collect::<Vec<_>>(), ["ab", "", "cé"]);
        assert_eq!(texts.get(3), None);
    }
}
