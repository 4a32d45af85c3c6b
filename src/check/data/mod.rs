//! `data` blocks: sources, columns, splits and fits as plain data; inputs and
//! targets as expressions over columns, elaborated where a run needs them.

pub(super) mod augment;
pub(super) mod balance;
pub(super) mod column;
pub(super) mod env;
pub(super) mod feed;
pub(super) mod fit;
pub(super) mod functions;
pub(super) mod missing;
pub(super) mod rows;
pub(super) mod series;
pub(super) mod sources;
pub(super) mod split;
pub(super) mod streams;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::diag::{Code, Diagnostic};
use crate::span::Span;
use crate::spec::*;
use crate::syntax::ast::{self, DataItemKind, Expr};

use crate::check::elab::Elab;
use crate::check::elab::state::Fit;
use crate::check::elab::value::Val;

use env::{DataEnv, Feed};

impl Elab<'_> {
    /// A call or a pipe that is a function of rows or of a column; `None` where it is an
    /// ordinary one.
    pub fn data_call(&mut self, e: &Expr) -> Option<Val> {
        self.row_call(e).or_else(|| self.column_call(e))
    }

    pub fn data_block(&mut self, d: &ast::Data, span: Span) -> DataEnv {
        let spec = DataSpec {
            name: d.name.text.to_string(),
            sources: Vec::new(),
            columns: Vec::new(),
            split: None,
            fits: Vec::new(),
            derived: Vec::new(),
            augmented: Vec::new(),
            span,
        };
        let mut env = DataEnv {
            spec,
            inputs: Vec::new(),
            targets: Vec::new(),
            columns: HashMap::new(),
            texts: HashSet::new(),
            fits: HashMap::new(),
            broken: HashSet::new(),
            readers: Vec::new(),
        };
        let mut names: HashMap<Arc<str>, Span> = HashMap::new();
        let mut columns: HashSet<Arc<str>> = HashSet::new();
        for item in &d.items {
            match &item.kind {
                DataItemKind::Column { name, .. }
                | DataItemKind::Fit { name, .. }
                | DataItemKind::Input { name, .. }
                | DataItemKind::Target { name, .. } => {
                    let feed_of_column = matches!(
                        item.kind,
                        DataItemKind::Input { .. } | DataItemKind::Target { .. }
                    );
                    let known = names.insert(name.text.clone(), name.span);
                    if let Some(first) =
                        known.filter(|_| !(feed_of_column && columns.contains(&name.text)))
                    {
                        let d = Diagnostic::error(
                            Code::E0102,
                            format!("`{}` is declared twice", name.text),
                        )
                        .label(name.span, "declared again here")
                        .label(first, "first declared here");
                        self.diagnose(d);
                    }
                }
                DataItemKind::Source { .. } | DataItemKind::Split { .. } => {}
            }
            match &item.kind {
                DataItemKind::Source { part, value } => {
                    self.source(part.as_ref(), value, item.span, &mut env);
                }
                DataItemKind::Column {
                    name,
                    ty,
                    selector,
                    options,
                } => {
                    columns.insert(name.text.clone());
                    self.column(name, ty, selector.as_ref(), item.span, &mut env);
                    self.column_options(name, options, &mut env);
                    if !env.has_column(&name.text) {
                        env.broken.insert(name.text.clone());
                    }
                }
                DataItemKind::Split { method, parts } => {
                    self.split_item(method.as_ref(), parts, item.span, &mut env);
                }
                DataItemKind::Fit { name, value } => {
                    self.fit(name, value, item.span, &mut env);
                    if !env.fits.contains_key(&name.text) {
                        self.world.bind_fit(&name.text, &Fit::Broken);
                        env.broken.insert(name.text.clone());
                    }
                }
                DataItemKind::Input { name, ty, value } => {
                    env.inputs.push(Feed {
                        name: name.clone(),
                        ty: ty.clone(),
                        value: value.clone(),
                        span: item.span,
                    });
                }
                DataItemKind::Target { name, ty, value } => {
                    env.targets.push(Feed {
                        name: name.clone(),
                        ty: ty.clone(),
                        value: value.clone(),
                        span: item.span,
                    });
                }
            }
        }
        self.parts_given_twice(&env);
        self.what_sources_hold(&env);
        self.nothing_is_missing(&env);
        self.series_apart(&env);
        let tried = |i: &ast::DataItem| matches!(i.kind, DataItemKind::Source { .. });
        if !d.items.iter().any(tried) {
            let d = Diagnostic::error(Code::E0508, format!("`{}` has no source", d.name.text))
                .label(d.name.span, "add the file that the data come from")
                .help("add a line such as `source csv(\"file.csv\")`");
            self.diagnose(d);
        }
        self.streams(&mut env);
        env
    }
}
