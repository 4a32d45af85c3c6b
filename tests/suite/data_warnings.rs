//! Warnings that only the data can give: each with rows that deserve it and with rows that do not.

use std::fs;

use serde_json::Value;

use crate::cli::{PROGRAM, Place, err, events, out};

/// A folder with `toy.nn`, changed, and with rows, if they are given.
fn place(changes: &[(&str, &str)], rows: Option<String>) -> Place {
    let place = Place::new();
    let mut text = PROGRAM.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    fs::write(place.path().join("toy.nn"), text).unwrap();
    if let Some(rows) = rows {
        fs::write(place.path().join("toy.csv"), rows).unwrap();
    }
    place
}

/// `a`, `b` and a class, of row i.
fn rows(count: usize, row: impl Fn(usize) -> (f64, f64, usize)) -> String {
    let line = |i| {
        let (a, b, y) = row(i);
        format!("{a},{b},{y}\n")
    };
    (0..count).map(line).collect()
}

const HEADER: &str = "a,b,y\n";
const RUN: &str = "run toy.nn --json --limit-steps 1 --out w";

/// The codes and messages of a command that runs all the same.
fn warnings(place: &Place, command: &str) -> Vec<(String, String)> {
    let told = place.events(command);
    let found = told.iter().filter(|e| e["event"] == "diagnostic");
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    found
        .map(|e| {
            assert_eq!(e["severity"], "warning");
            assert!(e["file"].as_str().is_some_and(|f| f.ends_with("toy.nn")));
            (text(&e["code"]), text(&e["message"]))
        })
        .collect()
}

fn one(place: &Place, code: &str, message: &str) {
    let found = warnings(place, RUN);
    assert_eq!(found, [(code.to_owned(), message.to_owned())]);
}

fn none(place: &Place) {
    assert_eq!(warnings(place, RUN), []);
}

const BY_NUMBER: &[(&str, &str)] = &[
    ("column  x : [2] = a .. b", "column  x : [2] = 0 .. 1"),
    (
        "column  y : class[2]\n  split",
        "column  y : class[2] = 2\n  split",
    ),
];

#[test]
fn a_header_of_numbers_is_a_lost_row() {
    let varied = |i: usize| ((i % 7) as f64, (i % 5) as f64, i % 2);
    let text = rows(60, varied);
    let place_by = |text: &str| place(BY_NUMBER, Some(text.to_owned()));
    let eaten = place_by(&text);
    let what = "the first line of `toy.csv` is data, but is taken for column names";
    one(&eaten, "W0972", what);
    let inspected = warnings(&eaten, "inspect toy.nn --json");
    assert_eq!(inspected, [("W0972".to_owned(), what.to_owned())]);
    none(&place_by(&format!("{HEADER}{text}")));
    // as pandas numbers columns
    none(&place_by(&format!("0,1,2\n{text}")));
    // beside a text, as in UCI's iris
    let mut species = BY_NUMBER.to_vec();
    species.push(("  split", "  column  _kind : text = 3\n  split"));
    let kinds = |kind: &str| -> String { text.lines().map(|l| format!("{l},{kind}\n")).collect() };
    one(&place(&species, Some(kinds("setosa"))), "W0972", what);
    none(&place(
        &species,
        Some(format!("a,b,y,kind\n{}", kinds("setosa"))),
    ));
    // the other way round
    let mut absent = BY_NUMBER.to_vec();
    absent.push(("csv(\"toy.csv\")", "csv(\"toy.csv\", header = false)"));
    let told = err(&place(&absent, Some(format!("{HEADER}{text}"))).nnc("run toy.nn --out w"));
    assert!(told.contains("leave out `header = false`"), "{told}");
    // years are names as well as others, where the program uses them
    let years = place(
        &[
            (
                "column  x : [2] = a .. b",
                "column  x : [2] = \"2019\" .. \"2020\"",
            ),
            (
                "column  y : class[2]\n",
                "column  y : class[2] = \"2021\"\n",
            ),
        ],
        Some(format!("2019,2020,2021\n{text}")),
    );
    none(&years);
}

#[test]
fn small_sets_are_named() {
    let changes = [("train 60%, val 20%, test 20%", "train 200, val 3, test 2")];
    let found = warnings(&place(&changes, None), RUN);
    let messages: Vec<&str> = found.iter().map(|(_, m)| m.as_str()).collect();
    assert_eq!(
        messages,
        [
            "the validation set has only 3 rows",
            "the test set has only 2 rows"
        ]
    );
    none(&place(
        &[("train 60%, val 20%, test 20%", "train 185, val 10, test 10")],
        None,
    ));
}

