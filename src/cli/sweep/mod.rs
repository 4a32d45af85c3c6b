//! `nnc sweep FILE.nn`: tries the configurations of a file's sweep.
//!
//! ```text
//! mod      a sweep, and the results of its trials
//! work     the loop: which trials run
//! child    a trial's process
//! child_events   events of trials
//! folder   what is kept, so that a sweep that was stopped goes on
//! board    what is shown while it runs
//! results  the best program, the table, the page
//! charts   its pictures
//! ```

mod charts;
mod child;
mod child_events;
mod folder;
mod live_table;
mod results;
mod work;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Map, Value, json};

use crate::cli::common::{Common, DeviceName, Failure, exit};
use crate::cli::{console, interrupt, load};
use crate::span::SourceId;
use crate::spec::sweep::{Method, SweepSpec};
use crate::train::RunError;
use crate::train::sweep::{Done, Plan, Results, Work};
use child::Trials;
use child_events::Heard;
use folder::{Folder, Record};
use live_table::Board;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    pub common: Common,
    /// Number of trials (overrides the file)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub trials: Option<u32>,
    /// Trials to run in parallel; does not change results [default: cores / --threads]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// Output folder, the only place for results [default: a new folder sweeps/NAME-N]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Resume a stopped sweep: its folder [default: --out, or the last sweep of this program in
    /// sweeps/]
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    pub resume: Option<Option<PathBuf>>,
    /// Random seed of the search and of every trial (overrides the file)
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Epochs per trial (overrides the file)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub epochs: Option<u32>,
    /// Folder with the data files [default: the folder of FILE.nn]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// CPU threads per trial
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: u16,
    /// Data-loading threads per trial; does not change results [default: 2 if images are
    /// augmented, else 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
    /// Compute device
    #[arg(long, value_enum, default_value_t = DeviceName::Auto)]
    pub device: DeviceName,
    /// Print errors and warnings only
    #[arg(long)]
    pub quiet: bool,
}

/// Codes of [`crate::data::DataError`] for files that cannot be found or read.
const FAULTS_OF_DATA: std::ops::RangeInclusive<u32> = 901..=940;

/// A program and its sweep, and what there is of it so far.
pub(super) struct Sweep<'a> {
    pub args: &'a Args,
    pub plan: Plan,
    /// Every ended training, in the order in which they ended.
    pub records: Vec<Record>,
    pub folder: Folder,
    /// Epochs of a whole trial, and the seed of its run.
    pub epochs: usize,
    pub seed: u64,
    /// The file's text, its folder and its models.
    pub text: String,
    pub home: PathBuf,
    pub models: String,
    results: Results,
}

pub(super) fn sweep(args: &Args) -> Result<u8, Failure> {
    let mut sweep = prepare(args)?;
    let jobs = jobs(args, &sweep);
    let began = Instant::now();
    let mut board = Board::new(&sweep, jobs);
    interrupt::listen();
    let stopped = work::run(&mut sweep, jobs, &mut board)?;
    board.clear();
    let written = results::write(&sweep)?;
    board.conclude(&sweep, written.as_ref(), stopped, began.elapsed());
    if stopped {
        console::note(&format!(
            "interrupted; resume with:\n  nnc sweep {} --resume {}",
            arguments(args),
            console::word(&sweep.folder.path().display().to_string())
        ));
        return Ok(exit::INTERRUPTED);
    }
    match written {
        Some(_) => {
            board.all_told()?;
            Ok(exit::FINE)
        }
        None => {
            let failed = sweep.records.iter().find_map(|r| r.failed.as_deref());
            Err(RunError::Usage {
                what: "no trial finished with a score".into(),
                reason: failed.unwrap_or("there are no trials").into(),
            }
            .into())
        }
    }
}

