//! The elaborator's state and the services every part of it uses: graphs and
//! homes, frames, naming, reports.
//!
//! Checking and building are one walk: a shape can only be wrong where a graph
//! would be built. The walk runs over symbolic sizes (`B`, the sizes of a
//! generic signature), so nothing here reads data.

pub mod load;
pub mod naming;
pub mod scope;
pub mod type_errors;
pub mod value;
pub mod world;

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use crate::diag::{Code, Diagnostic};
use crate::ir::{Dim, Elem, Graph, Origin, OriginId, Prim, Role, Type, TypeError, Value};
use crate::span::Span;
use crate::spec::augment::AugmentSpec;
use crate::spec::{DerivedSpec, FitSpec};

use super::data::columns::Numbers;
use super::elab::scope::Frame;
use super::elab::value::{Home, Meaning, Tensor, Val};
use super::elab::world::World;
use super::types::mismatch::{Applied, Comparison};

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
    /// Its value at this point of the step.
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
    pub compared: Vec<super::train::reports::Compared>,
    /// The layers that models applied, in order.
    pub applied: Vec<Applied>,
    /// Rows that the metric at hand keeps of each batch: name and type.
    pub collected: FxHashMap<Arc<str>, Type>,
    /// The walk computes the values of metrics at the end of an epoch.
    pub ending: bool,
    /// Layers that the train block leaves as they are.
    pub frozen: Vec<super::train::frozen::LayerName>,
    /// The train block trains by steps: paths begin with models.
    pub stepped: bool,
    /// The stages of an optimizer that run, one inside the other.
    pub running: Vec<super::train::stages::Running>,
    /// Parameters and the states whose values they take when training ends.
    pub ends: Vec<(String, String)>,
}

