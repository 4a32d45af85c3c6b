//! The library's docstrings: complete, their examples checked and run, and docs/library fresh.
//!
//! `NNC_BLESS=1 cargo test --test suite reference` regenerates docs/library.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

use nnc::check::{Checked, check_file};
use nnc::diag::render::{Style, render};
use nnc::ir::tensor::Tensor;
use nnc::ir::{Elem, Role};
use nnc::library::reference::{Entry, entries, markdown, page};
use nnc::library::{FILES, names};
use nnc::span::SourceId;
use nnc::syntax::ast::{DeclKind, Def, DefKind, File, Model};
use nnc::train::device::Target;

use crate::support::trainer::{Sources, Trainer};

/// Parameters that a docstring must explain: those that configure.
fn explained(def: &Def) -> Vec<&str> {
    let config = match (def.lists.as_slice(), def.kind) {
        ([config, _], _) => config,
        ([_], DefKind::Layer | DefKind::Fn | DefKind::Loss | DefKind::Metric) => return vec![],
        ([config], _) => config,
        _ => return vec![],
    };
    config.iter().map(|p| &*p.name.text).collect()
}

/// The first definition of each name: it carries arguments and example for the others.
fn firsts() -> Vec<Entry> {
    let mut seen = BTreeSet::new();
    let all = entries().into_iter();
    all.filter(|e| seen.insert((e.def.name.text.to_string(), e.def.kind)))
        .collect()
}

