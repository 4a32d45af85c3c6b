//! ReduceLROnPlateau: Keras' decisions, epoch by epoch.

use serde::{Deserialize, Serialize};

use super::exact::Exact;
use crate::spec::callbacks::Plateau;

#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct State {
    pub wait: u32,
    pub cooldown: u32,
    pub best: Option<Exact>,
}

impl State {
    /// Whether the rate is to be reduced; [`State::reduced`] must be told if it was.
    pub fn epoch_end(&mut self, set: &Plateau, current: f64) -> bool {
        if self.cooldown > 0 {
            self.cooldown -= 1;
            self.wait = 0;
        }
        let best = self.best.map(Exact::get);
        if set.monitor.better.improves(current, set.min_delta, best) {
            self.best = Some(current.into());
            self.wait = 0;
            return false;
        }
        if self.cooldown > 0 {
            return false;
        }
        self.wait = self.wait.saturating_add(1);
        self.wait >= set.patience
    }

    pub fn reduced(&mut self, set: &Plateau) {
        self.cooldown = set.cooldown;
        self.wait = 0;
    }
}

/// The next rate, if `old` may fall further. Computed in 64 bits from the 32 that are kept.
pub fn next_rate(set: &Plateau, old: f32) -> Option<f32> {
    let falls = old > set.min_lr as f32;
    falls.then(|| (f64::from(old) * set.factor).max(set.min_lr) as f32)
}
