//! The gradient of a loop is a loop the other way.
//!
//! ```text
//! forward      c, ys = scan (c0; xs; k)  { c', y = body(c, x, k) }
//!
//! extended     c, ys, rs = scan (c0; xs; k) { c', y, r = body(c, x, k) }
//! backward     dc0, dk, dxs, dzs = scan reversed (dc, 0; rs, dys; k) {
//!                  dc_prev, dx, dz = body's backward graph(dc, dy, r, k)
//!                  dk' = dk + what the step adds
//!              }
//! after it     dw = sum over steps and batch of h_t z_t^T: one product
//! ```
//!
//! - *Residuals* `r` are the values of the body that its backward graph reads: they
//!   are stacked by the forward scan, which is extended in place (a value that was
//!   stacked already is not stacked twice). Constants, broadcasts and widening casts
//!   are computed again instead; scanned arguments and constants are read where they
//!   are. A carry that the backward graph reads is stacked as it was at the start of
//!   the step.
//! - Carries of the backward scan are the cotangents of those carries that are
//!   active and reach something with a cotangent (a fixpoint over the loop), and one
//!   accumulator for each constant that needs it.
//! - *Hoisting*: a constant `w` used in a `dot` is not accumulated step by step. The
//!   cotangents `dz_t` of the products are stacked, and after the loop one `dot`
//!   contracts time along with what the step's would. Rows gathered from a constant
//!   table are treated alike (one `scatter_add`), and so are broadcasts of a constant
//!   (a bias) whose cotangent is stacked for a product anyway.
//!
//! The size of the result does not depend on the length.

mod step;

use std::sync::Arc;

use crate::ir::flow::flows;
use crate::ir::prim::{Prim, Scan};
use crate::ir::{Graph, Value};
use crate::passes::autodiff::backward::{self, Contribution, Deferred, Renamed};
use crate::passes::autodiff::linear::dot_operand;
use crate::passes::autodiff::rules::{Contributions, broadcast_axes};
use crate::passes::build::{Build, Result};
use step::{Other, Source, Step};

/// Which results depend on the active arguments.
pub(in crate::passes::autodiff) fn activity(s: &Scan, args: &[bool]) -> Vec<bool> {
    let (_, values) = body_activity(s, args);
    let of = |o: &crate::ir::Output| values[o.value.0 as usize];
    s.body.outputs.iter().map(of).collect()
}

/// Active arguments (a carry may become active in the loop), and values of the body.
fn body_activity(s: &Scan, args: &[bool]) -> (Vec<bool>, Vec<bool>) {
    let mut args = args.to_vec();
    loop {
        let wrt: Vec<Value> = s
            .body
            .inputs
            .iter()
            .zip(&args)
            .filter(|(_, a)| **a)
            .map(|(i, _)| i.value)
            .collect();
        let values = backward::activity(&s.body, &wrt);
        let mut changed = false;
        for (arg, output) in args.iter_mut().zip(&s.body.outputs[..s.carries]) {
            changed |= values[output.value.0 as usize] && !*arg;
            *arg |= values[output.value.0 as usize];
        }
        if !changed {
            return (args, values);
        }
    }
}

/// Results that some cotangent reaches: those with one, and next carries whose carry
/// reaches one of them in the next step.
fn reached(s: &Scan, active: &[bool], cotangents: &[Option<Value>]) -> Vec<bool> {
    let body = &*s.body;
    let mut live: Vec<bool> = cotangents.iter().map(Option::is_some).collect();
    loop {
        let mut reach = vec![false; body.value_count()];
        for (o, live) in body.outputs.iter().zip(&live) {
            reach[o.value.0 as usize] |= *live;
        }
        for node in body.nodes.iter().rev() {
            if node.values().any(|v| reach[v.0 as usize]) {
                for (i, a) in node.args.iter().enumerate() {
                    reach[a.0 as usize] |= flows(body, node, i);
                }
            }
        }
        let mut changed = false;
        for (live, input) in live.iter_mut().zip(&body.inputs[..s.carries]) {
            let v = input.value.0 as usize;
            changed |= reach[v] && active[v] && !*live;
            *live |= reach[v] && active[v];
        }
        if !changed {
            return live;
        }
    }
}

