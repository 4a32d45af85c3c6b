//! Primitives that compute: elementwise, reductions, selection, draws.

use crate::ir::prim::{Binary, Reduce, Unary};
use crate::ir::{Dim, Elem, Prim};
use crate::span::Span;

use crate::check::elab::Elab;
use crate::check::elab::builtin::Args;
use crate::check::elab::value::{Home, Kind, Meaning, Tensor, Val, float};

impl Elab<'_> {
    pub(super) fn unary(&mut self, a: &Args, op: Unary, number: Option<fn(f64) -> f64>) -> Val {
        let v = match self.at(a, "x") {
            Some(v) => v,
            None => return Val::Error,
        };
        match (&v, number) {
            (Val::Unknown(Kind::Int | Kind::Float), _) => return Val::Unknown(Kind::Float),
            (Val::Float(_) | Val::Int(_), Some(f)) => match float(&v) {
                // Whole numbers can be sizes: `ceil(length / n)`.
                Some(x)
                    if matches!(op, Unary::Floor | Unary::Ceil | Unary::Round)
                        && f(x).abs() < 9e15 =>
                {
                    return Val::Int(Dim::Const(f(x) as i64));
                }
                Some(x) => return Val::Float(f(x)),
                None if self.mode.generic => return Val::Unknown(Kind::Float),
                None => {}
            },
            _ => {}
        }
        let Some(t) = self.tensor_at(a, "x") else {
            return Val::Error;
        };
        let what = format!("the argument of `{}`", a.builtin.name);
        let Some(t) = self.quantity(t, a.span, &what) else {
            return Val::Error;
        };
        let t = match (op, t.ty.elem) {
            (Unary::Abs | Unary::Sign, Elem::I32) => Some(t),
            (_, Elem::I32) => self.cast(t, Elem::F32, a.span),
            _ => Some(t),
        };
        t.map_or(Val::Error, |t| {
            self.emit(Prim::Unary(op), &[&t], Meaning::Real, a.span)
        })
    }

    pub(super) fn extreme(&mut self, a: &Args, op: Binary) -> Val {
        let (Some(x), Some(y)) = (self.at(a, "x"), self.at(a, "y")) else {
            return Val::Error;
        };
        match (&x, &y) {
            (Val::Error, _) | (_, Val::Error) => return Val::Error,
            (Val::Int(p), Val::Int(q)) => {
                return Val::Int(if op == Binary::Max {
                    p.max_with(q)
                } else {
                    p.min_with(q)
                });
            }
            _ => {}
        }
        if let (Some(p), Some(q)) = (float(&x), float(&y)) {
            return Val::Float(if op == Binary::Max {
                p.max(q)
            } else {
                p.min(q)
            });
        }
        if matches!(
            (&x, &y),
            (
                Val::Unknown(_),
                Val::Unknown(_) | Val::Int(_) | Val::Float(_)
            ) | (Val::Int(_) | Val::Float(_), Val::Unknown(_))
        ) {
            return Val::Unknown(Kind::Float);
        }
        let mut sides = Vec::new();
        for v in [x, y] {
            match v {
                Val::Tensor(t) => match self.quantity(t, a.span, "compared by size") {
                    Some(t) => sides.push(Val::Tensor(t)),
                    None => return Val::Error,
                },
                v => sides.push(v),
            }
        }
        // Clipping a probability leaves it one.
        let prob = sides
            .iter()
            .any(|v| matches!(v, Val::Tensor(t) if t.meaning == Meaning::Prob))
            && sides
                .iter()
                .any(|v| float(v).is_some_and(|x| (0.0..=1.0).contains(&x)));
        let meaning = if prob { Meaning::Prob } else { Meaning::Real };
        match self.align(&sides[0], &sides[1], a.builtin.name, a.span) {
            Some((x, y)) => self.emit(Prim::Binary(op), &[&x, &y], meaning, a.span),
            None => Val::Error,
        }
    }

    pub(super) fn reduce(&mut self, a: &Args, op: Reduce) -> Val {
        if let Some(Val::List(items)) = self.arg(a, "x").map(|x| x.val.clone())
            && matches!(op, Reduce::Max | Reduce::Min)
        {
            return self.extreme_of(a, op, &items);
        }
        let Some(t) = self.tensor_at(a, "x") else {
            return Val::Error;
        };
        let Some(t) = self.quantity(t, a.span, "added up or compared") else {
            return Val::Error;
        };
        let t = if t.ty.elem == Elem::Bool {
            self.cast(t, Elem::F32, a.span)
        } else {
            Some(t)
        };
        let Some(t) = t else { return Val::Error };
        let Some(axes) = self.axes_at(a, t.ty.rank()) else {
            return Val::Error;
        };
        let keep = self.flag_at(a, "keepdims", false);
        self.reduce_over(&t, op, axes, keep, a.span)
    }

    /// The largest or smallest number of a list.
    fn extreme_of(&mut self, a: &Args, op: Reduce, items: &[Val]) -> Val {
        let mut best: Option<(f64, Val)> = None;
        for v in items {
            match (v, float(v)) {
                (Val::Error | Val::Unknown(_), _) => return v.clone(),
                (_, Some(x)) => {
                    let better = |b: &f64| if op == Reduce::Max { x > *b } else { x < *b };
                    if best.as_ref().is_none_or(|(b, _)| better(b)) {
                        best = Some((x, v.clone()));
                    }
                }
                _ => return self.wrong(a, "x", "a tensor or a list of numbers", v),
            }
        }
        match best {
            Some((_, v)) => v,
            None => self.wrong(a, "x", "a list of at least one number", &Val::list([])),
        }
    }

    pub fn reduce_over(
        &mut self,
        t: &Tensor,
        op: Reduce,
        axes: Vec<usize>,
        keep: bool,
        span: Span,
    ) -> Val {
        let mut kept = t.ty.shape.clone();
        for &x in &axes {
            kept[x] = Dim::ONE;
        }
        match self.emit(Prim::Reduce { op, axes }, &[t], Meaning::Real, span) {
            Val::Tensor(r) if keep => self.emit(Prim::Reshape(kept), &[&r], Meaning::Real, span),
            other => other,
        }
    }

    pub(super) fn mean(&mut self, a: &Args) -> Val {
        let Some(t) = self.tensor_at(a, "x") else {
            return Val::Error;
        };
        let Some(t) = self.quantity(t, a.span, "averaged") else {
            return Val::Error;
        };
        let t = if t.ty.elem.is_float() {
            Some(t)
        } else {
            self.cast(t, Elem::F32, a.span)
        };
        let Some(t) = t else { return Val::Error };
        let Some(axes) = self.axes_at(a, t.ty.rank()) else {
            return Val::Error;
        };
        let keep = self.flag_at(a, "keepdims", false);
        self.mean_over(&t, axes, keep, a.span)
    }

    pub fn mean_over(&mut self, t: &Tensor, axes: Vec<usize>, keep: bool, span: Span) -> Val {
        let mut n = Dim::ONE;
        for &x in &axes {
            match n.mul(&t.ty.shape[x]) {
                Ok(p) => n = p,
                Err(e) => return self.type_error(e.into(), span),
            }
        }
        let elem = t.ty.elem;
        let total = self.reduce_over(t, Reduce::Sum, axes, keep, span);
        let (Val::Tensor(total), Val::Tensor(n)) = (total, self.size(&n, elem, span)) else {
            return Val::Error;
        };
        match self.align_shapes(total, n, "/", span) {
            Some((x, y)) => self.emit(Prim::Binary(Binary::Div), &[&x, &y], Meaning::Real, span),
            None => Val::Error,
        }
    }

    pub(super) fn argmax(&mut self, a: &Args) -> Val {
        let Some(t) = self.tensor_at(a, "x") else {
            return Val::Error;
        };
        let Some(axis) = self.axis_at(a, "axis", t.ty.rank(), Some(-1)) else {
            return Val::Error;
        };
        self.emit(Prim::ArgMax { axis }, &[&t], Meaning::Real, a.span)
    }

    pub(super) fn argsort(&mut self, a: &Args) -> Val {
        let Some(t) = self.tensor_at(a, "x") else {
            return Val::Error;
        };
        let Some(axis) = self.axis_at(a, "axis", t.ty.rank(), Some(-1)) else {
            return Val::Error;
        };
        self.emit(Prim::ArgSort { axis }, &[&t], Meaning::Real, a.span)
    }

    pub(super) fn select(&mut self, a: &Args) -> Val {
        let (Some(c), Some(x), Some(y)) = (
            self.tensor_at(a, "condition"),
            self.at(a, "x"),
            self.at(a, "y"),
        ) else {
            return Val::Error;
        };
        if c.ty.elem != Elem::Bool {
            return self.wrong(a, "condition", "a tensor of booleans", &Val::Tensor(c));
        }
        let same = |x: &Val, y: &Val| match (x, y) {
            (Val::Tensor(x), Val::Tensor(y)) if x.meaning == y.meaning => x.meaning.clone(),
            _ => Meaning::Real,
        };
        let meaning = same(&x, &y);
        let Some((x, y)) = self.align(&x, &y, "select", a.span) else {
            return Val::Error;
        };
        let Some((c, x)) = self.align_shapes(c, x, "select", a.span) else {
            return Val::Error;
        };
        let Some(y) = self.stretch(y, &c.ty.shape.clone(), a.span) else {
            return Val::Error;
        };
        self.emit(Prim::Select, &[&c, &x, &y], meaning, a.span)
    }

    pub(super) fn cast_to(&mut self, a: &Args) -> Val {
        let (Some(t), Some(to)) = (self.tensor_at(a, "x"), self.at(a, "to")) else {
            return Val::Error;
        };
        match to {
            Val::Elem(e) => {
                let t = Tensor {
                    meaning: Meaning::Real,
                    ..t
                };
                self.cast(t, e, a.span).map_or(Val::Error, Val::Tensor)
            }
            other => self.wrong(a, "to", "`real`, `int` or `bool`", &other),
        }
    }

    /// Draws of the place where it stands, counted by step (and by iteration inside a scan).
    pub(super) fn rand(&mut self, a: &Args) -> Val {
        let Some(shape) = self.shape_at(a, "shape") else {
            return Val::Error;
        };
        let frame = self.frame();
        frame.draws += 1;
        let site = format!("{}#{}", frame.path, frame.draws);
        let mut counter = match self.base {
            Home::Init => {
                let scans = std::mem::take(&mut self.scans);
                let zero = self.constant(0.0, Elem::I32);
                self.scans = scans;
                zero
            }
            _ => self.step_counter(),
        };
        for level in 0..self.scans.len() {
            let length = self.scans[level].length.clone();
            let scope = &mut self.scans[level];
            let index = *scope.index.get_or_insert_with(|| {
                scope.graph.input(
                    "index",
                    crate::ir::Role::Plain,
                    crate::ir::Type::scalar(Elem::I32),
                )
            });
            let index = Tensor {
                value: index,
                home: Home::Scan(level as u32),
                ty: crate::ir::Type::scalar(Elem::I32),
                meaning: Meaning::Real,
                mask: None,
            };
            let Val::Tensor(n) = self.size(&length, Elem::I32, a.span) else {
                return Val::Error;
            };
            let Val::Tensor(p) = self.emit(
                Prim::Binary(Binary::Mul),
                &[&counter, &n],
                Meaning::Real,
                a.span,
            ) else {
                return Val::Error;
            };
            let Val::Tensor(s) = self.emit(
                Prim::Binary(Binary::Add),
                &[&p, &index],
                Meaning::Real,
                a.span,
            ) else {
                return Val::Error;
            };
            counter = s;
        }
        self.emit(
            Prim::Random {
                site: site.into(),
                shape,
            },
            &[&counter],
            Meaning::Real,
            a.span,
        )
    }

    pub(super) fn gradient_of(&mut self, a: &Args) -> Val {
        let (Some(of), Some(by)) = (self.tensor_at(a, "of"), self.tensor_at(a, "by")) else {
            return Val::Error;
        };
        if of.ty.rank() != 0 {
            return self.wrong(a, "of", "a scalar", &Val::Tensor(of));
        }
        self.emit(Prim::Gradient, &[&of, &by], Meaning::Real, a.span)
    }
}
