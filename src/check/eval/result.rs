//! The declared result of a definition or model: a value is made what its type says, or refused.

use std::rc::Rc;
use std::sync::Arc;

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::ir::Elem;
use crate::span::Span;
use crate::syntax::ast::{self, DefKind, DimExpr, Expr, ExprKind, Ident, TypeExpr, TypeKind};

use crate::check::elab::Elab;
use crate::check::elab::pattern::{
    MeaningPattern, ParamType, Pattern, param_type, pattern_text, tensor_pattern,
};
use crate::check::elab::value::{Configured, DefRef, Kind, Meaning, Tensor, Val, lists};
use crate::check::types::mismatch::Mismatch;

/// What declares a result.
struct Declared<'d> {
    name: &'d Ident,
    /// The value of the body.
    at: Span,
    kind: DefKind,
}

type Named = (Option<Arc<str>>, Val);

impl Elab<'_> {
    /// A definition's value as its signature declares it.
    pub fn declared_result(&mut self, value: Val, ty: &TypeExpr, r: &DefRef) -> Val {
        let declared = Declared {
            name: &r.def.name,
            at: r.def.body.value.as_ref().map_or(ty.span, |v| v.span),
            kind: r.def.kind,
        };
        self.declared_value(value, ty, &declared)
    }

    fn declared_value(&mut self, value: Val, ty: &TypeExpr, d: &Declared) -> Val {
        if value.is_error() {
            return value;
        }
        if let TypeKind::Tuple(types) = &ty.kind {
            return match self.declared_items(&value, types, ty.span, d.name, d.at) {
                Some(items) => {
                    let each = items.into_iter().zip(types).map(|((name, v), (_, ty))| {
                        let v = self.declared_value(v, ty, d);
                        (name, v)
                    });
                    Val::Tuple(Rc::new(each.collect()))
                }
                None => Val::Error,
            };
        }
        let wanted = match param_type(Some(ty)) {
            Ok(wanted) => wanted,
            Err(word) => {
                let word = word.clone();
                self.unknown_type(&word);
                return Val::Error;
            }
        };
        match (&wanted, &value) {
            (ParamType::Tensor(pattern), Val::Tensor(t)) => {
                return self.declared_tensor(t.clone(), pattern, d);
            }
            // A single `int` is a tensor of no axes too.
            (ParamType::Kind(_), Val::Tensor(t)) => {
                if let Ok(pattern) = tensor_pattern(ty) {
                    return self.declared_tensor(t.clone(), &pattern, d);
                }
            }
            // Of a layer's several values the first is the output; the others are states.
            (ParamType::Tensor(pattern), Val::Tuple(items)) if d.kind == DefKind::Layer => {
                if let Some((name, Val::Tensor(t))) = items.first() {
                    let first = self.declared_tensor(t.clone(), pattern, d);
                    let rest = items[1..].iter().cloned();
                    let all = std::iter::once((name.clone(), first)).chain(rest);
                    return Val::Tuple(Rc::new(all.collect()));
                }
                if items.first().is_some_and(|(_, first)| first.is_error()) {
                    return value;
                }
            }
            _ => {}
        }
        if self.is_of(&value, &wanted) {
            return value;
        }
        let written = self.source_text(ty.span);
        self.not_declared(d, &value.describe(), &written, ty.span)
    }

    /// Whether a value other than a tensor is what a type declares.
    fn is_of(&self, value: &Val, wanted: &ParamType) -> bool {
        match (wanted, value) {
            (ParamType::Anything, _) => true,
            // A generic check does not know what an option without a value would be.
            (_, Val::None) => self.mode.generic,
            (ParamType::Tensor(p), Val::Int(_) | Val::Float(_) | Val::Unknown(_)) => {
                let number = !matches!(
                    p.meaning,
                    MeaningPattern::Class(_) | MeaningPattern::Token(_) | MeaningPattern::Bool
                );
                number && p.dims.iter().all(|d| matches!(d, DimExpr::Rest(_)))
            }
            (ParamType::Kind(kind), v) => match (kind, v) {
                (Kind::Int, Val::Int(_) | Val::Unknown(Kind::Int | Kind::Float))
                | (Kind::Float, Val::Int(_) | Val::Float(_))
                | (Kind::Float, Val::Unknown(Kind::Int | Kind::Float))
                | (Kind::Bool, Val::Bool(_) | Val::Unknown(Kind::Bool))
                | (Kind::Text, Val::Str(_) | Val::Unknown(Kind::Text)) => true,
                (Kind::Float, Val::Def(c)) => c.defs[0].def.kind == DefKind::Schedule,
                _ => false,
            },
            (ParamType::List, v) => matches!(v, Val::List(_)),
            (ParamType::Def(word), Val::Def(c)) => c.defs[0].def.kind.keyword() == *word,
            (ParamType::Def(word), v) => match v {
                Val::Builtin(_) => *word == "fn",
                Val::Layer(_) => matches!(*word, "fn" | "layer"),
                _ => false,
            },
            (ParamType::Symbol(names), Val::Symbol(s)) => names.contains(&&**s),
            _ => false,
        }
    }

    fn not_declared(&mut self, d: &Declared, found: &str, written: &str, ty: Span) -> Val {
        let what = format!("`{}` returns {found}, but declares {written}", d.name.text);
        let report = Diagnostic::error(Code::E0213, what)
            .label(d.at, format!("this is {found}"))
            .label(ty, "declared here");
        self.diagnose(report)
    }

    fn declared_tensor(&mut self, t: Tensor, pattern: &Pattern, d: &Declared) -> Val {
        let shape = Pattern {
            meaning: MeaningPattern::Any,
            ..pattern.clone()
        };
        // In a result, `..` may be another run than the inputs'.
        let run = self.frame().rest.clone();
        let mut fits = self.unify(&shape, t.clone(), pattern.span).is_ok();
        if !fits {
            self.frame().rest = None;
            fits = self.unify(&shape, t.clone(), pattern.span).is_ok();
            let found = std::mem::replace(&mut self.frame().rest, run.clone());
            // A loss has at most the axes that its inputs have in `..`.
            if let (DefKind::Loss, Some(run), Some(found)) = (d.kind, run, found) {
                fits &= found.len() <= run.len();
            }
        }
        let meant = match fits {
            true => self.declared_meaning(&pattern.meaning, t.clone(), d.at),
            false => Err(Mismatch::Meaning {
                expected: String::new(),
            }),
        };
        match meant {
            Ok(t) => Val::Tensor(t),
            Err(Mismatch::Reported) => Val::Error,
            Err(_) => self.not_declared(d, &t.to_string(), &pattern_text(pattern), pattern.span),
        }
    }

    /// A tensor that means what a signature says: counts are quantities where these are declared,
    /// whole numbers are the indices of classes or the ids of tokens.
    fn declared_meaning(
        &mut self,
        m: &MeaningPattern,
        t: Tensor,
        at: Span,
    ) -> Result<Tensor, Mismatch> {
        let wrong = Err(Mismatch::Meaning {
            expected: String::new(),
        });
        let cast = |el: &mut Self, t: Tensor, elem| el.cast(t, elem, at).ok_or(Mismatch::Reported);
        let quantity = !t.meaning.is_id() && t.ty.elem != Elem::Bool;
        match m {
            MeaningPattern::Any => Ok(t),
            MeaningPattern::Real | MeaningPattern::Prob if !quantity => wrong,
            MeaningPattern::Real | MeaningPattern::Prob => {
                let t = match t.ty.elem {
                    Elem::U8 | Elem::I32 => cast(self, t, Elem::F32)?,
                    _ => t,
                };
                let meaning = match m {
                    MeaningPattern::Prob => Meaning::Prob,
                    _ => t.meaning.clone(),
                };
                Ok(Tensor { meaning, ..t })
            }
            MeaningPattern::Int if t.ty.elem == Elem::I32 => Ok(Tensor {
                meaning: Meaning::Real,
                ..t
            }),
            MeaningPattern::Bool if t.ty.elem == Elem::Bool => Ok(t),
            MeaningPattern::U8 if t.ty.elem == Elem::U8 => Ok(t),
            MeaningPattern::Int | MeaningPattern::Bool | MeaningPattern::U8 => wrong,
            MeaningPattern::Class(e) | MeaningPattern::Token(e) => {
                let meant = |n| match m {
                    MeaningPattern::Class(_) => Meaning::Class(n),
                    _ => Meaning::Token(n),
                };
                let (Meaning::Class(n) | Meaning::Token(n)) = t.meaning.clone() else {
                    if !matches!(t.ty.elem, Elem::U8 | Elem::I32) {
                        return wrong;
                    }
                    let t = cast(self, t, Elem::I32)?;
                    let Some(n) = self.size_of(e) else {
                        return Err(Mismatch::Reported);
                    };
                    return Ok(Tensor {
                        meaning: meant(n),
                        ..t
                    });
                };
                self.unify_dim(e, &n)?;
                Ok(Tensor {
                    meaning: meant(n),
                    ..t
                })
            }
        }
    }

    /// The items of a tuple that has the number and the names of a declared one.
    pub(super) fn declared_items(
        &mut self,
        value: &Val,
        types: &[(Option<Ident>, TypeExpr)],
        ty: Span,
        name: &Ident,
        at: Span,
    ) -> Option<Vec<Named>> {
        let what = &name.text;
        let items = match value {
            Val::Tuple(items) if items.len() == types.len() => items,
            other => {
                let found = other.describe();
                let what = format!(
                    "`{what}` returns {found}, but declares a tuple of {}",
                    types.len()
                );
                let d = Diagnostic::error(Code::E0213, what)
                    .label(at, format!("this is {found}"))
                    .label(ty, "declared here");
                self.diagnose(d);
                return None;
            }
        };
        let mut all = Vec::new();
        for ((given, v), (declared, _)) in items.iter().zip(types) {
            match (given, declared) {
                (Some(given), Some(declared)) if *given != declared.text => {
                    let what = format!(
                        "`{what}` returns `{given}`, but declares `{}`",
                        declared.text
                    );
                    let d = Diagnostic::error(Code::E0213, what)
                        .label(declared.span, "declared here")
                        .label(at, format!("this has `{given}` in its place"))
                        .help(format!("rename one of them: `{given}: ..`"));
                    self.diagnose(d);
                    return None;
                }
                _ => {}
            }
            let named = given
                .clone()
                .or_else(|| declared.as_ref().map(|n| n.text.clone()));
            all.push((named, v.clone()));
        }
        Some(all)
    }

    /// Reports the sizes of a declared result that nothing binds, and for which any size would
    /// do. `B` is the batch; a name that begins with an underscore says that this is meant.
    pub fn known_in_result(&mut self, ty: &TypeExpr) {
        let brackets = match &ty.kind {
            TypeKind::Tuple(types) => {
                types.iter().for_each(|(_, ty)| self.known_in_result(ty));
                return;
            }
            TypeKind::Plain { name: Some(n), .. } if &*n.text == "symbol" => return,
            TypeKind::Plain { brackets, .. } => brackets,
        };
        for d in brackets.iter().flatten() {
            if let DimExpr::Expr(e) = d {
                self.known_in_size(e);
            }
        }
    }

    fn known_in_size(&mut self, e: &Expr) {
        match &e.kind {
            ExprKind::Name(n) => {
                let free = &*n.text == "B" || n.text.starts_with('_');
                if free || self.top().get(&n.text).is_some() || self.is_known(&n.text) {
                    return;
                }
                let what = format!("unknown size `{}`", n.text);
                let mut d = Diagnostic::error(Code::E0101, what)
                    .label(n.span, "no parameter has this size");
                let sizes = self.sizes_in_scope();
                if let Some(near) = did_you_mean(&n.text, sizes.iter().map(|s| &**s)) {
                    d = d.help(format!("did you mean `{near}`?")).fix(n.span, near);
                } else {
                    d = d.help(format!("for a size that may be any, write `_{}`", n.text));
                }
                self.diagnose(d);
            }
            ExprKind::Binary(_, a, b) => {
                self.known_in_size(a);
                self.known_in_size(b);
            }
            ExprKind::Unary(_, a) => self.known_in_size(a),
            _ => {}
        }
    }

    fn sizes_in_scope(&self) -> Vec<String> {
        let frame = self.top();
        let size = |n: &&str| matches!(frame.get(n).map(|v| &v.val), Some(Val::Int(_)));
        frame.names().filter(size).map(String::from).collect()
    }

    /// What a definition returned where only a tensor will do.
    pub fn returned_tensor(&mut self, v: Val, c: &Configured, span: Span) -> Option<Tensor> {
        match v {
            Val::Tensor(t) => Some(t),
            Val::Error => None,
            other => {
                let def = &c.defs[0].def;
                let (kind, name) = (def.kind.keyword(), &def.name.text);
                self.error(
                    Code::E0312,
                    span,
                    format!("the {kind} `{name}` must return a tensor"),
                    format!("this returns {}", other.describe()),
                );
                None
            }
        }
    }

    /// Whether what a definition of this kind returns can be used: all but layers and functions
    /// return tensors, of which some may be numbers. Reports a definition that is named instead
    /// of applied.
    pub fn returns_numbers(&mut self, r: &DefRef, v: &Val) -> bool {
        let kind = r.def.kind;
        let numbers = match kind {
            DefKind::Layer | DefKind::Fn => return true,
            DefKind::Loss | DefKind::Constraint | DefKind::Optimizer => false,
            DefKind::Metric | DefKind::Schedule | DefKind::Initializer | DefKind::Regularizer => {
                true
            }
        };
        match v {
            Val::Tensor(_) | Val::Error | Val::Unknown(_) => return true,
            Val::Int(_) | Val::Float(_) if numbers => return true,
            // A metric may have several values.
            Val::Tuple(_) if kind == DefKind::Metric => return true,
            _ => {}
        }
        let word = kind.keyword();
        let what = format!("the {word} `{}` must return a tensor", r.def.name.text);
        let at = (r.def.body.value.as_ref()).map_or(r.def.name.span, |e| e.span);
        let mut d =
            Diagnostic::error(Code::E0312, what).label(at, format!("this is {}", v.describe()));
        if let Val::Def(c) = v
            && c.defs.iter().any(|d| d.def.kind == kind)
        {
            let applied = format!("{}({})", self.source_text(at), works_with(&r.def));
            let what = format!("apply it: `{applied}`");
            d = d.help(what).fix(at, applied);
        }
        self.diagnose(d);
        false
    }
}

/// What a definition is applied to in the body of another of its kind.
fn works_with(def: &ast::Def) -> String {
    match def.kind {
        DefKind::Initializer => "shape".into(),
        DefKind::Schedule => "step".into(),
        DefKind::Regularizer | DefKind::Constraint => "param".into(),
        DefKind::Optimizer | DefKind::Layer | DefKind::Fn | DefKind::Loss | DefKind::Metric => {
            let inputs = lists(def).1.iter();
            let names: Vec<&str> = inputs.map(|p| &*p.name.text).collect();
            names.join(", ")
        }
    }
}
