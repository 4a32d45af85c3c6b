//! The elaborator's state and the services every part of it uses: graphs and
//! homes, frames, naming, reports.
//!
//! Checking and building are one walk: a shape can only be wrong where a graph
//! would be built. The walk runs over symbolic sizes (`B`, the sizes of a
//! generic signature), so nothing here reads data.

pub mod builtin;
pub mod frozen;
pub mod graph;
pub mod limits;
pub mod load;
pub mod mask;
pub mod names;
pub mod naming;
pub mod pattern;
pub mod report;
pub mod run_folder;
pub mod scope;
pub mod state;
pub mod type_errors;
pub mod value;
pub mod world;

use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::diag::{Code, Diagnostic};
use crate::ir::{Graph, Type, Value};
use crate::span::Span;
use crate::spec::augment::AugmentSpec;
use crate::spec::{DerivedSpec, FitSpec};

use frozen::LayerName;
use scope::Frame;
use state::{
    Applied, Compared, Comparison, LayerUse, Mode, Numbers, ParamInfo, Running, ScanScope,
    StateInfo,
};
use value::{Home, Tensor};
use world::World;

pub struct Elab<'w> {
    pub world: &'w World,
    pub mode: Mode,
    pub diags: Vec<Diagnostic>,
    pub step: Graph,
    pub init: Graph,
    pub scans: Vec<ScanScope>,
    /// `Step` or `Init`, below the scans.
    pub base: Home,
    pub frames: Vec<Frame>,
    pub params: IndexMap<Arc<str>, ParamInfo>,
    pub states: IndexMap<Arc<str>, StateInfo>,
    pub penalties: Vec<Tensor>,
    pub layers: Vec<LayerUse>,
    /// The name that a binding gives to the layer it creates.
    pub hint: Option<Arc<str>>,
    /// Definitions whose generic check failed: their uses say nothing more.
    pub bad: Rc<HashSet<usize>>,
    pub inits: FxHashSet<Arc<str>>,
    /// Initializers and the types they were run for.
    pub alike: FxHashSet<(usize, Type)>,
    /// What fits give as tensors, with their types, by `fit` name.
    pub fitted: FxHashMap<String, Vec<(&'static str, Type)>>,
    /// Where an optimizer's learning rate is a schedule.
    pub scheduled: Option<Span>,
    /// What each such schedule gives, by the name of the rate.
    pub rates: Vec<(String, Graph)>,
    /// Columns computed before training, and what names them: the input at hand.
    pub derived: Vec<DerivedSpec>,
    /// Weights of classes that are learnt.
    pub balanced: Vec<FitSpec>,
    /// Images changed while the model trains.
    pub augmented: Vec<AugmentSpec>,
    /// The feed at hand is a target.
    pub feeds_target: bool,
    /// Where its training rows are read some at a time.
    pub feeds_stream: Option<Span>,
    pub feed_name: Arc<str>,
    /// Every column of the data block.
    pub data_columns: FxHashSet<Arc<str>>,
    /// Those of numbers, and how many frames there are where an input is evaluated: there a
    /// column's name is the column.
    pub numbers: FxHashMap<Arc<str>, Numbers>,
    pub feed_depth: usize,
    /// Automatic names given so far, by the path they are in: in order, so that what is
    /// below a path lies together.
    counters: BTreeMap<Arc<str>, FxHashMap<String, usize>>,
    /// Whether something asked if this is a training step.
    pub asked_training: bool,
    applications: FxHashMap<Arc<str>, u32>,
    seen: FxHashSet<(Code, Span)>,
    step_input: Option<Value>,
    pub depth: usize,
    /// Expressions being evaluated, one inside the other.
    pub height: usize,
    calls: usize,
    /// Definitions were found to call each other without end: nothing more is entered.
    endless: bool,
    /// The places of the operands of the operator being applied.
    pub operands: Option<(Span, Span)>,
    /// The prediction and the target that a `train` block compares at the moment.
    pub comparison: Option<Comparison>,
    /// The outputs of the trained model with what they are compared with.
    pub compared: Vec<Compared>,
    /// The layers that models applied, in order.
    pub applied: Vec<Applied>,
    /// Rows that the metric at hand keeps of each batch: name and type.
    pub collected: FxHashMap<Arc<str>, Type>,
    /// The walk computes the values of metrics at the end of an epoch.
    pub ending: bool,
    /// Layers that the train block leaves as they are.
    pub frozen: Vec<LayerName>,
    /// The train block trains by steps: paths begin with models.
    pub stepped: bool,
    /// The stages of an optimizer that run, one inside the other.
    pub running: Vec<Running>,
    /// Parameters and the states whose values they take when training ends.
    pub ends: Vec<(String, String)>,
}

impl<'w> Elab<'w> {
    pub fn new(world: &'w World, mode: Mode, name: &str) -> Elab<'w> {
        Elab {
            world,
            mode,
            diags: Vec::new(),
            step: Graph::new(name),
            init: Graph::new("init"),
            scans: Vec::new(),
            base: Home::Step,
            frames: vec![Frame::new("".into(), "the file".into(), false, None)],
            params: IndexMap::new(),
            states: IndexMap::new(),
            penalties: Vec::new(),
            layers: Vec::new(),
            hint: None,
            bad: Rc::default(),
            inits: FxHashSet::default(),
            alike: FxHashSet::default(),
            fitted: FxHashMap::default(),
            scheduled: None,
            rates: Vec::new(),
            derived: Vec::new(),
            balanced: Vec::new(),
            augmented: Vec::new(),
            feeds_target: false,
            feeds_stream: None,
            feed_name: "".into(),
            data_columns: FxHashSet::default(),
            numbers: FxHashMap::default(),
            feed_depth: 0,
            counters: BTreeMap::new(),
            asked_training: false,
            applications: FxHashMap::default(),
            seen: FxHashSet::default(),
            step_input: None,
            depth: 0,
            height: 0,
            calls: 0,
            endless: false,
            operands: None,
            comparison: None,
            compared: Vec::new(),
            applied: Vec::new(),
            collected: FxHashMap::default(),
            ending: false,
            frozen: Vec::new(),
            stepped: false,
            running: Vec::new(),
            ends: Vec::new(),
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
}
