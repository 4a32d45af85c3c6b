//! Values that a file does not have.
//!
//! In memory one is NaN in a column of f32 and the smallest i32 in one of integers: no
//! reader lets either in otherwise. What stands for them is a number for each feature, as
//! scikit-learn's `SimpleImputer` has it.

use super::error::DataError;
use super::table::{Column, ColumnData};

/// Marks a missing whole number.
const WHOLE: i32 = i32::MIN;

/// What is computed from the values that are present.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stand {
    Mean,
    /// For an even number of values, the mean of the two in the middle.
    Median,
    /// The smallest of those that are equally frequent.
    MostFrequent,
}

/// Whether a field without the blanks around it says that there is no value.
pub fn is_missing(field: &str) -> bool {
    let words = ["na", "nan", "null", "n/a"];
    field.is_empty() || words.iter().any(|w| field.eq_ignore_ascii_case(w))
}

/// Puts a missing value behind the others; false if such a column has no room for one.
pub fn mark(data: &mut ColumnData) -> bool {
    match data {
        ColumnData::F32(v) => v.push(f32::NAN),
        ColumnData::I32(v) => v.push(WHOLE),
        ColumnData::U8(_) | ColumnData::U16(_) | ColumnData::Text(_) | ColumnData::Sparse(_) => {
            return false;
        }
    }
    true
}

/// Where values are missing: 1 for each that is.
pub fn flags(column: &Column) -> Vec<u8> {
    match column.data() {
        ColumnData::F32(v) => v.iter().map(|x| u8::from(x.is_nan())).collect(),
        ColumnData::I32(v) => v.iter().map(|x| u8::from(*x == WHOLE)).collect(),
        other => vec![0; other.len()],
    }
}

/// Whether element `i` is missing.
pub fn is_marked(column: &Column, i: usize) -> bool {
    match column.data() {
        ColumnData::F32(v) => v.get(i).is_some_and(|x| x.is_nan()),
        ColumnData::I32(v) => v.get(i) == Some(&WHOLE),
        _ => false,
    }
}

/// Those of `rows` in which none of the columns' values is missing.
pub fn whole_rows(rows: &[u32], columns: &[&Column]) -> Vec<u32> {
    let flagged: Vec<(Vec<u8>, usize)> = columns.iter().map(|c| (flags(c), c.per_row())).collect();
    let whole = |&&row: &&u32| {
        let row = row as usize;
        let mut each = flagged.iter();
        each.all(|(flags, n)| flags[row * n..(row + 1) * n].iter().all(|f| *f == 0))
    };
    rows.iter().filter(whole).copied().collect()
}

/// What stands for a missing value of each feature, by the values of `rows`.
pub fn fit(column: &Column, rows: &[u32], stand: Stand) -> Result<Vec<f64>, DataError> {
    let each = column.per_row();
    let missing = flags(column);
    let feature = |i: usize| {
        let there = rows.iter().map(|&row| row as usize * each + i);
        let there = there.filter(|&at| missing[at] == 0);
        let mut values: Vec<f64> = there.filter_map(|at| column.number(at)).collect();
        values.sort_unstable_by(f64::total_cmp);
        let n = values.len();
        if n == 0 {
            return Err(DataError::NothingToFill {
                column: column.name.clone(),
                feature_of: (each > 1).then_some(i),
            });
        }
        Ok(match stand {
            Stand::Mean => values.iter().sum::<f64>() / n as f64,
            Stand::Median => 0.5 * (values[(n - 1) / 2] + values[n / 2]),
            Stand::MostFrequent => most_frequent(&values),
        })
    };
    (0..each).map(feature).collect()
}

/// The column with a number of `fills` for each missing value of its feature.
pub fn filled(column: &Column, fills: &[f64]) -> Result<Column, DataError> {
    let of = |i: usize| fills[i % fills.len()];
    let data = match column.data() {
        ColumnData::F32(v) => {
            let all = v.iter().enumerate();
            ColumnData::F32(
                all.map(|(i, &x)| if x.is_nan() { of(i) as f32 } else { x })
                    .collect(),
            )
        }
        ColumnData::I32(v) => {
            let all = v.iter().enumerate();
            ColumnData::I32(
                all.map(|(i, &x)| if x == WHOLE { of(i) as i32 } else { x })
                    .collect(),
            )
        }
        other => other.clone(),
    };
    Column::new(column.name.clone(), column.shape().to_vec(), data)
}

/// `sorted` is not empty.
fn most_frequent(sorted: &[f64]) -> f64 {
    let runs = sorted.chunk_by(|a, b| a == b);
    let best = runs.fold((0, f64::NAN), |best, run| {
        if run.len() > best.0 {
            (run.len(), run[0])
        } else {
            best
        }
    });
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_nothing() {
        for word in ["", "NA", "NaN", "nan", "null", "N/A"] {
            assert!(is_missing(word), "{word}");
        }
        for word in ["0", "none", "-", "NAN1"] {
            assert!(!is_missing(word), "{word}");
        }
    }

    #[test]
    fn each_feature_is_filled_from_the_rows_that_are_trained_on() {
        let n = f32::NAN;
        let data = ColumnData::F32(vec![1.0, n, 2.0, 5.0, n, 5.0, 9.0, 4.0, 100.0, 100.0]);
        let column = Column::new("x", vec![2], data).unwrap();
        let rows = [0, 1, 2, 3];
        let of = |stand| fit(&column, &rows, stand).unwrap();
        assert_eq!(of(Stand::Mean), [4.0, 14.0 / 3.0]);
        assert_eq!(of(Stand::Median), [2.0, 5.0]);
        assert_eq!(of(Stand::MostFrequent), [1.0, 5.0]);
        let ColumnData::F32(v) = filled(&column, &[7.0, 8.0]).unwrap().data().clone() else {
            panic!()
        };
        assert_eq!(v, [1.0, 8.0, 2.0, 5.0, 7.0, 5.0, 9.0, 4.0, 100.0, 100.0]);
        assert_eq!(whole_rows(&[4, 0, 1, 2], &[&column]), [4, 1]);
        assert_eq!(
            fit(&column, &[2], Stand::Mean).unwrap_err().to_string(),
            "feature 0 of column `x` has no values in the training set, \
             so there is nothing to fill its missing values with"
        );
    }
}
