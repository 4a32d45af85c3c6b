//! `mask(x)` and `with_mask(x, m)`.

use std::rc::Rc;

use crate::diag::{Code, Diagnostic};
use crate::ir::{Dim, Elem, Shape};

use crate::check::elab::Elab;
use crate::check::elab::builtin::Args;
use crate::check::elab::value::{Tensor, Val};

impl Elab<'_> {
    /// `mask(x)`: the mask that `x` carries, or none.
    pub(super) fn mask_of(&mut self, a: &Args) -> Val {
        match self.tensor_at(a, "x") {
            Some(t) => t.mask.map_or(Val::None, |m| Val::Tensor((*m).clone())),
            None => Val::Error,
        }
    }

    /// `with_mask(x, m)`: `x` with another mask, or without one.
    pub(super) fn with_mask(&mut self, a: &Args) -> Val {
        let (Some(x), Some(m)) = (self.tensor_at(a, "x"), self.at(a, "mask")) else {
            return Val::Error;
        };
        let m = match m {
            Val::None => return Val::Tensor(Tensor { mask: None, ..x }),
            Val::Tensor(m) if m.ty.elem == Elem::Bool => m,
            Val::Error => return Val::Error,
            other => return self.wrong(a, "mask", "a tensor of booleans, or none", &other),
        };
        if m.ty.rank() == 0 || !self.leads(&m.ty.shape, &x.ty.shape) {
            let d = Diagnostic::error(
                Code::E0203,
                "a mask must have the leading axes of its tensor",
            )
            .label(a.span, format!("the tensor is {x}, the mask is {m}"));
            return self.diagnose(d);
        }
        let mask = Some(Rc::new(Tensor { mask: None, ..m }));
        Val::Tensor(Tensor { mask, ..x })
    }

    /// Whether a shape begins with another; sizes that a generic check does not know may agree.
    fn leads(&self, short: &Shape, long: &Shape) -> bool {
        let agree = |a: &Dim, b: &Dim| {
            a == b || (self.mode.generic && a.sub(b).is_ok_and(|d| d.as_const().is_none()))
        };
        short.len() <= long.len() && short.iter().zip(long).all(|(a, b)| agree(a, b))
    }
}
