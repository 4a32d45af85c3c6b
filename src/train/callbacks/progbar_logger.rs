//! ProgbarLogger: progress is always shown; Keras adds this one by itself as well.

use std::path::Path;

use super::{Callback, Declared};
use crate::spec::call::{Arguments, Signature};
use crate::spec::callbacks::CallbackSettings;
use crate::train::{RunError, Session};

#[derive(Clone, Copy, Debug)]
pub(super) struct ProgbarLogger;

impl CallbackSettings for ProgbarLogger {}

impl Declared for ProgbarLogger {
    const SIGNATURE: Signature = Signature::new("ProgbarLogger", &[]);

    fn read(_: &mut dyn Arguments) -> Option<ProgbarLogger> {
        Some(ProgbarLogger)
    }

    fn start(&self, _: &Session, _: &Path) -> Result<Box<dyn Callback>, RunError> {
        Ok(Box::new(ProgbarLogger))
    }
}

impl Callback for ProgbarLogger {}
