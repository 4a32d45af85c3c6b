//! Text -> tree, as data: `tests/syntax/ok/*.nn` parse without a word,
//! `tests/syntax/bad/*.nn` give the diagnostics of their snapshot.

use nnc::diag::render::{Style, render};
use nnc::diag::{Code, Diagnostic};
use nnc::span::{SourceId, SourceMap};
use nnc::syntax::dump::dump;
use nnc::syntax::{MAX_SHOWN, MAX_SOURCE, parse};

#[test]
fn bad_files_are_explained() {
    insta::glob!("../syntax/bad", "*.nn", |path| {
        let text = std::fs::read_to_string(path).unwrap();
        let mut map = SourceMap::default();
        let name = path.file_name().unwrap().to_string_lossy();
        let id = map.add(name, text.as_str(), false);
        let (_, diagnostics) = parse(id, &text);
        assert!(!diagnostics.is_empty(), "{} has no error", path.display());
        insta::assert_snapshot!(render(&diagnostics, &map, Style::plain()));
    });
}

#[test]
fn good_files_parse() {
    insta::glob!("../syntax/ok", "*.nn", |path| {
        let text = std::fs::read_to_string(path).unwrap();
        let mut map = SourceMap::default();
        let name = path.file_name().unwrap().to_string_lossy();
        let id = map.add(name, text.as_str(), false);
        let (_, diagnostics) = parse(id, &text);
        assert!(
            diagnostics.is_empty(),
            "{}",
            render(&diagnostics, &map, Style::plain())
        );
    });
}

/// Parses and renders: neither may panic, and what is shown stays bounded.
fn survives(text: &str) -> Vec<Diagnostic> {
    let mut map = SourceMap::default();
    let id = map.add("case.nn", text, false);
    let (file, diagnostics) = parse(id, text);
    assert!(diagnostics.len() <= MAX_SHOWN + 1);
    for span in diagnostics
        .iter()
        .flat_map(|d| d.labels.iter().map(|l| l.span))
    {
        assert!(
            text.get(span.range()).is_some(),
            "{span:?} in {} bytes",
            text.len()
        );
    }
    for fix in diagnostics.iter().filter_map(|d| d.fix.as_ref()) {
        assert!(text.get(fix.span.range()).is_some());
    }
    for decl in &file.decls {
        assert!(text.get(decl.span.range()).is_some());
    }
    let shown = render(&diagnostics, &map, Style::plain());
    assert!(shown.len() < 60_000, "{} bytes shown", shown.len());
    diagnostics
}

fn codes(diagnostics: &[Diagnostic]) -> Vec<&str> {
    diagnostics.iter().map(|d| d.code.name()).collect()
}

/// What is cut out of, doubled in or written into a good file is an error, or
/// still good, and never a crash.
#[test]
fn damaged_files_are_survived() {
    let good = [
        include_str!("../syntax/ok/everything.nn"),
        include_str!("../syntax/ok/imdb.nn"),
    ];
    let pieces = [
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "\"",
        "'",
        "\n",
        ",",
        "=",
        ":",
        "|>",
        "..",
        "#",
        "//",
        "é",
        "@",
        "layer",
        "train X on y {",
        "\\",
        "1e",
        "%",
        "->",
        "\0",
        "else",
        "if",
        ";",
    ];
    let mut seed = 42u64;
    let mut random = |below: usize| {
        seed = seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (seed >> 33) as usize % below
    };
    for round in 0..150 {
        let mut text: Vec<char> = good[round % 2].chars().collect();
        for _ in 0..1 + random(3) {
            let at = random(text.len());
            match random(3) {
                0 => {
                    let end = (at + 1 + random(12)).min(text.len());
                    text.drain(at..end);
                }
                1 => {
                    let piece = pieces[random(pieces.len())];
                    text.splice(at..at, piece.chars());
                }
                _ => {
                    let end = (at + 1 + random(60)).min(text.len());
                    let copy: Vec<char> = text[at..end].to_vec();
                    let to = random(text.len());
                    text.splice(to..to, copy);
                }
            }
        }
        survives(&text.into_iter().collect::<String>());
    }
}

#[test]
fn extremes_are_refused_with_their_own_codes() {
    let parens = format!("const x = {}1{}", "(".repeat(10_000), ")".repeat(10_000));
    assert_eq!(codes(&survives(&parens)), ["E0011"]);
    let deep = format!("const x = {}1{}", "(".repeat(200), ")".repeat(200));
    assert_eq!(codes(&survives(&deep)), [""; 0]);
    let blocks = format!(
        "fn f(x) {{ {} 1 {} }}",
        "if x { ".repeat(180),
        "} ".repeat(180)
    );
    assert_eq!(codes(&survives(&blocks)), [""; 0]);
    for long in ["1 + ", "-", "not ", "2 ^ "] {
        let text = format!("const x = {}1\nconst y = 1\n", long.repeat(100_000));
        assert_eq!(codes(&survives(&text)), ["E0012"], "{long}");
    }
    let head = format!("layer T(x: [B, n]) -> [B, {}n] {{ x }}", "-".repeat(20_000));
    assert_eq!(codes(&survives(&head)), ["E0012"]);
    let elses = format!("const x = if a {{ 1 }}{}", " else if a { 1 }".repeat(5_000));
    assert_eq!(codes(&survives(&elses)), ["E0012"]);
    let calls = format!("const x = f{}", "(1)".repeat(50_000));
    assert_eq!(codes(&survives(&calls)), ["E0012"]);
    let list = format!("const x = [{}]", "1, ".repeat(200_000));
    assert_eq!(codes(&survives(&list)), ["E0012"]);
    let pipe = format!(
        "model M(x: [4]) {{\n  x\n{}}}\n",
        "    |> Dense(8, relu)\n".repeat(900)
    );
    assert_eq!(codes(&survives(&pipe)), [""; 0]);
    let huge = "#".repeat(MAX_SOURCE + 1);
    assert_eq!(codes(&survives(&huge)), ["E0013"]);
}

