//! The same computation with fewer operations.
//!
//! ```text
//! before                                    after
//!   %1 = transpose [1, 0] %w                  %1 = dot contract [1, 1] %x, %w
//!   %2 = dot contract [1, 0] %x, %1           %2 = const 3
//!   %3 = broadcast (add(const 1, const 2))    %3 = broadcast %2
//!   %4 = mul(%2, %3)                          %4 = mul(%1, %3)
//!   %5 = dot contract [1, 0] %x, %1
//!   %6 = add(%4, %5)                          %5 = add(%4, %1)
//! ```
//!
//! - `fold`: operations on constants; `algebra`: identities;
//!   `layout`: reshapes, transposes, broadcasts, slices, padding; `scan`: loops.
//! - Equal operations become one (not scans).
//! - Operations on broadcasts are done before the broadcast.
//! - What no output needs is dropped.
//! - `stop_gradient` is dropped once no `gradient` is left in the graph.
//!
//! Everything is exact in floats: a result differs at most in the sign of a zero
//! that came from `x - x`, or where constants are folded in higher precision than
//! the back end's. `x * 0` is not an identity (infinity, NaN), and `x + 0` only for an
//! `x` that cannot be -0. Sums are not reassociated, except
//! that what is summed after a transpose is summed in the order before it.
//!
//! Values by which a gradient is taken are left alone (see `rewrite`).
//! Rounds are repeated until nothing changes, so the pass is idempotent.

mod algebra;
mod fold;
mod layout;
mod scan;

use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHasher};
use smallvec::SmallVec;

use crate::ir::prim::Class;
use crate::ir::{Graph, OriginId, Prim, TypeError, Value};

use super::autodiff::contains_gradient;
use super::build::Result;
use super::dce::dce;
use super::rewrite::Rewrite;

/// Rounds at most; a round that changes something makes the graph smaller, so more
/// are needed by contrived graphs only.
const ROUNDS: usize = 16;

/// Simplifies the graph and the bodies of its scans.
///
/// # Errors
/// None for a well-typed graph whose sizes do not overflow.
pub fn simplify(graph: &Graph) -> std::result::Result<Graph, TypeError> {
    to_the_end(graph, true)
}

/// `outside`: no gradient is taken of the graph from outside, as of a loop's body.
fn to_the_end(graph: &Graph, outside: bool) -> Result<Graph> {
    let mut graph = dce(graph);
    for _ in 0..ROUNDS {
        let differentiated = outside && !contains_gradient(&graph);
        let next = dce(&round(&graph, differentiated)?);
        if next == graph {
            break;
        }
        graph = next;
    }
    Ok(graph)
}

fn round(graph: &Graph, differentiated: bool) -> Result<Graph> {
    let mut s = Simplify {
        w: Rewrite::new(graph),
        seen: FxHashMap::default(),
        differentiated,
    };
    let mut used = vec![false; graph.value_count()];
    let read = graph.nodes.iter().flat_map(|n| &n.args);
    for v in read.chain(graph.outputs.iter().map(|o| &o.value)) {
        used[v.0 as usize] = true;
    }
    for (index, node) in graph.nodes.iter().enumerate() {
        if s.w.is_kept(node) {
            s.w.copy(index);
            continue;
        }
        match &node.prim {
            Prim::Gradient => s.w.copy(index),
            Prim::Scan(scan) => {
                let wanted: Vec<bool> = node.values().map(|v| used[v.0 as usize]).collect();
                let args = s.w.args(node);
                let results = s.scan(scan, &args, &wanted, node.origin)?;
                s.w.replace(node, results);
            }
            prim => {
                let args = s.w.args(node);
                let v = s.emit(prim.clone(), &args, node.origin)?;
                s.w.replace(node, [v]);
            }
        }
    }
    Ok(s.w.finish())
}

/// What a rule makes of an operation.
enum Simpler {
    Is(Value),
    Op(Prim, Args),
}

type Args = SmallVec<[Value; 4]>;

/// One rule, or one of a family, for `prim` of `args`.
type Found = Result<Option<Simpler>>;

struct Simplify<'a> {
    w: Rewrite<'a>,
    /// Nodes of the new graph by the hash of what they compute.
    seen: FxHashMap<u64, SmallVec<[usize; 1]>>,
    /// No gradient will be taken any more.
    differentiated: bool,
}

