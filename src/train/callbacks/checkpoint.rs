//! ModelCheckpoint: when to save, and under what name.

use serde::{Deserialize, Serialize};

use super::Logs;
use super::exact::Exact;
use crate::spec::callbacks::{Checkpoint, Frequency};
use crate::spec::pattern::Number;

#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct State {
    pub best: Option<Exact>,
    /// Steps since the last one that was due.
    pub seen: u32,
}

impl State {
    pub fn new(set: &Checkpoint) -> State {
        State {
            best: set.initial_value_threshold.map(Exact::from),
            seen: 0,
        }
    }

    /// Counts a step; whether it is one after which to save.
    pub fn due(&mut self, set: &Checkpoint) -> bool {
        let Frequency::Steps(n) = set.frequency else {
            return false;
        };
        self.seen += 1;
        let due = self.seen >= n;
        if due {
            self.seen = 0;
        }
        due
    }

    /// Whether these values are to be saved.
    pub fn wants(&mut self, set: &Checkpoint, logs: &Logs) -> bool {
        if !set.save_best_only {
            return true;
        }
        let Some(monitor) = &set.monitor else {
            return true;
        };
        let Some(current) = logs.get(&monitor.name) else {
            return true;
        };
        let better = monitor
            .better
            .improves(current, 0.0, self.best.map(Exact::get));
        if better {
            self.best = Some(current.into());
        }
        better
    }
}

/// The name of the file; `epoch` counts from 0, `step` (of the epoch) from 1.
pub fn path(set: &Checkpoint, epoch: usize, step: usize, logs: &Logs) -> String {
    set.path.fill(|name| match name {
        "epoch" => Some(Number::Count(epoch + 1)),
        "batch" => Some(Number::Count(step)),
        name => logs.get(name).map(Number::Real),
    })
}
