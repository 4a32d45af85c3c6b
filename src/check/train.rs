//! `train` blocks: settings, and the graphs of a run. Each run (a training
//! step, an evaluation, a prediction) elaborates the same program with other ends.

use std::rc::Rc;
use std::sync::Arc;

use crate::diag::{Diagnostic, did_you_mean};
use crate::ir::prim::Binary;
use crate::ir::{Dim, Elem, Graph, OutputRole, Prim, Role, Shape, Type, Value};
use crate::lower::spec::{self, OutputSpec, TrainSpec};
use crate::span::Span;
use crate::syntax::ast::{self, Arg, DefKind, Ident, Setting, Step, Train, TrainItem};

use super::call::{article, lists};
use super::data::DataEnv;
use super::elab::Elab;
use super::mismatch::Comparison;
use super::naming::snake_case;
use super::scope::{Declares, Frame, VarRole};
use super::value::{ArgVal, Configured, DefRef, Home, Meaning, Tensor, Val};

/// What a run of the program is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Run {
    Train,
    Eval,
    Predict,
}

/// A metric in use: enough to compute its value from its accumulators.
#[derive(Debug)]
pub struct MetricUse {
    pub name: String,
    pub of: MetricOf,
}

#[derive(Debug)]
pub enum MetricOf {
    /// Total over count of the accumulators `NAME/total`, `NAME/count`.
    Mean,
    Def {
        chosen: DefRef,
        configured: Rc<Configured>,
        path: Arc<str>,
        sizes: Vec<(Arc<str>, Val)>,
        span: Span,
    },
}

const SETTINGS: [&str; 9] = [
    "loss",
    "optimizer",
    "metrics",
    "epochs",
    "batch",
    "seed",
    "shuffle",
    "callbacks",
    "report",
];

/// Settings of a train block by key; several of one key are reported.
pub struct Settings<'a> {
    items: Vec<&'a Setting>,
}

impl<'a> Settings<'a> {
    pub fn get(&self, key: &str) -> Option<&'a Setting> {
        self.items.iter().find(|s| &*s.key.text == key).copied()
    }
}

