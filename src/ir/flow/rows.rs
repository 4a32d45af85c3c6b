//! Whether the rows of a batch stay apart: whether row i of a value depends on row i of the
//! columns alone.

use std::sync::Arc;

use crate::ir::prim::{DotDims, Prim, Scan};
use crate::ir::{Dim, Graph, Node, Role, Value};

/// How a value depends on the rows of the batch.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Rows {
    /// Not at all.
    Free,
    /// What lies along this axis at a row depends on that row alone.
    Along(usize),
    /// The same, but the rows are in reverse order since this node of the graph.
    Turned(usize, usize),
    /// A row depends on others since this node of the graph.
    Mixed(usize),
    /// The rules here do not know.
    Unknown,
}

use Rows::{Along, Free, Mixed, Turned, Unknown};

/// The node at which the rows of a batch are mixed, of those that `outputs` depend on.
pub fn mixing(g: &Graph, outputs: &[Value]) -> Option<usize> {
    let inputs: Vec<Rows> = g
        .inputs
        .iter()
        .map(|i| match i.role {
            Role::Data => Along(0),
            _ => Free,
        })
        .collect();
    let rows = walk(g, &inputs);
    outputs.iter().find_map(|v| match rows[v.0 as usize] {
        Mixed(node) | Turned(_, node) => Some(node),
        _ => None,
    })
}

fn walk(g: &Graph, inputs: &[Rows]) -> Vec<Rows> {
    let mut rows = vec![Free; g.value_count()];
    for (input, r) in g.inputs.iter().zip(inputs) {
        rows[input.value.0 as usize] = *r;
    }
    for (index, node) in g.nodes.iter().enumerate() {
        let args: Vec<Rows> = node.args.iter().map(|a| rows[a.0 as usize]).collect();
        let results = match &node.prim {
            _ if args.iter().all(|a| *a == Free) => vec![Free],
            _ if args.contains(&Unknown) => vec![Unknown],
            Prim::Scan(s) => scan(s, &args, index),
            _ => match args.iter().find(|a| matches!(a, Mixed(_))) {
                Some(mixed) => vec![*mixed],
                None => vec![one(g, node, &args, index)],
            },
        };
        for (i, v) in node.values().enumerate() {
            rows[v.0 as usize] = results.get(i).copied().unwrap_or(results[0]);
        }
    }
    rows
}

/// The result of an operation; none of `args` is mixed or unknown.
fn one(g: &Graph, node: &Node, args: &[Rows], index: usize) -> Rows {
    let turned = args.iter().find_map(|a| match a {
        Turned(_, since) => Some(*since),
        _ => None,
    });
    let Some(since) = turned else {
        return in_order(g, node, args, index);
    };
    if args.iter().any(|a| matches!(a, Along(_))) {
        return Mixed(index);
    }
    let args: Vec<Rows> = args
        .iter()
        .map(|a| match a {
            Turned(axis, _) => Along(*axis),
            other => *other,
        })
        .collect();
    match in_order(g, node, &args, index) {
        Along(axis) => Turned(axis, since),
        Turned(axis, _) => Along(axis),
        other => other,
    }
}

/// The same where no rows are in reverse order.
fn in_order(g: &Graph, node: &Node, args: &[Rows], index: usize) -> Rows {
    let shape = |i: usize| &g.ty(node.args[i]).shape[..];
    let whole = |axis: usize, kept: bool| if kept { Along(axis) } else { Mixed(index) };
    let first = match args[0] {
        Along(a) => Some(a),
        _ => None,
    };
    match (&node.prim, first) {
        (
            Prim::Unary(_)
            | Prim::Binary(_)
            | Prim::Compare(_)
            | Prim::Select
            | Prim::Cast(_)
            | Prim::StopGradient,
            _,
        ) => alike(args, index),
        (Prim::Reshape(to), Some(a)) => reshaped(shape(0), to, a),
        (Prim::Transpose(perm), Some(a)) => {
            perm.iter().position(|p| *p == a).map_or(Unknown, Along)
        }
        (Prim::Broadcast { axes, .. }, Some(a)) => Along(axes[a]),
        (
            Prim::Slice {
                starts,
                ends,
                steps,
            },
            Some(a),
        ) => {
            let all = starts[a] == Dim::ZERO && ends[a] == shape(0)[a] && steps[a] == 1;
            whole(a, all)
        }
        (
            Prim::Pad {
                low,
                high,
                interior,
            },
            Some(a),
        ) if low[a] == Dim::ZERO && high[a] == Dim::ZERO && interior[a] == 0 => Along(a),
        (Prim::Concat { axis }, _) => match alike(args, index) {
            Along(a) if a != *axis => Along(a),
            Mixed(_) => Mixed(index),
            _ => Unknown,
        },
        (Prim::Reverse { axes }, Some(a)) if axes.contains(&a) => Turned(a, index),
        (Prim::Reverse { .. }, Some(a)) => Along(a),
        (Prim::Reduce { axes, .. }, Some(a)) => {
            let before = axes.iter().filter(|x| **x < a).count();
            whole(a - before, !axes.contains(&a))
        }
        (Prim::ArgMax { axis }, Some(a)) => whole(a - usize::from(*axis < a), *axis != a),
        (Prim::ArgSort { axis }, Some(a)) => whole(a, *axis != a),
        (Prim::Dot(dims), _) => dot(dims, args, [shape(0).len(), shape(1).len()], index),
        (Prim::Gather { axis }, _) => match (args[0], args[1]) {
            (Along(a), Free) if a < *axis => Along(a),
            (Along(a), Free) => whole((a + shape(1).len()).saturating_sub(1), a != *axis),
            (Free, Along(b)) => Along(axis + b),
            _ => Unknown,
        },
        (Prim::Conv(_) | Prim::ConvInputGrad { .. } | Prim::Window { .. }, Some(0))
            if args[1..].iter().all(|a| *a == Free) =>
        {
            Along(0)
        }
        _ => Unknown,
    }
}

