//! Products in double precision, for gradient checks: split among threads by rows, otherwise plain.

use super::{Gemm, Shape};
use crate::backend::cpu::pool::Pool;

impl Gemm {
    /// The product in double precision, without an epilogue; needs no scratch.
    ///
    /// # Safety
    /// The pointers must be valid for what the shape describes, C for writing and by nobody else. C may not overlap A
    /// or B.
    pub unsafe fn run_f64(&self, pool: &Pool, a: *const f64, b: *const f64, c: *mut f64) {
        let shape = self.shape();
        let operands = Operands { a, b, c };
        let products: usize = shape.batch.iter().map(|axis| axis.len).product();
        pool.run(products * shape.m, &|task| {
            let operands = &operands;
            // SAFETY: a task writes one row of one product.
            unsafe { row(shape, operands, task / shape.m, task % shape.m) }
        });
    }
}

struct Operands {
    a: *const f64,
    b: *const f64,
    c: *mut f64,
}

// SAFETY: the tasks write disjoint rows.
unsafe impl Sync for Operands {}

unsafe fn row(
    shape: &Shape,
    &Operands {
        mut a,
        mut b,
        mut c,
    }: &Operands,
    product: usize,
    i: usize,
) {
    let mut rest = product;
    // SAFETY: all indices are within the operands, by the contract of `run_f64`.
    unsafe {
        for axis in shape.batch.iter().rev() {
            let at = rest % axis.len;
            rest /= axis.len;
            (a, b, c) = (a.add(at * axis.a), b.add(at * axis.b), c.add(at * axis.c));
        }
        (a, c) = (a.add(i * shape.a.0), c.add(i * shape.c.0));
        if !shape.accumulate {
            (0..shape.n).for_each(|j| *c.add(j * shape.c.1) = 0.0);
        }
        for l in 0..shape.k {
            let (x, b) = (*a.add(l * shape.a.1), b.add(l * shape.b.0));
            (0..shape.n).for_each(|j| *c.add(j * shape.c.1) += x * *b.add(j * shape.b.1));
        }
    }
}
