//! Moves of data: those that do nothing, two that make one, those that another
//! operation can take along.
//!
//! | | |
//! |---|---|
//! | `reshape`, `transpose`, `broadcast`, `slice`, `pad`, `reverse`, `reduce`, `concat` that change nothing | the argument |
//! | `reshape (reshape x)`, `transpose (transpose x)`, `broadcast (broadcast x)`, `slice (slice x)`, `reverse (reverse x)` | one of them |
//! | `transpose`, `broadcast` that move or add axes of size 1 only | `reshape` |
//! | `broadcast x` where x has axes of size 1 | `broadcast` of `reshape x` without them |
//! | `reshape (broadcast x)` where the reshape only adds or drops axes of size 1 | `broadcast x` |
//! | `transpose (broadcast x)` | `broadcast (transpose x)` |
//! | `slice (broadcast x)`, `slice (concat ..)` of one part | `broadcast (slice x)`, `slice` of the part |
//! | any of them of a constant | the constant, broadcast |
//! | `reduce` over axes of size 1 | `reshape` |
//! | `reduce max (reduce max x)`, and `min` | one `reduce` |
//! | `reduce` of a `transpose` | `reduce` over other axes, where the result's order allows |
//! | `dot` of a `transpose` | `dot` of other axes, where the result's order allows |

use crate::ir::prim::{DotDims, Prim, Reduce};
use crate::ir::{Dim, OriginId, Shape, Value};

use super::super::build::{free_axes, inverse};
use super::{Found, Result, Simpler, Simplify, is, op};

