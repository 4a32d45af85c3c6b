//! What a column looks like: how much is missing, how many different values there are,
//! their range and where they lie.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;

use super::error::DataError;
use super::fitted::statistics::Pieces;
use super::table::{Column, ColumnData};

/// Bars of a histogram at most.
pub const BINS: usize = 32;
/// Different values are counted up to here.
pub const MOST_DISTINCT: usize = 100_000;
/// Numbers of so few values are counted one by one.
const FEW: usize = 20;

/// Facts of a column over chosen rows.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Facts {
    /// Numbers or texts that were looked at: all those of a row.
    pub values: u64,
    /// Texts of nothing but blanks, numbers that are none.
    pub missing: u64,
    /// None: more than [`MOST_DISTINCT`].
    pub distinct: Option<usize>,
    /// Range of the numbers, or of the texts' lengths in characters.
    pub range: Option<Range>,
    /// Whole numbers of few values, and how often each is there.
    pub counts: Vec<(i64, u64)>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Range {
    pub min: f64,
    pub max: f64,
    pub mean: f64,
    /// Population standard deviation.
    pub std: f64,
    pub histogram: Histogram,
}

/// How many numbers lie in each part of a range: `counts[i]` from `from + i * width` to
/// `from + (i + 1) * width`, the last number in the last part. Parts of whole numbers begin
/// at whole numbers, so that each has as many of them as another.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Histogram {
    pub from: f64,
    pub width: f64,
    pub counts: Vec<u64>,
}

/// What `rows` of a column hold.
///
/// # Errors
/// A row that is not there.
pub fn describe(column: &Column, rows: &[u32]) -> Result<Facts, DataError> {
    if let Some(&row) = rows.iter().find(|&&r| r as usize >= column.rows()) {
        return Err(DataError::RowIndex {
            row: row as usize,
            rows: column.rows(),
        });
    }
    Ok(match column.data() {
        ColumnData::Text(texts) => {
            let mut seen = FxHashSet::default();
            let mut lengths = Vec::with_capacity(rows.len());
            let mut missing = 0;
            for &row in rows {
                let text = texts.get(row as usize).unwrap_or_default();
                missing += u64::from(text.trim().is_empty());
                lengths.push(text.chars().count() as f64);
                if seen.len() <= MOST_DISTINCT {
                    seen.insert(text);
                }
            }
            Facts {
                values: rows.len() as u64,
                missing,
                distinct: (seen.len() <= MOST_DISTINCT).then_some(seen.len()),
                range: range(|f| lengths.iter().for_each(|&x| f(x))),
                counts: Vec::new(),
            }
        }
        _ => describe_pieces(&mut |f| f(column, rows), None)?,
    })
}

/// What rows of a column of numbers hold that come in pieces, which are gone over three times;
/// of each row all numbers, or the one at a place.
pub fn describe_pieces(pieces: Pieces, of: Option<usize>) -> Result<Facts, DataError> {
    let mut fault = None;
    let mut all = |f: Visit| {
        let gone = pieces(&mut |column, rows| {
            let each = column.per_row();
            let places = of.map_or(0..each, |i| i..i + 1);
            for &row in rows {
                let row = row as usize * each;
                (places.clone()).for_each(|i| f(column.number(row + i).unwrap_or(f64::NAN)));
            }
            Ok(())
        });
        if let Err(error) = gone {
            fault = Some(error);
        }
    };
    let facts = numbers(&mut all);
    match fault {
        Some(error) => Err(error),
        None => Ok(facts),
    }
}

/// What is done with each number.
type Visit<'v> = &'v mut dyn FnMut(f64);

/// Facts of numbers, which are gone over several times.
fn numbers(all: &mut dyn FnMut(Visit)) -> Facts {
    let (mut values, mut missing) = (0, 0);
    let mut seen = FxHashSet::default();
    let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
    let mut countable = true;
    all(&mut |x| {
        values += 1;
        if x.is_nan() {
            missing += 1;
            return;
        }
        if seen.len() <= MOST_DISTINCT {
            // -0 and 0 are one value
            seen.insert((x + 0.0).to_bits());
        }
        countable &= x.fract() == 0.0 && x.abs() < 1e15;
        if countable && (counts.len() < FEW || counts.contains_key(&(x as i64))) {
            *counts.entry(x as i64).or_default() += 1;
        } else {
            countable = false;
        }
    });
    Facts {
        values,
        missing,
        distinct: (seen.len() <= MOST_DISTINCT).then_some(seen.len()),
        range: range(|f| {
            all(&mut |x| {
                if !x.is_nan() {
                    f(x);
                }
            });
        }),
        counts: if countable {
            counts.into_iter().collect()
        } else {
            Vec::new()
        },
    }
}

/// None of no numbers.
fn range(mut all: impl FnMut(&mut dyn FnMut(f64))) -> Option<Range> {
    let (mut n, mut sum) = (0u64, 0.0);
    let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
    let mut whole = true;
    all(&mut |x| {
        n += 1;
        sum += x;
        (min, max) = (x.min(min), x.max(max));
        whole &= x.fract() == 0.0;
    });
    if n == 0 {
        return None;
    }
    let mean = sum / n as f64;
    let mut squares = 0.0;
    let mut histogram = Histogram::between(min, max, whole);
    all(&mut |x| {
        squares += (x - mean).powi(2);
        histogram.add(x);
    });
    Some(Range {
        min,
        max,
        mean,
        std: (squares / n as f64).sqrt(),
        histogram,
    })
}

