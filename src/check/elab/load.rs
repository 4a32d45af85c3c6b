//! Reads a file and what it imports into one table of names.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::span::SourceId;
use crate::spec::Runtime;
use crate::syntax::{self, ast};

use crate::check::allow;

use super::builtin::Extensions;
use super::value::DefRef;
use super::world::{ConstState, Global, Purpose, World};

/// What the checker asks of its surroundings.
pub trait Host: Sync {
    /// The text of a file; `path` is as written, relative to the importing file's folder
    /// already resolved. The error is a sentence.
    fn read(&self, path: &str) -> Result<String, String>;

    /// What a file may name that the runtime offers.
    fn runtime(&self) -> Runtime;
}

pub(crate) struct Loaded {
    pub world: World,
    /// The main file's declarations and those imported, imports first.
    pub decls: Vec<ast::Decl>,
    pub diagnostics: Vec<Diagnostic>,
}

pub(crate) fn load(
    files: &dyn Host,
    path: &str,
    overrides: &[(String, String)],
    purpose: Purpose,
    extensions: Extensions,
) -> Loaded {
    let mut loader = Loader {
        files,
        world: World::new(purpose, files.runtime(), extensions),
        decls: Vec::new(),
        diagnostics: Vec::new(),
        read: HashMap::new(),
    };
    match files.read(path) {
        Ok(text) => {
            loader.file(path, text, None);
        }
        Err(why) => loader.diagnostics.push(Diagnostic::error(
            Code::E0112,
            format!("cannot read {path}: {why}"),
        )),
    }
    loader.override_consts(overrides);
    Loaded {
        world: loader.world,
        decls: loader.decls,
        diagnostics: loader.diagnostics,
    }
}

struct Loader<'f> {
    files: &'f dyn Host,
    world: World,
    decls: Vec<ast::Decl>,
    diagnostics: Vec<Diagnostic>,
    /// Files read so far, to their sources: an import cycle ends here.
    read: HashMap<String, SourceId>,
}

