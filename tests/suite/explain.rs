//! Every code has a page, and the page's examples do what it says: the failing
//! one gives exactly its code, the mended one none.
//!
//! A failing fence is ```` ```nn fail ````, with ` also E0024` where another code
//! cannot be avoided. In an example, `{{201 x (}}` stands for 201 times `(`.

use nnc::diag::codes::{ALL, Code, find};
use nnc::diag::{Diagnostic, Severity};
use nnc::span::SourceMap;
use nnc::syntax::parse;

struct Example {
    fails: bool,
    also: Vec<String>,
    text: String,
}

#[test]
fn pages_hold_for_syntax() {
    pages_hold("E00", |text| {
        let mut map = SourceMap::default();
        let id = map.add("page.nn", text, false);
        parse(id, text).1
    });
}

/// Runs the examples of every page whose code starts with `prefix` through `check`.
pub fn pages_hold(prefix: &str, check: impl Fn(&str) -> Vec<Diagnostic>) {
    let mut wrong = Vec::new();
    for code in ALL.iter().filter(|c| c.code.starts_with(prefix)) {
        for example in examples(code) {
            let found = check(&example.text);
            let mut codes: Vec<&str> = found
                .iter()
                .filter(|d| example.fails || d.severity == Severity::Error)
                .map(|d| d.code)
                .collect();
            codes.dedup();
            codes.retain(|c| !example.also.iter().any(|a| a == c));
            let expected: &[&str] = if example.fails { &[code.code] } else { &[] };
            if codes != expected {
                let which = if example.fails { "failing" } else { "mended" };
                let messages: Vec<&str> = found.iter().map(|d| d.message.as_str()).collect();
                wrong.push(format!(
                    "{}: the {which} example gives {codes:?}, not {expected:?}: {messages:?}",
                    code.code
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_page_is_complete() {
    for code in ALL {
        let title = format!("# {}: ", code.code);
        assert!(code.page.starts_with(&title), "{}: title", code.code);
        assert!(code.title().len() > 3, "{}: title", code.code);
        let prose = code.page.lines().nth(2).unwrap_or("");
        assert!(
            prose.len() > 20 || code.page.lines().nth(3).is_some_and(|l| l.len() > 20),
            "{}: a paragraph",
            code.code
        );
        let kind = match code.code.get(..3) {
            Some("E09") => Some("error"),
            Some("W09") => Some("warning"),
            _ => None,
        };
        if let Some(kind) = kind {
            let shown = format!("```text\n{kind}[{}]: ", code.code);
            assert!(code.page.contains(&shown), "{}: a message", code.code);
            continue;
        }
        let examples = examples(code);
        assert!(examples.iter().any(|e| e.fails), "{}: fails", code.code);
        assert!(examples.iter().any(|e| !e.fails), "{}: mended", code.code);
    }
}

#[test]
fn what_a_run_can_report_has_a_page() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut told = std::collections::BTreeSet::new();
    for file in ["data/error.rs", "train/error.rs", "train/weights.rs"] {
        let text = std::fs::read_to_string(root.join("src").join(file)).unwrap();
        let codes = text
            .split('"')
            .filter(|w| w.len() == 5 && w.starts_with("E09"));
        told.extend(codes.map(str::to_owned));
    }
    let paged = ALL.iter().map(|c| c.code.to_owned());
    let paged: std::collections::BTreeSet<_> = paged.filter(|c| c.starts_with("E09")).collect();
    assert_eq!(told, paged);
}

#[test]
fn codes_are_in_order_and_found() {
    assert!(ALL.windows(2).all(|w| w[0].code < w[1].code));
    assert_eq!(find("e0003").map(|c| c.code), Some("E0003"));
    assert!(find("E9999").is_none());
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/errors")).unwrap();
    assert_eq!(
        files.count(),
        ALL.len(),
        "a page without its code in the list"
    );
}

fn examples(code: &Code) -> Vec<Example> {
    let mut examples = Vec::new();
    let mut open: Option<Example> = None;
    for line in code.page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(fence)) if fence == "nn" || fence.starts_with("nn ") => {
                let words: Vec<&str> = fence.split_whitespace().collect();
                open = Some(Example {
                    fails: words.contains(&"fail"),
                    also: words.iter().skip(3).map(|w| w.to_string()).collect(),
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => {
                if let Some(mut example) = open.take() {
                    example.text = expanded(&example.text);
                    examples.push(example);
                }
            }
            (Some(example), None) => {
                example.text.push_str(line);
                example.text.push('\n');
            }
            (None, _) => {}
        }
    }
    examples
}

/// `{{3 x ab}}` -> `ababab`
fn expanded(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (inner, after) = after.split_once("}}").expect("`{{` without `}}`");
        let (count, unit) = inner.split_once(" x ").expect("`{{count x text}}`");
        out.push_str(before);
        out.push_str(&unit.repeat(count.parse().expect("a count")));
        rest = after;
    }
    out + rest
}

#[test]
fn an_optimizers_page_tells_what_every_one_takes() {
    use nnc::library::reference;
    for name in ["SGD", "Adafactor"] {
        let page = reference::page(&reference::find(name)[0]);
        let (_, common) = page.split_once("Arguments of every optimizer").unwrap();
        assert!(common.contains("global_clipnorm = none  "), "{page}");
        assert!(common.contains("ema_momentum = 0.99  "), "{page}");
    }
    let page = reference::page(&reference::find("glorot_uniform")[0]);
    assert!(!page.contains("of every optimizer"));
}
