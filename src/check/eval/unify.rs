//! Signatures: type expressions as patterns, and their unification with tensors.
//!
//! A name in a pattern is bound at its first meeting and compared after; a
//! compound size is solved for its one unbound name, or evaluated and compared.
//! `..` stands for one run of axes throughout a signature.

use crate::diag::{Code, Diagnostic};
use crate::ir::{Dim, Elem, Shape, Type};
use crate::span::Span;
use crate::syntax::ast::{self, DimExpr, ExprKind};

use crate::check::elab::Elab;
use crate::check::elab::pattern::{
    MeaningPattern, Pattern, dim_text, dims_text, pattern_text, per_sample_text,
};
use crate::check::elab::scope::Frame;
use crate::check::elab::value::{Home, Meaning, Tensor, Val};
use crate::check::elab::world::Global;
use crate::check::types::mismatch::Mismatch;

impl Elab<'_> {
    /// Fits a tensor to a pattern, binding the pattern's names in the current frame.
    /// Pixels and counts given where quantities are wanted become `f32`.
    pub fn unify(&mut self, pattern: &Pattern, t: Tensor, span: Span) -> Result<Tensor, Mismatch> {
        let shape = t.ty.shape.clone();
        let meant = self.unify_meaning(&pattern.meaning, t, span);
        // The sizes hold for other arguments, whatever the numbers mean.
        let fits = self.unify_shape(pattern.dims, &shape, pattern.span);
        let t = meant?;
        fits?;
        Ok(t)
    }

    fn unify_meaning(
        &mut self,
        m: &MeaningPattern,
        t: Tensor,
        span: Span,
    ) -> Result<Tensor, Mismatch> {
        let wrong = |expected: &str| {
            Err(Mismatch::Meaning {
                expected: expected.into(),
            })
        };
        match m {
            MeaningPattern::Any => Ok(t),
            MeaningPattern::Real if t.meaning.is_id() => wrong("real"),
            MeaningPattern::Real => match t.ty.elem {
                Elem::U8 | Elem::I32 => self.cast(t, Elem::F32, span).ok_or(Mismatch::Reported),
                Elem::Bool => wrong("real"),
                Elem::F32 | Elem::F64 => Ok(t),
            },
            MeaningPattern::Prob if t.meaning == Meaning::Prob => Ok(t),
            MeaningPattern::Prob => wrong("prob"),
            MeaningPattern::Int if t.ty.elem == Elem::I32 => Ok(t),
            MeaningPattern::Int => wrong("int"),
            MeaningPattern::Bool if t.ty.elem == Elem::Bool => Ok(t),
            MeaningPattern::Bool => wrong("bool"),
            MeaningPattern::U8 if t.ty.elem == Elem::U8 => Ok(t),
            MeaningPattern::U8 => wrong("u8"),
            MeaningPattern::Class(e) => match &t.meaning {
                Meaning::Class(n) => self.unify_dim(e, &n.clone()).map(|()| t),
                _ => wrong("class"),
            },
            MeaningPattern::Token(e) => match &t.meaning {
                Meaning::Token(n) => self.unify_dim(e, &n.clone()).map(|()| t),
                _ => wrong("token"),
            },
        }
    }

    /// Fits only what the numbers mean, for types whose batch axis is implied.
    fn unify_meaning_only(
        &mut self,
        pattern: &Pattern,
        t: Tensor,
        span: Span,
    ) -> Result<Tensor, Mismatch> {
        self.unify_meaning(&pattern.meaning, t, span)
    }

    /// Fits a shape to a pattern of sizes.
    fn unify_shape(&mut self, dims: &[DimExpr], shape: &Shape, span: Span) -> Result<(), Mismatch> {
        let rest = dims.iter().position(|d| matches!(d, DimExpr::Rest(_)));
        let fixed = dims.len() - usize::from(rest.is_some());
        let fits = if rest.is_some() {
            shape.len() >= fixed
        } else {
            shape.len() == fixed
        };
        if !fits {
            return Err(Mismatch::Rank {
                expected: dims_text(dims),
            });
        }
        let before = rest.unwrap_or(dims.len());
        let after = dims.len() - before - usize::from(rest.is_some());
        for (d, found) in dims[..before].iter().zip(shape) {
            self.unify_one(d, found)?;
        }
        for (d, found) in dims[dims.len() - after..]
            .iter()
            .zip(&shape[shape.len() - after..])
        {
            self.unify_one(d, found)?;
        }
        if rest.is_some() {
            let run: Shape = shape[before..shape.len() - after].iter().cloned().collect();
            match self.frame().rest.clone() {
                None => self.frame().rest = Some(run),
                Some(known) if known.len() != run.len() => {
                    return Err(rest_differs(&known, &run));
                }
                Some(known) => {
                    for (a, b) in known.iter().zip(&run) {
                        if self.same_dim("..", a, b).is_err() {
                            return Err(rest_differs(&known, &run));
                        }
                    }
                }
            }
        }
        let _ = span;
        Ok(())
    }

    fn unify_one(&mut self, d: &DimExpr, found: &Dim) -> Result<(), Mismatch> {
        match d {
            DimExpr::Rest(_) => Ok(()),
            DimExpr::Expr(e) => self.unify_dim(e, found),
        }
    }

    pub(super) fn unify_dim(&mut self, e: &ast::Expr, found: &Dim) -> Result<(), Mismatch> {
        if let ExprKind::Name(n) = &e.kind
            && self.top().get(&n.text).is_none()
            && !self.is_global_const(&n.text)
        {
            self.frame()
                .bind_given(&n.text, Val::Int(found.clone()), n.span);
            return Ok(());
        }
        if let Some(name) = self.unbound_in(e) {
            // One unknown in a compound size: solve for it.
            let symbol = format!("?{}", name.text);
            self.frame()
                .bind_given(&name.text, Val::Int(Dim::symbol(&symbol)), name.span);
            let value = self.eval(e);
            let solved = match &value {
                Val::Int(d) => d.solve(&symbol, found),
                _ => None,
            };
            let Some(solved) = solved else {
                return Err(Mismatch::Rank {
                    expected: format!("a size of the form {}", dim_text(e)),
                });
            };
            self.frame()
                .bind_given(&name.text, Val::Int(solved), name.span);
            return Ok(());
        }
        match self.eval(e) {
            Val::Int(expected) if expected == *found => Ok(()),
            Val::Int(expected) => self.same_dim(&dim_text(e), &expected, found),
            Val::Unknown(_) => Ok(()),
            Val::Error => Err(Mismatch::Reported),
            other => {
                self.error(
                    Code::E0301,
                    e.span,
                    "a size must be an integer",
                    format!("this is {}", other.describe()),
                );
                Err(Mismatch::Reported)
            }
        }
    }

    fn same_dim(&mut self, name: &str, expected: &Dim, found: &Dim) -> Result<(), Mismatch> {
        if expected == found {
            return Ok(());
        }
        if self.mode.generic && expected.sub(found).is_ok_and(|d| d.as_const().is_none()) {
            return Ok(());
        }
        Err(Mismatch::Size {
            name: name.into(),
            expected: expected.clone(),
            found: found.clone(),
        })
    }

    fn is_global_const(&self, name: &str) -> bool {
        !self.top().library && matches!(self.world.globals.get(name), Some((Global::Const, _)))
    }

    /// The value of a size all of whose names have one.
    pub(super) fn size_of(&mut self, e: &ast::Expr) -> Option<Dim> {
        if !self.known_sizes(e) {
            return None;
        }
        let v = self.eval(e);
        self.positive_size(v, e.span)
    }

    /// Gives the names of a size their values; whether all have one.
    fn known_sizes(&mut self, e: &ast::Expr) -> bool {
        while let Some(name) = self.unbound_in(e) {
            let v = self.name(&name);
            if v.is_error() {
                return false;
            }
            self.frame().bind_given(&name.text, v, name.span);
        }
        true
    }

    /// The one name of a compound size that nothing has bound yet.
    fn unbound_in(&self, e: &ast::Expr) -> Option<ast::Ident> {
        match &e.kind {
            ExprKind::Name(n) => (self.top().get(&n.text).is_none()
                && !self.is_global_const(&n.text))
            .then(|| n.clone()),
            ExprKind::Binary(_, a, b) => self.unbound_in(a).or_else(|| self.unbound_in(b)),
            ExprKind::Unary(_, a) => self.unbound_in(a),
            _ => None,
        }
    }

    /// Evaluates the sizes of a type with every name known: the shape of a parameter.
    pub fn shape_of(&mut self, dims: &[DimExpr]) -> Option<Shape> {
        let mut shape = Shape::new();
        for d in dims {
            match d {
                DimExpr::Rest(span) => match self.top().rest.clone() {
                    Some(run) => shape.extend(run),
                    None => {
                        self.error(
                            Code::E0201,
                            *span,
                            "`..` is not bound here",
                            "it is in no signature",
                        );
                        return None;
                    }
                },
                DimExpr::Expr(e) => {
                    // A list among the sizes stands for its items: `[shape(x)[:-1]]`.
                    match self.eval(e) {
                        Val::List(sizes) => {
                            for v in sizes.iter() {
                                shape.push(self.positive_size(v.clone(), e.span)?);
                            }
                        }
                        v => shape.push(self.positive_size(v, e.span)?),
                    }
                }
            }
        }
        Some(shape)
    }

    /// A tensor for a pattern whose unbound names become symbols of their own: generic checks.
    pub fn fresh(&mut self, pattern: &Pattern, name: &str) -> Tensor {
        let mut shape = Shape::new();
        for d in pattern.dims {
            match d {
                DimExpr::Rest(_) => {
                    let run = self.top().rest.clone();
                    let run = run.unwrap_or_else(|| Shape::from_iter([Dim::symbol("rest")]));
                    self.frame().rest = Some(run.clone());
                    shape.extend(run);
                }
                DimExpr::Expr(e) => shape.push(self.fresh_dim(e)),
            }
        }
        let (elem, meaning) = match &pattern.meaning {
            MeaningPattern::Real | MeaningPattern::Any => (Elem::F32, Meaning::Real),
            MeaningPattern::Prob => (Elem::F32, Meaning::Prob),
            MeaningPattern::Int => (Elem::I32, Meaning::Real),
            MeaningPattern::Bool => (Elem::Bool, Meaning::Real),
            MeaningPattern::U8 => (Elem::U8, Meaning::Real),
            MeaningPattern::Class(e) => (Elem::I32, Meaning::Class(self.fresh_dim(e))),
            MeaningPattern::Token(e) => (Elem::I32, Meaning::Token(self.fresh_dim(e))),
        };
        let ty = crate::ir::Type { elem, shape };
        let value = self.step.input(name, crate::ir::Role::Plain, ty.clone());
        Tensor {
            value,
            home: Home::Step,
            ty,
            meaning,
            mask: None,
        }
    }

    /// A tensor of a type per sample, a column of rows of it: where the value is not known, its
    /// declared type is.
    pub fn sample_input(&mut self, pattern: &Pattern, name: &str) -> Option<Tensor> {
        let sizes = self.shape_of(pattern.dims)?;
        let plain = Pattern {
            dims: &[],
            ..pattern.clone()
        };
        let mut t = self.fresh(&plain, name);
        t.ty.shape = std::iter::once(Dim::symbol("B")).chain(sizes).collect();
        t.value = self.step.input(name, crate::ir::Role::Data, t.ty.clone());
        Some(t)
    }

    fn fresh_dim(&mut self, e: &ast::Expr) -> Dim {
        while let Some(name) = self.unbound_in(e) {
            self.frame()
                .bind_given(&name.text, Val::Int(Dim::symbol(&name.text)), name.span);
        }
        match self.eval(e) {
            Val::Int(d) => d,
            _ => Dim::ONE,
        }
    }
}

