//! Words, lines and operators of other languages.

use crate::diag::{Code, Diagnostic};
use crate::span::{SourceId, Span};
use crate::syntax::explain::{Failure, Place};
use crate::syntax::grammar::Rule;
use crate::syntax::lexer::{self, Kind};

/// A line at the top of a file in the manner of another language.
pub(in crate::syntax) fn foreign_declaration(
    source: SourceId,
    text: &str,
    at: usize,
    word: &str,
) -> Option<Diagnostic> {
    let line = text[at..].lines().next().unwrap_or("").trim_end();
    if let Some(help) = script_line(line[word.len()..].trim_start()) {
        let message = "a model is declared as a whole, not built line by line";
        return Some(
            Diagnostic::error(Code::E0017, message)
                .label(
                    Span::new(source, at, at + line.len()),
                    "this is from another language",
                )
                .help(help),
        );
    }
    let name = lexer::next(text, at + word.len())
        .filter(|t| t.kind == Kind::Word)
        .map_or("name", |t| &text[t.start..t.end]);
    let span = Span::new(source, at, at + word.len());
    let (ours, help) = match word {
        "def" | "function" | "func" | "fun" | "proc" | "sub" => (
            "fn",
            format!("write `fn {name}(x: [B, n]) -> [B, n] {{ ... }}`; the last line of a function is its value"),
        ),
        "class" | "struct" | "interface" | "enum" | "type" => (
            "layer",
            format!("there are no classes; a layer is `layer {name}(units: int)(x: [.., n]) -> [.., units] {{ ... }}`, a network is a `model`"),
        ),
        "let" | "var" | "val" | "static" | "define" => (
            "const",
            format!("write `const {name} = ...` for a value of the whole file"),
        ),
        "from" | "using" | "include" | "require" | "use" | "package" | "module" => (
            "import",
            "write `import \"file.nn\" { names }` for definitions of another file; the library needs no import".to_owned(),
        ),
        "dataset" => ("data", format!("write `data {name} {{ ... }}`")),
        "network" | "net" => (
            "model",
            format!("write `model {name}(x: [784]) -> prob[10] {{ ... }}`"),
        ),
        "fit" | "compile" | "print" | "for" | "while" | "if" | "return" => (
            "",
            "a file consists of declarations and does not run line by line; training is `train Model on data { ... }`".to_owned(),
        ),
        _ => return None,
    };
    let followed = line[word.len()..].starts_with([' ', '\t', '(']);
    if !followed {
        return None;
    }
    let message = format!("`{word}` does not start a declaration in nn");
    let label = if ours.is_empty() {
        "this is from another language".to_owned()
    } else {
        format!("in nn this is `{ours}`")
    };
    Some(
        Diagnostic::error(Code::E0017, message)
            .label(span, label)
            .help(help),
    )
}

/// What to write for `model = Sequential()`, `model.add(...)`, `model.fit(...)`, given what follows
/// the first word.
fn script_line(rest: &str) -> Option<&'static str> {
    let pipe = "write its layers as a pipe: `model Net(x: [784]) -> prob[10] { x |> Dense(128, relu) |> Dense(10, softmax) }`";
    if let Some(value) = rest.strip_prefix('=') {
        let value = value.trim_start();
        let builds = [
            "Sequential(",
            "Model(",
            "nn.",
            "keras.",
            "tf.",
            "torch.",
            "models.",
        ];
        return builds.iter().any(|b| value.starts_with(b)).then_some(pipe);
    }
    let method = rest.strip_prefix('.')?;
    let method = method
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .next()?;
    Some(match method {
        "fit" | "compile" | "train" | "backward" | "step" | "zero_grad" => {
            "write `train Net on d { loss mse; optimizer Adam; epochs 10 }` and start it with `nnc run FILE.nn`"
        }
        "predict" | "evaluate" | "summary" | "save" | "load_weights" => {
            "use a command: `nnc evaluate`, `nnc predict` or `nnc summary`; `nnc run` saves the weights"
        }
        _ => pipe,
    })
}

