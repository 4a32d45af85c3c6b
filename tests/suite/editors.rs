//! The editors' grammar is made from the compiler's: keywords from
//! `grammar/nn.pest`, names from the library. `NNC_BLESS=1` writes what is stale.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use nnc::library::FILES;
use nnc::span::SourceId;
use nnc::syntax::ast::{DeclKind, DefKind, ExprKind};
use nnc::syntax::{keywords, parse};

const PEST: &str = include_str!("../../grammar/nn.pest");

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("editors/vscode")
}

/// The quoted words in the grammar's rule of this name.
fn words(rule: &str) -> Vec<&'static str> {
    let line = PEST
        .lines()
        .find(|l| l.split('=').next().is_some_and(|n| n.trim() == rule))
        .unwrap_or_else(|| panic!("no rule `{rule}` in grammar/nn.pest"));
    line.split('"')
        .skip(1)
        .step_by(2)
        .filter(|w| w.chars().all(|c| c.is_ascii_lowercase()))
        .collect()
}

/// The keyword that each alternative of a rule begins with: `source_item` -> `source`.
fn item_words(rule: &str) -> Vec<&'static str> {
    let line = PEST
        .lines()
        .find(|l| l.split('=').next().is_some_and(|n| n.trim() == rule))
        .unwrap();
    line.split(|c: char| !c.is_ascii_lowercase() && c != '_')
        .filter_map(|w| w.strip_suffix("_item"))
        .filter(|w| *w != rule.trim_end_matches("_item"))
        .collect()
}

/// Library names and aliases of these kinds of definition, longest first.
fn library(kinds: &[DefKind]) -> String {
    let mut names = BTreeSet::new();
    for (name, text) in FILES {
        let (file, diagnostics) = parse(SourceId(0), text);
        assert!(diagnostics.is_empty(), "{name}: {diagnostics:?}");
        for decl in &file.decls {
            let DeclKind::Def(def) = &decl.kind else {
                continue;
            };
            if !kinds.contains(&def.kind) {
                continue;
            }
            names.insert(def.name.text.to_string());
            for attribute in decl.attributes.iter().filter(|a| &*a.name.text == "alias") {
                for arg in &attribute.args {
                    if let ExprKind::Name(alias) = &arg.value.kind {
                        names.insert(alias.text.to_string());
                    }
                }
            }
        }
    }
    assert!(!names.is_empty(), "no library names for {kinds:?}");
    let mut names: Vec<String> = names.into_iter().collect();
    names.sort_by_key(|n| std::cmp::Reverse(n.len()));
    names.join("|")
}

#[test]
fn keyword_lists_follow_the_grammar() {
    assert_eq!(words("reserved"), keywords::RESERVED);
    let all: Vec<&str> = keywords::DECLARATIONS
        .iter()
        .chain(keywords::STATEMENTS)
        .copied()
        .collect();
    let sorted = |mut list: Vec<&'static str>| {
        list.sort();
        list
    };
    assert_eq!(sorted(words("keyword")), sorted(all));
    assert_eq!(item_words("data_item"), keywords::DATA_ITEMS);
}

#[test]
fn the_editors_grammar_is_fresh() {
    let template = std::fs::read_to_string(folder().join("syntaxes/nn.template.json")).unwrap();
    let mut made = template;
    for (mark, list) in [
        ("DEFINITIONS", words("def_kind").join("|")),
        ("DATA_ITEMS", item_words("data_item").join("|")),
        ("RESERVED", words("reserved").join("|")),
        ("LITERALS", words("literal").join("|")),
        ("LIBRARY_LAYERS", library(&[DefKind::Layer])),
        ("LIBRARY_OPTIMIZERS", library(&[DefKind::Optimizer])),
        (
            "LIBRARY_FUNCTIONS",
            library(&[
                DefKind::Fn,
                DefKind::Loss,
                DefKind::Metric,
                DefKind::Schedule,
                DefKind::Initializer,
                DefKind::Regularizer,
                DefKind::Constraint,
            ]),
        ),
    ] {
        let mark = format!("{{{{{mark}}}}}");
        assert!(made.contains(&mark), "{mark} is not used");
        made = made.replace(&mark, &list);
    }
    assert!(!made.contains("{{"), "a mark without its list");
    serde_json::from_str::<serde_json::Value>(&made).expect("valid JSON");
    let path = folder().join("syntaxes/nn.tmLanguage.json");
    if std::env::var_os("NNC_BLESS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == made,
        "editors/vscode/syntaxes/nn.tmLanguage.json is stale: NNC_BLESS=1 cargo test --test suite editors"
    );
}

/// `${1:name}` and `$1` in a snippet -> `name`.
fn filled(body: &str) -> String {
    let mut out = String::new();
    let mut rest = body;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(inner) = rest.strip_prefix('{') {
            let (stop, after) = inner.split_once('}').expect("a closed stop");
            out.push_str(stop.split_once(':').expect("a stop with a text").1);
            rest = after;
        } else {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        }
    }
    out + rest
}

#[test]
fn snippets_are_programs() {
    let text = std::fs::read_to_string(folder().join("snippets/nn.json")).unwrap();
    let snippets: serde_json::Value = serde_json::from_str(&text).unwrap();
    let snippets = snippets.as_object().unwrap();
    assert!(snippets.len() > 5);
    for (name, snippet) in snippets {
        let lines: Vec<&str> = snippet["body"]
            .as_array()
            .unwrap()
            .iter()
            .map(|l| l.as_str().unwrap())
            .collect();
        let body = filled(&lines.join("\n"));
        let statement = matches!(snippet["prefix"].as_str(), Some("scan" | "if"));
        let source = if statement {
            format!("fn f(x) {{\n{body}\n}}\n")
        } else {
            body
        };
        let (file, diagnostics) = parse(SourceId(0), &source);
        assert!(diagnostics.is_empty(), "{name}: {diagnostics:#?}\n{source}");
        assert!(!file.decls.is_empty(), "{name}");
    }
}

/// Runs the snapshot test of the highlighting where node and its packages are installed.
#[test]
fn highlighting_is_as_recorded() {
    if !folder().join("node_modules/vscode-textmate").exists() {
        eprintln!(
            "SKIPPED: highlighting_is_as_recorded needs `npm ci` in editors/vscode (.ci/run does it)"
        );
        return;
    }
    let output = Command::new("node")
        .arg("test/snapshot.js")
        .current_dir(folder())
        .env_remove("NNC_BLESS")
        .output();
    match output {
        Ok(output) => assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => eprintln!("SKIPPED: highlighting_is_as_recorded: no node: {error}"),
    }
}
