//! What is reported of a run: scikit-learn's numbers (`tests/fixtures/reports.json`), and
//! files that open.

use std::fs;
use std::process::Command;

use nnc::train::report::calibration::{Calibration, Strategy};
use nnc::train::report::ranking::Curve;
use nnc::train::report::regression::Quantities;
use nnc::train::report::scores::{Classification, Predictions};
use serde_json::Value;

use crate::cli::{Place, err, find, out};

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
        let names: Vec<String> = (0..classes).map(|c| c.to_string()).collect();
        let text = Classification::of(&p).text(&names);
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
                assert!(curve.area.is_nan());
                continue;
            };
            assert!((curve.area - auc).abs() < 1e-9, "{} {auc}", curve.area);
            let (fpr, tpr) = (numbers(&expected["fpr"]), numbers(&expected["tpr"]));
            assert_points(curve, &fpr, &tpr);
        }
        let precisions = case["precision_recall"].as_array().unwrap();
        assert_eq!(p.precision_recall().len(), precisions.len());
        for (curve, expected) in p.precision_recall().iter().zip(precisions) {
            let average = expected["average"].as_f64().unwrap();
            assert!(
                (curve.area - average).abs() < 1e-9,
                "{} {average}",
                curve.area
            );
            // scikit-learn's go from recall 1 to 0
            let [mut recall, mut precision] =
                ["recall", "precision"].map(|k| numbers(&expected[k]));
            recall.reverse();
            precision.reverse();
            if average > 0.0 {
                assert_points(curve, &recall, &precision);
            }
        }
        let calibration = &case["calibration"];
        for expected in calibration["curves"].as_array().unwrap() {
            let strategy = match expected["strategy"].as_str().unwrap() {
                "uniform" => Strategy::Uniform,
                _ => Strategy::Quantile,
            };
            let found = Calibration::of(&p, expected["bins"].as_u64().unwrap() as usize, strategy);
            let bins: Vec<usize> = found.bins.iter().map(|b| b.samples).collect();
            assert_eq!(serde_json::json!(bins), expected["samples"]);
            for (bin, (observed, mean)) in (found.bins.iter()).zip(
                numbers(&expected["observed"])
                    .iter()
                    .zip(numbers(&expected["predicted"])),
            ) {
                assert!(
                    (bin.observed - observed).abs() < 1e-12,
                    "{bin:?} {observed}"
                );
                assert!((bin.predicted - mean).abs() < 1e-12, "{bin:?} {mean}");
            }
            let pairs = [
                (found.expected_error, &expected["error"]),
                (found.brier, &calibration["brier"]),
            ];
            for (value, expected) in pairs {
                assert!(
                    (value - expected.as_f64().unwrap()).abs() < 1e-9,
                    "{value} {expected}"
                );
            }
        }
    }
    for case in all["regression"].as_array().unwrap() {
        let q = Quantities {
            width: case["width"].as_u64().unwrap() as usize,
            predicted: numbers(&case["predicted"]),
            truth: numbers(&case["truth"]),
        };
        let found = q.errors();
        for (name, value) in [("r2", found.r2), ("mae", found.mae), ("rmse", found.rmse)] {
            let expected = case[name].as_f64().unwrap();
            assert!(
                (value - expected).abs() < 1e-12,
                "{name} {value} {expected}"
            );
        }
    }
}

