//! Convolution and pooling as plain loops in any element type: what the fast kernels do not take, and what they are
//! tested against.
//!
//! Work is cut by what is written, so every element has one writer and one order of additions, whatever the threads.

use super::number::Number;
use crate::backend::cpu::machine::pool::Pool;
use crate::backend::cpu::machine::shared::{Shared, each};
use crate::backend::fusion::contractions::{ConvResult, ConvSizes};
use crate::ir::prim::WindowOp;

/// One of `x`, `kernel`, `y` of a convolution from the other two.
///
/// # Safety
/// The pointers are valid for their tensors, the one of `which` for writing and overlapped by no other.
pub unsafe fn conv<T: Number>(
    pool: &Pool,
    which: ConvResult,
    s: &ConvSizes,
    x: *mut T,
    kernel: *mut T,
    y: *mut T,
) {
    let (cx, cy) = s.channels;
    let (gx, gy) = (cx / s.groups, cy / s.groups);
    let (inputs, outputs, taps) = (s.inputs(), s.outputs(), s.taps());
    let (x, kernel, y) = (Shared::new(x), Shared::new(kernel), Shared::new(y));
    let work = outputs * taps * gx * cy;
    // SAFETY (all parts): images are written by their own task; so are the kernel's taps.
    match which {
        ConvResult::Output => each(pool, s.batch * outputs, work / outputs.max(1), &|task| {
            let (b, o) = (task / outputs, task % outputs);
            let out = unsafe { y.part(task * cy, cy) };
            out.fill(T::ZERO);
            for tap in 0..taps {
                let Some(i) = s.place(o, tap) else { continue };
                let from = unsafe { x.part((b * inputs + i) * cx, cx) };
                for g in 0..s.groups {
                    for c in 0..gx {
                        let k = unsafe { kernel.part((tap * gx + c) * cy + g * gy, gy) };
                        let v = from[g * gx + c];
                        for (out, k) in out[g * gy..].iter_mut().zip(&*k) {
                            *out = v.times_plus(*k, *out);
                        }
                    }
                }
            }
        }),
        ConvResult::Input => each(pool, s.batch, work, &|b| {
            let dx = unsafe { x.part(b * inputs * cx, inputs * cx) };
            dx.fill(T::ZERO);
            for o in 0..outputs {
                let dy = unsafe { y.part((b * outputs + o) * cy, cy) };
                for tap in 0..taps {
                    let Some(i) = s.place(o, tap) else { continue };
                    for g in 0..s.groups {
                        for c in 0..gx {
                            let k = unsafe { kernel.part((tap * gx + c) * cy + g * gy, gy) };
                            let at = &mut dx[i * cx + g * gx + c];
                            for (dy, k) in dy[g * gy..].iter().zip(&*k) {
                                *at = dy.times_plus(*k, *at);
                            }
                        }
                    }
                }
            }
        }),
        ConvResult::Kernel => each(pool, taps, work * s.batch / taps.max(1), &|tap| {
            let dk = unsafe { kernel.part(tap * gx * cy, gx * cy) };
            dk.fill(T::ZERO);
            for b in 0..s.batch {
                for o in 0..outputs {
                    let Some(i) = s.place(o, tap) else { continue };
                    let from = unsafe { x.part((b * inputs + i) * cx, cx) };
                    let dy = unsafe { y.part((b * outputs + o) * cy, cy) };
                    for g in 0..s.groups {
                        for c in 0..gx {
                            let v = from[g * gx + c];
                            let sum = &mut dk[c * cy + g * gy..][..gy];
                            for (sum, dy) in sum.iter_mut().zip(&dy[g * gy..]) {
                                *sum = v.times_plus(*dy, *sum);
                            }
                        }
                    }
                }
            }
        }),
    }
}

/// Largest or sum of every window.
///
/// # Safety
/// The pointers are valid for their tensors, `y` for writing.
pub unsafe fn window<T: Number>(pool: &Pool, op: WindowOp, s: &ConvSizes, x: *mut T, y: *mut T) {
    let c = s.channels.0;
    let (inputs, outputs, taps) = (s.inputs(), s.outputs(), s.taps());
    let (x, y) = (Shared::new(x), Shared::new(y));
    each(pool, s.batch * outputs, taps * c, &|task| {
        let (b, o) = (task / outputs, task % outputs);
        // SAFETY: each task has its own place.
        let out = unsafe { y.part(task * c, c) };
        out.fill(match op {
            WindowOp::Max => T::LEAST,
            WindowOp::Sum => T::ZERO,
        });
        for i in (0..taps).filter_map(|tap| s.place(o, tap)) {
            // SAFETY: nobody writes it.
            let from = unsafe { x.part((b * inputs + i) * c, c) };
            for (out, &v) in out.iter_mut().zip(&*from) {
                *out = match op {
                    WindowOp::Max if larger(v, *out) => v,
                    WindowOp::Max => *out,
                    WindowOp::Sum => out.plus(v),
                };
            }
        }
    });
}

/// The gradient of [`window`]: `dy` to the first largest, or to all.
///
/// # Safety
/// The pointers are valid for their tensors, `dx` for writing.
pub unsafe fn window_grad<T: Number>(
    pool: &Pool,
    op: WindowOp,
    s: &ConvSizes,
    x: *mut T,
    dy: *mut T,
    dx: *mut T,
) {
    let c = s.channels.0;
    let (inputs, outputs, taps) = (s.inputs(), s.outputs(), s.taps());
    let (x, dy, dx) = (Shared::new(x), Shared::new(dy), Shared::new(dx));
    each(pool, s.batch, outputs * taps * c, &|b| {
        // SAFETY: each task has its own image; `x` and `dy` are written by nobody.
        let (x, dy, dx) = unsafe {
            (
                x.part(b * inputs * c, inputs * c),
                dy.part(b * outputs * c, outputs * c),
                dx.part(b * inputs * c, inputs * c),
            )
        };
        dx.fill(T::ZERO);
        for o in 0..outputs {
            match op {
                WindowOp::Sum => {
                    for i in (0..taps).filter_map(|tap| s.place(o, tap)) {
                        for ch in 0..c {
                            dx[i * c + ch] = dx[i * c + ch].plus(dy[o * c + ch]);
                        }
                    }
                }
                WindowOp::Max => {
                    for ch in 0..c {
                        let mut best = None::<usize>;
                        for i in (0..taps).filter_map(|tap| s.place(o, tap)) {
                            if best.is_none_or(|at| larger(x[i * c + ch], x[at * c + ch])) {
                                best = Some(i);
                            }
                        }
                        if let Some(at) = best {
                            dx[at * c + ch] = dx[at * c + ch].plus(dy[o * c + ch]);
                        }
                    }
                }
            }
        }
    });
}

/// Whether `a` takes the place of an earlier `b`; NaN is larger than any number.
#[expect(clippy::eq_op, reason = "NaN is what differs from itself")]
fn larger<T: PartialOrd + Copy>(a: T, b: T) -> bool {
    a > b || (a != a && b == b)
}
