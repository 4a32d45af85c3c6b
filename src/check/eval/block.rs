//! Blocks and statements: bindings, parameters, states, requirements, scans.

use std::sync::Arc;

use crate::diag::{Code, Diagnostic};
use crate::span::Span;
use crate::syntax::ast::{self, Block, Expr, ExprKind, Stmt, StmtKind};
use crate::syntax::visit::free_names;

use crate::check::elab::Elab;
use crate::check::elab::scope::VarRole;
use crate::check::elab::value::{Configured, Val, lists};

/// The requirements at the head of a body that speak of its configuration alone: they are decided
/// without its inputs.
pub(crate) fn requirements(def: &ast::Def) -> &[Stmt] {
    let config = lists(def).0;
    let decided = |s: &Stmt| {
        let StmtKind::Require { cond, .. } = &s.kind else {
            return false;
        };
        free_names(cond)
            .iter()
            .all(|n| config.iter().any(|p| p.name.text == n.text))
    };
    let n = def.body.stmts.iter().take_while(|s| decided(s)).count();
    &def.body.stmts[..n]
}

impl Elab<'_> {
    /// What can be said of a layer whose input failed: whether its configuration is a right one.
    pub(super) fn require_alone(&mut self, c: &Configured, span: Span) {
        let r = c.defs[0].clone();
        let known = r.def.kind == ast::DefKind::Layer && !self.failed_defs.contains(&r.id());
        if !known || c.defs.len() > 1 || !self.enter(span) {
            return;
        }
        let path = self.top().path.clone();
        self.push_frame(&r, path, span);
        if self.bind_config(c, &r) {
            requirements(&r.def).iter().all(|s| self.stmt(s));
        }
        self.frames.pop();
        self.leave();
    }

    /// Runs the statements; the value of the last expression, if the block ends with one.
    pub fn block(&mut self, b: &Block) -> Option<Val> {
        self.block_from(b, 0)
    }

    /// The same, from a statement on.
    pub fn block_from(&mut self, b: &Block, first: usize) -> Option<Val> {
        for s in &b.stmts[first..] {
            if !self.stmt(s) {
                return Some(Val::Error);
            }
        }
        b.value.as_ref().map(|e| self.eval(e))
    }

    /// Whether to go on: after a requirement that does not hold, nothing more is said.
    pub fn stmt(&mut self, s: &Stmt) -> bool {
        match &s.kind {
            StmtKind::Bind { targets, value } => self.bind_stmt(targets, value),
            StmtKind::Update { target, op, value } => {
                let now = self.name(target);
                let v = self.eval(value);
                let next = self.binary(*op, now, v, s.span);
                self.assign(target, next, s.span);
            }
            StmtKind::Param(p) => self.param(p, s.span),
            StmtKind::State(list) => list.iter().for_each(|d| self.state(d)),
            StmtKind::Require { cond, message } => {
                return self.require(cond, message.as_ref(), s.span);
            }
            StmtKind::Penalize(e) => {
                let v = self.eval(e);
                self.penalize(v, e.span);
            }
            StmtKind::Expr(e) => {
                match (&e.kind, self.eval(e)) {
                    (_, Val::Error | Val::None) => {}
                    // An `if` may stand for the assignments in it.
                    (ExprKind::If { .. }, _) => {}
                    (_, v) => {
                        let d = Diagnostic::error(Code::E0402, "unused value")
                        .label(e.span, format!("this is {}", v.describe()))
                        .help("bind it (`name = ...`), pipe it into a layer with `|>`, or remove it");
                        self.diagnose(d);
                    }
                }
            }
        }
        true
    }

    /// A body that ends without an expression.
    pub fn no_value(&mut self, name: &ast::Ident, body: &Block) -> Val {
        let mut d = Diagnostic::error(Code::E0401, format!("`{}` has no value", name.text))
            .label(name.span, "its body does not end with an expression");
        if let Some(StmtKind::Bind { targets, .. }) = body.stmts.last().map(|s| &s.kind)
            && let [last] = targets.as_slice()
        {
            d = d.help(format!("end the body with `{}`", last.text));
        }
        self.diagnose(d)
    }

    fn bind_stmt(&mut self, targets: &[ast::Ident], value: &Expr) {
        if let [target] = targets {
            let v = self.eval_as(value, Some(target.text.clone()));
            return self.assign(target, v, value.span);
        }
        let v = self.eval(value);
        let parts: Vec<Val> = match v {
            Val::Tuple(t) => t.iter().map(|(_, v)| v.clone()).collect(),
            Val::List(l) => l.to_vec(),
            Val::Error => vec![Val::Error; targets.len()],
            other => {
                let d = Diagnostic::error(
                    Code::E0405,
                    format!(
                        "{} names on the left, but 1 value on the right",
                        targets.len()
                    ),
                )
                .label(value.span, format!("this is {}", other.describe()));
                self.diagnose(d);
                vec![Val::Error; targets.len()]
            }
        };
        if parts.len() != targets.len() {
            let d = Diagnostic::error(
                Code::E0405,
                format!(
                    "{} names on the left, but {} on the right",
                    targets.len(),
                    parts.len()
                ),
            )
            .label(
                value.span,
                format!("the number of values is {}", parts.len()),
            );
            self.diagnose(d);
        }
        for (i, target) in targets.iter().enumerate() {
            let v = parts.get(i).cloned().unwrap_or(Val::Error);
            self.assign(target, v, target.span);
        }
    }

    /// Binds a name, or gives a state its next value.
    fn assign(&mut self, target: &ast::Ident, v: Val, span: Span) {
        match self
            .top()
            .get(&target.text)
            .map(|var| (var.role.clone(), var.span))
        {
            Some((VarRole::State(full), declared)) => self.assign_state(&full, v, span, declared),
            Some((VarRole::Param, declared)) => {
                let d = Diagnostic::error(
                    Code::E0114,
                    format!(
                        "cannot assign to `{}`: only the optimizer changes a parameter",
                        target.text
                    ),
                )
                .label(target.span, "assigned here")
                .label(declared, "declared here")
                .help("declare it with `state` to update it yourself, or use a different name");
                self.diagnose(d);
            }
            Some((VarRole::Local, _))
                if self.scans.is_empty() || self.top().get(&target.text).is_some() =>
            {
                // An assignment in an inner block reaches the outer binding.
                if let Some(var) = self.frame().get_mut(&target.text) {
                    var.val = v;
                }
            }
            _ => self
                .frame()
                .bind(&target.text, v, target.span, VarRole::Local),
        }
    }

    fn assign_state(&mut self, full: &Arc<str>, v: Val, span: Span, declared: Span) {
        let Some(info) = self.states.get(full).cloned() else {
            return;
        };
        if v.is_error() {
            return;
        }
        if !self.scans.is_empty() {
            self.error(
                Code::E0404,
                span,
                "a state cannot be assigned inside a scan",
                "carry it with `from` instead",
            );
            return;
        }
        let Some(t) = self.as_tensor(&v, info.ty.elem, span) else {
            return;
        };
        let Some(t) = self.cast(t, info.ty.elem, span) else {
            return;
        };
        let t = if t.ty.rank() == 0 {
            self.stretch(t, &info.ty.shape, span)
        } else {
            Some(t)
        };
        let Some(t) = t else { return };
        if t.ty != info.ty {
            let d = Diagnostic::error(Code::E0404, "a state cannot change its shape")
                .label(span, format!("this is {t}"))
                .label(declared, format!("declared as {}", info.ty));
            self.diagnose(d);
            return;
        }
        let s = self.states.get_mut(full).expect("just read");
        s.current = t;
        s.assigned = true;
    }

    fn require(&mut self, cond: &Expr, message: Option<&Expr>, span: Span) -> bool {
        let c = self.eval(cond);
        match c {
            Val::Bool(true) | Val::Unknown(_) | Val::Error => return true,
            Val::Bool(false) => {
                let text = match message.map(|m| &m.kind) {
                    Some(ExprKind::Str(s)) => self.fill(s),
                    _ => "a requirement of this definition is not met".into(),
                };
                // The argument to blame is the one that the condition names.
                let what = self.public_name().to_owned();
                let public = what == self.top().what;
                let guilty = self.named_argument(cond).filter(|_| public);
                let mut d = Diagnostic::error(Code::E0310, text);
                match guilty {
                    Some((name, at)) => {
                        d = d.label(at, format!("`{name}` of `{what}`"));
                        self.diagnose_call(d);
                    }
                    None => {
                        let call = self.top().call.unwrap_or(span);
                        d = d.label(call, format!("required by `{what}`"));
                        self.diagnose_call(d);
                    }
                }
            }
            Val::Tensor(t) => {
                self.error(
                    Code::E0308,
                    cond.span,
                    "the condition of `require` must be known at compile time",
                    format!("this is {t}"),
                );
            }
            other => {
                self.error(
                    Code::E0308,
                    cond.span,
                    "the condition of `require` must be true or false",
                    format!("this is {}", other.describe()),
                );
            }
        }
        false
    }

    /// The first name in a condition that was given as an argument in the call.
    fn named_argument(&self, e: &Expr) -> Option<(Arc<str>, Span)> {
        match &e.kind {
            ExprKind::Name(n) => {
                let var = self.top().get(&n.text)?;
                let call = self.top().call?;
                let inside = var.span.source == call.source
                    && var.span.start >= call.start
                    && var.span.end <= call.end;
                (var.role == VarRole::Given && inside).then(|| (n.text.clone(), var.span))
            }
            ExprKind::Binary(_, a, b) => self.named_argument(a).or_else(|| self.named_argument(b)),
            ExprKind::Unary(_, a) => self.named_argument(a),
            ExprKind::Call { args, .. } => args.iter().find_map(|a| self.named_argument(&a.value)),
            _ => None,
        }
    }

    /// `"rate is {rate}"` with the values of the names in braces.
    pub fn fill(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let Some((name, tail)) = after.split_once('}') else {
                break;
            };
            match self.top().get(name).map(|v| &v.val) {
                Some(v) => out.push_str(&v.in_words()),
                None => out.push_str(name),
            }
            rest = tail;
        }
        out.push_str(rest);
        out
    }
}
