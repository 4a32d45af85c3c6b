//! One step of a loop: its body and the backward graph of that, joined and then split into two bodies.

use rustc_hash::{FxHashMap, FxHashSet};

use super::{body_activity, reached};
use crate::ir::graph::Role;
use crate::ir::prim::{Prim, Scan};
use crate::ir::{Graph, OriginId, OutputRole, Type, Value};
use crate::passes::autodiff::backward::{self, Deferred, Hoist};
use crate::passes::autodiff::rules::broadcast_axes;
use crate::passes::build::{Build, Result, UNMAPPED, copy_node};

/// Where the backward scan finds a value of the forward body.
#[derive(Clone)]
pub(super) enum Source {
    /// Result `.0` of the extended scan.
    Residual(usize),
    /// Scanned argument.
    Argument(usize),
}

/// The other operand of a hoisted use.
pub(super) enum Other {
    /// Argument `.0` of the scan: the same in every step.
    Constant(usize),
    Stacked(Value),
}

/// A use of a constant whose gradient is taken after the loop.
pub(super) struct Product {
    pub deferred: Deferred,
    /// Which argument of the scan gets it.
    pub constant: usize,
    pub other: Option<Other>,
    pub ranks: [usize; 2],
    /// Which of the stacked cotangents.
    pub stack: usize,
}

pub(super) struct Plan {
    pub forward: Graph,
    pub backward: Graph,
    /// What the backward scan reads besides cotangents, in order.
    pub scanned: Vec<Source>,
    pub constants: Vec<usize>,
    /// Where every residual (or scanned input) is.
    pub sources: FxHashMap<Value, Source>,
}

/// The body and its backward graph in one graph, to be split.
pub(super) struct Step<'a> {
    pub s: &'a Scan,
    pub joint: Graph,
    /// Nodes before this one are the body's.
    pub forward: usize,
    /// Arguments that are carries with a cotangent.
    pub carries: Vec<usize>,
    /// Inputs of `joint`: cotangents of the next carries.
    pub carry_inputs: Vec<Value>,
    /// Their values at the start of the step.
    pub carry_outputs: Vec<Value>,
    /// Stacked results with a cotangent, and its slice.
    pub stacked: Vec<(usize, Value)>,
    /// Constants accumulated in the loop: argument, input and output of `joint`.
    pub sums: Vec<(usize, (Value, Value))>,
    /// Scanned arguments, and the cotangent of the slice.
    pub rows: Vec<(usize, Value)>,
    /// Cotangents that are stacked for use after the loop.
    pub stacks: Vec<Value>,
}

