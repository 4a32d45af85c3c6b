//! What is reported of a run: scikit-learn's numbers (`tests/fixtures/reports.json`), and
//! files that open.

use std::fs;

use nnc::train::report::scores::{Classification, Predictions};
use serde_json::Value;

use crate::cli::{Place, find};

fn numbers(v: &Value) -> Vec<f64> {
    let all = v.as_array().unwrap().iter();
    all.map(|x| x.as_f64().unwrap()).collect()
}

#[test]
fn scores_are_scikit_learns() {
    let all: Value = serde_json::from_str(include_str!("../fixtures/reports.json")).unwrap();
    for case in all["cases"].as_array().unwrap() {
        let classes = case["classes"].as_u64().unwrap() as usize;
        let given: Vec<f32> = numbers(&case["probabilities"])
            .iter()
            .map(|x| *x as f32)
            .collect();
        let truth = numbers(&case["truth"]);
        let outputs: Vec<f32> = match classes {
            2 => given.chunks(2).map(|row| row[1]).collect(),
            _ => given,
        };
        let last = if classes == 2 { 1 } else { classes };
        let p = Predictions::new(&outputs, last, &truth);
        // one-hot targets say the same
        let hot: Vec<f64> = truth
            .iter()
            .flat_map(|t| (0..classes).map(move |c| f64::from(u8::from(c as f64 == *t))))
            .collect();
        if classes > 2 {
            assert_eq!(Predictions::new(&outputs, last, &hot), p);
        }
        let confusion = p.confusion();
        assert_eq!(serde_json::json!(confusion), case["confusion"]);
        let text = Classification::of(&confusion).text();
        let lines = |t: &str| {
            t.lines()
                .map(|l| l.trim_end().to_owned())
                .collect::<Vec<_>>()
        };
        let expected = case["report"].as_str().unwrap();
        // classes are numbered; scikit-learn makes the first column as wide as its names
        let words = |t: &str| {
            let all = lines(t).into_iter();
            all.map(|l| l.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        assert_eq!(words(&text), words(expected), "{text}\n{expected}");
        for (curve, expected) in p.roc().iter().zip(case["roc"].as_array().unwrap()) {
            assert_eq!(expected["class"], curve.class);
            let Some(auc) = expected["auc"].as_f64() else {
                assert!(curve.auc.is_nan());
                continue;
            };
            assert!((curve.auc - auc).abs() < 1e-9, "{} {auc}", curve.auc);
            let (fpr, tpr) = (numbers(&expected["fpr"]), numbers(&expected["tpr"]));
            assert_eq!(curve.points.len(), fpr.len());
            for (point, expected) in curve.points.iter().zip(fpr.iter().zip(&tpr)) {
                assert!(
                    (point.0 - expected.0).abs() < 1e-12 && (point.1 - expected.1).abs() < 1e-12
                );
            }
        }
    }
}

#[test]
fn a_run_writes_the_reports_that_its_file_names() {
    let place = Place::new();
    let path = place.path().join("toy.nn");
    let text = fs::read_to_string(&path).unwrap();
    let lines =
        "  epochs     3\n  report     curves, confusion_matrix, classification_report, roc\n";
    fs::write(&path, text.replace("  epochs     3\n", lines)).unwrap();
    let told = place.events("run toy.nn --json --out w");
    let report = find(&told, "report");
    assert_eq!(
        (&report["part"], &report["rows"]),
        (&"test".into(), &41.into())
    );
    // the same as the metric says
    let (accuracy, metric) = (
        report["accuracy"].as_f64().unwrap(),
        &find(&told, "test")["accuracy"],
    );
    assert!((accuracy - metric.as_f64().unwrap()).abs() < 1e-12);
    let all: f64 = report["confusion_matrix"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(numbers)
        .sum();
    assert_eq!(all, 41.0);
    let page = fs::read_to_string(place.path().join("w/report.html")).unwrap();
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    assert_eq!(page.matches("<svg").count(), 4);
    for part in ["src=", "href=", "<script", "NaN"] {
        assert!(!page.contains(part), "{part}");
    }
    for name in ["loss", "accuracy", "confusion_matrix", "roc"] {
        let svg = fs::read_to_string(place.path().join(format!("w/report/{name}.svg"))).unwrap();
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>"), "{name}");
    }
}
