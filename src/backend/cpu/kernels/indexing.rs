//! Largest, order, gather and scatter along an axis.
//!
//! Work is cut by what is written, so every element has one writer and one order of additions, whatever the threads.

use super::number::Number;
use crate::backend::cpu::machine::pool::Pool;
use crate::backend::cpu::machine::shared::{GRAIN, Shared, each};

/// The first of the largest along the middle axis; NaN counts as larger than any number.
#[expect(clippy::eq_op, reason = "NaN is what differs from itself")]
pub fn arg_max<T: PartialOrd + Copy + Sync>(
    pool: &Pool,
    sizes: [usize; 3],
    x: &[T],
    to: &mut [i32],
) {
    let [outer, axis, inner] = sizes;
    let to = Shared::new(to.as_mut_ptr());
    each(pool, outer, axis * inner, &|o| {
        // SAFETY: each task has its own part.
        let out = unsafe { to.part(o * inner, inner) };
        for (i, out) in out.iter_mut().enumerate() {
            let at = |j: usize| x[(o * axis + j) * inner + i];
            let mut best = 0;
            for j in 1..axis {
                let (a, b) = (at(j), at(best));
                if a > b || (a != a && b == b) {
                    best = j;
                }
            }
            *out = best as i32;
        }
    });
}

/// Indices along the middle axis in rising order of the values, equals in theirs; NaN comes last.
/// Sorted in place: nothing is allocated.
pub fn arg_sort<T: PartialOrd + Copy + Sync>(
    pool: &Pool,
    sizes: [usize; 3],
    x: &[T],
    to: &mut [i32],
) {
    let [outer, axis, inner] = sizes;
    let to = Shared::new(to.as_mut_ptr());
    each(pool, outer, axis * inner * 16, &|o| {
        // SAFETY: each task has its own part.
        let out = unsafe { to.part(o * axis * inner, axis * inner) };
        let x = &x[o * axis * inner..][..axis * inner];
        for i in 0..inner {
            let order = |p: i32, q: i32| {
                let (a, b) = (x[p as usize * inner + i], x[q as usize * inner + i]);
                let nan = |v: T| v.partial_cmp(&v).is_none();
                let values = a.partial_cmp(&b).unwrap_or_else(|| nan(a).cmp(&nan(b)));
                values.then(p.cmp(&q))
            };
            if inner == 1 {
                (0..).zip(out.iter_mut()).for_each(|(j, o)| *o = j);
                out.sort_unstable_by(|&p, &q| order(p, q));
            } else {
                (0..axis).for_each(|j| out[j * inner + i] = j as i32);
                heap_sort(&mut out[i..], inner, axis, &order);
            }
        }
    });
}

/// Sorts `count` numbers that lie `stride` apart.
fn heap_sort(
    x: &mut [i32],
    stride: usize,
    count: usize,
    order: &dyn Fn(i32, i32) -> std::cmp::Ordering,
) {
    let sink = |x: &mut [i32], mut root: usize, end: usize| {
        loop {
            let mut child = 2 * root + 1;
            if child >= end {
                return;
            }
            let less = |x: &[i32], a: usize, b: usize| order(x[a * stride], x[b * stride]).is_lt();
            if child + 1 < end && less(x, child, child + 1) {
                child += 1;
            }
            if !less(x, root, child) {
                return;
            }
            x.swap(root * stride, child * stride);
            root = child;
        }
    };
    (0..count / 2).rev().for_each(|root| sink(x, root, count));
    for end in (1..count).rev() {
        x.swap(0, end * stride);
        sink(x, 0, end);
    }
}

/// Rows of `inner` bytes of `x[outer, axis, inner]` at `index`, clamped to the axis.
pub fn gather(pool: &Pool, sizes: [usize; 3], x: &[u8], index: &[i32], to: &mut [u8]) {
    let [outer, axis, inner] = sizes;
    if axis == 0 {
        return to.fill(0);
    }
    let to = Shared::new(to.as_mut_ptr());
    each(pool, outer * index.len(), inner / 4 + 1, &|i| {
        let (o, row) = (i / index.len(), clamp(index[i % index.len()], axis));
        let from = (o * axis + row) * inner;
        // SAFETY: each task has its own part.
        unsafe { to.part(i * inner, inner) }.copy_from_slice(&x[from..from + inner]);
    });
}

/// Adds rows of `updates` to rows of zeros. Cut by columns and outer axes: a row's additions stay in order.
pub fn scatter_add<T: Number>(
    pool: &Pool,
    sizes: [usize; 3],
    index: &[i32],
    updates: &[T],
    to: &mut [T],
) {
    let [outer, axis, inner] = sizes;
    to.fill(T::ZERO);
    if axis == 0 {
        return;
    }
    let out = Shared::new(to.as_mut_ptr());
    // Rows are divided by their number: every part goes over all indices and takes what is its own.
    let parts = match outer {
        0 => return,
        1 if index.len() * inner > GRAIN => 8,
        _ => 1,
    };
    each(
        pool,
        outer * parts,
        index.len() * inner / parts + 1,
        &|task| {
            let (o, part) = (task / parts, task % parts);
            let (low, high) = (part * axis / parts, (part + 1) * axis / parts);
            for (i, &row) in index.iter().enumerate() {
                let row = clamp(row, axis);
                if row < low || row >= high {
                    continue;
                }
                // SAFETY: rows low..high of block o are this task's.
                let sum = unsafe { out.part((o * axis + row) * inner, inner) };
                let from = &updates[(o * index.len() + i) * inner..][..inner];
                for (s, u) in sum.iter_mut().zip(from) {
                    *s = s.plus(*u);
                }
            }
        },
    );
}

fn clamp(i: i32, size: usize) -> usize {
    (i.max(0) as usize).min(size - 1)
}
