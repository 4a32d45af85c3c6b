//! Layers that are not trained, and optimizers of their own.

use std::collections::HashMap;

use nnc::ir::tensor::Tensor;
use nnc::ir::{OutputRole, Role};
use nnc::train::device::Target;

use crate::support::trainer::{Trainer, checked};

const DATA: &str = r#"data d {
  source csv("none.csv")
  column x : [3]
  column y : [2]
  input x : [3]
  target y : [2]
}
"#;

fn trainer(target: Target, model: &str, settings: &str) -> Trainer {
    let text =
        format!("{DATA}model M(x: [3]) {{ {model} }}\ntrain M on d {{ loss mse; {settings} }}");
    Trainer::on(target, checked("frozen", Some(&text)), 3)
}

fn batch() -> HashMap<String, Tensor> {
    let x = [
        0.5, -1.0, 2.0, 1.5, 0.25, -0.5, 1.0, 1.0, 0.0, -2.0, 0.5, 0.75,
    ];
    let y = [1.0, 0.0, -1.0, 0.5, 2.0, 1.0, 0.0, -0.5];
    HashMap::from([
        ("x".into(), Tensor::from_f32(&[4, 3], &x)),
        ("y".into(), Tensor::from_f32(&[4, 2], &y)),
    ])
}

/// Names of the parameters and states that three steps change.
fn changed(t: &mut Trainer) -> Vec<String> {
    let before = t.kept.clone();
    for _ in 0..3 {
        t.train(&batch());
    }
    let kept = t.programs.train.inputs.iter();
    let kept = kept.filter(|i| matches!(i.role, Role::Param | Role::State));
    let mut names: Vec<String> = kept.map(|i| i.name.to_string()).collect();
    names.retain(|n| before[n].values() != t.kept[n].values());
    names.sort();
    names
}

fn slots(t: &Trainer) -> Vec<String> {
    let slots = t.programs.train.inputs.iter();
    let slots = slots.filter(|i| i.role == Role::Slot);
    let mut names: Vec<String> = slots.map(|i| i.name.to_string()).collect();
    names.sort();
    names
}

const TWO: &str = "first = Dense(4, tanh); x |> first |> Dense(2)";

#[test]
fn a_frozen_layer_stays_and_has_no_slots() {
    for target in [Target::Interp, Target::Cpu] {
        let mut t = trainer(target, TWO, "optimizer Adam; freeze first");
        assert_eq!(changed(&mut t), ["dense/bias", "dense/kernel"]);
        let slots = slots(&t);
        assert_eq!(slots.len(), 4);
        assert!(
            slots.iter().all(|s| s.starts_with("adam/dense/")),
            "{slots:?}"
        );
    }
}

#[test]
fn trainable_false_freezes_all_inside() {
    let block = "layer Block(x: [B, n]) -> [B, n] { x |> Dense(n) |> BatchNorm }\n";
    let text = format!(
        "{block}{DATA}model M(x: [3]) {{ x |> Block(trainable = false) |> Dense(2) }}
train M on d {{ loss mse; optimizer SGD }}"
    );
    let mut t = Trainer::on(Target::Interp, checked("block", Some(&text)), 3);
    assert_eq!(changed(&mut t), ["dense/bias", "dense/kernel"]);
}

#[test]
fn a_frozen_batch_norm_works_as_in_use() {
    let model = "norm = BatchNorm; x |> norm |> Dense(2)";
    let mut t = trainer(Target::Cpu, model, "optimizer SGD; freeze norm");
    assert_eq!(changed(&mut t), ["dense/bias", "dense/kernel"]);
    let mut t = trainer(Target::Cpu, model, "optimizer SGD");
    assert_eq!(changed(&mut t).len(), 6);
}

#[test]
fn what_is_frozen_is_not_penalized() {
    let model = "first = Dense(4, kernel_regularizer = l2(10)); x |> first |> Dense(2)";
    let loss = |settings: &str| {
        let mut t = trainer(Target::Interp, model, settings);
        t.train(&batch());
        t.metrics()[0].1
    };
    let (free, frozen) = (loss("optimizer SGD"), loss("optimizer SGD; freeze first"));
    assert!(free > frozen + 1.0, "{free} {frozen}");
}

#[test]
fn layers_have_optimizers_of_their_own() {
    let mut t = trainer(
        Target::Cpu,
        TWO,
        "optimizer Adam, first = SGD(0.1, momentum = 0.9)",
    );
    let names = [
        "adam/dense/bias/m",
        "adam/dense/bias/v",
        "adam/dense/kernel/m",
        "adam/dense/kernel/v",
        "sgd/first/bias/velocity",
        "sgd/first/kernel/velocity",
    ];
    assert_eq!(slots(&t), names);
    assert_eq!(changed(&mut t).len(), 4);
    // The same step as with one optimizer, for the layer that has it in both.
    let mut one = trainer(Target::Cpu, TWO, "optimizer SGD(0.1, momentum = 0.9)");
    let mut two = trainer(
        Target::Cpu,
        TWO,
        "optimizer Adam, first = SGD(0.1, momentum = 0.9)",
    );
    one.train(&batch());
    two.train(&batch());
    assert_eq!(
        one.kept["first/kernel"].values(),
        two.kept["first/kernel"].values()
    );
    assert_ne!(
        one.kept["dense/kernel"].values(),
        two.kept["dense/kernel"].values()
    );
}

#[test]
fn steps_freeze_layers_of_their_models() {
    let text = format!(
        "{DATA}model A(x: [3]) {{ inner = Dense(4); x |> inner |> Dense(2) }}
model C(x: [3]) {{ x |> Dense(2) }}
train A, C on d {{
  freeze inner
  step A {{ minimize mean_squared_error(A(x), y); optimizer SGD, inner = Adam }}
  step C {{ minimize mean_squared_error(C(x), y); optimizer SGD }}
}}"
    );
    let report = nnc::check::check_file(
        &crate::support::trainer::Sources(Some(&text)),
        "steps.nn",
        &[],
    );
    // An optimizer of a frozen layer has nothing to do.
    let codes: Vec<&str> = report.diagnostics.iter().map(|d| d.code.name()).collect();
    assert_eq!(codes, ["E0607"]);
    let text = text.replace(", inner = Adam", "");
    let mut t = Trainer::on(Target::Interp, checked("steps", Some(&text)), 3);
    let names = [
        "a/dense/bias",
        "a/dense/kernel",
        "c/dense/bias",
        "c/dense/kernel",
    ];
    assert_eq!(changed(&mut t), names);
}

#[test]
fn averages_replace_parameters_at_the_end() {
    let t = trainer(
        Target::Interp,
        TWO,
        "optimizer SGD(use_ema = true); freeze first",
    );
    let ends = &t.programs.ends;
    assert_eq!(ends.len(), 2);
    for (param, slot) in ends {
        assert_eq!(*slot, format!("sgd/{param}/options/average"));
        let mut updates = t.programs.train.outputs.iter();
        assert!(updates.any(|o| *o.name == **slot && matches!(o.role, OutputRole::Update(_))));
    }
    let without = trainer(Target::Interp, TWO, "optimizer SGD");
    assert!(without.programs.ends.is_empty() && slots(&without).is_empty());
}
