//! The arguments of callbacks and of a rule's action: matched with what is known, and read.

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::span::Span;
use crate::spec::callbacks::Frequency;
use crate::syntax::ast::{Arg, Expr, ExprKind, Ident};

use crate::check::elab::Elab;
use crate::check::elab::value::{Val, float};

/// Names with their arguments, in Keras' order.
pub type Known = &'static [(&'static str, &'static [&'static str])];

/// What is written `Name(...)`, and how it is spoken of.
pub struct Kin {
    /// Of the error where there is no such name.
    pub code: Code,
    pub what: &'static str,
    pub known: Known,
    pub example: &'static str,
}

/// Arguments of Keras that do not exist here: of what, the name, why.
const ABSENT: [(&str, &str, &str); 3] = [
    (
        "TensorBoard",
        "profile_batch",
        "use `nnc bench` or `perf` to profile a run",
    ),
    (
        "TensorBoard",
        "embeddings_freq",
        "the weights of an embedding are in `weights.safetensors`, under its name",
    ),
    (
        "TensorBoard",
        "embeddings_metadata",
        "the weights of an embedding are in `weights.safetensors`, under its name",
    ),
];

/// The arguments of one callback.
pub struct Given<'a> {
    pub callback: &'static str,
    pub span: Span,
    args: Vec<(&'static str, &'a Expr)>,
}

