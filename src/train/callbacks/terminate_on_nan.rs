//! TerminateOnNaN: training stops at a loss that is not finite.

use std::path::Path;

use super::{Batch, Callback, CallbackContext, Declared, RunContext};
use crate::spec::call::{Arguments, Signature};
use crate::spec::callbacks::CallbackSettings;
use crate::train::{RunError, Session};

const NAME: &str = "TerminateOnNaN";

#[derive(Clone, Copy, Debug)]
pub(super) struct TerminateOnNan {
    raise_error: bool,
}

impl CallbackSettings for TerminateOnNan {}

impl Declared for TerminateOnNan {
    const SIGNATURE: Signature = Signature::new(NAME, &["raise_error"]);

    fn read(args: &mut dyn Arguments) -> Option<TerminateOnNan> {
        Some(TerminateOnNan {
            raise_error: args.flag("raise_error", false)?,
        })
    }

    fn start(&self, _: &Session, _: &Path) -> Result<Box<dyn Callback>, RunError> {
        Ok(Box::new(*self))
    }
}

impl Callback for TerminateOnNan {
    fn on_train_batch_end(
        &mut self,
        batch: Batch,
        cx: &mut CallbackContext,
        _: &mut RunContext,
    ) -> Result<(), RunError> {
        if !batch.finite {
            let text = format!("the loss is not finite after batch {}", batch.done);
            cx.tell(NAME, &text, true);
            *cx.stop = Some(NAME);
        }
        Ok(())
    }

    fn handles_not_finite(&self) -> bool {
        !self.raise_error
    }
}
