//! The checker over the models that ship and over the library.

use nnc::check::{Host, check_file};
use nnc::diag::Code;
use nnc::diag::render::{Style, render};
use nnc::spec::Runtime;

struct Disk;

/// One file from memory.
struct Text<'a>(&'a str);

impl Host for Text<'_> {
    fn runtime(&self) -> Runtime {
        nnc::train::RUNTIME
    }

    fn read(&self, _: &str) -> Result<String, String> {
        Ok(self.0.into())
    }
}

impl Host for Disk {
    fn runtime(&self) -> Runtime {
        nnc::train::RUNTIME
    }

    fn read(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|e| e.to_string())
    }
}

#[test]
fn every_model_checks_without_a_word() {
    let (mut count, mut said) = (0, String::new());
    for entry in std::fs::read_dir("models").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "nn") {
            let report = check_file(&Disk, path.to_str().unwrap(), &[]);
            let shown = render(&report.diagnostics, &report.map, Style::plain());
            said.push_str(&shown);
            count += 1;
        }
    }
    assert!(said.is_empty(), "{said}");
    assert!(count >= 3);
}

/// Every library definition, checked for all uses at once, as a user's would be.
#[test]
fn the_library_checks_as_if_a_user_had_written_it() {
    for (name, text) in nnc::library::FILES {
        // Overloads and attributes are the library's alone, and so are its names.
        let report = check_file(&Text(text), name, &[]);
        let diags: Vec<_> = report
            .diagnostics
            .iter()
            .filter(|d| !matches!(d.code, Code::E0102 | Code::E0115 | Code::W0661))
            .cloned()
            .collect();
        assert!(
            diags.is_empty(),
            "{}",
            render(&diags, &report.map, Style::plain())
        );
    }
}

/// One name in two files would be overloads of one definition.
#[test]
fn private_names_of_the_library_are_each_of_one_file() {
    let mut seen: std::collections::HashMap<&str, &str> = std::collections::HashMap::new();
    for (file, text) in nnc::library::FILES {
        for line in text.lines() {
            let Some(name) = line.strip_prefix("fn _").and_then(|l| l.split('(').next()) else {
                continue;
            };
            let first = seen.entry(name).or_insert(file);
            assert_eq!(first, file, "`_{name}` is defined in both");
        }
    }
    assert!(seen.len() > 5);
}

#[test]
fn what_only_an_evaluation_declares_has_no_initial_value() {
    let digits = std::fs::read_to_string("models/digits.nn").unwrap();
    let layer = "layer Late(x: [B, n]) -> [B, n] {
  if training { x } else {
    state k: [n] = ones
    x * k
  }
}
";
    let text = format!(
        "{layer}{}",
        digits.replace("image |> Dense", "image |> Late |> Dense")
    );
    let report = check_file(&Text(&text), "late.nn", &[]);
    let codes: Vec<&str> = report.diagnostics.iter().map(|d| d.code.name()).collect();
    assert_eq!(codes, ["E0410"]);
}

#[test]
fn a_pipe_may_have_a_thousand_layers() {
    let stages =
        "    |> Dense(16, activation = relu, kernel_regularizer = l2(0.01))\n".repeat(1_000);
    let text = format!("model Deep(x: [16]) -> [16] {{\n  x\n{stages}}}\n");
    let report = nnc::check::find_mistakes(&Text(&text), "deep.nn", &[]);
    let shown = render(&report.diagnostics, &report.map, Style::plain());
    assert!(shown.is_empty(), "{shown}");
}

/// What `nnc emit --stage ir` shows of a prediction.
fn predicted(text: &str) -> String {
    let report = check_file(&Text(text), "case.nn", &[]);
    let shown = render(&report.diagnostics, &report.map, Style::plain());
    let checked = report.checked.unwrap_or_else(|| panic!("{shown}"));
    checked.programs.expect("a train block").predict.to_string()
}

