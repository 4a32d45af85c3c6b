//! Programs with mistakes or without: they are formatted and checked.
//!
//! No panic; spans inside the file and between characters; diagnostics that print as text and as JSON;
//! what `fmt` writes parses to the same tree with the same comments, and is formatted.

use std::sync::OnceLock;

use nnc::check::{Host, find_mistakes};
use nnc::diag::render::{Style, render};
use nnc::span::SourceId;
use nnc::spec::Runtime;
use nnc::syntax;

use super::{Subject, drive};
use crate::format::{declarations, format_holds};
use crate::support::mutate::{Dice, grow, mutate, scatter};

/// A file that can import no other.
struct Alone<'a>(&'a str);

impl Host for Alone<'_> {
    fn runtime(&self) -> Runtime {
        nnc::train::RUNTIME
    }

    fn read(&self, path: &str) -> Result<String, String> {
        match path {
            "file.nn" => Ok(self.0.into()),
            _ => Err("no such file".into()),
        }
    }
}

#[test]
fn any_text_is_formatted_and_checked() {
    drive(&Subject {
        test: "fuzz::texts::any_text_is_formatted_and_checked",
        make,
        hold,
        few: 1500,
    });
}

fn make(dice: &mut Dice) -> String {
    static SOURCES: OnceLock<(Vec<String>, Vec<String>)> = OnceLock::new();
    let (programs, declarations) = SOURCES.get_or_init(|| (programs(), declarations()));
    let one = |all: &'static [String], dice: &mut Dice| &*all[dice.below(all.len())];
    match dice.below(10) {
        0 => grow(dice),
        1 => scatter(&grow(dice), dice),
        2 | 3 => scatter(one(declarations, dice), dice),
        4 => {
            let (text, other) = (one(declarations, dice), one(declarations, dice));
            scatter(&mutate(text, other, dice), dice)
        }
        _ => {
            let (text, other) = (one(programs, dice), one(programs, dice));
            mutate(text, other, dice)
        }
    }
}

/// Those of the repository, right and wrong, of a length that is soon checked.
fn programs() -> Vec<String> {
    let folders = [
        "models",
        "tests/check/ok",
        "tests/check/bad",
        "tests/syntax/ok",
        "tests/syntax/bad",
    ];
    let files = folders.iter().flat_map(|f| {
        let entries = std::fs::read_dir(f).expect("a folder of the repository");
        entries.map(|e| e.expect("an entry").path())
    });
    let mut files: Vec<_> = files
        .filter(|p| p.extension().is_some_and(|e| e == "nn"))
        .collect();
    files.sort();
    let texts = files.iter().filter_map(|p| std::fs::read_to_string(p).ok());
    texts.filter(|t| t.len() < 8000).collect()
}

fn hold(text: &str) {
    format_holds(text);
    let report = find_mistakes(&Alone(text), "file.nn", &[]);
    for diagnostic in &report.diagnostics {
        let labels = diagnostic.labels.iter().map(|l| l.span);
        for span in labels.chain(diagnostic.fix.iter().map(|f| f.span)) {
            let source = &report.map.get(span.source).text;
            let inside = source.get(span.range()).is_some();
            assert!(inside, "a span outside: {diagnostic:?}");
        }
        let line = nnc::diag::json::line(diagnostic, &report.map);
        let json: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert!(json["code"].is_string() && !line.contains('\n'), "{line}");
    }
    let rendered = render(&report.diagnostics, &report.map, Style::plain());
    assert_eq!(rendered.is_empty(), report.diagnostics.is_empty());
    let (_, mistakes) = syntax::parse(SourceId(0), text);
    assert!(mistakes.is_empty() || !report.diagnostics.is_empty());
}
