//! The language book: its code blocks are tests, errors included.

use nnc::check::check_file;
use nnc::diag::Severity;
use nnc::diag::render::{Style, render};

use crate::support::trainer::Sources;

#[test]
fn every_block_of_the_book_does_what_it_says() {
    let book = std::fs::read_to_string("docs/language.md").unwrap();
    let mut wrong = String::new();
    let mut blocks = 0;
    for part in book.split("\n```nn").skip(1) {
        let (head, rest) = part.split_once('\n').unwrap();
        let text = rest.split("\n```").next().unwrap();
        let expected: Vec<&str> = head
            .split_whitespace()
            .filter(|w| !matches!(*w, "fail" | "warn"))
            .collect();
        let report = check_file(&Sources(Some(text)), "book.nn", &[]);
        let fails = head.contains("fail");
        let said: Vec<&str> = report
            .diagnostics
            .iter()
            .filter(|d| !fails || d.severity == Severity::Error)
            .map(|d| d.code.name())
            .collect();
        if said != expected {
            let shown = render(&report.diagnostics, &report.map, Style::plain());
            wrong.push_str(&format!("{text}\nexpected {expected:?}\n{shown}\n"));
        }
        blocks += 1;
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(blocks > 12);
}

#[test]
fn the_csv_of_the_readme_trains() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let section = readme.split("\n## Your own CSV\n").nth(1).unwrap();
    let block = |kind: &str| {
        let rest = section.split(&format!("\n```{kind}\n")).nth(1).unwrap();
        rest.split("```").next().unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("flowers.csv"), block("csv")).unwrap();
    std::fs::write(folder.path().join("flowers.nn"), block("nn")).unwrap();
    let mut words = block("sh").split_whitespace();
    assert_eq!(words.next(), Some("nnc"));
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_nnc"))
        .current_dir(folder.path())
        .args(words)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let history = std::fs::read_to_string(folder.path().join("runs/flowers-1/history.csv"));
    assert_eq!(history.unwrap().lines().count(), 101);
}

#[test]
fn the_files_that_documents_name_exist() {
    let mut missing = Vec::new();
    let mut named = 0;
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "docs/cli.md",
        "docs/style.md",
    ] {
        let text = std::fs::read_to_string(document).unwrap();
        let links = text.split("](").skip(1);
        let links = links.filter_map(|l| l.split([')', '#']).next());
        let codes = text.split('`').skip(1).step_by(2);
        for code in codes.chain(links) {
            let is_path = code.contains('/')
                && !code.contains([' ', '*', '{', '<'])
                && [".rs", ".nn", ".md", ".pest", ".sh"]
                    .iter()
                    .any(|e| code.ends_with(e));
            if is_path && !code.contains("CODE") {
                named += 1;
                let here = |folder: &str| std::path::Path::new(folder).join(code).exists();
                if !["", "src", "docs"].iter().any(|f| here(f)) {
                    missing.push(format!("{document}: {code}"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(named > 20, "{named}");
}
