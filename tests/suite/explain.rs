//! Every code has a page, and the page's examples do what it says: the failing
//! one gives exactly its code, the repaired one none.
//!
//! A failing fence is ```` ```nn fail ````, with ` also E0024` where another code
//! cannot be avoided. In an example, `{{201 x (}}` stands for 201 times `(`.

use nnc::diag::{Code, Diagnostic, Severity};
use nnc::span::SourceMap;
use nnc::syntax::parse;

struct Example {
    fails: bool,
    also: Vec<String>,
    text: String,
}

#[test]
fn pages_hold_for_syntax() {
    pages_hold(
        |code| code.starts_with("E00"),
        |text| {
            let mut map = SourceMap::default();
            let id = map.add("page.nn", text, false);
            parse(id, text).1
        },
    );
}

/// Runs the examples of every page whose code `covers` accepts through `check`.
pub(crate) fn pages_hold(covers: impl Fn(&str) -> bool, check: impl Fn(&str) -> Vec<Diagnostic>) {
    let mut wrong = Vec::new();
    for code in Code::ALL.iter().filter(|c| covers(c.name())) {
        for example in examples(code) {
            let found = check(&example.text);
            let mut codes: Vec<&str> = found
                .iter()
                .filter(|d| example.fails || d.severity == Severity::Error)
                .map(|d| d.code.name())
                .collect();
            codes.dedup();
            codes.retain(|c| !example.also.iter().any(|a| a == c));
            let expected: &[&str] = if example.fails { &[code.name()] } else { &[] };
            if codes != expected {
                let which = if example.fails { "failing" } else { "repaired" };
                let messages: Vec<&str> = found.iter().map(|d| d.message.as_str()).collect();
                wrong.push(format!(
                    "{}: the {which} example gives {codes:?}, not {expected:?}: {messages:?}",
                    code.name()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_page_is_complete() {
    for code in Code::ALL {
        let title = format!("# {}: ", code.name());
        assert!(code.page().starts_with(&title), "{}: title", code.name());
        assert!(code.title().len() > 3, "{}: title", code.name());
        let prose = code.page().lines().nth(2).unwrap_or("");
        assert!(
            prose.len() > 20 || code.page().lines().nth(3).is_some_and(|l| l.len() > 20),
            "{}: a paragraph",
            code.name()
        );
        let kind = match code.name().get(..3) {
            Some("E09") => Some("error"),
            Some("W09") => Some("warning"),
            _ => None,
        };
        if let Some(kind) = kind {
            let shown = format!("```text\n{kind}[{}]: ", code.name());
            assert!(code.page().contains(&shown), "{}: a message", code.name());
            continue;
        }
        let examples = examples(code);
        assert!(examples.iter().any(|e| e.fails), "{}: fails", code.name());
        assert!(
            examples.iter().any(|e| !e.fails),
            "{}: repaired",
            code.name()
        );
    }
}

#[test]
fn codes_are_in_order_and_found() {
    assert!(Code::ALL.windows(2).all(|w| w[0].name() < w[1].name()));
    assert_eq!(Code::find("e0003").map(|c| c.name()), Some("E0003"));
    assert!(Code::find("E9999").is_none());
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/errors")).unwrap();
    assert_eq!(
        files.count(),
        Code::ALL.len(),
        "a page without its code in the list"
    );
}

fn examples(code: &Code) -> Vec<Example> {
    let mut examples = Vec::new();
    let mut open: Option<Example> = None;
    for line in code.page().lines() {
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
        let (_, common) = page.split_once("Arguments of all optimizers").unwrap();
        assert!(common.contains("global_clipnorm = none  "), "{page}");
        assert!(common.contains("ema_momentum = 0.99  "), "{page}");
    }
    let page = reference::page(&reference::find("glorot_uniform")[0]);
    assert!(!page.contains("of all optimizers"));
}
