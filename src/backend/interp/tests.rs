//! What the docs of the primitives promise, case by case.

use super::*;
use crate::ir::prim::*;
use crate::ir::{Bindings, Elem, OriginId, Role, Shape, Value};
use crate::random;

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

/// The results of one primitive.
fn run(prim: Prim, args: &[Tensor]) -> Vec<Tensor> {
    let mut g = Graph::new("test");
    let inputs: Vec<Value> = args
        .iter()
        .enumerate()
        .map(|(i, a)| g.input(&format!("x{i}"), Role::Plain, a.ty()))
        .collect();
    let results = g.push(prim, &inputs, OriginId::default()).unwrap();
    for (i, v) in results.iter().enumerate() {
        g.output(&format!("y{i}"), OutputRole::Result, *v);
    }
    evaluate(&g, args, 7)
}

fn run1(prim: Prim, args: &[Tensor]) -> Tensor {
    let mut results = run(prim, args);
    assert_eq!(results.len(), 1);
    results.remove(0)
}

fn f(shape: &[usize], values: &[f64]) -> Tensor {
    Tensor::from_values(Elem::F32, shape, values)
}

fn ints(values: &[i32]) -> Tensor {
    Tensor::from_i32(&[values.len()], values)
}

/// 0, 1, 2, ... in a shape.
fn count(shape: &[usize]) -> Tensor {
    let n = shape.iter().product::<usize>();
    f(shape, &(0..n).map(|i| i as f64).collect::<Vec<_>>())
}

#[track_caller]
fn same(found: &Tensor, expected: &Tensor) {
    assert_eq!(found.ty(), expected.ty());
    assert_eq!(
        found.max_abs_diff(expected),
        0.0,
        "{:?} is not {:?}",
        found.values(),
        expected.values()
    );
}

fn dims(values: &[i64]) -> Vec<Dim> {
    values.iter().map(|&v| Dim::Const(v)).collect()
}

fn shape(values: &[i64]) -> Shape {
    dims(values).into_iter().collect()
}

#[test]
fn unary_edges() {
    let cases: &[(Unary, &[f64], &[f64])] = &[
        (Unary::Neg, &[1.5, -INF], &[-1.5, INF]),
        (Unary::Abs, &[-1.5, -INF, NAN], &[1.5, INF, NAN]),
        (Unary::Sign, &[-2.0, 0.0, 3.0, NAN], &[-1.0, 0.0, 1.0, NAN]),
        (Unary::Floor, &[-1.5, 1.5], &[-2.0, 1.0]),
        (Unary::Ceil, &[-1.5, 1.5], &[-1.0, 2.0]),
        (
            Unary::Round,
            &[0.5, 1.5, 2.5, -0.5, -1.5],
            &[0.0, 2.0, 2.0, 0.0, -2.0],
        ),
        (Unary::Sqrt, &[4.0, -1.0], &[2.0, NAN]),
        (Unary::Exp, &[0.0, -INF, 100.0], &[1.0, 0.0, INF]),
        (Unary::Log, &[1.0, 0.0, -1.0], &[0.0, -INF, NAN]),
        (Unary::Log1p, &[0.0, -1.0], &[0.0, -INF]),
        (Unary::Expm1, &[0.0, -INF], &[0.0, -1.0]),
        (Unary::Sin, &[0.0], &[0.0]),
        (Unary::Cos, &[0.0], &[1.0]),
        (Unary::Tanh, &[0.0, 50.0, -INF], &[0.0, 1.0, -1.0]),
        (Unary::Logistic, &[0.0, 1000.0, -1000.0], &[0.5, 1.0, 0.0]),
        (Unary::Erf, &[0.0, INF, -INF], &[0.0, 1.0, -1.0]),
    ];
    for (op, x, y) in cases {
        for elem in [Elem::F32, Elem::F64] {
            let found = run1(
                Prim::Unary(*op),
                &[Tensor::from_values(elem, &[x.len()], x)],
            );
            // 100.0 overflows F32 only.
            if !(elem == Elem::F64 && *op == Unary::Exp) {
                same(&found, &Tensor::from_values(elem, &[y.len()], y));
            }
        }
    }
    // Abramowitz and Stegun, table 7.1.
    let erf = run1(Prim::Unary(Unary::Erf), &[Tensor::from_f64(&[1], &[1.0])]);
    assert!((erf.item() - 0.842_700_792_9).abs() < 1e-10);
    let small = run1(Prim::Unary(Unary::Expm1), &[f(&[1], &[1e-10])]);
    assert_eq!(small.item(), f64::from(1e-10f32));
    same(
        &run1(Prim::Unary(Unary::Neg), &[ints(&[i32::MIN, 5])]),
        &ints(&[i32::MIN, -5]),
    );
    same(
        &run1(
            Prim::Unary(Unary::Not),
            &[Tensor::from_bool(&[2], &[true, false])],
        ),
        &Tensor::from_bool(&[2], &[false, true]),
    );
}

