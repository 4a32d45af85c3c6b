//! The reverse sweep over one graph (or one scan body).

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use crate::ir::flow::flows;
use crate::ir::prim::Prim;
use crate::ir::{Dim, Graph, Node, OriginId, Value};

use super::super::build::{Build, Result};
use super::{rules, scan};

/// What one use adds to the cotangent of a value.
pub(super) enum Contribution {
    Whole(Value),
    /// `value` at `starts .. ends` of the cotangent, zero elsewhere.
    Part {
        value: Value,
        starts: Vec<Dim>,
        ends: Vec<Dim>,
    },
}

/// Results of a scan that was extended: `old .. old + count` are now `new ..`.
pub(super) struct Renamed {
    pub old: u32,
    pub count: u32,
    pub new: u32,
}

/// Follows `v` through the renamings, in order.
pub(super) fn rename(renamed: &[Renamed], v: &mut Value) {
    for r in renamed {
        if (r.old..r.old + r.count).contains(&v.0) {
            v.0 += r.new - r.old;
        }
    }
}

/// Constants of a scan body whose gradient need not be summed in the loop, and
/// what is to be done after it instead.
pub(super) struct Hoist {
    pub constants: FxHashSet<Value>,
    pub deferred: Vec<Deferred>,
}

/// A use of constant argument `arg` of a node of the body, whose result has
/// cotangent `dy` in each step.
pub(super) struct Deferred {
    pub node: Node,
    pub arg: usize,
    pub dy: Value,
}

/// The cotangents of `wrt`, given those of some values in `seeds`; `None` is zero.
///
/// Nodes are added at the end of `g`; scans on the way are extended in place
/// (`renamed` holds the results that moved).
pub(super) fn backward(
    g: &mut Graph,
    seeds: &[(Value, Value)],
    wrt: &[Value],
    mut hoist: Option<&mut Hoist>,
    renamed: &mut Vec<Renamed>,
) -> Result<Vec<Option<Value>>> {
    let active = activity(g, wrt);
    let defs = g.definitions();
    let mut pending: Vec<SmallVec<[Contribution; 2]>> = Vec::new();
    pending.resize_with(g.value_count(), SmallVec::new);
    for (value, cotangent) in seeds {
        if active[value.0 as usize] {
            pending[value.0 as usize].push(Contribution::Whole(*cotangent));
        }
    }
    let mut wanted = FxHashSet::default();
    wanted.extend(wrt.iter().copied());
    let mut kept: FxHashMap<Value, Value> = FxHashMap::default();
    for index in (0..g.nodes.len()).rev() {
        let node = g.nodes[index].clone();
        if node.values().all(|v| pending[v.0 as usize].is_empty()) {
            continue;
        }
        let mut cotangents: SmallVec<[Option<Value>; 2]> = SmallVec::new();
        for v in node.values() {
            let parts = std::mem::take(&mut pending[v.0 as usize]);
            let total = collect(g, v, parts, node.origin)?;
            if let Some(total) = total.filter(|_| wanted.contains(&v)) {
                kept.insert(v, total);
            }
            cotangents.push(total);
        }
        let mut need: SmallVec<[bool; 4]> =
            node.args.iter().map(|a| active[a.0 as usize]).collect();
        for (i, n) in need.iter_mut().enumerate() {
            *n &= flows(g, &node, i);
        }
        if let (Some(hoist), Some(dy)) = (hoist.as_deref_mut(), cotangents[0]) {
            defer(hoist, &node, dy, &mut need);
        }
        if !need.contains(&true) {
            continue;
        }
        let contributions = if let Prim::Scan(_) = node.prim {
            scan::gradient(g, index, &cotangents, &need, renamed)?
        } else {
            let mut rule = rules::Rule {
                b: Build { g, at: node.origin },
                defs: &defs,
                node: &node,
                need: &need,
            };
            rule.gradient(cotangents[0].expect("the only result has a cotangent"))?
        };
        for (arg, c) in node.args.iter().zip(contributions) {
            pending[arg.0 as usize].extend(c);
        }
    }
    let mut gradients = Vec::with_capacity(wrt.len());
    for w in wrt {
        let parts = std::mem::take(&mut pending[w.0 as usize]);
        if let Some(total) = collect(g, *w, parts, OriginId::default())? {
            kept.insert(*w, total);
        }
        gradients.push(kept.get(w).copied());
    }
    Ok(gradients)
}

