//! Bindings that nothing reads: warnings, found in the tree alone.

use std::collections::HashMap;
use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::span::Span;
use crate::syntax::ast::{Block, Decl, DeclKind, Expr, ExprKind, Stmt, StmtKind, TrainItem};

use super::data::names_in;

/// Warns of local names of a definition or model that are bound and never read.
/// A leading underscore says that this is meant.
pub fn check(decl: &Decl, diags: &mut Vec<Diagnostic>) {
    let mut seen = Seen::default();
    match &decl.kind {
        DeclKind::Def(d) => seen.block(&d.body),
        DeclKind::Model(m) => seen.block(&m.body),
        DeclKind::Train(t) => {
            for item in &t.items {
                if let TrainItem::Step(s) = item {
                    s.stmts.iter().for_each(|x| seen.stmt(x));
                    s.settings
                        .iter()
                        .flat_map(|x| &x.values)
                        .for_each(|a| seen.expr(&a.value));
                }
            }
        }
        _ => return,
    }
    let mut unused: Vec<(Arc<str>, Span)> = seen
        .bound
        .into_iter()
        .filter(|(n, _)| !seen.read.contains_key(n))
        .collect();
    unused.sort_by_key(|(_, s)| *s);
    for (name, span) in unused {
        if !name.starts_with('_') {
            let d = Diagnostic::warning("W0101", format!("`{name}` is never used"))
                .label(span, "bound here")
                .help(format!("remove it, or call it `_{name}` if that is meant"));
            diags.push(d);
        }
    }
}

#[derive(Default)]
struct Seen {
    bound: HashMap<Arc<str>, Span>,
    read: HashMap<Arc<str>, ()>,
    /// States are read by the next step.
    states: HashMap<Arc<str>, ()>,
}

impl Seen {
    fn block(&mut self, b: &Block) {
        b.stmts.iter().for_each(|s| self.stmt(s));
        if let Some(v) = &b.value {
            self.expr(v);
        }
    }

    fn stmt(&mut self, s: &Stmt) {
        match &s.kind {
            StmtKind::Bind { targets, value } => {
                self.expr(value);
                for t in targets {
                    if !self.states.contains_key(&t.text) {
                        self.bound.entry(t.text.clone()).or_insert(t.span);
                    }
                }
            }
            StmtKind::Update { value, .. } | StmtKind::Penalize(value) | StmtKind::Expr(value) => {
                self.expr(value)
            }
            StmtKind::Param(p) => {
                self.bound.entry(p.name.text.clone()).or_insert(p.name.span);
                p.init.iter().for_each(|e| self.expr(e));
                p.options.iter().for_each(|o| self.expr(&o.value));
                self.dims(&p.ty);
            }
            StmtKind::State(list) => {
                for d in list {
                    self.states.insert(d.name.text.clone(), ());
                    self.expr(&d.init);
                    d.ty.iter().for_each(|t| self.dims(t));
                }
            }
            StmtKind::Require { cond, .. } => self.expr(cond),
        }
    }

    fn dims(&mut self, ty: &crate::syntax::ast::TypeExpr) {
        if let crate::syntax::ast::TypeKind::Plain { brackets, .. } = &ty.kind {
            for d in brackets.iter().flatten() {
                if let crate::syntax::ast::DimExpr::Expr(e) = d {
                    self.expr(e);
                }
            }
        }
    }

    fn expr(&mut self, e: &Expr) {
        let mut names = Vec::new();
        names_in(e, &mut names);
        for n in names {
            self.read.insert(n.text.clone(), ());
        }
        self.inner_blocks(e);
    }

    /// Blocks inside an expression bind and read names too.
    fn inner_blocks(&mut self, e: &Expr) {
        match &e.kind {
            ExprKind::If {
                cond,
                then,
                otherwise,
            } => {
                self.inner_blocks(cond);
                self.block(then);
                otherwise.iter().for_each(|b| self.block(b));
            }
            ExprKind::Scan(s) => {
                for (n, _) in &s.carries {
                    self.read.insert(n.text.clone(), ());
                }
                self.block(&s.body);
            }
            ExprKind::List(items) => items.iter().for_each(|i| self.inner_blocks(i)),
            ExprKind::Tuple(items) => items.iter().for_each(|a| self.inner_blocks(&a.value)),
            ExprKind::Unary(_, a)
            | ExprKind::Field { base: a, .. }
            | ExprKind::Index { base: a, .. } => self.inner_blocks(a),
            ExprKind::Binary(_, a, b)
            | ExprKind::Range(a, b)
            | ExprKind::Pipe { value: a, stage: b } => {
                self.inner_blocks(a);
                self.inner_blocks(b);
            }
            ExprKind::Call { callee, args, .. } => {
                self.inner_blocks(callee);
                args.iter().for_each(|a| self.inner_blocks(&a.value));
            }
            ExprKind::Int(_)
            | ExprKind::Float(_)
            | ExprKind::Percent(_)
            | ExprKind::Str(_)
            | ExprKind::Bool(_)
            | ExprKind::None
            | ExprKind::Name(_) => {}
        }
    }
}
