//! A graph, read from its results back.

use rustc_hash::FxHashSet;

use crate::ir::{Graph, Node, Prim, Value};

/// A graph, read from its results back.
#[derive(Clone, Copy)]
pub struct Back<'g> {
    pub g: &'g Graph,
    /// Values that are not looked behind.
    opaque: Option<&'g FxHashSet<Value>>,
}

impl<'g> Back<'g> {
    pub fn new(g: &'g Graph) -> Back<'g> {
        Back { g, opaque: None }
    }

    /// A graph of which some values are not looked behind.
    pub(crate) fn up_to(g: &'g Graph, opaque: &'g FxHashSet<Value>) -> Back<'g> {
        Back {
            g,
            opaque: Some(opaque),
        }
    }

    /// The node that computes a value; none for inputs.
    pub fn node(&self, v: Value) -> Option<&'g Node> {
        if self.opaque.is_some_and(|opaque| opaque.contains(&v)) {
            return None;
        }
        let nodes = &self.g.nodes;
        let node = &nodes[nodes.partition_point(|n| n.first <= v).checked_sub(1)?];
        node.values().any(|r| r == v).then_some(node)
    }

    /// What a value was before it was only moved.
    pub fn behind(&self, v: Value) -> Value {
        match self.node(v).map(|n| (&n.prim, n)) {
            Some((
                Prim::Reshape(_) | Prim::Broadcast { .. } | Prim::Transpose(_) | Prim::StopGradient,
                n,
            )) => self.behind(n.args[0]),
            _ => v,
        }
    }
}
