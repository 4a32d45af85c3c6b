//! `log(e / d)` where `d` is the sum of `e = exp(u)` along some axes.
//!
//! What makes `d` of `e` is not matched as it was written: axes of size 1 turn broadcasts
//! into reshapes and reductions into nothing. Both are followed through views to the same
//! exponential, and what counts is where each axis comes from.

use smallvec::SmallVec;

use crate::ir::prim::{Binary, Prim, Reduce, Unary};
use crate::ir::{Dim, OriginId, Value};

use super::super::build::{Result, free_axes};
use super::Logs;

/// For each axis of a value the axis of its root that it runs along; none for an axis of size 1
/// and for one that a broadcast added.
type Axes = SmallVec<[Option<usize>; 4]>;

/// A value seen through its views.
struct Seen {
    root: Value,
    axes: Axes,
    /// The views, the last one first.
    views: Vec<Prim>,
}

/// A value that is another one reduced along some axes and stretched again.
struct Reduced {
    /// The axes of the root that were reduced, but for those of size 1.
    axes: Vec<usize>,
    /// The result of the reduction, if it is of the root itself.
    result: Option<(Value, Vec<usize>)>,
}

impl Logs<'_> {
    /// `log(e / d)`, if `d` is the sum of `e = exp(u)`.
    pub(super) fn softmax(&mut self, e: Value, d: Value, at: OriginId) -> Result<Option<Value>> {
        let seen = self.seen(e, false);
        let Some((Prim::Unary(Unary::Exp), u)) = self.origin_of(seen.root) else {
            return Ok(None);
        };
        let Some(sum) = self.reduced(d, &seen, Reduce::Sum) else {
            return Ok(None);
        };
        let shifted = self.is_shifted(u, &sum.axes);
        let shape = self.w.g.ty(u).shape.clone();
        let mut b = self.w.build(at);
        let (mut u, mut exp, mut known) = (u, seen.root, sum.result);
        if !shifted {
            let (op, axes) = (Reduce::Max, sum.axes.clone());
            let mut largest = u;
            if !axes.is_empty() {
                largest = b.push(Prim::Reduce { op, axes }, &[u])?;
            }
            largest = b.push(Prim::StopGradient, &[largest])?;
            largest = b.unreduce(largest, &shape, &sum.axes)?;
            u = b.sub(u, largest)?;
            exp = b.unary(Unary::Exp, u)?;
            known = None;
        }
        let (total, axes) = match known {
            Some(known) => known,
            None => (b.sum(exp, sum.axes.clone())?, sum.axes),
        };
        let log = b.unary(Unary::Log, total)?;
        let log = b.unreduce(log, &shape, &axes)?;
        let mut log = b.sub(u, log)?;
        for view in seen.views.into_iter().rev() {
            log = b.push(view, &[log])?;
        }
        Ok(Some(log))
    }

    /// Whether `u` is `x` less its maximum over `axes`.
    fn is_shifted(&mut self, u: Value, axes: &[usize]) -> bool {
        let Some(node) = self.w.def(u).cloned() else {
            return false;
        };
        if node.prim != Prim::Binary(Binary::Sub) {
            return false;
        }
        let x = self.seen(node.args[0], true);
        let Some(max) = self.reduced(node.args[1], &x, Reduce::Max) else {
            return false;
        };
        let over = (0..x.axes.len()).filter(|i| x.axes[*i].is_some_and(|a| max.axes.contains(&a)));
        over.eq(axes.iter().copied())
    }

    /// `d` as a reduction of the root of `of`, stretched to its axes.
    fn reduced(&mut self, d: Value, of: &Seen, op: Reduce) -> Option<Reduced> {
        let through = op == Reduce::Max;
        let rank = self.w.g.ty(d).rank();
        let mut seen = self.seen(d, through);
        let mut result = None;
        while let Some((Prim::Reduce { op: found, axes }, x)) = self.origin_of(seen.root)
            && found == op
            && seen.root != of.root
        {
            let shape = self.w.g.ty(x).shape.clone();
            let left = free_axes(shape.len(), |a| axes.contains(&a));
            let alone = seen.axes.len() == rank;
            let mut tracked: Axes = seen.axes.iter().map(|a| a.map(|a| left[a])).collect();
            tracked.extend(axes.iter().map(|a| (shape[*a] != Dim::ONE).then_some(*a)));
            let long = tracked[seen.axes.len()..].iter().flatten().count();
            let sum = (seen.root, axes.clone());
            seen = self.followed(x, tracked, through);
            result = (alone && seen.root == x).then_some(sum);
            // A sum along a broadcast axis is a multiple.
            let kept = seen.axes.iter().rev().take(axes.len()).flatten().count();
            if kept < long {
                return None;
            }
        }
        if seen.root != of.root {
            return None;
        }
        let mut axes: Vec<usize> = seen.axes[rank..].iter().flatten().copied().collect();
        axes.sort_unstable();
        let along = |(from, to): (&Option<usize>, &Option<usize>)| match from {
            Some(a) if axes.contains(a) => to.is_none(),
            from => from == to,
        };
        let same = of.axes.len() == rank && of.axes.iter().zip(&seen.axes).all(along);
        same.then_some(Reduced { axes, result })
    }

    fn seen(&mut self, v: Value, through: bool) -> Seen {
        let shape = self.w.g.ty(v).shape.clone();
        let axes = shape.iter().enumerate();
        let axes = axes.map(|(i, d)| (*d != Dim::ONE).then_some(i)).collect();
        self.followed(v, axes, through)
    }

    /// Follows `v` through views; through `stop_gradient` too if `through`.
    fn followed(&mut self, v: Value, axes: Axes, through: bool) -> Seen {
        let mut seen = Seen {
            root: v,
            axes,
            views: Vec::new(),
        };
        while let Some((prim, x)) = self.origin_of(seen.root) {
            let (from, to) = (&self.w.g.ty(x).shape, &self.w.g.ty(seen.root).shape);
            let source: Axes = match &prim {
                Prim::StopGradient if through => (0..from.len()).map(Some).collect(),
                Prim::Transpose(perm) => perm.iter().copied().map(Some).collect(),
                Prim::Broadcast { axes, .. } => {
                    let along = |i: usize| axes.iter().position(|a| *a == i);
                    let whole = |i: &usize| from[*i] != Dim::ONE;
                    (0..to.len()).map(|i| along(i).filter(whole)).collect()
                }
                Prim::Reshape(_) => {
                    let long = |s: &[Dim]| -> Vec<usize> {
                        (0..s.len()).filter(|i| s[*i] != Dim::ONE).collect()
                    };
                    let (a, b) = (long(from), long(to));
                    if !a.iter().map(|i| &from[*i]).eq(b.iter().map(|i| &to[*i])) {
                        break;
                    }
                    let along = |i: usize| b.iter().position(|j| *j == i).map(|k| a[k]);
                    (0..to.len()).map(along).collect()
                }
                _ => break,
            };
            seen.axes = seen
                .axes
                .iter()
                .map(|a| a.and_then(|a| source[a]))
                .collect();
            seen.views.push(prim);
            seen.root = x;
        }
        seen
    }
}
