//! What a `train` block compiles to: the program is walked once for each graph of a run.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashSet;

use crate::diag::{Code, Diagnostic, Severity};
use crate::ir::{Graph, Role};
use crate::span::Span;
use crate::spec::{DataSpec, DerivedSpec, Programs, TrainSpec};
use crate::syntax::ast;

use super::data::env::DataEnv;
use super::data::feed::FeedInfo;
use super::elab::Elab;
use super::elab::state::{LayerUse, Mode};
use super::elab::value::DefId;
use super::elab::world::{Purpose, World};
use super::train::callbacks::Reported;
use super::train::settings::{Run, setting};

/// What every walk over a program is given.
pub(super) struct Context<'w> {
    pub world: &'w World,
    pub failed_defs: Rc<HashSet<DefId>>,
}

impl<'w> Context<'w> {
    pub(super) fn elab(&self, training: bool, name: &str) -> Elab<'w> {
        let mode = Mode {
            training,
            generic: false,
        };
        let mut e = Elab::new(self.world, mode, name);
        e.failed_defs = self.failed_defs.clone();
        e
    }
}

/// What a sweep asks of the train block.
pub(super) struct TrainedRun {
    pub reported: Reported,
    pub epochs: usize,
    pub folded: bool,
}

/// A train block with its data, compiled.
pub(super) struct Compiled {
    pub data: DataSpec,
    pub train: TrainSpec,
    pub programs: Programs,
    pub feed: Graph,
    pub feeds: Vec<FeedInfo>,
    pub report: Graph,
    pub layers: Vec<LayerUse>,
}

/// The block is not compiled where only its mistakes are asked for and all are known.
pub(super) fn check_train(
    context: &Context,
    (t, span): (&ast::Train, Span),
    (d, data_span): (&ast::Data, Span),
    diags: &mut Vec<Diagnostic>,
) -> (TrainedRun, Option<Compiled>) {
    let mut e = context.elab(true, "train");
    let env = e.data_block(d, data_span);
    e.train.incomplete = e.diags.iter().any(|d| d.severity == Severity::Error);
    let spec = e.train_spec(t, span);
    let mut block = Block {
        context,
        t,
        env,
        spec,
        derived: Vec::new(),
        diags,
    };
    let (run, step) = block.training_step(e);
    // One model that never asks whether it is trained is evaluated as it is trained.
    let same = t.models.len() == 1 && !step.asked_training;
    if context.world.purpose == Purpose::Report && same {
        return (run, None);
    }
    let compiled = block.compile(step, span);
    (run, Some(compiled))
}

/// A train block while its graphs are made.
struct Block<'b> {
    context: &'b Context<'b>,
    t: &'b ast::Train,
    env: DataEnv,
    spec: TrainSpec,
    /// The columns that the graphs need, computed before training.
    derived: Vec<DerivedSpec>,
    diags: &'b mut Vec<Diagnostic>,
}

/// The graphs of a training step, and what else its walk found.
struct TrainingStep {
    init: Graph,
    train: Graph,
    metrics: Graph,
    epoch_end: Graph,
    initialized: FxHashSet<Arc<str>>,
    layers: Vec<LayerUse>,
    final_copies: Vec<(String, String)>,
    asked_training: bool,
}