impl<'a> Given<'a> {
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
    /// The name and the arguments of `Name(...)`, or of `Name` alone; `named`: it has a name itself.
    pub(in crate::check::train) fn given<'a>(
        &mut self,
        e: &'a Expr,
        named: bool,
        kin: &Kin,
    ) -> Option<Given<'a>> {
        let (name, args): (&Ident, &[Arg]) = match &e.kind {
            ExprKind::Name(name) if !named => (name, &[]),
            ExprKind::Call { callee, args, .. } if !named => match &callee.kind {
                ExprKind::Name(name) => (name, args),
                _ => return self.not_of_the_kin(e.span, kin),
            },
            _ => return self.not_of_the_kin(e.span, kin),
        };
        let known = kin.known.iter().find(|(n, _)| *n == &*name.text);
        let Some((callback, parameters)) = known else {
            let names = kin.known.iter().map(|(n, _)| *n);
            let message = format!("there is no {} `{}`", kin.what, name.text);
            let mut d = Diagnostic::error(kin.code, message)
                .label(name.span, format!("unknown {}", kin.what));
            d = match did_you_mean(&name.text, names.clone()) {
                Some(near) => d
                    .help(format!("did you mean `{near}`?"))
                    .fix(name.span, near),
                None => d.note(format!(
                    "{}s: {}",
                    kin.what,
                    names.collect::<Vec<_>>().join(", ")
                )),
            };
            self.report(d);
            return None;
        };
        let mut found: Vec<(&'static str, &Expr)> = Vec::new();
        for (i, a) in args.iter().enumerate() {
            let place = match &a.name {
                Some(n) => parameters.iter().find(|p| **p == &*n.text),
                None => parameters.get(i),
            };
            let Some(place) = place else {
                self.stray_argument(callback, parameters, a);
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
        Some(Given {
            callback,
            span: e.span,
            args: found,
        })
    }

    fn not_of_the_kin<T>(&mut self, span: Span, kin: &Kin) -> Option<T> {
        let d = Diagnostic::error(kin.code, format!("this is not {}", article(kin.what)))
            .label(span, "expected a name with its arguments")
            .help(format!("for example, `{}`", kin.example));
        self.report(d);
        None
    }

    pub fn stray_argument(&mut self, callback: &str, parameters: &[&str], a: &Arg) {
        let Some(n) = &a.name else {
            self.error(
                Code::E0107,
                a.span,
                match parameters.len() {
                    1 => format!("`{callback}` takes one argument"),
                    n => format!("`{callback}` takes {n} arguments"),
                },
                "unexpected argument",
            );
            return;
        };
        let absent = ABSENT
            .iter()
            .find(|(of, name, _)| *of == callback && *name == &*n.text);
        if let Some((_, name, why)) = absent {
            let d = Diagnostic::error(
                Code::E0104,
                format!("nnc does not support `{name}` of `{callback}`"),
            )
            .label(n.span, "an argument of Keras that nnc does not support")
            .note(*why);
            self.report(d);
            return;
        }
        let message = format!("`{callback}` has no argument `{}`", n.text);
        let mut d = Diagnostic::error(Code::E0104, message).label(n.span, "unknown argument");
        d = match did_you_mean(&n.text, parameters.iter().copied()) {
            Some(near) => d.help(format!("did you mean `{near}`?")).fix(n.span, near),
            None if parameters.is_empty() => d.note("it takes no arguments"),
            None => d.note(format!("arguments: {}", parameters.join(", "))),
        };
        self.report(d);
    }

    pub(super) fn frequency(&mut self, given: &Given, name: &str) -> Option<Frequency> {
        let Some(e) = given.get(name) else {
            return Some(Frequency::Epoch);
        };
        match &e.kind {
            ExprKind::Name(n) if &*n.text == "epoch" => return Some(Frequency::Epoch),
            ExprKind::Name(n) if &*n.text == "batch" && name == "update_freq" => {
                return Some(Frequency::Steps(1));
            }
            _ => {}
        }
        match self.eval(e) {
            Val::Int(d) if d.as_const().is_some_and(|n| (1..=1 << 31).contains(&n)) => {
                Some(Frequency::Steps(d.as_const()? as u32))
            }
            Val::Error => None,
            v => {
                let what = format!("`{name}` must be `epoch` or a number of steps");
                self.bad_value(&what, e.span, &v.describe())
            }
        }
    }

    /// A path below the folder of the run.
    pub(super) fn path(
        &mut self,
        given: &Given,
        name: &str,
        default: Option<&str>,
    ) -> Option<String> {
        let Some(e) = given.get(name) else {
            if let Some(default) = default {
                return Some(default.into());
            }
            let example = format!("{}(\"name\")", given.callback);
            return self.missing(given, name, &example);
        };
        let path = match self.eval(e) {
            Val::Str(s) => s,
            Val::Error => return None,
            v => return self.bad_value("a path must be a string in quotes", e.span, &v.describe()),
        };
        self.below_the_run(&path, e.span)
    }

    pub(super) fn text_of(&mut self, given: &Given, name: &str, default: &str) -> Option<String> {
        let Some(e) = given.get(name) else {
            return Some(default.into());
        };
        match self.eval(e) {
            Val::Str(s) => Some(s.to_string()),
            Val::Error => None,
            v => {
                let what = format!("`{name}` must be a string in quotes");
                self.bad_value(&what, e.span, &v.describe())
            }
        }
    }

    /// `http://..` or `https://..`
    pub(super) fn address(&mut self, given: &Given, name: &str) -> Option<String> {
        let Some(e) = given.get(name) else {
            let example = format!("{}(\"http://localhost:9000\", ..)", given.callback);
            return self.missing(given, name, &example);
        };
        let text = self.text_of(given, name, "")?;
        let rest = (text.strip_prefix("http://")).or_else(|| text.strip_prefix("https://"));
        let plain = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_graphic());
        if rest.is_some_and(plain) {
            return Some(text);
        }
        let what = format!("`{name}` must be a URL that starts with `http://` or `https://`");
        self.bad_value(&what, e.span, &format!("\"{text}\""))
    }

    pub(super) fn separator(&mut self, given: &Given) -> Option<u8> {
        let Some(e) = given.get("separator") else {
            return Some(b',');
        };
        match self.eval(e) {
            Val::Str(s) if s.len() == 1 && !s.contains(['"', '\n', '\r']) => Some(s.as_bytes()[0]),
            Val::Error => None,
            v => self.bad_value("`separator` must be one character", e.span, &v.describe()),
        }
    }

    pub(super) fn verbose(&mut self, given: &Given) -> Option<bool> {
        let Some(e) = given.get("verbose") else {
            return Some(false);
        };
        match self.eval(e) {
            Val::Bool(b) => Some(b),
            Val::Int(d) if matches!(d.as_const(), Some(0 | 1)) => Some(d.as_const() == Some(1)),
            Val::Error => None,
            v => self.bad_value("`verbose` must be 0 or 1", e.span, &v.describe()),
        }
    }

    pub fn flag(&mut self, given: &Given, name: &str, default: bool) -> Option<bool> {
        let Some(e) = given.get(name) else {
            return Some(default);
        };
        match self.eval(e) {
            Val::Bool(b) => Some(b),
            Val::Error => None,
            v => {
                let what = format!("`{name}` must be true or false");
                self.bad_value(&what, e.span, &v.describe())
            }
        }
    }

    pub fn count(&mut self, given: &Given, name: &str, default: u32) -> Option<u32> {
        let Some(e) = given.get(name) else {
            return Some(default);
        };
        match self.eval(e) {
            Val::Int(d) if d.as_const().is_some_and(|n| (0..=1 << 31).contains(&n)) => {
                d.as_const().map(|n| n as u32)
            }
            Val::Error => None,
            v => {
                let what = format!("`{name}` must be an integer from 0");
                self.bad_value(&what, e.span, &v.describe())
            }
        }
    }

    pub(super) fn number(&mut self, given: &Given, name: &str, default: f64) -> Option<f64> {
        let Some(e) = given.get(name) else {
            return Some(default);
        };
        match self.eval(e) {
            Val::Error => None,
            v => match float(&v) {
                Some(x) => Some(x),
                None => {
                    self.bad_value(&format!("`{name}` must be a number"), e.span, &v.describe())
                }
            },
        }
    }

    /// `Some(None)` where there is none.
    pub(super) fn number_or_none(&mut self, given: &Given, name: &str) -> Option<Option<f64>> {
        match given.get(name).map(|e| &e.kind) {
            None | Some(ExprKind::None) => Some(None),
            Some(_) => self.number(given, name, 0.0).map(Some),
        }
    }

    pub(super) fn missing<T>(&mut self, given: &Given, name: &str, example: &str) -> Option<T> {
        let message = format!("`{}` needs `{name}`", given.callback);
        let d = Diagnostic::error(Code::E0106, message)
            .label(given.span, "missing argument")
            .help(format!("write `{example}`"));
        self.report(d);
        None
    }

    pub(super) fn bad_value<T>(&mut self, what: &str, at: Span, found: &str) -> Option<T> {
        self.error(Code::E0615, at, what.to_owned(), format!("this is {found}"));
        None
    }
}
