//! ReduceLROnPlateau: Keras' decisions, epoch by epoch.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::exact::Exact;
use super::{Callback, CallbackContext, Declared, Logs, RunContext, rates, read};
use crate::spec::call::{Arguments, Signature};
use crate::spec::callbacks::{CallbackSettings, MONITORING, Monitor};
use crate::train::{RunError, Session};

const NAME: &str = "ReduceLROnPlateau";

#[derive(Clone, Debug, PartialEq)]
pub struct ReduceLrOnPlateau {
    pub monitor: Monitor,
    /// Below 1.
    pub factor: f64,
    pub patience: u32,
    pub verbose: bool,
    /// Not negative.
    pub min_delta: f64,
    pub cooldown: u32,
    pub min_lr: f64,
}

impl CallbackSettings for ReduceLrOnPlateau {}

impl Declared for ReduceLrOnPlateau {
    const SIGNATURE: Signature = Signature::new(
        NAME,
        &[
            MONITORING,
            "factor",
            "patience",
            "verbose",
            "mode",
            "min_delta",
            "cooldown",
            "min_lr",
        ],
    );

    fn read(args: &mut dyn Arguments) -> Option<ReduceLrOnPlateau> {
        args.needs_settable_rate()?;
        let factor = args.number("factor", 0.1)?;
        if factor >= 1.0 || factor <= 0.0 {
            let rule = "`factor` must be between 0 and 1";
            args.refuse("factor", rule, &factor.to_string());
            return None;
        }
        Some(ReduceLrOnPlateau {
            monitor: args.monitor(false)?,
            factor,
            patience: args.count("patience", 10)?,
            verbose: args.verbose()?,
            min_delta: args.number("min_delta", 1e-4)?.abs(),
            cooldown: args.count("cooldown", 0)?,
            min_lr: args.number("min_lr", 0.0)?,
        })
    }

    fn start(&self, _: &Session, _: &Path) -> Result<Box<dyn Callback>, RunError> {
        Ok(Box::new(Active {
            settings: self.clone(),
            state: State::default(),
        }))
    }
}

#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct State {
    pub wait: u32,
    pub cooldown: u32,
    pub best: Option<Exact>,
}

impl State {
    /// Whether the rate is to be reduced; [`State::reduced`] follows if it was.
    pub fn epoch_end(&mut self, set: &ReduceLrOnPlateau, current: f64) -> bool {
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

    pub fn reduced(&mut self, set: &ReduceLrOnPlateau) {
        self.cooldown = set.cooldown;
        self.wait = 0;
    }
}

/// The next rate, if `old` may fall further. Computed in 64 bits from the 32 that are kept.
pub fn next_rate(set: &ReduceLrOnPlateau, old: f32) -> Option<f32> {
    let falls = old > set.min_lr as f32;
    falls.then(|| (f64::from(old) * set.factor).max(set.min_lr) as f32)
}

struct Active {
    settings: ReduceLrOnPlateau,
    state: State,
}

impl Callback for Active {
    fn on_epoch_end(
        &mut self,
        logs: &mut Logs,
        cx: &mut CallbackContext,
        _: &mut RunContext,
    ) -> Result<(), RunError> {
        logs.add_rates(cx.session);
        let settings = &self.settings;
        let Some(current) = logs.get(&settings.monitor.name) else {
            return Ok(());
        };
        if !self.state.epoch_end(settings, current) {
            return Ok(());
        }
        let store = cx.session.store_mut();
        let mut changed = Vec::new();
        for (name, old) in rates::all(store) {
            if let Some(new) = next_rate(settings, old) {
                rates::set(store, &name, new);
                changed.push(format!("{old} to {new}"));
            }
        }
        if !changed.is_empty() {
            self.state.reduced(settings);
            let text = format!("reduced the learning rate from {}", changed.join(", "));
            cx.tell(NAME, &text, settings.verbose);
        }
        Ok(())
    }

    fn state(&self) -> Value {
        json!(self.state)
    }

    fn restore(&mut self, state: &Value) -> Result<(), serde_json::Error> {
        read(state, &mut self.state)
    }
}
