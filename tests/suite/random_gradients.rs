//! Gradients of random graphs against differences: the rules in combination, which
//! [`gradients`](crate::gradients) checks one by one.

use nnc::backend::interp::evaluate;
use nnc::ir::{Dim, Graph, OutputRole, Prim, Stage, Tensor, Value, verify};
use nnc::passes::autodiff::autodiff;

use crate::gradients::Writer;
use crate::support::differences::{all_f64, slopes};
use crate::support::random_graph::{Limits, Random, random_graph};

/// Differences see through it.
fn without_stops(graph: &mut Graph) {
    for i in 0..graph.nodes.len() {
        let shape = graph.ty(graph.nodes[i].first).shape.clone();
        let prim = &mut graph.nodes[i].prim;
        if *prim == Prim::StopGradient {
            *prim = Prim::Reshape(shape);
        } else if let Prim::Scan(scan) = prim {
            let mut body = (*scan.body).clone();
            without_stops(&mut body);
            scan.body = body.into();
        }
    }
}

/// Autodiff takes a loop to run once at least: what its carries are after no step, it does not see.
fn has_idle_scan(graph: &Graph) -> bool {
    graph.nodes.iter().any(|n| match &n.prim {
        Prim::Scan(scan) => scan.length == Dim::ZERO || has_idle_scan(&scan.body),
        _ => false,
    })
}

/// Numbers from -1 to 1 for floats, small ones for integers; zeros there if `still`.
fn tensors(graph: &Graph, random: &mut Random, still: bool) -> Vec<Tensor> {
    let inputs = graph.inputs.iter();
    inputs
        .map(|input| {
            let zeros = Tensor::of_type(graph.ty(input.value)).expect("no symbols");
            let mut draw = || match zeros.elem().is_float() {
                true => random.below(1 << 30) as f64 / f64::from(1 << 29) - 1.0,
                false if still => 0.0,
                false => random.below(3) as f64,
            };
            let values: Vec<f64> = (0..zeros.len()).map(|_| draw()).collect();
            Tensor::from_values(zeros.elem(), zeros.shape(), &values)
        })
        .collect()
}

/// Whether every value is.
fn all_finite(graph: &Graph, inputs: &[Tensor]) -> bool {
    let mut graph = graph.clone();
    for v in (0..graph.value_count() as u32).map(Value) {
        graph.output(&format!("value{}", v.0), OutputRole::Result, v);
    }
    let results = evaluate(&graph, inputs, 1);
    results
        .iter()
        .all(|t| t.values().iter().all(|v| v.is_finite()))
}

#[test]
fn gradients_agree_with_differences() {
    let limits = Limits {
        attempts: 18,
        symbols: false,
        gradients: false,
    };
    let (mut checked, mut steep) = (0, 0);
    for seed in 1000..1060 {
        let mut graph = all_f64(&random_graph(seed, limits));
        if has_idle_scan(&graph) {
            continue;
        }
        without_stops(&mut graph);
        let outputs: Vec<Value> = std::mem::take(&mut graph.outputs)
            .iter()
            .map(|o| o.value)
            .filter(|v| graph.ty(*v).elem.is_float())
            .collect();
        let inputs = graph.inputs.iter().map(|i| i.value);
        let floats: Vec<Value> = inputs.filter(|v| graph.ty(*v).elem.is_float()).collect();
        let mut w = Writer { graph };
        let losses: Vec<Value> = outputs.iter().map(|v| w.weigh(*v, 0.7)).collect();
        let mut plain = w.graph.clone();
        for (i, loss) in losses.iter().enumerate() {
            plain.output(&format!("loss{i}"), OutputRole::Result, *loss);
        }
        let mut random = Random(seed);
        let at = tensors(&plain, &mut random, false);
        let direction = tensors(&plain, &mut random, true);
        let expected = slopes(&plain, &at, &direction);
        for (loss, expected) in losses.iter().zip(expected) {
            let Some(expected) = expected else { continue };
            let mut w = Writer {
                graph: w.graph.clone(),
            };
            for (i, g) in w.gradient(*loss, &floats).into_iter().enumerate() {
                w.graph.output(&format!("g{i}"), OutputRole::Result, g);
            }
            let derived = autodiff(&w.graph).expect("sizes that fit");
            assert_eq!(verify(&derived, Stage::Specialized), Ok(()), "seed {seed}");
            let gradients = evaluate(&derived, &at, 1).into_iter();
            let moves = direction.iter().filter(|d| d.elem().is_float());
            let found: f64 = gradients
                .zip(moves)
                .flat_map(|(g, d)| g.values().into_iter().zip(d.values()))
                .map(|(g, d)| g * d)
                .sum();
            // What is infinite or NaN somewhere on the way counts even where nothing depends on it.
            if !found.is_finite() && !all_finite(&plain, &at) {
                continue;
            }
            checked += 1;
            steep += usize::from(expected != 0.0);
            assert!(
                (found - expected).abs() <= 1e-4 * (1.0 + expected.abs()),
                "seed {seed}: {found}, by differences {expected}\n{}",
                w.graph
            );
        }
    }
    assert!(
        checked > 300 && steep > 150,
        "{checked} checked, {steep} not 0"
    );
}