#[test]
fn float_binaries() {
    let cases: &[(Binary, [f64; 3])] = &[
        (Binary::Add, [INF, -INF, NAN]),
        (Binary::Sub, [3.0, 5.0, -2.0]),
        (Binary::Mul, [0.0, INF, NAN]),
        (Binary::Div, [1.0, 0.0, INF]),
        (Binary::Rem, [7.0, 3.0, 1.0]),
        (Binary::Rem, [-7.0, 3.0, 2.0]),
        (Binary::Rem, [7.0, -3.0, -2.0]),
        (Binary::Rem, [-7.0, -3.0, -1.0]),
        (Binary::Rem, [1.0, 0.0, NAN]),
        (Binary::Pow, [-2.0, 3.0, -8.0]),
        (Binary::Pow, [0.0, 0.0, 1.0]),
        (Binary::Pow, [-2.0, 0.5, NAN]),
        (Binary::Max, [NAN, 1.0, NAN]),
        (Binary::Max, [1.0, NAN, NAN]),
        (Binary::Max, [-1.0, 2.0, 2.0]),
        (Binary::Min, [NAN, 1.0, NAN]),
        (Binary::Min, [1.0, NAN, NAN]),
        (Binary::Min, [-INF, 2.0, -INF]),
    ];
    for (op, [a, b, expected]) in cases {
        let found = run1(Prim::Binary(*op), &[f(&[], &[*a]), f(&[], &[*b])]);
        same(&found, &f(&[], &[*expected]));
    }
}

#[test]
fn integer_binaries() {
    let cases: &[(Binary, [i32; 3])] = &[
        (Binary::Add, [i32::MAX, 1, i32::MIN]),
        (Binary::Sub, [i32::MIN, 1, i32::MAX]),
        (Binary::Mul, [1 << 30, 4, 0]),
        (Binary::Div, [-7, 2, -3]),
        (Binary::Div, [7, 0, 0]),
        (Binary::Div, [i32::MIN, -1, i32::MIN]),
        (Binary::Rem, [-7, 3, 2]),
        (Binary::Rem, [7, -3, -2]),
        (Binary::Rem, [7, 0, 0]),
        (Binary::Rem, [i32::MIN, -1, 0]),
        (Binary::Max, [-1, 2, 2]),
        (Binary::Min, [-1, 2, -1]),
    ];
    for (op, [a, b, expected]) in cases {
        same(
            &run1(Prim::Binary(*op), &[ints(&[*a]), ints(&[*b])]),
            &ints(&[*expected]),
        );
    }
    let bytes = |v| Tensor::from_u8(&[1], &[v]);
    same(
        &run1(Prim::Binary(Binary::Max), &[bytes(3), bytes(200)]),
        &bytes(200),
    );
    let (t, u) = ([true, true, false], [true, false, false]);
    let logic = [Tensor::from_bool(&[3], &t), Tensor::from_bool(&[3], &u)];
    same(
        &run1(Prim::Binary(Binary::And), &logic),
        &Tensor::from_bool(&[3], &u),
    );
    same(
        &run1(Prim::Binary(Binary::Or), &logic),
        &Tensor::from_bool(&[3], &t),
    );
}

