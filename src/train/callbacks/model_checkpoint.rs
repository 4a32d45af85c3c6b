//! ModelCheckpoint: when the model is saved, and under what name.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::exact::Exact;
use super::{Batch, Callback, CallbackContext, Declared, Logs, RunContext, read};
use crate::spec::call::{Arguments, Signature};
use crate::spec::callbacks::{CallbackSettings, Frequency, MONITORING, Monitor};
use crate::spec::pattern::{Number, Pattern};
use crate::train::{RunError, Session};

const NAME: &str = "ModelCheckpoint";

#[derive(Clone, Debug, PartialEq)]
pub struct ModelCheckpoint {
    /// Below the run's folder.
    pub path: Pattern,
    /// There where `save_best_only` is.
    pub monitor: Option<Monitor>,
    pub verbose: bool,
    pub save_best_only: bool,
    pub save_weights_only: bool,
    pub frequency: Frequency,
    pub initial_value_threshold: Option<f64>,
}

impl CallbackSettings for ModelCheckpoint {
    fn path(&self) -> Option<String> {
        Some(self.path.fill(|_| None))
    }
}

impl Declared for ModelCheckpoint {
    const SIGNATURE: Signature = Signature::new(
        NAME,
        &[
            "filepath",
            MONITORING,
            "verbose",
            "save_best_only",
            "save_weights_only",
            "mode",
            "save_freq",
            "initial_value_threshold",
        ],
    );

    fn read(args: &mut dyn Arguments) -> Option<ModelCheckpoint> {
        let text = args.path("filepath", None)?;
        let frequency = args.frequency("save_freq", &[("epoch", Frequency::Epoch)])?;
        let each_step = frequency != Frequency::Epoch;
        let counts: &[&str] = match each_step {
            true => &["epoch", "batch"],
            false => &["epoch"],
        };
        let path = args.weights_path("filepath", &text, counts, each_step)?;
        let save_best_only = args.flag("save_best_only", false)?;
        let monitored = save_best_only || args.is_given(MONITORING);
        Some(ModelCheckpoint {
            path,
            monitor: match monitored {
                true => Some(args.monitor(each_step)?),
                false => None,
            },
            verbose: args.verbose()?,
            save_best_only,
            save_weights_only: args.flag("save_weights_only", false)?,
            frequency,
            initial_value_threshold: args.number_or_none("initial_value_threshold")?,
        })
    }

    fn start(&self, _: &Session, _: &Path) -> Result<Box<dyn Callback>, RunError> {
        Ok(Box::new(Active {
            settings: self.clone(),
            state: State::new(self),
        }))
    }
}

#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct State {
    pub best: Option<Exact>,
    /// Steps since the last one that was due.
    pub seen: u32,
}

impl State {
    pub fn new(set: &ModelCheckpoint) -> State {
        State {
            best: set.initial_value_threshold.map(Exact::from),
            seen: 0,
        }
    }

    /// Counts a step; whether it is one after which to save.
    pub fn due(&mut self, set: &ModelCheckpoint) -> bool {
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
    pub fn wants(&mut self, set: &ModelCheckpoint, logs: &Logs) -> bool {
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
pub fn path(set: &ModelCheckpoint, epoch: usize, step: usize, logs: &Logs) -> String {
    set.path.fill(|name| match name {
        "epoch" => Some(Number::Count(epoch + 1)),
        "batch" => Some(Number::Count(step)),
        name => logs.get(name).map(Number::Real),
    })
}

struct Active {
    settings: ModelCheckpoint,
    state: State,
}

impl Active {
    fn save(
        &mut self,
        step: usize,
        logs: &Logs,
        cx: &mut CallbackContext,
        run: &RunContext,
    ) -> Result<(), RunError> {
        let name = path(&self.settings, cx.epoch, step, logs);
        if !self.state.wants(&self.settings, logs) {
            return Ok(());
        }
        cx.save_as(&name, self.settings.save_weights_only, run)?;
        cx.tell(NAME, &format!("saved {name}"), self.settings.verbose);
        Ok(())
    }
}

impl Callback for Active {
    fn on_train_batch_end(
        &mut self,
        batch: Batch,
        cx: &mut CallbackContext,
        run: &mut RunContext,
    ) -> Result<(), RunError> {
        if !self.state.due(&self.settings) {
            return Ok(());
        }
        let logs = cx.running_logs()?;
        self.save(batch.done, &logs, cx, run)
    }

    fn on_epoch_end(
        &mut self,
        logs: &mut Logs,
        cx: &mut CallbackContext,
        run: &mut RunContext,
    ) -> Result<(), RunError> {
        match self.settings.frequency {
            Frequency::Epoch => self.save(0, logs, cx, run),
            Frequency::Steps(_) => Ok(()),
        }
    }

    fn state(&self) -> Value {
        json!(self.state)
    }

    fn restore(&mut self, state: &Value) -> Result<(), serde_json::Error> {
        read(state, &mut self.state)
    }
}
