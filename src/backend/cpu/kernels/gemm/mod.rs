//! Single-precision matrix products: C = A B, or C += A B, with any strides.
//!
//! A [`Gemm`] is made once from the shape; it fixes how the work is cut. The cut depends on the shape and the
//! instruction set, never on the number of threads, so the bits of the result do not depend on it either.
//!
//! Strides are in elements, rows first: a row-major [m, k] matrix has (k, 1), its transpose (1, k).
//!
//! A task walks over panels of up to three vectors of columns; for each, over blocks of k such that the panel's part of B
//! stays in the first-level cache; for each, over tiles of rows (`kernel`). Where C's rows are the closer
//! together, the transposed product is computed instead.

mod block;
pub mod double;
mod kernel;
mod plan;
mod simd;
#[cfg(test)]
mod tests;

use self::block::{Block, finish};
use self::kernel::Kernels;
use self::plan::{Split, part};
use crate::backend::cpu::machine::features::Features;
use crate::backend::cpu::machine::pool::Pool;
use crate::backend::fusion::contractions::{MatMul, Strides};
use std::ffi::c_void;

/// What is done to C's tiles after their sums are complete, while they are in the cache.
#[derive(Clone, Copy)]
pub enum Epilogue {
    None,
    /// Adds `bias[j]` to column j (n floats, shared by the batch), then clips at 0 if `relu`.
    Bias {
        bias: *const f32,
        relu: bool,
    },
    /// Calls `f(tile, ctx)` once for each tile, on any thread. The tiles of a run are disjoint and cover C.
    Tile {
        f: TileFn,
        ctx: *const c_void,
    },
}

/// See [`Epilogue::Tile`].
pub type TileFn = unsafe extern "C" fn(tile: &Tile, ctx: *const c_void);

/// A finished rectangle of C: element (i, j) is at `data + i * rs + j * cs`, and is C's (row + i, col + j).
#[derive(Debug)]
#[repr(C)]
pub struct Tile {
    pub data: *mut f32,
    pub row: usize,
    pub rows: usize,
    pub col: usize,
    pub cols: usize,
    pub rs: usize,
    pub cs: usize,
    /// Row-major index over the batch axes.
    pub batch: usize,
}

/// A planned product.
#[derive(Clone, Debug)]
pub struct Gemm {
    shape: MatMul,
    features: Features,
    /// The product as computed: `shape`, or its transpose.
    core: Core,
    swapped: bool,
    batch: usize,
    split: Split,
}

/// One product of the batch.
#[derive(Clone, Copy, Debug)]
struct Core {
    m: usize,
    n: usize,
    k: usize,
    a: Strides,
    b: Strides,
    c: Strides,
}

/// One product, for callers that cut the work themselves.
#[derive(Clone, Copy, Debug)]
pub struct Matrices {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: Strides,
    pub b: Strides,
    /// No two elements of C may share a place.
    pub c: Strides,
    /// Adds to what C holds; else C is only written.
    pub accumulate: bool,
}

/// Computes a product on the calling thread alone, without scratch. Allocates nothing.
///
/// # Safety
/// The pointers must be valid for what `of` describes, C for writing and by nobody else. C may not overlap A or B.
pub unsafe fn multiply(
    features: Features,
    of: &Matrices,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
) {
    let (core, swapped) = Core::of(of);
    if core.m == 0 || core.n == 0 {
        return;
    }
    let (a, b) = if swapped { (b, a) } else { (a, b) };
    let kernels = Kernels::of(features);
    let block = Block {
        core,
        operands: Operands {
            a,
            b,
            c,
            sums: std::ptr::null_mut(),
            epilogue: Epilogue::None,
        },
        rows: (0, core.m),
        k: (0, core.k),
        add: of.accumulate,
        swapped,
        batch: 0,
        kernels,
    };
    // SAFETY: all of the product, by the contract.
    unsafe { block.panels(0, core.n.div_ceil(kernels.lanes)) }
}

impl Core {
    /// The product as computed, and whether that is the transpose.
    fn of(matrices: &Matrices) -> (Core, bool) {
        let Matrices {
            m, n, k, a, b, c, ..
        } = *matrices;
        let flip = |(rs, cs): Strides| (cs, rs);
        // A stride along an axis of length 1 means nothing: it is made what suits best.
        let swapped = n > 1 && c.1 != 1 && (c.0 == 1 || m == 1) || n == 1 && m > 1 && c.0 == 1;
        let mut core = if swapped {
            Core {
                m: n,
                n: m,
                k,
                a: flip(b),
                b: flip(a),
                c: flip(c),
            }
        } else {
            Core { m, n, k, a, b, c }
        };
        for (len, stride) in [
            (core.m, &mut core.a.0),
            (core.n, &mut core.b.1),
            (core.n, &mut core.c.1),
        ] {
            if len == 1 {
                *stride = 1;
            }
        }
        (core, swapped)
    }
}

impl Gemm {
    /// Plans a product.
    pub fn new(shape: MatMul, features: Features) -> Gemm {
        let (core, swapped) = Core::of(&Matrices {
            m: shape.m,
            n: shape.n,
            k: shape.k,
            a: shape.a,
            b: shape.b,
            c: shape.c,
            accumulate: shape.accumulate,
        });
        let batch = shape.batch.iter().map(|axis| axis.len).product();
        let vectors = core.n.div_ceil(Kernels::of(features).lanes);
        let flops = [batch, core.m, core.n, core.k]
            .iter()
            .fold(2usize, |flops, &len| flops.saturating_mul(len));
        let split = plan::split(batch, core.m, vectors, core.k, flops);
        Gemm {
            shape,
            features,
            core,
            swapped,
            batch,
            split,
        }
    }

