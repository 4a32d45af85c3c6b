//! `callbacks { ... }`: which there are, their arguments, and the metrics that they watch.

use std::sync::Arc;

use crate::diag::{Diagnostic, did_you_mean};
use crate::ir::Role;
use crate::library;
use crate::lower::callbacks::*;
use crate::lower::pattern::{Kind, Pattern};
use crate::lower::spec::{Part, SplitSpec};
use crate::span::Span;
use crate::syntax::ast::{Arg, DefKind, Expr, ExprKind, Ident, Setting};

use super::data::DataEnv;
use super::elab::Elab;
use super::metrics::{MetricOf, MetricUse};
use super::ops::float;
use super::value::Val;

/// What callbacks may name: the metrics that the run reports, and the rates that it has.
pub struct Reported {
    /// Name, and what is better where that is known.
    pub metrics: Vec<(String, Option<Better>)>,
    /// Whether there is a validation part.
    pub validated: bool,
    /// Whether an optimizer has a learning rate that can be changed.
    pub adjustable: bool,
    /// Where an optimizer's rate is a schedule.
    pub scheduled: Option<Span>,
}

const MONITORING: &str = "monitor";

/// Every callback with its arguments, in Keras' order.
const KNOWN: [(&str, &[&str]); 9] = [
    (
        "BackupAndRestore",
        &[
            "backup_dir",
            "save_freq",
            "double_checkpoint",
            "delete_checkpoint",
        ],
    ),
    ("CSVLogger", &["filename", "separator", "append"]),
    (
        "EarlyStopping",
        &[
            MONITORING,
            "min_delta",
            "patience",
            "verbose",
            "mode",
            "baseline",
            "restore_best_weights",
            "start_from_epoch",
        ],
    ),
    ("LearningRateScheduler", &["schedule", "verbose"]),
    (
        "ModelCheckpoint",
        &[
            "filepath",
            MONITORING,
            "verbose",
            "save_best_only",
            "save_weights_only",
            "mode",
            "save_freq",
            "initial_value_threshold",
        ],
    ),
    ("ProgbarLogger", &[]),
    (
        "ReduceLROnPlateau",
        &[
            MONITORING,
            "factor",
            "patience",
            "verbose",
            "mode",
            "min_delta",
            "cooldown",
            "min_lr",
        ],
    ),
    (
        "TensorBoard",
        &[
            "log_dir",
            "histogram_freq",
            "write_steps_per_second",
            "update_freq",
        ],
    ),
    ("TerminateOnNaN", &["raise_error"]),
];

/// Files of a run's folder that the run itself writes.
const TAKEN: [&str; 7] = [
    "events.jsonl",
    "history.csv",
    "lock.json",
    "program.nn",
    "report",
    "report.html",
    "weights.safetensors",
];

/// The arguments of one callback.
struct Given<'a> {
    callback: &'static str,
    span: Span,
    args: Vec<(&'static str, &'a Expr)>,
}

impl<'a> Given<'a> {
    fn get(&self, name: &str) -> Option<&'a Expr> {
        let mut args = self.args.iter();
        args.find(|(n, _)| *n == name).map(|(_, e)| *e)
    }
}

