//! The largest or the sum of windows, and their gradients, in single precision: over the channels of a place at once.

use super::dispatch::{by_isa, in_lanes};
use super::lines::{LINES, each_tap};
use super::reference;
use crate::backend::cpu::machine::features::Features;
use crate::backend::cpu::machine::pool::Pool;
use crate::backend::fusion::contractions::ConvSizes;
use crate::ir::prim::WindowOp;

/// Elements of a task.
const TASK: usize = 32 << 10;

/// The tensors, as tasks share them.
#[derive(Clone, Copy)]
struct Tensors(*mut f32, *mut f32, *mut f32);

// SAFETY: tasks write disjoint parts.
unsafe impl Sync for Tensors {}

/// Largest or sum of every window.
///
/// # Safety
/// The pointers are valid for their tensors, `y` for writing.
pub unsafe fn window(
    pool: &Pool,
    features: Features,
    op: WindowOp,
    s: &ConvSizes,
    x: *mut f32,
    y: *mut f32,
) {
    if s.input.is_empty() || s.inputs() == 0 || s.window_lines() > LINES {
        // SAFETY: by the contract.
        return unsafe { reference::window(pool, op, s, x, y) };
    }
    let all = Tensors(x, y, y);
    let lines = s.lines();
    let together = (TASK / (s.wide() * s.taps() * s.channels.0).max(1)).clamp(1, lines.max(1));
    pool.run(lines.div_ceil(together), &|task| {
        let Tensors(x, y, _) = *{ &all };
        let (first, end) = (task * together, lines.min((task + 1) * together));
        // SAFETY: the lines are this task's.
        unsafe { forward(features, op, s, x, y, first, end) }
    });
}

/// The gradient of [`window`]: `dy` to the first largest, or to all.
///
/// # Safety
/// The pointers are valid for their tensors, `dx` for writing.
pub unsafe fn window_grad(
    pool: &Pool,
    features: Features,
    op: WindowOp,
    s: &ConvSizes,
    [x, dy, dx]: [*mut f32; 3],
) {
    if s.input.is_empty() || s.window_lines() > LINES {
        // SAFETY: by the contract.
        return unsafe { reference::window_grad(pool, op, s, x, dy, dx) };
    }
    let all = Tensors(x, dy, dx);
    let work = s.outputs() * s.taps() * s.channels.0;
    let together = (TASK / work.max(1)).clamp(1, s.batch.max(1));
    pool.run(s.batch.div_ceil(together), &|task| {
        let Tensors(x, dy, dx) = *{ &all };
        let (first, end) = (task * together, s.batch.min((task + 1) * together));
        // SAFETY: the images are this task's.
        unsafe { backward(features, op, s, x, dy, dx, (first, end)) }
    });
}

by_isa!(
    forward => forward_body(
        op: WindowOp, s: &ConvSizes, x: *const f32, y: *mut f32, first: usize, end: usize,
    )
);
by_isa!(
    backward => backward_body(
        op: WindowOp, s: &ConvSizes, x: *const f32, dy: *const f32, dx: *mut f32, images: (usize, usize),
    )
);

