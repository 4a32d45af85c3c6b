//! EarlyStopping: Keras' decisions, epoch by epoch.

use serde::{Deserialize, Serialize};

use super::exact::Exact;
use crate::spec::callbacks::EarlyStopping;

/// What has been seen; without the settings and the weights kept.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct State {
    pub wait: u32,
    pub best: Option<Exact>,
    /// From 0.
    pub best_epoch: usize,
    /// Whether weights are kept.
    pub kept: bool,
}

/// What to do after an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Decision {
    /// Keep a copy of the weights.
    pub keep: bool,
    pub stop: bool,
}

impl State {
    /// `epoch` counts from 0; `current` is the metric watched.
    pub fn epoch_end(&mut self, set: &EarlyStopping, epoch: usize, current: f64) -> Decision {
        let mut decision = Decision::default();
        if epoch < set.start_from_epoch as usize {
            return decision;
        }
        if set.restore_best_weights && !self.kept {
            decision.keep = true;
            self.kept = true;
            self.best_epoch = epoch;
        }
        self.wait = self.wait.saturating_add(1);
        let better = set.monitor.better;
        let best = self.best.map(Exact::get);
        if better.improves(current, set.min_delta, best) {
            self.best = Some(current.into());
            self.best_epoch = epoch;
            decision.keep = set.restore_best_weights;
            let above = |base| better.improves(current, set.min_delta, Some(base));
            if set.baseline.is_none_or(above) {
                self.wait = 0;
            }
            return decision;
        }
        decision.stop = self.wait >= set.patience && epoch > 0;
        decision
    }
}
