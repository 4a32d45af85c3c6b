//! Dead code elimination: nodes that no output needs are dropped, and values are
//! renumbered in order. Inputs stay, used or not: they are the contract with
//! the runtime.

use crate::ir::Graph;

use super::build::{copy_node, copy_outputs, like};

/// The same graph without dead nodes.
pub fn dce(graph: &Graph) -> Graph {
    let live = live_nodes(graph);
    let (mut out, mut map) = like(graph);
    for index in (0..graph.nodes.len()).filter(|i| live[*i]) {
        copy_node(&mut out, graph, index, &mut map);
    }
    copy_outputs(&mut out, graph, &map);
    out
}

/// Which nodes some output depends on.
pub(crate) fn live_nodes(graph: &Graph) -> Vec<bool> {
    let mut used = vec![false; graph.value_count()];
    for o in &graph.outputs {
        used[o.value.0 as usize] = true;
    }
    let mut live = vec![false; graph.nodes.len()];
    for (i, node) in graph.nodes.iter().enumerate().rev() {
        if node.values().any(|v| used[v.0 as usize]) {
            live[i] = true;
            for a in &node.args {
                used[a.0 as usize] = true;
            }
        }
    }
    live
}
