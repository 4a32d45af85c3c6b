//! Products in double precision, for gradient checks: split among threads by rows, otherwise plain.

use crate::backend::cpu::machine::pool::Pool;
use crate::backend::cpu::machine::shared::{Shared, each};
use crate::backend::fusion::contractions::MatMul;

/// C = A B in double precision. Rows of C have no gaps.
///
/// # Safety
/// The pointers must be valid for what the product describes, C for writing and by nobody else. C may not overlap A
/// or B.
pub unsafe fn multiply(pool: &Pool, product: &MatMul, a: *const f64, b: *const f64, c: *mut f64) {
    debug_assert!(product.c.1 == 1 && !product.accumulate);
    let s = product;
    let (a, b, c) = (
        Shared::new(a.cast_mut()),
        Shared::new(b.cast_mut()),
        Shared::new(c),
    );
    each(pool, s.count() * s.m, s.n * s.k, &|task| {
        let (mut index, i) = (task / s.m, task % s.m);
        let (mut at_a, mut at_b, mut at_c) = (i * s.a.0, 0, i * s.c.0);
        for axis in s.batch.iter().rev() {
            let x = index % axis.len;
            index /= axis.len;
            at_a += x * axis.a;
            at_b += x * axis.b;
            at_c += x * axis.c;
        }
        // SAFETY: each task has its own row; A and B are read within their sizes, and nobody writes them.
        unsafe {
            let row = c.part(at_c, s.n);
            row.fill(0.0);
            for k in 0..s.k {
                let x = *a.at(at_a + k * s.a.1);
                for (j, sum) in row.iter_mut().enumerate() {
                    *sum += x * *b.at(at_b + k * s.b.0 + j * s.b.1);
                }
            }
        }
    });
}
