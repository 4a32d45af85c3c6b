//! k folds of one size, to one row: each is held out once, and the others train.

use super::{Part, Share, divide, sizes};
use crate::data::error::DataError;
use crate::data::table::Column;

/// The rows of one fold's run.
#[derive(Clone, PartialEq, Debug)]
pub struct Fold {
    pub train: Vec<u32>,
    pub held_out: Vec<u32>,
    /// Those set aside before: the same for each fold; empty if there are none.
    pub test: Vec<u32>,
}

/// Fold `number`, from 0, of `count`. As scikit-learn's `KFold`, the first folds have a row
/// more where they do not come out even; stratified, each has the same fraction of every class
/// to within one row.
pub fn fold(
    rows: &[u32],
    (number, count): (usize, usize),
    test: Option<Share>,
    stratify: Option<&Column>,
    seed: u64,
) -> Result<Fold, DataError> {
    let (test, rows) = match test {
        None => (Vec::new(), rows.to_vec()),
        Some(share) => {
            let part = |name: &str, share| Part {
                name: name.into(),
                share,
            };
            let sizes = sizes(
                rows.len(),
                &[part("test", share), part("train", Share::Rest)],
            )?;
            let mut both = divide(rows, &sizes, stratify, seed, "split")?.into_iter();
            (
                both.next().unwrap_or_default(),
                both.next().unwrap_or_default(),
            )
        }
    };
    if rows.len() < count {
        return Err(DataError::EmptyPart {
            part: format!("fold {count}"),
            share: format!("one of {count} folds"),
            rows: rows.len(),
        });
    }
    let (each, more) = (rows.len() / count, rows.len() % count);
    let sizes: Vec<usize> = (0..count).map(|i| each + usize::from(i < more)).collect();
    let mut folds = divide(&rows, &sizes, stratify, seed, "folds")?;
    let held_out = folds.swap_remove(number);
    let mut train = folds.concat();
    train.sort_unstable();
    Ok(Fold {
        train,
        held_out,
        test,
    })
}

#[cfg(test)]
mod tests {
    use super::super::ColumnData;
    use super::*;

    #[test]
    fn every_row_is_held_out_once_and_folds_differ_by_a_row_at_most() {
        let label: Vec<i32> = (0..103).map(|i| i32::from(i % 9 == 0)).collect();
        let column = Column::new("y", vec![], ColumnData::I32(label.clone())).unwrap();
        let rows: Vec<u32> = (0..103).collect();
        for stratify in [None, Some(&column)] {
            for test in [None, Some(Share::Fraction(0.2))] {
                let all: Vec<Fold> = (0..5)
                    .map(|i| fold(&rows, (i, 5), test, stratify, 11).unwrap())
                    .collect();
                let aside = all[0].test.clone();
                assert_eq!(aside.len(), if test.is_some() { 21 } else { 0 });
                let mut held: Vec<u32> = all.iter().flat_map(|f| f.held_out.clone()).collect();
                held.extend(&aside);
                held.sort_unstable();
                assert_eq!(held, rows);
                let kept = 103 - aside.len();
                for f in &all {
                    assert_eq!(f.test, aside);
                    assert!(f.held_out.len() == kept / 5 || f.held_out.len() == kept / 5 + 1);
                    let mut whole = [f.train.clone(), f.held_out.clone(), f.test.clone()].concat();
                    whole.sort_unstable();
                    assert_eq!(whole, rows);
                    if stratify.is_some() {
                        let ones = |rows: &[u32]| {
                            rows.iter().filter(|&&r| label[r as usize] == 1).count() as f64
                        };
                        let share = (ones(&f.train) + ones(&f.held_out)) * f.held_out.len() as f64
                            / kept as f64;
                        assert!((ones(&f.held_out) - share).abs() < 1.0);
                    }
                }
            }
        }
        let error = fold(&rows[..3], (0, 5), None, None, 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the split leaves `fold 5` empty: one of 5 folds of 3 rows"
        );
    }
}