#[test]
fn nonsense_is_bounded() {
    let size = 1 << 16;
    for unit in [
        "(",
        "{",
        "}",
        ")",
        "\"",
        "'",
        "\n",
        "a ",
        "@",
        "é",
        "\\",
        "{\n",
        "layer ",
        "layer a(\n",
        "layer a {\n",
        "layer a {}\n",
        "model M(x: [4]) { x + }\n",
        "def f():\n",
        "x = 1\n",
        "const x = \n",
        "train X on y {\n(\n",
        "\0",
        "// x\n",
        "/* ",
        "const x = [1, 2\n",
    ] {
        let text = unit.repeat(size / unit.len());
        assert!(!survives(&text).is_empty() || unit == "\n" || unit == "layer a {}\n");
    }
}

#[test]
fn many_errors_are_counted() {
    let text = "const x = \n".repeat(300);
    let diagnostics = survives(&text);
    assert_eq!(diagnostics.len(), MAX_SHOWN + 1);
    let last = &diagnostics[MAX_SHOWN];
    assert_eq!(last.code, Code::E0030);
    assert_eq!(last.message, "and 280 more syntax errors");
}

#[test]
fn byte_order_marks_and_crlf_are_no_text() {
    let unix = include_str!("../syntax/ok/imdb.nn");
    let text = format!("\u{feff}{}", unix.replace('\n', "\r\n"));
    assert_eq!(codes(&survives(&text)), [""; 0]);
    let (file, _) = parse(SourceId(0), &text);
    let (plain, _) = parse(SourceId(0), unix);
    assert_eq!(file.decls.len(), plain.decls.len());
    assert_eq!(file.comments.len(), plain.comments.len());
}

#[test]
fn trees_are_dumped() {
    let text = include_str!("../syntax/ok/everything.nn");
    let mut map = SourceMap::default();
    let id = map.add("everything.nn", text, false);
    let (file, _) = parse(id, text);
    insta::assert_snapshot!(dump(&file, Some(&map)));
}

#[test]
fn operators_bind_as_documented() {
    for (text, tree) in [
        ("-x ^ 2", "-(^(x 2))"),
        ("2 ^ -1", "^(2 -(1))"),
        ("2 ^ 3 ^ 4", "^(2 ^(3 4))"),
        ("a - b - c", "-(-(a b) c)"),
        ("a + b * c @ d", "+(a @(*(b c) d))"),
        ("not a == b and c or d", "or(and(not(==(a b)) c) d)"),
        ("a + b |> f |> g(1)", "|>(|>(+(a b) f) call(g 1))"),
        ("1 + 2 .. n * 3", "..(+(1 2) *(n 3))"),
        ("(a + b) * c", "*(+(a b) c)"),
        ("-a.b(c)[0]", "-(index(call(field b(a) c) 0))"),
        ("7 % 2 - 7%", "-(%(7 2) 7%)"),
    ] {
        let source = format!("const x = {text}");
        let (file, diagnostics) = parse(SourceId(0), &source);
        assert!(diagnostics.is_empty(), "{text}: {diagnostics:?}");
        assert_eq!(folded(&dump(&file, None)), tree, "{text}");
    }
}

/// `op\n  a\n  b` -> `op(a b)`, the const left out.
fn folded(dump: &str) -> String {
    let lines: Vec<(usize, String)> = dump
        .lines()
        .skip(1)
        .map(|l| {
            let label = l.trim_start();
            let depth = (l.len() - label.len()) / 2;
            let label = label
                .strip_prefix("name ")
                .or(label.strip_prefix("int "))
                .map_or(label.to_owned(), str::to_owned);
            let label = label
                .strip_prefix("percent ")
                .map_or(label.clone(), |p| p.trim_end_matches(".0").to_owned() + "%");
            (depth, label)
        })
        .collect();
    let mut out = String::new();
    let mut depth = 0;
    for (i, (at, label)) in lines.iter().enumerate() {
        if i > 0 && *at > depth {
            out.push('(');
        } else if i > 0 {
            out.push_str(&")".repeat(depth - at));
            out.push(' ');
        }
        depth = *at;
        out.push_str(label);
    }
    out + &")".repeat(depth.saturating_sub(1))
}