/// Uses that [`scan`] can handle after the loop are taken out of `need`.
fn defer(hoist: &mut Hoist, node: &Node, dy: Value, need: &mut [bool]) {
    for (arg, need) in need.iter_mut().enumerate() {
        let can = match &node.prim {
            Prim::Dot(_) | Prim::Broadcast { .. } => true,
            Prim::Gather { axis } => *axis == 0,
            _ => false,
        };
        if *need && can && hoist.constants.contains(&node.args[arg]) {
            *need = false;
            let node = node.clone();
            hoist.deferred.push(Deferred { node, arg, dy });
        }
    }
}

/// Which values depend on `wrt` through operations that have a gradient.
pub(super) fn activity(g: &Graph, wrt: &[Value]) -> Vec<bool> {
    let mut active = vec![false; g.value_count()];
    for w in wrt {
        active[w.0 as usize] = g.ty(*w).elem.is_float();
    }
    for node in &g.nodes {
        if let Prim::Scan(s) = &node.prim {
            let args: Vec<bool> = node.args.iter().map(|a| active[a.0 as usize]).collect();
            if args.contains(&true) {
                for (v, a) in node.values().zip(scan::activity(s, &args)) {
                    active[v.0 as usize] |= a;
                }
            }
            continue;
        }
        let any =
            (0..node.args.len()).any(|i| active[node.args[i].0 as usize] && flows(g, node, i));
        for v in node.values().filter(|_| any) {
            active[v.0 as usize] |= g.ty(v).elem.is_float();
        }
    }
    active
}

/// One cotangent from its contributions.
fn collect(
    g: &mut Graph,
    value: Value,
    parts: SmallVec<[Contribution; 2]>,
    at: OriginId,
) -> Result<Option<Value>> {
    let shape = g.ty(value).shape.clone();
    let mut b = Build { g, at };
    if let Some(whole) = tiles(&mut b, &shape, &parts)? {
        return Ok(Some(whole));
    }
    let mut total: Option<Value> = None;
    for part in parts {
        let term = match part {
            Contribution::Whole(v) => v,
            Contribution::Part {
                value,
                starts,
                ends,
            } => {
                let high = shape.iter().zip(&ends).map(|(n, e)| n.sub(e));
                let prim = Prim::Pad {
                    low: starts,
                    high: high.collect::<std::result::Result<_, _>>()?,
                    interior: vec![0; shape.len()],
                };
                let zero = b.scalar(0.0, b.ty(value).elem)?;
                b.push(prim, &[value, zero])?
            }
        };
        debug_assert_eq!(b.ty(term), b.ty(value), "a cotangent has its value's type");
        total = Some(match total {
            None => term,
            Some(sum) => b.add(sum, term)?,
        });
    }
    Ok(total)
}

/// Parts that tile the value along one axis are concatenated.
fn tiles(b: &mut Build, shape: &[Dim], parts: &[Contribution]) -> Result<Option<Value>> {
    let mut slices = Vec::with_capacity(parts.len());
    for part in parts {
        let Contribution::Part {
            value,
            starts,
            ends,
        } = part
        else {
            return Ok(None);
        };
        slices.push((*value, starts, ends));
    }
    let whole =
        |a: usize, starts: &[Dim], ends: &[Dim]| starts[a] == Dim::ZERO && ends[a] == shape[a];
    let cut = |axis: &usize| slices.iter().any(|(_, s, e)| !whole(*axis, s, e));
    let mut cuts = (0..shape.len()).filter(cut);
    let (Some(axis), None) = (cuts.next(), cuts.next()) else {
        return Ok(None);
    };
    let mut ordered: SmallVec<[Value; 4]> = SmallVec::new();
    let mut at = Dim::ZERO;
    while at != shape[axis] {
        let next = slices
            .iter()
            .position(|(_, s, e)| s[axis] == at && e[axis] != at);
        let Some(next) = next else { return Ok(None) };
        let (value, _, ends) = slices.swap_remove(next);
        ordered.push(value);
        at = ends[axis].clone();
    }
    if !slices.is_empty() {
        return Ok(None);
    }
    b.push(Prim::Concat { axis }, &ordered).map(Some)
}
