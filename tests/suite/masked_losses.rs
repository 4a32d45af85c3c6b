//! A loss with masked or ignored places is the mean over those that count, whatever the batch;
//! losses and metrics of few rows or one class.

use std::fs;

use serde_json::Value;

use crate::cli::{Place, find};

fn place(program: &str, csv: &str) -> Place {
    let place = Place::new();
    fs::write(place.path().join("toy.nn"), program).unwrap();
    fs::write(place.path().join("toy.csv"), csv).unwrap();
    place
}

/// The loss of the training set, by batch size.
fn losses(place: &Place, batches: &[usize]) -> Vec<Value> {
    place.events("run toy.nn --json --out o");
    let weights = "--weights o/weights.safetensors --part train";
    let each = batches.iter().map(|b| {
        let told = place.events(&format!("evaluate toy.nn {weights} --batch {b} --json"));
        find(&told, "train").clone()
    });
    each.collect()
}

fn near(found: &Value, expected: f64) {
    let number = found.as_f64().unwrap_or(f64::NAN);
    assert!((number - expected).abs() < 1e-4, "{found}, not {expected}");
}

#[test]
fn a_masked_loss_is_the_mean_over_the_steps_that_count() {
    let program = "
data d {
  source  csv(\"toy.csv\")
  column  ids : token[10][3] = i0 .. i2
  column  t   : [3]          = t0 .. t2
  input   ids : token[10][3]
  target  t   : [3, 1] = expand(t, -1)
}
model M(ids: token[10][3]) -> [3, 1] {
  ids |> Embedding(10, 4, mask_zero = true) |> Dense(1, kernel_initializer = zeros)
}
train M on d { loss mse; optimizer SGD(1e-20); metrics mse; batch 4; seed 1 }
";
    let csv = "i0,i1,i2,t0,t1,t2
1,2,3,1,2,3
4,0,0,5,99,99
5,6,0,1,1,99
7,0,0,10,99,99
";
    // (1 + 4 + 9 + 25 + 1 + 1 + 100) / 7
    for told in losses(&place(program, csv), &[1, 2, 3, 4]) {
        near(&told["loss"], 141.0 / 7.0);
        near(&told["mse"], 141.0 / 7.0);
    }
}

#[test]
fn an_ignored_class_and_a_mask_leave_the_places_that_count() {
    for rest in ["1,1", "0,0"] {
        let program = "
data d {
  source  csv(\"toy.csv\", header = false)
  column  x : token[4][4]    = 0 .. 3
  column  k : class[3][4]    = 4 .. 7
  input   x : token[4][4]
  target  k : class[3][4]
}
model M(x: token[4][4]) -> prob[4, 3] {
  x |> Embedding(4, 3, mask_zero = true, embeddings_initializer = zeros) |> Dense(3, softmax)
}
train M on d {
  loss       sparse_categorical_crossentropy(ignore_class = 0)
  optimizer  SGD(1e-9)
  metrics    sparse_categorical_crossentropy(ignore_class = 0)
}
";
        let csv = format!("1,2,0,0,0,1,{rest}\n1,2,3,0,1,2,0,1\n");
        for told in losses(&place(program, &csv), &[1, 2]) {
            near(&told["loss"], 3f64.ln());
            near(&told["sparse_categorical_crossentropy"], 3f64.ln());
        }
    }
}

#[test]
fn a_batch_of_one_row_has_the_loss_of_any_batch() {
    let program = "
data d {
  source  csv(\"toy.csv\")
  column  x : [1]
  column  k : class[3]
  input   x : [1]
  target  k : class[3]
}
model M(x: [1]) -> prob[3] { x |> Dense(3, softmax, kernel_initializer = identity) }
train M on d { loss sparse_categorical_crossentropy; optimizer SGD(1e-9) }
";
    for told in losses(&place(program, "x,k\n40,1\n40,1\n40,1\n"), &[1, 2, 3]) {
        near(&told["loss"], 40.0);
    }
}

#[test]
fn areas_without_both_classes_are_not_a_number() {
    let program = "
data d {
  source  csv(\"toy.csv\")
  column  x : [1]
  column  k : class[2]
  input   x : [1]
  target  k : class[2]
}
model M(x: [1]) -> prob { x |> Dense(1, sigmoid) }
train M on d { loss bce; optimizer SGD(1e-9); metrics auc, roc_auc }
";
    for told in losses(&place(program, "x,k\n1,1\n2,1\n"), &[2]) {
        assert!(told["auc"].is_null(), "{told}");
        assert!(told["roc_auc"].is_null(), "{told}");
    }
}

/// scikit-learn 1.5, `f1_score(Y, P, average = ..)` and `classification_report(Y, P)` for
/// `Y = [[1,0],[1,0],[1,0],[1,1]]`, `P = [[1,0]] * 4`.
#[test]
fn labels_are_judged_one_by_one() {
    let program = "
data d {
  source csv(\"toy.csv\")
  column a : []
  input  a : []
  column l : class[2][2] = l0 .. l1
  target l : class[2][2]
}
initializer sure() { iota([2], 0) * -40 + 20 }
model M(a: []) -> prob[2] { expand(a, -1) |> Dense(2, sigmoid, bias_initializer = sure) }
train M on d {
  loss binary_crossentropy
  optimizer SGD(1e-20)
  metrics f1_score(average = macro), f1_score(average = micro), f1_score
  report classification_report, confusion_matrix, roc, pr, calibration, worst
}
";
    let place = place(program, "a,l0,l1\n0,1,0\n0,1,0\n0,1,0\n0,1,1\n");
    let told = place.events("run toy.nn --json --out o");
    let epoch = find(&told, "epoch");
    near(&epoch["f1_score"], 0.5);
    near(&epoch["f1_score_1"], 8.0 / 9.0);
    near(&epoch["f1_score_2"], 8.0 / 9.0);
    let report = |name: &str| find(&told, "report")[name].clone();
    let scores = report("classification_report");
    assert_eq!(scores["labels"][0]["support"], 4);
    assert_eq!(scores["labels"][1]["support"], 1);
    near(&scores["labels"][1]["f1"], 0.0);
    near(&scores["micro_average"]["f1"], 8.0 / 9.0);
    near(&scores["macro_average"]["f1"], 0.5);
    near(&scores["weighted_average"]["f1"], 0.8);
    near(&scores["samples_average"]["f1"], 11.0 / 12.0);
    let confusion = report("confusion_matrix");
    assert_eq!(confusion.to_string(), "[[[0,0],[0,4]],[[3,0],[1,0]]]");
    let areas = &report("roc")["areas"];
    assert!(areas[0].is_null(), "{areas}");
    near(&areas[1], 0.5);
    near(&report("pr")["areas"][1], 0.25);
    let worst = report("worst");
    assert_eq!(
        (&worst[0]["row"], &worst[0]["true"]),
        (&4.into(), &"0, 1".into())
    );
    assert_eq!(worst[0]["predicted"], "0");
}