/// Checks the program, plans the trials and opens the folder.
fn prepare(args: &Args) -> Result<Sweep<'_>, Failure> {
    let loaded = load::load(&args.common)?;
    let file = args.common.file.display();
    let Some(spec) = &loaded.sweep else {
        return Err(Failure::Usage {
            message: format!("{file} has no `sweep` block"),
            help: Some(
                "add one, such as `sweep Net { width in [16, 32]; search grid; minimize val_loss }`".into(),
            ),
        });
    };
    if let Some(axis) = fixed(spec, &args.common.set) {
        return Err(Failure::Usage {
            message: format!("--set {axis}: `{axis}` is varied by the sweep"),
            help: Some(format!(
                "`nnc run {file} --set {axis}=VALUE` trains one configuration"
            )),
        });
    }
    let (epochs, seed) = (
        args.epochs.map_or(loaded.train.epochs, |n| n as usize),
        args.seed.unwrap_or(loaded.train.seed),
    );
    let mut spec = spec.clone();
    if args.seed.is_some() {
        spec.search.seed = None;
    }
    let trials = args.trials.map(|n| n as usize);
    let plan = Plan::new(&spec, seed, epochs, trials).map_err(Failure::usage)?;
    let text = loaded.map.get(SourceId(0)).text.to_string();
    let mut identity = loaded.identity(text.clone(), Vec::new());
    identity.seed = seed;
    let space = space(&plan, epochs, &args.common.set);
    let (folder, records) = match &args.resume {
        None => {
            let mut folder = Folder::create(args.out.as_deref(), &loaded.name)?;
            folder.describe(&identity, &space)?;
            (folder, Vec::new())
        }
        Some(resume) => {
            let from = resume.clone().or_else(|| args.out.clone());
            let from = from.map_or_else(|| Folder::latest(&loaded.name), Ok)?;
            let (folder, said) = Folder::reopen(&from)?;
            if let Some(reason) = folder::difference(&said, &identity, &space) {
                return Err(RunError::Sweep {
                    folder: from,
                    reason,
                }
                .into());
            }
            let records = folder.records()?;
            (folder, records)
        }
    };
    let results = records.iter().map(|r| {
        let done = Done {
            score: r.score,
            ended: r.ended.is_some(),
        };
        ((r.trial - 1, r.rung - 1), done)
    });
    Ok(Sweep {
        args,
        results: results.collect(),
        plan,
        records,
        folder,
        epochs,
        seed,
        text,
        home: loaded.folder.clone(),
        models: loaded.train.models.join(", "),
    })
}

/// An axis that the command line gives one value.
fn fixed<'s>(spec: &'s SweepSpec, set: &[(String, String)]) -> Option<&'s str> {
    let mut axes = spec.axes.iter().map(|a| a.name.as_str());
    axes.find(|a| set.iter().any(|(name, _)| name == a))
}

/// All that decides which trials there are, by name. More trials of a search whose first ones
/// stay the same are a sweep that goes on.
fn space(plan: &Plan, epochs: usize, set: &[(String, String)]) -> Map<String, Value> {
    let spec = plan.spec();
    let mut search = spec.search.method.clone();
    match &mut search {
        Method::Random { trials } => *trials = 1,
        Method::Tpe(tpe) => tpe.trials = 1,
        Method::Grid { .. } | Method::Latin { .. } => {}
        Method::Halving { .. } | Method::Hyperband { .. } => {}
    }
    let axes = spec
        .axes
        .iter()
        .map(|a| (format!("axis {}", a.name), json!(a.values.text())));
    let set = set.iter().map(|(k, v)| (format!("--set {k}"), json!(v)));
    let rest = [
        ("search", json!(search.text())),
        ("search's seed", json!(spec.search.seed)),
        (
            "goal",
            json!(format!("{} {}", spec.goal.verb(), spec.goal.name)),
        ),
        ("epochs", json!(epochs)),
    ];
    let rest = rest.map(|(k, v)| (k.to_owned(), v));
    axes.chain(set).chain(rest).collect()
}

/// How many trials run at a time.
fn jobs(args: &Args, sweep: &Sweep) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let jobs = args
        .jobs
        .map_or(cores / usize::from(args.threads), usize::from);
    jobs.clamp(1, sweep.plan.planned().max(1))
}

