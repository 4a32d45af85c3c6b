//! `input` and `target`: expressions over columns, elaborated where a run needs them.

use std::rc::Rc;

use crate::diag::{Code, did_you_mean};
use crate::ir::{Dim, Role};
use crate::syntax::ast::{self, Expr, ExprKind, Ident};

use crate::check::builtins::find;
use crate::check::elab::Elab;
use crate::check::elab::pattern::{per_sample_text, tensor_pattern};
use crate::check::elab::scope::{Frame, VarRole};
use crate::check::elab::state::Fit;
use crate::check::elab::value::{Home, Rows, RowsKind, Tensor, Val};

use super::columns::column_of_call;
use super::{DataEnv, Feed};

/// An `input` or `target` as a model is fed it.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedInfo {
    pub name: String,
    pub target: bool,
    /// Of a sample: `token[10000][500]`.
    pub ty: String,
}

impl Elab<'_> {
    /// Every input and target as a result of a graph of its own.
    pub fn feeds(&mut self, env: &DataEnv) -> Vec<FeedInfo> {
        let all = env
            .inputs
            .iter()
            .map(|f| (f, false))
            .chain(env.targets.iter().map(|f| (f, true)));
        let mut found = Vec::new();
        for (f, target) in all {
            let Some(t) = self.feed(f, env) else { continue };
            found.push(FeedInfo {
                name: f.name.text.to_string(),
                target,
                ty: per_sample_text(&t),
            });
            self.result(&f.name.text, t, f.span);
        }
        self.drop_plain_images();
        found
    }

    /// Evaluates an `input` or `target`, making graph inputs of the columns it uses.
    pub fn feed(&mut self, f: &Feed, env: &DataEnv) -> Option<Tensor> {
        self.frames.push(Frame::new(
            "data".into(),
            format!("`{}`", f.name.text),
            false,
            None,
        ));
        self.feed_name = f.name.text.clone();
        let mut sources = env.spec.sources.iter();
        self.feeds_stream = sources.find(|s| s.stream).map(|s| s.span);
        self.feeds_target = env.targets.iter().any(|t| t.name.text == f.name.text);
        self.data_columns = env.columns.keys().chain(&env.texts).cloned().collect();
        self.frame()
            .bind_given(&"B".into(), Val::Int(Dim::symbol("B")), f.name.span);
        let t = self.feed_value(f, env);
        self.frames.pop();
        let t = t?;
        let pattern = match tensor_pattern(&f.ty) {
            Ok(p) => p,
            Err(word) => {
                let word = word.clone();
                self.unknown_type(&word);
                return None;
            }
        };
        self.per_sample(
            &pattern,
            t,
            f.ty.span,
            f.value.as_ref().map_or(f.span, |v| v.span),
            &f.name.text,
        )
    }

    pub fn feed_value(&mut self, f: &Feed, env: &DataEnv) -> Option<Tensor> {
        self.series_columns(env);
        self.feed_depth = self.frames.len();
        let t = self.value_of_columns(f, env);
        self.feed_depth = 0;
        t
    }

    fn value_of_columns(&mut self, f: &Feed, env: &DataEnv) -> Option<Tensor> {
        let v = match &f.value {
            None => {
                if env.broken.contains(&f.name.text) {
                    return None;
                }
                if !env.has_column(&f.name.text) {
                    self.unknown_column(&f.name, env);
                    return None;
                }
                self.bind_column(&f.name, env);
                self.name(&f.name)
            }
            Some(e) => {
                let mut names = Vec::new();
                names_of_values(e, &mut names);
                if names.iter().any(|n| env.broken.contains(&n.text)) {
                    return None;
                }
                for n in names {
                    if env.has_column(&n.text) {
                        self.bind_column(n, env);
                    } else if matches!(env.fits.get(&n.text), Some(Fit::Size(_))) {
                        // found by its name
                    } else if env.fits.contains_key(&n.text) {
                        self.frame().bind(
                            &n.text,
                            Val::Fitted(Rc::from(&*n.text)),
                            n.span,
                            VarRole::Given,
                        );
                    } else if env.column_names().next().is_some() && self.is_unknown_name(&n.text) {
                        // A column is what was meant, more likely than anything of the library.
                        if did_you_mean(&n.text, env.column_names()).is_some() {
                            self.unknown_column(n, env);
                            return None;
                        }
                    }
                }
                self.fits_in_scope(env);
                self.eval(e)
            }
        };
        let at = f.value.as_ref().map_or(f.span, |v| v.span);
        let v = match v {
            Val::Rows(rows) if rows.kind == RowsKind::Lengths => self.lengths_column(&rows, at),
            Val::Rows(rows) => self.not_of_rows(&rows, at),
            other => other,
        };
        match v {
            Val::Tensor(t) => Some(t),
            Val::Error => None,
            other => {
                self.error(
                    Code::E0507,
                    at,
                    format!("`{}` must be computed from columns", f.name.text),
                    format!("this is {}", other.describe()),
                );
                None
            }
        }
    }

    pub(super) fn is_unknown_name(&self, name: &str) -> bool {
        !self.world.globals.contains_key(name)
            && find(name).is_none()
            && self.world.library(name).is_none()
            && !matches!(
                name,
                "B" | "real"
                    | "int"
                    | "bool"
                    | "training"
                    | "pre"
                    | "post"
                    | "binary"
                    | "count"
                    | "freq"
                    | "tfidf"
                    | "other"
                    | "nearest"
                    | "reflect"
                    | "wrap"
            )
    }

    fn fits_in_scope(&mut self, env: &DataEnv) {
        for (name, fit) in &env.fits {
            if let Fit::Tensors(fields) = fit {
                self.fitted.insert(name.to_string(), fields.clone());
            }
        }
    }

    fn bind_column(&mut self, n: &Ident, env: &DataEnv) {
        let Some(c) = env.columns.get(&n.text) else {
            let rows = Val::Rows(Rc::new(Rows::text(&n.text)));
            self.frame().bind(&n.text, rows, n.span, VarRole::Given);
            return;
        };
        let known = self
            .step
            .inputs
            .iter()
            .find(|i| i.role == Role::Data && i.name == n.text)
            .map(|i| i.value);
        let value = known.unwrap_or_else(|| self.step.input(&n.text, Role::Data, c.ty.clone()));
        let t = Tensor {
            value,
            home: Home::Step,
            ty: c.ty.clone(),
            meaning: c.meaning.clone(),
            mask: None,
        };
        self.frame()
            .bind(&n.text, Val::Tensor(t), n.span, VarRole::Given);
    }
}

