//! Convolutions in single precision: each of the three products of a convolution as matrix products.
//!
//! A block of places of the output and a block of places of the window make a matrix of *columns*: a row a place of
//! the output, in it the inputs under the window (`im2col`). It is made on the stack of the thread that multiplies
//! it, so it is read from the cache it was written to:
//! `y = columns(x) kernel`, `columns(dx) = dy kernel^T`, `dkernel = columns(x)^T dy`. One input channel a group
//! (depthwise) leaves nothing to multiply, and goes over the channels instead (`depthwise`).
//!
//! Work is cut by shape alone; the kernel's gradient is summed in parts of fixed places, added up in order.

mod depthwise;
mod im2col;

use super::gemm::{Matrices, multiply};
use super::lines::LINES;
use crate::backend::cpu::machine::features::Features;
use crate::backend::cpu::machine::pool::Pool;
use crate::backend::cpu::machine::shared::Shared;
use crate::backend::fusion::contractions::{ConvResult, ConvSizes};
use im2col::Part;
use std::mem::MaybeUninit;

/// Floats of a thread's columns, and of one row of them at most, unless a place has more channels: many rows share the
/// packing of the kernel.
const BLOCK: usize = 32 << 10;
const ROW: usize = 320;
/// The most rows of columns.
const ROWS: usize = 1 << 10;
/// Operations of a task, about 15 us of one core, and how many tasks there are at most.
const TASK: usize = 4_000_000;
const MOST_TASKS: usize = 64;
/// The most floats of the kernel gradient's partial sums; a kernel of so many is shared out rather than summed in parts.
const SUMS: usize = 1 << 20;
const WIDE: usize = 64 << 10;

/// A planned convolution.
#[derive(Clone, Debug)]
pub struct Conv {
    which: ConvResult,
    sizes: ConvSizes,
    features: Features,
    /// Places of the window in one block of columns, and places of the output.
    taps: usize,
    places: usize,
    /// How the places (of an input: the images) are shared out; of a large kernel, its places as well.
    tasks: usize,
    tap_shares: usize,
}

#[repr(align(64))]
struct Columns(MaybeUninit<[f32; BLOCK]>);

/// The tensors, as tasks share them.
#[derive(Clone, Copy)]
struct Tensors {
    x: *mut f32,
    kernel: *mut f32,
    y: *mut f32,
    sums: *mut f32,
}

// SAFETY: tasks write disjoint parts.
unsafe impl Sync for Tensors {}

impl Conv {
    /// Plans a convolution; none where a tensor is empty, or where the plain loops do better
    /// (thousands of channels in a row of columns, dozens of lines in a window).
    pub fn new(which: ConvResult, sizes: &ConvSizes, features: Features) -> Option<Conv> {
        let s = sizes;
        let (gx, gy) = s.group();
        let sizes_of = [s.batch, s.inputs(), s.outputs(), s.taps(), gx, gy];
        if s.input.is_empty() || sizes_of.contains(&0) || gx > BLOCK / 8 {
            return None;
        }
        if s.is_depthwise() && s.window_lines() > LINES {
            return None;
        }
        let taps = (ROW / gx).clamp(1, s.taps());
        // Whole lines of the window where they fit.
        let line = s.window[s.window.len() - 1];
        let taps = if taps > line {
            taps / line * line
        } else {
            taps
        };
        let places = (BLOCK / row(taps * gx)).min(ROWS);
        let flops = [s.batch, s.outputs(), s.taps(), gx, s.channels.1]
            .iter()
            .fold(2usize, |flops, &n| flops.saturating_mul(n));
        let wanted = flops.div_ceil(TASK).next_power_of_two().min(MOST_TASKS);
        let total = s.batch * s.outputs();
        let kernel = s.taps() * gx * s.channels.1;
        let (tasks, tap_shares) = match which {
            ConvResult::Output => (wanted.min(total), 1),
            ConvResult::Input => (wanted.min(s.batch), 1),
            ConvResult::Kernel if kernel >= WIDE && !s.is_depthwise() => {
                let shares = s.taps().min(wanted);
                let parts = (wanted / shares).min(SUMS / kernel);
                (parts.clamp(1, total), shares)
            }
            ConvResult::Kernel => (wanted.min(total).min(SUMS / kernel), 1),
        };
        Some(Conv {
            which,
            sizes: sizes.clone(),
            features,
            taps,
            places,
            tasks: tasks.max(1),
            tap_shares,
        })
    }

