//! Fits that give tensors or labels: `power`, `bins`, `pca`, `labels`.

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::ir::{Dim, Elem, Type};
use crate::spec::{FitKind, Power, RowsSpec, Spacing, TensorFit};
use crate::syntax::ast::{Arg, Expr, ExprKind, Ident};

use crate::check::data::env::DataEnv;
use crate::check::elab::Elab;
use crate::check::elab::value::Val;

/// What a fit gives, by name.
pub(crate) fn learnt(row: &Type, learn: TensorFit) -> Vec<(&'static str, Type)> {
    match learn {
        TensorFit::Power(power) => [power.exponent(), "mean", "std"]
            .map(|n| (n, row.clone()))
            .to_vec(),
        TensorFit::Bins { count, .. } => {
            let edges = [Dim::from(count - 1)].into_iter();
            let shape = edges.chain(row.shape.iter().cloned());
            vec![("edges", Type::new(Elem::F32, shape))]
        }
        TensorFit::Pca { components } => {
            let k = Dim::from(components);
            let n = row.shape.first().cloned().unwrap_or(Dim::ONE);
            vec![
                ("mean", row.clone()),
                ("components", Type::new(Elem::F32, [n, k.clone()])),
                ("std", Type::new(Elem::F32, [k])),
            ]
        }
        TensorFit::Channels { .. } | TensorFit::Zca { .. } => super::images::learnt(row, learn),
    }
}

type Found = Option<(Option<FitKind>, Option<RowsSpec>)>;

impl Elab<'_> {
    /// `power(train.x, method = boxcox)`, `bins(train.x, 10, strategy = even)`,
    /// `pca(train.x, components = 2)`.
    pub(super) fn learn(&mut self, f: &Ident, args: &[Arg], env: &DataEnv) -> Found {
        let (number, word) = match &*f.text {
            "power" => ("", "method"),
            "bins" => ("count", "strategy"),
            _ => ("components", ""),
        };
        let (column, n, chosen) = self.fit_arguments(f, args, env, number, word)?;
        let Some(c) = env.columns.get(&column.text) else {
            let label = format!("`{}` holds text", column.text);
            let what = format!("`{}` needs numbers", f.text);
            self.error(Code::E0513, column.span, what, label);
            return None;
        };
        if c.meaning.is_id() {
            let what = "ids are names, not quantities: they have no order";
            let label = format!("`{}` holds ids", column.text);
            self.error(Code::E0302, column.span, what, label);
            return None;
        }
        let learn = match &*f.text {
            "power" => TensorFit::Power(match self.word(chosen, &["yeojohnson", "boxcox"])? {
                1 => Power::BoxCox,
                _ => Power::YeoJohnson,
            }),
            "bins" => {
                let spacing = match self.word(chosen, &["quantile", "even"])? {
                    1 => Spacing::Uniform,
                    _ => Spacing::Quantile,
                };
                let count = self.whole(f, n, 2, "bins")?;
                TensorFit::Bins { count, spacing }
            }
            _ => {
                let components = self.whole(f, n, 1, "components")?;
                let [size] = &c.ty.shape[1..] else {
                    let label = format!("`{}` has {} axes", column.text, c.ty.rank() - 1);
                    let what = "principal components need one axis of numbers per row";
                    self.error(Code::E0511, column.span, what, label);
                    return None;
                };
                if size.as_const().is_some_and(|s| s < components as i64) {
                    let what = format!(
                        "{components} components need at least as many numbers: the column has {size}"
                    );
                    self.error(Code::E0511, column.span, what, format!("[{size}] per row"));
                    return None;
                }
                TensorFit::Pca { components }
            }
        };
        let column = column.text.to_string();
        Some((Some(FitKind::Tensors { column, learn }), None))
    }

    /// `labels(train.species)`, `labels(train.species, classes = 3)`.
    pub(super) fn labels(&mut self, f: &Ident, args: &[Arg], env: &DataEnv) -> Found {
        let (column, n, _) = self.fit_arguments(f, args, env, "classes", "")?;
        if !env.texts.contains(&column.text) {
            let label = format!("`{}` holds numbers", column.text);
            self.error(Code::E0513, column.span, "labels need a text column", label);
            return None;
        }
        let classes = match n {
            None => None,
            some => Some(self.whole(f, some, 1, "classes")? as u32),
        };
        let column = column.text.to_string();
        Some((Some(FitKind::Labels { column, classes }), None))
    }

    /// The training column, a number given by place or by name, a word by name.
    fn fit_arguments<'a>(
        &mut self,
        f: &Ident,
        args: &'a [Arg],
        env: &DataEnv,
        number: &str,
        word: &str,
    ) -> Option<(&'a Ident, Option<&'a Expr>, Option<&'a Expr>)> {
        let (mut column, mut n, mut chosen) = (None, None, None);
        for a in args {
            match a.name.as_ref().map(|x| &*x.text) {
                None if column.is_none() => column = Some(self.training_column(&a.value, env)?),
                None if n.is_none() && !number.is_empty() => n = Some(&a.value),
                Some(name) if name == number && n.is_none() => n = Some(&a.value),
                Some(name) if name == word && chosen.is_none() => chosen = Some(&a.value),
                None => {
                    let what = format!("`{}` takes one column", f.text);
                    self.error(Code::E0107, a.span, what, "unexpected argument");
                    return None;
                }
                Some(name) => {
                    let what = format!("`{}` has no argument `{name}`", f.text);
                    let mut d =
                        Diagnostic::error(Code::E0104, what).label(a.span, "unknown argument");
                    let known = [number, word].into_iter().filter(|k| !k.is_empty());
                    if let (Some(near), Some(at)) = (did_you_mean(name, known), &a.name) {
                        d = d.help(format!("did you mean `{near}`?")).fix(at.span, near);
                    }
                    self.diagnose(d);
                    return None;
                }
            }
        }
        if column.is_none() {
            let what = format!("`{}` needs a column", f.text);
            let label = format!("for example, `{}(train.column)`", f.text);
            self.error(Code::E0106, f.span, what, label);
        }
        column.map(|c| (c, n, chosen))
    }

    /// Which of `words` is written; the first where none is.
    fn word(&mut self, e: Option<&Expr>, words: &[&str]) -> Option<usize> {
        let Some(e) = e else { return Some(0) };
        let written = match &e.kind {
            ExprKind::Name(n) => words.iter().position(|w| **w == *n.text),
            _ => None,
        };
        if written.is_none() {
            let listed: Vec<String> = words.iter().map(|w| format!("`{w}`")).collect();
            let what = format!("expected one of {}", listed.join(", "));
            self.error(Code::E0307, e.span, what, "unknown option");
        }
        written
    }

    fn whole(&mut self, f: &Ident, e: Option<&Expr>, least: i64, what: &str) -> Option<usize> {
        let Some(e) = e else {
            let message = format!("`{}` needs a number of {what}", f.text);
            let label = format!("for example, `{}(train.column, 8)`", f.text);
            self.error(Code::E0106, f.span, message, label);
            return None;
        };
        match self.eval(e) {
            Val::Int(Dim::Const(n)) if n >= least && n <= 1 << 20 => Some(n as usize),
            Val::Error => None,
            other => {
                let message = format!("the number of {what} must be an integer from {least}");
                self.error(
                    Code::E0301,
                    e.span,
                    message,
                    format!("this is {}", other.describe()),
                );
                None
            }
        }
    }
}
