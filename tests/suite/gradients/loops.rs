//! Gradients through scans.

use std::sync::Arc;

use nnc::ir::prim::{Binary, DotDims, Prim, Scan, Unary};
use nnc::ir::{Dim, Elem, Graph, OutputRole, Role, Tensor, Type, Value};
use nnc::passes::autodiff::autodiff;

use super::{Case, Writer, check, values};

fn matmul() -> Prim {
    Prim::Dot(DotDims {
        batch: Vec::new(),
        contract: vec![(1, 0)],
    })
}

/// A scan whose body is written by `build` from inputs of the given types; it returns
/// the next carries and what is stacked.
fn scan(
    w: &mut Writer,
    carries: &[Value],
    scanned: &[Value],
    constants: &[Value],
    length: usize,
    reverse: bool,
    build: impl Fn(&mut Writer, &[Value]) -> Vec<Value>,
) -> Vec<Value> {
    let mut body = Writer {
        graph: Graph::new("body"),
    };
    let mut inputs = Vec::new();
    let args: Vec<Value> = [carries, scanned, constants].concat();
    for (i, arg) in args.iter().enumerate() {
        let mut ty: Type = w.graph.ty(*arg).clone();
        if (carries.len()..carries.len() + scanned.len()).contains(&i) {
            ty.shape.remove(0);
        }
        inputs.push(body.graph.input(&format!("i{i}"), Role::Plain, ty));
    }
    for (i, v) in build(&mut body, &inputs).into_iter().enumerate() {
        body.graph.output(&format!("o{i}"), OutputRole::Result, v);
    }
    let prim = Prim::Scan(Scan {
        body: Arc::new(body.graph),
        carries: carries.len(),
        scanned: scanned.len(),
        length: Dim::from(length),
        reverse,
    });
    w.push_all(prim, &args)
}

fn bias(w: &mut Writer, b: Value, like: Value) -> Value {
    let shape = w.graph.ty(like).shape.clone();
    let axes = vec![1];
    w.push(Prim::Broadcast { shape, axes }, &[b])
}

fn all_of(w: &mut Writer, values: &[Value]) -> Value {
    let flat: Vec<Value> = values
        .iter()
        .map(|v| {
            let n = Dim::from(w.graph.ty(*v).elements());
            w.push(Prim::Reshape([n].into_iter().collect()), &[*v])
        })
        .collect();
    w.push(Prim::Concat { axis: 0 }, &flat)
}

/// `h' = tanh(x + h u + b)`, stacked; inputs h0 [2, 3], xs [T, 2, 3], u [3, 3], b [3].
fn recurrent(length: usize, reverse: bool, stacked: bool, last: bool) -> Case {
    Case {
        name: format!("recurrent, {length} steps, {reverse} {stacked} {last}"),
        inputs: vec![
            values(&[2, 3], 1),
            values(&[length, 2, 3], 2),
            values(&[3, 3], 3),
            values(&[3], 4),
        ],
        wrt: vec![0, 1, 2, 3],
        build: Box::new(move |w, x| {
            let results = scan(w, &x[..1], &x[1..2], &x[2..], length, reverse, |w, i| {
                let [h, x, u, b] = i else { unreachable!() };
                let z = w.push(matmul(), &[*h, *u]);
                let z = w.binary(Binary::Add, z, *x);
                let b = bias(w, *b, z);
                let z = w.binary(Binary::Add, z, b);
                let h = w.push(Prim::Unary(Unary::Tanh), &[z]);
                vec![h, h]
            });
            match (stacked, last) {
                (true, true) => all_of(w, &results),
                (true, false) => results[1],
                _ => results[0],
            }
        }),
        second: true,
    }
}

/// Carries that feed one another, one that is not used, and integers on the way.
fn entangled() -> Case {
    Case {
        name: "entangled carries".into(),
        inputs: vec![
            values(&[2], 1),
            values(&[2], 2),
            values(&[2], 3),
            Tensor::scalar(Elem::I32, 0.0),
            values(&[4, 2], 4),
            values(&[2], 5),
        ],
        wrt: vec![0, 1, 2, 4, 5],
        build: Box::new(|w, x| {
            let results = scan(w, &x[..4], &x[4..5], &x[5..], 4, false, |w, i| {
                let [a, b, c, n, x, k] = i else {
                    unreachable!()
                };
                let one = w.constant(1.0, Elem::I32);
                let next = w.binary(Binary::Add, *n, one);
                let count = w.push(Prim::Cast(Elem::F64), &[*n]);
                let count = {
                    let shape = w.graph.ty(*x).shape.clone();
                    let axes = Vec::new();
                    w.push(Prim::Broadcast { shape, axes }, &[count])
                };
                let a2 = w.binary(Binary::Mul, *b, *x);
                let b2 = w.binary(Binary::Add, *a, *k);
                let scaled = w.binary(Binary::Mul, b2, count);
                let c2 = w.binary(Binary::Mul, *x, *x);
                let y = w.binary(Binary::Mul, *k, *c);
                vec![a2, b2, c2, next, scaled, y, *a]
            });
            all_of(w, &[results[0], results[4], results[5], results[6]])
        }),
        second: true,
    }
}

