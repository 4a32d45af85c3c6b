//! The CUDA back end without a GPU: emitted kernels run on the CPU by an emulator and are compared with the interpreter,
//! and NVRTC compiles them for a real device.

use nnc::backend::cuda;
use nnc::backend::interp::evaluate;
use nnc::backend::run_on;
use nnc::ir::prim::Unary;
use nnc::ir::{Graph, Tensor};
use nnc::train::device::{Target, optimized};

use crate::cpu::{LIMITS, all_visible, chain, check_values, magnitudes, unary, wide};
use crate::programs::batch;
use crate::support::emulated::{Emulated, can_emulate};
use crate::support::nvrtc::Nvrtc;
use crate::support::random_graph::{random_graph, random_inputs};
use crate::support::trainer::{Trainer, checked, device};

/// Runs graphs whose nodes are all visible, each on its inputs, and checks every node; orders of threads change no bit.
fn agree(cases: Vec<(Graph, Vec<Tensor>, u64)>, name: &str) {
    if !can_emulate() {
        return;
    }
    let graphs = cases.iter().map(|(g, _, seed)| (g.clone(), *seed));
    let emulated = Emulated::new(graphs.collect(), &[]);
    for (i, (graph, inputs, seed)) in cases.iter().enumerate() {
        let values = emulated.run(i, inputs, 0);
        check_values(graph, inputs, *seed, &values, &format!("{name} {i}"));
        for order in 1..3 {
            let again = emulated.run(i, inputs, order);
            let same = values
                .iter()
                .zip(&again)
                .all(|(a, b)| a.bytes() == b.bytes());
            assert!(same, "{name} {i}: another order of threads, other bits");
        }
    }
}

#[test]
fn random_graphs_agree_with_the_interpreter_node_by_node() {
    let cases = (0..40).map(|seed| {
        let graph = all_visible(&random_graph(seed, LIMITS));
        let inputs = random_inputs(&graph, seed);
        (graph, inputs, seed)
    });
    agree(cases.collect(), "random graph");
}

#[test]
fn sums_products_and_chains_of_odd_sizes_agree() {
    let (graph, inputs) = wide();
    let mut cases = vec![(all_visible(&graph), inputs.to_vec(), 0)];
    cases.extend((0..6).map(|seed| {
        let graph = all_visible(&chain(seed));
        let inputs = random_inputs(&graph, seed);
        (graph, inputs, seed)
    }));
    agree(cases, "chain");
}

/// Without values that are only there to be seen, lines are gone over several times in one kernel.
#[test]
fn fused_chains_agree_with_the_interpreter() {
    if !can_emulate() {
        return;
    }
    let graphs: Vec<(Graph, u64)> = (0..12).map(|seed| (chain(seed), seed)).collect();
    let emulated = Emulated::new(graphs.clone(), &[]);
    for (i, (graph, seed)) in graphs.iter().enumerate() {
        let inputs = random_inputs(graph, *seed);
        let found = emulated.run(i, &inputs, 1);
        let expected = evaluate(graph, &inputs, *seed);
        for (f, e) in found.iter().zip(&expected) {
            assert!(f.max_rel_diff(e) < 2e-4, "chain {i}: {}", f.max_rel_diff(e));
        }
    }
}

#[test]
fn functions_are_accurate_everywhere() {
    let x = magnitudes();
    let graphs = Unary::ALL.into_iter().filter_map(|op| unary(op, x.ty()));
    let cases = graphs.map(|g| (all_visible(&g), vec![x.clone()], 0));
    agree(cases.collect(), "function");
}

/// Models whose step the emulator runs in a moment, with the rows of their batch.
const MODELS: [(&str, usize); 19] = [
    ("autoencoder", 2),
    ("convnet", 2),
    ("ctc", 2),
    ("custom", 3),
    ("digits", 5),
    ("gan", 3),
    ("gru", 2),
    ("lstm", 2),
    ("mlp", 4),
    ("mnist", 2),
    ("ntm", 2),
    ("pima", 7),
    ("pima_sweep", 3),
    ("regularized", 4),
    ("residual", 3),
    ("resnet", 2),
    ("transformer", 2),
    ("two_heads", 4),
    ("vae", 2),
];

/// Three training steps, each from the state that the CPU reached.
#[test]
fn training_steps_of_models_agree_with_the_cpu() {
    if !can_emulate() {
        return;
    }
    let mut trainers: Vec<_> = MODELS
        .iter()
        .map(|(name, rows)| {
            let checked = checked(&format!("models/{name}.nn"), None);
            let batch = batch(&checked, *rows);
            (Trainer::on(Target::Cpu, checked, 1), batch)
        })
        .collect();
    let graphs: Vec<(Graph, u64)> = trainers.iter().map(|(t, b)| (t.step(b).0, 1)).collect();
    let emulated = Emulated::new(graphs, &[]);
    for step in 0..3 {
        for (i, (trainer, batch)) in trainers.iter_mut().enumerate() {
            let (graph, inputs) = trainer.step(batch);
            let found = emulated.run(i, &inputs, step);
            let mut cpu = device(Target::Cpu, 1).compile(graph.clone()).unwrap();
            let expected = run_on(&mut *cpu, &inputs);
            let oracle = evaluate(&graph, &inputs, 1);
            for (o, output) in graph.outputs.iter().enumerate() {
                let (f, e) = (&found[o], &expected[o]);
                let largest = e.values().iter().fold(1e-3f64, |m, v| m.max(v.abs()));
                // What an optimizer makes of a gradient of nearly 0 is its rounding: so much do others differ, too.
                let rounding = e.max_abs_diff(&oracle[o]);
                let off = f.max_abs_diff(e);
                assert!(
                    off < 1e-4 * largest + 10.0 * rounding,
                    "{} step {step} {}: off by {off:e} of {largest:e}, others by {rounding:e}",
                    MODELS[i].0,
                    output.name
                );
            }
            trainer.train(batch);
        }
    }
}

/// The training step of every model, as it is trained, for an H100.
#[test]
fn nvrtc_compiles_every_model() {
    let Some(nvrtc) = Nvrtc::open() else { return };
    let mut kernels = 0;
    let mut sized_by_data = Vec::new();
    let mut files: Vec<_> = std::fs::read_dir("models")
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "nn"))
        .collect();
    files.sort();
    for path in files {
        let name = path.to_str().unwrap();
        let checked = checked(name, None);
        let Some(programs) = checked.programs else {
            continue;
        };
        let graph = nnc::train::session::sized(&programs.train, 32).unwrap();
        let Ok(source) = cuda::source(&optimized(&graph).unwrap(), 1, "step") else {
            sized_by_data.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
            continue;
        };
        nvrtc.compile(&format!("{}{}", cuda::PRELUDE, source.text), name);
        kernels += source.kernels.len();
    }
    println!("NVRTC compiled {kernels} kernels; sizes known only with the data: {sized_by_data:?}");
    assert!(sized_by_data.len() < 5, "{sized_by_data:?}");
    assert!(kernels > 500, "{kernels}");
}
