//! What is declared and never used: warnings, found in the tree alone. They are
//! given only where there is no error: a name misspelt makes another unused.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::diag::{Code, Diagnostic};
use crate::library;
use crate::span::{SourceId, Span};
use crate::syntax::ast::{
    Data, DataItemKind, Decl, DeclKind, Expr, ExprKind, Ident, Param, Sweep, Train, TrainItem,
};
use crate::syntax::visit::{Names, Visitor, walk_expr, walk_train};

use super::elab::value::lists;

/// Warns of local names of a definition or model that are bound and never read.
/// A leading underscore says that this is meant.
pub(super) fn check(decl: &Decl, diags: &mut Vec<Diagnostic>) {
    let mut seen = Names::default();
    // Parameters that something is to read: not the tensors of a definition, whose sizes may do.
    let mut params: &[Param] = &[];
    match &decl.kind {
        DeclKind::Def(d) => {
            seen.block(&d.body);
            let all = d.lists.iter().flatten();
            all.clone()
                .filter_map(|p| p.ty.as_ref())
                .chain(&d.result)
                .for_each(|t| seen.ty(t));
            all.filter_map(|p| p.default.as_ref())
                .for_each(|e| seen.expr(e));
            params = lists(d).0;
        }
        DeclKind::Model(m) => {
            seen.block(&m.body);
            params = &m.inputs;
        }
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
    let bound = seen.bound.into_iter().map(|(n, s)| (n, s, "bound here"));
    let states = seen.states.into_iter();
    let states = states.map(|(n, s)| (n, s, "no step reads this state"));
    let params = params.iter();
    let params = params.map(|p| (p.name.text.clone(), p.name.span, "nothing reads it"));
    let unread = |(n, _, _): &(Arc<str>, Span, &str)| !seen.read.contains(n) && !n.starts_with('_');
    let mut unused: Vec<_> = bound.chain(states).chain(params).filter(unread).collect();
    unused.sort_by_key(|(_, s, _)| *s);
    for (name, span, label) in unused {
        let d = Diagnostic::warning(Code::W0101, format!("`{name}` is never used"))
            .label(span, label)
            .help(format!(
                "remove it, or rename it to `_{name}` if this is intended"
            ));
        diags.push(d);
    }
}

/// Warns of consts and definitions that nothing names, and of what a data block declares
/// in vain. A file without a model or a run is a library: all of it is meant for others.
pub(super) fn check_file(decls: &[Decl], main: SourceId, diags: &mut Vec<Diagnostic>) {
    let runs = |d: &Decl| matches!(d.kind, DeclKind::Model(_) | DeclKind::Train(_));
    if !decls.iter().any(runs) {
        return;
    }
    // How many declarations name each name; one that only names itself is not used.
    let reads: Vec<HashSet<Arc<str>>> = decls.iter().map(|d| Names::of_decl(d).read).collect();
    let mut readers: HashMap<&Arc<str>, usize> = HashMap::new();
    for name in reads.iter().flatten() {
        *readers.entry(name).or_default() += 1;
    }
    let trained: HashSet<&Arc<str>> = decls.iter().flat_map(trained_by).collect();
    for (i, decl) in decls.iter().enumerate() {
        let (what, name) = match &decl.kind {
            // Without a train block the models are what the file is for.
            DeclKind::Model(m) if !trained.is_empty() && !trained.contains(&m.name.text) => {
                ("model", &m.name)
            }
            DeclKind::Const(c) => ("const", &c.name),
            DeclKind::Def(d) => (d.kind.keyword(), &d.name),
            DeclKind::Data(d) => {
                data(d, decls, diags);
                continue;
            }
            DeclKind::Sweep(s) => {
                axes(s, decls, diags);
                continue;
            }
            _ => continue,
        };
        let own = usize::from(reads[i].contains(&name.text));
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

/// Axes of a sweep that change a const that nothing else reads.
fn axes(sweep: &Sweep, decls: &[Decl], diags: &mut Vec<Diagnostic>) {
    let others = decls
        .iter()
        .filter(|d| !matches!(d.kind, DeclKind::Sweep(_)));
    let mut read: HashSet<Arc<str>> = others.flat_map(|d| Names::of_decl(d).read).collect();
    // A value of one axis may name another.
    let mut values = Names::default();
    sweep.axes.iter().for_each(|(_, e)| values.expr(e));
    read.extend(values.read);
    for (name, _) in sweep.axes.iter().filter(|(n, _)| !read.contains(&n.text)) {
        let what = format!("the axis `{}` changes nothing", name.text);
        let d = Diagnostic::warning(Code::W0102, what)
            .label(name.span, "nothing else reads this const")
            .help("use the const, or remove the axis");
        diags.push(d);
    }
}

/// Warns of declarations that hide a name of the library, or a function that is built in.
pub(super) fn hidden(
    decls: &[Decl],
    main: SourceId,
    is_function: impl Fn(&str) -> bool,
    diags: &mut Vec<Diagnostic>,
) {
    let index = library::index();
    for decl in decls {
        let (what, name): (_, &Ident) = match &decl.kind {
            DeclKind::Const(c) => ("const", &c.name),
            DeclKind::Def(d) => (d.kind.keyword(), &d.name),
            DeclKind::Model(m) => ("model", &m.name),
            _ => continue,
        };
        let function = matches!(decl.kind, DeclKind::Def(_)) && is_function(&name.text);
        let known = function || index.by_name.contains_key(&*name.text);
        if name.span.source == main && known {
            let message = format!("the {what} `{}` hides that of the library", name.text);
            let d = Diagnostic::warning(Code::W0661, message)
                .label(name.span, "the library has this name")
                .help("choose another name, so that a reader knows which is meant");
            diags.push(d);
        }
    }
}

/// The models that a train block names.
fn trained_by(decl: &Decl) -> impl Iterator<Item = &Arc<str>> {
    let models = match &decl.kind {
        DeclKind::Train(t) => t.models.as_slice(),
        _ => &[],
    };
    models.iter().map(|m| &m.text)
}

/// Columns and fits that no input or target is made of; inputs that no trained model takes.
fn data(d: &Data, decls: &[Decl], diags: &mut Vec<Diagnostic>) {
    let mut seen = Names::default();
    for item in &d.items {
        match &item.kind {
            DataItemKind::Split { method, .. } => method.iter().for_each(|m| seen.expr(m)),
            DataItemKind::Fit { value, .. } => {
                seen.expr(value);
                Fields(&mut seen.read).expr(value);
            }
            DataItemKind::Input { name, ty, value } | DataItemKind::Target { name, ty, value } => {
                seen.ty(ty);
                match value {
                    Some(v) => seen.expr(v),
                    None => {
                        seen.read.insert(name.text.clone());
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
    let in_models: Vec<Names> = decls
        .iter()
        .filter(|d| matches!(d.kind, DeclKind::Model(_)))
        .map(Names::of_decl)
        .collect();
    let in_model = |name: &Arc<str>| in_models.iter().any(|m| m.read.contains(name));
    let taken = decls.iter().find_map(|t| match &t.kind {
        DeclKind::Train(t) if t.data.text == d.name.text => Some(inputs_of(t, decls)),
        _ => None,
    });
    for item in &d.items {
        let (what, name, used) = match &item.kind {
            DataItemKind::Column { name, .. } => ("column", name, seen.read.contains(&name.text)),
            DataItemKind::Fit { name, .. } => (
                "fit",
                name,
                seen.read.contains(&name.text) || in_model(&name.text),
            ),
            DataItemKind::Input { name, .. } => (
                "input",
                name,
                taken.as_ref().is_none_or(|t| t.contains(&name.text)),
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
struct Fields<'s>(&'s mut HashSet<Arc<str>>);

impl<'a> Visitor<'a> for Fields<'_> {
    fn expr(&mut self, e: &'a Expr) {
        if let ExprKind::Field { name, .. } = &e.kind {
            self.0.insert(name.text.clone());
        }
        walk_expr(self, e);
    }
}

/// What the models of a train block take, and what its steps name.
fn inputs_of(t: &Train, decls: &[Decl]) -> HashSet<Arc<str>> {
    let mut seen = Names::default();
    walk_train(&mut seen, t);
    for m in &t.models {
        for decl in decls {
            if let DeclKind::Model(found) = &decl.kind
                && found.name.text == m.text
            {
                let inputs = found.inputs.iter().map(|p| p.name.text.clone());
                seen.read.extend(inputs);
            }
        }
    }
    seen.read
}

/// Every name on which what a run reads of its data depends: those that data blocks and the
/// seed mention, and what these mention in turn.
pub(super) fn names_of_data(decls: &[Decl]) -> HashSet<Arc<str>> {
    let mut found: HashSet<Arc<str>> = HashSet::new();
    let mut open: Vec<Arc<str>> = Vec::new();
    for decl in decls {
        match &decl.kind {
            DeclKind::Data(_) => open.extend(Names::of_decl(decl).read),
            DeclKind::Train(t) => {
                let mut seen = Names::default();
                for item in &t.items {
                    if let TrainItem::Setting(s) = item
                        && &*s.key.text == "seed"
                    {
                        s.values.iter().for_each(|a| seen.expr(&a.value));
                    }
                }
                open.extend(seen.read);
            }
            _ => {}
        }
    }
    while let Some(name) = open.pop() {
        let named = decls
            .iter()
            .filter(|d| d.name().is_some_and(|n| n.text == name));
        if found.insert(name.clone()) {
            open.extend(named.flat_map(|d| Names::of_decl(d).read));
        }
    }
    found
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
            // Keras' argument has no effect, there either
            diags.retain(|d| !d.message.contains("`relative_step`"));
            assert!(diags.is_empty(), "{name}: {diags:#?}");
        }
    }
}
