//! Expressions.

pub(super) mod argument;
pub(super) mod bind;
pub(super) mod block;
pub(super) mod builtin;
pub(super) mod call;
pub(super) mod collected;
pub(super) mod fitted;
pub(super) mod index;
pub(super) mod inner;
pub(super) mod model;
pub(super) mod model_inputs;
pub(super) mod names;
pub(super) mod ops;
pub(super) mod options;
pub(super) mod param;
pub(super) mod result;
pub(super) mod scan;
pub(super) mod unify;
pub(super) mod untaken;

use std::rc::Rc;
use std::sync::Arc;

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::ir::Dim;
use crate::library::foreign::{Place, foreign};
use crate::span::Span;
use crate::syntax::ast::{Arg, BinaryOp, Expr, ExprKind, Ident, UnaryOp};
use crate::syntax::visit::Visitor;

use crate::check::elab::Elab;
use crate::check::elab::value::{ArgVal, Kind, Val};

use call::configures;
use inner::configures_anew;

impl Elab<'_> {
    pub fn eval(&mut self, e: &Expr) -> Val {
        self.eval_as(e, None)
    }

    /// The same; a layer that the expression makes has the name that it is bound to.
    fn eval_as(&mut self, e: &Expr, hint: Option<Arc<str>>) -> Val {
        if !self.enter_expression(e.span) {
            return Val::Error;
        }
        let v = self.eval_inner(e, hint);
        self.leave_expression();
        v
    }

    fn eval_inner(&mut self, e: &Expr, hint: Option<Arc<str>>) -> Val {
        match &e.kind {
            ExprKind::Int(i) => Val::Int(Dim::Const(*i)),
            ExprKind::Float(x) => Val::Float(*x),
            ExprKind::Percent(x) => Val::Float(x / 100.0),
            ExprKind::Str(s) => Val::Str(s.as_str().into()),
            ExprKind::Bool(b) => Val::Bool(*b),
            ExprKind::None => Val::None,
            ExprKind::Name(n) => self.bare_name(n, hint, e.span),
            ExprKind::List(items) => {
                let items: Vec<Val> = items.iter().map(|i| self.eval(i)).collect();
                if items.iter().any(Val::is_error) {
                    Val::Error
                } else {
                    Val::list(items)
                }
            }
            ExprKind::Tuple(items) => match items.as_slice() {
                [
                    Arg {
                        name: None, value, ..
                    },
                ] => self.eval(value),
                _ => {
                    let items = items
                        .iter()
                        .map(|a| (a.name.as_ref().map(|n| n.text.clone()), self.eval(&a.value)));
                    Val::Tuple(Rc::new(items.collect()))
                }
            },
            ExprKind::Unary(op, a) => {
                let v = self.eval(a);
                match op {
                    UnaryOp::Neg => self.negate(v, e.span),
                    UnaryOp::Not => self.not(v, e.span),
                }
            }
            ExprKind::Binary(op, a, b) => self.eval_binary(*op, a, b, e.span),
            ExprKind::Call { callee, args, .. } => {
                if let Some(v) = (self.world.extensions.data_call)(self, e) {
                    return v;
                }
                let f = self.eval(callee);
                let args = self.args(args);
                self.call(f, args, e.span, hint)
            }
            ExprKind::Pipe { value, stage } => match (self.world.extensions.data_call)(self, e) {
                Some(v) => v,
                None => self.pipe(value, stage),
            },
            ExprKind::Index { base, items } => {
                let v = self.eval(base);
                self.index(v, items, e.span)
            }
            ExprKind::Field { base, name } => self.field(base, name),
            ExprKind::If {
                cond,
                then,
                otherwise,
            } => self.eval_if(cond, then, otherwise.as_ref(), e.span),
            ExprKind::Range(..) => self.error(
                Code::E0308,
                e.span,
                "a range is only allowed in a sweep or a column",
                "this is used as a value",
            ),
            ExprKind::Scan(s) => self.scan(s, e.span),
            ExprKind::When { .. } => self.error(
                Code::E0632,
                e.span,
                "a rule is only allowed in `callbacks`",
                "this is used as a value",
            ),
        }
    }

    fn args(&mut self, args: &[Arg]) -> Vec<ArgVal> {
        self.seeking(None, |el| el.args_of_any_kind(args))
    }

    fn args_of_any_kind(&mut self, args: &[Arg]) -> Vec<ArgVal> {
        args.iter()
            .map(|a| {
                // A bare name that means nothing may be one of the words a parameter lists.
                let symbol = match &a.value.kind {
                    ExprKind::Name(n) if !self.is_known(&n.text) => Some(n.clone()),
                    _ => None,
                };
                let val = if symbol.is_some() {
                    Val::Error
                } else {
                    self.eval(&a.value)
                };
                // A word of the language may be a listed word too: `padding = same`.
                let symbol = symbol.or_else(|| match &a.value.kind {
                    ExprKind::Name(n) if !matches!(val, Val::Symbol(_) | Val::Error) => {
                        Some(n.clone())
                    }
                    _ => None,
                });
                ArgVal {
                    name: a.name.clone(),
                    val,
                    span: a.value.span,
                    symbol,
                }
            })
            .collect()
    }

    fn eval_binary(&mut self, op: BinaryOp, a: &Expr, b: &Expr, span: Span) -> Val {
        // `padding == same`: a bare word beside an option is an option, even where the word
        // means something else too (`mode == fan_in`).
        if matches!(op, BinaryOp::Eq | BinaryOp::Ne) {
            let option = |e: &Expr| match &e.kind {
                ExprKind::Name(n) => match self.top().get(&n.text).map(|var| &var.val) {
                    Some(Val::Symbol(s)) => Some(s.clone()),
                    _ => None,
                },
                _ => None,
            };
            match (option(a), option(b), &a.kind, &b.kind) {
                (Some(s), None, _, ExprKind::Name(n)) | (None, Some(s), ExprKind::Name(n), _) => {
                    return self.binary(op, Val::Symbol(s), Val::Symbol(n.text.clone()), span);
                }
                _ => {}
            }
            for (word, other) in [(a, b), (b, a)] {
                if let ExprKind::Name(n) = &word.kind
                    && !self.is_known(&n.text)
                {
                    let v = self.eval(other);
                    if matches!(v, Val::Symbol(_)) {
                        return self.binary(op, v, Val::Symbol(n.text.clone()), span);
                    }
                }
            }
        }
        let x = self.eval(a);
        // Known on the left, the right need not be defined.
        match (op, &x) {
            (BinaryOp::And, Val::Bool(false)) | (BinaryOp::Or, Val::Bool(true)) => {
                self.untaken(b.span, |names| names.expr(b));
                return x;
            }
            _ => {}
        }
        let y = self.eval(b);
        self.with_operands((a.span, b.span), |el| el.binary(op, x, y, span))
    }

    /// `value |> stage`: the value becomes the stage's input.
    fn pipe(&mut self, value: &Expr, stage: &Expr) -> Val {
        let v = self.eval(value);
        match v {
            // Elsewhere the stage is checked all the same. Stages of texts are the data's own.
            Val::Error if self.data.feed_depth != 0 => return v,
            Val::Rows(rows) => return (self.world.extensions.row_stage)(self, &rows, stage),
            _ => {}
        }
        let span = stage.span;
        let input = ArgVal {
            name: None,
            val: v,
            span: value.span,
            symbol: None,
        };
        match &stage.kind {
            ExprKind::Call { callee, args, .. } => {
                let f = self.eval(callee);
                let args = self.args(args);
                let inserts = match &f {
                    Val::Layer(l) => !configures_anew(l, &args),
                    Val::Builtin(_) | Val::Model(_) => true,
                    Val::Def(c) => !configures(c, &args),
                    _ => false,
                };
                if inserts {
                    return self.call(f, std::iter::once(input).chain(args).collect(), span, None);
                }
                let made = self.call(f, args, span, None);
                self.apply_stage(made, input, span)
            }
            _ => {
                let f = self.eval(stage);
                self.apply_stage(f, input, span)
            }
        }
    }

    fn apply_stage(&mut self, f: Val, input: ArgVal, span: Span) -> Val {
        match f {
            Val::Tensor(_)
            | Val::Int(_)
            | Val::Float(_)
            | Val::List(_)
            | Val::Tuple(_)
            | Val::Str(_)
            | Val::Bool(_) => {
                let d = Diagnostic::error(
                    Code::E0311,
                    "each stage of `|>` must be a layer or a function",
                )
                .label(span, format!("this is {}", f.describe()));
                self.diagnose(d)
            }
            Val::Def(c) if c.defs[0].def.kind == crate::syntax::ast::DefKind::Layer => {
                match self.instance(c, span, None) {
                    Val::Layer(l) => self.apply_layer(&l, vec![input], span),
                    other => other,
                }
            }
            Val::Def(c) => self.apply(&c, vec![input], span, "".into()),
            other => self.call(other, vec![input], span, None),
        }
    }

    fn field(&mut self, base: &Expr, name: &Ident) -> Val {
        let v = self.eval(base);
        match v {
            Val::Error => Val::Error,
            Val::Fitted(fit) => self.fitted_field(&fit, name),
            Val::Layer(l) => self.layer_field(&l, name),
            Val::Tuple(items) => match items.iter().find(|(n, _)| n.as_ref() == Some(&name.text)) {
                Some((_, v)) => v.clone(),
                None => {
                    let known: Vec<&str> = items.iter().filter_map(|(n, _)| n.as_deref()).collect();
                    let mut d = Diagnostic::error(
                        Code::E0110,
                        format!("this tuple has no field `{}`", name.text),
                    )
                    .label(name.span, "unknown field");
                    if let Some(near) = did_you_mean(&name.text, known) {
                        d = d
                            .help(format!("did you mean `{near}`?"))
                            .fix(name.span, near);
                    }
                    self.diagnose(d)
                }
            },
            other => {
                let mut d =
                    Diagnostic::error(Code::E0110, format!("{} has no fields", other.describe()))
                        .label(name.span, "a field is used here");
                if let Some(found) = foreign(&name.text, Place::Field) {
                    d = d.help(found.help);
                }
                self.diagnose(d)
            }
        }
    }

    /// The branch that a compile-time condition takes; both are checked where it is not known.
    fn eval_if(
        &mut self,
        cond: &Expr,
        then: &crate::syntax::ast::Block,
        otherwise: Option<&crate::syntax::ast::Block>,
        span: Span,
    ) -> Val {
        let c = self.eval(cond);
        let missing = |el: &mut Self| {
            el.error(
                Code::E0401,
                span,
                "an `if` without `else` has no value",
                "its value is needed here",
            )
        };
        match c {
            Val::Bool(true) => {
                self.untaken_block(otherwise);
                self.nested(then).unwrap_or(Val::None)
            }
            Val::Bool(false) => {
                self.untaken_block(Some(then));
                match otherwise {
                    Some(b) => self.nested(b).unwrap_or(Val::None),
                    None => Val::None,
                }
            }
            Val::Unknown(Kind::Bool) => {
                let a = self.nested(then);
                let b = match otherwise {
                    Some(b) => self.nested(b),
                    None => {
                        return if a.is_some() {
                            missing(self)
                        } else {
                            Val::None
                        };
                    }
                };
                match (a, b) {
                    (Some(Val::Tensor(x)), Some(Val::Tensor(y))) if x.ty == y.ty => Val::Tensor(x),
                    (Some(Val::Int(x)), Some(Val::Int(y))) if x == y => Val::Int(x),
                    _ => Val::Error,
                }
            }
            Val::Error => {
                self.untaken_block(Some(then));
                self.untaken_block(otherwise);
                Val::Error
            }
            Val::Tensor(t) => {
                let d = Diagnostic::error(
                    Code::E0308,
                    "the condition of `if` must be known at compile time",
                )
                .label(cond.span, format!("this is {t}"))
                .help("use `select(condition, a, b)` to choose element by element");
                self.diagnose(d)
            }
            other => self.error(
                Code::E0308,
                cond.span,
                "a condition must be true or false",
                format!("this is {}", other.describe()),
            ),
        }
    }

    fn nested(&mut self, b: &crate::syntax::ast::Block) -> Option<Val> {
        self.frame().push_block();
        let v = self.block(b);
        self.frame().pop_block();
        v
    }
}
