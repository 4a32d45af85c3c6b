//! Writing nodes into a graph with little ceremony: what autodiff and the
//! rewrites share. Every node gets the origin `at`.

use smallvec::SmallVec;

use crate::ir::prim::{Binary, Compare, Prim, Reduce, Unary};
use crate::ir::ty::Shape;
use crate::ir::{Elem, Graph, OriginId, Type, TypeError, Value};

pub(crate) type Result<T> = std::result::Result<T, TypeError>;

/// A graph under construction.
pub(crate) struct Build<'g> {
    pub g: &'g mut Graph,
    pub at: OriginId,
}

impl Build<'_> {
    pub(crate) fn ty(&self, v: Value) -> &Type {
        self.g.ty(v)
    }
    pub(crate) fn shape(&self, v: Value) -> Shape {
        self.g.ty(v).shape.clone()
    }
    pub(crate) fn rank(&self, v: Value) -> usize {
        self.g.ty(v).rank()
    }
    pub(crate) fn push(&mut self, prim: Prim, args: &[Value]) -> Result<Value> {
        self.g.push1(prim, args, self.at)
    }
    pub(crate) fn unary(&mut self, op: Unary, x: Value) -> Result<Value> {
        self.push(Prim::Unary(op), &[x])
    }
    pub(crate) fn binary(&mut self, op: Binary, a: Value, b: Value) -> Result<Value> {
        self.push(Prim::Binary(op), &[a, b])
    }
    pub(crate) fn add(&mut self, a: Value, b: Value) -> Result<Value> {
        self.binary(Binary::Add, a, b)
    }
    pub(crate) fn sub(&mut self, a: Value, b: Value) -> Result<Value> {
        self.binary(Binary::Sub, a, b)
    }
    pub(crate) fn mul(&mut self, a: Value, b: Value) -> Result<Value> {
        self.binary(Binary::Mul, a, b)
    }
    pub(crate) fn div(&mut self, a: Value, b: Value) -> Result<Value> {
        self.binary(Binary::Div, a, b)
    }
    pub(crate) fn neg(&mut self, x: Value) -> Result<Value> {
        self.unary(Unary::Neg, x)
    }
    pub(crate) fn compare(&mut self, op: Compare, a: Value, b: Value) -> Result<Value> {
        self.push(Prim::Compare(op), &[a, b])
    }
    pub(crate) fn select(&mut self, c: Value, a: Value, b: Value) -> Result<Value> {
        self.push(Prim::Select, &[c, a, b])
    }
    pub(crate) fn scalar(&mut self, value: f64, elem: Elem) -> Result<Value> {
        self.push(Prim::Const { value, elem }, &[])
    }
    /// `value` everywhere, of the type of `like`.
    pub(crate) fn fill_like(&mut self, value: f64, like: Value) -> Result<Value> {
        let ty = self.ty(like).clone();
        self.fill(value, &ty)
    }
    /// `value` everywhere.
    pub(crate) fn fill(&mut self, value: f64, ty: &Type) -> Result<Value> {
        let c = self.scalar(value, ty.elem)?;
        self.broadcast(c, ty.shape.clone(), Vec::new())
    }
    /// `x` times a constant.
    pub(crate) fn scale(&mut self, x: Value, by: f64) -> Result<Value> {
        let c = self.fill_like(by, x)?;
        self.mul(x, c)
    }
    pub(crate) fn sum(&mut self, x: Value, axes: Vec<usize>) -> Result<Value> {
        if axes.is_empty() {
            return Ok(x);
        }
        let op = Reduce::Sum;
        self.push(Prim::Reduce { op, axes }, &[x])
    }
    pub(crate) fn reshape(&mut self, x: Value, shape: Shape) -> Result<Value> {
        if self.ty(x).shape == shape {
            return Ok(x);
        }
        self.push(Prim::Reshape(shape), &[x])
    }
    pub(crate) fn transpose(&mut self, x: Value, perm: Vec<usize>) -> Result<Value> {
        if perm.iter().enumerate().all(|(i, p)| i == *p) {
            return Ok(x);
        }
        self.push(Prim::Transpose(perm), &[x])
    }
    pub(crate) fn broadcast(&mut self, x: Value, shape: Shape, axes: Vec<usize>) -> Result<Value> {
        if self.ty(x).shape == shape {
            return Ok(x);
        }
        self.push(Prim::Broadcast { shape, axes }, &[x])
    }
    /// Back to the shape from which `axes` were reduced.
    pub(crate) fn unreduce(&mut self, x: Value, shape: &Shape, axes: &[usize]) -> Result<Value> {
        let kept = (0..shape.len()).filter(|a| !axes.contains(a)).collect();
        self.broadcast(x, shape.clone(), kept)
    }
    pub(crate) fn cast(&mut self, x: Value, elem: Elem) -> Result<Value> {
        if self.ty(x).elem == elem {
            return Ok(x);
        }
        self.push(Prim::Cast(elem), &[x])
    }
}

/// Where each argument axis ends up under `perm`.
pub(crate) fn inverse(perm: &[usize]) -> Vec<usize> {
    let mut inv = vec![0; perm.len()];
    for (i, p) in perm.iter().enumerate() {
        inv[*p] = i;
    }
    inv
}

/// Axes that are in none of `taken`.
pub(crate) fn free_axes(rank: usize, taken: impl Fn(usize) -> bool) -> Vec<usize> {
    (0..rank).filter(|a| !taken(*a)).collect()
}

/// What `v` is everywhere, where that is a constant: `Const`, or `Broadcast` or `Reshape` of one.
pub(crate) fn uniform(g: &Graph, defs: &[Option<usize>], v: Value) -> Option<f64> {
    let node = &g.nodes[(*defs.get(v.0 as usize)?)?];
    match &node.prim {
        Prim::Const { value, .. } => Some(*value),
        Prim::Broadcast { .. } | Prim::Reshape(_) => uniform(g, defs, node.args[0]),
        _ => None,
    }
}

/// Adds a copy of node `index` of `from`, whose result types are kept.
pub(crate) fn copy_node(
    to: &mut Graph,
    from: &Graph,
    index: usize,
    map: &mut [Value],
) -> SmallVec<[Value; 2]> {
    let node = &from.nodes[index];
    let args: SmallVec<[Value; 4]> = node.args.iter().map(|a| map[a.0 as usize]).collect();
    let types = node.values().map(|v| from.ty(v).clone()).collect();
    let results = to.push_typed(node.prim.clone(), &args, types, node.origin);
    for (old, new) in node.values().zip(&results) {
        map[old.0 as usize] = *new;
    }
    results
}

/// A value that stands for "not mapped yet".
pub(crate) const UNMAPPED: Value = Value(u32::MAX);

/// A graph with the inputs of `from` and no nodes, and the map of values begun.
pub(crate) fn like(from: &Graph) -> (Graph, Vec<Value>) {
    let mut to = Graph::new(&from.name);
    to.origins = from.origins.clone();
    let mut map = vec![UNMAPPED; from.value_count()];
    for input in &from.inputs {
        let ty = from.ty(input.value).clone();
        map[input.value.0 as usize] = to.input(&input.name, input.role.clone(), ty);
    }
    (to, map)
}

/// Adds the outputs of `from`.
pub(crate) fn copy_outputs(to: &mut Graph, from: &Graph, map: &[Value]) {
    for o in &from.outputs {
        to.output(&o.name, o.role.clone(), map[o.value.0 as usize]);
    }
}
