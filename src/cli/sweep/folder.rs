//! The folder of a sweep, the only place it writes to.
//!
//! ```text
//! sweep.json        what was swept, how; locked while it runs
//! trials.jsonl      a line for each training of a trial that has ended
//! trials/001/       the trial's run
//! best.nn           the best trial as a program
//! leaderboard.csv   all trials, the best first
//! report.html       and report/*.svg
//! ```

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::cli::common::Failure;
use crate::cli::sweep::child_events::exact_number;
use crate::train::RunError;
use crate::train::identity::Identity;

/// A line of `trials.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// From 1.
    pub trial: usize,
    /// From 1.
    pub rung: usize,
    /// Epochs that were asked for.
    pub epochs: usize,
    pub values: Map<String, Value>,
    /// The goal's value; none where the trial failed.
    pub score: Option<f64>,
    /// The epoch after which it was that.
    pub epoch: usize,
    /// The callback that ended the trial.
    pub ended: Option<String>,
    /// Why there is no score.
    pub failed: Option<String>,
    /// Metrics of the last epoch.
    pub metrics: Map<String, Value>,
    /// Seconds of this rung.
    pub seconds: f64,
    /// A hash of what the trial saw of the data.
    pub data: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    lock: File,
    trials: Option<File>,
}

const LOCK: &str = "sweep.json";

impl Folder {
    /// The folder `asked`, where nothing may be yet; else a new `sweeps/NAME-1`, `-2`, ...
    pub(crate) fn create(asked: Option<&Path>, name: &str) -> Result<Folder, Failure> {
        let made = |path: &Path, result: std::io::Result<()>| {
            result.map_err(|e| RunError::file(path, "create the folder", &e))
        };
        if let Some(path) = asked {
            made(path, std::fs::create_dir_all(path))?;
            return Folder::claim(path.to_owned());
        }
        let sweeps = Path::new("sweeps");
        made(sweeps, std::fs::create_dir_all(sweeps))?;
        // making it is what claims the number
        for number in 1usize.. {
            let path = sweeps.join(format!("{name}-{number}"));
            match std::fs::create_dir(&path) {
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                result => {
                    made(&path, result)?;
                    return Folder::claim(path);
                }
            }
        }
        Err(Failure::usage("there are too many sweeps in sweeps/"))
    }

    fn claim(path: PathBuf) -> Result<Folder, Failure> {
        if path.join("lock.json").exists() {
            return Err(RunError::Taken {
                folder: path,
                running: false,
            }
            .into());
        }
        let file = path.join(LOCK);
        match OpenOptions::new().create_new(true).write(true).open(&file) {
            Ok(lock) => Folder::locked(path, lock),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Err(Failure::Usage {
                message: format!("{} already holds a sweep", path.display()),
                help: Some(format!(
                    "choose another --out, remove the folder, or resume the sweep with --resume {}",
                    path.display()
                )),
            }),
            Err(e) => Err(RunError::file(&file, "create the file", &e).into()),
        }
    }

