//! `fit`: what is learnt of the training rows before training. Statistics of a
//! column, a vocabulary of a text column, or a number that becomes a size.

pub(crate) mod images;
pub(crate) mod tensors;
pub(crate) mod tokenizer;

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::ir::{Dim, Elem, Type};
use crate::span::Span;
use crate::spec::*;
use crate::syntax::ast::{Arg, BinaryOp, Expr, ExprKind, Ident, UnaryOp};

use crate::check::data::env::DataEnv;
use crate::check::data::rows::{is_row_function, stage_call};
use crate::check::elab::Elab;
use crate::check::elab::state::Fit;
use crate::check::elab::value::{Rows, RowsKind, Val};

use tensors::learnt;
use tokenizer::TOKENIZERS;

pub(crate) const USAGE: &str = "a fit must be `statistics`, `power`, `bins`, `pca`, `labels`, `Tokenizer`, `Hashing` or `BPE` of a training column, `word_vectors`, or a number computed from lengths";

impl Elab<'_> {
    pub fn fit(&mut self, name: &Ident, value: &Expr, span: Span, env: &mut DataEnv) {
        if let Some((_, first)) = self.world.globals.get(&name.text) {
            let d = Diagnostic::error(Code::E0102, format!("`{}` is declared twice", name.text))
                .label(name.span, "declared again here")
                .label(*first, "first declared here");
            self.diagnose(d);
            return;
        }
        let called = match &value.kind {
            ExprKind::Call { callee, args, .. } => match &callee.kind {
                ExprKind::Name(f) => Some((f, args.as_slice())),
                _ => None,
            },
            _ => None,
        };
        let found = match called {
            Some((f, args)) if &*f.text == "statistics" => self.statistics(value, args, env),
            Some((f, args)) if TOKENIZERS.contains(&&*f.text) => self.tokenizer(f, args, env),
            Some((f, args)) if &*f.text == "word_vectors" => self.word_vectors(f, args, env),
            Some((f, args)) if &*f.text == "labels" => self.labels(f, args, env),
            Some((f, args)) if matches!(&*f.text, "bins" | "pca" | "power") => {
                self.learn(f, args, env)
            }
            Some((f, args)) if matches!(&*f.text, "channels" | "zca") => {
                self.of_images(f, args, env)
            }
            _ => self
                .fitted_number(value, env)
                .map(|n| (Some(FitKind::Size(n)), None)),
        };
        let Some((kind, lengths)) = found else { return };
        let fit = match (&kind, lengths) {
            (_, Some(rows)) => Fit::Lengths(rows),
            (Some(FitKind::Statistics { column, .. }), _) => {
                let ty = row_type(env, column);
                Fit::Tensors(Statistic::ALL.map(|s| (s.name(), ty.clone())).to_vec())
            }
            (Some(FitKind::Tensors { column, learn }), _) => {
                Fit::Tensors(learnt(&row_type(env, column), *learn))
            }
            (Some(FitKind::Labels { classes, .. }), _) => Fit::Labels(match classes {
                Some(n) => Dim::Const(i64::from(*n)),
                None => self.world.fitted_size(&format!("{}.size", name.text)),
            }),
            (Some(FitKind::Tokenizer { rules, .. }), _) => Fit::Vocabulary(match rules.num_words {
                Some(n) => Dim::Const(i64::from(n)),
                None => self.world.fitted_size(&format!("{}.size", name.text)),
            }),
            (Some(FitKind::Vectors { vocabulary, .. }), _) => Fit::Vectors {
                words: match self.world.fit(vocabulary) {
                    Some(Fit::Vocabulary(size)) => size,
                    _ => return,
                },
                dim: self.world.fitted_size(&format!("{}.dim", name.text)),
            },
            (Some(FitKind::Size(_)), _) => Fit::Size(self.world.fitted_size(&name.text)),
            // no fit that is written gives weights
            (Some(FitKind::ClassWeights { .. }), _) | (None, None) => return,
        };
        if let Some(kind) = kind {
            env.spec.fits.push(FitSpec {
                name: name.text.to_string(),
                kind,
                span,
            });
        }
        self.world.bind_fit(&name.text, &fit);
        env.fits.insert(name.text.clone(), fit);
    }

    /// `statistics(train.features)`, or of lengths.
    fn statistics(
        &mut self,
        value: &Expr,
        args: &[Arg],
        env: &DataEnv,
    ) -> Option<(Option<FitKind>, Option<RowsSpec>)> {
        let [
            Arg {
                name: None,
                value: of,
                ..
            },
        ] = args
        else {
            self.error(
                Code::E0511,
                value.span,
                "`statistics` takes one column",
                USAGE,
            );
            return None;
        };
        if matches!(of.kind, ExprKind::Pipe { .. } | ExprKind::Call { .. }) {
            return Some((None, Some(self.lengths(of, env)?)));
        }
        let column = self.training_column(of, env)?;
        let Some(c) = env.columns.get(&column.text) else {
            self.error(
                Code::E0302,
                column.span,
                "text has no mean",
                format!("`{}` holds text", column.text),
            );
            return None;
        };
        if c.meaning.is_id() {
            self.error(
                Code::E0302,
                column.span,
                "ids are names, not quantities: they have no mean",
                format!("`{}` holds ids", column.text),
            );
            return None;
        }
        let kind = FitKind::Statistics {
            column: column.text.to_string(),
            statistics: Statistic::ALL.to_vec(),
        };
        Some((Some(kind), None))
    }

    /// `train.column`: the part is named, and it is the training part.
    fn training_column<'a>(&mut self, e: &'a Expr, env: &DataEnv) -> Option<&'a Ident> {
        let (part, column) = match &e.kind {
            ExprKind::Field { base, name: c } => match &base.kind {
                ExprKind::Name(p) => (Some(p), c),
                _ => {
                    self.error(Code::E0511, e.span, USAGE, "this is not a column");
                    return None;
                }
            },
            ExprKind::Name(c) => (None, c),
            _ => {
                self.error(Code::E0511, e.span, USAGE, "this is not a column");
                return None;
            }
        };
        match part {
            Some(p) if &*p.text == "train" => {}
            Some(p) => {
                if self.part(p).is_some() {
                    let d = Diagnostic::error(Code::E0505, format!("statistics must be computed from training rows, not from `{}`", p.text))
                        .label(p.span, "these are not training rows")
                        .note("statistics of other rows leak information about the data that the model is evaluated on")
                        .help(format!("write `train.{}`", column.text))
                        .fix(p.span, "train");
                    self.diagnose(d);
                }
                return None;
            }
            None => {
                let d = Diagnostic::error(Code::E0505, "a fit must name its set of rows")
                    .label(column.span, "which rows?")
                    .help(format!("write `train.{}`", column.text))
                    .fix(column.span, format!("train.{}", column.text));
                self.diagnose(d);
                return None;
            }
        }
        if !env.has_column(&column.text) {
            self.unknown_column(column, env);
            return None;
        }
        Some(column)
    }

    /// `train.text |> tokens(vocab) |> len`
    fn lengths(&mut self, e: &Expr, env: &DataEnv) -> Option<RowsSpec> {
        let rows = self.training_rows(e, env)?;
        if rows.kind == RowsKind::Lengths {
            return Some(rows.rows);
        }
        let d = Diagnostic::error(Code::E0513, "a fitted number must be computed from lengths")
            .label(e.span, format!("this is {}", rows.describe()))
            .help("for example, `percentile(train.text |> tokens(vocab) |> len, 95)`");
        self.diagnose(d);
        None
    }

    /// A text column of the training part, and what is made of it.
    fn training_rows(&mut self, e: &Expr, env: &DataEnv) -> Option<Rows> {
        let (first, stage) = match &e.kind {
            ExprKind::Pipe { value, stage } => match stage_call(stage) {
                Some((f, args)) => (&**value, Some((f, args))),
                None => {
                    self.error(
                        Code::E0511,
                        stage.span,
                        USAGE,
                        "not a function that can be fitted",
                    );
                    return None;
                }
            },
            ExprKind::Call { .. } => match stage_call(e) {
                Some((f, [first, rest @ ..])) if is_row_function(&f.text) => {
                    (&first.value, Some((f, rest)))
                }
                _ => {
                    self.error(Code::E0511, e.span, USAGE, "this is not a column");
                    return None;
                }
            },
            _ => {
                let column = self.training_column(e, env)?;
                if !env.texts.contains(&column.text) {
                    self.error(
                        Code::E0513,
                        column.span,
                        "a fitted number must be computed from lengths of text",
                        format!("`{}` holds numbers", column.text),
                    );
                    return None;
                }
                return Some(Rows::text(&column.text));
            }
        };
        let rows = self.training_rows(first, env)?;
        let (f, args) = stage?;
        match self.row_function(&rows, f, args, e.span, false) {
            Val::Rows(rows) => Some((*rows).clone()),
            _ => None,
        }
    }

    /// A number of fitted numbers: `percentile(...)`, `lengths.mean + 2 * lengths.std`.
    fn fitted_number(&mut self, e: &Expr, env: &DataEnv) -> Option<Number> {
        let pair = |op, a, b| Some(Number::Binary(op, Box::new((a, b))));
        match &e.kind {
            ExprKind::Unary(UnaryOp::Neg, a) => {
                Some(Number::Neg(Box::new(self.fitted_number(a, env)?)))
            }
            ExprKind::Binary(op, a, b) => {
                let op = match op {
                    BinaryOp::Add => NumberOp::Add,
                    BinaryOp::Sub => NumberOp::Sub,
                    BinaryOp::Mul => NumberOp::Mul,
                    BinaryOp::Div => NumberOp::Div,
                    _ => {
                        let what =
                            "fitted numbers can only be added, subtracted, multiplied and divided";
                        self.error(Code::E0511, e.span, what, "unsupported operator");
                        return None;
                    }
                };
                pair(op, self.fitted_number(a, env)?, self.fitted_number(b, env)?)
            }
            ExprKind::Tuple(items) if items.len() == 1 => self.fitted_number(&items[0].value, env),
            ExprKind::Field { base, name } => {
                let ExprKind::Name(fit) = &base.kind else {
                    self.error(Code::E0511, e.span, USAGE, "not a fitted number");
                    return None;
                };
                match env.fits.get(&fit.text) {
                    Some(Fit::Lengths(rows)) => {
                        let found = Statistic::ALL.into_iter().find(|s| s.name() == &*name.text);
                        let Some(statistic) = found else {
                            let known = Statistic::ALL.map(Statistic::name);
                            self.unknown_statistic(&fit.text, name, &known);
                            return None;
                        };
                        Some(Number::Of(Summary::Statistic(statistic), rows.clone()))
                    }
                    Some(Fit::Vocabulary(size)) if &*name.text == "size" => Some(size_number(size)),
                    Some(Fit::Vectors { dim, .. }) if &*name.text == "dim" => {
                        Some(size_number(dim))
                    }
                    Some(_) => {
                        let d = Diagnostic::error(
                            Code::E0511,
                            "a fitted size must be computed from lengths",
                        )
                        .label(e.span, "this is not computed from lengths")
                        .help(USAGE);
                        self.diagnose(d);
                        None
                    }
                    None => self.broken_fit(fit, e, env),
                }
            }
            ExprKind::Name(n) if matches!(env.fits.get(&n.text), Some(Fit::Size(_))) => {
                Some(Number::Size(n.text.to_string()))
            }
            ExprKind::Call { callee, args, .. } => {
                let ExprKind::Name(f) = &callee.kind else {
                    self.error(Code::E0511, callee.span, USAGE, "not a name");
                    return None;
                };
                self.number_call(f, args, e, env)
            }
            ExprKind::Name(n) if env.broken.contains(&n.text) => None,
            ExprKind::Name(n) if env.has_column(&n.text) => {
                let d = Diagnostic::error(Code::E0511, USAGE).label(e.span, "this is a column");
                self.diagnose(d);
                None
            }
            ExprKind::Pipe { .. } => {
                self.lengths(e, env)?;
                let d = Diagnostic::error(Code::E0511, "a fit must be a single number")
                    .label(e.span, "one length per row")
                    .help("for example, `percentile(train.text |> tokens(vocab) |> len, 95)`");
                self.diagnose(d);
                None
            }
            _ => match self.eval(e) {
                Val::Int(Dim::Const(n)) => Some(Number::Given(n as f64)),
                Val::Float(x) => Some(Number::Given(x)),
                Val::Error => None,
                other => {
                    let d = Diagnostic::error(Code::E0511, USAGE)
                        .label(e.span, format!("this is {}", other.describe()));
                    self.diagnose(d);
                    None
                }
            },
        }
    }

    fn number_call(&mut self, f: &Ident, args: &[Arg], e: &Expr, env: &DataEnv) -> Option<Number> {
        let values: Vec<&Expr> = args
            .iter()
            .filter(|a| a.name.is_none())
            .map(|a| &a.value)
            .collect();
        if let Some(n) = args.iter().find_map(|a| a.name.as_ref()) {
            let what = format!("`{}` has no argument `{}`", f.text, n.text);
            self.error(Code::E0104, n.span, what, "unknown argument");
            return None;
        }
        let statistic = Statistic::ALL.into_iter().find(|s| s.name() == &*f.text);
        match (&*f.text, values.as_slice()) {
            (_, [of]) if statistic.is_some() => Some(Number::Of(
                Summary::Statistic(statistic?),
                self.lengths(of, env)?,
            )),
            ("percentile", [of, q]) => {
                let rows = self.lengths(of, env)?;
                let q = match self.eval(q) {
                    Val::Int(Dim::Const(q)) => q as f64,
                    Val::Float(q) => q,
                    Val::Error => return None,
                    _ => f64::NAN,
                };
                if !(0.0..=100.0).contains(&q) {
                    let what = "a percentile must be between 0 and 100";
                    self.error(Code::E0301, values[1].span, what, "invalid percentile");
                    return None;
                }
                Some(Number::Of(Summary::Percentile(q), rows))
            }
            ("maximum" | "minimum", [a, b]) => {
                let op = if &*f.text == "maximum" {
                    NumberOp::Max
                } else {
                    NumberOp::Min
                };
                let both = (self.fitted_number(a, env)?, self.fitted_number(b, env)?);
                Some(Number::Binary(op, Box::new(both)))
            }
            ("percentile" | "maximum" | "minimum", _) => {
                let takes = if &*f.text == "percentile" {
                    "lengths and a number from 0 to 100"
                } else {
                    "two numbers"
                };
                let what = format!("`{}` takes {takes}", f.text);
                self.error(Code::E0107, e.span, what, format!("found {}", values.len()));
                None
            }
            _ if statistic.is_some() => {
                let what = format!("`{}` takes lengths", f.text);
                self.error(Code::E0107, e.span, what, format!("found {}", values.len()));
                None
            }
            _ => {
                let known = [
                    "statistics",
                    "Tokenizer",
                    "Hashing",
                    "BPE",
                    "word_vectors",
                    "labels",
                    "power",
                    "bins",
                    "pca",
                    "channels",
                    "zca",
                    "percentile",
                    "mean",
                    "std",
                    "min",
                    "max",
                ];
                let mut d = Diagnostic::error(Code::E0511, format!("unknown fit `{}`", f.text))
                    .label(f.span, "no such fit");
                d = match did_you_mean(&f.text, known) {
                    Some(near) => d.help(format!("did you mean `{near}`?")).fix(f.span, near),
                    None => d.help(USAGE),
                };
                self.diagnose(d);
                None
            }
        }
    }

    fn broken_fit(&mut self, fit: &Ident, e: &Expr, env: &DataEnv) -> Option<Number> {
        if env.broken.contains(&fit.text) {
            return None;
        }
        if env.has_column(&fit.text) || matches!(&*fit.text, "train" | "val" | "test") {
            let d = Diagnostic::error(Code::E0511, USAGE).label(e.span, "a column is not a number");
            self.diagnose(d);
        } else {
            self.unknown_name(fit);
        }
        None
    }
}

fn size_number(size: &Dim) -> Number {
    match (size.as_const(), size.as_symbol()) {
        (None, Some(name)) => Number::Size(name.to_string()),
        (known, _) => Number::Given(known.unwrap_or_default() as f64),
    }
}

/// What a fit gives of one sample of a column, in f32.
fn row_type(env: &DataEnv, column: &str) -> Type {
    let shape = env.columns.get(column).map(|c| c.ty.shape[1..].to_vec());
    Type::new(Elem::F32, shape.unwrap_or_default())
}