/// Every name an expression mentions.
pub fn names_in<'a>(e: &'a Expr, out: &mut Vec<&'a Ident>) {
    walk(e, &|_| None, out);
}

/// Every name but those of columns that a function of columns is given: of these it makes
/// others.
fn names_of_values<'a>(e: &'a Expr, out: &mut Vec<&'a Ident>) {
    walk(e, &|e| column_of_call(e).map(|(column, _)| column), out);
}

/// `skip` gives a name that its expression, a call or a pipe, begins with and that does not count.
pub fn walk<'a>(e: &'a Expr, skip: &dyn Fn(&Expr) -> Option<&Ident>, out: &mut Vec<&'a Ident>) {
    if let Some(skipped) = skip(e).map(|n| n.span) {
        let mut all = Vec::new();
        walk(e, &|_| None, &mut all);
        out.extend(all.into_iter().filter(|n| n.span != skipped));
        return;
    }
    let names_in = |e: &'a Expr, out: &mut Vec<&'a Ident>| walk(e, skip, out);
    match &e.kind {
        ExprKind::Name(n) => out.push(n),
        ExprKind::List(items) => items.iter().for_each(|i| names_in(i, out)),
        ExprKind::Tuple(items) => items.iter().for_each(|a| names_in(&a.value, out)),
        ExprKind::Unary(_, a) => names_in(a, out),
        ExprKind::Binary(_, a, b)
        | ExprKind::Range(a, b)
        | ExprKind::Pipe { value: a, stage: b } => {
            names_in(a, out);
            names_in(b, out);
        }
        ExprKind::Call { callee, args, .. } => {
            names_in(callee, out);
            args.iter().for_each(|a| names_in(&a.value, out));
        }
        ExprKind::Index { base, items } => {
            names_in(base, out);
            for i in items {
                match i {
                    ast::IndexItem::Rest(_) => {}
                    ast::IndexItem::At(e) => names_in(e, out),
                    ast::IndexItem::Slice {
                        start, end, step, ..
                    } => {
                        [start, end, step]
                            .into_iter()
                            .flatten()
                            .for_each(|e| names_in(e, out));
                    }
                }
            }
        }
        ExprKind::Field { base, .. } => names_in(base, out),
        ExprKind::If {
            cond,
            then,
            otherwise,
        } => {
            names_in(cond, out);
            for b in std::iter::once(then).chain(otherwise) {
                if let Some(v) = &b.value {
                    names_in(v, out);
                }
            }
        }
        ExprKind::Int(_)
        | ExprKind::Float(_)
        | ExprKind::Percent(_)
        | ExprKind::Str(_)
        | ExprKind::Bool(_)
        | ExprKind::None => {}
        ExprKind::When { cond, action } => {
            names_in(cond, out);
            names_in(action, out);
        }
        ExprKind::Scan(s) => s
            .elements
            .iter()
            .chain(&s.carries)
            .for_each(|(_, e)| names_in(e, out)),
    }
}
