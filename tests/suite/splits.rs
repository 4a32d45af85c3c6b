//! Splits as a user sees them: which rows are for what, folds and what they come to, rows
//! that stand in two parts.

use std::fs;

use serde_json::Value;

use crate::cli::{PROGRAM, Place, err, events, find, out};

const SPLIT: &str = "  split   { train 60%, val 20%, test 20% }\n";

/// A folder with `toy.nn` split so, and with these columns beside `x` and `y`.
fn place(split: &str, columns: &str) -> Place {
    let place = Place::new();
    let text = PROGRAM.replace(SPLIT, &format!("{columns}\n  split {split}\n"));
    assert_ne!(text, PROGRAM);
    fs::write(place.path().join("toy.nn"), text).unwrap();
    place
}

/// Rows whose inputs are their number, with one more text each.
fn rows(place: &Place, count: usize, name: &str, value: impl Fn(usize) -> String) {
    let lines = (0..count).map(|i| format!("{i},0.5,{},{}\n", i % 2, value(i)));
    let text = format!("a,b,y,{name}\n{}", lines.collect::<String>());
    fs::write(place.path().join("toy.csv"), text).unwrap();
}

fn counts(told: &[Value]) -> [u64; 3] {
    let rows = &find(told, "start")["rows"];
    ["train", "val", "test"].map(|p| rows[p].as_u64().unwrap_or(0))
}

/// The `a`s of the first training rows, as a model would be fed them.
fn first(place: &Place, n: usize) -> Vec<f64> {
    let told = place.events(&format!("inspect toy.nn --json --sample {n}"));
    let sample = find(&told, "inspected")["sample"]
        .as_array()
        .unwrap()
        .clone();
    let fed = sample
        .iter()
        .map(|row| row["fed"]["x"][0].as_f64().unwrap());
    fed.collect()
}

#[test]
fn the_earliest_rows_train() {
    let place = place(
        "time(day) { train 50%, val 30%, test 20% }",
        "  column day : text",
    );
    // row i is of day 20 - i
    rows(&place, 20, "day", |i| format!("2024-01-{:02}", 20 - i));
    let told = place.events("run toy.nn --json --out w --epochs 1");
    assert_eq!(counts(&told), [10, 6, 4]);
    assert_eq!(first(&place, 3), [19.0, 18.0, 17.0]);
    rows(&place, 20, "day", |i| format!("day {i}"));
    let failed = place.nnc("run toy.nn --out v");
    assert!(err(&failed).contains("E0962"), "{}", err(&failed));
}

#[test]
fn a_column_says_the_part() {
    let place = place(
        "given(part) { train \"fit\", test \"judge\" }",
        "  column part : text",
    );
    rows(&place, 30, "part", |i| {
        if i % 3 == 0 { "judge" } else { "fit" }.into()
    });
    let told = place.events("run toy.nn --json --out w --epochs 1");
    assert_eq!(counts(&told), [20, 0, 10]);
    assert_eq!(first(&place, 4), [1.0, 2.0, 4.0, 5.0]);
    rows(&place, 30, "part", |i| {
        if i == 8 { "dev" } else { "fit" }.into()
    });
    let failed = place.nnc("run toy.nn --out v");
    assert!(
        err(&failed).contains("row 9, column `part`: `dev` does not name a part"),
        "{}",
        err(&failed)
    );
    rows(&place, 30, "part", |_| "fit".into());
    let failed = place.nnc("run toy.nn --out v");
    assert!(err(&failed).contains("E0925"), "{}", err(&failed));
}

#[test]
fn rows_of_a_key_go_together() {
    let place = place("hash(user) { train 60%, test 40% }", "  column user : text");
    rows(&place, 300, "user", |i| format!("user {}", i % 20));
    let told = place.events("run toy.nn --json --out w --epochs 1");
    let [train, _, test] = counts(&told);
    assert!(
        train % 15 == 0 && test % 15 == 0 && train + test == 300 && test > 0,
        "{train} {test}"
    );
    let users = |rows: &[f64]| {
        rows.iter()
            .map(|a| *a as usize % 20)
            .collect::<std::collections::BTreeSet<_>>()
    };
    let seen = users(&first(&place, train as usize));
    assert_eq!(seen.len() as u64, train / 15);
    assert_eq!(find(&told, "saved")["stopped"], Value::Null);
}