impl Elab<'_> {
    /// What the training step that has just been walked reports.
    pub fn reported_by(&self, env: &DataEnv, metrics: &[MetricUse]) -> Reported {
        let better = |m: &MetricUse| match &m.of {
            MetricOf::Mean => Some(Better::Less),
            MetricOf::Def { chosen, .. } if chosen.library => {
                match library::direction(&chosen.def.name.text) {
                    Some("up") => Some(Better::Greater),
                    Some("down") => Some(Better::Less),
                    _ => None,
                }
            }
            MetricOf::Def { .. } => None,
        };
        let rate = |name: &str| name.ends_with("/learning_rate");
        let split = env.spec.split.iter().flat_map(SplitSpec::made);
        let mut parts = (env.spec.sources.iter().filter_map(|s| s.part)).chain(split);
        Reported {
            metrics: metrics
                .iter()
                .flat_map(|m| m.shown.iter().map(|name| (name.clone(), better(m))))
                .collect(),
            validated: parts.any(|p| p == Part::Val),
            adjustable: (self.step.inputs.iter()).any(|i| i.role == Role::Hyper && rate(&i.name)),
            scheduled: self.scheduled,
        }
    }

    /// The callbacks of a train block; those with a mistake are left out, and reported.
    pub fn callbacks(&mut self, setting: Option<&Setting>, run: &Reported) -> Vec<Callback> {
        let mut found: Vec<Callback> = Vec::new();
        let mut paths: Vec<(String, Span)> = Vec::new();
        for arg in setting.iter().flat_map(|s| &s.values) {
            let Some(given) = self.given(arg) else {
                continue;
            };
            let Some(callback) = self.callback(&given, run) else {
                continue;
            };
            let path = match &callback {
                Callback::CsvLogger(c) => Some(c.path.clone()),
                Callback::ModelCheckpoint(c) => Some(c.path.fill(|_| None)),
                Callback::BackupAndRestore(c) => Some(c.folder.clone()),
                Callback::TensorBoard(c) => Some(c.folder.clone()),
                _ => None,
            };
            if let Some(path) = path {
                if let Some((_, first)) = paths.iter().find(|(p, _)| *p == path) {
                    let d = Diagnostic::error("E0618", "two callbacks write to the same place")
                        .label(arg.span, "this one too")
                        .label(*first, "the first");
                    self.report(d);
                    continue;
                }
                paths.push((path, arg.span));
            }
            let backup = |c: &Callback| matches!(c, Callback::BackupAndRestore(_));
            if backup(&callback) && found.iter().any(backup) {
                self.error(
                    "E0618",
                    arg.span,
                    "a run is backed up once",
                    "a second `BackupAndRestore`",
                );
                continue;
            }
            found.push(callback);
        }
        found
    }

    /// The name and the arguments of `Name(...)`, or of `Name` alone.
    fn given<'a>(&mut self, arg: &'a Arg) -> Option<Given<'a>> {
        let (name, args): (&Ident, &[Arg]) = match &arg.value.kind {
            ExprKind::Name(name) if arg.name.is_none() => (name, &[]),
            ExprKind::Call { callee, args, .. } if arg.name.is_none() => match &callee.kind {
                ExprKind::Name(name) => (name, args),
                _ => return self.no_callback(arg.span),
            },
            _ => return self.no_callback(arg.span),
        };
        let known = KNOWN.iter().find(|(n, _)| *n == &*name.text);
        let Some((callback, parameters)) = known else {
            let names = KNOWN.iter().map(|(n, _)| *n);
            let mut d = Diagnostic::error("E0614", format!("there is no callback `{}`", name.text))
                .label(name.span, "unknown callback");
            d = match did_you_mean(&name.text, names.clone()) {
                Some(near) => d
                    .help(format!("did you mean `{near}`?"))
                    .fix(name.span, near),
                None => d.note(format!(
                    "callbacks: {}",
                    names.collect::<Vec<_>>().join(", ")
                )),
            };
            self.report(d);
            return None;
        };
        let mut found: Vec<(&'static str, &Expr)> = Vec::new();
        for (i, a) in args.iter().enumerate() {
            let place = match &a.name {
                Some(n) => parameters.iter().find(|p| **p == &*n.text),
                None => parameters.get(i),
            };
            let Some(place) = place else {
                self.stray_argument(callback, parameters, a);
                return None;
            };
            if found.iter().any(|(n, _)| n == place) {
                self.error(
                    "E0105",
                    a.span,
                    format!("`{place}` is given twice"),
                    "given again here",
                );
                return None;
            }
            found.push((place, &a.value));
        }
        Some(Given {
            callback,
            span: arg.span,
            args: found,
        })
    }

    fn no_callback<'a>(&mut self, span: Span) -> Option<Given<'a>> {
        let d = Diagnostic::error("E0614", "this is not a callback")
            .label(span, "not a name with its arguments")
            .help("write it as `EarlyStopping(monitor = loss, patience = 3)`");
        self.report(d);
        None
    }

    fn stray_argument(&mut self, callback: &str, parameters: &[&str], a: &Arg) {
        let Some(n) = &a.name else {
            self.error(
                "E0107",
                a.span,
                match parameters.len() {
                    1 => format!("`{callback}` takes one argument"),
                    n => format!("`{callback}` takes {n} arguments"),
                },
                "one too many",
            );
            return;
        };
        let message = format!("`{callback}` has no argument `{}`", n.text);
        let mut d = Diagnostic::error("E0104", message).label(n.span, "unknown argument");
        d = match did_you_mean(&n.text, parameters.iter().copied()) {
            Some(near) => d.help(format!("did you mean `{near}`?")).fix(n.span, near),
            None if parameters.is_empty() => d.note("it takes none"),
            None => d.note(format!("arguments: {}", parameters.join(", "))),
        };
        self.report(d);
    }

    fn callback(&mut self, given: &Given, run: &Reported) -> Option<Callback> {
        let before = self.diags.len();
        let callback = match given.callback {
            "BackupAndRestore" => Callback::BackupAndRestore(Backup {
                folder: self.path(given, "backup_dir", Some("checkpoints"))?,
                frequency: self.frequency(given, "save_freq")?,
                double_checkpoint: self.flag(given, "double_checkpoint", false)?,
                delete_checkpoint: self.flag(given, "delete_checkpoint", true)?,
            }),
            "CSVLogger" => Callback::CsvLogger(CsvLogger {
                path: self.path(given, "filename", None)?,
                separator: self.separator(given)?,
                append: self.flag(given, "append", false)?,
            }),
            "EarlyStopping" => Callback::EarlyStopping(EarlyStopping {
                monitor: self.monitor(given, run, false)?,
                min_delta: self.number(given, "min_delta", 0.0)?.abs(),
                patience: self.count(given, "patience", 0)?,
                verbose: self.verbose(given)?,
                baseline: self.number_or_none(given, "baseline")?,
                restore_best_weights: self.flag(given, "restore_best_weights", false)?,
                start_from_epoch: self.count(given, "start_from_epoch", 0)?,
            }),
            "LearningRateScheduler" => {
                self.adjustable(given, run)?;
                Callback::LearningRateScheduler(self.scheduler(given)?)
            }
            "ModelCheckpoint" => Callback::ModelCheckpoint(self.checkpoint(given, run)?),
            "ProgbarLogger" => Callback::ProgbarLogger,
            "ReduceLROnPlateau" => {
                self.adjustable(given, run)?;
                Callback::ReduceLrOnPlateau(self.plateau(given, run)?)
            }
            "TensorBoard" => Callback::TensorBoard(TensorBoard {
                folder: self.path(given, "log_dir", Some("logs"))?,
                histogram_freq: self.count(given, "histogram_freq", 0)?,
                write_steps_per_second: self.flag(given, "write_steps_per_second", false)?,
                frequency: self.frequency(given, "update_freq")?,
            }),
            _ => Callback::TerminateOnNan(TerminateOnNan {
                raise_error: self.flag(given, "raise_error", false)?,
            }),
        };
        (self.diags.len() == before).then_some(callback)
    }

    fn plateau(&mut self, given: &Given, run: &Reported) -> Option<Plateau> {
        let factor = self.number(given, "factor", 0.1)?;
        if factor >= 1.0 || factor <= 0.0 {
            let at = given.get("factor").map_or(given.span, |e| e.span);
            return self.bad_value("`factor` is above 0 and below 1", at, &factor.to_string());
        }
        Some(Plateau {
            monitor: self.monitor(given, run, false)?,
            factor,
            patience: self.count(given, "patience", 10)?,
            verbose: self.verbose(given)?,
            min_delta: self.number(given, "min_delta", 1e-4)?.abs(),
            cooldown: self.count(given, "cooldown", 0)?,
            min_lr: self.number(given, "min_lr", 0.0)?,
        })
    }

    fn checkpoint(&mut self, given: &Given, run: &Reported) -> Option<Checkpoint> {
        let text = self.path(given, "filepath", None)?;
        let at = given.get("filepath").map_or(given.span, |e| e.span);
        let frequency = self.frequency(given, "save_freq")?;
        let path = match Pattern::parse(&text) {
            Ok(path) => path,
            Err(reason) => return self.bad_path(at, &format!("{reason}, in \"{text}\"")),
        };
        if !text.ends_with(".safetensors") {
            return self.bad_path(at, "its name must end in `.safetensors`");
        }
        let steps = frequency != Frequency::Epoch;
        for (name, form) in path.names() {
            let whole = name == "epoch" || name == "batch" && steps;
            if whole || self.reported(run, name, steps, at) {
                if !whole && form.kind == Kind::Whole {
                    return self.bad_path(at, &format!("`{name}` is not a whole number: `:.4f`"));
                }
                continue;
            }
            return None;
        }
        let save_best_only = self.flag(given, "save_best_only", false)?;
        let monitored = save_best_only || given.get(MONITORING).is_some();
        Some(Checkpoint {
            path,
            monitor: match monitored {
                true => Some(self.monitor(given, run, steps)?),
                false => None,
            },
            verbose: self.verbose(given)?,
            save_best_only,
            save_weights_only: self.flag(given, "save_weights_only", false)?,
            frequency,
            initial_value_threshold: self.number_or_none(given, "initial_value_threshold")?,
        })
    }

    /// The schedule's graph, from the number of the epoch (1 in the first) to the rate.
    fn scheduler(&mut self, given: &Given) -> Option<Scheduler> {
        let Some(e) = given.get("schedule") else {
            return self.missing(given, "schedule", "LearningRateScheduler(cosine(1e-3, 20))");
        };
        let v = self.eval(e);
        let schedule = self.of_kind(v, DefKind::Schedule, e.span)?;
        Some(Scheduler {
            rate: self.schedule_graph(&schedule, e.span)?,
            verbose: self.verbose(given)?,
        })
    }

    /// Refuses what would change a rate that a schedule gives, as Keras does.
    fn adjustable(&mut self, given: &Given, run: &Reported) -> Option<()> {
        let d = Diagnostic::error(
            "E0617",
            format!("`{}` cannot change this learning rate", given.callback),
        );
        let d = match run.scheduled {
            Some(schedule) => d
                .label(given.span, "would set the optimizer's `lr`")
                .label(schedule, "which a schedule gives")
                .help("give the optimizer a number, or leave the callback out"),
            None if run.adjustable => return Some(()),
            None => d
                .label(given.span, "would set the optimizer's `lr`")
                .note("the optimizer has no argument `lr`"),
        };
        self.report(d);
        None
    }

    /// The metric that a callback watches, and what is better.
    fn monitor(&mut self, given: &Given, run: &Reported, steps: bool) -> Option<Monitor> {
        let (name, at): (Arc<str>, Span) = match given.get(MONITORING) {
            None => ("val_loss".into(), given.span),
            Some(e) => match &e.kind {
                ExprKind::Name(n) => (n.text.clone(), n.span),
                ExprKind::Str(s) => {
                    let d = Diagnostic::error("E0616", "a metric is a name, without quotes")
                        .label(e.span, "a text")
                        .fix(e.span, s.clone());
                    self.report(d);
                    return None;
                }
                _ => return self.bad_value("`monitor` names a metric", e.span, "no name"),
            },
        };
        if !self.reported(run, &name, steps, at) {
            return None;
        }
        let better = match given.get("mode").map(|e| (&e.kind, e.span)) {
            None => None,
            Some((ExprKind::Name(n), at)) => match &*n.text {
                "auto" => None,
                "min" => Some(Better::Less),
                "max" => Some(Better::Greater),
                other => return self.bad_value("`mode` is auto, min or max", at, other),
            },
            Some((_, at)) => return self.bad_value("`mode` is auto, min or max", at, "no name"),
        };
        let bare = name.strip_prefix("val_").unwrap_or(&name);
        let known = run.metrics.iter().find(|(n, _)| n == bare);
        let Some(better) = better.or(known.and_then(|(_, b)| *b)) else {
            let d = Diagnostic::error("E0616", format!("is more of `{bare}` better, or less?"))
                .label(at, "nothing says so of a metric of your own")
                .help("add `mode = min` or `mode = max`");
            self.report(d);
            return None;
        };
        Some(Monitor {
            name: name.to_string(),
            better,
        })
    }

    /// Whether the run reports a metric of this name (after a step: of training alone).
    fn reported(&mut self, run: &Reported, name: &str, steps: bool, at: Span) -> bool {
        let bare = name.strip_prefix("val_");
        let metric = |n: &str| run.metrics.iter().any(|(m, _)| m == n);
        let held = run.validated && !steps;
        if metric(name) || bare.is_some_and(metric) && held {
            return true;
        }
        let mut d = Diagnostic::error("E0616", format!("the run reports no `{name}`"));
        d = match bare.filter(|b| metric(b)) {
            Some(b) if run.validated => d
                .label(at, "known only at the end of an epoch")
                .help(format!("watch `{b}`, or save each epoch")),
            Some(b) => d
                .label(at, "needs a validation part, and the data have none")
                .help(format!(
                    "give `val` a share in `split`, or watch `{b}` with `monitor = {b}`"
                )),
            None => {
                let vals = run.metrics.iter().filter(|_| held);
                let names: Vec<String> = (run.metrics.iter().map(|(m, _)| m.clone()))
                    .chain(vals.map(|(m, _)| format!("val_{m}")))
                    .collect();
                let d = d.label(at, "not a metric of this run");
                match did_you_mean(name, names.iter().map(String::as_str)) {
                    Some(near) => d.help(format!("did you mean `{near}`?")),
                    None => d.note(format!("it reports {}", names.join(", "))),
                }
            }
        };
        self.report(d);
        false
    }

    fn frequency(&mut self, given: &Given, name: &str) -> Option<Frequency> {
        let Some(e) = given.get(name) else {
            return Some(Frequency::Epoch);
        };
        match &e.kind {
            ExprKind::Name(n) if &*n.text == "epoch" => return Some(Frequency::Epoch),
            ExprKind::Name(n) if &*n.text == "batch" && name == "update_freq" => {
                return Some(Frequency::Steps(1));
            }
            _ => {}
        }
        match self.eval(e) {
            Val::Int(d) if d.as_const().is_some_and(|n| (1..=1 << 31).contains(&n)) => {
                Some(Frequency::Steps(d.as_const()? as u32))
            }
            Val::Error => None,
            v => {
                let what = format!("`{name}` is `epoch` or a number of steps");
                self.bad_value(&what, e.span, &v.describe())
            }
        }
    }

    /// A path below the folder of the run.
    fn path(&mut self, given: &Given, name: &str, default: Option<&str>) -> Option<String> {
        let Some(e) = given.get(name) else {
            if let Some(default) = default {
                return Some(default.into());
            }
            let example = format!("{}(\"name\")", given.callback);
            return self.missing(given, name, &example);
        };
        let path = match self.eval(e) {
            Val::Str(s) => s,
            Val::Error => return None,
            v => return self.bad_value("a path is a text in quotes", e.span, &v.describe()),
        };
        let mut parts = path.split('/');
        let first = parts.clone().next().unwrap_or_default();
        if path.starts_with(['/', '\\', '.']) || parts.any(|p| p.is_empty() || p == "..") {
            return self.bad_path(e.span, "it must be a name below the folder of the run");
        }
        if TAKEN.contains(&first) {
            return self.bad_path(e.span, &format!("the run itself writes `{first}`"));
        }
        Some(path.to_string())
    }

    fn separator(&mut self, given: &Given) -> Option<u8> {
        let Some(e) = given.get("separator") else {
            return Some(b',');
        };
        match self.eval(e) {
            Val::Str(s) if s.len() == 1 && !s.contains(['"', '\n', '\r']) => Some(s.as_bytes()[0]),
            Val::Error => None,
            v => self.bad_value("`separator` is one character", e.span, &v.describe()),
        }
    }

    fn verbose(&mut self, given: &Given) -> Option<bool> {
        let Some(e) = given.get("verbose") else {
            return Some(false);
        };
        match self.eval(e) {
            Val::Bool(b) => Some(b),
            Val::Int(d) if matches!(d.as_const(), Some(0 | 1)) => Some(d.as_const() == Some(1)),
            Val::Error => None,
            v => self.bad_value("`verbose` is 0 or 1", e.span, &v.describe()),
        }
    }

    fn flag(&mut self, given: &Given, name: &str, default: bool) -> Option<bool> {
        let Some(e) = given.get(name) else {
            return Some(default);
        };
        match self.eval(e) {
            Val::Bool(b) => Some(b),
            Val::Error => None,
            v => {
                let what = format!("`{name}` is true or false");
                self.bad_value(&what, e.span, &v.describe())
            }
        }
    }

    fn count(&mut self, given: &Given, name: &str, default: u32) -> Option<u32> {
        let Some(e) = given.get(name) else {
            return Some(default);
        };
        match self.eval(e) {
            Val::Int(d) if d.as_const().is_some_and(|n| (0..=1 << 31).contains(&n)) => {
                d.as_const().map(|n| n as u32)
            }
            Val::Error => None,
            v => {
                let what = format!("`{name}` is a whole number from 0");
                self.bad_value(&what, e.span, &v.describe())
            }
        }
    }

    fn number(&mut self, given: &Given, name: &str, default: f64) -> Option<f64> {
        let Some(e) = given.get(name) else {
            return Some(default);
        };
        match self.eval(e) {
            Val::Error => None,
            v => match float(&v) {
                Some(x) => Some(x),
                None => self.bad_value(&format!("`{name}` is a number"), e.span, &v.describe()),
            },
        }
    }

    /// `Some(None)` where there is none.
    fn number_or_none(&mut self, given: &Given, name: &str) -> Option<Option<f64>> {
        match given.get(name).map(|e| &e.kind) {
            None | Some(ExprKind::None) => Some(None),
            Some(_) => self.number(given, name, 0.0).map(Some),
        }
    }

    fn missing<T>(&mut self, given: &Given, name: &str, example: &str) -> Option<T> {
        let message = format!("`{}` needs `{name}`", given.callback);
        let d = Diagnostic::error("E0106", message)
            .label(given.span, "not given")
            .help(format!("write `{example}`"));
        self.report(d);
        None
    }

    fn bad_value<T>(&mut self, what: &str, at: Span, found: &str) -> Option<T> {
        self.error("E0615", at, what.to_owned(), format!("this is {found}"));
        None
    }

    fn bad_path<T>(&mut self, at: Span, reason: &str) -> Option<T> {
        self.error(
            "E0618",
            at,
            "a callback cannot write there",
            reason.to_owned(),
        );
        None
    }
}
