//! `nnc run FILE.nn`: train, validate, test, save.

mod folds;
mod messages;
mod not_finite;
pub(super) mod progress;
pub(super) mod report;
mod run_state;
mod warn;

use std::path::{Path, PathBuf};

use crate::cli::common::{Common, Failure, Machine, exit};
use crate::cli::load::{self, Loaded};
use crate::cli::run::messages::{conclude, introduce, resume_command};
use crate::cli::run::not_finite::Again;
use crate::cli::run::progress::Progress;
use crate::cli::run::report::Ended;
use crate::cli::run::run_state::Saver;
use crate::cli::run::warn::{show_overlaps, warn};
use crate::cli::{console, interrupt, prepare, program};
use crate::data::Order;
use crate::plural::count;
use crate::span::SourceId;
use crate::spec::{Part, TrainSpec};
use crate::train::bounds;
use crate::train::checkpoints::Checkpoints;
use crate::train::dataset::{Dataset, Overlap, workers};
use crate::train::device::Device;
use crate::train::fit::Position;
use crate::train::fit::evaluate;
use crate::train::memory::{self, Steps};
use crate::train::output::Output;
use crate::train::session::columns;
use crate::train::state::{Resumed, save_state};
use crate::train::store::Store;
use crate::train::{Callbacks, Fit, Outcome, Parts, ProgramKind, RunError, Session, Stopped, fit};

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub machine: Machine,
    /// Number of epochs (overrides the file)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub epochs: Option<u32>,
    /// Batch size (overrides the file)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: Option<u32>,
    /// Random seed (overrides the file)
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Output folder, the only place for results [default: a new folder runs/NAME-N]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Initial weights, from another run
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub weights: Option<PathBuf>,
    /// Resume a stopped run: its folder or a checkpoint [default: --out, or the last run of
    /// this program in runs/]
    #[arg(long, value_name = "DIR|FILE", num_args = 0..=1)]
    pub resume: Option<Option<PathBuf>>,
    /// Stop after N steps
    #[arg(long, value_name = "N")]
    pub limit_steps: Option<u64>,
    /// Train only fold N of a k-fold split
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub fold: Option<u32>,
    /// Stop once N epochs are done in total, to resume later
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit_epochs: Option<u32>,
}

/// What came of a run.
pub(super) struct Ran {
    /// The command's exit code.
    pub code: u8,
    /// Nothing where it failed, which has been told.
    pub result: Option<Judged>,
}

/// A run that has ended, or was stopped.
pub(super) struct Judged {
    pub outcome: Outcome,
    pub metrics: Vec<String>,
    /// Metrics of the saved weights on the fold held out; none where the run was interrupted
    /// or there are no folds.
    pub held_out: Option<Vec<f64>>,
}

/// Where a run is, and where it goes on from.
pub(super) type Home = (Output, Option<PathBuf>);

pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    let common = &args.common;
    let mut loaded = load::load(common)?;
    let spec = &mut loaded.train;
    spec.epochs = args.epochs.map_or(spec.epochs, |n| n as usize);
    spec.batch = args.batch.map_or(spec.batch, |n| n as usize);
    spec.seed = args.seed.unwrap_or(spec.seed);
    if loaded.data.folds().is_some() && args.fold.is_none() {
        return folds::run(args, &mut loaded);
    }
    prepare::hold_out(&mut loaded, args.fold)?;
    let ran = one(args, &mut loaded, None, |loaded| {
        run_state::place(args, loaded)
    })?;
    Ok(ran.code)
}

