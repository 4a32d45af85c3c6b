//! `callbacks { ... }`: which there are, their arguments, and the metrics that they watch.

pub mod args;
pub mod rules;

use std::sync::Arc;

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::ir::Role;
use crate::library;
use crate::span::Span;
use crate::spec::callbacks::*;
use crate::spec::pattern::{Kind, Pattern};
use crate::spec::rules::Action;
use crate::spec::{Part, SplitSpec};
use crate::syntax::ast::{DefKind, Expr, ExprKind, Setting};

use crate::check::data::env::DataEnv;
use crate::check::elab::Elab;
use crate::check::elab::value::Val;
use crate::check::train::metrics::{MetricOf, MetricUse};

use args::{Given, Kin, Known};

const HEADERS: &str = "`headers` must be a list of strings `\"Name: value\"`";

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
    /// How many learning rates there are.
    pub rates: usize,
}

pub const MONITORING: &str = "monitor";

/// Every callback with its arguments, in Keras' order.
const KNOWN: Known = &[
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
        "RemoteMonitor",
        &["root", "path", "field", "headers", "send_as_json"],
    ),
    (
        "TensorBoard",
        &[
            "log_dir",
            "histogram_freq",
            "write_graph",
            "write_images",
            "write_steps_per_second",
            "update_freq",
        ],
    ),
    ("TerminateOnNaN", &["raise_error"]),
];

