//! Seeded splits of rows into parts.
//!
//! A part takes a fraction, a count, or what the others leave. Sizes are rounded
//! by the largest remainder, so that they add up to the rows exactly. A
//! stratified split keeps the sizes and gives every part its share of each
//! class, rounded down or up: `n_c * n_p / n`, less or more than one row away.
//! That both hold at once is the integrality of flows; units are placed one by
//! one, moving earlier ones along an augmenting path where they are in the way.
//!
//! Which rows go where depends on the seed and the rows alone. Each part comes
//! back in ascending order, but for a split by time, whose parts are in order of time.

mod folds;
mod keyed;
mod time;

pub use folds::{Fold, fold};
pub use keyed::{by_hash, by_value};
pub use time::by_time;

use super::error::DataError;
use super::shuffle::shuffle;
use super::table::{Column, ColumnData};
use crate::plural::count;
use crate::random::site_key;
use std::collections::BTreeMap;

/// How much a part takes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Share {
    /// A fraction of all rows, 0..=1.
    Fraction(f64),
    Count(usize),
    /// What the other parts leave; one part at most.
    Rest,
}

/// A part to be made.
#[derive(Clone, PartialEq, Debug)]
pub struct Part {
    pub name: String,
    pub share: Share,
}

/// Splits `rows`; `stratify` is a column with one integer per row.
pub fn split(
    rows: &[u32],
    parts: &[Part],
    stratify: Option<&Column>,
    seed: u64,
) -> Result<Vec<Vec<u32>>, DataError> {
    divide(rows, &sizes(rows.len(), parts)?, stratify, seed, "split")
}

/// Splits `rows` into parts of these sizes, which add up to them; `site` names the draw.
fn divide(
    rows: &[u32],
    sizes: &[usize],
    stratify: Option<&Column>,
    seed: u64,
    site: &str,
) -> Result<Vec<Vec<u32>>, DataError> {
    let key = site_key(seed, site);
    let mut split: Vec<Vec<u32>> = sizes.iter().map(|&n| Vec::with_capacity(n)).collect();
    let strata = match stratify {
        None => vec![rows.to_vec()],
        Some(column) => strata(rows, column)?,
    };
    let counts: Vec<usize> = strata.iter().map(Vec::len).collect();
    for (stream, (mut stratum, sizes)) in strata.into_iter().zip(allot(&counts, sizes)).enumerate()
    {
        shuffle(&mut stratum, key, stream as u64);
        let mut rest = stratum.as_slice();
        for (part, n) in split.iter_mut().zip(sizes) {
            let (mine, others) = rest.split_at(n);
            part.extend_from_slice(mine);
            rest = others;
        }
    }
    split.iter_mut().for_each(|part| part.sort_unstable());
    Ok(split)
}

/// Rows of each part: they add up to `n`, and none is 0.
pub fn sizes(n: usize, parts: &[Part]) -> Result<Vec<usize>, DataError> {
    let mut exact = Vec::with_capacity(parts.len());
    let mut rest = None;
    for (i, part) in parts.iter().enumerate() {
        let refuse = |expected| {
            Err(DataError::SplitShare {
                part: part.name.clone(),
                share: part.share.to_string(),
                expected,
            })
        };
        exact.push(match part.share {
            Share::Fraction(f) if !(0.0..=1.0).contains(&f) => {
                return refuse("a fraction must be between 0% and 100%");
            }
            Share::Fraction(f) => f * n as f64,
            Share::Count(c) if c > n => return refuse("there are not that many rows"),
            Share::Count(c) => c as f64,
            Share::Rest if rest.is_some() => return refuse("only one part can take the rest"),
            Share::Rest => {
                rest = Some(i);
                0.0
            }
        });
    }
    let asked: f64 = exact.iter().sum();
    // fractions such as 0.64, 0.16, 0.2 need not add up to 1 in binary
    let tolerance = 1e-9 * n as f64;
    if asked > n as f64 + tolerance || (rest.is_none() && asked < n as f64 - tolerance) {
        let percent = (asked / n.max(1) as f64 * 1e6).round() / 1e4;
        return Err(DataError::SplitSum {
            asked: format!("{percent}%"),
            rows: n,
        });
    }
    if let Some(rest) = rest {
        exact[rest] = (n as f64 - asked).max(0.0);
    }
    let sizes = round(n, &exact);
    match sizes.iter().position(|&s| s == 0) {
        Some(i) => Err(DataError::EmptyPart {
            part: parts[i].name.clone(),
            share: parts[i].share.to_string(),
            rows: n,
        }),
        None => Ok(sizes),
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Share::Fraction(x) => write!(f, "{}%", (x * 1e6).round() / 1e4),
            Share::Count(n) => f.write_str(&count(*n, "row")),
            Share::Rest => write!(f, "the rest"),
        }
    }
}

