//! The verifier: what holds of every graph, checked between passes.
//!
//! Rules for every graph and for the regions in it:
//! 1. Every value is defined once at most, by an input or a node.
//! 2. Every value that is used is defined before. A region uses its own values alone.
//! 3. The types of a node's results are those that [`infer`](super::infer) gives.
//! 4. Constants of `I32`, `U8` and `Bool` are whole and in range.
//! 5. Origins exist.
//!
//! Rules for whole graphs:
//! 6. Names of inputs are unique, those of outputs too, and neither is empty.
//! 7. Roles fit types: `Param`, `Slot`, `Fit` and `Hyper` are floats, `Hyper` of rank 0, `Metric` is `F64`,
//!    `Step` is `I32[]`, `Data` has a batch axis.
//! 8. An update has the name and the type of its input, which has one update at most,
//!    and is a parameter, state, slot, metric or plain.
//!
//! Rules for regions:
//! 9. Inputs are plain, outputs results.
//!
//! From [`Stage::Differentiated`] on:
//! 10. No gradient is left.
//!
//! From [`Stage::Specialized`] on:
//! 11. No symbol is left, in types and attributes; sizes of axes are not negative.

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::dim::Dim;
use super::graph::{Graph, Node, OutputRole, Role, Value};
use super::infer::{TypeError, infer};
use super::prim::Prim;
use super::ty::{Elem, Type};

/// How far a graph has come; each stage promises what those before it do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Stage {
    Built,
    Differentiated,
    Specialized,
}

