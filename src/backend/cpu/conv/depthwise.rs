//! Convolutions with one input channel a group: output channel `c * m + j` sees input channel c alone.

use super::by_isa;
use crate::backend::cpu::step::ConvSizes;

by_isa!(
    /// Lines `first..end` of the output, counted over the whole batch.
    ///
    /// # Safety
    /// The pointers are valid for their tensors, those lines of `y` for writing and by nobody else.
    output => output_body(s: &ConvSizes, x: *const f32, kernel: *const f32, y: *mut f32, first: usize, end: usize)
);
by_isa!(
    /// Images `first..end` of the input.
    ///
    /// # Safety
    /// The pointers are valid for their tensors, those images of `x` for writing and by nobody else.
    input => input_body(s: &ConvSizes, x: *mut f32, kernel: *const f32, y: *const f32, first: usize, end: usize)
);
by_isa!(
    /// What lines `first..end` of the output give the kernel.
    ///
    /// # Safety
    /// The pointers are valid for their tensors, `kernel` for writing and by nobody else.
    kernel => kernel_body(s: &ConvSizes, x: *const f32, kernel: *mut f32, y: *const f32, first: usize, end: usize)
);

#[inline(always)]
unsafe fn output_body(
    s: &ConvSizes,
    x: *const f32,
    kernel: *const f32,
    y: *mut f32,
    first: usize,
    end: usize,
) {
    let (cx, cy) = s.channels;
    let wide = s.wide();
    for line in first..end {
        // SAFETY: the line is this task's; places of taps are within the input.
        unsafe {
            let out = std::slice::from_raw_parts_mut(y.add(line * wide * cy), wide * cy);
            out.fill(0.0);
            s.under(line, |tap, place, at| {
                let weights = std::slice::from_raw_parts(kernel.add(tap * cy), cy);
                let from = std::slice::from_raw_parts(x.add(at * cx), cx);
                let out = out.get_unchecked_mut(place * cy..place * cy + cy);
                if cx == cy {
                    for ((out, x), w) in out.iter_mut().zip(from).zip(weights) {
                        *out += x * w;
                    }
                } else {
                    let m = cy / cx;
                    for (c, x) in from.iter().enumerate() {
                        let each = c * m..c * m + m;
                        for (out, w) in out[each.clone()].iter_mut().zip(&weights[each]) {
                            *out += x * w;
                        }
                    }
                }
            });
        }
    }
}

#[inline(always)]
unsafe fn input_body(
    s: &ConvSizes,
    x: *mut f32,
    kernel: *const f32,
    y: *const f32,
    first: usize,
    end: usize,
) {
    let (cx, cy) = s.channels;
    let (wide, lines) = (s.wide(), s.outputs() / s.wide());
    let image = s.inputs() * cx;
    // SAFETY: the images are this task's; places of taps are within the input.
    unsafe {
        std::slice::from_raw_parts_mut(x.add(first * image), (end - first) * image).fill(0.0);
        for line in first * lines..end * lines {
            let dy = std::slice::from_raw_parts(y.add(line * wide * cy), wide * cy);
            s.under(line, |tap, place, at| {
                let weights = std::slice::from_raw_parts(kernel.add(tap * cy), cy);
                let to = std::slice::from_raw_parts_mut(x.add(at * cx), cx);
                let dy = dy.get_unchecked(place * cy..place * cy + cy);
                if cx == cy {
                    for ((to, dy), w) in to.iter_mut().zip(dy).zip(weights) {
                        *to += dy * w;
                    }
                } else {
                    let m = cy / cx;
                    for (c, to) in to.iter_mut().enumerate() {
                        let each = c * m..c * m + m;
                        for (dy, w) in dy[each.clone()].iter().zip(&weights[each]) {
                            *to += dy * w;
                        }
                    }
                }
            });
        }
    }
}

#[inline(always)]
unsafe fn kernel_body(
    s: &ConvSizes,
    x: *const f32,
    kernel: *mut f32,
    y: *const f32,
    first: usize,
    end: usize,
) {
    let ((cx, cy), wide) = (s.channels, s.wide());
    // SAFETY: the kernel is this task's; places of taps are within the input.
    unsafe {
        std::slice::from_raw_parts_mut(kernel, s.taps() * cy).fill(0.0);
        for line in first..end {
            s.under(line, |tap, place, at| {
                let sums = std::slice::from_raw_parts_mut(kernel.add(tap * cy), cy);
                let from = std::slice::from_raw_parts(x.add(at * cx), cx);
                let dy = std::slice::from_raw_parts(y.add((line * wide + place) * cy), cy);
                if cx == cy {
                    for ((sum, x), dy) in sums.iter_mut().zip(from).zip(dy) {
                        *sum += x * dy;
                    }
                } else {
                    let m = cy / cx;
                    for (c, x) in from.iter().enumerate() {
                        let each = c * m..c * m + m;
                        for (sum, dy) in sums[each.clone()].iter_mut().zip(&dy[each]) {
                            *sum += x * dy;
                        }
                    }
                }
            });
        }
    }
}
