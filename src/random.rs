//! Counter-based random numbers: what every back end must draw, bit for bit.
//!
//! Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011): a keyed
//! bijection of 128-bit counters, so that any element of any draw is computed alone, in any order, on any thread.
//!
//! - The *key* of a draw is [`site_key`]: the run's seed mixed with the name of the place in the program.
//! - The *draw* is a number that the caller counts up: usually the training step.
//! - The *element* is its row-major index in the tensor that is drawn.
//!
//! A block has four words. Element `i` is word `i / 16 % 4` of block `i / 64 * 16 + i % 16`: sixteen blocks side by side
//! fill 64 elements with their first words, then their second, and so on, which a vector unit does without shuffling.

/// A Philox key.
pub type Key = [u32; 2];

/// Elements that consecutive blocks fill together.
pub const GROUP: usize = 64;
/// Blocks of a group.
pub const LANES: usize = 16;

pub const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
pub const WEYL: Key = [0x9E37_79B9, 0xBB67_AE85];
pub const ROUNDS: usize = 10;

/// The key of a place: FNV-1a (64 bits) of its name, and the seed, each through the finalizer of splitmix64.
pub fn site_key(seed: u64, site: &str) -> Key {
    let name = site.bytes().fold(0xcbf2_9ce4_8422_2325, |h: u64, byte| {
        (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let mixed = mix(mix(seed) ^ name);
    [mixed as u32, (mixed >> 32) as u32]
}

/// Philox4x32-10.
pub fn philox(key: Key, counter: [u32; 4]) -> [u32; 4] {
    let mut k = key;
    let mut c = counter;
    for _ in 0..ROUNDS {
        let p0 = u64::from(MULTIPLIERS[0]) * u64::from(c[0]);
        let p1 = u64::from(MULTIPLIERS[1]) * u64::from(c[2]);
        c = [
            (p1 >> 32) as u32 ^ c[1] ^ k[0],
            p1 as u32,
            (p0 >> 32) as u32 ^ c[3] ^ k[1],
            p0 as u32,
        ];
        k = [k[0].wrapping_add(WEYL[0]), k[1].wrapping_add(WEYL[1])];
    }
    c
}

/// The 32 random bits of one element.
pub fn bits(key: Key, draw: u64, element: u64) -> u32 {
    let block = element / GROUP as u64 * LANES as u64 + element % LANES as u64;
    let counter = [
        block as u32,
        (block >> 32) as u32,
        draw as u32,
        (draw >> 32) as u32,
    ];
    philox(key, counter)[(element / LANES as u64 % 4) as usize]
}

/// One element, uniform in [0, 1): a multiple of 2^-24.
pub fn uniform(key: Key, draw: u64, element: u64) -> f32 {
    to_unit(bits(key, draw, element))
}

/// The upper 24 bits as a fraction.
#[inline(always)]
pub fn to_unit(bits: u32) -> f32 {
    (bits >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// The finalizer of splitmix64 (Steele, Lea and Flood 2014, after Stafford's variant 13), with its increment.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `kat_vectors` of the Random123 distribution, philox4x32 with 10 rounds.
    #[test]
    fn known_answers() {
        let cases = [
            (
                [0; 4],
                [0; 2],
                [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
            ),
            (
                [u32::MAX; 4],
                [u32::MAX; 2],
                [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
            ),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, expected) in cases {
            assert_eq!(philox(key, counter), expected);
        }
    }

    /// The first output of splitmix64 from state 0, as published with it.
    #[test]
    fn keys_are_stable_and_distinct() {
        assert_eq!(mix(0), 0xE220_A839_7B1D_CDAF);
        let keys = [
            site_key(0, "a"),
            site_key(1, "a"),
            site_key(0, "b"),
            site_key(0, ""),
        ];
        for (i, key) in keys.iter().enumerate() {
            assert!(!keys[..i].contains(key));
        }
    }

    /// Within a group all (block, word) pairs are used once: no two elements share a draw.
    #[test]
    fn elements_are_distinct_and_uniform() {
        let key = site_key(7, "test");
        let mut seen: Vec<u32> = (0..4096).map(|i| bits(key, 3, i)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert!(seen.len() >= 4094, "{} distinct of 4096", seen.len());
        let n = 100_000;
        let mean = (0..n).map(|i| f64::from(uniform(key, 0, i))).sum::<f64>() / n as f64;
        assert!(
            (mean - 0.5).abs() < 4.0 * (1.0 / 12.0f64 / n as f64).sqrt(),
            "mean {mean}"
        );
        assert!((0..n).all(|i| (0.0..1.0).contains(&uniform(key, 0, i))));
    }
}
