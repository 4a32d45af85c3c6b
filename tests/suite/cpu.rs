//! The CPU back end against the interpreter.
//!
//! A graph is run with all its values as outputs; every node is then checked alone, on the arguments that
//! the CPU computed, so that rounding does not add up and a comparison's flip does not spread.

use std::sync::Arc;

use nnc::backend::cpu::machine::features::Features;
use nnc::backend::cpu::machine::workspace::Workspace;
use nnc::backend::interp::evaluate;
use nnc::backend::{Options, cpu, run_on};
use nnc::ir::prim::{Binary, Prim, Reduce, Unary};
use nnc::ir::{Elem, Graph, OriginId, OutputRole, Role, Tensor, Type, Value};

use crate::support::random_graph::{Limits, Random, random_graph, random_inputs};

pub(crate) const LIMITS: Limits = Limits {
    attempts: 60,
    symbols: false,
    gradients: false,
};

pub(crate) fn run(
    graph: &Graph,
    inputs: &[Tensor],
    seed: u64,
    threads: usize,
    f: Features,
) -> Vec<Tensor> {
    let options = Options { seed, threads };
    let workspace = Arc::new(Workspace::new(threads));
    let mut compiled =
        cpu::compile_for(graph, &options, workspace, f).unwrap_or_else(|e| panic!("{e}\n{graph}"));
    run_on(&mut compiled, inputs)
}

/// The same graph with every value as a result.
pub(crate) fn all_visible(graph: &Graph) -> Graph {
    let mut graph = graph.clone();
    graph.outputs.clear();
    for v in 0..graph.value_count() as u32 {
        graph.output(&format!("v{v}"), OutputRole::Result, Value(v));
    }
    graph
}

/// How far a result may be from the exact one: relative to itself, and to the size of what was added up.
fn tolerance(prim: &Prim, args: &[&Tensor]) -> (f64, f64) {
    let unit = match args.first().map(|a| a.elem()) {
        Some(Elem::F64) => f64::EPSILON,
        _ => f64::from(f32::EPSILON),
    };
    let largest = |t: &Tensor| t.values().iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let counts = |t: &Tensor| t.len() as f64;
    match prim {
        Prim::Unary(op) => match op {
            Unary::Erf => (6.0 * unit, f64::from(f32::MIN_POSITIVE)),
            _ => (3.0 * unit, f64::from(f32::MIN_POSITIVE)),
        },
        Prim::Binary(Binary::Pow | Binary::Rem) => (2.0 * unit, f64::from(f32::MIN_POSITIVE)),
        Prim::Reduce {
            op: Reduce::Prod, ..
        } => (counts(args[0]) * unit, 0.0),
        Prim::Reduce {
            op: Reduce::Sum, ..
        } => (0.0, largest(args[0]) * counts(args[0]) * unit),
        Prim::ScatterAdd { .. } | Prim::WindowGrad { .. } => {
            (unit, largest(args[1]) * counts(args[1]) * unit)
        }
        Prim::Window { .. } => (unit, largest(args[0]) * counts(args[0]) * unit),
        Prim::Dot(_) | Prim::Conv(_) | Prim::ConvInputGrad { .. } | Prim::ConvKernelGrad { .. } => {
            let most = counts(args[0]).max(counts(args[1]));
            (0.0, largest(args[0]) * largest(args[1]) * most * unit)
        }
        // A loop's rounding depends on its body, which is checked where it is simple.
        Prim::Scan(_) => (1e-3, 1e-3),
        Prim::Const { .. }
        | Prim::Size { .. }
        | Prim::Iota { .. }
        | Prim::Random { .. }
        | Prim::Binary(_)
        | Prim::Compare(_)
        | Prim::Select
        | Prim::Cast(_)
        | Prim::StopGradient
        | Prim::Reshape(_)
        | Prim::Transpose(_)
        | Prim::Broadcast { .. }
        | Prim::Slice { .. }
        | Prim::Pad { .. }
        | Prim::Concat { .. }
        | Prim::Reverse { .. }
        | Prim::Reduce { .. }
        | Prim::ArgMax { .. }
        | Prim::ArgSort { .. }
        | Prim::Gather { .. }
        | Prim::Gradient => (0.0, 0.0),
    }
}

fn close(
    found: &Tensor,
    expected: &Tensor,
    (relative, absolute): (f64, f64),
) -> Result<(), String> {
    if found.ty() != expected.ty() {
        return Err(format!("{} for {}", found.ty(), expected.ty()));
    }
    for (i, (f, e)) in found.values().iter().zip(expected.values()).enumerate() {
        let same = f == &e || (f.is_nan() && e.is_nan());
        let near = (f - e).abs() <= relative * e.abs() + absolute;
        // What overflows one way and not the other is as close as floats get.
        let huge = f.abs().min(e.abs()) > 3.4e38;
        if !same && !near && !huge {
            return Err(format!("element {i}: {f:e} for {e:e}"));
        }
    }
    Ok(())
}

/// A loop whose body has steps or cancels may end anywhere within rounding.
fn is_chaotic(prim: &Prim) -> bool {
    matches!(prim, Prim::Scan(_))
}

