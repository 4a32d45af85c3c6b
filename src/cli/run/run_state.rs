//! What a run leaves in its folder while it trains, and where one that goes on starts.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::common::Failure;
use crate::cli::console;
use crate::cli::load::Loaded;
use crate::cli::prepare;
use crate::cli::run::Args;
use crate::train::checkpoints::Checkpoints;
use crate::train::dataset::Ranges;
use crate::train::fit::Position;
use crate::train::identity::Identity;
use crate::train::output::{self, Output};
use crate::train::state::{self, Resumed};
use crate::train::store::Saved;
use crate::train::weights::WeightsFile;
use crate::train::{Callbacks, CheckpointSink, Outcome, RunError, Session};

/// Writes into the run's folder while it trains.
pub(super) struct Saver<'a> {
    pub out: &'a Output,
    pub identity: &'a Identity,
    pub checkpoints: Checkpoints,
}

impl CheckpointSink for Saver<'_> {
    fn state(
        &mut self,
        session: &mut Session,
        callbacks: &Callbacks,
        outcome: &Outcome,
    ) -> Result<(), RunError> {
        if outcome.position.step == 0 {
            (self.out).save_history(session.metric_names(), &outcome.history)?;
        }
        (self.checkpoints).save(session, callbacks, outcome, self.identity)
    }

    fn model(
        &mut self,
        session: &mut Session,
        to: &Path,
        weights_only: bool,
        position: Position,
    ) -> Result<(), RunError> {
        state::save_model(to, session, weights_only, position, self.identity)
    }
}

/// The folder of the run: a new one, or that of the run that goes on, with the file of
/// the state that it goes on from.
pub(super) fn place(args: &Args, loaded: &Loaded) -> Result<(Output, Option<PathBuf>), Failure> {
    let asked = args.out.as_deref();
    let Some(resume) = &args.resume else {
        return Ok((Output::create(asked, &loaded.name)?, None));
    };
    let from = match resume {
        Some(path) => path.clone(),
        None => match asked {
            Some(out) => out.to_owned(),
            None => latest(&loaded.name)?,
        },
    };
    if !from.exists() && resume.is_some() {
        return Err(no_run_in(&from));
    }
    let (state, home) = if from.is_dir() || !from.exists() {
        match newest(loaded, &from)? {
            Some(state) => (state, from),
            None => return begin(loaded, asked, &from, resume.is_some()),
        }
    } else {
        let folders = from.ancestors().skip(1).take(2);
        let home = folders.map(|f| if f == "" { Path::new(".") } else { f });
        let home = home.filter(|f| output::is_run(f)).last();
        (from.clone(), home.unwrap_or(Path::new("")).to_owned())
    };
    let out = match asked {
        Some(out) if output::is_run(out) => Output::reopen(out)?,
        Some(out) => Output::create(Some(out), &loaded.name)?,
        None if output::is_run(&home) => Output::reopen(&home)?,
        None => Output::create(None, &loaded.name)?,
    };
    Ok((out, Some(state)))
}

/// A run that is to be resumed and has not come to its first checkpoint, or not begun. `named`:
/// the folder was named by `--resume`, so that a run must be there.
fn begin(
    loaded: &Loaded,
    asked: Option<&Path>,
    from: &Path,
    named: bool,
) -> Result<(Output, Option<PathBuf>), Failure> {
    if from.join("history.csv").exists() {
        return Err(Failure::Usage {
            message: format!("{} holds no checkpoint to resume from", from.display()),
            help: Some("start the run again with another --out".into()),
        });
    }
    let was_run = output::is_run(from);
    if named && !was_run {
        return Err(no_run_in(from));
    }
    let out = match asked {
        Some(out) if out != from || !was_run => Output::create(Some(out), &loaded.name)?,
        _ => Output::restart(from)?,
    };
    console::note(&format!(
        "{} holds no checkpoint yet; starting the run",
        from.display()
    ));
    Ok((out, None))
}

