//! A loaded program, declaration by declaration: definitions, data blocks, models, the `train`
//! block and the sweep.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use crate::diag::{Code, Diagnostic, Severity, did_you_mean};
use crate::ir::Graph;
use crate::span::{SourceId, Span};
use crate::spec::sweep::SweepSpec;
use crate::spec::{DataSpec, Programs, TrainSpec};
use crate::syntax::ast::{self, Decl, DeclKind};

use super::allow::Allowed;
use super::data::feed::FeedInfo;
use super::elab::Elab;
use super::elab::builtin::Extensions;
use super::elab::load::Loaded;
use super::elab::state::{LayerUse, Mode};
use super::elab::value::{DefId, DefRef};
use super::elab::world::{Global, World};
use super::sweep::{Probe, Trained};
use super::trained::{Context, TrainedRun, check_train};
use super::{builtins, data, eval, unused};

/// Every function that Rust knows by name, and what data blocks add to expressions.
pub(super) const EXTENSIONS: Extensions = Extensions {
    tables: &[
        builtins::TABLE,
        eval::builtin::TABLE,
        data::functions::TABLE,
    ],
    data_call: |el, e| el.data_call(e),
    row_stage: |el, rows, stage| el.row_stage(rows, stage),
};

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
    /// Warnings that are meant, those of data too.
    pub allowed: Allowed,
}

/// The program, whole only where no mistake was found. `probes`: the values of a sweep with which
/// it is still to be checked.
pub(super) fn check_decls(
    loaded: &Loaded,
    diags: &mut Vec<Diagnostic>,
    probes: &mut Vec<Probe>,
) -> Checked {
    let world = &loaded.world;
    let context = Context {
        world,
        failed_defs: Rc::new(definitions(world, &loaded.decls, diags)),
    };
    let declared = Declared::new(&loaded.decls);
    let models = declared.models.iter();
    let mut checked = Checked {
        data: None,
        feed: Graph::default(),
        feeds: Vec::new(),
        report: Graph::default(),
        train: None,
        programs: None,
        layers: Vec::new(),
        models: models.map(|m| m.name.text.to_string()).collect(),
        sweep: None,
        allowed: Allowed::new(&loaded.decls),
    };
    declared.several(diags);
    let run = declared.train_block(&context, &mut checked, diags);
    // Data blocks and models that nothing trains are checked all the same.
    declared.other_data(&context, &mut checked, diags);
    declared.other_models(&context, &mut checked, diags);
    if let Some((sweep, span)) = declared.sweep(diags) {
        let fine = diags.iter().all(|d| d.severity != Severity::Error);
        let trained = declared.trains.first().map(|(block, _)| Trained {
            block,
            reported: (run.as_ref()).and_then(|run| fine.then_some(&run.reported)),
            epochs: run.as_ref().map_or(usize::MAX, |run| run.epochs),
            folded: run.as_ref().is_some_and(|run| run.folded),
            data_names: unused::names_of_data(&loaded.decls),
        });
        let mut e = context.elab(true, "sweep");
        (checked.sweep, *probes) = e.sweep(sweep, span, trained.as_ref());
        diags.append(&mut e.diags);
    }
    if diags.iter().all(|d| d.severity != Severity::Error) {
        for decl in &loaded.decls {
            unused::check(decl, diags);
        }
        unused::check_file(&loaded.decls, SourceId(0), diags);
        let is_function = |name: &str| EXTENSIONS.find(name).is_some();
        unused::hidden(&loaded.decls, SourceId(0), is_function, diags);
    }
    checked
}

/// Consts and definitions, each for every use at once: those that failed.
fn definitions(world: &World, decls: &[Decl], diags: &mut Vec<Diagnostic>) -> HashSet<DefId> {
    let generic = Mode {
        training: true,
        generic: true,
    };
    let mut consts = Elab::new(world, generic, "generic");
    for decl in decls {
        if let DeclKind::Const(c) = &decl.kind {
            consts.name(&c.name);
        }
    }
    diags.append(&mut consts.diags);
    let mut failed = HashSet::new();
    for decl in decls {
        let DeclKind::Def(def) = &decl.kind else {
            continue;
        };
        let mut attributes = decl.attributes.iter();
        let stage = attributes.any(|a| &*a.name.text == "every_optimizer");
        let r = DefRef {
            def: def.clone(),
            library: false,
        };
        let mut one = Elab::new(world, generic, "generic");
        if !one.generic(&r, stage) {
            failed.insert(r.id());
        }
        diags.append(&mut one.diags);
    }
    failed
}

