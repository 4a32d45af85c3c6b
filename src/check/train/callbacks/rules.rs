//! `when CONDITION do ACTION` among the callbacks: names, kinds, and what each action needs.

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::span::Span;
use crate::spec::callbacks::{Better, Callback};
use crate::spec::pattern::Pattern;
use crate::spec::rules::*;
use crate::syntax::ast::{Arg, BinaryOp, Expr, ExprKind, Ident, UnaryOp};

use crate::check::elab::Elab;
use crate::check::elab::value::{Val, float};
use crate::check::elab::world::Global;

use super::args::{Given, Kin, Known};
use super::{MONITORING, Reported};

/// Every action with its arguments.
const ACTIONS: Known = &[
    ("notify", &["url", "message"]),
    ("print", &["message"]),
    ("restore_best", &[MONITORING, "mode"]),
    ("save", &["filepath", "save_weights_only"]),
    ("set_lr", &["lr"]),
    ("stop", &[]),
];

/// What a rule knows beside the metrics.
const PLACES: [&str; 3] = ["epoch", "step", "lr"];

/// What it can ask of a metric's past.
const PAST: [&str; 3] = ["best", "previous", "since_best"];

/// A rule while it is read.
struct Reading<'a> {
    run: &'a Reported,
    watched: Vec<Watched>,
    /// Metrics named, to be looked at once it is known when the rule is considered.
    metrics: Vec<(String, Span)>,
    /// Where the condition names `step`.
    step: Option<Span>,
    /// Whether `lr` is each rate in turn.
    every_rate: bool,
}

enum Read {
    Number(Term),
    Truth(Test),
}

