//! The folder of a run, the only place it writes to: `weights.safetensors` and
//! `history.csv`, each appearing whole or not at all.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::data::write::replace;
use crate::train::fit::Position;
use crate::train::store::Saved;
use crate::train::watch::EpochRow;
use crate::train::weights::WeightsFile;
use crate::train::{Callbacks, Outcome, RunError, Session, Stopped};

#[derive(Clone, Debug)]
pub struct Output {
    folder: PathBuf,
    /// Folders that were not there before, the innermost first.
    made: Vec<PathBuf>,
}

/// What identifies a program and a run of it, for a weights file's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Of the file's program, as text.
    pub program: String,
    pub seed: u64,
    pub batch: usize,
}

impl Output {
    /// The folder `asked`, made if it is not there; else a new `runs/NAME-1`, `-2`, ...
    pub fn create(asked: Option<&Path>, name: &str) -> Result<Output, RunError> {
        let made = |path: &Path, result: std::io::Result<()>| {
            result.map_err(|e| RunError::file(path, "make this folder", &e))
        };
        if let Some(folder) = asked {
            let missing = folder.ancestors().take_while(|f| !f.exists());
            let missing = missing.map(Path::to_owned).collect();
            made(folder, std::fs::create_dir_all(folder))?;
            return Ok(Output {
                folder: folder.to_owned(),
                made: missing,
            });
        }
        let runs = Path::new("runs");
        let had_runs = runs.exists();
        made(runs, std::fs::create_dir_all(runs))?;
        // making it is what claims the number: two runs never share one
        let mut number = 1usize;
        loop {
            let folder = runs.join(format!("{name}-{number}"));
            match std::fs::create_dir(&folder) {
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                result => {
                    made(&folder, result)?;
                    let mut made = vec![folder.clone()];
                    made.extend((!had_runs).then(|| runs.to_owned()));
                    return Ok(Output { folder, made });
                }
            }
        }
    }

