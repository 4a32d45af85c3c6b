//! `column`: its type, and the fields of the file that it reads.

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::ir::{Dim, Elem, Type};
use crate::plural;
use crate::span::Span;
use crate::spec::{ColumnKind, ColumnSpec, Selector};
use crate::syntax::ast;
use crate::syntax::ast::{Expr, ExprKind, Ident, TypeExpr};

use crate::check::elab::Elab;
use crate::check::elab::pattern::{MeaningPattern, tensor_pattern};
use crate::check::elab::value::{Meaning, Val};

use super::env::{Column, DataEnv};

impl Elab<'_> {
    pub fn column(
        &mut self,
        name: &Ident,
        ty: &TypeExpr,
        selector: Option<&Expr>,
        span: Span,
        env: &mut DataEnv,
    ) {
        let pattern = match tensor_pattern(ty) {
            Ok(p) => p,
            Err(word) if &*word.text == "text" => {
                let selector = self.selector(selector, name);
                return self.text_column(name, ty, selector, span, env);
            }
            Err(word) => {
                let word = word.clone();
                return self.unknown_type(&word);
            }
        };
        let bound = |el: &mut Self, e: &Expr| -> Option<(usize, Dim)> {
            match el.eval(e) {
                Val::Int(d) => match d.as_const() {
                    Some(n) if n > 0 => Some((n as usize, d)),
                    _ => {
                        el.error(
                            Code::E0210,
                            e.span,
                            "expected at least 1",
                            format!("this is {d}"),
                        );
                        None
                    }
                },
                Val::Error => None,
                other => {
                    el.error(
                        Code::E0301,
                        e.span,
                        "a number of classes or words must be an integer",
                        format!("this is {}", other.describe()),
                    );
                    None
                }
            }
        };
        let (kind, meaning) = match &pattern.meaning {
            MeaningPattern::Real | MeaningPattern::Any => (ColumnKind::F32, Meaning::Real),
            MeaningPattern::Prob => (ColumnKind::F32, Meaning::Prob),
            MeaningPattern::Int => (ColumnKind::I32, Meaning::Real),
            MeaningPattern::Bool => (ColumnKind::Bool, Meaning::Real),
            MeaningPattern::U8 => (ColumnKind::U8, Meaning::Real),
            MeaningPattern::Class(e) => match bound(self, e) {
                Some((n, d)) => (ColumnKind::Class(n), Meaning::Class(d)),
                None => return,
            },
            MeaningPattern::Token(e) => match bound(self, e) {
                Some((n, d)) => (ColumnKind::Token(n), Meaning::Token(d)),
                None => return,
            },
        };
        let Some(shape) = self.shape_of(pattern.dims) else {
            return;
        };
        let Some(sizes) = Type::new(Elem::F32, shape.iter().cloned()).sizes() else {
            self.error(
                Code::E0502,
                ty.span,
                "the sizes of a column must be numbers",
                "this size is not known",
            );
            return;
        };
        let selector_span = selector.map(|e| e.span);
        let Some(selector) = self.selector(selector, name) else {
            return;
        };
        let held: usize = sizes.iter().product();
        if let Selector::Indices(a, b) = &selector
            && b + 1 - a != held
        {
            let d = Diagnostic::error(
                Code::E0509,
                format!(
                    "{a} .. {b} selects {}, but the column holds {held}",
                    plural::count(b + 1 - a, "field")
                ),
            )
            .label(
                selector_span.unwrap_or(span),
                format!("these are {}", b + 1 - a),
            )
            .label(ty.span, format!("this holds {held}"));
            self.diagnose(d);
            return;
        }
        let Some(elem) = kind.elem() else { return };
        env.spec.columns.push(ColumnSpec {
            name: name.text.to_string(),
            kind,
            shape: sizes.to_vec(),
            selector,
            missing: None,
            span,
        });
        let whole = std::iter::once(Dim::symbol("B")).chain(shape);
        env.columns.insert(
            name.text.clone(),
            Column {
                ty: Type::new(elem, whole),
                meaning,
            },
        );
    }

    fn text_column(
        &mut self,
        name: &Ident,
        ty: &TypeExpr,
        selector: Option<Selector>,
        span: Span,
        env: &mut DataEnv,
    ) {
        let Some(selector) = selector else { return };
        let plain =
            matches!(&ty.kind, ast::TypeKind::Plain { brackets, .. } if brackets.is_empty());
        if !plain || matches!(selector, Selector::Names(..) | Selector::Indices(..)) {
            self.error(
                Code::E0502,
                if plain { span } else { ty.span },
                "a text column holds one text per row",
                "this selects several fields",
            );
            return;
        }
        env.spec.columns.push(ColumnSpec {
            name: name.text.to_string(),
            kind: ColumnKind::Text,
            shape: Vec::new(),
            selector,
            missing: None,
            span,
        });
        env.texts.insert(name.text.clone());
    }

    fn selector(&mut self, e: Option<&Expr>, name: &Ident) -> Option<Selector> {
        let Some(e) = e else {
            return Some(Selector::Name(name.text.to_string()));
        };
        let word = |e: &Expr| match &e.kind {
            ExprKind::Name(n) => Some(n.text.to_string()),
            ExprKind::Str(s) => Some(s.clone()),
            _ => None,
        };
        let index = |e: &Expr| match &e.kind {
            ExprKind::Int(i) => usize::try_from(*i).ok(),
            _ => None,
        };
        let found = match &e.kind {
            ExprKind::Range(a, b) => match (word(a), word(b), index(a), index(b)) {
                (Some(a), Some(b), ..) => Some(Selector::Names(a, b)),
                (_, _, Some(a), Some(b)) if a <= b => Some(Selector::Indices(a, b)),
                _ => None,
            },
            _ => word(e)
                .map(Selector::Name)
                .or_else(|| index(e).map(Selector::Index)),
        };
        if found.is_none() {
            let d = Diagnostic::error(
                Code::E0509,
                "a column must be the name of a field, its number from 0, or a range of either",
            )
            .label(e.span, "invalid selector")
            .help("for example, `age`, `\"blood pressure\"`, `8`, `preg .. age` or `0 .. 63`");
            self.diagnose(d);
        }
        found
    }

    pub(super) fn unknown_column(&mut self, c: &Ident, env: &DataEnv) {
        if env.broken.contains(&c.text) {
            return;
        }
        let mut d = Diagnostic::error(Code::E0110, format!("unknown column `{}`", c.text))
            .label(c.span, "not declared in this block");
        if let Some(near) = did_you_mean(&c.text, env.column_names()) {
            d = d.help(format!("did you mean `{near}`?")).fix(c.span, near);
        }
        self.diagnose(d);
    }
}