const CALLBACK: Kin = Kin {
    code: Code::E0614,
    what: "callback",
    known: KNOWN,
    example: "EarlyStopping(monitor = loss, patience = 3)",
};

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
        let adjustable = (self.step.inputs.iter())
            .filter(|i| i.role == Role::Hyper && rate(&i.name))
            .count();
        Reported {
            metrics: metrics
                .iter()
                .flat_map(|m| m.shown.iter().map(|name| (name.clone(), better(m))))
                .collect(),
            validated: parts.any(|p| p == Part::Val),
            adjustable: adjustable > 0,
            scheduled: self.optimizer.scheduled,
            rates: adjustable + self.optimizer.rates.len(),
        }
    }

    /// The callbacks of a train block; those with a mistake are left out, and reported.
    pub fn callbacks(&mut self, setting: Option<&Setting>, run: &Reported) -> Vec<Callback> {
        let mut found: Vec<Callback> = Vec::new();
        let mut paths: Vec<(String, Span)> = Vec::new();
        for arg in setting.iter().flat_map(|s| &s.values) {
            let callback = match &arg.value.kind {
                ExprKind::When { cond, action } => self.when(cond, action, arg.span, run),
                _ => (self.given(&arg.value, arg.name.is_some(), &CALLBACK))
                    .and_then(|given| self.callback(&given, run)),
            };
            let Some(callback) = callback else {
                continue;
            };
            let path = match &callback {
                Callback::CsvLogger(c) => Some(c.path.clone()),
                Callback::ModelCheckpoint(c) => Some(c.path.fill(|_| None)),
                Callback::BackupAndRestore(c) => Some(c.folder.clone()),
                Callback::TensorBoard(c) => Some(c.folder.clone()),
                Callback::When(rule) => match &rule.action {
                    Action::Save { path, .. } => Some(path.fill(|_| None)),
                    _ => None,
                },
                _ => None,
            };
            if let Some(path) = path {
                if let Some((_, first)) = paths.iter().find(|(p, _)| *p == path) {
                    let d = Diagnostic::error(Code::E0618, "two callbacks write to the same path")
                        .label(arg.span, "the second")
                        .label(*first, "the first");
                    self.report(d);
                    continue;
                }
                paths.push((path, arg.span));
            }
            let backup = |c: &Callback| matches!(c, Callback::BackupAndRestore(_));
            if backup(&callback) && found.iter().any(backup) {
                self.error(
                    Code::E0618,
                    arg.span,
                    "a run can only have one `BackupAndRestore`",
                    "a second `BackupAndRestore`",
                );
                continue;
            }
            found.push(callback);
        }
        found
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
            "RemoteMonitor" => Callback::RemoteMonitor(self.remote(given)?),
            "TensorBoard" => Callback::TensorBoard(TensorBoard {
                folder: self.path(given, "log_dir", Some("logs"))?,
                histogram_freq: self.count(given, "histogram_freq", 0)?,
                write_graph: self.flag(given, "write_graph", true)?,
                write_images: self.write_images(given)?,
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
            return self.bad_value("`factor` must be between 0 and 1", at, &factor.to_string());
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
        let steps = frequency != Frequency::Epoch;
        let whole: &[&str] = if steps {
            &["epoch", "batch"]
        } else {
            &["epoch"]
        };
        let path = self.weights_path(&text, at, run, whole, steps)?;
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

    /// A path of saved weights: its form, and the values that it names.
    fn weights_path(
        &mut self,
        text: &str,
        at: Span,
        run: &Reported,
        places: &[&str],
        steps: bool,
    ) -> Option<Pattern> {
        let path = match Pattern::parse(text) {
            Ok(path) => path,
            Err(reason) => return self.bad_path(at, &format!("{reason}, in \"{text}\"")),
        };
        if !text.ends_with(".safetensors") {
            return self.bad_path(at, "its name must end in `.safetensors`");
        }
        match self.fillable(&path, at, run, places, steps) {
            Ok(()) => Some(path),
            Err(reason) => self.bad_path(at, &reason?),
        }
    }

    /// Whether every value in braces is known: a metric, or one of `places`, of which `lr`
    /// alone is no count. The error says what is wrong, unless that has been reported.
    fn fillable(
        &mut self,
        pattern: &Pattern,
        at: Span,
        run: &Reported,
        places: &[&str],
        steps: bool,
    ) -> Result<(), Option<String>> {
        for (name, form) in pattern.names() {
            let place = places.contains(&name);
            if place && name == "lr" && run.rates != 1 {
                return Err(Some(format!(
                    "`lr` is ambiguous: there are {} learning rates",
                    run.rates
                )));
            }
            if !place && !self.reported(run, name, steps, at) {
                return Err(None);
            }
            if form.kind == Kind::Whole && (!place || name == "lr") {
                return Err(Some(format!("`{name}` is not an integer: use `:.4f`")));
            }
        }
        Ok(())
    }

    /// Where the logs of each epoch are sent.
    fn remote(&mut self, given: &Given) -> Option<Remote> {
        let root = match given.get("root") {
            None => "http://localhost:9000".into(),
            Some(_) => self.address(given, "root")?,
        };
        Some(Remote {
            root,
            path: self.text_of(given, "path", "/publish/epoch/end/")?,
            field: self.text_of(given, "field", "data")?,
            headers: self.headers(given)?,
            send_as_json: self.flag(given, "send_as_json", false)?,
        })
    }

    /// `["Name: value", ..]`
    fn headers(&mut self, given: &Given) -> Option<Vec<(String, String)>> {
        let items = match given.get("headers").map(|e| (&e.kind, e.span)) {
            None | Some((ExprKind::None, _)) => return Some(Vec::new()),
            Some((ExprKind::List(items), _)) => items,
            Some((_, at)) => {
                return self.bad_value(HEADERS, at, "unsupported operator");
            }
        };
        let mut headers = Vec::new();
        for item in items {
            let text = match self.eval(item) {
                Val::Str(text) => text,
                Val::Error => return None,
                v => return self.bad_value(HEADERS, item.span, &v.describe()),
            };
            let plain = |t: &str| t.bytes().all(|b| (b' '..0x7f).contains(&b));
            let token = |t: &str| {
                let mark = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
                !t.is_empty() && t.chars().all(mark)
            };
            match text.split_once(':') {
                Some((name, value)) if token(name) && plain(value) => {
                    headers.push((name.into(), value.trim().into()));
                }
                _ => return self.bad_value(HEADERS, item.span, &format!("\"{text}\"")),
            }
        }
        Some(headers)
    }

    /// Images of the weights, which come with their histograms.
    fn write_images(&mut self, given: &Given) -> Option<bool> {
        let images = self.flag(given, "write_images", false)?;
        let often = self.count(given, "histogram_freq", 0)?;
        if images && often == 0 {
            let at = given.get("write_images").map_or(given.span, |e| e.span);
            return self.bad_value(
                "`write_images` needs `histogram_freq`, as in Keras",
                at,
                "there would be no images",
            );
        }
        Some(images)
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
            Code::E0617,
            format!("`{}` cannot change this learning rate", given.callback),
        );
        let d = match run.scheduled {
            Some(schedule) => d
                .label(given.span, "this would set the optimizer's `lr`")
                .label(schedule, "but a schedule already sets it")
                .help("give the optimizer a number instead of a schedule, or remove the callback"),
            None if run.adjustable => return Some(()),
            None => d
                .label(given.span, "this would set the optimizer's `lr`")
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
                    let d = Diagnostic::error(Code::E0616, "a metric is written without quotes")
                        .label(e.span, "this is a string")
                        .fix(e.span, s.clone());
                    self.report(d);
                    return None;
                }
                _ => {
                    return self.bad_value(
                        "`monitor` must be the name of a metric",
                        e.span,
                        "something else",
                    );
                }
            },
        };
        if !self.reported(run, &name, steps, at) {
            return None;
        }
        let better = self.better(run, &name, given.get("mode"), at)?;
        Some(Monitor {
            name: name.to_string(),
            better,
        })
    }

    /// What is better of a metric: as `mode` says, or as is known of it.
    fn better(
        &mut self,
        run: &Reported,
        name: &str,
        mode: Option<&Expr>,
        at: Span,
    ) -> Option<Better> {
        let better = match mode.map(|e| (&e.kind, e.span)) {
            None => None,
            Some((ExprKind::Name(n), at)) => match &*n.text {
                "auto" => None,
                "min" => Some(Better::Less),
                "max" => Some(Better::Greater),
                other => return self.bad_value("`mode` must be `auto`, `min` or `max`", at, other),
            },
            Some((_, at)) => {
                return self.bad_value(
                    "`mode` must be `auto`, `min` or `max`",
                    at,
                    "something else",
                );
            }
        };
        let bare = name.strip_prefix("val_").unwrap_or(name);
        let known = run.metrics.iter().find(|(n, _)| n == bare);
        if better.is_none() && known.is_none() {
            self.reported(run, name, false, at);
            return None;
        }
        let better = better.or(known.and_then(|(_, b)| *b));
        if better.is_none() {
            let d = Diagnostic::error(
                Code::E0616,
                format!("should `{bare}` be maximized or minimized?"),
            )
            .label(at, "nnc does not know the direction of your own metric")
            .help("add `mode = min` or `mode = max`");
            self.report(d);
        }
        better
    }

    /// Whether the run reports a metric of this name (after a step: of training alone).
    fn reported(&mut self, run: &Reported, name: &str, steps: bool, at: Span) -> bool {
        let bare = name.strip_prefix("val_");
        let metric = |n: &str| run.metrics.iter().any(|(m, _)| m == n);
        let held = run.validated && !steps;
        if metric(name) || bare.is_some_and(metric) && held {
            return true;
        }
        let mut d = Diagnostic::error(Code::E0616, format!("the run does not report `{name}`"));
        d = match bare.filter(|b| metric(b)) {
            Some(b) if run.validated => d
                .label(at, "only known at the end of an epoch")
                .help(format!("monitor `{b}`, or save after each epoch")),
            Some(b) => d.label(at, "there is no validation set").help(format!(
                "add a `val` set to `split`, or write `monitor = {b}`"
            )),
            None => {
                let vals = run.metrics.iter().filter(|_| held);
                let names: Vec<String> = (run.metrics.iter().map(|(m, _)| m.clone()))
                    .chain(vals.map(|(m, _)| format!("val_{m}")))
                    .collect();
                let d = d.label(at, "unknown metric");
                match did_you_mean(name, names.iter().map(String::as_str)) {
                    Some(near) => d.help(format!("did you mean `{near}`?")),
                    None => d.note(format!("the run reports {}", names.join(", "))),
                }
            }
        };
        self.report(d);
        false
    }
}
