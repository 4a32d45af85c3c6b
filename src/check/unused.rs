//! What is declared and never used: warnings, found in the tree alone. They are
//! given only where there is no error: a name misspelt makes another unused.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::diag::{Code, Diagnostic};
use crate::span::{SourceId, Span};
use crate::syntax::ast::{
    Block, Data, DataItemKind, Decl, DeclKind, DimExpr, Expr, ExprKind, Stmt, StmtKind, Train,
    TrainItem, TypeExpr, TypeKind,
};

use crate::check::data::feed::names_in;

/// Warns of local names of a definition or model that are bound and never read.
/// A leading underscore says that this is meant.
pub fn check(decl: &Decl, diags: &mut Vec<Diagnostic>) {
    let mut seen = Seen::default();
    match &decl.kind {
        DeclKind::Def(d) => {
            seen.block(&d.body);
            let types = d.lists.iter().flatten().filter_map(|p| p.ty.as_ref());
            types.chain(&d.result).for_each(|t| seen.dims(t));
        }
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
            let d = Diagnostic::warning(Code::W0101, format!("`{name}` is never used"))
                .label(span, "bound here")
                .help(format!(
                    "remove it, or rename it to `_{name}` if this is intended"
                ));
            diags.push(d);
        }
    }
}

/// Warns of consts and definitions that nothing names, and of what a data block declares
/// in vain. A file without a model or a run is a library: all of it is meant for others.
pub fn check_file(decls: &[Decl], main: SourceId, diags: &mut Vec<Diagnostic>) {
    let runs = |d: &Decl| matches!(d.kind, DeclKind::Model(_) | DeclKind::Train(_));
    if !decls.iter().any(runs) {
        return;
    }
    // How many declarations name each name; one that only names itself is not used.
    let reads: Vec<HashMap<Arc<str>, ()>> = decls.iter().map(|d| names_of(d).read).collect();
    let mut readers: HashMap<&Arc<str>, usize> = HashMap::new();
    for name in reads.iter().flat_map(|r| r.keys()) {
        *readers.entry(name).or_default() += 1;
    }
    for (i, decl) in decls.iter().enumerate() {
        let (what, name) = match &decl.kind {
            DeclKind::Const(c) => ("const", &c.name),
            DeclKind::Def(d) => (d.kind.keyword(), &d.name),
            DeclKind::Data(d) => {
                data(d, decls, diags);
                continue;
            }
            _ => continue,
        };
        let own = usize::from(reads[i].contains_key(&name.text));
        let used = readers.get(&name.text).copied().unwrap_or(0) > own;
        if name.span.source == main && !used && !name.text.starts_with('_') {
            let d = Diagnostic::warning(
                Code::W0102,
                format!("the {what} `{}` is never used", name.text),
            )
            .label(name.span, "declared here")
            .help(format!(
                "remove it, or rename it to `_{}` if this is intended",
                name.text
            ));
            diags.push(d);
        }
    }
}