/// The contributions of the scan that is node `index` of `g`.
pub(in crate::passes::autodiff) fn gradient(
    g: &mut Graph,
    index: usize,
    cotangents: &[Option<Value>],
    need: &[bool],
    renamed: &mut Vec<Renamed>,
) -> Result<Contributions> {
    let node = g.nodes[index].clone();
    let Prim::Scan(s) = &node.prim else {
        return Ok(Contributions::new());
    };
    let mut step = Step::new(s, cotangents, need);
    let deferred = step.differentiate(cotangents, need)?;
    let products = step.finish(deferred)?;
    let plan = step.residuals(&products)?;
    // The forward scan, extended.
    let mut results: Vec<Value> = node.values().collect();
    if plan.forward != *s.body {
        let prim = Prim::Scan(Scan {
            body: Arc::new(plan.forward),
            ..s.clone()
        });
        results = g.replace_node(index, prim, &node.args)?.to_vec();
        renamed.push(Renamed {
            old: node.first.0,
            count: node.results,
            new: results[0].0,
        });
    }
    // The backward scan.
    let mut b = Build { g, at: node.origin };
    let mut args = Vec::new();
    for i in &step.carries {
        args.push(match cotangents[*i] {
            Some(v) => v,
            None => b.fill_like(0.0, results[*i])?,
        });
    }
    for (k, _) in &step.sums {
        args.push(b.fill_like(0.0, node.args[*k])?);
    }
    let carries = args.len();
    let stacked = |source: &Source| match source {
        Source::Residual(i) => results[*i],
        Source::Argument(i) => node.args[*i],
    };
    args.extend(plan.scanned.iter().map(stacked));
    args.extend(step.stacked.iter().filter_map(|(i, _)| cotangents[*i]));
    let scanned = args.len() - carries;
    args.extend(plan.constants.iter().map(|i| node.args[*i]));
    let prim = Prim::Scan(Scan {
        body: Arc::new(plan.backward),
        carries,
        scanned,
        length: s.length.clone(),
        reverse: !s.reverse,
    });
    let back = b.g.push(prim, &args, node.origin)?;
    // What each argument gets.
    let mut parts: Vec<Vec<Value>> = vec![Vec::new(); node.args.len()];
    for (i, v) in step.carries.iter().zip(&back) {
        parts[*i].push(*v);
    }
    for ((k, _), v) in step.sums.iter().zip(&back[step.carries.len()..]) {
        parts[*k].push(*v);
    }
    for ((i, _), v) in step.rows.iter().zip(&back[carries..]) {
        parts[*i].push(*v);
    }
    for product in &products {
        let dy = back[carries + step.rows.len() + product.stack];
        let other = match &product.other {
            None => None,
            Some(Other::Constant(i)) => Some((node.args[*i], false)),
            Some(Other::Stacked(v)) => Some((stacked(&plan.sources[v]), true)),
        };
        let ranks = product.ranks;
        let shape = b.shape(node.args[product.constant]);
        let part = after(&mut b, &product.deferred, ranks, other, dy, shape)?;
        parts[product.constant].push(part);
    }
    let mut contributions = Contributions::new();
    for (values, need) in parts.into_iter().zip(need) {
        let mut total = None;
        for v in values.into_iter().filter(|_| *need) {
            total = Some(match total {
                None => v,
                Some(t) => b.add(t, v)?,
            });
        }
        contributions.push(total.map(Contribution::Whole));
    }
    Ok(contributions)
}

/// The gradient of one hoisted use, from what the loop stacked.
fn after(
    b: &mut Build,
    d: &Deferred,
    ranks: [usize; 2],
    other: Option<(Value, bool)>,
    dy: Value,
    shape: crate::ir::ty::Shape,
) -> Result<Value> {
    match (&d.node.prim, other) {
        (Prim::Dot(dims), Some((other, true))) => {
            dot_operand(b, dims, ranks, d.arg, other, dy, true)
        }
        (Prim::Dot(dims), Some((other, false))) => {
            let total = b.sum(dy, vec![0])?;
            dot_operand(b, dims, ranks, d.arg, other, total, false)
        }
        (Prim::Gather { axis }, Some((indices, _))) => {
            let size = shape[*axis].clone();
            b.push(Prim::ScatterAdd { axis: *axis, size }, &[indices, dy])
        }
        (Prim::Broadcast { shape: to, axes }, _) => {
            let added = broadcast_axes(&shape, to, axes);
            let axes = [0].into_iter().chain(added.iter().map(|a| a + 1)).collect();
            let sum = b.sum(dy, axes)?;
            b.reshape(sum, shape)
        }
        _ => unreachable!("only products, gathers and broadcasts are deferred"),
    }
}
