//! A sweep while it runs: on a terminal the best trials in a table that is drawn again, else a
//! line a trial; events as JSON.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value, json};

use crate::cli::console;
use crate::cli::run::progress::{number, seconds};
use crate::cli::sweep::Sweep;
use crate::cli::sweep::child::Running;
use crate::cli::sweep::folder::Record;
use crate::cli::sweep::results::Written;
use crate::cli::tables::TextTable;
use crate::diag::Code;
use crate::plural::{agreeing, count};
use crate::train::memory::peak_of_process;
use crate::train::sweep::Work;

/// Between two drawings.
const FRAME: Duration = Duration::from_millis(200);
/// Rows of the table while it runs, and at the end.
const SHOWN: usize = 10;

pub(super) struct Board {
    json: bool,
    quiet: bool,
    jobs: usize,
    table: Option<ProgressBar>,
    drawn: Option<Instant>,
    /// Whether each trial has a line: where the table is not seen.
    lines: bool,
    /// Warnings about the data that trials have given, by code and message: each is shown once.
    warned: BTreeSet<(String, String)>,
    /// Why the first line that could not be written was not.
    untold: RefCell<Option<std::io::Error>>,
}

impl Board {
    pub(super) fn new(sweep: &Sweep, jobs: usize) -> Board {
        let args = sweep.args;
        let watched = !args.quiet && std::io::stderr().is_terminal();
        let table = watched.then(|| {
            let style = ProgressStyle::with_template("{msg}");
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
        });
        let board = Board {
            json: args.common.json,
            quiet: args.quiet,
            jobs,
            lines: !watched || !args.common.json && !std::io::stdout().is_terminal(),
            table,
            drawn: None,
            warned: BTreeSet::new(),
            untold: RefCell::new(None),
        };
        board.introduce(sweep);
        board
    }

    fn introduce(&self, sweep: &Sweep) {
        let (args, spec) = (sweep.args, sweep.plan.spec());
        let axes = spec.axes.iter();
        let said: Vec<String> = axes
            .map(|a| format!("{} in {}", a.name, a.values.text()))
            .collect();
        self.say(&format!("{}: {}", sweep.models, said.join("; ")));
        let (works, _) = sweep.plan.extent();
        let rungs = match works == sweep.plan.planned() {
            true => String::new(),
            false => format!(" in {}", count(works, "training run")),
        };
        let all = match sweep.plan.is_exhaustive() {
            true => " (all combinations)",
            false => "",
        };
        let facts = [
            spec.search.method.text(),
            format!("{} {}", spec.goal.verb(), spec.goal.name),
            format!("{}{rungs}{all}", count(sweep.plan.planned(), "trial")),
            format!("{} in parallel", self.jobs),
            format!("seed {}", spec.search.seed.unwrap_or(sweep.seed)),
            format!("in {}", sweep.folder.path().display()),
        ];
        self.say(&console::wrapped(&facts, ", ", 2));
        if !sweep.records.is_empty() {
            self.say(&format!(
                "resuming: {} already done",
                count(sweep.records.len(), "training run")
            ));
        }
        let axes = spec
            .axes
            .iter()
            .map(|a| (a.name.clone(), json!(a.values.text())));
        self.event(
            "sweep_start",
            json!({
                "file": args.common.file.display().to_string(),
                "out": sweep.folder.path().display().to_string(),
                "models": sweep.models,
                "axes": axes.collect::<Map<_, _>>(),
                "search": spec.search.method.text(),
                "goal": spec.goal.name,
                "direction": spec.goal.verb(),
                "trials": sweep.plan.planned(),
                "epochs": sweep.epochs,
                "seed": spec.search.seed.unwrap_or(sweep.seed),
                "jobs": self.jobs,
                "threads": args.threads,
                "done": sweep.records.len(),
            }),
        );
    }

    pub(super) fn started(&self, sweep: &Sweep, work: &Work) {
        let values = sweep.settings(work.trial).into_iter();
        self.event(
            "trial_start",
            json!({
                "trial": work.trial + 1,
                "rung": work.rung + 1,
                "epochs": work.epochs,
                "values": values.map(|(k, v)| (k, v.into())).collect::<Map<String, Value>>(),
            }),
        );
    }

