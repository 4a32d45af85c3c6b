//! Products, convolutions and windows.
//!
//! `dot` is bilinear: the cotangent of one operand is a `dot` of the cotangent of
//! the result with the other operand, contracted over the other's free axes.
//! With `y[b, i, j] = sum_k l[b, i, k] r[b, k, j]`:
//! `dl[b, i, k] = sum_j dy[b, i, j] r[b, k, j]`, `dr[b, k, j] = sum_i l[b, i, k] dy[b, i, j]`.
//!
//! `conv`, `conv_input_grad` and `conv_kernel_grad` are the three partial
//! contractions of one trilinear form <dy, x, k>; the gradient of each by an
//! argument is one of the other two.
//!
//! `window sum` and `window_grad` of it are transposes of each other. `window_grad
//! max` is linear in `dy` (its gradient by `x` is zero): the transpose picks, for
//! each window, the cotangent at the first largest entry.

use smallvec::smallvec;

use crate::ir::prim::{Compare, DotDims, Prim, WindowDims, WindowOp};
use crate::ir::{Dim, Node, Value};

use super::super::build::{Build, Result, free_axes, inverse};
use super::backward::Contribution;
use super::rules::Contributions;

/// The contributions of a linear node whose result has cotangent `g`.
pub(super) fn gradient(
    b: &mut Build,
    node: &Node,
    need: &[bool],
    g: Value,
) -> Result<Contributions> {
    let (x, z) = (node.args[0], *node.args.get(1).unwrap_or(&node.args[0]));
    let mut parts: Contributions = smallvec![None, None];
    let mut set = |i: usize, v: Value| parts[i] = Some(Contribution::Whole(v));
    let spatial = |b: &Build, v: Value| -> Vec<Dim> {
        let shape = &b.ty(v).shape;
        shape[1..shape.len() - 1].to_vec()
    };
    let window = |b: &Build, v: Value| -> Vec<Dim> {
        let shape = &b.ty(v).shape;
        shape[..shape.len() - 2].to_vec()
    };
    match &node.prim {
        Prim::Dot(dims) => {
            let ranks = [b.rank(x), b.rank(z)];
            for side in 0..2 {
                if need[side] {
                    set(
                        side,
                        dot_operand(b, dims, ranks, side, [x, z][1 - side], g, false)?,
                    );
                }
            }
        }
        Prim::Conv(conv) => {
            let conv = conv.clone();
            if need[0] {
                let spatial = spatial(b, x);
                let conv = conv.clone();
                set(0, b.push(Prim::ConvInputGrad { conv, spatial }, &[g, z])?);
            }
            if need[1] {
                let kernel = window(b, z);
                set(1, b.push(Prim::ConvKernelGrad { conv, kernel }, &[x, g])?);
            }
        }
        Prim::ConvInputGrad { conv, .. } => {
            if need[0] {
                set(0, b.push(Prim::Conv(conv.clone()), &[g, z])?);
            }
            if need[1] {
                let (conv, kernel) = (conv.clone(), window(b, z));
                set(1, b.push(Prim::ConvKernelGrad { conv, kernel }, &[g, x])?);
            }
        }
        Prim::ConvKernelGrad { conv, .. } => {
            if need[0] {
                let (conv, spatial) = (conv.clone(), spatial(b, x));
                set(0, b.push(Prim::ConvInputGrad { conv, spatial }, &[z, g])?);
            }
            if need[1] {
                set(1, b.push(Prim::Conv(conv.clone()), &[x, g])?);
            }
        }
        Prim::Window { op, dims } => {
            let (op, dims) = (*op, dims.clone());
            set(0, b.push(Prim::WindowGrad { op, dims }, &[x, g])?);
        }
        Prim::WindowGrad { op, dims } => set(
            1,
            match op {
                WindowOp::Sum => {
                    let (op, dims) = (*op, dims.clone());
                    b.push(Prim::Window { op, dims }, &[g])?
                }
                WindowOp::Max => pick_largest(b, dims, x, g, z)?,
            },
        ),
        _ => unreachable!("the rules send products, convolutions and windows here"),
    }
    Ok(parts)
}

