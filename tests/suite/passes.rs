//! Passes: the files of `tests/passes` before and after the pipeline, and what must
//! hold of any graph.

use nnc::backend::interp::evaluate;
use nnc::ir::text_parse::parse;
use nnc::ir::{Elem, Graph, Prim, Stage, Tensor, Type, Value, verify};
use nnc::passes::autodiff::autodiff;
use nnc::passes::dce::dce;
use nnc::passes::optimize;
use nnc::passes::simplify::simplify;

use crate::gradients::Writer;
use crate::support::random_graph::{Limits, random_graph, random_inputs};

/// Symbols in `tests/passes` and what they are bound to where a file is run.
const SIZES: [(&str, i64); 2] = [("B", 3), ("L", 4)];

fn specialized(graph: &Graph) -> Graph {
    let sizes = SIZES.iter().map(|(n, v)| ((*n).into(), *v));
    graph.specialize(&sizes.collect()).expect("sizes that fit")
}

#[test]
fn files_of_graphs_before_and_after() {
    insta::glob!("../passes", "*.ir", |path| {
        let source = std::fs::read_to_string(path).expect("a file");
        let graph = parse(&source).expect("a graph");
        assert_eq!(verify(&graph, Stage::Built), Ok(()));
        let after = optimize(&graph).expect("passes that succeed");
        assert_eq!(verify(&after, Stage::Differentiated), Ok(()));
        let plain = specialized(&autodiff(&graph).expect("a gradient"));
        let inputs = random_inputs(&plain, 1);
        let expected = evaluate(&plain, &inputs, 0);
        for (e, f) in expected
            .iter()
            .zip(evaluate(&specialized(&after), &inputs, 0))
        {
            assert!(e.max_rel_diff(&f) < 1e-5, "{}", path.display());
        }
        insta::assert_snapshot!(format!("{source}\nbecomes\n\n{after}"));
    });
}

#[test]
fn random_graphs_compute_the_same_afterwards() {
    let limits = Limits {
        attempts: 60,
        symbols: false,
        gradients: false,
    };
    for seed in 0..200 {
        let graph = random_graph(seed, limits);
        let after = simplify(&graph).expect("sizes that fit");
        assert_eq!(
            verify(&after, Stage::Specialized),
            Ok(()),
            "{seed}\n{graph}\n{after}"
        );
        let inputs = random_inputs(&graph, seed);
        let before = evaluate(&graph, &inputs, seed);
        for (i, (b, a)) in before
            .iter()
            .zip(evaluate(&after, &inputs, seed))
            .enumerate()
        {
            let off = b.max_rel_diff(&a);
            assert!(
                off < 1e-5,
                "seed {seed}, output {i}: off by {off}\n{graph}\n{after}"
            );
        }
    }
}

#[test]
fn random_gradients_are_the_same_with_and_without_simplifying() {
    let limits = Limits {
        attempts: 60,
        symbols: false,
        gradients: true,
    };
    let mut checked = 0;
    for seed in 0..200 {
        let graph = random_graph(seed, limits);
        let plain = autodiff(&graph).expect("sizes that fit");
        assert_eq!(
            verify(&plain, Stage::Specialized),
            Ok(()),
            "{seed}\n{graph}"
        );
        let after = simplify(&autodiff(&simplify(&graph).expect("sizes")).expect("sizes"));
        let after = after.expect("sizes that fit");
        let inputs = random_inputs(&graph, seed);
        let before = evaluate(&plain, &inputs, seed);
        for (i, (b, a)) in before
            .iter()
            .zip(evaluate(&after, &inputs, seed))
            .enumerate()
        {
            let finite = b.values().iter().all(|v| v.is_finite());
            checked += usize::from(finite);
            let off = b.max_rel_diff(&a);
            assert!(
                !finite || off < 1e-4,
                "seed {seed}, output {i}: off by {off}\n{graph}\n{after}"
            );
        }
    }
    assert!(checked > 1000, "{checked} results compared");
}

