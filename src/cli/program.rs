//! The program as it is run: the file's text with the values of the command line in it.

use std::path::Path;

use crate::span::{SourceId, Span};
use crate::syntax::ast::{DeclKind, Train, TrainItem};
use crate::syntax::parse;

/// The text with other values for its consts and settings. Imports name their files
/// whole, so that the text says the same wherever it is kept.
///
/// `consts` are `--set`'s; what an imported file declares is left to the command line.
pub(super) fn as_run(
    text: &str,
    folder: &Path,
    consts: &[(String, String)],
    settings: &[(&str, Option<u64>)],
) -> String {
    let (file, _) = parse(SourceId(0), text);
    let mut edits: Vec<(Span, String)> = Vec::new();
    for decl in &file.decls {
        match &decl.kind {
            DeclKind::Const(c) => {
                // the last one counts
                let given = consts.iter().rev().find(|(name, _)| **name == *c.name.text);
                if let Some((_, value)) = given {
                    edits.push((c.value.span, value.clone()));
                }
            }
            DeclKind::Import(import) => {
                let whole = std::path::absolute(folder.join(&import.path.node));
                if let Ok(whole) = whole {
                    let whole = quoted(&whole.display().to_string());
                    edits.push((import.path.span, whole));
                }
            }
            DeclKind::Train(t) => {
                let set = settings.iter().filter_map(|(k, v)| Some((*k, (*v)?)));
                edits.extend(set.map(|(key, value)| set_to(t, decl.span, key, value)));
            }
            _ => {}
        }
    }
    edits.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    let mut text = text.to_owned();
    for (span, new) in edits {
        text.replace_range(span.range(), &new);
    }
    text
}

/// The edit that gives a setting a value: in place of the one it has, or as a line of its own.
fn set_to(t: &Train, block: Span, key: &str, value: u64) -> (Span, String) {
    let there = t.items.iter().find_map(|item| match item {
        TrainItem::Setting(s) if &*s.key.text == key => s.values.first(),
        _ => None,
    });
    match there {
        Some(arg) => (arg.span, value.to_string()),
        None => {
            let end = block.end as usize - 1;
            let at = Span::new(block.source, end, end);
            (at, format!("  {key} {value}\n"))
        }
    }
}

/// A text as a file writes it.
fn quoted(text: &str) -> String {
    format!(
        "\"{}\"",
        text.replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_command_line_stand_in_the_text() {
        let text =
            "import \"b.nn\"\nconst width = 16 # wide\ntrain N on d {\n  loss mse\n  batch 4\n}\n";
        let consts = [
            ("width".into(), "1".into()),
            ("width".into(), "2 * 8".into()),
        ];
        let settings = [("epochs", Some(3)), ("batch", Some(5)), ("seed", None)];
        let run = as_run(text, Path::new("/somewhere"), &consts, &settings);
        assert_eq!(
            run,
            "import \"/somewhere/b.nn\"\nconst width = 2 * 8 # wide\ntrain N on d {\n  loss mse\n  batch 5\n  epochs 3\n}\n"
        );
    }
}
