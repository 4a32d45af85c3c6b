//! A graph rewritten from an old one, node by node, with a look back at what
//! has been written.
//!
//! What a `Gradient` is taken by is *opaque*: no rewrite looks through it, moves a
//! use past it, or makes it one with another value, because the gradient by a value
//! depends on which uses go through that value.

use rustc_hash::FxHashSet;
use smallvec::SmallVec;

use crate::ir::flow::Back;
use crate::ir::{Graph, Node, OriginId, Prim, Value};

use super::build::{Build, Result, copy_node, copy_outputs, like};

pub(crate) struct Rewrite<'a> {
    pub from: &'a Graph,
    pub g: Graph,
    /// New values by old.
    pub map: Vec<Value>,
    /// Nodes of `g` by value, for the first `known` nodes.
    defs: Vec<Option<usize>>,
    known: usize,
    /// Old values that must stay as they are.
    kept: FxHashSet<Value>,
    /// New values that must not be looked through.
    opaque: FxHashSet<Value>,
}

impl<'a> Rewrite<'a> {
    pub(crate) fn new(from: &'a Graph) -> Rewrite<'a> {
        let (g, map) = like(from);
        let gradients = from.nodes.iter().filter(|n| n.prim == Prim::Gradient);
        Rewrite {
            kept: gradients.flat_map(|n| n.args[1..].to_vec()).collect(),
            defs: vec![None; g.value_count()],
            known: 0,
            opaque: FxHashSet::default(),
            from,
            g,
            map,
        }
    }
    /// The graph, with the outputs of the old one.
    pub(crate) fn finish(mut self) -> Graph {
        copy_outputs(&mut self.g, self.from, &self.map);
        self.g
    }
    /// Whether the results of an old node are values by which a gradient is taken.
    pub(crate) fn is_kept(&self, node: &Node) -> bool {
        !self.kept.is_empty() && node.values().any(|v| self.kept.contains(&v))
    }
    pub(crate) fn args(&self, node: &Node) -> SmallVec<[Value; 4]> {
        node.args.iter().map(|a| self.map[a.0 as usize]).collect()
    }
    /// Adds old node `index` as it is.
    pub(crate) fn copy(&mut self, index: usize) {
        let results = copy_node(&mut self.g, self.from, index, &mut self.map);
        if self.is_kept(&self.from.nodes[index]) {
            self.opaque.extend(results);
        }
    }
    /// Old results become `new`.
    pub(crate) fn replace(&mut self, node: &Node, new: impl IntoIterator<Item = Value>) {
        for (old, new) in node.values().zip(new) {
            self.map[old.0 as usize] = new;
        }
    }
    pub(crate) fn build(&mut self, at: OriginId) -> Build<'_> {
        Build { g: &mut self.g, at }
    }
    pub(crate) fn push(&mut self, prim: Prim, args: &[Value], at: OriginId) -> Result<Value> {
        self.g.push1(prim, args, at)
    }
    /// What has been written, read back.
    pub(crate) fn back(&self) -> Back<'_> {
        Back::up_to(&self.g, &self.opaque)
    }
    /// Index of the node of the new graph that defines `v`; none for inputs and opaque values.
    pub(crate) fn def_index(&mut self, v: Value) -> Option<usize> {
        if !self.opaque.is_empty() && self.opaque.contains(&v) {
            return None;
        }
        self.sync();
        self.defs[v.0 as usize]
    }
    /// The node of the new graph that defines `v`; none for inputs and opaque values.
    pub(crate) fn def(&mut self, v: Value) -> Option<&Node> {
        self.def_index(v).map(|i| &self.g.nodes[i])
    }
    /// What `v` is everywhere, where that is a constant.
    pub(crate) fn uniform(&mut self, v: Value) -> Option<f64> {
        let node = self.def(v)?;
        match &node.prim {
            Prim::Const { value, .. } => Some(*value),
            Prim::Broadcast { .. } | Prim::Reshape(_) => {
                let x = node.args[0];
                self.uniform(x)
            }
            _ => None,
        }
    }
    fn sync(&mut self) {
        self.defs.resize(self.g.value_count(), None);
        for (i, node) in self.g.nodes.iter().enumerate().skip(self.known) {
            for v in node.values() {
                self.defs[v.0 as usize] = Some(i);
            }
        }
        self.known = self.g.nodes.len();
    }
}
