//! `split`: which rows are for what.

use crate::diag::{Diagnostic, did_you_mean};
use crate::ir::Dim;
use crate::lower::spec::*;
use crate::span::Span;
use crate::syntax::ast::{Arg, Expr, ExprKind, Ident};

use super::data::{Column, DataEnv};
use super::elab::Elab;
use super::value::{Meaning, Val};

impl Elab<'_> {
    pub fn split_item(
        &mut self,
        method: Option<&Expr>,
        parts: &[(Ident, Expr)],
        span: Span,
        env: &mut DataEnv,
    ) {
        if env.spec.split.is_some() {
            self.error("E0109", span, "the data are split twice", "a second split");
            return;
        }
        if let Some(f) = env.spec.fits.first() {
            let d = Diagnostic::error("E0506", "the split comes before anything is fitted")
                .label(span, "split here")
                .label(f.span, "fitted before it")
                .help("move `split` above `fit`: a statistic may see training rows only");
            self.report(d);
        }
        let mut spec = SplitSpec {
            stratify: None,
            parts: Vec::new(),
            seed: None,
            span,
        };
        if let Some(m) = method {
            self.split_method(m, env, &mut spec);
        }
        let mut total = 0.0;
        let mut all_fractions = true;
        let before = self.diags.len();
        for (p, amount) in parts {
            let Some(part) = self.part(p) else { continue };
            if spec.parts.iter().any(|(q, _)| *q == part) {
                self.error(
                    "E0109",
                    p.span,
                    format!("the part `{}` is given twice", p.text),
                    "again here",
                );
                continue;
            }
            let amount = match (&amount.kind, self.eval(amount)) {
                (_, Val::Int(Dim::Const(n))) if n > 0 => Amount::Rows(n as usize),
                (_, Val::Float(x)) if x > 0.0 && x <= 1.0 => Amount::Fraction(x),
                (_, Val::Error) => continue,
                _ => {
                    self.error(
                        "E0503",
                        amount.span,
                        "a part is a share such as 80% or a number of rows",
                        "neither",
                    );
                    continue;
                }
            };
            match amount {
                Amount::Fraction(x) => total += x,
                Amount::Rows(_) => all_fractions = false,
            }
            spec.parts.push((part, amount));
        }
        let sound = self.diags.len() == before;
        if sound && all_fractions && !spec.parts.is_empty() && (total - 1.0).abs() > 1e-9 {
            let d = Diagnostic::error(
                "E0503",
                format!(
                    "the parts add up to {}%, not 100%",
                    (total * 1e6).round() / 1e4
                ),
            )
            .label(span, "these parts");
            self.report(d);
        }
        if sound && !spec.parts.iter().any(|(p, _)| *p == Part::Train) {
            self.error(
                "E0503",
                span,
                "a split needs a `train` part",
                "nothing is left to train on",
            );
        }
        env.spec.split = Some(spec);
    }

    pub fn split_method(&mut self, m: &Expr, env: &DataEnv, spec: &mut SplitSpec) {
        let (name, args): (&Ident, &[Arg]) = match &m.kind {
            ExprKind::Name(n) => (n, &[]),
            ExprKind::Call { callee, args, .. } => match &callee.kind {
                ExprKind::Name(n) => (n, args),
                _ => {
                    self.error(
                        "E0510",
                        m.span,
                        "a split is `random` or `stratify(column)`",
                        "neither",
                    );
                    return;
                }
            },
            _ => {
                self.error(
                    "E0510",
                    m.span,
                    "a split is `random` or `stratify(column)`",
                    "neither",
                );
                return;
            }
        };
        let stratify = match &*name.text {
            "random" => false,
            "stratify" => true,
            other => {
                let mut d = Diagnostic::error("E0510", format!("unknown way to split `{other}`"))
                    .label(name.span, "`random` or `stratify(column)`");
                if let Some(near) = did_you_mean(other, ["random", "stratify"]) {
                    d = d
                        .help(format!("did you mean `{near}`?"))
                        .fix(name.span, near);
                }
                self.report(d);
                return;
            }
        };
        for a in args {
            match (&a.name, &a.value.kind) {
                (Some(n), _) if &*n.text == "seed" => match self.eval(&a.value) {
                    Val::Int(Dim::Const(s)) if s >= 0 => spec.seed = Some(s as u64),
                    Val::Error => {}
                    _ => {
                        self.error("E0301", a.span, "a seed is a number from 0", "not one");
                    }
                },
                (Some(n), _) => {
                    self.error(
                        "E0104",
                        n.span,
                        format!("`{}` has no argument `{}`", name.text, n.text),
                        "unknown argument",
                    );
                }
                (None, ExprKind::Name(c)) if stratify => match env.columns.get(&c.text) {
                    Some(Column {
                        meaning: Meaning::Class(_),
                        ty,
                    }) if ty.rank() == 1 => spec.stratify = Some(c.text.to_string()),
                    _ if env.has_column(&c.text) => {
                        self.error(
                            "E0510",
                            c.span,
                            "only a `class` column can be stratified",
                            format!("`{}` is not one", c.text),
                        );
                    }
                    _ => self.unknown_column(c, env),
                },
                _ => {
                    self.error(
                        "E0510",
                        a.span,
                        "a split by proportions names a column: `stratify(label)`",
                        "not a column",
                    );
                }
            }
        }
        if stratify && spec.stratify.is_none() && args.is_empty() {
            self.error(
                "E0510",
                m.span,
                "`stratify` needs a column",
                "write `stratify(label)`",
            );
        }
    }
}
