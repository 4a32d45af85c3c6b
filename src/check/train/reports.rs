//! `report`: what is shown once a run has ended, and the graph that it needs.
//!
//! That graph runs over the batches of a part, in evaluation mode. Its results, by name:
//!
//! ```text
//! prediction/OUTPUT  target/OUTPUT   what the losses compare, as the model and the data give it
//! mask/OUTPUT                        which positions of a masked output count
//! loss/OUTPUT        F32[B]          the loss of each sample, before sample weights; no penalties
//! layer/PATH                         what each layer gives
//! ```

use std::sync::Arc;

use crate::diag::{Code, Diagnostic};
use crate::ir::prim::{Binary, Reduce};
use crate::ir::{Dim, Elem, Prim};
use crate::span::Span;
use crate::spec::names::{self, ReportResult};
use crate::spec::{ReportEntry, ReportSpec, ReportSubject};
use crate::syntax::ast::{Arg, DefKind, Ident, Setting, Train, TrainItem};

use crate::check::data::env::DataEnv;
use crate::check::elab::Elab;
use crate::check::elab::pattern::per_sample_text;
use crate::check::elab::state::Compared;
use crate::check::elab::value::{Meaning, Tensor, Val};

use super::callbacks::Reported;
use super::callbacks::args::CallTable;
use super::callbacks::reader::Reader;

/// Outputs with their targets, as losses find them.
pub(crate) fn compared(
    outputs: &[(Arc<str>, Tensor)],
    env: &DataEnv,
    feeds: &[(Ident, Tensor)],
) -> Vec<Compared> {
    let target = |name: &str| {
        let target = match env.targets.as_slice() {
            [one] if outputs.len() == 1 => Some(one),
            many => many.iter().find(|f| &*f.name.text == name),
        }?;
        let mut feeds = feeds.iter();
        feeds.find_map(|(n, t)| (n.text == target.name.text).then(|| t.clone()))
    };
    let all = outputs.iter().map(|(name, prediction)| Compared {
        name: name.clone(),
        prediction: prediction.clone(),
        target: target(name),
        loss_of_samples: false,
    });
    all.collect()
}

impl Compared {
    /// Whether the numbers are probabilities of classes, and the target says which is right:
    /// its number, or a number for each class.
    fn is_of_classes(&self) -> bool {
        let (p, Some(y)) = (&self.prediction, &self.target) else {
            return false;
        };
        let (p_shape, y_shape) = (&p.ty.shape[..], &y.ty.shape[..]);
        let alone = match p_shape {
            [_] => Some(p_shape),
            [front @ .., last] if *last == Dim::ONE => Some(front),
            _ => None,
        };
        let fits = match (alone, p_shape) {
            (Some(front), _) => y_shape == front || y_shape == p_shape,
            (None, [front @ .., _]) => {
                y_shape == p_shape
                    || y_shape == front
                        && matches!(y.meaning, Meaning::Class(_) | Meaning::Token(_))
            }
            (None, []) => false,
        };
        p.meaning == Meaning::Prob && fits
    }

    /// Whether both are quantities, as many of one as of the other.
    fn is_of_numbers(&self) -> bool {
        let (p, Some(y)) = (&self.prediction, &self.target) else {
            return false;
        };
        let bare = |t: &Tensor| match &t.ty.shape[..] {
            [front @ .., last] if !front.is_empty() && *last == Dim::ONE => front.to_vec(),
            shape => shape.to_vec(),
        };
        p.meaning == Meaning::Real && y.meaning == Meaning::Real && bare(p) == bare(y)
    }
}

