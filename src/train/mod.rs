//! From graphs and batches to trained weights.
//!
//! ```text
//! error        what can go wrong while a program runs
//! weights      safetensors
//! store        the buffers that outlive a step
//! session      executables by batch size, bound to the store and to batches
//! fit          the epoch loop
//! callbacks    what acts on it between steps and epochs
//! progress     what the loop reports while it runs
//! fitted       what is computed from the training rows: statistics, vocabularies, sizes
//! bounds       numbers that a loss does not take
//! dataset      what a `data` block names, in memory
//! identity     what must be the same for a run to go on
//! state        a run's state in a file
//! checkpoints  states saved while it runs
//! output       the folder of a run
//! report       what is reported once a run has ended
//! schedules    learning rate schedules against the length of the run
//! trace        where a number that is not finite came from
//! memory       how much memory a run will take
//! sweep        which configurations a sweep tries
//! ```

pub mod bounds;
pub mod callbacks;
pub mod checkpoints;
pub mod dataset;
pub mod device;
pub mod error;
pub mod fit;
pub mod fitted;
pub mod identity;
pub mod memory;
pub mod output;
pub mod progress;
pub mod report;
pub mod schedules;
pub mod session;
pub mod state;
pub mod store;
pub mod sweep;
pub mod trace;
pub mod weights;

pub use callbacks::Callbacks;
pub use error::RunError;
pub use fit::{CheckpointSink, Fit, Outcome, Parts, Stopped, fit};
pub use progress::{EpochRow, ProgressSink};
pub use session::{Compile, ProgramKind, Session};
pub use store::Store;

use crate::spec::Runtime;

/// What a file may name that is made here.
pub const RUNTIME: Runtime = Runtime {
    callbacks: callbacks::ENTRIES,
    reports: report::ENTRIES,
    sources: dataset::SOURCES,
    data_sets: crate::data::fetch::ENTRIES,
};
