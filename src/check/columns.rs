//! Functions of a column of numbers as it stands in the file, outside any graph: what they
//! give is a column like those of a file, made before training.
//!
//! `missing(age)`: where `age` has no value.

use crate::diag::Diagnostic;
use crate::ir::{Elem, Type};
use crate::lower::spec::{Make, Rows as RowsSpec};
use crate::span::Span;
use crate::syntax::ast::{Arg, Expr, ExprKind, Ident};

use super::data::DataEnv;
use super::elab::Elab;
use super::missing::name_of;
use super::rows::stage;
use super::value::{Meaning, Val};

/// A column of numbers.
#[derive(Clone, Debug)]
pub struct Numbers {
    pub ty: Type,
    pub meaning: Meaning,
    /// Something stands for values that are not there.
    pub may_miss: bool,
}

fn is_column_function(name: &str) -> bool {
    matches!(name, "missing")
}

/// The column, and the rest, of a call of such a function: `f(column, ..)` or
/// `column |> f(..)`.
pub fn column_of_call(e: &Expr) -> Option<(&Ident, (&Ident, &[Arg]))> {
    let (column, f, rest) = match &e.kind {
        ExprKind::Call { .. } => {
            let (f, args) = stage(e)?;
            let (first, rest) = args.split_first()?;
            let column = first.name.is_none().then(|| name_of(&first.value))??;
            (column, f, rest)
        }
        ExprKind::Pipe { value, stage: s } => {
            let (f, args) = stage(s)?;
            (name_of(value)?, f, args)
        }
        _ => return None,
    };
    is_column_function(&f.text).then_some((column, (f, rest)))
}

impl Elab<'_> {
    /// The columns of numbers, for the inputs that follow.
    pub fn series_columns(&mut self, env: &DataEnv) {
        let columns = env.columns.iter().map(|(name, c)| {
            let numbers = Numbers {
                ty: c.ty.clone(),
                meaning: c.meaning.clone(),
                may_miss: Self::may_miss(env, name),
            };
            (name.clone(), numbers)
        });
        self.numbers = columns.collect();
    }

    /// A function of a column in an input of a data block. None: an ordinary call or pipe.
    pub fn column_call(&mut self, e: &Expr) -> Option<Val> {
        if self.feed_depth == 0 || self.frames.len() != self.feed_depth {
            return None;
        }
        let (column, (f, rest)) = column_of_call(e)?;
        let numbers = self.numbers.get(&column.text)?.clone();
        Some(self.column_function(column, &numbers, f, rest, e.span))
    }

    fn column_function(
        &mut self,
        column: &Ident,
        numbers: &Numbers,
        f: &Ident,
        rest: &[Arg],
        span: Span,
    ) -> Val {
        if let Some(a) = rest.first() {
            let what = format!("`{}` takes a column and nothing else", f.text);
            return self.error("E0107", a.span, what, "one too many");
        }
        if !numbers.may_miss {
            let what = format!("no value of `{}` is missing", column.text);
            let d = Diagnostic::error("E0515", what)
                .label(column.span, "its column does not say `missing = ..`")
                .help("such as `missing = mean` behind the column");
            return self.report(d);
        }
        let ty = Type::new(Elem::Bool, numbers.ty.shape.iter().cloned());
        let of = RowsSpec::Numbers(column.text.to_string());
        self.derive(of, Make::Missing, ty, Meaning::Real, span)
    }
}