/// One run, in the folder that `place` gives once the data could be read. `whole`: the folder
/// of the run that this one is a part of.
pub(super) fn one(
    args: &Args,
    loaded: &mut Loaded,
    whole: Option<&Path>,
    place: impl FnOnce(&Loaded) -> Result<Home, Failure>,
) -> Result<Ran, Failure> {
    let common = &args.common;
    let device = args.machine.device(loaded.train.seed)?;
    let kinds = [ProgramKind::Train, ProgramKind::Eval];
    let ranges = run_state::ranges(args)?;
    let mut data = prepare::dataset(loaded, common, &args.machine, &kinds, None, ranges)?;
    let taken = columns(&loaded.programs, ProgramKind::Train);
    let found = data.warnings(&loaded.data, &loaded.train, &taken);
    if let Some(balance) = &loaded.train.balance {
        data.balance(balance, loaded.train.seed)?;
    }
    let compile = Box::new(|graph| device.compile(graph));
    let fill = |store: &mut Store| data.fill(store);
    let mut session = Session::filled(&loaded.programs, data.most_rows(), fill, compile)?;
    bounds::check(&mut session, &data, &loaded.train, &Part::ALL)?;
    let held_out = [Part::Val, Part::Test].into_iter();
    let held_out = held_out.filter(|p| data.rows(*p) > 0).count();
    let held_out = held_out + usize::from(loaded.reports_rows());
    let rows = loaded.train.batch.min(data.rows(Part::Train).max(1));
    let windows = data.window_bytes();
    let workers = workers(&loaded.data, args.machine.workers());
    let steps = Steps {
        what: "a training step",
        programs: &[
            (&loaded.programs.train, 1),
            (&loaded.programs.eval, held_out),
        ],
        rows,
        workers,
        windows,
    };
    memory::fits(&steps, &device)?;
    let overlaps = warn(common, loaded, &session, &data, (found, whole.is_some()))?;
    let (mut out, state) = place(loaded)?;
    let trained = train(
        &Task {
            args,
            loaded,
            device: &device,
            data: &data,
            overlaps,
            whole,
        },
        session,
        &mut out,
        state.as_deref(),
    );
    if let Err(failure) = &trained {
        out.withdraw();
        let code = failure.report(common.json);
        let states = Checkpoints::new(&loaded.train.callbacks, out.folder());
        let failed = match failure {
            Failure::Run(error) => !matches!(**error, RunError::Resume { .. }),
            Failure::Placed(_) => true,
            Failure::Program | Failure::Usage { .. } | Failure::Denied { .. } => false,
        };
        if failed && states.newest(&out.weights()).0.is_some() {
            console::note(&format!(
                "the last checkpoint is intact; resume from it with:\n  {}",
                resume_command(args, whole.unwrap_or(out.folder()))
            ));
        }
        return Ok(Ran { code, result: None });
    }
    trained
}

/// What is trained, on what.
struct Task<'a> {
    args: &'a Args,
    loaded: &'a Loaded,
    device: &'a Device,
    data: &'a Dataset,
    /// Rows of other sets that are trained on.
    overlaps: Vec<Overlap>,
    whole: Option<&'a Path>,
}

