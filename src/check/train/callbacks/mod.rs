//! `callbacks { ... }`: the metrics that they may name, their arguments, and what they write.
//!
//! Which there are is the runtime's to say: see [`Runtime`](crate::spec::Runtime).

pub(crate) mod args;
mod monitored;
pub(crate) mod reader;
pub(crate) mod when;

use crate::diag::{Code, Diagnostic};
use crate::ir::Role;
use crate::library;
use crate::span::Span;
use crate::spec::callbacks::{Better, CallbackEntry, CallbackSpec};
use crate::spec::{Part, SplitSpec, names};
use crate::syntax::ast::{ExprKind, Setting};

use crate::check::data::env::DataEnv;
use crate::check::elab::Elab;
use crate::check::train::metrics::{MetricOf, MetricUse};

use args::CallTable;
use reader::Reader;

/// What callbacks may name: the metrics that the run reports, and the rates that it has.
pub struct Reported {
    /// Whether all of it is known: a mistake in the model or the loss may hide more.
    pub complete: bool,
    /// Name, and what is better where that is known.
    pub metrics: Vec<(String, Option<Better>)>,
    /// Whether there is a validation part.
    pub validated: bool,
    /// Whether an optimizer has a learning rate that can be changed.
    pub adjustable: bool,
    /// Where an optimizer's rate is a schedule.
    pub scheduled: Option<Span>,
    /// How many learning rates there are.
    pub rates: usize,
    pub epochs: usize,
}

impl Elab<'_> {
    /// What the training step that has just been walked reports.
    pub fn reported_by(&self, env: &DataEnv, metrics: &[MetricUse], epochs: usize) -> Reported {
        let better = |m: &MetricUse| match &m.of {
            MetricOf::Mean | MetricOf::Sum(_) => Some(Better::Less),
            MetricOf::Def { chosen, .. } if chosen.library => {
                match library::direction(&chosen.def.name.text) {
                    Some("up") => Some(Better::Greater),
                    Some("down") => Some(Better::Less),
                    _ => None,
                }
            }
            MetricOf::Def { .. } => None,
        };
        let split = env.spec.split.iter().flat_map(SplitSpec::made);
        let mut parts = (env.spec.sources.iter().filter_map(|s| s.part)).chain(split);
        let adjustable = (self.step.inputs.iter())
            .filter(|i| i.role == Role::Hyper && names::optimizer_of_rate(&i.name).is_some())
            .count();
        let complete = !self.train.incomplete;
        Reported {
            complete,
            metrics: metrics
                .iter()
                .flat_map(|m| m.shown.iter().map(|name| (name.clone(), better(m))))
                .collect(),
            validated: parts.any(|p| p == Part::Val),
            adjustable: adjustable > 0 || !complete,
            scheduled: self.optimizer.scheduled,
            rates: match adjustable + self.optimizer.rates.len() {
                0 if !complete => 1,
                rates => rates,
            },
            epochs,
        }
    }

    /// The callbacks of a train block; those with a mistake are left out, and reported.
    pub fn callbacks(&mut self, setting: Option<&Setting>, run: &Reported) -> Vec<CallbackSpec> {
        let mut found: Vec<CallbackSpec> = Vec::new();
        let mut paths: Vec<(String, Span)> = Vec::new();
        let table = CallTable {
            unknown: Code::E0614,
            bad_value: Code::E0615,
            what: "callback",
            rows: self.world.runtime.callbacks,
            signature: |entry: &CallbackEntry| &entry.signature,
            example: "EarlyStopping(monitor = loss, patience = 3)",
        };
        for arg in setting.iter().flat_map(|s| &s.values) {
            let (callback, once) = match &arg.value.kind {
                ExprKind::When { cond, action } => (self.when(cond, action, run), None),
                _ => match self.call_of(&arg.value, arg.name.is_some(), &table) {
                    Some((entry, call)) => {
                        self.advise_patience(&call, run.epochs);
                        let before = self.errors();
                        let read = (entry.read)(&mut Reader {
                            elab: self,
                            call: &call,
                            run,
                        });
                        (read.filter(|_| self.errors() == before), entry.once)
                    }
                    None => continue,
                },
            };
            let Some(callback) = callback else {
                continue;
            };
            if let Some(path) = callback.path() {
                if let Some((_, first)) = paths.iter().find(|(p, _)| *p == path) {
                    let d = Diagnostic::error(Code::E0618, "two callbacks write to the same path")
                        .label(arg.span, "the second")
                        .label(*first, "the first");
                    self.diagnose(d);
                    continue;
                }
                paths.push((path, arg.span));
            }
            if let Some(why) = once
                && found.iter().any(|c| c.name() == callback.name())
            {
                let label = format!("a second `{}`", callback.name());
                self.error(Code::E0618, arg.span, why, label);
                continue;
            }
            found.push(callback);
        }
        found
    }
}