#[test]
fn every_definition_is_explained() {
    let mut wrong = String::new();
    let mut all = entries();
    all.retain(Entry::public);
    for e in &all {
        let name = &*e.def.name.text;
        if e.doc.prose.len() < 8 || !e.doc.prose.ends_with(['.', ')', ':', '`']) {
            let _ = writeln!(
                wrong,
                "{}: {name}: no prose that ends as a sentence",
                e.file
            );
        }
        // The first of a name explains the arguments of all.
        let same = all.iter().filter(|o| *o.def.name.text == *name);
        let parameters: BTreeSet<&str> = same
            .flat_map(|o| o.def.lists.iter().flatten())
            .map(|p| &*p.name.text)
            .collect();
        for (argument, _) in &e.doc.arguments {
            if !parameters.contains(argument.as_str()) {
                let _ = writeln!(
                    wrong,
                    "{}: {name}: explains `{argument}`, which it lacks",
                    e.file
                );
            }
        }
    }
    for e in firsts().iter().filter(|e| e.public()) {
        let name = &*e.def.name.text;
        for parameter in explained(&e.def) {
            if !e.doc.arguments.iter().any(|(n, _)| n == parameter) {
                let _ = writeln!(wrong, "{}: {name}: `{parameter}` is not explained", e.file);
            }
        }
        if e.doc.examples.is_empty() {
            let _ = writeln!(wrong, "{}: {name}: no example", e.file);
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn pages_show_what_a_definition_takes() {
    let dense = firsts().into_iter().find(|e| &*e.def.name.text == "Dense");
    let page = page(&dense.expect("Dense is in the library"));
    for part in [
        "Arguments\n",
        "\n  units ",
        "\nExample\n",
        "\nDefinition (library/core.nn)\n",
    ] {
        assert!(page.contains(part), "{part:?} is not in\n{page}");
    }
}

/// Each example uses its definition, checks without a word, and trains for a step.
#[test]
fn examples_run() {
    let mut wrong = String::new();
    for e in entries() {
        let name = &*e.def.name.text;
        for example in &e.doc.examples {
            let word = |c: char| !(c.is_alphanumeric() || c == '_');
            let mut words = example.split(word);
            let called = |w: &str| w == name || e.aliases.iter().any(|a| a == w);
            if !words.any(called) {
                let _ = writeln!(wrong, "{}: {name}: the example does not use it", e.file);
            }
            if let Err(why) = run(example) {
                let _ = writeln!(wrong, "{}: {name}:\n{example}{why}", e.file);
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn check(text: &str) -> Result<Option<Checked>, String> {
    let report = check_file(&Sources(Some(text)), "example.nn", &[]);
    if report.diagnostics.is_empty() {
        return Ok(report.checked);
    }
    Err(render(&report.diagnostics, &report.map, Style::plain()))
}

/// Trains an example on made-up rows; a model without a train block gets one.
fn run(text: &str) -> Result<(), String> {
    check(text)?;
    let (file, _) = nnc::syntax::parse(SourceId(0), text);
    let trained = file
        .decls
        .iter()
        .any(|d| matches!(d.kind, DeclKind::Train(_)));
    let text = match trained {
        true => text.to_owned(),
        false => match wrapped(&file, text) {
            Some(text) => text,
            // Definitions alone are checked for all uses at once.
            None => return Ok(()),
        },
    };
    let Some(checked) = check(&text).map_err(|why| format!("with a train block:\n{text}{why}"))?
    else {
        return Ok(());
    };
    let batch = made_up(&checked);
    for target in [Target::Interp, Target::Cpu] {
        let mut trainer = Trainer::on(target, check(&text)?.expect("checked above"), 1);
        trainer.train(&batch);
        let outputs = trainer.predict(&batch);
        let kept = trainer.kept.iter().map(|(n, t)| (n.as_str(), t));
        let all = kept.chain(outputs.iter().map(|t| ("the output", t)));
        for (name, tensor) in all {
            if !tensor.values().iter().all(|v| v.is_finite()) {
                return Err(format!("{target:?}: {name} is not finite after a step"));
            }
        }
    }
    Ok(())
}

/// The first model of a file in another that has a parameter, trained to give small outputs.
fn wrapped(file: &File, text: &str) -> Option<String> {
    let model: &Model = file.decls.iter().find_map(|d| match &d.kind {
        DeclKind::Model(m) => Some(&**m),
        _ => None,
    })?;
    let (mut data, mut inputs, mut names) = (String::new(), Vec::new(), Vec::new());
    for p in &model.inputs {
        let (name, ty) = (&p.name.text, &text[p.ty.as_ref()?.span.range()]);
        let _ = write!(data, "  column {name} : {ty}\n  input {name} : {ty}\n");
        inputs.push(format!("{name}: {ty}"));
        names.push(name.to_string());
    }
    let (inputs, names, model) = (inputs.join(", "), names.join(", "), &model.name.text);
    Some(format!(
        r"{text}
data made_up {{
  source csv({:?})
{data}}}
layer Held(x: any[..]) -> any[..] {{
  param held: [] = zeros
  cast(x, real) + held
}}
model Whole({inputs}) {{ Held({model}({names})) }}
train Whole on made_up {{
  step Whole {{
    minimize  Whole({names})
    optimizer SGD
  }}
}}
",
        "none.csv"
    ))
}

/// Four rows of every column and statistic: small positive numbers, ids 0 and 1.
fn made_up(checked: &Checked) -> HashMap<String, Tensor> {
    let programs = checked.programs.as_ref().expect("a train block");
    let mut batch = HashMap::new();
    for g in [&programs.train, &programs.eval, &programs.predict] {
        let sizes = [("B".into(), 4)].into();
        let g = g.specialize(&sizes).expect("sizes are written");
        for i in g
            .inputs
            .iter()
            .filter(|i| matches!(i.role, Role::Data | Role::Fit))
        {
            let ty = g.ty(i.value);
            let sizes = ty.sizes().expect("no symbols are left");
            let count: usize = sizes.iter().product();
            let value = |k: usize| match ty.elem {
                Elem::F32 | Elem::F64 => 0.1 + 0.07 * (k * 7 % 11) as f64,
                Elem::I32 | Elem::U8 | Elem::Bool => (k % 2) as f64,
            };
            let values: Vec<f64> = (0..count).map(value).collect();
            let tensor = Tensor::from_values(ty.elem, &sizes, &values);
            batch.insert(i.name.to_string(), tensor);
        }
    }
    batch
}

#[test]
fn the_reference_is_fresh() {
    let folder = std::path::Path::new("docs/library");
    let bless = std::env::var_os("NNC_BLESS").is_some();
    let all = entries();
    let mut pages = BTreeSet::new();
    let mut index = String::from(
        "# The library\n\nGenerated from the docstrings in src/library. `nnc explain NAME` prints the same text.\n\n",
    );
    for (file, text) in FILES {
        let stem = file.trim_start_matches("library/").trim_end_matches(".nn");
        let mut here: Vec<&str> = Vec::new();
        for e in all.iter().filter(|e| e.file == *file && e.public()) {
            if here.last() != Some(&&*e.def.name.text) {
                here.push(&e.def.name.text);
            }
        }
        let _ = writeln!(index, "- [{stem}]({stem}.md): {}", here.join(", "));
        fresh(
            &folder.join(format!("{stem}.md")),
            &markdown(file, text, &all),
            bless,
        );
        pages.insert(format!("{stem}.md"));
    }
    fresh(&folder.join("README.md"), &index, bless);
    pages.insert("README.md".into());
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(
            pages.contains(&name),
            "docs/library/{name} documents no file"
        );
    }
    assert!(names().count() >= all.len() / 2);
}

fn fresh(path: &std::path::Path, text: &str, bless: bool) {
    if bless {
        std::fs::create_dir_all(path.parent().expect("a folder")).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == text, "{} is stale: NNC_BLESS=1", path.display());
}
