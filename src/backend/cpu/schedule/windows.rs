//! Convolutions and windows as steps.

use super::program::{Buf, Program, Settings, Step};
use super::steps::Placement;
use crate::backend::cpu::kernels::conv::Conv;
use crate::backend::cpu::kernels::gemm::Gemm;
use crate::backend::fusion::LowerError;
use crate::backend::fusion::contractions::{ConvResult, ConvSizes};
use crate::backend::fusion::ops::Op;
use crate::ir::Elem;
use crate::ir::prim::Prim;

impl Placement<'_> {
    /// The step of a convolution or a window. `op` has a result of some elements.
    pub(super) fn windowed(
        &self,
        prim: &Prim,
        op: &Op,
        program: &mut Program,
    ) -> Result<Step, LowerError> {
        let info = self.ops.info(op.results[0]);
        let (out, result) = (self.buf(op.results[0]), &info.sizes);
        let arg = |i: usize| self.arg(&op.args[i]);
        let sizes = |i: usize| &op.args[i].view.sizes;
        let conv = Convolution {
            elem: info.elem,
            settings: self.settings,
        };
        Ok(match prim {
            Prim::Conv(c) => {
                let s = ConvSizes::of_conv(c, sizes(0), sizes(1), result)?;
                conv.step(ConvResult::Output, s, [arg(0), arg(1), out], program)
            }
            Prim::ConvInputGrad { conv: c, .. } => {
                let s = ConvSizes::of_conv(c, result, sizes(1), sizes(0))?;
                conv.step(ConvResult::Input, s, [out, arg(1), arg(0)], program)
            }
            Prim::ConvKernelGrad { conv: c, .. } => {
                let s = ConvSizes::of_conv(c, sizes(0), result, sizes(1))?;
                conv.step(ConvResult::Kernel, s, [arg(0), out, arg(1)], program)
            }
            Prim::Window { op: which, dims } => Step::Window {
                elem: info.elem,
                op: *which,
                sizes: ConvSizes::of_window(dims, sizes(0), result)?,
                x: arg(0),
                y: out,
                dx: None,
            },
            Prim::WindowGrad { op: which, dims } => Step::Window {
                elem: info.elem,
                op: *which,
                sizes: ConvSizes::of_window(dims, sizes(0), sizes(1))?,
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
            if let Some(shape) = sizes.as_product(which) {
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
