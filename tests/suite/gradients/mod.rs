//! Every primitive's gradient against central differences in f64, first and second order.
//!
//! A case builds some value `y` from its inputs; the loss is `sum(y * v)` with fixed
//! weights `v`, so that no two entries weigh the same. The second order checks the
//! gradient of `sum(dloss/dx * u)`, by the same inputs. [`cases`] matches on every
//! primitive: a new one does not compile without an entry.

mod cases;
mod loops;

use nnc::backend::interp::evaluate;
use nnc::ir::prim::{Binary, Prim, Reduce};
use nnc::ir::{Elem, Graph, OriginId, OutputRole, Role, Stage, Tensor, Type, Value, verify};
use nnc::passes::autodiff::autodiff;
use nnc::passes::optimize;

/// A function of some tensors, and where to differentiate it.
pub(crate) struct Case {
    pub name: String,
    pub inputs: Vec<Tensor>,
    /// Which inputs are differentiated.
    pub wrt: Vec<usize>,
    pub build: Build,
    /// Whether the gradient's gradient is checked too.
    pub second: bool,
}

/// Writes a function of its inputs.
pub(crate) type Build = Box<dyn Fn(&mut Writer, &[Value]) -> Value>;

/// A graph under construction, for tests: what is wrong is a failed test.
pub(crate) struct Writer {
    pub graph: Graph,
}

impl Writer {
    pub(crate) fn new() -> Writer {
        let graph = Graph::new("test");
        Writer { graph }
    }
    pub(crate) fn push(&mut self, prim: Prim, args: &[Value]) -> Value {
        self.push_all(prim, args)[0]
    }
    pub(crate) fn push_all(&mut self, prim: Prim, args: &[Value]) -> Vec<Value> {
        let results = self.graph.push(prim, args, OriginId::default());
        results.expect("a well typed node").to_vec()
    }
    pub(crate) fn input(&mut self, name: &str, like: &Tensor) -> Value {
        self.graph.input(name, Role::Plain, like.ty())
    }
    pub(crate) fn constant(&mut self, value: f64, elem: Elem) -> Value {
        self.graph.constant(value, elem)
    }
    pub(crate) fn fill(&mut self, value: f64, like: Value) -> Value {
        let ty = self.graph.ty(like).clone();
        let c = self.constant(value, ty.elem);
        let (shape, axes) = (ty.shape, Vec::new());
        self.push(Prim::Broadcast { shape, axes }, &[c])
    }
    pub(crate) fn binary(&mut self, op: Binary, a: Value, b: Value) -> Value {
        self.push(Prim::Binary(op), &[a, b])
    }
    pub(crate) fn sum_all(&mut self, x: Value) -> Value {
        let axes = (0..self.graph.ty(x).rank()).collect();
        let op = Reduce::Sum;
        self.push(Prim::Reduce { op, axes }, &[x])
    }
    /// `sum(x * weights)`, with weights from -1 to 1 that follow from `salt`.
    pub(crate) fn weigh(&mut self, x: Value, salt: f64) -> Value {
        let ty = self.graph.ty(x).clone();
        let count = ty.elements();
        let flat = Type::of(ty.elem, &[count]);
        let iota = Prim::Iota {
            axis: 0,
            shape: flat.shape,
            elem: ty.elem,
        };
        let index = self.push(iota, &[]);
        let salt = self.fill(salt, index);
        let angle = self.binary(Binary::Mul, index, salt);
        let angle = self.binary(Binary::Add, angle, salt);
        let weights = self.push(Prim::Unary(nnc::ir::prim::Unary::Sin), &[angle]);
        let weights = self.push(Prim::Reshape(ty.shape), &[weights]);
        let weighted = self.binary(Binary::Mul, x, weights);
        self.sum_all(weighted)
    }
    pub(crate) fn gradient(&mut self, loss: Value, wrt: &[Value]) -> Vec<Value> {
        let args: Vec<Value> = [loss].iter().chain(wrt).copied().collect();
        self.push_all(Prim::Gradient, &args)
    }
}

/// As [`written`], differentiated.
fn graph_of(case: &Case, order: usize, differentiate: bool) -> Graph {
    let graph = autodiff(&written(case, order, differentiate)).expect("sizes that fit");
    let checked = verify(&graph, Stage::Specialized);
    assert!(checked.is_ok(), "{}: {checked:?}", case.name);
    graph
}