    /// Shows a warning about the data, if an event of a trial is one that no other has given.
    pub(super) fn warn(&mut self, line: &str) {
        if !line.contains("\"W09") {
            return;
        }
        let event: Value = serde_json::from_str(line).unwrap_or_default();
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        let (code, message) = (text("code"), text("message"));
        // the checker's have been shown
        let of_data = code.starts_with("W09") && code != Code::W0971.name();
        if !of_data || !self.warned.insert((code.clone(), message.clone())) {
            return;
        }
        let show = || match self.json {
            true => drop(console::line(line)),
            false => console::note(&format!("warning[{code}]: {message}")),
        };
        match &self.table {
            Some(bar) => bar.suspend(show),
            None => show(),
        }
    }

    /// The last of the sweep's records is new.
    pub(super) fn ended(&mut self, sweep: &Sweep) {
        let Some(record) = sweep.records.last() else {
            return;
        };
        let mut event = json!(record);
        event["peak_memory"] = json!(peak_of_process());
        self.event("trial", event);
        if !self.lines {
            return;
        }
        let width = sweep.plan.planned().to_string().len();
        let goal = &sweep.plan.spec().goal.name;
        let best = sweep.best();
        let rung = match sweep.plan.rungs(record.trial - 1) {
            1 => String::new(),
            n => format!("  rung {}/{n}", record.rung),
        };
        let came_to = match (record.score, &record.failed) {
            (Some(score), _) => {
                let best = match best.and_then(|b| Some((b.score?, b.trial))) {
                    Some((_, trial)) if trial == record.trial => "best so far".to_owned(),
                    Some((score, trial)) => format!("best {} (trial {trial})", number(score)),
                    None => String::new(),
                };
                let room = 20 + width;
                format!("{goal} {:<8}  {best:<room$}", number(score))
            }
            (None, failed) => format!("failed: {}", failed.as_deref().unwrap_or_default()),
        };
        self.say(&format!(
            "trial {:>width$}{rung}  {came_to}  {}",
            record.trial,
            values_text(record),
        ));
    }

    /// Draws the table, if it is time to.
    pub(super) fn tick(&mut self, sweep: &Sweep, running: &BTreeMap<usize, Running>) {
        let Some(bar) = &self.table else { return };
        if self.drawn.is_some_and(|at| at.elapsed() < FRAME) {
            return;
        }
        let failed = sweep.records.iter().filter(|r| r.failed.is_some()).count();
        let (all, _) = sweep.plan.extent();
        let failures = match failed {
            0 => String::new(),
            n => format!(", {n} failed"),
        };
        let now: Vec<String> = running
            .values()
            .map(|r| format!("{} (epoch {})", r.work.trial + 1, r.heard.epochs()))
            .collect();
        let left = left(sweep, running, self.jobs)
            .map_or_else(String::new, |s| format!(", {} left", seconds(s)));
        let state = format!(
            "{}/{all} done{failures}, running {} {}{left}",
            sweep.records.len(),
            agreeing(now.len() as u64, "trial"),
            now.join(", ")
        );
        let ranked = sweep.ranked();
        let shown: Vec<&Record> = ranked.into_iter().take(SHOWN).collect();
        let text = match shown.is_empty() {
            true => state,
            false => format!("{}\n{state}", leaderboard(sweep, &shown)),
        };
        bar.set_message(text);
        bar.tick();
        self.drawn = Some(Instant::now());
    }

    /// Takes the table away.
    pub(super) fn clear(&mut self) {
        if let Some(bar) = self.table.take() {
            bar.finish_and_clear();
        }
    }