impl Histogram {
    /// Without numbers yet, which are from `min` to `max`.
    pub fn between(min: f64, max: f64, whole: bool) -> Histogram {
        let span = max - min;
        let (width, bins) = match whole && span < 1e15 {
            true => {
                let width = ((span + 1.0) / BINS as f64).ceil();
                (width, ((span + 1.0) / width).ceil() as usize)
            }
            false if span > 0.0 => (span / BINS as f64, BINS),
            false => (1.0, 1),
        };
        Histogram {
            from: min,
            width,
            counts: vec![0; bins],
        }
    }

    pub fn add(&mut self, x: f64) {
        let last = self.counts.len() - 1;
        self.counts[(((x - self.from) / self.width) as usize).min(last)] += 1;
    }

    /// Where the parts begin, and where the last one ends.
    pub fn edges(&self) -> Vec<f64> {
        let edge = |i: usize| self.from + self.width * i as f64;
        (0..=self.counts.len()).map(edge).collect()
    }

    /// A line of at most `most` bars: `▁▃█▅▂▁`; a blank where there is nothing. Neighbours are joined until they fit.
    pub fn line(&self, most: usize) -> String {
        if self.counts.len() > most {
            let counts = self.counts.chunks(2).map(|two| two.iter().sum()).collect();
            return Histogram { counts, ..*self }.line(most);
        }
        let most = self.counts.iter().copied().max().unwrap_or(0);
        let bar = |&n: &u64| match n {
            0 => ' ',
            _ => ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][(n * 7 / most) as usize],
        };
        self.counts.iter().map(bar).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_described_over_the_rows_chosen() {
        let data = ColumnData::F32(vec![1.0, -1.0, 3.0, 0.5, f32::NAN, 100.0]);
        let column = Column::new("x", vec![2], data).unwrap();
        let facts = describe(&column, &[0, 1]).unwrap();
        assert_eq!(
            (facts.values, facts.missing, facts.distinct),
            (4, 0, Some(4))
        );
        assert!(facts.counts.is_empty());
        let range = facts.range.unwrap();
        assert_eq!((range.min, range.max, range.mean), (-1.0, 3.0, 0.875));
        assert_eq!(range.histogram.counts.iter().sum::<u64>(), 4);
        assert_eq!(
            (range.histogram.counts[0], range.histogram.counts[31]),
            (1, 1)
        );
        let facts = describe(&column, &[2]).unwrap();
        assert_eq!((facts.missing, facts.range.unwrap().std), (1, 0.0));
        assert!(describe(&column, &[3]).is_err());
        assert_eq!(describe(&column, &[]).unwrap().range, None);
    }

    #[test]
    fn whole_numbers_of_few_values_are_counted() {
        let column = Column::new("y", vec![], ColumnData::I32(vec![2, 0, 2, -1])).unwrap();
        let facts = describe(&column, &[0, 1, 2, 3]).unwrap();
        assert_eq!(facts.counts, [(-1, 1), (0, 1), (2, 2)]);
        let many = Column::new("y", vec![], ColumnData::I32((0..50).collect())).unwrap();
        let all: Vec<u32> = (0..50).collect();
        let facts = describe(&many, &all).unwrap();
        assert_eq!((facts.counts.len(), facts.distinct), (0, Some(50)));
    }

    #[test]
    fn texts_have_lengths_in_characters() {
        let texts = ["a\u{e9}", " ", "a\u{e9}"].into_iter().collect();
        let column = Column::new("t", vec![], ColumnData::Text(texts)).unwrap();
        let facts = describe(&column, &[0, 1, 2]).unwrap();
        assert_eq!((facts.missing, facts.distinct), (1, Some(2)));
        let range = facts.range.unwrap();
        assert_eq!((range.min, range.max), (1.0, 2.0));
    }

    #[test]
    fn parts_of_whole_numbers_have_as_many_of_them_each() {
        let of = |min, max| Histogram::between(min, max, true);
        let found = |h: Histogram| (h.from, h.width, h.counts.len());
        assert_eq!(found(of(0.0, 255.0)), (0.0, 8.0, 32));
        assert_eq!(found(of(3.0, 9.0)), (3.0, 1.0, 7));
        assert_eq!(found(of(0.0, 32.0)), (0.0, 2.0, 17));
        assert_eq!(found(of(5.0, 5.0)), (5.0, 1.0, 1));
        assert_eq!(found(Histogram::between(0.5, 0.5, false)), (0.5, 1.0, 1));
        let data = ColumnData::I32((0..64).collect());
        let column = Column::new("x", vec![2], data).unwrap();
        let rows: Vec<u32> = (0..32).collect();
        let range = describe(&column, &rows).unwrap().range.unwrap();
        assert_eq!(range.histogram.counts, [2; 32]);
        assert_eq!(range.histogram.edges()[31..], [62.0, 64.0]);
        let second = describe_pieces(&mut |f| f(&column, &rows), Some(1)).unwrap();
        assert_eq!((second.values, second.range.unwrap().min), (32, 1.0));
    }

    #[test]
    fn bars_are_as_high_as_there_are_many() {
        let counts = vec![0, 1, 4, 8, 100];
        let bars = |counts| Histogram {
            counts,
            ..Histogram::default()
        };
        assert_eq!(bars(counts).line(16), " ▁▁▁█");
        assert_eq!(bars(vec![0, 0]).line(16), "  ");
        assert_eq!(
            bars([vec![1; 16], vec![7; 16]].concat()).line(16),
            "▂▂▂▂▂▂▂▂████████"
        );
    }
}
