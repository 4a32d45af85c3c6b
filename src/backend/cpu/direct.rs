//! Primitives that are neither loops of kernels nor products: precompiled loops.
//!
//! Work is cut by what is written, so every element has one writer and one order of additions, whatever the threads.

use super::pool::Pool;
use super::step::{ConvResult, ConvSizes, DotSizes, LINES, Under};
use crate::ir::prim::WindowOp;

/// Element types that are added up.
pub trait Number: Copy + PartialOrd + Send + Sync + 'static {
    const ZERO: Self;
    const LEAST: Self;
    fn plus(self, other: Self) -> Self;
    fn times_plus(self, by: Self, sum: Self) -> Self;
}

macro_rules! float {
    ($t:ty) => {
        impl Number for $t {
            const ZERO: Self = 0.0;
            const LEAST: Self = <$t>::NEG_INFINITY;
            fn plus(self, other: Self) -> Self {
                self + other
            }
            fn times_plus(self, by: Self, sum: Self) -> Self {
                self * by + sum
            }
        }
    };
}
float!(f32);
float!(f64);

impl Number for i32 {
    const ZERO: Self = 0;
    const LEAST: Self = i32::MIN;
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
    fn times_plus(self, by: Self, sum: Self) -> Self {
        self.wrapping_mul(by).wrapping_add(sum)
    }
}

/// A destination that tasks write disjoint parts of.
#[derive(Clone, Copy)]
pub struct Shared<T>(*mut T);

// SAFETY: whoever takes parts of it from several threads takes disjoint ones.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub fn new(at: *mut T) -> Shared<T> {
        Shared(at)
    }
    /// # Safety
    /// `start..start + len` is within the destination, and no other part in use overlaps it.
    #[expect(clippy::mut_from_ref, reason = "parts are disjoint")]
    pub unsafe fn part(&self, start: usize, len: usize) -> &mut [T] {
        // SAFETY: by the contract.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), len) }
    }
}

/// Tasks of about `GRAIN` elements of work.
const GRAIN: usize = 16 << 10;

/// Calls `f(i)` for every i below `count`, each of about `work` operations.
fn each(pool: &Pool, count: usize, work: usize, f: &(dyn Fn(usize) + Sync)) {
    let together = (GRAIN / work.max(1)).clamp(1, count.max(1));
    pool.run(count.div_ceil(together), &|task| {
        let end = ((task + 1) * together).min(count);
        (task * together..end).for_each(f);
    });
}

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

/// C = A B.
pub fn dot64(pool: &Pool, sizes: &DotSizes, a: &[f64], b: &[f64], to: *mut f64) {
    let s = sizes;
    let count: usize = s.batch.iter().map(|x| x.0).product();
    let to = Shared::new(to);
    each(pool, count * s.m, s.n * s.k, &|task| {
        let (mut index, i) = (task / s.m, task % s.m);
        let (mut at_a, mut at_b, mut at_c) = (i * s.a.0, 0, i * s.n);
        for &(len, da, db, dc) in s.batch.iter().rev() {
            let x = index % len;
            index /= len;
            at_a += x * da;
            at_b += x * db;
            at_c += x * dc;
        }
        // SAFETY: each task has its own row.
        let row = unsafe { to.part(at_c, s.n) };
        row.fill(0.0);
        for k in 0..s.k {
            let x = a[at_a + k * s.a.1];
            for (j, sum) in row.iter_mut().enumerate() {
                *sum += x * b[at_b + k * s.b.0 + j * s.b.1];
            }
        }
    });
}

impl ConvSizes {
    pub fn inputs(&self) -> usize {
        self.input.iter().product()
    }
    pub fn outputs(&self) -> usize {
        self.output.iter().product()
    }
    pub fn taps(&self) -> usize {
        self.window.iter().product()
    }
    /// Input and output channels of a group.
    pub fn group(&self) -> (usize, usize) {
        (self.channels.0 / self.groups, self.channels.1 / self.groups)
    }
    /// One input channel a group: nothing is summed over channels.
    pub fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.group().0 == 1
    }
    /// Places of a line of the output: its last axis.
    pub fn wide(&self) -> usize {
        self.output.last().copied().unwrap_or(1)
    }
    /// Lines of the output of the whole batch.
    pub fn lines(&self) -> usize {
        self.batch * self.outputs() / self.wide().max(1)
    }
    /// The line of an image's input under line `out` of its output and line `above` of the window; none if padding.
    pub fn line(&self, out: usize, above: usize) -> Option<usize> {
        self.under_axes(self.input.len().saturating_sub(1), out, above)
    }
    /// Lines of the window: its places but for the last axis.
    pub fn window_lines(&self) -> usize {
        self.taps() / self.window.last().copied().unwrap_or(1).max(1)
    }
    /// The input lines under output line `line`, counted over the batch. There is a spatial axis, and the window has no
    /// more than [`LINES`] lines.
    pub fn under(&self, line: usize) -> Under {
        let last = self.input.len() - 1;
        let width = self.input[last];
        let lines = self.outputs() / self.output[last];
        let (image, out) = (line / lines, line % lines);
        let image = image * (self.inputs() / width);
        let mut under = Under {
            lines: [(0, 0); LINES],
            count: 0,
        };
        for above in 0..self.window_lines() {
            if let Some(input) = self.line(out, above) {
                under.lines[under.count] = (above, (image + input) * width);
                under.count += 1;
            }
        }
        under
    }
    /// Of a line of the window at a place of the last axis, the taps that are over inputs; the first of them is over
    /// input `place * stride + tap * dilation - low` of its line.
    #[inline(always)]
    pub fn inside(&self, place: usize) -> std::ops::Range<usize> {
        let last = self.input.len() - 1;
        let (low, dilation) = (self.low[last], self.dilation[last]);
        let first = place * self.strides[last];
        let start = low.saturating_sub(first).div_ceil(dilation);
        let end = (self.input[last] + low)
            .saturating_sub(first)
            .div_ceil(dilation);
        start..end.min(self.window[last])
    }
    /// Of a line of the output, the places that have an input under tap `tap` of a line of the window.
    #[inline(always)]
    pub fn along(&self, tap: usize) -> std::ops::Range<usize> {
        let last = self.input.len() - 1;
        let (stride, low) = (self.strides[last], self.low[last]);
        let ahead = tap * self.dilation[last];
        let first = low.saturating_sub(ahead).div_ceil(stride);
        let end = (self.input[last] + low)
            .saturating_sub(ahead)
            .div_ceil(stride);
        first..end.min(self.output[last])
    }
    /// The input place of output place `out` and window place `tap`, if it is not padding.
    fn place(&self, out: usize, tap: usize) -> Option<usize> {
        self.under_axes(self.input.len(), out, tap)
    }
    /// Over the first `axes` spatial axes: what lies under `out` at `tap`; none if padding.
    #[inline(always)]
    fn under_axes(&self, axes: usize, mut out: usize, mut tap: usize) -> Option<usize> {
        let (mut place, mut scale) = (0, 1);
        for axis in (0..axes).rev() {
            let o = out % self.output[axis];
            let k = tap % self.window[axis];
            out /= self.output[axis];
            tap /= self.window[axis];
            let at =
                (o * self.strides[axis] + k * self.dilation[axis]).checked_sub(self.low[axis])?;
            if at >= self.input[axis] {
                return None;
            }
            place += at * scale;
            scale *= self.input[axis];
        }
        Some(place)
    }
}

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