#[test]
fn passes_are_idempotent() {
    let limits = Limits {
        attempts: 60,
        symbols: true,
        gradients: true,
    };
    for seed in 0..120 {
        let graph = random_graph(seed, limits);
        let once = dce(&graph);
        assert_eq!(dce(&once), once, "seed {seed}");
        let once = simplify(&graph).expect("sizes that fit");
        let twice = simplify(&once).expect("sizes that fit");
        assert!(
            twice.to_string() == once.to_string(),
            "seed {seed}\n{once}\n{twice}"
        );
        assert!(
            nodes(&once) <= nodes(&graph),
            "seed {seed}\n{graph}\n{once}"
        );
        assert!(optimize(&graph) == optimize(&graph), "seed {seed}");
    }
}

/// With those of loops' bodies: what a loop computes but once leaves it.
fn nodes(g: &Graph) -> usize {
    let bodies = g.nodes.iter().map(|n| match &n.prim {
        Prim::Scan(s) => nodes(&s.body),
        _ => 0,
    });
    g.nodes.len() + bodies.sum::<usize>()
}

/// The outputs of a file of `tests/passes`-like text after the pipeline, for these inputs.
fn run(text: &str, inputs: &[Tensor]) -> Vec<Tensor> {
    let graph = optimize(&parse(text).expect("a graph")).expect("passes that succeed");
    evaluate(&graph, inputs, 0)
}

/// Loss and gradient by the logits, for logits of any size, in f32.
#[test]
fn crossentropies_are_finite_and_exact_for_extreme_logits() {
    let softmax = "graph loss(%x: f32[3, 3], %y: f32[3, 3]) {
      %m = reduce_max %x axes=[1]
      %ms = stop_gradient %m
      %mb = broadcast %ms shape=[3, 3] axes=[0]
      %u = sub %x, %mb
      %e = exp %u
      %s = reduce_sum %e axes=[1]
      %sb = broadcast %s shape=[3, 3] axes=[0]
      %p = div %e, %sb
      %eps = const value=1e-7 elem=f32
      %epss = broadcast %eps shape=[3, 3] axes=[]
      %c = max %p, %epss
      %l = log %c
      %t = mul %y, %l
      %r = reduce_sum %t axes=[0, 1]
      %n = neg %r
      %g = gradient %n, %x
      result \"loss\" = %n
      result \"g\" = %g
    }";
    let unshifted = softmax.replace("%u = sub %x, %mb", "%u = mul %x, %one")
        .replace("%m = reduce", "%one1 = const value=1 elem=f32\n%one = broadcast %one1 shape=[3, 3] axes=[]\n%m = reduce");
    let x = Tensor::from_f32(
        &[3, 3],
        &[1000.0, -1000.0, 0.0, 1000.0, -1000.0, 0.0, 2.0, 2.0, 2.0],
    );
    let y = Tensor::from_f32(&[3, 3], &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    let third = 1.0f32 / 3.0;
    for text in [softmax, &unshifted] {
        let found = run(text, &[x.clone(), y.clone()]);
        assert!(
            (found[0].item() - (2000.0 + 3f64.ln())).abs() < 1e-3,
            "{:?}",
            found[0]
        );
        let g = [0.0, 0.0, 0.0, 1.0, -1.0, 0.0, third, third, third - 1.0];
        assert!(
            found[1].max_abs_diff(&Tensor::from_f32(&[3, 3], &g)) < 1e-6,
            "{:?}",
            found[1]
        );
    }
    let binary = "graph loss(%x: f32[5], %y: f32[5]) {
      %p = logistic %x
      %eps = const value=1e-7 elem=f32
      %epss = broadcast %eps shape=[5] axes=[]
      %one = const value=1 elem=f32
      %ones = broadcast %one shape=[5] axes=[]
      %pc = max %p, %epss
      %lp = log %pc
      %q = sub %ones, %p
      %qc = max %q, %epss
      %lq = log %qc
      %z = sub %ones, %y
      %a = mul %y, %lp
      %b = mul %z, %lq
      %s = add %a, %b
      %n = neg %s
      %sum = reduce_sum %n axes=[0]
      %g = gradient %sum, %x
      result \"loss\" = %n
      result \"g\" = %g
    }";
    let x = Tensor::from_f32(&[5], &[1000.0, -1000.0, 1000.0, -1000.0, 0.0]);
    let y = Tensor::from_f32(&[5], &[1.0, 1.0, 0.0, 0.0, 1.0]);
    let found = run(binary, &[x, y]);
    let loss = [0.0, 1000.0, 1000.0, 0.0, std::f32::consts::LN_2];
    assert!(
        found[0].max_abs_diff(&Tensor::from_f32(&[5], &loss)) < 1e-4,
        "{:?}",
        found[0]
    );
    let g = [0.0, -1.0, 1.0, 0.0, -0.5];
    assert!(
        found[1].max_abs_diff(&Tensor::from_f32(&[5], &g)) < 1e-6,
        "{:?}",
        found[1]
    );
}

