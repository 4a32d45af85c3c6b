//! What the checker says: bad programs as snapshots, good ones without a word, the pages
//! of `nnc explain` run, and texts made by chance, which may neither panic nor flood.

use std::collections::HashMap;
use std::fmt::Write;

use nnc::check::{Host, Report, check_file, find_mistakes};
use nnc::diag::render::{Style, render};
use nnc::diag::{Diagnostic, json};
use nnc::spec::Runtime;

/// Host of a folder on disk, by their path below it.
struct Folder(std::path::PathBuf);

impl Host for Folder {
    fn runtime(&self) -> Runtime {
        nnc::train::RUNTIME
    }

    fn read(&self, path: &str) -> Result<String, String> {
        // The system's own words differ between systems.
        std::fs::read_to_string(self.0.join(path)).map_err(|_| "no such file".into())
    }
}

/// Host in memory.
struct Texts<'t>(HashMap<&'t str, &'t str>);

impl Host for Texts<'_> {
    fn runtime(&self) -> Runtime {
        nnc::train::RUNTIME
    }

    fn read(&self, path: &str) -> Result<String, String> {
        let text = self.0.get(path).ok_or("no such file")?;
        Ok((*text).to_owned())
    }
}

fn check_text(text: &str) -> Report {
    check_file(&Texts(HashMap::from([("case.nn", text)])), "case.nn", &[])
}

fn check_case(path: &std::path::Path) -> (String, Report) {
    let text = std::fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_string_lossy();
    let files = Folder(path.parent().unwrap().into());
    let report = check_file(&files, &name, &[]);
    // `nnc check` leaves out what could only repeat a report.
    let brief = find_mistakes(&files, &name, &[]);
    let shown = |r: &Report| render(&r.diagnostics, &r.map, Style::plain());
    assert_eq!(shown(&brief), shown(&report), "{}", path.display());
    (text, report)
}

/// The first line of a case lists the codes it gives, in the order of their places.
#[test]
fn bad_programs_are_explained() {
    let mut wrong = String::new();
    insta::glob!("../check/bad", "*.nn", |path| {
        let (text, report) = check_case(path);
        let head = text.lines().next().unwrap().trim_start_matches('#');
        let expected: Vec<&str> = head.split_whitespace().collect();
        let found: Vec<&str> = report.diagnostics.iter().map(|d| d.code.name()).collect();
        if found != expected {
            let _ = writeln!(
                wrong,
                "{}: {found:?}, not {expected:?}",
                path.file_name().unwrap().display()
            );
        }
        let failed = found.iter().any(|c| c.starts_with('E'));
        assert_eq!(report.checked.is_none(), failed, "{}", path.display());
        let shown = render(&report.diagnostics, &report.map, Style::plain());
        let body = text.split_once('\n').unwrap().1.trim();
        insta::assert_snapshot!(format!("{body}\n\n{shown}"));
    });
    assert!(wrong.is_empty(), "{wrong}");
}

/// The same for programs, of the cases with several mistakes.
#[test]
fn bad_programs_are_explained_to_programs() {
    insta::glob!("../check/bad", "many_*.nn", |path| {
        let (_, report) = check_case(path);
        insta::assert_snapshot!(json::lines(&report.diagnostics, &report.map));
    });
}

#[test]
fn json_names_the_places_that_the_text_shows() {
    for case in std::fs::read_dir("tests/check/bad").unwrap() {
        let path = case.unwrap().path();
        if path.extension().is_none_or(|e| e != "nn") {
            continue;
        }
        let (_, report) = check_case(&path);
        let shown = render(&report.diagnostics, &report.map, Style::plain());
        let lines = json::lines(&report.diagnostics, &report.map);
        assert_eq!(lines.lines().count(), report.diagnostics.len());
        for (d, line) in report.diagnostics.iter().zip(lines.lines()) {
            let object: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(object["code"], d.code.name());
            assert_eq!(object["message"], d.message.as_str());
            let place = format!(
                "{}:{}:{}",
                text(&object["file"]),
                object["line"],
                object["column"]
            );
            assert!(shown.contains(&place), "{place} in\n{shown}");
        }
    }
}

