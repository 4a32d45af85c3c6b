//! Matrix products, the thread pool and random numbers, against this machine's peak measured in the same run.
//!
//! `cargo bench --bench gemm [-- FILTER]` prints for each shape the best of several runs, on one thread and on
//! all: time, GFLOP/s, fraction of the f32 multiply-add peak.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use nnc::backend::cpu::kernels::gemm::{Epilogue, Gemm};
use nnc::backend::cpu::kernels::philox::fill_uniform;
use nnc::backend::cpu::machine::features::Features;
use nnc::backend::cpu::machine::pool::Pool;
use nnc::backend::fusion::contractions::{BatchAxis, MatMul, Strides};
use peak::{best, peak};
use std::hint::black_box;

mod peak;

fn main() {
    let filter = std::env::args()
        .skip(1)
        .find(|arg| !arg.starts_with('-'))
        .unwrap_or_default();
    let features = Features::detect();
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let pools = [Pool::new(1), Pool::new(cores)];
    let peaks = pools.each_ref().map(|pool| peak(features, pool));
    println!(
        "{:?}, peak {:.0} GFLOP/s on 1 thread, {:.0} on {cores}",
        features.isa(),
        peaks[0],
        peaks[1]
    );
    println!(
        "{:34}{:>9}{:>9}{:>6}{:>11}{:>9}{:>6}",
        "m x k x n", "us", "GFLOP/s", "peak", "us", "GFLOP/s", "peak"
    );
    for (name, shape) in shapes() {
        if !name.contains(&filter) {
            continue;
        }
        print!("{name:34}");
        for (pool, peak) in pools.iter().zip(peaks) {
            let seconds = product(&shape, features, pool);
            let batch: usize = shape.batch.iter().map(|axis| axis.len).product();
            let rate = 2e-9 * (batch * shape.m * shape.n * shape.k) as f64 / seconds;
            print!(
                "{:9.2}{rate:9.1}{:5.0}%  ",
                seconds * 1e6,
                100.0 * rate / peak
            );
        }
        println!();
    }
    if filter.is_empty() {
        let pool = &pools[1];
        let fork = best(1000, || {
            pool.run(cores, &|i| {
                black_box(i);
            });
        });
        println!("fork and join of {cores} empty tasks: {:.2} us", fork * 1e6);
        let mut out = vec![0.0; 128 * 512];
        let draw = best(100, || fill_uniform(features, &mut out, [1, 2], 3, 0));
        println!(
            "128 x 512 uniform numbers: {:.1} us on 1 thread",
            draw * 1e6
        );
    }
}

/// The products of the workloads in ARCHITECTURE.md's table, and some more.
fn shapes() -> Vec<(String, MatMul)> {
    let shape = |kind: &str, m: usize, k: usize, n: usize| {
        let a: Strides = if kind.starts_with("At") {
            (1, m)
        } else {
            (k, 1)
        };
        let b: Strides = if kind.ends_with('t') { (1, k) } else { (n, 1) };
        (
            format!("{m} x {k} x {n} {kind}"),
            MatMul {
                m,
                n,
                k,
                a,
                b,
                c: (n, 1),
                accumulate: false,
                batch: vec![],
            },
        )
    };
    let mut all = vec![
        shape("A B   (W1 forward)", 128, 784, 512),
        shape("At B   (W1 weights)", 784, 128, 512),
        shape("A Bt", 128, 512, 784),
        shape("A Bt", 128, 512, 512),
        shape("A B   (W1 second)", 128, 512, 10),
        shape("At B   (its weights)", 512, 128, 10),
        shape("A Bt", 128, 10, 512),
        shape("A B   (LSTM)", 32, 128, 512),
        shape("At B   (its weights)", 128, 32, 512),
        shape("A Bt", 32, 512, 128),
        shape("A B   (thin)", 512, 10_000, 16),
        shape("At B   (its weights)", 10_000, 512, 16),
        shape("A B   (tiny)", 32, 8, 16),
        shape("A B   (tiny)", 32, 16, 16),
        shape("A B   (convolution)", 32 * 26 * 26, 27, 32),
        shape("A B   (convolution)", 32 * 11 * 11, 288, 64),
        shape("At B   (its weights)", 288, 32 * 11 * 11, 64),
        shape("A B", 1024, 1024, 1024),
        shape("A B", 128, 16, 1),
    ];
    let (name, mut attention) = shape("A Bt   (256 of them)", 64, 32, 64);
    attention.batch = vec![BatchAxis {
        len: 256,
        a: 64 * 32,
        b: 32 * 64,
        c: 64 * 64,
    }];
    all.push((name, attention));
    all
}

/// Seconds that one product takes.
fn product(shape: &MatMul, features: Features, pool: &Pool) -> f64 {
    let batch: usize = shape.batch.iter().map(|axis| axis.len).product();
    let (mut a, mut b) = (
        aligned(batch * shape.m * shape.k),
        aligned(batch * shape.k * shape.n),
    );
    let mut c = aligned(batch * shape.m * shape.n);
    for matrix in [&mut a, &mut b] {
        for (i, x) in matrix.iter_mut().flat_map(|line| &mut line.0).enumerate() {
            *x = (i % 7) as f32 - 3.0;
        }
    }
    let gemm = Gemm::new(shape.clone(), features);
    let mut scratch = aligned(gemm.scratch_bytes() / 4);
    let flops = (2 * batch * shape.m * shape.n * shape.k) as f64;
    let (a, b) = (a.as_ptr().cast(), b.as_ptr().cast());
    let (c, scratch) = (c.as_mut_ptr().cast(), scratch.as_mut_ptr().cast());
    // SAFETY: the vectors are as long as the shape says.
    best((2e7 / flops) as usize + 1, || unsafe {
        gemm.run(pool, a, b, c, scratch, Epilogue::None);
    })
}

#[derive(Clone)]
#[repr(align(64))]
struct Line([f32; 16]);

/// At least `len` floats, aligned to cache lines as a plan's buffers are.
fn aligned(len: usize) -> Vec<Line> {
    vec![Line([0.0; 16]); len.div_ceil(16)]
}