impl Elab<'_> {
    /// `span`: of the whole rule.
    pub(super) fn when(
        &mut self,
        cond: &Expr,
        action: &Expr,
        span: Span,
        run: &Reported,
    ) -> Option<Callback> {
        let before = self.diags.len();
        let mut reading = Reading {
            run,
            watched: Vec::new(),
            metrics: Vec::new(),
            step: None,
            every_rate: false,
        };
        let when = self.truth(cond, &mut reading);
        let each_step = reading.step.is_some();
        let action = self.action(action, span, each_step, &mut reading);
        for (name, at) in std::mem::take(&mut reading.metrics) {
            self.reported(run, &name, each_step, at);
        }
        let rule = Rule {
            when: when?,
            action: action?,
            watched: reading.watched,
            each_step,
        };
        (self.diags.len() == before).then_some(Callback::When(rule))
    }

    /// A condition.
    fn truth(&mut self, e: &Expr, r: &mut Reading) -> Option<Test> {
        match self.read(e, r)? {
            Read::Truth(test) => Some(test),
            Read::Number(_) => {
                let d =
                    Diagnostic::error(Code::E0631, "the condition of a rule must be true or false")
                        .label(e.span, "this is a number")
                        .help("compare it with something, as in `val_accuracy > 0.98`");
                self.report(d);
                None
            }
        }
    }

    fn term(&mut self, e: &Expr, r: &mut Reading) -> Option<Term> {
        match self.read(e, r)? {
            Read::Number(term) => Some(term),
            Read::Truth(_) => {
                self.error(
                    Code::E0631,
                    e.span,
                    "expected a number",
                    "this is true or false",
                );
                None
            }
        }
    }

    pub fn read(&mut self, e: &Expr, r: &mut Reading) -> Option<Read> {
        Some(match &e.kind {
            ExprKind::Name(n) => return self.rule_name(n, e, r),
            ExprKind::Unary(UnaryOp::Neg, a) => {
                Read::Number(Term::Negative(Box::new(self.term(a, r)?)))
            }
            ExprKind::Unary(UnaryOp::Not, a) => Read::Truth(Test::Not(Box::new(self.truth(a, r)?))),
            ExprKind::Binary(op @ (BinaryOp::And | BinaryOp::Or), a, b) => {
                let (a, b) = (self.truth(a, r), self.truth(b, r));
                let (a, b) = (Box::new(a?), Box::new(b?));
                Read::Truth(match op {
                    BinaryOp::And => Test::And(a, b),
                    _ => Test::Or(a, b),
                })
            }
            ExprKind::Binary(op, a, b) => {
                let (x, y) = (self.term(a, r), self.term(b, r));
                let (x, y) = (Box::new(x?), Box::new(y?));
                match (comparison(*op), arithmetic(*op)) {
                    (Some(by), _) => Read::Truth(Test::Compare(by, x, y)),
                    (_, Some(by)) => Read::Number(Term::Binary(by, x, y)),
                    _ => return self.not_in_a_rule(e.span, "this operator is for tensors"),
                }
            }
            ExprKind::Call { callee, args, .. } => match &callee.kind {
                ExprKind::Name(f) => return self.rule_call(f, args, e, r),
                _ => return self.not_in_a_rule(e.span, "only a name can be called"),
            },
            ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Percent(_) | ExprKind::Bool(_) => {
                return self.rule_constant(e);
            }
            ExprKind::Str(_) => return self.not_in_a_rule(e.span, "this is a string"),
            _ => return self.not_in_a_rule(e.span, "unknown name in a rule"),
        })
    }

    /// `loss`, `epoch`, or a constant of the file.
    fn rule_name(&mut self, n: &Ident, e: &Expr, r: &mut Reading) -> Option<Read> {
        let name = &*n.text;
        let bare = name.strip_prefix("val_").unwrap_or(name);
        if r.run.metrics.iter().any(|(m, _)| m == name || m == bare) {
            r.metrics.push((name.into(), n.span));
            return Some(Read::Number(Term::Metric(name.into())));
        }
        match name {
            "epoch" => Some(Read::Number(Term::Epoch)),
            "step" => {
                r.step.get_or_insert(n.span);
                Some(Read::Number(Term::Step))
            }
            "lr" => {
                self.one_rate(n.span, r)?;
                Some(Read::Number(Term::Rate))
            }
            _ if self.is_a_const(name) => self.rule_constant(e),
            _ => {
                r.metrics.push((name.into(), n.span));
                None
            }
        }
    }

    /// `lr` must be one number.
    fn one_rate(&mut self, at: Span, r: &Reading) -> Option<()> {
        let reason = match r.run.rates {
            1 => return Some(()),
            0 => "the optimizer has no argument `lr`",
            _ if r.every_rate => return Some(()),
            _ => "each optimizer has its own learning rate",
        };
        self.error(Code::E0631, at, "`lr` is ambiguous here", reason);
        None
    }

    fn rule_constant(&mut self, e: &Expr) -> Option<Read> {
        match self.eval(e) {
            Val::Error => None,
            Val::Bool(b) => Some(Read::Truth(Test::Known(b))),
            v => match float(&v) {
                Some(x) => Some(Read::Number(Term::Number(x))),
                None => self.not_in_a_rule(e.span, &v.describe()),
            },
        }
    }

    fn rule_call(&mut self, f: &Ident, args: &[Arg], e: &Expr, r: &mut Reading) -> Option<Read> {
        let pair = |by: Arithmetic| move |a, b| Term::Binary(by, Box::new(a), Box::new(b));
        let plain = args.iter().all(|a| a.name.is_none());
        let term = match (&*f.text, args) {
            ("abs", [a]) if plain => Term::Abs(Box::new(self.term(&a.value, r)?)),
            ("minimum", [a, b]) if plain => {
                pair(Arithmetic::Least)(self.term(&a.value, r)?, self.term(&b.value, r)?)
            }
            ("maximum", [a, b]) if plain => {
                pair(Arithmetic::Greatest)(self.term(&a.value, r)?, self.term(&b.value, r)?)
            }
            (past, [metric, mode @ ..]) if PAST.contains(&past) && mode.len() < 2 => {
                let ExprKind::Name(name) = &metric.value.kind else {
                    return self.not_in_a_rule(metric.span, "expected the name of a metric");
                };
                match past {
                    "previous" if mode.is_empty() => Term::Previous(self.watch(name, None, r)?),
                    "previous" => return self.not_in_a_rule(e.span, "unexpected argument"),
                    past => {
                        let mode = mode.first();
                        if mode.is_some_and(|m| m.name.as_ref().is_none_or(|n| &*n.text != "mode"))
                        {
                            return self.not_in_a_rule(e.span, "unexpected argument");
                        }
                        let mode = mode.map(|m| &m.value);
                        let better = self.better(r.run, &name.text, mode, name.span)?;
                        let at = self.watch(name, Some(better), r)?;
                        match past {
                            "best" => Term::Best(at),
                            _ => Term::SinceBest(at),
                        }
                    }
                }
            }
            (name, _) => {
                let known = ["abs", "minimum", "maximum"].iter().chain(&PAST);
                let d = Diagnostic::error(Code::E0631, format!("a rule cannot use `{name}`"))
                    .label(e.span, "not available in a rule");
                let d = match did_you_mean(name, known.copied().filter(|k| *k != name)) {
                    Some(near) => d.help(format!("did you mean `{near}`?")).fix(f.span, near),
                    None => d.help(
                        "write `best(m)`, `previous(m)` or `since_best(m)` of a metric, \
                         `abs(x)`, `minimum(x, y)` or `maximum(x, y)`",
                    ),
                };
                self.report(d);
                return None;
            }
        };
        Some(Read::Number(term))
    }

    /// The place of what is remembered of a metric.
    fn watch(&mut self, metric: &Ident, better: Option<Better>, r: &mut Reading) -> Option<usize> {
        r.metrics.push((metric.text.to_string(), metric.span));
        let watched = Watched {
            metric: metric.text.to_string(),
            better,
        };
        let known = r.watched.iter().position(|w| *w == watched);
        Some(known.unwrap_or_else(|| {
            r.watched.push(watched);
            r.watched.len() - 1
        }))
    }

    fn not_in_a_rule<T>(&mut self, at: Span, found: &str) -> Option<T> {
        let d = Diagnostic::error(Code::E0631, "a rule can only compare numbers")
            .label(at, found)
            .help(
                "use metrics, `epoch`, `step`, `lr` and numbers, with arithmetic and comparisons",
            );
        self.report(d);
        None
    }

    fn action(&mut self, e: &Expr, rule: Span, each_step: bool, r: &mut Reading) -> Option<Action> {
        let given = self.given(e, false, &ACTION)?;
        match given.callback {
            "stop" => Some(Action::Stop),
            "print" => Some(Action::Print(self.message(&given, each_step, r)?)),
            "notify" => {
                let url = self.address(&given, "url")?;
                let message = self.message(&given, each_step, r)?;
                Some(Action::Notify { url, message })
            }
            "save" => {
                let text = self.path(&given, "filepath", None)?;
                let at = given.get("filepath").map_or(rule, |e| e.span);
                Some(Action::Save {
                    path: self.weights_path(&text, at, r.run, &PLACES, each_step)?,
                    weights_only: self.flag(&given, "save_weights_only", false)?,
                })
            }
            "set_lr" => {
                self.adjustable(&given, r.run)?;
                let Some(rate) = given.get("lr") else {
                    return self.missing(&given, "lr", "set_lr(lr / 2)");
                };
                r.every_rate = true;
                let step = r.step;
                let rate = self.term(rate, r);
                r.every_rate = false;
                r.step = step;
                Some(Action::SetRate(rate?))
            }
            _ => {
                let monitor = self.monitor(&given, r.run, each_step)?;
                let watched = Watched {
                    metric: monitor.name,
                    better: Some(monitor.better),
                };
                let known = r.watched.iter().position(|w| *w == watched);
                Some(Action::RestoreBest(known.unwrap_or_else(|| {
                    r.watched.push(watched);
                    r.watched.len() - 1
                })))
            }
        }
    }

    /// A text with values in braces.
    fn message(&mut self, given: &Given, each_step: bool, r: &Reading) -> Option<Pattern> {
        let Some(e) = given.get("message") else {
            let example = match given.callback {
                "print" => "print(\"epoch {epoch}: {loss:.3f}\")",
                _ => "notify(\"http://localhost:9000\", \"epoch {epoch}: {loss:.3f}\")",
            };
            return self.missing(given, "message", example);
        };
        let text = match self.eval(e) {
            Val::Str(s) => s,
            Val::Error => return None,
            v => {
                return self.bad_value(
                    "a message must be a string in quotes",
                    e.span,
                    &v.describe(),
                );
            }
        };
        let parsed = Pattern::parse(&text).map_err(Some).and_then(|pattern| {
            self.fillable(&pattern, e.span, r.run, &PLACES, each_step)?;
            Ok(pattern)
        });
        match parsed {
            Ok(pattern) => Some(pattern),
            Err(reason) => self.bad_value(
                "values in a message are written like `{loss:.3f}`",
                e.span,
                &format!("a string in which {}", reason?),
            ),
        }
    }

    fn is_a_const(&self, name: &str) -> bool {
        matches!(
            self.world.globals.get(name),
            Some((Global::Const | Global::Broken, _))
        )
    }
}

/// How actions are told from one another.
const ACTION: Kin = Kin {
    code: Code::E0633,
    what: "action",
    known: ACTIONS,
    example: "stop",
};

fn comparison(op: BinaryOp) -> Option<Comparison> {
    Some(match op {
        BinaryOp::Eq => Comparison::Equal,
        BinaryOp::Ne => Comparison::Unequal,
        BinaryOp::Lt => Comparison::Less,
        BinaryOp::Le => Comparison::AtMost,
        BinaryOp::Gt => Comparison::Greater,
        BinaryOp::Ge => Comparison::AtLeast,
        _ => return None,
    })
}

fn arithmetic(op: BinaryOp) -> Option<Arithmetic> {
    Some(match op {
        BinaryOp::Add => Arithmetic::Add,
        BinaryOp::Sub => Arithmetic::Subtract,
        BinaryOp::Mul => Arithmetic::Multiply,
        BinaryOp::Div => Arithmetic::Divide,
        BinaryOp::Rem => Arithmetic::Remainder,
        BinaryOp::Pow => Arithmetic::Power,
        _ => return None,
    })
}
