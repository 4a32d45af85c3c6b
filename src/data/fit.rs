//! Statistics fitted on chosen rows: what `standardize` and `minmax` need.
//!
//! Of u8 and i32 columns sums are kept as integers, so that mean and variance
//! are those of exact arithmetic, rounded once or twice. Of f32 columns the
//! mean and then the squared deviations are summed in f64, with the correction
//! of Chan, Golub and LeVeque ("Algorithms for computing the sample variance",
//! The American Statistician, 1983). Rows are taken in the order given, by one
//! thread: the result is the same every time.

use super::error::DataError;
use super::table::{Column, ColumnData};

/// What one statistic covers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Over {
    /// One for each element of a row, over rows.
    Element,
    /// One for all elements of all rows.
    All,
}

/// Statistics of a column: one entry a feature, row-major; one in all for [`Over::All`].
#[derive(Clone, PartialEq, Debug)]
pub struct Statistics {
    /// Numbers that went into each feature.
    pub count: u64,
    pub mean: Vec<f64>,
    /// Population standard deviation (divided by n, as scikit-learn's StandardScaler); 0 if constant.
    pub std: Vec<f64>,
    pub min: Vec<f64>,
    pub max: Vec<f64>,
}

/// Whole numbers in order, such as the lengths of texts: never none.
#[derive(Clone, PartialEq, Debug)]
pub struct Lengths {
    sorted: Vec<i32>,
}

impl Lengths {
    pub fn new(lengths: &[i32]) -> Result<Lengths, DataError> {
        if lengths.is_empty() {
            return Err(DataError::NoRows { doing: "fit" });
        }
        let mut sorted = lengths.to_vec();
        sorted.sort_unstable();
        Ok(Lengths { sorted })
    }

    pub fn mean(&self) -> f64 {
        let sum: i64 = self.sorted.iter().map(|&x| i64::from(x)).sum();
        sum as f64 / self.sorted.len() as f64
    }

    /// Population standard deviation.
    pub fn std(&self) -> f64 {
        let n = self.sorted.len() as i128;
        let sum: i128 = self.sorted.iter().map(|&x| i128::from(x)).sum();
        let squares: i128 = self.sorted.iter().map(|&x| i128::from(x).pow(2)).sum();
        ((n * squares - sum * sum) as f64).sqrt() / n as f64
    }

    pub fn min(&self) -> f64 {
        f64::from(self.sorted[0])
    }

    pub fn max(&self) -> f64 {
        f64::from(self.sorted[self.sorted.len() - 1])
    }

    /// The number that `q` percent are not above, between neighbours by a straight line
    /// (numpy's default); `q` is 0..=100.
    pub fn percentile(&self, q: f64) -> f64 {
        let last = self.sorted.len() - 1;
        let at = (q / 100.0 * last as f64).clamp(0.0, last as f64);
        let low = f64::from(self.sorted[at.floor() as usize]);
        let high = f64::from(self.sorted[at.ceil() as usize]);
        low + (high - low) * at.fract()
    }

    /// The share of those that are at most `limit`.
    pub fn share_up_to(&self, limit: f64) -> f64 {
        let within = self.sorted.partition_point(|&x| f64::from(x) <= limit);
        within as f64 / self.sorted.len() as f64
    }

    /// In ascending order.
    pub fn sorted(&self) -> &[i32] {
        &self.sorted
    }
}

/// Statistics of `rows` of a column of numbers.
pub fn statistics(column: &Column, rows: &[u32], over: Over) -> Result<Statistics, DataError> {
    if rows.is_empty() {
        return Err(DataError::NoRows { doing: "fit" });
    }
    if let Some(&row) = rows.iter().find(|&&r| r as usize >= column.rows()) {
        return Err(DataError::RowIndex {
            row: row as usize,
            rows: column.rows(),
        });
    }
    let stride = column.per_row();
    match column.data() {
        ColumnData::U8(v) => Ok(whole(v, stride, rows, over)),
        ColumnData::I32(v) => Ok(whole(v, stride, rows, over)),
        ColumnData::F32(v) => Ok(real(v, stride, rows, over)),
        ColumnData::U16(v) => Ok(whole(v, stride, rows, over)),
        other @ (ColumnData::Text(_) | ColumnData::Sparse(_)) => Err(DataError::ColumnKind {
            column: column.name.clone(),
            found: other.storage().name(),
            doing: "fitting statistics",
            expected: "numbers",
        }),
    }
}

/// Rows' elements, each with its feature.
fn each<T: Copy>(
    elements: &[T],
    stride: usize,
    rows: &[u32],
    over: Over,
    mut f: impl FnMut(usize, T),
) {
    for &row in rows {
        let row = &elements[row as usize * stride..][..stride];
        match over {
            Over::Element => row.iter().enumerate().for_each(|(i, &x)| f(i, x)),
            Over::All => row.iter().for_each(|&x| f(0, x)),
        }
    }
}

fn sizes(stride: usize, rows: &[u32], over: Over) -> (usize, u64) {
    match over {
        Over::Element => (stride, rows.len() as u64),
        Over::All => (1, rows.len() as u64 * stride as u64),
    }
}