#[test]
fn comparisons_and_select() {
    let (x, y) = (f(&[3], &[1.0, 2.0, NAN]), f(&[3], &[2.0, 2.0, NAN]));
    let cases = [
        (Compare::Eq, [false, true, false]),
        (Compare::Ne, [true, false, true]),
        (Compare::Lt, [true, false, false]),
        (Compare::Le, [true, true, false]),
        (Compare::Gt, [false, false, false]),
        (Compare::Ge, [false, true, false]),
    ];
    for (op, expected) in cases {
        let found = run1(Prim::Compare(op), &[x.clone(), y.clone()]);
        same(&found, &Tensor::from_bool(&[3], &expected));
    }
    let c = Tensor::from_bool(&[3], &[true, false, true]);
    same(&run1(Prim::Select, &[c, x, y]), &f(&[3], &[1.0, 2.0, NAN]));
}

#[test]
fn casts_truncate_and_saturate() {
    let x = f(&[7], &[1.9, -1.9, 1e10, -1e10, NAN, 300.0, 0.0]);
    let to = |elem| run1(Prim::Cast(elem), std::slice::from_ref(&x));
    let wide = Tensor::from_i32(&[7], &[1, -1, i32::MAX, i32::MIN, 0, 300, 0]);
    same(&to(Elem::I32), &wide);
    same(
        &to(Elem::U8),
        &Tensor::from_u8(&[7], &[1, 0, 255, 0, 0, 255, 0]),
    );
    let truth = [true, true, true, true, true, true, false];
    same(&to(Elem::Bool), &Tensor::from_bool(&[7], &truth));
    same(
        &run1(Prim::Cast(Elem::U8), &[ints(&[-1, 256])]),
        &Tensor::from_u8(&[2], &[0, 255]),
    );
    let odd = ints(&[16_777_217]);
    same(
        &run1(Prim::Cast(Elem::F32), &[odd]),
        &f(&[1], &[16_777_216.0]),
    );
    let b = Tensor::from_bool(&[2], &[true, false]);
    same(&run1(Prim::Cast(Elem::F32), &[b]), &f(&[2], &[1.0, 0.0]));
}

#[test]
fn constants_and_counters() {
    for elem in Elem::ALL {
        let one = run1(Prim::Const { value: 1.0, elem }, &[]);
        same(&one, &Tensor::scalar(elem, 1.0));
    }
    let size = Prim::Size {
        dim: Dim::Const(9),
        elem: Elem::I32,
    };
    same(&run1(size, &[]), &Tensor::scalar(Elem::I32, 9.0));
    let iota = Prim::Iota {
        axis: 1,
        shape: shape(&[2, 3]),
        elem: Elem::I32,
    };
    same(
        &run1(iota, &[]),
        &Tensor::from_i32(&[2, 3], &[0, 1, 2, 0, 1, 2]),
    );
    let random = Prim::Random {
        site: "drop".into(),
        shape: shape(&[5, 30]),
    };
    let found = run1(random, &[Tensor::scalar(Elem::I32, 3.0)]);
    let key = random::site_key(7, "drop");
    let expected: Vec<f32> = (0..150).map(|i| random::uniform(key, 3, i)).collect();
    same(&found, &Tensor::from_f32(&[5, 30], &expected));
}