    /// Takes back the folders that were made, where nothing has been written to them.
    pub fn withdraw(&self) {
        for folder in &self.made {
            // refused, as it should be, where there is something in it
            let _ = std::fs::remove_dir(folder);
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn weights(&self) -> PathBuf {
        self.folder.join("weights.safetensors")
    }

    pub fn history(&self) -> PathBuf {
        self.folder.join("history.csv")
    }

    /// Writes the history: epoch, metrics, `val_` metrics, seconds.
    pub fn save_history(&self, metrics: &[String], rows: &[EpochRow]) -> Result<(), RunError> {
        let validated = rows.iter().any(|r| r.val.is_some());
        replace(&self.history(), |out| {
            write!(out, "epoch")?;
            for name in metrics {
                write!(out, ",{name}")?;
            }
            for name in metrics.iter().filter(|_| validated) {
                write!(out, ",val_{name}")?;
            }
            writeln!(out, ",seconds")?;
            for row in rows {
                write!(out, "{}", row.epoch)?;
                for value in row.train.iter().chain(row.val.iter().flatten()) {
                    write!(out, ",{value}")?;
                }
                writeln!(out, ",{:.6}", row.seconds)?;
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Writes the weights as they are, with all that it takes to go on from there.
    pub fn save_weights(
        &self,
        session: &mut Session,
        callbacks: &Callbacks,
        outcome: &Outcome,
        identity: &Identity,
    ) -> Result<(), RunError> {
        save_state(&self.weights(), session, callbacks, outcome, identity)
    }
}

/// Writes a run's state: everything that decides how it goes on.
///
/// ```text
/// tensors      parameters, states, fitted statistics, slots, rates; in an epoch's midst
///              also the metric accumulators; `kept/N/...` what callback N keeps
/// metadata     nnc, program, seed, batch: what must be the same
///              steps (the counter of everything random), epoch, epoch_step
///              callbacks, history, ended
/// ```
pub fn save_state(
    path: &Path,
    session: &mut Session,
    callbacks: &Callbacks,
    outcome: &Outcome,
    identity: &Identity,
) -> Result<(), RunError> {
    let mut metadata = standing(session.steps(), outcome.position, identity);
    metadata.insert("callbacks".into(), callbacks.state().to_string());
    metadata.insert("history".into(), history_text(&outcome.history));
    if let Some(Stopped::Callback(name)) = outcome.stopped {
        metadata.insert("ended".into(), name.into());
    }
    let kept: Vec<_> = callbacks.kept().map(|(i, s)| (kept_prefix(i), s)).collect();
    let saved = if outcome.accumulators.is_empty() {
        Saved::Training
    } else {
        session.store_mut().set_accumulators(&outcome.accumulators);
        Saved::Everything
    };
    session.store().save(path, saved, &metadata, &kept)
}

/// Writes the model for a callback: without what only training needs, or (where the
/// callbacks of a run that goes on from it may begin anew) with it.
pub fn save_model(
    path: &Path,
    session: &Session,
    weights_only: bool,
    position: Position,
    identity: &Identity,
) -> Result<(), RunError> {
    let saved = match (weights_only, position.step) {
        (true, _) => Saved::Model,
        (false, 0) => Saved::Training,
        (false, _) => Saved::Everything,
    };
    let metadata = standing(session.steps(), position, identity);
    session.store().save(path, saved, &metadata, &[])
}

/// From where a run goes on.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Resumed {
    pub position: Position,
    /// The epochs before.
    pub history: Vec<EpochRow>,
    /// The callback that ended training.
    pub ended: Option<String>,
}

/// Fills the session and the callbacks from a saved state of the same run.
pub fn resume(
    path: &Path,
    session: &mut Session,
    callbacks: &mut Callbacks,
    identity: &Identity,
) -> Result<Resumed, RunError> {
    let mut file = WeightsFile::open(path)?;
    let reason = |reason: String| RunError::Resume {
        path: path.to_owned(),
        reason,
    };
    let text = |key: &str| {
        let value = file.metadata().get(key);
        value
            .cloned()
            .ok_or_else(|| reason(format!("it does not say its `{key}`")))
    };
    let number = |key: &str| {
        let value = text(key)?;
        value
            .parse::<u64>()
            .map_err(|_| reason(format!("its `{key}` is `{value}`")))
    };
    for (key, now) in [
        ("program", identity.program.clone()),
        ("seed", identity.seed.to_string()),
        ("batch", identity.batch.to_string()),
    ] {
        let then = text(key)?;
        if then != now {
            let what = match key {
                "program" => "it is of another program (or this one has changed since)".into(),
                _ => format!("its {key} is {then}, now {now}"),
            };
            return Err(reason(what));
        }
    }
    let steps = number("steps")?;
    let position = Position {
        epoch: number("epoch")? as usize,
        step: number("epoch_step")? as usize,
    };
    let mut history = match file.metadata().get("history") {
        Some(text) => history_of(text).ok_or_else(|| reason("its history is broken".into()))?,
        None => Vec::new(),
    };
    // the epoch that was cut short is told again, whole
    history.retain(|row| row.epoch <= position.epoch);
    with_seconds(path, &mut history);
    let ended = file.metadata().get("ended").cloned();
    if let Some(state) = file.metadata().get("callbacks") {
        let state = serde_json::from_str(state).map_err(|e| reason(e.to_string()))?;
        callbacks.restore(&state).map_err(&reason)?;
    }
    let saved = if position.step == 0 {
        Saved::Training
    } else {
        Saved::Everything
    };
    for (i, kept) in callbacks.keepers() {
        *kept = Some(session.store().read_snapshot(&mut file, &kept_prefix(i))?);
    }
    session.store_mut().load(&mut file, saved)?;
    session.set_steps(steps);
    Ok(Resumed {
        position,
        history,
        ended,
    })
}

/// Takes the times from the run's `history.csv`, where it is still there.
fn with_seconds(state: &Path, history: &mut [EpochRow]) {
    let folders = state.ancestors().skip(1).take(2);
    let text = folders.map(|f| std::fs::read_to_string(f.join("history.csv")));
    let Some(text) = text.flatten().next() else {
        return;
    };
    for line in text.lines().skip(1) {
        let (epoch, seconds) = (line.split(',').next(), line.rsplit(',').next());
        let epoch = epoch.and_then(|e| e.parse::<usize>().ok());
        if let Some(row) = history.iter_mut().find(|r| Some(r.epoch) == epoch)
            && let Some(seconds) = seconds.and_then(|s| s.parse().ok())
        {
            row.seconds = seconds;
        }
    }
}

fn standing(steps: u64, position: Position, identity: &Identity) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("nnc".into(), env!("CARGO_PKG_VERSION").into()),
        ("program".into(), identity.program.clone()),
        ("seed".into(), identity.seed.to_string()),
        ("batch".into(), identity.batch.to_string()),
        ("steps".into(), steps.to_string()),
        ("epoch".into(), position.epoch.to_string()),
        ("epoch_step".into(), position.step.to_string()),
    ])
}

fn kept_prefix(callback: usize) -> String {
    format!("kept/{callback}/")
}

/// A line an epoch: epoch, the numbers as their bits. Not the times, nor how many steps were
/// since the run was stopped: states of equal runs are equal files.
fn history_text(rows: &[EpochRow]) -> String {
    let bits = |values: &[f64]| {
        let all: Vec<String> = values
            .iter()
            .map(|v| format!("{:016x}", v.to_bits()))
            .collect();
        all.join(",")
    };
    let lines = rows.iter().map(|r| {
        let val = r.val.as_deref().map_or_else(|| "-".into(), bits);
        format!("{} {} {val}", r.epoch, bits(&r.train))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn history_of(text: &str) -> Option<Vec<EpochRow>> {
    let values = |text: &str| {
        let all = text.split(',').map(|t| u64::from_str_radix(t, 16).ok());
        all.map(|bits| bits.map(f64::from_bits))
            .collect::<Option<Vec<f64>>>()
    };
    let row = |line: &str| {
        let [epoch, train, val] = line.split(' ').collect::<Vec<_>>()[..] else {
            return None;
        };
        Some(EpochRow {
            epoch: epoch.parse().ok()?,
            steps: 0,
            train: values(train)?,
            val: match val {
                "-" => None,
                val => Some(values(val)?),
            },
            train_seconds: 0.0,
            seconds: 0.0,
        })
    };
    text.lines().map(row).collect()
}