/// Checks every node of `graph` on the values that the CPU computed.
fn check(graph: &Graph, inputs: &[Tensor], seed: u64, features: Features, name: &str) {
    let graph = all_visible(graph);
    let values = run(&graph, inputs, seed, 1, features);
    check_values(
        &graph,
        inputs,
        seed,
        &values,
        &format!("{name} {features:?}"),
    );
}

/// Checks every node of `graph` on `values`, those of all its nodes by some back end.
pub(crate) fn check_values(
    graph: &Graph,
    inputs: &[Tensor],
    seed: u64,
    values: &[Tensor],
    name: &str,
) {
    for (input, tensor) in graph.inputs.iter().zip(inputs) {
        let copied = &values[input.value.0 as usize];
        assert_eq!(close(copied, tensor, (0.0, 0.0)), Ok(()), "{name}: inputs");
    }
    for (n, node) in graph.nodes.iter().enumerate() {
        let mut alone = Graph::new("node");
        let args: Vec<&Tensor> = node.args.iter().map(|a| &values[a.0 as usize]).collect();
        let inputs: Vec<Value> = args
            .iter()
            .enumerate()
            .map(|(i, a)| alone.input(&format!("x{i}"), Role::Plain, a.ty()))
            .collect();
        let results = alone
            .push(node.prim.clone(), &inputs, OriginId::default())
            .expect("a node of a graph");
        for (i, r) in results.iter().enumerate() {
            alone.output(&format!("y{i}"), OutputRole::Result, *r);
        }
        let args_owned: Vec<Tensor> = args.iter().map(|a| (*a).clone()).collect();
        let expected = evaluate(&alone, &args_owned, seed);
        if is_chaotic(&node.prim) && expected.iter().any(|e| !finite_and_small(e)) {
            continue;
        }
        for (value, expected) in node.values().zip(&expected) {
            let found = &values[value.0 as usize];
            if let Err(e) = close(found, expected, tolerance(&node.prim, &args)) {
                panic!("{name}: node {n} {:?}\n{e}\n{graph}", node.prim.name());
            }
        }
    }
}

fn finite_and_small(t: &Tensor) -> bool {
    t.values().iter().all(|v| v.abs() < 1e6)
}

#[test]
fn random_graphs_agree_with_the_interpreter_node_by_node() {
    for features in Features::available() {
        for seed in 0..60 {
            let graph = random_graph(seed, LIMITS);
            check(
                &graph,
                &random_inputs(&graph, seed),
                seed,
                features,
                &format!("seed {seed}"),
            );
        }
    }
}

/// With their own outputs only, graphs fuse further; results stay what they were.
#[test]
fn fusion_does_not_change_results() {
    for features in Features::available() {
        for seed in 100..140 {
            let graph = random_graph(seed, LIMITS);
            let inputs = random_inputs(&graph, seed);
            let fused = run(&graph, &inputs, seed, 1, features);
            let all = run(&all_visible(&graph), &inputs, seed, 1, features);
            for (output, found) in graph.outputs.iter().zip(&fused) {
                let expected = &all[output.value.0 as usize];
                if let Err(e) = close(found, expected, (1e-4, 1e-5)) {
                    panic!("seed {seed} {features:?} {}: {e}\n{graph}", output.name);
                }
            }
        }
    }
}

/// Sums over lines, columns and all, and a product, of sizes that no machine likes.
pub(crate) fn wide() -> (Graph, [Tensor; 2]) {
    let mut g = Graph::new("wide");
    let o = OriginId::default();
    let ty = |s: &[usize]| Type::of(Elem::F32, s);
    let x = g.input("x", Role::Plain, ty(&[301, 517]));
    let w = g.input("w", Role::Param, ty(&[517, 67]));
    let e = g.push1(Prim::Unary(Unary::Exp), &[x], o).unwrap();
    let sum = |g: &mut Graph, v: Value, axes: &[usize]| {
        let prim = Prim::Reduce {
            op: Reduce::Sum,
            axes: axes.into(),
        };
        g.push1(prim, &[v], o).unwrap()
    };
    let (rows, columns, total) = (
        sum(&mut g, e, &[1]),
        sum(&mut g, e, &[0]),
        sum(&mut g, e, &[0, 1]),
    );
    let dims = nnc::ir::prim::DotDims {
        batch: vec![],
        contract: vec![(1, 0)],
    };
    let y = g.push1(Prim::Dot(dims), &[e, w], o).unwrap();
    for (i, v) in [e, rows, columns, total, y].into_iter().enumerate() {
        g.output(&format!("y{i}"), OutputRole::Result, v);
    }
    let mut random = Random(5);
    let mut tensor = |shape: &[usize]| {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count)
            .map(|_| random.below(1000) as f32 / 500.0 - 1.0)
            .collect();
        Tensor::from_f32(shape, &values)
    };
    let inputs = [tensor(&[301, 517]), tensor(&[517, 67])];
    (g, inputs)
}

