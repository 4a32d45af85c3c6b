//! Every name a program can mean: the user's declarations, those of imported
//! files, and the library, whose files are parsed when first needed.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use crate::library;
use crate::span::{SourceMap, Span};
use crate::syntax::{self, ast};

use super::value::{DefRef, Val};

#[derive(Clone, Debug)]
pub enum Global {
    Const,
    Defs(Rc<Vec<DefRef>>),
    Model(Arc<ast::Model>),
    Data,
}

#[derive(Clone, Debug)]
pub enum ConstState {
    Pending(ast::Expr),
    /// Being evaluated: meeting it again is a cycle.
    Busy,
    Done(Val),
}

#[derive(Debug, Default)]
pub struct World {
    pub map: RefCell<SourceMap>,
    /// Names of the user's file and what it imports, with their places.
    pub globals: HashMap<Arc<str>, (Global, Span)>,
    pub consts: RefCell<HashMap<Arc<str>, ConstState>>,
    library: RefCell<HashMap<Arc<str>, Rc<Vec<DefRef>>>>,
    parsed: RefCell<HashSet<usize>>,
}

impl World {
    /// Library definitions of a name or alias, of every kind.
    pub fn library(&self, name: &str) -> Option<Rc<Vec<DefRef>>> {
        let files = library::index().get(name)?;
        for &i in files {
            if self.parsed.borrow_mut().insert(i) {
                self.parse_library(i);
            }
        }
        self.library.borrow().get(name).cloned()
    }
    pub fn place(&self, span: Span) -> String {
        self.map.borrow().place(span)
    }
    /// Every name that could stand in an expression, for suggestions.
    pub fn names(&self) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = self.globals.keys().cloned().collect();
        names.extend(library::names().map(Arc::from));
        names.extend(super::builtins::BUILTINS.iter().map(|b| Arc::from(b.name)));
        names.sort();
        names
    }

    fn parse_library(&self, i: usize) {
        let (name, text) = library::FILES[i];
        let id = self.map.borrow_mut().add(name, text, true);
        let (file, errors) = syntax::parse(id, text);
        debug_assert!(errors.is_empty(), "{name}: {errors:?}");
        let mut table = self.library.borrow_mut();
        for decl in file.decls {
            let ast::DeclKind::Def(def) = decl.kind else {
                continue;
            };
            let aliases = decl
                .attributes
                .iter()
                .filter(|a| &*a.name.text == "alias")
                .flat_map(|a| &a.args);
            let aliases = aliases.filter_map(|a| match &a.value.kind {
                ast::ExprKind::Name(n) => Some(n.text.clone()),
                _ => None,
            });
            for name in std::iter::once(def.name.text.clone()).chain(aliases) {
                let entry = table.entry(name).or_default();
                Rc::make_mut(entry).push(DefRef {
                    def: def.clone(),
                    library: true,
                });
            }
        }
    }
}
