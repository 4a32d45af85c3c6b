//! Gradient rules of the primitives. With cotangent `g` of the result `y`:
//!
//! | primitive | contribution |
//! |---|---|
//! | `neg x`, `abs x` | `-g`, `g sign(x)` (0 at 0) |
//! | `sqrt x` | `g / (y + y)` |
//! | `exp x`, `expm1 x` | `g y`, `g (y + 1)` |
//! | `log x`, `log1p x` | `g / x`, `g / (1 + x)` |
//! | `sin x`, `cos x` | `g cos x`, `-g sin x` |
//! | `tanh x`, `logistic x` | `g (1 - y y)`, `g y (1 - y)` |
//! | `erf x` | `g 2/sqrt(pi) exp(-x x)` |
//! | `a + b`, `a - b` | `g`, `g`; `g`, `-g` |
//! | `a b` | `g b`, `g a` |
//! | `a / b` | `g / b`, `-(g / b) y` |
//! | `a rem b` | `g`, `-g floor(a / b)` |
//! | `a ^ b` | `g b a^(b-1)` (0 where b = 0), `g y log a` (0 where a <= 0) |
//! | `max`, `min` | `g` to the larger (smaller), half to each of a tie |
//! | `select c a b` | `g` where chosen, 0 elsewhere |
//! | `cast` float to float | `g` cast back |
//! | `reshape`, `transpose`, `reverse` | the inverse move of `g` |
//! | `broadcast` | `g` summed over the new and the stretched axes |
//! | `slice` | `g` padded with 0 |
//! | `pad x v` | the slice of `g`; the sum of `g` over what was padded |
//! | `concat` | slices of `g` |
//! | `reduce sum` | `g` broadcast |
//! | `reduce max`, `min` | `g` shared evenly between the entries equal to `y` |
//! | `reduce prod` | `g` times the product of the other entries (two scans; no division) |
//! | `gather x i` | `scatter_add i g` |
//! | `scatter_add i u` | `gather g i` |
//!
//! Floor, ceil, round, sign, comparisons, integers and `stop_gradient` have none.
//! The conventions at 0 are those of PyTorch.

use std::f64::consts::FRAC_2_SQRT_PI;
use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use crate::ir::graph::Role;
use crate::ir::prim::{Binary, Compare, Prim, Reduce, Scan, Unary};
use crate::ir::{Dim, Graph, Node, OriginId, OutputRole, Type, Value};

use super::super::build::{Build, Result, inverse, uniform};
use super::backward::Contribution;
use super::linear;

/// For each argument; `None` is zero.
pub(super) type Contributions = SmallVec<[Option<Contribution>; 3]>;

/// One node to be differentiated; `need[i]` says whether argument i wants a cotangent.
pub(super) struct Rule<'a> {
    pub b: Build<'a>,
    /// Definitions of the graph before the sweep.
    pub defs: &'a [Option<usize>],
    pub node: &'a Node,
    pub need: &'a [bool],
}

