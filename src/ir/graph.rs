//! Graphs: nodes in an order in which every value is defined before it is used.

use std::sync::Arc;

use smallvec::SmallVec;

use super::dim::{Bindings, Dim};
use super::infer::{self, TypeError};
use super::prim::Prim;
use super::ty::{Elem, Type};

/// Index of a value in its graph.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Value(pub u32);

/// Index of an entry of [`Graph::origins`]; 0 is "nowhere".
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct OriginId(pub u32);

/// Where in the user's program an operation comes from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    /// The expression; the innermost one that is not in the library.
    pub span: Option<crate::span::Span>,
    /// The layer it is part of: `residual/dense_1`; empty at the top.
    pub path: Arc<str>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub prim: Prim,
    pub args: SmallVec<[Value; 3]>,
    /// The first result; the others follow it.
    pub first: Value,
    pub results: u32,
    pub origin: OriginId,
}

/// What a graph input is to the runtime.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub enum Role {
    /// Trained: `dense/kernel`.
    Param,
    /// Kept by a layer: `batch_normalization/moving_mean`.
    State,
    /// Kept by an optimizer for a parameter: `adam/m/dense/kernel`.
    Slot,
    /// A number the runtime may change between steps: `learning_rate`.
    Hyper,
    /// Kept by a metric (or by the loss), reset each epoch, `F64`.
    Metric,
    /// Steps done so far, `I32[]`, counted by the runtime: 0 in the first step.
    Step,
    /// A column of the batch; axis 0 is the batch.
    Data,
    /// Computed once from the training rows: `scale.mean`.
    Fit,
    /// Anything else (region inputs, tests).
    Plain,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    pub name: Arc<str>,
    pub role: Role,
    pub value: Value,
}

/// What a graph output is to the runtime.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub enum OutputRole {
    /// The next value of input number `.0` (same type): written back after the step.
    Update(usize),
    /// To be read by name.
    Result,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    pub name: Arc<str>,
    pub role: OutputRole,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct Graph {
    pub name: Arc<str>,
    pub inputs: Vec<Input>,
    pub nodes: Vec<Node>,
    pub outputs: Vec<Output>,
    pub origins: Vec<Origin>,
    types: Vec<Type>,
}

impl Graph {
    pub fn new(name: &str) -> Graph {
        Graph {
            name: name.into(),
            origins: vec![Origin::default()],
            ..Graph::default()
        }
    }
    pub fn ty(&self, value: Value) -> &Type {
        &self.types[value.0 as usize]
    }
    /// Number of values; they are `Value(0) .. Value(count)`.
    pub fn value_count(&self) -> usize {
        self.types.len()
    }
    pub fn input(&mut self, name: &str, role: Role, ty: Type) -> Value {
        let value = self.fresh(ty);
        self.inputs.push(Input {
            name: name.into(),
            role,
            value,
        });
        value
    }
    pub fn output(&mut self, name: &str, role: OutputRole, value: Value) {
        self.outputs.push(Output {
            name: name.into(),
            role,
            value,
        });
    }
    /// Adds a node; its types follow from `prim` and the arguments.
    ///
    /// # Errors
    /// What is wrong with the arguments, as data.
    pub fn push(
        &mut self,
        prim: Prim,
        args: &[Value],
        origin: OriginId,
    ) -> Result<SmallVec<[Value; 2]>, TypeError> {
        let results = {
            let types: SmallVec<[&Type; 4]> = args.iter().map(|a| self.ty(*a)).collect();
            infer::infer(&prim, &types)?
        };
        Ok(self.push_typed(prim, args, results, origin))
    }
    /// Adds a node of one result.
    pub fn push1(
        &mut self,
        prim: Prim,
        args: &[Value],
        origin: OriginId,
    ) -> Result<Value, TypeError> {
        self.push(prim, args, origin).map(|r| r[0])
    }
    /// Adds a node whose result types are known to be right (the verifier checks them).
    pub fn push_typed(
        &mut self,
        prim: Prim,
        args: &[Value],
        results: SmallVec<[Type; 2]>,
        origin: OriginId,
    ) -> SmallVec<[Value; 2]> {
        let first = Value(self.types.len() as u32);
        let count = results.len() as u32;
        self.types.extend(results);
        self.nodes.push(Node {
            prim,
            args: args.iter().copied().collect(),
            first,
            results: count,
            origin,
        });
        (first.0..first.0 + count).map(Value).collect()
    }
    /// Gives node `index` another primitive and arguments. Its results are new values
    /// and at least as many as before: the first of them take the place of the old
    /// ones in every node and output. The old values stay undefined until the graph
    /// is rebuilt.
    pub fn replace_node(
        &mut self,
        index: usize,
        prim: Prim,
        args: &[Value],
    ) -> Result<SmallVec<[Value; 2]>, TypeError> {
        let types = {
            let args: SmallVec<[&Type; 4]> = args.iter().map(|a| self.ty(*a)).collect();
            infer::infer(&prim, &args)?
        };
        let (old, count) = (self.nodes[index].first.0, self.nodes[index].results);
        let first = self.types.len() as u32;
        let results = types.len() as u32;
        self.types.extend(types);
        let node = &mut self.nodes[index];
        node.prim = prim;
        node.args = args.iter().copied().collect();
        node.first = Value(first);
        node.results = results;
        let renamed = |v: &mut Value| {
            if (old..old + count).contains(&v.0) {
                v.0 += first - old;
            }
        };
        let later = self.nodes[index + 1..].iter_mut();
        later.for_each(|n| n.args.iter_mut().for_each(renamed));
        self.outputs.iter_mut().for_each(|o| renamed(&mut o.value));
        Ok((first..first + results).map(Value).collect())
    }
    pub fn origin(&mut self, origin: Origin) -> OriginId {
        if self.origins.last() != Some(&origin) {
            self.origins.push(origin);
        }
        OriginId(self.origins.len() as u32 - 1)
    }
    /// A scalar constant.
    pub fn constant(&mut self, value: f64, elem: Elem) -> Value {
        let prim = Prim::Const { value, elem };
        self.push_typed(
            prim,
            &[],
            SmallVec::from_iter([Type::scalar(elem)]),
            OriginId::default(),
        )[0]
    }
    /// The node that defines each value; `None` for inputs.
    pub fn definitions(&self) -> Vec<Option<usize>> {
        let mut defs = vec![None; self.types.len()];
        for (i, node) in self.nodes.iter().enumerate() {
            for r in node.values() {
                defs[r.0 as usize] = Some(i);
            }
        }
        defs
    }
    /// The same graph with sizes for symbols; regions included. Types are inferred
    /// again, so a size that does not fit is found.
    pub fn specialize(&self, bindings: &Bindings) -> Result<Graph, TypeError> {
        super::specialize::specialize(self, bindings)
    }
    fn fresh(&mut self, ty: Type) -> Value {
        self.types.push(ty);
        Value(self.types.len() as u32 - 1)
    }
}

impl Node {
    /// The values it defines.
    pub fn values(&self) -> impl Iterator<Item = Value> + use<> {
        (self.first.0..self.first.0 + self.results).map(Value)
    }
}

/// `[B, 784]` for messages.
pub fn shape_text(shape: &[Dim]) -> String {
    super::ty::ShapeText(shape).to_string()
}