impl Elab<'_> {
    /// What `report` names; what cannot be shown of this block is told.
    pub fn reports(
        &mut self,
        setting: Option<&Setting>,
        t: &Train,
        run: &Reported,
    ) -> Vec<ReportSpec> {
        let table = CallTable {
            unknown: Code::E0610,
            bad_value: Code::E0605,
            what: "report",
            rows: self.world.runtime.reports,
            signature: |entry: &ReportEntry| &entry.signature,
            example: "curves",
        };
        let mut found: Vec<ReportSpec> = Vec::new();
        for arg in setting.iter().flat_map(|s| &s.values) {
            let Some((entry, call)) = self.call_of(&arg.value, false, &table) else {
                continue;
            };
            let read = (entry.read)(&mut Reader {
                elab: self,
                call: &call,
                run,
            });
            let Some(settings) = read else {
                continue;
            };
            let Some(output) = self.report_output(entry, arg, t, run) else {
                continue;
            };
            let name = entry.signature.name;
            if (found.iter()).any(|r| r.name == name && r.output == output) {
                self.error(
                    Code::E0105,
                    arg.span,
                    format!("`{name}` is given twice"),
                    "again",
                );
                continue;
            }
            found.push(ReportSpec {
                name,
                subject: entry.subject,
                output,
                settings,
                span: arg.span,
            });
        }
        found
    }

    /// The output that a report is of; `None` where it can be of none, which is told, or where
    /// another mistake leaves the model without any.
    fn report_output(
        &mut self,
        entry: &ReportEntry,
        arg: &Arg,
        t: &Train,
        run: &Reported,
    ) -> Option<Option<String>> {
        let (name, subject) = (entry.signature.name, entry.subject);
        let refuse =
            |what: String, why: String| Diagnostic::error(Code::E0651, what).label(arg.span, why);
        let stepped = t.items.iter().any(|i| matches!(i, TrainItem::Step(_)));
        if subject.runs_model() && stepped {
            let d = refuse(
                format!("`{name}` needs a single model"),
                "this block trains by steps".into(),
            );
            self.diagnose(
                d.help("`curves`, `learning_rate` and `weights` are available for any run"),
            );
            return None;
        }
        if !subject.compares() {
            if let Some(n) = &arg.name {
                let d = refuse(
                    format!("`{name}` describes the whole run, not an output"),
                    format!("`{}` is an output", n.text),
                );
                self.diagnose(d.help(format!("write only `{name}`")));
                return None;
            }
            return Some(None);
        }
        let all = self.train.compared.clone();
        let of = self.compared_by(arg, &all, name)?;
        // What the output is compared with may follow from a mistake that has been reported.
        if !run.complete {
            return None;
        }
        let pair = |y: &Tensor| {
            format!(
                "the model returns {}, the target is {}",
                per_sample_text(&of.prediction),
                per_sample_text(y)
            )
        };
        let Some(y) = &of.target else {
            let d = refuse(
                format!("`{name}` compares an output with its target"),
                format!("`{}` has no target in the data", of.name),
            );
            self.diagnose(d);
            return None;
        };
        let problem = match subject {
            ReportSubject::Quantities if !of.is_of_numbers() => Some((
                format!("`{name}` needs predicted quantities"),
                pair(y),
                "remove it, or predict numbers of the same shape as the target",
            )),
            ReportSubject::Rows if !of.loss_of_samples => Some((
                format!("`{name}` needs a per-sample loss"),
                format!("`{}` has no such loss", of.name),
                "use a loss that returns one value per sample",
            )),
            ReportSubject::Classes if !of.is_of_classes() => Some((
                format!("`{name}` needs a classification output"),
                pair(y),
                "end the model with a softmax or a sigmoid, or remove this report",
            )),
            ReportSubject::Quantities
            | ReportSubject::Rows
            | ReportSubject::Classes
            | ReportSubject::Run
            | ReportSubject::Layers => None,
        };
        match problem {
            Some((what, why, help)) => {
                self.diagnose(refuse(what, why).help(help));
                None
            }
            None => Some(Some(of.name.to_string())),
        }
    }

    fn compared_by<'a>(
        &mut self,
        arg: &Arg,
        all: &'a [Compared],
        report: &str,
    ) -> Option<&'a Compared> {
        match (&arg.name, all) {
            // what is wrong with the model has been said
            (_, []) => None,
            (Some(n), _) => {
                let found = all.iter().find(|c| c.name == n.text);
                if found.is_none() {
                    let known: Vec<&str> = all.iter().map(|c| &*c.name).collect();
                    self.unknown_output(n, &known);
                }
                found
            }
            (None, [one]) => Some(one),
            (None, [first, ..]) => {
                let message = format!(
                    "the model has {} outputs: which one does `{report}` show?",
                    all.len()
                );
                let d = Diagnostic::error(Code::E0608, message)
                    .label(arg.span, "name the output")
                    .help(format!("write `{} = {report}`", first.name));
                self.diagnose(d);
                None
            }
        }
    }

    /// The results that the head of this file lists.
    pub(super) fn report_results(
        &mut self,
        outputs: &[(Arc<str>, Tensor)],
        env: &DataEnv,
        feeds: &[(Ident, Tensor)],
        loss: Option<&Setting>,
        wanted: &[ReportSpec],
    ) {
        let wants = |subject| wanted.iter().any(|r| r.subject == subject);
        let loss = loss.filter(|_| wants(ReportSubject::Rows));
        let layers = wants(ReportSubject::Layers);
        let span = loss.map_or(Span::default(), |s| s.span);
        for c in compared(outputs, env, feeds) {
            if let Some(mask) = &c.prediction.mask {
                self.result(&ReportResult::Mask.name(&c.name), (**mask).clone(), span);
            }
            self.result(&ReportResult::Prediction.name(&c.name), c.prediction, span);
            if let Some(y) = c.target {
                self.result(&ReportResult::Target.name(&c.name), y, span);
            }
        }
        let mut losses: Vec<(Arc<str>, Tensor)> = Vec::new();
        for a in loss.iter().flat_map(|s| &s.values) {
            let Some((name, value)) = self.loss_of_samples(a, outputs, env, feeds) else {
                continue;
            };
            match losses.iter_mut().find(|(n, _)| *n == name) {
                Some((_, sum)) => {
                    let add = Prim::Binary(Binary::Add);
                    if let Val::Tensor(t) = self.emit(add, &[sum, &value], Meaning::Real, a.span) {
                        *sum = t;
                    }
                }
                None => losses.push((name, value)),
            }
        }
        for (name, value) in losses {
            self.result(&ReportResult::Loss.name(&name), value, span);
        }
        let layers: Vec<(Arc<str>, Tensor, Span)> = (self.applied.iter())
            .filter(|_| layers)
            .map(|a| (a.instance.path.clone(), a.output.clone(), a.span))
            .collect();
        let mut named: Vec<&str> = Vec::new();
        for (path, output, at) in &layers {
            // a layer that is applied again is shown as it was first
            if !named.contains(&&**path) && output.ty.rank() > 0 {
                named.push(path);
                self.result(&names::report_layer(path), output.clone(), *at);
            }
        }
    }

    /// One term of the loss for each sample, times its factor.
    fn loss_of_samples(
        &mut self,
        a: &Arg,
        outputs: &[(Arc<str>, Tensor)],
        env: &DataEnv,
        feeds: &[(Ident, Tensor)],
    ) -> Option<(Arc<str>, Tensor)> {
        let span = a.value.span;
        let (weight, v) = match self.seeking(Some(DefKind::Loss), |el| el.eval(&a.value)) {
            Val::Weighted(w, v) => (w, *v),
            v => (1.0, v),
        };
        let loss = self.of_kind(v, DefKind::Loss, span)?;
        let (name, pair) = self.pair(a.name.as_ref(), outputs, env, feeds, a, "loss")?;
        let values = self.loss_values(&loss, &pair.prediction, &pair.target, span)?;
        let axes: Vec<usize> = (1..values.ty.rank()).collect();
        let mean = match (values.ty.rank(), values.mask.clone()) {
            (0, _) => return None,
            (1, _) => Val::Tensor(values),
            (_, Some(mask)) => {
                let mask = self.cast(Tensor::clone(&mask), Elem::F32, span)?;
                let axes: Vec<usize> = (1..mask.ty.rank()).collect();
                let counted = self.binary_of(Binary::Mul, &values, &mask, span)?;
                let sum = Prim::Reduce {
                    op: Reduce::Sum,
                    axes,
                };
                let Val::Tensor(total) = self.emit(sum.clone(), &[&counted], Meaning::Real, span)
                else {
                    return None;
                };
                let Val::Tensor(count) = self.emit(sum, &[&mask], Meaning::Real, span) else {
                    return None;
                };
                self.binary_of(Binary::Div, &total, &count, span)
                    .map_or(Val::Error, Val::Tensor)
            }
            (_, None) => self.mean_over(&values, axes, false, span),
        };
        let Val::Tensor(mean) = mean else { return None };
        if weight == 1.0 {
            return Some((name, mean));
        }
        let times = crate::syntax::ast::BinaryOp::Mul;
        match self.binary(times, Val::Float(weight), Val::Tensor(mean), span) {
            Val::Tensor(t) => Some((name, t)),
            _ => None,
        }
    }

    fn binary_of(&mut self, op: Binary, a: &Tensor, b: &Tensor, span: Span) -> Option<Tensor> {
        match self.emit(Prim::Binary(op), &[a, b], Meaning::Real, span) {
            Val::Tensor(t) => Some(t),
            _ => None,
        }
    }
}
