//! The innermost loops: a tile of C held in registers while k runs, and the packing of B.
//!
//! A tile has up to `rows[nv - 1]` rows and `nv` vectors of columns, of which the last may be partial. For each k
//! one row of B's panel is loaded and each element of A's column is broadcast. A is read in place: a column of A is
//! a few elements, whose cache lines serve the next k's too. B is read in place or from a packed panel, `nv` full
//! vectors a row; the first tile of a panel can pack it while computing, which hides the cost.

#![expect(
    clippy::needless_range_loop,
    reason = "iterators of std would be calls: another unit of code generation may hold them"
)]

use super::simd::{Simd, V4};
#[cfg(target_arch = "x86_64")]
use super::simd::{V8, V16};
use crate::backend::cpu::machine::features::Features;
#[cfg(target_arch = "x86_64")]
use crate::backend::cpu::machine::features::Isa;

/// What a tile's kernel works on.
pub(super) struct Args {
    pub k: usize,
    pub a: *const f32,
    pub a_rs: usize,
    pub a_cs: usize,
    pub b: *const f32,
    pub b_rs: usize,
    pub c: *mut f32,
    pub c_rs: usize,
    /// Lanes of the last vector that are in C, at least 1.
    pub last: usize,
    /// Adds to C, else overwrites it.
    pub add: bool,
    /// Added to each row at the end, unless null.
    pub bias: *const f32,
    /// Clips at 0 at the end.
    pub relu: bool,
    /// Where a packing kernel leaves the panel.
    pub packed: *mut f32,
}

/// A kernel for one size of tile. Its instruction set must be there, and the pointers valid.
pub(super) type Kernel = unsafe fn(&Args);

/// Transposes `k` x `cols` elements of B (element (l, j) at `l + j * cs`) into a panel whose rows are `ld` apart, up to
/// a multiple of the lanes; what is after `cols` means nothing.
pub(super) type Transpose =
    unsafe fn(packed: *mut f32, ld: usize, b: *const f32, cs: usize, k: usize, cols: usize);

/// The kernels of an instruction set.
pub(super) struct Kernels {
    pub lanes: usize,
    /// For tiles of 1, 2 and so on vectors. Accumulators, a row of B, a broadcast and a mask must fit the registers.
    pub sizes: &'static [Sizes],
    /// Floats of a packed panel: with a tile's rows of A, somewhat less than a first-level cache.
    pub panel: usize,
    pub transpose: Transpose,
}

pub(super) struct Sizes {
    /// `plain[rows - 1][unit]`, where `unit` is 1 if A's row stride is 1.
    pub plain: &'static [[Kernel; 2]],
    /// For tiles of the most rows: packs as it goes.
    pub packing: [Kernel; 2],
}

impl Kernels {
    pub(super) fn of(features: Features) -> &'static Kernels {
        match features.isa() {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => &AVX512,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => &AVX2,
            _ => &BASELINE,
        }
    }
}

/// The most floats of a panel, and of a tile, of any instruction set. Processors with AVX-512 have 48 kB.
pub(super) const LARGEST_PANEL: usize = 48 * 176;
pub(super) const LARGEST_TILE: usize = 24 * 16;

macro_rules! sizes {
    ($f:ident, $nv:literal, $($rows:literal)* | $most:literal) => {
        Sizes {
            plain: &[$([$f::<$rows, $nv, false, false>, $f::<$rows, $nv, true, false>],)*
                [$f::<$most, $nv, false, false>, $f::<$most, $nv, true, false>]],
            packing: [$f::<$most, $nv, false, true>, $f::<$most, $nv, true, true>],
        }
    };
}

#[cfg(target_arch = "x86_64")]
static AVX512: Kernels = Kernels {
    lanes: V16::LANES,
    sizes: &[
        sizes!(tile_avx512, 1, 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 | 16),
        sizes!(tile_avx512, 2, 1 2 3 4 5 6 7 8 9 10 11 | 12),
        sizes!(tile_avx512, 3, 1 2 3 4 5 6 7 | 8),
    ],
    panel: LARGEST_PANEL,
    transpose: transpose_avx512,
};

#[cfg(target_arch = "x86_64")]
static AVX2: Kernels = Kernels {
    lanes: V8::LANES,
    sizes: &[
        sizes!(tile_avx2, 1, 1 2 3 4 5 6 7 | 8),
        sizes!(tile_avx2, 2, 1 2 3 4 5 | 6),
    ],
    panel: 16 * 320,
    transpose: transpose_avx2,
};

static BASELINE: Kernels = Kernels {
    lanes: V4::LANES,
    sizes: &[
        sizes!(tile_baseline, 1, 1 2 3 4 5 6 7 | 8),
        sizes!(tile_baseline, 2, 1 2 3 4 5 | 6),
    ],
    panel: 8 * 512,
    transpose: transpose_baseline,
};

