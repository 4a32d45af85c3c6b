//! The matrix of columns of a block: a row a place of the output, in it the inputs under some places of the window.

use crate::backend::cpu::kernels::dispatch::by_isa;
use crate::backend::fusion::contractions::ConvSizes;

/// Some places of the output (counted over the whole batch) and some of the window, of one group of channels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub places: (usize, usize),
    pub taps: (usize, usize),
    pub group: usize,
    /// Input channels of a group.
    pub gx: usize,
}

impl Part {
    /// Floats of a row of columns.
    pub(super) fn row(&self) -> usize {
        (self.taps.1 - self.taps.0) * self.gx
    }
    /// Where the block's rows of the kernel start: `cy` output channels in all, `gy` in a group.
    pub(super) fn kernel(&self, cy: usize, gy: usize) -> usize {
        self.taps.0 * self.gx * cy + self.group * gy
    }
}

/// Copies inputs into columns; padding is 0.
///
/// # Safety
/// `x` is valid for the input, `columns` for as many rows, `ld` floats apart, as there are places.
pub(super) unsafe fn gather(
    s: &ConvSizes,
    part: &Part,
    x: *const f32,
    columns: *mut f32,
    ld: usize,
) {
    let walk = Walk::of(s, part);
    walk.each(|run| {
        // SAFETY: the run is within the columns, its inside within the input.
        unsafe {
            let to = columns.add(run.row * ld + run.column);
            let Some(from) = run.input else {
                return (0..run.places).for_each(|i| zero(to.add(i * ld), run.len * walk.gx));
            };
            let from = x.add(from);
            let inside = |i: usize| walk.inside(run.first + i * walk.stride, run.len);
            if !walk.adjoining {
                for i in 0..run.places {
                    let to = to.add(i * ld);
                    for tap in 0..run.len {
                        let to = to.add(tap * walk.gx);
                        match walk.at(run.first + i * walk.stride + tap * walk.dilation) {
                            Some(at) => copy(from.add(at * walk.cx), to, walk.gx),
                            None => zero(to, walk.gx),
                        }
                    }
                }
                return;
            }
            // Places at the ends have padding under them; those between are copied whole.
            let (mut low, mut high) = (0, run.places);
            while low < high && inside(low) != (0, run.len) {
                low += 1;
            }
            while high > low && inside(high - 1) != (0, run.len) {
                high -= 1;
            }
            for i in (0..low).chain(high..run.places) {
                let (to, (a, b)) = (to.add(i * ld), inside(i));
                zero(to, a * walk.gx);
                if b > a {
                    let at = run.first + i * walk.stride + a - walk.low;
                    copy(
                        from.add(at * walk.cx),
                        to.add(a * walk.gx),
                        (b - a) * walk.gx,
                    );
                }
                zero(to.add(b * walk.gx), (run.len - b) * walk.gx);
            }
            if low < high {
                let from = from.add((run.first + low * walk.stride - walk.low) * walk.cx);
                let (apart, len) = (walk.stride * walk.cx, run.len * walk.gx);
                copies(from, apart, to.add(low * ld), ld, high - low, len);
            }
        }
    });
}

by_isa!(
    /// Adds columns to the inputs they stand for.
    ///
    /// # Safety
    /// As for [`gather`], `x` for writing and by nobody else.
    scatter => scatter_body(s: &ConvSizes, part: &Part, columns: *const f32, ld: usize, x: *mut f32)
);

#[inline(always)]
unsafe fn scatter_body(s: &ConvSizes, part: &Part, columns: *const f32, ld: usize, x: *mut f32) {
    let walk = Walk::of(s, part);
    walk.each(|run| {
        let Some(to) = run.input else { return };
        for i in 0..run.places {
            let first = run.first + i * walk.stride;
            // SAFETY: the run is within the columns, its inside within the input.
            unsafe {
                let from = columns.add((run.row + i) * ld + run.column);
                let to = x.add(to);
                if walk.adjoining {
                    let (a, b) = walk.inside(first, run.len);
                    if b > a {
                        let at = (first + a - walk.low) * walk.cx;
                        add(from.add(a * walk.gx), to.add(at), (b - a) * walk.gx);
                    }
                    continue;
                }
                for tap in 0..run.len {
                    if let Some(at) = walk.at(first + tap * walk.dilation) {
                        add(from.add(tap * walk.gx), to.add(at * walk.cx), walk.gx);
                    }
                }
            }
        }
    });
}