pub(super) fn foreign_statement(f: &Failure<'_>) -> Option<Diagnostic> {
    let Place::Body { .. } = f.place else {
        return None;
    };
    // The word itself or what follows it could not be read.
    let near = [f.at, f.at.wrapping_sub(1)]
        .into_iter()
        .find(|i| is_foreign(f.word(*i)) && f.kind(*i) == Some(Kind::Word))?;
    let word = f.word(near);
    let starts = near == 0
        || f.kind(near - 1) == Some(Kind::Newline)
        || matches!(f.word(near - 1), "{" | ";" | "}" | "=" | "(" | ",");
    let alone = f.word(near + 1);
    if !starts || matches!(alone, "=" | "." | ")" | ",") {
        return None;
    }
    let help = match word {
        "return" => "a body's last line is its value; there is no `return`",
        "let" | "var" | "val" | "auto" => "write `name = value` to bind a name",
        "for" | "while" | "do" | "loop" => {
            "there are no loops: operations apply to whole tensors; to iterate over time, use `scan x in xs from h = h0 { ... }`"
        }
        "def" | "function" | "func" | "class" => {
            "definitions (`fn` or `layer`) belong at the top level of the file, not inside another definition"
        }
        "lambda" => "there are no anonymous functions: define a `fn` at the top level of the file",
        "elif" | "elsif" | "elseif" => "replace it with `else if`",
        "match" | "switch" | "case" => {
            "use `if a { ... } else { ... }`, or `select(cond, a, b)` element by element"
        }
        "try" | "except" | "raise" | "throw" | "assert" => {
            "write `require cond, \"message\"` for a condition that must hold"
        }
        "import" | "from" => "imports belong at the top level of the file",
        "self" => "there is no `self`: use the parameters of a layer by their names",
        _ => "a file consists of declarations and expressions; it cannot print",
    };
    let mut diagnostic = Diagnostic::error(Code::E0017, format!("there is no `{word}` in nn"))
        .label(f.span(near), "this is from another language")
        .help(help);
    match word {
        "elif" | "elsif" | "elseif" => diagnostic = diagnostic.fix(f.span(near), "else if"),
        "return" | "let" | "var" | "val" if near + 1 < f.tokens.len() => {
            let next = f.span(near + 1);
            let span = f.span(near).to(next.before());
            diagnostic = diagnostic.fix(span, "");
        }
        _ => {}
    }
    Some(diagnostic)
}

pub(super) fn is_foreign(word: &str) -> bool {
    matches!(
        word,
        "return"
            | "let"
            | "var"
            | "val"
            | "auto"
            | "for"
            | "while"
            | "do"
            | "loop"
            | "def"
            | "function"
            | "func"
            | "class"
            | "lambda"
            | "elif"
            | "elsif"
            | "elseif"
            | "match"
            | "switch"
            | "case"
            | "try"
            | "except"
            | "raise"
            | "throw"
            | "assert"
            | "self"
            | "print"
            | "import"
            | "from"
    )
}

pub(super) fn foreign_operator(f: &Failure<'_>) -> Option<Diagnostic> {
    let (first, second) = (f.found(), f.word(f.at + 1));
    let adjacent = f
        .tokens
        .get(f.at + 1)
        .is_some_and(|t| t.start == f.span(f.at).end as usize);
    let pair = adjacent.then(|| format!("{first}{second}"));
    let (written, ours, two) = match (first, pair.as_deref()) {
        ("==" | "!=", Some(p @ ("===" | "!=="))) => (p, &p[..2], true),
        ("<", Some("<>")) => ("<>", "!=", true),
        ("&&", _) => ("&&", "and", false),
        ("||", _) => ("||", "or", false),
        ("!", _) => ("!", "not ", false),
        ("**", _) => ("**", "^", false),
        (":=", _) => (":=", "=", false),
        ("=>", _) if f.expects(Rule::arrow) || f.expects(Rule::result) => ("=>", "->", false),
        ("->", _) if f.expects(Rule::pipe) => ("->", "|>", false),
        ("&", _) => ("&", "and", false),
        ("|", Some("|>")) => return None,
        ("|", _) => ("|", "or", false),
        ("++", _) => ("++", " += 1", false),
        ("-", Some("--")) => ("--", " -= 1", true),
        (":", Some("::")) => ("::", ".", true),
        (">", Some(">>")) => (">>", "|>", true),
        _ => return None,
    };
    let mut span = f.span(f.at);
    if two {
        span = span.to(f.span(f.at + 1));
    }
    let mut diagnostic = Diagnostic::error(
        Code::E0018,
        format!("`{written}` is written `{}` in nn", ours.trim()),
    )
    .label(span, "unknown operator");
    if written == "|" {
        diagnostic = diagnostic.help("write `|>` to pipe a value, or `or` between two conditions");
    } else {
        diagnostic = diagnostic
            .help(format!("replace it with `{}`", ours.trim()))
            .fix(span, ours);
    }
    Some(diagnostic)
}
