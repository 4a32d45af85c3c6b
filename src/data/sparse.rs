//! Rows that are mostly zeros: kept as the places and values of what is not, and
//! written out a batch at a time. 25,000 bags of 10,000 words take 25 MB, not 1 GB.

/// Rows of `width` numbers.
#[derive(Clone, PartialEq, Debug)]
pub struct Sparse {
    width: usize,
    /// Where in its row each number is; increasing within a row.
    at: Vec<u32>,
    /// None: every number is 1, and a row is written as bytes.
    values: Option<Vec<f32>>,
    /// Where each row ends in `at`.
    ends: Vec<usize>,
}

impl Sparse {
    /// No rows yet. Of `ones` the values are not kept.
    pub fn new(width: usize, ones: bool) -> Sparse {
        Sparse {
            width,
            at: Vec::new(),
            values: (!ones).then(Vec::new),
            ends: Vec::new(),
        }
    }

    /// Adds a number to the row that is being made, behind those it has.
    pub fn push(&mut self, at: u32, value: f32) {
        self.at.push(at);
        if let Some(values) = &mut self.values {
            values.push(value);
        }
    }

    pub fn end_row(&mut self) {
        self.ends.push(self.at.len());
    }

    pub fn rows(&self) -> usize {
        self.ends.len()
    }

    pub fn width(&self) -> usize {
        self.width
    }

    /// Every number that is not 0 is 1.
    pub fn is_ones(&self) -> bool {
        self.values.is_none()
    }

    /// Places and values of a row's numbers other than 0.
    pub fn row(&self, row: usize) -> impl Iterator<Item = (usize, f32)> {
        self.range(row).map(|i| {
            let value = self.values.as_ref().map_or(1.0, |v| v[i]);
            (self.at[i] as usize, value)
        })
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        let values = self.values.as_ref().map_or(0, Vec::len);
        (self.at.len() + values) * 4 + self.ends.len() * size_of::<usize>()
    }

    /// Writes a row out, as bytes or as f32.
    pub fn write(&self, row: usize, to: &mut [u8]) {
        to.fill(0);
        let range = self.range(row);
        match &self.values {
            None => {
                for &at in &self.at[range] {
                    to[at as usize] = 1;
                }
            }
            Some(values) => {
                let (to, _) = to.as_chunks_mut::<4>();
                for i in range {
                    to[self.at[i] as usize] = values[i].to_ne_bytes();
                }
            }
        }
    }

    /// The rows of `other` below these; both of one width and kind.
    pub fn append(&mut self, other: &Sparse) {
        let before = self.at.len();
        self.at.extend(&other.at);
        if let (Some(to), Some(from)) = (&mut self.values, &other.values) {
            to.extend(from);
        }
        self.ends.extend(other.ends.iter().map(|end| end + before));
    }

    fn range(&self, row: usize) -> std::ops::Range<usize> {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        start..self.ends[row]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_written_out_over_what_was_there() {
        let mut reals = Sparse::new(3, false);
        reals.push(0, 0.5);
        reals.push(2, 2.0);
        reals.end_row();
        reals.end_row();
        let mut to = [9; 12];
        reals.write(0, &mut to);
        assert_eq!(
            to.as_chunks::<4>().0,
            [0.5f32, 0.0, 2.0].map(f32::to_ne_bytes)
        );
        reals.write(1, &mut to);
        assert_eq!(to, [0; 12]);
        let mut ones = Sparse::new(2, true);
        ones.push(1, 1.0);
        ones.end_row();
        let more = ones.clone();
        ones.append(&more);
        let mut to = [9; 2];
        ones.write(1, &mut to);
        assert_eq!((to, ones.rows(), ones.bytes()), ([0, 1], 2, 24));
        assert_eq!(ones.row(0).collect::<Vec<_>>(), [(1, 1.0)]);
    }
}
