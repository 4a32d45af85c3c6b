//! Types as they are written: patterns for tensors, kinds of compile-time values.

use crate::span::Span;
use crate::syntax::ast;
use crate::syntax::ast::{DimExpr, ExprKind, TypeExpr, TypeKind};

use super::value::{Kind, Tensor, type_text};

/// `none` among the words of `symbol[none, valid]`.
pub(crate) const NONE: &str = "none";

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

/// A parameter's type: a pattern for tensors, or a kind of compile-time value.
#[derive(Clone, Debug)]
pub(crate) enum ParamType<'a> {
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
pub(crate) fn param_type(ty: Option<&TypeExpr>) -> Result<ParamType<'_>, &ast::Ident> {
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
pub(crate) fn tensor_pattern(ty: &TypeExpr) -> Result<Pattern<'_>, &ast::Ident> {
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

/// The sizes of a pattern as written, for messages.
pub(crate) fn dims_text(dims: &[DimExpr]) -> String {
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
pub(crate) fn dim_text(e: &ast::Expr) -> String {
    match &e.kind {
        ExprKind::Name(n) => n.text.to_string(),
        ExprKind::Int(i) => i.to_string(),
        ExprKind::Field { base, name } => format!("{}.{}", dim_text(base), name.text),
        ExprKind::Binary(op, a, b) => format!("{} {} {}", dim_text(a), op.symbol(), dim_text(b)),
        _ => "(..)".into(),
    }
}

/// A pattern as written, for messages.
pub(crate) fn pattern_text(p: &Pattern) -> String {
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
pub(crate) fn per_sample_text(t: &Tensor) -> String {
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