/// What a file declares beside consts and definitions, with places.
#[derive(Default)]
struct Declared<'l> {
    data: Vec<(&'l ast::Data, Span)>,
    models: Vec<&'l Arc<ast::Model>>,
    trains: Vec<(&'l ast::Train, Span)>,
    sweeps: Vec<(&'l ast::Sweep, Span)>,
}

impl<'l> Declared<'l> {
    fn new(decls: &'l [Decl]) -> Declared<'l> {
        let mut found = Declared::default();
        for decl in decls {
            match &decl.kind {
                DeclKind::Data(d) => found.data.push((d, decl.span)),
                DeclKind::Model(m) => found.models.push(m),
                DeclKind::Train(t) => found.trains.push((t, decl.span)),
                DeclKind::Sweep(s) => found.sweeps.push((s, decl.span)),
                DeclKind::Import(_) | DeclKind::Const(_) | DeclKind::Def(_) => {}
            }
        }
        found
    }

    fn several(&self, diags: &mut Vec<Diagnostic>) {
        let [(first, _), (second, _), ..] = self.trains.as_slice() else {
            return;
        };
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

    /// The first train block with its data.
    fn train_block(
        &self,
        context: &Context,
        checked: &mut Checked,
        diags: &mut Vec<Diagnostic>,
    ) -> Option<TrainedRun> {
        let train = *self.trains.first()?;
        let named = &train.0.data;
        let Some(data) = self.data.iter().find(|(d, _)| d.name.text == named.text) else {
            let known = context.world.globals.get(&named.text);
            // What is wrong with it has been said.
            if !matches!(known, Some((Global::Broken, _))) {
                self.no_data(named, diags);
            }
            return None;
        };
        let (run, compiled) = check_train(context, train, *data, diags);
        if let Some(c) = compiled {
            checked.data = Some(c.data);
            checked.train = Some(c.train);
            checked.programs = Some(c.programs);
            (checked.feed, checked.feeds) = (c.feed, c.feeds);
            checked.report = c.report;
            checked.layers = c.layers;
        }
        Some(run)
    }

    fn no_data(&self, named: &ast::Ident, diags: &mut Vec<Diagnostic>) {
        let what = format!("there is no data block `{}`", named.text);
        let mut d = Diagnostic::error(Code::E0613, what).label(named.span, "not declared");
        let known = self.data.iter().map(|(d, _)| &*d.name.text);
        if let Some(near) = did_you_mean(&named.text, known) {
            d = d
                .help(format!("did you mean `{near}`?"))
                .fix(named.span, near);
        }
        diags.push(d);
    }

    fn other_data(&self, context: &Context, checked: &mut Checked, diags: &mut Vec<Diagnostic>) {
        let trained = self.trains.first().map(|(t, _)| &t.data.text);
        for (d, at) in &self.data {
            if trained == Some(&d.name.text) {
                continue;
            }
            let mut e = context.elab(true, "data");
            let mut env = e.data_block(d, *at);
            let feeds = e.feeds(&env);
            env.spec.derived = std::mem::take(&mut e.data.derived);
            env.spec.augmented = std::mem::take(&mut e.data.augmented);
            if checked.data.is_none() {
                (checked.feed, checked.feeds) = (e.take_step("feed"), feeds);
                env.spec.keep_statistics(&[&checked.feed]);
                checked.data = Some(env.spec);
            }
            diags.append(&mut e.diags);
        }
    }

    fn other_models(&self, context: &Context, checked: &mut Checked, diags: &mut Vec<Diagnostic>) {
        let trained = self
            .trains
            .first()
            .map_or(&[][..], |(t, _)| t.models.as_slice());
        for m in &self.models {
            if trained.iter().any(|t| t.text == m.name.text) {
                continue;
            }
            for training in [true, false] {
                let mut e = context.elab(training, "model");
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
    }

    fn sweep(&self, diags: &mut Vec<Diagnostic>) -> Option<(&'l ast::Sweep, Span)> {
        if let [(first, _), (second, _), ..] = self.sweeps.as_slice() {
            diags.push(
                Diagnostic::error(Code::E0712, "a file can only have one sweep")
                    .label(second.model.span, "a second one")
                    .label(first.model.span, "the first"),
            );
        }
        self.sweeps.first().copied()
    }
}
