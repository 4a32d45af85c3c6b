//! Sizes for symbols: from a graph over `B` to one for a batch of 128.

use std::sync::Arc;

use super::dim::{Bindings, Dim, DimError};
use super::graph::{Graph, Value};
use super::infer::TypeError;
use super::prim::{ConvDims, Prim, Scan, WindowDims};
use super::ty::{Shape, Type};

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
        shape: shape(&ty.shape, with)?,
    })
}

fn shape(dims: &Shape, with: &With) -> Result<Shape, DimError> {
    dims.iter().map(with).collect()
}

fn list(dims: &[Dim], with: &With) -> Result<Vec<Dim>, DimError> {
    dims.iter().map(with).collect()
}

fn conv(c: &ConvDims, with: &With) -> Result<ConvDims, DimError> {
    Ok(ConvDims {
        low: list(&c.low, with)?,
        high: list(&c.high, with)?,
        ..c.clone()
    })
}

fn window(w: &WindowDims, with: &With) -> Result<WindowDims, DimError> {
    Ok(WindowDims {
        low: list(&w.low, with)?,
        high: list(&w.high, with)?,
        ..w.clone()
    })
}

fn specialize_prim(prim: &Prim, bindings: &Bindings, with: &With) -> Result<Prim, TypeError> {
    Ok(match prim {
        Prim::Size { dim, elem } => match with(dim)? {
            Dim::Const(c) => Prim::Const {
                value: c as f64,
                elem: *elem,
            },
            dim => Prim::Size { dim, elem: *elem },
        },
        Prim::Iota {
            axis,
            shape: s,
            elem,
        } => Prim::Iota {
            axis: *axis,
            shape: shape(s, with)?,
            elem: *elem,
        },
        Prim::Random { site, shape: s } => Prim::Random {
            site: site.clone(),
            shape: shape(s, with)?,
        },
        Prim::Reshape(s) => Prim::Reshape(shape(s, with)?),
        Prim::Broadcast { shape: s, axes } => Prim::Broadcast {
            shape: shape(s, with)?,
            axes: axes.clone(),
        },
        Prim::Slice {
            starts,
            ends,
            steps,
        } => Prim::Slice {
            starts: list(starts, with)?,
            ends: list(ends, with)?,
            steps: steps.clone(),
        },
        Prim::Pad {
            low,
            high,
            interior,
        } => Prim::Pad {
            low: list(low, with)?,
            high: list(high, with)?,
            interior: interior.clone(),
        },
        Prim::ScatterAdd { axis, size } => Prim::ScatterAdd {
            axis: *axis,
            size: with(size)?,
        },
        Prim::Conv(c) => Prim::Conv(conv(c, with)?),
        Prim::ConvInputGrad { conv: c, spatial } => Prim::ConvInputGrad {
            conv: conv(c, with)?,
            spatial: list(spatial, with)?,
        },
        Prim::ConvKernelGrad { conv: c, kernel } => Prim::ConvKernelGrad {
            conv: conv(c, with)?,
            kernel: list(kernel, with)?,
        },
        Prim::Window { op, dims } => Prim::Window {
            op: *op,
            dims: window(dims, with)?,
        },
        Prim::WindowGrad { op, dims } => Prim::WindowGrad {
            op: *op,
            dims: window(dims, with)?,
        },
        Prim::Scan(s) => Prim::Scan(Scan {
            body: Arc::new(specialize(&s.body, bindings)?),
            length: with(&s.length)?,
            ..s.clone()
        }),
        Prim::Const { .. }
        | Prim::Unary(_)
        | Prim::Binary(_)
        | Prim::Compare(_)
        | Prim::Select
        | Prim::Cast(_)
        | Prim::StopGradient
        | Prim::Transpose(_)
        | Prim::Concat { .. }
        | Prim::Reverse { .. }
        | Prim::Reduce { .. }
        | Prim::ArgMax { .. }
        | Prim::ArgSort { .. }
        | Prim::Dot(_)
        | Prim::Gather { .. }
        | Prim::Gradient => prim.clone(),
    })
}
