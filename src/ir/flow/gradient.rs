//! Where gradients go.

use crate::ir::prim::{Binary, Prim, Unary, WindowOp};
use crate::ir::{Graph, Node, Value};

/// Whether a gradient can flow from a result of `node` to its argument `i`.
pub fn flows(g: &Graph, node: &Node, i: usize) -> bool {
    if !g.ty(node.args[i]).elem.is_float() {
        return false;
    }
    match &node.prim {
        Prim::Const { .. }
        | Prim::Size { .. }
        | Prim::Iota { .. }
        | Prim::Random { .. }
        | Prim::Compare(_)
        | Prim::StopGradient
        | Prim::ArgMax { .. }
        | Prim::ArgSort { .. }
        | Prim::Gradient => false,
        Prim::Unary(op) => match op {
            Unary::Sign | Unary::Floor | Unary::Ceil | Unary::Round | Unary::Not => false,
            Unary::Neg
            | Unary::Abs
            | Unary::Sqrt
            | Unary::Exp
            | Unary::Log
            | Unary::Log1p
            | Unary::Expm1
            | Unary::Sin
            | Unary::Cos
            | Unary::Tanh
            | Unary::Logistic
            | Unary::Erf => true,
        },
        Prim::Binary(op) => match op {
            Binary::And | Binary::Or => false,
            Binary::Add
            | Binary::Sub
            | Binary::Mul
            | Binary::Div
            | Binary::Rem
            | Binary::Pow
            | Binary::Max
            | Binary::Min => true,
        },
        Prim::Cast(to) => to.is_float(),
        Prim::WindowGrad { op, .. } => match op {
            WindowOp::Max | WindowOp::Sum => i == 1,
        },
        Prim::Select
        | Prim::Reshape(_)
        | Prim::Transpose(_)
        | Prim::Broadcast { .. }
        | Prim::Slice { .. }
        | Prim::Pad { .. }
        | Prim::Concat { .. }
        | Prim::Reverse { .. }
        | Prim::Reduce { .. }
        | Prim::Dot(_)
        | Prim::Gather { .. }
        | Prim::ScatterAdd { .. }
        | Prim::Conv(_)
        | Prim::ConvInputGrad { .. }
        | Prim::ConvKernelGrad { .. }
        | Prim::Window { .. }
        | Prim::Scan(_) => true,
    }
}

/// Whether a gradient of `of` can reach each of `wrt`.
///
/// Loops and the results of other gradients let everything through, but for the nodes in `stops`.
pub fn reached(g: &Graph, of: Value, wrt: &[Value], stops: &[usize]) -> Vec<bool> {
    let needed = needed(g, of, stops);
    wrt.iter().map(|v| needed[v.0 as usize]).collect()
}

/// The values that a gradient of `of` reaches.
fn needed(g: &Graph, of: Value, stops: &[usize]) -> Vec<bool> {
    let mut needed = vec![false; g.value_count()];
    needed[of.0 as usize] = true;
    for (index, node) in g.nodes.iter().enumerate().rev() {
        if node.values().any(|v| needed[v.0 as usize]) && !stops.contains(&index) {
            for (i, a) in node.args.iter().enumerate() {
                needed[a.0 as usize] |= node.prim == Prim::Gradient || flows(g, node, i);
            }
        }
    }
    needed
}

/// The operation on the way from `wrt` to `of` that has no gradient: the last one that takes
/// numbers.
pub fn blocked(g: &Graph, of: Value, wrt: &[Value]) -> Option<usize> {
    let needed = needed(g, of, &[]);
    let mut depends = vec![false; g.value_count()];
    wrt.iter().for_each(|v| depends[v.0 as usize] = true);
    for node in &g.nodes {
        if node.args.iter().any(|a| depends[a.0 as usize]) {
            node.values().for_each(|v| depends[v.0 as usize] = true);
        }
    }
    let stopped = |node: &Node| {
        let stops = |i: &usize| depends[node.args[*i].0 as usize] && !flows(g, node, *i);
        (0..node.args.len()).find(stops).map(|i| node.args[i])
    };
    let last = |node: &Node| node.values().any(|v| needed[v.0 as usize]) && stopped(node).is_some();
    let defs = g.definitions();
    let mut found = g.nodes.iter().rposition(last)?;
    // Before a cast from integers or booleans there is what made them.
    while let Some(arg) = stopped(&g.nodes[found])
        && !g.ty(arg).elem.is_float()
        && let Some(made) = defs[arg.0 as usize]
    {
        found = made;
    }
    Some(found)
}
