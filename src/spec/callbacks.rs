//! The callbacks of a train block: settings that the checker has read and the runtime uses.
//!
//! Which callbacks there are is the runtime's to say: its [`Runtime`](super::Runtime) lists a
//! [`CallbackEntry`] for each.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use crate::ir::Graph;
use crate::spec::call::{Arguments, Signature};

/// The name of the argument that names a metric to watch.
pub const MONITORING: &str = "monitor";

/// The settings of one kind of callback.
pub trait CallbackSettings: Any + Debug + Send + Sync {
    /// Everything that decides what it does, as text.
    fn describe(&self) -> String {
        format!("{self:?}")
    }

    /// What it writes, below the run's folder.
    fn path(&self) -> Option<String> {
        None
    }

    /// The schedule by which it sets the learning rate: from an epoch, counted from 1.
    fn schedule(&self) -> Option<&Graph> {
        None
    }
}

/// One line of `callbacks { ... }`; they act in the order in which they are written.
#[derive(Clone, Debug)]
pub struct CallbackSpec {
    name: &'static str,
    settings: Arc<dyn CallbackSettings>,
}

impl CallbackSpec {
    pub fn new(name: &'static str, settings: impl CallbackSettings) -> CallbackSpec {
        CallbackSpec {
            name,
            settings: Arc::new(settings),
        }
    }

    /// As it is written.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The settings, if the callback is of this kind.
    pub fn settings<T: CallbackSettings>(&self) -> Option<&T> {
        let any: &dyn Any = &*self.settings;
        any.downcast_ref()
    }

    pub fn path(&self) -> Option<String> {
        self.settings.path()
    }

    pub fn schedule(&self) -> Option<&Graph> {
        self.settings.schedule()
    }

    /// Everything that decides what it does, as text.
    pub fn describe(&self) -> String {
        format!("{} {}", self.name, self.settings.describe())
    }
}

impl PartialEq for CallbackSpec {
    fn eq(&self, other: &CallbackSpec) -> bool {
        self.describe() == other.describe()
    }
}

/// A callback that a file may name.
#[derive(Clone, Copy, Debug)]
pub struct CallbackEntry {
    pub signature: Signature,
    /// Why a run has one of it at most; none: it may have several.
    pub once: Option<&'static str>,
    pub read: fn(&mut dyn Arguments) -> Option<CallbackSpec>,
}

/// A metric of the run, and what is better.
#[derive(Clone, Debug, PartialEq)]
pub struct Monitor {
    /// `val_loss`
    pub name: String,
    pub better: Better,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    Less,
    Greater,
}

/// When something is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frequency {
    Epoch,
    /// After every so many steps.
    Steps(u32),
}

impl Better {
    /// Whether `value` is better than `best` by more than `min_delta`. As in Keras, both
    /// sides are compared as 32-bit numbers, and nothing is better than NaN.
    pub fn improves(self, value: f64, min_delta: f64, best: Option<f64>) -> bool {
        let Some(best) = best else { return true };
        match self {
            Better::Less => ((value + min_delta) as f32) < best as f32,
            Better::Greater => ((value - min_delta) as f32) > best as f32,
        }
    }
}