/// Calls nested deeper than this are a mistake (or recursion).
const MAX_DEPTH: usize = 64;
/// A program that applies more definitions than this is refused: each is unrolled.
const MAX_CALLS: usize = 30_000;

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

    /// Where new nodes go.
    pub fn home(&self) -> Home {
        match self.scans.len() {
            0 => self.base,
            n => Home::Scan(n as u32 - 1),
        }
    }
    pub fn graph(&mut self) -> &mut Graph {
        match (self.scans.last_mut(), self.base) {
            (Some(scan), _) => &mut scan.graph,
            (None, Home::Init) => &mut self.init,
            (None, _) => &mut self.step,
        }
    }

    /// The value of a tensor in the current graph; scans close over what is outside.
    /// `None` (reported) if it belongs to a graph that cannot be reached from here.
    pub fn reach(&mut self, t: &Tensor, span: Span) -> Option<Value> {
        let home = self.home();
        if t.home == home {
            return Some(t.value);
        }
        let depth = self.scans.len();
        let from = match t.home {
            Home::Scan(k) if (k as usize) < depth => k as usize + 1,
            other if other == self.base => 0,
            _ => {
                self.error(
                    Code::E0406,
                    span,
                    "an initial value cannot depend on the data",
                    format!("this is {t}, known only during a step"),
                );
                return None;
            }
        };
        let mut outer = t.clone();
        for level in from..depth {
            let known = self.scans[level]
                .captured
                .iter()
                .find(|(c, _)| c.value == outer.value && c.home == outer.home);
            let value = match known {
                Some((_, v)) => *v,
                None => {
                    let n = self.scans[level].captured.len();
                    let v = self.scans[level].graph.input(
                        &format!("captured{n}"),
                        Role::Plain,
                        t.ty.clone(),
                    );
                    self.scans[level].captured.push((outer.clone(), v));
                    v
                }
            };
            outer = Tensor {
                value,
                home: Home::Scan(level as u32),
                ..outer
            };
        }
        Some(outer.value)
    }

    /// Adds a node of one result.
    pub fn emit(&mut self, prim: Prim, args: &[&Tensor], meaning: Meaning, span: Span) -> Val {
        let mut values: SmallVec<[Value; 4]> = SmallVec::new();
        for a in args {
            let Some(v) = self.reach(a, span) else {
                return Val::Error;
            };
            values.push(v);
        }
        let mask = self.carried(&prim, args, span);
        let origin = self.origin(span);
        match self.graph().push1(prim, &values, origin) {
            Ok(value) => {
                let t = self.tensor(value, meaning);
                Val::Tensor(Tensor { mask, ..t })
            }
            Err(e) => self.type_error_on(e, args, span),
        }
    }
    /// A value of the current graph as a tensor.
    pub fn tensor(&mut self, value: Value, meaning: Meaning) -> Tensor {
        let home = self.home();
        let ty = self.graph().ty(value).clone();
        Tensor {
            value,
            home,
            ty,
            meaning,
            mask: None,
        }
    }
    pub fn constant(&mut self, value: f64, elem: Elem) -> Tensor {
        let v = self.graph().constant(value, elem);
        self.tensor(v, Meaning::Real)
    }
    /// A size as a scalar tensor.
    pub fn size(&mut self, dim: &Dim, elem: Elem, span: Span) -> Val {
        match dim.as_const() {
            Some(c) => Val::Tensor(self.constant(c as f64, elem)),
            None => self.emit(
                Prim::Size {
                    dim: dim.clone(),
                    elem,
                },
                &[],
                Meaning::Real,
                span,
            ),
        }
    }
    /// Steps done before this one, `i32[]`.
    pub fn step_counter(&mut self) -> Tensor {
        let value = match self.step_input {
            Some(v) => v,
            None => {
                let v = self.step.input("step", Role::Step, Type::scalar(Elem::I32));
                self.step_input = Some(v);
                v
            }
        };
        Tensor {
            value,
            home: Home::Step,
            ty: Type::scalar(Elem::I32),
            meaning: Meaning::Real,
            mask: None,
        }
    }
    pub fn origin(&mut self, span: Span) -> OriginId {
        let span = self.user_span(span);
        let path = self.top().path.clone();
        self.graph().origin(Origin {
            span: Some(span),
            path,
        })
    }

    /// The place in the user's text: the innermost call that is not inside the library.
    pub fn user_span(&self, span: Span) -> Span {
        let library = |at: Span| self.world.map.borrow().get(at.source).library;
        let mut at = span;
        for frame in self.frames.iter().rev() {
            if !frame.library || !library(at) {
                break;
            }
            at = frame.call.unwrap_or(at);
        }
        at
    }

    /// Reports an error at `span`; inside the library, at the user's call that led there.
    pub fn error(
        &mut self,
        code: Code,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Val {
        let d = Diagnostic::error(code, message).label(span, label);
        self.report(d)
    }

    /// The innermost definition at work that users know: names that begin with an underscore are
    /// shared parts of the library.
    pub fn public_name(&self) -> &str {
        let mut known = self.frames.iter().rev().map(|f| f.what.as_str());
        known.find(|n| !n.starts_with('_')).unwrap_or("the library")
    }

    /// Reports once a code and place. The first label moves out of the library.
    pub fn report(&mut self, mut d: Diagnostic) -> Val {
        if let Some(written) = d.span() {
            let at = self.user_span(written);
            // Places inside the library say nothing to its user.
            let map = self.world.map.borrow();
            let mut first = true;
            d.labels
                .retain(|l| std::mem::take(&mut first) || !map.get(l.span.source).library);
            drop(map);
            if at != written {
                d.labels[0].span = at;
                let what = self.public_name();
                d.notes.push(format!(
                    "in the library's `{what}`: see `nnc explain {what}`"
                ));
            } else if self.frames.len() > 2 && !self.mode.generic {
                // A mistake in the user's own definition that only this use brings out.
                if let Some(call) = self.top().call {
                    let call = self.user_span_of_call(call);
                    if call != at {
                        d = d.label(call, "in this use");
                    }
                }
            }
        }
        let key = (d.code, d.span().unwrap_or_default());
        if self.seen.insert(key) {
            self.diags.push(d);
        }
        Val::Error
    }

    /// The user's expression that computed a tensor; `None` for one that was given.
    pub fn made_at(&self, t: &Tensor) -> Option<Span> {
        let graph = match t.home {
            Home::Step => &self.step,
            Home::Init => &self.init,
            Home::Scan(k) => &self.scans.get(k as usize)?.graph,
        };
        let node = graph.nodes.iter().rev().find(|n| n.first <= t.value)?;
        let inside = t.value.0 < node.first.0 + node.results;
        graph.origins[node.origin.0 as usize]
            .span
            .filter(|_| inside)
    }
    /// The text at a place.
    pub fn source_text(&self, span: Span) -> String {
        self.world.map.borrow().text(span).to_owned()
    }

    /// Turns what the type rules found into a report.
    pub fn type_error(&mut self, e: TypeError, span: Span) -> Val {
        if self.mode.generic && super::elab::type_errors::may_hold(&e) {
            return Val::Error;
        }
        let d = super::elab::type_errors::describe(&e).label(span, "found here");
        self.report(d)
    }

    /// The same, with the shape of what the operation works on, and where that comes from.
    fn type_error_on(&mut self, e: TypeError, args: &[&Tensor], span: Span) -> Val {
        let Some(input) = args.first() else {
            return self.type_error(e, span);
        };
        if self.mode.generic && super::elab::type_errors::may_hold(&e) {
            return Val::Error;
        }
        let at = self.user_span(span);
        let mut d = super::elab::type_errors::describe(&e);
        let made = self.made_at(input).filter(|m| *m != at);
        d = match made {
            Some(made) => d
                .label(span, "does not fit")
                .label(made, format!("this gives {input}")),
            None => d.label(span, format!("works on {input}")),
        };
        self.report(d)
    }

    /// A name for a layer without one: `dense`, `dense_1`, ... within its path.
    pub fn auto_name(&mut self, class: &str) -> String {
        let base = super::elab::naming::snake_case(class);
        let path = self.top().path.clone();
        let names = self.counters.entry(path).or_default();
        let count = names.entry(base.clone()).or_insert(0);
        *count += 1;
        if *count == 1 {
            base
        } else {
            format!("{base}_{}", *count - 1)
        }
    }
    /// Names inside `path` start anew: the layer is applied again and shares its weights.
    pub fn reset_names(&mut self, path: &str) {
        self.counters.remove(path);
        // `0` follows `/`.
        let below: Vec<Arc<str>> = self
            .counters
            .range::<str, _>((
                Bound::Excluded(format!("{path}/").as_str()),
                Bound::Excluded(format!("{path}0").as_str()),
            ))
            .map(|(p, _)| p.clone())
            .collect();
        for p in below {
            self.counters.remove(&p);
        }
    }
    /// How often the layer at `path` has been applied before.
    pub fn application(&mut self, path: &Arc<str>) -> u32 {
        let n = self.applications.entry(path.clone()).or_insert(0);
        *n += 1;
        *n - 1
    }
    /// Guards against recursion without end; balanced by `leave`.
    pub fn enter(&mut self, span: Span) -> bool {
        if self.endless || self.world.exhausted.get() {
            return false;
        }
        self.calls += 1;
        if self.calls > MAX_CALLS {
            self.world.exhausted.set(true);
            let d = Diagnostic::error(Code::E0116, "the program is too large")
                .label(span, "here it gave up")
                .note(format!(
                    "each use of a definition is written out; the limit is {MAX_CALLS} uses"
                ));
            self.report(d);
            return false;
        }
        if self.depth == MAX_DEPTH {
            self.endless = true;
            self.report_cycle(span);
            return false;
        }
        self.depth += 1;
        true
    }

    /// The calls that lead back to `span`, from the first in the text.
    fn report_cycle(&mut self, span: Span) {
        let frames: Vec<(Span, &Frame)> = self
            .frames
            .iter()
            .rev()
            .filter_map(|f| Some((f.call?, f)))
            .collect();
        let again = |i: usize| {
            let rest = frames[i + 1..].iter();
            rest.take_while(|(at, _)| *at != frames[i].0).count() + i + 1
        };
        let cycle = (0..frames.len()).find(|i| again(*i) < frames.len());
        let mut calls: Vec<(Span, String)> = cycle.map_or(Vec::new(), |i| {
            let users = frames[i..again(i)].iter().filter(|(_, f)| !f.library);
            users.map(|(at, f)| (*at, f.what.clone())).collect()
        });
        if calls.is_empty() {
            let d = Diagnostic::error(Code::E0111, "calls are nested too deeply")
                .label(span, format!("this is more than {MAX_DEPTH} calls deep"));
            self.report(d);
            return;
        }
        calls.sort();
        calls.dedup();
        let names: Vec<String> = calls.iter().map(|(_, n)| format!("`{n}`")).collect();
        let message = match names.as_slice() {
            [one] => format!("{one} calls itself without end"),
            many => format!("{} call each other without end", many.join(" and ")),
        };
        let mut d = Diagnostic::error(Code::E0111, message);
        for (at, name) in calls {
            d = d.label(at, format!("this calls `{name}`"));
        }
        if self.seen.insert((d.code, d.span().unwrap_or_default())) {
            self.diags.push(d);
        }
    }
    pub fn leave(&mut self) {
        self.depth -= 1;
    }

    fn user_span_of_call(&self, call: Span) -> Span {
        let mut at = call;
        for frame in self.frames.iter().rev().skip(1) {
            if !frame.library {
                break;
            }
            at = frame.call.unwrap_or(at);
        }
        at
    }
}
