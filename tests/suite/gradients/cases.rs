//! What is checked of each primitive.

use nnc::ir::prim::{Binary, ConvDims, DotDims, Prim, Reduce, Unary, WindowDims, WindowOp};
use nnc::ir::{Dim, Elem, Shape, Tensor, Value};

use super::{Case, Writer, check, gradients, loops, positive, values};

fn shape(sizes: &[usize]) -> Shape {
    sizes.iter().map(|s| Dim::from(*s)).collect()
}

fn dims(sizes: &[usize]) -> Vec<Dim> {
    sizes.iter().map(|s| Dim::from(*s)).collect()
}

/// A case of one node, differentiated by all its float inputs.
fn node(prim: Prim, inputs: Vec<Tensor>) -> Case {
    let wrt = (0..inputs.len())
        .filter(|i| inputs[*i].elem() == Elem::F64)
        .collect();
    Case {
        name: format!(
            "{prim:?} of {:?}",
            inputs
                .iter()
                .map(|t| t.ty().to_string())
                .collect::<Vec<_>>()
        ),
        inputs,
        wrt,
        build: Box::new(move |w, args| w.push(prim.clone(), args)),
        second: true,
    }
}

fn unary(op: Unary) -> Vec<Case> {
    let inputs = match op {
        Unary::Sqrt | Unary::Log => positive(&[2, 3], 1),
        Unary::Not => return Vec::new(),
        Unary::Neg
        | Unary::Abs
        | Unary::Sign
        | Unary::Floor
        | Unary::Ceil
        | Unary::Round
        | Unary::Exp
        | Unary::Expm1
        | Unary::Sin
        | Unary::Cos
        | Unary::Tanh
        | Unary::Logistic
        | Unary::Erf => values(&[2, 3], 1),
        Unary::Log1p => Tensor::from_f64(&[5], &[-0.9, -0.1, 0.0, 0.7, 20.0]),
    };
    let scalar = Tensor::from_f64(&[], &[0.3]);
    vec![
        node(Prim::Unary(op), vec![inputs]),
        node(Prim::Unary(op), vec![scalar]),
    ]
}

fn binary(op: Binary) -> Vec<Case> {
    let (a, b) = match op {
        Binary::And | Binary::Or => return Vec::new(),
        Binary::Pow => (positive(&[2, 3], 1), values(&[2, 3], 2)),
        Binary::Add
        | Binary::Sub
        | Binary::Mul
        | Binary::Div
        | Binary::Rem
        | Binary::Max
        | Binary::Min => (values(&[2, 3], 1), values(&[2, 3], 2)),
    };
    // One value twice: the contributions add up.
    let twice = Case {
        name: format!("{op:?} of a value and itself"),
        inputs: vec![positive(&[3], 1)],
        wrt: vec![0],
        build: Box::new(move |w, x| {
            let y = w.binary(op, x[0], x[0]);
            w.binary(Binary::Mul, y, y)
        }),
        second: true,
    };
    let mut cases = vec![node(Prim::Binary(op), vec![a, b])];
    // x rem x is 0 but jumps there.
    if op != Binary::Rem {
        cases.push(twice);
    }
    for exponent in [0.0, 1.0, 2.0, 3.0, -1.0, 0.5] {
        if op == Binary::Pow {
            cases.push(Case {
                name: format!("constant exponent {exponent}"),
                inputs: vec![positive(&[4], 3)],
                wrt: vec![0],
                build: Box::new(move |w, x| {
                    let c = w.fill(exponent, x[0]);
                    w.binary(Binary::Pow, x[0], c)
                }),
                second: true,
            });
        }
    }
    cases
}

fn reduce(op: Reduce) -> Vec<Case> {
    let x = values(&[2, 3, 2], 5);
    [vec![], vec![0], vec![1], vec![0, 2], vec![0, 1, 2]]
        .into_iter()
        .map(|axes| node(Prim::Reduce { op, axes }, vec![x.clone()]))
        .collect()
}

fn dot(batch: &[(usize, usize)], contract: &[(usize, usize)], a: &[usize], b: &[usize]) -> Case {
    let prim = Prim::Dot(DotDims {
        batch: batch.to_vec(),
        contract: contract.to_vec(),
    });
    node(prim, vec![values(a, 1), values(b, 2)])
}

