//! Reverse-mode automatic differentiation: `Gradient` nodes become the nodes of
//! a backward graph.
//!
//! ```text
//! before                                after
//!   %1 = dot(%x, %w)                      %1 = dot(%x, %w)
//!   %2 = mul(%1, %1)                      %2 = mul(%1, %1)
//!   %3 = reduce sum(%2)                   %3 = reduce sum(%2)
//!   %4 = gradient(%3, %w)                 %5 = broadcast(const 1)
//!                                         %6 = mul(%5, %1)
//!                                         %7 = add(%6, %6)
//!                                         %8 = dot(%x, %7)       <- for %4
//! ```
//!
//! `Gradient(loss, w1, .. wn)` gives dloss/dwi: the sum over all paths from wi to
//! the loss. Nodes are expanded in their order, so a gradient may be taken of
//! what was computed from another gradient: a second model's loss after the
//! first model's update, or a second derivative.
//!
//! - A value is *active* if it depends on a `wi` through operations that have a
//!   gradient. Only active values get a cotangent: no gradient is computed for
//!   data, frozen weights, or below them.
//! - Contributions to one cotangent are added in a fixed order: that of the uses,
//!   from the last to the first. Slices that tile a value are concatenated
//!   instead (the gates of an LSTM).
//! - If the loss does not depend on `wi` the gradient is zero.
//! - The rules are in `rules` (elementwise, shape), `linear` (products,
//!   convolutions, windows) and `scan`. All of them give differentiable
//!   operations, so gradients of gradients exist wherever the rule is not zero.

mod backward;
mod linear;
mod rules;
mod scan;

use std::sync::Arc;

use crate::ir::prim::{Prim, Scan};
use crate::ir::{Graph, TypeError};

use super::build::{Build, copy_node, copy_outputs, like};

/// Replaces every `Gradient`, those in the bodies of scans included.
///
/// # Errors
/// A size that overflows in the backward graph.
pub fn autodiff(graph: &Graph) -> Result<Graph, TypeError> {
    let (mut out, mut map) = like(graph);
    for (index, node) in graph.nodes.iter().enumerate() {
        match &node.prim {
            Prim::Gradient => {
                let args: Vec<_> = node.args.iter().map(|a| map[a.0 as usize]).collect();
                let first_new = out.value_count();
                let mut renamed = Vec::new();
                let gradients = expand(&mut out, args[0], &args[1..], node.origin, &mut renamed)?;
                // Scans that now also stack residuals have new results.
                for v in &mut map {
                    if (v.0 as usize) < first_new {
                        backward::rename(&renamed, v);
                    }
                }
                for (old, new) in node.values().zip(gradients) {
                    map[old.0 as usize] = new;
                }
            }
            Prim::Scan(s) if contains_gradient(&s.body) => {
                let body = Arc::new(autodiff(&s.body)?);
                let prim = Prim::Scan(Scan { body, ..s.clone() });
                let args: Vec<_> = node.args.iter().map(|a| map[a.0 as usize]).collect();
                let results = out.push(prim, &args, node.origin)?;
                for (old, new) in node.values().zip(results) {
                    map[old.0 as usize] = new;
                }
            }
            _ => {
                copy_node(&mut out, graph, index, &mut map);
            }
        }
    }
    copy_outputs(&mut out, graph, &map);
    Ok(super::dce::dce(&out))
}

/// Whether a `Gradient` is left anywhere in the graph.
pub fn contains_gradient(graph: &Graph) -> bool {
    graph.nodes.iter().any(|n| match &n.prim {
        Prim::Gradient => true,
        Prim::Scan(s) => contains_gradient(&s.body),
        _ => false,
    })
}

fn expand(
    g: &mut Graph,
    loss: crate::ir::Value,
    wrt: &[crate::ir::Value],
    at: crate::ir::OriginId,
    renamed: &mut Vec<backward::Renamed>,
) -> Result<Vec<crate::ir::Value>, TypeError> {
    let seed = Build { g, at }.fill_like(1.0, loss)?;
    let gradients = backward::backward(g, &[(loss, seed)], wrt, None, renamed)?;
    let mut values = Vec::with_capacity(wrt.len());
    for (w, gradient) in wrt.iter().zip(gradients) {
        values.push(match gradient {
            Some(v) => v,
            None => Build { g, at }.fill_like(0.0, *w)?,
        });
    }
    Ok(values)
}
