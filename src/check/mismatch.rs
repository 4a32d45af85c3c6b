//! What to say when a tensor does not fit a parameter, with the repair where it can be named.

use crate::diag::Diagnostic;
use crate::span::Span;
use crate::syntax::ast::{DefKind, Param};

use super::signature::Mismatch;
use super::value::{DefRef, Meaning, Tensor};

/// The report, without places; `None` if it has been made already.
pub fn describe(
    m: &Mismatch,
    p: &Param,
    pattern: &str,
    t: &Tensor,
    r: &DefRef,
) -> Option<Diagnostic> {
    let what = &r.def.name.text;
    let takes = format!("`{what}` takes {pattern} for `{}`", p.name.text);
    Some(match m {
        Mismatch::Reported => return None,
        Mismatch::Rank { expected } => {
            let d = Diagnostic::error(
                "E0201",
                format!("`{what}` takes {expected}, but `{}` is {t}", p.name.text),
            )
            .note(takes);
            match (expected.matches(',').count() + 1).checked_sub(t.ty.rank()) {
                Some(1) => d.help(
                    "an axis is missing: `expand(x, axis)` adds one, or `Reshape` names them all",
                ),
                _ if t.ty.rank() > 2 && r.def.kind == DefKind::Layer => {
                    d.help("put `Flatten` before it to make one axis of many")
                }
                _ => d,
            }
        }
        Mismatch::Size {
            name,
            expected,
            found,
        } => {
            let d = Diagnostic::error(
                "E0202",
                format!(
                    "`{what}` needs {name} = {expected} here, but `{}` has {found}",
                    p.name.text
                ),
            );
            let d = d.note(takes);
            match r.def.kind {
                DefKind::Loss | DefKind::Metric => {
                    d.help(format!("the output and the target must agree: {expected} against {found}; change the units of the last layer or the target"))
                }
                _ => d,
            }
        }
        Mismatch::Meaning { expected } => meaning(expected, p, t, r).note(takes),
    })
}

/// The guilty argument's place.
pub fn place(d: Diagnostic, span: Span, t: &Tensor) -> Diagnostic {
    d.label(span, format!("this is {t}"))
}

fn meaning(expected: &str, p: &Param, t: &Tensor, r: &DefRef) -> Diagnostic {
    let what = &r.def.name.text;
    match (expected, &t.meaning) {
        ("real", Meaning::Token(_)) => {
            Diagnostic::error("E0302", format!("`{what}` takes quantities, and token ids are names of words"))
                .help("give each id a vector: put an `Embedding` before it")
        }
        ("real", Meaning::Class(_)) => {
            Diagnostic::error("E0302", format!("`{what}` takes quantities, and class indices are names"))
                .help("`one_hot(..)` makes a vector of them")
        }
        ("prob", Meaning::Class(n)) if n.as_const() != Some(2) || &*p.name.text == "y" => {
            let sparse = if what.starts_with("sparse_") || what.starts_with("binary") { String::new() } else { format!("`sparse_{what}`, or ") };
            Diagnostic::error("E0304", format!("`{what}` compares with one-hot targets, and this is a class index"))
                .help(format!("write {sparse}make the target `one_hot(..)`"))
        }
        ("prob", _) if r.def.kind == DefKind::Loss || r.def.kind == DefKind::Metric => {
            let (one, many) = ("`sigmoid`", "`softmax`");
            Diagnostic::error("E0303", format!("`{what}` compares probabilities, but `{}` is {t}", p.name.text)).help(format!(
                "end the model with an activation: {many} for one of several classes, {one} for yes or no"
            ))
        }
        ("class", _) => Diagnostic::error("E0305", format!("`{what}` takes class indices for `{}`, but this is {t}", p.name.text))
            .help("declare the column as `class[n]`, or use the loss without `sparse_` for one-hot targets"),
        ("token", _) => Diagnostic::error("E0307", format!("`{what}` looks ids up in a table, but `{}` is {t}", p.name.text))
            .help("declare the input as `token[vocabulary][length]`"),
        _ => Diagnostic::error("E0309", format!("`{what}` takes {expected} for `{}`, but this is {t}", p.name.text)),
    }
}
