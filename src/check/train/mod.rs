//! `train` blocks: settings, and the graphs of a run. Each run (a training
//! step, an evaluation, a prediction) elaborates the same program with other ends.

pub(super) mod advice;
pub(super) mod bounds;
pub(super) mod callbacks;
pub(super) mod epoch_end;
pub(super) mod flow;
pub(super) mod frozen;
pub(super) mod labels;
pub(super) mod losses;
pub(super) mod metrics;
pub(super) mod optimize;
pub(super) mod optimizer_stages;
pub(super) mod reports;
pub(super) mod scaled;
pub(super) mod settings;
pub(super) mod steps;
pub(super) mod unread;
pub(super) mod weights;

use std::sync::Arc;

use crate::diag::{Code, Diagnostic};
use crate::ir::{OutputRole, Role};
use crate::spec::TrainSpec;
use crate::syntax::ast::{self, Arg, BinaryOp, DefKind, Ident, Setting, Step, Train, TrainItem};

use crate::check::data::balance::BALANCE;
use crate::check::data::env::DataEnv;
use crate::check::data::feed::predicted_classes;
use crate::check::elab::Elab;
use crate::check::elab::pattern::tensor_pattern;
use crate::check::elab::value::{Meaning, Tensor, Val};

use metrics::{LossTerm, MetricUse};
use reports::compared;
use settings::{Run, SETTINGS, Settings, output_spec, setting};
use weights::Weights;

/// One walk over a train block: its models, and what they are fed.
struct Walk<'a> {
    t: &'a Train,
    env: &'a DataEnv,
    models: &'a [Arc<ast::Model>],
    feeds: &'a [(Ident, Tensor)],
    run: Run,
}