    /// Bytes that `run` needs at `scratch`.
    pub fn scratch_bytes(&self) -> usize {
        match (self.which, self.tasks) {
            (ConvResult::Kernel, 2..) => self.tasks * self.kernel_len() * size_of::<f32>(),
            _ => 0,
        }
    }

    fn kernel_len(&self) -> usize {
        self.sizes.taps() * self.sizes.group().0 * self.sizes.channels.1
    }

    /// One of `x`, `kernel`, `y` from the other two. Allocates nothing.
    ///
    /// # Safety
    /// The pointers are valid for their tensors, the one of the result for writing and overlapped by no other;
    /// `scratch` for `scratch_bytes()`.
    pub unsafe fn run(
        &self,
        pool: &Pool,
        x: *mut f32,
        kernel: *mut f32,
        y: *mut f32,
        scratch: *mut u8,
    ) {
        let all = Tensors {
            x,
            kernel,
            y,
            sums: scratch.cast(),
        };
        // SAFETY (all): tasks write disjoint places, images, parts of the sums or taps; by the contract.
        match (self.which, self.sizes.is_depthwise()) {
            (ConvResult::Output, true) => pool.run(self.tasks, &|task| unsafe {
                let all = &all;
                let (first, end) = self.share(self.sizes.lines(), task);
                depthwise::output(
                    self.features,
                    &self.sizes,
                    all.x,
                    all.kernel,
                    all.y,
                    first,
                    end,
                );
            }),
            (ConvResult::Output, false) => pool.run(self.tasks, &|task| unsafe {
                self.output(&all, task);
            }),
            (ConvResult::Input, true) => pool.run(self.tasks, &|task| unsafe {
                let all = &all;
                let (first, end) = self.share(self.sizes.batch, task);
                depthwise::input(
                    self.features,
                    &self.sizes,
                    all.x,
                    all.kernel,
                    all.y,
                    first,
                    end,
                );
            }),
            (ConvResult::Input, false) => pool.run(self.tasks, &|task| unsafe {
                self.input(&all, task);
            }),
            (ConvResult::Kernel, _) => unsafe { self.kernel(pool, &all) },
        }
    }

    /// As the text of a plan shows it.
    pub fn describe(&self) -> String {
        let s = &self.sizes;
        let kind = if s.is_depthwise() { " depthwise" } else { "" };
        let (which, tasks) = (self.which, self.tasks);
        format!(
            "{which:?}{kind} {:?} * {:?} -> {:?}, {} tasks",
            s.input, s.window, s.output, tasks
        )
    }

    /// Part `task` of `0..size`.
    fn share(&self, size: usize, task: usize) -> (usize, usize) {
        part(size, self.tasks, task)
    }

    unsafe fn output(&self, all: &Tensors, task: usize) {
        let s = &self.sizes;
        let (gy, cy) = (s.group().1, s.channels.1);
        let range = self.share(s.batch * s.outputs(), task);
        self.each_block(range, (0, s.taps()), |part, ld, columns| {
            let of = Matrices {
                m: part.places.1 - part.places.0,
                n: gy,
                k: part.row(),
                a: (ld, 1),
                b: (cy, 1),
                c: (cy, 1),
                accumulate: part.taps.0 > 0,
            };
            // SAFETY: the part is within the tensors; its places are this task's.
            unsafe {
                im2col::gather(s, part, all.x, columns, ld);
                let kernel = all.kernel.add(part.kernel(cy, gy));
                let y = all.y.add(part.places.0 * cy + part.group * gy);
                multiply(self.features, &of, columns, kernel, y);
            }
        });
    }

    unsafe fn input(&self, all: &Tensors, task: usize) {
        let s = &self.sizes;
        let (gy, (cx, cy)) = (s.group().1, s.channels);
        let (first, end) = self.share(s.batch, task);
        let image = s.inputs() * cx;
        let images = Shared::new(all.x);
        // SAFETY: these images are this task's.
        unsafe { images.part(first * image, (end - first) * image) }.fill(0.0);
        self.each_block(
            (first * s.outputs(), end * s.outputs()),
            (0, s.taps()),
            |part, ld, columns| {
                let of = Matrices {
                    m: part.places.1 - part.places.0,
                    n: part.row(),
                    k: gy,
                    a: (cy, 1),
                    b: (1, cy),
                    c: (ld, 1),
                    accumulate: false,
                };
                // SAFETY: the part is within the tensors; its images are this task's.
                unsafe {
                    let kernel = all.kernel.add(part.kernel(cy, gy));
                    let y = all.y.add(part.places.0 * cy + part.group * gy);
                    multiply(self.features, &of, y, kernel, columns);
                    im2col::scatter(self.features, s, part, columns, ld, all.x);
                }
            },
        );
    }

