//! EarlyStopping: Keras' decisions, epoch by epoch.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::exact::Exact;
use super::{Callback, CallbackContext, Declared, Logs, RunContext, read};
use crate::spec::call::{Arguments, Signature};
use crate::spec::callbacks::{CallbackSettings, MONITORING, Monitor};
use crate::train::store::Snapshot;
use crate::train::{RunError, Session};

const NAME: &str = "EarlyStopping";

#[derive(Clone, Debug, PartialEq)]
pub struct EarlyStopping {
    pub monitor: Monitor,
    /// Not negative.
    pub min_delta: f64,
    pub patience: u32,
    pub verbose: bool,
    pub baseline: Option<f64>,
    pub restore_best_weights: bool,
    pub start_from_epoch: u32,
}

impl CallbackSettings for EarlyStopping {}

impl Declared for EarlyStopping {
    const SIGNATURE: Signature = Signature::new(
        NAME,
        &[
            MONITORING,
            "min_delta",
            "patience",
            "verbose",
            "mode",
            "baseline",
            "restore_best_weights",
            "start_from_epoch",
        ],
    );

    fn read(args: &mut dyn Arguments) -> Option<EarlyStopping> {
        Some(EarlyStopping {
            monitor: args.monitor(false)?,
            min_delta: args.number("min_delta", 0.0)?.abs(),
            patience: args.count("patience", 0)?,
            verbose: args.verbose()?,
            baseline: args.number_or_none("baseline")?,
            restore_best_weights: args.flag("restore_best_weights", false)?,
            start_from_epoch: args.count("start_from_epoch", 0)?,
        })
    }

    fn start(&self, _: &Session, _: &Path) -> Result<Box<dyn Callback>, RunError> {
        Ok(Box::new(Active {
            settings: self.clone(),
            state: State::default(),
            kept: None,
        }))
    }
}

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

struct Active {
    settings: EarlyStopping,
    state: State,
    kept: Option<Snapshot>,
}

impl Callback for Active {
    fn on_epoch_end(
        &mut self,
        logs: &mut Logs,
        cx: &mut CallbackContext,
        _: &mut RunContext,
    ) -> Result<(), RunError> {
        let metric = &self.settings.monitor.name;
        let Some(current) = logs.get(metric) else {
            return Ok(());
        };
        let decision = self.state.epoch_end(&self.settings, cx.epoch, current);
        if decision.keep {
            cx.session.store().snapshot(&mut self.kept);
        }
        if decision.stop {
            let best = self.state.best_epoch + 1;
            let text = format!(
                "early stopping at epoch {} (best {metric} in epoch {best})",
                cx.epoch + 1
            );
            cx.tell(NAME, &text, true);
            *cx.stop = Some(NAME);
        }
        Ok(())
    }

    fn on_train_end(&mut self, cx: &mut CallbackContext) -> Option<usize> {
        let kept = self.kept.as_ref()?;
        cx.session.store_mut().put_back(kept);
        let epoch = self.state.best_epoch + 1;
        cx.tell(
            NAME,
            &format!("restored the weights of epoch {epoch}"),
            true,
        );
        Some(epoch)
    }

    fn state(&self) -> Value {
        json!(self.state)
    }

    fn restore(&mut self, state: &Value) -> Result<(), serde_json::Error> {
        read(state, &mut self.state)
    }

    fn kept(&self) -> Option<&Snapshot> {
        self.kept.as_ref()
    }

    fn kept_mut(&mut self) -> Option<&mut Option<Snapshot>> {
        self.state.kept.then_some(&mut self.kept)
    }
}
