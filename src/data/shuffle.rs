//! Permutations from counter-based randomness.
//!
//! A permutation is a function of seed, stream and length alone: Fisher-Yates,
//! from the last place to the first, drawing 64 bits a place.

/// Permutes `items`; different streams of a seed are independent.
pub fn shuffle<T>(items: &mut [T], seed: u64, stream: u64) {
    let mut draws = Draws::new(seed, stream);
    for i in (1..items.len()).rev() {
        items.swap(i, draws.below(i + 1));
    }
}

/// 64-bit draws of one stream, two a Philox block.
struct Draws {
    key: [u32; 2],
    stream: [u32; 2],
    block: u64,
    spare: Option<u64>,
}

impl Draws {
    fn new(seed: u64, stream: u64) -> Draws {
        Draws {
            key: split(seed),
            stream: split(stream),
            block: 0,
            spare: None,
        }
    }

    fn next(&mut self) -> u64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let [low, high] = split(self.block);
        self.block += 1;
        let [a, b, c, d] = philox([low, high, self.stream[0], self.stream[1]], self.key);
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

/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let a = u64::from(counter[0]) * 0xD251_1F53;
        let b = u64::from(counter[2]) * 0xCD9E_8D57;
        counter = [
            (b >> 32) as u32 ^ counter[1] ^ key[0],
            b as u32,
            (a >> 32) as u32 ^ counter[3] ^ key[1],
            a as u32,
        ];
        key = [
            key[0].wrapping_add(0x9E37_79B9),
            key[1].wrapping_add(0xBB67_AE85),
        ];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permutation(n: u32, seed: u64, stream: u64) -> Vec<u32> {
        let mut items: Vec<u32> = (0..n).collect();
        shuffle(&mut items, seed, stream);
        items
    }

    #[test]
    fn a_permutation_is_one_and_depends_on_seed_and_stream() {
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
