//! The mistakes that have a name: another language's spelling, a forgotten
//! comma, a type or body left out. Each has its own code and, where the edit
//! is certain, the fix.

use super::explain::{Failure, Place, describe, list_words, no_body};
use super::grammar::Rule;
use super::keywords::{self, DATA_ITEMS, DECLARATIONS};
use super::lexer::{self, Kind};
use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::span::{SourceId, Span};

/// The slip that explains the failure best.
pub(super) fn find(f: &Failure<'_>) -> Option<Diagnostic> {
    import(f)
        .or_else(|| number(f))
        .or_else(|| foreign_statement(f))
        .or_else(|| foreign_operator(f))
        .or_else(|| colon(f))
        .or_else(|| missing_type(f))
        .or_else(|| equals(f))
        .or_else(|| keyword_as_name(f))
        .or_else(|| head(f))
        .or_else(|| after_pipe(f))
        .or_else(|| unknown_item(f))
        .or_else(|| missing_value(f))
        .or_else(|| side_by_side(f))
}

/// A line at the top of a file in the manner of another language.
pub(super) fn foreign_declaration(
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

fn import(f: &Failure<'_>) -> Option<Diagnostic> {
    if f.place != Place::Head("import") || !f.expects(Rule::string) {
        return None;
    }
    let word = f.found();
    let known = matches!(
        word,
        "keras" | "tensorflow" | "torch" | "numpy" | "pandas" | "sklearn" | "jax"
    );
    let help = if known {
        format!(
            "remove the line: layers, losses, metrics and optimizers need no import, and nn does not use {word}"
        )
    } else {
        "write `import \"blocks.nn\"` or `import \"blocks.nn\" { Residual }`; the library needs no import".to_owned()
    };
    Some(
        Diagnostic::error(Code::E0028, "an import names a file in double quotes")
            .label(
                f.span(f.at),
                format!("expected a string, found {}", f.described()),
            )
            .help(help),
    )
}

fn number(f: &Failure<'_>) -> Option<Diagnostic> {
    let malformed = |span: Span, help: String| {
        Diagnostic::error(Code::E0015, "this is not a number")
            .label(span, "malformed number")
            .help(help)
    };
    // `.5`
    if f.found() == "." && f.kind(f.at + 1) == Some(Kind::Number) && f.expects_value() {
        let span = f.span(f.at).to(f.span(f.at + 1));
        let fixed = format!("0.{}", f.word(f.at + 1));
        return Some(malformed(span, format!("replace it with `{fixed}`")).fix(span, fixed));
    }
    // `1.`
    let dot = if f.previous() == "." {
        f.at.checked_sub(1)?
    } else {
        f.at
    };
    if f.word(dot) == "." && dot > 0 && f.kind(dot - 1) == Some(Kind::Number) {
        let span = f.span(dot - 1).to(f.span(dot));
        let fixed = format!("{}.0", f.word(dot - 1));
        return Some(malformed(span, format!("replace it with `{fixed}`")).fix(span, fixed));
    }
    // `3x`, `0x1f`
    let text = f.found();
    let letters = text.contains(|c: char| c.is_ascii_alphabetic());
    let plain = text.parse::<f64>().is_ok() && !text.contains(['x', 'X']);
    if f.kind(f.at) == Some(Kind::Number) && letters && !plain {
        let digits = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(0);
        let help = match &text[digits..] {
            "f" | "L" | "l" | "u" | "j" => format!("replace it with `{}`", &text[..digits]),
            hex if hex.starts_with(['x', 'X']) && text.starts_with('0') => {
                "numbers are decimal".to_owned()
            }
            name if f.expects_value() && !name.starts_with(['e', 'E']) => format!(
                "write `{} * {name}` for a product; a name cannot start with a digit",
                &text[..digits]
            ),
            _ => "a name cannot start with a digit".to_owned(),
        };
        return Some(malformed(f.span(f.at), help));
    }
    None
}

fn foreign_statement(f: &Failure<'_>) -> Option<Diagnostic> {
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

fn is_foreign(word: &str) -> bool {
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

fn foreign_operator(f: &Failure<'_>) -> Option<Diagnostic> {
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

fn colon(f: &Failure<'_>) -> Option<Diagnostic> {
    if f.found() != ":" {
        return None;
    }
    let span = f.span(f.at);
    let last_of_line = {
        let after = &f.text[span.end as usize..];
        after
            .find('\n')
            .map_or(after, |i| &after[..i])
            .trim()
            .is_empty()
    };
    if let Place::Body {
        keyword: "train" | "sweep",
        ..
    } = f.place
        && f.at == 1
        && !last_of_line
    {
        let key = f.word(0);
        return Some(setting(f, key));
    }
    if f.word(0) == "split"
        && matches!(
            f.place,
            Place::Body {
                keyword: "data",
                ..
            }
        )
        && f.kind(f.at - 1) == Some(Kind::Word)
    {
        return Some(setting(f, f.previous()));
    }
    let opens = matches!(f.place, Place::Head(k) if k != "const" && k != "import")
        || f.expects(Rule::lbrace)
        || f.expects(Rule::block);
    if opens && f.open_bracket().is_none_or(|b| f.word(b) == "{") {
        return Some(
            Diagnostic::error(Code::E0020, "blocks are written in braces")
                .label(span, "a `:` does not open a block")
                .help("write `{` here and `}` after the block; indentation has no meaning")
                .fix(span, " {"),
        );
    }
    let named = f.at > 0 && f.kind(f.at - 1) == Some(Kind::Word);
    let in_call = f.open_bracket().is_some_and(|b| f.word(b) == "(");
    if named && in_call {
        let name = f.previous();
        return Some(
            Diagnostic::error(Code::E0019, "a named argument is written with `=`")
                .label(span, "not `:`")
                .help(format!("write `{name} = ...`"))
                .fix(span, " ="),
        );
    }
    if named && f.at == 1 && !last_of_line {
        let name = f.previous();
        return Some(
            Diagnostic::error(Code::E0019, format!("`{name}` takes no type here"))
                .label(
                    span,
                    "only `param`, `state`, parameters and data items have types",
                )
                .help(format!(
                    "write `{name} = value`; a weight is `param {name}: [shape] = initializer`"
                )),
        );
    }
    None
}

/// `epochs = 5`, `epochs: 5`, `train: 80%`
fn setting(f: &Failure<'_>, key: &str) -> Diagnostic {
    let gap = f.span(f.at - 1).after().to(f.span(f.at + 1).before());
    Diagnostic::error(Code::E0025, "a setting is a name followed by a value")
        .label(f.span(f.at), format!("remove this `{}`", f.found()))
        .help(format!("write `{key} value`"))
        .fix(gap, " ")
}

fn missing_type(f: &Failure<'_>) -> Option<Diagnostic> {
    let wants_type = f
        .expected
        .iter()
        .any(|r| matches!(r, Rule::type_expr | Rule::plain_type | Rule::tuple_type));
    let first = f.word(0);
    let item = matches!(first, "column" | "input" | "target" | "param" | "draw")
        && matches!(f.place, Place::Body { .. })
        && f.at == 2
        && f.expects(Rule::colon);
    if !item && !wants_type {
        return None;
    }
    if !item && f.kind(f.at) == Some(Kind::Word) && !keywords::RESERVED.contains(&f.found()) {
        return None;
    }
    let previous = f.previous();
    let (what, example) = match first {
        "column" => ("a column", "column age : real"),
        "input" => ("an input", "input x : [784] = image |> flatten"),
        "target" => ("a target", "target y : class[10] = label"),
        "param" => ("a param", "param kernel: [n, units] = glorot_uniform"),
        "draw" => ("a draw", "draw z: [16] = random_normal"),
        _ if previous == "->" => ("a result", "-> prob[10]"),
        _ => ("a parameter", "x: [B, n]"),
    };
    let at = if item { f.span(f.at - 1) } else { f.span(f.at) };
    let label = if item {
        format!("`{}` has no type", f.previous())
    } else {
        format!("expected a type, found {}", f.described())
    };
    Some(
        Diagnostic::error(Code::E0027, format!("{what} needs a type"))
            .label(at, label)
            .help(format!(
                "for example, `{example}`; types are sizes in brackets, `class[10]`, `prob[10]`, `token[V][L]`, `real`, `int`, `text`"
            )),
    )
}

fn equals(f: &Failure<'_>) -> Option<Diagnostic> {
    let span = f.span(f.at);
    if f.found() == "==" && f.expects(Rule::assign) {
        return Some(
            Diagnostic::error(Code::E0019, "a name is bound with a single `=`")
                .label(span, "`==` compares")
                .help("replace it with `=`")
                .fix(span, "="),
        );
    }
    if f.found() != "=" {
        return None;
    }
    if let Place::Body {
        keyword: "train" | "sweep",
        ..
    } = f.place
        && f.at == 1
    {
        let key = f.word(0);
        return Some(setting(f, key));
    }
    if let Place::Head(keyword) = f.place
        && !matches!(keyword, "const" | "import")
        && f.open_bracket().is_none()
    {
        return Some(no_body(keyword, f.word(1), span, Some("`=`")));
    }
    if !f.expects_operator() {
        return None;
    }
    if let Some(operator) = f.at.checked_sub(2)
        && f.kind(f.at - 1) == Some(Kind::Word)
        && f.kind(operator) == Some(Kind::Symbol)
        && f.original[f.span(operator).end as usize..f.span(f.at - 1).start as usize].contains('\n')
    {
        let operator_span = f.span(operator);
        return Some(
            Diagnostic::error(
                Code::E0024,
                format!("a value is missing after `{}`", f.word(operator)),
            )
            .label(operator_span, "expected a value after this")
            .label(f.span(f.at - 1), "the next statement starts here")
            .help("an operator at the end of a line continues on the next line"),
        );
    }
    let condition = (0..f.at)
        .rev()
        .take_while(|i| f.kind(*i) != Some(Kind::Newline))
        .any(|i| matches!(f.word(i), "if" | "require" | "and" | "or" | "not"));
    if !condition && f.open_bracket().is_none_or(|b| f.word(b) == "{") {
        let start = f.operand_start(f.at);
        let target = f.span(start).to(f.span(f.at - 1));
        let text = &f.text[target.range()];
        return Some(
            Diagnostic::error(Code::E0019, "only a name can be bound")
                .label(target, format!("`{text}` is not a name"))
                .label(span, "so it cannot come before `=`")
                .help("values do not change: bind the result to a new name, or compare with `==`"),
        );
    }
    Some(
        Diagnostic::error(Code::E0019, "`=` binds a name, `==` compares")
            .label(span, "expected a comparison")
            .help("replace it with `==`")
            .fix(span, "=="),
    )
}

fn keyword_as_name(f: &Failure<'_>) -> Option<Diagnostic> {
    let word = f.found();
    if f.kind(f.at) != Some(Kind::Word) {
        return None;
    }
    let span = f.span(f.at);
    let reserved = keywords::RESERVED.contains(&word);
    let declares = f.expects(Rule::decl_name);
    if (declares && keywords::is_keyword(word))
        || (reserved && f.expects(Rule::ident) && !f.expects_value())
    {
        return Some(keyword_name(word, span));
    }
    if !reserved {
        return None;
    }
    let next = f.word(f.at + 1);
    if word == "else" {
        return Some(
            Diagnostic::error(Code::E0001, format!("`else` without `if` {}", f.context()))
                .label(span, "no `if { ... }` ends just before it")
                .help("an `else` follows the `}` of its `if`"),
        );
    }
    if f.expects_value()
        && (matches!(next, "=" | "," | ")" | "+=" | "-=")
            || matches!(word, "in" | "along" | "from"))
    {
        return Some(keyword_name(word, span));
    }
    None
}

fn keyword_name(word: &str, span: Span) -> Diagnostic {
    Diagnostic::error(
        Code::E0016,
        format!("`{word}` is a keyword and cannot be a name"),
    )
    .label(span, "a name is expected here")
    .help(format!("choose a different name, such as `{word}_`"))
}

fn head(f: &Failure<'_>) -> Option<Diagnostic> {
    let Place::Head(keyword) = f.place else {
        return None;
    };
    let span = f.span(f.at);
    let form = match keyword {
        "train" => "train Model on data { ... }",
        "model" => "model Name(x: [784]) -> prob[10] { ... }",
        "data" => "data name { ... }",
        "sweep" => "sweep Model { ... }",
        "const" => "const name = value",
        "import" => return None,
        "layer" => "layer Name(units: int)(x: [.., n]) -> [.., units] { ... }",
        "loss" => "loss name(p: prob[B], y: class[2][B]) -> [B] { ... }",
        "optimizer" => "optimizer Name(lr = 0.01) { ... }",
        _ => "fn name(x: [.., n]) -> [.., n] { ... }",
    };
    let say = |message: String, label: &str| {
        Some(
            Diagnostic::error(Code::E0029, message)
                .label(span, label)
                .help(format!("the form is `{form}`")),
        )
    };
    let block = match keyword {
        "data" | "train" | "sweep" => " block",
        _ => "",
    };
    if f.expects(Rule::decl_name) || (f.at == 1 && f.expects(Rule::ident)) {
        return say(
            format!("this {keyword}{block} has no name"),
            "expected a name",
        );
    }
    if f.open_bracket().is_some() {
        return None;
    }
    if keyword == "const" {
        return if f.expects(Rule::assign) {
            say("this const has no value".to_owned(), "expected `=`")
        } else {
            None
        };
    }
    if keyword == "train" && f.expects(Rule::kw_on) {
        return say(
            "a train block needs a model and its data".to_owned(),
            "expected `on` and the name of a data block",
        );
    }
    if keyword == "model" && (f.expects(Rule::params) || f.expects(Rule::lparen)) {
        return say("a model needs its inputs".to_owned(), "expected `(`");
    }
    if f.found() == "(" && f.expects(Rule::EOI) {
        let message = match keyword {
            "data" | "train" | "sweep" => format!("a {keyword} block takes no parameters"),
            "model" => "a model has one list of inputs".to_owned(),
            _ => format!("a {keyword} has at most two lists of parameters"),
        };
        return say(message, "unexpected list");
    }
    if f.at_line_end() && f.expects(Rule::EOI) {
        return Some(no_body(keyword, f.word(1), span, None));
    }
    None
}

fn after_pipe(f: &Failure<'_>) -> Option<Diagnostic> {
    if !f.expects(Rule::pipe) || f.expects(Rule::infix) {
        return None;
    }
    let operator = f.found();
    let infix = matches!(
        operator,
        "+" | "-"
            | "*"
            | "/"
            | "%"
            | "@"
            | "^"
            | "=="
            | "!="
            | "<"
            | "<="
            | ">"
            | ">="
            | ".."
            | "and"
            | "or"
    );
    if !infix || f.at == 0 {
        return None;
    }
    let start = f.operand_start(f.at);
    let span = f.span(start).to(f.span(f.at - 1));
    let pipe = &f.text[span.range()];
    let diagnostic = Diagnostic::error(
        Code::E0022,
        format!("`{operator}` after a pipe needs parentheses"),
    )
    .label(
        f.span(f.at),
        "applies to the result of the pipe, or to its last stage?",
    )
    .label(span, "the pipe");
    Some(if pipe.contains('\n') || pipe.len() > 60 {
        diagnostic.help("put the whole pipe in parentheses, or give its result a name")
    } else {
        diagnostic
            .help("put the pipe in parentheses")
            .fix(span, format!("({pipe})"))
    })
}

fn unknown_item(f: &Failure<'_>) -> Option<Diagnostic> {
    let Place::Body { keyword, .. } = f.place else {
        return None;
    };
    if keyword == "data" && f.at == 0 {
        let word = f.found();
        let near = did_you_mean(word, DATA_ITEMS.iter().copied());
        let diagnostic = Diagnostic::error(
            Code::E0026,
            format!("{} does not start an item of a data block", f.described()),
        )
        .label(f.span(0), "unknown item");
        return Some(match near.filter(|n| *n != word) {
            Some(near) => diagnostic
                .help(format!("did you mean `{near}`?"))
                .fix(f.span(0), near),
            None => diagnostic.help(format!(
                "items start with {}",
                list_words(&[
                    "`source`", "`column`", "`split`", "`fit`", "`input`", "`target`"
                ])
            )),
        });
    }
    None
}

fn missing_value(f: &Failure<'_>) -> Option<Diagnostic> {
    if !f.expects_value() || f.at == 0 || f.expects_operator() {
        return None;
    }
    let found = f.found();
    let ends = f.at_line_end() || matches!(found, ")" | "]" | "}" | "," | "{");
    let operator = f.kind(f.at) == Some(Kind::Symbol) || matches!(found, "and" | "or");
    if !ends && !operator {
        return None;
    }
    let previous = f.previous();
    let span = f.span(f.at);
    let after = match previous {
        "," if found == "," => "between these commas".to_owned(),
        "" => return None,
        p => format!("after `{p}`"),
    };
    let key = matches!(
        f.place,
        Place::Body {
            keyword: "train" | "sweep",
            ..
        }
    ) && f.at == 1
        && f.kind(0) == Some(Kind::Word);
    let message = if key {
        format!("the setting `{previous}` has no value")
    } else {
        format!("a value is missing {after}")
    };
    let mut diagnostic = Diagnostic::error(Code::E0024, message).label(
        span,
        format!("expected a value, found {}", describe(f.kind(f.at), found)),
    );
    if !key {
        diagnostic = diagnostic.label(f.span(f.at - 1), "after this");
    }
    if previous == "," && matches!(found, "," | ")" | "]") {
        diagnostic = diagnostic.help("one comma at the end of a list is allowed, two are not");
    } else if previous == "|>" {
        diagnostic =
            diagnostic.help("a pipe continues with a layer or function, as in `|> Dense(10)`");
    }
    Some(diagnostic)
}

/// Two values with nothing between them.
fn side_by_side(f: &Failure<'_>) -> Option<Diagnostic> {
    if f.at == 0 || !(f.expects_operator() || f.expects(Rule::comma)) {
        return None;
    }
    let found = f.found();
    let starts_value = matches!(
        f.kind(f.at),
        Some(Kind::Number | Kind::Word | Kind::String { .. })
    ) || matches!(found, "(" | "[");
    if !starts_value || keywords::RESERVED[..5].contains(&found) {
        return None;
    }
    let (before, here) = (f.span(f.at - 1), f.span(f.at));
    if DECLARATIONS.contains(&found) && matches!(f.place, Place::Head(_)) {
        return Some(
            Diagnostic::error(Code::E0002, "a declaration must start on a new line")
                .label(here, "this is on the same line as another declaration"),
        );
    }
    let in_list = f
        .open_bracket()
        .is_some_and(|b| matches!(f.word(b), "(" | "["))
        || (f.open_bracket().is_some() && !f.expects(Rule::assign) && f.expects(Rule::comma));
    if in_list
        || (f.expects(Rule::comma)
            && matches!(
                f.place,
                Place::Body {
                    keyword: "train",
                    ..
                }
            ))
    {
        return Some(
            Diagnostic::error(Code::E0024, "a comma is missing")
                .label(before.after(), "between this")
                .label(here, "and this")
                .help("put a `,` between them")
                .fix(before.after(), ","),
        );
    }
    let diagnostic = Diagnostic::error(
        Code::E0024,
        format!("{} follows a value without an operator", f.described()),
    )
    .label(here, "expected an operator or the end of the line")
    .label(before, "after this");
    let call = f.kind(f.at - 1) == Some(Kind::Word) && f.at == 1;
    Some(if f.expects(Rule::kw_do) {
        diagnostic
            .help("a rule is `when CONDITION do ACTION`")
            .fix(before.after(), " do")
    } else if call {
        let name = f.previous();
        diagnostic.help(format!(
            "to call `{name}`, write `{name}({found})`; settings such as `epochs 5` belong in a train block"
        ))
    } else {
        diagnostic.help("a statement ends with its line; separate two on the same line by `;`")
    })
}
