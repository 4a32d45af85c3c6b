//! `split`: which rows are for what.
//!
//! ```text
//! split { train 80%, test 20% }                       at random
//! split stratify(label) { train 80%, test 20% }       in the proportions of a class
//! split hash(user) { train 80%, test 20% }            all rows of a key together
//! split time(day) { train 80%, test 20% }             the earliest rows train
//! split given(part) { train "train", test "test" }    as a column says
//! split kfold(5, stratify = label) { test 20% }       each fifth held out in turn
//! ```

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::ir::{Dim, Elem};
use crate::span::Span;
use crate::spec::*;
use crate::syntax::ast::{Arg, Expr, ExprKind, Ident};

use crate::check::elab::Elab;
use crate::check::elab::value::{Meaning, Val};

use super::env::{Column, DataEnv};
use super::rows::stage_call;

const METHODS: [&str; 6] = ["random", "stratify", "hash", "time", "given", "kfold"];

/// Those whose parts have shares.
const PARTED: [&str; 4] = ["random", "stratify", "hash", "time"];

/// How each is written.
const FORMS: &str =
    "`random`, `stratify(label)`, `hash(key)`, `time(date)`, `given(part)` or `kfold(5)`";

impl Elab<'_> {
    pub(super) fn split_item(
        &mut self,
        method: Option<&Expr>,
        parts: &[(Ident, Expr)],
        span: Span,
        env: &mut DataEnv,
    ) {
        if env.spec.split.is_some() {
            self.error(
                Code::E0109,
                span,
                "the data are split twice",
                "a second split",
            );
            return;
        }
        if let Some(f) = env.spec.fits.first() {
            let d = Diagnostic::error(
                Code::E0506,
                "the data must be split before anything is fitted",
            )
            .label(span, "split here")
            .label(f.span, "fitted before it")
            .help("move `split` above `fit`: a fit uses only the training rows");
            self.diagnose(d);
        }
        let before = self.diags.len();
        let mut spec = SplitSpec {
            method: Method::Random,
            parts: Vec::new(),
            seed: None,
            span,
        };
        if let Some(m) = method {
            self.split_method(m, env, &mut spec);
        }
        let listed =
            |m: &Expr| stage_call(m).is_some_and(|(name, _)| PARTED.contains(&&*name.text));
        let known = method.is_none_or(listed);
        if self.diags.len() > before && !known {
            // which parts it should make is not known
            spec.parts = Part::ALL.map(|p| (p, Amount::Rows(1))).to_vec();
            env.spec.split = Some(spec);
            return;
        }
        let before = self.diags.len();
        self.split_parts(parts, &mut spec);
        if self.diags.len() == before {
            self.parts_fit(parts, &spec);
        }
        env.spec.split = Some(spec);
    }

    /// Each part with its share, or with its name in the column that gives it.
    fn split_parts(&mut self, parts: &[(Ident, Expr)], spec: &mut SplitSpec) {
        let mut seen: Vec<Part> = Vec::new();
        for (p, amount) in parts {
            let Some(part) = self.part(p) else { continue };
            if seen.contains(&part) {
                self.error(
                    Code::E0109,
                    p.span,
                    format!("the set `{}` is given twice", p.text),
                    "given again here",
                );
                continue;
            }
            seen.push(part);
            let value = self.eval(amount);
            let refused = match (&mut spec.method, value) {
                (_, Val::Error) => continue,
                (Method::Given { names, .. }, Val::Str(text)) => {
                    if let Some((other, _)) = names.iter().find(|(_, n)| **n == *text) {
                        let label = format!("`{}` already has this name", other.name());
                        self.error(Code::E0503, amount.span, "two sets of the same name", label);
                        continue;
                    }
                    names.push((part, text.to_string()));
                    continue;
                }
                (Method::Given { .. }, _) => {
                    "in a split by a column, each set needs its name in the column, such as `train \"train\"`"
                }
                (Method::Folds(_), _) if part != Part::Test => {
                    "each fold is `train` and `val` in turn; only a `test` set can be held out"
                }
                (Method::Hash(_), Val::Int(_)) => {
                    "a split by hash needs fractions such as 80%, not numbers of rows"
                }
                (_, Val::Int(Dim::Const(n))) if n > 0 => {
                    spec.parts.push((part, Amount::Rows(n as usize)));
                    continue;
                }
                (_, Val::Float(x)) if x > 0.0 && x <= 1.0 => {
                    spec.parts.push((part, Amount::Fraction(x)));
                    continue;
                }
                _ => "the size of a set must be a fraction such as 80%, or a number of rows",
            };
            let label = match spec.method {
                Method::Folds(_) => "not this set",
                _ => "invalid size",
            };
            self.error(Code::E0503, amount.span, refused, label);
        }
        if let Method::Given { names, .. } = &mut spec.method
            && parts.is_empty()
        {
            *names = Part::ALL.map(|p| (p, p.name().to_owned())).to_vec();
        }
    }

    /// There is something to train on, and shares come to all.
    fn parts_fit(&mut self, parts: &[(Ident, Expr)], spec: &SplitSpec) {
        let folds = matches!(spec.method, Method::Folds(_));
        let total: Option<f64> = (spec.parts.iter())
            .map(|(_, amount)| match amount {
                Amount::Fraction(x) => Some(*x),
                Amount::Rows(_) => None,
            })
            .sum();
        if let Some(total) = total
            && !spec.parts.is_empty()
            && (total - 1.0).abs() > 1e-9
            && !folds
        {
            let d = Diagnostic::error(
                Code::E0503,
                format!(
                    "the fractions add up to {}%, not 100%",
                    (total * 1e6).round() / 1e4
                ),
            )
            .label(spec.span, "these sets");
            self.diagnose(d);
        }
        let everything = folds && total.is_some_and(|t| t >= 1.0);
        if !spec.made().contains(&Part::Train) || everything {
            let what = "a split needs a `train` set";
            let mut d = Diagnostic::error(Code::E0503, what)
                .label(spec.span, "there are no rows to train on");
            if parts.is_empty() {
                d = d.help("for example, `split { train 80%, test 20% }`");
            }
            self.diagnose(d);
        }
    }

    /// A part comes from a source or from the split.
    pub(super) fn parts_given_twice(&mut self, env: &DataEnv) {
        let Some(split) = &env.spec.split else { return };
        let pool = env.spec.sources.iter().any(|s| s.part.is_none());
        let made = split.made();
        let twice = env.spec.sources.iter().find(|s| {
            s.part
                .is_some_and(|p| made.contains(&p) && (pool || p != Part::Train))
        });
        if let Some(source) = twice {
            let name = source.part.map_or("", Part::name);
            let d = Diagnostic::error(Code::E0503, format!("the set `{name}` is given twice"))
                .label(split.span, format!("the split creates a `{name}` set"))
                .label(source.span, format!("this source is the `{name}` set"))
                .help("remove one of them");
            self.diagnose(d);
        }
    }

    fn split_method(&mut self, m: &Expr, env: &DataEnv, spec: &mut SplitSpec) {
        let Some((name, args)) = stage_call(m) else {
            let d = Diagnostic::error(Code::E0510, "invalid split method")
                .label(m.span, "expected a method")
                .help(format!("use {FORMS}"));
            self.diagnose(d);
            return;
        };
        let method = &*name.text;
        if !METHODS.contains(&method) {
            let mut d = Diagnostic::error(Code::E0510, format!("unknown split method `{method}`"))
                .label(name.span, "unknown")
                .note(format!("the methods are {FORMS}"));
            if let Some(near) = did_you_mean(method, METHODS) {
                d = d
                    .help(format!("did you mean `{near}`?"))
                    .fix(name.span, near);
            }
            self.diagnose(d);
            return;
        }
        let seeded = !matches!(method, "time" | "given");
        let (mut column, mut count) = (None, None);
        for a in args {
            match a.name.as_ref().map(|n| &*n.text) {
                Some("seed") if seeded => match self.eval(&a.value) {
                    Val::Int(Dim::Const(s)) if s >= 0 => spec.seed = Some(s as u64),
                    Val::Error => {}
                    _ => {
                        self.error(
                            Code::E0301,
                            a.span,
                            "a seed must be an integer from 0",
                            "invalid seed",
                        );
                    }
                },
                Some("stratify") if method == "kfold" => {
                    column = self.split_column("stratify", a, env);
                }
                Some(other) => {
                    let known: &[&str] = match method {
                        "kfold" => &["stratify", "seed"],
                        _ if seeded => &["seed"],
                        _ => &[],
                    };
                    let what = format!("`{method}` has no argument `{other}`");
                    let at = a.name.as_ref().map_or(a.span, |n| n.span);
                    let mut d = Diagnostic::error(Code::E0104, what).label(at, "unknown argument");
                    if let Some(near) = did_you_mean(other, known.iter().copied()) {
                        d = d.help(format!("did you mean `{near}`?")).fix(at, near);
                    } else if other == "seed" {
                        d = d.note("this method is not random");
                    }
                    self.diagnose(d);
                }
                None if method == "kfold" && count.is_none() => count = self.folds(a),
                None if method != "random" && method != "kfold" && column.is_none() => {
                    column = self.split_column(method, a, env);
                }
                None => {
                    let what = format!("too many arguments for `{method}`");
                    self.error(Code::E0107, a.span, what, "unexpected argument");
                }
            }
        }
        let given = args.iter().any(|a| a.name.is_none());
        if method != "random" && !given {
            let (what, such) = match method {
                "kfold" => ("a number of folds", "5"),
                "stratify" => ("a column", "label"),
                "hash" => ("a column", "user"),
                "time" => ("a column", "date"),
                _ => ("a column", "part"),
            };
            let label = format!("write `{method}({such})`");
            self.error(
                Code::E0510,
                m.span,
                format!("`{method}` needs {what}"),
                label,
            );
            return;
        }
        spec.method = match (method, column, count) {
            ("stratify", Some(column), _) => Method::Stratify(column),
            ("hash", Some(column), _) => Method::Hash(column),
            ("time", Some(column), _) => Method::Time(column),
            ("given", Some(column), _) => Method::Given {
                column,
                names: Vec::new(),
            },
            ("kfold", stratify, Some(count)) => Method::Folds(Folds {
                count,
                fold: 1,
                stratify,
            }),
            _ => Method::Random,
        };
    }

    pub fn folds(&mut self, a: &Arg) -> Option<usize> {
        match self.eval(&a.value) {
            Val::Int(Dim::Const(n)) if (2..=1 << 20).contains(&n) => Some(n as usize),
            Val::Error => None,
            other => {
                let what = "the number of folds must be an integer from 2";
                let label = format!("this is {}", other.describe());
                self.error(Code::E0301, a.span, what, label);
                None
            }
        }
    }

    /// The column that a split goes by, if it is of the kind that this one takes.
    fn split_column(&mut self, method: &str, a: &Arg, env: &DataEnv) -> Option<String> {
        let ExprKind::Name(c) = &a.value.kind else {
            let what = format!("`{method}` needs the name of a column");
            self.error(Code::E0510, a.span, what, "this is not a column");
            return None;
        };
        if !env.has_column(&c.text) {
            self.unknown_column(c, env);
            return None;
        }
        let one = |col: &Column| col.ty.rank() == 1;
        let (fits, wanted) = match (method, env.columns.get(&c.text)) {
            ("stratify", col) => (
                col.is_some_and(|col| matches!(col.meaning, Meaning::Class(_)) && one(col)),
                "only a `class` column can be stratified",
            ),
            ("hash", col) => (
                col.is_none_or(|col| col.ty.elem != Elem::F32),
                "a key must be text or integers: `text`, `int`, `class[n]`",
            ),
            ("time", col) => (
                col.is_none_or(|col| one(col) && !col.meaning.is_id()),
                "a time must be one number or text per row",
            ),
            (_, col) => (
                col.is_none(),
                "the names of the sets must be in a `text` column",
            ),
        };
        if !fits {
            let label = format!("`{}` has a different type", c.text);
            self.error(Code::E0510, c.span, wanted, label);
            return None;
        }
        Some(c.text.to_string())
    }
}

impl Elab<'_> {
    pub(super) fn part(&mut self, p: &Ident) -> Option<Part> {
        match &*p.text {
            "train" => Some(Part::Train),
            "val" => Some(Part::Val),
            "test" => Some(Part::Test),
            other => {
                let mut d = Diagnostic::error(Code::E0504, format!("unknown set `{other}`"))
                    .label(p.span, "the sets are `train`, `val` and `test`");
                if let Some(near) = did_you_mean(other, ["train", "val", "test"]) {
                    d = d.help(format!("did you mean `{near}`?")).fix(p.span, near);
                } else if matches!(other, "validation" | "valid" | "dev") {
                    d = d.help("did you mean `val`?").fix(p.span, "val");
                }
                self.diagnose(d);
                None
            }
        }
    }
}
