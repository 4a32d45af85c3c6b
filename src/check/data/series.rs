//! Functions of a column of numbers as it stands in the file, outside any graph: what they
//! give is a column like those of a file, made before training.
//!
//! ```text
//! missing(age)                 where `age` has no value
//! windows(passengers, 12)      the last twelve, that of the row included
//! lag(passengers, 1)           the one before
//! ahead(passengers, 1)         the one after
//! ```

use std::sync::Arc;

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::ir::{Dim, Elem, Type};
use crate::span::Span;
use crate::spec::{Make, Method, RowsSpec};
use crate::syntax::ast::{Arg, Expr, ExprKind, Ident};
use crate::syntax::visit::{Visitor, walk_expr};

use crate::check::elab::Elab;
use crate::check::elab::state::Numbers;
use crate::check::elab::value::{Meaning, Val};

use super::env::DataEnv;
use super::missing::name_of;
use super::rows::stage_call;

fn is_column_function(name: &str) -> bool {
    matches!(name, "missing" | "windows" | "lag" | "ahead")
}

/// The column, and the rest, of a call of such a function: `f(column, ..)` or
/// `column |> f(..)`.
pub(crate) fn column_of_call(e: &Expr) -> Option<(&Ident, (&Ident, &[Arg]))> {
    let (column, f, rest) = match &e.kind {
        ExprKind::Call { .. } => {
            let (f, args) = stage_call(e)?;
            let (first, rest) = args.split_first()?;
            let column = first.name.is_none().then(|| name_of(&first.value))??;
            (column, f, rest)
        }
        ExprKind::Pipe { value, stage: s } => {
            let (f, args) = stage_call(s)?;
            (name_of(value)?, f, args)
        }
        _ => return None,
    };
    is_column_function(&f.text).then_some((column, (f, rest)))
}