fn rest_differs(expected: &Shape, found: &Shape) -> Mismatch {
    let text = |s: &Shape| crate::ir::ty::ShapeText(s).to_string();
    Mismatch::Rest {
        expected: text(expected),
        found: text(found),
    }
}

impl Elab<'_> {
    /// How to get an axis of size 1 that is declared and not there.
    fn axis_of_one(&mut self, pattern: &Pattern, t: &Tensor) -> Option<String> {
        let wanted = self.shape_of(pattern.dims)?;
        let found = t.ty.shape.get(1..)?;
        let without = |axis: usize| {
            let rest = wanted.iter().enumerate().filter(|(i, _)| *i != axis);
            wanted[axis] == Dim::ONE && rest.map(|(_, d)| d).eq(found)
        };
        let axis = (0..wanted.len()).rev().find(|axis| without(*axis))?;
        let place = match axis + 1 == wanted.len() {
            true => "-1".into(),
            false => (axis + 1).to_string(),
        };
        Some(format!("`expand(.., {place})` adds an axis of size 1"))
    }

    /// Checks a tensor against a per-sample type: the batch axis is implied.
    pub fn per_sample(
        &mut self,
        pattern: &Pattern,
        t: Tensor,
        ty_span: Span,
        at: Span,
        name: &str,
    ) -> Option<Tensor> {
        let report = |el: &mut Self, what: String| {
            let d = Diagnostic::error(Code::E0507, what)
                .label(at, format!("this is {} per sample", per_sample_text(&t)))
                .label(ty_span, "declared here");
            let d = match el.axis_of_one(pattern, &t) {
                Some(help) => d.help(help),
                None => d,
            };
            el.diagnose(d);
            None::<Tensor>
        };
        self.frames
            .push(Frame::new("".into(), name.into(), false, None));
        let meaning = Pattern {
            meaning: pattern.meaning.clone(),
            dims: &[],
            span: pattern.span,
        };
        // Every name of a type per sample is one that the file or its data know.
        if let MeaningPattern::Class(e) | MeaningPattern::Token(e) = &pattern.meaning
            && !self.known_sizes(e)
        {
            self.frames.pop();
            return None;
        }
        let declared = self.shape_of(pattern.dims);
        let fitted = {
            let scalar = Tensor {
                ty: Type {
                    elem: t.ty.elem,
                    shape: t.ty.shape.clone(),
                },
                ..t.clone()
            };
            self.unify_meaning_only(&meaning, scalar, at)
        };
        self.frames.pop();
        let declared = declared?;
        if let Err(Mismatch::Reported) = fitted {
            return None;
        }
        let Ok(fitted) = fitted else {
            return report(
                self,
                format!(
                    "`{name}` is declared as {}, but its values are {}",
                    pattern_text(pattern),
                    per_sample_text(&t)
                ),
            );
        };
        if fitted.ty.shape.len() != declared.len() + 1 || fitted.ty.shape[1..] != declared[..] {
            return report(
                self,
                format!(
                    "`{name}` is declared as {}, but its values are {}",
                    pattern_text(pattern),
                    per_sample_text(&t)
                ),
            );
        }
        Some(fitted)
    }
}
