//! The memory that `nnc summary` predicts against what a run takes.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Wide and narrow layers by turns: many activations for little arithmetic.
const PROGRAM: &str = r#"
data wide {
  source  csv("wide.csv")
  column  x : [4] = a .. d
  column  y : class[2]
  split   { train 80%, test 20% }
  input   x : [4]
  target  y : class[2]
}

model Wide(x: [4]) -> prob {
  x |> Dense(1024, tanh) |> Dense(4, tanh)
    |> Dense(1024, tanh) |> Dense(4, tanh)
    |> Dense(1024, tanh) |> Dense(1, sigmoid)
}

train Wide on wide {
  loss       binary_crossentropy
  optimizer  Adam
  epochs     1
  batch      8192
  seed       1
}
"#;

/// Training takes two batches, the second not full; so does the test part.
const ROWS: usize = 15_000;

fn events(folder: &Path, args: &str) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_nnc"))
        .current_dir(folder)
        .args(args.split(' '))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let lines = text.lines();
    lines.map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_takes_the_memory_that_was_predicted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut rows = String::from("a,b,c,d,y\n");
    for i in 0..ROWS {
        let x = |k: usize| ((i * k) % 101) as f64 / 50.0 - 1.0;
        let y = u8::from(x(3) > x(7));
        rows += &format!("{:.2},{:.2},{:.2},{:.2},{y}\n", x(3), x(7), x(11), x(13));
    }
    fs::write(folder.join("wide.csv"), rows).unwrap();
    fs::write(folder.join("wide.nn"), PROGRAM).unwrap();
    for options in ["--threads 1", "--threads 2", "--threads 1 --batch 64"] {
        let summary = events(folder, &format!("summary wide.nn --json {options}"));
        let memory = &summary[0]["memory"];
        let predicted = memory["peak"].as_f64().unwrap();
        if !options.contains("--batch") {
            // it is the plan that is held to account here, not the rest of the process
            assert!(memory["activations"].as_f64().unwrap() > 0.6 * predicted);
        }
        close(folder, "wide.nn", options, predicted);
    }
}

/// A run takes as much as was predicted.
fn close(folder: &Path, program: &str, options: &str, predicted: f64) {
    let run = format!("run {program} --json --quiet --limit-steps 2 {options}");
    let told = events(folder, &run);
    let measured = told[told.len() - 1]["peak_memory"].as_f64().unwrap();
    let ratio = predicted / measured;
    assert!(
        (0.9..1.1).contains(&ratio),
        "{program} {options}: predicted {predicted}, measured {measured}"
    );
}

/// Arrays and texts, of which reading takes more than training.
#[test]
#[cfg(target_os = "linux")]
fn the_memory_of_reading_is_predicted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let header = |kind: u8, dims: &[u32]| {
        let sizes = dims.iter().flat_map(|d| d.to_be_bytes());
        [0, 0, kind, dims.len() as u8]
            .into_iter()
            .chain(sizes)
            .collect::<Vec<u8>>()
    };
    let rows = 40_000;
    let mut pixels = header(8, &[rows, 28, 28]);
    pixels.extend((0..rows * 784).map(|i| (i % 251) as u8));
    let mut labels = header(8, &[rows]);
    labels.extend((0..rows).map(|i| (i % 10) as u8));
    fs::write(folder.join("pixels"), pixels).unwrap();
    fs::write(folder.join("labels"), labels).unwrap();
    let mut table = String::from("text\tgood\n");
    for row in 0..20_000u64 {
        let words = (0..80).map(|i| format!("word{} ", (row * 131 + i * i * 7) % 9_973));
        table += &format!("{}\t{}\n", words.collect::<String>(), row % 2);
    }
    fs::write(folder.join("texts.tsv"), table).unwrap();
    let digits = "\
data d {
  source  idx(pixels = \"pixels\", digit = \"labels\")
  column  pixels : u8[28, 28]
  column  digit  : class[10]
  split   { train 80%, test 20% }
  input   image : [784] = flatten(pixels) / 255
  target  y : class[10] = digit
}
model M(image: [784]) -> prob[10] { image |> Dense(64, relu) |> Dense(10, softmax) }
train M on d { loss sparse_categorical_crossentropy; optimizer Adam; batch 64; seed 1 }
";
    let texts = "\
data d {
  source  tsv(\"texts.tsv\")
  column  text : text
  column  good : class[2]
  split   { train 80%, test 20% }
  fit     words = Tokenizer(train.text, num_words = 5000)
  input   ids : token[5000][100] = text |> tokens(words) |> pad(100)
  target  y : class[2] = good
}
model M(ids: token[5000][100]) -> prob { ids |> Embedding(5000, 8) |> Flatten |> Dense(1, sigmoid) }
train M on d { loss binary_crossentropy; optimizer Adam; batch 64; seed 1 }
";
    for (name, program) in [("digits.nn", digits), ("texts.nn", texts)] {
        fs::write(folder.join(name), program).unwrap();
        let summary = events(folder, &format!("summary {name} --json --threads 1"));
        let memory = &summary[0]["memory"];
        assert!(memory["data"].as_f64().unwrap() > 2e6, "{memory}");
        close(
            folder,
            name,
            "--threads 1",
            memory["peak"].as_f64().unwrap(),
        );
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_model_that_is_too_large_is_described_and_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (before, rest) = PROGRAM.split_once("  x |>").unwrap();
    let (_, after) = rest.split_once("Dense(1, sigmoid)").unwrap();
    let model = "  x |> Dense(100_000_000_000) |> Dense(1, sigmoid)";
    let huge = [before, model, after].concat();
    fs::write(folder.path().join("wide.nn"), huge).unwrap();
    fs::write(
        folder.path().join("wide.csv"),
        String::from("a,b,c,d,y\n") + &"0,0,0,0,1\n1,1,1,1,0\n".repeat(5),
    )
    .unwrap();
    let nnc = |args: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nnc"));
        command.current_dir(folder.path()).args(args.split(' '));
        command.output().unwrap()
    };
    let told = nnc("summary wide.nn --batch 1");
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(
        told.status.success() && text.contains("500,000,000,000"),
        "{text}"
    );
    let told = nnc("run wide.nn --batch 1 --out w");
    let text = String::from_utf8_lossy(&told.stderr).into_owned();
    assert_eq!(told.status.code(), Some(3), "{text}");
    assert!(
        text.contains("error[E0960]") && text.contains("parameters and what is kept"),
        "{text}"
    );
    assert!(!folder.path().join("w").exists());
}
