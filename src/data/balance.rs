//! Classes of unequal numbers: rows drawn so that each has as many, or weights in their stead.

use super::error::DataError;
use super::shuffle::shuffle;
use super::split::strata;
use super::table::Column;
use crate::random::site_key;

/// Which number of rows every class gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Balance {
    /// The most that one has: the rows of the others come several times.
    Oversample,
    /// The fewest: rows of the others are left out.
    Undersample,
}

/// The rows, in ascending order, so that every class that is there has as many. A class's
/// rows come equally often, but for one time more of as many as it takes, drawn by `seed`.
pub fn balanced(
    rows: &[u32],
    class: &Column,
    how: Balance,
    seed: u64,
) -> Result<Vec<u32>, DataError> {
    let strata = strata(rows, class)?;
    let counts = strata.iter().map(Vec::len);
    let each = match how {
        Balance::Oversample => counts.max(),
        Balance::Undersample => counts.min(),
    };
    let each = each.ok_or(DataError::NoRows { doing: "balance" })?;
    let key = site_key(seed, "balance");
    let mut all = Vec::with_capacity(each * strata.len());
    for (stream, mut stratum) in strata.into_iter().enumerate() {
        shuffle(&mut stratum, key, stream as u64);
        all.extend(stratum.iter().cycle().take(each));
    }
    all.sort_unstable();
    Ok(all)
}

/// scikit-learn's `balanced` weights: `n / (classes * count)` of each class.
///
/// # Errors
/// A class without a row has no weight.
pub fn weights(rows: &[u32], class: &Column, classes: usize) -> Result<Vec<f64>, DataError> {
    let mut counts = vec![0usize; classes];
    for &row in rows {
        let found = class.number(row as usize).map(|x| x as usize);
        if let Some(count) = found.and_then(|c| counts.get_mut(c)) {
            *count += 1;
        }
    }
    if let Some(empty) = counts.iter().position(|&n| n == 0) {
        return Err(DataError::EmptyClass {
            column: class.name.clone(),
            class: empty,
        });
    }
    let n = rows.len() as f64;
    let weight = |&count: &usize| n / (classes as f64 * count as f64);
    Ok(counts.iter().map(weight).collect())
}

#[cfg(test)]
mod tests {
    use super::super::ColumnData;
    use super::*;

    #[test]
    fn every_class_has_as_many_rows() {
        let label: Vec<i32> = (0..100)
            .map(|i| i32::from(i % 10 < 3) + i32::from(i % 25 == 0))
            .collect();
        let column = Column::new("y", vec![], ColumnData::I32(label.clone())).unwrap();
        let rows: Vec<u32> = (10..100).collect();
        let of =
            |rows: &[u32], class: i32| rows.iter().filter(|&&r| label[r as usize] == class).count();
        let counts: Vec<usize> = (0..3).map(|c| of(&rows, c)).collect();
        let most = counts.iter().max().unwrap();
        let over = balanced(&rows, &column, Balance::Oversample, 1).unwrap();
        let under = balanced(&rows, &column, Balance::Undersample, 1).unwrap();
        for class in 0..3 {
            assert_eq!(of(&over, class), *most);
            assert_eq!(of(&under, class), *counts.iter().min().unwrap());
            // none comes twice more often than another of its class
            let times = |r: &u32| over.iter().filter(|&o| o == r).count();
            let mine: Vec<usize> = rows
                .iter()
                .filter(|&&r| label[r as usize] == class)
                .map(times)
                .collect();
            assert!(mine.iter().max().unwrap() - mine.iter().min().unwrap() <= 1);
        }
        assert!(under.windows(2).all(|w| w[0] < w[1]));
        assert_ne!(
            balanced(&rows, &column, Balance::Undersample, 2).unwrap(),
            under
        );
    }

    #[test]
    fn weights_go_against_the_numbers_of_rows() {
        let column = Column::new("y", vec![], ColumnData::U8(vec![0, 1, 0, 0, 2, 2])).unwrap();
        let rows = [0, 1, 2, 3, 4, 5];
        assert_eq!(weights(&rows, &column, 3).unwrap(), [6.0 / 9.0, 2.0, 1.0]);
        assert_eq!(
            weights(&rows[..4], &column, 3).unwrap_err().to_string(),
            "class 2 of column `y` has no training rows, so its weight is undefined"
        );
    }
}
