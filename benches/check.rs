//! Checking: the models of the repository, a file with a thousand layers, and invalid files.
//!
//! `cargo bench --bench check` prints the best of several runs of each.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::collections::HashMap;
use std::fmt::Write;
use std::time::Instant;

use nnc::check::{Host, find_mistakes};
use nnc::spec::Runtime;

struct Texts(HashMap<String, String>);

impl Host for Texts {
    fn runtime(&self) -> Runtime {
        nnc::train::RUNTIME
    }

    fn read(&self, path: &str) -> Result<String, String> {
        self.0.get(path).cloned().ok_or("no such file".into())
    }
}

fn main() {
    let mut models: Vec<_> = std::fs::read_dir("models")
        .expect("run in the repository")
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "nn"))
        .collect();
    models.sort();
    for path in models {
        let text = std::fs::read_to_string(&path).expect("a model");
        measure(&path.display().to_string(), text, 5);
    }
    measure("1,000 layers in one pipe, not trained", layers(false), 5);
    measure("1,000 layers in one pipe, trained", layers(true), 5);
    measure("1,000 layers of the user's own", definitions(), 5);
    let nonsense = "a ) } \" { [ = 3 model\n".repeat(10_000_000 / 22);
    measure("10 MB of nonsense", nonsense, 1);
    let deep = "(".repeat(10_000) + "x" + &")".repeat(10_000);
    measure(
        "10,000 nested parentheses",
        format!("model Net(x: [4]) {{ {deep} }}"),
        5,
    );
}

fn measure(what: &str, text: String, times: usize) {
    let files = Texts(HashMap::from([("file.nn".to_owned(), text)]));
    let mut best = f64::INFINITY;
    let mut count = 0;
    for _ in 0..times {
        let start = Instant::now();
        let report = find_mistakes(&files, "file.nn", &[]);
        best = best.min(start.elapsed().as_secs_f64());
        count = report.diagnostics.len();
    }
    println!("{what}: {:.1} ms, {count} diagnostics", best * 1e3);
}

fn layers(train: bool) -> String {
    let mut text = String::new();
    if train {
        text += "data d {\n  source  csv(\"d.csv\")\n  column  x : [16] = 0 .. 15\n  column  label : class[4] = 16\n  input   x : [16]\n  target  y : class[4] = label\n}\n";
    }
    text += "model Net(x: [16]) {\n  x";
    for _ in 0..999 {
        text += " |> Dense(16, relu)\n    ";
    }
    text += "|> Dense(4, softmax)\n}\n";
    if train {
        text += "train Net on d { loss sparse_categorical_crossentropy; optimizer Adam }\n";
    }
    text
}

/// A layer a definition, each used once.
fn definitions() -> String {
    let mut text = String::new();
    for i in 0..1_000 {
        let _ = writeln!(
            text,
            "layer L{i}(x: [B, n]) -> [B, n] {{\n  param w: [n, n] = glorot_uniform\n  relu(x @ w)\n}}"
        );
    }
    text += "model Net(x: [16]) {\n  x";
    for i in 0..1_000 {
        let _ = write!(text, " |> L{i}\n    ");
    }
    text + "|> Dense(4)\n}\n"
}
