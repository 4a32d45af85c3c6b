//! What a `train` block says: epochs, batches, outputs.

use super::ReportSpec;
use super::callbacks::CallbackSpec;
use crate::ir::Graph;
use crate::span::Span;

/// A `train` block.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainSpec {
    pub models: Vec<String>,
    pub epochs: usize,
    pub batch: usize,
    pub seed: u64,
    pub shuffle: bool,
    pub balance: Option<BalanceSpec>,
    /// `loss`, then the metrics, in the order in which they are shown.
    pub metrics: Vec<String>,
    /// The model's outputs, in the order of the results of `Programs::predict`.
    pub outputs: Vec<OutputSpec>,
    pub callbacks: Vec<CallbackSpec>,
    /// What is reported once the run has ended.
    pub reports: Vec<ReportSpec>,
    /// The learning rates that schedules give.
    pub rates: Vec<Rate>,
    /// What is asked of numbers that are made of columns.
    pub bounds: Vec<Bounds>,
    /// These numbers: a result for each of `bounds`, in order.
    pub bounded: Graph,
    /// Columns of classes that are predicted, one per row.
    pub classes: Vec<String>,
    pub alignments: Vec<Alignment>,
    pub span: Span,
}

/// A learning rate that a schedule gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Rate {
    /// As that of a rate that is kept.
    pub name: String,
    /// From `step` (`F32[]`, 1 in the first) to `rate` (`F32[]`).
    pub graph: Graph,
    pub span: Span,
}

/// A column of labels that a loss aligns with the steps of a prediction, with blanks (0) between
/// equal neighbours.
#[derive(Clone, Debug, PartialEq)]
pub struct Alignment {
    pub column: String,
    pub steps: usize,
    pub span: Span,
}

/// What numbers made of columns must be, so that a loss means something.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// The numbers, as messages name them: "column `y`".
    pub shown: String,
    pub low: f64,
    pub high: f64,
    /// They weigh samples: not all of them may be 0.
    pub weights: bool,
    /// `a target of binary_crossentropy`
    pub what: String,
}

/// How training rows are drawn so that the classes of a column have as many.
#[derive(Clone, Debug, PartialEq)]
pub struct BalanceSpec {
    pub column: String,
    pub sampling: Sampling,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// As many as the largest class has.
    Over,
    /// As many as the smallest.
    Under,
}

/// An output of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputSpec {
    pub name: String,
    pub meaning: Meaning,
}

/// What the numbers of an output are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    Real,
    /// Probabilities: of each class along the last axis, or of "yes" where it has size 1.
    Prob,
}
