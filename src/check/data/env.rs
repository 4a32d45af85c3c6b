//! A data block as the inputs of a model see it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::ir::Type;
use crate::span::Span;
use crate::spec::{
    DataSetEntry, DataSpec, Format, Holds, OptionKind, Part, SourceArguments, SourceEntry, Takes,
};
use crate::syntax::ast::{Expr, Ident, TypeExpr};

use crate::check::elab::state::Fit;
use crate::check::elab::value::Meaning;

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
    /// The reader of each source, what it makes of its arguments, and where it is named.
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

/// What a file names behind `source`.
#[derive(Clone, Copy, Debug)]
pub enum Reader {
    Format(&'static SourceEntry),
    DataSet(&'static DataSetEntry),
}

impl Reader {
    pub fn name(self) -> &'static str {
        match self {
            Reader::Format(entry) => entry.name,
            Reader::DataSet(set) => set.name,
        }
    }

    pub fn holds(self) -> Holds {
        match self {
            Reader::Format(entry) => entry.holds,
            Reader::DataSet(set) => Holds::Fields(set.fields),
        }
    }

    pub fn takes(self) -> Takes {
        match self {
            Reader::Format(entry) => entry.takes,
            Reader::DataSet(_) => Takes::Nothing,
        }
    }

    pub fn options(self) -> &'static [(&'static str, OptionKind)] {
        match self {
            Reader::Format(entry) => entry.options,
            Reader::DataSet(_) => &[],
        }
    }

    pub fn make(self, given: SourceArguments) -> Format {
        match self {
            Reader::Format(entry) => (entry.make)(given),
            // its training rows: see [`Elab::fetched_rows`]
            Reader::DataSet(set) => Format::Fetched {
                set: set.name,
                rows: Part::Train,
                folder: None,
            },
        }
    }
}