/// A violation.
#[derive(Clone, PartialEq, Debug)]
pub struct VerifyError {
    /// The scans, by node number from the outermost, in whose regions it is.
    pub regions: Vec<usize>,
    pub place: Place,
    pub problem: Problem,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Place {
    Input(Arc<str>),
    /// Number and name of the primitive.
    Node(usize, &'static str),
    Output(Arc<str>),
}

#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum Problem {
    #[error("defines %{}, which is already defined", .0.0)]
    DefinedTwice(Value),
    #[error("defines %{}, which has no type", .0.0)]
    Untyped(Value),
    #[error("no node defines %{}", .0.0)]
    Undefined(Value),
    #[error("uses %{} before its definition", .0.0)]
    UseBeforeDefinition(Value),
    #[error("{0}")]
    Type(TypeError),
    #[error("%{} is {found}, but the primitive returns {expected}", .value.0)]
    ResultType {
        value: Value,
        found: Type,
        expected: Type,
    },
    #[error("has {found} results, but the primitive returns {expected}")]
    ResultCount { found: usize, expected: usize },
    #[error("{value} is not a valid {}", .elem.name())]
    Constant { value: f64, elem: Elem },
    #[error("there is no origin {0}")]
    Origin(u32),
    #[error("the name is already used")]
    NameTaken,
    #[error("has no name")]
    NoName,
    #[error("a {role} cannot be {found}")]
    Role { role: &'static str, found: Type },
    #[error("there is no input {0}")]
    NoInput(usize),
    #[error("updates input `{0}`, but has a different name")]
    UpdateName(Arc<str>),
    #[error("is {found}, but updates an input that is {expected}")]
    UpdateType { found: Type, expected: Type },
    #[error("updates an input that already has an update")]
    UpdatedTwice,
    #[error("updates a {0}, which a graph cannot change")]
    UpdateRole(&'static str),
    #[error("a region has plain inputs, and its outputs are results")]
    RegionRole,
    #[error("a gradient remains")]
    Gradient,
    #[error("the size {0} remains")]
    Symbol(Dim),
    #[error("the size {0} is negative")]
    Negative(i64),
}

/// Checks everything that the module docs list.
///
/// # Errors
/// All violations, in the order of the graph.
pub fn verify(graph: &Graph, stage: Stage) -> Result<(), Vec<VerifyError>> {
    let mut verifier = Verifier {
        stage,
        regions: Vec::new(),
        errors: Vec::new(),
    };
    verifier.whole(graph);
    if verifier.errors.is_empty() {
        Ok(())
    } else {
        Err(verifier.errors)
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for node in &self.regions {
            write!(f, "in the region of node {node}: ")?;
        }
        match &self.place {
            Place::Input(name) => write!(f, "input `{name}`: ")?,
            Place::Node(number, prim) => write!(f, "node {number} ({prim}): ")?,
            Place::Output(name) => write!(f, "output `{name}`: ")?,
        }
        write!(f, "{}", self.problem)
    }
}

struct Verifier {
    stage: Stage,
    regions: Vec<usize>,
    errors: Vec<VerifyError>,
}

impl Verifier {
    fn whole(&mut self, graph: &Graph) {
        self.values(graph);
        self.names(graph);
        for input in &graph.inputs {
            if let Some(ty) = known(graph, input.value).filter(|t| !role_fits(&input.role, t)) {
                let (role, found) = (role_name(&input.role), ty.clone());
                let place = Place::Input(input.name.clone());
                self.report(place, Problem::Role { role, found });
            }
        }
        self.updates(graph);
    }

    fn region(&mut self, graph: &Graph) {
        self.values(graph);
        for input in graph.inputs.iter().filter(|i| i.role != Role::Plain) {
            self.report(Place::Input(input.name.clone()), Problem::RegionRole);
        }
        let updates = graph
            .outputs
            .iter()
            .filter(|o| o.role != OutputRole::Result);
        for output in updates {
            self.report(Place::Output(output.name.clone()), Problem::RegionRole);
        }
    }

    fn values(&mut self, graph: &Graph) {
        let mut defined = vec![false; graph.value_count()];
        for input in &graph.inputs {
            let place = Place::Input(input.name.clone());
            self.define(graph, &place, input.value, &mut defined);
        }
        // Uses of what no node defines are one mistake, those of what a later one defines another.
        let mut later = defined.clone();
        for v in graph.nodes.iter().flat_map(Node::values) {
            if let Some(d) = later.get_mut(v.0 as usize) {
                *d = true;
            }
        }
        for (i, node) in graph.nodes.iter().enumerate() {
            let place = Place::Node(i, node.prim.name());
            let mut usable = true;
            for &arg in &node.args {
                usable &= self.used(&place, arg, &defined, &later);
            }
            for v in node.values() {
                self.define(graph, &place, v, &mut defined);
            }
            self.node(graph, i, &place, usable);
        }
        for output in &graph.outputs {
            let place = Place::Output(output.name.clone());
            self.used(&place, output.value, &defined, &later);
        }
    }

    fn node(&mut self, graph: &Graph, number: usize, place: &Place, usable: bool) {
        let node = &graph.nodes[number];
        if let Prim::Scan(scan) = &node.prim {
            self.regions.push(number);
            self.region(&scan.body);
            self.regions.pop();
        }
        if node.prim == Prim::Gradient && self.stage >= Stage::Differentiated {
            self.report(place.clone(), Problem::Gradient);
        }
        if let Prim::Const { value, elem } = node.prim
            && !constant_fits(value, elem)
        {
            self.report(place.clone(), Problem::Constant { value, elem });
        }
        if self.stage >= Stage::Specialized {
            let mut found = None;
            node.prim.each_dim(|d: &Dim| {
                if d.as_const().is_none() {
                    found.get_or_insert_with(|| d.clone());
                }
            });
            if let Some(d) = found {
                self.report(place.clone(), Problem::Symbol(d));
            }
        }
        if node.origin.0 as usize >= graph.origins.len() {
            self.report(place.clone(), Problem::Origin(node.origin.0));
        }
        if usable {
            self.types(graph, node, place);
        }
    }

    fn types(&mut self, graph: &Graph, node: &Node, place: &Place) {
        let args: Vec<&Type> = node.args.iter().map(|a| graph.ty(*a)).collect();
        let results = match infer(&node.prim, &args) {
            Ok(results) => results,
            Err(error) => return self.report(place.clone(), Problem::Type(error)),
        };
        let (found, expected) = (node.results as usize, results.len());
        if found != expected {
            return self.report(place.clone(), Problem::ResultCount { found, expected });
        }
        for (value, expected) in node.values().zip(results) {
            let Some(found) = known(graph, value).filter(|t| **t != expected).cloned() else {
                continue;
            };
            let problem = Problem::ResultType {
                value,
                found,
                expected,
            };
            self.report(place.clone(), problem);
        }
    }

    fn define(&mut self, graph: &Graph, place: &Place, v: Value, defined: &mut [bool]) {
        let Some(seen) = defined.get_mut(v.0 as usize) else {
            return self.report(place.clone(), Problem::Untyped(v));
        };
        if std::mem::replace(seen, true) {
            return self.report(place.clone(), Problem::DefinedTwice(v));
        }
        if self.stage >= Stage::Specialized {
            let bad = |d: &&Dim| !matches!(d, Dim::Const(0..));
            match graph.ty(v).shape.iter().find(bad) {
                Some(Dim::Const(c)) => self.report(place.clone(), Problem::Negative(*c)),
                Some(d) => self.report(place.clone(), Problem::Symbol(d.clone())),
                None => {}
            }
        }
    }

    /// Whether `v` has a definition and a type.
    fn used(&mut self, place: &Place, v: Value, defined: &[bool], later: &[bool]) -> bool {
        let at = |flags: &[bool]| flags.get(v.0 as usize) == Some(&true);
        if at(defined) {
            return true;
        }
        let problem = if at(later) {
            Problem::UseBeforeDefinition(v)
        } else {
            Problem::Undefined(v)
        };
        self.report(place.clone(), problem);
        at(later)
    }

    fn names(&mut self, graph: &Graph) {
        let inputs = graph.inputs.iter().map(|i| &i.name);
        let outputs = graph.outputs.iter().map(|o| &o.name);
        let inputs: Vec<_> = inputs.map(|n| (n, Place::Input(n.clone()))).collect();
        let outputs: Vec<_> = outputs.map(|n| (n, Place::Output(n.clone()))).collect();
        for list in [inputs, outputs] {
            let mut seen = HashSet::new();
            for (name, place) in list {
                if name.is_empty() {
                    self.report(place, Problem::NoName);
                } else if !seen.insert(name) {
                    self.report(place, Problem::NameTaken);
                }
            }
        }
    }

    fn updates(&mut self, graph: &Graph) {
        let mut updated = HashSet::new();
        for output in &graph.outputs {
            let OutputRole::Update(number) = output.role else {
                continue;
            };
            let place = || Place::Output(output.name.clone());
            let Some(input) = graph.inputs.get(number) else {
                self.report(place(), Problem::NoInput(number));
                continue;
            };
            if !updated.insert(number) {
                self.report(place(), Problem::UpdatedTwice);
            }
            if input.name != output.name {
                self.report(place(), Problem::UpdateName(input.name.clone()));
            }
            if !may_be_updated(&input.role) {
                self.report(place(), Problem::UpdateRole(role_name(&input.role)));
            }
            if let (Some(found), Some(expected)) =
                (known(graph, output.value), known(graph, input.value))
                && found != expected
            {
                let (found, expected) = (found.clone(), expected.clone());
                self.report(place(), Problem::UpdateType { found, expected });
            }
        }
    }

    fn report(&mut self, place: Place, problem: Problem) {
        self.errors.push(VerifyError {
            regions: self.regions.clone(),
            place,
            problem,
        });
    }
}

/// What the text form calls a role.
pub fn role_name(role: &Role) -> &'static str {
    match role {
        Role::Param => "param",
        Role::State => "state",
        Role::Slot => "slot",
        Role::Hyper => "hyper",
        Role::Metric => "metric",
        Role::Step => "step",
        Role::Data => "data",
        Role::Fit => "fit",
        Role::Plain => "plain",
    }
}

fn role_fits(role: &Role, ty: &Type) -> bool {
    match role {
        Role::Param | Role::Slot | Role::Fit => ty.elem.is_float(),
        Role::Hyper => ty.elem.is_float() && ty.rank() == 0,
        // Sums in f64; rows that a metric collects are what they were in the step.
        Role::Metric => ty.elem == Elem::F64 || (ty.elem == Elem::F32 && ty.rank() > 0),
        Role::Step => *ty == Type::scalar(Elem::I32),
        Role::Data => ty.rank() > 0,
        Role::State | Role::Plain => true,
    }
}

fn may_be_updated(role: &Role) -> bool {
    match role {
        Role::Param | Role::State | Role::Slot | Role::Metric | Role::Plain => true,
        Role::Hyper | Role::Step | Role::Data | Role::Fit => false,
    }
}

fn constant_fits(value: f64, elem: Elem) -> bool {
    let whole = |low: f64, high: f64| value.fract() == 0.0 && (low..=high).contains(&value);
    match elem {
        Elem::F32 | Elem::F64 => true,
        Elem::I32 => whole(f64::from(i32::MIN), f64::from(i32::MAX)),
        Elem::U8 => whole(0.0, 255.0),
        Elem::Bool => whole(0.0, 1.0),
    }
}

fn known(graph: &Graph, v: Value) -> Option<&Type> {
    ((v.0 as usize) < graph.value_count()).then(|| graph.ty(v))
}