#[test]
fn a_model_takes_its_inputs_by_name() {
    let program = |call: &str| {
        format!(
            "data d {{
  source csv(\"d.csv\"); column u : [1]; column v : [1]; column y : [1]
  input u : [1]; input v : [1]; target y : [1]
}}
model Diff(a: [1], b: [1]) -> [1] {{ a - 2 * b }}
model Top(u: [1], v: [1]) -> [1] {{ {call} + 0 * Dense(1)(u) }}
train Top on d {{ loss mse; optimizer Adam }}
"
        )
    };
    let by_place = predicted(&program("Diff(v, u)"));
    assert_eq!(predicted(&program("Diff(b = u, a = v)")), by_place);
    assert_eq!(predicted(&program("Diff(v, b = u)")), by_place);
    assert_ne!(predicted(&program("Diff(u, v)")), by_place);
}

#[test]
fn each_step_has_a_loss_of_its_own() {
    let text = "data d { source npy(x = \"x.npy\"); column x : [16]; input x : [16] }
model C(x: [16]) -> [1] { x |> Dense(1) }
train C on d {
  step C { minimize mean(C(x) ^ 2); optimizer Adam }
  step C { minimize 100 + mean(C(x) ^ 2); optimizer Adam }
}
";
    let report = check_file(&Text(text), "case.nn", &[]);
    let checked = report.checked.expect("the program is right");
    assert_eq!(
        checked.train.expect("a train block").metrics,
        ["c_loss", "c_loss_1"]
    );
    let train = checked.programs.expect("a train block").train;
    let mut names: Vec<String> = train.inputs.iter().map(|i| i.name.to_string()).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all, "{names:?}");
}

/// What a number is, a definition that is checked for every use does not know: each layer of the
/// library takes names where it takes integers.
#[test]
fn integers_of_library_layers_may_be_names() {
    let (mut layers, mut wrong) = (0, String::new());
    let uses = [
        ("[B, n]", "Dense(k)"),
        ("[B, n]", "Repeated(k)"),
        (
            "[B, t, n]",
            "Conv1D(k, k, strides = k, dilation_rate = 1, groups = k)",
        ),
        ("[B, t, n]", "Conv1D(k, k, dilation_rate = k)"),
        ("[B, h, w, n]", "Conv2D(k, k, strides = k)"),
        ("[B, h, w, n]", "Conv2D(k, [k, k], strides = [k, k])"),
        ("[B, h, w, n]", "Conv2DTranspose(k, k, strides = k)"),
        (
            "[B, h, w, n]",
            "Conv2DTranspose(k, 3, strides = 2, output_padding = k)",
        ),
        (
            "[B, h, w, n]",
            "DepthwiseConv2D(k, strides = k, depth_multiplier = k)",
        ),
        ("[B, h, w, n]", "SeparableConv2D(k, k, strides = k)"),
        ("[B, t, n]", "DepthwiseConv1D(k)"),
        ("[B, t, n]", "SeparableConv1D(k, k)"),
        ("[B, t, n]", "MaxPooling1D(k, strides = k)"),
        ("[B, h, w, n]", "MaxPooling2D(k, strides = k)"),
        ("[B, h, w, n]", "AveragePooling2D([k, k])"),
        ("[B, h, w, n]", "UpSampling2D(k)"),
        ("[B, h, w, n]", "ZeroPadding2D(k)"),
        ("[B, h, w, n]", "Cropping2D(k)"),
        ("[B, n]", "RepeatVector(k)"),
        ("[B, t, n]", "LSTM(k)"),
        ("[B, t, n]", "GRU(k, return_sequences = true)"),
        ("[B, h, w, n]", "GroupNormalization(k)"),
    ];
    for (shape, stage) in uses {
        let text = format!(
            "fn one(x: [..], _i: int) -> [..] {{ x }}
layer Repeated(m: int)(x: [B, n]) -> [B, n] {{ fold([x] + range(m), one) }}
layer Each(k: int)(x: {shape}) {{ x |> {stage} }}
"
        );
        let report = nnc::check::find_mistakes(&Text(&text), "case.nn", &[]);
        wrong.push_str(&render(&report.diagnostics, &report.map, Style::plain()));
        layers += 1;
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(layers > 20);
}
