//! W1, whole: `nnc run models/mnist.nn` on 60,000 x 784, beside JAX where it is installed.
//!
//! `cargo bench --bench w1 -- DIR`, DIR holding MNIST's four IDX files. With `PEERS` (the folder that
//! `shared/peers/README.md` describes) and `PEER_SCRIPTS` (that of `b_jax.py`) set, both are timed in turn,
//! three times each, and the ratio of the medians is printed; the fraction of the measured peak always.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints what it measured"
)]

use nnc::backend::cpu::machine::features::Features;
use nnc::backend::cpu::machine::pool::Pool;
use std::process::Command;

use peak::peak;

mod peak;

const EPOCHS: usize = 5;
const ROUNDS: usize = 3;
/// Multiplications and additions of an epoch: forward and weight gradients of both layers, and the second
/// layer's input gradient.
const FLOPS: f64 = 2.0 * 60_000.0 * (2.0 * 784.0 * 512.0 + 3.0 * 512.0 * 10.0);

fn main() {
    let Some(data) = std::env::args().skip(1).find(|a| !a.starts_with('-')) else {
        eprintln!("usage: cargo bench --bench w1 -- DIR   (DIR holds MNIST's IDX files)");
        return;
    };
    let pool = Pool::new(2);
    let peak = peak(Features::detect(), &pool);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let jax = jax_command(&data);
    for _ in 0..ROUNDS {
        ours.extend(nnc_epochs(&data));
        if let Some(jax) = &jax {
            theirs.extend(jax_epochs(jax));
        }
    }
    let nnc = median(&mut ours);
    println!("peak {peak:.0} GFLOP/s on 2 threads, measured now");
    println!(
        "nnc   {nnc:.3} s an epoch (best {:.3}), {:.0} us a step, {:.0}% of the peak",
        ours[0],
        nnc / 469.0 * 1e6,
        100.0 * FLOPS / nnc / peak / 1e9
    );
    if theirs.is_empty() {
        println!("JAX is not installed here (PEERS, PEER_SCRIPTS): no ratio");
        return;
    }
    let jax = median(&mut theirs);
    println!("jax   {jax:.3} s an epoch (best {:.3})", theirs[0]);
    println!("ratio {:.2} (nnc / jax, medians)", nnc / jax);
}

/// Seconds of each epoch but the first, which warms up.
fn nnc_epochs(data: &str) -> Vec<f64> {
    let out = std::env::temp_dir().join(format!("nnc-w1-{}", std::process::id()));
    let run = Command::new(env!("CARGO_BIN_EXE_nnc"))
        .args(["run", "models/mnist.nn", "--json", "--threads", "2"])
        .args(["--epochs", &EPOCHS.to_string(), "--data", data, "--out"])
        .arg(&out)
        .output()
        .expect("nnc runs");
    let _ = std::fs::remove_dir_all(&out);
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let seconds = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).ok()?;
        (event["event"] == "epoch").then(|| event["seconds"].as_f64())?
    };
    let epochs: Vec<f64> = String::from_utf8_lossy(&run.stdout)
        .lines()
        .filter_map(seconds)
        .collect();
    epochs[1..].to_vec()
}

/// JAX's interpreter, its script and the data's folder, where they are.
fn jax_command(data: &str) -> Option<(String, String, String)> {
    let python = format!("{}/jax/bin/python", std::env::var("PEERS").ok()?);
    let script = format!("{}/b_jax.py", std::env::var("PEER_SCRIPTS").ok()?);
    let there = [&python, &script]
        .iter()
        .all(|p| std::path::Path::new(p).exists());
    there.then(|| (python, script, data.into()))
}

fn jax_epochs((python, script, data): &(String, String, String)) -> Vec<f64> {
    let run = Command::new(python)
        .args([script, "W1", "scan"])
        .env("IDX", data)
        .env("OMP_NUM_THREADS", "2")
        .output()
        .expect("python runs");
    let text = String::from_utf8_lossy(&run.stdout);
    let last = text.lines().last().unwrap_or_default();
    let result: serde_json::Value = serde_json::from_str(last).expect("b_jax.py prints JSON");
    let epochs = result["epochs"].as_array().expect("epochs");
    epochs[1..]
        .iter()
        .filter_map(serde_json::Value::as_f64)
        .collect()
}

/// Of the sorted list.
fn median(list: &mut [f64]) -> f64 {
    list.sort_by(f64::total_cmp);
    list[list.len() / 2]
}
