//! `train` blocks: settings, and the graphs of a run. Each run (a training
//! step, an evaluation, a prediction) elaborates the same program with other ends.

pub mod callbacks;
pub mod epoch_end;
pub mod frozen;
pub mod losses;
pub mod metrics;
pub mod optimize;
pub mod reports;
pub mod settings;
pub mod stages;
pub mod steps;
pub mod weights;

use std::sync::Arc;

use crate::diag::{Code, Diagnostic};
use crate::ir::{OutputRole, Role};
use crate::spec::TrainSpec;
use crate::syntax::ast::{self, DefKind, Ident, Step, Train, TrainItem};

use crate::check::data::balance::BALANCE;
use crate::check::data::env::DataEnv;
use crate::check::elab::Elab;
use crate::check::elab::value::{Meaning, Tensor, Val};

use metrics::MetricUse;
use reports::compared;
use settings::{Run, Settings, output_spec, setting};
use weights::Weights;

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
        let steps: Vec<&Step> = t
            .items
            .iter()
            .filter_map(|i| {
                if let TrainItem::Step(s) = i {
                    Some(s)
                } else {
                    None
                }
            })
            .collect();
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
        if models.len() != t.models.len() {
            return metrics;
        }
        self.note_frozen(t);
        let mut feeds: Vec<(Ident, Tensor)> = Vec::new();
        for item in &t.items {
            if let TrainItem::Draw {
                name,
                ty,
                value,
                span,
            } = item
                && let Some(t) = self.draw(name, ty, value, *span)
            {
                feeds.push((name.clone(), t));
            }
        }
        let targets_too = run != Run::Predict;
        let listed = env
            .inputs
            .iter()
            .map(|f| (f, true))
            .chain(env.targets.iter().map(|f| (f, false)));
        for (f, input) in listed {
            let wanted = input && models[0].inputs.iter().any(|p| p.name.text == f.name.text);
            if (targets_too || wanted)
                && let Some(t) = self.feed(f, env)
            {
                feeds.push((f.name.clone(), t));
            }
        }
        if run == Run::Train {
            spec.balance = self.balance(setting(t, BALANCE), &feeds, env);
        }
        if steps.is_empty() {
            self.single(t, env, &models, &feeds, run, spec, &mut metrics);
        } else {
            self.alternating(t, &steps, &models, &feeds, run, spec, &mut metrics);
        }
        if run == Run::Train && !self.params.is_empty() {
            self.check_frozen();
        }
        self.drop_plain_images();
        self.finish(run);
        metrics
    }

    /// One model, losses and metrics by output.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one run, each used once"
    )]
    fn single(
        &mut self,
        t: &Train,
        env: &DataEnv,
        models: &[Arc<ast::Model>],
        feeds: &[(Ident, Tensor)],
        run: Run,
        spec: &mut TrainSpec,
        metrics: &mut Vec<MetricUse>,
    ) {
        let settings = t.items.iter().filter_map(|i| {
            if let TrainItem::Setting(s) = i {
                Some(s)
            } else {
                None
            }
        });
        let s = Settings {
            items: settings.collect(),
        };
        if let [_, second, ..] = t.models.as_slice() {
            let d = Diagnostic::error(Code::E0606, "several models need steps")
                .label(second.span, "a second model")
                .help("write a `step MODEL { minimize ...  optimizer ... }` for each");
            self.report(d);
            return;
        }
        let Some(args) = self.model_args(&models[0], &t.models[0], feeds, env) else {
            return self.settings_alone(&s, &["loss", "metrics", "optimizer"]);
        };
        let out = self.apply_model_at(&models[0], args, t.models[0].span, "".into());
        let target_names: Vec<Arc<str>> = env.targets.iter().map(|f| f.name.text.clone()).collect();
        let outputs: Vec<(Arc<str>, Tensor)> = match out {
            Val::Tensor(p) => vec![(
                target_names
                    .first()
                    .cloned()
                    .unwrap_or_else(|| "output".into()),
                p,
            )],
            Val::Tuple(items) if items.iter().any(|(_, v)| v.is_error()) => {
                return self.settings_alone(&s, &["loss", "metrics", "optimizer"]);
            }
            Val::Tuple(items) => {
                let mut named = Vec::new();
                for (i, (name, v)) in items.iter().enumerate() {
                    let name = name
                        .clone()
                        .or_else(|| target_names.get(i).cloned())
                        .unwrap_or_else(|| format!("output_{i}").into());
                    if let Val::Tensor(t) = v {
                        named.push((name, t.clone()));
                    }
                }
                named
            }
            Val::Error => return self.settings_alone(&s, &["loss", "metrics", "optimizer"]),
            other => {
                self.error(
                    Code::E0312,
                    models[0].name.span,
                    "a model must return tensors",
                    format!("this one returns {}", other.describe()),
                );
                return;
            }
        };
        spec.outputs = outputs.iter().map(|(n, t)| output_spec(n, t)).collect();
        match run {
            Run::Predict => {
                for (name, p) in &outputs {
                    self.result(name, p.clone(), t.models[0].span);
                }
                return;
            }
            Run::Report => {
                return self.report_results(&outputs, env, feeds, s.get("loss"), &spec.reports);
            }
            Run::Train => self.train.compared = compared(&outputs, env, feeds),
            Run::Eval => {}
        }
        let Some(loss_setting) = s.get("loss") else {
            let target = feeds
                .iter()
                .find(|(n, _)| env.targets.iter().any(|f| f.name.text == n.text))
                .map_or((Meaning::Real, 0), |(_, y)| {
                    (y.meaning.clone(), y.ty.rank())
                });
            let mut d = Diagnostic::error(Code::E0603, "the train block has no loss")
                .label(t.data.span, "there is nothing to minimize");
            if let Some(loss) = self.world.loss_for(&target.0, target.1) {
                d = d.help(format!("add a line such as `loss {loss}`"));
            }
            self.report(d);
            return self.settings_alone(&s, &["metrics", "optimizer"]);
        };
        let mut total: Option<Tensor> = None;
        let mut failed = false;
        let several = outputs.len() > 1;
        let weights = Weights::of(&s, env, run);
        let names: Vec<&str> = outputs.iter().map(|(n, _)| &**n).collect();
        self.check_weights(&weights, &names);
        for a in &loss_setting.values {
            let v = self.eval(&a.value);
            let (weight, v) = match v {
                Val::Weighted(w, v) => (w, *v),
                v => (1.0, v),
            };
            let Some(c) = self.of_kind(v, DefKind::Loss, a.value.span) else {
                failed = true;
                continue;
            };
            let Some((name, pair)) = self.pair(a.name.as_ref(), &outputs, env, feeds, a, "loss")
            else {
                failed = true;
                continue;
            };
            if !self.is_a_choice(&pair) {
                failed = true;
                continue;
            }
            let values = self.comparing(&pair, |el| {
                el.loss_values(&c, &pair.prediction, &pair.target, a.value.span)
            });
            if let (Some(v), Some(c)) = (
                &values,
                self.train.compared.iter_mut().find(|c| c.name == name),
            ) {
                c.loss_of_samples |= v.ty.rank() > 0;
            }
            let value = values.and_then(|v| {
                let v = self.weigh(&weights, &name, v, &pair.target, a.value.span)?;
                self.scalar_mean(v, a.value.span)
            });
            let Some(value) = value else {
                failed = true;
                continue;
            };
            if several && run != Run::Predict {
                self.accumulate_mean(&format!("{name}_loss"), &value, a.span, metrics);
            }
            let weighted = if weight == 1.0 {
                Val::Tensor(value)
            } else {
                self.binary(
                    ast::BinaryOp::Mul,
                    Val::Float(weight),
                    Val::Tensor(value),
                    a.span,
                )
            };
            let Val::Tensor(w) = weighted else { continue };
            total = match total {
                None => Some(w),
                Some(t) => {
                    match self.binary(ast::BinaryOp::Add, Val::Tensor(t), Val::Tensor(w), a.span) {
                        Val::Tensor(t) => Some(t),
                        _ => None,
                    }
                }
            };
        }
        let (Some(total), false) = (total, failed) else {
            // The other settings may hold mistakes of their own.
            return self.settings_alone(&s, &["metrics", "optimizer"]);
        };
        let Some(total) = self.with_penalties(total, loss_setting.span) else {
            return;
        };
        let mut named = Vec::new();
        self.accumulate_mean("loss", &total, loss_setting.span, &mut named);
        metrics.splice(0..0, named);
        if let Some(m) = s.get("metrics") {
            self.metrics_setting(m, &outputs, env, feeds, metrics);
        }
        let Some(opt) = s.get("optimizer") else {
            let mut d = Diagnostic::error(Code::E0604, "the train block has no optimizer")
                .label(t.data.span, "an optimizer is needed to minimize the loss");
            if let Some(usual) = crate::library::mending("optimizer") {
                d = d.help(format!("add a line such as `optimizer {usual}`"));
            }
            self.report(d);
            return;
        };
        let params: Vec<Arc<str>> = self.params.keys().cloned().collect();
        if params.is_empty() {
            self.error(
                Code::E0607,
                t.models[0].span,
                format!("`{}` has no parameters to train", t.models[0].text),
                "there is nothing to learn here",
            );
            return;
        }
        self.optimize(opt, &total, &params, run);
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
                let v = match self.eval(&a.value) {
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
    fn finish(&mut self, run: Run) {
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
