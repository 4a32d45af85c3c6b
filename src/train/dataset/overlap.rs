//! Rows of the validation or test set that are in the training set too, by what a model
//! is fed. A row is told from others by 64 bits of XXH3 of its columns, and a row that is
//! found is compared: nothing is counted that is not the same. 16 bytes a training row.

use crate::diag::Code;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::Xxh3Default;

use crate::data::{Column, ColumnData, DataError, Table};
use crate::plural::{count, thousands};
use crate::spec::Part;

use super::{Dataset, indices};

/// Rows of a part that are in `train` too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overlap {
    pub part: Part,
    /// How many, of how many.
    pub count: usize,
    pub rows: usize,
    /// The first of them, from 0 in its source, and the row of `train` that it is again.
    pub first: usize,
    pub again: usize,
}

impl Overlap {
    pub const CODE: Code = Code::W0901;
    pub const HELP: &'static str = "scores on rows the model was trained on are too optimistic; \
        `split hash(key)` keeps all rows of one key in the same set";
}

impl std::fmt::Display for Overlap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let set = self.part.adjective();
        write!(
            f,
            "{} of the {} also {} in the training set (e.g. row {} has the same inputs as row {})",
            thousands(self.count),
            count(self.rows, &format!("{set} row")),
            if self.count == 1 { "appears" } else { "appear" },
            self.first + 1,
            self.again + 1
        )
    }
}

impl Dataset {
    /// Rows of `val` and `test` whose `columns` are those of a training row.
    pub fn overlaps(&self, columns: &[&str]) -> Result<Vec<Overlap>, DataError> {
        let judged = [Part::Val, Part::Test];
        let judged = judged.map(|p| (p, self.parts.get(&p)));
        let Some((train, trained_on)) = self.parts.get(&Part::Train) else {
            return Ok(Vec::new());
        };
        if columns.is_empty() || judged.iter().all(|(_, p)| p.is_none()) {
            return Ok(Vec::new());
        }
        let of_train = picked(train, columns)?;
        let mut known: FxHashMap<u64, u32> = FxHashMap::default();
        for &row in trained_on {
            known.entry(hash(&of_train, row as usize)).or_insert(row);
        }
        let mut found = Vec::new();
        for (part, there) in judged {
            let Some((table, rows)) = there else { continue };
            let mine = picked(table, columns)?;
            let same = rows.iter().filter_map(|&row| {
                let again = *known.get(&hash(&mine, row as usize))?;
                let pairs = mine.iter().zip(&of_train);
                let mut pairs = pairs.map(|(a, b)| same(a, row as usize, b, again as usize));
                pairs.all(|same| same).then_some((row, again))
            });
            let same: Vec<(u32, u32)> = same.collect();
            if let Some((first, again)) = same.first() {
                found.push(Overlap {
                    part,
                    count: same.len(),
                    rows: rows.len(),
                    first: *first as usize,
                    again: *again as usize,
                });
            }
        }
        Ok(found)
    }
}

fn picked<'t>(table: &'t Arc<Table>, columns: &[&str]) -> Result<Vec<&'t Column>, DataError> {
    let columns = indices(table, columns)?.into_iter();
    Ok(columns.map(|i| &table.columns()[i]).collect())
}

fn hash(columns: &[&Column], row: usize) -> u64 {
    let mut hash = Xxh3Default::new();
    for column in columns {
        match (bytes(column, row), column.data()) {
            (Some(bytes), _) => hash.update(bytes),
            (None, ColumnData::Sparse(bags)) => {
                for (at, x) in bags.row(row) {
                    hash.update(&(at as u64).to_le_bytes());
                    hash.update(&x.to_le_bytes());
                }
            }
            (None, data) => {
                if let ColumnData::Text(texts) = data {
                    hash.update(texts.get(row).unwrap_or_default().as_bytes());
                }
            }
        }
    }
    hash.digest()
}

/// The bytes of a row of numbers.
fn bytes(column: &Column, row: usize) -> Option<&[u8]> {
    let each = column.per_row() * column.storage().size()?;
    column.as_bytes()?.get(row * each..(row + 1) * each)
}

fn same(a: &Column, row: usize, b: &Column, again: usize) -> bool {
    match (a.data(), b.data()) {
        (ColumnData::Sparse(a), ColumnData::Sparse(b)) => a.row(row).eq(b.row(again)),
        (ColumnData::Text(a), ColumnData::Text(b)) => a.get(row) == b.get(again),
        _ => bytes(a, row) == bytes(b, again),
    }
}
