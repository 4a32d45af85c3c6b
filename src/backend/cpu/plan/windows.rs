//! Convolutions and windows as steps.

use super::Settings;
use super::steps::{Placement, constant};
use crate::backend::cpu::CompileError;
use crate::backend::cpu::conv::Conv;
use crate::backend::cpu::gemm::{Gemm, Shape};
use crate::backend::cpu::ops::Op;
use crate::backend::cpu::step::{Buf, ConvResult, ConvSizes, Program, Step};
use crate::ir::Elem;
use crate::ir::prim::{ConvDims, Prim, WindowDims};

impl Placement<'_> {
    /// The step of a convolution or a window. `op` has a result of some elements.
    pub fn windowed(
        &self,
        prim: &Prim,
        op: &Op,
        settings: &Settings,
        program: &mut Program,
    ) -> Result<Step, CompileError> {
        let info = self.ops.info(op.results[0]);
        let (out, result) = (self.buf(op.results[0]), &info.sizes);
        let arg = |i: usize| self.arg(&op.args[i]);
        let sizes = |i: usize| &op.args[i].view.sizes;
        let conv = Convolution {
            elem: info.elem,
            settings,
        };
        Ok(match prim {
            Prim::Conv(c) => {
                let s = conv_sizes(c, sizes(0), sizes(1), result)?;
                conv.step(ConvResult::Output, s, [arg(0), arg(1), out], program)
            }
            Prim::ConvInputGrad { conv: c, .. } => {
                let s = conv_sizes(c, result, sizes(1), sizes(0))?;
                conv.step(ConvResult::Input, s, [out, arg(1), arg(0)], program)
            }
            Prim::ConvKernelGrad { conv: c, .. } => {
                let s = conv_sizes(c, sizes(0), result, sizes(1))?;
                conv.step(ConvResult::Kernel, s, [arg(0), out, arg(1)], program)
            }
            Prim::Window { op: which, dims } => Step::Window {
                elem: info.elem,
                op: *which,
                sizes: window_sizes(dims, sizes(0), result)?,
                x: arg(0),
                y: out,
                dx: None,
            },
            Prim::WindowGrad { op: which, dims } => Step::Window {
                elem: info.elem,
                op: *which,
                sizes: window_sizes(dims, sizes(0), sizes(1))?,
                x: arg(0),
                y: arg(1),
                dx: Some(out),
            },
            _ => unreachable!("neither a convolution nor a window"),
        })
    }
}

struct Convolution<'a> {
    elem: Elem,
    settings: &'a Settings,
}

impl Convolution<'_> {
    fn step(
        &self,
        which: ConvResult,
        sizes: ConvSizes,
        [x, kernel, y]: [Buf; 3],
        program: &mut Program,
    ) -> Step {
        let per_point = sizes.taps() * sizes.group().0 * sizes.channels.1;
        program.flops += 2 * (sizes.batch * sizes.outputs() * per_point) as u64;
        let features = self.settings.features;
        if self.elem == Elem::F32 {
            if let Some(shape) = product(which, &sizes) {
                let gemm = Gemm::new(shape, features);
                program.scratch = program.scratch.max(gemm.scratch_bytes());
                let (a, b, c) = match which {
                    ConvResult::Output => (x, kernel, y),
                    ConvResult::Input => (y, kernel, x),
                    ConvResult::Kernel => (x, y, kernel),
                };
                return Step::Gemm { gemm, a, b, c };
            }
            if let Some(conv) = Conv::new(which, &sizes, features) {
                program.scratch = program.scratch.max(conv.scratch_bytes());
                let conv = Box::new(conv);
                return Step::Conv { conv, x, kernel, y };
            }
        }
        Step::ConvDirect {
            elem: self.elem,
            which,
            sizes,
            x,
            kernel,
            y,
        }
    }
}

/// A window of one place that goes over every place is a product of the channels alone.
fn product(which: ConvResult, s: &ConvSizes) -> Option<Shape> {
    let everywhere = s.taps() == 1 && s.groups == 1 && s.input == s.output;
    let plain = s.strides.iter().all(|&n| n == 1) && s.low.iter().all(|&n| n == 0);
    let (places, (cx, cy)) = (s.batch * s.inputs(), s.channels);
    if !(everywhere && plain) || [places, cx, cy].contains(&0) {
        return None;
    }
    let (m, n, k, a, b) = match which {
        ConvResult::Output => (places, cy, cx, (cx, 1), (cy, 1)),
        ConvResult::Input => (places, cx, cy, (cy, 1), (1, cy)),
        ConvResult::Kernel => (cx, cy, places, (1, cx), (cy, 1)),
    };
    Some(Shape {
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

fn conv_sizes(
    c: &ConvDims,
    x: &[usize],
    kernel: &[usize],
    y: &[usize],
) -> Result<ConvSizes, CompileError> {
    let n = c.strides.len();
    Ok(ConvSizes {
        batch: x[0],
        input: x[1..=n].into(),
        window: kernel[..n].into(),
        output: y[1..=n].into(),
        strides: c.strides.clone(),
        dilation: c.dilation.clone(),
        low: c.low.iter().map(constant).collect::<Result<_, _>>()?,
        groups: c.groups,
        channels: (x[n + 1], y[n + 1]),
    })
}

fn window_sizes(w: &WindowDims, x: &[usize], y: &[usize]) -> Result<ConvSizes, CompileError> {
    let n = w.window.len();
    Ok(ConvSizes {
        batch: x[0],
        input: x[1..=n].into(),
        window: w.window.clone(),
        output: y[1..=n].into(),
        strides: w.strides.clone(),
        dilation: vec![1; n],
        low: w.low.iter().map(constant).collect::<Result<_, _>>()?,
        groups: 1,
        channels: (x[n + 1], y[n + 1]),
    })
}