    unsafe fn kernel(&self, pool: &Pool, all: &Tensors) {
        let s = &self.sizes;
        let (gy, cy) = (s.group().1, s.channels.1);
        let len = self.kernel_len();
        pool.run(self.tasks * self.tap_shares, &|task| {
            let (task, taps) = (task / self.tap_shares, task % self.tap_shares);
            let range = self.share(s.batch * s.outputs(), task);
            let taps = part(s.taps(), self.tap_shares, taps);
            let all = &all;
            // SAFETY: this task's sums.
            let sums = match self.tasks {
                1 => all.kernel,
                _ => unsafe { all.sums.add(task * len) },
            };
            if s.is_depthwise() {
                let (first, end) = self.share(s.lines(), task);
                // SAFETY: by the contract; the sums are this task's.
                return unsafe {
                    depthwise::kernel(self.features, s, all.x, sums, all.y, first, end);
                };
            }
            self.each_block(range, taps, |part, ld, columns| {
                let of = Matrices {
                    m: part.row(),
                    n: gy,
                    k: part.places.1 - part.places.0,
                    a: (1, ld),
                    b: (cy, 1),
                    c: (cy, 1),
                    accumulate: part.places.0 > range.0,
                };
                // SAFETY: the part is within the tensors; these taps of the sums are this task's.
                unsafe {
                    im2col::gather(s, part, all.x, columns, ld);
                    let y = all.y.add(part.places.0 * cy + part.group * gy);
                    let sums = sums.add(part.kernel(cy, gy));
                    multiply(self.features, &of, columns, y, sums);
                }
            });
        });
        if self.tasks == 1 {
            return;
        }
        let (sums, to) = (Shared::new(all.sums), Shared::new(all.kernel));
        let pieces = len.div_ceil(PIECE);
        pool.run(pieces, &|piece| {
            let (at, n) = (piece * PIECE, PIECE.min(len - piece * PIECE));
            // SAFETY: pieces are disjoint; nobody writes the sums any more.
            unsafe {
                let to = to.part(at, n);
                to.copy_from_slice(sums.part(at, n));
                for task in 1..self.tasks {
                    let more = sums.part(task * len + at, n);
                    to.iter_mut().zip(more).for_each(|(sum, x)| *sum += *x);
                }
            }
        });
    }

    /// Calls `f` with each block of a range of places and of taps, for each group and in order of the taps, with the
    /// distance of the rows of columns and room for them.
    fn each_block(
        &self,
        (first, end): (usize, usize),
        (first_tap, end_tap): (usize, usize),
        f: impl Fn(&Part, usize, *mut f32),
    ) {
        let s = &self.sizes;
        let gx = s.group().0;
        let mut room = Columns(MaybeUninit::uninit());
        let columns = room.0.as_mut_ptr().cast::<f32>();
        let ld = row(self.taps * gx);
        let mut at = first;
        while at < end {
            let places = (at, end.min(at + self.places));
            for group in 0..s.groups {
                for tap in (first_tap..end_tap).step_by(self.taps) {
                    let taps = (tap, end_tap.min(tap + self.taps));
                    let part = Part {
                        places,
                        taps,
                        group,
                        gx,
                    };
                    f(&part, ld, columns);
                }
            }
            at = places.1;
        }
    }
}

/// Part `i` of `0..size` cut into `parts`.
fn part(size: usize, parts: usize, i: usize) -> (usize, usize) {
    (size * i / parts, size * (i + 1) / parts)
}

/// Floats of a piece of the sums that are added up.
const PIECE: usize = 4 << 10;

/// Distance of the rows of columns: not a multiple of what makes them share the places of a cache.
fn row(len: usize) -> usize {
    match len.is_multiple_of(256) {
        true => len + 16,
        false => len,
    }
}
