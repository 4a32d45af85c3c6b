//! From accumulators to values: what of a metric's body runs on each batch, and what once,
//! at the end of the epoch.
//!
//! A statement that reads the prediction or the target (or something made of them) runs on a
//! batch; one that reads a collected state runs at the end; others run in both. The value is
//! computed at the end.

use std::collections::HashSet;
use std::sync::Arc;

use crate::diag::{Code, Diagnostic};
use crate::ir::prim::Binary;
use crate::ir::{Dim, Elem, Prim, Role, Type};
use crate::span::Span;
use crate::syntax::ast::{self, Def, StmtKind};
use crate::syntax::visit::{Names, free_names};

use crate::check::elab::Elab;
use crate::check::elab::value::{Meaning, Tensor, Val, lists};
use crate::check::eval::collected::collected;

use super::metrics::{MetricOf, MetricUse};

/// A metric of more values would fill the screen.
const MOST_SHOWN: i64 = 64;

/// When a statement runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum When {
    Batch,
    End,
    Both,
    /// It reads what is known at different times: a mistake.
    Mixed,
}

/// Names by when they are known, statement after statement.
struct Phases {
    batch: HashSet<Arc<str>>,
    end: HashSet<Arc<str>>,
    /// What an assignment updates.
    states: HashSet<Arc<str>>,
}

impl Phases {
    fn new(def: &Def) -> Phases {
        let inputs = lists(def).1.iter().map(|p| p.name.text.clone());
        Phases {
            batch: inputs.collect(),
            end: HashSet::new(),
            states: HashSet::new(),
        }
    }

    fn of(&mut self, s: &ast::Stmt) -> When {
        if let StmtKind::State(list) = &s.kind {
            let kept = list.iter().filter(|d| collected(&d.init).is_some());
            self.end.extend(kept.map(|d| d.name.text.clone()));
            self.states.extend(list.iter().map(|d| d.name.text.clone()));
            return When::Both;
        }
        let names = Names::of_stmt(s);
        let (reads, binds) = (names.read, names.bound.into_keys().collect::<Vec<_>>());
        let assigns = binds.iter().any(|n| self.states.contains(n));
        let batch = reads.iter().any(|n| self.batch.contains(n));
        let end = reads.iter().any(|n| self.end.contains(n));
        let plain = matches!(s.kind, StmtKind::Bind { .. }) && !assigns;
        match (batch, end) {
            (true, true) => When::Mixed,
            (true, false) => {
                let local = binds.into_iter().filter(|n| !self.states.contains(n));
                self.batch.extend(local);
                When::Batch
            }
            (false, true) if plain => {
                self.end.extend(binds);
                When::End
            }
            (false, true) => When::Mixed,
            (false, false) if plain => When::Both,
            (false, false) => When::Batch,
        }
    }
}

