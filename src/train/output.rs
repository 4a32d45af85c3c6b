//! The folder of a run, the only place it writes to.
//!
//! ```text
//! lock.json            what was run, on what; locked while it runs
//! program.nn           the program as it is run
//! events.jsonl         what was told
//! history.csv          a line an epoch
//! checkpoints/         states while it runs
//! weights.safetensors  the state at its end
//! ```
//!
//! A folder holds one run: `lock.json` claims it, and a lock on that file keeps a second
//! process from going on with a run that is going on.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::data::write::replace;
use crate::train::RunError;
use crate::train::progress::EpochRow;

#[derive(Debug)]
pub struct Output {
    folder: PathBuf,
    /// Folders that were not there before, the innermost first.
    made: Vec<PathBuf>,
    lock: File,
    /// Whether the run began here.
    fresh: bool,
}

const LOCK: &str = "lock.json";

impl Output {
    /// The folder `asked`, made if it is not there, where no run may be; else a new
    /// `runs/NAME-1`, `-2`, ...
    pub fn create(asked: Option<&Path>, name: &str) -> Result<Output, RunError> {
        let made = |path: &Path, result: std::io::Result<()>| {
            result.map_err(|e| RunError::file(path, "create the folder", &e))
        };
        if let Some(folder) = asked {
            let missing = folder.ancestors().take_while(|f| !f.exists());
            let missing = missing.map(Path::to_owned).collect();
            made(folder, std::fs::create_dir_all(folder))?;
            refuse_links(folder)?;
            return Output::claim(folder.to_owned(), missing);
        }
        let runs = Path::new("runs");
        let had_runs = runs.exists();
        made(runs, std::fs::create_dir_all(runs))?;
        // making it is what claims the number: two runs never share one
        let mut number = 1usize;
        loop {
            let folder = runs.join(format!("{name}-{number}"));
            match std::fs::create_dir(&folder) {
                Err(e) if e.kind() == ErrorKind::AlreadyExists => number += 1,
                result => {
                    made(&folder, result)?;
                    let mut made = vec![folder.clone()];
                    made.extend((!had_runs).then(|| runs.to_owned()));
                    return Output::claim(folder, made);
                }
            }
        }
    }

    /// The folder of a run that goes on.
    pub fn reopen(folder: &Path) -> Result<Output, RunError> {
        refuse_links(folder)?;
        let path = folder.join(LOCK);
        let mut options = OpenOptions::new();
        let lock = options.create(true).append(true).open(&path);
        let lock = lock.map_err(|e| RunError::file(&path, "open the file", &e))?;
        let output = Output {
            folder: folder.to_owned(),
            made: Vec::new(),
            lock,
            fresh: false,
        };
        output.lock()?;
        output.sweep();
        Ok(output)
    }

    /// The folder of a run that was killed before its first checkpoint, and begins again.
    pub fn restart(folder: &Path) -> Result<Output, RunError> {
        let output = Output::reopen(folder)?;
        Ok(Output {
            fresh: true,
            ..output
        })
    }

    fn claim(folder: PathBuf, made: Vec<PathBuf>) -> Result<Output, RunError> {
        let path = folder.join(LOCK);
        let mut options = OpenOptions::new();
        match options.create_new(true).write(true).open(&path) {
            Ok(lock) => {
                let output = Output {
                    folder,
                    made,
                    lock,
                    fresh: true,
                };
                output.lock()?;
                Ok(output)
            }
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Err(RunError::Taken {
                folder,
                running: false,
            }),
            Err(e) => Err(RunError::file(&path, "create the file", &e)),
        }
    }

    fn lock(&self) -> Result<(), RunError> {
        match self.lock.try_lock() {
            Err(TryLockError::WouldBlock) => Err(RunError::Taken {
                folder: self.folder.clone(),
                running: true,
            }),
            // some file systems have no locks
            Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
        }
    }

    /// Removes what a run that was killed was writing.
    fn sweep(&self) {
        let folders = [self.folder.clone()].into_iter();
        let below = std::fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten();
        let below = below.map(|e| e.path()).filter(|p| p.is_dir());
        for folder in folders.chain(below) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy().starts_with(".nnc-") {
                    let _ = std::fs::remove_file(entry.path());
                }
            }
        }
    }

    /// Says in `lock.json` and `program.nn` what is run; a run that goes on has said it.
    pub fn describe(&mut self, lock: &serde_json::Value, program: &str) -> Result<(), RunError> {
        if !self.fresh {
            return Ok(());
        }
        let path = self.folder.join(LOCK);
        let emptied = self.lock.set_len(0);
        let written = emptied.and_then(|()| self.lock.write_all(format!("{lock:#}\n").as_bytes()));
        written.map_err(|e| RunError::file(&path, "write the file", &e))?;
        replace(&self.program(), |out| out.write_all(program.as_bytes()))?;
        Ok(())
    }

    /// Takes back the folder of a run that has come to nothing.
    pub fn withdraw(&self) {
        let states = std::fs::read_dir(self.folder.join("checkpoints"));
        let empty = states.is_ok_and(|mut s| s.next().is_none());
        if empty {
            let _ = std::fs::remove_dir(self.folder.join("checkpoints"));
        }
        let trained = self.history().exists() || self.folder.join("checkpoints").exists();
        if !self.fresh || trained {
            return;
        }
        for path in [self.folder.join(LOCK), self.program(), self.events()] {
            let _ = std::fs::remove_file(path);
        }
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

    pub fn program(&self) -> PathBuf {
        self.folder.join("program.nn")
    }

    pub fn page(&self) -> PathBuf {
        self.folder.join("report.html")
    }

    pub fn events(&self) -> PathBuf {
        self.folder.join("events.jsonl")
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
}

/// Refuses a folder with a link in it that leads elsewhere: a run writes nowhere else.
fn refuse_links(folder: &Path) -> Result<(), RunError> {
    let Ok(whole) = folder.canonicalize() else {
        return Ok(());
    };
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let within = || path.canonicalize().is_ok_and(|p| p.starts_with(&whole));
        if path.is_symlink() && !within() {
            return Err(RunError::Usage {
                what: path.display().to_string(),
                reason: "this link leads out of the folder, which is the only place that a run writes to".into(),
            });
        }
    }
    Ok(())
}

/// Whether a folder is a run's.
pub fn is_run(folder: &Path) -> bool {
    folder.join(LOCK).is_file()
}

/// Whether a process is writing to a run's folder at this moment.
pub fn is_running(folder: &Path) -> bool {
    let lock = File::open(folder.join(LOCK));
    lock.is_ok_and(|l| matches!(l.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
