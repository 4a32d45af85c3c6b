//! One walk over the tree, for whoever looks for something in it.
//!
//! A [`Visitor`] overrides the methods that concern it; each default goes on into the parts.
//! The functions `walk_..` do that from an override. [`Names`] and [`free_names`] are the two
//! that most of the checker needs.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::ast::{
    Arg, Block, DataItemKind, Decl, DeclKind, DimExpr, Expr, ExprKind, Ident, IndexItem, Param,
    Setting, Stmt, StmtKind, Train, TrainItem, TypeExpr, TypeKind,
};
use crate::span::Span;

/// How a name is bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Binding {
    /// `name = value`
    Local,
    Param,
    State,
    /// What a scan takes an element of: `zt in z`.
    Element,
    /// What a scan carries: `from h = h0`.
    Carry,
    /// `draw z: [16]` of a train block.
    Draw,
}

pub trait Visitor<'a> {
    fn expr(&mut self, e: &'a Expr) {
        walk_expr(self, e);
    }
    fn stmt(&mut self, s: &'a Stmt) {
        walk_stmt(self, s);
    }
    fn block(&mut self, b: &'a Block) {
        walk_block(self, b);
    }
    fn ty(&mut self, t: &'a TypeExpr) {
        walk_type(self, t);
    }
    /// A name in an expression.
    fn read(&mut self, _: &'a Ident) {}
    fn bind(&mut self, _: &'a Ident, _: Binding) {}
    /// A block or the body of a scan begins: what is bound from here on ends with it.
    fn enter(&mut self) {}
    fn leave(&mut self) {}
}

pub fn walk_expr<'a, V: Visitor<'a> + ?Sized>(v: &mut V, e: &'a Expr) {
    match &e.kind {
        ExprKind::Int(_)
        | ExprKind::Float(_)
        | ExprKind::Percent(_)
        | ExprKind::Str(_)
        | ExprKind::Bool(_)
        | ExprKind::None => {}
        ExprKind::Name(n) => v.read(n),
        ExprKind::List(items) => items.iter().for_each(|i| v.expr(i)),
        ExprKind::Tuple(items) => walk_args(v, items),
        ExprKind::Unary(_, a) => v.expr(a),
        ExprKind::Binary(_, a, b)
        | ExprKind::Range(a, b)
        | ExprKind::Pipe { value: a, stage: b }
        | ExprKind::When { cond: a, action: b } => {
            v.expr(a);
            v.expr(b);
        }
        ExprKind::Call { callee, args, .. } => {
            v.expr(callee);
            walk_args(v, args);
        }
        ExprKind::Index { base, items } => {
            v.expr(base);
            items.iter().for_each(|i| walk_index(v, i));
        }
        ExprKind::Field { base, .. } => v.expr(base),
        ExprKind::If {
            cond,
            then,
            otherwise,
        } => {
            v.expr(cond);
            v.block(then);
            otherwise.iter().for_each(|b| v.block(b));
        }
        ExprKind::Scan(s) => {
            let given = s.elements.iter().chain(&s.carries);
            given.for_each(|(_, e)| v.expr(e));
            s.axis.iter().for_each(|e| v.expr(e));
            v.enter();
            let elements = s.elements.iter();
            elements.for_each(|(n, _)| v.bind(n, Binding::Element));
            let carries = s.carries.iter();
            carries.for_each(|(n, _)| v.bind(n, Binding::Carry));
            v.block(&s.body);
            v.leave();
        }
    }
}

fn walk_index<'a, V: Visitor<'a> + ?Sized>(v: &mut V, item: &'a IndexItem) {
    match item {
        IndexItem::Rest(_) => {}
        IndexItem::At(e) => v.expr(e),
        IndexItem::Slice {
            start, end, step, ..
        } => {
            let bounds = [start, end, step].into_iter().flatten();
            bounds.for_each(|e| v.expr(e));
        }
    }
}

pub fn walk_args<'a, V: Visitor<'a> + ?Sized>(v: &mut V, args: &'a [Arg]) {
    args.iter().for_each(|a| v.expr(&a.value));
}

pub fn walk_block<'a, V: Visitor<'a> + ?Sized>(v: &mut V, b: &'a Block) {
    v.enter();
    b.stmts.iter().for_each(|s| v.stmt(s));
    b.value.iter().for_each(|e| v.expr(e));
    v.leave();
}

pub fn walk_stmt<'a, V: Visitor<'a> + ?Sized>(v: &mut V, s: &'a Stmt) {
    match &s.kind {
        StmtKind::Bind { targets, value } => {
            v.expr(value);
            targets.iter().for_each(|t| v.bind(t, Binding::Local));
        }
        StmtKind::Update { value, .. } | StmtKind::Penalize(value) | StmtKind::Expr(value) => {
            v.expr(value);
        }
        StmtKind::Param(p) => {
            v.ty(&p.ty);
            p.init.iter().for_each(|e| v.expr(e));
            walk_args(v, &p.options);
            v.bind(&p.name, Binding::Param);
        }
        StmtKind::State(list) => {
            for d in list {
                d.ty.iter().for_each(|t| v.ty(t));
                v.expr(&d.init);
                v.bind(&d.name, Binding::State);
            }
        }
        StmtKind::Require { cond, message } => {
            v.expr(cond);
            message.iter().for_each(|e| v.expr(e));
        }
    }
}

pub fn walk_type<'a, V: Visitor<'a> + ?Sized>(v: &mut V, t: &'a TypeExpr) {
    match &t.kind {
        TypeKind::Plain { brackets, .. } => {
            for d in brackets.iter().flatten() {
                if let DimExpr::Expr(e) = d {
                    v.expr(e);
                }
            }
        }
        TypeKind::Tuple(items) => items.iter().for_each(|(_, t)| v.ty(t)),
    }
}

pub fn walk_settings<'a, V: Visitor<'a> + ?Sized>(v: &mut V, settings: &'a [Setting]) {
    settings.iter().for_each(|s| walk_args(v, &s.values));
}

fn walk_params<'a, V: Visitor<'a> + ?Sized>(v: &mut V, params: &'a [Param]) {
    for p in params {
        p.ty.iter().for_each(|t| v.ty(t));
        p.default.iter().for_each(|e| v.expr(e));
    }
}

pub fn walk_train<'a, V: Visitor<'a> + ?Sized>(v: &mut V, t: &'a Train) {
    for item in &t.items {
        match item {
            TrainItem::Setting(s) => walk_args(v, &s.values),
            TrainItem::Draw {
                name, ty, value, ..
            } => {
                v.ty(ty);
                v.expr(value);
                v.bind(name, Binding::Draw);
            }
            TrainItem::Step(s) => {
                s.stmts.iter().for_each(|x| v.stmt(x));
                walk_settings(v, &s.settings);
            }
        }
    }
}

fn walk_data_item<'a, V: Visitor<'a> + ?Sized>(v: &mut V, item: &'a DataItemKind) {
    match item {
        DataItemKind::Source { value, .. } | DataItemKind::Fit { value, .. } => v.expr(value),
        DataItemKind::Column {
            ty,
            selector,
            options,
            ..
        } => {
            v.ty(ty);
            selector.iter().for_each(|e| v.expr(e));
            walk_args(v, options);
        }
        DataItemKind::Split { method, parts } => {
            method.iter().for_each(|e| v.expr(e));
            parts.iter().for_each(|(_, e)| v.expr(e));
        }
        DataItemKind::Input { ty, value, .. } | DataItemKind::Target { ty, value, .. } => {
            v.ty(ty);
            value.iter().for_each(|e| v.expr(e));
        }
    }
}

pub fn walk_decl<'a, V: Visitor<'a> + ?Sized>(v: &mut V, decl: &'a Decl) {
    match &decl.kind {
        DeclKind::Import(_) => {}
        DeclKind::Const(c) => v.expr(&c.value),
        DeclKind::Def(d) => {
            d.lists.iter().for_each(|l| walk_params(v, l));
            d.result.iter().for_each(|t| v.ty(t));
            v.block(&d.body);
        }
        DeclKind::Model(m) => {
            walk_params(v, &m.inputs);
            m.result.iter().for_each(|t| v.ty(t));
            v.block(&m.body);
        }
        DeclKind::Train(t) => walk_train(v, t),
        DeclKind::Sweep(s) => {
            for (name, values) in &s.axes {
                v.read(name);
                v.expr(values);
            }
            walk_settings(v, &s.settings);
        }
        DeclKind::Data(d) => d.items.iter().for_each(|i| walk_data_item(v, &i.kind)),
    }
}

/// Every name that something reads, and those that it binds, wherever in it.
#[derive(Default)]
pub struct Names {
    /// Each with the place where it is first bound. States are not among them: a state that is
    /// assigned is read by the next step.
    pub bound: HashMap<Arc<str>, Span>,
    pub read: HashSet<Arc<str>>,
    pub states: HashMap<Arc<str>, Span>,
}

impl Names {
    pub fn of_decl(decl: &Decl) -> Names {
        let mut names = Names::default();
        walk_decl(&mut names, decl);
        names
    }

    pub fn of_stmt(s: &Stmt) -> Names {
        let mut names = Names::default();
        names.stmt(s);
        names
    }
}

impl<'a> Visitor<'a> for Names {
    fn read(&mut self, n: &'a Ident) {
        self.read.insert(n.text.clone());
    }
    fn bind(&mut self, n: &'a Ident, how: Binding) {
        match how {
            Binding::Local if self.states.contains_key(&n.text) => {}
            Binding::Local | Binding::Param => {
                self.bound.entry(n.text.clone()).or_insert(n.span);
            }
            Binding::State => {
                self.states.entry(n.text.clone()).or_insert(n.span);
            }
            // The next iteration reads it.
            Binding::Carry => self.read(n),
            Binding::Element | Binding::Draw => {}
        }
    }
}

/// The names that an expression reads and has not bound itself, in the order of the text.
pub fn free_names(e: &Expr) -> Vec<&Ident> {
    let mut free = Free::default();
    free.expr(e);
    free.names
}

/// The names that are read of what is around: see [`free_names`].
#[derive(Default)]
pub struct Free<'a> {
    pub names: Vec<&'a Ident>,
    scopes: Vec<Vec<&'a str>>,
}