impl Rule<'_> {
    /// The contributions of a node with one result whose cotangent is `g`.
    pub(super) fn gradient(&mut self, g: Value) -> Result<Contributions> {
        let (node, need) = (self.node, self.need);
        let (x, y) = (node.args[0], node.first);
        let b = &mut self.b;
        let one = |v: Value| -> Contributions { smallvec![Some(Contribution::Whole(v))] };
        Ok(match &node.prim {
            Prim::Const { .. }
            | Prim::Size { .. }
            | Prim::Iota { .. }
            | Prim::Random { .. }
            | Prim::Compare(_)
            | Prim::StopGradient
            | Prim::ArgMax { .. }
            | Prim::ArgSort { .. }
            | Prim::Gradient
            | Prim::Scan(_) => Contributions::new(),
            Prim::Unary(op) => match unary(b, *op, x, y, g)? {
                Some(v) => one(v),
                None => Contributions::new(),
            },
            Prim::Binary(op) => self.binary(*op, g)?,
            Prim::Select => {
                let zero = b.fill_like(0.0, g)?;
                let then = need[1].then(|| b.select(x, g, zero)).transpose()?;
                let other = need[2].then(|| b.select(x, zero, g)).transpose()?;
                whole([None, then, other])
            }
            Prim::Cast(_) => one(b.cast(g, b.ty(x).elem)?),
            Prim::Reshape(_) => one(b.reshape(g, b.shape(x))?),
            Prim::Transpose(perm) => one(b.transpose(g, inverse(perm))?),
            Prim::Broadcast { shape, axes } => {
                let from = b.shape(x);
                let added = broadcast_axes(&from, shape, axes);
                let sum = b.sum(g, added)?;
                one(b.reshape(sum, from)?)
            }
            Prim::Slice {
                starts,
                ends,
                steps,
            } => {
                if steps.iter().all(|s| *s == 1) {
                    return Ok(smallvec![Some(Contribution::Part {
                        value: g,
                        starts: starts.clone(),
                        ends: ends.clone(),
                    })]);
                }
                one(unslice(b, g, &b.shape(x), starts, steps)?)
            }
            Prim::Pad {
                low,
                high,
                interior,
            } => {
                let mut inner = None;
                if need[0] {
                    let ends = b
                        .shape(g)
                        .iter()
                        .zip(high)
                        .map(|(n, h)| n.sub(h))
                        .collect::<std::result::Result<_, _>>()?;
                    let prim = Prim::Slice {
                        starts: low.clone(),
                        ends,
                        steps: interior.iter().map(|i| i + 1).collect(),
                    };
                    inner = Some(b.push(prim, &[g])?);
                }
                let mut outer = None;
                if need[1] {
                    let inside = b.fill_like(0.0, x)?;
                    let one = b.fill_like(1.0, node.args[1])?;
                    let mask = b.push(node.prim.clone(), &[inside, one])?;
                    let padded = b.mul(g, mask)?;
                    outer = Some(b.sum(padded, (0..b.rank(padded)).collect())?);
                }
                whole([inner, outer])
            }
            Prim::Concat { axis } => {
                let mut at = Dim::ZERO;
                let mut parts = Contributions::new();
                for (i, arg) in node.args.iter().enumerate() {
                    let size = b.ty(*arg).shape[*axis].clone();
                    let end = at.add(&size)?;
                    parts.push(if need[i] {
                        let mut ends = b.shape(g).to_vec();
                        let mut starts = vec![Dim::ZERO; ends.len()];
                        ends[*axis] = end.clone();
                        starts[*axis] = at;
                        let steps = vec![1; ends.len()];
                        let prim = Prim::Slice {
                            starts,
                            ends,
                            steps,
                        };
                        Some(Contribution::Whole(b.push(prim, &[g])?))
                    } else {
                        None
                    });
                    at = end;
                }
                parts
            }
            Prim::Reverse { .. } => one(b.push(node.prim.clone(), &[g])?),
            Prim::Reduce { op, axes } => {
                let shape = b.shape(x);
                one(match op {
                    Reduce::Sum => b.unreduce(g, &shape, axes)?,
                    Reduce::Max | Reduce::Min => {
                        let extreme = b.unreduce(y, &shape, axes)?;
                        let equal = b.compare(Compare::Eq, x, extreme)?;
                        let ones = b.cast(equal, b.ty(x).elem)?;
                        let count = b.sum(ones, axes.clone())?;
                        let share = b.div(g, count)?;
                        let share = b.unreduce(share, &shape, axes)?;
                        let zero = b.fill_like(0.0, x)?;
                        b.select(equal, share, zero)?
                    }
                    Reduce::Prod => {
                        let others = product_of_others(b, x, axes)?;
                        let g = b.unreduce(g, &shape, axes)?;
                        b.mul(g, others)?
                    }
                })
            }
            Prim::Gather { axis } => {
                let size = b.ty(x).shape[*axis].clone();
                let prim = Prim::ScatterAdd { axis: *axis, size };
                one(b.push(prim, &[node.args[1], g])?)
            }
            Prim::ScatterAdd { axis, .. } => {
                whole([None, Some(b.push(Prim::Gather { axis: *axis }, &[g, x])?)])
            }
            Prim::Dot(_)
            | Prim::Conv(_)
            | Prim::ConvInputGrad { .. }
            | Prim::ConvKernelGrad { .. }
            | Prim::Window { .. }
            | Prim::WindowGrad { .. } => linear::gradient(b, node, need, g)?,
        })
    }

    fn binary(&mut self, op: Binary, g: Value) -> Result<Contributions> {
        let (need, b) = (self.need, &mut self.b);
        let (x, z, y) = (self.node.args[0], self.node.args[1], self.node.first);
        let (mut dx, mut dz) = (None, None);
        match op {
            Binary::Add => (dx, dz) = (Some(g), Some(g)),
            Binary::Sub => {
                dx = Some(g);
                if need[1] {
                    dz = Some(b.neg(g)?);
                }
            }
            Binary::Mul if x == z => {
                let half = b.mul(g, x)?;
                dx = Some(b.add(half, half)?);
            }
            Binary::Mul => {
                if need[0] {
                    dx = Some(b.mul(g, z)?);
                }
                if need[1] {
                    dz = Some(b.mul(g, x)?);
                }
            }
            Binary::Div => {
                let q = b.div(g, z)?;
                dx = Some(q);
                if need[1] {
                    let qy = b.mul(q, y)?;
                    dz = Some(b.neg(qy)?);
                }
            }
            Binary::Rem => {
                dx = Some(g);
                if need[1] {
                    let q = b.div(x, z)?;
                    let times = b.unary(Unary::Floor, q)?;
                    let down = b.mul(g, times)?;
                    dz = Some(b.neg(down)?);
                }
            }
            Binary::Pow => {
                if need[0] {
                    dx = power_base(b, self.defs, x, z, g)?;
                }
                if need[1] {
                    let zero = b.fill_like(0.0, x)?;
                    let one = b.fill_like(1.0, x)?;
                    let positive = b.compare(Compare::Gt, x, zero)?;
                    let safe = b.select(positive, x, one)?;
                    let log = b.unary(Unary::Log, safe)?;
                    let slope = b.mul(y, log)?;
                    let slope = b.select(positive, slope, zero)?;
                    dz = Some(b.mul(g, slope)?);
                }
            }
            Binary::Max | Binary::Min => {
                let half = b.scale(g, 0.5)?;
                let zero = b.fill_like(0.0, g)?;
                let tie = b.compare(Compare::Eq, x, z)?;
                let shared = b.select(tie, half, zero)?;
                let wins = if op == Binary::Max {
                    Compare::Gt
                } else {
                    Compare::Lt
                };
                if need[0] {
                    let first = b.compare(wins, x, z)?;
                    dx = Some(b.select(first, g, shared)?);
                }
                if need[1] {
                    let second = b.compare(wins, z, x)?;
                    dz = Some(b.select(second, g, shared)?);
                }
            }
            Binary::And | Binary::Or => {}
        }
        Ok(whole([dx.filter(|_| need[0]), dz.filter(|_| need[1])]))
    }
}