/// Goes over a block in runs: places along the last axis, under one line of the window.
struct Walk<'a> {
    s: &'a ConvSizes,
    part: &'a Part,
    cx: usize,
    gx: usize,
    /// The last axis: its inputs, the padding before them, the steps between places and between taps.
    width: usize,
    low: usize,
    stride: usize,
    dilation: usize,
    /// Whether the channels under neighbouring taps stand side by side.
    adjoining: bool,
}

struct Run {
    /// First row and column of the matrix.
    row: usize,
    column: usize,
    places: usize,
    /// Taps.
    len: usize,
    /// Where the line of the input starts; none if it is padding.
    input: Option<usize>,
    /// Place in the padded line of the first tap under the first place.
    first: usize,
}

impl<'a> Walk<'a> {
    fn of(s: &'a ConvSizes, part: &'a Part) -> Walk<'a> {
        let last = s.input.len() - 1;
        let (cx, gx) = (s.channels.0, part.gx);
        Walk {
            s,
            part,
            cx,
            gx,
            width: s.input[last],
            low: s.low[last],
            stride: s.strides[last],
            dilation: s.dilation[last],
            adjoining: s.dilation[last] == 1 && cx == gx,
        }
    }

    #[inline(always)]
    fn each(&self, f: impl Fn(Run)) {
        let (s, part) = (self.s, self.part);
        let last = s.input.len() - 1;
        let (wide, line) = (s.output[last], s.window[last]);
        let lines = s.outputs() / wide;
        let input = s.inputs() / self.width;
        let mut at = part.places.0;
        while at < part.places.1 {
            let (out, place) = (at / wide, at % wide);
            let places = (wide - place).min(part.places.1 - at);
            let (image, out) = (out / lines, out % lines);
            for above in part.taps.0 / line..part.taps.1.div_ceil(line) {
                let first = part.taps.0.max(above * line);
                let end = part.taps.1.min((above + 1) * line);
                f(Run {
                    row: at - part.places.0,
                    column: (first - part.taps.0) * self.gx,
                    places,
                    len: end - first,
                    input: s
                        .line(out, above)
                        .map(|i| (image * input + i) * self.width * self.cx + part.group * self.gx),
                    first: place * self.stride + (first - above * line) * self.dilation,
                });
            }
            at += places;
        }
    }

    /// The input at a place of the padded line.
    #[inline(always)]
    fn at(&self, padded: usize) -> Option<usize> {
        padded.checked_sub(self.low).filter(|i| *i < self.width)
    }

    /// Which of `len` adjoining taps are over inputs, the first at a place of the padded line.
    #[inline(always)]
    fn inside(&self, padded: usize, len: usize) -> (usize, usize) {
        let a = self.low.saturating_sub(padded).min(len);
        let b = (self.width + self.low).saturating_sub(padded).min(len);
        (a, b.max(a))
    }
}

#[inline(always)]
unsafe fn zero(to: *mut f32, len: usize) {
    // SAFETY: by the caller's contract.
    unsafe { std::slice::from_raw_parts_mut(to, len) }.fill(0.0);
}

#[inline(always)]
unsafe fn copy(from: *const f32, to: *mut f32, len: usize) {
    // SAFETY: by the caller's contract; columns and tensors are apart.
    unsafe { std::ptr::copy_nonoverlapping(from, to, len) }
}

#[inline(always)]
unsafe fn add(from: *const f32, to: *mut f32, len: usize) {
    // SAFETY: by the caller's contract; columns and tensors are apart.
    let (from, to) = unsafe {
        (
            std::slice::from_raw_parts(from, len),
            std::slice::from_raw_parts_mut(to, len),
        )
    };
    to.iter_mut().zip(from).for_each(|(sum, x)| *sum += x);
}

/// `count` rows of `len` floats; few of them without a call for each.
unsafe fn copies(
    from: *const f32,
    from_apart: usize,
    to: *mut f32,
    to_apart: usize,
    count: usize,
    len: usize,
) {
    macro_rules! short {
        ($($n:literal)*) => {
            match len {
                $($n => {
                    for i in 0..count {
                        // SAFETY: by the caller's contract.
                        unsafe {
                            let row = from.add(i * from_apart).cast::<[f32; $n]>().read();
                            to.add(i * to_apart).cast::<[f32; $n]>().write(row);
                        }
                    }
                })*
                _ => {
                    for i in 0..count {
                        // SAFETY: by the caller's contract.
                        unsafe { copy(from.add(i * from_apart), to.add(i * to_apart), len) }
                    }
                }
            }
        };
    }
    short!(1 2 3 4 5 6 7 8 9 10 12 15 16 20 21 24 32 48 64 96);
}
