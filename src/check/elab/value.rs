//! What an expression stands for while a program is elaborated: compile-time
//! numbers, lists and definitions, and tensors that live in a graph.

use std::cell::OnceCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::ir::{self, Dim, Elem, Type};
use crate::span::Span;
use crate::spec::RowsSpec;
use crate::syntax::ast;
use crate::syntax::ast::{Def, DefKind, ExprKind, Param};

use super::builtin::Builtin;

/// What a tensor's numbers mean.
#[derive(Clone, PartialEq, Debug)]
pub enum Meaning {
    /// Quantities (or, with an integer element type, counts).
    Real,
    /// Probabilities.
    Prob,
    /// Class indices below a bound.
    Class(Dim),
    /// Ids of a vocabulary of a size.
    Token(Dim),
}

#[derive(Clone, PartialEq, Debug)]
pub struct Tensor {
    pub value: ir::Value,
    /// Which graph of the elaboration it lives in.
    pub home: Home,
    pub ty: Type,
    pub meaning: Meaning,
    /// Which positions of the leading axes count, all where there is none: see [`crate::check::eval::mask`].
    pub mask: Option<Rc<Tensor>>,
}

/// Initial values are computed in a graph of their own, and so are metric results.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Home {
    Step,
    Init,
    /// The body of a scan, by nesting; a value of an outer home is closed over.
    Scan(u32),
}

#[derive(Clone, Debug)]
pub enum Val {
    /// Stands for anything after a mistake has been reported.
    Error,
    None,
    Int(Dim),
    Float(f64),
    /// A number or a truth value that a generic check does not know.
    Unknown(Kind),
    Bool(bool),
    Str(Arc<str>),
    /// `same`, `valid`: one of the names that a parameter lists.
    Symbol(Arc<str>),
    Elem(Elem),
    Tensor(Tensor),
    Tuple(Rc<Vec<(Option<Arc<str>>, Val)>>),
    List(Rc<Vec<Val>>),
    Def(Rc<Configured>),
    Layer(Rc<Instance>),
    Model(Arc<ast::Model>),
    Builtin(&'static Builtin),
    /// `fit` results by field name.
    Fitted(Rc<str>),
    /// Texts, or lists of ids: of a data block, and of no graph.
    Rows(Rc<Rows>),
    Weighted(f64, Box<Val>),
}

/// Kinds of compile-time values, for parameters and messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Int,
    Float,
    Bool,
    Text,
}

/// What a data block has for each row that no graph holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    pub rows: crate::spec::RowsSpec,
    pub kind: RowsKind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum RowsKind {
    Text,
    /// All below a bound.
    Ids(Dim),
    Lengths,
}

/// Definitions of one name (several where the argument types choose), with
/// configuration arguments as evaluated, not yet bound.
#[derive(Debug)]
pub struct Configured {
    pub defs: Rc<Vec<DefRef>>,
    pub args: Vec<ArgVal>,
    /// Where it was configured.
    pub span: Span,
    /// The parameters' values, once they were bound for the first of `defs`.
    pub bound: OnceCell<Vec<Bound>>,
}

/// A parameter of a definition with the value that a configuration gives it.
#[derive(Debug)]
pub struct Bound {
    pub name: Arc<str>,
    pub val: Val,
    pub span: Span,
}

impl Configured {
    pub fn new(defs: Rc<Vec<DefRef>>, args: Vec<ArgVal>, span: Span) -> Configured {
        Configured {
            defs,
            args,
            span,
            bound: OnceCell::new(),
        }
    }
}

/// A definition and the source that holds it.
#[derive(Clone, Debug)]
pub struct DefRef {
    pub def: Arc<ast::Def>,
    pub library: bool,
}

/// Which definition it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DefId(Span);

impl DefRef {
    /// No two definitions have their names at the same place.
    pub fn id(&self) -> DefId {
        DefId(self.def.name.span)
    }
}

