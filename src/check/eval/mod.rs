//! Expressions.

pub mod bind;
pub mod block;
pub mod call;
pub mod generic;
pub mod inner;
pub mod mask;
pub mod ops;
pub mod param;
pub mod scan;

use std::rc::Rc;
use std::sync::Arc;

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::ir::{Dim, Elem, Prim, Shape};
use crate::span::Span;
use crate::syntax::ast::{Arg, BinaryOp, Expr, ExprKind, Ident, IndexItem, UnaryOp};

use super::data::Fit;
use super::elab::Elab;
use super::elab::value::{ArgVal, Configured, Kind, Tensor, Val};
use super::elab::world::{ConstState, Global};

/// Expressions inside expressions, through the bodies of calls and consts. The stack
/// that checking runs on is large enough for these.
const MAX_HEIGHT: usize = 10_000;

impl Elab<'_> {
    pub fn eval(&mut self, e: &Expr) -> Val {
        if self.height == MAX_HEIGHT {
            return self.error(
                Code::E0116,
                e.span,
                "expressions are nested too deeply",
                "here it gave up",
            );
        }
        self.height += 1;
        let v = self.eval_inner(e);
        self.height -= 1;
        v
    }

    fn eval_inner(&mut self, e: &Expr) -> Val {
        let hint = self.hint.take();
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
                if let Some(v) = self.row_call(callee, args, e.span) {
                    return v;
                }
                if let Some(v) = self.column_call(e) {
                    return v;
                }
                let f = self.eval(callee);
                let args = self.args(args);
                self.call(f, args, e.span, hint)
            }
            ExprKind::Pipe { value, stage } => match self.column_call(e) {
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
                "a range stands only in a sweep or a column",
                "not as a value",
            ),
            ExprKind::Scan(s) => self.scan(s, e.span),
            ExprKind::When { .. } => self.error(
                Code::E0632,
                e.span,
                "a rule stands only among `callbacks`",
                "not as a value",
            ),
        }
    }

    pub fn args(&mut self, args: &[Arg]) -> Vec<ArgVal> {
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

    fn is_known(&self, name: &str) -> bool {
        self.top().get(name).is_some()
            || (!self.top().library
                && (self.world.globals.contains_key(name) || self.world.fit(name).is_some()))
            || super::builtins::find(name).is_some()
            || matches!(name, "training" | "trainable" | "real" | "int" | "bool")
            || self.world.library(name).is_some()
    }

    /// A name as a value: a layer bound to a name becomes one layer.
    fn bare_name(&mut self, n: &Ident, hint: Option<Arc<str>>, span: Span) -> Val {
        match (self.name(n), hint) {
            (Val::Def(c), Some(hint))
                if c.defs[0].def.kind == crate::syntax::ast::DefKind::Layer =>
            {
                self.instance(c, span, Some(hint))
            }
            (v, _) => v,
        }
    }

    /// What a name stands for: the body's own names, the file's, the library's, the primitives.
    pub fn name(&mut self, n: &Ident) -> Val {
        if let Some(var) = self.top().get(&n.text) {
            return match &var.role {
                super::elab::scope::VarRole::State(full) => match self.states.get(full) {
                    Some(s) => Val::Tensor(s.current.clone()),
                    None => var.val.clone(),
                },
                _ => var.val.clone(),
            };
        }
        if !self.top().library
            && let Some((global, _)) = self.world.globals.get(&n.text)
        {
            match global {
                Global::Const => return self.constant_value(n),
                Global::Defs(defs) => {
                    return Val::Def(Rc::new(Configured::new(defs.clone(), Vec::new(), n.span)));
                }
                Global::Broken => return Val::Error,
                Global::Model(m) => return Val::Model(m.clone()),
                Global::Data => {
                    return self.error(
                        Code::E0103,
                        n.span,
                        format!("`{}` is a data set, not a value", n.text),
                        "used as a value",
                    );
                }
            }
        }
        match &*n.text {
            "training" => {
                self.asked_training = true;
                return Val::Bool(self.mode.training);
            }
            "trainable" => return Val::Bool(!self.is_frozen(&self.top().path)),
            "real" => return Val::Elem(Elem::F32),
            "int" => return Val::Elem(Elem::I32),
            "bool" => return Val::Elem(Elem::Bool),
            _ => {}
        }
        if !self.top().library {
            match self.world.fit(&n.text) {
                Some(Fit::Size(size)) => return Val::Int(size),
                Some(Fit::Vocabulary(_) | Fit::Vectors { .. } | Fit::Labels(_)) => {
                    return Val::Fitted(Rc::from(&*n.text));
                }
                Some(Fit::Broken) => return Val::Error,
                Some(Fit::Tensors(_) | Fit::Lengths(_)) | None => {}
            }
        }
        if let Some(b) = super::builtins::find(&n.text) {
            return Val::Builtin(b);
        }
        if let Some(defs) = self.world.library(&n.text) {
            return Val::Def(Rc::new(Configured::new(defs, Vec::new(), n.span)));
        }
        self.unknown_name(n)
    }

    pub fn unknown_name(&mut self, n: &Ident) -> Val {
        let mut d = Diagnostic::error(Code::E0101, format!("unknown name `{}`", n.text))
            .label(n.span, "not declared anywhere");
        let known = self.world.names();
        let local: Vec<String> = self.top().names().map(String::from).collect();
        let all = local
            .iter()
            .map(String::as_str)
            .chain(known.iter().map(|k| &**k));
        if let Some(near) = did_you_mean(&n.text, all) {
            d = d.help(format!("did you mean `{near}`?")).fix(n.span, near);
        }
        self.report(d)
    }

    pub fn unknown_type(&mut self, word: &Ident) {
        let known = [
            "real", "int", "bool", "u8", "prob", "class", "token", "any", "float", "text", "list",
            "fn", "layer",
        ];
        let mut d = Diagnostic::error(Code::E0314, format!("unknown type `{}`", word.text))
            .label(word.span, "not a type");
        // Words of other languages.
        let meant = match &*word.text {
            "integer" | "int32" | "int64" | "i32" | "i64" => Some("int"),
            "f32" | "f64" | "float32" | "float64" | "double" | "number" => Some("real"),
            "str" | "string" => Some("text"),
            "boolean" => Some("bool"),
            "uint8" | "byte" => Some("u8"),
            _ => None,
        };
        if matches!(&*word.text, "class" | "token") {
            d = d.help(format!("write `{}[n]`, with the number of them", word.text));
        } else if let Some(meant) = meant {
            d = d.help(format!("write `{meant}`")).fix(word.span, meant);
        } else if matches!(
            &*word.text,
            "tensor" | "Tensor" | "vector" | "matrix" | "array"
        ) {
            d = d.help("a tensor of numbers is its sizes alone, as in `[B, n]`");
        } else if let Some(near) = did_you_mean(&word.text, known) {
            d = d
                .help(format!("did you mean `{near}`?"))
                .fix(word.span, near);
        }
        self.report(d);
    }

    /// A `const`, evaluated at its first use.
    fn constant_value(&mut self, n: &Ident) -> Val {
        let state = self.world.consts.borrow().get(&n.text).cloned();
        match state {
            Some(ConstState::Done(v)) => v,
            Some(ConstState::Busy) => {
                let mut d =
                    Diagnostic::error(Code::E0111, format!("`{}` is defined by itself", n.text))
                        .label(n.span, "here it needs its own value");
                if let Some((_, declared)) = self.world.globals.get(&n.text) {
                    d = d.label(*declared, "declared here");
                }
                self.report(d)
            }
            Some(ConstState::Pending(e)) => {
                self.world
                    .consts
                    .borrow_mut()
                    .insert(n.text.clone(), ConstState::Busy);
                let frames = std::mem::take(&mut self.frames);
                self.frames.push(super::elab::scope::Frame::new(
                    "".into(),
                    format!("const {}", n.text),
                    false,
                    None,
                ));
                let v = self.eval(&e);
                self.frames = frames;
                let v = match v {
                    Val::Tensor(_) => self.error(
                        Code::E0315,
                        e.span,
                        "a const is a number, a text, a list or a definition",
                        "this is a tensor",
                    ),
                    v => v,
                };
                self.world
                    .consts
                    .borrow_mut()
                    .insert(n.text.clone(), ConstState::Done(v.clone()));
                v
            }
            None => Val::Error,
        }
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
            (BinaryOp::And, Val::Bool(false)) | (BinaryOp::Or, Val::Bool(true)) => return x,
            _ => {}
        }
        let y = self.eval(b);
        self.operands = Some((a.span, b.span));
        let v = self.binary(op, x, y, span);
        self.operands = None;
        v
    }

    /// `value |> stage`: the value becomes the stage's input.
    fn pipe(&mut self, value: &Expr, stage: &Expr) -> Val {
        let v = self.eval(value);
        match v {
            Val::Error => return v,
            Val::Rows(rows) => return self.row_stage(&rows, stage),
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
                    Val::Layer(l) => !super::eval::inner::configures_anew(l, &args),
                    Val::Builtin(_) | Val::Model(_) => true,
                    Val::Def(c) => {
                        let def = &c.defs[0].def;
                        def.kind == crate::syntax::ast::DefKind::Fn
                            && super::eval::call::lists(def).0.is_empty()
                    }
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
                let d = Diagnostic::error(Code::E0311, "a stage of `|>` is a layer or a function")
                    .label(span, format!("this is {}", f.describe()));
                self.report(d)
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
                        format!("there is no `{}` in this", name.text),
                    )
                    .label(name.span, "unknown field");
                    if let Some(near) = did_you_mean(&name.text, known) {
                        d = d
                            .help(format!("did you mean `{near}`?"))
                            .fix(name.span, near);
                    }
                    self.report(d)
                }
            },
            other => self.error(
                Code::E0110,
                name.span,
                format!("{} has no fields", other.describe()),
                "taken from it here",
            ),
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
                "an `if` without `else` gives no value",
                "its value is needed here",
            )
        };
        match c {
            Val::Bool(true) => self.nested(then).unwrap_or(Val::None),
            Val::Bool(false) => match otherwise {
                Some(b) => self.nested(b).unwrap_or(Val::None),
                None => Val::None,
            },
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
            Val::Error => Val::Error,
            Val::Tensor(t) => {
                let d = Diagnostic::error(Code::E0308, "an `if` decides while the program is compiled, and this is known only in a step")
                    .label(cond.span, format!("this is {t}"))
                    .help("`select(condition, a, b)` chooses element by element");
                self.report(d)
            }
            other => self.error(
                Code::E0308,
                cond.span,
                "a condition is true or false",
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

    fn index(&mut self, v: Val, items: &[IndexItem], span: Span) -> Val {
        let v = match v {
            Val::Tuple(t) => Val::list(t.iter().map(|(_, v)| v.clone())),
            v => v,
        };
        match v {
            Val::Error => Val::Error,
            Val::List(list) => match items {
                [IndexItem::At(e)] => match self.eval(e) {
                    Val::List(at) => {
                        let picked: Vec<Val> = at
                            .iter()
                            .map(|v| self.list_item(&list, v, e.span))
                            .collect();
                        if picked.iter().any(Val::is_error) {
                            Val::Error
                        } else {
                            Val::list(picked)
                        }
                    }
                    at => self.list_item(&list, &at, e.span),
                },
                [
                    IndexItem::Slice {
                        start,
                        end,
                        step: None,
                        ..
                    },
                ] => self.part_of_list(&list, start.as_deref(), end.as_deref(), span),
                _ => self.error(Code::E0301, span, "a list takes one index", "not one"),
            },
            Val::Tensor(t) => self.slice(t, items, span),
            other => self.error(
                Code::E0301,
                span,
                format!("{} cannot be indexed", other.describe()),
                "indexed here",
            ),
        }
    }

    /// `list[1:]`, `list[:-2]`: what is outside is left out.
    fn part_of_list(
        &mut self,
        list: &[Val],
        start: Option<&Expr>,
        end: Option<&Expr>,
        span: Span,
    ) -> Val {
        let n = list.len() as i64;
        let mut bounds = [0, n];
        for (bound, e) in bounds.iter_mut().zip([start, end]) {
            let Some(e) = e else { continue };
            *bound = match self.eval(e) {
                Val::Int(Dim::Const(i)) => (if i < 0 { i + n } else { i }).clamp(0, n),
                Val::Error | Val::Unknown(_) => return Val::Error,
                other => {
                    return self.error(
                        Code::E0301,
                        span,
                        "an index is an integer",
                        format!("this is {}", other.describe()),
                    );
                }
            };
        }
        let [from, to] = bounds.map(|b| b as usize);
        Val::list(list.get(from..to).unwrap_or_default().iter().cloned())
    }

    /// `list[0]`, `list[-1]`
    fn list_item(&mut self, list: &[Val], at: &Val, span: Span) -> Val {
        match at {
            Val::Int(Dim::Const(i)) => {
                let from_start = if *i < 0 { i + list.len() as i64 } else { *i };
                match usize::try_from(from_start).ok().and_then(|i| list.get(i)) {
                    Some(v) => v.clone(),
                    None => self.error(
                        Code::E0208,
                        span,
                        format!("a list of {} has no item {i}", list.len()),
                        "outside",
                    ),
                }
            }
            Val::Error | Val::Unknown(_) => Val::Error,
            other => self.error(
                Code::E0301,
                span,
                "an index is an integer",
                format!("this is {}", other.describe()),
            ),
        }
    }

    /// `x[.., 0, 1:3]`: a slice, then the axes indexed by one number dropped.
    fn slice(&mut self, t: Tensor, items: &[IndexItem], span: Span) -> Val {
        let rest = items.iter().position(|i| matches!(i, IndexItem::Rest(_)));
        let named = items.len() - usize::from(rest.is_some());
        if named > t.ty.rank() {
            return self.error(
                Code::E0201,
                span,
                format!("{named} indices for {t}"),
                "too many",
            );
        }
        let skip = t.ty.rank() - named;
        let (mut starts, mut ends, mut steps): (Vec<Dim>, Vec<Dim>, Vec<usize>) =
            Default::default();
        let mut kept = Shape::new();
        let mut dropped = false;
        let whole =
            |axis: usize, starts: &mut Vec<Dim>, ends: &mut Vec<Dim>, steps: &mut Vec<usize>| {
                starts.push(Dim::ZERO);
                ends.push(t.ty.shape[axis].clone());
                steps.push(1);
            };
        for (i, item) in items.iter().enumerate() {
            let axis = starts.len();
            match item {
                IndexItem::Rest(_) => {
                    for a in axis..axis + skip {
                        whole(a, &mut starts, &mut ends, &mut steps);
                        kept.push(t.ty.shape[a].clone());
                    }
                }
                IndexItem::At(e) => {
                    let v = self.eval(e);
                    let size = &t.ty.shape[axis];
                    let written = self.source_text(e.span);
                    let Some(at) = self.offset(v, size, e.span) else {
                        return Val::Error;
                    };
                    let inside = match (at.as_const(), size.as_const()) {
                        (Some(i), Some(n)) => (0..n).contains(&i),
                        (Some(i), None) => i >= 0,
                        _ => true,
                    };
                    if !inside {
                        return self.error(
                            Code::E0208,
                            e.span,
                            format!("axis {axis} of {t} has no index {written}"),
                            format!("the axis has size {size}"),
                        );
                    }
                    let Ok(end) = at.add(&Dim::ONE) else {
                        return Val::Error;
                    };
                    starts.push(at);
                    ends.push(end);
                    steps.push(1);
                    dropped = true;
                }
                IndexItem::Slice {
                    start,
                    end,
                    step,
                    span,
                } => {
                    let size = t.ty.shape[axis].clone();
                    let s = match start {
                        Some(e) => {
                            let v = self.eval(e);
                            self.offset(v, &size, e.span)
                        }
                        None => Some(Dim::ZERO),
                    };
                    let e = match end {
                        Some(e) => {
                            let v = self.eval(e);
                            self.offset(v, &size, e.span)
                        }
                        None => Some(size),
                    };
                    let by = match step {
                        Some(e) => match self.eval(e) {
                            Val::Int(Dim::Const(n)) if n > 0 => n as usize,
                            _ => {
                                return self.error(
                                    Code::E0208,
                                    e.span,
                                    "a step is a positive number",
                                    "not one",
                                );
                            }
                        },
                        None => 1,
                    };
                    let (Some(s), Some(e)) = (s, e) else {
                        return Val::Error;
                    };
                    let step = Dim::from(by);
                    let len = e
                        .sub(&s)
                        .and_then(|d| d.add(&step))
                        .and_then(|d| d.sub(&Dim::ONE))
                        .and_then(|d| d.div(&step));
                    match len {
                        Ok(len) => kept.push(len),
                        Err(err) => return self.type_error(err.into(), *span),
                    }
                    starts.push(s);
                    ends.push(e);
                    steps.push(by);
                }
            }
            if i + 1 == items.len() && rest.is_none() {
                for a in starts.len()..t.ty.rank() {
                    whole(a, &mut starts, &mut ends, &mut steps);
                    kept.push(t.ty.shape[a].clone());
                }
            }
        }
        let meaning = t.meaning.clone();
        match self.emit(
            Prim::Slice {
                starts,
                ends,
                steps,
            },
            &[&t],
            meaning.clone(),
            span,
        ) {
            Val::Tensor(s) if dropped => self.emit(Prim::Reshape(kept), &[&s], meaning, span),
            other => other,
        }
    }

    /// A position on an axis: negative ones count from the end.
    fn offset(&mut self, v: Val, size: &Dim, span: Span) -> Option<Dim> {
        match v {
            Val::Int(d) if d.sign() == Some(std::cmp::Ordering::Less) => match d.add(size) {
                Ok(d) => Some(d),
                Err(e) => {
                    self.type_error(e.into(), span);
                    None
                }
            },
            Val::Int(d) => Some(d),
            Val::Error | Val::Unknown(_) => None,
            other => {
                let d = Diagnostic::error(
                    Code::E0301,
                    "an index is an integer known when the program is compiled",
                )
                .label(span, format!("this is {}", other.describe()))
                .help("`gather(x, indices)` looks up by computed indices");
                self.report(d);
                None
            }
        }
    }
}