#[test]
fn each_fold_is_trained_and_they_are_summed_up() {
    let place = place("kfold(3, stratify = y, seed = 5) { test 10% }", "");
    let told = place.events("run toy.nn --json --out w");
    let folds: Vec<&Value> = told.iter().filter(|e| e["event"] == "fold").collect();
    assert_eq!(folds.len(), 3);
    let starts: Vec<&Value> = told.iter().filter(|e| e["event"] == "start").collect();
    // 205 rows: 21 set aside, 184 in folds
    let sizes: Vec<u64> = starts
        .iter()
        .map(|e| e["rows"]["val"].as_u64().unwrap())
        .collect();
    assert_eq!(sizes, [62, 61, 61]);
    assert!(starts.iter().all(|e| e["rows"]["test"] == 21));
    let whole = find(&told, "folds");
    let values: Vec<f64> = folds
        .iter()
        .map(|f| f["values"]["val_loss"].as_f64().unwrap())
        .collect();
    let mean = values.iter().sum::<f64>() / 3.0;
    assert!((whole["mean"]["val_loss"].as_f64().unwrap() - mean).abs() < 1e-12);
    let spread = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 3.0;
    assert!((whole["std"]["val_loss"].as_f64().unwrap() - spread.sqrt()).abs() < 1e-12);
    // weights say which fold they are judged by
    for (i, fold) in folds.iter().enumerate() {
        let weights = format!("w/fold-{}/weights.safetensors", i + 1);
        let judged = place.events(&format!(
            "evaluate toy.nn --json --part val --weights {weights}"
        ));
        assert_eq!(find(&judged, "val")["loss"], fold["values"]["val_loss"]);
        assert_eq!(find(&judged, "val")["rows"], sizes[i]);
    }
    // one fold alone is the same run
    let alone = place.events("run toy.nn --json --out one --fold 2");
    assert_eq!(
        find(&alone, "test")["loss"],
        folds[1]["values"]["test_loss"]
    );
    let weights = |path: &str| fs::read(place.path().join(path)).unwrap();
    assert!(weights("one/weights.safetensors") == weights("w/fold-2/weights.safetensors"));
    let text = out(&place.nnc("runs w"));
    assert!(
        text.contains("done") && text.contains("val_accuracy"),
        "{text}"
    );
}

#[test]
fn folds_go_on_where_they_stopped() {
    let place = place("kfold(3, seed = 5)", "");
    place.events("run toy.nn --json --out whole --epochs 3");
    // as if killed in the second fold, after one epoch
    place.events("run toy.nn --json --out w --epochs 3");
    let path = |p: &str| place.path().join("w").join(p);
    fs::remove_dir_all(path("fold-2")).unwrap();
    fs::remove_dir_all(path("fold-3")).unwrap();
    place.events("run toy.nn --json --out w/fold-2 --epochs 1 --fold 2");
    let told = fs::read_to_string(path("events.jsonl")).unwrap();
    let kept: Vec<&str> = told.lines().take(1).collect();
    fs::write(
        path("events.jsonl"),
        kept[0].to_owned() + "\n{\"event\": \"fo",
    )
    .unwrap();
    let told = place.events("run toy.nn --json --resume w --epochs 3");
    let epochs = told.iter().filter(|e| e["event"] == "epoch").count();
    assert_eq!(epochs, 2 + 3);
    let last = |folder: &str| {
        let text = fs::read_to_string(place.path().join(folder).join("events.jsonl")).unwrap();
        serde_json::from_str::<Value>(text.lines().last().unwrap()).unwrap()
    };
    assert_eq!(last("w")["mean"], last("whole")["mean"]);
    // another program does not go on with it
    let text = fs::read_to_string(place.path().join("toy.nn")).unwrap();
    fs::write(
        place.path().join("toy.nn"),
        text.replace("width = 6", "width = 7"),
    )
    .unwrap();
    let failed = place.nnc("run toy.nn --resume w --epochs 3");
    assert!(err(&failed).contains("E0956"), "{}", err(&failed));
    let failed = place.nnc("run toy.nn --fold 4 --out v");
    assert!(
        err(&failed).contains("there is no fold 4"),
        "{}",
        err(&failed)
    );
}

