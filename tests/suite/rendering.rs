//! How diagnostics are shown to people and to programs.

use nnc::diag::render::{Style, render};
use nnc::diag::{Code, Diagnostic, json};
use nnc::span::{SourceMap, Span};

fn example() -> (Vec<Diagnostic>, SourceMap) {
    let mut map = SourceMap::default();
    let user = map.add(
        "größe.nn",
        "model Net(x: [784]) -> prob[10] {\n  x |> Dense(10, softmx)\n\n\n\n\n  y\n}\n",
        false,
    );
    let library = map.add(
        "library/layers.nn",
        "layer Dense(units: int)(x: [.., n]) {\n  x\n}\n",
        true,
    );
    let diagnostics = vec![
        Diagnostic::error(Code::E0001, "a first message that names `softmx`")
            .label(Span::new(user, 51, 57), "no such name")
            .label(Span::new(user, 10, 18), "with this input")
            .label(Span::new(library, 6, 11), "defined here")
            .help("did you mean `softmax`?")
            .note("a note that is long enough to be wrapped over more than one line, because notes tell about rules and rules are rarely short")
            .fix(Span::new(user, 51, 57), "softmax"),
        Diagnostic::warning(Code::E0002, "a warning on the last line")
            .label(Span::new(user, 65, 66), "unused"),
        Diagnostic::error(Code::E0003, "a message without a place"),
    ];
    (diagnostics, map)
}

#[test]
fn people_read_excerpts() {
    let (diagnostics, map) = example();
    insta::assert_snapshot!("plain", render(&diagnostics, &map, Style::plain()));
    let narrow = Style {
        color: false,
        unicode: false,
        width: 50,
    };
    insta::assert_snapshot!("narrow_ascii", render(&diagnostics, &map, narrow));
}

#[test]
fn colour_is_all_that_colour_adds() {
    let (diagnostics, map) = example();
    let plain = render(&diagnostics, &map, Style::plain());
    let colored = render(
        &diagnostics,
        &map,
        Style {
            color: true,
            ..Style::plain()
        },
    );
    assert!(colored.contains("\u{1b}[") && !plain.contains('\u{1b}'));
    let mut stripped = String::new();
    let mut rest = colored.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        stripped.push_str(before);
        rest = after.split_once('m').map_or("", |(_, r)| r);
    }
    stripped.push_str(rest);
    assert_eq!(stripped, plain);
}

#[test]
fn programs_read_lines() {
    let (diagnostics, map) = example();
    insta::assert_snapshot!("json", json::lines(&diagnostics, &map));
    for line in json::lines(&diagnostics, &map).lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["event"], "diagnostic");
    }
}

/// Lines too long to draw are cited around the place.
#[test]
fn long_lines_are_cited() {
    let mut map = SourceMap::default();
    let text = format!("const x = [{}]", "1, ".repeat(5_000));
    let id = map.add("long.nn", text, false);
    let diagnostic =
        Diagnostic::error(Code::E0001, "in the middle").label(Span::new(id, 9_000, 9_001), "here");
    let shown = render(&[diagnostic], &map, Style::plain());
    assert!(shown.len() < 600, "{shown}");
    assert!(shown.contains("long.nn:1:9001"), "{shown}");
}