impl Elab<'_> {
    pub fn settings<'a>(
        &mut self,
        items: impl Iterator<Item = &'a Setting>,
        known: &[&str],
        what: &str,
    ) -> Settings<'a> {
        let mut kept: Vec<&Setting> = Vec::new();
        for s in items {
            if !known.contains(&&*s.key.text) {
                let mut d =
                    Diagnostic::error("E0108", format!("{what} has no setting `{}`", s.key.text))
                        .label(s.key.span, "unknown setting");
                d = match did_you_mean(&s.key.text, known.iter().copied()) {
                    Some(near) => d
                        .help(format!("did you mean `{near}`?"))
                        .fix(s.key.span, near),
                    None => d.note(format!("settings: {}", known.join(", "))),
                };
                self.report(d);
                continue;
            }
            if let Some(first) = kept.iter().find(|k| k.key.text == s.key.text) {
                let d = Diagnostic::error("E0109", format!("`{}` is set twice", s.key.text))
                    .label(s.key.span, "set again here")
                    .label(first.key.span, "first set here");
                self.report(d);
                continue;
            }
            kept.push(s);
        }
        Settings { items: kept }
    }

    /// The plain settings, defaults filled in.
    pub fn train_spec(&mut self, t: &Train, span: Span) -> TrainSpec {
        let settings = t.items.iter().filter_map(|i| match i {
            TrainItem::Setting(s) => Some(s),
            _ => None,
        });
        let s = self.settings(settings, &SETTINGS, "a train block");
        for key in ["callbacks", "report"] {
            if let Some(x) = s.get(key) {
                let d = Diagnostic::error("E0610", format!("`{key}` is not supported yet"))
                    .label(x.span, "not done by this version")
                    .help("remove it; nothing is ignored silently");
                self.report(d);
            }
        }
        let stepped = t.items.iter().any(|i| matches!(i, TrainItem::Step(_)));
        if stepped {
            for key in ["loss", "optimizer", "metrics"] {
                if let Some(x) = s.get(key) {
                    self.error(
                        "E0612",
                        x.span,
                        format!("`{key}` belongs inside a step here"),
                        "this block trains by steps",
                    );
                }
            }
        }
        let shuffle = match s.get("shuffle").map(|x| self.one_value(x)) {
            Some(Some((Val::Bool(b), _))) => b,
            Some(Some((v, at))) if !v.is_error() => {
                self.error(
                    "E0605",
                    at,
                    "`shuffle` is true or false",
                    format!("this is {}", v.describe()),
                );
                true
            }
            _ => true,
        };
        TrainSpec {
            models: t.models.iter().map(|m| m.text.to_string()).collect(),
            epochs: self.positive(s.get("epochs"), 1, 1),
            batch: self.positive(s.get("batch"), 32, 1),
            seed: self.positive(s.get("seed"), 0, 0) as u64,
            shuffle,
            metrics: Vec::new(),
            outputs: Vec::new(),
            span,
        }
    }

    fn positive(&mut self, s: Option<&Setting>, default: usize, least: i64) -> usize {
        let Some(s) = s else { return default };
        match self.one_value(s) {
            Some((Val::Int(Dim::Const(n)), _)) if n >= least && n <= i64::from(u32::MAX) => {
                n as usize
            }
            Some((Val::Error, _)) | None => default,
            Some((v, at)) => {
                self.error(
                    "E0605",
                    at,
                    format!("`{}` is a whole number from {least}", s.key.text),
                    format!("this is {}", v.describe()),
                );
                default
            }
        }
    }

    fn one_value(&mut self, s: &Setting) -> Option<(Val, Span)> {
        match s.values.as_slice() {
            [
                Arg {
                    name: None, value, ..
                },
            ] => Some((self.eval(value), value.span)),
            _ => {
                self.error(
                    "E0605",
                    s.span,
                    format!("`{}` takes one value", s.key.text),
                    format!("{} are given", s.values.len()),
                );
                None
            }
        }
    }

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
                        "E0103",
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
        if steps.is_empty() {
            self.single(t, env, &models, &feeds, run, spec, &mut metrics);
        } else {
            self.alternating(t, &steps, &models, &feeds, run, spec, &mut metrics);
        }
        self.finish(run);
        metrics
    }

    /// `draw z: [16] = random_normal`: noise of one row a sample.
    fn draw(
        &mut self,
        name: &Ident,
        ty: &ast::TypeExpr,
        value: &ast::Expr,
        span: Span,
    ) -> Option<Tensor> {
        let Ok(pattern) = super::signature::tensor_pattern(ty) else {
            self.error(
                "E0314",
                ty.span,
                "noise is made of real numbers",
                "write a shape such as `[16]`",
            );
            return None;
        };
        let mut shape = Shape::from_iter([Dim::symbol("B")]);
        shape.extend(self.shape_of(pattern.dims)?);
        match self.eval(value) {
            Val::Def(c) if c.defs[0].def.kind == DefKind::Initializer => {
                self.frames.push(Frame::new(
                    format!("draw:{}", name.text).into(),
                    "draw".into(),
                    false,
                    None,
                ));
                let v = self.run_initializer(&c, &shape, span);
                self.frames.pop();
                match v {
                    Val::Tensor(t) => Some(t),
                    _ => None,
                }
            }
            Val::Error => None,
            other => {
                let mut d = Diagnostic::error("E0301", "noise comes from an initializer")
                    .label(value.span, format!("this is {}", other.describe()));
                if let Some(usual) = crate::library::mending("noise") {
                    d = d.help(format!("write `{usual}`, for example"));
                }
                self.report(d);
                None
            }
        }
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
        models: &[Rc<ast::Model>],
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
            let d = Diagnostic::error("E0606", "several models are trained by steps")
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
                    "E0312",
                    models[0].name.span,
                    "a model gives tensors",
                    format!("this one gives {}", other.describe()),
                );
                return;
            }
        };
        spec.outputs = outputs.iter().map(|(n, t)| output_spec(n, t)).collect();
        if run == Run::Predict {
            for (name, p) in &outputs {
                self.result(name, p.clone(), t.models[0].span);
            }
            return;
        }
        let Some(loss_setting) = s.get("loss") else {
            let target = feeds
                .iter()
                .find(|(n, _)| env.targets.iter().any(|f| f.name.text == n.text))
                .map_or((Meaning::Real, 0), |(_, y)| {
                    (y.meaning.clone(), y.ty.rank())
                });
            let mut d = Diagnostic::error("E0603", "the train block has no loss")
                .label(t.data.span, "nothing says what to minimize");
            if let Some(loss) = self.world.loss_for(&target.0, target.1) {
                d = d.help(format!("add a line such as `loss {loss}`"));
            }
            self.report(d);
            return self.settings_alone(&s, &["metrics", "optimizer"]);
        };
        let mut total: Option<Tensor> = None;
        let mut failed = false;
        let several = outputs.len() > 1;
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
            self.comparison = Some(pair.clone());
            let value = self.loss_value(&c, &pair.prediction, &pair.target, a.value.span);
            self.comparison = None;
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
            for a in &m.values {
                let v = self.eval(&a.value);
                let Some(c) = self.of_kind(v, DefKind::Metric, a.value.span) else {
                    continue;
                };
                let Some((name, pair)) =
                    self.pair(a.name.as_ref(), &outputs, env, feeds, a, "metric")
                else {
                    continue;
                };
                let written = match &a.value.kind {
                    ast::ExprKind::Name(n) => n.text.to_string(),
                    _ => c.defs[0].def.name.text.to_string(),
                };
                let name = if several {
                    format!("{name}_{written}")
                } else {
                    written
                };
                self.comparison = Some(pair.clone());
                self.metric(
                    &c,
                    &name,
                    pair.prediction,
                    pair.target,
                    a.value.span,
                    metrics,
                );
                self.comparison = None;
            }
        }
        spec.metrics = metrics.iter().map(|m| m.name.clone()).collect();
        let Some(opt) = s.get("optimizer") else {
            let mut d = Diagnostic::error("E0604", "the train block has no optimizer")
                .label(t.data.span, "nothing says how to minimize the loss");
            if let Some(usual) = crate::library::mending("optimizer") {
                d = d.help(format!("add a line such as `optimizer {usual}`"));
            }
            self.report(d);
            return;
        };
        let params: Vec<Arc<str>> = self.params.keys().cloned().collect();
        if params.is_empty() {
            self.error(
                "E0607",
                t.models[0].span,
                format!("`{}` has no parameters to train", t.models[0].text),
                "nothing to learn here",
            );
            return;
        }
        self.optimize(opt, &total, &params, run);
    }

    /// Several models, each step minimizing its own expression over its own models' parameters.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one run, each used once"
    )]
    fn alternating(
        &mut self,
        t: &Train,
        steps: &[&Step],
        models: &[Rc<ast::Model>],
        feeds: &[(Ident, Tensor)],
        run: Run,
        spec: &mut TrainSpec,
        metrics: &mut Vec<MetricUse>,
    ) {
        if run == Run::Predict {
            let m = &models[0];
            let args: Option<Vec<ArgVal>> = m
                .inputs
                .iter()
                .map(|p| {
                    let t = feeds.iter().find(|(n, _)| n.text == p.name.text)?;
                    Some(ArgVal {
                        name: None,
                        val: Val::Tensor(t.1.clone()),
                        span: p.span,
                        symbol: None,
                    })
                })
                .collect();
            let Some(args) = args else {
                self.error(
                    "E0601",
                    t.models[0].span,
                    format!("`{}` needs inputs that are not among the data", m.name.text),
                    "its inputs are matched by name",
                );
                return;
            };
            if let Val::Tensor(out) = self.apply_model(m, args, t.models[0].span) {
                spec.outputs = vec![output_spec("output", &out)];
                self.result("output", out, t.models[0].span);
            }
            return;
        }
        for step in steps {
            self.frames
                .push(Frame::new("".into(), "step".into(), false, None));
            for (name, t) in feeds {
                self.frame().bind(
                    &name.text,
                    Val::Tensor(t.clone()),
                    name.span,
                    VarRole::Given,
                );
            }
            for s in &step.stmts {
                self.stmt(s);
            }
            let s = self.settings(step.settings.iter(), &["minimize", "optimizer"], "a step");
            let mut wanted = Vec::new();
            for m in &step.models {
                match t.models.iter().find(|n| n.text == m.text) {
                    Some(_) => wanted.push(format!("{}/", snake_case(&m.text))),
                    None => {
                        let mut d = Diagnostic::error(
                            "E0606",
                            format!("`{}` is not trained by this block", m.text),
                        )
                        .label(m.span, "unknown model");
                        if let Some(near) = did_you_mean(&m.text, t.models.iter().map(|n| &*n.text))
                        {
                            d = d.help(format!("did you mean `{near}`?")).fix(m.span, near);
                        }
                        self.report(d);
                    }
                }
            }
            let value = match s.get("minimize").map(|m| (self.one_value(m), m.span)) {
                Some((Some((Val::Tensor(v), _)), at)) => self.scalar_mean(v, at),
                Some((Some((Val::Error, _)) | None, _)) => None,
                Some((Some((v, at)), _)) => {
                    self.error(
                        "E0312",
                        at,
                        "a step minimizes a tensor",
                        format!("this is {}", v.describe()),
                    );
                    None
                }
                None => {
                    self.error(
                        "E0603",
                        step.span,
                        "the step has no `minimize`",
                        "nothing says what to minimize",
                    );
                    None
                }
            };
            if let Some(value) = value {
                let name = format!(
                    "{}_loss",
                    step.models
                        .iter()
                        .map(|m| snake_case(&m.text))
                        .collect::<Vec<_>>()
                        .join("_")
                );
                self.accumulate_mean(&name, &value, step.span, metrics);
                let params: Vec<Arc<str>> = self
                    .params
                    .keys()
                    .filter(|k| wanted.iter().any(|w| k.starts_with(w.as_str())))
                    .cloned()
                    .collect();
                match s.get("optimizer") {
                    Some(opt) if !params.is_empty() => self.optimize(opt, &value, &params, run),
                    Some(_) if wanted.is_empty() => {}
                    Some(opt) => {
                        self.error(
                            "E0607",
                            opt.span,
                            "the step's models have no parameters in what it minimizes",
                            "nothing to learn here",
                        );
                    }
                    None => {
                        self.error(
                            "E0604",
                            step.span,
                            "the step has no optimizer",
                            "nothing says how to minimize",
                        );
                    }
                }
            }
            self.frames.pop();
        }
        spec.metrics = metrics.iter().map(|m| m.name.clone()).collect();
    }

    fn model_args(
        &mut self,
        m: &ast::Model,
        used: &Ident,
        feeds: &[(Ident, Tensor)],
        env: &DataEnv,
    ) -> Option<Vec<ArgVal>> {
        let mut args = Vec::new();
        for p in &m.inputs {
            match feeds.iter().find(|(n, _)| n.text == p.name.text) {
                Some((n, t)) => args.push(ArgVal {
                    name: None,
                    val: Val::Tensor(t.clone()),
                    span: n.span,
                    symbol: None,
                }),
                None => {
                    // A feed that failed has been reported.
                    if env
                        .inputs
                        .iter()
                        .chain(&env.targets)
                        .any(|f| f.name.text == p.name.text)
                    {
                        return None;
                    }
                    let mut d = Diagnostic::error(
                        "E0601",
                        format!("the data have no input `{}`", p.name.text),
                    )
                    .label(p.span, format!("`{}` needs it", m.name.text))
                    .label(used.span, "trained here");
                    let known: Vec<&str> = env.inputs.iter().map(|f| &*f.name.text).collect();
                    d = match did_you_mean(&p.name.text, known.iter().copied()) {
                        Some(near) => d.help(format!("did you mean `{near}`?")),
                        None => d.help(format!(
                            "the data's inputs: {}",
                            if known.is_empty() {
                                "none".into()
                            } else {
                                known.join(", ")
                            }
                        )),
                    };
                    self.report(d);
                    return None;
                }
            }
        }
        Some(args)
    }

    /// A model used as a function: its parameters are named after it.
    pub fn apply_model(&mut self, m: &Rc<ast::Model>, args: Vec<ArgVal>, span: Span) -> Val {
        let path = self.top().path.clone();
        let name = snake_case(&m.name.text);
        let path: Arc<str> = if path.is_empty() {
            name.into()
        } else {
            format!("{path}/{name}").into()
        };
        self.apply_model_at(m, args, span, path)
    }

    pub fn apply_model_at(
        &mut self,
        m: &Rc<ast::Model>,
        args: Vec<ArgVal>,
        span: Span,
        path: Arc<str>,
    ) -> Val {
        if !self.enter(span) {
            return Val::Error;
        }
        if args.len() != m.inputs.len() {
            self.leave();
            return self.error(
                "E0107",
                span,
                format!("`{}` takes {} inputs", m.name.text, m.inputs.len()),
                format!("{} are given", args.len()),
            );
        }
        self.reset_names(&path);
        let mut bound = Vec::new();
        for (p, a) in m.inputs.iter().zip(&args) {
            let t = match &a.val {
                Val::Tensor(t) => t.clone(),
                Val::Error => {
                    self.leave();
                    return Val::Error;
                }
                other => {
                    self.leave();
                    return self.error(
                        "E0312",
                        a.span,
                        format!("`{}` of `{}` takes a tensor", p.name.text, m.name.text),
                        format!("this is {}", other.describe()),
                    );
                }
            };
            let fitted = match p.ty.as_ref().map(super::signature::tensor_pattern) {
                Some(Ok(pattern)) => self.input_fits(&pattern, t, p, a.span),
                Some(Err(word)) => {
                    let word = word.clone();
                    self.unknown_type(&word);
                    None
                }
                None => {
                    self.untyped_input(p);
                    None
                }
            };
            let Some(fitted) = fitted else {
                self.leave();
                return Val::Error;
            };
            bound.push((p.name.clone(), fitted));
        }
        let application = self.application(&path);
        let mut frame = Frame::new(path, m.name.text.to_string(), false, Some(span));
        frame.declares = Declares::Layer;
        frame.draws = application << 16;
        for (n, t) in bound {
            frame.bind(&n.text, Val::Tensor(t), n.span, VarRole::Given);
        }
        self.frames.push(frame);
        let v = self.block(&m.body);
        let v = match v {
            Some(v) => self.model_result(m, v),
            None => self.no_value(&m.name, &m.body),
        };
        self.frames.pop();
        self.leave();
        v
    }

    pub fn untyped_input(&mut self, p: &ast::Param) {
        let d = Diagnostic::error("E0314", format!("the input `{}` needs a type", p.name.text))
            .label(p.span, format!("such as `{}: [784]`", p.name.text));
        self.report(d);
    }

    fn input_fits(
        &mut self,
        pattern: &super::signature::Pattern,
        t: Tensor,
        p: &ast::Param,
        at: Span,
    ) -> Option<Tensor> {
        let text = super::signature::pattern_text(pattern);
        let before = self.diags.len();
        let fitted = self.per_sample(pattern, t.clone(), p.span, at, &p.name.text);
        if fitted.is_none()
            && self.diags.len() > before
            && self.diags.last().is_some_and(|d| d.code == "E0507")
        {
            self.diags.pop();
            let found = super::signature::per_sample_text(&t);
            let d = Diagnostic::error(
                "E0602",
                format!(
                    "the model takes {text} for `{}`, but the data give {found}",
                    p.name.text
                ),
            )
            .label(p.span, format!("declared {text}"))
            .label(at, format!("this is {found} a sample"));
            self.report(d);
        }
        fitted
    }

    fn model_result(&mut self, m: &ast::Model, v: Val) -> Val {
        let (Some(ty), Val::Tensor(t)) = (&m.result, &v) else {
            return v;
        };
        if !matches!(ty.kind, ast::TypeKind::Plain { .. }) {
            return v;
        }
        let pattern = match super::signature::tensor_pattern(ty) {
            Ok(pattern) => pattern,
            Err(word) => {
                let word = word.clone();
                self.unknown_type(&word);
                return Val::Error;
            }
        };
        let at = m.body.value.as_ref().map_or(ty.span, |e| e.span);
        // A head of one unit may be declared a scalar.
        let unit = pattern.dims.is_empty() && t.ty.rank() == 2 && t.ty.shape[1] == Dim::ONE;
        let seen = if unit {
            Tensor {
                ty: Type {
                    elem: t.ty.elem,
                    shape: t.ty.shape[..1].iter().cloned().collect(),
                },
                ..t.clone()
            }
        } else {
            t.clone()
        };
        let before = self.diags.len();
        if self
            .per_sample(&pattern, seen, ty.span, at, &m.name.text)
            .is_none()
        {
            if self.diags.len() > before && self.diags.last().is_some_and(|d| d.code == "E0507") {
                self.diags.pop();
                let d = Diagnostic::error(
                    "E0213",
                    format!(
                        "`{}` gives {} a sample, but declares {}",
                        m.name.text,
                        super::signature::per_sample_text(t),
                        super::signature::pattern_text(&pattern)
                    ),
                )
                .label(at, format!("this is {t}"))
                .label(ty.span, "declared here");
                self.report(d);
            }
            return Val::Error;
        }
        v
    }

    /// The definition of a kind that a value names: `mean_squared_error` is a loss and a metric.
    fn of_kind(&mut self, v: Val, kind: DefKind, span: Span) -> Option<Rc<Configured>> {
        match v {
            Val::Def(c) => {
                let defs: Vec<DefRef> = c
                    .defs
                    .iter()
                    .filter(|d| d.def.kind == kind)
                    .cloned()
                    .collect();
                if defs.is_empty() {
                    let found = c.defs[0].def.kind.keyword();
                    let d = Diagnostic::error(
                        "E0103",
                        format!(
                            "`{}` is {} {found}, not {} {}",
                            c.defs[0].def.name.text,
                            article(found),
                            article(kind.keyword()),
                            kind.keyword()
                        ),
                    )
                    .label(
                        span,
                        format!(
                            "{} {} is needed here",
                            article(kind.keyword()),
                            kind.keyword()
                        ),
                    );
                    self.report(d);
                    return None;
                }
                Some(Rc::new(Configured {
                    defs: Rc::new(defs),
                    args: c.args.clone(),
                    span: c.span,
                }))
            }
            Val::Error => None,
            other => {
                let word = kind.keyword();
                self.error(
                    "E0103",
                    span,
                    format!("{} {word} is needed here", article(word)),
                    format!("this is {}", other.describe()),
                );
                None
            }
        }
    }

    /// The output and the target that a loss or metric compares.
    fn pair(
        &mut self,
        name: Option<&Ident>,
        outputs: &[(Arc<str>, Tensor)],
        env: &DataEnv,
        feeds: &[(Ident, Tensor)],
        arg: &Arg,
        what: &str,
    ) -> Option<(Arc<str>, Comparison)> {
        let span = arg.span;
        let output = match name {
            Some(n) => match outputs.iter().find(|(o, _)| *o == n.text) {
                Some(o) => o,
                None => {
                    let mut d =
                        Diagnostic::error("E0608", format!("the model has no output `{}`", n.text))
                            .label(n.span, "unknown output");
                    let known: Vec<&str> = outputs.iter().map(|(o, _)| &**o).collect();
                    d = match did_you_mean(&n.text, known.iter().copied()) {
                        Some(near) => d.help(format!("did you mean `{near}`?")).fix(n.span, near),
                        None => d.note(format!("outputs: {}", known.join(", "))),
                    };
                    self.report(d);
                    return None;
                }
            },
            None if outputs.len() == 1 => &outputs[0],
            None => {
                let known: Vec<&str> = outputs.iter().map(|(o, _)| &**o).collect();
                let d = Diagnostic::error(
                    "E0608",
                    format!(
                        "the model has {} outputs: which one does this {what} compare?",
                        outputs.len()
                    ),
                )
                .label(span, "name it")
                .help(format!(
                    "write `{} = ..`",
                    known.first().copied().unwrap_or("output")
                ));
                self.report(d);
                return None;
            }
        };
        let target = match env.targets.as_slice() {
            [] => {
                let d = Diagnostic::error("E0609", "the data have no target")
                    .label(span, format!("this {what} compares with one"))
                    .help("add a line such as `target y : class[10] = label` to the data block");
                self.report(d);
                return None;
            }
            [one] if outputs.len() == 1 => one,
            many => match many.iter().find(|f| f.name.text == output.0) {
                Some(f) => f,
                None => {
                    let known: Vec<&str> = many.iter().map(|f| &*f.name.text).collect();
                    let d = Diagnostic::error(
                        "E0609",
                        format!("no target is named `{}` like the output", output.0),
                    )
                    .label(span, format!("this {what} needs it"))
                    .note(format!("targets: {}", known.join(", ")));
                    self.report(d);
                    return None;
                }
            },
        };
        let y = feeds
            .iter()
            .find(|(n, _)| n.text == target.name.text)?
            .1
            .clone();
        let value = target
            .value
            .as_ref()
            .map_or(target.name.text.to_string(), |v| self.source_text(v.span));
        let comparison = Comparison {
            prediction: output.1.clone(),
            target: y,
            name: target.name.clone(),
            value,
            at: arg.value.span,
            depth: self.frames.len(),
        };
        Some((output.0.clone(), comparison))
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
                self.of_kind(v, kind, a.value.span);
            }
        }
    }

    /// A head of one unit meets a scalar target.
    fn squeeze_head(&mut self, p: Tensor, y: &Tensor, span: Span) -> Option<Tensor> {
        if p.ty.rank() == y.ty.rank() + 1 && p.ty.shape.last() == Some(&Dim::ONE) {
            let mut shape = p.ty.shape.clone();
            shape.pop();
            let meaning = p.meaning.clone();
            return match self.emit(Prim::Reshape(shape), &[&p], meaning, span) {
                Val::Tensor(t) => Some(t),
                _ => None,
            };
        }
        Some(p)
    }

    /// Applies a loss as a train block does: one value a sample, then their mean.
    fn loss_value(&mut self, c: &Configured, p: &Tensor, y: &Tensor, span: Span) -> Option<Tensor> {
        let p = self.squeeze_head(p.clone(), y, span)?;
        let (p, y) = self.widen_targets(c, p, y.clone(), span)?;
        let arg = |t: Tensor| ArgVal {
            name: None,
            val: Val::Tensor(t),
            span,
            symbol: None,
        };
        match self.apply(c, vec![arg(p), arg(y)], span, "".into()) {
            Val::Tensor(t) => self.scalar_mean(t, span),
            _ => None,
        }
    }

    /// Scalar predictions and targets become rows of one where the definition wants a last axis.
    fn widen_targets(
        &mut self,
        c: &Configured,
        p: Tensor,
        y: Tensor,
        span: Span,
    ) -> Option<(Tensor, Tensor)> {
        let wants_axis = c.defs.iter().all(|d| {
            let (_, inputs) = lists(&d.def);
            inputs
                .first()
                .and_then(|i| i.ty.as_ref())
                .is_some_and(|ty| match super::signature::tensor_pattern(ty) {
                    Ok(p) => p.dims.iter().any(|d| !matches!(d, ast::DimExpr::Rest(_))),
                    Err(_) => false,
                })
        });
        if !(wants_axis && p.ty.rank() == 1 && y.ty.rank() == 1 && !y.meaning.is_id()) {
            return Some((p, y));
        }
        let widen = |el: &mut Self, t: Tensor| {
            let mut shape = t.ty.shape.clone();
            shape.push(Dim::ONE);
            let meaning = t.meaning.clone();
            match el.emit(Prim::Reshape(shape), &[&t], meaning, span) {
                Val::Tensor(t) => Some(t),
                _ => None,
            }
        };
        Some((widen(self, p)?, widen(self, y)?))
    }

    fn scalar_mean(&mut self, t: Tensor, span: Span) -> Option<Tensor> {
        let t = self.cast(t, Elem::F32, span)?;
        if t.ty.rank() == 0 {
            return Some(t);
        }
        let axes = (0..t.ty.rank()).collect();
        match self.mean_over(&t, axes, false, span) {
            Val::Tensor(t) => Some(t),
            _ => None,
        }
    }

    fn with_penalties(&mut self, total: Tensor, span: Span) -> Option<Tensor> {
        let mut sum = total;
        for p in std::mem::take(&mut self.penalties) {
            match self.emit(Prim::Binary(Binary::Add), &[&sum, &p], Meaning::Real, span) {
                Val::Tensor(t) => sum = t,
                _ => return None,
            }
        }
        Some(sum)
    }

    /// `NAME/total += value * B`, `NAME/count += B`: the mean over samples, however batches fall.
    fn accumulate_mean(
        &mut self,
        name: &str,
        value: &Tensor,
        span: Span,
        metrics: &mut Vec<MetricUse>,
    ) {
        let scalar = Type::scalar(Elem::F64);
        let Some(value) = self.cast(value.clone(), Elem::F64, span) else {
            return;
        };
        let Val::Tensor(b) = self.size(&Dim::symbol("B"), Elem::F64, span) else {
            return;
        };
        let Val::Tensor(weighted) = self.emit(
            Prim::Binary(Binary::Mul),
            &[&value, &b],
            Meaning::Real,
            span,
        ) else {
            return;
        };
        for (part, add) in [("total", weighted), ("count", b)] {
            let full: Arc<str> = format!("{name}/{part}").into();
            let kept = self.keep(&full, scalar.clone(), Role::Metric);
            self.zero(&full);
            if let Val::Tensor(next) = self.emit(
                Prim::Binary(Binary::Add),
                &[&kept, &add],
                Meaning::Real,
                span,
            ) {
                let s = self.states.get_mut(&full).expect("just kept");
                s.current = next;
                s.assigned = true;
            }
        }
        metrics.push(MetricUse {
            name: name.into(),
            of: MetricOf::Mean,
        });
    }

    /// Makes 0 the initial value of an F64 accumulator.
    fn zero(&mut self, full: &Arc<str>) {
        if self.inits.insert(full.clone()) {
            let zero = self.init.constant(0.0, Elem::F64);
            self.init.output(full, OutputRole::Result, zero);
        }
    }

    /// Runs a metric's statements; its value is computed from the accumulators elsewhere.
    fn metric(
        &mut self,
        c: &Rc<Configured>,
        name: &str,
        p: Tensor,
        y: Tensor,
        span: Span,
        metrics: &mut Vec<MetricUse>,
    ) {
        let Some(p) = self.squeeze_head(p, &y, span) else {
            return;
        };
        let Some((p, y)) = self.widen_targets(c, p, y, span) else {
            return;
        };
        let arg = |t: Tensor| ArgVal {
            name: None,
            val: Val::Tensor(t),
            span,
            symbol: None,
        };
        let args = vec![arg(p), arg(y)];
        let Some(chosen) = self.chosen(c, &args) else {
            return;
        };
        let path: Arc<str> = name.into();
        self.push_frame(&chosen, path.clone(), span);
        let mut sizes = Vec::new();
        if self.bind_config(c, &chosen) && self.bind_inputs(&chosen, args, span) {
            for s in &chosen.def.body.stmts {
                self.stmt(s);
            }
            let frame = self.top();
            sizes = frame
                .names()
                .filter_map(|n| match frame.get(n) {
                    Some(v) if v.role == VarRole::Given && !matches!(v.val, Val::Tensor(_)) => {
                        Some((Arc::from(n), v.val.clone()))
                    }
                    _ => None,
                })
                .collect();
            if chosen.def.body.value.is_none() {
                self.no_value(&chosen.def.name, &chosen.def.body);
            }
        }
        self.frames.pop();
        metrics.push(MetricUse {
            name: name.into(),
            of: MetricOf::Def {
                chosen,
                configured: c.clone(),
                path,
                sizes,
                span,
            },
        });
    }

    /// The graph from accumulators to values.
    pub fn metric_values(&mut self, metrics: &[MetricUse]) {
        for m in metrics {
            let value = match &m.of {
                MetricOf::Mean => {
                    let scalar = Type::scalar(Elem::F64);
                    let total = self.keep(
                        &format!("{}/total", m.name).into(),
                        scalar.clone(),
                        Role::Metric,
                    );
                    let count =
                        self.keep(&format!("{}/count", m.name).into(), scalar, Role::Metric);
                    self.emit(
                        Prim::Binary(Binary::Div),
                        &[&total, &count],
                        Meaning::Real,
                        Span::default(),
                    )
                }
                MetricOf::Def {
                    chosen,
                    configured,
                    path,
                    sizes,
                    span,
                } => {
                    self.push_frame(chosen, path.clone(), *span);
                    self.bind_config(configured, chosen);
                    for (n, v) in sizes {
                        self.frame().bind_given(n, v.clone(), *span);
                    }
                    for s in &chosen.def.body.stmts {
                        if let ast::StmtKind::State(_) = &s.kind {
                            self.stmt(s);
                        }
                    }
                    let v = match &chosen.def.body.value {
                        Some(e) => self.eval(e),
                        None => Val::Error,
                    };
                    self.frames.pop();
                    v
                }
            };
            let value = match value {
                Val::Tensor(t) => self.cast(t, Elem::F64, Span::default()),
                Val::Int(_) | Val::Float(_) => self.as_tensor(&value, Elem::F64, Span::default()),
                _ => None,
            };
            if let Some(t) = value {
                self.result(&m.name, t, Span::default());
            }
        }
    }

    fn result(&mut self, name: &str, t: Tensor, span: Span) {
        if let Some(v) = self.reach(&t, span) {
            self.step.output(name, OutputRole::Result, v);
        }
    }

    /// The gradient of `total` by the parameters, and the optimizer's update of each.
    fn optimize(&mut self, setting: &Setting, total: &Tensor, params: &[Arc<str>], run: Run) {
        let Some((v, span)) = self.one_value(setting) else {
            return;
        };
        let Some(c) = self.of_kind(v, DefKind::Optimizer, span) else {
            return;
        };
        if run != Run::Train {
            return;
        }
        let trained: Vec<Arc<str>> = params
            .iter()
            .filter(|p| self.params[*p].trainable)
            .cloned()
            .collect();
        let mut args = vec![total.value];
        args.extend(trained.iter().map(|p| self.params[p].tensor.value));
        let origin = self.origin(span);
        let grads: Vec<Value> = match self.step.push(Prim::Gradient, &args, origin) {
            Ok(g) => g.to_vec(),
            Err(e) => {
                self.type_error(e, span);
                return;
            }
        };
        let done = self.step_counter();
        let Some(done) = self.cast(done, Elem::F32, span) else {
            return;
        };
        let Val::Tensor(step) = self.binary(
            ast::BinaryOp::Add,
            Val::Tensor(done),
            Val::Int(Dim::ONE),
            span,
        ) else {
            return;
        };
        let class = self.auto_name(&c.defs[0].def.name.text.to_lowercase());
        let Some(c) = self.with_rates(&c, &class, &step, span) else {
            return;
        };
        let r = c.defs[0].clone();
        for (name, grad) in trained.iter().zip(grads) {
            let info = self.params[name].clone();
            let grad = Tensor {
                value: grad,
                ..info.tensor.clone()
            };
            if !self.enter(span) {
                return;
            }
            self.push_frame(&r, format!("{class}/{name}").into(), span);
            for (n, t) in [("param", &info.tensor), ("grad", &grad), ("step", &step)] {
                self.frame()
                    .bind_given(&n.into(), Val::Tensor(t.clone()), r.def.name.span);
            }
            let next = if self.bind_config(&c, &r) {
                self.block(&r.def.body)
            } else {
                None
            };
            self.frames.pop();
            self.leave();
            let Some(next) = next else { return };
            let Val::Tensor(mut next) = next else {
                if !next.is_error() {
                    self.error(
                        "E0312",
                        r.def.name.span,
                        format!("`{}` must give the parameter's new value", r.def.name.text),
                        format!("this is {}", next.describe()),
                    );
                }
                return;
            };
            if let Some(Val::Def(k)) = &info.constraint {
                let Val::Tensor(t) =
                    self.run_with(k, &[("param", Val::Tensor(next.clone()))], span)
                else {
                    return;
                };
                next = t;
            }
            if next.ty != info.tensor.ty {
                self.error(
                    "E0213",
                    r.def.name.span,
                    format!(
                        "`{}` gives {next} for a parameter {}",
                        r.def.name.text, info.tensor.ty
                    ),
                    "the new value must have the parameter's type",
                );
                return;
            }
            self.params.get_mut(name).expect("listed above").tensor = Tensor {
                value: next.value,
                ..info.tensor
            };
        }
    }

    /// Makes a runtime number of a constant `lr`, and a graph of a schedule.
    fn with_rates(
        &mut self,
        c: &Rc<Configured>,
        class: &str,
        step: &Tensor,
        span: Span,
    ) -> Option<Rc<Configured>> {
        let r = c.defs[0].clone();
        self.push_frame(&r, "".into(), span);
        let ok = self.bind_config(c, &r);
        let bound: Vec<(Ident, Val)> = lists(&r.def)
            .0
            .iter()
            .filter_map(|p| Some((p.name.clone(), self.top().get(&p.name.text)?.val.clone())))
            .collect();
        self.frames.pop();
        if !ok {
            return None;
        }
        let mut args = Vec::new();
        for (name, v) in bound {
            let val = match &v {
                Val::Def(s) if s.defs[0].def.kind == DefKind::Schedule => {
                    self.run_with(s, &[("step", Val::Tensor(step.clone()))], span)
                }
                Val::Float(_) | Val::Int(_) if &*name.text == "lr" => {
                    let full = format!("{class}/learning_rate");
                    let ty = Type::scalar(Elem::F32);
                    let value = self.step.input(&full, Role::Hyper, ty.clone());
                    if self.inits.insert(full.as_str().into()) {
                        let x = super::ops::float(&v)?;
                        let init = self.init.constant(x, Elem::F32);
                        self.init.output(&full, OutputRole::Result, init);
                    }
                    Val::Tensor(Tensor {
                        value,
                        home: Home::Step,
                        ty,
                        meaning: Meaning::Real,
                    })
                }
                _ => v,
            };
            if val.is_error() {
                return None;
            }
            args.push(ArgVal {
                name: Some(name),
                val,
                span,
                symbol: None,
            });
        }
        Some(Rc::new(Configured {
            defs: c.defs.clone(),
            args,
            span: c.span,
        }))
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
                Role::Metric if run != Run::Predict => self
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

    /// The finished graph.
    pub fn take_step(&mut self, name: &str) -> Graph {
        let mut g = std::mem::take(&mut self.step);
        g.name = name.into();
        g
    }

    fn chosen(&mut self, c: &Configured, args: &[ArgVal]) -> Option<DefRef> {
        if args.iter().any(|a| a.val.is_error()) {
            return None;
        }
        let chosen = if c.defs.len() == 1 {
            &c.defs[0]
        } else {
            self.choose(c, args)
        };
        if self.bad.contains(&(Arc::as_ptr(&chosen.def) as usize)) {
            return None;
        }
        Some(chosen.clone())
    }
}

fn output_spec(name: &str, t: &Tensor) -> OutputSpec {
    let meaning = match t.meaning {
        Meaning::Prob => spec::Meaning::Prob,
        Meaning::Real | Meaning::Class(_) | Meaning::Token(_) => spec::Meaning::Real,
    };
    OutputSpec {
        name: name.into(),
        meaning,
    }
}
