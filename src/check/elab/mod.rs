//! The elaborator's state and the services every part of it uses: graphs and
//! homes, frames, naming, reports.
//!
//! Checking and building are one walk: a shape can only be wrong where a graph
//! would be built. The walk runs over symbolic sizes (`B`, the sizes of a
//! generic signature), so nothing here reads data.

pub(super) mod bounds;
pub(super) mod builtin;
pub(super) mod diagnose;
pub(super) mod frozen;
pub(super) mod graph;
pub(super) mod limits;
pub(super) mod load;
pub(super) mod mask;
pub(super) mod names;
pub(super) mod naming;
pub(super) mod pattern;
pub(super) mod run_folder;
pub(super) mod scope;
pub(super) mod state;
pub(super) mod type_errors;
pub(super) mod value;
pub(super) mod world;

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::diag::{Code, Diagnostic};
use crate::ir::{Graph, Type, Value};
use crate::span::Span;
use crate::syntax::ast::DefKind;

use limits::Limits;
use naming::GivenNames;
use scope::Frame;
use state::{
    Applied, Comparison, DataState, LayerUse, Mode, OptimizerState, ParamInfo, ScanScope,
    StateInfo, TrainState,
};
use value::{DefId, Home, Tensor};
use world::World;

pub struct Elab<'w> {
    pub world: &'w World,
    pub mode: Mode,
    pub diags: Vec<Diagnostic>,
    /// What has been reported, by code and place.
    seen: FxHashSet<(Code, Span)>,
    pub step: Graph,
    pub init: Graph,
    pub scans: Vec<ScanScope>,
    /// `Step` or `Init`, below the scans.
    pub base: Home,
    step_input: Option<Value>,
    pub frames: Vec<Frame>,
    pub params: IndexMap<Arc<str>, ParamInfo>,
    pub states: IndexMap<Arc<str>, StateInfo>,
    pub penalties: Vec<Tensor>,
    /// Parameters and states that have an initial value.
    pub initialized: FxHashSet<Arc<str>>,
    /// Initializers and the types they were run for, with the definitions that this used.
    pub initialized_types: FxHashMap<(DefId, Type), usize>,
    pub layers: Vec<LayerUse>,
    /// The layers that models applied, in order.
    pub applied: Vec<Applied>,
    /// Definitions whose generic check failed: their uses say nothing more.
    pub failed_defs: Rc<HashSet<DefId>>,
    /// Whether something asked if this is a training step.
    pub asked_training: bool,
    /// The places of the operands of the operator being applied: see [`Elab::with_operands`].
    operands: Option<(Span, Span)>,
    /// What a `train` block compares at the moment: see [`Elab::comparing`].
    comparison: Option<Comparison>,
    /// The kind of definition that a name is to be: see [`Elab::seeking`].
    sought: Option<DefKind>,
    /// Branches that were not taken, whose names have been resolved.
    pub untaken: FxHashSet<Span>,
    names: GivenNames,
    limits: Limits,
    pub data: DataState,
    pub train: TrainState,
    pub optimizer: OptimizerState,
}

impl<'w> Elab<'w> {
    pub fn new(world: &'w World, mode: Mode, name: &str) -> Elab<'w> {
        Elab {
            world,
            mode,
            diags: Vec::new(),
            seen: FxHashSet::default(),
            step: Graph::new(name),
            init: Graph::new("init"),
            scans: Vec::new(),
            base: Home::Step,
            step_input: None,
            frames: vec![Frame::new("".into(), "the file".into(), false, None)],
            params: IndexMap::new(),
            states: IndexMap::new(),
            penalties: Vec::new(),
            initialized: FxHashSet::default(),
            initialized_types: FxHashMap::default(),
            layers: Vec::new(),
            applied: Vec::new(),
            failed_defs: Rc::default(),
            asked_training: false,
            operands: None,
            comparison: None,
            sought: None,
            untaken: FxHashSet::default(),
            names: GivenNames::default(),
            limits: Limits::default(),
            data: DataState::default(),
            train: TrainState::default(),
            optimizer: OptimizerState::default(),
        }
    }

    pub fn frame(&mut self) -> &mut Frame {
        self.frames
            .last_mut()
            .expect("the elaborator always has a frame")
    }
    pub fn top(&self) -> &Frame {
        self.frames
            .last()
            .expect("the elaborator always has a frame")
    }

    /// What an operator that `f` applies reports names the operands at their places.
    pub fn with_operands<T>(&mut self, at: (Span, Span), f: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.operands.replace(at);
        let result = f(self);
        self.operands = before;
        result
    }
    pub fn operands(&self) -> Option<(Span, Span)> {
        self.operands
    }

    /// What does not fit inside `f` is reported as the model's and the target's.
    pub fn comparing<T>(&mut self, c: &Comparison, f: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.comparison.replace(c.clone());
        let result = f(self);
        self.comparison = before;
        result
    }
    pub fn comparison(&self) -> Option<&Comparison> {
        self.comparison.as_ref()
    }
}
