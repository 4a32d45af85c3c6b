//! Wide Philox: the numbers of `ir::random`, bit for bit, many at a time.
//!
//! A group of 64 elements is sixteen blocks. Each block's words sit in 64-bit lanes whose upper halves hold what
//! the last product left there: the multiplication reads the lower halves only (`vpmuludq`), so they need no clearing
//! until the end. The loops are plain; the compiler vectorizes them for the instruction set that each
//! instance is compiled for.

use super::features::{Features, Isa};
use crate::ir::random::{self, GROUP, Key, LANES, MULTIPLIERS, ROUNDS, WEYL};

/// Fills `out` with elements `first ..` of a draw: uniform in [0, 1), 24 bits.
pub fn fill_uniform(features: Features, out: &mut [f32], key: Key, draw: u64, first: u64) {
    fill(features, out, key, draw, first, random::to_unit)
}

/// Fills `out` with elements `first ..` of a draw: 32 random bits each.
pub fn fill_bits(features: Features, out: &mut [u32], key: Key, draw: u64, first: u64) {
    fill(features, out, key, draw, first, |bits| bits)
}

fn fill<T: Copy>(
    features: Features,
    out: &mut [T],
    key: Key,
    draw: u64,
    first: u64,
    map: impl Fn(u32) -> T + Copy,
) {
    // Single elements up to a group's start, then whole groups, then the rest.
    let head = (first.next_multiple_of(GROUP as u64) - first).min(out.len() as u64) as usize;
    let (head, rest) = out.split_at_mut(head);
    let start = first + head.len() as u64;
    let (groups, tail) = rest.as_chunks_mut::<GROUP>();
    let after = start + (groups.len() * GROUP) as u64;
    for (part, from) in [(head, first), (tail, after)] {
        for (element, out) in (from..).zip(part) {
            *out = map(random::bits(key, draw, element));
        }
    }
    let block = start / GROUP as u64 * LANES as u64;
    match features.isa() {
        // SAFETY: `Features` holds an instruction set only where the processor has it.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { wide::groups_avx512(groups, key, draw, block, map) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { wide::groups_avx2(groups, key, draw, block, map) },
        _ => fill_groups(groups, key, draw, block, map),
    }
}

#[inline(always)]
fn fill_groups<T>(
    groups: &mut [[T; GROUP]],
    key: Key,
    draw: u64,
    block: u64,
    map: impl Fn(u32) -> T,
) {
    for (group, first) in groups.iter_mut().zip((block..).step_by(LANES)) {
        // Groups start at multiples of LANES, so only the last bits of the block number differ: no carry.
        let words: [[u64; LANES]; 4] = rounds(key, draw, first);
        for (out, words) in group.as_chunks_mut::<LANES>().0.iter_mut().zip(&words) {
            for (out, &word) in out.iter_mut().zip(words) {
                *out = map(word as u32);
            }
        }
    }
}

#[inline(always)]
fn rounds(mut key: Key, draw: u64, first: u64) -> [[u64; LANES]; 4] {
    const LOW: u64 = 0xffff_ffff;
    let mut c = [
        [0; LANES],
        [first >> 32; LANES],
        [draw & LOW; LANES],
        [draw >> 32; LANES],
    ];
    for (lane, word) in c[0].iter_mut().enumerate() {
        *word = first | lane as u64;
    }
    for _ in 0..ROUNDS {
        let mut next = [[0; LANES]; 4];
        for lane in 0..LANES {
            let p0 = (c[0][lane] & LOW) * u64::from(MULTIPLIERS[0]);
            let p1 = (c[2][lane] & LOW) * u64::from(MULTIPLIERS[1]);
            next[0][lane] = (p1 >> 32) ^ c[1][lane] ^ u64::from(key[0]);
            next[1][lane] = p1;
            next[2][lane] = (p0 >> 32) ^ c[3][lane] ^ u64::from(key[1]);
            next[3][lane] = p0;
        }
        c = next;
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    c
}

#[cfg(target_arch = "x86_64")]
mod wide {
    use super::*;

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub fn groups_avx512<T>(
        groups: &mut [[T; GROUP]],
        key: Key,
        draw: u64,
        block: u64,
        map: impl Fn(u32) -> T,
    ) {
        fill_groups(groups, key, draw, block, map)
    }

    #[target_feature(enable = "avx2")]
    pub fn groups_avx2<T>(
        groups: &mut [[T; GROUP]],
        key: Key,
        draw: u64,
        block: u64,
        map: impl Fn(u32) -> T,
    ) {
        fill_groups(groups, key, draw, block, map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every instruction set, at any split, gives what the scalar function gives.
    #[test]
    fn equals_the_reference_wherever_it_is_split() {
        let key = random::site_key(11, "dropout");
        for features in Features::available() {
            for (first, len) in [
                (0, 0),
                (0, 1),
                (0, 64),
                (5, 3),
                (60, 200),
                (64, 129),
                (1 << 38, 150),
                (u64::MAX / 8, 70),
            ] {
                let draw = first ^ 0x1234_5678_9abc;
                let mut floats = vec![-1.0; len];
                let mut words = vec![0; len];
                fill_uniform(features, &mut floats, key, draw, first);
                fill_bits(features, &mut words, key, draw, first);
                for (i, element) in (0..len).zip(first..) {
                    assert_eq!(
                        floats[i],
                        random::uniform(key, draw, element),
                        "{features:?} {first}+{i}"
                    );
                    assert_eq!(
                        words[i],
                        random::bits(key, draw, element),
                        "{features:?} {first}+{i}"
                    );
                }
            }
        }
    }
}
