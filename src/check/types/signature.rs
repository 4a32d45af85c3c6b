//! Signatures: type expressions as patterns, and their unification with tensors.
//!
//! A name in a pattern is bound at its first meeting and compared after; a
//! compound size is solved for its one unbound name, or evaluated and compared.
//! `..` stands for one run of axes throughout a signature.

use crate::diag::Code;
use crate::ir::{Dim, Elem, Shape};
use crate::span::Span;
use crate::syntax::ast::{self, DimExpr, ExprKind, TypeExpr, TypeKind};

use crate::check::elab::Elab;
use crate::check::elab::value::{Kind, Meaning, Tensor, Val, type_text};

/// `none` among the words of `symbol[none, valid]`.
pub const NONE: &str = "none";

/// What a type expression says of a tensor, sizes not yet evaluated.
#[derive(Clone, Debug)]
pub struct Pattern<'a> {
    pub meaning: MeaningPattern<'a>,
    pub dims: &'a [DimExpr],
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum MeaningPattern<'a> {
    /// No name: quantities.
    Real,
    Any,
    Prob,
    Int,
    Bool,
    U8,
    Class(&'a ast::Expr),
    Token(&'a ast::Expr),
}

/// Why an argument does not fit its parameter.
#[derive(Clone, Debug)]
pub enum Mismatch {
    Rank {
        expected: String,
    },
    /// `..` stands for one run of axes, and meets two.
    Rest {
        expected: String,
        found: String,
    },
    Size {
        name: String,
        expected: Dim,
        found: Dim,
    },
    Meaning {
        expected: String,
    },
    /// Another mistake, reported already.
    Reported,
}

/// A parameter's type: a pattern for tensors, or a kind of compile-time value.
#[derive(Clone, Debug)]
pub enum ParamType<'a> {
    Anything,
    Tensor(Pattern<'a>),
    Kind(Kind),
    List,
    /// A function, a layer, an initializer, ...: by keyword.
    Def(&'a str),
    Symbol(Vec<&'a str>),
}

const DEF_WORDS: [&str; 9] = [
    "fn",
    "layer",
    "initializer",
    "regularizer",
    "constraint",
    "loss",
    "metric",
    "optimizer",
    "schedule",
];

/// Reads a parameter's type expression; `Err` names an unknown type word.
pub fn param_type(ty: Option<&TypeExpr>) -> Result<ParamType<'_>, &ast::Ident> {
    let Some(ty) = ty else {
        return Ok(ParamType::Anything);
    };
    if let TypeKind::Plain {
        name: Some(name),
        brackets,
    } = &ty.kind
    {
        let word = &*name.text;
        if brackets.is_empty() {
            match word {
                "int" => return Ok(ParamType::Kind(Kind::Int)),
                "float" => return Ok(ParamType::Kind(Kind::Float)),
                "bool" => return Ok(ParamType::Kind(Kind::Bool)),
                "text" => return Ok(ParamType::Kind(Kind::Text)),
                "list" => return Ok(ParamType::List),
                _ => {}
            }
            if let Some(w) = DEF_WORDS.iter().find(|w| **w == word) {
                return Ok(ParamType::Def(w));
            }
        }
        if word == "symbol" {
            let names = brackets.iter().flatten().filter_map(|d| match d {
                DimExpr::Expr(ast::Expr {
                    kind: ExprKind::Name(n),
                    ..
                }) => Some(&*n.text),
                DimExpr::Expr(ast::Expr {
                    kind: ExprKind::None,
                    ..
                }) => Some(NONE),
                _ => None,
            });
            return Ok(ParamType::Symbol(names.collect()));
        }
    }
    tensor_pattern(ty).map(ParamType::Tensor)
}

/// Reads a tensor type; `Err` names an unknown type word.
pub fn tensor_pattern(ty: &TypeExpr) -> Result<Pattern<'_>, &ast::Ident> {
    let TypeKind::Plain { name, brackets } = &ty.kind else {
        return Ok(Pattern {
            meaning: MeaningPattern::Any,
            dims: &[],
            span: ty.span,
        });
    };
    let word = name.as_ref().map(|n| &*n.text);
    let first = |i: usize| brackets.get(i).map_or(&[] as &[DimExpr], |b| b.as_slice());
    let bound = || match first(0) {
        [DimExpr::Expr(e)] => Some(e),
        _ => None,
    };
    let (meaning, dims) = match word {
        None | Some("real" | "float") => (MeaningPattern::Real, first(0)),
        Some("any") => (MeaningPattern::Any, first(0)),
        Some("prob") => (MeaningPattern::Prob, first(0)),
        Some("int") => (MeaningPattern::Int, first(0)),
        Some("bool") => (MeaningPattern::Bool, first(0)),
        Some("u8") => (MeaningPattern::U8, first(0)),
        Some("class") if bound().is_some() => {
            (MeaningPattern::Class(bound().expect("just seen")), first(1))
        }
        Some("token") if bound().is_some() => {
            (MeaningPattern::Token(bound().expect("just seen")), first(1))
        }
        Some(_) => return Err(name.as_ref().expect("a word has a name")),
    };
    Ok(Pattern {
        meaning,
        dims,
        span: ty.span,
    })
}

impl Elab<'_> {
    /// Fits a tensor to a pattern, binding the pattern's names in the current frame.
    /// Pixels and counts given where quantities are wanted become `f32`.
    pub fn unify(&mut self, pattern: &Pattern, t: Tensor, span: Span) -> Result<Tensor, Mismatch> {
        let t = self.unify_meaning(&pattern.meaning, t, span)?;
        let shape = t.ty.shape.clone();
        self.unify_shape(pattern.dims, &shape, pattern.span)?;
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
    pub fn unify_meaning_only(
        &mut self,
        pattern: &Pattern,
        t: Tensor,
        span: Span,
    ) -> Result<Tensor, Mismatch> {
        self.unify_meaning(&pattern.meaning, t, span)
    }

    /// Fits a shape to a pattern of sizes.
    pub fn unify_shape(
        &mut self,
        dims: &[DimExpr],
        shape: &Shape,
        span: Span,
    ) -> Result<(), Mismatch> {
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

    fn unify_dim(&mut self, e: &ast::Expr, found: &Dim) -> Result<(), Mismatch> {
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
        !self.top().library
            && matches!(
                self.world.globals.get(name),
                Some((crate::check::elab::world::Global::Const, _))
            )
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
                            "`..` stands for nothing here",
                            "no signature binds it",
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

    /// A size of an axis: an integer of at least 0.
    pub fn positive_size(&mut self, v: Val, span: Span) -> Option<Dim> {
        match v {
            Val::Int(d) if d.sign() == Some(std::cmp::Ordering::Less) => {
                self.error(
                    Code::E0210,
                    span,
                    "a size cannot be negative",
                    format!("this is {d}"),
                );
                None
            }
            Val::Int(d) => Some(d),
            Val::Error | Val::Unknown(_) => None,
            other => {
                self.error(
                    Code::E0301,
                    span,
                    "a size must be an integer",
                    format!("this is {}", other.describe()),
                );
                None
            }
        }
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
            home: crate::check::elab::value::Home::Step,
            ty,
            meaning,
            mask: None,
        }
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

/// The sizes of a pattern as written, for messages.
pub fn dims_text(dims: &[DimExpr]) -> String {
    let text: Vec<String> = dims
        .iter()
        .map(|d| match d {
            DimExpr::Rest(_) => "..".into(),
            DimExpr::Expr(e) => dim_text(e),
        })
        .collect();
    format!("[{}]", text.join(", "))
}

/// A size expression as written.
pub fn dim_text(e: &ast::Expr) -> String {
    match &e.kind {
        ExprKind::Name(n) => n.text.to_string(),
        ExprKind::Int(i) => i.to_string(),
        ExprKind::Field { base, name } => format!("{}.{}", dim_text(base), name.text),
        ExprKind::Binary(op, a, b) => format!("{} {} {}", dim_text(a), op.symbol(), dim_text(b)),
        _ => "(..)".into(),
    }
}

/// A pattern as written, for messages.
pub fn pattern_text(p: &Pattern) -> String {
    let dims = dims_text(p.dims);
    match &p.meaning {
        MeaningPattern::Real => dims,
        MeaningPattern::Any => format!("any{dims}"),
        MeaningPattern::Prob => format!("prob{dims}"),
        MeaningPattern::Int => format!("int{dims}"),
        MeaningPattern::Bool => format!("bool{dims}"),
        MeaningPattern::U8 => format!("u8{dims}"),
        MeaningPattern::Class(e) => format!("class[{}]{dims}", dim_text(e)),
        MeaningPattern::Token(e) => format!("token[{}]{dims}", dim_text(e)),
    }
}

/// A tensor's type per sample, as a data or model signature writes it.
pub fn per_sample_text(t: &Tensor) -> String {
    let mut ty = t.ty.clone();
    if ty.rank() > 0 {
        ty.shape.remove(0);
    }
    let text = type_text(&t.meaning, &ty);
    match text.strip_suffix("[]") {
        Some(index) if t.meaning.is_id() => index.to_owned(),
        _ => text,
    }
}