/// Strides, dilation, padding, groups; sizes of x and of the kernel.
fn convolutions() -> Vec<(ConvDims, Vec<usize>, Vec<usize>)> {
    let plain = ConvDims {
        strides: vec![1, 1],
        dilation: vec![1, 1],
        low: dims(&[0, 0]),
        high: dims(&[0, 0]),
        groups: 1,
    };
    let strided = ConvDims {
        strides: vec![2, 1],
        dilation: vec![1, 2],
        low: dims(&[1, 1]),
        high: dims(&[0, 2]),
        groups: 1,
    };
    let grouped = ConvDims {
        strides: vec![2],
        dilation: vec![1],
        low: dims(&[1]),
        high: dims(&[1]),
        groups: 2,
    };
    // A group for each channel, places that no window reaches.
    let depthwise = ConvDims {
        strides: vec![3],
        dilation: vec![2],
        low: dims(&[0]),
        high: dims(&[1]),
        groups: 3,
    };
    let volume = ConvDims {
        strides: vec![1, 2, 1],
        dilation: vec![1, 1, 2],
        low: dims(&[0, 1, 1]),
        high: dims(&[1, 0, 0]),
        groups: 2,
    };
    vec![
        (plain, vec![2, 3, 4, 2], vec![2, 2, 2, 3]),
        (strided, vec![1, 5, 4, 2], vec![2, 2, 2, 2]),
        (grouped, vec![2, 5, 4], vec![3, 2, 4]),
        (depthwise, vec![1, 9, 3], vec![2, 1, 6]),
        (volume, vec![1, 2, 4, 3, 2], vec![2, 2, 2, 1, 2]),
    ]
}

fn conv_output(conv: &ConvDims, x: &[usize], k: &[usize]) -> Vec<usize> {
    let mut w = Writer::new();
    let x = w.input("x", &values(x, 0));
    let k = w.input("k", &values(k, 0));
    let y = w.push(Prim::Conv(conv.clone()), &[x, k]);
    w.graph.ty(y).sizes().expect("sizes").to_vec()
}

fn windows() -> Vec<(WindowDims, Vec<usize>)> {
    let pool = WindowDims {
        window: vec![2, 2],
        strides: vec![2, 2],
        low: dims(&[0, 0]),
        high: dims(&[0, 0]),
    };
    let overlapping = WindowDims {
        window: vec![3],
        strides: vec![2],
        low: dims(&[1]),
        high: dims(&[1]),
    };
    let volume = WindowDims {
        window: vec![2, 1, 2],
        strides: vec![1, 2, 2],
        low: dims(&[0, 0, 1]),
        high: dims(&[1, 0, 0]),
    };
    vec![
        (pool, vec![1, 4, 4, 2]),
        (overlapping, vec![2, 5, 2]),
        (volume, vec![1, 2, 3, 3, 2]),
    ]
}

fn window_output(op: WindowOp, dims: &WindowDims, x: &[usize]) -> Vec<usize> {
    let mut w = Writer::new();
    let x = w.input("x", &values(x, 0));
    let dims = dims.clone();
    let y = w.push(Prim::Window { op, dims }, &[x]);
    w.graph.ty(y).sizes().expect("sizes").to_vec()
}

