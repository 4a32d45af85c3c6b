//! `e / d` where `d` is the sum of `e = exp(u)` along some axes, and what else is made of `d`.
//!
//! What makes `d` of `e` is not matched as it was written: axes of size 1 turn broadcasts
//! into reshapes and reductions into nothing. Both are followed through views to the same
//! exponential, and what counts is where each axis comes from.

use smallvec::SmallVec;

use crate::ir::prim::{Binary, Prim, Reduce, Unary};
use crate::ir::{Dim, Value};

use super::Back;

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

/// `exp(u) / sum(exp(u))`
pub struct Softmax {
    pub exp: Value,
    /// The exponent.
    pub u: Value,
    /// The exponent before its maximum was taken off.
    pub logits: Value,
    /// Whether its maximum was taken off.
    pub shifted: bool,
    /// The axes of `u` that are summed over, but for those of size 1.
    pub axes: Vec<usize>,
    /// The same, as axes of the quotient.
    pub over: Vec<usize>,
    /// The sum and its axes, where it is of `exp` itself.
    pub sum: Option<(Value, Vec<usize>)>,
    /// How the quotient's numerator is a view of `exp`, the last view first.
    pub views: Vec<Prim>,
}

impl Back<'_> {
    /// The softmax that a value is.
    pub fn softmax(&self, p: Value) -> Option<Softmax> {
        let node = self.node(p)?;
        match node.prim {
            Prim::Binary(Binary::Div) => self.quotient(node.args[0], node.args[1]),
            _ => None,
        }
    }

    /// `e / d`, if `d` is the sum of `e = exp(u)`.
    pub fn quotient(&self, e: Value, d: Value) -> Option<Softmax> {
        let seen = self.seen(e, false);
        let u = match self.node(seen.root) {
            Some(exp) if exp.prim == Prim::Unary(Unary::Exp) => exp.args[0],
            _ => return None,
        };
        let sum = self.reduced(d, &seen, Reduce::Sum)?;
        let before = self.before_shift(u, &sum.axes);
        let summed = |i: &usize| seen.axes[*i].is_some_and(|a| sum.axes.contains(&a));
        Some(Softmax {
            exp: seen.root,
            u,
            logits: before.unwrap_or(u),
            shifted: before.is_some(),
            over: (0..seen.axes.len()).filter(summed).collect(),
            axes: sum.axes,
            sum: sum.result,
            views: seen.views,
        })
    }

    /// The logits of which a value is the logarithm of the sum of exponentials, shifted or not.
    pub fn log_sum_exp(&self, v: Value) -> Option<Value> {
        let log = self.node(v)?;
        let sum = self.node(self.behind(*log.args.first()?))?;
        let exp = self.node(*sum.args.first()?)?;
        let u = *exp.args.first()?;
        match (&log.prim, &sum.prim, &exp.prim) {
            (
                Prim::Unary(Unary::Log),
                Prim::Reduce {
                    op: Reduce::Sum,
                    axes,
                },
                Prim::Unary(Unary::Exp),
            ) => Some(self.before_shift(u, axes).unwrap_or(u)),
            _ => None,
        }
    }

    /// `x`, where `u` is `x` less its maximum over `axes`.
    fn before_shift(&self, u: Value, axes: &[usize]) -> Option<Value> {
        let node = self.node(u)?;
        if node.prim != Prim::Binary(Binary::Sub) {
            return None;
        }
        let x = self.seen(node.args[0], true);
        let max = self.reduced(node.args[1], &x, Reduce::Max)?;
        let over = (0..x.axes.len()).filter(|i| x.axes[*i].is_some_and(|a| max.axes.contains(&a)));
        over.eq(axes.iter().copied()).then_some(node.args[0])
    }

    /// `d` as a reduction of the root of `of`, stretched to its axes.
    fn reduced(&self, d: Value, of: &Seen, op: Reduce) -> Option<Reduced> {
        let through = op == Reduce::Max;
        let rank = self.g.ty(d).rank();
        let mut seen = self.seen(d, through);
        let mut result = None;
        while let Some(node) = self.node(seen.root)
            && let Prim::Reduce { op: found, axes } = &node.prim
            && *found == op
            && seen.root != of.root
        {
            let x = node.args[0];
            let shape = &self.g.ty(x).shape;
            let left: Vec<usize> = (0..shape.len()).filter(|a| !axes.contains(a)).collect();
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

    fn seen(&self, v: Value, through: bool) -> Seen {
        let shape = self.g.ty(v).shape.clone();
        let axes = shape.iter().enumerate();
        let axes = axes.map(|(i, d)| (*d != Dim::ONE).then_some(i)).collect();
        self.followed(v, axes, through)
    }

    /// Follows `v` through views; through `stop_gradient` too if `through`.
    fn followed(&self, v: Value, axes: Axes, through: bool) -> Seen {
        let mut seen = Seen {
            root: v,
            axes,
            views: Vec::new(),
        };
        while let Some(node) = self.node(seen.root)
            && let Some(&x) = node.args.first()
        {
            let (from, to) = (&self.g.ty(x).shape, &self.g.ty(seen.root).shape);
            let source: Axes = match &node.prim {
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
            seen.views.push(node.prim.clone());
            seen.root = x;
        }
        seen
    }
}
