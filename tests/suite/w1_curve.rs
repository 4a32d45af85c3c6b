//! W1's loss curve over 100 steps, from the same weights and batches, against PyTorch's:
//! tests/fixtures/w1_curve.py says how it was recorded.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use nnc::ir::tensor::Tensor;
use nnc::train::device::Target;

use crate::support::trainer::{Trainer, checked};

const ROWS: usize = 5000;
const BATCH: usize = 128;
const STRIDE: usize = 37;
/// Compiled steps: all that were recorded. Kernels that are not optimised take a minute for those.
const STEPS: usize = if cfg!(debug_assertions) { 15 } else { 100 };

const PROGRAM: &str = r#"
data mnist {
  source  csv("mnist_5k.csv.gz", header = false)
  column  pixels : u8[784]   = 0 .. 783
  column  digit  : class[10] = 784

  input   image : [784]    = pixels / 255
  target  y     : prob[10] = one_hot(digit)
}

## torch.optim.RMSprop: epsilon stands outside the root.
optimizer TorchRMSprop(lr: float = 0.001, alpha: float = 0.9, eps: float = 1e-7) {
  state average = zeros
  average = alpha * average + (1 - alpha) * grad ^ 2
  param - lr * grad / (sqrt(average) + eps)
}

model Mnist(image: [784]) -> prob[10] {
  image |> Dense(512, relu) |> Dense(10, softmax)
}

train Mnist on mnist {
  loss       categorical_crossentropy
  optimizer  OPTIMIZER
  batch      128
}
"#;

/// Murmur3's finalizer as a fraction of 24 bits.
fn uniform(index: usize, salt: u32) -> f64 {
    let mut h = index as u32 + (salt << 24);
    h ^= h >> 16;
    h = h.wrapping_mul(0x85EB_CA6B);
    h ^= h >> 13;
    h = h.wrapping_mul(0xC2B2_AE35);
    h ^= h >> 16;
    f64::from(h >> 8) / f64::from(1 << 24)
}

fn glorot(rows: usize, columns: usize, salt: u32) -> Tensor {
    let limit = (6.0 / (rows + columns) as f64).sqrt();
    let w: Vec<f32> = (0..rows * columns)
        .map(|i| (limit * (2.0 * uniform(i, salt) - 1.0)) as f32)
        .collect();
    Tensor::from_f32(&[rows, columns], &w)
}

/// Pixels and digits of models/data/mnist_5k.csv.gz.
fn mnist() -> (Vec<u8>, Vec<i32>) {
    let file = std::fs::File::open("models/data/mnist_5k.csv.gz").unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap();
    let (mut pixels, mut digits) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let (image, digit) = line.rsplit_once(',').unwrap();
        pixels.extend(image.split(',').map(|v| v.parse::<u8>().unwrap()));
        digits.push(digit.parse().unwrap());
    }
    assert_eq!(digits.len(), ROWS);
    (pixels, digits)
}

fn follows(target: Target, optimizer: &str, curve: &str, steps: usize) {
    #[derive(serde::Deserialize)]
    struct Curve {
        losses: Vec<f64>,
    }
    let text = std::fs::read_to_string("tests/fixtures/w1_curve.json").unwrap();
    let recorded: BTreeMap<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    let expected: Curve = serde_json::from_value(recorded[curve].clone()).unwrap();
    assert_eq!(expected.losses.len(), 100);

    let (pixels, digits) = mnist();
    let program = PROGRAM.replace("OPTIMIZER", optimizer);
    let mut t = Trainer::on(target, checked("w1.nn", Some(&program)), 0);
    for (name, w) in [
        ("dense/kernel", glorot(784, 512, 1)),
        ("dense_1/kernel", glorot(512, 10, 2)),
    ] {
        assert_eq!(t.kept.insert(name.into(), w.clone()).unwrap().ty(), w.ty());
    }
    let mut worst: f64 = 0.0;
    for (i, expected) in expected.losses[..steps].iter().enumerate() {
        let rows: Vec<usize> = (0..BATCH)
            .map(|j| (i * BATCH + j) * STRIDE % ROWS)
            .collect();
        let images: Vec<u8> = rows
            .iter()
            .flat_map(|r| &pixels[784 * r..784 * (r + 1)])
            .copied()
            .collect();
        let labels: Vec<i32> = rows.iter().map(|r| digits[*r]).collect();
        let batch = HashMap::from([
            ("pixels".into(), Tensor::from_u8(&[BATCH, 784], &images)),
            ("digit".into(), Tensor::from_i32(&[BATCH], &labels)),
        ]);
        t.train(&batch);
        let loss = t.metrics()[0].1;
        worst = worst.max((loss - expected).abs());
        assert!(worst <= 1e-4, "step {i}: {loss}, and torch's {expected}");
    }
    println!("{curve}: within {worst:.1e} over {steps} steps");
}

#[test]
fn the_librarys_rmsprop_follows_torchs_gradients_compiled() {
    follows(Target::Cpu, "RMSprop", "keras_rule", STEPS);
}

#[test]
fn the_librarys_rmsprop_follows_torchs_gradients_interpreted() {
    follows(Target::Interp, "RMSprop", "keras_rule", 3);
}

#[test]
fn a_users_optimizer_follows_torchs_rmsprop_compiled() {
    follows(Target::Cpu, "TorchRMSprop", "torch_optim", STEPS);
}

#[test]
fn a_users_optimizer_follows_torchs_rmsprop_interpreted() {
    follows(Target::Interp, "TorchRMSprop", "torch_optim", 3);
}