pub(super) fn no_run_in(folder: &Path) -> Failure {
    Failure::Usage {
        message: format!("there is no run in {}", folder.display()),
        help: Some("pass the folder of a run, or start one there with --out DIR".into()),
    }
}

/// Which columns the initial weights were trained on, where the program names a range of them.
pub(super) fn ranges(args: &Args) -> Result<Ranges, Failure> {
    let Some(path) = &args.weights else {
        return Ok(Ranges::new());
    };
    Ok(prepare::notes(&WeightsFile::open(path)?, path)?
        .map(|fitted| fitted.ranges)
        .unwrap_or_default())
}

/// The weights to start from, and where.
pub(super) fn start(
    args: &Args,
    state: Option<&Path>,
    session: &mut Session,
    callbacks: &mut Callbacks,
    identity: &Identity,
) -> Result<Resumed, Failure> {
    if let Some(path) = state {
        return Ok(state::resume(path, session, callbacks, identity)?);
    }
    if let Some(path) = &args.weights {
        let mut file = WeightsFile::open(path)?;
        session.store_mut().load(&mut file, Saved::Start)?;
    }
    Ok(Resumed::default())
}

/// What `lock.json` says: what was run, with what, on what.
pub(super) fn lock(args: &Args, loaded: &Loaded, identity: &Identity) -> serde_json::Value {
    let map = |pairs: &[(String, String)]| -> serde_json::Map<String, serde_json::Value> {
        pairs
            .iter()
            .map(|(k, v)| (k.clone(), v.as_str().into()))
            .collect()
    };
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|l| l.strip_prefix("model name"));
    let began = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    json!({
        "nnc": env!("CARGO_PKG_VERSION"),
        "file": args.common.file.display().to_string(),
        "program": identity.program,
        "set": map(&args.common.set),
        "seed": loaded.train.seed,
        "batch": loaded.train.batch,
        "epochs": loaded.train.epochs,
        "data": map(&identity.data),
        "machine": {
            "os": std::env::consts::OS,
            "arch": std::env::consts::ARCH,
            "cpu": model.map(|m| m.trim_start_matches([' ', '\t', ':'])),
            "cores": std::thread::available_parallelism().map_or(1, |n| n.get()),
        },
        "device": args.machine.device.name(),
        "threads": args.machine.threads(),
        "began": began.map_or(0, |d| d.as_secs()),
    })
}

/// The latest intact checkpoint in a run's folder. Corrupt ones are reported and skipped.
pub(super) fn newest(loaded: &Loaded, folder: &Path) -> Result<Option<PathBuf>, Failure> {
    if output::is_running(folder) {
        let folder = folder.to_path_buf();
        return Err(RunError::Taken {
            folder,
            running: true,
        }
        .into());
    }
    let checkpoints = Checkpoints::new(&loaded.train.callbacks, folder);
    let (state, damaged) = checkpoints.newest(&folder.join("weights.safetensors"));
    for path in damaged {
        console::note(&format!(
            "warning: {} is corrupt; using the previous checkpoint",
            path.display()
        ));
        let _ = std::fs::remove_file(path);
    }
    Ok(state)
}

/// The last of `runs/NAME-1`, `-2`, ...
pub(super) fn latest(name: &str) -> Result<PathBuf, Failure> {
    let entries = std::fs::read_dir("runs").into_iter().flatten().flatten();
    let number = |path: &Path| -> Option<usize> {
        let folder = path.file_name()?.to_str()?;
        folder.strip_prefix(name)?.strip_prefix('-')?.parse().ok()
    };
    let runs = entries.map(|e| e.path()).filter(|p| output::is_run(p));
    let last = runs.filter_map(|p| Some((number(&p)?, p))).max();
    last.map(|(_, path)| path).ok_or_else(|| Failure::Usage {
        message: format!("there is no run of `{name}` in runs/ to resume"),
        help: Some("pass its folder with --resume DIR".into()),
    })
}