#[test]
fn constant_columns_are_named() {
    let text = |b: fn(usize) -> f64| format!("{HEADER}{}", rows(60, |i| (i as f64, b(i), i % 2)));
    let place_of = |b| place(&[], Some(text(b)));
    one(
        &place_of(|_| 0.5),
        "W0974",
        "`b` has one value in all training rows",
    );
    none(&place_of(|i| f64::from(u8::from(i % 9 == 0))));
    let both = format!("{HEADER}{}", rows(60, |i| (3.0, 4.0, i % 2)));
    let found = warnings(&place(&[], Some(both)), RUN);
    assert_eq!(found[0].1, "`x` has one value in all training rows");
    // pixels may be empty at the border
    let bytes = place(
        &[
            ("x : [2] = a .. b", "x : u8[2] = a .. b"),
            ("input   x : [2]", "input   z : [2] = x / 255"),
            ("Toy(x: [2]", "Toy(z: [2]"),
            ("\n  x |>", "\n  z |>"),
        ],
        Some(text(|_| 1.0)),
    );
    none(&bytes);
}

#[test]
fn classes_without_rows_are_named() {
    let changes = [
        ("class[2]", "class[4]"),
        ("-> prob {", "-> prob[4] {"),
        ("Dense(1, sigmoid)", "Dense(4, softmax)"),
        ("binary_crossentropy", "sparse_categorical_crossentropy"),
    ];
    let text = |class: fn(usize) -> usize| {
        let row = |i: usize| ((i * 7 % 13) as f64, (i * 5 % 11) as f64, class(i));
        Some(format!("{HEADER}{}", rows(100, row)))
    };
    one(
        &place(&changes, text(|i| i % 3)),
        "W0975",
        "no training row has class 3 of `y`",
    );
    none(&place(&changes, text(|i| i % 4)));
    // sorted by class, and split in the order of time
    let mut sorted = changes.to_vec();
    sorted.push(("split   {", "column  t : [] = a\n  split   time(t) {"));
    let text = rows(100, |i| (i as f64, (i * 5 % 11) as f64, i / 25));
    let found = place(&sorted, Some(format!("{HEADER}{text}"))).nnc("run toy.nn --limit-steps 1");
    let told = err(&found);
    assert!(
        told.contains("no training row has class 3 of `y`"),
        "{told}"
    );
    assert!(
        told.contains("rows of the validation set and the test set have it"),
        "{told}"
    );
}

const CTC: &str = r#"
data toy {
  source  csv("toy.csv")
  column  x : [5, 1] = a .. e
  column  y : class[4][4] = k .. n
  input   x : [5, 1]
  target  y : class[4][4]
}
model Toy(x: [5, 1]) -> prob[5, 4] { x |> GRU(4, return_sequences = true) |> Dense(4, softmax) }
train Toy on toy { loss ctc; optimizer Adam }
"#;

#[test]
fn labels_that_ctc_cannot_align_are_counted() {
    let text = |odd: &str| {
        let line = |i: usize| match i {
            5 => format!("1,2,3,4,{i},{odd}\n"),
            _ => format!("1,2,3,{i},4,1,2,3,{}\n", i % 3),
        };
        let lines: String = (0..20).map(line).collect();
        format!("a,b,c,d,e,k,l,m,n\n{lines}")
    };
    let place_of = |odd| {
        let place = Place::new();
        fs::write(place.path().join("toy.nn"), CTC).unwrap();
        fs::write(place.path().join("toy.csv"), text(odd)).unwrap();
        place
    };
    let long = place_of("1,1,1,1");
    one(
        &long,
        "W0976",
        "the labels of 1 row in `y` do not fit into 5 steps",
    );
    let told = err(&long.nnc("run toy.nn --limit-steps 1 --out v"));
    assert!(
        told.contains("row 6 needs 7 steps: 4 labels, and a blank between 3 equal pairs"),
        "{told}"
    );
    // 4 labels, one pair alike: 5 steps
    none(&place_of("1,1,2,3"));
}

