//! Convolutions and windows as steps.

use super::program::{Buf, Program, Step};
use super::steps::Placement;
use super::target::Target;
use crate::backend::fusion::LowerError;
use crate::backend::fusion::contractions::{ConvResult, ConvSizes};
use crate::backend::fusion::ops::Op;
use crate::ir::Elem;
use crate::ir::prim::Prim;

impl<T: Target> Placement<'_, T> {
    /// The step of a convolution or a window. `op` has a result of some elements.
    pub(super) fn windowed(
        &self,
        prim: &Prim,
        op: &Op,
        program: &mut Program<T>,
    ) -> Result<Step<T>, LowerError> {
        let info = self.ops.info(op.results[0]);
        let (out, result) = (self.buf(op.results[0]), &info.sizes);
        let arg = |i: usize| self.arg(&op.args[i]);
        let sizes = |i: usize| &op.args[i].view.sizes;
        let elem = info.elem;
        Ok(match prim {
            Prim::Conv(c) => {
                let s = ConvSizes::of_conv(c, sizes(0), sizes(1), result)?;
                self.conv(ConvResult::Output, s, elem, [arg(0), arg(1), out], program)
            }
            Prim::ConvInputGrad { conv: c, .. } => {
                let s = ConvSizes::of_conv(c, result, sizes(1), sizes(0))?;
                self.conv(ConvResult::Input, s, elem, [out, arg(1), arg(0)], program)
            }
            Prim::ConvKernelGrad { conv: c, .. } => {
                let s = ConvSizes::of_conv(c, sizes(0), result, sizes(1))?;
                self.conv(ConvResult::Kernel, s, elem, [arg(0), out, arg(1)], program)
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

    fn conv(
        &self,
        which: ConvResult,
        sizes: ConvSizes,
        elem: Elem,
        [x, kernel, y]: [Buf; 3],
        program: &mut Program<T>,
    ) -> Step<T> {
        let per_point = sizes.taps() * sizes.group().0 * sizes.channels.1;
        program.flops += 2 * (sizes.batch * sizes.outputs() * per_point) as u64;
        let target = &self.settings.target;
        if elem == Elem::F32
            && let Some(shape) = sizes.as_product(which)
        {
            let (product, scratch) = target.product(shape, elem);
            program.scratch = program.scratch.max(scratch);
            let (a, b, c) = match which {
                ConvResult::Output => (x, kernel, y),
                ConvResult::Input => (y, kernel, x),
                ConvResult::Kernel => (x, y, kernel),
            };
            return Step::Product { product, a, b, c };
        }
        let (conv, scratch) = target.conv(which, sizes, elem);
        program.scratch = program.scratch.max(scratch);
        Step::Conv { conv, x, kernel, y }
    }
}