/// What is checked of `prim`; its attributes are examples only. Empty where no
/// gradient flows through it.
fn cases(prim: &Prim) -> Vec<Case> {
    let x = || values(&[2, 3], 4);
    match prim {
        Prim::Const { .. }
        | Prim::Size { .. }
        | Prim::Iota { .. }
        | Prim::Random { .. }
        | Prim::Compare(_)
        | Prim::ArgMax { .. }
        | Prim::ArgSort { .. }
        | Prim::Gradient => Vec::new(),
        Prim::Unary(op) => unary(*op),
        Prim::Binary(op) => binary(*op),
        Prim::Select => {
            let c = Tensor::from_bool(&[2, 3], &[true, false, false, true, true, false]);
            vec![node(Prim::Select, vec![c, x(), values(&[2, 3], 5)])]
        }
        Prim::Cast(_) => vec![Case {
            name: "through f32 and back".into(),
            // Near 0 the rounding to f32 is relative to the step of the differences.
            inputs: vec![Tensor::from_f64(&[2], &[0.0, 0.0])],
            wrt: vec![0],
            build: Box::new(|w, x| {
                let narrow = w.push(Prim::Cast(Elem::F32), x);
                w.push(Prim::Cast(Elem::F64), &[narrow])
            }),
            second: true,
        }],
        Prim::StopGradient => vec![Case {
            name: "x stop(x) at a fixed point".into(),
            inputs: vec![Tensor::from_f64(&[2], &[0.0, 0.0])],
            wrt: vec![0],
            // The derivative of x stop(x) is x: at 0 it agrees with that of x^2.
            build: Box::new(|w, x| {
                let fixed = w.push(Prim::StopGradient, x);
                w.binary(Binary::Mul, x[0], fixed)
            }),
            second: false,
        }],
        Prim::Reshape(_) => vec![
            node(Prim::Reshape(shape(&[3, 1, 2])), vec![x()]),
            node(Prim::Reshape(shape(&[6])), vec![x()]),
        ],
        Prim::Transpose(_) => vec![
            node(Prim::Transpose(vec![1, 0]), vec![x()]),
            node(Prim::Transpose(vec![2, 0, 1]), vec![values(&[2, 3, 2], 1)]),
        ],
        Prim::Broadcast { .. } => {
            let to = |sizes: &[usize], axes: &[usize], from: &[usize]| {
                let prim = Prim::Broadcast {
                    shape: shape(sizes),
                    axes: axes.to_vec(),
                };
                node(prim, vec![values(from, 3)])
            };
            vec![
                to(&[2, 3], &[], &[]),
                to(&[2, 3], &[1], &[3]),
                to(&[2, 3], &[0], &[2]),
                to(&[4, 2, 3], &[1, 2], &[1, 3]),
                to(&[2, 3], &[0, 1], &[2, 1]),
                to(&[2, 1], &[0, 1], &[2, 1]),
            ]
        }
        Prim::Slice { .. } => {
            let cut = |starts: &[usize], ends: &[usize], steps: &[usize]| Prim::Slice {
                starts: dims(starts),
                ends: dims(ends),
                steps: steps.to_vec(),
            };
            let x = || values(&[4, 5], 2);
            let gates = Case {
                name: "slices that tile the axis, out of order, and one more".into(),
                inputs: vec![x()],
                wrt: vec![0],
                build: Box::new(move |w, x| {
                    let c = w.push(cut(&[0, 3], &[4, 5], &[1, 1]), x);
                    let a = w.push(cut(&[0, 0], &[4, 2], &[1, 1]), x);
                    let b = w.push(cut(&[0, 2], &[4, 3], &[1, 1]), x);
                    let product = w.binary(Binary::Mul, a, c);
                    w.push(Prim::Concat { axis: 1 }, &[product, b])
                }),
                second: true,
            };
            vec![
                gates,
                node(cut(&[1, 0], &[3, 5], &[1, 1]), vec![x()]),
                node(cut(&[0, 1], &[4, 5], &[2, 3]), vec![x()]),
                node(cut(&[3, 1], &[4, 4], &[2, 2]), vec![x()]),
            ]
        }
        Prim::Pad { .. } => {
            let pad = |low: &[usize], high: &[usize], interior: &[usize]| Prim::Pad {
                low: dims(low),
                high: dims(high),
                interior: interior.to_vec(),
            };
            let v = Tensor::from_f64(&[], &[0.5]);
            vec![
                node(pad(&[1, 0], &[0, 2], &[0, 0]), vec![x(), v.clone()]),
                node(pad(&[0, 1], &[1, 1], &[2, 1]), vec![x(), v]),
            ]
        }
        Prim::Concat { .. } => vec![
            node(Prim::Concat { axis: 0 }, vec![x(), values(&[1, 3], 6), x()]),
            node(Prim::Concat { axis: 1 }, vec![x(), values(&[2, 1], 6)]),
        ],
        Prim::Reverse { .. } => vec![node(Prim::Reverse { axes: vec![0, 1] }, vec![x()])],
        Prim::Reduce { op, .. } => reduce(*op),
        Prim::Dot(_) => vec![
            dot(&[], &[(1, 0)], &[2, 3], &[3, 4]),
            dot(&[], &[(0, 1)], &[3, 2], &[4, 3]),
            dot(&[], &[], &[2], &[3]),
            dot(&[], &[(0, 0)], &[3], &[3]),
            dot(&[(0, 0)], &[(2, 1)], &[2, 3, 4], &[2, 4, 2]),
            dot(&[(1, 0)], &[(0, 2)], &[3, 2, 2], &[2, 2, 3]),
            dot(&[(0, 1), (2, 0)], &[(1, 2)], &[2, 3, 2], &[2, 2, 3]),
            dot(&[], &[(0, 2), (2, 0)], &[2, 2, 3], &[3, 2, 2]),
            dot(&[(1, 1)], &[(2, 0), (0, 2)], &[2, 2, 3], &[3, 2, 2]),
        ],
        Prim::Gather { .. } => {
            let i = Tensor::from_i32(&[2, 2], &[2, 0, 2, 1]);
            vec![
                node(
                    Prim::Gather { axis: 0 },
                    vec![values(&[3, 2], 1), i.clone()],
                ),
                node(Prim::Gather { axis: 1 }, vec![values(&[2, 3, 2], 1), i]),
            ]
        }
        Prim::ScatterAdd { .. } => {
            let i = Tensor::from_i32(&[4], &[2, 0, 2, 1]);
            let into = |axis: usize| Prim::ScatterAdd {
                axis,
                size: Dim::from(3usize),
            };
            vec![
                node(into(0), vec![i.clone(), values(&[4, 2], 1)]),
                node(into(1), vec![i, values(&[2, 4], 1)]),
            ]
        }
        Prim::Conv(_) => convolutions()
            .into_iter()
            .map(|(conv, x, k)| node(Prim::Conv(conv), vec![values(&x, 1), values(&k, 2)]))
            .collect(),
        Prim::ConvInputGrad { .. } => convolutions()
            .into_iter()
            .map(|(conv, x, k)| {
                let dy = values(&conv_output(&conv, &x, &k), 1);
                let spatial = dims(&x[1..x.len() - 1]);
                node(
                    Prim::ConvInputGrad { conv, spatial },
                    vec![dy, values(&k, 2)],
                )
            })
            .collect(),
        Prim::ConvKernelGrad { .. } => convolutions()
            .into_iter()
            .map(|(conv, x, k)| {
                let dy = values(&conv_output(&conv, &x, &k), 1);
                let kernel = dims(&k[..k.len() - 2]);
                node(
                    Prim::ConvKernelGrad { conv, kernel },
                    vec![values(&x, 2), dy],
                )
            })
            .collect(),
        Prim::Window { op, .. } => windows()
            .into_iter()
            .map(|(dims, x)| node(Prim::Window { op: *op, dims }, vec![values(&x, 1)]))
            .collect(),
        Prim::WindowGrad { op, .. } => windows()
            .into_iter()
            .map(|(dims, x)| {
                let dy = values(&window_output(*op, &dims, &x), 2);
                node(Prim::WindowGrad { op: *op, dims }, vec![values(&x, 1), dy])
            })
            .collect(),
        Prim::Scan(_) => loops::cases(),
    }
}