/// The axes of the result that a broadcast makes, by adding or by stretching.
pub(super) fn broadcast_axes(from: &[Dim], to: &[Dim], axes: &[usize]) -> Vec<usize> {
    let kept = |a: &usize| match axes.iter().position(|x| x == a) {
        Some(i) => from[i] == to[*a],
        None => false,
    };
    (0..to.len()).filter(|a| !kept(a)).collect()
}

fn whole<const N: usize>(values: [Option<Value>; N]) -> Contributions {
    let wrap = |v: Option<Value>| v.map(Contribution::Whole);
    values.into_iter().map(wrap).collect()
}

fn unary(b: &mut Build, op: Unary, x: Value, y: Value, g: Value) -> Result<Option<Value>> {
    Ok(Some(match op {
        Unary::Sign | Unary::Floor | Unary::Ceil | Unary::Round | Unary::Not => return Ok(None),
        Unary::Neg => b.neg(g)?,
        Unary::Abs => {
            let sign = b.unary(Unary::Sign, x)?;
            b.mul(g, sign)?
        }
        Unary::Sqrt => {
            let twice = b.add(y, y)?;
            b.div(g, twice)?
        }
        Unary::Exp => b.mul(g, y)?,
        Unary::Log => b.div(g, x)?,
        Unary::Log1p => {
            let one = b.fill_like(1.0, x)?;
            let below = b.add(x, one)?;
            b.div(g, below)?
        }
        Unary::Expm1 => {
            let one = b.fill_like(1.0, y)?;
            let exp = b.add(y, one)?;
            b.mul(g, exp)?
        }
        Unary::Sin => {
            let cos = b.unary(Unary::Cos, x)?;
            b.mul(g, cos)?
        }
        Unary::Cos => {
            let sin = b.unary(Unary::Sin, x)?;
            let down = b.mul(g, sin)?;
            b.neg(down)?
        }
        Unary::Tanh => {
            let one = b.fill_like(1.0, y)?;
            let square = b.mul(y, y)?;
            let slope = b.sub(one, square)?;
            b.mul(g, slope)?
        }
        Unary::Logistic => {
            let one = b.fill_like(1.0, y)?;
            let rest = b.sub(one, y)?;
            let slope = b.mul(y, rest)?;
            b.mul(g, slope)?
        }
        Unary::Erf => {
            let square = b.mul(x, x)?;
            let down = b.neg(square)?;
            let bell = b.unary(Unary::Exp, down)?;
            let slope = b.scale(bell, FRAC_2_SQRT_PI)?;
            b.mul(g, slope)?
        }
    }))
}

