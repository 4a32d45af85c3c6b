//! Columns are found by the names that the training file has, in whatever order another file
//! holds them.

use std::fs;

use tempfile::TempDir;

use crate::cli::{err, out};

const TRAIN: &str = "p,r,q,s,y\n1,0,0,0,10\n0,0,1,0,20\n0,1,0,0,30\n0,0,0,1,40\n";
/// The same columns under the same names, in another order.
const OTHER: &str = "y,s,r,q,p\n10,0,0,0,1\n20,0,0,1,0\n30,0,1,0,0\n40,1,0,0,0\n";
const EXPECTED: [f64; 4] = [10.0, 20.0, 30.0, 40.0];

const MODEL: &str = "model M(x: [4]) -> [1] { x |> Dense(1) }\n\
    train M on d { loss mse; optimizer SGD(0.3); metrics mae; epochs 500; seed 1 }\n";

struct Place(TempDir);

impl Place {
    /// A folder with `a.nn` of these sources and columns, and files.
    fn new(data: &str, files: &[(&str, &str)]) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        place.write("a.nn", &format!("data d {{\n{data}\n}}\n{MODEL}"));
        for (name, text) in files {
            place.write(name, text);
        }
        place
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn nnc(&self, args: &str) -> std::process::Output {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_nnc"));
        command
            .current_dir(self.0.path())
            .env("NO_COLOR", "1")
            .env("NNC_CACHE", self.0.path().join("cache"))
            .args(args.split_whitespace());
        command.output().unwrap()
    }

    fn fine(&self, args: &str) -> String {
        let output = self.nnc(args);
        assert_eq!(output.status.code(), Some(0), "{args}: {}", err(&output));
        out(&output)
    }

    fn refused(&self, args: &str) -> String {
        let output = self.nnc(args);
        assert_eq!(output.status.code(), Some(3), "{args}: {}", out(&output));
        err(&output)
    }

    fn predicts(&self, input: &str, expected: &[f64]) {
        let text = self.fine(&format!(
            "predict a.nn --weights o/weights.safetensors --input {input}"
        ));
        let found: Vec<f64> = text.lines().skip(1).map(|l| l.parse().unwrap()).collect();
        assert_eq!(found.len(), expected.len(), "{text}");
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 0.05, "{input}: {text}");
        }
    }
}

/// The mean absolute error in an event.
fn error_of(events: &str, kind: &str) -> f64 {
    let events = crate::cli::events(events);
    let found = events.iter().find(|e| e["event"] == kind).unwrap();
    found["mae"].as_f64().unwrap()
}

#[test]
fn a_range_takes_the_columns_of_the_training_file() {
    let jsonl = |text: &str| {
        let mut lines = text.lines().map(|l| l.split(',').collect::<Vec<_>>());
        let names = lines.next().unwrap();
        let line = |values: Vec<&str>| {
            let fields = names.iter().zip(values);
            let fields: Vec<String> = fields.map(|(n, v)| format!("\"{n}\": {v}")).collect();
            format!("{{{}}}\n", fields.join(", "))
        };
        lines.map(line).collect::<String>()
    };
    for (reader, ending) in [
        ("csv(\"train.csv\")|csv(\"other.csv\")", "csv"),
        (
            "csv(\"train.csv\", stream = true)|csv(\"other.csv\", stream = true)",
            "csv",
        ),
        ("jsonl(\"train.jsonl\")|jsonl(\"other.jsonl\")", "jsonl"),
        ("jsonl(\"train.jsonl\")|csv(\"other.csv\")", "csv"),
    ] {
        let (train, test) = reader.split_once('|').unwrap();
        let data = format!(
            "  source {train}\n  source test {test}\n  column x : [4] = p .. s\n  column y : []\n  \
             input x : [4]\n  target y : []"
        );
        let (train, other) = (jsonl(TRAIN), jsonl(OTHER));
        let files = [
            ("train.csv", TRAIN),
            ("other.csv", OTHER),
            ("train.jsonl", &train),
            ("other.jsonl", &other),
        ];
        let place = Place::new(&data, &files);
        let told = place.fine("run a.nn --json --quiet --out o");
        assert!(error_of(&told, "test") < 0.05, "{reader}: {told}");
        let told = place.fine("evaluate a.nn --json --quiet --weights o/weights.safetensors");
        assert!(error_of(&told, "test") < 0.05, "{reader}: {told}");
        place.predicts(&format!("other.{ending}"), &EXPECTED);
    }
}

