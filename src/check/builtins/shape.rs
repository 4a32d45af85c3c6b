//! Primitives that move or rearrange elements.

use crate::diag::{Code, Diagnostic};
use crate::ir::{Dim, Elem, Prim, Shape};
use crate::span::Span;

use crate::check::elab::Elab;
use crate::check::elab::builtin::Args;
use crate::check::elab::value::{ArgVal, Meaning, Tensor, Val};
use crate::check::types::shape::broadcast_shape;

impl Elab<'_> {
    pub(super) fn reshape(&mut self, a: &Args) -> Val {
        let Some(t) = self.tensor_at(a, "x") else {
            return Val::Error;
        };
        let shape = match self.arg(a, "shape").map(|x| x.val.clone()) {
            Some(Val::List(items)) => self.left_over(a, &t, &items),
            _ => self.shape_at(a, "shape"),
        };
        let Some(shape) = shape else {
            return Val::Error;
        };
        let meaning = t.meaning.clone();
        self.emit(Prim::Reshape(shape), &[&t], meaning, a.span)
    }

    /// The sizes of `items`; one that is -1 becomes what the others leave of `t`.
    fn left_over(&mut self, a: &Args, t: &Tensor, items: &[Val]) -> Option<Shape> {
        let at = self.arg(a, "shape").map_or(a.span, |x| x.span);
        let open = |v: &Val| matches!(v, Val::Int(Dim::Const(-1)));
        let mut shape = Shape::new();
        for v in items {
            shape.push(match open(v) {
                true => Dim::ONE,
                false => self.positive_size(v.clone(), at)?,
            });
        }
        let Some(place) = items.iter().position(open) else {
            return Some(shape);
        };
        if items[place + 1..].iter().any(open) {
            let d = Diagnostic::error(Code::E0210, "only one size can be -1")
                .label(at, "more than one is -1");
            self.diagnose(d);
            return None;
        }
        let count = crate::ir::infer::count;
        let left = match (count(&t.ty.shape), count(&shape)) {
            (Ok(all), Ok(given)) => all.div_exact(&given),
            (Err(e), _) | (_, Err(e)) => {
                self.type_error(e, a.span);
                return None;
            }
        };
        match left {
            Some(left) => shape[place] = left,
            None if self.mode.generic => return None,
            None => {
                let text: Vec<String> = items
                    .iter()
                    .zip(&shape)
                    .map(|(v, d)| match open(v) {
                        true => "-1".to_owned(),
                        false => d.to_string(),
                    })
                    .collect();
                self.error(
                    Code::E0206,
                    a.span,
                    format!("{t} cannot be reshaped to [{}]", text.join(", ")),
                    "reshaped here",
                );
                return None;
            }
        }
        Some(shape)
    }

    /// The axes that `axis` names, or those that it leaves, as a list in order.
    pub(super) fn axes_of(&mut self, a: &Args, others: bool) -> Val {
        let Some(t) = self.tensor_at(a, "x") else {
            return Val::Error;
        };
        if self.at(a, "axis").is_none() {
            return Val::Error;
        }
        let rank = t.ty.rank();
        let Some(named) = self.axes_at(a, rank) else {
            return Val::Error;
        };
        let kept = (0..rank).filter(|axis| named.contains(axis) != others);
        Val::list(kept.map(|axis| Val::Int(Dim::from(axis))))
    }

    pub(super) fn broadcast_to(&mut self, a: &Args) -> Val {
        let (Some(t), Some(shape)) = (self.tensor_at(a, "x"), self.shape_at(a, "shape")) else {
            return Val::Error;
        };
        if let Some(axes) = self.arg(a, "axes").cloned() {
            return self.broadcast_along(a, t, shape, &axes);
        }
        match broadcast_shape(&t.ty.shape, &shape) {
            Some(s) if s == shape => self
                .stretch(t, &shape, a.span)
                .map_or(Val::Error, Val::Tensor),
            _ => {
                let text = crate::ir::ty::ShapeText(&shape).to_string();
                self.error(
                    Code::E0204,
                    a.span,
                    format!("{t} cannot be broadcast to {text}"),
                    "only leading axes can be added, and only axes of size 1 stretched",
                )
            }
        }
    }

    /// A list of numbers as `f32[n]`.
    pub(super) fn vector(&mut self, a: &Args) -> Val {
        let items = match self.at(a, "list") {
            Some(Val::List(items)) if !items.is_empty() => items,
            Some(Val::Error) | None => return Val::Error,
            Some(other) => return self.wrong(a, "list", "a list of numbers", &other),
        };
        for v in items.iter() {
            if v.is_error() {
                return Val::Error;
            }
            if !matches!(v, Val::Int(_) | Val::Float(_) | Val::Unknown(_)) {
                return self.wrong(a, "list", "a list of numbers", v);
            }
        }
        self.number_list(&items, a.span)
            .map_or(Val::Error, Val::Tensor)
    }

    /// Numbers one after the other, `f32[n]`.
    pub fn number_list(&mut self, items: &[Val], span: Span) -> Option<Tensor> {
        let mut parts = Vec::with_capacity(items.len());
        for v in items {
            let t = self.as_tensor(v, Elem::F32, span)?;
            let t = self.cast(t, Elem::F32, span)?;
            parts.push(self.stretch(t, &Shape::from_iter([Dim::ONE]), span)?);
        }
        let parts: Vec<&Tensor> = parts.iter().collect();
        match self.emit(Prim::Concat { axis: 0 }, &parts, Meaning::Real, span) {
            Val::Tensor(t) => Some(t),
            _ => None,
        }
    }

    /// Axis i of `t` becomes axis `axes[i]` of `shape`.
    fn broadcast_along(&mut self, a: &Args, t: Tensor, shape: Shape, axes: &ArgVal) -> Val {
        let Val::List(items) = &axes.val else {
            return match axes.val {
                Val::Error => Val::Error,
                _ => self.wrong(a, "axes", "a list of axes", &axes.val),
            };
        };
        let axes: Option<Vec<usize>> = items
            .iter()
            .map(|v| self.axis(v.clone(), shape.len(), axes.span))
            .collect();
        let Some(axes) = axes else {
            return Val::Error;
        };
        if t.ty.shape == shape && axes.iter().copied().eq(0..shape.len()) {
            return Val::Tensor(t);
        }
        let meaning = t.meaning.clone();
        self.emit(Prim::Broadcast { shape, axes }, &[&t], meaning, a.span)
    }

    pub(super) fn expand(&mut self, a: &Args) -> Val {
        let Some(t) = self.tensor_at(a, "x") else {
            return Val::Error;
        };
        let Some(axis) = self.axis_at(a, "axis", t.ty.rank() + 1, None) else {
            return Val::Error;
        };
        let mut shape = t.ty.shape.clone();
        shape.insert(axis, Dim::ONE);
        let meaning = t.meaning.clone();
        self.emit(Prim::Reshape(shape), &[&t], meaning, a.span)
    }

    pub(super) fn squeeze(&mut self, a: &Args) -> Val {
        let Some(t) = self.tensor_at(a, "x") else {
            return Val::Error;
        };
        let Some(axis) = self.axis_at(a, "axis", t.ty.rank(), None) else {
            return Val::Error;
        };
        if t.ty.shape[axis] != Dim::ONE {
            return self.error(
                Code::E0206,
                a.span,
                format!("axis {axis} of {t} has size {}, not 1", t.ty.shape[axis]),
                "squeezed here",
            );
        }
        let mut shape = t.ty.shape.clone();
        shape.remove(axis);
        let meaning = t.meaning.clone();
        self.emit(Prim::Reshape(shape), &[&t], meaning, a.span)
    }

    pub(super) fn transpose(&mut self, a: &Args) -> Val {
        let Some(t) = self.tensor_at(a, "x") else {
            return Val::Error;
        };
        let rank = t.ty.rank();
        let axes = match self.at(a, "axes") {
            Some(Val::List(l)) => l
                .iter()
                .map(|v| self.axis(v.clone(), rank, a.span))
                .collect::<Option<Vec<_>>>(),
            Some(Val::Error) | None => None,
            Some(other) => return self.wrong(a, "axes", "a list of axes", &other),
        };
        let meaning = t.meaning.clone();
        axes.map_or(Val::Error, |perm| {
            self.emit(Prim::Transpose(perm), &[&t], meaning, a.span)
        })
    }

    pub(super) fn reverse(&mut self, a: &Args) -> Val {
        let Some(t) = self.tensor_at(a, "x") else {
            return Val::Error;
        };
        let Some(axis) = self.axis_at(a, "axis", t.ty.rank(), None) else {
            return Val::Error;
        };
        let meaning = t.meaning.clone();
        self.emit(Prim::Reverse { axes: vec![axis] }, &[&t], meaning, a.span)
    }

    pub fn concat(&mut self, a: &Args) -> Val {
        self.check_names(a);
        let mut parts = Vec::new();
        for arg in a.args.iter().filter(|x| x.name.is_none()) {
            match &arg.val {
                Val::Tensor(t) => parts.push(t.clone()),
                Val::List(items) if items.iter().any(Val::is_error) => return Val::Error,
                Val::List(items) if items.iter().all(|v| matches!(v, Val::Tensor(_))) => {
                    parts.extend(items.iter().filter_map(|v| match v {
                        Val::Tensor(t) => Some(t.clone()),
                        _ => None,
                    }));
                }
                Val::Error => return Val::Error,
                other => {
                    let d = Diagnostic::error(Code::E0312, "`concat` needs tensors")
                        .label(arg.span, format!("this is {}", other.describe()));
                    return self.diagnose(d);
                }
            }
        }
        let Some(first) = parts.first() else {
            return self.error(
                Code::E0106,
                a.span,
                "`concat` needs at least one tensor",
                "there are none",
            );
        };
        let rank = first.ty.rank();
        let Some(axis) = self.axis_at(a, "axis", rank, Some(-1)) else {
            return Val::Error;
        };
        for p in &parts {
            let agree = p.ty.rank() == rank
                && p.ty.elem == first.ty.elem
                && (0..rank).all(|i| i == axis || p.ty.shape[i] == first.ty.shape[i]);
            if !agree && !self.mode.generic {
                let d = Diagnostic::error(
                    Code::E0216,
                    format!("cannot concatenate {first} and {p} along axis {axis}"),
                )
                .label(a.span, "concatenated here");
                let d = if p.ty.elem == first.ty.elem {
                    d.help("all other sizes must be the same")
                } else {
                    self.of_one_type(d, a, &parts)
                };
                return self.diagnose(d);
            }
        }
        let refs: Vec<&Tensor> = parts.iter().collect();
        let meaning = if parts.iter().all(|p| p.meaning == first.meaning) {
            first.meaning.clone()
        } else {
            Meaning::Real
        };
        self.emit(Prim::Concat { axis }, &refs, meaning, a.span)
    }

    /// The tensor that is not of numbers, converted.
    fn of_one_type(&self, d: Diagnostic, a: &Args, parts: &[Tensor]) -> Diagnostic {
        let odd = parts.iter().position(|p| p.ty.elem != Elem::F32);
        let positional: Vec<_> = a.args.iter().filter(|x| x.name.is_none()).collect();
        match odd.and_then(|i| positional.get(i)) {
            Some(arg) if positional.len() == parts.len() => {
                let written = format!("cast({}, real)", self.source_text(arg.span));
                d.help(format!("all must be of one type: write `{written}`"))
                    .fix(arg.span, written)
            }
            _ => d.help("all must be of one type: `cast(x, real)` converts booleans and integers"),
        }
    }

    pub fn split(&mut self, a: &Args) -> Val {
        let Some(t) = self.tensor_at(a, "x") else {
            return Val::Error;
        };
        let Some(axis) = self.axis_at(a, "axis", t.ty.rank(), Some(-1)) else {
            return Val::Error;
        };
        let n = match self.at(a, "n") {
            Some(Val::Int(Dim::Const(n))) if (1..=4096).contains(&n) => n,
            Some(v) if self.is_open(&v) => return Val::Error,
            Some(other) => return self.wrong(a, "n", "a number from 1 to 4096", &other),
            None => return Val::Error,
        };
        let size = t.ty.shape[axis].clone();
        let Some(part) = size.div_exact(&Dim::Const(n)) else {
            if self.mode.generic && size.as_const().is_none() {
                return Val::Error;
            }
            return self.error(
                Code::E0206,
                a.span,
                format!("axis {axis} of {t} cannot be divided into {n} equal pieces"),
                "split here",
            );
        };
        let mut parts = Vec::new();
        for i in 0..n {
            let (mut starts, mut ends) = (vec![Dim::ZERO; t.ty.rank()], t.ty.shape.to_vec());
            let (Ok(s), Ok(e)) = (part.mul(&Dim::Const(i)), part.mul(&Dim::Const(i + 1))) else {
                return Val::Error;
            };
            starts[axis] = s;
            ends[axis] = e;
            let steps = vec![1; t.ty.rank()];
            let meaning = t.meaning.clone();
            parts.push((
                None,
                self.emit(
                    Prim::Slice {
                        starts,
                        ends,
                        steps,
                    },
                    &[&t],
                    meaning,
                    a.span,
                ),
            ));
        }
        Val::Tuple(std::rc::Rc::new(parts))
    }

    pub(super) fn pad(&mut self, a: &Args) -> Val {
        let Some(t) = self.tensor_at(a, "x") else {
            return Val::Error;
        };
        let (Some(low), Some(high)) = (self.shape_at(a, "low"), self.shape_at(a, "high")) else {
            return Val::Error;
        };
        let value = self
            .arg(a, "value")
            .map_or(Val::Float(0.0), |x| x.val.clone());
        let Some(value) = self.as_tensor(&value, t.ty.elem, a.span) else {
            return Val::Error;
        };
        let Some(value) = self.cast(value, t.ty.elem, a.span) else {
            return Val::Error;
        };
        let interior = vec![0; t.ty.rank()];
        self.emit(
            Prim::Pad {
                low: low.to_vec(),
                high: high.to_vec(),
                interior,
            },
            &[&t, &value],
            Meaning::Real,
            a.span,
        )
    }

    pub(super) fn full(&mut self, a: &Args) -> Val {
        let (Some(shape), Some(v)) = (self.shape_at(a, "shape"), self.at(a, "value")) else {
            return Val::Error;
        };
        match self.as_tensor(&v, Elem::F32, a.span) {
            Some(t) => self
                .stretch(t, &shape, a.span)
                .map_or(Val::Error, Val::Tensor),
            None => Val::Error,
        }
    }

    pub(super) fn iota(&mut self, a: &Args) -> Val {
        let Some(shape) = self.shape_at(a, "shape") else {
            return Val::Error;
        };
        let Some(axis) = self.axis_at(a, "axis", shape.len(), Some(0)) else {
            return Val::Error;
        };
        self.emit(
            Prim::Iota {
                axis,
                shape,
                elem: Elem::I32,
            },
            &[],
            Meaning::Real,
            a.span,
        )
    }

    pub(super) fn gather(&mut self, a: &Args) -> Val {
        let (Some(t), Some(i)) = (self.tensor_at(a, "x"), self.tensor_at(a, "indices")) else {
            return Val::Error;
        };
        let Some(axis) = self.axis_at(a, "axis", t.ty.rank(), Some(0)) else {
            return Val::Error;
        };
        if i.ty.elem != Elem::I32 {
            return self.wrong(a, "indices", "a tensor of integers", &Val::Tensor(i));
        }
        let meaning = t.meaning.clone();
        self.emit(Prim::Gather { axis }, &[&t, &i], meaning, a.span)
    }

    pub(super) fn scatter(&mut self, a: &Args) -> Val {
        let (Some(i), Some(u)) = (self.tensor_at(a, "indices"), self.tensor_at(a, "updates"))
        else {
            return Val::Error;
        };
        let Some(axis) = self.axis_at(a, "axis", u.ty.rank(), Some(0)) else {
            return Val::Error;
        };
        let Some(size) = self
            .at(a, "size")
            .and_then(|v| self.positive_size(v, a.span))
        else {
            return Val::Error;
        };
        if i.ty.elem != Elem::I32 {
            return self.wrong(a, "indices", "a tensor of integers", &Val::Tensor(i));
        }
        self.emit(
            Prim::ScatterAdd { axis, size },
            &[&i, &u],
            Meaning::Real,
            a.span,
        )
    }
}