    pub fn shape(&self) -> &MatMul {
        &self.shape
    }

    /// Bytes that `run` needs at `scratch`.
    pub fn scratch_bytes(&self) -> usize {
        match self.split.depth {
            1 => 0,
            depth => depth * self.batch * self.core.m * self.core.n * size_of::<f32>(),
        }
    }

    /// Computes the product. Allocates nothing.
    ///
    /// # Safety
    /// The pointers must be valid for what the shape describes, C for writing and by nobody else, `scratch` for
    /// `scratch_bytes()`, aligned to 64 bytes. C may not overlap A, B or scratch. `epilogue` must be safe to call.
    pub unsafe fn run(
        &self,
        pool: &Pool,
        a: *const f32,
        b: *const f32,
        c: *mut f32,
        scratch: *mut u8,
        epilogue: Epilogue,
    ) {
        if self.batch == 0 || self.core.m == 0 || self.core.n == 0 {
            return;
        }
        let (a, b) = if self.swapped { (b, a) } else { (a, b) };
        let operands = Operands {
            a,
            b,
            c,
            sums: scratch.cast(),
            epilogue,
        };
        let parts = self.batch * self.split.rows * self.split.columns * self.split.depth;
        pool.run(self.split.tasks, &|task| {
            let operands = &operands;
            let first = task * self.split.group;
            for i in first..parts.min(first + self.split.group) {
                // SAFETY: the parts are disjoint, and the pointers valid by the contract.
                unsafe { self.part(operands, i) }
            }
        });
        if self.split.depth > 1 {
            let rows = self.core.m.min(MOST_SUM_TASKS);
            pool.run(self.batch * rows, &|task| {
                let operands = &operands;
                // SAFETY: as above; the partial sums are written.
                unsafe { self.add_up(operands, task / rows, part(self.core.m, rows, task % rows)) }
            });
        }
    }

    /// The operands of one product of the batch.
    unsafe fn operands(&self, all: &Operands, index: usize) -> Operands {
        let mut one = *all;
        let mut rest = index;
        for axis in self.shape.batch.iter().rev() {
            let i = rest % axis.len;
            rest /= axis.len;
            let (a, b) = if self.swapped {
                (axis.b, axis.a)
            } else {
                (axis.a, axis.b)
            };
            // SAFETY: within the operands, by the contract of `run`.
            unsafe {
                (one.a, one.b, one.c) = (one.a.add(i * a), one.b.add(i * b), one.c.add(i * axis.c));
            }
        }
        one
    }

    /// Computes part `i` of the split.
    unsafe fn part(&self, operands: &Operands, i: usize) {
        let Split {
            rows,
            columns,
            depth,
            ..
        } = self.split;
        let core = &self.core;
        let (i, d) = (i / depth, i % depth);
        let (i, column) = (i / columns, i % columns);
        let (batch, row) = (i / rows, i % rows);
        let kernels = Kernels::of(self.features);
        let (first, end) = part(core.n.div_ceil(kernels.lanes), columns, column);
        // SAFETY: all indices are within the operands.
        unsafe {
            let mut block = Block {
                core: *core,
                operands: self.operands(operands, batch),
                rows: part(core.m, rows, row),
                k: part(core.k, depth, d),
                add: self.shape.accumulate,
                swapped: self.swapped,
                batch,
                kernels,
            };
            if depth > 1 {
                block.operands.c = operands.sums.add((batch * depth + d) * core.m * core.n);
                block.operands.epilogue = Epilogue::None;
                block.core.c = (core.n, 1);
                block.add = false;
            }
            block.panels(first, end);
        }
    }

    /// Adds the partial sums of some rows in order of k, and finishes them.
    unsafe fn add_up(&self, operands: &Operands, batch: usize, (first, end): (usize, usize)) {
        let Core { m, n, c, .. } = self.core;
        // SAFETY: all indices are within the operands.
        unsafe {
            let one = self.operands(operands, batch);
            let sums = operands.sums.add(batch * self.split.depth * m * n);
            for i in first..end {
                let partial = std::slice::from_raw_parts_mut(sums.add(i * n), n);
                for d in 1..self.split.depth {
                    let more = std::slice::from_raw_parts(sums.add((d * m + i) * n), n);
                    partial.iter_mut().zip(more).for_each(|(sum, &x)| *sum += x);
                }
                for (j, &sum) in partial.iter().enumerate() {
                    let out = one.c.add(i * c.0 + j * c.1);
                    *out = if self.shape.accumulate {
                        *out + sum
                    } else {
                        sum
                    };
                }
            }
            finish(&self.core, &one, self.swapped, batch, (first, end), (0, n));
        }
    }
}

/// Rows of the tiles that an epilogue sees, so that they are still in the first-level cache.
const EPILOGUE_ROWS: usize = 64;
const MOST_SUM_TASKS: usize = 16;

#[derive(Clone, Copy)]
struct Operands {
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    sums: *mut f32,
    epilogue: Epilogue,
}

// SAFETY: the tasks write disjoint parts of C and of the sums; the epilogue may be called on any thread.
unsafe impl Sync for Operands {}