/// Rounds parts of `n`, by the largest remainder; of equal ones the first wins.
fn round(n: usize, exact: &[f64]) -> Vec<usize> {
    // a whole number that came out a little low is still whole
    let mut sizes: Vec<usize> = exact
        .iter()
        .map(|x| (x + 1e-9 * x.max(1.0)).floor() as usize)
        .collect();
    let mut order: Vec<usize> = (0..exact.len()).collect();
    order.sort_by(|&a, &b| (exact[b] - sizes[b] as f64).total_cmp(&(exact[a] - sizes[a] as f64)));
    let missing = n.saturating_sub(sizes.iter().sum());
    for &i in order.iter().take(missing) {
        sizes[i] += 1;
    }
    sizes
}

/// The rows of each class, classes in ascending order.
pub(super) fn strata(rows: &[u32], column: &Column) -> Result<Vec<Vec<u32>>, DataError> {
    let class = |row: u32| match column.data() {
        ColumnData::U8(v) => v.get(row as usize).map(|&x| i32::from(x)),
        ColumnData::I32(v) => v.get(row as usize).copied(),
        ColumnData::U16(v) => v.get(row as usize).map(|&x| i32::from(x)),
        ColumnData::F32(_) | ColumnData::Text(_) | ColumnData::Sparse(_) => None,
    };
    let found = match column.data() {
        ColumnData::F32(_) | ColumnData::Sparse(_) => Some("f32"),
        ColumnData::Text(_) => Some("text"),
        ColumnData::U8(_) | ColumnData::U16(_) | ColumnData::I32(_) => {
            (column.per_row() > 1).then_some("several numbers per row")
        }
    };
    if let Some(found) = found {
        return Err(DataError::ColumnKind {
            column: column.name.clone(),
            found,
            doing: "a split or balance by classes",
            expected: "one integer per row",
        });
    }
    let mut strata: BTreeMap<i32, Vec<u32>> = BTreeMap::new();
    for &row in rows {
        match class(row) {
            Some(class) => strata.entry(class).or_default().push(row),
            None => {
                return Err(DataError::RowIndex {
                    row: row as usize,
                    rows: column.rows(),
                });
            }
        }
    }
    Ok(strata.into_values().collect())
}

/// Rows of each class (outer) for each part (inner), with the given sums.
fn allot(classes: &[usize], parts: &[usize]) -> Vec<Vec<usize>> {
    let n = parts.iter().sum::<usize>() as u128;
    let mut need = parts.to_vec();
    let mut counts = Vec::with_capacity(classes.len());
    // a cell may be rounded up if its quota is not whole
    let mut open = Vec::with_capacity(classes.len());
    for &class in classes {
        let quotas = parts.iter().map(|&part| class as u128 * part as u128);
        let floors: Vec<usize> = quotas.clone().map(|q| (q / n) as usize).collect();
        need.iter_mut()
            .zip(&floors)
            .for_each(|(need, floor)| *need -= floor);
        open.push(quotas.map(|q| q % n != 0).collect::<Vec<bool>>());
        counts.push(floors);
    }
    let mut up = vec![vec![false; parts.len()]; classes.len()];
    for (c, &class) in classes.iter().enumerate() {
        for _ in counts[c].iter().sum::<usize>()..class {
            place(c, &open, &mut up, &mut need);
        }
    }
    for (counts, up) in counts.iter_mut().zip(up) {
        counts
            .iter_mut()
            .zip(up)
            .for_each(|(count, up)| *count += usize::from(up));
    }
    counts
}

