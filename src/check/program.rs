//! A loaded program, declaration by declaration: definitions, data blocks, models, the `train`
//! block and the sweep.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashSet;

use crate::diag::{Code, Diagnostic, Severity, did_you_mean};
use crate::ir::{Dim, Graph, Role};
use crate::span::Span;
use crate::spec::sweep::SweepSpec;
use crate::spec::{DataSpec, Programs, TrainSpec};
use crate::syntax::ast::{self, DeclKind};

use super::data::feed::FeedInfo;
use super::elab::Elab;
use super::elab::load::Loaded;
use super::elab::pattern::{Pattern, tensor_pattern};
use super::elab::state::{LayerUse, Mode};
use super::elab::value::{ArgVal, DefRef, Val};
use super::elab::world::{Global, Purpose, World};
use super::sweep::{Probe, Trained};
use super::train::callbacks::Reported;
use super::train::settings::{Run, setting};
use super::unused;

/// A program without errors.
#[derive(Debug)]
pub struct Checked {
    pub data: Option<DataSpec>,
    pub train: Option<TrainSpec>,
    /// From columns to what a model is fed: a result for each of `feeds`.
    pub feed: Graph,
    pub feeds: Vec<FeedInfo>,
    /// What the reports of the train block show of a batch; empty where they show nothing of
    /// one. The results: `reports.rs`.
    pub report: Graph,
    /// What a `train` block compiles to.
    pub programs: Option<Programs>,
    /// The applied layers of the trained model (or the first), in order.
    pub layers: Vec<LayerUse>,
    /// Names of the file's models.
    pub models: Vec<String>,
    pub sweep: Option<SweepSpec>,
}