impl Simplify<'_> {
    pub(super) fn layout(&mut self, prim: &Prim, args: &[Value], at: OriginId) -> Found {
        match prim {
            Prim::Reshape(shape) => self.reshape(shape, args[0], at),
            Prim::Transpose(perm) => self.transpose(perm, args[0], at),
            Prim::Broadcast { shape, axes } => self.broadcast(shape, axes, args[0], at),
            Prim::Slice {
                starts,
                ends,
                steps,
            } => self.slice(starts, ends, steps, args[0], at),
            Prim::Pad {
                low,
                high,
                interior,
            } => {
                let sizes = low.iter().chain(high).all(|d| *d == Dim::ZERO);
                if sizes && interior.iter().all(|i| *i == 0) {
                    return Ok(is(args[0]));
                }
                match (self.w.uniform(args[0]), self.w.uniform(args[1])) {
                    (Some(x), Some(v)) if x.to_bits() == v.to_bits() => {
                        self.constant_like(prim, args, x, at)
                    }
                    _ => Ok(None),
                }
            }
            Prim::Concat { axis } => self.concat(*axis, args, at),
            Prim::Reverse { axes } => self.reverse(axes, args[0]),
            Prim::Reduce { op, axes } => self.reduce_axes(*op, axes, args[0], at),
            Prim::Dot(dims) => Ok(self.dot(dims, args[0], args[1])),
            Prim::Gather { axis } => {
                // There is nothing to gather from no rows.
                let rows = self.w.g.ty(args[0]).shape[*axis].sign();
                match self.w.uniform(args[0]) {
                    Some(x) if rows == Some(std::cmp::Ordering::Greater) => {
                        self.constant_like(prim, args, x, at)
                    }
                    _ => Ok(None),
                }
            }
            _ => Ok(None),
        }
    }

    fn shape(&self, v: Value) -> Shape {
        self.w.g.ty(v).shape.clone()
    }

    /// `value` everywhere, of the type that `prim` gives.
    fn constant_like(&mut self, prim: &Prim, args: &[Value], value: f64, at: OriginId) -> Found {
        let types: Vec<_> = args.iter().map(|a| self.w.g.ty(*a)).collect();
        let ty = crate::ir::infer::infer(prim, &types)?.swap_remove(0);
        let elem = ty.elem;
        let c = self.emit(Prim::Const { value, elem }, &[], at)?;
        if ty.rank() == 0 {
            return Ok(is(c));
        }
        let (shape, axes) = (ty.shape, Vec::new());
        Ok(op(Prim::Broadcast { shape, axes }, &[c]))
    }

    fn reshape(&mut self, to: &Shape, x: Value, at: OriginId) -> Found {
        let from = self.shape(x);
        if from == *to {
            return Ok(is(x));
        }
        let Some(node) = self.w.def(x).cloned() else {
            return Ok(None);
        };
        Ok(match &node.prim {
            Prim::Reshape(_) => op(Prim::Reshape(to.clone()), &[node.args[0]]),
            Prim::Broadcast { axes, .. } if axes.is_empty() => {
                let axes = Vec::new();
                let shape = to.clone();
                op(Prim::Broadcast { shape, axes }, &[node.args[0]])
            }
            Prim::Broadcast { axes, .. } if same_but_units(&from, to) => {
                // Where every axis of the broadcast that is not of size 1 goes.
                let mut there = not_units(to).into_iter();
                let target: Vec<Option<usize>> = from
                    .iter()
                    .map(|d| if *d == Dim::ONE { None } else { there.next() })
                    .collect();
                let y = node.args[0];
                let kept: Vec<usize> = (0..axes.len())
                    .filter(|i| target[axes[*i]].is_some())
                    .collect();
                let small = self.shape(y);
                let small: Shape = kept.iter().map(|i| small[*i].clone()).collect();
                let y = self.emit(Prim::Reshape(small), &[y], at)?;
                let axes = kept.iter().filter_map(|i| target[axes[*i]]).collect();
                let shape = to.clone();
                op(Prim::Broadcast { shape, axes }, &[y])
            }
            _ => None,
        })
    }

    fn transpose(&mut self, perm: &[usize], x: Value, at: OriginId) -> Found {
        if perm.iter().enumerate().all(|(i, p)| i == *p) {
            return Ok(is(x));
        }
        let from = self.shape(x);
        let moved = perm.iter().filter(|p| from[**p] != Dim::ONE);
        if moved.is_sorted() {
            let shape = perm.iter().map(|p| from[*p].clone()).collect();
            return Ok(op(Prim::Reshape(shape), &[x]));
        }
        let Some(node) = self.w.def(x).cloned() else {
            return Ok(None);
        };
        Ok(match &node.prim {
            Prim::Transpose(first) => {
                let both = perm.iter().map(|p| first[*p]).collect();
                op(Prim::Transpose(both), &[node.args[0]])
            }
            Prim::Broadcast { axes, .. } => {
                let shape = perm.iter().map(|p| from[*p].clone()).collect();
                let at_new = inverse(perm);
                let mut order: Vec<usize> = (0..axes.len()).collect();
                order.sort_by_key(|i| at_new[axes[*i]]);
                let axes = order.iter().map(|i| at_new[axes[*i]]).collect();
                let y = self.emit(Prim::Transpose(order), &[node.args[0]], at)?;
                op(Prim::Broadcast { shape, axes }, &[y])
            }
            _ => None,
        })
    }

    fn broadcast(&mut self, shape: &Shape, axes: &[usize], x: Value, at: OriginId) -> Found {
        let from = self.shape(x);
        if from == *shape {
            return Ok(is(x));
        }
        let added = free_axes(shape.len(), |a| axes.contains(&a));
        let stretched = axes.iter().zip(&from).any(|(a, d)| shape[*a] != *d);
        if !stretched && added.iter().all(|a| shape[*a] == Dim::ONE) {
            return Ok(op(Prim::Reshape(shape.clone()), &[x]));
        }
        if from.contains(&Dim::ONE) {
            let kept = not_units(&from);
            let small = kept.iter().map(|i| from[*i].clone()).collect();
            let y = self.emit(Prim::Reshape(small), &[x], at)?;
            let shape = shape.clone();
            let axes = kept.iter().map(|i| axes[*i]).collect();
            return Ok(op(Prim::Broadcast { shape, axes }, &[y]));
        }
        let Some(node) = self.w.def(x).cloned() else {
            return Ok(None);
        };
        let y = node.args.first().copied();
        Ok(match (&node.prim, y) {
            (Prim::Broadcast { axes: first, .. }, Some(y)) => {
                let shape = shape.clone();
                let axes = first.iter().map(|a| axes[*a]).collect();
                op(Prim::Broadcast { shape, axes }, &[y])
            }
            _ => None,
        })
    }

    fn slice(
        &mut self,
        starts: &[Dim],
        ends: &[Dim],
        steps: &[usize],
        x: Value,
        at: OriginId,
    ) -> Found {
        let from = self.shape(x);
        let unit = |steps: &[usize]| steps.iter().all(|s| *s == 1);
        if unit(steps) && starts.iter().all(|s| *s == Dim::ZERO) && ends == &from[..] {
            return Ok(is(x));
        }
        let Some(node) = self.w.def(x).cloned() else {
            return Ok(None);
        };
        let again = |starts: Vec<Dim>, ends: Vec<Dim>, x: Value| {
            let steps = steps.to_vec();
            let prim = Prim::Slice {
                starts,
                ends,
                steps,
            };
            Ok(op(prim, &[x]))
        };
        match &node.prim {
            Prim::Slice {
                starts: first,
                steps: before,
                ..
            } if unit(before) => {
                let shift = |d: &[Dim]| -> Result<Vec<Dim>> {
                    let sums = d.iter().zip(first).map(|(d, s)| d.add(s));
                    Ok(sums.collect::<std::result::Result<_, _>>()?)
                };
                again(shift(starts)?, shift(ends)?, node.args[0])
            }
            Prim::Concat { axis } => {
                let mut offset = Dim::ZERO;
                for part in &node.args {
                    let end = offset.add(&self.shape(*part)[*axis])?;
                    let (start, stop) = (starts[*axis].sub(&offset)?, ends[*axis].sub(&end)?);
                    let inside = start.sign().is_some_and(|s| s.is_ge())
                        && stop.sign().is_some_and(|s| s.is_le());
                    if inside {
                        let (mut starts, mut ends) = (starts.to_vec(), ends.to_vec());
                        ends[*axis] = ends[*axis].sub(&offset)?;
                        starts[*axis] = start;
                        return again(starts, ends, *part);
                    }
                    offset = end;
                }
                Ok(None)
            }
            Prim::Broadcast { axes, .. } => {
                let prim = Prim::Slice {
                    starts: starts.to_vec(),
                    ends: ends.to_vec(),
                    steps: steps.to_vec(),
                };
                let shape = crate::ir::infer::infer(&prim, &[self.w.g.ty(x)])?
                    .swap_remove(0)
                    .shape;
                let y = node.args[0];
                let small = self.shape(y);
                let mut cut = (Vec::new(), Vec::new(), Vec::new());
                for (i, a) in axes.iter().enumerate() {
                    // A stretched axis stays whole.
                    let whole = small[i] != from[*a];
                    cut.0
                        .push(if whole { Dim::ZERO } else { starts[*a].clone() });
                    cut.1.push(if whole { Dim::ONE } else { ends[*a].clone() });
                    cut.2.push(if whole { 1 } else { steps[*a] });
                }
                let prim = Prim::Slice {
                    starts: cut.0,
                    ends: cut.1,
                    steps: cut.2,
                };
                let y = self.emit(prim, &[y], at)?;
                let axes = axes.clone();
                Ok(op(Prim::Broadcast { shape, axes }, &[y]))
            }
            _ => Ok(None),
        }
    }

    fn concat(&mut self, axis: usize, args: &[Value], at: OriginId) -> Found {
        let empty = |s: &Self, v: Value| s.shape(v)[axis] == Dim::ZERO;
        let parts: Vec<Value> = args.iter().copied().filter(|v| !empty(self, *v)).collect();
        match parts.len() {
            0 => return Ok(is(args[0])),
            1 => return Ok(is(parts[0])),
            n if n < args.len() => return Ok(op(Prim::Concat { axis }, &parts)),
            _ => {}
        }
        let first = self.w.uniform(args[0]).map(f64::to_bits);
        for v in &args[1..] {
            if first.is_none() || self.w.uniform(*v).map(f64::to_bits) != first {
                return Ok(None);
            }
        }
        let value = first.map(f64::from_bits).unwrap_or_default();
        self.constant_like(&Prim::Concat { axis }, args, value, at)
    }

    fn reverse(&mut self, axes: &[usize], x: Value) -> Found {
        let shape = self.shape(x);
        let kept: Vec<usize> = axes
            .iter()
            .copied()
            .filter(|a| shape[*a] != Dim::ONE)
            .collect();
        if kept.is_empty() {
            return Ok(is(x));
        }
        if kept.len() < axes.len() {
            return Ok(op(Prim::Reverse { axes: kept }, &[x]));
        }
        Ok(match self.origin_of(x) {
            Some((Prim::Reverse { axes: first }, y)) => {
                let once = |a: &usize| axes.contains(a) != first.contains(a);
                let axes = (0..shape.len()).filter(once).collect();
                op(Prim::Reverse { axes }, &[y])
            }
            Some((Prim::Broadcast { axes: mapped, .. }, _))
                if axes.iter().all(|a| !mapped.contains(a)) =>
            {
                is(x)
            }
            _ => None,
        })
    }

    fn reduce_axes(&mut self, f: Reduce, axes: &[usize], x: Value, at: OriginId) -> Found {
        if axes.is_empty() {
            return Ok(is(x));
        }
        let from = self.shape(x);
        let (ones, rest): (Vec<usize>, Vec<usize>) =
            axes.iter().partition(|a| from[**a] == Dim::ONE);
        if !ones.is_empty() {
            let kept = |removed: &[usize]| free_axes(from.len(), |a| removed.contains(&a));
            let shape = kept(&ones).iter().map(|a| from[*a].clone()).collect();
            let y = self.emit(Prim::Reshape(shape), &[x], at)?;
            let left = kept(&ones);
            let axes = left.iter().enumerate().filter(|(_, a)| rest.contains(a));
            let axes = axes.map(|(i, _)| i).collect();
            return Ok(op(Prim::Reduce { op: f, axes }, &[y]));
        }
        Ok(match self.origin_of(x) {
            Some((
                Prim::Reduce {
                    op: before,
                    axes: first,
                },
                y,
            )) if *before == f && matches!(f, Reduce::Max | Reduce::Min) => {
                let first = first.clone();
                let left = free_axes(self.w.g.ty(y).rank(), |a| first.contains(&a));
                let mut all: Vec<usize> = axes.iter().map(|a| left[*a]).chain(first).collect();
                all.sort_unstable();
                op(Prim::Reduce { op: f, axes: all }, &[y])
            }
            Some((Prim::Transpose(perm), y)) => {
                let left = free_axes(perm.len(), |a| axes.contains(&a));
                if !left.iter().map(|a| perm[*a]).is_sorted() {
                    return Ok(None);
                }
                let mut axes: Vec<usize> = axes.iter().map(|a| perm[*a]).collect();
                axes.sort_unstable();
                op(Prim::Reduce { op: f, axes }, &[y])
            }
            _ => None,
        })
    }

    fn dot(&mut self, dims: &DotDims, a: Value, b: Value) -> Option<Simpler> {
        for side in 0..2 {
            let x = [a, b][side];
            let Some((Prim::Transpose(perm), y)) = self.origin_of(x) else {
                continue;
            };
            let perm = perm.clone();
            let taken = |axis: usize| {
                let mut pairs = dims.batch.iter().chain(&dims.contract);
                pairs.any(|p| [p.0, p.1][side] == axis)
            };
            let free = free_axes(perm.len(), taken);
            if !free.iter().map(|i| perm[*i]).is_sorted() {
                continue;
            }
            let moved = |pairs: &[(usize, usize)]| {
                let one = |p: &(usize, usize)| match side {
                    0 => (perm[p.0], p.1),
                    _ => (p.0, perm[p.1]),
                };
                pairs.iter().map(one).collect()
            };
            let dims = DotDims {
                batch: moved(&dims.batch),
                contract: moved(&dims.contract),
            };
            let args = if side == 0 { [y, b] } else { [a, y] };
            return op(Prim::Dot(dims), &args);
        }
        None
    }
}

/// Axes that are not of size 1.
fn not_units(shape: &[Dim]) -> Vec<usize> {
    free_axes(shape.len(), |a| shape[a] == Dim::ONE)
}

/// Whether two shapes differ in axes of size 1 only.
fn same_but_units(a: &[Dim], b: &[Dim]) -> bool {
    let rest = |s: &[Dim]| -> Vec<Dim> { s.iter().filter(|d| **d != Dim::ONE).cloned().collect() };
    rest(a) == rest(b)
}