impl Elab<'_> {
    /// Runs what a metric does with a batch. Whether it may be used.
    pub fn metric_step(&mut self, def: &Def) -> bool {
        let before = self.diags.len();
        let mut phases = Phases::new(def);
        for s in &def.body.stmts {
            let go_on = match phases.of(s) {
                When::Batch | When::Both => self.stmt(s),
                When::End => true,
                When::Mixed => {
                    self.error(
                        Code::E0415,
                        s.span,
                        "a metric cannot mix per-batch and per-epoch values",
                        "this uses values of a batch and of the whole epoch",
                    );
                    false
                }
            };
            if !go_on {
                return false;
            }
        }
        let Some(value) = &def.body.value else {
            self.no_value(&def.name, &def.body);
            return false;
        };
        let names = free_names(value);
        if let Some(n) = names.iter().find(|n| phases.batch.contains(&n.text)) {
            let d = Diagnostic::error(
                Code::E0415,
                format!("`{}` is not available when the value of a metric is computed", n.text),
            )
            .label(n.span, "only known for each batch")
            .help("the value is computed from states at the end of the epoch: accumulate into a state");
            self.diagnose(d);
            return false;
        }
        self.diags.len() == before
    }

    /// What a metric does at the end of the epoch: its value.
    fn metric_end(&mut self, def: &Def) -> Val {
        let mut phases = Phases::new(def);
        for s in &def.body.stmts {
            let runs = matches!(phases.of(s), When::End | When::Both);
            if runs && !self.stmt(s) {
                return Val::Error;
            }
        }
        match &def.body.value {
            Some(e) => self.eval(e),
            None => Val::Error,
        }
    }

    /// The graph from accumulators to values: of the metrics that collect rows, or of the others.
    pub fn metric_values(&mut self, metrics: &mut [MetricUse], collecting: bool) {
        for m in metrics {
            let (value, span) = match &m.of {
                MetricOf::Mean | MetricOf::Sum(_) if collecting => continue,
                MetricOf::Def { collected, .. } if collected.is_empty() == collecting => continue,
                MetricOf::Mean => (self.mean_value(&m.name), Span::default()),
                MetricOf::Sum(parts) => (self.sum_of_means(parts), Span::default()),
                MetricOf::Def {
                    chosen,
                    configured,
                    path,
                    sizes,
                    span,
                    collected,
                } => {
                    self.train.collected.clone_from(collected);
                    self.push_frame(chosen, path.clone(), *span);
                    self.bind_config(configured, chosen);
                    for (n, v) in sizes {
                        self.frame().bind_given(n, v.clone(), *span);
                    }
                    let v = self.metric_end(&chosen.def);
                    self.frames.pop();
                    (v, *span)
                }
            };
            let value = match value {
                Val::Tensor(t) => self.cast(t, Elem::F64, span),
                Val::Int(_) | Val::Float(_) => self
                    .as_tensor(&value, Elem::F64, span)
                    .and_then(|t| self.cast(t, Elem::F64, span)),
                Val::Error => None,
                other => {
                    self.error(
                        Code::E0416,
                        span,
                        format!("the value of `{}` is not a number", m.name),
                        format!("this is {}", other.describe()),
                    );
                    None
                }
            };
            if let Some(t) = value {
                m.shown = self.show_value(&m.name, t, span);
            }
        }
    }

    /// `NAME/total / NAME/count`.
    fn mean_value(&mut self, name: &str) -> Val {
        let mut part = |part: &str| {
            let full = format!("{name}/{part}").into();
            self.keep(&full, Type::scalar(Elem::F64), Role::Metric)
        };
        let (total, count) = (part("total"), part("count"));
        self.emit(
            Prim::Binary(Binary::Div),
            &[&total, &count],
            Meaning::Real,
            Span::default(),
        )
    }

    fn sum_of_means(&mut self, parts: &[String]) -> Val {
        let means: Vec<Val> = parts.iter().map(|name| self.mean_value(name)).collect();
        let add = |a, b| self.binary(ast::BinaryOp::Add, a, b, Span::default());
        means.into_iter().reduce(add).unwrap_or(Val::Error)
    }

    /// A number as a result; each of a list of numbers with its place behind the name. The names.
    fn show_value(&mut self, name: &str, t: Tensor, span: Span) -> Vec<String> {
        let count = match t.ty.shape.as_slice() {
            [] => {
                self.result(name, t, span);
                return vec![name.into()];
            }
            [n] => n.as_const().filter(|n| (1..=MOST_SHOWN).contains(n)),
            _ => None,
        };
        let Some(count) = count else {
            let d = Diagnostic::error(
                Code::E0416,
                format!("the value of `{name}` cannot be reported"),
            )
            .label(span, format!("this is {t}"))
            .help(format!(
                "a metric returns a number, or a list of at most {MOST_SHOWN} numbers"
            ));
            self.diagnose(d);
            return Vec::new();
        };
        let mut shown = Vec::new();
        for i in 0..count {
            let slice = Prim::Slice {
                starts: vec![Dim::Const(i)],
                ends: vec![Dim::Const(i + 1)],
                steps: vec![1],
            };
            let one = self.emit(slice, &[&t], Meaning::Real, span);
            let Val::Tensor(one) = one else { return shown };
            let scalar = Prim::Reshape(crate::ir::Shape::new());
            if let Val::Tensor(one) = self.emit(scalar, &[&one], Meaning::Real, span) {
                shown.push(format!("{name}_at_{i}"));
                self.result(&format!("{name}_at_{i}"), one, span);
            }
        }
        shown
    }
}