/// Columns and fits that no input or target is made of; inputs that no trained model takes.
fn data(d: &Data, decls: &[Decl], diags: &mut Vec<Diagnostic>) {
    let mut seen = Seen::default();
    for item in &d.items {
        match &item.kind {
            DataItemKind::Split { method, .. } => method.iter().for_each(|m| seen.expr(m)),
            DataItemKind::Fit { value, .. } => {
                seen.expr(value);
                fields_in(value, &mut |name| {
                    seen.read.insert(name.clone(), ());
                });
            }
            DataItemKind::Input { name, ty, value } | DataItemKind::Target { name, ty, value } => {
                seen.dims(ty);
                match value {
                    Some(v) => seen.expr(v),
                    None => {
                        seen.read.insert(name.text.clone(), ());
                    }
                }
            }
            DataItemKind::Source { .. } | DataItemKind::Column { .. } => {}
        }
    }
    // A train block may weigh samples by columns.
    for t in decls.iter().filter_map(|t| match &t.kind {
        DeclKind::Train(t) if t.data.text == d.name.text => Some(t),
        _ => None,
    }) {
        for item in &t.items {
            if let TrainItem::Setting(s) = item {
                s.values.iter().for_each(|a| seen.expr(&a.value));
            }
        }
    }
    // Models take sizes, and vectors of words.
    let in_models: Vec<Seen> = decls
        .iter()
        .filter(|d| matches!(d.kind, DeclKind::Model(_)))
        .map(names_of)
        .collect();
    let in_model = |name: &Arc<str>| in_models.iter().any(|m| m.read.contains_key(name));
    let taken = decls.iter().find_map(|t| match &t.kind {
        DeclKind::Train(t) if t.data.text == d.name.text => Some(inputs_of(t, decls)),
        _ => None,
    });
    for item in &d.items {
        let (what, name, used) = match &item.kind {
            DataItemKind::Column { name, .. } => {
                ("column", name, seen.read.contains_key(&name.text))
            }
            DataItemKind::Fit { name, .. } => (
                "fit",
                name,
                seen.read.contains_key(&name.text) || in_model(&name.text),
            ),
            DataItemKind::Input { name, .. } => (
                "input",
                name,
                taken.as_ref().is_none_or(|t| t.contains_key(&name.text)),
            ),
            _ => continue,
        };
        if !used && !name.text.starts_with('_') {
            let d = Diagnostic::warning(
                Code::W0103,
                format!("the {what} `{}` is never used", name.text),
            )
            .label(name.span, "declared here")
            .help(match what {
                "input" => "remove it, or use it in a trained model",
                _ => "remove it, or use it in an input or target",
            });
            diags.push(d);
        }
    }
}

/// The fields that an expression takes of something: columns, in a fit.
fn fields_in(e: &Expr, found: &mut dyn FnMut(&Arc<str>)) {
    match &e.kind {
        ExprKind::Field { name, .. } => found(&name.text),
        ExprKind::Call { args, .. } => args.iter().for_each(|a| fields_in(&a.value, found)),
        ExprKind::Tuple(items) => items.iter().for_each(|a| fields_in(&a.value, found)),
        ExprKind::Unary(_, a) => fields_in(a, found),
        ExprKind::Binary(_, a, b) | ExprKind::Pipe { value: a, stage: b } => {
            fields_in(a, found);
            fields_in(b, found);
        }
        _ => {}
    }
}

/// What the models of a train block take, and what its steps name.
fn inputs_of(t: &Train, decls: &[Decl]) -> HashMap<Arc<str>, ()> {
    let mut seen = Seen::default();
    seen.train(t);
    for m in &t.models {
        for decl in decls {
            if let DeclKind::Model(found) = &decl.kind
                && found.name.text == m.text
            {
                let inputs = found.inputs.iter().map(|p| (p.name.text.clone(), ()));
                seen.read.extend(inputs);
            }
        }
    }
    seen.read
}

/// Every name on which what a run reads of its data depends: those that data blocks and the
/// seed mention, and what these mention in turn.
pub fn names_of_data(decls: &[Decl]) -> HashSet<Arc<str>> {
    let mut found: HashSet<Arc<str>> = HashSet::new();
    let mut open: Vec<Arc<str>> = Vec::new();
    for decl in decls {
        match &decl.kind {
            DeclKind::Data(_) => open.extend(names_of(decl).read.into_keys()),
            DeclKind::Train(t) => {
                let mut seen = Seen::default();
                for item in &t.items {
                    if let TrainItem::Setting(s) = item
                        && &*s.key.text == "seed"
                    {
                        s.values.iter().for_each(|a| seen.expr(&a.value));
                    }
                }
                open.extend(seen.read.into_keys());
            }
            _ => {}
        }
    }
    while let Some(name) = open.pop() {
        let named = decls
            .iter()
            .filter(|d| d.name().is_some_and(|n| n.text == name));
        if found.insert(name.clone()) {
            open.extend(named.flat_map(|d| names_of(d).read.into_keys()));
        }
    }
    found
}