macro_rules! instances {
    ($tile:ident, $transpose:ident, $vector:ty $(, $features:literal)?) => {
        $(#[target_feature(enable = $features)])?
        unsafe fn $tile<const MR: usize, const NV: usize, const UNIT: bool, const PACK: bool>(args: &Args) {
            unsafe { tile::<$vector, MR, NV, UNIT, PACK>(args) }
        }
        $(#[target_feature(enable = $features)])?
        unsafe fn $transpose(packed: *mut f32, ld: usize, b: *const f32, cs: usize, k: usize, cols: usize) {
            unsafe { transpose::<$vector>(packed, ld, b, cs, k, cols) }
        }
    };
}

#[cfg(target_arch = "x86_64")]
instances!(
    tile_avx512,
    transpose_avx512,
    V16,
    "avx512f,avx512bw,avx512dq,avx512vl"
);
#[cfg(target_arch = "x86_64")]
instances!(tile_avx2, transpose_avx2, V8, "avx2,fma");
instances!(tile_baseline, transpose_baseline, V4);

#[inline(always)]
unsafe fn tile<V: Simd, const MR: usize, const NV: usize, const UNIT: bool, const PACK: bool>(
    t: &Args,
) {
    unsafe {
        let mask = V::mask(t.last);
        let mut acc = [[V::splat(0.0); NV]; MR];
        let (a_rs, a_cs, b_rs) = (t.a_rs, t.a_cs, t.b_rs);
        // A base for every four rows: their offsets are then in the reach of an addressing mode.
        let mut a = [t.a; 4];
        for g in 1..4 {
            a[g] = t.a.wrapping_add(4 * g * a_rs);
        }
        let (mut b, mut packed) = (t.b, t.packed);
        for _ in 0..t.k {
            let mut row = [V::splat(0.0); NV];
            for v in 0..NV {
                let from = b.add(v * V::LANES);
                row[v] = if v + 1 == NV {
                    V::load_part(from, mask)
                } else {
                    V::load(from)
                };
                if PACK {
                    row[v].store(packed.add(v * V::LANES));
                }
            }
            for i in 0..MR {
                let x = V::splat(if UNIT {
                    *a[0].add(i)
                } else {
                    *a[i / 4].add(i % 4 * a_rs)
                });
                for v in 0..NV {
                    acc[i][v] = acc[i][v].fma(x, row[v]);
                }
            }
            b = b.wrapping_add(b_rs);
            for a in &mut a {
                *a = a.wrapping_add(a_cs);
            }
            if PACK {
                packed = packed.wrapping_add(NV * V::LANES);
            }
        }
        if t.add {
            each::<V, MR, NV>(&mut acc, t.c, t.c_rs, |x, c, part| {
                x.add(if part {
                    V::load_part(c, mask)
                } else {
                    V::load(c)
                })
            });
        }
        if !t.bias.is_null() {
            each::<V, MR, NV>(&mut acc, t.bias.cast_mut(), 0, |x, bias, part| {
                x.add(if part {
                    V::load_part(bias, mask)
                } else {
                    V::load(bias)
                })
            });
        }
        if t.relu {
            each::<V, MR, NV>(&mut acc, t.c, 0, |x, _, _| x.relu());
        }
        each::<V, MR, NV>(&mut acc, t.c, t.c_rs, |x, c, part| {
            if part {
                x.store_part(c, mask);
            } else {
                x.store(c);
            }
            x
        });
    }
}

/// Replaces each vector of a tile by `f(vector, its place, whether it is a row's last)`.
#[inline(always)]
unsafe fn each<V: Simd, const MR: usize, const NV: usize>(
    acc: &mut [[V; NV]; MR],
    base: *mut f32,
    rs: usize,
    f: impl Fn(V, *mut f32, bool) -> V,
) {
    for i in 0..MR {
        for v in 0..NV {
            let place = base.wrapping_add(i * rs + v * V::LANES);
            acc[i][v] = f(acc[i][v], place, v + 1 == NV);
        }
    }
}

#[inline(always)]
unsafe fn transpose<V: Simd>(
    packed: *mut f32,
    ld: usize,
    b: *const f32,
    cs: usize,
    k: usize,
    cols: usize,
) {
    unsafe {
        for j in (0..cols).step_by(V::LANES) {
            let last = V::LANES.min(cols - j) - 1;
            for l in (0..k).step_by(V::LANES) {
                let depth = V::LANES.min(k - l);
                let mask = V::mask(depth);
                let from = b.add(l + j * cs);
                let to = packed.add(l * ld + j);
                // Loops of constant length, so that the block stays in registers.
                let mut block = [V::splat(0.0); 16];
                for (i, row) in block.iter_mut().enumerate().take(V::LANES) {
                    *row = V::load_part(from.add(i.min(last) * cs), mask);
                }
                V::transpose(&mut block);
                for (i, row) in block.iter().enumerate().take(V::LANES) {
                    if i < depth {
                        row.store(to.add(i * ld));
                    }
                }
            }
        }
    }
}
