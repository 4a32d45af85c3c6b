//! Wide Philox: the numbers of `random`, bit for bit, many at a time.
//!
//! A group of 64 elements is sixteen blocks. Each block's words sit in 64-bit lanes whose upper halves hold what
//! the last product left there: the multiplication reads the lower halves only (`vpmuludq`), so they need no clearing
//! until the end. The loops are plain; the compiler vectorizes them for the instruction set that each
//! instance is compiled for.

use crate::backend::cpu::machine::features::Features;
#[cfg(target_arch = "x86_64")]
use crate::backend::cpu::machine::features::Isa;
use crate::random::{self, GROUP, Key, LANES, MULTIPLIERS, ROUNDS, WEYL};

/// Fills `out` with elements `first ..` of a draw: uniform in [0, 1), 24 bits.
pub fn fill_uniform(features: Features, out: &mut [f32], key: Key, draw: u64, first: u64) {
    fill(features, out, key, draw, first, random::to_unit);
}

/// Fills `out` with elements `first ..` of a draw: 32 random bits each.
pub fn fill_bits(features: Features, out: &mut [u32], key: Key, draw: u64, first: u64) {
    fill(features, out, key, draw, first, |bits| bits);
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
    const LOW: u64 = 0xffff_ffff;
    let keys: [Key; ROUNDS] = std::array::from_fn(|round| {
        let round = round as u32;
        [
            key[0].wrapping_add(WEYL[0].wrapping_mul(round)),
            key[1].wrapping_add(WEYL[1].wrapping_mul(round)),
        ]
    });
    for (group, first) in groups.iter_mut().zip((block..).step_by(LANES)) {
        for lane in 0..LANES {
            // A group starts at a multiple of LANES: no carry.
            let [mut c0, mut c1, mut c2, mut c3] =
                [first | lane as u64, first >> 32, draw, draw >> 32];
            for key in keys {
                let p0 = (c0 & LOW) * u64::from(MULTIPLIERS[0]);
                let p1 = (c2 & LOW) * u64::from(MULTIPLIERS[1]);
                c0 = (p1 >> 32) ^ c1 ^ u64::from(key[0]);
                c2 = (p0 >> 32) ^ c3 ^ u64::from(key[1]);
                (c1, c3) = (p1, p0);
            }
            group[lane] = map(c0 as u32);
            group[LANES + lane] = map(c1 as u32);
            group[2 * LANES + lane] = map(c2 as u32);
            group[3 * LANES + lane] = map(c3 as u32);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod wide {
    use super::*;

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) fn groups_avx512<T>(
        groups: &mut [[T; GROUP]],
        key: Key,
        draw: u64,
        block: u64,
        map: impl Fn(u32) -> T,
    ) {
        fill_groups(groups, key, draw, block, map);
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn groups_avx2<T>(
        groups: &mut [[T; GROUP]],
        key: Key,
        draw: u64,
        block: u64,
        map: impl Fn(u32) -> T,
    ) {
        fill_groups(groups, key, draw, block, map);
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
