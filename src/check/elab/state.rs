//! What the elaborator keeps: parameters and states, applied layers, what is compared.

use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::ir::{Dim, Graph, Type, Value};
use crate::span::Span;
use crate::spec;
use crate::spec::augment::AugmentSpec;
use crate::spec::{Alignment, Bounds, DerivedSpec, FitSpec, Rate};
use crate::syntax::ast::Ident;

use super::frozen::LayerName;
use super::value::{Configured, DefRef, Instance, Meaning, Tensor, Val};

/// How a body is elaborated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mode {
    pub training: bool,
    /// Sizes and some numbers are unknown: a definition is checked for every use at once.
    pub generic: bool,
}

/// A trained parameter.
#[derive(Clone, Debug)]
pub struct ParamInfo {
    pub tensor: Tensor,
    pub span: Span,
    pub trainable: bool,
    pub constraint: Option<Val>,
}

/// A state kept by a layer, an optimizer or a metric.
#[derive(Clone, Debug)]
pub struct StateInfo {
    /// Index among the step graph's inputs.
    pub input: usize,
    pub ty: Type,
    /// The value at this point of the step.
    pub current: Tensor,
    pub assigned: bool,
}

/// One application of a layer, for `nnc summary`.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerUse {
    pub path: Arc<str>,
    pub class: String,
    pub output: String,
    pub shape: Vec<Dim>,
    pub span: Span,
}

pub struct ScanScope {
    pub graph: Graph,
    /// What the body closes over: the outer tensor and its input in the body.
    pub captured: Vec<(Tensor, Value)>,
    /// The index of the iteration, once something needs it.
    pub index: Option<Value>,
    pub length: Dim,
}

/// What a fit gives.
#[derive(Debug, Clone)]
pub enum Fit {
    /// Statistics of a column: `.mean` and so on, with their types.
    Tensors(Vec<(&'static str, Type)>),
    /// Labels of a text column: a number above all of them.
    Labels(Dim),
    /// Statistics of the lengths of rows: numbers for later fits.
    Lengths(spec::RowsSpec),
    /// A size: every id is below it.
    Vocabulary(Dim),
    /// A vector for each id below `words`.
    Vectors {
        words: Dim,
        dim: Dim,
    },
    Size(Dim),
    /// Nothing, for a mistake that has been reported.
    Broken,
}

/// A column of numbers.
#[derive(Clone, Debug)]
pub struct Numbers {
    pub ty: Type,
    pub meaning: Meaning,
    /// Something stands for values that are not there.
    pub may_miss: bool,
}

/// A layer that a model applied to one tensor.
#[derive(Clone, Debug)]
pub struct Applied {
    pub instance: Rc<Instance>,
    /// The stage or call.
    pub span: Span,
    pub input: Option<Tensor>,
    pub output: Tensor,
}

/// What a `train` block compares: an output of the model and a target.
#[derive(Clone, Debug)]
pub struct Comparison {
    pub prediction: Tensor,
    pub target: Tensor,
    /// The target's name where the data block declares it.
    pub name: Ident,
    /// The expression that the target is.
    pub value: String,
    /// The loss or metric.
    pub at: Span,
    /// Number of frames around the comparison.
    pub depth: usize,
}

/// An output of the model, and what it is compared with.
#[derive(Clone, Debug)]
pub struct Compared {
    pub name: Arc<str>,
    pub prediction: Tensor,
    pub target: Option<Tensor>,
    /// Whether one of its losses has a value per sample.
    pub loss_of_samples: bool,
}

/// What a stage's value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gives {
    Grad,
    Param,
}

#[derive(Clone, Debug)]
pub struct Stage {
    pub def: DefRef,
    pub gives: Gives,
}

/// An optimizer as it is configured in a train block.
#[derive(Debug)]
pub struct ConfiguredOptimizer {
    pub own: Rc<Configured>,
    /// Those that have an argument, in the library's order.
    pub stages: Vec<(Gives, Configured)>,
    /// The slots are named below it.
    pub class: String,
    /// The rate, if the optimizer has a parameter `lr`.
    pub rate: Val,
    /// 1 in the first step.
    pub step: Tensor,
    pub span: Span,
}

impl ConfiguredOptimizer {
    /// The optimizer's, as it was written.
    pub fn name(&self) -> &str {
        &self.own.defs[0].def.name.text
    }
}

/// The stage that runs: what its `update`, `global_norm` and `at_end` work on.
#[derive(Clone, Debug)]
pub struct Running {
    pub rule: Rc<ConfiguredOptimizer>,
    /// The place among the rule's stages.
    pub at: usize,
    pub param: Arc<str>,
    /// The gradients of all parameters, as the stage meets them.
    pub grads: Rc<[Tensor]>,
    pub norm: Option<Tensor>,
}

/// What a data block and its inputs have led to so far.
#[derive(Default)]
pub struct DataState {
    /// Columns computed before training.
    pub derived: Vec<DerivedSpec>,
    /// Weights of classes that are learnt.
    pub balanced: Vec<FitSpec>,
    /// Images changed while the model trains.
    pub augmented: Vec<AugmentSpec>,
    /// What fits give as tensors, with their types, by `fit` name.
    pub fitted: FxHashMap<String, Vec<(&'static str, Type)>>,
    /// Every column of the data block.
    pub columns: FxHashSet<Arc<str>>,
    /// Those of numbers.
    pub numbers: FxHashMap<Arc<str>, Numbers>,
    /// The feed at hand.
    pub feed_name: Arc<str>,
    /// Inputs and targets whose values are not what they are declared as: either may be wrong.
    pub doubtful: FxHashSet<Arc<str>>,
    pub feed_is_target: bool,
    /// Where its training rows are read some at a time.
    pub feed_stream: Option<Span>,
    /// How many frames there are where it is evaluated: there a column's name is the column.
    pub feed_depth: usize,
}

/// What a `train` block makes of its models.
#[derive(Default)]
pub struct TrainState {
    /// A mistake hides what the block computes or reports: what depends on it is not judged.
    pub incomplete: bool,
    /// The outputs of the trained model with what they are compared with.
    pub compared: Vec<Compared>,
    /// Layers that the block leaves as they are.
    pub frozen: Vec<LayerName>,
    /// The block trains by steps: paths begin with models.
    pub stepped: bool,
    /// Rows that the metric at hand keeps of each batch: name and type.
    pub collected: FxHashMap<Arc<str>, Type>,
    /// The walk computes the values of metrics at the end of an epoch.
    pub ending: bool,
    /// The targets of the data, and what messages call them.
    pub targets: Vec<(Value, String)>,
    /// What losses ask of numbers that are made of columns.
    pub bounds: Vec<(Value, Bounds)>,
    /// Labels that losses align with the steps of predictions.
    pub alignments: Vec<Alignment>,
}

/// What optimizers do.
#[derive(Default)]
pub struct OptimizerState {
    /// The stages that run, one inside the other.
    pub running: Vec<Running>,
    /// The nodes of the gradients that steps took: later ones do not look behind an update.
    pub gradients: Vec<usize>,
    /// Where a learning rate is a schedule.
    pub scheduled: Option<Span>,
    /// What each such schedule gives.
    pub rates: Vec<Rate>,
    /// Parameters and the states whose values they take when training ends.
    pub final_copies: Vec<(String, String)>,
}