fn whole<T: Copy + Into<i64>>(
    elements: &[T],
    stride: usize,
    rows: &[u32],
    over: Over,
) -> Statistics {
    #[derive(Clone)]
    struct Sums {
        sum: i128,
        squares: u128,
        min: i64,
        max: i64,
    }
    let (features, count) = sizes(stride, rows, over);
    let mut sums = vec![
        Sums {
            sum: 0,
            squares: 0,
            min: i64::MAX,
            max: i64::MIN
        };
        features
    ];
    each(elements, stride, rows, over, |i, x| {
        let x: i64 = x.into();
        let s = &mut sums[i];
        s.sum += i128::from(x);
        s.squares += u128::from(x.unsigned_abs().pow(2));
        s.min = s.min.min(x);
        s.max = s.max.max(x);
    });
    let n = count as f64;
    Statistics {
        count,
        mean: sums.iter().map(|s| s.sum as f64 / n).collect(),
        // n^2 times the variance is whole, and no cancellation is left in it
        std: sums
            .iter()
            .map(|s| (u128::from(count) * s.squares - s.sum.unsigned_abs().pow(2)) as f64)
            .map(|squared| squared.sqrt() / n)
            .collect(),
        min: sums.iter().map(|s| s.min as f64).collect(),
        max: sums.iter().map(|s| s.max as f64).collect(),
    }
}

fn real(elements: &[f32], stride: usize, rows: &[u32], over: Over) -> Statistics {
    let (features, count) = sizes(stride, rows, over);
    let n = count as f64;
    let mut mean = vec![0.0; features];
    let mut min = vec![f64::INFINITY; features];
    let mut max = vec![f64::NEG_INFINITY; features];
    each(elements, stride, rows, over, |i, x| {
        let x = f64::from(x);
        mean[i] += x;
        min[i] = x.min(min[i]);
        max[i] = x.max(max[i]);
    });
    mean.iter_mut().for_each(|m| *m /= n);
    // (sum of squared deviations, sum of deviations: 0 but for rounding)
    let mut deviations = vec![(0.0, 0.0); features];
    each(elements, stride, rows, over, |i, x| {
        let d = f64::from(x) - mean[i];
        deviations[i].0 += d * d;
        deviations[i].1 += d;
    });
    let std = deviations
        .iter()
        .map(|(squares, sum)| ((squares - sum * sum / n).max(0.0) / n).sqrt())
        .collect();
    Statistics {
        count,
        mean,
        std,
        min,
        max,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_element_or_all_of_chosen_rows() {
        // row 1 is not chosen
        for data in [
            ColumnData::U8(vec![1, 10, 99, 99, 3, 10]),
            ColumnData::I32(vec![1, 10, 99, 99, 3, 10]),
            ColumnData::F32(vec![1.0, 10.0, 99.0, 99.0, 3.0, 10.0]),
        ] {
            let column = Column::new("x", vec![2], data).unwrap();
            let s = statistics(&column, &[2, 0], Over::Element).unwrap();
            assert_eq!(
                (s.count, s.mean, s.std),
                (2, vec![2.0, 10.0], vec![1.0, 0.0])
            );
            assert_eq!((s.min, s.max), (vec![1.0, 10.0], vec![3.0, 10.0]));
            let s = statistics(&column, &[0, 2], Over::All).unwrap();
            assert_eq!(
                (s.count, s.mean, s.std),
                (4, vec![6.0], vec![16.5f64.sqrt()])
            );
        }
    }

    #[test]
    fn a_large_offset_costs_no_digits() {
        let n = 10_001;
        let column = |data| Column::new("x", vec![], data).unwrap();
        let rows: Vec<u32> = (0..n).collect();
        // 2^24 - 2, - 1, 0 in turn, and i32::MAX - 1, MAX
        let reals = column(ColumnData::F32(
            (0..n).map(|i| 16_777_214.0 + (i % 3) as f32).collect(),
        ));
        let whole = column(ColumnData::I32(
            (0..n).map(|i| i32::MAX - (i % 2) as i32).collect(),
        ));
        let variance = |of: fn(u32) -> f64| {
            let mean = (0..n).map(of).sum::<f64>() / f64::from(n);
            ((0..n).map(|i| (of(i) - mean).powi(2)).sum::<f64>() / f64::from(n)).sqrt()
        };
        let got = statistics(&reals, &rows, Over::All).unwrap().std[0];
        assert!(
            (got - variance(|i| f64::from(i % 3))).abs() < 1e-12,
            "{got}"
        );
        let got = statistics(&whole, &rows, Over::All).unwrap().std[0];
        assert!(
            (got - variance(|i| f64::from(i % 2))).abs() < 1e-12,
            "{got}"
        );
    }

    #[test]
    fn no_rows_rows_out_of_range_and_texts_are_refused() {
        let column = Column::new("x", vec![], ColumnData::U8(vec![1, 2])).unwrap();
        assert_eq!(
            statistics(&column, &[], Over::All).unwrap_err().to_string(),
            "nothing to fit: no rows are chosen"
        );
        assert_eq!(
            statistics(&column, &[2], Over::All).unwrap_err().code(),
            "E0930"
        );
        let texts =
            Column::new("t", vec![], ColumnData::Text(["a"].into_iter().collect())).unwrap();
        assert_eq!(
            statistics(&texts, &[0], Over::All).unwrap_err().to_string(),
            "column `t` holds text; fitting statistics needs numbers"
        );
    }
}