#[test]
fn schedules_are_held_against_the_run() {
    let with = |schedule: &str, command: &str| {
        let rate = format!("Adam(lr = {schedule})");
        warnings(
            &place(
                &[("Adam(lr = rate)", &rate), ("const rate = 0.01\n", "")],
                None,
            ),
            command,
        )
    };
    // 123 training rows in batches of 32: 4 steps per epoch
    let run = "run toy.nn --json --limit-steps 1 --out w --epochs 50";
    let ended = with("cosine_decay(0.01, decay_steps = 50)", run);
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].0, "W0977");
    assert!(
        ended[0]
            .1
            .starts_with("the schedule ends after step 50 of 200 steps"),
        "{ended:?}"
    );
    assert_eq!(with("cosine_decay(0.01, decay_steps = 200)", run), []);
    let late = with("piecewise_constant([5000], [0.01, 0.001])", run);
    assert_eq!(
        late[0].1,
        "the schedule does not change the learning rate in a run of 200 steps"
    );
    assert_eq!(with("piecewise_constant([100], [0.01, 0.001])", run), []);
    // one that a callback sets once per epoch
    let callback = |epochs: usize| {
        let line = format!(
            "epochs {epochs}; callbacks LearningRateScheduler(cosine_decay(0.01, decay_steps = 10))"
        );
        warnings(&place(&[("epochs     3", &line)], None), RUN)
    };
    assert_eq!(callback(10), []);
    let ended = callback(50);
    assert_eq!(ended[0].1, "the schedule ends after epoch 10 of 50 epochs");
}

#[test]
fn warnings_of_data_are_allowed_and_denied_like_others() {
    let constant = format!("{HEADER}{}", rows(60, |i| (i as f64, 0.5, i % 2)));
    let warned = place(&[], Some(constant.clone()));
    let denied = warned.nnc("run toy.nn --deny-warnings --out w");
    assert_eq!(denied.status.code(), Some(3), "{}", err(&denied));
    assert!(err(&denied).contains("warning[W0974]"), "{}", err(&denied));
    assert!(
        err(&denied).contains("error: 1 warning about the data"),
        "{}",
        err(&denied)
    );
    assert!(!warned.path().join("w").exists());
    let allowed = place(&[("data toy", "@allow(W0974)\ndata toy")], Some(constant));
    none(&allowed);
    let ran = allowed.nnc("run toy.nn --deny-warnings --limit-steps 1 --out v");
    assert_eq!(ran.status.code(), Some(0), "{}", err(&ran));
    // rows that are trained on as well
    let split = "split   { train 60%, val 20%, test 20% }";
    let copied = place(
        &[
            (split, "source  test csv(\"copy.csv\")"),
            ("source  csv", "source  train csv"),
        ],
        None,
    );
    let there = copied.path().join("toy.csv");
    fs::copy(there, copied.path().join("copy.csv")).unwrap();
    let ran = copied.nnc("run toy.nn --json --limit-steps 1 --out w");
    assert!(events(&out(&ran)).iter().any(|e| e["code"] == "W0901"));
    let denied = copied.nnc("run toy.nn --json --deny-warnings --out v");
    assert_eq!(denied.status.code(), Some(3), "{}", err(&denied));
    assert!(events(&out(&denied)).iter().any(|e| e["code"] == "W0901"));
    assert!(!copied.path().join("v").exists());
}

#[test]
fn predictions_by_position_are_denied() {
    let place = place(&[], None);
    place.events("run toy.nn --json --out w --epochs 1");
    fs::write(place.path().join("new.csv"), "u,v\n1,2\n").unwrap();
    let predict = "predict toy.nn --weights w/weights.safetensors --input new.csv";
    assert_eq!(place.nnc(predict).status.code(), Some(0));
    let denied = place.nnc(&format!("{predict} --deny-warnings"));
    assert_eq!(denied.status.code(), Some(3), "{}", err(&denied));
}

#[test]
fn a_sweep_shows_a_warning_of_its_trials_once() {
    let constant = format!("{HEADER}{}", rows(60, |i| (i as f64, 0.5, i % 2)));
    let axes = "sweep Toy { width in [2, 3]; search grid; minimize val_loss }\n";
    let place = place(
        &[("train Toy", &format!("{axes}train Toy"))],
        Some(constant),
    );
    let swept = place.nnc("sweep toy.nn --epochs 1 --jobs 1 --out s");
    let told = err(&swept);
    assert_eq!(swept.status.code(), Some(0), "{told}");
    let shown = "warning[W0974]: `b` has one value in all training rows";
    assert_eq!(told.matches(shown).count(), 1, "{told}");
    let denied = place.nnc("sweep toy.nn --epochs 1 --jobs 1 --out d --deny-warnings");
    assert_eq!(denied.status.code(), Some(3), "{}", err(&denied));
    assert!(
        err(&denied).contains("1 warning about the data"),
        "{}",
        err(&denied)
    );
}
