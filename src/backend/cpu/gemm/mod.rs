//! Single-precision matrix products: C = A B, or C += A B, with any strides.
//!
//! A [`Gemm`] is made once from the shape; it fixes how the work is cut. The cut depends on the shape and the
//! instruction set, never on the number of threads, so the bits of the result do not depend on it either.
//!
//! Strides are in elements, rows first: a row-major [m, k] matrix has (k, 1), its transpose (1, k).

use super::features::Features;
use super::pool::Pool;
use std::ffi::c_void;

/// Row and column stride of a matrix, in elements.
pub type Strides = (usize, usize);

/// C[m, n] = A[m, k] B[k, n] (+ C), for every index of the batch axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: Strides,
    pub b: Strides,
    /// No two elements of C may share a place.
    pub c: Strides,
    /// Adds to what C holds; else C is only written.
    pub accumulate: bool,
    /// Leading axes, outermost first. A stride of 0 shares an operand.
    pub batch: Vec<BatchAxis>,
}

/// One batch axis: its length, and how far apart its matrices are, in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchAxis {
    pub len: usize,
    pub a: usize,
    pub b: usize,
    pub c: usize,
}

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
    shape: Shape,
    features: Features,
}

impl Gemm {
    pub fn new(shape: Shape, features: Features) -> Gemm {
        Gemm { shape, features }
    }

    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Bytes that `run` needs at `scratch`.
    pub fn scratch_bytes(&self) -> usize {
        0
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
        let _ = (pool, scratch, self.features);
        let s = &self.shape;
        let count: usize = s.batch.iter().map(|axis| axis.len).product();
        for index in 0..count {
            let (mut a, mut b, mut c, mut rest) = (a, b, c, index);
            for axis in s.batch.iter().rev() {
                let i = rest % axis.len;
                rest /= axis.len;
                // SAFETY: within the operands, by the contract.
                unsafe { (a, b, c) = (a.add(i * axis.a), b.add(i * axis.b), c.add(i * axis.c)) }
            }
            for i in 0..s.m {
                for j in 0..s.n {
                    // SAFETY: within the operands, by the contract.
                    unsafe {
                        let out = c.add(i * s.c.0 + j * s.c.1);
                        let mut sum = if s.accumulate { *out } else { 0.0 };
                        for l in 0..s.k {
                            sum += *a.add(i * s.a.0 + l * s.a.1) * *b.add(l * s.b.0 + j * s.b.1);
                        }
                        if let Epilogue::Bias { bias, relu } = epilogue {
                            sum += *bias.add(j);
                            sum = if relu { sum.max(0.0) } else { sum };
                        }
                        *out = sum;
                    }
                }
            }
            if let Epilogue::Tile { f, ctx } = epilogue {
                let tile = Tile {
                    data: c,
                    row: 0,
                    rows: s.m,
                    col: 0,
                    cols: s.n,
                    rs: s.c.0,
                    cs: s.c.1,
                    batch: index,
                };
                // SAFETY: by the contract.
                unsafe { f(&tile, ctx) }
            }
        }
    }
}