#[inline(always)]
unsafe fn forward_body(
    op: WindowOp,
    s: &ConvSizes,
    x: *const f32,
    y: *mut f32,
    first: usize,
    end: usize,
) {
    let (c, wide) = (s.channels.0, s.wide());
    for line in first..end {
        let under = s.under(line);
        let lines = &under.lines[..under.count];
        for place in 0..wide {
            // SAFETY: the place is this task's; places of taps are within the input.
            unsafe {
                let y = y.add((line * wide + place) * c);
                match op {
                    WindowOp::Max => in_lanes!(c, largest(s, lines, place, x, y)),
                    WindowOp::Sum => in_lanes!(c, sum(s, lines, place, x, y)),
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn largest<const N: usize>(
    s: &ConvSizes,
    lines: &[(usize, usize)],
    place: usize,
    x: *const f32,
    y: *mut f32,
    from: usize,
) {
    // SAFETY: by the caller's contract.
    unsafe {
        let most = most::<N>(s, lines, place, x.add(from));
        y.add(from).cast::<[f32; N]>().write(most);
    }
}

/// The largest of the window at a place, NaN if any is.
#[inline(always)]
unsafe fn most<const N: usize>(
    s: &ConvSizes,
    lines: &[(usize, usize)],
    place: usize,
    x: *const f32,
) -> [f32; N] {
    let mut most = [f32::NEG_INFINITY; N];
    each_tap(s, lines, place, |_, at| {
        // SAFETY: by the caller's contract.
        let x = unsafe { &*x.add(at * s.channels.0).cast::<[f32; N]>() };
        for i in 0..N {
            let larger = x[i] > most[i] || x[i].is_nan();
            most[i] = if larger { x[i] } else { most[i] };
        }
    });
    most
}

#[inline(always)]
unsafe fn sum<const N: usize>(
    s: &ConvSizes,
    lines: &[(usize, usize)],
    place: usize,
    x: *const f32,
    y: *mut f32,
    from: usize,
) {
    let mut sums = [0.0f32; N];
    // SAFETY: by the caller's contract.
    unsafe {
        each_tap(s, lines, place, |_, at| {
            let x = &*x.add(at * s.channels.0 + from).cast::<[f32; N]>();
            for i in 0..N {
                sums[i] += x[i];
            }
        });
        y.add(from).cast::<[f32; N]>().write(sums);
    }
}

#[inline(always)]
unsafe fn backward_body(
    op: WindowOp,
    s: &ConvSizes,
    x: *const f32,
    dy: *const f32,
    dx: *mut f32,
    (first, end): (usize, usize),
) {
    let (c, wide) = (s.channels.0, s.wide());
    let (image, per_image) = (s.inputs() * c, s.outputs() / wide);
    // SAFETY: the images are this task's; places of taps are within the input.
    unsafe {
        std::slice::from_raw_parts_mut(dx.add(first * image), (end - first) * image).fill(0.0);
        for line in first * per_image..end * per_image {
            let under = s.under(line);
            let lines = &under.lines[..under.count];
            for place in 0..wide {
                let dy = dy.add((line * wide + place) * c);
                match op {
                    WindowOp::Max => in_lanes!(c, to_largest(s, lines, place, x, dy, dx)),
                    WindowOp::Sum => in_lanes!(c, to_all(s, lines, place, dy, dx)),
                }
            }
        }
    }
}

/// Adds `dy` of one place to all of its window.
#[inline(always)]
unsafe fn to_all<const N: usize>(
    s: &ConvSizes,
    lines: &[(usize, usize)],
    place: usize,
    dy: *const f32,
    dx: *mut f32,
    from: usize,
) {
    // SAFETY: by the caller's contract.
    unsafe {
        let dy = dy.add(from).cast::<[f32; N]>().read();
        each_tap(s, lines, place, |_, at| {
            let to = &mut *dx.add(at * s.channels.0 + from).cast::<[f32; N]>();
            for i in 0..N {
                to[i] += dy[i];
            }
        });
    }
}

/// Gives `dy` of one place to the first largest of its window, channel by channel.
#[inline(always)]
unsafe fn to_largest<const N: usize>(
    s: &ConvSizes,
    lines: &[(usize, usize)],
    place: usize,
    x: *const f32,
    dy: *const f32,
    dx: *mut f32,
    from: usize,
) {
    let c = s.channels.0;
    // SAFETY: by the caller's contract.
    unsafe {
        let most = most::<N>(s, lines, place, x.add(from));
        // What is left to give away.
        let mut left = dy.add(from).cast::<[f32; N]>().read();
        each_tap(s, lines, place, |_, at| {
            // By value: the compiler need not fear that what is written is read.
            let x = x.add(at * c + from).cast::<[f32; N]>().read();
            let place = dx.add(at * c + from).cast::<[f32; N]>();
            let mut to = place.read();
            for i in 0..N {
                // Where there is a NaN, it is the largest.
                let is = (x[i] == most[i]) | x[i].is_nan();
                to[i] += if is { left[i] } else { 0.0 };
                left[i] = if is { 0.0 } else { left[i] };
            }
            place.write(to);
        });
    }
}
