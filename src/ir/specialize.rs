//! Sizes for symbols: from a graph over `B` to one for a batch of 128.

use std::sync::Arc;

use super::dim::{Bindings, Dim, DimError};
use super::graph::{Graph, Value};
use super::infer::TypeError;
use super::prim::{Prim, Scan};
use super::ty::Type;

/// Replaces every symbol that `bindings` knows. Values are renumbered: inputs first.
///
/// # Errors
/// A size that does not fit once it is known, such as a slice that ends past its axis.
pub fn specialize(graph: &Graph, bindings: &Bindings) -> Result<Graph, TypeError> {
    let with = |d: &Dim| d.substitute(&|n| bindings.get(n).map(|v| Dim::Const(*v)));
    let mut out = Graph::new(&graph.name);
    out.origins = graph.origins.clone();
    // Inputs come in between nodes where a builder added them late, so values are renumbered.
    let mut map = vec![Value(u32::MAX); graph.value_count()];
    for input in &graph.inputs {
        let ty = specialize_type(graph.ty(input.value), &with)?;
        map[input.value.0 as usize] = out.input(&input.name, input.role.clone(), ty);
    }
    for node in &graph.nodes {
        let prim = specialize_prim(&node.prim, bindings, &with)?;
        let args: Vec<Value> = node.args.iter().map(|a| map[a.0 as usize]).collect();
        let results = out.push(prim, &args, node.origin)?;
        for (old, new) in node.values().zip(results) {
            map[old.0 as usize] = new;
        }
    }
    for o in &graph.outputs {
        out.output(&o.name, o.role.clone(), map[o.value.0 as usize]);
    }
    Ok(out)
}

type With<'a> = dyn Fn(&Dim) -> Result<Dim, DimError> + 'a;

fn specialize_type(ty: &Type, with: &With) -> Result<Type, DimError> {
    Ok(Type {
        elem: ty.elem,
        shape: ty.shape.iter().map(with).collect::<Result<_, _>>()?,
    })
}

fn specialize_prim(prim: &Prim, bindings: &Bindings, with: &With) -> Result<Prim, TypeError> {
    Ok(match prim.map_dims(with)? {
        Prim::Size {
            dim: Dim::Const(size),
            elem,
        } => Prim::Const {
            value: size as f64,
            elem,
        },
        Prim::Scan(scan) => Prim::Scan(Scan {
            body: Arc::new(specialize(&scan.body, bindings)?),
            ..scan
        }),
        prim => prim,
    })
}