/// `probes`: the values of a sweep with which the program is still to be checked.
pub(super) fn check_decls(
    loaded: &Loaded,
    diags: &mut Vec<Diagnostic>,
    probes: &mut Vec<Probe>,
) -> Option<Checked> {
    let world = &loaded.world;
    let generic = Mode {
        training: true,
        generic: true,
    };
    let mut bad = HashSet::new();
    let mut walk = Elab::new(world, generic, "generic");
    let mut defs: Vec<(&Arc<ast::Def>, bool)> = Vec::new();
    for decl in &loaded.decls {
        match &decl.kind {
            DeclKind::Def(def) => {
                let mut attributes = decl.attributes.iter();
                let stage = attributes.any(|a| &*a.name.text == "every_optimizer");
                defs.push((def, stage));
            }
            DeclKind::Const(c) => {
                walk.name(&c.name);
            }
            _ => {}
        }
    }
    for (def, stage) in defs {
        let mut one = Elab::new(world, generic, "generic");
        let r = DefRef {
            def: def.clone(),
            library: false,
        };
        if !one.generic(&r, stage) {
            bad.insert(Arc::as_ptr(def) as usize);
        }
        walk.diags.append(&mut one.diags);
    }
    diags.append(&mut walk.diags);
    let bad = Rc::new(bad);
    let mut models = Vec::new();
    let mut trains = Vec::new();
    let mut sweeps = Vec::new();
    for decl in &loaded.decls {
        match &decl.kind {
            DeclKind::Model(m) => models.push(m.clone()),
            DeclKind::Train(t) => trains.push((t, decl.span)),
            DeclKind::Sweep(s) => sweeps.push((s, decl.span)),
            _ => {}
        }
    }
    let blocks: Vec<(&ast::Data, Span)> = loaded
        .decls
        .iter()
        .filter_map(|d| {
            if let DeclKind::Data(data) = &d.kind {
                Some((data, d.span))
            } else {
                None
            }
        })
        .collect();
    let step = |training| Mode {
        training,
        generic: false,
    };
    let mut checked = Checked {
        data: None,
        feed: Graph::default(),
        feeds: Vec::new(),
        report: Graph::default(),
        train: None,
        programs: None,
        layers: Vec::new(),
        models: models.iter().map(|m| m.name.text.to_string()).collect(),
        sweep: None,
    };
    let mut trained_block = None;
    if let [(first, _), (second, _), ..] = trains.as_slice() {
        let head = |t: &ast::Train| match t.models.first() {
            Some(m) => m.span.to(t.data.span),
            None => t.data.span,
        };
        diags.push(
            Diagnostic::error(Code::E0611, "a file can only have one train block")
                .label(head(second), "a second one")
                .label(head(first), "the first"),
        );
    }
    let mut trained: HashSet<Arc<str>> = HashSet::new();
    if let Some((t, span)) = trains.first() {
        trained.extend(t.models.iter().map(|m| m.text.clone()));
        let data = blocks.iter().find(|(d, _)| d.name.text == t.data.text);
        match data {
            Some((d, at)) => {
                let run = check_train(world, t, *span, d, *at, &bad, &mut checked, diags);
                trained_block = Some(run);
            }
            // What is wrong with it has been said.
            None if matches!(world.globals.get(&t.data.text), Some((Global::Broken, _))) => {}
            None => {
                let mut e = Elab::new(world, step(true), "train");
                let known: Vec<&str> = blocks.iter().map(|(d, _)| &*d.name.text).collect();
                let mut r = Diagnostic::error(
                    Code::E0613,
                    format!("there is no data block `{}`", t.data.text),
                )
                .label(t.data.span, "not declared");
                if let Some(near) = did_you_mean(&t.data.text, known) {
                    r = r
                        .help(format!("did you mean `{near}`?"))
                        .fix(t.data.span, near);
                }
                e.report(r);
                diags.append(&mut e.diags);
            }
        }
    }
    // Data blocks and models that nothing trains are checked all the same.
    for (d, at) in &blocks {
        if trains
            .first()
            .is_some_and(|(t, _)| t.data.text == d.name.text)
        {
            continue;
        }
        let mut e = Elab::new(world, step(true), "data");
        e.bad = bad.clone();
        let mut env = e.data_block(d, *at);
        let feeds = e.feeds(&env);
        env.spec.derived = std::mem::take(&mut e.derived);
        env.spec.augmented = std::mem::take(&mut e.augmented);
        if checked.data.is_none() {
            (checked.feed, checked.feeds) = (e.take_step("feed"), feeds);
            env.spec.keep_statistics(&[&checked.feed]);
            checked.data = Some(env.spec);
        }
        diags.append(&mut e.diags);
    }
    for m in &models {
        if trained.contains(&m.name.text) {
            continue;
        }
        for training in [true, false] {
            let mut e = Elab::new(world, step(training), "model");
            e.bad = bad.clone();
            e.model_alone(m);
            if training && checked.layers.is_empty() {
                checked.layers = std::mem::take(&mut e.layers);
            }
            diags.append(&mut e.diags);
            if !e.asked_training {
                break;
            }
        }
    }
    if let [(first, _), (second, _), ..] = sweeps.as_slice() {
        diags.push(
            Diagnostic::error(Code::E0712, "a file can only have one sweep")
                .label(second.model.span, "a second one")
                .label(first.model.span, "the first"),
        );
    }
    if let Some((s, span)) = sweeps.first() {
        let fine = diags.iter().all(|d| d.severity != Severity::Error);
        let trained = (trains.first()).map(|(block, _)| Trained {
            block,
            reported: (trained_block.as_ref()).and_then(|run| fine.then_some(&run.reported)),
            epochs: (trained_block.as_ref()).map_or(usize::MAX, |run| run.epochs),
            folded: (trained_block.as_ref()).is_some_and(|run| run.folded),
            data_names: unused::names_of_data(&loaded.decls),
        });
        let mut e = Elab::new(world, step(true), "sweep");
        (checked.sweep, *probes) = e.sweep(s, *span, trained.as_ref());
        diags.append(&mut e.diags);
    }
    if diags.iter().all(|d| d.severity != Severity::Error) {
        for decl in &loaded.decls {
            unused::check(decl, diags);
        }
        unused::check_file(&loaded.decls, crate::span::SourceId(0), diags);
    }
    Some(checked)
}