/// Rounds one more cell of class `c` up, in a part that needs a row; where none
/// that does is open to `c`, other classes move their unit from part to part.
fn place(c: usize, open: &[Vec<bool>], up: &mut [Vec<bool>], need: &mut [usize]) {
    // breadth first over parts: which class moves its unit out of which part to get here
    let mut from: Vec<Option<(usize, Option<usize>)>> = vec![None; need.len()];
    let mut queue = std::collections::VecDeque::new();
    for p in 0..need.len() {
        if open[c][p] && !up[c][p] {
            from[p] = Some((c, None));
            queue.push_back(p);
        }
    }
    while let Some(p) = queue.pop_front() {
        if need[p] > 0 {
            need[p] -= 1;
            let mut at = p;
            while let Some((class, before)) = from[at] {
                up[class][at] = true;
                let Some(before) = before else { return };
                up[class][before] = false;
                at = before;
            }
            return;
        }
        for other in (0..up.len()).filter(|&other| up[other][p]) {
            for next in 0..need.len() {
                if from[next].is_none() && open[other][next] && !up[other][next] {
                    from[next] = Some((other, Some(p)));
                    queue.push_back(next);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(shares: &[(&str, Share)]) -> Vec<Part> {
        shares
            .iter()
            .map(|&(name, share)| Part {
                name: name.into(),
                share,
            })
            .collect()
    }

    const USUAL: [(&str, Share); 3] = [
        ("train", Share::Fraction(0.64)),
        ("val", Share::Fraction(0.16)),
        ("test", Share::Fraction(0.2)),
    ];

    #[test]
    fn sizes_add_up_by_the_largest_remainder() {
        use Share::{Count, Fraction, Rest};
        let sizes = |n, shares: &[Share]| {
            let named: Vec<_> = shares.iter().map(|&s| ("part", s)).collect();
            sizes(n, &parts(&named)).unwrap()
        };
        assert_eq!(
            sizes(10, &[Fraction(0.64), Fraction(0.16), Fraction(0.2)]),
            [6, 2, 2]
        );
        assert_eq!(
            sizes(25, &[Fraction(0.64), Fraction(0.16), Fraction(0.2)]),
            [16, 4, 5]
        );
        assert_eq!(
            sizes(
                3,
                &[
                    Fraction(1.0 / 3.0),
                    Fraction(1.0 / 3.0),
                    Fraction(1.0 / 3.0)
                ]
            ),
            [1, 1, 1]
        );
        assert_eq!(sizes(5, &[Fraction(0.5), Fraction(0.5)]), [3, 2]);
        assert_eq!(sizes(100, &[Rest, Count(10), Fraction(0.25)]), [65, 10, 25]);
        for n in 10..2000 {
            assert_eq!(
                sizes(n, &[Fraction(0.64), Fraction(0.16), Fraction(0.2)])
                    .iter()
                    .sum::<usize>(),
                n
            );
        }
    }

    #[test]
    fn what_cannot_be_split_is_refused() {
        use Share::{Count, Fraction, Rest};
        let cases: [(usize, &[Share], &str); 8] = [
            (
                10,
                &[Fraction(0.5), Fraction(0.4)],
                "the split uses 90%; together its parts must use all of the 10 rows",
            ),
            (
                10,
                &[Fraction(0.8), Fraction(0.4)],
                "the split uses 120%; together its parts must use all of the 10 rows",
            ),
            (
                10,
                &[Count(3), Count(4)],
                "the split uses 70%; together its parts must use all of the 10 rows",
            ),
            (
                3,
                &[Fraction(0.9), Fraction(0.1)],
                "the split leaves `b` empty: 10% of 3 rows",
            ),
            (
                10,
                &[Count(10), Rest],
                "the split leaves `b` empty: the rest of 10 rows",
            ),
            (
                10,
                &[Rest, Rest],
                "the split gives `b` the rest: only one part can take the rest",
            ),
            (
                10,
                &[Fraction(1.5), Rest],
                "the split gives `a` 150%: a fraction must be between 0% and 100%",
            ),
            (
                10,
                &[Fraction(f64::NAN), Rest],
                "the split gives `a` NaN%: a fraction must be between 0% and 100%",
            ),
        ];
        for (n, shares, expected) in cases {
            let named: Vec<_> = ["a", "b"].into_iter().zip(shares.iter().copied()).collect();
            assert_eq!(sizes(n, &parts(&named)).unwrap_err().to_string(), expected);
        }
        let reals = Column::new("x", vec![], ColumnData::F32(vec![0.0; 4])).unwrap();
        let error = split(&[0, 1, 2, 3], &parts(&[("all", Rest)]), Some(&reals), 0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "column `x` holds f32, but a split or balance by classes needs one integer per row"
        );
    }

    #[test]
    fn a_split_is_a_partition_and_depends_on_the_seed_alone() {
        let rows: Vec<u32> = (0..1000).collect();
        let first = split(&rows, &parts(&USUAL), None, 42).unwrap();
        assert_eq!(
            first.iter().map(Vec::len).collect::<Vec<_>>(),
            [640, 160, 200]
        );
        let mut all = first.concat();
        all.sort();
        assert_eq!(all, rows);
        assert_eq!(split(&rows, &parts(&USUAL), None, 42).unwrap(), first);
        assert_ne!(split(&rows, &parts(&USUAL), None, 43).unwrap(), first);
        assert!(
            first[2].windows(2).all(|w| w[0] < w[1]) && first[2] != (800..1000).collect::<Vec<_>>()
        );
    }

    #[test]
    fn stratified_parts_have_each_class_within_one_row_and_the_sizes_asked_for() {
        // classes of very different sizes, and enough of them to make naive rounding drift
        for classes in [2, 10, 97] {
            let label: Vec<i32> = (0..3001).map(|i| (i * i + i / 7) % classes - 3).collect();
            let column = Column::new("label", vec![], ColumnData::I32(label.clone())).unwrap();
            let rows: Vec<u32> = (0..3001).collect();
            let split = split(&rows, &parts(&USUAL), Some(&column), 5).unwrap();
            let expected = sizes(3001, &parts(&USUAL)).unwrap();
            assert_eq!(split.iter().map(Vec::len).collect::<Vec<_>>(), expected);
            let mut all = split.concat();
            all.sort();
            assert_eq!(all, rows);
            for class in -3..classes - 3 {
                let total = label.iter().filter(|&&l| l == class).count() as f64;
                for part in &split {
                    let got = part.iter().filter(|&&r| label[r as usize] == class).count() as f64;
                    assert!(
                        (got - total * part.len() as f64 / 3001.0).abs() < 1.0,
                        "{class}: {got} of {total}"
                    );
                }
            }
        }
    }
}