/// The weight is used as a left operand, as a batch, gathered from, and beside that elementwise.
fn many_uses_of_a_constant() -> Case {
    Case {
        name: "a constant used in many ways".into(),
        inputs: vec![
            values(&[3, 3], 1),
            values(&[3, 3, 3], 2),
            values(&[3, 3], 3),
            Tensor::from_i32(&[3, 3], &[0, 2, 2, 1, 0, 1, 2, 2, 0]),
        ],
        wrt: vec![0, 1, 2],
        build: Box::new(|w, x| {
            let results = scan(w, &x[..1], &[x[1], x[3]], &x[2..3], 3, false, |w, i| {
                let [h, x, n, u] = i else { unreachable!() };
                let left = w.push(matmul(), &[*u, *h]);
                let both = w.push(matmul(), &[*u, *u]);
                let rows = w.push(Prim::Gather { axis: 0 }, &[*u, *n]);
                let batch = Prim::Dot(DotDims {
                    batch: vec![(1, 1)],
                    contract: vec![(0, 0)],
                });
                let batched = w.push(batch, &[*x, *u]);
                let column = {
                    let shape = w.graph.ty(*x).shape.clone();
                    let axes = vec![0];
                    w.push(Prim::Broadcast { shape, axes }, &[batched])
                };
                let sum = w.binary(Binary::Add, left, both);
                let sum = w.binary(Binary::Add, sum, rows);
                let sum = w.binary(Binary::Mul, sum, column);
                let sum = w.binary(Binary::Add, sum, *u);
                let h = w.push(Prim::Unary(Unary::Sin), &[sum]);
                let y = w.push(matmul(), &[*x, *u]);
                vec![h, y]
            });
            all_of(w, &results)
        }),
        second: true,
    }
}

/// An inner loop over columns within an outer one over rows, both with weights.
fn nested() -> Case {
    Case {
        name: "nested loops".into(),
        inputs: vec![
            values(&[1, 2], 1),
            values(&[3, 2, 1, 2], 2),
            values(&[2, 2], 3),
            values(&[2, 2], 4),
        ],
        wrt: vec![0, 1, 2, 3],
        build: Box::new(|w, x| {
            let results = scan(w, &x[..1], &x[1..2], &x[2..], 3, false, |w, i| {
                let [h, row, u, v] = i else { unreachable!() };
                let start = w.push(matmul(), &[*h, *v]);
                let inner = scan(w, &[start], &[*row], &[*u], 2, true, |w, i| {
                    let [c, x, u] = i else { unreachable!() };
                    let z = w.push(matmul(), &[*c, *u]);
                    let z = w.binary(Binary::Add, z, *x);
                    let c = w.push(Prim::Unary(Unary::Tanh), &[z]);
                    let y = w.binary(Binary::Mul, c, *x);
                    vec![c, y]
                });
                let h = w.push(Prim::Unary(Unary::Logistic), &[inner[0]]);
                vec![h, inner[1]]
            });
            all_of(w, &results)
        }),
        second: true,
    }
}

/// Two losses from one loop, the second through the first one's gradient by a carry.
fn gradient_in_the_body() -> Case {
    Case {
        name: "descent within a loop".into(),
        inputs: vec![values(&[2], 1), values(&[3, 2], 2)],
        wrt: vec![0, 1],
        build: Box::new(|w, x| {
            let results = scan(w, &x[..1], &x[1..], &[], 3, false, |w, i| {
                let [p, t] = i else { unreachable!() };
                let off = w.binary(Binary::Sub, *p, *t);
                let off = w.push(Prim::Unary(Unary::Sin), &[off]);
                let square = w.binary(Binary::Mul, off, off);
                let loss = w.sum_all(square);
                let slope = w.gradient(loss, &[*p])[0];
                let rate = w.fill(0.1, *p);
                let step = w.binary(Binary::Mul, rate, slope);
                vec![w.binary(Binary::Sub, *p, step), loss]
            });
            all_of(w, &results)
        }),
        second: true,
    }
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        recurrent(1, false, false, true),
        recurrent(5, false, true, false),
        recurrent(4, true, true, true),
        recurrent(3, true, false, true),
        entangled(),
        many_uses_of_a_constant(),
        nested(),
        gradient_in_the_body(),
    ]
}

#[test]
fn gradients_of_loops_agree_with_differences() {
    cases().iter().for_each(check);
}

/// The backward loop of a recurrent net carries the cotangent of the state and nothing
/// else: weights and biases are dealt with after it. No graph grows with the length.
#[test]
fn weight_gradients_are_taken_out_of_the_loop() {
    let graph = |length| {
        let case = recurrent(length, false, true, false);
        autodiff(&super::graph_of(&case, 1, true)).expect("sizes that fit")
    };
    let scans = |g: &Graph| -> Vec<Scan> {
        let scan = |n: &nnc::ir::Node| match &n.prim {
            Prim::Scan(s) => Some(s.clone()),
            _ => None,
        };
        g.nodes.iter().filter_map(scan).collect()
    };
    let short = graph(5);
    let [forward, backward] = &scans(&short)[..] else {
        panic!("two loops")
    };
    assert_eq!(
        forward.body.outputs.len(),
        3,
        "h, the stacked h, and h before"
    );
    assert_eq!(backward.carries, 1);
    assert!(backward.reverse);
    let dots = |g: &Graph| {
        let is_dot = |n: &&nnc::ir::Node| matches!(n.prim, Prim::Dot(_));
        g.nodes.iter().filter(is_dot).count()
    };
    assert_eq!(dots(&backward.body), 1, "dz u^T alone");
    assert_eq!(dots(&short), 1, "h^T dz over all steps");
    assert_eq!(short.nodes.len(), graph(500).nodes.len());
}
