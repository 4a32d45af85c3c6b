//! A training step of a model file, as compiled for the CPU: its time, its fraction of the peak of this machine, and a profile.
//!
//! ```text
//! cargo bench --bench step [-- [FILE [BATCH]] [--threads N] [--plan] [--clif] [--asm]]
//! ```
//!
//! Without a file: `models/mnist.nn`, which is W1 of the peers, in batches of 128. Data are random; the bound shown is
//! the product's flops at the peak measured in the same run.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use nnc::backend::cpu::machine::features::Features;
use nnc::backend::cpu::machine::workspace::Workspace;
use nnc::backend::{Executable, Options, cpu, run_on};
use nnc::check::{Host, check_file};
use nnc::ir::{Elem, Graph, OutputRole, Role, Tensor};
use nnc::passes::optimize;
use nnc::spec::Runtime;

mod peak;

struct Disk;

impl Host for Disk {
    fn runtime(&self) -> Runtime {
        nnc::train::RUNTIME
    }

    fn read(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|e| e.to_string())
    }
}

fn main() {
    let mut file = "models/mnist.nn".to_string();
    let (mut batch, mut threads) = (None, None);
    let mut shown = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--bench" => {}
            "--threads" => threads = args.next().and_then(|n| n.parse().ok()),
            "--plan" | "--clif" | "--asm" => shown.push(arg),
            _ if arg.ends_with(".nn") => file = arg,
            _ => batch = arg.parse().ok(),
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let threads = threads.unwrap_or(cores);
    let features = Features::detect();

    let begin = Instant::now();
    let report = check_file(&Disk, &file, &[]);
    let Some(checked) = report.checked else {
        return println!("{file}: has mistakes (`nnc check {file}`)");
    };
    let (Some(programs), Some(train)) = (checked.programs, checked.train) else {
        return println!("{file}: nothing to train");
    };
    let checked_in = begin.elapsed();
    let batch: usize = batch.unwrap_or(train.batch);
    let options = Options { seed: 1, threads };
    let shared = Arc::new(Workspace::new(threads));

    let begin = Instant::now();
    let bindings = BTreeMap::from([("B".into(), batch as i64)]);
    let graph = programs
        .train
        .specialize(&bindings)
        .expect("a batch that fits");
    let graph = optimize(&graph).expect("a graph that passes can work on");
    let optimized_in = begin.elapsed();
    let begin = Instant::now();
    let mut step =
        cpu::compile(&graph, &options, Arc::clone(&shared)).expect("a graph that compiles");
    let compiled_in = begin.elapsed();
    for what in &shown {
        match what.as_str() {
            "--plan" => println!("{}", step.plan_text()),
            "--clif" => println!("{}", step.clif_text().unwrap_or_else(|e| e.to_string())),
            _ => println!("{}", step.asm_text().unwrap_or_else(|e| e.to_string())),
        }
    }

    let init = optimize(
        &programs
            .init
            .specialize(&BTreeMap::new())
            .expect("no sizes"),
    );
    let init = init.expect("a graph that passes can work on");
    let mut init =
        cpu::compile(&init, &options, Arc::clone(&shared)).expect("a graph that compiles");
    let kept = run_on(&mut init, &[]);
    let names: Vec<String> = (init.graph().outputs.iter())
        .map(|o| o.name.to_string())
        .collect();
    let mut inputs: Vec<Tensor> = graph
        .inputs
        .iter()
        .map(|i| match names.iter().position(|n| **n == *i.name) {
            Some(at) => kept[at].clone(),
            None => made_up(&graph, i),
        })
        .collect();
    let mut results: Vec<Tensor> = (graph.outputs.iter())
        .filter(|o| o.role == OutputRole::Result)
        .map(|o| Tensor::of_type(graph.ty(o.value)).expect("sizes are known"))
        .collect();
    let inputs: Vec<*mut u8> = inputs.iter_mut().map(Tensor::as_mut_ptr).collect();
    let results: Vec<*mut u8> = results.iter_mut().map(Tensor::as_mut_ptr).collect();

    let cost = step.cost();
    println!(
        "{file}, batch {batch}, {threads} threads, {:?}: {:.1} MFLOP a step, arena {} kB, scratch {} kB",
        features.isa(),
        1e-6 * cost.flops as f64,
        cost.arena_bytes >> 10,
        cost.scratch_bytes >> 10
    );
    println!(
        "check {:.1} ms, passes {:.1} ms, compile {:.1} ms",
        1e3 * checked_in.as_secs_f64(),
        1e3 * optimized_in.as_secs_f64(),
        1e3 * compiled_in.as_secs_f64()
    );
    // SAFETY (all runs): tensors of the graph's types, apart from each other.
    let mut once = || unsafe { step.run(&inputs, &results) };
    let (best, median) = measure(&mut once);
    let peak = peak::peak(features, &shared.pool);
    let bound = 1e-3 * cost.flops as f64 / peak;
    println!(
        "step: best {best:.1} us, median {median:.1} us; products at the peak of {peak:.0} GFLOP/s: {bound:.1} us, {:.0} %",
        100.0 * bound / best
    );
    let mut parts = Vec::new();
    let clock = Instant::now();
    let now = || clock.elapsed().as_secs_f64();
    let runs = ((2e5 / median) as usize).clamp(5, 2000);
    for _ in 0..runs {
        unsafe { step.run_timed(&inputs, &results, &now, &mut parts) };
    }
    println!("where it goes (clock included):");
    for (i, (name, seconds)) in parts.iter().enumerate() {
        let us = 1e6 * seconds / runs as f64;
        println!(
            "{us:9.2} us  {i:3} {}",
            name.chars().take(110).collect::<String>()
        );
    }
}

/// Small numbers; counters and classes in range of anything.
fn made_up(graph: &Graph, input: &nnc::ir::Input) -> Tensor {
    let zeros = Tensor::of_type(graph.ty(input.value)).expect("sizes are known");
    if input.role == Role::Metric {
        return zeros;
    }
    let values: Vec<f64> = (0..zeros.len())
        .map(|i| match zeros.elem() {
            Elem::F32 | Elem::F64 => (i % 97) as f64 / 970.0,
            Elem::U8 => (i * 7 % 256) as f64,
            Elem::I32 | Elem::Bool => (i % 2) as f64,
        })
        .collect();
    Tensor::from_values(zeros.elem(), zeros.shape(), &values)
}

/// Best and median microseconds of a run.
fn measure(once: &mut dyn FnMut()) -> (f64, f64) {
    let begin = Instant::now();
    let mut times = Vec::new();
    while times.len() < 20 || (begin.elapsed().as_secs_f64() < 2.0 && times.len() < 100_000) {
        let start = Instant::now();
        once();
        times.push(1e6 * start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    (times[0], times[times.len() / 2])
}