/// Trains in a folder that is there; it is taken back where nothing came of it.
fn train(
    task: &Task,
    mut session: Session,
    out: &mut Output,
    state: Option<&Path>,
) -> Result<Ran, Failure> {
    let &Task {
        args,
        loaded,
        device,
        data,
        whole,
        ref overlaps,
    } = task;
    let spec = &loaded.train;
    let identity = loaded.identity(text(args, loaded), data.hashes());
    let callbacks = Callbacks::new(&spec.callbacks, &spec.rates, &session, out.folder())?;
    let mut callbacks = callbacks.online();
    let from = run_state::start(args, state, &mut session, &mut callbacks, &identity)?;
    let mut epochs = spec.epochs;
    if whole.is_none() {
        refuse_what_is_done(&from, epochs, state.is_some())?;
    } else if from.ended.is_some() {
        epochs = from.position.epoch;
    }
    out.describe(&run_state::lock(args, loaded, &identity), &identity.text)?;
    let mut parts = parts(loaded, &session, data)?;
    let samples = match from.position == Position::default() {
        true => data.save_augmented(out.folder(), order(spec))?,
        false => Vec::new(),
    };
    let mut progress = Progress::new(session.metric_names(), args.common.json, args.machine.quiet);
    progress.record(&out.events(), from.position.epoch)?;
    introduce(&progress, args, loaded, &session, data, out);
    for (folder, images) in samples {
        progress.say(&format!(
            "saved {} in {}",
            count(images, "augmented image"),
            out.folder().join(folder).display()
        ));
    }
    show_overlaps(&progress, overlaps);
    interrupt::listen();
    let mut saver = Saver {
        out,
        identity: &identity,
        checkpoints: Checkpoints::new(&spec.callbacks, out.folder()),
    };
    let plan = Fit {
        epochs,
        from: from.position,
        limit: limit(args, from.position, spec.epochs, parts.train.len()),
        stop: interrupt::flag(),
        every: saver.checkpoints.every(),
        history: from.history,
        spent: from.spent,
    };
    let trained = fit(
        &mut session,
        &mut parts,
        &plan,
        &mut callbacks,
        &mut progress,
        &mut saver,
    );
    let outcome = match trained {
        Err(error @ RunError::NotFinite { .. }) => {
            drop((session, parts, callbacks, progress));
            return Err(not_finite::explain(
                error,
                &Again {
                    args,
                    loaded,
                    device,
                    data,
                    out,
                    identity: &identity,
                    state,
                },
            ));
        }
        trained => trained?,
    };
    progress.clear();
    save_state(
        &out.weights(),
        &mut session,
        &callbacks,
        &outcome,
        &identity,
    )?;
    saver.checkpoints.finish();
    if outcome.stopped != Some(Stopped::Interrupted) {
        report::write(&mut Ended {
            loaded,
            data,
            session: &mut session,
            outcome: &outcome,
            out,
            progress: &progress,
        })?;
    }
    let ended = (&outcome, callbacks.restored_epoch());
    conclude(&progress, task, out, ended, session.steps());
    let interrupted = outcome.stopped == Some(Stopped::Interrupted);
    let held_out = match &mut parts.val {
        Some(val) if whole.is_some() && !interrupted => Some(evaluate(&mut session, val)?),
        _ => None,
    };
    let told = progress.all_told().map_err(Failure::from);
    Ok(Ran {
        code: match told {
            Err(untold) => untold.report(args.common.json),
            Ok(()) if interrupted => exit::INTERRUPTED,
            Ok(()) => exit::FINE,
        },
        result: Some(Judged {
            outcome,
            metrics: session.metric_names().to_vec(),
            held_out,
        }),
    })
}

/// The program with the values of the command line in it.
pub(super) fn text(args: &Args, loaded: &Loaded) -> String {
    let source = &loaded.map.get(SourceId(0)).text;
    let settings = [
        ("epochs", args.epochs.map(u64::from)),
        ("batch", args.batch.map(u64::from)),
        ("seed", args.seed),
    ];
    program::as_run(source, &loaded.folder, &args.common.set, &settings)
}

/// After how many steps to stop, though there are more to do.
fn limit(args: &Args, from: Position, epochs: usize, steps: usize) -> Option<u64> {
    let whole = args.limit_epochs.map(|n| n as usize);
    let whole = whole.filter(|n| *n < epochs).map(|n| {
        let done = from.epoch * steps + from.step;
        (n * steps).saturating_sub(done) as u64
    });
    whole.into_iter().chain(args.limit_steps).min()
}

fn refuse_what_is_done(from: &Resumed, epochs: usize, resumed: bool) -> Result<(), Failure> {
    let done = from.position.epoch;
    if let Some(callback) = &from.ended {
        return Err(Failure::Usage {
            message: format!("{callback} stopped this run after {}", count(done, "epoch")),
            help: Some("start a new run from its weights with --weights FILE".into()),
        });
    }
    if resumed && done >= epochs {
        return Err(Failure::Usage {
            message: format!("this run is complete: {} done", count(done, "epoch")),
            help: Some(format!("train longer with --epochs {}", done + epochs)),
        });
    }
    Ok(())
}

/// How training rows are visited.
fn order(spec: &TrainSpec) -> Order {
    if spec.shuffle {
        Order::Shuffled { seed: spec.seed }
    } else {
        Order::Sequential
    }
}

pub(super) fn parts(loaded: &Loaded, session: &Session, data: &Dataset) -> Result<Parts, Failure> {
    let spec = &loaded.train;
    let order = order(spec);
    let (train, eval) = (
        session.columns(ProgramKind::Train),
        session.columns(ProgramKind::Eval),
    );
    let held = |part| data.batches(part, &eval, spec.batch, Order::Sequential);
    let train = data.batches(Part::Train, &train, spec.batch, order)?;
    Ok(Parts {
        train: train.ok_or_else(|| Failure::usage("there is no training set"))?,
        val: held(Part::Val)?,
        test: held(Part::Test)?,
    })
}