impl Block<'_> {
    /// `e` has read the data block and the settings.
    fn training_step(&mut self, mut e: Elab) -> (TrainedRun, TrainingStep) {
        let mut metrics = e.run(self.t, &self.env, Run::Train, &mut self.spec);
        let mut later = Vec::new();
        let [values, epoch_end] =
            [("metrics", false), ("closing", true)].map(|(name, collects)| {
                let mut e = self.context.elab(false, name);
                e.train.ending = true;
                e.metric_values(&mut metrics, collects);
                later.append(&mut e.diags);
                e.take_step(name)
            });
        let shown = values.outputs.iter().chain(&epoch_end.outputs);
        self.spec.metrics = shown.map(|o| o.name.to_string()).collect();
        let reported = e.reported_by(&self.env, &metrics, self.spec.epochs);
        self.spec.callbacks = e.callbacks(setting(self.t, "callbacks"), &reported);
        self.spec.rates = std::mem::take(&mut e.optimizer.rates);
        let run = TrainedRun {
            reported,
            epochs: self.spec.epochs,
            folded: self.env.spec.folds().is_some(),
        };
        self.spec.reports = e.reports(setting(self.t, "report"), self.t, &run.reported);
        e.streamed_reports(&self.spec.reports, &self.env);
        e.reports_of_labels(&self.spec.reports, &self.env);
        self.env.spec.fits.append(&mut e.data.balanced);
        self.env.spec.augmented = std::mem::take(&mut e.data.augmented);
        let step = TrainingStep {
            init: std::mem::take(&mut e.init),
            train: e.take_step("train"),
            metrics: values,
            epoch_end,
            initialized: std::mem::take(&mut e.initialized),
            layers: std::mem::take(&mut e.layers),
            final_copies: std::mem::take(&mut e.optimizer.final_copies),
            asked_training: e.asked_training,
        };
        self.finish(e);
        self.diags.append(&mut later);
        (run, step)
    }

    /// The other graphs, and all that a run needs.
    fn compile(mut self, step: TrainingStep, span: Span) -> Compiled {
        let mut spec = self.spec.clone();
        let (eval, _) = self.walk("eval", Run::Eval, &mut spec);
        self.spec = spec;
        let mut shown = self.spec.clone();
        let (predict, predict_layers) = self.walk("predict", Run::Predict, &mut shown);
        self.spec.outputs = shown.outputs;

        let mut e = self.context.elab(true, "feed");
        let feeds = e.feeds(&self.env);
        let feed = e.take_step("feed");
        self.finish(e);

        let mut report = Graph::default();
        if self.spec.reports.iter().any(|r| r.subject.runs_model()) {
            let mut spec = self.spec.clone();
            (report, _) = self.walk("report", Run::Report, &mut spec);
        }
        if self.diags.iter().all(|d| d.severity != Severity::Error) {
            let lost = never_begun(&step.initialized, &[&eval, &predict], span);
            self.diags.extend(lost);
        }
        let mut data = self.env.spec;
        data.keep_statistics(&[&step.train, &eval, &predict, &feed, &report]);
        for d in self.derived {
            if data.derived.iter().all(|known| known.name != d.name) {
                data.derived.push(d);
            }
        }
        Compiled {
            data,
            train: self.spec,
            feed,
            feeds,
            report,
            layers: match self.t.models.len() {
                1 => predict_layers,
                _ => step.layers,
            },
            programs: Programs {
                init: step.init,
                train: step.train,
                eval,
                predict,
                metrics: step.metrics,
                closing: step.epoch_end,
                ends: step.final_copies,
            },
        }
    }

    /// The graph of a run that does not train, and the layers it applied.
    fn walk(&mut self, name: &str, run: Run, spec: &mut TrainSpec) -> (Graph, Vec<LayerUse>) {
        let mut e = self.context.elab(false, name);
        e.run(self.t, &self.env, run, spec);
        let graph = e.take_step(name);
        let layers = std::mem::take(&mut e.layers);
        self.finish(e);
        (graph, layers)
    }

    /// Keeps what a walk derived and reported.
    fn finish(&mut self, mut e: Elab) {
        self.derived.append(&mut e.data.derived);
        self.diags.append(&mut e.diags);
    }
}

/// A parameter or state that only evaluation declares: nothing gives it an initial value.
fn never_begun(begun: &FxHashSet<Arc<str>>, graphs: &[&Graph], span: Span) -> Option<Diagnostic> {
    let kept = graphs
        .iter()
        .flat_map(|g| &g.inputs)
        .filter(|i| matches!(i.role, Role::Param | Role::State));
    let lost = kept.map(|i| &*i.name).find(|name| !begun.contains(*name))?;
    let d = Diagnostic::error(Code::E0410, format!("`{lost}` has no initial value"))
        .label(
            span,
            "it is declared only during evaluation, not in training",
        )
        .help("declare it before the `if training`");
    Some(d)
}
