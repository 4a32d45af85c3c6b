//! Statistics fitted on chosen rows: what `standardize` and `minmax` need.
//!
//! Sums of u8 and i32 columns are kept as integers, so that mean and variance
//! are those of exact arithmetic, rounded once or twice. For f32 columns the
//! mean and then the squared deviations are summed in f64, with the correction
//! of Chan, Golub and LeVeque ("Algorithms for computing the sample variance",
//! The American Statistician, 1983). Rows are taken in the order given, by one
//! thread: the result is the same every time.

use crate::data::error::DataError;
use crate::data::table::{Column, ColumnData};

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

    /// The fraction of values that are at most `limit`.
    pub fn share_up_to(&self, limit: f64) -> f64 {
        let within = self.sorted.partition_point(|&x| f64::from(x) <= limit);
        within as f64 / self.sorted.len() as f64
    }

    /// In ascending order.
    pub fn sorted(&self) -> &[i32] {
        &self.sorted
    }
}

/// Goes over the rows of a column, all at once or some at a time; called once for each pass.
pub type Pieces<'p> = &'p mut dyn FnMut(Piece) -> Result<(), DataError>;

/// What is done with a column and some of its rows.
pub type Piece<'p> = &'p mut dyn FnMut(&Column, &[u32]) -> Result<(), DataError>;

/// Statistics of `rows` of a column of numbers.
pub fn statistics(column: &Column, rows: &[u32], over: Over) -> Result<Statistics, DataError> {
    if let Some(&row) = rows.iter().find(|&&r| r as usize >= column.rows()) {
        return Err(DataError::RowIndex {
            row: row as usize,
            rows: column.rows(),
        });
    }
    statistics_of(&mut |f| f(column, rows), over)
}

/// Statistics of rows that come in pieces, which are gone over twice at most. However they are
/// cut, the result is the same, bit for bit.
pub fn statistics_of(pieces: Pieces, over: Over) -> Result<Statistics, DataError> {
    let mut sums = None;
    pieces(&mut |column, rows| {
        if sums.is_none() {
            sums = Some(Sums::new(column, over)?);
        }
        if let Some(sums) = &mut sums {
            each(column, rows, over, &mut |i, x| sums.add(i, x));
        }
        Ok(())
    })?;
    let sums = sums.filter(|s| s.count() > 0);
    let sums = sums.ok_or(DataError::NoRows { doing: "fit" })?;
    let reals = match sums {
        Sums::Whole(sums) => return Ok(whole(&sums)),
        Sums::Real(reals) => reals,
    };
    // (sum of squared deviations, sum of deviations: 0 but for rounding)
    let n = reals[0].count as f64;
    let mean: Vec<f64> = reals.iter().map(|r| r.sum / n).collect();
    let mut deviations = vec![(0.0, 0.0); mean.len()];
    pieces(&mut |column, rows| {
        each(column, rows, over, &mut |i, x| {
            if let Number::Real(x) = x {
                let d = x - mean[i];
                deviations[i].0 += d * d;
                deviations[i].1 += d;
            }
        });
        Ok(())
    })?;
    let std = deviations
        .iter()
        .map(|(squares, sum)| ((squares - sum * sum / n).max(0.0) / n).sqrt());
    Ok(Statistics {
        count: reals[0].count,
        std: std.collect(),
        mean,
        min: reals.iter().map(|r| r.min).collect(),
        max: reals.iter().map(|r| r.max).collect(),
    })
}

#[derive(Clone, Copy)]
enum Number {
    Whole(i64),
    Real(f64),
}

