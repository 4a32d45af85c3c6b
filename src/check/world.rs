//! Every name a program can mean: the user's declarations, those of imported
//! files, and the library, whose files are parsed when first needed.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use crate::library;
use crate::span::{SourceMap, Span};
use crate::syntax::{self, ast};

use super::call::lists;
use super::mismatch::literal;
use super::signature::{MeaningPattern, ParamType, Pattern, param_type};
use super::value::{DefRef, Meaning, Val};

#[derive(Clone, Debug)]
pub enum Global {
    Const,
    Defs(Rc<Vec<DefRef>>),
    Model(Arc<ast::Model>),
    Data,
    /// Declared with a mistake that has been reported.
    Broken,
}

#[derive(Clone, Debug)]
pub enum ConstState {
    Pending(ast::Expr),
    /// Being evaluated: meeting it again is a cycle.
    Busy,
    Done(Val),
}

/// What a check is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Purpose {
    /// The graphs of a run.
    #[default]
    Run,
    /// The mistakes alone: what could only repeat a report (the update of another parameter
    /// of the same type, an evaluation that is the training step's) is left out.
    Report,
}

#[derive(Debug, Default)]
pub struct World {
    pub purpose: Purpose,
    pub map: RefCell<SourceMap>,
    /// Names of the user's file and what it imports, with their places.
    pub globals: HashMap<Arc<str>, (Global, Span)>,
    pub consts: RefCell<HashMap<Arc<str>, ConstState>>,
    library: RefCell<HashMap<Arc<str>, Rc<Vec<DefRef>>>>,
    parsed: RefCell<HashSet<usize>>,
    /// The program is too large, and was reported: nothing more is applied.
    pub exhausted: Cell<bool>,
}

impl World {
    pub fn new(purpose: Purpose) -> World {
        World {
            purpose,
            ..World::default()
        }
    }
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
    /// A library definition of the same kind and a kindred name (one contains the other)
    /// whose second input has the wanted meaning.
    pub fn kin(
        &self,
        def: &ast::Def,
        wanted: impl Fn(&MeaningPattern) -> bool,
    ) -> Option<&'static str> {
        let mut names: Vec<&'static str> = library::names()
            .filter(|n| *n != &*def.name.text)
            .filter(|n| n.contains(&*def.name.text) || def.name.text.contains(n))
            .collect();
        names.sort();
        names.into_iter().find(|n| {
            self.library(n).is_some_and(|defs| {
                defs.iter().any(|d| {
                    d.def.kind == def.kind && target_meaning(&d.def).is_some_and(|m| wanted(&m))
                })
            })
        })
    }
    /// The usual loss for a target, by what its signature says: the most particular one.
    pub fn loss_for(&self, target: &Meaning, rank: usize) -> Option<&'static str> {
        let fit = |def: &ast::Def| match (target_meaning(def)?, target) {
            (MeaningPattern::Class(e), Meaning::Class(n)) => match literal(e) {
                Some(k) => (n.as_const() == Some(k)).then_some(3),
                None => Some(2),
            },
            // Classes lie along a last axis.
            (MeaningPattern::Prob, Meaning::Prob) => {
                Some(if (target_axes(def) > 1) == (rank > 1) {
                    3
                } else {
                    2
                })
            }
            (MeaningPattern::Real, Meaning::Real | Meaning::Prob) => Some(1),
            _ => None,
        };
        let best = |n: &&'static str| {
            let defs = self.library(n)?;
            let losses = defs.iter().filter(|d| d.def.kind == ast::DefKind::Loss);
            losses.filter_map(|d| fit(&d.def)).max()
        };
        library::mendings("loss")
            .filter_map(|n| Some((best(&n)?, n)))
            .max_by_key(|(rank, _)| *rank)
            .map(|(_, n)| n)
    }
    /// The usual loss of class indices, however many classes there are.
    pub fn loss_of_choice(&self) -> Option<&'static str> {
        library::mendings("loss").find(|n| {
            let defs = self.library(n);
            defs.iter().flat_map(|d| d.iter()).any(|d| {
                matches!(target_meaning(&d.def), Some(MeaningPattern::Class(e)) if literal(e).is_none())
            })
        })
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

/// What a loss or metric takes as its target.
fn target(def: &ast::Def) -> Option<Pattern<'_>> {
    match param_type(lists(def).1.get(1)?.ty.as_ref()) {
        Ok(ParamType::Tensor(p)) => Some(p),
        _ => None,
    }
}

fn target_meaning(def: &ast::Def) -> Option<MeaningPattern<'_>> {
    target(def).map(|p| p.meaning)
}

fn target_axes(def: &ast::Def) -> usize {
    target(def).map_or(0, |p| p.dims.len())
}
