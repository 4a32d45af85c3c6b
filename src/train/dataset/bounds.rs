//! Numbers that a loss does not take: weights below 0, targets that are no probabilities.

use crate::data::{Column, ColumnData, DataError};
use crate::spec::{Bounds, Part};

use super::Dataset;

impl Dataset {
    /// Refuses the first row of a set whose number is out of bounds, of columns in memory.
    pub fn check_bounds(&self, bounds: &[Bounds]) -> Result<(), DataError> {
        for bound in bounds {
            // soft labels that were computed may be rounded beyond 1
            let slack = if bound.weights { 0.0 } else { 1e-5 };
            for (part, (table, rows)) in &self.parts {
                let Some(column) = table.column(&bound.column) else {
                    continue;
                };
                let mut all_zero = bound.weights && !rows.is_empty();
                for &row in rows {
                    let within = |x: &f64| (bound.low - slack..=bound.high + slack).contains(x);
                    let mut values = numbers(column, row as usize);
                    if let Some(value) = values.clone().find(|x| !within(x)) {
                        return Err(DataError::OutOfBounds {
                            column: bound.column.clone(),
                            row: u64::from(row) + 1,
                            value,
                            low: bound.low,
                            high: bound.high,
                            what: bound.what.clone(),
                        });
                    }
                    all_zero &= values.all(|x| x == 0.0);
                }
                if all_zero && *part == Part::Train {
                    return Err(DataError::AllZero {
                        column: bound.column.clone(),
                        what: bound.what.clone(),
                    });
                }
            }
        }
        Ok(())
    }
}

/// The numbers of a row.
fn numbers(column: &Column, row: usize) -> impl Iterator<Item = f64> + Clone {
    let each = column.per_row();
    (row * each..(row + 1) * each).filter_map(|i| match column.data() {
        ColumnData::U8(v) => Some(f64::from(v[i])),
        ColumnData::I32(v) => Some(f64::from(v[i])),
        ColumnData::F32(v) => Some(f64::from(v[i])),
        ColumnData::U16(_) | ColumnData::Text(_) | ColumnData::Sparse(_) => None,
    })
}
