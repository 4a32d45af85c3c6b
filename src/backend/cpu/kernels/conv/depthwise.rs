//! Convolutions with one input channel a group: output channel `c * m + j` sees input channel c alone.
//!
//! With one filter a channel, some channels are gone through at a time, their sums in registers.

use crate::backend::cpu::kernels::dispatch::{by_isa, in_lanes};
use crate::backend::cpu::kernels::lines::each_tap;
use crate::backend::fusion::contractions::ConvSizes;

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
    let ((cx, cy), wide, m) = (s.channels, s.wide(), s.group().1);
    for line in first..end {
        let under = s.under(line);
        let lines = &under.lines[..under.count];
        for place in 0..wide {
            // SAFETY: the place is this task's; places of taps are within the input.
            unsafe {
                let y = y.add((line * wide + place) * cy);
                if m == 1 {
                    in_lanes!(cx, output_lanes(s, lines, place, x, kernel, y));
                    continue;
                }
                let out = std::slice::from_raw_parts_mut(y, cy);
                out.fill(0.0);
                each_tap(s, lines, place, |tap, at| {
                    let from = std::slice::from_raw_parts(x.add(at * cx), cx);
                    let weights = std::slice::from_raw_parts(kernel.add(tap * cy), cy);
                    let both = out.chunks_exact_mut(m).zip(weights.chunks_exact(m));
                    for ((out, weights), x) in both.zip(from) {
                        out.iter_mut()
                            .zip(weights)
                            .for_each(|(out, w)| *out += x * w);
                    }
                });
            }
        }
    }
}

#[inline(always)]
unsafe fn output_lanes<const N: usize>(
    s: &ConvSizes,
    lines: &[(usize, usize)],
    place: usize,
    x: *const f32,
    kernel: *const f32,
    y: *mut f32,
    from: usize,
) {
    let c = s.channels.0;
    let mut sums = [0.0f32; N];
    // SAFETY: by the caller's contract.
    unsafe {
        each_tap(s, lines, place, |tap, at| {
            let x = &*x.add(at * c + from).cast::<[f32; N]>();
            let w = &*kernel.add(tap * c + from).cast::<[f32; N]>();
            for i in 0..N {
                sums[i] += x[i] * w[i];
            }
        });
        y.add(from).cast::<[f32; N]>().write(sums);
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
    let ((cx, cy), wide, m) = (s.channels, s.wide(), s.group().1);
    let (image, per_image) = (s.inputs() * cx, s.outputs() / wide);
    // SAFETY: the images are this task's; places of taps are within the input.
    unsafe {
        std::slice::from_raw_parts_mut(x.add(first * image), (end - first) * image).fill(0.0);
        for line in first * per_image..end * per_image {
            let under = s.under(line);
            let lines = &under.lines[..under.count];
            for place in 0..wide {
                let y = y.add((line * wide + place) * cy);
                if m == 1 {
                    in_lanes!(cx, input_lanes(s, lines, place, x, kernel, y));
                    continue;
                }
                let dy = std::slice::from_raw_parts(y, cy);
                each_tap(s, lines, place, |tap, at| {
                    let to = std::slice::from_raw_parts_mut(x.add(at * cx), cx);
                    let weights = std::slice::from_raw_parts(kernel.add(tap * cy), cy);
                    let both = dy.chunks_exact(m).zip(weights.chunks_exact(m));
                    for ((dy, weights), to) in both.zip(to) {
                        dy.iter().zip(weights).for_each(|(dy, w)| *to += dy * w);
                    }
                });
            }
        }
    }
}

#[inline(always)]
unsafe fn input_lanes<const N: usize>(
    s: &ConvSizes,
    lines: &[(usize, usize)],
    place: usize,
    x: *mut f32,
    kernel: *const f32,
    y: *const f32,
    from: usize,
) {
    let c = s.channels.0;
    // SAFETY: by the caller's contract.
    unsafe {
        let dy = y.add(from).cast::<[f32; N]>().read();
        each_tap(s, lines, place, |tap, at| {
            // By value: the compiler need not fear that what is written is read.
            let w = kernel.add(tap * c + from).cast::<[f32; N]>().read();
            let place = x.add(at * c + from).cast::<[f32; N]>();
            let mut to = place.read();
            for i in 0..N {
                to[i] += dy[i] * w[i];
            }
            place.write(to);
        });
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
    let ((cx, cy), wide, m) = (s.channels, s.wide(), s.group().1);
    // SAFETY: the kernel is this task's; places of taps are within the input.
    unsafe {
        std::slice::from_raw_parts_mut(kernel, s.taps() * cy).fill(0.0);
        for line in first..end {
            let under = s.under(line);
            let lines = &under.lines[..under.count];
            let y = y.add(line * wide * cy);
            if m == 1 {
                in_lanes!(cx, kernel_lanes(s, lines, x, kernel, y));
                continue;
            }
            for place in 0..wide {
                let dy = std::slice::from_raw_parts(y.add(place * cy), cy);
                each_tap(s, lines, place, |tap, at| {
                    let from = std::slice::from_raw_parts(x.add(at * cx), cx);
                    let sums = std::slice::from_raw_parts_mut(kernel.add(tap * cy), cy);
                    let both = sums.chunks_exact_mut(m).zip(dy.chunks_exact(m));
                    for ((sums, dy), x) in both.zip(from) {
                        sums.iter_mut().zip(dy).for_each(|(sum, dy)| *sum += x * dy);
                    }
                });
            }
        }
    }
}

#[inline(always)]
unsafe fn kernel_lanes<const N: usize>(
    s: &ConvSizes,
    lines: &[(usize, usize)],
    x: *const f32,
    kernel: *mut f32,
    y: *const f32,
    from: usize,
) {
    let (c, last) = (s.channels.0, s.input.len() - 1);
    let (stride, low, dilation) = (s.strides[last], s.low[last], s.dilation[last]);
    for &(above, base) in lines {
        for tap in 0..s.window[last] {
            // SAFETY: by the caller's contract.
            unsafe {
                let sums = kernel.add((above * s.window[last] + tap) * c + from);
                let sums = &mut *sums.cast::<[f32; N]>();
                let mut sum = *sums;
                for place in s.along(tap) {
                    let at = base + place * stride + tap * dilation - low;
                    let x = &*x.add(at * c + from).cast::<[f32; N]>();
                    let dy = &*y.add(place * c + from).cast::<[f32; N]>();
                    for i in 0..N {
                        sum[i] += x[i] * dy[i];
                    }
                }
                *sums = sum;
            }
        }
    }
}