fn text(v: &serde_json::Value) -> &str {
    v.as_str().unwrap()
}

#[test]
fn good_programs_pass_without_a_word() {
    insta::glob!("../check/ok", "*.nn", |path| {
        let (_, report) = check_case(path);
        let shown = render(&report.diagnostics, &report.map, Style::plain());
        assert!(shown.is_empty(), "{}\n{shown}", path.display());
        assert!(report.checked.is_some());
    });
}

/// A program to which a fix is applied has the mistake no more.
#[test]
fn fixes_repair_programs() {
    let mut repaired = 0;
    for case in std::fs::read_dir("tests/check/bad").unwrap() {
        let path = case.unwrap().path();
        if path.extension().is_none_or(|e| e != "nn") {
            continue;
        }
        let (source, report) = check_case(&path);
        for d in &report.diagnostics {
            let Some(fix) = &d.fix else { continue };
            let mut changed = source.clone();
            changed.replace_range(fix.span.range(), &fix.replacement);
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            struct Changed(Folder, String, String);
            impl Host for Changed {
                fn runtime(&self) -> Runtime {
                    nnc::train::RUNTIME
                }

                fn read(&self, path: &str) -> Result<String, String> {
                    if path == self.1 {
                        return Ok(self.2.clone());
                    }
                    self.0.read(path)
                }
            }
            let files = Changed(Folder(path.parent().unwrap().into()), name.clone(), changed);
            let after = check_file(&files, &name, &[]);
            // What it uncovers may be of the same code.
            let same = |o: &&Diagnostic| o.code == d.code && o.message == d.message;
            let count = |r: &[Diagnostic]| r.iter().filter(same).count();
            assert!(
                count(&after.diagnostics) < count(&report.diagnostics),
                "{name}: {} is not repaired by {:?}\n{}",
                d.code,
                fix.replacement,
                render(&after.diagnostics, &after.map, Style::plain())
            );
            repaired += 1;
        }
    }
    assert!(repaired >= 25, "{repaired}");
}

/// The pages' examples; an import finds the cases' `parts`, and `# --set a=b` sets a const.
#[test]
fn pages_hold_for_the_checker() {
    struct Page<'t>(&'t str, Folder);
    impl Host for Page<'_> {
        fn runtime(&self) -> Runtime {
            nnc::train::RUNTIME
        }

        fn read(&self, path: &str) -> Result<String, String> {
            if path == "page.nn" {
                Ok(self.0.to_owned())
            } else {
                self.1.read(path)
            }
        }
    }
    let of_the_checker = |code: &str| !code.starts_with("E00") && &code[1..3] != "09";
    super::explain::pages_hold(of_the_checker, |text| {
        let set: Vec<(String, String)> = text
            .lines()
            .filter_map(|l| l.strip_prefix("# --set ")?.split_once('='))
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .collect();
        let files = Page(text, Folder("tests/check/bad".into()));
        check_file(&files, "page.nn", &set).diagnostics
    });
}

/// Every code of the table is reported by something.
#[test]
fn every_code_is_used() {
    let text: String = sources("src").into_iter().map(|(_, text)| text).collect();
    let unused: Vec<&str> = nnc::diag::Code::ALL
        .iter()
        .map(|code| code.name())
        .filter(|code| !text.contains(&format!("Code::{code}")))
        .collect();
    assert!(unused.is_empty(), "{unused:?}");
}

