//! `search random(trials = 20)`: which searches there are, and their options.

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::plural;
use crate::span::Span;
use crate::spec::call::Signature;
use crate::spec::sweep::{Method, Search, Tpe};
use crate::syntax::ast::{Arg, Expr, ExprKind, Ident, Setting};

use crate::check::elab::Elab;
use crate::check::elab::value::{Val, float};

/// Every search with its options, in order.
const KNOWN: [(&str, &[&str]); 6] = [
    ("grid", &["points"]),
    ("halving", &["trials", "factor", "least", "seed"]),
    ("hyperband", &["factor", "least", "seed"]),
    ("latin", &["trials", "seed"]),
    ("random", &["trials", "seed"]),
    (
        "tpe",
        &[
            "trials",
            "startup",
            "generation",
            "candidates",
            "gamma",
            "seed",
        ],
    ),
];

/// More trials than this are a mistake.
const MOST: i64 = 100_000;

/// The options of one search.
struct Given<'a> {
    search: &'static str,
    span: Span,
    options: Vec<(&'static str, &'a Expr)>,
}

impl<'a> Given<'a> {
    fn get(&self, name: &str) -> Option<&'a Expr> {
        let mut options = self.options.iter();
        options.find(|(n, _)| *n == name).map(|(_, e)| *e)
    }
}