impl Sweep<'_> {
    /// Whether a trial was trained to its end, and not stopped at that of a rung.
    pub(super) fn is_whole(&self, record: &Record) -> bool {
        record.ended.is_some() || record.epochs >= self.epochs
    }

    /// The last training of each trial, the best first: those that were trained to the end
    /// before those that were stopped, and those that failed last.
    pub(super) fn ranked(&self) -> Vec<&Record> {
        let mut last: BTreeMap<usize, &Record> = BTreeMap::new();
        for record in &self.records {
            let known = last.get(&record.trial);
            if known.is_none_or(|k| k.rung < record.rung) {
                last.insert(record.trial, record);
            }
        }
        let mut all: Vec<&Record> = last.into_values().collect();
        let loss = |r: &Record| r.score.map_or(f64::INFINITY, |s| self.plan.loss(s));
        let class = |r: &Record| (r.score.is_none(), !self.is_whole(r));
        all.sort_by(|a, b| {
            let by_class = class(a).cmp(&class(b));
            let by_loss = by_class.then(loss(a).total_cmp(&loss(b)));
            by_loss.then(a.trial.cmp(&b.trial))
        });
        all
    }

    /// The best trial so far, if one has a score.
    pub(super) fn best(&self) -> Option<&Record> {
        self.ranked().into_iter().find(|r| r.score.is_some())
    }

    /// The values of a trial by the names of their consts.
    pub(super) fn settings(&self, trial: usize) -> Vec<(String, String)> {
        let axes = self.plan.spec().axes.iter().map(|a| a.name.clone());
        let values = self.plan.trials()[trial].values.iter().cloned();
        axes.zip(values).collect()
    }

    /// `nnc run` as all trials run it.
    fn trials(&self) -> Result<Trials, Failure> {
        let args = self.args;
        let program = std::env::current_exe()
            .map_err(|e| RunError::file("nnc".as_ref(), "find this program", &e))?;
        let mut arguments = vec![
            args.common.file.display().to_string(),
            "--json".into(),
            "--quiet".into(),
            format!("--threads={}", args.threads),
        ];
        arguments.extend(args.workers.map(|n| format!("--workers={n}")));
        if args.device != DeviceName::Auto {
            arguments.push(format!("--device={}", args.device.name()));
        }
        arguments.extend(
            args.data
                .as_ref()
                .map(|d| format!("--data={}", d.display())),
        );
        if args.common.deny_warnings {
            arguments.push("--deny-warnings".into());
        }
        arguments.extend(args.seed.map(|n| format!("--seed={n}")));
        arguments.extend(args.epochs.map(|n| format!("--epochs={n}")));
        arguments.extend(
            args.common
                .set
                .iter()
                .map(|(k, v)| format!("--set={k}={v}")),
        );
        Ok(Trials { program, arguments })
    }

    fn own_arguments(&self, work: &Work, resumed: bool) -> Vec<String> {
        let home = self.folder.trial(work.trial).display().to_string();
        let set = self.settings(work.trial).into_iter();
        let mut own: Vec<String> = set.map(|(k, v)| format!("--set={k}={v}")).collect();
        own.push(format!("--out={home}"));
        if work.epochs < self.epochs {
            own.push(format!("--limit-epochs={}", work.epochs));
        }
        if resumed {
            own.push(format!("--resume={home}"));
        }
        own
    }

    /// A trial that has stopped by itself has the same results in a further rung.
    fn carried(&self, work: &Work) -> Option<Record> {
        let before = self
            .records
            .iter()
            .rev()
            .find(|r| r.trial == work.trial + 1)?;
        before.ended.as_ref()?;
        Some(Record {
            rung: work.rung + 1,
            epochs: work.epochs,
            seconds: 0.0,
            ..before.clone()
        })
    }

    /// The results of a training run.
    fn record(&self, work: &Work, heard: &Heard, failed: Option<String>, seconds: f64) -> Record {
        // each fold ends by itself
        let saved = heard.saved.as_ref().filter(|_| heard.folds.is_none());
        let epoch = saved.map_or(heard.epochs(), |s| s.epoch);
        let score = heard.score(epoch).filter(|_| failed.is_none());
        let goal = &self.plan.spec().goal.name;
        let failed = match (score, failed) {
            (Some(_), _) => None,
            (None, Some(reason)) => Some(reason),
            (None, None) => Some(format!("{goal} is not a number after epoch {epoch}")),
        };
        let ended = saved
            .and_then(|s| s.stopped.clone())
            .filter(|by| by != "limit");
        let values = self.settings(work.trial).into_iter();
        Record {
            trial: work.trial + 1,
            rung: work.rung + 1,
            epochs: work.epochs,
            values: values.map(|(k, v)| (k, v.into())).collect(),
            score,
            epoch,
            ended: ended.filter(|by| by != "interrupted"),
            failed,
            metrics: heard.metrics.clone(),
            seconds,
            data: data_seen(&self.folder.trial(work.trial)),
        }
    }

    /// Whether what went wrong in a trial goes wrong in every one: the data, which no axis
    /// changes, cannot be read.
    fn is_hopeless(&self, reason: &str) -> bool {
        let code = reason.strip_prefix("[E").and_then(|r| r.split(']').next());
        let code = code.and_then(|c| c.parse::<u32>().ok());
        let of_data = self.plan.spec().axes.iter().any(|a| a.of_data);
        !of_data && code.is_some_and(|c| FAULTS_OF_DATA.contains(&c))
    }

    /// The values of a trial on which what it reads of the data depends.
    fn of_data<'r>(&self, record: &'r Record) -> Vec<&'r Value> {
        let axes = self.plan.spec().axes.iter().filter(|a| a.of_data);
        axes.filter_map(|a| record.values.get(&a.name)).collect()
    }

    /// Adds to what is done.
    fn keep(&mut self, record: Record, board: &mut Board) -> Result<(), Failure> {
        let alike = |r: &&Record| r.data.is_some() && self.of_data(r) == self.of_data(&record);
        let before = self.records.iter().find(alike);
        if before.is_some_and(|b| record.data.is_some() && b.data != record.data) {
            return Err(RunError::Sweep {
                folder: self.folder.path().to_owned(),
                reason: format!(
                    "the data changed: trial {} read different data than the trials before it",
                    record.trial
                ),
            }
            .into());
        }
        self.folder.add(&record)?;
        let done = Done {
            score: record.score,
            ended: record.ended.is_some(),
        };
        self.results
            .insert((record.trial - 1, record.rung - 1), done);
        self.records.push(record);
        board.ended(self);
        Ok(())
    }
}

