//! The phrases that `docs/style.md` asks us not to write, looked for in everything a user reads.

use std::fs;
use std::path::{Path, PathBuf};

/// A phrase and what to write instead. Words of a phrase are lists of alternatives (`a|b`), anything
/// but some (`!a|b`), or any word (`*`).
const PHRASES: [(&str, &str); 31] = [
    (
        "line|row|value|object|id|number|text|string|loss|rows|lines|values|numbers|ids a|an \
         line|step|sample|epoch|text|core|row|class|batch|trial|image|feature|word|run|axis|file|side",
        "per: one line per epoch",
    ),
    (
        "!there is|are|was no !longer|more|less|fewer|larger|smaller|higher|lower|better|worse|different|further|way|one",
        "is not a ...",
    ),
    ("go|goes|going|went on with|from", "resume, continue"),
    ("going on", "resuming"),
    (
        "come|comes|came to",
        "a plain verb: give, make, finish with",
    ),
    ("mend|mends|mended|mending", "fix"),
    ("anew", "again"),
    ("in vain", "without effect, unused"),
    ("by chance", "at random"),
    ("aloud", "visibly"),
    ("tell|tells|told !apart", "report, show, print"),
    (
        "stand|stands|stood in|at|beside|behind|where|before|above|below|on|there",
        "be, appear",
    ),
    ("as it|they stand|stands", "unchanged"),
    ("truth value|values", "boolean"),
    (
        "a|the|its|their|this|which|best|such share|shares",
        "fraction",
    ),
    ("test|validation|training|val|train part|parts", "set"),
    ("rows|row of a|another|the part", "set"),
    ("greatest", "highest, largest, max"),
    (
        "!at least !frequent|squares|recently|one|.",
        "lowest, smallest, min",
    ),
    ("weigh|weighs|weighed", "weight"),
    (
        "another|other number|format|length|kind|width|shape of",
        "a different, the wrong",
    ),
    (
        "of|in another format|number|type|shape|length",
        "a different, the wrong",
    ),
    ("take|takes|took|taken|brought|brings back", "restore"),
    ("damaged", "corrupt"),
    ("is|are made again", "rebuild"),
    ("not as it|they should", "invalid, unexpected"),
    ("more of them|these|those than", "more"),
    ("what computes", "device"),
    ("nowhere is|are", "never"),
    ("is|are said to", "is reported"),
    ("a slip of", "a typo"),
];

/// What a person reads of a file.
#[derive(Clone, Copy)]
enum Read {
    /// Markdown outside code blocks.
    Prose,
    /// The comments and strings of nn.
    Nn,
    /// String literals of Rust, and the doc comments that are `--help`.
    Help,
    /// String literals of Rust.
    Strings,
    /// Comments of a shell script.
    Shell,
}

/// Files and folders; `docs/style.md` quotes what it advises against.
const READ: [(&str, Read); 19] = [
    ("README.md", Read::Prose),
    ("ARCHITECTURE.md", Read::Prose),
    ("docs/cli.md", Read::Prose),
    ("docs/language.md", Read::Prose),
    ("docs/errors", Read::Prose),
    ("docs/library", Read::Prose),
    ("editors/vscode/README.md", Read::Prose),
    ("models", Read::Nn),
    ("models/data/README.md", Read::Prose),
    ("src/library", Read::Nn),
    ("src/cli", Read::Help),
    ("src/check", Read::Strings),
    ("src/data", Read::Strings),
    ("src/diag", Read::Strings),
    ("src/ir", Read::Strings),
    ("src/spec", Read::Strings),
    ("src/syntax", Read::Strings),
    ("src/train", Read::Strings),
    ("tests", Read::Shell),
];