/// The loss, and for `order` 2 the weighted sum of its gradients; gradients of it if `differentiate`.
fn written(case: &Case, order: usize, differentiate: bool) -> Graph {
    let mut w = Writer::new();
    let named = |i: usize| format!("x{i}");
    let args: Vec<Value> = case
        .inputs
        .iter()
        .enumerate()
        .map(|(i, t)| w.input(&named(i), t))
        .collect();
    let wrt: Vec<Value> = case.wrt.iter().map(|i| args[*i]).collect();
    let y = (case.build)(&mut w, &args);
    let mut loss = w.weigh(y, 0.7);
    if order == 2 {
        let mut total = None;
        for (i, g) in w.gradient(loss, &wrt).into_iter().enumerate() {
            let part = w.weigh(g, 1.3 + i as f64);
            total = Some(match total {
                None => part,
                Some(t) => w.binary(Binary::Add, t, part),
            });
        }
        loss = total.expect("a gradient");
    }
    if differentiate {
        for (i, g) in w.gradient(loss, &wrt).into_iter().enumerate() {
            w.graph.output(&named(i), OutputRole::Result, g);
        }
    } else {
        w.graph.output("loss", OutputRole::Result, loss);
    }
    w.graph
}

/// Compares the slope in several directions with central differences, and the gradients
/// with those of the optimized graph.
pub(crate) fn check(case: &Case) {
    for order in 1..=(1 + usize::from(case.second)) {
        let loss = graph_of(case, order, false);
        let gradients = evaluate(&graph_of(case, order, true), &case.inputs, 0);
        let optimized = optimize(&written(case, order, true)).expect("passes that succeed");
        for (plain, short) in gradients.iter().zip(evaluate(&optimized, &case.inputs, 0)) {
            let off = plain.max_rel_diff(&short);
            assert!(
                off < 1e-9,
                "{}: order {order}, optimized: off by {off}",
                case.name
            );
        }
        for (input, gradient) in case.wrt.iter().zip(&gradients) {
            let x = &case.inputs[*input];
            assert_eq!(gradient.ty(), x.ty(), "{}", case.name);
            for direction in directions(x.len()) {
                let h = 1e-4;
                let at = |step: f64| {
                    let moved = x.values().into_iter().zip(&direction);
                    let moved: Vec<f64> = moved.map(|(v, d)| v + step * d).collect();
                    let mut inputs = case.inputs.clone();
                    inputs[*input] = Tensor::from_f64(x.shape(), &moved);
                    evaluate(&loss, &inputs, 0)[0].item()
                };
                // Fourth order: the error is of the order of h^4.
                let (near, far) = (at(h) - at(-h), at(2.0 * h) - at(-2.0 * h));
                let expected = (8.0 * near - far) / (12.0 * h);
                let slopes = gradient.values().into_iter().zip(&direction);
                let found: f64 = slopes.map(|(g, d)| g * d).sum();
                assert!(
                    (expected - found).abs() <= 1e-6 * (1.0 + expected.abs()),
                    "{}: order {order}, input {input}: {found}, by differences {expected}",
                    case.name
                );
            }
        }
    }
}

/// Every axis of a small space; of a large one three directions in which no two entries weigh the same.
fn directions(entries: usize) -> Vec<Vec<f64>> {
    if entries <= 3 {
        let axis = |i: usize| (0..entries).map(|j| f64::from(u8::from(i == j))).collect();
        return (0..entries).map(axis).collect();
    }
    let weight = |i: usize, j: usize| ((1 + i) as f64 * 1.7 + (1 + j) as f64 * 0.9).sin();
    (0..3)
        .map(|i| (0..entries).map(|j| weight(i, j)).collect())
        .collect()
}

/// The gradients of a case, where differences do not give them (ties, zeros).
pub(crate) fn gradients(case: &Case) -> Vec<Vec<f64>> {
    let graph = graph_of(case, 1, true);
    let found = evaluate(&graph, &case.inputs, 0);
    found.iter().map(Tensor::values).collect()
}

/// Some values that are neither equal nor near a point where a primitive has a kink.
pub(crate) fn values(shape: &[usize], salt: usize) -> Tensor {
    let count = shape.iter().product();
    let value = |i: usize| {
        let unit = ((i * 37 + salt * 101 + 13) % 97) as f64 / 97.0;
        let sign = if (i * 7 + salt).is_multiple_of(3) {
            -1.0
        } else {
            1.0
        };
        sign * (0.25 + 1.5 * unit)
    };
    let all: Vec<f64> = (0..count).map(value).collect();
    Tensor::from_f64(shape, &all)
}

/// Values from 0.25 to 1.75.
pub(crate) fn positive(shape: &[usize], salt: usize) -> Tensor {
    let all: Vec<f64> = values(shape, salt)
        .values()
        .iter()
        .map(|v| v.abs())
        .collect();
    Tensor::from_f64(shape, &all)
}