#[test]
fn rows_that_stand_in_two_parts_are_counted() {
    let split = "{ train 80%, val 20% }\n  source test csv(\"copy.csv\")";
    let place = place(split, "  column tag : text");
    rows(&place, 50, "tag", |i| format!("t{i}"));
    let text = fs::read_to_string(place.path().join("toy.csv")).unwrap();
    // a copy of 20 rows and 5 rows of its own
    let copied: String = text.lines().take(21).flat_map(|l| [l, "\n"]).collect();
    let own: String = (0..5).map(|i| format!("{i},7,1,new\n")).collect();
    fs::write(place.path().join("copy.csv"), copied + &own).unwrap();
    let ran = place.nnc("run toy.nn --json --out w --epochs 1");
    let told = events(&out(&ran));
    let warning = find(&told, "warning");
    let trained = first(&place, 40);
    let both: Vec<usize> = (0..20).filter(|i| trained.contains(&(*i as f64))).collect();
    assert_eq!(warning["code"], "W0901");
    assert_eq!(warning["rows"], both.len());
    assert_eq!(warning["of"], 25);
    assert_eq!(warning["row"], both[0] + 1);
    assert_eq!(warning["row_of_train"], both[0] + 1);
    assert!(err(&ran).contains("warning[W0901]"), "{}", err(&ran));
    // no row of the split's own parts is
    assert_eq!(told.iter().filter(|e| e["event"] == "warning").count(), 1);
}

#[test]
fn what_stands_for_missing_values_is_learnt_once() {
    let place = Place::new();
    let columns =
        "  column x : [2] = a .. b, missing = mean\n  column y : class[2], missing = drop\n";
    let text = PROGRAM.replace(
        "  column  x : [2] = a .. b\n  column  y : class[2]\n",
        columns,
    );
    assert_ne!(text, PROGRAM);
    fs::write(place.path().join("toy.nn"), &text).unwrap();
    let lines = (0..60).map(|i| {
        let b = if i % 4 == 1 {
            "NA".into()
        } else {
            format!("{}", i % 7)
        };
        let y = if i % 10 == 9 {
            String::new()
        } else {
            (i % 2).to_string()
        };
        format!("{i},{b},{y}\n")
    });
    let rows = format!("a,b,y\n{}", lines.collect::<String>());
    fs::write(place.path().join("toy.csv"), rows).unwrap();
    let told = place.events("run toy.nn --json --out w --epochs 2");
    assert_eq!(counts(&told), [32, 11, 11]);
    let judged = place.events("evaluate toy.nn --json --weights w/weights.safetensors");
    assert_eq!(find(&judged, "test")["loss"], find(&told, "test")["loss"]);
    // the mean of the training rows stands for it, whatever is predicted
    let seen = first(&place, 60);
    assert_eq!(seen.len(), 32);
    let there = seen.iter().map(|a| *a as usize).filter(|i| i % 4 != 1);
    let there: Vec<f64> = there.map(|i| (i % 7) as f64).collect();
    let mean = (there.iter().sum::<f64>() / there.len() as f64) as f32;
    fs::write(place.path().join("new.csv"), format!("a,b\n3,\n3,{mean}\n")).unwrap();
    let predicted = place.nnc("predict toy.nn --weights w/weights.safetensors --input new.csv");
    let text = out(&predicted);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[1], lines[2], "{text}");
    // without a word about it a missing value is a mistake, and the word is told
    fs::write(place.path().join("toy.nn"), PROGRAM).unwrap();
    let failed = place.nnc("run toy.nn --out v");
    let said = err(&failed);
    assert!(
        said.contains("toy.csv:3: row 2, column `b`") && said.contains("missing = mean"),
        "{said}"
    );
}