/// Rows' elements, each with its feature.
fn each(column: &Column, rows: &[u32], over: Over, f: &mut impl FnMut(usize, Number)) {
    fn go<T: Copy>(
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
    let n = column.per_row();
    match column.data() {
        ColumnData::U8(v) => go(v, n, rows, over, |i, x| f(i, Number::Whole(x.into()))),
        ColumnData::U16(v) => go(v, n, rows, over, |i, x| f(i, Number::Whole(x.into()))),
        ColumnData::I32(v) => go(v, n, rows, over, |i, x| f(i, Number::Whole(x.into()))),
        ColumnData::F32(v) => go(v, n, rows, over, |i, x| f(i, Number::Real(x.into()))),
        ColumnData::Text(_) | ColumnData::Sparse(_) => {}
    }
}

/// What a first pass gathers, a feature each.
enum Sums {
    Whole(Vec<WholeSums>),
    Real(Vec<RealSums>),
}

#[derive(Clone)]
struct WholeSums {
    count: u64,
    sum: i128,
    squares: u128,
    min: i64,
    max: i64,
}

#[derive(Clone)]
struct RealSums {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
}

impl Sums {
    fn new(column: &Column, over: Over) -> Result<Sums, DataError> {
        let features = match over {
            Over::Element => column.per_row(),
            Over::All => 1,
        };
        match column.data() {
            ColumnData::U8(_) | ColumnData::U16(_) | ColumnData::I32(_) => {
                let none = WholeSums {
                    count: 0,
                    sum: 0,
                    squares: 0,
                    min: i64::MAX,
                    max: i64::MIN,
                };
                Ok(Sums::Whole(vec![none; features]))
            }
            ColumnData::F32(_) => {
                let none = RealSums {
                    count: 0,
                    sum: 0.0,
                    min: f64::INFINITY,
                    max: f64::NEG_INFINITY,
                };
                Ok(Sums::Real(vec![none; features]))
            }
            other @ (ColumnData::Text(_) | ColumnData::Sparse(_)) => Err(DataError::ColumnKind {
                column: column.name.clone(),
                found: other.storage().name(),
                doing: "fitting statistics",
                expected: "numbers",
            }),
        }
    }

    fn count(&self) -> u64 {
        match self {
            Sums::Whole(sums) => sums[0].count,
            Sums::Real(sums) => sums[0].count,
        }
    }

    fn add(&mut self, feature: usize, x: Number) {
        match (self, x) {
            (Sums::Whole(sums), Number::Whole(x)) => {
                let s = &mut sums[feature];
                s.count += 1;
                s.sum += i128::from(x);
                s.squares += u128::from(x.unsigned_abs().pow(2));
                s.min = s.min.min(x);
                s.max = s.max.max(x);
            }
            (Sums::Real(sums), Number::Real(x)) => {
                let s = &mut sums[feature];
                s.count += 1;
                s.sum += x;
                s.min = x.min(s.min);
                s.max = x.max(s.max);
            }
            // every piece of a column is of one type
            (Sums::Whole(_), Number::Real(_)) | (Sums::Real(_), Number::Whole(_)) => {}
        }
    }
}

fn whole(sums: &[WholeSums]) -> Statistics {
    let count = sums[0].count;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Code;

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
            "nothing to fit: no rows are selected"
        );
        assert_eq!(
            statistics(&column, &[2], Over::All).unwrap_err().code(),
            Code::E0930
        );
        let texts =
            Column::new("t", vec![], ColumnData::Text(["a"].into_iter().collect())).unwrap();
        assert_eq!(
            statistics(&texts, &[0], Over::All).unwrap_err().to_string(),
            "column `t` holds text, but fitting statistics needs numbers"
        );
    }

    #[test]
    fn rows_in_pieces_give_the_same_bits() {
        let reals: Vec<f32> = (0..300).map(|i| (i as f32 * 0.37).sin() * 1e3).collect();
        let wholes: Vec<i32> = (0..300).map(|i| i * i - 700).collect();
        for data in [ColumnData::F32(reals), ColumnData::I32(wholes)] {
            let column = Column::new("x", vec![3], data).unwrap();
            let rows: Vec<u32> = (0..100).filter(|r| r % 3 != 1).collect();
            let at_once = statistics(&column, &rows, Over::Element).unwrap();
            for length in [1, 7, 64] {
                let mut pieces = |f: Piece| rows.chunks(length).try_for_each(|r| f(&column, r));
                let found = statistics_of(&mut pieces, Over::Element).unwrap();
                assert_eq!(found, at_once);
            }
        }
    }
}