    /// The folder of a sweep that goes on, and what `sweep.json` says of it.
    pub(crate) fn reopen(path: &Path) -> Result<(Folder, Value), Failure> {
        let file = path.join(LOCK);
        let lock = match OpenOptions::new().append(true).open(&file) {
            Ok(lock) => lock,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                return Err(Failure::Usage {
                    message: format!("{} does not hold a sweep to resume", path.display()),
                    help: Some("pass its folder with --resume DIR".into()),
                });
            }
            Err(e) => return Err(RunError::file(&file, "open the file", &e).into()),
        };
        let folder = Folder::locked(path.to_owned(), lock)?;
        let text = std::fs::read_to_string(&file)
            .map_err(|e| RunError::file(&file, "read the file", &e))?;
        let said = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok((folder, said))
    }

    /// The last of `sweeps/NAME-1`, `-2`, ...
    pub(crate) fn latest(name: &str) -> Result<PathBuf, Failure> {
        let entries = std::fs::read_dir("sweeps").into_iter().flatten().flatten();
        let number = |path: &Path| -> Option<usize> {
            let folder = path.file_name()?.to_str()?;
            folder.strip_prefix(name)?.strip_prefix('-')?.parse().ok()
        };
        let there = entries.map(|e| e.path()).filter(|p| p.join(LOCK).is_file());
        let last = there.filter_map(|p| Some((number(&p)?, p))).max();
        last.map(|(_, path)| path).ok_or_else(|| Failure::Usage {
            message: format!("there is no sweep of `{name}` in sweeps/ to resume"),
            help: Some("pass its folder with --resume DIR".into()),
        })
    }

    fn locked(path: PathBuf, lock: File) -> Result<Folder, Failure> {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => Err(Failure::usage(format!(
                "{}: another sweep is writing to this folder",
                path.display()
            ))),
            // some file systems have no locks
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Folder {
                path,
                lock,
                trials: None,
            }),
        }
    }

    /// Says in `sweep.json` what is swept.
    pub(crate) fn describe(
        &mut self,
        identity: &Identity,
        space: &Map<String, Value>,
    ) -> Result<(), Failure> {
        let said = json!({"sweep": space, "program": identity.metadata()});
        let written = self.lock.write_all(format!("{said:#}\n").as_bytes());
        let path = self.path.join(LOCK);
        written.map_err(|e| RunError::file(&path, "write the file", &e))?;
        Ok(())
    }

    /// The trials that have ended. A line that was cut short when a sweep was killed is gone.
    pub(crate) fn records(&self) -> Result<Vec<Record>, Failure> {
        let path = self.path.join("trials.jsonl");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(RunError::file(&path, "read the file", &e).into()),
        };
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        if whole < text.len() {
            let cut = OpenOptions::new().write(true).open(&path);
            let cut = cut.and_then(|f| f.set_len(whole as u64));
            cut.map_err(|e| RunError::file(&path, "repair the file", &e))?;
        }
        let mut records = Vec::new();
        for (i, line) in text[..whole].lines().enumerate() {
            let mut record: Record = serde_json::from_str(line)
                .map_err(|e| Failure::usage(format!("{}:{}: {e}", path.display(), i + 1)))?;
            record.score = exact_number(line, "score");
            for (name, value) in &mut record.metrics {
                *value = exact_number(line, name).into();
            }
            records.push(record);
        }
        Ok(records)
    }

    /// Adds a line, which is there whole or not at all, and stays.
    pub(crate) fn add(&mut self, record: &Record) -> Result<(), Failure> {
        let path = self.path.join("trials.jsonl");
        let fail = |e: std::io::Error| RunError::file(&path, "write the file", &e);
        if self.trials.is_none() {
            let file = OpenOptions::new().create(true).append(true).open(&path);
            self.trials = Some(file.map_err(fail)?);
        }
        let Some(file) = &mut self.trials else {
            return Ok(());
        };
        let line = json!(record).to_string() + "\n";
        let written = file.write_all(line.as_bytes());
        written.and_then(|()| file.sync_data()).map_err(fail)?;
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of a trial's run; trials count from 0 here.
    pub(crate) fn trial(&self, trial: usize) -> PathBuf {
        self.path.join("trials").join(format!("{:03}", trial + 1))
    }
}

/// How what `sweep.json` says differs from what is swept now; a sentence.
pub(super) fn difference(
    said: &Value,
    identity: &Identity,
    space: &Map<String, Value>,
) -> Option<String> {
    let Some(then) = said["sweep"].as_object() else {
        return Some("its sweep.json is corrupt".into());
    };
    let text = |v: Option<&Value>| match v {
        None => "nothing".to_owned(),
        Some(Value::String(s)) => format!("`{s}`"),
        Some(v) => format!("`{v}`"),
    };
    for key in then.keys().chain(space.keys()) {
        let (before, after) = (then.get(key), space.get(key));
        if before != after {
            return Some(format!(
                "its {key} was {}, but is now {}",
                text(before),
                text(after)
            ));
        }
    }
    let saved = said["program"].as_object().into_iter().flatten();
    let saved = saved.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())));
    identity.difference(&saved.collect())
}
