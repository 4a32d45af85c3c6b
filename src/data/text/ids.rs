//! Lists of ids, any number of them a row: padded and cut to one length as Keras'
//! `pad_sequences` does, or counted into bags as its `sequences_to_matrix`.

use super::Vocabulary;
use crate::bytes::reserve_exact;
use crate::data::error::DataError;
use crate::data::sparse::Sparse;
use crate::data::table::ColumnData;

/// Ids of each row, end to end.
#[derive(Clone, PartialEq, Debug)]
pub struct Ids {
    ids: Vec<u32>,
    /// Where each row ends.
    ends: Vec<usize>,
    /// Every id is below it.
    bound: u32,
}

/// Which end of a row is padded or cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    Pre,
    Post,
}

/// What a bag says of each word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BagMode {
    /// 1 if it is there.
    Binary,
    /// How often.
    Count,
    /// How often, divided by the number of ids in the row.
    Freq,
    /// `(1 + log(count)) * log(1 + documents / (1 + docs))`
    Tfidf,
}

impl Ids {
    pub fn new(bound: u32) -> Ids {
        Ids {
            ids: Vec::new(),
            ends: Vec::new(),
            bound,
        }
    }

    /// Adds an id to the row that is being made.
    pub fn push(&mut self, id: u32) {
        self.ids.push(id);
    }

    pub fn end_row(&mut self) {
        self.ends.push(self.ids.len());
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn row(&self, row: usize) -> &[u32] {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.ids[start..self.ends[row]]
    }

    pub fn rows(&self) -> impl Iterator<Item = &[u32]> {
        (0..self.len()).map(|row| self.row(row))
    }

    /// How many ids each row has.
    pub fn lengths(&self) -> Vec<i32> {
        self.rows()
            .map(|row| i32::try_from(row.len()).unwrap_or(i32::MAX))
            .collect()
    }

    /// Rows of `length` ids: longer ones cut, shorter ones padded with 0; two bytes an id
    /// where that is enough.
    ///
    /// # Errors
    /// No room for them.
    pub fn pad(&self, length: usize, pad: Side, cut: Side) -> Result<ColumnData, DataError> {
        let room = || DataError::NoRoom {
            rows: self.len(),
            each: length,
        };
        let count = self.len().checked_mul(length).ok_or_else(room)?;
        if self.bound <= 1 << 16 {
            let mut all: Vec<u16> = Vec::new();
            reserve_exact(&mut all, count).map_err(|_| room())?;
            all.resize(count, 0);
            self.place(&mut all, length, pad, cut, |id| id as u16);
            return Ok(ColumnData::U16(all));
        }
        let mut all: Vec<i32> = Vec::new();
        reserve_exact(&mut all, count).map_err(|_| room())?;
        all.resize(count, 0);
        self.place(&mut all, length, pad, cut, |id| id as i32);
        Ok(ColumnData::I32(all))
    }

    /// A bag a row: a number for each id, 0 for those that are not there.
    pub fn bags(&self, mode: BagMode, vocabulary: &Vocabulary) -> Sparse {
        let mut bags = Sparse::new(self.bound as usize, mode == BagMode::Binary);
        // the words in use come first: there are at most `bound`
        let idf: Vec<f64> = (0..self.bound)
            .map(|id| {
                let docs = vocabulary.word(id).map_or(0, |w| w.docs);
                (1.0 + vocabulary.documents as f64 / (1 + docs) as f64).ln()
            })
            .collect();
        let mut counts = vec![0u32; self.bound as usize];
        let mut met = Vec::new();
        for row in self.rows() {
            for &id in row {
                if counts[id as usize] == 0 {
                    met.push(id);
                }
                counts[id as usize] += 1;
            }
            met.sort_unstable();
            for id in met.drain(..) {
                let count = std::mem::take(&mut counts[id as usize]);
                let value = match mode {
                    BagMode::Binary => 1.0,
                    BagMode::Count => f64::from(count),
                    BagMode::Freq => f64::from(count) / row.len() as f64,
                    BagMode::Tfidf => (1.0 + f64::from(count).ln()) * idf[id as usize],
                };
                bags.push(id, value as f32);
            }
            bags.end_row();
        }
        bags
    }

    /// Writes the ids that are kept where they go, `length` places a row.
    fn place<T>(&self, all: &mut [T], length: usize, pad: Side, cut: Side, id: fn(u32) -> T) {
        for (row, to) in self.rows().zip(all.chunks_exact_mut(length)) {
            let kept = match cut {
                Side::Pre => &row[row.len().saturating_sub(length)..],
                Side::Post => &row[..row.len().min(length)],
            };
            let start = match pad {
                Side::Pre => length - kept.len(),
                Side::Post => 0,
            };
            for (to, &from) in to[start..].iter_mut().zip(kept) {
                *to = id(from);
            }
        }
    }

    /// Rows one under another.
    pub(super) fn join(pieces: Vec<Ids>) -> Ids {
        let mut pieces = pieces.into_iter();
        let mut all = pieces.next().unwrap_or_else(|| Ids::new(1));
        for piece in pieces {
            let before = all.ids.len();
            all.ids.extend(piece.ids);
            all.ends.extend(piece.ends.iter().map(|end| end + before));
        }
        all
    }
}
