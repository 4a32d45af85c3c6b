//! `column age : [] = age, missing = mean`: what stands for values that a file does not have.

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::ir::Dim;
use crate::spec::*;
use crate::syntax::ast::{Arg, Expr, ExprKind, Ident};

use crate::check::elab::Elab;
use crate::check::elab::value::Val;

use super::env::{DataEnv, Reader};

const WORDS: [&str; 4] = ["drop", "mean", "median", "most_frequent"];

const WHAT: &str = "`missing` must be `drop`, `mean`, `median`, `most_frequent` or a number";

impl Elab<'_> {
    /// What stands behind a column's selector.
    pub(super) fn column_options(&mut self, name: &Ident, options: &[Arg], env: &mut DataEnv) {
        let mut given = false;
        for a in options {
            match a.name.as_ref().map(|n| (n, &*n.text)) {
                Some((n, "missing")) if given => {
                    self.error(
                        Code::E0105,
                        n.span,
                        "`missing` is given twice",
                        "given again here",
                    );
                }
                Some((_, "missing")) => {
                    given = true;
                    let spec = env.spec.columns.iter_mut();
                    let Some(spec) = spec.rev().find(|c| c.name == *name.text) else {
                        continue;
                    };
                    let missing = self.stand_in(&a.value, spec);
                    spec.missing = missing;
                }
                Some((n, other)) => {
                    let what = format!("a column has no argument `{other}`");
                    let mut d =
                        Diagnostic::error(Code::E0104, what).label(n.span, "unknown argument");
                    d = match did_you_mean(other, ["missing"]) {
                        Some(near) => d.help(format!("did you mean `{near}`?")).fix(n.span, near),
                        None => d.note("arguments: missing"),
                    };
                    self.diagnose(d);
                }
                None => {
                    let what = "arguments after the selector of a column need a name";
                    self.error(Code::E0107, a.span, what, "for example, `missing = mean`");
                }
            }
        }
    }

    fn stand_in(&mut self, e: &Expr, column: &ColumnSpec) -> Option<Missing> {
        let refuse = |el: &mut Self, what: String, help: &str| {
            let d = Diagnostic::error(Code::E0515, what)
                .label(e.span, "not possible here")
                .help(help);
            el.diagnose(d);
            None
        };
        match column.kind {
            ColumnKind::Text => {
                let what = "text is never missing: an empty field is empty text".into();
                return refuse(self, what, "remove this");
            }
            ColumnKind::U8 => {
                let what = "a column of bytes cannot hold a missing value".into();
                return refuse(self, what, "declare it as `int` or as real numbers");
            }
            _ => {}
        }
        let word = name_of(e).map(|n| &*n.text);
        let found = match word {
            Some("drop") => Missing::Drop,
            Some("mean") => Missing::Fitted(Imputed::Mean),
            Some("median") => Missing::Fitted(Imputed::Median),
            Some("most_frequent") => Missing::Fitted(Imputed::MostFrequent),
            Some(word) if self.is_unknown_name(word) => {
                let mut d = Diagnostic::error(Code::E0515, WHAT).label(e.span, "unknown method");
                if let Some(near) = did_you_mean(word, WORDS) {
                    d = d.help(format!("did you mean `{near}`?")).fix(e.span, near);
                }
                self.diagnose(d);
                return None;
            }
            _ => return self.number_stand_in(e, column),
        };
        let between = matches!(found, Missing::Fitted(Imputed::Mean | Imputed::Median));
        if between && column.kind != ColumnKind::F32 {
            let what = match column.kind {
                ColumnKind::I32 => "the mean or median of integers may not be an integer",
                _ => "classes have no mean or median",
            };
            return refuse(self, what.into(), "use `most_frequent`, a number or `drop`");
        }
        Some(found)
    }

    fn number_stand_in(&mut self, e: &Expr, column: &ColumnSpec) -> Option<Missing> {
        let value = match self.eval(e) {
            Val::Int(Dim::Const(n)) => n as f64,
            Val::Float(x) if x.is_finite() => x,
            Val::Error => return None,
            other => {
                let label = format!("this is {}", other.describe());
                self.error(Code::E0515, e.span, WHAT, label);
                return None;
            }
        };
        let below = match column.kind {
            ColumnKind::Class(n) | ColumnKind::Token(n) => Some(n),
            ColumnKind::Bool => Some(2),
            _ => None,
        };
        let expected = match (column.kind, below) {
            (_, Some(n)) if value.fract() != 0.0 || !(0.0..n as f64).contains(&value) => {
                format!("this column holds 0..{}", n - 1)
            }
            (ColumnKind::I32, _) if value.fract() != 0.0 || value.abs() >= 2_147_483_648.0 => {
                "this column holds integers".into()
            }
            _ => return Some(Missing::Constant(value)),
        };
        let label = format!("this is {value}");
        self.error(Code::E0515, e.span, expected, label);
        None
    }

    /// Files that have no missing values.
    pub(super) fn nothing_is_missing(&mut self, env: &DataEnv) {
        let table = |reader: Reader| matches!(reader.holds(), Holds::Anything);
        if env.spec.sources.is_empty() || env.readers.iter().any(|(r, ..)| table(*r)) {
            return;
        }
        if let Some(c) = env.spec.columns.iter().find(|c| c.missing.is_some()) {
            let d = Diagnostic::error(Code::E0515, "a source of this format has no missing values")
                .label(c.span, "no values of this column are missing")
                .help("remove `missing`; a NaN in an array is an error when it is read");
            self.diagnose(d);
        }
    }

    /// Whether something stands for missing values of a column.
    pub(super) fn may_miss(env: &DataEnv, column: &str) -> bool {
        let mut columns = env.spec.columns.iter();
        columns.any(|c| c.name == column && matches!(c.missing, Some(m) if m != Missing::Drop))
    }
}

/// `e` if it is a name.
pub(crate) fn name_of(e: &Expr) -> Option<&Ident> {
    match &e.kind {
        ExprKind::Name(n) => Some(n),
        _ => None,
    }
}
