//! Derivatives by differences, in f64, through the interpreter.

use nnc::backend::interp::evaluate;
use nnc::ir::prim::Scan;
use nnc::ir::{Elem, Graph, Prim, Tensor, Type, Value};

/// The same graph with `F64` for `F32` everywhere; draws are cast.
pub(crate) fn all_f64(graph: &Graph) -> Graph {
    let mut out = Graph::new(&graph.name);
    out.origins = graph.origins.clone();
    let mut map = vec![Value(u32::MAX); graph.value_count()];
    for input in &graph.inputs {
        let old = graph.ty(input.value);
        let ty = Type {
            elem: wide(old.elem),
            shape: old.shape.clone(),
        };
        map[input.value.0 as usize] = out.input(&input.name, input.role.clone(), ty);
    }
    for node in &graph.nodes {
        let args: Vec<Value> = node.args.iter().map(|a| map[a.0 as usize]).collect();
        let results = out.push(wide_prim(&node.prim), &args, node.origin);
        let mut results = results.expect("the types agree as before");
        if matches!(node.prim, Prim::Random { .. }) {
            let cast = out.push1(Prim::Cast(Elem::F64), &results, node.origin);
            results[0] = cast.expect("anything can be cast");
        }
        for (old, new) in node.values().zip(results) {
            map[old.0 as usize] = new;
        }
    }
    for o in &graph.outputs {
        out.output(&o.name, o.role.clone(), map[o.value.0 as usize]);
    }
    out
}

/// How fast each scalar output changes as the inputs move along `direction`; none where
/// differences to both sides and of two lengths disagree: at a kink or a jump, near
/// a pole, or where nothing is finite.
pub(crate) fn slopes(graph: &Graph, inputs: &[Tensor], direction: &[Tensor]) -> Vec<Option<f64>> {
    let at = |t: f64| {
        let moved = inputs.iter().zip(direction).map(|(x, d)| along(x, d, t));
        let moved: Vec<Tensor> = moved.collect();
        let results = evaluate(graph, &moved, 1);
        results.iter().map(Tensor::item).collect::<Vec<f64>>()
    };
    let h = 1e-5;
    let [far, near, here, other, over] = [-2.0 * h, -h, 0.0, h, 2.0 * h].map(at);
    (0..here.len())
        .map(|i| {
            let central = (other[i] - near[i]) / (2.0 * h);
            let sides = [
                (here[i] - near[i]) / h,
                (other[i] - here[i]) / h,
                (over[i] - far[i]) / (4.0 * h),
            ];
            let tolerance = 1e-3 * (1.0 + central.abs());
            let smooth = sides.iter().all(|s| (s - central).abs() <= tolerance);
            // Cancellation must leave enough digits.
            (smooth && here[i].abs() < 1e4).then_some(central)
        })
        .collect()
}

fn along(x: &Tensor, direction: &Tensor, t: f64) -> Tensor {
    let values = x.values().into_iter().zip(direction.values());
    let values: Vec<f64> = values.map(|(x, d)| x + t * d).collect();
    Tensor::from_values(x.elem(), x.shape(), &values)
}

fn wide(elem: Elem) -> Elem {
    match elem {
        Elem::F32 => Elem::F64,
        Elem::F64 | Elem::I32 | Elem::U8 | Elem::Bool => elem,
    }
}

/// Primitives that name an element type; the others take their arguments'.
fn wide_prim(prim: &Prim) -> Prim {
    match prim.clone() {
        Prim::Const { value, elem } => Prim::Const {
            value,
            elem: wide(elem),
        },
        Prim::Size { dim, elem } => Prim::Size {
            dim,
            elem: wide(elem),
        },
        Prim::Iota { axis, shape, elem } => Prim::Iota {
            axis,
            shape,
            elem: wide(elem),
        },
        Prim::Cast(elem) => Prim::Cast(wide(elem)),
        Prim::Scan(scan) => Prim::Scan(Scan {
            body: all_f64(&scan.body).into(),
            ..scan
        }),
        other => other,
    }
}
