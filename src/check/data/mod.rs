//! `data` blocks: sources, columns, splits and fits as plain data; inputs and
//! targets as expressions over columns, elaborated where a run needs them.

pub mod augment;
pub mod balance;
pub mod columns;
pub mod feed;
pub mod fit;
pub mod missing;
pub mod rows;
pub mod sources;
pub mod split;
pub mod streams;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::diag::{Code, Diagnostic, counted, did_you_mean};
use crate::ir::{Dim, Elem, Type};
use crate::span::Span;
use crate::spec::*;
use crate::syntax::ast::{self, DataItemKind, Expr, ExprKind, Ident, TypeExpr};

use crate::check::elab::Elab;
use crate::check::elab::pattern::{MeaningPattern, tensor_pattern};
use crate::check::elab::state::Fit;
use crate::check::elab::value::{Meaning, Val};

use sources::Reader;

/// A data block with its names resolved.
#[derive(Debug)]
pub struct DataEnv {
    pub spec: DataSpec,
    pub inputs: Vec<Feed>,
    pub targets: Vec<Feed>,
    /// Those that graphs can take.
    pub columns: HashMap<Arc<str>, Column>,
    pub texts: HashSet<Arc<str>>,
    pub fits: HashMap<Arc<str>, Fit>,
    /// Columns and fits with a mistake: what uses them says nothing more.
    pub broken: HashSet<Arc<str>>,
    /// The reader of each source, and where it is named.
    pub readers: Vec<(Reader, Format, Span)>,
}

/// An `input` or `target`.
#[derive(Debug, Clone)]
pub struct Feed {
    pub name: Ident,
    pub ty: TypeExpr,
    pub value: Option<Expr>,
    pub span: Span,
}

impl DataEnv {
    /// A column of the block, of numbers or texts.
    pub fn has_column(&self, name: &str) -> bool {
        self.columns.contains_key(name) || self.texts.contains(name)
    }

    pub fn column_names(&self) -> impl Iterator<Item = &str> {
        self.columns.keys().chain(&self.texts).map(|k| &**k)
    }
}

#[derive(Debug, Clone)]
pub struct Column {
    pub ty: Type,
    pub meaning: Meaning,
}