fn assert_points(curve: &Curve, x: &[f64], y: &[f64]) {
    assert_eq!(curve.points.len(), x.len());
    for (point, expected) in curve.points.iter().zip(x.iter().zip(y)) {
        let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(
            near(point.0, *expected.0) && near(point.1, *expected.1),
            "{point:?} {expected:?}"
        );
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
        report["classification_report"]["accuracy"]
            .as_f64()
            .unwrap(),
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
    assert_eq!(page.matches("<svg").count(), 5);
    for part in ["src=", "href=\"http", "<script", "NaN"] {
        assert!(!page.contains(part), "{part}");
    }
    for name in ["loss", "accuracy", "confusion_matrix", "roc"] {
        let svg = fs::read_to_string(place.path().join(format!("w/report/{name}.svg"))).unwrap();
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>"), "{name}");
    }
}

/// All of a part, and how it came there.
fn all_reports(place: &Place) -> Vec<Value> {
    let path = place.path().join("toy.nn");
    let text = fs::read_to_string(&path).unwrap();
    let lines = "  epochs     3\n  report     curves, learning_rate, confusion_matrix, classification_report, roc, pr,\n             calibration(bins = 4), worst(count = 3), weights, activations\n";
    fs::write(&path, text.replace("  epochs     3\n", lines)).unwrap();
    place.events("run toy.nn --json --out w")
}

const SECTIONS: [&str; 10] = [
    "curves",
    "learning_rate",
    "confusion_matrix",
    "classification_report",
    "roc",
    "pr",
    "calibration",
    "worst",
    "weights",
    "activations",
];

#[test]
fn every_report_is_on_the_page_and_in_the_event() {
    let place = Place::new();
    let told = all_reports(&place);
    let report = find(&told, "report");
    let page = fs::read_to_string(place.path().join("w/report.html")).unwrap();
    for name in SECTIONS {
        assert!(!report[name].is_null(), "{name}: {report}");
        for part in ["<section id=", "<a href="] {
            let at = match part {
                "<a href=" => format!("{part}\"#{name}\""),
                _ => format!("{part}\"{name}\""),
            };
            assert_eq!(page.matches(&at).count(), 1, "{at}");
        }
    }
    assert_eq!(
        report["learning_rate"]["learning_rate"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    let rates = numbers(&report["learning_rate"]["learning_rate"]);
    assert!(rates.iter().all(|r| (r - 0.01).abs() < 1e-8), "{rates:?}");
    // the mean of the worst is above the mean loss, and they are in order
    let worst: Vec<f64> = (report["worst"].as_array().unwrap().iter())
        .map(|s| s["loss"].as_f64().unwrap())
        .collect();
    let loss = find(&told, "test")["loss"].as_f64().unwrap();
    assert_eq!(worst.len(), 3);
    assert!(
        worst[0] >= worst[1] && worst[1] >= worst[2] && worst[2] > loss,
        "{worst:?} {loss}"
    );
    let layers: Vec<&Value> = report["activations"].as_array().unwrap().iter().collect();
    let names: Vec<&str> = layers.iter().map(|l| l["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["dense", "dropout", "dense_1"]);
    assert_eq!(layers[0]["values"], 41 * 6);
    // a rectifier gives nothing below 0, and what a sigmoid gives is between 0 and 1
    assert_eq!(layers[0]["min"], 0.0);
    assert!(layers[2]["min"].as_f64() > Some(0.0) && layers[2]["max"].as_f64() < Some(1.0));
    let count = |v: &Value| v["values"].as_u64().unwrap();
    let weights: u64 = report["weights"]
        .as_array()
        .unwrap()
        .iter()
        .map(count)
        .sum();
    assert_eq!(
        weights,
        find(&told, "start")["parameters"].as_u64().unwrap()
    );
}

#[test]
fn reports_of_the_interpreter_are_the_same() {
    let place = Place::new();
    let told = all_reports(&place);
    let again = place.events("run toy.nn --json --out interpreted --device interp");
    let (a, b) = (find(&told, "report"), find(&again, "report"));
    assert_eq!(a["confusion_matrix"], b["confusion_matrix"]);
    for name in ["roc", "pr"] {
        for (a, b) in numbers(&a[name]["areas"])
            .iter()
            .zip(numbers(&b[name]["areas"]))
        {
            assert!((a - b).abs() < 1e-6, "{name} {a} {b}");
        }
    }
    let means = |v: &Value| -> Vec<f64> {
        let all = v["activations"].as_array().unwrap().iter();
        all.map(|l| l["mean"].as_f64().unwrap()).collect()
    };
    for (a, b) in means(a).iter().zip(means(b)) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
}

#[test]
fn the_losses_of_samples_add_up_to_the_loss() {
    let place = Place::new();
    let path = place.path().join("toy.nn");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replace("  seed ", "  report worst(count = 41)\n  seed "),
    )
    .unwrap();
    let told = place.events("run toy.nn --json --out w");
    let worst = find(&told, "report")["worst"].as_array().unwrap().clone();
    let sum: f64 = worst.iter().map(|s| s["loss"].as_f64().unwrap()).sum();
    let loss = find(&told, "test")["loss"].as_f64().unwrap();
    assert_eq!(worst.len(), 41);
    assert!((sum / 41.0 - loss).abs() < 1e-5, "{} {loss}", sum / 41.0);
}

#[test]
fn classes_have_the_names_that_the_data_have() {
    let place = Place::new();
    let csv = fs::read_to_string(place.path().join("toy.csv")).unwrap();
    let named = csv.replace(",0\n", ",cold\n").replace(",1\n", ",warm\n");
    fs::write(place.path().join("toy.csv"), named).unwrap();
    let path = place.path().join("toy.nn");
    let text = fs::read_to_string(&path).unwrap();
    let text = text
        .replace("column  y : class[2]", "column  y : text")
        .replace(
            "  input   x",
            "  fit kinds = labels(train.y, classes = 2)\n  input   x",
        )
        .replace(
            "target  y : class[2]",
            "target  t : class[2] = y |> index(kinds)",
        )
        .replace(
            "  seed ",
            "  report confusion_matrix, classification_report, worst(count = 2)\n  seed ",
        );
    fs::write(&path, text).unwrap();
    let told = place.events("run toy.nn --json --out w");
    let worst = &find(&told, "report")["worst"][0];
    assert!(
        ["cold", "warm"].contains(&worst["true"].as_str().unwrap()),
        "{worst}"
    );
    let page = fs::read_to_string(place.path().join("w/report.html")).unwrap();
    assert!(page.contains(">\ncold\n</text>") && page.contains("<td>warm</td>"));
}

#[test]
fn a_resumed_run_reports_the_rates_of_all_epochs() {
    let place = Place::new();
    let path = place.path().join("toy.nn");
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replace("lr = rate", "lr = cosine(0.1, 12)");
    fs::write(
        &path,
        text.replace("  seed ", "  report learning_rate\n  seed "),
    )
    .unwrap();
    let rates = |told: &[Value]| numbers(&find(told, "report")["learning_rate"]["learning_rate"]);
    let whole = rates(&place.events("run toy.nn --json --out whole"));
    assert!(whole.windows(2).all(|w| w[0] > w[1]), "{whole:?}");
    place.events("run toy.nn --json --out parts --epochs 1");
    assert_eq!(
        rates(&place.events("run toy.nn --json --resume parts")),
        whole
    );
}

#[test]
fn outputs_are_reported_by_their_names_and_masked_positions_do_not_count() {
    let place = Place::new();
    let mut rows = String::from("a,b,c,d,y\n");
    for i in 0..60usize {
        let ids: Vec<usize> = (0..4).map(|k| (i * 7 + k * 5 + i * k) % 4).collect();
        let text: Vec<String> = ids.iter().map(usize::to_string).collect();
        rows += &format!("{},{}\n", text.join(","), ids.iter().sum::<usize>());
    }
    fs::write(place.path().join("tags.csv"), rows).unwrap();
    let program = r#"
data tags {
  source  csv("tags.csv")
  column  ids : token[4][4] = a .. d
  column  tag : class[4][4] = a .. d
  column  y   : []
  split   { train 50%, test 50% }
  input   ids : token[4][4]
  target  tag : class[4][4]
  target  sum : [] = y
}
model Tags(ids: token[4][4]) {
  h = ids |> Embedding(4, 3, mask_zero = true) |> LSTM(4, return_sequences = true)
  (tag = h |> Dense(4, softmax), sum = h |> Flatten |> Dense(1))
}
train Tags on tags {
  loss       tag = sparse_categorical_crossentropy, sum = mse
  optimizer  Adam(lr = 0.02)
  metrics    tag = accuracy, sum = mae, sum = r2_score
  epochs     4
  batch      16
  report     tag = classification_report, tag = worst(count = 2), sum = residuals, sum = worst
}
"#;
    fs::write(place.path().join("tags.nn"), program).unwrap();
    let told = place.events("run tags.nn --json --out w");
    let (report, test) = (find(&told, "report"), find(&told, "test"));
    let near = |a: &Value, b: &Value, far: f64| {
        let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
        assert!((a - b).abs() < far, "{a} {b}");
    };
    let classes = &report["tag_classification_report"];
    near(&classes["accuracy"], &test["tag_accuracy"], 1e-6);
    // of 30 rows of 4 ids, those that are not 0
    let counted = classes["weighted_average"]["support"].as_u64().unwrap();
    assert!(counted > 60 && counted < 120, "{counted}");
    near(&report["sum_residuals"]["mae"], &test["sum_mae"], 1e-5);
    near(&report["sum_residuals"]["r2"], &test["sum_r2_score"], 1e-4);
    let worst = &report["tag_worst"][0]["true"];
    assert_eq!(worst.as_str().unwrap().split(", ").count(), 4, "{worst}");
    let page = fs::read_to_string(place.path().join("w/report.html")).unwrap();
    assert!(page.contains("Residuals of sum") && page.contains("id=\"sum_worst\""));
}

/// The browser, where there is one.
fn browser() -> Option<&'static str> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let there = |name: &&str| {
        let version = Command::new(name).arg("--version").output();
        version.is_ok_and(|o| o.status.success())
    };
    names.into_iter().find(there)
}

#[test]
fn the_page_opens_in_a_browser_without_an_error() {
    let Some(browser) = browser() else {
        eprintln!("SKIPPED the_page_opens_in_a_browser_without_an_error: no chromium is installed");
        return;
    };
    let place = Place::new();
    all_reports(&place);
    let run = place.path().join("w");
    // pictures that are no SVG tell so when they are loaded
    let pictures: Vec<String> = fs::read_dir(run.join("report"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(pictures.len() >= 9, "{pictures:?}");
    let shown = pictures.iter().map(|name| {
        format!("<img src='report/{name}' onload='document.title += \"+\"' onerror='console.error(this.src)'>")
    });
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    let page = page.replace("</body>", &(shown.collect::<String>() + "</body>"));
    fs::write(run.join("shown.html"), page).unwrap();
    let opened = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
        ])
        .args(["--virtual-time-budget=2000", "--dump-dom"])
        .arg(format!(
            "--user-data-dir={}",
            place.path().join("browser").display()
        ))
        .arg(format!("file://{}", run.join("shown.html").display()))
        .output()
        .unwrap();
    let (dom, log) = (out(&opened), err(&opened));
    let errors: Vec<&str> = log.lines().filter(|l| l.contains("CONSOLE")).collect();
    assert!(errors.is_empty(), "{errors:?}");
    for name in SECTIONS {
        assert!(
            dom.contains(&format!("<section id=\"{name}\">")),
            "{name}\n{log}"
        );
    }
    let title = format!("<title>Toy{}</title>", "+".repeat(pictures.len()));
    assert!(dom.contains(&title), "{}", &dom[..300.min(dom.len())]);
}
