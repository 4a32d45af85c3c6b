//! Columns made of the values at other rows of a series: what went before, what comes after.

use super::error::DataError;
use super::table::{Column, ColumnData};

/// Values that a row is made of, by their places relative to it.
#[derive(Clone, PartialEq, Debug)]
pub struct Offsets(Vec<i64>);

impl Offsets {
    /// `length` values, each `rate` rows behind the one before, the last that of the row.
    pub fn window(length: usize, rate: usize) -> Offsets {
        let back = (0..length).rev().map(|i| -((i * rate) as i64));
        Offsets(back.collect())
    }

    /// One value, so many rows ahead; behind, if it is below 0.
    pub fn one(ahead: i64) -> Offsets {
        Offsets(vec![ahead])
    }

    /// Rows that a series must have to make one.
    pub fn span(&self) -> usize {
        let ends = self.0.iter().chain(&[0]);
        let (first, last) = ends.fold((0, 0), |(a, b), &x| (a.min(x), b.max(x)));
        (last - first) as usize + 1
    }
}

/// A column of values of `column` at `offsets`, which lie along a first axis if there are
/// `several`, and for each row whether all of them are in its series. `series` are rows in
/// their order; no row is in two. Of those with all values only every `stride`th is marked,
/// from the first on. Others hold zeros.
pub fn gather(
    column: &Column,
    name: &str,
    series: &[&[u32]],
    (offsets, several, stride): (&Offsets, bool, usize),
) -> Result<(Column, Vec<bool>), DataError> {
    let each = column.per_row();
    let width = each * offsets.0.len();
    let mut places: Vec<(usize, usize)> = Vec::new();
    let mut whole = vec![false; column.rows()];
    for rows in series {
        let at = |i: usize, offset: i64| -> Option<u32> {
            let i = usize::try_from(i as i64 + offset).ok()?;
            rows.get(i).copied()
        };
        let mut found = 0;
        for (i, &row) in rows.iter().enumerate() {
            if offsets.0.iter().any(|&o| at(i, o).is_none()) {
                continue;
            }
            found += 1;
            whole[row as usize] = (found - 1) % stride == 0;
            for (k, &offset) in offsets.0.iter().enumerate() {
                if let Some(from) = at(i, offset) {
                    places.push((row as usize * width + k * each, from as usize * each));
                }
            }
        }
    }
    let len = column.rows() * width;
    let data = match column.data() {
        ColumnData::U8(v) => ColumnData::U8(moved(v, len, each, &places)),
        ColumnData::U16(v) => ColumnData::U16(moved(v, len, each, &places)),
        ColumnData::I32(v) => ColumnData::I32(moved(v, len, each, &places)),
        ColumnData::F32(v) => ColumnData::F32(moved(v, len, each, &places)),
        other @ (ColumnData::Text(_) | ColumnData::Sparse(_)) => {
            return Err(DataError::ColumnKind {
                column: column.name.clone(),
                found: other.storage().name(),
                doing: "a series",
                expected: "numbers",
            });
        }
    };
    let mut shape = column.shape().to_vec();
    if several {
        shape.insert(0, offsets.0.len());
    }
    Ok((Column::new(name, shape, data)?, whole))
}

/// `each` values at a time from one place to another.
fn moved<T: Copy + Default>(v: &[T], len: usize, each: usize, places: &[(usize, usize)]) -> Vec<T> {
    let mut all = vec![T::default(); len];
    for &(to, from) in places {
        all[to..to + each].copy_from_slice(&v[from..from + each]);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column() -> Column {
        let data = (0..10).flat_map(|i| [i as f32, 10.0 * i as f32]).collect();
        Column::new("x", vec![2], ColumnData::F32(data)).unwrap()
    }

    fn row(column: &Column, row: usize) -> Vec<f64> {
        let each = column.per_row();
        let all = row * each..(row + 1) * each;
        all.map(|i| column.number(i).unwrap()).collect()
    }

    #[test]
    fn windows_end_at_their_row_and_cross_no_end() {
        let rows: Vec<u32> = (0..10).collect();
        let three = Offsets::window(3, 2);
        assert_eq!(three.span(), 5);
        let series = [&rows[..6], &rows[6..]];
        let (made, whole) = gather(&column(), "w", &series, (&three, true, 1)).unwrap();
        assert_eq!(made.shape(), [3, 2]);
        let marked: Vec<usize> = (0..10).filter(|&i| whole[i]).collect();
        assert_eq!(marked, [4, 5]);
        assert_eq!(row(&made, 5), [1.0, 10.0, 3.0, 30.0, 5.0, 50.0]);
    }

    #[test]
    fn rows_follow_each_other_as_they_are_listed() {
        let rows = [3, 1, 2, 0];
        let ahead = Offsets::one(1);
        let (made, whole) = gather(&column(), "a", &[&rows], (&ahead, false, 1)).unwrap();
        assert_eq!(made.shape(), [2]);
        assert_eq!(whole[..4], [false, true, true, true]);
        assert_eq!(
            [row(&made, 3), row(&made, 1), row(&made, 2)],
            [[1.0, 10.0], [2.0, 20.0], [0.0, 0.0]]
        );
        let behind = Offsets::one(-2);
        let (_, whole) = gather(&column(), "a", &[&rows], (&behind, false, 2)).unwrap();
        assert_eq!(whole[..4], [false, false, true, false]);
    }
}
