//! Splits that a column decides row by row: by a hash of a key, or by a text that names
//! the part. Neither depends on the other rows, so rows that are added move none.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::data::error::DataError;
use crate::data::table::{Column, ColumnData};

/// Rows of one key go to one part. `shares` are fractions that add up to 1: a key's hash,
/// as a fraction of all hashes, says in which of them, one after another, it lies.
pub fn by_hash(
    rows: &[u32],
    shares: &[f64],
    key: &Column,
    seed: u64,
) -> Result<Vec<Vec<u32>>, DataError> {
    let mut parts = vec![Vec::new(); shares.len()];
    for &row in rows {
        let at = (hash(key, row, seed)? >> 11) as f64 / (1u64 << 53) as f64;
        let mut end = 0.0;
        let before = shares.iter().take_while(|&&share| {
            end += share;
            end <= at
        });
        let part = before.count().min(shares.len() - 1);
        parts[part].push(row);
    }
    Ok(parts)
}

/// The set that each row of a text column names.
pub fn by_value(rows: &[u32], names: &[&str], of: &Column) -> Result<Vec<Vec<u32>>, DataError> {
    let ColumnData::Text(texts) = of.data() else {
        return Err(DataError::ColumnKind {
            column: of.name.clone(),
            found: of.storage().name(),
            doing: "a split given by a column",
            expected: "text",
        });
    };
    let mut parts = vec![Vec::new(); names.len()];
    for &row in rows {
        let text = texts.get(row as usize).unwrap_or_default();
        match names.iter().position(|n| *n == text.trim()) {
            Some(part) => parts[part].push(row),
            None => {
                return Err(DataError::NoPart {
                    column: of.name.clone(),
                    row: u64::from(row) + 1,
                    value: text.into(),
                    expected: names.iter().map(|n| format!("\"{n}\"")).collect(),
                });
            }
        }
    }
    Ok(parts)
}

/// Hash of the text, or of the whole numbers as 64 bits each.
fn hash(key: &Column, row: u32, seed: u64) -> Result<u64, DataError> {
    if let ColumnData::Text(texts) = key.data() {
        let text = texts.get(row as usize).unwrap_or_default();
        return Ok(xxh3_64_with_seed(text.as_bytes(), seed));
    }
    let each = key.per_row();
    let mut bytes = Vec::with_capacity(8 * each);
    for i in 0..each {
        let x = key.number(row as usize * each + i);
        let x = x.ok_or(DataError::RowIndex {
            row: row as usize,
            rows: key.rows(),
        })?;
        bytes.extend((x as i64).to_le_bytes());
    }
    Ok(xxh3_64_with_seed(&bytes, seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_in_one_part_and_stays_there_when_rows_are_added() {
        let keys: Vec<i32> = (0..6000).map(|i| i * 7919 % 1500).collect();
        let column =
            |n: usize| Column::new("user", vec![], ColumnData::I32(keys[..n].to_vec())).unwrap();
        let rows = |n: u32| (0..n).collect::<Vec<u32>>();
        let shares = [0.7, 0.1, 0.2];
        let all = by_hash(&rows(6000), &shares, &column(6000), 5).unwrap();
        let few = by_hash(&rows(600), &shares, &column(600), 5).unwrap();
        for (all, few) in all.iter().zip(&few) {
            let first: Vec<u32> = all.iter().copied().filter(|&r| r < 600).collect();
            assert_eq!(first, *few);
        }
        let part_of = |row: &u32| {
            all.iter()
                .position(|p| p.binary_search(row).is_ok())
                .unwrap()
        };
        let mut seen = std::collections::HashMap::new();
        for row in rows(6000) {
            let part = part_of(&row);
            assert_eq!(*seen.entry(keys[row as usize]).or_insert(part), part);
        }
        for (part, share) in all.iter().zip(shares) {
            assert!((part.len() as f64 / 6000.0 - share).abs() < 0.04);
        }
        assert_ne!(
            by_hash(&rows(6000), &shares, &column(6000), 6).unwrap(),
            all
        );
    }

    #[test]
    fn numbers_hash_alike_however_they_are_stored() {
        let of = |data| {
            by_hash(
                &[0, 1, 2],
                &[0.5, 0.5],
                &Column::new("k", vec![], data).unwrap(),
                1,
            )
        };
        assert_eq!(
            of(ColumnData::U8(vec![1, 2, 3])),
            of(ColumnData::I32(vec![1, 2, 3]))
        );
    }

    #[test]
    fn a_text_that_names_no_part_is_told_with_its_row() {
        let texts = ColumnData::Text(["train", "test", "dev"].into_iter().collect());
        let column = Column::new("part", vec![], texts).unwrap();
        assert_eq!(
            by_value(&[0, 1], &["train", "test"], &column).unwrap(),
            [vec![0], vec![1]]
        );
        assert_eq!(
            by_value(&[0, 1, 2], &["train", "test"], &column)
                .unwrap_err()
                .to_string(),
            "row 3, column `part`: `dev` does not name a part of the split; expected \"train\", \"test\""
        );
    }
}