impl Simplify<'_> {
    /// The value of an operation of one result, simplified.
    fn emit(&mut self, prim: Prim, args: &[Value], at: OriginId) -> Result<Value> {
        let mut prim = prim;
        let mut args: Args = args.iter().copied().collect();
        loop {
            match self.rule(&prim, &args, at)? {
                Some(Simpler::Is(v)) => return Ok(v),
                Some(Simpler::Op(p, a)) => (prim, args) = (p, a),
                None => break,
            }
        }
        let key = key(&prim, &args);
        if let Some(candidates) = self.seen.get(&key) {
            for i in candidates {
                let node = &self.w.g.nodes[*i];
                if node.args[..] == args[..] && same(&node.prim, &prim) {
                    return Ok(node.first);
                }
            }
        }
        let index = self.w.g.nodes.len();
        let v = self.w.push(prim, &args, at)?;
        self.seen.entry(key).or_default().push(index);
        Ok(v)
    }

    fn rule(&mut self, prim: &Prim, args: &[Value], at: OriginId) -> Found {
        if let Some(found) = self.fold(prim, args)? {
            return Ok(Some(found));
        }
        if let Some(found) = self.algebra(prim, args, at)? {
            return Ok(Some(found));
        }
        if let Some(found) = self.layout(prim, args, at)? {
            return Ok(Some(found));
        }
        self.before_broadcast(prim, args, at)
    }

    /// `op(broadcast(a), broadcast(b))` is `broadcast(op(a, b))`, where both are
    /// broadcast alike or from scalars.
    fn before_broadcast(&mut self, prim: &Prim, args: &[Value], at: OriginId) -> Found {
        if prim.class() != Class::Elementwise {
            return Ok(None);
        }
        let mut inner: SmallVec<[Value; 3]> = SmallVec::new();
        let mut alike: Option<(Vec<usize>, Value)> = None;
        for arg in args {
            let Some(node) = self.w.def(*arg) else {
                return Ok(None);
            };
            let Prim::Broadcast { axes, .. } = &node.prim else {
                return Ok(None);
            };
            let x = node.args[0];
            inner.push(x);
            if axes.is_empty() {
                continue;
            }
            let Some((other, y)) = &alike else {
                alike = Some((axes.clone(), x));
                continue;
            };
            if other != axes || self.w.g.ty(x).shape != self.w.g.ty(*y).shape {
                return Ok(None);
            }
        }
        let axes = match alike {
            None => Vec::new(),
            Some((axes, like)) => {
                let shape = self.w.g.ty(like).shape.clone();
                for x in &mut inner {
                    if self.w.g.ty(*x).rank() == 0 {
                        let (shape, axes) = (shape.clone(), Vec::new());
                        *x = self.emit(Prim::Broadcast { shape, axes }, &[*x], at)?;
                    }
                }
                axes
            }
        };
        let shape = self.w.g.ty(args[0]).shape.clone();
        let small = self.emit(prim.clone(), &inner, at)?;
        Ok(op(Prim::Broadcast { shape, axes }, &[small]))
    }

    /// Primitive and first argument of what defines `v`.
    fn origin_of(&mut self, v: Value) -> Option<(&Prim, Value)> {
        let node = self.w.def(v)?;
        let x = *node.args.first()?;
        Some((&node.prim, x))
    }
    /// `value` everywhere, like `like`.
    fn fill(&mut self, value: f64, like: Value, at: OriginId) -> Result<Value> {
        let ty = self.w.g.ty(like).clone();
        let elem = ty.elem;
        let c = self.emit(Prim::Const { value, elem }, &[], at)?;
        if ty.rank() == 0 {
            return Ok(c);
        }
        let (shape, axes) = (ty.shape, Vec::new());
        self.emit(Prim::Broadcast { shape, axes }, &[c], at)
    }
}

fn is(v: Value) -> Option<Simpler> {
    Some(Simpler::Is(v))
}

fn op(prim: Prim, args: &[Value]) -> Option<Simpler> {
    Some(Simpler::Op(prim, args.iter().copied().collect()))
}

/// As `==`, but 0 is not -0.
fn same(a: &Prim, b: &Prim) -> bool {
    match (a, b) {
        (Prim::Const { value: x, elem: e }, Prim::Const { value: y, elem: f }) => {
            x.to_bits() == y.to_bits() && e == f
        }
        _ => a == b,
    }
}

/// A hash of what is computed: equal operations have equal ones.
fn key(prim: &Prim, args: &[Value]) -> u64 {
    let mut h = FxHasher::default();
    prim.name().hash(&mut h);
    args.hash(&mut h);
    prim.each_attribute(|_, value| value.hash(&mut h));
    h.finish()
}
