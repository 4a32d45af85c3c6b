//! What some values of a graph are made of, as a graph; between what their numbers lie.

use crate::ir::prim::{Binary, Compare, Prim, Reduce, Unary};
use crate::ir::{Elem, Graph, Node, OriginId, OutputRole, Role, Value};

/// The graph that computes these values alone: a result of its name for each.
pub fn slice(g: &Graph, name: &str, wanted: &[(String, Value)]) -> Graph {
    let mut used = vec![false; g.value_count()];
    for (_, v) in wanted {
        used[v.0 as usize] = true;
    }
    for node in g.nodes.iter().rev() {
        if node.values().any(|v| used[v.0 as usize]) {
            node.args.iter().for_each(|a| used[a.0 as usize] = true);
        }
    }
    let mut out = Graph::new(name);
    let mut map = vec![Value(0); g.value_count()];
    for input in g.inputs.iter().filter(|i| used[i.value.0 as usize]) {
        let ty = g.ty(input.value).clone();
        map[input.value.0 as usize] = out.input(&input.name, input.role.clone(), ty);
    }
    for node in &g.nodes {
        if !node.values().any(|v| used[v.0 as usize]) {
            continue;
        }
        let args: Vec<Value> = node.args.iter().map(|a| map[a.0 as usize]).collect();
        let types = node.values().map(|v| g.ty(v).clone()).collect();
        let made = out.push_typed(node.prim.clone(), &args, types, OriginId::default());
        for (old, new) in node.values().zip(made) {
            map[old.0 as usize] = new;
        }
    }
    for (name, v) in wanted {
        out.output(name, OutputRole::Result, map[v.0 as usize]);
    }
    out
}

/// The value that this one is: not reshaped, and not of another element type.
pub fn unshaped(g: &Graph, mut v: Value) -> Value {
    while let Some(node) = node_of(g, v) {
        match node.prim {
            Prim::Reshape(_) | Prim::Cast(_) | Prim::StopGradient => v = node.args[0],
            _ => break,
        }
    }
    v
}

/// Between what the numbers of a value lie, as far as operations tell; NaN aside.
pub fn bounds(g: &Graph, v: Value) -> (f64, f64) {
    const ANY: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
    let of_elem = match g.ty(v).elem {
        Elem::Bool => (0.0, 1.0),
        Elem::U8 => (0.0, 255.0),
        Elem::I32 | Elem::F32 | Elem::F64 => ANY,
    };
    let Some(node) = node_of(g, v) else {
        return of_elem;
    };
    let arg = |i: usize| bounds(g, node.args[i]);
    let (low, high) = match &node.prim {
        Prim::Const { value, .. } => (*value, *value),
        Prim::Compare(
            Compare::Eq | Compare::Ne | Compare::Lt | Compare::Le | Compare::Gt | Compare::Ge,
        ) => (0.0, 1.0),
        Prim::Cast(_)
        | Prim::StopGradient
        | Prim::Reshape(_)
        | Prim::Transpose(_)
        | Prim::Broadcast { .. }
        | Prim::Slice { .. }
        | Prim::Reverse { .. }
        | Prim::Gather { .. }
        | Prim::Reduce {
            op: Reduce::Max | Reduce::Min,
            ..
        } => arg(0),
        Prim::Unary(Unary::Neg) => (-arg(0).1, -arg(0).0),
        Prim::Unary(Unary::Exp) => (0.0, f64::INFINITY),
        Prim::Unary(Unary::Logistic) => (0.0, 1.0),
        Prim::Unary(Unary::Abs) => (0.0, arg(0).0.abs().max(arg(0).1.abs())),
        Prim::Select => union(arg(1), arg(2)),
        Prim::Concat { .. } => {
            let all = (0..node.args.len()).map(arg);
            all.reduce(union).unwrap_or(ANY)
        }
        Prim::Binary(op) => binary(*op, arg(0), arg(1)).unwrap_or(ANY),
        _ => ANY,
    };
    // a NaN bound says nothing
    let known = |x: f64, or: f64| if x.is_nan() { or } else { x };
    (
        known(low, ANY.0).max(of_elem.0),
        known(high, ANY.1).min(of_elem.1),
    )
}

fn union(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    (a.0.min(b.0), a.1.max(b.1))
}