#[test]
fn moves() {
    let x = count(&[2, 3]);
    let one = |prim| run1(prim, std::slice::from_ref(&x));
    same(&one(Prim::StopGradient), &x);
    same(&one(Prim::Reshape(shape(&[3, 2]))), &count(&[3, 2]));
    same(
        &one(Prim::Transpose(vec![1, 0])),
        &f(&[3, 2], &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]),
    );
    // Reshape reads a transposed tensor in its own row-major order.
    let mut g = Graph::new("chain");
    let v = g.input("x", Role::Plain, x.ty());
    let t = g
        .push1(Prim::Transpose(vec![1, 0]), &[v], OriginId::default())
        .unwrap();
    let r = g
        .push1(Prim::Reshape(shape(&[6])), &[t], OriginId::default())
        .unwrap();
    g.output("y", OutputRole::Result, r);
    same(
        &evaluate(&g, std::slice::from_ref(&x), 0)[0],
        &f(&[6], &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]),
    );

    let stretch = Prim::Broadcast {
        shape: shape(&[2, 2, 3]),
        axes: vec![0, 2],
    };
    let stretched = [0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 3.0, 4.0, 5.0];
    same(&one(stretch), &f(&[2, 2, 3], &stretched));
    let column = Prim::Broadcast {
        shape: shape(&[2, 2]),
        axes: vec![0, 1],
    };
    same(
        &run1(column, &[count(&[2, 1])]),
        &f(&[2, 2], &[0.0, 0.0, 1.0, 1.0]),
    );

    let part = Prim::Slice {
        starts: dims(&[1, 0]),
        ends: dims(&[2, 3]),
        steps: vec![1, 2],
    };
    same(&one(part), &f(&[1, 2], &[3.0, 5.0]));
    let nothing = Prim::Slice {
        starts: dims(&[2, 0]),
        ends: dims(&[2, 3]),
        steps: vec![1, 1],
    };
    same(&one(nothing), &count(&[0, 3]));
    same(
        &one(Prim::Reverse { axes: vec![0, 1] }),
        &f(&[2, 3], &[5.0, 4.0, 3.0, 2.0, 1.0, 0.0]),
    );
    let both = run1(
        Prim::Concat { axis: 1 },
        &[x.clone(), f(&[2, 1], &[8.0, 9.0])],
    );
    same(
        &both,
        &f(&[2, 4], &[0.0, 1.0, 2.0, 8.0, 3.0, 4.0, 5.0, 9.0]),
    );

    let pad = |low, high, interior: usize| Prim::Pad {
        low: dims(&[low]),
        high: dims(&[high]),
        interior: vec![interior],
    };
    let seven = f(&[], &[7.0]);
    same(
        &run1(pad(1, 2, 1), &[f(&[2], &[1.0, 2.0]), seven.clone()]),
        &f(&[6], &[7.0, 1.0, 7.0, 2.0, 7.0, 7.0]),
    );
    same(
        &run1(pad(1, 1, 3), &[f(&[0], &[]), seven]),
        &f(&[2], &[7.0, 7.0]),
    );
}

#[test]
fn reductions() {
    let x = f(&[2, 3], &[1.0, -2.0, 3.0, NAN, 5.0, 6.0]);
    let reduce = |op, axes: &[usize], x: &Tensor| {
        run1(
            Prim::Reduce {
                op,
                axes: axes.to_vec(),
            },
            std::slice::from_ref(x),
        )
    };
    same(&reduce(Reduce::Sum, &[1], &x), &f(&[2], &[2.0, NAN]));
    same(&reduce(Reduce::Prod, &[1], &x), &f(&[2], &[-6.0, NAN]));
    same(&reduce(Reduce::Max, &[1], &x), &f(&[2], &[3.0, NAN]));
    same(&reduce(Reduce::Min, &[0], &x), &f(&[3], &[NAN, -2.0, 3.0]));
    same(&reduce(Reduce::Sum, &[], &x), &x);
    same(
        &reduce(Reduce::Sum, &[0, 1], &count(&[2, 3])),
        &f(&[], &[15.0]),
    );
    let none = count(&[2, 0]);
    for (op, empty) in [
        (Reduce::Sum, 0.0),
        (Reduce::Prod, 1.0),
        (Reduce::Max, -INF),
        (Reduce::Min, INF),
    ] {
        same(&reduce(op, &[1], &none), &f(&[2], &[empty, empty]));
    }
    same(
        &reduce(Reduce::Sum, &[0], &ints(&[i32::MAX, 2])),
        &Tensor::scalar(Elem::I32, f64::from(i32::MIN + 1)),
    );
    same(
        &reduce(Reduce::Max, &[0], &ints(&[-3, -2])),
        &Tensor::scalar(Elem::I32, -2.0),
    );
    // In f32 the ones would be lost.
    let long = f(&[3], &[1e8, 1.0, -1e8]);
    same(&reduce(Reduce::Sum, &[0], &long), &f(&[], &[1.0]));

    let arg = |x: &Tensor| run1(Prim::ArgMax { axis: 0 }, std::slice::from_ref(x)).item();
    assert_eq!(arg(&f(&[4], &[1.0, 3.0, 3.0, 2.0])), 1.0);
    assert_eq!(arg(&f(&[4], &[1.0, NAN, 3.0, NAN])), 1.0);
    assert_eq!(arg(&f(&[2], &[-INF, -INF])), 0.0);
    assert_eq!(arg(&Tensor::from_bool(&[2], &[false, true])), 1.0);

    let order = |axis, x: &Tensor| run1(Prim::ArgSort { axis }, std::slice::from_ref(x)).values();
    let ties = f(&[6], &[2.0, NAN, -0.0, 2.0, 0.0, -INF]);
    assert_eq!(order(0, &ties), [5.0, 2.0, 4.0, 0.0, 3.0, 1.0]);
    let columns = f(&[3, 2], &[3.0, 1.0, 1.0, 1.0, 2.0, 0.0]);
    assert_eq!(order(0, &columns), [1.0, 2.0, 2.0, 0.0, 0.0, 1.0]);
    assert_eq!(order(1, &columns), [1.0, 0.0, 0.0, 1.0, 1.0, 0.0]);
}