#[expect(
    clippy::too_many_arguments,
    reason = "one caller; the parts of one check"
)]
fn check_train(
    world: &World,
    t: &ast::Train,
    span: Span,
    d: &ast::Data,
    data_span: Span,
    bad: &Rc<HashSet<usize>>,
    checked: &mut Checked,
    diags: &mut Vec<Diagnostic>,
) -> TrainedRun {
    let elab = |training: bool, name: &str| {
        let mut e = Elab::new(
            world,
            Mode {
                training,
                generic: false,
            },
            name,
        );
        e.bad = bad.clone();
        e
    };
    let mut e = elab(true, "train");
    let mut env = e.data_block(d, data_span);
    let mut spec = e.train_spec(t, span);
    let mut metrics = e.run(t, &env, Run::Train, &mut spec);
    let mut ends = Vec::new();
    let [values, closing] = [("metrics", false), ("closing", true)].map(|(name, collecting)| {
        let mut e = elab(false, name);
        e.ending = true;
        e.metric_values(&mut metrics, collecting);
        ends.append(&mut e.diags);
        e.take_step(name)
    });
    let shown = values.outputs.iter().chain(&closing.outputs);
    spec.metrics = shown.map(|o| o.name.to_string()).collect();
    let reported = e.reported_by(&env, &metrics);
    spec.callbacks = e.callbacks(setting(t, "callbacks"), &reported);
    spec.rates = std::mem::take(&mut e.rates);
    let run = TrainedRun {
        reported,
        epochs: spec.epochs,
        folded: env.spec.folds().is_some(),
    };
    let wanted = setting(t, "report");
    spec.reports = e.reports(wanted, t, &run.reported);
    e.streamed_reports(&spec.reports, &env);
    let last = std::mem::take(&mut e.ends);
    let mut derived = std::mem::take(&mut e.derived);
    env.spec.fits.append(&mut e.balanced);
    env.spec.augmented = std::mem::take(&mut e.augmented);
    let (train, init) = (e.take_step("train"), std::mem::take(&mut e.init));
    let begun = std::mem::take(&mut e.inits);
    let mut layers = std::mem::take(&mut e.layers);
    diags.append(&mut e.diags);
    diags.append(&mut ends);
    // One model that never asks whether it is trained is evaluated as it is trained.
    let same = t.models.len() == 1 && !e.asked_training;
    if world.purpose == Purpose::Report && same {
        return run;
    }

    let mut e = elab(false, "eval");
    e.run(t, &env, Run::Eval, &mut spec);
    derived.append(&mut e.derived);
    let eval = e.take_step("eval");
    diags.append(&mut e.diags);

    let mut e = elab(false, "predict");
    let mut shown = spec.clone();
    e.run(t, &env, Run::Predict, &mut shown);
    spec.outputs = shown.outputs;
    derived.append(&mut e.derived);
    let predict = e.take_step("predict");
    if t.models.len() == 1 {
        layers = std::mem::take(&mut e.layers);
    }
    diags.append(&mut e.diags);

    let mut e = elab(true, "feed");
    checked.feeds = e.feeds(&env);
    derived.append(&mut e.derived);
    checked.feed = e.take_step("feed");
    diags.append(&mut e.diags);

    if spec.reports.iter().any(|r| r.subject.runs_model()) {
        let mut e = elab(false, "report");
        e.run(t, &env, Run::Report, &mut spec.clone());
        derived.append(&mut e.derived);
        checked.report = e.take_step("report");
        diags.append(&mut e.diags);
    }

    if diags.iter().all(|d| d.severity != Severity::Error) {
        diags.extend(never_begun(&begun, &[&eval, &predict], span));
    }
    env.spec
        .keep_statistics(&[&train, &eval, &predict, &checked.feed, &checked.report]);
    for d in derived {
        if env.spec.derived.iter().all(|known| known.name != d.name) {
            env.spec.derived.push(d);
        }
    }
    checked.data = Some(env.spec);
    checked.train = Some(spec);
    checked.layers = layers;
    checked.programs = Some(Programs {
        init,
        train,
        eval,
        predict,
        metrics: values,
        closing,
        ends: last,
    });
    run
}

/// What a sweep asks of the train block.
struct TrainedRun {
    reported: Reported,
    epochs: usize,
    folded: bool,
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

impl Elab<'_> {
    /// A model that nothing trains, on inputs of its declared types.
    fn model_alone(&mut self, m: &Arc<ast::Model>) {
        let mut args = Vec::new();
        for p in &m.inputs {
            let pattern = match p.ty.as_ref().map(tensor_pattern) {
                Some(Ok(pattern)) => pattern,
                Some(Err(word)) => {
                    let word = word.clone();
                    self.unknown_type(&word);
                    args.push(Val::Error);
                    continue;
                }
                None => {
                    self.untyped_input(p);
                    args.push(Val::Error);
                    continue;
                }
            };
            let Some(shape) = self.shape_of(pattern.dims) else {
                return;
            };
            let mut t = self.fresh(
                &Pattern {
                    dims: &[],
                    ..pattern.clone()
                },
                &p.name.text,
            );
            t.ty.shape = std::iter::once(Dim::symbol("B")).chain(shape).collect();
            t.value = self.step.input(&p.name.text, Role::Data, t.ty.clone());
            args.push(Val::Tensor(t));
        }
        let args = args
            .into_iter()
            .zip(&m.inputs)
            .map(|(val, p)| ArgVal {
                name: None,
                val,
                span: p.span,
                symbol: None,
            })
            .collect();
        self.apply_model_at(m, args, m.name.span, "".into());
    }
}
