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
        // Overloads and attributes are the library's alone.
        let report = check_file(&Text(text), name, &[]);
        let diags: Vec<_> = report
            .diagnostics
            .iter()
            .filter(|d| !matches!(d.code, Code::E0102 | Code::E0115))
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
