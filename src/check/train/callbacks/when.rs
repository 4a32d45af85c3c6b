//! `when CONDITION do ACTION` among the callbacks: names, kinds, and what each action needs.

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::span::Span;
use crate::spec::call::{Arguments, Signature};
use crate::spec::callbacks::{CallbackSpec, MONITORING};
use crate::spec::names;
use crate::spec::pattern::Pattern;
use crate::spec::trigger::*;
use crate::syntax::ast::{Arg, BinaryOp, Expr, ExprKind, Ident, UnaryOp};

use super::Reported;
use super::args::{CallArguments, CallTable};
use super::reader::Reader;
use crate::check::elab::Elab;
use crate::check::elab::value::{Val, float};
use crate::check::elab::world::Global;

/// An action: how it is written, and how its arguments are read.
struct ActionRow {
    signature: Signature,
    read: fn(&mut Elab, &CallArguments, &mut Reading) -> Option<Action>,
}

const fn action(
    name: &'static str,
    parameters: &'static [&'static str],
    read: fn(&mut Elab, &CallArguments, &mut Reading) -> Option<Action>,
) -> ActionRow {
    ActionRow {
        signature: Signature::new(name, parameters),
        read,
    }
}

const ACTIONS: CallTable<ActionRow> = CallTable {
    unknown: Code::E0633,
    bad_value: Code::E0615,
    what: "action",
    rows: &[
        action("notify", &["url", "message"], notify),
        action("print", &["message"], print),
        action("restore_best", &[MONITORING, "mode"], restore_best),
        action("save", &["filepath", "save_weights_only"], save),
        action("set_lr", &["lr"], set_lr),
        action("stop", &[], |_, _, _| Some(Action::Stop)),
    ],
    signature: |row| &row.signature,
    example: "stop",
};

/// What a rule knows beside the metrics.
const PLACES: [&str; 3] = ["epoch", "step", "lr"];

/// What it can ask of a metric's past.
const PAST: [Past; 3] = [
    Past {
        name: "best",
        of_best: true,
        term: Term::Best,
    },
    Past {
        name: "previous",
        of_best: false,
        term: Term::Previous,
    },
    Past {
        name: "since_best",
        of_best: true,
        term: Term::SinceBest,
    },
];

struct Past {
    name: &'static str,
    /// Whether it depends on what is better.
    of_best: bool,
    /// Makes the term from the place of what is remembered.
    term: fn(usize) -> Term,
}

/// A trigger while it is read.
struct Reading<'a> {
    run: &'a Reported,
    watched: Vec<Watched>,
    /// Metrics named, to be looked at once it is known when the rule is considered.
    metrics: Vec<(String, Span)>,
    /// Where the condition names `step`.
    step: Option<Span>,
    /// Whether `lr` is each rate in turn.
    every_rate: bool,
    /// Whether the condition, read before the action, names `step`.
    each_step: bool,
}

enum Read {
    Number(Term),
    Truth(Test),
}