#[test]
fn contraction_orders_its_axes() {
    // Against the definition: y[b, i, j, k] = sum_c x[i, c, b] * w[b, j, c, k].
    let (x, w) = (count(&[2, 4, 3]), count(&[3, 5, 4, 2]));
    let dims = DotDims {
        batch: vec![(2, 0)],
        contract: vec![(1, 2)],
    };
    let found = run1(Prim::Dot(dims), &[x.clone(), w.clone()]);
    assert_eq!(found.shape(), [3, 2, 5, 2]);
    let (x, w, y) = (x.values(), w.values(), found.values());
    let mut at = 0;
    for b in 0..3 {
        for i in 0..2 {
            for j in 0..5 {
                for k in 0..2 {
                    let term = |c: usize| x[(i * 4 + c) * 3 + b] * w[((b * 5 + j) * 4 + c) * 2 + k];
                    assert_eq!(y[at], (0..4).map(term).sum::<f64>());
                    at += 1;
                }
            }
        }
    }
    let outer = run1(Prim::Dot(DotDims::default()), &[count(&[2]), count(&[3])]);
    same(&outer, &f(&[2, 3], &[0.0, 0.0, 0.0, 0.0, 1.0, 2.0]));
}

#[test]
fn gather_clamps_and_scatter_adds() {
    let x = count(&[3, 2]);
    let i = Tensor::from_i32(&[2, 2], &[2, 0, -5, 9]);
    let rows = run1(Prim::Gather { axis: 0 }, &[x.clone(), i.clone()]);
    same(
        &rows,
        &f(&[2, 2, 2], &[4.0, 5.0, 0.0, 1.0, 0.0, 1.0, 4.0, 5.0]),
    );
    let columns = run1(Prim::Gather { axis: 1 }, &[x, ints(&[1])]);
    same(&columns, &f(&[3, 1], &[1.0, 3.0, 5.0]));
    let add = |axis, size| Prim::ScatterAdd {
        axis,
        size: Dim::Const(size),
    };
    let sums = run1(add(0, 3), &[i, rows]);
    same(&sums, &f(&[3, 2], &[0.0, 2.0, 0.0, 0.0, 8.0, 10.0]));
    let sums = run1(add(1, 2), &[ints(&[1, 1, 7]), count(&[2, 3])]);
    same(&sums, &f(&[2, 2], &[0.0, 3.0, 0.0, 12.0]));
    let whole = run1(add(0, 2), &[ints(&[1, 1]), ints(&[4, 5])]);
    same(&whole, &ints(&[0, 9]));
}

fn conv_dims(
    strides: &[usize],
    dilation: &[usize],
    low: &[i64],
    high: &[i64],
    groups: usize,
) -> ConvDims {
    ConvDims {
        strides: strides.to_vec(),
        dilation: dilation.to_vec(),
        low: dims(low),
        high: dims(high),
        groups,
    }
}

