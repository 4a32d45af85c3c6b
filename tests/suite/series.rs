//! Series and classes of unequal numbers: Keras' windows and scikit-learn's weights, from a
//! file to what a model is fed.

use std::fs;

use serde_json::Value;

use crate::cli::{PROGRAM, Place, err, find, out};

fn recorded() -> Value {
    serde_json::from_str(include_str!("../fixtures/series.json")).unwrap()
}

fn numbers(v: &Value) -> Vec<f64> {
    match v.as_array() {
        Some(all) => all.iter().flat_map(numbers).collect(),
        None => vec![v.as_f64().unwrap()],
    }
}

/// What `nnc inspect` shows that a model is fed, row by row.
fn fed(place: &Place, input: &str) -> Vec<Vec<f64>> {
    let told = place.events("inspect toy.nn --json --sample 1000");
    let sample = find(&told, "inspected")["sample"].as_array().unwrap();
    sample
        .iter()
        .map(|row| numbers(&row["fed"][input]))
        .collect()
}

fn write(place: &Place, program: &str, rows: &str) {
    fs::write(place.path().join("toy.nn"), program).unwrap();
    fs::write(place.path().join("toy.csv"), rows).unwrap();
}

#[test]
fn windows_are_those_of_keras() {
    let all = recorded();
    let series = numbers(&all["series"]);
    let rows = series.chunks(2).map(|r| format!("{},{}\n", r[0], r[1]));
    let rows = format!("a,b\n{}", rows.collect::<String>());
    let place = Place::new();
    for case in all["windows"].as_array().unwrap() {
        let [length, rate, stride] =
            ["length", "rate", "stride"].map(|k| case[k].as_u64().unwrap());
        let program = format!(
            "data d {{\n  source csv(\"toy.csv\")\n  column x : [2] = a .. b\n  input w : [{length}, 2] = \
             x |> windows({length}, sampling_rate = {rate}, sequence_stride = {stride})\n}}\n"
        );
        write(&place, &program, &rows);
        let found: Vec<f64> = fed(&place, "w").concat();
        let expected = numbers(&case["value"]);
        assert_eq!(found.len(), expected.len(), "{case}");
        let near = found
            .iter()
            .zip(&expected)
            .all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near, "{case}: {found:?}");
    }
}

#[test]
fn windows_stay_within_their_part() {
    let place = Place::new();
    let program = "data d {\n  source csv(\"toy.csv\")\n  column t : []\n  split time(t) { train 60%, test 40% }\n  \
                   input w : [3] = windows(t, 3)\n  input l : [] = lag(t, 2)\n  target y : [] = ahead(t, 1)\n}\n\
                   model M(w: [3], l: []) -> [1] { concat(w, expand(l, 1)) |> Dense(1) }\n\
                   train M on d { loss mse; optimizer SGD(1e-5); epochs 1 }\n";
    // rows are not in order of time
    let rows: String = (0..20).map(|i| format!("{}\n", i * 7 % 20)).collect();
    write(&place, program, &format!("t\n{rows}"));
    let told = place.events("run toy.nn --json --out w");
    assert_eq!(
        find(&told, "start")["rows"],
        serde_json::json!({"train": 9, "test": 5})
    );
    let w = fed(&place, "w");
    let expected: Vec<Vec<f64>> = (2..11)
        .map(|t| [t - 2, t - 1, t].map(f64::from).to_vec())
        .collect();
    assert_eq!(w, expected);
    assert_eq!(
        fed(&place, "l").concat(),
        (0..9).map(f64::from).collect::<Vec<_>>()
    );
    assert_eq!(
        fed(&place, "y").concat(),
        (3..12).map(f64::from).collect::<Vec<_>>()
    );
    // what is to come needs no target
    fs::write(place.path().join("new.csv"), "t\n1\n2\n3\n4\n").unwrap();
    let predicted = place.nnc("predict toy.nn --weights w/weights.safetensors --input new.csv");
    assert_eq!(out(&predicted).lines().count(), 1 + 2);
    assert!(
        err(&predicted).contains("skipped the first 2 rows"),
        "{}",
        err(&predicted)
    );
    let short: String = (0..8).map(|i| format!("{i}\n")).collect();
    write(&place, program, &format!("t\n{short}"));
    let failed = place.nnc("run toy.nn --out v");
    assert!(err(&failed).contains("E0964"), "{}", err(&failed));
}

/// A folder with `toy.nn`, of three classes with these labels, trained so.
fn classes(labels: &[f64], setting: &str) -> Place {
    let place = Place::new();
    let program = PROGRAM
        .replace("class[2]", "class[4]")
        .replace("  split   { train 60%, val 20%, test 20% }\n", "")
        .replace("-> prob", "-> prob[4]")
        .replace("Dense(1, sigmoid)", "Dense(4, softmax)")
        .replace("binary_cross", "sparse_categorical_cross")
        .replace(
            "  batch      32\n",
            &format!("  batch      60\n  {setting}\n"),
        );
    let rows = labels
        .iter()
        .enumerate()
        .map(|(i, y)| format!("{},{},{y}\n", i as f64 / 30.0, y / 2.0));
    write(
        &place,
        &program,
        &format!("a,b,y\n{}", rows.collect::<String>()),
    );
    place
}

#[test]
fn balanced_weights_are_those_of_scikit_learn() {
    let all = recorded();
    let (labels, weights) = (numbers(&all["labels"]), numbers(&all["weights"]));
    let listed: Vec<String> = weights.iter().map(f64::to_string).collect();
    let last = |setting: &str| {
        let place = classes(&labels, setting);
        let told = place.events("run toy.nn --json --out w");
        let epochs = told.iter().filter(|e| e["event"] == "epoch");
        epochs
            .map(|e| e["loss"].as_f64().unwrap())
            .collect::<Vec<_>>()
    };
    let learnt = last("class_weight balanced");
    let given = last(&format!("class_weight [{}]", listed.join(", ")));
    let near = learnt
        .iter()
        .zip(&given)
        .all(|(a, b)| (a - b).abs() < 1e-6 * b);
    assert!(near, "{learnt:?} {given:?}");
    let plain = last("");
    assert!((plain[0] - learnt[0]).abs() > 1e-4);
    let place = classes(&labels[..3], "class_weight balanced");
    let failed = place.nnc("run toy.nn --out w");
    assert!(err(&failed).contains("E0967"), "{}", err(&failed));
}

#[test]
fn training_rows_are_drawn_so_that_classes_have_as_many() {
    let labels: Vec<f64> = (0..80)
        .map(|i| f64::from(u8::from(i % 8 == 0)) + f64::from(i % 2))
        .collect();
    let count = |x: f64| labels.iter().filter(|l| **l == x).count();
    let (zeros, ones) = (count(0.0), count(1.0));
    assert_eq!((zeros, ones), (30, 50));
    for (setting, each) in [("balance oversample", ones), ("balance undersample", zeros)] {
        let place = classes(&labels, setting);
        let told = place.events("run toy.nn --json --out w --epochs 2");
        assert_eq!(find(&told, "start")["rows"]["train"], 2 * each);
        // and goes on to the same bits
        place.events("run toy.nn --json --out v --epochs 2 --limit-steps 1");
        place.events("run toy.nn --json --resume v --epochs 2");
        let weights = |f: &str| fs::read(place.path().join(f).join("weights.safetensors")).unwrap();
        assert!(weights("w") == weights("v"));
    }
}
