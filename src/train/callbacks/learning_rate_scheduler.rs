//! LearningRateScheduler: a schedule sets the rate before each epoch.

use std::path::Path;

use super::{Callback, CallbackContext, Declared, Logs, RunContext, rates};
use crate::backend::Executable;
use crate::ir::Graph;
use crate::spec::call::{Arguments, Signature};
use crate::spec::callbacks::CallbackSettings;
use crate::train::{RunError, Session};

const NAME: &str = "LearningRateScheduler";

#[derive(Debug)]
pub(super) struct LearningRateScheduler {
    /// `step` (`F32[]`, 1 in the first epoch) -> `rate` (`F32[]`).
    rate: Graph,
    verbose: bool,
}

impl CallbackSettings for LearningRateScheduler {
    fn describe(&self) -> String {
        // places in the source do not matter
        self.rate.to_string()
    }

    fn schedule(&self) -> Option<&Graph> {
        Some(&self.rate)
    }
}

impl Declared for LearningRateScheduler {
    const SIGNATURE: Signature = Signature::new(NAME, &["schedule", "verbose"]);

    fn read(args: &mut dyn Arguments) -> Option<LearningRateScheduler> {
        args.needs_settable_rate()?;
        Some(LearningRateScheduler {
            rate: args.schedule("schedule", "LearningRateScheduler(cosine(1e-3, 20))")?,
            verbose: args.verbose()?,
        })
    }

    fn start(&self, session: &Session, _: &Path) -> Result<Box<dyn Callback>, RunError> {
        Ok(Box::new(Active {
            rate: session.compile(self.rate.clone())?,
            verbose: self.verbose,
        }))
    }
}

struct Active {
    rate: Box<dyn Executable>,
    verbose: bool,
}

impl Callback for Active {
    fn on_epoch_begin(
        &mut self,
        cx: &mut CallbackContext,
        _: &mut RunContext,
    ) -> Result<(), RunError> {
        let rate = rates::scheduled(self.rate.as_mut(), cx.epoch as u64 + 1);
        let store = cx.session.store_mut();
        for (name, _) in rates::all(store) {
            rates::set(store, &name, rate);
        }
        let text = format!("set the learning rate to {rate}");
        cx.tell(NAME, &text, self.verbose);
        Ok(())
    }

    fn on_epoch_end(
        &mut self,
        logs: &mut Logs,
        cx: &mut CallbackContext,
        _: &mut RunContext,
    ) -> Result<(), RunError> {
        logs.add_rates(cx.session);
        Ok(())
    }
}