#[test]
fn evaluate_finds_the_names_that_the_weights_were_trained_on() {
    let data = "  source csv(\"d.csv\")\n  column x : [4] = p .. s\n  column y : []\n  \
        input x : [4]\n  target y : []";
    let place = Place::new(data, &[("d.csv", TRAIN)]);
    place.fine("run a.nn --json --quiet --out o");
    // the file that was trained on, its columns in another order
    let swapped = "p,q,r,s,y\n1,0,0,0,10\n0,1,0,0,20\n0,0,1,0,30\n0,0,0,1,40\n";
    place.write("d.csv", swapped);
    let told = place.fine("evaluate a.nn --json --quiet --weights o/weights.safetensors");
    assert!(error_of(&told, "train") < 0.05, "{told}");
    // and one of them under another name
    place.write("d.csv", &swapped.replace('q', "k"));
    let told = place.refused("evaluate a.nn --weights o/weights.safetensors");
    assert!(told.contains("there is no column `q`"), "{told}");
}

#[test]
fn a_name_that_is_missing_is_no_reason_to_go_by_place() {
    let ranged = "  source csv(\"train.csv\")\n  column x : [4] = p .. s\n  column y : []\n  \
        input x : [4]\n  target y : []";
    let single = "  source csv(\"train.csv\")\n  column p : []\n  column q : []\n  \
        column r : []\n  column s : []\n  column y : []\n  \
        input x : [4] = concat(expand(p, 1), expand(q, 1), expand(r, 1), expand(s, 1))\n  \
        target y : []";
    for data in [ranged, single] {
        let place = Place::new(data, &[("train.csv", TRAIN)]);
        place.fine("run a.nn --json --quiet --out o");
        let predict = "predict a.nn --weights o/weights.safetensors --input";
        place.write("case.csv", "q,p,r,S\n0,1,0,0\n1,0,0,0\n");
        let told = place.refused(&format!("{predict} case.csv"));
        assert!(
            told.contains("there is no column `s` (did you mean `S`?)"),
            "{told}"
        );
        place.write("all.csv", "S,Q,P,R\n0,0,1,0\n");
        let told = place.refused(&format!("{predict} all.csv"));
        assert!(told.contains("there is no column `p`"), "{told}");
        // no name is known: by place, in the order of the program, and said so
        place.write("none.csv", "a,b,c,d\n1,0,0,0\n0,0,1,0\n");
        let third = if data == ranged { 20.0 } else { 30.0 };
        place.predicts("none.csv", &[10.0, third]);
        let told = err(&place.nnc(&format!("{predict} none.csv")));
        assert!(told.starts_with("warning[W0970]: none.csv"), "{told}");
        // no names at all: nothing to be warned of
        place.write("bare.csv", "1,0,0,0\n0,0,1,0\n");
        place.predicts("bare.csv", &[10.0, third]);
        assert_eq!(err(&place.nnc(&format!("{predict} bare.csv"))), "");
    }
}

#[test]
fn weights_keep_the_columns_that_they_were_trained_on() {
    let source = "source csv(\"t.csv\"); column v : [4] = p .. s; column w : [1] = y; input x : [4] = v; target t : [1] = w";
    let place = Place::new(source, &[("t.csv", TRAIN)]);
    place.fine("run a.nn --quiet --out o");
    for other in [
        "p,q,r,s,y\n1,0,0,0,10\n0,1,0,0,20\n0,0,1,0,30\n0,0,0,1,40\n",
        OTHER,
    ] {
        place.write("t.csv", other);
        let told =
            place.fine("run a.nn --json --epochs 1 --weights o/weights.safetensors --out o2");
        fs::remove_dir_all(place.0.path().join("o2")).unwrap();
        let epoch = told.lines().find(|l| l.contains("\"epoch\"")).unwrap();
        let epoch: serde_json::Value = serde_json::from_str(epoch).unwrap();
        assert!(epoch["loss"].as_f64().unwrap() < 1e-3, "{epoch}");
    }
}