/// The cotangent of operand `side` (0 left, 1 right) of a dot with operands of
/// `ranks`, from the `other` operand and the cotangent `g` of the result.
///
/// If `stacked`, `other` and `g` have one more axis, the first, over which to sum as well.
pub(super) fn dot_operand(
    b: &mut Build,
    dims: &DotDims,
    ranks: [usize; 2],
    side: usize,
    other: Value,
    g: Value,
    stacked: bool,
) -> Result<Value> {
    let axis = |pair: &(usize, usize), side: usize| if side == 0 { pair.0 } else { pair.1 };
    let taken = |side: usize| {
        move |a: usize| {
            let mut pairs = dims.batch.iter().chain(&dims.contract);
            pairs.any(|p| axis(p, side) == a)
        }
    };
    let mine = free_axes(ranks[side], taken(side));
    let theirs = free_axes(ranks[1 - side], taken(1 - side));
    let nb = dims.batch.len();
    let their_start = if side == 0 { nb + mine.len() } else { nb };
    let shift = usize::from(stacked);
    let mut pairs = DotDims::default();
    for (i, pair) in dims.batch.iter().enumerate() {
        pairs.batch.push((i + shift, axis(pair, 1 - side) + shift));
    }
    if stacked {
        pairs.contract.push((0, 0));
    }
    for (k, a) in theirs.iter().enumerate() {
        pairs.contract.push((their_start + k + shift, a + shift));
    }
    let mut contracted: Vec<&(usize, usize)> = dims.contract.iter().collect();
    contracted.sort_by_key(|p| axis(p, 1 - side));
    let batch = dims.batch.iter().map(|p| axis(p, side));
    let inner = contracted.iter().map(|p| axis(p, side));
    // Which axis of the operand each result axis is, with `g` on the left and on the right.
    let g_left: Vec<usize> = batch
        .clone()
        .chain(mine.iter().copied())
        .chain(inner.clone())
        .collect();
    let g_right: Vec<usize> = batch.chain(inner).chain(mine.iter().copied()).collect();
    let in_order = |order: &[usize]| order.iter().enumerate().all(|(i, a)| i == *a);
    if !in_order(&g_left) && in_order(&g_right) {
        let swap = |p: &mut (usize, usize)| *p = (p.1, p.0);
        pairs.batch.iter_mut().for_each(swap);
        pairs.contract.iter_mut().for_each(swap);
        return b.push(Prim::Dot(pairs), &[other, g]);
    }
    let product = b.push(Prim::Dot(pairs), &[g, other])?;
    b.transpose(product, inverse(&g_left))
}

/// For each window of `x` the entry of `g` at its first largest, of the type of `like`:
/// a running maximum over the offsets in a window, each a strided slice.
fn pick_largest(
    b: &mut Build,
    dims: &WindowDims,
    x: Value,
    g: Value,
    like: Value,
) -> Result<Value> {
    let n = dims.window.len();
    let edge = |pads: &[Dim]| -> Vec<Dim> {
        let ends = [Dim::ZERO];
        ends.iter().chain(pads).chain(&ends).cloned().collect()
    };
    let pad = Prim::Pad {
        low: edge(&dims.low),
        high: edge(&dims.high),
        interior: vec![0; n + 2],
    };
    let elem = b.ty(x).elem;
    let (lowest, zero) = (b.scalar(f64::NEG_INFINITY, elem)?, b.scalar(0.0, elem)?);
    let x = b.push(pad.clone(), &[x, lowest])?;
    let g = b.push(pad, &[g, zero])?;
    let result = b.shape(like);
    let offsets: usize = dims.window.iter().product();
    let mut best: Option<(Value, Value)> = None;
    for offset in 0..offsets {
        let mut rest = offset;
        let mut starts = vec![Dim::ZERO; n + 2];
        let mut ends = b.shape(x).to_vec();
        for axis in (0..n).rev() {
            let start = Dim::from(rest % dims.window[axis]);
            rest /= dims.window[axis];
            let reach = result[axis + 1]
                .sub(&Dim::ONE)?
                .mul(&Dim::from(dims.strides[axis]))?;
            ends[axis + 1] = start.add(&reach)?.add(&Dim::ONE)?;
            starts[axis + 1] = start;
        }
        let steps = [1]
            .iter()
            .chain(&dims.strides)
            .chain(&[1])
            .copied()
            .collect();
        let prim = Prim::Slice {
            starts,
            ends,
            steps,
        };
        let (entry, picked) = (b.push(prim.clone(), &[x])?, b.push(prim, &[g])?);
        best = Some(match best {
            None => (entry, picked),
            Some((largest, chosen)) => {
                let larger = b.compare(Compare::Gt, entry, largest)?;
                (
                    b.select(larger, entry, largest)?,
                    b.select(larger, picked, chosen)?,
                )
            }
        });
    }
    match best {
        Some((_, chosen)) => Ok(chosen),
        None => b.fill_like(0.0, like),
    }
}
