//! `input` and `target`: expressions over columns, elaborated where a run needs them.

use std::rc::Rc;

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::ir::{Dim, Role};
use crate::span::Span;
use crate::syntax::ast::{Expr, Ident};
use crate::syntax::visit::{Binding, Free, Visitor, walk_expr};

use crate::check::elab::Elab;
use crate::check::elab::pattern::{per_sample_text, tensor_pattern};
use crate::check::elab::scope::{Frame, VarRole};
use crate::check::elab::state::Fit;
use crate::check::elab::value::{Home, Meaning, Rows, RowsKind, Tensor, Val};

use super::env::{DataEnv, Feed};
use super::series::column_of_call;

/// An `input` or `target` as a model is fed it.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedInfo {
    pub name: String,
    pub target: bool,
    /// The type of a sample: `token[10000][500]`.
    pub ty: String,
}

impl Elab<'_> {
    /// Warns of an input that is made of the classes that are to be predicted.
    pub fn warn_of_answers(&mut self, env: &DataEnv) {
        let answers = answers(env);
        for input in &env.inputs {
            for column in columns_of(input) {
                let Some((_, target)) = answers.iter().find(|(n, _)| n.text == column.text) else {
                    continue;
                };
                let message = format!(
                    "the input `{}` contains `{}`, which the target `{}` is made of",
                    input.name.text, column.text, target.name.text
                );
                let d = Diagnostic::warning(Code::W0971, message)
                    .label(column.span, "the model sees what it is to predict")
                    .label(target.name.span, "the target")
                    .help(format!("leave `{}` out of the input", column.text));
                self.diagnose(d);
            }
        }
    }

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
        self.data.feed_name = f.name.text.clone();
        let mut sources = env.spec.sources.iter();
        self.data.feed_stream = sources.find(|s| s.stream).map(|s| s.span);
        self.data.feed_is_target = env.targets.iter().any(|t| t.name.text == f.name.text);
        self.data.columns = env.columns.keys().chain(&env.texts).cloned().collect();
        self.frame()
            .bind_given(&"B".into(), Val::Int(Dim::symbol("B")), f.name.span);
        let t = self.feed_value(f, env);
        self.frames.pop();
        let pattern = match tensor_pattern(&f.ty) {
            Ok(p) => p,
            Err(word) => {
                let word = word.clone();
                self.unknown_type(&word);
                return None;
            }
        };
        let at = f.value.as_ref().map_or(f.span, |v| v.span);
        let fitted = t.and_then(|t| {
            let fitted = self.per_sample(&pattern, t, f.ty.span, at, &f.name.text);
            if fitted.is_none() {
                self.data.doubtful.insert(f.name.text.clone());
            }
            fitted
        });
        // After a mistake the walk continues with the declared type.
        self.train.incomplete |= fitted.is_none();
        fitted.or_else(|| self.sample_input(&pattern, &f.name.text))
    }

    pub fn feed_value(&mut self, f: &Feed, env: &DataEnv) -> Option<Tensor> {
        self.series_columns(env);
        self.data.feed_depth = self.frames.len();
        let t = self.value_of_columns(f, env);
        self.data.feed_depth = 0;
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
                for n in names_of_values(e) {
                    if env.broken.contains(&n.text) {
                        self.frame()
                            .bind(&n.text, Val::Error, n.span, VarRole::Given);
                    } else if env.has_column(&n.text) {
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
                            self.frame()
                                .bind(&n.text, Val::Error, n.span, VarRole::Given);
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
            && self.world.builtin(name).is_none()
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
                self.data.fitted.insert(name.to_string(), fields.clone());
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

/// Columns of one class per row that targets are made of, with the targets.
fn answers(env: &DataEnv) -> Vec<(&Ident, &Feed)> {
    let is_answer = |n: &Ident| {
        let column = env.columns.get(&n.text);
        // a sequence or an image of classes is what an autoencoder takes and gives
        column.is_some_and(|c| matches!(c.meaning, Meaning::Class(_)) && c.ty.rank() == 1)
    };
    let targets = env.targets.iter();
    targets
        .flat_map(|t| columns_of(t).into_iter().map(move |n| (n, t)))
        .filter(|(n, _)| is_answer(n))
        .collect()
}

/// The names of these columns.
pub(crate) fn predicted_classes(env: &DataEnv) -> Vec<String> {
    let columns = answers(env).into_iter();
    columns.map(|(n, _)| n.text.to_string()).collect()
}

/// The names that an input or target reads: the columns that it is made of, row by row.
fn columns_of(f: &Feed) -> Vec<&Ident> {
    match &f.value {
        None => vec![&f.name],
        Some(e) => names_of_values(e),
    }
}

/// The names that a feed reads, but for those of columns that a function of columns is given: of
/// these it makes others.
fn names_of_values(e: &Expr) -> Vec<&Ident> {
    let mut values = Values::default();
    values.expr(e);
    let mut names = values.free.names;
    names.retain(|n| !values.made_into_others.contains(&n.span));
    names
}

#[derive(Default)]
struct Values<'a> {
    free: Free<'a>,
    made_into_others: Vec<Span>,
}

impl<'a> Visitor<'a> for Values<'a> {
    fn expr(&mut self, e: &'a Expr) {
        if let Some((column, _)) = column_of_call(e) {
            self.made_into_others.push(column.span);
        }
        walk_expr(self, e);
    }
    fn read(&mut self, n: &'a Ident) {
        self.free.read(n);
    }
    fn bind(&mut self, n: &'a Ident, how: Binding) {
        self.free.bind(n, how);
    }
    fn enter(&mut self) {
        self.free.enter();
    }
    fn leave(&mut self) {
        self.free.leave();
    }
}