impl Elab<'_> {
    /// Elaborates a run into `self.step`; names of the metrics and outputs as they are met.
    pub fn run(
        &mut self,
        t: &Train,
        env: &DataEnv,
        run: Run,
        spec: &mut TrainSpec,
    ) -> Vec<MetricUse> {
        let mut metrics = Vec::new();
        let steps = t.items.iter().filter_map(|i| match i {
            TrainItem::Step(s) => Some(s),
            _ => None,
        });
        let steps: Vec<&Step> = steps.collect();
        let Some(models) = self.trained_models(t) else {
            self.train.incomplete = true;
            return metrics;
        };
        self.note_frozen(t);
        let feeds = self.fed(t, env, &models[0], run);
        if run == Run::Train {
            spec.balance = self.balance(setting(t, BALANCE), &feeds, env);
        }
        self.train.targets = self.targets(&feeds, env);
        let walk = Walk {
            t,
            env,
            models: &models,
            feeds: &feeds,
            run,
        };
        if steps.is_empty() {
            self.single(&walk, spec, &mut metrics);
        } else if run == Run::Predict {
            self.predict_first(&walk, spec);
        } else {
            if run == Run::Train {
                self.first_args(&walk);
            }
            steps
                .iter()
                .for_each(|s| self.train_step(&walk, s, &mut metrics));
        }
        if run == Run::Train {
            spec.alignments = std::mem::take(&mut self.train.alignments);
            spec.classes = predicted_classes(env);
            self.warn_of_answers(env);
        }
        if run == Run::Eval {
            self.bounded(spec);
        }
        if run == Run::Train && !self.params.is_empty() {
            self.check_frozen();
        }
        if matches!(run, Run::Train | Run::Predict) {
            self.advise_softmax();
        }
        self.drop_plain_images();
        self.finish(run);
        if run == Run::Train && !self.train.incomplete {
            self.warn_of_unused(env, &feeds);
            self.warn_of_statistics(env);
        }
        metrics
    }

    /// The models that the block names; `None` after a mistake.
    fn trained_models(&mut self, t: &Train) -> Option<Vec<Arc<ast::Model>>> {
        let mut models = Vec::new();
        for name in &t.models {
            match self.name(name) {
                Val::Model(m) => models.push(m),
                Val::Error => {}
                other => {
                    self.error(
                        Code::E0103,
                        name.span,
                        format!("`{}` is not a model", name.text),
                        format!("this is {}", other.describe()),
                    );
                }
            }
        }
        (models.len() == t.models.len()).then_some(models)
    }

    /// Noise, inputs and targets by name; for a prediction, only what the model takes.
    fn fed(
        &mut self,
        t: &Train,
        env: &DataEnv,
        model: &ast::Model,
        run: Run,
    ) -> Vec<(Ident, Tensor)> {
        let mut feeds: Vec<(Ident, Tensor)> = Vec::new();
        for item in &t.items {
            if let TrainItem::Draw {
                name,
                ty,
                value,
                span,
            } = item
                && let Some(t) = self
                    .draw(name, ty, value, *span)
                    .or_else(|| self.sample_input(&tensor_pattern(ty).ok()?, &name.text))
            {
                feeds.push((name.clone(), t));
            }
        }
        let inputs = env.inputs.iter().map(|f| (f, true));
        let targets = env.targets.iter().map(|f| (f, false));
        for (f, input) in inputs.chain(targets) {
            let taken = input && model.inputs.iter().any(|p| p.name.text == f.name.text);
            if (run != Run::Predict || taken)
                && let Some(t) = self.feed(f, env)
            {
                feeds.push((f.name.clone(), t));
            }
        }
        feeds
    }

    /// One model, losses and metrics by output.
    fn single(&mut self, walk: &Walk, spec: &mut TrainSpec, metrics: &mut Vec<MetricUse>) {
        let t = walk.t;
        let settings = t.items.iter().filter_map(|i| match i {
            TrainItem::Setting(s) => Some(s),
            _ => None,
        });
        let s = Settings {
            items: settings.collect(),
            known: &SETTINGS,
        };
        if let [_, second, ..] = t.models.as_slice() {
            let d = Diagnostic::error(Code::E0606, "several models need steps")
                .label(second.span, "a second model")
                .help("write a `step MODEL { minimize ...  optimizer ... }` for each");
            self.diagnose(d);
            return;
        }
        let Some(outputs) = self.outputs(walk, &s) else {
            self.train.incomplete = true;
            return;
        };
        spec.outputs = outputs.iter().map(|(n, t)| output_spec(n, t)).collect();
        if walk.run == Run::Predict || walk.run == Run::Train && !self.asked_training {
            self.check_rows(&outputs);
            self.advise(&outputs);
        }
        match walk.run {
            Run::Predict => {
                for (name, p) in &outputs {
                    self.result(name, p.clone(), t.models[0].span);
                }
                return;
            }
            Run::Report => {
                let loss = s.get("loss");
                self.report_results(&outputs, walk.env, walk.feeds, loss, &spec.reports);
                return;
            }
            Run::Train => self.train.compared = compared(&outputs, walk.env, walk.feeds),
            Run::Eval => {}
        }
        let total = self.total_loss(walk, &s, &outputs, metrics);
        self.train.incomplete |= total.is_none();
        if let Some(m) = s.get("metrics") {
            // Where output and target do not fit, they fit no metric either.
            if total.is_some() || !self.losses_known(&s) {
                self.metrics_setting(m, &outputs, walk.env, walk.feeds, metrics);
            } else {
                self.settings_alone(&s, &["metrics"]);
            }
        }
        let Some(total) = total else {
            self.settings_alone(&s, &["optimizer"]);
            return;
        };
        self.optimize_all(walk, s.get("optimizer"), &total);
    }

    /// What the model returns, by name; `None` after a mistake.
    fn outputs(&mut self, walk: &Walk, s: &Settings) -> Option<Vec<(Arc<str>, Tensor)>> {
        let (model, used) = (&walk.models[0], &walk.t.models[0]);
        let Some(args) = self.model_args(model, used, walk.feeds, walk.env) else {
            self.settings_alone(s, &["loss", "metrics", "optimizer"]);
            return None;
        };
        let targets = &walk.env.targets;
        let target = |i: usize| targets.get(i).map(|f| f.name.text.clone());
        match self.apply_model_at(model, args, used.span, "".into()) {
            Val::Tensor(p) => Some(vec![(target(0).unwrap_or_else(|| "output".into()), p)]),
            Val::Tuple(items) if !items.iter().any(|(_, v)| v.is_error()) => {
                if targets.len() > 1 && items.iter().any(|(name, _)| name.is_none()) {
                    self.unnamed_outputs(model, walk.env);
                    self.settings_alone(s, &["loss", "metrics", "optimizer"]);
                    return None;
                }
                let mut named = Vec::new();
                for (i, (name, v)) in items.iter().enumerate() {
                    let name = name.clone().or_else(|| target(i));
                    let name = name.unwrap_or_else(|| format!("output_{i}").into());
                    if let Val::Tensor(t) = v {
                        named.push((name, t.clone()));
                    }
                }
                Some(named)
            }
            Val::Tuple(_) | Val::Error => {
                self.settings_alone(s, &["loss", "metrics", "optimizer"]);
                None
            }
            other => {
                self.error(
                    Code::E0312,
                    model.name.span,
                    "a model must return tensors",
                    format!("this one returns {}", other.describe()),
                );
                None
            }
        }
    }

    /// Several outputs are held to their targets by name: the order of either says nothing.
    fn unnamed_outputs(&mut self, model: &ast::Model, env: &DataEnv) {
        let names: Vec<&str> = env.targets.iter().map(|f| &*f.name.text).collect();
        let at = (model.body.value.as_ref()).map_or(model.name.span, |e| e.span);
        let what = format!("the outputs of `{}` need names", model.name.text);
        let named: Vec<String> = names.iter().map(|n| format!("{n} = ..")).collect();
        let d = Diagnostic::error(Code::E0608, what)
            .label(at, "which output has which target?")
            .help(format!(
                "name them after their targets: `({})`",
                named.join(", ")
            ));
        self.diagnose(d);
    }

    /// The sum of the losses and penalties, noted as the first metric; `None` after a mistake.
    fn total_loss(
        &mut self,
        walk: &Walk,
        s: &Settings,
        outputs: &[(Arc<str>, Tensor)],
        metrics: &mut Vec<MetricUse>,
    ) -> Option<Tensor> {
        let Some(setting) = s.get("loss") else {
            self.no_loss(walk);
            return None;
        };
        let weights = Weights::of(s, walk.env, walk.run);
        let names: Vec<&str> = outputs.iter().map(|(n, _)| &**n).collect();
        self.check_weights(&weights, &names);
        let mut terms = Vec::new();
        let mut failed = false;
        for a in &setting.values {
            let term = self.loss_term(walk, outputs, &weights, a, metrics);
            failed |= term.is_none();
            terms.extend(term);
        }
        if failed || terms.is_empty() {
            return None;
        }
        let mut total = terms[0].value.clone();
        for (term, a) in terms.iter().zip(&setting.values).skip(1) {
            total = self.plus(&total, &term.value, a.span)?;
        }
        let penalties = std::mem::take(&mut self.penalties);
        for p in &penalties {
            total = self.plus(&total, p, setting.span)?;
        }
        let first = self.accumulate_loss(&total, &terms, &penalties, setting.span);
        metrics.insert(0, first);
        Some(total)
    }

    /// Whether every loss is one, with the arguments that it takes.
    fn losses_known(&mut self, s: &Settings) -> bool {
        let values = s.get("loss").map_or(&[][..], |s| s.values.as_slice());
        let known = |a: &Arg| match self.eval(&a.value) {
            Val::Weighted(_, v) => self.of_kind(*v, DefKind::Loss, a.value.span).is_some(),
            v => self.of_kind(v, DefKind::Loss, a.value.span).is_some(),
        };
        !values.is_empty() && values.iter().all(known)
    }

    fn no_loss(&mut self, walk: &Walk) {
        let is_target = |n: &Ident| walk.env.targets.iter().any(|f| f.name.text == n.text);
        let target = walk.feeds.iter().find(|(n, _)| is_target(n));
        let (meaning, rank) =
            target.map_or((&Meaning::Real, 0), |(_, y)| (&y.meaning, y.ty.rank()));
        let mut d = Diagnostic::error(Code::E0603, "the train block has no loss")
            .label(walk.t.data.span, "there is nothing to minimize");
        if let Some(loss) = self.world.loss_for(meaning, rank) {
            d = d.help(format!("add a line such as `loss {loss}`"));
        }
        self.diagnose(d);
    }

    /// One of the losses, times its weight; `None` after a mistake. Of several outputs each loss
    /// is a metric too.
    fn loss_term(
        &mut self,
        walk: &Walk,
        outputs: &[(Arc<str>, Tensor)],
        weights: &Weights,
        a: &Arg,
        metrics: &mut Vec<MetricUse>,
    ) -> Option<LossTerm> {
        let at = a.value.span;
        let (weight, v) = match self.seeking(Some(DefKind::Loss), |el| el.eval(&a.value)) {
            Val::Weighted(w, v) => (w, *v),
            v => (1.0, v),
        };
        let alone = outputs.len() == 1;
        if !(0.0..f64::INFINITY).contains(&weight) || (alone && weight == 0.0) {
            let least = if alone { "above" } else { "from" };
            self.error(
                Code::E0605,
                at,
                format!("a loss is weighted by a number {least} 0, not {weight}"),
                match weight {
                    0.0 => "nothing would be trained",
                    _ => "this would be maximized",
                },
            );
            return None;
        }
        let c = self.of_kind(v, DefKind::Loss, at)?;
        let (env, feeds) = (walk.env, walk.feeds);
        let (name, pair) = self.pair(a.name.as_ref(), outputs, env, feeds, a, "loss")?;
        let doubtful = self.data.doubtful.contains(&pair.name.text);
        if doubtful || !self.is_a_choice(&pair) || !self.sums_over_classes(&c, &pair) {
            return None;
        }
        self.advise_loss(&c, &pair);
        let values = self.comparing(&pair, |el| {
            el.loss_values(&c, &pair.prediction, &pair.target, at)
        })?;
        self.note_alignment(&c, &pair, env);
        let mut compared = self.train.compared.iter_mut();
        if let Some(c) = compared.find(|c| c.name == name) {
            c.loss_of_samples |= values.ty.rank() > 0;
        }
        let value = self.weigh(weights, &name, values, &pair.target, at)?;
        let count = self.places_that_count(&value, at);
        let value = self.scalar_mean(value, at)?;
        if outputs.len() > 1 {
            let name = format!("{name}_loss");
            self.accumulate_counted(&name, &value, count.clone(), a.span, metrics);
        }
        if weight == 1.0 {
            return Some(LossTerm { value, count });
        }
        let weight = Val::Float(weight);
        match self.binary(BinaryOp::Mul, weight, Val::Tensor(value), a.span) {
            Val::Tensor(value) => Some(LossTerm { value, count }),
            _ => None,
        }
    }

    /// The updates of all parameters.
    fn optimize_all(&mut self, walk: &Walk, optimizer: Option<&Setting>, total: &Tensor) {
        let Some(optimizer) = optimizer else {
            let mut d = Diagnostic::error(Code::E0604, "the train block has no optimizer").label(
                walk.t.data.span,
                "an optimizer is needed to minimize the loss",
            );
            if let Some(usual) = crate::library::proposal("optimizer") {
                d = d.help(format!("add a line such as `optimizer {usual}`"));
            }
            self.diagnose(d);
            return;
        };
        let params: Vec<Arc<str>> = self.params.keys().cloned().collect();
        if params.is_empty() {
            let model = &walk.t.models[0];
            self.error(
                Code::E0607,
                model.span,
                format!("`{}` has no parameters to train", model.text),
                "there is nothing to learn here",
            );
            return;
        }
        self.optimize(optimizer, total, &params, walk.run);
    }

    /// Mistakes in settings that cannot be used because of another mistake.
    fn settings_alone(&mut self, s: &Settings, keys: &[&str]) {
        for key in keys {
            let kind = match *key {
                "loss" => DefKind::Loss,
                "metrics" => DefKind::Metric,
                _ => DefKind::Optimizer,
            };
            for a in s.get(key).iter().flat_map(|s| &s.values) {
                let v = match self.seeking(Some(kind), |el| el.eval(&a.value)) {
                    Val::Weighted(_, v) => *v,
                    v => v,
                };
                match kind {
                    DefKind::Metric => self.metric_of(v, a.value.span),
                    _ => self.of_kind(v, kind, a.value.span),
                };
            }
        }
    }

    /// Writes back what the run may change.
    pub fn finish(&mut self, run: Run) {
        if !self.scans.is_empty() {
            return;
        }
        let inputs: Vec<(usize, Arc<str>, Role)> = self
            .step
            .inputs
            .iter()
            .enumerate()
            .map(|(i, x)| (i, x.name.clone(), x.role.clone()))
            .collect();
        for (i, name, role) in inputs {
            let next = match role {
                Role::Param if run == Run::Train => self.params.get(&name).map(|p| p.tensor.value),
                Role::State | Role::Slot if run == Run::Train => self
                    .states
                    .get(&name)
                    .filter(|s| s.assigned)
                    .map(|s| s.current.value),
                Role::Metric if matches!(run, Run::Train | Run::Eval) => self
                    .states
                    .get(&name)
                    .filter(|s| s.assigned)
                    .map(|s| s.current.value),
                _ => None,
            };
            if let Some(v) = next.filter(|v| *v != self.step.inputs[i].value) {
                self.step.output(&name, OutputRole::Update(i), v);
            }
        }
    }
}
