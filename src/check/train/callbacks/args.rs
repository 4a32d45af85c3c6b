//! `Name(argument = value)` found in a table of names, its arguments matched with the
//! parameters there.

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::span::Span;
use crate::spec::call::Signature;
use crate::syntax::ast::{Arg, Expr, ExprKind, Ident};

use crate::check::elab::Elab;

/// What may be written `Name(...)` in some place, and how it is spoken of. A row holds what
/// makes the thing of that name.
pub struct CallTable<R: 'static> {
    /// Code of the error for an unknown name.
    pub unknown: Code,
    /// Code of the error for a value that an argument does not take.
    pub bad_value: Code,
    pub what: &'static str,
    pub rows: &'static [R],
    pub signature: fn(&R) -> &Signature,
    pub example: &'static str,
}

/// A call, and the arguments that it gives.
pub struct CallArguments<'a> {
    pub name: &'static str,
    pub span: Span,
    /// Code of the error for a value that an argument does not take.
    pub bad_value: Code,
    args: Vec<(&'static str, &'a Expr)>,
}

impl<'a> CallArguments<'a> {
    pub fn get(&self, name: &str) -> Option<&'a Expr> {
        let mut args = self.args.iter();
        args.find(|(n, _)| *n == name).map(|(_, e)| *e)
    }
}

/// `a callback`, `an action`
fn article(what: &str) -> String {
    match what.starts_with(['a', 'e', 'i', 'o', 'u']) {
        true => format!("an {what}"),
        false => format!("a {what}"),
    }
}

impl Elab<'_> {
    /// The row and the arguments of `Name(...)`, or of `Name` alone; `named`: it has a name itself.
    pub fn call_of<'a, R>(
        &mut self,
        e: &'a Expr,
        named: bool,
        table: &CallTable<R>,
    ) -> Option<(&'static R, CallArguments<'a>)> {
        let (name, args): (&Ident, &[Arg]) = match &e.kind {
            ExprKind::Name(name) if !named => (name, &[]),
            ExprKind::Call { callee, args, .. } if !named => match &callee.kind {
                ExprKind::Name(name) => (name, args),
                _ => return self.expected_call(e.span, table),
            },
            _ => return self.expected_call(e.span, table),
        };
        let signature = table.signature;
        let row = (table.rows.iter()).find(|row| signature(row).name == &*name.text);
        let Some(row) = row else {
            let names = table.rows.iter().map(|row| signature(row).name);
            let message = format!("there is no {} `{}`", table.what, name.text);
            let mut d = Diagnostic::error(table.unknown, message)
                .label(name.span, format!("unknown {}", table.what));
            d = match did_you_mean(&name.text, names.clone()) {
                Some(near) => d
                    .help(format!("did you mean `{near}`?"))
                    .fix(name.span, near),
                None => d.note(format!(
                    "{}s: {}",
                    table.what,
                    names.collect::<Vec<_>>().join(", ")
                )),
            };
            self.diagnose(d);
            return None;
        };
        let signature = signature(row);
        let mut found: Vec<(&'static str, &Expr)> = Vec::new();
        for (i, a) in args.iter().enumerate() {
            let place = match &a.name {
                Some(n) => signature.parameters.iter().find(|p| **p == &*n.text),
                None => signature.parameters.get(i),
            };
            let Some(place) = place else {
                self.stray_argument(signature, a);
                return None;
            };
            if found.iter().any(|(n, _)| n == place) {
                self.error(
                    Code::E0105,
                    a.span,
                    format!("`{place}` is given twice"),
                    "given again here",
                );
                return None;
            }
            found.push((place, &a.value));
        }
        let call = CallArguments {
            name: signature.name,
            span: e.span,
            bad_value: table.bad_value,
            args: found,
        };
        Some((row, call))
    }

    fn expected_call<T, R>(&mut self, span: Span, table: &CallTable<R>) -> Option<T> {
        let message = format!("this is not {}", article(table.what));
        let d = Diagnostic::error(table.unknown, message)
            .label(span, "expected a name with its arguments")
            .help(format!("for example, `{}`", table.example));
        self.diagnose(d);
        None
    }

    pub fn stray_argument(&mut self, signature: &Signature, a: &Arg) {
        let Signature {
            name: callee,
            parameters,
            absent,
        } = signature;
        let Some(n) = &a.name else {
            self.error(
                Code::E0107,
                a.span,
                match parameters.len() {
                    1 => format!("`{callee}` takes one argument"),
                    n => format!("`{callee}` takes {n} arguments"),
                },
                "unexpected argument",
            );
            return;
        };
        let absent = absent.iter().find(|(name, _)| *name == &*n.text);
        if let Some((name, why)) = absent {
            let d = Diagnostic::error(
                Code::E0104,
                format!("nnc does not support `{name}` of `{callee}`"),
            )
            .label(n.span, "an argument of Keras that nnc does not support")
            .note(*why);
            self.diagnose(d);
            return;
        }
        let message = format!("`{callee}` has no argument `{}`", n.text);
        let mut d = Diagnostic::error(Code::E0104, message).label(n.span, "unknown argument");
        d = match did_you_mean(&n.text, parameters.iter().copied()) {
            Some(near) => d.help(format!("did you mean `{near}`?")).fix(n.span, near),
            None if parameters.is_empty() => d.note("it takes no arguments"),
            None => d.note(format!("arguments: {}", parameters.join(", "))),
        };
        self.diagnose(d);
    }
}