/// Values that are combined element by element.
fn alike(args: &[Rows], index: usize) -> Rows {
    let mut along = args.iter().filter(|a| **a != Free);
    match along.next() {
        Some(first) if along.all(|a| a == first) => *first,
        Some(_) => Mixed(index),
        None => Free,
    }
}

/// Rows stay apart where what is before their axis stays as it is.
fn reshaped(from: &[Dim], to: &[Dim], axis: usize) -> Rows {
    let long =
        |dims: &[Dim]| -> Vec<Dim> { dims.iter().filter(|d| **d != Dim::ONE).cloned().collect() };
    let batch = |d: &Dim| d.mentions("B");
    let found = (0..to.len()).find(|i| batch(&to[*i]) && long(&to[..*i]) == long(&from[..axis]));
    found.map_or(Unknown, Along)
}

fn dot(dims: &DotDims, args: &[Rows], ranks: [usize; 2], index: usize) -> Rows {
    let sides = [
        pairs(dims, |p| p.0, ranks[0]),
        pairs(dims, |p| p.1, ranks[1]),
    ];
    let batch = dims.batch.len();
    let place = |side: usize, axis: usize| {
        let (batched, contracted, free) = &sides[side];
        if contracted.contains(&axis) {
            return None;
        }
        if let Some(i) = batched.iter().position(|a| *a == axis) {
            return Some(i);
        }
        let before = if side == 1 { sides[0].2.len() } else { 0 };
        free.iter()
            .position(|a| *a == axis)
            .map(|i| batch + before + i)
    };
    let mut found = Vec::new();
    for (side, rows) in args.iter().enumerate() {
        if let Along(axis) = rows {
            match place(side, *axis) {
                Some(place) => found.push(Along(place)),
                None => return Mixed(index),
            }
        }
    }
    alike(&found, index)
}

/// Batch, contracted and free axes of one side.
fn pairs(
    dims: &DotDims,
    side: impl Fn(&(usize, usize)) -> usize,
    rank: usize,
) -> (Vec<usize>, Vec<usize>, Vec<usize>) {
    let batch: Vec<usize> = dims.batch.iter().map(&side).collect();
    let contract: Vec<usize> = dims.contract.iter().map(&side).collect();
    let free = (0..rank).filter(|a| !batch.contains(a) && !contract.contains(a));
    let free = free.collect();
    (batch, contract, free)
}

/// Results of a loop: carries, and what is stacked along a new first axis.
fn scan(s: &Scan, args: &[Rows], index: usize) -> Vec<Rows> {
    let body: &Arc<Graph> = &s.body;
    let stacked = s.carries..s.carries + s.scanned;
    let mut inputs: Vec<Rows> = args.to_vec();
    for i in stacked {
        inputs[i] = match args[i] {
            Along(0) | Turned(0, _) => Mixed(index),
            Along(a) => Along(a - 1),
            Turned(a, since) => Turned(a - 1, since),
            other => other,
        };
    }
    // What a carry becomes goes into the next turn.
    let mut outputs = Vec::new();
    for _ in 0..=s.carries {
        let rows = walk(body, &inputs);
        outputs = body
            .outputs
            .iter()
            .map(|o| rows[o.value.0 as usize])
            .collect();
        let mut changed = false;
        for i in 0..s.carries {
            let joined = joined(inputs[i], outputs[i], index);
            changed |= joined != inputs[i];
            inputs[i] = joined;
        }
        if !changed {
            break;
        }
    }
    let here = |r: &Rows| match r {
        Mixed(_) => Mixed(index),
        Turned(a, _) => Turned(*a, index),
        other => *other,
    };
    let later = |r: &Rows| match r {
        Along(a) => Along(a + 1),
        Turned(a, _) => Turned(a + 1, index),
        other => here(other),
    };
    let carries = outputs.iter().take(s.carries).map(here);
    carries
        .chain(outputs.iter().skip(s.carries).map(later))
        .collect()
}

fn joined(a: Rows, b: Rows, index: usize) -> Rows {
    match (a, b) {
        (Unknown, _) | (_, Unknown) => Unknown,
        (Mixed(_), _) | (_, Mixed(_)) => Mixed(index),
        (Free, other) | (other, Free) => other,
        (Turned(i, since), Turned(j, _)) if i == j => Turned(i, since),
        (a, b) if a == b => a,
        _ => Unknown,
    }
}