impl Loader<'_> {
    /// Declares what a file holds; of an import, only what `names` lists.
    fn file(&mut self, path: &str, text: String, names: Option<&[ast::Ident]>) {
        let id = self.world.map.borrow_mut().add(path, text.as_str(), false);
        self.read.insert(resolve("", path), id);
        let (file, errors) = syntax::parse(id, &text);
        self.diagnostics.extend(errors);
        let declared: Vec<Arc<str>> = file
            .decls
            .iter()
            .filter_map(|d| d.name().map(|n| n.text.clone()))
            .collect();
        for n in names.into_iter().flatten() {
            if !declared.contains(&n.text) {
                let mut d =
                    Diagnostic::error(Code::E0113, format!("there is no `{}` in {path}", n.text))
                        .label(n.span, "imported here");
                if let Some(near) = did_you_mean(&n.text, declared.iter().map(|s| &**s)) {
                    d = d.help(format!("did you mean `{near}`?")).fix(n.span, near);
                }
                self.diagnostics.push(d);
                self.world
                    .globals
                    .insert(n.text.clone(), (Global::Broken, n.span));
            }
        }
        for n in &file.broken {
            let known = self.world.globals.entry(n.text.clone());
            known.or_insert((Global::Broken, n.span));
        }
        let main = self.read.len() == 1;
        for decl in file.decls {
            let mistakes = decl.attributes.iter().filter_map(allow::mistake);
            self.diagnostics.extend(mistakes);
            if let ast::DeclKind::Import(import) = &decl.kind {
                self.import(path, import);
                continue;
            }
            // An imported file lends its definitions, not its runs.
            let lent = matches!(
                decl.kind,
                ast::DeclKind::Const(_)
                    | ast::DeclKind::Def(_)
                    | ast::DeclKind::Model(_)
                    | ast::DeclKind::Data(_)
            );
            if !main && !lent {
                continue;
            }
            if let Some(name) = decl.name().cloned() {
                self.declare(&name, &decl);
            }
            self.decls.push(decl);
        }
    }

    fn import(&mut self, from: &str, import: &ast::Import) {
        let path = resolve(from, &import.path.node);
        if self.read.contains_key(&path) {
            return;
        }
        match self.files.read(&path) {
            Ok(text) => self.file(&path, text, import.names.as_deref()),
            Err(why) => {
                let at = import.path.span;
                let d = Diagnostic::error(Code::E0112, format!("cannot import {path}: {why}"))
                    .label(at, "imported here");
                self.diagnostics.push(d);
            }
        }
    }

    fn declare(&mut self, name: &ast::Ident, decl: &ast::Decl) {
        let known = self.world.globals.get(&name.text);
        if let Some((_, first)) = known.filter(|(g, _)| !matches!(g, Global::Broken)) {
            let d = Diagnostic::error(Code::E0102, format!("`{}` is declared twice", name.text))
                .label(name.span, "declared again here")
                .label(*first, "first declared here");
            self.diagnostics.push(d);
            return;
        }
        let global = match &decl.kind {
            ast::DeclKind::Const(c) => {
                self.world
                    .consts
                    .borrow_mut()
                    .insert(name.text.clone(), ConstState::Pending(c.value.clone()));
                Global::Const
            }
            ast::DeclKind::Def(def) => Global::Defs(Rc::new(vec![DefRef {
                def: def.clone(),
                library: false,
            }])),
            ast::DeclKind::Model(m) => Global::Model(m.clone()),
            _ => Global::Data,
        };
        self.world
            .globals
            .insert(name.text.clone(), (global, name.span));
    }

    /// `--set name=value`: the value is an expression of the language.
    fn override_consts(&mut self, overrides: &[(String, String)]) {
        for (name, value) in overrides {
            let text = format!("const {name} = {value}");
            let id = self
                .world
                .map
                .borrow_mut()
                .add("--set", text.as_str(), false);
            let (file, errors) = syntax::parse(id, &text);
            let value = match file.decls.into_iter().next().map(|d| d.kind) {
                Some(ast::DeclKind::Const(c)) if errors.is_empty() => c.value,
                _ => {
                    self.diagnostics.push(Diagnostic::error(
                        Code::E0802,
                        format!("--set {name}: cannot parse `{value}` as a value"),
                    ));
                    continue;
                }
            };
            let mut consts = self.world.consts.borrow_mut();
            if consts.contains_key(name.as_str()) {
                consts.insert(name.as_str().into(), ConstState::Pending(value));
                continue;
            }
            let mut d = Diagnostic::error(
                Code::E0801,
                format!("--set {name}: there is no `const {name}` in the file"),
            );
            let known: Vec<&Arc<str>> = consts.keys().collect();
            d = match did_you_mean(name, known.iter().map(|k| &***k)) {
                Some(near) => d.help(format!("did you mean `{near}`?")),
                None => d,
            };
            self.diagnostics.push(d);
        }
    }
}

/// A path written in `from`, relative to its folder.
fn resolve(from: &str, path: &str) -> String {
    let folder = match from.rsplit_once('/') {
        Some((folder, _)) if !path.starts_with('/') => folder,
        _ => "",
    };
    let root = if folder.is_empty() { path } else { from }.starts_with('/');
    // `a/../b.nn` is `b.nn`: a file has one path, so that an import cycle ends.
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|p| *p != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("{}{}", if root { "/" } else { "" }, parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn a_file_has_one_path() {
        assert_eq!(resolve("main.nn", "parts/a.nn"), "parts/a.nn");
        assert_eq!(resolve("x/main.nn", "parts/../a.nn"), "x/a.nn");
        assert_eq!(resolve("x/y/main.nn", "../a.nn"), "x/a.nn");
        assert_eq!(resolve("main.nn", "../a.nn"), "../a.nn");
        assert_eq!(resolve("/x/main.nn", "./a.nn"), "/x/a.nn");
        assert_eq!(resolve("x/main.nn", "/a.nn"), "/a.nn");
    }
}