impl Elab<'_> {
    /// The columns of numbers, for the inputs that follow.
    pub(super) fn series_columns(&mut self, env: &DataEnv) {
        let columns = env.columns.iter().map(|(name, c)| {
            let numbers = Numbers {
                ty: c.ty.clone(),
                meaning: c.meaning.clone(),
                may_miss: Self::may_miss(env, name),
            };
            (name.clone(), numbers)
        });
        self.data.numbers = columns.collect();
    }

    /// A function of a column in an input of a data block. None: an ordinary call or pipe.
    pub(super) fn column_call(&mut self, e: &Expr) -> Option<Val> {
        if self.data.feed_depth == 0 || self.frames.len() != self.data.feed_depth {
            return None;
        }
        let (column, (f, rest)) = column_of_call(e)?;
        let numbers = self.data.numbers.get(&column.text)?.clone();
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
        let of = RowsSpec::Numbers(column.text.to_string());
        let (make, ty) = match &*f.text {
            "missing" => match self.missing_of(column, numbers, f, rest) {
                Some(ty) => (Make::Missing, ty),
                None => return Val::Error,
            },
            "windows" => match self.windows_of(numbers, f, rest) {
                Some(found) => found,
                None => return Val::Error,
            },
            name => {
                let Some([Some(k)]) = self.counts(f, rest, ["k"], [None]) else {
                    return Val::Error;
                };
                let k = k as i64;
                let ahead = if name == "ahead" { k } else { -k };
                (Make::Ahead(ahead), numbers.ty.clone())
            }
        };
        let meaning = match make {
            Make::Missing => Meaning::Real,
            _ => numbers.meaning.clone(),
        };
        self.derive(of, make, ty, meaning, span)
    }

    fn missing_of(
        &mut self,
        column: &Ident,
        numbers: &Numbers,
        f: &Ident,
        rest: &[Arg],
    ) -> Option<Type> {
        if let Some(a) = rest.first() {
            let what = format!("`{}` takes only a column", f.text);
            self.error(Code::E0107, a.span, what, "unexpected argument");
            return None;
        }
        if !numbers.may_miss {
            let what = format!("no values of `{}` are missing", column.text);
            let d = Diagnostic::error(Code::E0515, what)
                .label(column.span, "its column does not declare `missing = ..`")
                .help("add `missing = mean`, for example, to the column");
            self.diagnose(d);
            return None;
        }
        Some(Type::new(Elem::Bool, numbers.ty.shape.iter().cloned()))
    }

    fn windows_of(&mut self, numbers: &Numbers, f: &Ident, rest: &[Arg]) -> Option<(Make, Type)> {
        let names = ["sequence_length", "sampling_rate", "sequence_stride"];
        let defaults = [None, Some(1), Some(1)];
        let [Some(length), Some(rate), Some(stride)] = self.counts(f, rest, names, defaults)?
        else {
            return None;
        };
        let mut shape = numbers.ty.shape.clone();
        shape.insert(1, Dim::from(length));
        let make = Make::Windows {
            length,
            rate,
            stride,
        };
        Some((make, Type::new(numbers.ty.elem, shape)))
    }

    /// Whole numbers from 1, by place or by name.
    fn counts<const N: usize>(
        &mut self,
        f: &Ident,
        rest: &[Arg],
        names: [&str; N],
        mut found: [Option<usize>; N],
    ) -> Option<[Option<usize>; N]> {
        let before = self.diags.len();
        for (i, a) in rest.iter().enumerate() {
            let at = match &a.name {
                None if i < N => i,
                None => {
                    let what = format!("too many arguments for `{}`", f.text);
                    self.error(Code::E0107, a.span, what, "unexpected argument");
                    continue;
                }
                Some(n) => match names.iter().position(|name| *name == &*n.text) {
                    Some(at) => at,
                    None => {
                        let what = format!("`{}` has no argument `{}`", f.text, n.text);
                        let mut d =
                            Diagnostic::error(Code::E0104, what).label(n.span, "unknown argument");
                        d = match did_you_mean(&n.text, names) {
                            Some(near) => {
                                d.help(format!("did you mean `{near}`?")).fix(n.span, near)
                            }
                            None => d.note(format!("arguments: {}", names.join(", "))),
                        };
                        self.diagnose(d);
                        continue;
                    }
                },
            };
            match self.eval(&a.value) {
                Val::Int(Dim::Const(n)) if (1..=1 << 20).contains(&n) => {
                    found[at] = Some(n as usize);
                }
                Val::Error => {}
                other => {
                    let what = format!("`{}` must be an integer from 1", names[at]);
                    let label = format!("this is {}", other.describe());
                    self.error(Code::E0301, a.span, what, label);
                }
            }
        }
        if self.diags.len() > before {
            return None;
        }
        if let Some(at) = found.iter().position(Option::is_none) {
            let what = format!("`{}` needs its `{}`", f.text, names[at]);
            self.error(
                Code::E0106,
                f.span,
                what,
                format!("for example, `{}(column, 3)`", f.text),
            );
            return None;
        }
        Some(found)
    }

    /// Rows of a series that are thrown into parts at random stand in each other's windows.
    pub(super) fn series_apart(&mut self, env: &DataEnv) {
        let mut moved = Moved { env, first: None };
        let feeds = env.inputs.iter().chain(&env.targets);
        feeds
            .filter_map(|f| f.value.as_ref())
            .for_each(|e| moved.expr(e));
        let Some((span, name)) = moved.first else {
            return;
        };
        if let Some(s) = env.spec.sources.iter().find(|s| s.stream) {
            let d = Diagnostic::error(Code::E0530, format!("`{name}` needs neighbouring rows"))
                .label(span, "here")
                .label(s.span, "these rows are streamed")
                .help("read the file without `stream`");
            self.diagnose(d);
        }
        if let Some(split) = &env.spec.split
            && !matches!(split.method, Method::Time(_) | Method::Given { .. })
        {
            let d =
                Diagnostic::warning(Code::W0501, "the rows of a time series are split at random")
                    .label(split.span, "this split ignores the order of rows")
                    .label(
                        span,
                        "this uses neighbouring rows, which can be in a different set",
                    )
                    .help("use `split time(column)`, which keeps the sets apart in time");
            self.diagnose(d);
        }
    }
}

/// The first function that goes from row to row.
struct Moved<'e> {
    env: &'e DataEnv,
    first: Option<(Span, Arc<str>)>,
}

impl<'a> Visitor<'a> for Moved<'_> {
    fn expr(&mut self, e: &'a Expr) {
        if let Some((column, (f, _))) = column_of_call(e)
            && &*f.text != "missing"
            && self.env.columns.contains_key(&column.text)
        {
            self.first.get_or_insert_with(|| (e.span, f.text.clone()));
        }
        walk_expr(self, e);
    }
}