impl<'a> Step<'a> {
    pub(super) fn new(s: &'a Scan, cotangents: &[Option<Value>], need: &[bool]) -> Step<'a> {
        let (args, values) = body_activity(s, need);
        let live = reached(s, &values, cotangents);
        let mut joint = (*s.body).clone();
        let mut carry_inputs = Vec::new();
        let carries: Vec<usize> = (0..s.carries).filter(|i| args[*i] && live[*i]).collect();
        for i in &carries {
            let (name, ty) = (s.body.inputs[*i].name.clone(), input_type(s, *i));
            carry_inputs.push(joint.input(&format!("d_{name}"), Role::Plain, ty));
        }
        let mut stacked = Vec::new();
        for (i, output) in s.body.outputs.iter().enumerate().skip(s.carries) {
            if cotangents[i].is_some() {
                let name = format!("d_{}", output.name);
                let ty = s.body.ty(output.value).clone();
                stacked.push((i, joint.input(&name, Role::Plain, ty)));
            }
        }
        Step {
            s,
            joint,
            forward: s.body.nodes.len(),
            carries,
            carry_inputs,
            carry_outputs: Vec::new(),
            stacked,
            sums: Vec::new(),
            rows: Vec::new(),
            stacks: Vec::new(),
        }
    }

    /// Appends the backward graph of the body.
    pub(super) fn differentiate(
        &mut self,
        cotangents: &[Option<Value>],
        need: &[bool],
    ) -> Result<Vec<Deferred>> {
        let (s, body) = (self.s, &self.s.body);
        debug_assert_eq!(cotangents.len(), body.outputs.len());
        let mut seeds = Vec::new();
        for (i, d) in self.carries.iter().zip(&self.carry_inputs) {
            seeds.push((body.outputs[*i].value, *d));
        }
        for (i, d) in &self.stacked {
            seeds.push((body.outputs[*i].value, *d));
        }
        let first_constant = s.carries + s.scanned;
        let plain = (s.carries..need.len()).filter(|i| need[*i]);
        let arguments: Vec<usize> = self.carries.iter().copied().chain(plain).collect();
        let wrt: Vec<Value> = arguments.iter().map(|i| body.inputs[*i].value).collect();
        let constants = arguments.iter().zip(&wrt);
        let mut hoist = Hoist {
            constants: constants
                .filter(|(i, _)| **i >= first_constant)
                .map(|(_, v)| *v)
                .collect(),
            deferred: Vec::new(),
        };
        let mut renamed = Vec::new();
        let gradients = backward::backward(
            &mut self.joint,
            &seeds,
            &wrt,
            Some(&mut hoist),
            &mut renamed,
        )?;
        for d in &mut hoist.deferred {
            for a in &mut d.node.args {
                backward::rename(&renamed, a);
            }
        }
        let mut b = Build {
            g: &mut self.joint,
            at: OriginId::default(),
        };
        for (i, gradient) in arguments.into_iter().zip(gradients) {
            match gradient {
                Some(v) if i >= first_constant => self.sums.push((i, (UNMAPPED, v))),
                Some(v) if i >= s.carries => self.rows.push((i, v)),
                Some(v) => self.carry_outputs.push(v),
                None if i < s.carries => {
                    let zero = b.fill(0.0, &input_type(s, i))?;
                    self.carry_outputs.push(zero);
                }
                None => {}
            }
        }
        Ok(hoist.deferred)
    }

    /// Decides what is done after the loop, and completes the accumulators.
    pub(super) fn finish(&mut self, deferred: Vec<Deferred>) -> Result<Vec<Product>> {
        let s = self.s;
        let argument: FxHashMap<Value, usize> = s
            .body
            .inputs
            .iter()
            .enumerate()
            .map(|(i, input)| (input.value, i))
            .collect();
        let is_bias = |d: &Deferred| matches!(d.node.prim, Prim::Broadcast { .. });
        let (biases, uses): (Vec<_>, Vec<_>) = deferred.into_iter().partition(is_bias);
        let mut products = Vec::new();
        for d in uses {
            let stack = position(&mut self.stacks, d.dy);
            let first_constant = s.carries + s.scanned;
            let other = d.node.args[1 - d.arg];
            let other = match argument.get(&other) {
                Some(i) if *i >= first_constant => Other::Constant(*i),
                _ => Other::Stacked(other),
            };
            // A gather's other argument is its indices, whose rows are taken one with another.
            let other = match (&d.node.prim, other) {
                (Prim::Gather { .. }, Other::Constant(_)) => {
                    self.accumulate(argument[&d.node.args[d.arg]], d)?;
                    continue;
                }
                (_, other) => other,
            };
            products.push(Product {
                constant: argument[&d.node.args[d.arg]],
                other: Some(other),
                ranks: [0, 1].map(|i| self.joint.ty(d.node.args[i]).rank()),
                stack,
                deferred: d,
            });
        }
        for d in biases {
            let constant = argument[&d.node.args[0]];
            match self.stacks.iter().position(|v| *v == d.dy) {
                Some(stack) => products.push(Product {
                    constant,
                    other: None,
                    ranks: [self.joint.ty(d.node.args[0]).rank(); 2],
                    stack,
                    deferred: d,
                }),
                None => self.accumulate(constant, d)?,
            }
        }
        for (i, (input, output)) in &mut self.sums {
            let name = format!("d_{}", s.body.inputs[*i].name);
            *input = self.joint.input(&name, Role::Plain, input_type(s, *i));
            let mut b = Build {
                g: &mut self.joint,
                at: OriginId::default(),
            };
            *output = b.add(*input, *output)?;
        }
        Ok(products)
    }

    /// A use that is not worth hoisting: its gradient is added in every step.
    pub(super) fn accumulate(&mut self, constant: usize, d: Deferred) -> Result<()> {
        let shape = input_type(self.s, constant).shape;
        let mut b = Build {
            g: &mut self.joint,
            at: d.node.origin,
        };
        let part = match &d.node.prim {
            Prim::Gather { axis } => {
                let (axis, size) = (*axis, shape[*axis].clone());
                b.push(Prim::ScatterAdd { axis, size }, &[d.node.args[1], d.dy])?
            }
            Prim::Broadcast { shape: to, axes } => {
                let sum = b.sum(d.dy, broadcast_axes(&shape, to, axes))?;
                b.reshape(sum, shape)?
            }
            _ => unreachable!("products are always hoisted"),
        };
        match self.sums.iter_mut().find(|(i, _)| *i == constant) {
            Some((_, (_, total))) => *total = b.add(*total, part)?,
            None => self.sums.push((constant, (UNMAPPED, part))),
        }
        Ok(())
    }

    /// Splits the joint graph into the extended forward body and the backward body.
    pub(super) fn residuals(&self, products: &[Product]) -> Result<Plan> {
        let (s, joint) = (self.s, &self.joint);
        let defs = joint.definitions();
        let mut outputs: Vec<Value> = self.carry_outputs.clone();
        outputs.extend(self.sums.iter().map(|(_, (_, v))| *v));
        outputs.extend(self.rows.iter().map(|(_, v)| *v));
        outputs.extend(&self.stacks);
        // What the backward nodes read of the forward ones, and what of that is computed again.
        let mut again: FxHashSet<usize> = FxHashSet::default();
        let mut live = vec![false; joint.nodes.len()];
        let mut wanted: Vec<Value> = outputs.clone();
        let mut inputs: FxHashSet<Value> = FxHashSet::default();
        let mut saved: Vec<Value> = Vec::new();
        while let Some(v) = wanted.pop() {
            match defs[v.0 as usize] {
                None => {
                    inputs.insert(v);
                }
                Some(n) if n >= self.forward || cheap(joint, n) => {
                    if n < self.forward {
                        again.insert(n);
                    }
                    if !std::mem::replace(&mut live[n], true) {
                        wanted.extend(&joint.nodes[n].args);
                    }
                }
                Some(_) => {
                    saved.push(v);
                    inputs.insert(v);
                }
            }
        }
        for p in products {
            if let Some(Other::Stacked(v)) = &p.other {
                saved.push(*v);
            }
        }
        let start = s.carries;
        let first_constant = s.carries + s.scanned;
        let arguments = &joint.inputs[..s.body.inputs.len()];
        for input in &arguments[..start] {
            if inputs.contains(&input.value) {
                saved.push(input.value);
            }
        }
        saved.sort();
        saved.dedup();
        // The forward body with the residuals among its outputs.
        let mut sources = FxHashMap::default();
        for (i, input) in arguments
            .iter()
            .enumerate()
            .take(first_constant)
            .skip(start)
        {
            sources.insert(input.value, Source::Argument(i));
        }
        let (mut forward, mut map) = empty(joint, &s.body.name);
        for input in arguments {
            let ty = joint.ty(input.value).clone();
            map[input.value.0 as usize] = forward.input(&input.name, input.role.clone(), ty);
        }
        for n in 0..self.forward {
            copy_node(&mut forward, joint, n, &mut map);
        }
        for o in &joint.outputs {
            forward.output(&o.name, o.role.clone(), map[o.value.0 as usize]);
        }
        for v in &saved {
            if sources.contains_key(v) {
                continue;
            }
            let stacked = joint.outputs.iter().skip(start).position(|o| o.value == *v);
            let at = match stacked {
                Some(i) => start + i,
                None => {
                    let at = forward.outputs.len();
                    let name = format!("saved_{at}");
                    forward.output(&name, OutputRole::Result, map[v.0 as usize]);
                    at
                }
            };
            sources.insert(*v, Source::Residual(at));
        }
        // The backward body.
        let (mut back, mut map) = empty(joint, &format!("{}_grad", s.body.name));
        let mut add = |back: &mut Graph, v: Value, name: &str| {
            let ty = joint.ty(v).clone();
            map[v.0 as usize] = back.input(name, Role::Plain, ty);
        };
        let named = |v: Value| {
            let input = joint.inputs.iter().find(|i| i.value == v);
            input.map_or_else(|| format!("v{}", v.0), |i| i.name.to_string())
        };
        for v in &self.carry_inputs {
            add(&mut back, *v, &named(*v));
        }
        for (_, (v, _)) in &self.sums {
            add(&mut back, *v, &named(*v));
        }
        let mut scanned = Vec::new();
        let slices = arguments[start..first_constant].iter().map(|i| i.value);
        for v in saved.iter().copied().chain(slices) {
            // Saved for a product alone, or read twice: not twice an input.
            if inputs.remove(&v) {
                add(&mut back, v, &named(v));
                scanned.push(sources[&v].clone());
            }
        }
        for (_, v) in &self.stacked {
            add(&mut back, *v, &named(*v));
        }
        let mut constants = Vec::new();
        for (i, input) in arguments.iter().enumerate().skip(first_constant) {
            if inputs.contains(&input.value) {
                add(&mut back, input.value, &input.name);
                constants.push(i);
            }
        }
        for n in (0..joint.nodes.len()).filter(|n| live[*n]) {
            debug_assert!(n >= self.forward || again.contains(&n));
            copy_node(&mut back, joint, n, &mut map);
        }
        for (i, v) in outputs.iter().enumerate() {
            back.output(&format!("d{i}"), OutputRole::Result, map[v.0 as usize]);
        }
        Ok(Plan {
            forward,
            backward: back,
            scanned,
            constants,
            sources,
        })
    }
}

/// Whether to compute a node again rather than to save its result.
fn cheap(g: &Graph, n: usize) -> bool {
    let node = &g.nodes[n];
    match &node.prim {
        Prim::Const { .. }
        | Prim::Size { .. }
        | Prim::Iota { .. }
        | Prim::Broadcast { .. }
        | Prim::Reshape(_)
        | Prim::StopGradient => true,
        Prim::Cast(to) => g.ty(node.args[0]).elem.size() <= to.size(),
        _ => false,
    }
}

fn input_type(s: &Scan, i: usize) -> Type {
    s.body.ty(s.body.inputs[i].value).clone()
}

fn empty(joint: &Graph, name: &str) -> (Graph, Vec<Value>) {
    let mut g = Graph::new(name);
    g.origins = joint.origins.clone();
    (g, vec![UNMAPPED; joint.value_count()])
}

fn position(list: &mut Vec<Value>, v: Value) -> usize {
    list.iter().position(|x| *x == v).unwrap_or_else(|| {
        list.push(v);
        list.len() - 1
    })
}
