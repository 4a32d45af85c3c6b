//! Every name a program can mean: the user's declarations, those of imported
//! files, and the library, whose definitions are parsed when first needed.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::ir::Dim;
use crate::library;
use crate::span::{SourceMap, Span};
use crate::spec::Runtime;
use crate::syntax::{self, ast};

use super::builtin::{Builtin, Extensions};
use super::pattern::{MeaningPattern, ParamType, Pattern, param_type};
use super::state::{Fit, Gives, Stage};
use super::value::{DefRef, Meaning, Val, lists, literal};

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

/// Sizes that only the data can tell, by name: `length`, `vocab.size`.
pub type Sizes = HashMap<String, i64>;

#[derive(Debug)]
pub struct World {
    pub purpose: Purpose,
    pub extensions: Extensions,
    /// What the runtime offers to the file by name.
    pub runtime: Runtime,
    pub map: RefCell<SourceMap>,
    /// Names of the user's file and what it imports, with their places.
    pub globals: HashMap<Arc<str>, (Global, Span)>,
    pub consts: RefCell<HashMap<Arc<str>, ConstState>>,
    library: RefCell<HashMap<&'static str, Rc<Vec<DefRef>>>>,
    parts: RefCell<HashMap<usize, DefRef>>,
    /// What every optimizer takes, once one is asked for it.
    stages: OnceCell<Vec<Stage>>,
    /// Sizes that the data determined, by name, once they have been read.
    pub sizes: Sizes,
    /// What the data block at hand fits: its models see its sizes.
    fits: RefCell<HashMap<Arc<str>, Fit>>,
    /// The program is too large, and was reported: nothing more is applied.
    pub exhausted: Cell<bool>,
}

impl World {
    pub fn new(purpose: Purpose, runtime: Runtime, extensions: Extensions) -> World {
        World {
            purpose,
            runtime,
            extensions,
            map: RefCell::default(),
            globals: HashMap::new(),
            consts: RefCell::default(),
            library: RefCell::default(),
            parts: RefCell::default(),
            stages: OnceCell::new(),
            sizes: Sizes::new(),
            fits: RefCell::default(),
            exhausted: Cell::new(false),
        }
    }
    /// The function that Rust knows by a name.
    pub fn builtin(&self, name: &str) -> Option<&'static Builtin> {
        self.extensions.find(name)
    }
    /// A size that only the data can tell: a symbol until they have been read.
    pub fn fitted_size(&self, name: &str) -> Dim {
        let known = self.sizes.get(name).copied();
        known.map_or_else(|| Dim::symbol(name), Dim::Const)
    }
    pub fn bind_fit(&self, name: &Arc<str>, fit: &Fit) {
        self.fits.borrow_mut().insert(name.clone(), fit.clone());
    }
    pub fn fit(&self, name: &str) -> Option<Fit> {
        self.fits.borrow().get(name).cloned()
    }
    /// Library definitions of a name or alias, of every kind, in the order of the library.
    pub fn library(&self, name: &str) -> Option<Rc<Vec<DefRef>>> {
        if let Some(known) = self.library.borrow().get(name) {
            return Some(known.clone());
        }
        let (&name, parts) = library::index().by_name.get_key_value(name)?;
        let defs: Vec<DefRef> = parts.iter().filter_map(|p| self.library_part(*p)).collect();
        let defs = Rc::new(defs);
        self.library.borrow_mut().insert(name, defs.clone());
        Some(defs)
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
        library::proposals("loss")
            .filter_map(|n| Some((best(&n)?, n)))
            .max_by_key(|(rank, _)| *rank)
            .map(|(_, n)| n)
    }
    /// The usual loss of class indices, however many classes there are.
    pub fn loss_of_choice(&self) -> Option<&'static str> {
        library::proposals("loss").find(|n| {
            let defs = self.library(n);
            defs.iter().flat_map(|d| d.iter()).any(|d| {
                matches!(target_meaning(&d.def), Some(MeaningPattern::Class(e)) if literal(e).is_none())
            })
        })
    }
    /// Every name that could stand in an expression, for suggestions.
    /// The names of the functions that Rust knows.
    pub fn functions(&self) -> impl Iterator<Item = &'static str> {
        self.extensions.all().map(|b| b.name)
    }

    pub fn names(&self) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = self.globals.keys().cloned().collect();
        names.extend(library::names().map(Arc::from));
        names.extend(self.extensions.all().map(|b| Arc::from(b.name)));
        names.extend(self.fits.borrow().keys().cloned());
        names.sort();
        names
    }

    /// What carries `@every_optimizer(..)`, in the order of the library.
    pub fn stages(&self) -> &[Stage] {
        self.stages.get_or_init(|| {
            let parts = library::every_optimizer();
            let stages = parts.filter_map(|(part, what)| {
                let gives = match what {
                    "grad" => Gives::Grad,
                    _ => Gives::Param,
                };
                let def = self.library_part(part)?;
                Some(Stage { def, gives })
            });
            stages.collect()
        })
    }

    /// The definition in a part of the library, parsed when first asked for.
    fn library_part(&self, i: usize) -> Option<DefRef> {
        if let Some(known) = self.parts.borrow().get(&i) {
            return Some(known.clone());
        }
        let part = library::index().parts[i];
        let (name, text) = (library::FILES[part.file].0, part.text());
        let id = self.map.borrow_mut().add(name, text, true);
        let (file, errors) = syntax::parse(id, text);
        debug_assert!(errors.is_empty(), "{name}: {errors:?}");
        let def = file.decls.into_iter().find_map(|decl| match decl.kind {
            ast::DeclKind::Def(def) => Some(DefRef { def, library: true }),
            _ => None,
        })?;
        self.parts.borrow_mut().insert(i, def.clone());
        Some(def)
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