/// Layers, losses, metrics and optimizers are the library's business: no Rust code knows one
/// by name; what a diagnostic proposes is found by the library's own `@fixes(..)`.
#[test]
fn no_definition_of_the_library_is_known_to_rust() {
    let mut found = Vec::new();
    let names: Vec<&str> = nnc::library::names().collect();
    for (path, text) in sources("src") {
        // Tests may name what they like; they come last in a file.
        let code = text.split("#[cfg(test)]").next().unwrap_or("");
        for (number, line) in code.lines().enumerate() {
            let line = line.trim_start();
            if line.starts_with("//") {
                continue;
            }
            for name in &names {
                let known =
                    line.contains(&format!("\"{name}\"")) || line.contains(&format!("`{name}`"));
                if known {
                    found.push(format!("{path}:{}: {name}", number + 1));
                }
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

fn sources(folder: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            out.extend(sources(path.to_str().unwrap()));
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            out.push((path.display().to_string(), text));
        }
    }
    out
}

/// Words, numbers, texts and signs, with the blanks before each.
fn tokens(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut start = 0;
    let mut last = ' ';
    for (i, c) in text.char_indices() {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        if i > start && !(word(last) && word(c)) && !last.is_whitespace() {
            out.push(&text[start..i]);
            start = i;
        }
        last = c;
    }
    out.push(&text[start..]);
    out
}

/// Deletes, doubles, swaps and replaces tokens of programs.
#[test]
fn programs_changed_by_chance_are_survived() {
    let rounds = std::env::var("NNC_FUZZ").map_or(200, |n| n.parse().unwrap());
    let mut texts = Vec::new();
    for folder in ["models", "tests/check/bad", "tests/check/ok"] {
        let mut paths: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| p.extension().is_some_and(|e| e == "nn"))
            .collect();
        paths.sort();
        // The doubling case is slow on purpose.
        paths.retain(|p| !p.ends_with("call_doubling.nn"));
        texts.extend(paths.iter().map(|p| std::fs::read_to_string(p).unwrap()));
    }
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut pick = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % n.max(1)
    };
    for round in 0..rounds {
        let text = &texts[pick(texts.len())];
        let mut parts: Vec<&str> = tokens(text);
        let pool = parts.clone();
        for _ in 0..1 + pick(3) {
            let (i, j) = (pick(parts.len()), pick(parts.len()));
            match pick(4) {
                0 => {
                    parts.remove(i);
                }
                1 => parts.insert(j, parts[i]),
                2 => parts.swap(i, j),
                _ => parts[i] = pool[pick(pool.len())],
            }
            if parts.is_empty() {
                break;
            }
        }
        let changed = parts.concat();
        let report = check_text(&changed);
        assert!(report.diagnostics.len() < 50, "round {round}:\n{changed}");
        let shown = render(&report.diagnostics, &report.map, Style::plain());
        assert_eq!(shown.is_empty(), report.diagnostics.is_empty());
        for d in &report.diagnostics {
            assert!(d.severity != nnc::diag::Severity::Error || report.checked.is_none());
        }
    }
}

/// Each gives something clear, and few of it.
#[test]
fn extremes_end_soon() {
    let deep = format!(
        "model Net(x: [4]) {{ {}x{} |> Dense(3) }}",
        "(".repeat(10_000),
        ")".repeat(10_000)
    );
    let long = format!(
        "model Net(x: [4]) {{ x{} |> Dense(3) }}",
        " + x".repeat(5_000)
    );
    let consts: String = (0..2_000)
        .map(|i| format!("const c{i} = c{} + 1\n", i + 1))
        .collect();
    let lists = (1..40).fold("const l0 = [1, 2]\n".to_owned(), |s, i| {
        format!("{s}const l{i} = l{} + l{}\n", i - 1, i - 1)
    });
    let sizes = (1..40).fold(
        "layer Grow(x: [B, n]) -> [B, n] {\n  s0 = n + 1\n".to_owned(),
        |s, i| format!("{s}  s{i} = s{} * s{} + s{}\n", i - 1, i - 1, i - 1),
    ) + "  x * s39\n}\nmodel Net(x: [4]) { x |> Grow |> Dense(3) }";
    let nonsense = "a ) } \" { [ = 3 model\n".repeat(20_000);
    for (what, text) in [
        ("parentheses", deep),
        ("a long sum", long),
        ("a chain of consts", consts),
        ("lists that double", lists),
        ("sizes that square", sizes),
        ("nonsense", nonsense),
        ("nothing", String::new()),
    ] {
        let report = check_text(&text);
        assert!(
            report.diagnostics.len() <= 25,
            "{what}: {}",
            report.diagnostics.len()
        );
    }
}
