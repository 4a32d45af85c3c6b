//! Loops over time are compiled as loops: what a sequence's length changes is numbers alone.

use std::collections::BTreeMap;

use nnc::train::device::Target;

use crate::support::trainer::{checked, device};

/// Lines of the plan of a training step of 32 rows, and the bytes of its activations.
fn plan(model: &str, loss: &str, target: &str, length: usize) -> (usize, usize) {
    let text = format!(
        r#"data d {{
  source  csv("none.csv")
  column  x : [{length}, 3]
  column  y : {target}
  input   x : [{length}, 3]
  target  y : {target}
}}
model M(x: [{length}, 3]) {{ {model} }}
train M on d {{ loss {loss}; optimizer Adam }}
"#
    );
    let programs = checked(model, Some(&text)).programs.expect("a train block");
    let sizes = BTreeMap::from([("B".into(), 32)]);
    let step = programs.train.specialize(&sizes).unwrap();
    let plan = device(Target::Cpu, 1)
        .compile_cpu(&step)
        .unwrap()
        .plan_text();
    let head = plan.lines().next().unwrap();
    let arena = head
        .split_once("arena ")
        .and_then(|(_, r)| r.split_once(' '));
    (plan.lines().count(), arena.unwrap().0.parse().unwrap())
}

#[test]
fn plans_do_not_grow_with_the_sequence() {
    let classes = ("sparse_categorical_crossentropy", "class[4]");
    let cases = [
        ("x |> LSTM(16) |> Dense(4, softmax)", classes),
        (
            "x |> Masking |> Bidirectional(GRU(8, return_sequences = true)) |> LSTM(8) |> Dense(4, softmax)",
            classes,
        ),
        (
            "x |> SimpleRNN(8, dropout = 0.2, recurrent_dropout = 0.2) |> Dense(4, softmax)",
            classes,
        ),
        (
            "x |> GRU(8, return_sequences = true) |> Dense(4, softmax)",
            ("ctc", "class[4][3]"),
        ),
    ];
    for (model, (loss, target)) in cases {
        let (short, little) = plan(model, loss, target, 500);
        let (long, much) = plan(model, loss, target, 5000);
        assert_eq!(short, long, "{model}: lines of the plan");
        let growth = much as f64 / little as f64;
        assert!(
            (8.0..10.5).contains(&growth),
            "{model}: ten times as long takes {growth} times the activations"
        );
    }
}