impl<'a> Visitor<'a> for Free<'a> {
    fn read(&mut self, n: &'a Ident) {
        if !self.scopes.iter().flatten().any(|bound| **bound == *n.text) {
            self.names.push(n);
        }
    }
    fn bind(&mut self, n: &'a Ident, _: Binding) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.push(&n.text);
        }
    }
    fn enter(&mut self) {
        self.scopes.push(Vec::new());
    }
    fn leave(&mut self) {
        self.scopes.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::SourceId;

    fn body(text: &str) -> Block {
        let (file, errors) =
            crate::syntax::parse(SourceId(0), &format!("fn f(x: [n]) {{\n{text}\n}}"));
        assert!(errors.is_empty(), "{errors:?}");
        match &file.decls[0].kind {
            DeclKind::Def(d) => d.body.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_of_indices_blocks_and_scans_are_read() {
        let block = body(
            "x[a:if b {\n c = d\n c + e\n } else { f }, g] + (scan z in y along k from h = i { h = h + z + j\n h })",
        );
        let mut read: Vec<String> = Vec::new();
        for n in free_names(block.value.as_ref().unwrap()) {
            read.push(n.text.to_string());
        }
        assert_eq!(read.join(" "), "x a b d e f g y i k j");
    }

    #[test]
    fn a_name_that_is_bound_after_it_is_read_is_free() {
        let block = body("if true {\n a = a + 1\n a\n } else { a }");
        let free = free_names(block.value.as_ref().unwrap());
        assert_eq!(free.len(), 2);
    }
}