#[test]
fn gradients_of_every_primitive_agree_with_differences() {
    for prim in Prim::every() {
        cases(&prim).iter().for_each(check);
    }
}

/// The gradients of `sum(y * v)` divided by `v` where there is one entry a result:
/// the derivative itself. Only for scalars, whose weight is `sin(0.7)`.
fn slopes(name: &str, inputs: &[f64], build: fn(&mut Writer, &[Value]) -> Value) -> Vec<f64> {
    let case = Case {
        name: name.into(),
        inputs: inputs
            .iter()
            .map(|v| Tensor::from_f64(&[], &[*v]))
            .collect(),
        wrt: (0..inputs.len()).collect(),
        build: Box::new(build),
        second: false,
    };
    let weight = 0.7f64.sin();
    let all = gradients(&case);
    all.iter()
        .map(|g| (g[0] / weight * 1e12).round() / 1e12)
        .collect()
}

#[test]
fn ties_and_edges_follow_the_conventions() {
    let max = |w: &mut Writer, x: &[Value]| w.binary(Binary::Max, x[0], x[1]);
    let min = |w: &mut Writer, x: &[Value]| w.binary(Binary::Min, x[0], x[1]);
    let pow = |w: &mut Writer, x: &[Value]| w.binary(Binary::Pow, x[0], x[1]);
    let abs = |w: &mut Writer, x: &[Value]| w.push(Prim::Unary(Unary::Abs), x);
    assert_eq!(slopes("max", &[2.0, 2.0], max), [0.5, 0.5]);
    assert_eq!(slopes("min", &[2.0, 2.0], min), [0.5, 0.5]);
    assert_eq!(slopes("max", &[f64::INFINITY, 2.0], max), [1.0, 0.0]);
    assert_eq!(slopes("abs", &[0.0], abs), [0.0]);
    assert_eq!(slopes("0^2", &[0.0, 2.0], pow), [0.0, 0.0]);
    assert_eq!(slopes("0^0", &[0.0, 0.0], pow), [0.0, 0.0]);
    assert_eq!(slopes("0^1", &[0.0, 1.0], pow), [1.0, 0.0]);
    assert_eq!(slopes("(-2)^3", &[-2.0, 3.0], pow), [12.0, 0.0]);
    assert_eq!(slopes("2^0", &[2.0, 0.0], pow)[0], 0.0);
}

