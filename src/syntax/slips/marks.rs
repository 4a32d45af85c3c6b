//! Colons, equals signs and types that are missing or too many.

use crate::diag::{Code, Diagnostic};
use crate::syntax::explain::{Failure, Place, no_body};
use crate::syntax::grammar::Rule;
use crate::syntax::keywords::{self};
use crate::syntax::lexer::Kind;

pub(super) fn colon(f: &Failure<'_>) -> Option<Diagnostic> {
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

pub(super) fn missing_type(f: &Failure<'_>) -> Option<Diagnostic> {
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

pub(super) fn equals(f: &Failure<'_>) -> Option<Diagnostic> {
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
