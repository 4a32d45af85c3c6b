//! A random division of rows into parts of exact sizes, that keeps nothing of a row.
//!
//! Rows are gone through in order, and each goes to a part with a probability of what the
//! part still needs among the rows that are left: every division into parts of these sizes is
//! equally likely (selection sampling, Fan, Muller and Rezucha 1962; algorithm S of Knuth,
//! The Art of Computer Programming, volume 2, 3.4.2). What each part has before each block is
//! kept, so that any block's rows are told alone.

use crate::random::{Key, philox};

#[derive(Debug, PartialEq)]
pub(super) struct Division {
    key: Key,
    sizes: Vec<u64>,
    /// Rows of each part before each block, block after block.
    before: Vec<u64>,
}

impl Division {
    /// `blocks`: the first row of each, and how many it has; `sizes` add up to all of them.
    pub(super) fn new(
        blocks: impl Iterator<Item = (u64, usize)>,
        sizes: &[usize],
        key: Key,
    ) -> Division {
        let mut division = Division {
            key,
            sizes: sizes.iter().map(|&s| s as u64).collect(),
            before: Vec::new(),
        };
        let mut taken = vec![0; sizes.len()];
        for (first, rows) in blocks {
            division.before.extend(&taken);
            division.assign(&mut taken, first, rows, |_, _| {});
        }
        division
    }

    pub(super) fn rows(&self, part: usize) -> u64 {
        self.sizes[part]
    }

    /// How many rows of a set are before a block.
    pub(super) fn before(&self, block: usize, part: usize) -> u64 {
        let at = block * self.sizes.len() + part;
        self.before.get(at).copied().unwrap_or(self.sizes[part])
    }

    /// The rows of a block that are of a part, in order.
    pub(super) fn rows_of(
        &self,
        block: usize,
        first: u64,
        rows: usize,
        part: usize,
        mut f: impl FnMut(u32),
    ) {
        if self.before(block, part) == self.before(block + 1, part) {
            return;
        }
        let parts = self.sizes.len();
        let mut taken = self.before[block * parts..][..parts].to_vec();
        self.assign(&mut taken, first, rows, |row, of| {
            if of == part {
                f(row);
            }
        });
    }

    pub(super) fn describe(&self) -> String {
        format!("{:?} of {:?}", self.key, self.sizes)
    }

    fn assign(&self, taken: &mut [u64], first: u64, rows: usize, mut f: impl FnMut(u32, usize)) {
        let last = self.sizes.len() - 1;
        let mut left: u64 = self.sizes.iter().sum::<u64>() - first;
        for row in 0..rows {
            let number = first + row as u64;
            let mut part = 0;
            if last > 0 {
                let counter = [number as u32, (number >> 32) as u32, 0, 0];
                let [low, high, ..] = philox(self.key, counter);
                let draw = u64::from(low) | u64::from(high) << 32;
                let mut draw = ((u128::from(draw) * u128::from(left)) >> 64) as u64;
                while part < last && draw >= self.sizes[part] - taken[part] {
                    draw -= self.sizes[part] - taken[part];
                    part += 1;
                }
            }
            taken[part] += 1;
            left -= 1;
            f(row as u32, part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::site_key;

    /// The part of each of `sizes.sum()` rows in blocks of `block`.
    fn parts(sizes: &[usize], block: usize, seed: u64) -> Vec<usize> {
        let n: usize = sizes.iter().sum();
        let blocks = (0..n).step_by(block);
        let blocks: Vec<_> = blocks.map(|b| (b as u64, block.min(n - b))).collect();
        let division = Division::new(blocks.iter().copied(), sizes, site_key(seed, "test"));
        let mut of = vec![usize::MAX; n];
        for (i, &(first, rows)) in blocks.iter().enumerate() {
            for part in 0..sizes.len() {
                let mut count = 0;
                division.rows_of(i, first, rows, part, |row| {
                    let place = &mut of[first as usize + row as usize];
                    assert_eq!(*place, usize::MAX);
                    *place = part;
                    count += 1;
                });
                let before = division.before(i, part);
                assert_eq!(division.before(i + 1, part) - before, count);
            }
        }
        of
    }

    #[test]
    fn every_row_is_of_one_part_and_parts_have_their_sizes() {
        let sizes = [640, 160, 203];
        let of = parts(&sizes, 64, 1);
        for (part, size) in sizes.iter().enumerate() {
            assert_eq!(of.iter().filter(|p| **p == part).count(), *size);
        }
        // whatever the blocks
        assert_eq!(parts(&sizes, 1003, 1), of);
        assert_ne!(parts(&sizes, 64, 2), of);
        assert_eq!(parts(&[5], 2, 1), [0; 5]);
    }

    #[test]
    fn every_division_is_equally_likely() {
        let mut counts = std::collections::BTreeMap::new();
        for seed in 0..6000 {
            *counts.entry(parts(&[2, 2], 2, seed)).or_insert(0) += 1;
        }
        // 1000 each of six; 5 standard deviations are 144
        assert_eq!(counts.len(), 6);
        assert!(
            counts.values().all(|c| (856..1144).contains(c)),
            "{counts:?}"
        );
    }
}