fn binary(op: Binary, a: (f64, f64), b: (f64, f64)) -> Option<(f64, f64)> {
    let corners = |f: fn(f64, f64) -> f64| {
        let all = [f(a.0, b.0), f(a.0, b.1), f(a.1, b.0), f(a.1, b.1)];
        let finite = all.iter().all(|x| !x.is_nan());
        finite.then(|| {
            let low = all.iter().copied().fold(f64::INFINITY, f64::min);
            let high = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            (low, high)
        })
    };
    match op {
        Binary::Add => Some((a.0 + b.0, a.1 + b.1)),
        Binary::Sub => Some((a.0 - b.1, a.1 - b.0)),
        Binary::Mul => corners(|x, y| x * y),
        Binary::Div if b.0 > 0.0 => corners(|x, y| x / y),
        Binary::Max => Some((a.0.max(b.0), a.1.max(b.1))),
        Binary::Min => Some((a.0.min(b.0), a.1.min(b.1))),
        Binary::Div | Binary::Rem | Binary::Pow | Binary::And | Binary::Or => None,
    }
}

fn node_of(g: &Graph, v: Value) -> Option<&Node> {
    let after = g.nodes.partition_point(|n| n.first.0 <= v.0);
    let node = g.nodes.get(after.checked_sub(1)?)?;
    node.values().any(|r| r == v).then_some(node)
}

/// Whether a value is made of columns of the batch and of what was fitted alone.
pub fn is_of_data(g: &Graph, v: Value) -> bool {
    let made_of = slice(g, "", &[(String::new(), v)]);
    let inputs = made_of.inputs.iter();
    inputs
        .map(|i| &i.role)
        .all(|r| matches!(r, Role::Data | Role::Fit))
        && made_of.inputs.iter().any(|i| i.role == Role::Data)
        && !made_of
            .nodes
            .iter()
            .any(|n| matches!(n.prim, Prim::Random { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Dim, Shape, Type};

    fn column(g: &mut Graph, name: &str, elem: Elem) -> Value {
        let shape = Shape::from_iter([Dim::symbol("B")]);
        g.input(name, Role::Data, Type { elem, shape })
    }

    fn push(g: &mut Graph, prim: Prim, args: &[Value]) -> Value {
        g.push1(prim, args, OriginId::default()).unwrap()
    }

    #[test]
    fn a_slice_has_the_inputs_that_its_results_need() {
        let mut g = Graph::new("step");
        let [a, b] = ["a", "b"].map(|n| column(&mut g, n, Elem::F32));
        let sum = push(&mut g, Prim::Binary(Binary::Add), &[a, b]);
        let square = push(&mut g, Prim::Binary(Binary::Mul), &[b, b]);
        let alone = slice(&g, "alone", &[("s".into(), square)]);
        assert_eq!(alone.inputs.len(), 1);
        assert_eq!((&*alone.inputs[0].name, alone.nodes.len()), ("b", 1));
        assert!(is_of_data(&g, sum));
        let p = g.input("p", Role::Param, g.ty(a).clone());
        let scaled = push(&mut g, Prim::Binary(Binary::Mul), &[p, sum]);
        assert!(!is_of_data(&g, scaled));
    }

    #[test]
    fn bounds_follow_from_operations() {
        let mut g = Graph::new("step");
        let bytes = column(&mut g, "bytes", Elem::U8);
        let number = push(&mut g, Prim::Cast(Elem::F32), &[bytes]);
        let scale = g.constant(255.0, Elem::F32);
        let shape = g.ty(number).shape.clone();
        let spread = Prim::Broadcast {
            shape,
            axes: vec![],
        };
        let scale = push(&mut g, spread, &[scale]);
        let part = push(&mut g, Prim::Binary(Binary::Div), &[number, scale]);
        assert_eq!(bounds(&g, part), (0.0, 1.0));
        let less = push(&mut g, Prim::Binary(Binary::Sub), &[part, scale]);
        assert_eq!(bounds(&g, less), (-255.0, -254.0));
        let any = column(&mut g, "any", Elem::F32);
        let product = push(&mut g, Prim::Binary(Binary::Mul), &[any, part]);
        assert_eq!(bounds(&g, product), (f64::NEG_INFINITY, f64::INFINITY));
        let logistic = push(&mut g, Prim::Unary(Unary::Logistic), &[product]);
        assert_eq!(bounds(&g, logistic), (0.0, 1.0));
    }
}