/// A hash of the columns and parts that a run saw.
fn data_seen(run: &Path) -> Option<String> {
    // of folds, each has a run's folder
    let folds = std::fs::read_to_string(run.join("fold-1/lock.json"));
    let text = folds.or_else(|_| std::fs::read_to_string(run.join("lock.json")));
    let text = text.ok()?;
    let lock: Value = serde_json::from_str(&text).ok()?;
    let mut hash = crate::train::identity::Hash::default();
    hash.add(lock.get("data")?.to_string().as_bytes());
    Some(hash.text())
}

/// The arguments that make the same sweep again, but for its folder.
fn arguments(args: &Args) -> String {
    let mut text = console::word(&args.common.file.display().to_string());
    for (name, value) in &args.common.set {
        text += &format!(" --set {}", console::word(&format!("{name}={value}")));
    }
    for (name, value) in [
        ("trials", args.trials.map(u64::from)),
        ("epochs", args.epochs.map(u64::from)),
        ("seed", args.seed),
        ("jobs", args.jobs.map(u64::from)),
    ] {
        if let Some(n) = value {
            text += &format!(" --{name} {n}");
        }
    }
    if args.threads != 1 {
        text += &format!(" --threads {}", args.threads);
    }
    if let Some(n) = args.workers {
        text += &format!(" --workers {n}");
    }
    if args.device != DeviceName::Auto {
        text += &format!(" --device {}", args.device.name());
    }
    if let Some(data) = &args.data {
        text += &format!(" --data {}", console::word(&data.display().to_string()));
    }
    text
}
