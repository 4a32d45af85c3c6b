//! What a checked file says, with every name resolved and every default filled in: the graphs
//! of a run over the symbolic batch size `B`, and plain settings for `data`, `train` and `cli`.
//!
//! Names are the contract between the graphs: an input of one and an output of
//! another with the same name are the same buffer.

pub mod augment;
pub mod call;
pub mod callbacks;
mod data;
mod derived;
mod fit;
pub mod names;
pub mod pattern;
mod report;
mod source;
mod split;
pub mod sweep;
mod train;
pub mod trigger;

pub use data::*;
pub use derived::*;
pub use fit::*;
pub use report::*;
pub use source::*;
pub use split::*;
pub use train::*;

use crate::ir::Graph;
use callbacks::CallbackEntry;

/// What a runtime offers to files by name: the checker knows none of these names itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Runtime {
    pub callbacks: &'static [CallbackEntry],
    pub reports: &'static [ReportEntry],
    pub sources: &'static [SourceEntry],
    pub data_sets: &'static [DataSetEntry],
}

/// The graphs of one `train` block. `B` is the only symbol left in them, apart
/// from sizes that only the data can tell.
#[derive(Clone, Debug)]
pub struct Programs {
    /// No inputs; a `Result` for every parameter, state, slot, hyper and metric accumulator.
    pub init: Graph,
    /// One step: updates parameters, states, slots and metric accumulators.
    pub train: Graph,
    /// Forward and metrics in evaluation mode: updates metric accumulators only.
    pub eval: Graph,
    /// Inputs -> the model's outputs, in evaluation mode.
    pub predict: Graph,
    /// Metric accumulators -> a `Result` (`F64[]`) for each of `loss`, `accuracy`, ...
    pub metrics: Graph,
    /// The same for metrics that need every row of the epoch: inputs of role `Metric` over `B`,
    /// here the number of those rows. `train` and `eval` give a batch's rows as results of their names.
    pub closing: Graph,
    /// When training ends, the buffer named first takes the value of the second: parameters
    /// become averages of themselves.
    pub ends: Vec<(String, String)>,
}
