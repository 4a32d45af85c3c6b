//! Matrix products, convolutions and pooling windows as numbers, for whoever runs them.

use super::LowerError;
use super::ops::{Arg, constant_size, dot_axes};
use super::view::View;
use crate::ir::prim::{ConvDims, DotDims, WindowDims};

/// Row and column stride of a matrix, in elements.
pub type Strides = (usize, usize);

/// C[m, n] = A[m, k] B[k, n] (+ C), for every index of the batch axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatMul {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: Strides,
    pub b: Strides,
    /// No two elements of C may share a place.
    pub c: Strides,
    /// Adds to what C holds; else C is only written.
    pub accumulate: bool,
    /// Leading axes, outermost first. A stride of 0 shares an operand.
    pub batch: Vec<BatchAxis>,
}

/// One batch axis: its length, and how far apart its matrices are, in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchAxis {
    pub len: usize,
    pub a: usize,
    pub b: usize,
    pub c: usize,
}

impl MatMul {
    /// The product that a `dot` of two operands is; its result has `sizes` and lies whole.
    pub fn of_dot(dims: &DotDims, a: &Arg, b: &Arg, sizes: &[usize]) -> MatMul {
        let size =
            |view: &View, axes: &[usize]| axes.iter().map(|&i| view.sizes[i]).product::<usize>();
        let stride = |view: &View, axes: &[usize]| {
            let joined = view.transpose(axes).join(0, axes.len());
            joined.map_or(0, |(_, stride)| stride as usize)
        };
        let [batch_a, free_a, sum_a] = dot_axes(dims, 0, a.view.sizes.len());
        let [batch_b, free_b, sum_b] = dot_axes(dims, 1, b.view.sizes.len());
        let n = size(&b.view, &free_b);
        let result = View::contiguous(sizes);
        let axes = batch_a.iter().zip(&batch_b).enumerate();
        MatMul {
            m: size(&a.view, &free_a),
            n,
            k: size(&a.view, &sum_a),
            a: (stride(&a.view, &free_a), stride(&a.view, &sum_a)),
            b: (stride(&b.view, &sum_b), stride(&b.view, &free_b)),
            c: (n, 1),
            accumulate: false,
            batch: axes
                .map(|(i, (&x, &y))| BatchAxis {
                    len: a.view.sizes[x],
                    a: a.view.strides[x] as usize,
                    b: b.view.strides[y] as usize,
                    c: result.strides[i] as usize,
                })
                .collect(),
        }
    }

    /// How many products there are.
    pub fn count(&self) -> usize {
        self.batch.iter().map(|axis| axis.len).product()
    }

    /// Multiplications and additions.
    pub fn flops(&self) -> u64 {
        2 * (self.count() * self.m * self.n * self.k) as u64
    }
}

/// Which of the three tensors of a convolution is computed from the other two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConvResult {
    Output,
    Input,
    Kernel,
}

/// A convolution or a window; one entry a spatial axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvSizes {
    pub batch: usize,
    pub input: Vec<usize>,
    pub window: Vec<usize>,
    pub output: Vec<usize>,
    pub strides: Vec<usize>,
    pub dilation: Vec<usize>,
    pub low: Vec<usize>,
    pub groups: usize,
    /// Channels of the whole input and of the whole output.
    pub channels: (usize, usize),
}

impl ConvSizes {
    /// Those of a convolution, from the sizes of its three tensors.
    pub fn of_conv(
        conv: &ConvDims,
        x: &[usize],
        kernel: &[usize],
        y: &[usize],
    ) -> Result<ConvSizes, LowerError> {
        let n = conv.strides.len();
        Ok(ConvSizes {
            batch: x[0],
            input: x[1..=n].into(),
            window: kernel[..n].into(),
            output: y[1..=n].into(),
            strides: conv.strides.clone(),
            dilation: conv.dilation.clone(),
            low: conv
                .low
                .iter()
                .map(constant_size)
                .collect::<Result<_, _>>()?,
            groups: conv.groups,
            channels: (x[n + 1], y[n + 1]),
        })
    }

    /// Those of a pooling window.
    pub fn of_window(dims: &WindowDims, x: &[usize], y: &[usize]) -> Result<ConvSizes, LowerError> {
        let n = dims.window.len();
        Ok(ConvSizes {
            batch: x[0],
            input: x[1..=n].into(),
            window: dims.window.clone(),
            output: y[1..=n].into(),
            strides: dims.strides.clone(),
            dilation: vec![1; n],
            low: dims
                .low
                .iter()
                .map(constant_size)
                .collect::<Result<_, _>>()?,
            groups: 1,
            channels: (x[n + 1], y[n + 1]),
        })
    }

    #[inline]
    pub fn inputs(&self) -> usize {
        self.input.iter().product()
    }
    #[inline]
    pub fn outputs(&self) -> usize {
        self.output.iter().product()
    }
    #[inline]
    pub fn taps(&self) -> usize {
        self.window.iter().product()
    }
    /// Input and output channels of a group.
    #[inline]
    pub fn group(&self) -> (usize, usize) {
        (self.channels.0 / self.groups, self.channels.1 / self.groups)
    }
    /// One input channel a group: nothing is summed over channels.
    #[inline]
    pub fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.group().0 == 1
    }

    /// A convolution of one tap that goes over every place is a product of the channels alone.
    pub fn as_product(&self, which: ConvResult) -> Option<MatMul> {
        let everywhere = self.taps() == 1 && self.groups == 1 && self.input == self.output;
        let plain = self.strides.iter().all(|&n| n == 1) && self.low.iter().all(|&n| n == 0);
        let (places, (cx, cy)) = (self.batch * self.inputs(), self.channels);
        if !(everywhere && plain) || [places, cx, cy].contains(&0) {
            return None;
        }
        let (m, n, k, a, b) = match which {
            ConvResult::Output => (places, cy, cx, (cx, 1), (cy, 1)),
            ConvResult::Input => (places, cx, cy, (cy, 1), (1, cy)),
            ConvResult::Kernel => (cx, cy, places, (1, cx), (cy, 1)),
        };
        Some(MatMul {
            m,
            n,
            k,
            a,
            b,
            c: (n, 1),
            accumulate: false,
            batch: Vec::new(),
        })
    }
}