#[test]
fn threads_do_not_change_a_bit() {
    let (g, inputs) = wide();
    for features in Features::available() {
        let one = run(&g, &inputs, 0, 1, features);
        for threads in [2, 3] {
            assert_eq!(
                one,
                run(&g, &inputs, 0, threads, features),
                "{threads} {features:?}"
            );
        }
        check(&g, &inputs, 0, features, "wide");
    }
}

/// Numbers of all magnitudes, infinities, NaN, zeros and subnormals.
pub(crate) fn magnitudes() -> Tensor {
    let mut values: Vec<f32> = (0..1 << 13).map(|i| f32::from_bits(i << 19)).collect();
    let mut random = Random(9);
    values
        .extend((0..20_000).map(|_| random.below(1 << 24) as f32 / (1 << 24) as f32 * 40.0 - 20.0));
    values.extend((0..20_000).map(|_| random.below(1 << 24) as f32 / (1 << 23) as f32 - 1.0));
    values.extend([
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        0.0,
        -0.0,
        1.0,
        -1.0,
    ]);
    Tensor::from_f32(&[values.len()], &values)
}

/// A graph of one function of a tensor of type `ty`; none where there is no such function.
pub(crate) fn unary(op: Unary, ty: Type) -> Option<Graph> {
    let mut g = Graph::new("unary");
    let v = g.input("x", Role::Plain, ty);
    let y = g.push1(Prim::Unary(op), &[v], OriginId::default()).ok()?;
    g.output("y", OutputRole::Result, y);
    Some(g)
}

#[test]
fn functions_are_accurate_everywhere() {
    let x = magnitudes();
    for features in Features::available() {
        for op in Unary::ALL {
            if let Some(g) = unary(op, x.ty()) {
                check(&g, std::slice::from_ref(&x), 0, features, op.name());
            }
        }
    }
}

/// Chains of elementwise operations, line and column sums over sizes around the vectors' widths: spills, masked
/// tails, several vectors a turn, values kept from pass to pass.
pub(crate) fn chain(seed: u64) -> Graph {
    let o = OriginId::default();
    let sizes = [1, 2, 15, 16, 17, 33, 64, 65, 130, 257];
    let mut random = Random(seed);
    let (rows, cols) = (random.of(&sizes), random.of(&sizes));
    let mut g = Graph::new("chain");
    let full = [rows, cols];
    let mut values: Vec<Value> = (0..3)
        .map(|i| g.input(&format!("x{i}"), Role::Plain, Type::of(Elem::F32, &full)))
        .collect();
    let lines = [
        g.input("row", Role::Plain, Type::of(Elem::F32, &[rows])),
        g.input("column", Role::Plain, Type::of(Elem::F32, &[cols])),
    ];
    let spread = |g: &mut Graph, v: Value, axis: usize| {
        let shape = Type::of(Elem::F32, &full).shape;
        let axes = vec![axis];
        g.push1(Prim::Broadcast { shape, axes }, &[v], o).unwrap()
    };
    for (axis, &line) in lines.iter().enumerate() {
        values.push(spread(&mut g, line, axis));
    }
    for _ in 0..40 {
        let (x, y) = (random.of(&values), random.of(&values));
        let unary = [
            Unary::Tanh,
            Unary::Logistic,
            Unary::Abs,
            Unary::Neg,
            Unary::Erf,
        ];
        let v = match random.below(8) {
            0 | 1 => {
                let axis = random.below(2);
                let op = random.of(&[Reduce::Max, Reduce::Min]);
                let axes = vec![1 - axis];
                let line = g.push1(Prim::Reduce { op, axes }, &[x], o).unwrap();
                spread(&mut g, line, axis)
            }
            2 | 3 => g.push1(Prim::Unary(random.of(&unary)), &[x], o).unwrap(),
            4 => {
                let which = nnc::ir::prim::Compare::Lt;
                let c = g.push1(Prim::Compare(which), &[x, y], o).unwrap();
                g.push1(Prim::Select, &[c, y, x], o).unwrap()
            }
            _ => {
                let op = random.of(&[Binary::Add, Binary::Sub, Binary::Mul, Binary::Max]);
                let v = g.push1(Prim::Binary(op), &[x, y], o).unwrap();
                // Bounded, so that nothing grows without end.
                g.push1(Prim::Unary(Unary::Tanh), &[v], o).unwrap()
            }
        };
        values.push(v);
    }
    for (i, v) in values.iter().rev().take(4).enumerate() {
        g.output(&format!("y{i}"), OutputRole::Result, *v);
    }
    g
}

#[test]
fn long_chains_over_odd_sizes_agree() {
    for seed in 0..24 {
        let g = chain(seed);
        let inputs = random_inputs(&g, seed);
        for features in Features::available() {
            let name = format!("chain {seed}");
            check(&g, &inputs, seed, features, &name);
            // No sums: fused further or not, the arithmetic is the same.
            let fused = run(&g, &inputs, seed, 2, features);
            let all = run(&all_visible(&g), &inputs, seed, 1, features);
            for (output, found) in g.outputs.iter().zip(&fused) {
                let expected = &all[output.value.0 as usize];
                assert_eq!(
                    close(found, expected, (0.0, 0.0)),
                    Ok(()),
                    "{name} {features:?}"
                );
            }
        }
    }
}
