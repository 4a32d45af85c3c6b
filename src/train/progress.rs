//! What the loop tells of itself while it runs; the CLI shows it.

use crate::data::batch::Costs;
use crate::train::{RunError, Session};

/// Told of a run's progress. Every method may do nothing.
pub trait ProgressSink {
    /// Training starts: the first epoch and the last (from 1), steps in an epoch.
    fn start(&mut self, _first: usize, _last: usize, _steps: usize) {}
    /// `done` steps of epoch `epoch` (from 1) are done. Called after every step: it must
    /// return at once where there is nothing to show.
    fn step(
        &mut self,
        _epoch: usize,
        _done: usize,
        _session: &mut Session,
    ) -> Result<(), RunError> {
        Ok(())
    }
    fn epoch(&mut self, _row: &EpochRow) {}
    /// A callback has done something in epoch `epoch` (from 1); `aloud`: people are to know.
    fn acted(&mut self, _callback: &'static str, _epoch: usize, _text: &str, _aloud: bool) {}
    /// The test part has been evaluated.
    fn test(&mut self, _values: &[f64]) {}
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl ProgressSink for Silent {}

/// A line of the history. Values are in the order of `TrainSpec::metrics`.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochRow {
    /// From 1.
    pub epoch: usize,
    pub train: Vec<f64>,
    pub val: Option<Vec<f64>>,
    /// The learning rates with which it was trained, by name.
    pub rates: Vec<(String, f64)>,
    /// Steps of this epoch alone; fewer than planned where the run was stopped.
    pub steps: usize,
    /// Wall time of the steps.
    pub train_seconds: f64,
    /// Wall time of steps and validation.
    pub seconds: f64,
    /// Costs of the training batches.
    pub costs: Costs,
}
