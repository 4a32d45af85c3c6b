//! Metrics that keep every row of an epoch, in a session: values, memory, runs broken off.

use std::sync::Arc;

use nnc::backend::Options;
use nnc::data::table::{Column, ColumnData, Table};
use nnc::data::{Batches, Order};
use nnc::spec::Programs;
use nnc::train::Session;
use nnc::train::device::{Device, Target};
use nnc::train::fit::evaluate;

use crate::allocations::peak;
use crate::support::trainer::checked;

const ROWS: usize = 11;
const BATCH: usize = 4;

/// A model whose prediction is its input, shifted by a parameter that stays 0.
fn programs() -> Programs {
    let text = "
data d {
  source csv(\"none.csv\")
  column p : []
  column y : class[2]
  input p : prob = near(p)
  target y : class[2]
}
fn near(p: [..]) -> prob[..] { p }
layer Held(x: prob[..]) -> prob[..] {
  param held: [] = zeros
  x + 0 * held
}
model M(p: prob) -> prob { Held(p) }
train M on d { loss binary_crossentropy; optimizer SGD; metrics roc_auc, accuracy }
";
    checked("collected", Some(text)).programs.unwrap()
}

fn session(programs: &Programs, rows: usize) -> Session<'_> {
    let options = Options {
        seed: 1,
        threads: 1,
    };
    let device = Device::new(Target::Cpu, options);
    Session::new(programs, rows, Box::new(move |graph| device.compile(graph))).unwrap()
}

/// The first `rows` of scores with ties.
fn batches(rows: usize) -> Batches {
    let scores = [0.1, 0.9, 0.5, 0.5, 0.3, 0.8, 0.5, 0.2, 0.7, 0.9, 0.4];
    let truth = vec![0, 1, 1, 0, 0, 1, 0, 1, 1, 0, 1];
    let p = Column::new("p", vec![], ColumnData::F32(scores.to_vec())).unwrap();
    let y = Column::new("y", vec![], ColumnData::I32(truth)).unwrap();
    let table = Arc::new(Table::new(vec![p, y]).unwrap());
    let rows = (0..rows as u32).collect();
    Batches::new(table, &[0, 1], rows, BATCH, Order::Sequential).unwrap()
}

/// Pairs of a positive and a negative in the right order, equals counting half.
fn expected(rows: usize) -> f64 {
    let scores = [0.1, 0.9, 0.5, 0.5, 0.3, 0.8, 0.5, 0.2, 0.7, 0.9, 0.4];
    let truth = [0, 1, 1, 0, 0, 1, 0, 1, 1, 0, 1];
    let of = |t| (0..rows).filter(move |&i| truth[i] == t);
    let (mut right, mut pairs) = (0.0, 0.0);
    for i in of(1) {
        for j in of(0) {
            pairs += 1.0;
            right += match scores[i].partial_cmp(&scores[j]).unwrap() {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            };
        }
    }
    right / pairs
}

fn train(session: &mut Session, batches: &mut Batches, from: usize, steps: usize) {
    let mut epoch = batches.epoch_from(0, from);
    for _ in 0..steps {
        let batch = epoch.next_batch().unwrap().expect("a batch");
        session.train(&batch).unwrap();
    }
}

#[test]
fn each_part_has_an_area_of_its_own_and_it_is_shown_last() {
    let programs = programs();
    let mut session = session(&programs, ROWS);
    assert_eq!(session.metric_names(), ["loss", "accuracy", "roc_auc"]);
    for rows in [ROWS, 7, ROWS] {
        let values = evaluate(&mut session, &mut batches(rows)).unwrap();
        assert!((values[2] - expected(rows)).abs() < 1e-12, "{values:?}");
    }
    session.reset_metrics();
    train(&mut session, &mut batches(ROWS), 0, 2);
    assert_eq!(session.running().unwrap().len(), 2);
    assert!((session.metrics().unwrap()[2] - expected(2 * BATCH)).abs() < 1e-12);
}