#[test]
fn convolution_by_hand() {
    // Cross-correlation: the kernel is not flipped.
    let c = conv_dims(&[1], &[1], &[1], &[0], 1);
    let x = f(&[1, 4, 1], &[1.0, 2.0, 3.0, 4.0]);
    let k = f(&[2, 1, 1], &[10.0, 1.0]);
    let y = run1(Prim::Conv(c), &[x.clone(), k.clone()]);
    same(&y, &f(&[1, 4, 1], &[1.0, 12.0, 23.0, 34.0]));
    let c = conv_dims(&[2], &[2], &[0], &[1], 1);
    let y = run1(Prim::Conv(c), &[x, k]);
    same(&y, &f(&[1, 2, 1], &[13.0, 30.0]));
    // Two groups: each filter sees its own channel.
    let c = conv_dims(&[1], &[1], &[0], &[0], 2);
    let x = f(&[1, 1, 2], &[2.0, 3.0]);
    let k = f(&[1, 1, 4], &[1.0, 10.0, 100.0, 1000.0]);
    same(
        &run1(Prim::Conv(c), &[x, k]),
        &f(&[1, 1, 4], &[2.0, 20.0, 300.0, 3000.0]),
    );
}

/// The three convolutions are one trilinear form: `<conv(x, k), dy>` is also
/// `<x, input_grad(dy, k)>` and `<k, kernel_grad(x, dy)>`.
#[test]
fn convolution_gradients_are_its_adjoints() {
    for c in [
        conv_dims(&[1, 1], &[1, 1], &[0, 0], &[0, 0], 1),
        conv_dims(&[2, 1], &[1, 2], &[1, 0], &[2, 3], 1),
        conv_dims(&[1, 2], &[2, 1], &[1, 2], &[0, 1], 2),
    ] {
        let x = count(&[2, 6, 5, 4]);
        let k = count(&[3, 2, 4 / c.groups, 6]);
        let y = run1(Prim::Conv(c.clone()), &[x.clone(), k.clone()]);
        let mut state = 1u32;
        let dy: Vec<f64> = (0..y.len())
            .map(|_| {
                state = state.wrapping_mul(747_796_405).wrapping_add(1);
                f64::from(state >> 24) - 128.0
            })
            .collect();
        let dy = f(y.shape(), &dy);
        let input = Prim::ConvInputGrad {
            conv: c.clone(),
            spatial: dims(&[6, 5]),
        };
        let kernel = Prim::ConvKernelGrad {
            conv: c,
            kernel: dims(&[3, 2]),
        };
        let dx = run1(input, &[dy.clone(), k.clone()]);
        let dk = run1(kernel, &[x.clone(), dy.clone()]);
        let inner = |a: &Tensor, b: &Tensor| -> f64 {
            a.values().iter().zip(b.values()).map(|(a, b)| a * b).sum()
        };
        let expected = inner(&y, &dy);
        assert!(expected.abs() > 1.0);
        for found in [inner(&x, &dx), inner(&k, &dk)] {
            assert!(
                (found - expected).abs() <= expected.abs() * 1e-5,
                "{found} is not {expected}"
            );
        }
    }
}

#[test]
fn windows_and_their_gradients() {
    let w = WindowDims {
        window: vec![2],
        strides: vec![1],
        low: dims(&[1]),
        high: dims(&[1]),
    };
    let x = f(&[1, 4, 1], &[-1.0, -3.0, -3.0, NAN]);
    let of = |op, args: &[Tensor]| {
        run1(
            Prim::Window {
                op,
                dims: w.clone(),
            },
            args,
        )
    };
    let grad = |op, args: &[Tensor]| {
        run1(
            Prim::WindowGrad {
                op,
                dims: w.clone(),
            },
            args,
        )
    };
    let max = of(WindowOp::Max, std::slice::from_ref(&x));
    same(&max, &f(&[1, 5, 1], &[-1.0, -1.0, -3.0, NAN, NAN]));
    let sum = of(WindowOp::Sum, std::slice::from_ref(&x));
    same(&sum, &f(&[1, 5, 1], &[-1.0, -4.0, -6.0, NAN, NAN]));
    let dy = f(&[1, 5, 1], &[1.0, 10.0, 100.0, 1000.0, 10000.0]);
    // The tie of the third window goes to the first; NaN is the largest.
    let args = [x, dy];
    same(
        &grad(WindowOp::Max, &args),
        &f(&[1, 4, 1], &[11.0, 100.0, 0.0, 11000.0]),
    );
    same(
        &grad(WindowOp::Sum, &args),
        &f(&[1, 4, 1], &[11.0, 110.0, 1100.0, 11000.0]),
    );

    let w = WindowDims {
        window: vec![2, 2],
        strides: vec![2, 2],
        low: dims(&[0, 0]),
        high: dims(&[0, 0]),
    };
    let max = run1(
        Prim::Window {
            op: WindowOp::Max,
            dims: w,
        },
        &[count(&[1, 2, 4, 2])],
    );
    same(&max, &f(&[1, 1, 2, 2], &[10.0, 11.0, 14.0, 15.0]));
}