    /// The results.
    pub(super) fn conclude(
        &self,
        sweep: &Sweep,
        written: Option<&Written>,
        stopped: bool,
        took: Duration,
    ) {
        let ranked = sweep.ranked();
        let failed: Vec<&&Record> = ranked.iter().filter(|r| r.failed.is_some()).collect();
        let best = sweep.best();
        let place = |path: Option<&std::path::PathBuf>| path.map(|p| p.display().to_string());
        self.event(
            "sweep",
            json!({
                "out": sweep.folder.path().display().to_string(),
                "trials": ranked.len(),
                "failed": failed.len(),
                "goal": sweep.plan.spec().goal.name,
                "best": best.map(|b| json!({
                    "trial": b.trial, "score": b.score, "epoch": b.epoch, "values": b.values,
                })),
                "program": place(written.map(|w| &w.program)),
                "leaderboard": place(written.map(|w| &w.table)),
                "report": place(written.map(|w| &w.page)),
                "seconds": took.as_secs_f64(),
                "peak_memory": peak_of_process(),
                "stopped": stopped.then_some("interrupted"),
            }),
        );
        let shown: Vec<&Record> = ranked.iter().take(SHOWN).copied().collect();
        if !shown.is_empty() {
            self.say("");
            self.say(&leaderboard(sweep, &shown).to_string());
        }
        if ranked.len() > shown.len() {
            self.say(&format!(
                "{} more in leaderboard.csv",
                ranked.len() - shown.len()
            ));
        }
        for record in failed.iter().take(3) {
            let reason = record.failed.as_deref().unwrap_or_default();
            self.say(&format!(
                "trial {} failed ({}): {reason}",
                record.trial,
                values_text(record)
            ));
        }
        if failed.len() > 3 {
            self.say(&format!("{} more failed", failed.len() - 3));
        }
        let (Some(written), Some(best)) = (written, best) else {
            return;
        };
        self.say(&format!("report {}", written.page.display()));
        self.say(&format!(
            "saved {}  (trial {}: {}; {})",
            written.program.display(),
            best.trial,
            values_text(best),
            seconds(took.as_secs_f64()),
        ));
        self.say(&format!("try: {}", written.command));
    }

    fn say(&self, text: &str) {
        if self.quiet {
            return;
        }
        if self.json {
            console::note(text);
        } else {
            self.print(text);
        }
    }

    /// A line on stdout. Where it cannot be written, a sweep is worth finishing all the same: it
    /// is told in the end.
    fn print(&self, line: &str) {
        if let Err(error) = console::line(line) {
            self.untold.borrow_mut().get_or_insert(error);
        }
    }

    /// Whether all that was to be said on stdout could be written.
    pub(super) fn all_told(&self) -> std::io::Result<()> {
        self.untold.borrow_mut().take().map_or(Ok(()), Err)
    }

    fn event(&self, kind: &str, fields: Value) {
        if !self.json {
            return;
        }
        let mut event = Map::from_iter([("event".into(), kind.into())]);
        if let Value::Object(fields) = fields {
            event.extend(fields);
        }
        self.print(&Value::Object(event).to_string());
    }
}

/// Seconds until all is done, by what an epoch has taken so far.
fn left(sweep: &Sweep, running: &BTreeMap<usize, Running>, jobs: usize) -> Option<f64> {
    let mut spent = 0.0;
    let mut epochs = 0;
    for record in &sweep.records {
        let work = Work {
            trial: record.trial - 1,
            rung: record.rung - 1,
            epochs: record.epochs,
        };
        spent += record.seconds;
        epochs += record.epochs - sweep.plan.epochs_before(&work);
    }
    if epochs == 0 || spent == 0.0 {
        return None;
    }
    let under_way: usize = running
        .values()
        .map(|r| {
            r.heard
                .epochs()
                .saturating_sub(sweep.plan.epochs_before(&r.work))
        })
        .sum();
    let (_, all) = sweep.plan.extent();
    let rest = all.saturating_sub(epochs + under_way);
    Some(spent / epochs as f64 * rest as f64 / jobs as f64)
}

/// `width=16 lr=0.003`
pub(super) fn values_text(record: &Record) -> String {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let all = record.values.iter();
    let all: Vec<String> = all.map(|(k, v)| format!("{k}={}", text(v))).collect();
    all.join(" ")
}

/// One row per trial, in the given order.
fn leaderboard(sweep: &Sweep, records: &[&Record]) -> TextTable {
    let spec = sweep.plan.spec();
    let head = ["rank".to_owned(), "trial".into(), spec.goal.name.clone()];
    let axes = spec.axes.iter().map(|a| a.name.clone());
    let rest = ["epochs", "time"].map(str::to_owned);
    let mut table =
        TextTable::new(head.into_iter().chain(axes).chain(rest)).right(0..5 + spec.axes.len());
    for (rank, record) in records.iter().enumerate() {
        let score = record.score.map_or_else(|| "failed".into(), number);
        let took = sweep.records.iter().filter(|r| r.trial == record.trial);
        let row = [(rank + 1).to_string(), record.trial.to_string(), score];
        let values = record
            .values
            .values()
            .map(|v| v.as_str().unwrap_or_default().to_owned());
        let rest = [
            record.epoch.to_string(),
            seconds(took.map(|r| r.seconds).sum()),
        ];
        table.row(row.into_iter().chain(values).chain(rest));
    }
    table
}
