//! The largest or the sum of windows, and their gradients, in single precision: over the channels of a place at once.

use super::conv::by_isa;
use super::direct;
use super::features::Features;
use super::pool::Pool;
use super::step::ConvSizes;
use crate::ir::prim::WindowOp;

/// Elements of a task.
const TASK: usize = 32 << 10;
/// Lines of a window that are gone over twice.
const LINES: usize = 64;
/// Channels whose largest are kept while a window is gone over twice.
const CHANNELS: usize = 64;

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
    if s.input.is_empty() || s.inputs() == 0 {
        // SAFETY: by the contract.
        return unsafe { direct::window(pool, op, s, x, y) };
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
        return unsafe { direct::window_grad(pool, op, s, x, dy, dx) };
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
        // SAFETY: the line is this task's; places of taps are within the input.
        unsafe {
            let out = std::slice::from_raw_parts_mut(y.add(line * wide * c), wide * c);
            out.fill(match op {
                WindowOp::Max => f32::NEG_INFINITY,
                WindowOp::Sum => 0.0,
            });
            s.under(line, |_, place, at| {
                let from = std::slice::from_raw_parts(x.add(at * c), c);
                let out = out.get_unchecked_mut(place * c..place * c + c);
                match op {
                    WindowOp::Max => {
                        for (out, &v) in out.iter_mut().zip(from) {
                            *out = larger(v, *out);
                        }
                    }
                    WindowOp::Sum => {
                        out.iter_mut().zip(from).for_each(|(sum, v)| *sum += v);
                    }
                }
            });
        }
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
    let (image, lines) = (s.inputs() * c, s.outputs() / wide);
    // SAFETY: the images are this task's; places of taps are within the input.
    unsafe {
        std::slice::from_raw_parts_mut(dx.add(first * image), (end - first) * image).fill(0.0);
        for line in first * lines..end * lines {
            match op {
                WindowOp::Sum => {
                    s.under(line, |_, place, at| {
                        let to = std::slice::from_raw_parts_mut(dx.add(at * c), c);
                        let dy = dy.add((line * wide + place) * c);
                        let dy = std::slice::from_raw_parts(dy, c);
                        to.iter_mut().zip(dy).for_each(|(sum, v)| *sum += v);
                    });
                }
                WindowOp::Max => {
                    let (mut bases, mut count) = ([0; LINES], 0);
                    s.each_line(line, |_, base| {
                        bases[count] = base;
                        count += 1;
                    });
                    for place in 0..wide {
                        let dy = dy.add((line * wide + place) * c);
                        for from in (0..c).step_by(CHANNELS) {
                            let n = CHANNELS.min(c - from);
                            let (x, dy, dx) = (x.add(from), dy.add(from), dx.add(from));
                            to_largest(s, &bases[..count], place, n, x, dy, dx);
                        }
                    }
                }
            }
        }
    }
}

/// Gives `dy` of one place to the first largest of its window, channel by channel for `n` of them. `bases` are the
/// input's lines under the window.
#[inline(always)]
unsafe fn to_largest(
    s: &ConvSizes,
    bases: &[usize],
    place: usize,
    n: usize,
    x: *const f32,
    dy: *const f32,
    dx: *mut f32,
) {
    let (c, last) = (s.channels.0, s.input.len() - 1);
    let (first, low) = (place * s.strides[last], s.low[last]);
    // Of each line, the places under the window.
    let start = first.saturating_sub(low);
    let end = (first + s.window[last])
        .saturating_sub(low)
        .min(s.input[last]);
    let mut most = [f32::NEG_INFINITY; CHANNELS];
    // What is left to give away.
    let mut left = [0.0f32; CHANNELS];
    // SAFETY: places under the window are within the input.
    unsafe {
        left[..n].copy_from_slice(std::slice::from_raw_parts(dy, n));
        for base in bases {
            for at in base + start..base + end {
                let x = std::slice::from_raw_parts(x.add(at * c), n);
                for (most, &v) in most.iter_mut().zip(x) {
                    *most = larger(v, *most);
                }
            }
        }
        for base in bases {
            for at in base + start..base + end {
                let x = std::slice::from_raw_parts(x.add(at * c), n);
                let to = std::slice::from_raw_parts_mut(dx.add(at * c), n);
                for (((to, &v), left), &most) in to.iter_mut().zip(x).zip(&mut left).zip(&most) {
                    let is = v == most || (v.is_nan() && most.is_nan());
                    *to += if is { *left } else { 0.0 };
                    *left = if is { 0.0 } else { *left };
                }
            }
        }
    }
}

/// The larger of a value and what was the largest before it; NaN is larger than any number.
#[inline(always)]
fn larger(v: f32, most: f32) -> f32 {
    if v > most || v.is_nan() { v } else { most }
}
