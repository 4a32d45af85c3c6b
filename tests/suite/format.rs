//! The formatter: what it writes means the same, and it changes nothing twice.

use std::path::{Path, PathBuf};

use nnc::span::SourceId;
use nnc::syntax::ast::File;
use nnc::syntax::dump::dump;
use nnc::syntax::{format, parse};

/// Every good .nn file of the repository.
pub(crate) fn all_sources() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in [
        "models",
        "src/library",
        "tests/syntax/ok",
        "tests/syntax/format",
    ] {
        let Ok(entries) = std::fs::read_dir(root.join(folder)) else {
            continue;
        };
        files.extend(
            entries
                .map(|e| e.unwrap().path())
                .filter(|p| p.extension().is_some_and(|e| e == "nn")),
        );
    }
    files.sort();
    assert!(files.len() > 3);
    files
}

fn parsed(text: &str, name: &str) -> File {
    let (file, diagnostics) = parse(SourceId(0), text);
    assert!(diagnostics.is_empty(), "{name}: {diagnostics:#?}\n{text}");
    file
}

fn comments(file: &File) -> Vec<String> {
    file.comments
        .iter()
        .map(|c| c.text.trim().to_owned())
        .collect()
}

#[test]
fn formatting_keeps_the_meaning_and_settles() {
    for path in all_sources() {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(&path).unwrap();
        let file = parsed(&text, &name);
        let once = format(&file, &text);
        let again = parsed(&once, &name);
        assert_eq!(dump(&file, None), dump(&again, None), "{name}\n{once}");
        assert_eq!(comments(&file), comments(&again), "{name}\n{once}");
        let twice = format(&again, &once);
        assert_eq!(once, twice, "{name}");
    }
}

/// Blanks and line breaks where they mean nothing are all that differs.
#[test]
fn squeezed_and_stretched_files_format_alike() {
    let text = include_str!("../syntax/ok/imdb.nn");
    let formatted = format(&parsed(text, "imdb"), text);
    let stretched = text.replace(" = ", "   =\n     ").replace(", ", " ,  ");
    let file = parsed(&stretched, "stretched");
    let again = format(&file, &stretched);
    let code = |t: &str| -> Vec<String> {
        t.lines()
            .map(|l| l.split('#').next().unwrap_or("").trim_end().to_owned())
            .collect()
    };
    assert_eq!(code(&formatted), code(&again));
}

#[test]
fn the_design_page_is_already_formatted() {
    let text = include_str!("../syntax/ok/imdb.nn");
    assert_eq!(format(&parsed(text, "imdb"), text), text);
    let text = include_str!("../syntax/ok/optimizer.nn");
    assert_eq!(format(&parsed(text, "optimizer"), text), text);
}

#[test]
fn models_are_formatted() {
    let models = all_sources();
    let models = models
        .iter()
        .filter(|p| p.parent().is_some_and(|d| d.ends_with("models")));
    for path in models {
        let text = std::fs::read_to_string(path).unwrap();
        let name = path.display().to_string();
        assert_eq!(
            format(&parsed(&text, &name), &text),
            text,
            "{name}: nnc fmt"
        );
    }
}

#[test]
fn formatted_files() {
    insta::glob!("../syntax/format", "*.nn", |path| {
        let text = std::fs::read_to_string(path).unwrap();
        insta::assert_snapshot!(format(&parsed(&text, "case"), &text));
    });
}
