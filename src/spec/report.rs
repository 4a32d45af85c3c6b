//! The reports of a train block: `report { roc, worst(count = 20) }`.
//!
//! Which reports there are is the runtime's to say: its [`Runtime`](super::Runtime) lists a
//! [`ReportEntry`] for each.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use super::call::{Arguments, Signature};
use crate::span::Span;

/// The settings of one kind of report.
pub trait ReportSettings: Any + Debug + Send + Sync {}

/// A word of `report`.
#[derive(Clone, Debug)]
pub struct ReportSpec {
    /// As it is written; also the name of the report's picture.
    pub name: &'static str,
    pub subject: ReportSubject,
    /// The output that it shows; none: it shows the run.
    pub output: Option<String>,
    pub settings: Arc<dyn ReportSettings>,
    pub span: Span,
}

/// What a report shows, which decides what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportSubject {
    /// The run's history or its weights.
    Run,
    /// What each layer gives.
    Layers,
    /// Predicted classes beside the target's.
    Classes,
    /// Predicted quantities beside the target's.
    Quantities,
    /// Rows with the loss of each.
    Rows,
}

/// A report that a file may name.
#[derive(Clone, Copy, Debug)]
pub struct ReportEntry {
    pub signature: Signature,
    pub subject: ReportSubject,
    pub read: fn(&mut dyn Arguments) -> Option<Arc<dyn ReportSettings>>,
}

impl ReportSpec {
    /// The settings, if the report is of this kind.
    pub fn settings<T: ReportSettings>(&self) -> Option<&T> {
        let any: &dyn Any = &*self.settings;
        any.downcast_ref()
    }
}

impl PartialEq for ReportSpec {
    fn eq(&self, other: &ReportSpec) -> bool {
        let settings = |r: &ReportSpec| format!("{:?}", r.settings);
        (self.name, &self.output) == (other.name, &other.output)
            && settings(self) == settings(other)
    }
}

impl ReportSubject {
    /// Whether it shows an output of the model beside its target.
    pub fn compares(self) -> bool {
        match self {
            ReportSubject::Run | ReportSubject::Layers => false,
            ReportSubject::Classes | ReportSubject::Quantities | ReportSubject::Rows => true,
        }
    }

    /// Whether the model is run for it.
    pub fn runs_model(self) -> bool {
        self != ReportSubject::Run
    }
}
