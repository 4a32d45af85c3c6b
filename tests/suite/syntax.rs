//! Text -> tree, as data: `tests/syntax/ok/*.nn` parse without a word,
//! `tests/syntax/bad/*.nn` give the diagnostics of their snapshot.

use nnc::diag::render::{Style, render};
use nnc::span::SourceMap;
use nnc::syntax::parse;

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