#[test]
fn a_largest_entry_that_occurs_twice_shares_its_gradient() {
    for (op, x) in [
        (Reduce::Max, [1.0, 3.0, 3.0, -2.0]),
        (Reduce::Min, [1.0, -2.0, -2.0, 3.0]),
    ] {
        let case = node(
            Prim::Reduce { op, axes: vec![0] },
            vec![Tensor::from_f64(&[4], &x)],
        );
        let half = 0.7f64.sin() / 2.0;
        assert_eq!(gradients(&case), [[0.0, half, half, 0.0]]);
    }
}

#[test]
fn a_window_gives_all_to_the_first_largest() {
    let (dims, _) = windows().swap_remove(0);
    let op = WindowOp::Max;
    let x = Tensor::from_f64(&[1, 2, 2, 1], &[1.0, 3.0, 3.0, 3.0]);
    let case = node(Prim::Window { op, dims }, vec![x]);
    assert_eq!(gradients(&case), [[0.0, 0.7f64.sin(), 0.0, 0.0]]);
}

#[test]
fn products_with_zeros_need_no_division() {
    for (x, expected) in [
        ([2.0, 3.0, 4.0], [12.0, 8.0, 6.0]),
        ([0.0, 3.0, 4.0], [12.0, 0.0, 0.0]),
        ([0.0, 3.0, 0.0], [0.0, 0.0, 0.0]),
    ] {
        let op = Reduce::Prod;
        let case = node(
            Prim::Reduce { op, axes: vec![0] },
            vec![Tensor::from_f64(&[3], &x)],
        );
        let weight = 0.7f64.sin();
        assert_eq!(gradients(&case), [expected.map(|e| weight * e)]);
    }
}

#[test]
fn a_loss_that_does_not_depend_on_a_value_has_gradient_zero() {
    let case = Case {
        name: "independent".into(),
        inputs: vec![values(&[2], 1), values(&[3], 2)],
        wrt: vec![0, 1, 0],
        build: Box::new(|w, x| {
            let rounded = w.push(Prim::Unary(Unary::Floor), &[x[1]]);
            let rounded = w.sum_all(rounded);
            let sum = w.sum_all(x[0]);
            w.binary(Binary::Mul, sum, rounded)
        }),
        second: false,
    };
    let found = gradients(&case);
    assert_eq!(found[1], [0.0; 3]);
    assert_eq!(found[0], found[2]);
    assert_ne!(found[0][0], 0.0);
}