/// A user's focal loss: `q = select(y == 1, p, 1 - p); -(1 - q)^2 log q`.
#[test]
fn a_focal_loss_is_finite_for_extreme_logits() {
    let text = "graph loss(%x: f32[4], %y: i32[4]) {
      %p = logistic %x
      %one = const value=1 elem=f32
      %ones = broadcast %one shape=[4] axes=[]
      %np = sub %ones, %p
      %ione = const value=1 elem=i32
      %iones = broadcast %ione shape=[4] axes=[]
      %is = eq %y, %iones
      %q = select %is, %p, %np
      %r = sub %ones, %q
      %two = const value=2 elem=f32
      %twos = broadcast %two shape=[4] axes=[]
      %w = pow %r, %twos
      %l = log %q
      %t = mul %w, %l
      %n = neg %t
      %sum = reduce_sum %n axes=[0]
      %g = gradient %sum, %x
      result \"loss\" = %n
      result \"g\" = %g
    }";
    let x = Tensor::from_f32(&[4], &[1000.0, -1000.0, 1000.0, -1000.0]);
    let y = Tensor::from_i32(&[4], &[1, 1, 0, 0]);
    let found = run(text, &[x, y]);
    assert_eq!(found[0].values(), [0.0, 1000.0, 1000.0, 0.0]);
    assert_eq!(found[1].values(), [0.0, -1.0, 1.0, 0.0]);
}

/// Layers in a row, each `tanh(x w + b)`.
fn deep(layers: usize) -> Graph {
    let mut w = Writer::new();
    let weight = Type::of(Elem::F32, &[8, 8]);
    let bias = Type::of(Elem::F32, &[8]);
    let mut x = w
        .graph
        .input("x", nnc::ir::Role::Plain, Type::of(Elem::F32, &[4, 8]));
    let mut params: Vec<Value> = Vec::new();
    for i in 0..layers {
        let k = w
            .graph
            .input(&format!("w{i}"), nnc::ir::Role::Param, weight.clone());
        let b = w
            .graph
            .input(&format!("b{i}"), nnc::ir::Role::Param, bias.clone());
        let dims = nnc::ir::prim::DotDims {
            batch: Vec::new(),
            contract: vec![(1, 0)],
        };
        let z = w.push(Prim::Dot(dims), &[x, k]);
        let shape = w.graph.ty(z).shape.clone();
        let axes = vec![1];
        let b2 = w.push(Prim::Broadcast { shape, axes }, &[b]);
        let z = w.binary(nnc::ir::prim::Binary::Add, z, b2);
        x = w.push(Prim::Unary(nnc::ir::prim::Unary::Tanh), &[z]);
        params.extend([k, b]);
    }
    let loss = w.sum_all(x);
    for (i, g) in w.gradient(loss, &params).into_iter().enumerate() {
        w.graph
            .output(&format!("g{i}"), nnc::ir::OutputRole::Result, g);
    }
    w.graph
}

/// The work of the passes is linear: so is what they make, and a thousand layers are no feat.
#[test]
fn a_thousand_layers_pass() {
    let size = |n| optimize(&deep(n)).expect("passes that succeed").nodes.len();
    let (ten, twenty) = (size(10), size(20));
    assert_eq!(size(1000), ten + 99 * (twenty - ten));
}
