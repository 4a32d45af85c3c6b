//! What is computed of rows before training, outside any graph: ids of the words of
//! texts, their number, and the columns that `pad` and `bag` make of them.
//!
//! A text has no size and a list of ids any number of them, so neither is a tensor;
//! what `pad` and `bag` give is a column like those of a file.

use std::rc::Rc;

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::ir::{Dim, Elem, Role, Type};
use crate::span::Span;
use crate::spec::{Bag, DerivedSpec, End, Make, RowsSpec};
use crate::syntax::ast::{Arg, Expr, ExprKind, Ident};

use crate::check::elab::Elab;
use crate::check::elab::builtin::Args;
use crate::check::elab::state::Fit;
use crate::check::elab::value::{Home, Meaning, Rows, RowsKind, Tensor, Val};

const FUNCTIONS: [&str; 5] = ["bag", "index", "len", "pad", "tokens"];

/// Whether the function takes rows (`len` and `pad` take other things as well).
pub(crate) fn is_row_function(name: &str) -> bool {
    FUNCTIONS.contains(&name)
}

/// `f` or `f(args)` as a stage of a pipe.
pub(crate) fn stage_call(e: &Expr) -> Option<(&Ident, &[Arg])> {
    match &e.kind {
        ExprKind::Name(n) => Some((n, &[])),
        ExprKind::Call { callee, args, .. } => match &callee.kind {
            ExprKind::Name(n) => Some((n, args)),
            _ => None,
        },
        _ => None,
    }
}

