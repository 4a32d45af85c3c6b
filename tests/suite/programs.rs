//! Every model of the repository, a few steps on the interpreter: the graphs are
//! well formed, the loss is finite and falls.

use std::collections::HashMap;

use nnc::ir::tensor::Tensor;
use nnc::ir::{Elem, Role};
use nnc::spec::ColumnKind;

use crate::support::trainer::{Trainer, checked};

/// A batch that repeats a few made-up samples, so that there is something to learn.
pub(crate) fn batch(c: &nnc::check::Checked, rows: usize) -> HashMap<String, Tensor> {
    let data = c.data.as_ref().unwrap();
    let programs = c.programs.as_ref().unwrap();
    let mut out = HashMap::new();
    for g in [&programs.train, &programs.predict] {
        for i in &g.inputs {
            if i.role == Role::Fit {
                let shape: Vec<usize> = g.ty(i.value).sizes().unwrap().to_vec();
                let fill = if i.name.ends_with(".mean") || i.name.ends_with(".min") {
                    0.0
                } else {
                    1.0
                };
                let n = shape.iter().product();
                out.insert(i.name.to_string(), Tensor::from_f32(&shape, &vec![fill; n]));
            }
        }
    }
    for column in &data.columns {
        let shape: Vec<usize> = std::iter::once(rows)
            .chain(column.shape.iter().copied())
            .collect();
        let n: usize = shape.iter().product();
        let per = n / rows;
        let values: Vec<f64> = (0..n)
            .map(|i| {
                let (row, at) = (i / per % 8, i % per);
                match column.kind {
                    ColumnKind::Class(k) | ColumnKind::Token(k) => ((row * 7 + at * 3) % k) as f64,
                    ColumnKind::U8 => ((row * 31 + at * (row + 3)) % 17) as f64,
                    ColumnKind::I32 => (row + at) as f64,
                    ColumnKind::F32 => ((row * 13 + at * 5) % 11) as f64 / 11.0,
                    ColumnKind::Bool => ((row + at) % 2) as f64,
                    ColumnKind::Text => panic!("a graph takes no texts"),
                }
            })
            .collect();
        out.insert(
            column.name.clone(),
            Tensor::from_values(column.kind.elem().expect("just seen"), &shape, &values),
        );
    }
    out
}

fn learns(path: &str, rows: usize, steps: usize) {
    let c = checked(path, None);
    let batch = batch(&c, rows);
    let mut t = Trainer::new(c, 1);
    t.train(&batch);
    let first = t.metrics();
    for _ in 1..steps {
        t.train(&batch);
        let now = t.metrics();
        for (name, v) in &now {
            assert!(v.is_finite(), "{path}: {name} is {v}");
        }
    }
    t.train(&batch);
    let last = t.metrics();
    println!("{path}: {first:?} -> {last:?}");
    if !path.contains("gan") {
        assert!(last[0].1 < first[0].1, "{path}: {first:?} -> {last:?}");
    }
    for p in t.predict(&batch) {
        assert!(p.elem() == Elem::F32 && p.values().iter().all(|x| x.is_finite()));
    }
}

#[test]
fn digits_learns() {
    learns("models/digits.nn", 16, 10);
}

#[test]
fn an_autoencoder_learns() {
    learns("models/autoencoder.nn", 16, 10);
}

#[test]
fn a_variational_autoencoder_learns() {
    learns("models/vae.nn", 16, 10);
}

#[test]
fn mnist_learns() {
    learns("models/mnist.nn", 8, 2);
}

#[test]
fn pima_learns() {
    learns("models/pima.nn", 16, 10);
}

#[test]
fn a_residual_block_with_shared_weights_learns() {
    learns("models/residual.nn", 8, 4);
}

#[test]
fn a_convolutional_net_learns() {
    learns("models/convnet.nn", 8, 3);
}

#[test]
fn a_residual_net_learns() {
    learns("models/resnet.nn", 8, 4);
}

#[test]
fn two_inputs_and_two_weighted_outputs_learn() {
    learns("models/two_heads.nn", 16, 10);
}

#[test]
fn batch_norm_and_dropout_learn() {
    learns("models/regularized.nn", 16, 10);
}

#[test]
fn a_multilayer_perceptron_with_penalties_and_dropout_learns() {
    learns("models/mlp.nn", 16, 10);
}

#[test]
fn a_lstm_over_500_steps_learns() {
    learns("models/lstm.nn", 8, 3);
}

#[test]
fn a_layer_loss_and_optimizer_of_the_users_learn() {
    learns("models/custom.nn", 16, 10);
}

#[test]
fn a_generator_and_a_discriminator_train_in_turn() {
    learns("models/gan.nn", 16, 4);
}