/// `g z x^(z-1)`, with constant exponents made simple.
fn power_base(
    b: &mut Build,
    defs: &[Option<usize>],
    x: Value,
    z: Value,
    g: Value,
) -> Result<Option<Value>> {
    let slope = match uniform(b.g, defs, z) {
        Some(0.0) => return Ok(None),
        Some(1.0) => return Ok(Some(g)),
        Some(2.0) => b.add(x, x)?,
        Some(c) => {
            let less = b.fill_like(c - 1.0, z)?;
            let power = b.binary(Binary::Pow, x, less)?;
            b.scale(power, c)?
        }
        None => {
            let zero = b.fill_like(0.0, z)?;
            let one = b.fill_like(1.0, z)?;
            let less = b.sub(z, one)?;
            let power = b.binary(Binary::Pow, x, less)?;
            let slope = b.mul(z, power)?;
            let flat = b.compare(Compare::Eq, z, zero)?;
            b.select(flat, zero, slope)?
        }
    };
    b.mul(g, slope).map(Some)
}

/// The cotangent of a strided slice.
fn unslice(
    b: &mut Build,
    g: Value,
    shape: &[Dim],
    starts: &[Dim],
    steps: &[usize],
) -> Result<Value> {
    let mut high = Vec::with_capacity(shape.len());
    for (axis, size) in shape.iter().enumerate() {
        let count = b.ty(g).shape[axis].clone();
        let mut taken = Dim::ZERO;
        if count != Dim::ZERO {
            let steps = Dim::from(steps[axis]);
            taken = count.sub(&Dim::ONE)?.mul(&steps)?.add(&Dim::ONE)?;
        }
        high.push(size.sub(&starts[axis])?.sub(&taken)?);
    }
    let zero = b.scalar(0.0, b.ty(g).elem)?;
    let prim = Prim::Pad {
        low: starts.to_vec(),
        high,
        interior: steps.iter().map(|s| s - 1).collect(),
    };
    b.push(prim, &[g, zero])
}

/// For every entry the product of the others along `axes`: those before it times
/// those after it, each by a scan.
fn product_of_others(b: &mut Build, x: Value, axes: &[usize]) -> Result<Value> {
    let shape = b.shape(x);
    let kept = (0..shape.len()).filter(|a| !axes.contains(a));
    let perm: Vec<usize> = axes.iter().copied().chain(kept).collect();
    let mut length = Dim::ONE;
    for a in axes {
        length = length.mul(&shape[*a])?;
    }
    let front = b.transpose(x, perm.clone())?;
    let moved = b.shape(front);
    let rows = [length.clone()]
        .into_iter()
        .chain(moved[axes.len()..].iter().cloned());
    let rows = b.reshape(front, rows.collect())?;
    let row = Type::new(b.ty(x).elem, moved[axes.len()..].iter().cloned());
    let mut body = Graph::new("running_product");
    let product = body.input("product", Role::Plain, row.clone());
    let entry = body.input("entry", Role::Plain, row.clone());
    let next = body.push1(Prim::Binary(Binary::Mul), &[product, entry], OriginId(0))?;
    body.output("product", OutputRole::Result, next);
    body.output("before", OutputRole::Result, product);
    let scan = Scan {
        body: Arc::new(body),
        carries: 1,
        scanned: 1,
        length,
        reverse: false,
    };
    let init = b.fill(1.0, &row)?;
    let at = b.at;
    let before = b.g.push(Prim::Scan(scan.clone()), &[init, rows], at)?[1];
    let reverse = Prim::Scan(Scan {
        reverse: true,
        ..scan
    });
    let after = b.g.push(reverse, &[init, rows], at)?[1];
    let others = b.mul(before, after)?;
    let others = b.reshape(others, moved)?;
    b.transpose(others, inverse(&perm))
}
