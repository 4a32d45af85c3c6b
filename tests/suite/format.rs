//! The formatter: what it writes means the same, and it changes nothing twice.

use std::path::{Path, PathBuf};

use nnc::span::SourceId;
use nnc::syntax::ast::File;
use nnc::syntax::dump::dump;
use nnc::syntax::{format, parse, same_meaning};

use crate::support::mutate::{Dice, grow, mutate, scatter};

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

/// Formats `text` if it is a program: the result is one too, means the same and settles.
pub(crate) fn format_holds(text: &str) -> bool {
    let (file, diagnostics) = parse(SourceId(0), text);
    if !diagnostics.is_empty() {
        return false;
    }
    let once = format(&file, text);
    let (again, diagnostics) = parse(SourceId(0), &once);
    assert!(
        diagnostics.is_empty(),
        "{diagnostics:#?}\n{text}\n==>\n{once}"
    );
    assert!(same_meaning(&file, &again), "{text}\n==>\n{once}");
    let twice = format(&again, &once);
    assert_eq!(once, twice, "formatted twice:\n{text}");
    true
}

#[test]
fn parentheses_keep_their_commas() {
    for (value, formatted) in [
        ("((1),)", "((1),)"),
        ("(((1)),)", "((1),)"),
        ("((a + b),)", "((a + b),)"),
        ("([1],)", "([1],)"),
        ("((1))", "(1)"),
        ("((1, 2),)", "((1, 2),)"),
        ("(\"a)\")", "(\"a)\")"),
    ] {
        let text = format!("const x = {value}\n");
        let expected = format!("const x = {formatted}\n");
        assert_eq!(format(&parsed(&text, value), &text), expected);
    }
}

#[test]
fn one_pass_is_enough_where_a_line_is_broken() {
    let long = "|> Dense(h, relu) ".repeat(7);
    let metrics = "mse, mae, ".repeat(12);
    for text in [
        format!("const h = 6\nmodel T(x: [4]) {{ x {long}}}\nconst k = 1\n"),
        format!("train M on d {{ loss {metrics}mse; optimizer Adam }}\n"),
        format!("train M on d {{ loss mse; optimizer Adam; metrics {metrics}mse }}\n"),
        format!(
            "sweep M {{ a in [{}]; search grid }}\n",
            "0.125, ".repeat(20)
        ),
        format!(
            "train M on d {{\n  step M {{ minimize {}; optimizer Adam }}\n}}\n",
            "a + ".repeat(40) + "a"
        ),
    ] {
        assert!(format_holds(&text), "{text}");
    }
}

#[test]
fn control_characters_stay() {
    let text = "data d {\n  source  csv(\"a\u{1}b.csv\")  # a \u{1} b\n}\n";
    assert_eq!(format(&parsed(text, "control"), text), text);
}

/// As many operators in a row as a program may have, and pipes within pipes.
#[test]
fn long_and_deep_expressions_are_formatted_in_time() {
    let sum = format!("const x = 1{}\n", " + 1".repeat(3900));
    let fields = format!("const x = a{}\n", ".a".repeat(3900));
    let calls = format!(
        "const x = {}a{}\n",
        "f(a, b |> g(".repeat(30),
        "))".repeat(30)
    );
    for text in [sum, fields, calls] {
        let deep = std::thread::Builder::new().stack_size(256 << 20);
        let timed = deep.spawn(move || {
            let start = std::time::Instant::now();
            assert!(format_holds(&text), "{}", &text[..80]);
            start.elapsed().as_secs_f64()
        });
        let seconds = timed.unwrap().join().unwrap();
        assert!(seconds < 5.0, "{seconds} s");
    }
}

/// The declarations of all sources, each with the comments above it.
pub(crate) fn declarations() -> Vec<String> {
    let mut found = Vec::new();
    for path in all_sources() {
        let text = std::fs::read_to_string(&path).unwrap();
        let file = parsed(&text, &path.display().to_string());
        let mut start = 0;
        for decl in &file.decls {
            let end = decl.span.end as usize;
            found.push(text[start..end].trim_start().to_owned() + "\n");
            start = end;
        }
    }
    found
}

#[test]
fn comments_anywhere_survive() {
    let sources = declarations();
    let mut dice = Dice::new(5);
    let mut programs = 0;
    for _ in 0..8000 {
        let text = scatter(&sources[dice.below(sources.len())], &mut dice);
        programs += usize::from(format_holds(&text));
    }
    assert!(programs > 3000, "{programs}");
}

#[test]
fn a_comment_that_ends_in_a_brace_begins_no_block() {
    let text = "# what is not used:\n# fn f(x) {\n\n# }\nconst x = 1\n";
    assert_eq!(format(&parsed(text, "comment"), text), text);
}

#[test]
fn programs_at_random_format_to_the_same_program() {
    let sources: Vec<String> = all_sources()
        .iter()
        .map(|p| std::fs::read_to_string(p).unwrap())
        .filter(|t| t.len() < 6000)
        .collect();
    let mut dice = Dice::new(11);
    let (mut grown, mut changed) = (0, 0);
    for _ in 0..6000 {
        grown += usize::from(format_holds(&grow(&mut dice)));
        let text = &sources[dice.below(sources.len())];
        let other = &sources[dice.below(sources.len())];
        changed += usize::from(format_holds(&mutate(text, other, &mut dice)));
    }
    // Most of what is grown is a program, and enough of what is changed.
    assert!(grown > 3000 && changed > 500, "{grown} {changed}");
}
