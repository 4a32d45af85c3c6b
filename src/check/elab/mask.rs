//! Masks: which positions of a tensor's leading axes (`[B, t]` as a rule) count.
//!
//! A mask travels with a tensor while a program is elaborated and is a value of the graph only
//! where something uses it. The rule, also in docs/language.md: what is computed position by
//! position keeps the mask; where two meet, a position counts if it does in either; everything
//! else drops it.

use std::rc::Rc;

use crate::ir::prim::{Binary, Class};
use crate::ir::{Dim, Elem, Prim};
use crate::span::Span;

use super::Elab;
use super::value::{Meaning, Tensor, Val};

/// Whether axes `0..k` of argument `arg` are axes `0..k` of the result, element for element.
fn keeps(prim: &Prim, arg: usize, t: &Tensor, k: usize) -> bool {
    let shape = &t.ty.shape;
    let later = |axes: &[usize]| axes.iter().all(|a| *a >= k);
    match prim {
        Prim::Reshape(to) => to.len() >= k && to[..k] == shape[..k],
        Prim::Transpose(perm) => (0..k).all(|i| perm[i] == i),
        Prim::Broadcast { shape: to, axes } => (0..k).all(|i| axes[i] == i && to[i] == shape[i]),
        Prim::Slice {
            starts,
            ends,
            steps,
        } => (0..k).all(|i| starts[i] == Dim::ZERO && ends[i] == shape[i] && steps[i] == 1),
        Prim::Pad {
            low,
            high,
            interior,
        } => {
            let none = |i| low[i] == Dim::ZERO && high[i] == Dim::ZERO && interior[i] == 0;
            arg == 0 && (0..k).all(none)
        }
        Prim::Concat { axis } | Prim::ArgMax { axis } | Prim::ArgSort { axis } => *axis >= k,
        Prim::Reverse { axes } | Prim::Reduce { axes, .. } => later(axes),
        Prim::Dot(dims) => {
            let batch: Vec<usize> = dims.batch.iter().map(|(l, _)| *l).collect();
            let gone: Vec<usize> = dims.contract.iter().map(|(l, _)| *l).collect();
            let free = (0..shape.len()).filter(|i| !batch.contains(i) && !gone.contains(i));
            arg == 0 && batch.iter().copied().chain(free).take(k).eq(0..k)
        }
        _ => prim.class() == Class::Elementwise,
    }
}

impl Elab<'_> {
    /// The mask of what `prim` makes of `args`, by the rule.
    pub(super) fn carried(
        &mut self,
        prim: &Prim,
        args: &[&Tensor],
        span: Span,
    ) -> Option<Rc<Tensor>> {
        if args.iter().all(|t| t.mask.is_none()) {
            return None;
        }
        if let Prim::Concat { axis } = prim {
            let least = args.iter().filter_map(|t| Some(t.mask.as_ref()?.ty.rank()));
            if least.min().is_some_and(|k| *axis < k) {
                return self.joined(*axis, args, span);
            }
            // Beside features that all count, all count.
            if args.iter().any(|t| t.mask.is_none()) {
                return None;
            }
        }
        let mut masks = Vec::new();
        for (i, t) in args.iter().enumerate() {
            if let Some(m) = &t.mask
                && keeps(prim, i, t, m.ty.rank())
            {
                masks.push(m.clone());
            }
        }
        let mut all = masks.into_iter();
        let first = all.next()?;
        all.try_fold(first, |known, m| self.either(known, m, span))
    }

    /// Counts where one of two does.
    fn either(&mut self, a: Rc<Tensor>, b: Rc<Tensor>, span: Span) -> Option<Rc<Tensor>> {
        if Rc::ptr_eq(&a, &b) || (a.value == b.value && a.home == b.home) {
            return Some(a);
        }
        if a.ty != b.ty {
            return None;
        }
        match self.emit(Prim::Binary(Binary::Or), &[&a, &b], Meaning::Real, span) {
            Val::Tensor(t) => Some(Rc::new(t)),
            _ => None,
        }
    }

    /// The masks of tensors that are joined along one of the masked axes.
    fn joined(&mut self, axis: usize, args: &[&Tensor], span: Span) -> Option<Rc<Tensor>> {
        let rank = args.iter().find_map(|t| Some(t.mask.as_ref()?.ty.rank()))?;
        let mut parts = Vec::new();
        for t in args {
            let part = match &t.mask {
                Some(m) if m.ty.rank() == rank => (**m).clone(),
                Some(_) => return None,
                None => {
                    let all = self.constant(1.0, Elem::Bool);
                    self.stretch(all, &t.ty.shape[..rank].iter().cloned().collect(), span)?
                }
            };
            parts.push(part);
        }
        let parts: Vec<&Tensor> = parts.iter().collect();
        match self.emit(Prim::Concat { axis }, &parts, Meaning::Real, span) {
            Val::Tensor(t) => Some(Rc::new(t)),
            _ => None,
        }
    }
}