impl Elab<'_> {
    pub fn when(&mut self, cond: &Expr, action: &Expr, run: &Reported) -> Option<CallbackSpec> {
        let before = self.errors();
        let mut reading = Reading {
            run,
            watched: Vec::new(),
            metrics: Vec::new(),
            step: None,
            every_rate: false,
            each_step: false,
        };
        let when = self.truth(cond, &mut reading);
        let each_step = reading.step.is_some();
        reading.each_step = each_step;
        let call = self.call_of(action, false, &ACTIONS);
        let action = call.and_then(|(row, call)| (row.read)(self, &call, &mut reading));
        for (name, at) in std::mem::take(&mut reading.metrics) {
            self.reported(run, &name, each_step, at);
        }
        let trigger = Trigger {
            when: when?,
            action: action?,
            watched: reading.watched,
            each_step,
        };
        (self.errors() == before).then(|| CallbackSpec::new("when", trigger))
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
                self.diagnose(d);
                None
            }
        }
    }

    fn truths(&mut self, a: &Expr, b: &Expr, r: &mut Reading) -> Option<(Box<Test>, Box<Test>)> {
        let (a, b) = (self.truth(a, r), self.truth(b, r));
        Some((Box::new(a?), Box::new(b?)))
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

    fn read(&mut self, e: &Expr, r: &mut Reading) -> Option<Read> {
        Some(match &e.kind {
            ExprKind::Name(n) => return self.rule_name(n, e, r),
            ExprKind::Unary(UnaryOp::Neg, a) => {
                Read::Number(Term::Negative(Box::new(self.term(a, r)?)))
            }
            ExprKind::Unary(UnaryOp::Not, a) => Read::Truth(Test::Not(Box::new(self.truth(a, r)?))),
            ExprKind::Binary(BinaryOp::And, a, b) => {
                let (a, b) = self.truths(a, b, r)?;
                Read::Truth(Test::And(a, b))
            }
            ExprKind::Binary(BinaryOp::Or, a, b) => {
                let (a, b) = self.truths(a, b, r)?;
                Read::Truth(Test::Or(a, b))
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
        let bare = names::metric(name);
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
            (name, _) => {
                let past = PAST.iter().find(|p| p.name == name);
                if let (Some(past), [metric, mode @ ..]) = (past, args)
                    && mode.len() < 2
                {
                    return self.past(past, metric, mode.first(), e.span, r);
                }
                let past = PAST.iter().map(|p| p.name);
                let known = ["abs", "minimum", "maximum"].into_iter().chain(past);
                let d = Diagnostic::error(Code::E0631, format!("a rule cannot use `{name}`"))
                    .label(e.span, "not available in a rule");
                let d = match did_you_mean(name, known.filter(|k| *k != name)) {
                    Some(near) => d.help(format!("did you mean `{near}`?")).fix(f.span, near),
                    None => d.help(
                        "write `best(m)`, `previous(m)` or `since_best(m)` of a metric, \
                         `abs(x)`, `minimum(x, y)` or `maximum(x, y)`",
                    ),
                };
                self.diagnose(d);
                return None;
            }
        };
        Some(Read::Number(term))
    }

    fn past(
        &mut self,
        past: &Past,
        metric: &Arg,
        mode: Option<&Arg>,
        call: Span,
        r: &mut Reading,
    ) -> Option<Read> {
        let ExprKind::Name(name) = &metric.value.kind else {
            return self.not_in_a_rule(metric.span, "expected the name of a metric");
        };
        let named = |m: &Arg| m.name.as_ref().is_some_and(|n| &*n.text == "mode");
        if mode.is_some_and(|m| !past.of_best || !named(m)) {
            return self.not_in_a_rule(call, "unexpected argument");
        }
        let better = match past.of_best {
            true => Some(self.better(r.run, &name.text, mode.map(|m| &m.value), name.span)?),
            false => None,
        };
        r.metrics.push((name.text.to_string(), name.span));
        let place = r.place(Watched {
            metric: name.text.to_string(),
            better,
        });
        Some(Read::Number((past.term)(place)))
    }

    fn not_in_a_rule<T>(&mut self, at: Span, found: &str) -> Option<T> {
        let d = Diagnostic::error(Code::E0631, "a rule can only compare numbers")
            .label(at, found)
            .help(
                "use metrics, `epoch`, `step`, `lr` and numbers, with arithmetic and comparisons",
            );
        self.diagnose(d);
        None
    }

    fn is_a_const(&self, name: &str) -> bool {
        matches!(
            self.world.globals.get(name),
            Some((Global::Const | Global::Broken, _))
        )
    }
}

fn notify(elab: &mut Elab, call: &CallArguments, r: &mut Reading) -> Option<Action> {
    let url = reader(elab, call, r).given_url("url")?;
    let example = "notify(\"http://localhost:9000\", \"epoch {epoch}: {loss:.3f}\")";
    let message = message(elab, call, r, example)?;
    Some(Action::Notify { url, message })
}

fn print(elab: &mut Elab, call: &CallArguments, r: &mut Reading) -> Option<Action> {
    let example = "print(\"epoch {epoch}: {loss:.3f}\")";
    Some(Action::Print(message(elab, call, r, example)?))
}

fn save(elab: &mut Elab, call: &CallArguments, r: &mut Reading) -> Option<Action> {
    let mut args = reader(elab, call, r);
    let text = args.path("filepath", None)?;
    Some(Action::Save {
        path: args.weights_path("filepath", &text, &PLACES, r.each_step)?,
        weights_only: args.flag("save_weights_only", false)?,
    })
}

fn set_lr(elab: &mut Elab, call: &CallArguments, r: &mut Reading) -> Option<Action> {
    let mut args = reader(elab, call, r);
    args.needs_settable_rate()?;
    let Some(rate) = call.get("lr") else {
        return args.missing("lr", "set_lr(lr / 2)");
    };
    r.every_rate = true;
    let step = r.step;
    let rate = elab.term(rate, r);
    r.every_rate = false;
    r.step = step;
    Some(Action::SetRate(rate?))
}

fn restore_best(elab: &mut Elab, call: &CallArguments, r: &mut Reading) -> Option<Action> {
    let monitor = reader(elab, call, r).monitor(r.each_step)?;
    Some(Action::RestoreBest(r.place(Watched {
        metric: monitor.name,
        better: Some(monitor.better),
    })))
}

fn reader<'r, 'a, 'w>(
    elab: &'r mut Elab<'w>,
    call: &'r CallArguments<'a>,
    reading: &Reading<'r>,
) -> Reader<'r, 'a, 'w> {
    Reader {
        elab,
        call,
        run: reading.run,
    }
}

/// A text with values in braces.
fn message(elab: &mut Elab, call: &CallArguments, r: &Reading, example: &str) -> Option<Pattern> {
    let Some(e) = call.get("message") else {
        return reader(elab, call, r).missing("message", example);
    };
    let text = match elab.eval(e) {
        Val::Str(s) => s,
        Val::Error => return None,
        v => {
            let rule = "a message must be a string in quotes";
            return elab.bad_value(call.bad_value, rule, e.span, &v.describe());
        }
    };
    let parsed = Pattern::parse(&text).map_err(Some).and_then(|pattern| {
        elab.fillable(&pattern, e.span, r.run, &PLACES, r.each_step)?;
        Ok(pattern)
    });
    match parsed {
        Ok(pattern) => Some(pattern),
        Err(reason) => {
            let rule = "values in a message are written like `{loss:.3f}`";
            let found = format!("a string in which {}", reason?);
            elab.bad_value(call.bad_value, rule, e.span, &found)
        }
    }
}

impl Reading<'_> {
    /// The place of what is remembered of a metric.
    fn place(&mut self, watched: Watched) -> usize {
        let known = self.watched.iter().position(|w| *w == watched);
        known.unwrap_or_else(|| {
            self.watched.push(watched);
            self.watched.len() - 1
        })
    }
}

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
