//! Lines of images: which inputs lie under the window at a place of the output.

use crate::backend::fusion::contractions::ConvSizes;

/// The most lines of a window that are looked up at once.
pub(super) const LINES: usize = 64;

/// The input lines under a line of a result: which line of the window each is under, and its first place, counted over
/// the batch.
pub struct Under {
    pub lines: [(usize, usize); LINES],
    pub count: usize,
}

impl ConvSizes {
    /// Places of a line of the output: its last axis.
    #[inline]
    pub fn wide(&self) -> usize {
        self.output.last().copied().unwrap_or(1)
    }
    /// Lines of the output of the whole batch.
    #[inline]
    pub fn lines(&self) -> usize {
        self.batch * self.outputs() / self.wide().max(1)
    }
    /// The line of an image's input under line `out` of its output and line `above` of the window; none if padding.
    #[inline]
    pub fn line(&self, out: usize, above: usize) -> Option<usize> {
        self.under_axes(self.input.len().saturating_sub(1), out, above)
    }
    /// Lines of the window: its places but for the last axis.
    #[inline]
    pub fn window_lines(&self) -> usize {
        self.taps() / self.window.last().copied().unwrap_or(1).max(1)
    }
    /// The input lines under output line `line`, counted over the batch. There is a spatial axis, and the window has no
    /// more than `LINES` lines.
    #[inline]
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
    /// The taps of a line of the window that are over inputs, at a place of the last axis; the first is over
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
    /// The places of a line of the output that have an input under tap `tap` of a line of the window.
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
    #[inline]
    pub fn place(&self, out: usize, tap: usize) -> Option<usize> {
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

/// Calls `f(tap, at)` for each tap of the window at a place that is over an input, `at`, in order.
#[inline(always)]
pub(super) fn each_tap(
    s: &ConvSizes,
    lines: &[(usize, usize)],
    place: usize,
    mut f: impl FnMut(usize, usize),
) {
    let last = s.input.len() - 1;
    let (low, dilation, window) = (s.low[last], s.dilation[last], s.window[last]);
    let first = place * s.strides[last];
    for &(above, base) in lines {
        for tap in s.inside(place) {
            f(above * window + tap, base + first + tap * dilation - low);
        }
    }
}