/// A layer with its configuration and its name: applying it twice shares its weights.
#[derive(Debug)]
pub struct Instance {
    pub configured: Rc<Configured>,
    /// Full path: `residual/dense_1`.
    pub path: Arc<str>,
    /// Whether a binding named it: a layer of its own wherever it is used. One without a name
    /// belongs to the layer it is an argument of.
    pub named: bool,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct ArgVal {
    pub name: Option<ast::Ident>,
    pub val: Val,
    pub span: Span,
    /// A bare name that stands for nothing in scope: a symbol, if the parameter takes one.
    pub symbol: Option<ast::Ident>,
}

impl Val {
    pub fn is_error(&self) -> bool {
        matches!(self, Val::Error)
    }
    pub fn list(items: impl IntoIterator<Item = Val>) -> Val {
        Val::List(Rc::new(items.into_iter().collect()))
    }
    /// As a message quotes it: `[2, 3]`, `same`; what has no such text is described.
    pub fn in_words(&self) -> String {
        match self {
            Val::Int(d) => d.to_string(),
            Val::Float(x) => x.to_string(),
            Val::Str(s) | Val::Symbol(s) => s.to_string(),
            Val::None => "none".into(),
            Val::List(l) => {
                let items: Vec<String> = l.iter().map(Val::in_words).collect();
                format!("[{}]", items.join(", "))
            }
            other => other.describe(),
        }
    }
    /// With its article: "an integer", "a tensor f32[B, 10]".
    pub fn describe(&self) -> String {
        match self {
            Val::Error => "an error".into(),
            Val::None => "none".into(),
            Val::Int(d) => format!("the integer {d}"),
            Val::Float(x) => format!("the number {x}"),
            Val::Unknown(k) => k.describe().into(),
            Val::Bool(b) => format!("{b}"),
            Val::Str(s) => format!("the string \"{s}\""),
            Val::Symbol(s) => format!("the option `{s}`"),
            Val::Elem(e) => format!("the element type {}", e.name()),
            Val::Tensor(t) => format!("{t}"),
            Val::Tuple(t) => format!("a tuple of {}", t.len()),
            Val::List(l) => format!("a list of {}", l.len()),
            Val::Def(c) => {
                let def = &c.defs[0].def;
                format!("the {} `{}`", def.kind.keyword(), def.name.text)
            }
            Val::Layer(i) => format!("the layer `{}`", i.configured.defs[0].def.name.text),
            Val::Model(m) => format!("the model `{}`", m.name.text),
            Val::Builtin(b) => format!("the function `{}`", b.name),
            Val::Fitted(n) => format!("the fitted `{n}`"),
            Val::Rows(rows) => rows.describe(),
            Val::Weighted(..) => "a weighted loss".into(),
        }
    }
}

impl Kind {
    pub fn describe(self) -> &'static str {
        match self {
            Kind::Int => "an integer",
            Kind::Float => "a number",
            Kind::Bool => "true or false",
            Kind::Text => "a string",
        }
    }
}

impl Meaning {
    fn name(&self, elem: Elem) -> String {
        match self {
            Meaning::Real => elem.name().into(),
            Meaning::Prob => "prob".into(),
            Meaning::Class(n) => format!("class[{n}]"),
            Meaning::Token(n) => format!("token[{n}]"),
        }
    }
    /// Ids, not quantities.
    pub fn is_id(&self) -> bool {
        matches!(self, Meaning::Class(_) | Meaning::Token(_))
    }
}

/// `f32[B, 784]`, `prob[B, 10]`, `class[10][B]`
impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&type_text(&self.meaning, &self.ty))
    }
}

pub(crate) fn type_text(meaning: &Meaning, ty: &Type) -> String {
    format!("{}{}", meaning.name(ty.elem), ir::ty::ShapeText(&ty.shape))
}

/// The number of classes that a class pattern names literally.
pub(crate) fn literal(e: &crate::syntax::ast::Expr) -> Option<i64> {
    match &e.kind {
        ExprKind::Int(n) => Some(*n),
        _ => None,
    }
}

/// The list that configures a definition, and the list that takes tensors.
pub(crate) fn lists(def: &Def) -> (&[Param], &[Param]) {
    match (def.lists.as_slice(), def.kind) {
        ([config, inputs], _) => (config, inputs),
        ([one], DefKind::Layer | DefKind::Fn | DefKind::Loss | DefKind::Metric) => (&[], one),
        ([one], _) => (one, &[]),
        _ => (&[], &[]),
    }
}

pub(crate) fn float(v: &Val) -> Option<f64> {
    match v {
        Val::Float(x) => Some(*x),
        Val::Int(d) => d.as_const().map(|c| c as f64),
        _ => None,
    }
}

impl Rows {
    pub fn text(column: &str) -> Rows {
        Rows {
            rows: RowsSpec::Text(column.into()),
            kind: RowsKind::Text,
        }
    }

    /// With its article.
    pub fn describe(&self) -> String {
        match &self.kind {
            RowsKind::Text => format!("the text column `{}`", self.rows.column()),
            RowsKind::Ids(_) => "lists of ids of varying length".into(),
            RowsKind::Lengths => "one length per row".into(),
        }
    }
}
