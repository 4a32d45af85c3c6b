//! Permutations from counter-based randomness.
//!
//! A permutation is a function of key, stream and length alone: Fisher-Yates,
//! from the last place to the first, drawing 64 bits a place.

use crate::random::{Key, philox};

/// Permutes `items`; different streams of a key are independent.
pub fn shuffle<T>(items: &mut [T], key: Key, stream: u64) {
    let mut draws = Draws {
        key,
        stream: split(stream),
        block: 0,
        spare: None,
    };
    for i in (1..items.len()).rev() {
        items.swap(i, draws.below(i + 1));
    }
}

/// 64-bit draws of one stream, two a Philox block.
struct Draws {
    key: Key,
    stream: [u32; 2],
    block: u64,
    spare: Option<u64>,
}

impl Draws {
    fn next(&mut self) -> u64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let [low, high] = split(self.block);
        self.block += 1;
        let [a, b, c, d] = philox(self.key, [low, high, self.stream[0], self.stream[1]]);
        self.spare = Some(u64::from(c) | u64::from(d) << 32);
        u64::from(a) | u64::from(b) << 32
    }

    /// In `0..n`; the bias is below n / 2^64.
    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}

fn split(x: u64) -> [u32; 2] {
    [x as u32, (x >> 32) as u32]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permutation(n: u32, seed: u32, stream: u64) -> Vec<u32> {
        let mut items: Vec<u32> = (0..n).collect();
        shuffle(&mut items, [seed, 0], stream);
        items
    }

    #[test]
    fn a_permutation_is_one_and_depends_on_key_and_stream() {
        let first = permutation(1000, 1, 0);
        let mut sorted = first.clone();
        sorted.sort();
        assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
        assert_eq!(permutation(1000, 1, 0), first);
        assert_ne!(permutation(1000, 2, 0), first);
        assert_ne!(permutation(1000, 1, 1), first);
        assert!(permutation(0, 1, 0).is_empty());
    }

    #[test]
    fn every_order_is_equally_likely() {
        let mut counts = std::collections::BTreeMap::new();
        for stream in 0..24_000 {
            *counts.entry(permutation(4, 3, stream)).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 24);
        // 1000 each; 5 standard deviations are 155
        assert!(
            counts.values().all(|c| (845..1155).contains(c)),
            "{counts:?}"
        );
    }
}