/// Every name that a declaration mentions.
fn names_of(decl: &Decl) -> Seen {
    let mut seen = Seen::default();
    match &decl.kind {
        DeclKind::Import(_) => {}
        DeclKind::Const(c) => seen.expr(&c.value),
        DeclKind::Def(d) => {
            seen.block(&d.body);
            let params = d.lists.iter().flatten();
            for p in params {
                p.ty.iter().for_each(|t| seen.dims(t));
                p.default.iter().for_each(|e| seen.expr(e));
            }
            d.result.iter().for_each(|t| seen.dims(t));
        }
        DeclKind::Model(m) => {
            seen.block(&m.body);
            let types = m.inputs.iter().filter_map(|p| p.ty.as_ref());
            types.chain(&m.result).for_each(|t| seen.dims(t));
        }
        DeclKind::Train(t) => seen.train(t),
        DeclKind::Sweep(s) => {
            for (name, values) in &s.axes {
                seen.read.insert(name.text.clone(), ());
                seen.expr(values);
            }
            let args = s.settings.iter().flat_map(|s| &s.values);
            args.for_each(|a| seen.expr(&a.value));
        }
        DeclKind::Data(d) => {
            for item in &d.items {
                match &item.kind {
                    DataItemKind::Source { value, .. } | DataItemKind::Fit { value, .. } => {
                        seen.expr(value)
                    }
                    DataItemKind::Column {
                        ty,
                        selector,
                        options,
                        ..
                    } => {
                        seen.dims(ty);
                        selector.iter().for_each(|e| seen.expr(e));
                        options.iter().for_each(|a| seen.expr(&a.value));
                    }
                    DataItemKind::Split { method, parts } => {
                        method.iter().for_each(|e| seen.expr(e));
                        parts.iter().for_each(|(_, e)| seen.expr(e));
                    }
                    DataItemKind::Input { ty, value, .. }
                    | DataItemKind::Target { ty, value, .. } => {
                        seen.dims(ty);
                        value.iter().for_each(|e| seen.expr(e));
                    }
                }
            }
        }
    }
    seen
}

/// Names that a statement reads, and those that it binds.
pub fn reads_of(s: &Stmt) -> (Vec<Arc<str>>, Vec<Arc<str>>) {
    let mut seen = Seen::default();
    seen.stmt(s);
    (
        seen.read.into_keys().collect(),
        seen.bound.into_keys().collect(),
    )
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

    fn train(&mut self, t: &Train) {
        for item in &t.items {
            match item {
                TrainItem::Setting(s) => s.values.iter().for_each(|a| self.expr(&a.value)),
                TrainItem::Draw { ty, value, .. } => {
                    self.dims(ty);
                    self.expr(value);
                }
                TrainItem::Step(s) => {
                    s.stmts.iter().for_each(|x| self.stmt(x));
                    let args = s.settings.iter().flat_map(|x| &x.values);
                    args.for_each(|a| self.expr(&a.value));
                }
            }
        }
    }

    fn dims(&mut self, ty: &TypeExpr) {
        match &ty.kind {
            TypeKind::Plain { brackets, .. } => {
                for d in brackets.iter().flatten() {
                    if let DimExpr::Expr(e) = d {
                        self.expr(e);
                    }
                }
            }
            TypeKind::Tuple(items) => items.iter().for_each(|(_, t)| self.dims(t)),
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
            | ExprKind::Pipe { value: a, stage: b }
            | ExprKind::When { cond: a, action: b } => {
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

#[cfg(test)]
mod tests {
    #[test]
    fn the_library_leaves_nothing_unused() {
        for (name, text) in crate::library::FILES {
            let mut map = crate::span::SourceMap::default();
            let id = map.add(*name, *text, true);
            let (file, _) = crate::syntax::parse(id, text);
            let mut diags = Vec::new();
            for decl in &file.decls {
                super::check(decl, &mut diags);
            }
            assert!(diags.is_empty(), "{name}: {diags:#?}");
        }
    }
}
