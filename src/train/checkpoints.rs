//! States saved while a run goes on, so that one that is killed can be taken up.
//!
//! After each epoch, but (unless `BackupAndRestore` asks for more) so seldom that saving
//! takes at most a twentieth of the time. A new one is written beside its name, brought to
//! the disk, renamed, and only then are older ones removed: the newest two stay.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::spec::callbacks::{CallbackSpec, Frequency};
use crate::train::callbacks::backup_and_restore::BackupAndRestore;
use crate::train::fit::Position;
use crate::train::identity::Identity;
use crate::train::state::save_state;
use crate::train::weights::WeightsFile;
use crate::train::{Callbacks, Outcome, RunError, Session};

/// Between two saves at least so many times what the first took.
const REST: u32 = 20;

#[derive(Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    set: BackupAndRestore,
    /// Whether the file asked for them, each one.
    asked: bool,
    /// When the last was done, and how long it took.
    last: Option<(Instant, Duration)>,
}

impl Checkpoints {
    /// As the callbacks of a run say; `folder` is the run's.
    pub fn new(callbacks: &[CallbackSpec], folder: &Path) -> Checkpoints {
        let asked = callbacks.iter().find_map(CallbackSpec::settings);
        let set = asked.cloned().unwrap_or_else(|| BackupAndRestore {
            folder: "checkpoints".into(),
            frequency: Frequency::Epoch,
            double_checkpoint: true,
            delete_checkpoint: true,
        });
        Checkpoints {
            folder: folder.join(&set.folder),
            set,
            asked: asked.is_some(),
            last: None,
        }
    }

    /// For [`crate::train::Fit::every`].
    pub fn every(&self) -> Option<u64> {
        match self.set.frequency {
            Frequency::Epoch => None,
            Frequency::Steps(n) => Some(u64::from(n)),
        }
    }

    /// Saves a state, if it is time to.
    pub fn save(
        &mut self,
        session: &mut Session,
        callbacks: &Callbacks,
        outcome: &Outcome,
        identity: &Identity,
    ) -> Result<(), RunError> {
        let early = |(done, took): (Instant, Duration)| done.elapsed() < took * REST;
        if !self.asked && self.last.is_some_and(early) {
            return Ok(());
        }
        let due = |n| session.steps().is_multiple_of(n);
        if !self.every().is_none_or(due) {
            return Ok(());
        }
        let began = Instant::now();
        std::fs::create_dir_all(&self.folder)
            .map_err(|e| RunError::file(&self.folder, "create the folder", &e))?;
        let path = self.folder.join(name(outcome.position));
        save_state(&path, session, callbacks, outcome, identity)?;
        let keep = if self.set.double_checkpoint { 2 } else { 1 };
        let mut there = states(&self.folder);
        there.retain(|p| *p != path);
        let surplus = there.len().saturating_sub(keep - 1);
        for old in &there[..surplus] {
            let _ = std::fs::remove_file(old);
        }
        self.last = Some((Instant::now(), began.elapsed()));
        Ok(())
    }

    /// Once the run's own weights are saved.
    pub fn finish(&self) {
        if !self.set.delete_checkpoint {
            return;
        }
        for state in states(&self.folder) {
            let _ = std::fs::remove_file(state);
        }
        // refused where there is something else in it
        let _ = std::fs::remove_dir(&self.folder);
    }

    /// The whole state of a run that has come farthest, of what is in its folder; and those
    /// that are damaged, which are as good as none.
    pub fn newest(&self, weights: &Path) -> (Option<PathBuf>, Vec<PathBuf>) {
        let mut best: Option<(u64, PathBuf)> = None;
        let mut damaged = Vec::new();
        for path in states(&self.folder).into_iter().chain([weights.into()]) {
            if !path.is_file() {
                continue;
            }
            match steps(&path) {
                Some(n) if best.as_ref().is_none_or(|(m, _)| n >= *m) => best = Some((n, path)),
                Some(_) => {}
                None => damaged.push(path),
            }
        }
        (best.map(|(_, path)| path), damaged)
    }
}

/// Steps done at a state, if its file is as it was written.
fn steps(path: &Path) -> Option<u64> {
    let file = WeightsFile::open(path).ok()?;
    file.metadata().get("steps")?.parse().ok()
}

/// In the order of their positions.
fn states(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|e| e.path())
        .filter(|p| {
            let stem = p.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
            let (epoch, step) = stem.split_once('-').unwrap_or_default();
            let number = |t: &str| !t.is_empty() && t.chars().all(|c| c.is_ascii_digit());
            number(epoch) && number(step) && p.extension().is_some_and(|e| e == "safetensors")
        })
        .collect();
    found.sort();
    found
}

fn name(position: Position) -> String {
    format!("{:06}-{:08}.safetensors", position.epoch, position.step)
}