impl Elab<'_> {
    /// `tokens(text, vocab)`: a call whose first argument is rows. None: an ordinary call.
    pub(super) fn row_call(&mut self, e: &Expr) -> Option<Val> {
        let ExprKind::Call { callee, args, .. } = &e.kind else {
            return None;
        };
        let ExprKind::Name(f) = &callee.kind else {
            return None;
        };
        let [first, rest @ ..] = args.as_slice() else {
            return None;
        };
        if first.name.is_some() || !is_row_function(&f.text) || !self.gives_rows(&first.value) {
            return None;
        }
        Some(match self.eval(&first.value) {
            Val::Rows(rows) => self.row_function(&rows, f, rest, e.span, true),
            other => other,
        })
    }

    /// `rows |> stage`
    pub fn row_stage(&mut self, rows: &Rows, e: &Expr) -> Val {
        match stage_call(e) {
            Some((f, args)) => self.row_function(rows, f, args, e.span, true),
            None => self.not_of_rows(rows, e.span),
        }
    }

    fn gives_rows(&self, e: &Expr) -> bool {
        match &e.kind {
            ExprKind::Name(n) => {
                matches!(self.top().get(&n.text), Some(v) if matches!(v.val, Val::Rows(_)))
            }
            ExprKind::Pipe { value, .. } => self.gives_rows(value),
            ExprKind::Call { args, .. } => {
                let first = args.first().filter(|a| a.name.is_none());
                let named = stage_call(e).is_some_and(|(f, _)| is_row_function(&f.text));
                named && first.is_some_and(|a| self.gives_rows(&a.value))
            }
            ExprKind::Tuple(items) if items.len() == 1 => self.gives_rows(&items[0].value),
            _ => false,
        }
    }

    /// One of the functions of rows. `columns`: it may make a column.
    pub(super) fn row_function(
        &mut self,
        rows: &Rows,
        f: &Ident,
        args: &[Arg],
        span: Span,
        columns: bool,
    ) -> Val {
        match (&*f.text, &rows.kind) {
            ("tokens", RowsKind::Text) => self.tokens(rows, f, args),
            ("len", RowsKind::Ids(_)) => match (args, &rows.rows) {
                ([], RowsSpec::Ids { column, vocabulary }) => Val::Rows(Rc::new(Rows {
                    rows: RowsSpec::Lengths {
                        column: column.clone(),
                        vocabulary: vocabulary.clone(),
                    },
                    kind: RowsKind::Lengths,
                })),
                _ => self.error(
                    Code::E0107,
                    span,
                    "`len` takes no other arguments",
                    "unexpected argument",
                ),
            },
            ("pad", RowsKind::Ids(bound)) if columns => {
                let bound = bound.clone();
                self.pad_rows(rows, &bound, f, args, span)
            }
            ("bag", RowsKind::Text | RowsKind::Ids(_)) if columns => {
                self.bag_rows(rows, f, args, span)
            }
            ("index", RowsKind::Text) if columns => self.index_rows(rows, f, args, span),
            ("pad" | "bag" | "index", _) if !columns => {
                let what = "a fit uses the rows as they are";
                let d = Diagnostic::error(Code::E0513, what)
                    .label(span, format!("`{}` computes a column for a model", f.text))
                    .help("for lengths, write `train.text |> tokens(vocab) |> len`");
                self.diagnose(d)
            }
            (name, _) if is_row_function(name) => {
                let takes = match name {
                    "tokens" | "index" => "a text column",
                    "bag" => "a text column or ids",
                    _ => "ids, such as those of `tokens(vocab)`",
                };
                let d = Diagnostic::error(Code::E0513, format!("`{name}` needs {takes}"))
                    .label(span, format!("applied to {}", rows.describe()));
                self.diagnose(d)
            }
            _ => self.not_of_rows(rows, span),
        }
    }

    /// Rows met where numbers are wanted.
    pub(super) fn not_of_rows(&mut self, rows: &Rows, span: Span) -> Val {
        let (what, help) = match rows.kind {
            RowsKind::Text => (
                "text must be converted to numbers first",
                "use ids, `text |> tokens(vocab) |> pad(length)`, or counts of words, `text |> bag(vocab)`",
            ),
            RowsKind::Ids(_) => (
                "lists of ids must be padded or counted first",
                "use `pad(length)` for one length, or `bag(vocab)` to count them",
            ),
            RowsKind::Lengths => (
                "lengths need an input of their own",
                "declare an `input` for them",
            ),
        };
        let d = Diagnostic::error(Code::E0513, what)
            .label(span, format!("applied to {}", rows.describe()))
            .help(help);
        self.diagnose(d)
    }

    /// A function of rows met where there are none.
    pub(super) fn of_rows_only(&mut self, a: &Args) -> Val {
        let known = a
            .args
            .iter()
            .any(|x| x.val.is_error() && x.symbol.is_none());
        if known {
            return Val::Error;
        }
        let name = a.builtin.name;
        let d = match name {
            "Tokenizer" | "Hashing" | "BPE" | "word_vectors" | "percentile" => Diagnostic::error(
                Code::E0513,
                format!("`{name}` is only allowed in a `fit` of a data block"),
            )
            .label(a.span, "not allowed here"),
            "ahead" | "lag" | "windows" => Diagnostic::error(
                Code::E0513,
                format!("`{name}` needs a column of numbers of a data block"),
            )
            .label(a.span, "this is not one"),
            _ => Diagnostic::error(
                Code::E0513,
                format!("`{name}` needs a text column of a data block"),
            )
            .label(a.span, "this is not text"),
        };
        self.diagnose(d)
    }

    /// Lengths as a column of numbers.
    pub(super) fn lengths_column(&mut self, rows: &Rows, span: Span) -> Val {
        let ty = Type::new(Elem::I32, [Dim::symbol("B")]);
        self.derive(rows.rows.clone(), Make::Lengths, ty, Meaning::Real, span)
    }

    fn tokens(&mut self, rows: &Rows, f: &Ident, args: &[Arg]) -> Val {
        let [
            Arg {
                name: None, value, ..
            },
        ] = args
        else {
            let label = format!("found {}", args.len());
            return self.error(Code::E0107, f.span, "`tokens` needs a vocabulary", label);
        };
        let Some((vocabulary, bound)) = self.vocabulary(value) else {
            return Val::Error;
        };
        Val::Rows(Rc::new(Rows {
            rows: RowsSpec::Ids {
                column: rows.rows.column().into(),
                vocabulary,
            },
            kind: RowsKind::Ids(bound),
        }))
    }

    /// The fit that a name stands for, and the number of its ids.
    fn vocabulary(&mut self, e: &Expr) -> Option<(String, Dim)> {
        if let ExprKind::Name(n) = &e.kind
            && let Some(Fit::Vocabulary(size)) = self.world.fit(&n.text)
        {
            return Some((n.text.to_string(), size));
        }
        match self.eval(e) {
            Val::Error => {}
            other => {
                let d = Diagnostic::error(
                    Code::E0513,
                    "expected a vocabulary fitted by `Tokenizer`, `Hashing` or `BPE`",
                )
                .label(e.span, format!("this is {}", other.describe()))
                .help("for example, `fit vocab = Tokenizer(train.text)`");
                self.diagnose(d);
            }
        }
        None
    }

    fn pad_rows(&mut self, rows: &Rows, bound: &Dim, f: &Ident, args: &[Arg], span: Span) -> Val {
        let (mut length, mut pad, mut cut) = (None, End::Pre, End::Pre);
        for a in args {
            match a.name.as_ref().map(|n| &*n.text) {
                None | Some("length") if length.is_none() => match self.eval(&a.value) {
                    Val::Int(d) if d.sign() != Some(std::cmp::Ordering::Greater) => {
                        let label = format!("this is {d}");
                        return self.error(
                            Code::E0210,
                            a.value.span,
                            "a length must be at least 1",
                            label,
                        );
                    }
                    Val::Int(d) => length = Some(d),
                    Val::Error => return Val::Error,
                    other => {
                        let label = format!("this is {}", other.describe());
                        let what = "a length must be an integer or a fitted number";
                        return self.error(Code::E0301, a.value.span, what, label);
                    }
                },
                Some("side") => match self.end(&a.value) {
                    Some(end) => pad = end,
                    None => return Val::Error,
                },
                Some("truncate") => match self.end(&a.value) {
                    Some(end) => cut = end,
                    None => return Val::Error,
                },
                None | Some("length") => {
                    return self.error(
                        Code::E0107,
                        a.span,
                        "`pad` takes one length",
                        "unexpected argument",
                    );
                }
                Some(_) => return self.no_argument(f, a, &["length", "side", "truncate"]),
            }
        }
        let Some(length) = length else {
            return self.error(
                Code::E0106,
                span,
                "`pad` needs a length",
                "for example, `pad(length)`",
            );
        };
        let ty = Type::new(Elem::I32, [Dim::symbol("B"), length.clone()]);
        let meaning = Meaning::Token(bound.clone());
        self.derive(
            rows.rows.clone(),
            Make::Pad { length, pad, cut },
            ty,
            meaning,
            span,
        )
    }

    pub fn end(&mut self, e: &Expr) -> Option<End> {
        match &e.kind {
            ExprKind::Name(n) if &*n.text == "pre" => Some(End::Pre),
            ExprKind::Name(n) if &*n.text == "post" => Some(End::Post),
            _ => {
                self.error(
                    Code::E0307,
                    e.span,
                    "a side must be `pre` or `post`",
                    "unknown side",
                );
                None
            }
        }
    }

    fn no_argument(&mut self, f: &Ident, a: &Arg, known: &[&str]) -> Val {
        let Some(n) = &a.name else { return Val::Error };
        let mut d = Diagnostic::error(
            Code::E0104,
            format!("`{}` has no argument `{}`", f.text, n.text),
        )
        .label(n.span, "unknown argument");
        d = match did_you_mean(&n.text, known.iter().copied()) {
            Some(near) => d.help(format!("did you mean `{near}`?")).fix(n.span, near),
            None => d.note(format!("arguments: {}", known.join(", "))),
        };
        self.diagnose(d)
    }

    fn bag_rows(&mut self, rows: &Rows, f: &Ident, args: &[Arg], span: Span) -> Val {
        let (mut vocabulary, mut bag) = (None, Bag::Binary);
        for a in args {
            match a.name.as_ref().map(|n| &*n.text) {
                None if vocabulary.is_none() => match self.vocabulary(&a.value) {
                    Some(found) => vocabulary = Some((found, a.value.span)),
                    None => return Val::Error,
                },
                None => {
                    let what = "`bag` takes one vocabulary";
                    return self.error(Code::E0107, a.span, what, "unexpected argument");
                }
                Some("mode") => match &a.value.kind {
                    ExprKind::Name(n) => match &*n.text {
                        "binary" => bag = Bag::Binary,
                        "count" => bag = Bag::Count,
                        "freq" => bag = Bag::Freq,
                        "tfidf" => bag = Bag::Tfidf,
                        other => {
                            let modes = ["binary", "count", "freq", "tfidf"];
                            let mut d =
                                Diagnostic::error(Code::E0307, format!("unknown mode `{other}`"))
                                    .label(n.span, "expected `binary`, `count`, `freq` or `tfidf`");
                            if let Some(near) = did_you_mean(other, modes) {
                                d = d.help(format!("did you mean `{near}`?")).fix(n.span, near);
                            }
                            return self.diagnose(d);
                        }
                    },
                    _ => {
                        let what = "a mode must be `binary`, `count`, `freq` or `tfidf`";
                        return self.error(Code::E0307, a.value.span, what, "unknown mode");
                    }
                },
                Some(_) => return self.no_argument(f, a, &["mode"]),
            }
        }
        let Some(((vocabulary, bound), at)) = vocabulary else {
            return self.error(
                Code::E0106,
                span,
                "`bag` needs a vocabulary",
                "for example, `bag(vocab)`",
            );
        };
        let column = rows.rows.column().to_owned();
        if let RowsSpec::Ids { vocabulary: of, .. } = &rows.rows
            && *of != vocabulary
        {
            let label = format!("the ids are from the vocabulary `{of}`");
            return self.error(
                Code::E0513,
                at,
                "a bag must use the vocabulary of its ids",
                label,
            );
        }
        let elem = if bag == Bag::Binary {
            Elem::U8
        } else {
            Elem::F32
        };
        let ty = Type::new(elem, [Dim::symbol("B"), bound]);
        let of = RowsSpec::Ids { column, vocabulary };
        self.derive(of, Make::Bag(bag), ty, Meaning::Real, span)
    }

    /// `species |> index(names, unseen = other)`
    fn index_rows(&mut self, rows: &Rows, f: &Ident, args: &[Arg], span: Span) -> Val {
        let (mut labels, mut others) = (None, false);
        for a in args {
            match (a.name.as_ref().map(|n| &*n.text), &a.value.kind) {
                (None, ExprKind::Name(n)) if labels.is_none() => match self.world.fit(&n.text) {
                    Some(Fit::Labels(size)) => labels = Some((n.text.to_string(), size)),
                    Some(Fit::Broken) => return Val::Error,
                    _ => {
                        let what = "`index` needs fitted `labels`";
                        let d = Diagnostic::error(Code::E0513, what)
                            .label(n.span, "this is something else")
                            .help("for example, `fit names = labels(train.species)`");
                        return self.diagnose(d);
                    }
                },
                (Some("unseen"), ExprKind::Name(n)) if &*n.text == "error" => {}
                (Some("unseen"), ExprKind::Name(n)) if &*n.text == "other" => others = true,
                (Some("unseen"), _) => {
                    let what = "`unseen` must be `error` or `other`";
                    return self.error(Code::E0307, a.value.span, what, "unknown option");
                }
                (Some(_), _) => return self.no_argument(f, a, &["unseen"]),
                (None, _) => {
                    let what = "`index` takes one set of labels";
                    return self.error(Code::E0107, a.span, what, "unexpected argument");
                }
            }
        }
        let Some((labels, size)) = labels else {
            let label = "for example, `index(names)`";
            return self.error(Code::E0106, span, "`index` needs labels", label);
        };
        let bound = match size.add(&Dim::from(usize::from(others))) {
            Ok(bound) => bound,
            Err(_) => return Val::Error,
        };
        let ty = Type::new(Elem::I32, [Dim::symbol("B")]);
        let make = Make::Index { labels, others };
        self.derive(rows.rows.clone(), make, ty, Meaning::Class(bound), span)
    }

    /// A column computed before training, and its place among the graph's inputs. The
    /// input it is for lends its name.
    pub(super) fn derive(
        &mut self,
        of: RowsSpec,
        make: Make,
        ty: Type,
        meaning: Meaning,
        span: Span,
    ) -> Val {
        let known = self
            .data
            .derived
            .iter()
            .find(|d| d.of == of && d.make == make);
        let name = match known {
            Some(d) => d.name.clone(),
            None => {
                let base = self.data.feed_name.clone();
                let taken = |name: &str| {
                    self.data.derived.iter().any(|d| d.name == name)
                        || self.data.columns.contains(name)
                };
                let mut name = base.to_string();
                let mut count = 1;
                while taken(&name) {
                    count += 1;
                    name = format!("{base}.{count}");
                }
                self.data.derived.push(DerivedSpec {
                    name: name.clone(),
                    of,
                    make,
                    span,
                });
                name
            }
        };
        let found = self
            .step
            .inputs
            .iter()
            .find(|i| i.role == Role::Data && *i.name == *name)
            .map(|i| i.value);
        let value = found.unwrap_or_else(|| self.step.input(&name, Role::Data, ty.clone()));
        Val::Tensor(Tensor {
            value,
            home: Home::Step,
            ty,
            meaning,
            mask: None,
        })
    }
}
