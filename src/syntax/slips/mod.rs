//! The mistakes that have a name: another language's spelling, a forgotten
//! comma, a type or body left out. Each has its own code and, where the edit
//! is certain, the fix.

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::span::Span;
use crate::syntax::explain::{Failure, Place, describe, list_words, no_body};
use crate::syntax::grammar::Rule;
use crate::syntax::keywords::{self, DATA_ITEMS, DECLARATIONS};
use crate::syntax::lexer::Kind;

mod foreign;
mod marks;

pub(super) use foreign::foreign_declaration;
use foreign::{foreign_operator, foreign_statement};
use marks::{colon, equals, missing_type};

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