impl Elab<'_> {
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
                        self.report(d);
                    }
                }
                DataItemKind::Source { .. } | DataItemKind::Split { .. } => {}
            }
            match &item.kind {
                DataItemKind::Source { part, value } => {
                    self.source(part.as_ref(), value, item.span, &mut env)
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
                    self.split_item(method.as_ref(), parts, item.span, &mut env)
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
            self.report(d);
        }
        self.streams(&mut env);
        env
    }

    fn part(&mut self, p: &Ident) -> Option<Part> {
        match &*p.text {
            "train" => Some(Part::Train),
            "val" => Some(Part::Val),
            "test" => Some(Part::Test),
            other => {
                let mut d = Diagnostic::error(Code::E0504, format!("unknown set `{other}`"))
                    .label(p.span, "the sets are `train`, `val` and `test`");
                if let Some(near) = did_you_mean(other, ["train", "val", "test"]) {
                    d = d.help(format!("did you mean `{near}`?")).fix(p.span, near);
                } else if matches!(other, "validation" | "valid" | "dev") {
                    d = d.help("did you mean `val`?").fix(p.span, "val");
                }
                self.report(d);
                None
            }
        }
    }

    pub fn column(
        &mut self,
        name: &Ident,
        ty: &TypeExpr,
        selector: Option<&Expr>,
        span: Span,
        env: &mut DataEnv,
    ) {
        let pattern = match tensor_pattern(ty) {
            Ok(p) => p,
            Err(word) if &*word.text == "text" => {
                let selector = self.selector(selector, name);
                return self.text_column(name, ty, selector, span, env);
            }
            Err(word) => {
                let word = word.clone();
                return self.unknown_type(&word);
            }
        };
        let bound = |el: &mut Self, e: &Expr| -> Option<(usize, Dim)> {
            match el.eval(e) {
                Val::Int(d) => match d.as_const() {
                    Some(n) if n > 0 => Some((n as usize, d)),
                    _ => {
                        el.error(
                            Code::E0210,
                            e.span,
                            "expected at least 1",
                            format!("this is {d}"),
                        );
                        None
                    }
                },
                Val::Error => None,
                other => {
                    el.error(
                        Code::E0301,
                        e.span,
                        "a number of classes or words must be an integer",
                        format!("this is {}", other.describe()),
                    );
                    None
                }
            }
        };
        let (kind, meaning) = match &pattern.meaning {
            MeaningPattern::Real | MeaningPattern::Any => (ColumnKind::F32, Meaning::Real),
            MeaningPattern::Prob => (ColumnKind::F32, Meaning::Prob),
            MeaningPattern::Int => (ColumnKind::I32, Meaning::Real),
            MeaningPattern::Bool => (ColumnKind::Bool, Meaning::Real),
            MeaningPattern::U8 => (ColumnKind::U8, Meaning::Real),
            MeaningPattern::Class(e) => match bound(self, e) {
                Some((n, d)) => (ColumnKind::Class(n), Meaning::Class(d)),
                None => return,
            },
            MeaningPattern::Token(e) => match bound(self, e) {
                Some((n, d)) => (ColumnKind::Token(n), Meaning::Token(d)),
                None => return,
            },
        };
        let Some(shape) = self.shape_of(pattern.dims) else {
            return;
        };
        let Some(sizes) = Type::new(Elem::F32, shape.iter().cloned()).sizes() else {
            self.error(
                Code::E0502,
                ty.span,
                "the sizes of a column must be numbers",
                "this size is not known",
            );
            return;
        };
        let selector_span = selector.map(|e| e.span);
        let Some(selector) = self.selector(selector, name) else {
            return;
        };
        if let (Selector::Indices(a, b), [n]) = (&selector, sizes.as_slice())
            && b + 1 - a != *n
        {
            let d = Diagnostic::error(
                Code::E0509,
                format!(
                    "{a} .. {b} selects {}, but the column holds {n}",
                    counted(b + 1 - a, "field")
                ),
            )
            .label(
                selector_span.unwrap_or(span),
                format!("these are {}", b + 1 - a),
            )
            .label(ty.span, format!("this holds {n}"));
            self.report(d);
            return;
        }
        let Some(elem) = kind.elem() else { return };
        env.spec.columns.push(ColumnSpec {
            name: name.text.to_string(),
            kind,
            shape: sizes.to_vec(),
            selector,
            missing: None,
            span,
        });
        let whole = std::iter::once(Dim::symbol("B")).chain(shape);
        env.columns.insert(
            name.text.clone(),
            Column {
                ty: Type::new(elem, whole),
                meaning,
            },
        );
    }

    fn text_column(
        &mut self,
        name: &Ident,
        ty: &TypeExpr,
        selector: Option<Selector>,
        span: Span,
        env: &mut DataEnv,
    ) {
        let Some(selector) = selector else { return };
        let plain =
            matches!(&ty.kind, ast::TypeKind::Plain { brackets, .. } if brackets.is_empty());
        if !plain || matches!(selector, Selector::Names(..) | Selector::Indices(..)) {
            self.error(
                Code::E0502,
                if plain { span } else { ty.span },
                "a text column holds one text per row",
                "this selects several fields",
            );
            return;
        }
        env.spec.columns.push(ColumnSpec {
            name: name.text.to_string(),
            kind: ColumnKind::Text,
            shape: Vec::new(),
            selector,
            missing: None,
            span,
        });
        env.texts.insert(name.text.clone());
    }

    fn selector(&mut self, e: Option<&Expr>, name: &Ident) -> Option<Selector> {
        let Some(e) = e else {
            return Some(Selector::Name(name.text.to_string()));
        };
        let word = |e: &Expr| match &e.kind {
            ExprKind::Name(n) => Some(n.text.to_string()),
            ExprKind::Str(s) => Some(s.clone()),
            _ => None,
        };
        let index = |e: &Expr| match &e.kind {
            ExprKind::Int(i) => usize::try_from(*i).ok(),
            _ => None,
        };
        let found = match &e.kind {
            ExprKind::Range(a, b) => match (word(a), word(b), index(a), index(b)) {
                (Some(a), Some(b), ..) => Some(Selector::Names(a, b)),
                (_, _, Some(a), Some(b)) if a <= b => Some(Selector::Indices(a, b)),
                _ => None,
            },
            _ => word(e)
                .map(Selector::Name)
                .or_else(|| index(e).map(Selector::Index)),
        };
        if found.is_none() {
            let d = Diagnostic::error(
                Code::E0509,
                "a column must be the name of a field, its number from 0, or a range of either",
            )
            .label(e.span, "invalid selector")
            .help("for example, `age`, `\"blood pressure\"`, `8`, `preg .. age` or `0 .. 63`");
            self.report(d);
        }
        found
    }

    fn unknown_column(&mut self, c: &Ident, env: &DataEnv) {
        if env.broken.contains(&c.text) {
            return;
        }
        let mut d = Diagnostic::error(Code::E0110, format!("unknown column `{}`", c.text))
            .label(c.span, "not declared in this block");
        if let Some(near) = did_you_mean(&c.text, env.column_names()) {
            d = d.help(format!("did you mean `{near}`?")).fix(c.span, near);
        }
        self.report(d);
    }
}