/// h' = h * k + x, stacked: h' and x + k.
fn recurrence(length: i64, reverse: bool) -> Scan {
    let mut body = Graph::new("body");
    let [h, x, k] = ["h", "x", "k"].map(|n| body.input(n, Role::Plain, Type::scalar(Elem::F32)));
    let mut binary = |op, a, b| {
        body.push1(Prim::Binary(op), &[a, b], OriginId::default())
            .unwrap()
    };
    let product = binary(Binary::Mul, h, k);
    let next = binary(Binary::Add, product, x);
    let other = binary(Binary::Add, x, k);
    body.output("h", OutputRole::Result, next);
    body.output("hs", OutputRole::Result, next);
    body.output("sums", OutputRole::Result, other);
    Scan {
        body: body.into(),
        carries: 1,
        scanned: 1,
        length: Dim::Const(length),
        reverse,
    }
}

#[test]
fn scan_carries_stacks_and_reverses() {
    let args = |n: usize| [f(&[], &[1.0]), count(&[n]), f(&[], &[2.0])];
    let forward = run(Prim::Scan(recurrence(3, false)), &args(3));
    same(&forward[0], &f(&[], &[12.0]));
    same(&forward[1], &f(&[3], &[2.0, 5.0, 12.0]));
    same(&forward[2], &f(&[3], &[2.0, 3.0, 4.0]));
    let backward = run(Prim::Scan(recurrence(3, true)), &args(3));
    same(&backward[0], &f(&[], &[18.0]));
    same(&backward[1], &f(&[3], &[18.0, 9.0, 4.0]));
    same(&backward[2], &f(&[3], &[2.0, 3.0, 4.0]));
    let none = run(Prim::Scan(recurrence(0, false)), &args(0));
    same(&none[0], &f(&[], &[1.0]));
    same(&none[1], &count(&[0]));
}

#[test]
fn updates_are_seen_only_after_the_run() {
    let mut g = Graph::new("swap");
    let a = g.input("a", Role::State, Type::scalar(Elem::F32));
    let b = g.input("b", Role::State, Type::scalar(Elem::F32));
    g.output("a", OutputRole::Update(0), b);
    g.output("seen", OutputRole::Result, a);
    g.output("b", OutputRole::Update(1), a);
    let found = evaluate(&g, &[f(&[], &[1.0]), f(&[], &[2.0])], 0);
    assert_eq!(
        found.iter().map(Tensor::item).collect::<Vec<_>>(),
        [2.0, 1.0, 1.0]
    );
}

#[test]
fn what_cannot_run_is_refused() {
    let options = Options {
        seed: 0,
        threads: 1,
    };
    let mut g = Graph::new("symbols");
    g.input("x", Role::Plain, Type::new(Elem::F32, [Dim::symbol("B")]));
    let refusal = |g: &Graph| {
        Interpreter::compile(g, &options)
            .err()
            .map(|e| e.to_string())
    };
    assert_eq!(refusal(&g).unwrap(), "input `x`: the size B remains");
    let known = Bindings::from([("B".into(), 3)]);
    assert_eq!(refusal(&g.specialize(&known).unwrap()), None);

    let mut g = Graph::new("gradient");
    let x = g.input("x", Role::Plain, Type::scalar(Elem::F32));
    g.push(Prim::Gradient, &[x, x], OriginId::default())
        .unwrap();
    assert_eq!(
        refusal(&g).unwrap(),
        "node 0 (gradient): a gradient remains"
    );
}