#[test]
fn what_a_user_reads_has_no_odd_phrases() {
    let mut wrong = Vec::new();
    for (root, read) in READ {
        let extension = match read {
            Read::Prose => "md",
            Read::Nn => "nn",
            Read::Help | Read::Strings => "rs",
            Read::Shell => "sh",
        };
        let files = files(Path::new(root), extension);
        assert!(!files.is_empty(), "{root}: no such file or folder");
        for path in files {
            let text = fs::read_to_string(&path).unwrap();
            for (line, phrase, advice) in odd(&words(&text, read)) {
                wrong.push(format!("{}:{line}: `{phrase}`: {advice}", path.display()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} phrases that docs/style.md replaces:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn the_phrases_are_found() {
    let found =
        |text: &str, read| -> Vec<usize> { odd(&words(text, read)).iter().map(|o| o.0).collect() };
    assert_eq!(found("fine\nOne JSON object\na line.", Read::Prose), [2]);
    assert_eq!(
        found("`x` is no size; there is no size\n", Read::Prose),
        [1]
    );
    assert!(found("```nn\nmend\n```\n`mend` at least\n", Read::Prose).is_empty());
    assert_eq!(found("## Mended.\nlet mended = 1\n", Read::Nn), [1]);
    let rust = "// mend\n/// mend\nlet c = '\"'; f(\"a \\\n  mend\", r#\"anew\"#)";
    assert_eq!(found(rust, Read::Strings), [4, 4]);
    assert_eq!(found(rust, Read::Help), [4, 4]);
    let clap = "#[derive(clap::Args)]\nstruct A {\n/// mend\na: u8\n}\n/// mend\nfn f() {}";
    assert_eq!(found(clap, Read::Help), [3]);
    assert_eq!(found("mend  # anew\n", Read::Shell), [1]);
}

struct Word {
    text: String,
    line: usize,
}

/// The places where a phrase is written: its line, itself and what to write instead.
fn odd(words: &[Word]) -> Vec<(usize, String, &'static str)> {
    let mut found = Vec::new();
    for (phrase, advice) in PHRASES {
        let phrase: Vec<&str> = phrase.split_whitespace().collect();
        for at in words.windows(phrase.len()) {
            if phrase.iter().zip(at).all(|(p, w)| fits(p, &w.text)) {
                let written: Vec<&str> = at.iter().map(|w| &*w.text).collect();
                found.push((at[0].line, written.join(" "), advice));
            }
        }
    }
    found.sort();
    found
}

fn fits(pattern: &str, word: &str) -> bool {
    match pattern.strip_prefix('!') {
        Some(but) => !but.split('|').any(|p| p == word),
        None => pattern
            .split('|')
            .any(|p| p == word || (p == "*" && word != ".")),
    }
}

/// Words in lower case, code and ends of clauses each as a word of their own (`code`, `.`).
fn words(text: &str, read: Read) -> Vec<Word> {
    let shown = match read {
        Read::Prose => prose(text),
        Read::Nn => commented(text, "#", true),
        Read::Shell => commented(text, "#", false),
        Read::Help => rust(text, true),
        Read::Strings => rust(text, false),
    };
    let mut words: Vec<Word> = Vec::new();
    for (line, text) in shown {
        let mut code = false;
        for piece in text.split_inclusive('`') {
            let inside = code;
            code ^= piece.ends_with('`');
            if inside {
                let text = "code".to_owned();
                words.push(Word { text, line });
                continue;
            }
            for word in piece.split([' ', '\t', '`', '"', '*', '/']) {
                if word.starts_with('{') {
                    let text = "code".to_owned();
                    words.push(Word { text, line });
                    continue;
                }
                let end = word.ends_with(['.', ',', ';', ':', '!', '?', '|', ')', '(']);
                let text = word
                    .trim_matches(|c: char| !c.is_alphanumeric())
                    .to_lowercase();
                if !text.is_empty() {
                    words.push(Word { text, line });
                }
                if end {
                    let text = ".".to_owned();
                    words.push(Word { text, line });
                }
            }
        }
    }
    words
}

/// Numbered lines without those of code blocks.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (i, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            // What begins a paragraph, an item or a heading is no more of the sentence before.
            let begins = line.trim_start().starts_with(['-', '#', '|']) || line.trim().is_empty();
            lines.push((i + 1, if begins { "." } else { "" }));
            lines.push((i + 1, line));
        }
    }
    lines
}

/// Comments after `mark`, without code blocks in them, and (of nn) strings.
fn commented<'a>(text: &'a str, mark: &str, strings: bool) -> Vec<(usize, &'a str)> {
    let mut fenced = false;
    let mut shown = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let (code, comment) = match line.find(mark) {
            Some(at) => (&line[..at], line[at..].trim_start_matches(mark)),
            None => (line, "."),
        };
        fenced ^= comment.trim_start().starts_with("```");
        if strings {
            let quoted = code.split('"').skip(1).step_by(2);
            shown.extend(quoted.flat_map(|s| [(i + 1, "."), (i + 1, s), (i + 1, ".")]));
        }
        if !fenced {
            shown.push((i + 1, comment));
        }
    }
    shown
}

/// String literals, numbered, and (where asked for) the doc comments of what clap reads, up to the tests of the file.
fn rust(text: &str, help: bool) -> Vec<(usize, &str)> {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let mut shown = Vec::new();
    let mut rest = text;
    let line_of = |rest: &str| text[..text.len() - rest.len()].matches('\n').count() + 1;
    let in_clap = |rest: &str| {
        let before = &text[..text.len() - rest.len()];
        let declaration = before.rsplit("\n}").next().unwrap_or_default();
        let mut derives = declaration.lines().filter(|l| l.starts_with("#[derive("));
        derives.any(|l| {
            let mut traits = l.split(['(', ')', ',', ' ', ':']);
            traits.any(|t| ["Args", "Parser", "Subcommand", "ValueEnum"].contains(&t))
        })
    };
    while let Some(at) = rest.find(['"', '/', '\'']) {
        let before = &rest[..at];
        rest = &rest[at..];
        if rest.starts_with("//") {
            let (comment, after) = rest.split_once('\n').unwrap_or((rest, ""));
            if help
                && in_clap(rest)
                && let Some(doc) = comment.strip_prefix("///")
            {
                shown.push((line_of(rest), doc));
            }
            rest = after;
        } else if rest.starts_with('"') {
            let raw = before.trim_end_matches('#').ends_with('r');
            let hashes = before.len() - before.trim_end_matches('#').len();
            let close = format!("\"{}", "#".repeat(hashes));
            let length = if raw {
                rest[1..].find(&close)
            } else {
                unescaped_quote(&rest[1..])
            };
            let literal = &rest[1..=length.unwrap_or(rest.len() - 1)];
            let first = line_of(rest);
            shown.push((first, "."));
            shown.extend(literal.lines().enumerate().map(|(i, l)| (first + i, l)));
            shown.push((first, "."));
            rest = &rest[1 + literal.len()..];
            rest = rest.get(1..).unwrap_or_default();
        } else if rest.starts_with("'\"'") {
            rest = &rest[3..];
        } else if rest.starts_with("'\\\"'") {
            rest = &rest[4..];
        } else {
            rest = &rest[1..];
        }
    }
    shown
}

fn unescaped_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|b| {
        let ends = b == b'"' && !escaped;
        escaped = b == b'\\' && !escaped;
        ends
    })
}

fn files(root: &Path, extension: &str) -> Vec<PathBuf> {
    if root.is_file() {
        return vec![root.to_owned()];
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(root).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}