#[test]
fn steps_and_an_epochs_end_allocate_nothing_once_compiled() {
    let programs = programs();
    let mut session = session(&programs, ROWS);
    let mut batches = batches(ROWS);
    let mut epoch = || {
        session.reset_metrics();
        let mut epoch = batches.epoch(0);
        while let Some(batch) = epoch.next_batch().unwrap() {
            session.train(&batch).unwrap();
        }
        session.metrics().unwrap()[2]
    };
    let first = epoch();
    let (second, bytes) = peak(&mut epoch);
    assert_eq!((second, bytes), (first, 0));
}

#[test]
fn rows_of_an_epoch_broken_off_are_taken_up() {
    let programs = programs();
    let mut first = session(&programs, ROWS);
    train(&mut first, &mut batches(ROWS), 0, 2);
    let held = first.store().accumulators();
    let mut second = session(&programs, ROWS);
    second.store_mut().set_accumulators(&held);
    train(&mut second, &mut batches(ROWS), 2, 1);
    assert!((second.metrics().unwrap()[2] - expected(ROWS)).abs() < 1e-12);
}

#[test]
fn more_rows_than_were_told_are_refused() {
    let programs = programs();
    let mut session = session(&programs, 5);
    let error = evaluate(&mut session, &mut batches(ROWS)).unwrap_err();
    assert!(error.to_string().contains("has room for 5"), "{error}");
}

#[test]
fn no_row_gives_no_number() {
    let programs = programs();
    let mut session = session(&programs, ROWS);
    assert!(session.metrics().unwrap()[2].is_nan());
}

/// Every metric of yes or no over masked steps is that over the steps that count.
#[test]
fn metrics_leave_masked_steps_out() {
    use crate::support::trainer::Trainer;
    use nnc::ir::tensor::Tensor;
    use std::collections::HashMap;
    let metrics = "accuracy, precision, recall(thresholds = [0.2, 0.6]), true_positives, \
                   f1_score, auc, auc(curve = PR), sensitivity_at_specificity(0.5), roc_auc, \
                   average_precision, binary_io_u, bce";
    let values = |steps: usize, layer: &str, x: &[f64], y: &[f64]| {
        let text = format!(
            "
data d {{
  source csv(\"none.csv\")
  column x : [{steps}, 1]
  column y : class[2][{steps}]
  input x : [{steps}, 1]
  target y : class[2][{steps}]
}}
layer Held(x: [..]) -> prob[..] {{
  param held: [] = zeros
  x + 0 * held
}}
model M(x: [{steps}, 1]) {{ squeeze(x |> {layer} |> Held, -1) }}
train M on d {{ loss binary_crossentropy; optimizer SGD; metrics {metrics} }}
"
        );
        let mut t = Trainer::new(checked(layer, Some(&text)), 1);
        let rows = x.len() / steps;
        let batch = HashMap::from([
            (
                "x".into(),
                Tensor::from_values(nnc::ir::Elem::F32, &[rows, steps, 1], x),
            ),
            (
                "y".into(),
                Tensor::from_values(nnc::ir::Elem::I32, &[rows, steps], y),
            ),
        ]);
        t.evaluate(&batch);
        let found: Vec<f64> = t.metrics()[1..].iter().map(|m| m.1).collect();
        found
    };
    let x = [
        0.1, 0.7, -1.0, 0.3, -1.0, 0.9, 0.5, 0.5, -1.0, 0.25, 0.8, 0.6,
    ];
    let y = [0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0];
    let kept = |v: &[f64]| -> Vec<f64> {
        let both = x.iter().zip(v).filter(|(x, _)| **x >= 0.0);
        both.map(|(_, v)| *v).collect()
    };
    let masked = values(4, "Masking(mask_value = -1)", &x, &y);
    let plain = values(1, "Activation(linear)", &kept(&x), &kept(&y));
    assert!(masked.len() > 11);
    for (i, (m, p)) in masked.iter().zip(&plain).enumerate() {
        assert!(
            (m - p).abs() < 1e-6,
            "{i}: {m}, not {p}\n{masked:?}\n{plain:?}"
        );
    }
}
