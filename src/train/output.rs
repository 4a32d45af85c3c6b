//! The folder of a run, the only place it writes to: `weights.safetensors` and
//! `history.csv`, each appearing whole or not at all.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::data::write::replace;
use crate::train::fit::Position;
use crate::train::store::{Saved, Store};
use crate::train::watch::EpochRow;
use crate::train::weights::WeightsFile;
use crate::train::{Outcome, RunError};

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
        store: &mut Store,
        outcome: &Outcome,
        steps: u64,
        identity: &Identity,
    ) -> Result<(), RunError> {
        let saved = if outcome.accumulators.is_empty() {
            Saved::Training
        } else {
            store.set_accumulators(&outcome.accumulators);
            Saved::Everything
        };
        let metadata = BTreeMap::from([
            ("nnc".into(), env!("CARGO_PKG_VERSION").into()),
            ("program".into(), identity.program.clone()),
            ("seed".into(), identity.seed.to_string()),
            ("batch".into(), identity.batch.to_string()),
            ("steps".into(), steps.to_string()),
            ("epoch".into(), outcome.position.epoch.to_string()),
            ("epoch_step".into(), outcome.position.step.to_string()),
        ]);
        store.save(&self.weights(), saved, &metadata)
    }
}

/// Fills `store` from a weights file of the same run, and says where it stopped:
/// steps since training began, and the place in the epochs.
pub fn resume(
    path: &Path,
    store: &mut Store,
    identity: &Identity,
) -> Result<(u64, Position), RunError> {
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
    let saved = if position.step == 0 {
        Saved::Training
    } else {
        Saved::Everything
    };
    store.load(&mut file, saved)?;
    Ok((steps, position))
}