impl Elab<'_> {
    /// Without the setting a grid. `epochs`: those of the train block.
    pub(super) fn search(
        &mut self,
        setting: Option<&Setting>,
        epochs: Option<usize>,
        at: Span,
    ) -> Option<Search> {
        let given = match setting {
            None => Given {
                search: "grid",
                span: at,
                options: Vec::new(),
            },
            Some(setting) => self.given_search(setting)?,
        };
        let seed = match given.get("seed") {
            None => None,
            Some(_) => Some(self.option(&given, "seed", None, 0..=i64::from(u32::MAX))? as u64),
        };
        let trials = |el: &mut Self| el.option(&given, "trials", None, 1..=MOST);
        let method = match given.search {
            "grid" => Method::Grid {
                points: match given.get("points") {
                    None => None,
                    Some(_) => Some(self.option(&given, "points", None, 2..=MOST)?),
                },
            },
            "random" => Method::Random {
                trials: trials(self)?,
            },
            "latin" => Method::Latin {
                trials: trials(self)?,
            },
            "tpe" => Method::Tpe(Tpe {
                trials: trials(self)?,
                startup: self.option(&given, "startup", Some(10), 1..=MOST)?,
                generation: self.option(&given, "generation", Some(4), 1..=MOST)?,
                candidates: self.option(&given, "candidates", Some(24), 1..=MOST)?,
                gamma: self.share(&given, "gamma", 0.1)?,
            }),
            "halving" => {
                let (factor, least) = self.rungs(&given, epochs)?;
                let trials = trials(self)?;
                if trials < factor {
                    let at = given.get("trials").map_or(given.span, |e| e.span);
                    let what =
                        format!("with fewer than `factor` trials ({factor}), none continues");
                    return self.bad_option(&what, at, &plural::count(trials, "trial"));
                }
                Method::Halving {
                    trials,
                    factor,
                    least,
                }
            }
            _ => {
                let (factor, least) = self.rungs(&given, epochs)?;
                Method::Hyperband { factor, least }
            }
        };
        Some(Search { method, seed })
    }

    /// What decides when trials are stopped: the factor, and the fewest epochs.
    fn rungs(&mut self, given: &Given, epochs: Option<usize>) -> Option<(usize, usize)> {
        let factor = self.option(given, "factor", Some(3), 2..=1000)?;
        let least = self.option(given, "least", Some(1), 1..=MOST)?;
        let fits = |epochs: usize| least.saturating_mul(factor) <= epochs;
        if let Some(epochs) = epochs.filter(|n| !fits(*n)) {
            let what = format!(
                "`{}` stops trials between epochs, so at least {} epochs are needed",
                given.search,
                least.saturating_mul(factor)
            );
            return self.bad_option(&what, given.span, &format!("the train block has {epochs}"));
        }
        Some((factor, least))
    }

    /// The name and the options of `name(...)`, or of `name` alone.
    fn given_search<'a>(&mut self, setting: &'a Setting) -> Option<Given<'a>> {
        let one = match setting.values.as_slice() {
            [one] if one.name.is_none() => one,
            _ => return self.no_search(setting.span),
        };
        let (name, args): (&Ident, &[Arg]) = match &one.value.kind {
            ExprKind::Name(name) => (name, &[]),
            ExprKind::Call { callee, args, .. } => match &callee.kind {
                ExprKind::Name(name) => (name, args),
                _ => return self.no_search(one.span),
            },
            _ => return self.no_search(one.span),
        };
        let Some((search, known)) = KNOWN.iter().find(|(n, _)| *n == &*name.text) else {
            let names = KNOWN.iter().map(|(n, _)| *n);
            let message = format!("there is no search `{}`", name.text);
            let d = Diagnostic::error(Code::E0704, message).label(name.span, "unknown search");
            let d = match did_you_mean(&name.text, names.clone()) {
                Some(near) => d
                    .help(format!("did you mean `{near}`?"))
                    .fix(name.span, near),
                None => d.note(format!(
                    "searches: {}",
                    names.collect::<Vec<_>>().join(", ")
                )),
            };
            self.diagnose(d);
            return None;
        };
        let mut options: Vec<(&'static str, &Expr)> = Vec::new();
        for (i, a) in args.iter().enumerate() {
            let place = match &a.name {
                Some(n) => known.iter().find(|k| **k == &*n.text),
                None => known.get(i),
            };
            let Some(place) = place else {
                self.stray_argument(&Signature::new(search, known), a);
                return None;
            };
            if options.iter().any(|(n, _)| n == place) {
                let message = format!("`{place}` is given twice");
                self.error(Code::E0105, a.span, message, "given again here");
                return None;
            }
            options.push((place, &a.value));
        }
        Some(Given {
            search,
            span: one.span,
            options,
        })
    }

    fn no_search<T>(&mut self, at: Span) -> Option<T> {
        let d = Diagnostic::error(Code::E0704, "invalid search")
            .label(at, "expected a name with its options")
            .help("for example, `search random(trials = 20)`");
        self.diagnose(d);
        None
    }

    /// A whole number; without a default it must be given.
    fn option(
        &mut self,
        given: &Given,
        name: &str,
        default: Option<usize>,
        range: std::ops::RangeInclusive<i64>,
    ) -> Option<usize> {
        let Some(e) = given.get(name) else {
            if default.is_none() {
                let message = format!("`{}` needs `{name}`", given.search);
                let d = Diagnostic::error(Code::E0106, message)
                    .label(given.span, "missing argument")
                    .help(format!("write `{}({name} = 20)`", given.search));
                self.diagnose(d);
            }
            return default;
        };
        match self.eval(e) {
            Val::Int(d) if d.as_const().is_some_and(|n| range.contains(&n)) => {
                d.as_const().map(|n| n as usize)
            }
            Val::Error => None,
            v => {
                let (least, most) = (range.start(), range.end());
                let what = format!("`{name}` must be an integer from {least} to {most}");
                self.bad_option(&what, e.span, &v.describe())
            }
        }
    }

    /// Above 0 and below 1.
    fn share(&mut self, given: &Given, name: &str, default: f64) -> Option<f64> {
        let Some(e) = given.get(name) else {
            return Some(default);
        };
        match self.eval(e) {
            Val::Error => None,
            v => match float(&v) {
                Some(x) if x > 0.0 && x < 1.0 => Some(x),
                _ => {
                    let what = format!("`{name}` must be between 0 and 1");
                    self.bad_option(&what, e.span, &v.describe())
                }
            },
        }
    }

    fn bad_option<T>(&mut self, what: &str, at: Span, found: &str) -> Option<T> {
        self.error(Code::E0705, at, what.to_owned(), format!("this is {found}"));
        None
    }
}
