//! What a `data` block says: sources, columns and what is made of them.

use super::augment::AugmentSpec;
use super::{DerivedSpec, FitKind, FitSpec, Folds, Method, SourceSpec, SplitSpec, Statistic};
use crate::ir::{Elem, Graph, Role};
use crate::span::Span;

/// A `data` block.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSpec {
    pub name: String,
    pub sources: Vec<SourceSpec>,
    pub columns: Vec<ColumnSpec>,
    pub split: Option<SplitSpec>,
    /// In the order in which they are written: a later one may use an earlier one.
    pub fits: Vec<FitSpec>,
    /// Columns computed once from others.
    pub derived: Vec<DerivedSpec>,
    /// Columns of images that are changed at random while a model trains.
    pub augmented: Vec<AugmentSpec>,
    pub span: Span,
}

impl DataSpec {
    /// Leaves out the statistics that no graph takes: some are dear.
    pub fn keep_statistics(&mut self, graphs: &[&Graph]) {
        let taken = |fit: &str, s: &Statistic| {
            let name = format!("{fit}.{}", s.name());
            let mut inputs = graphs.iter().flat_map(|g| &g.inputs);
            inputs.any(|i| i.role == Role::Fit && *i.name == *name)
        };
        for fit in &mut self.fits {
            if let FitKind::Statistics { statistics, .. } = &mut fit.kind {
                statistics.retain(|s| taken(&fit.name, s));
            }
        }
    }

    /// The folds that are trained in turn.
    pub fn folds(&self) -> Option<&Folds> {
        match &self.split.as_ref()?.method {
            Method::Folds(folds) => Some(folds),
            _ => None,
        }
    }

    /// Holds another fold out, of data with folds.
    pub fn hold_out(&mut self, fold: usize) {
        if let Some(SplitSpec {
            method: Method::Folds(folds),
            ..
        }) = &mut self.split
        {
            folds.fold = fold;
        }
    }

    /// The part whose source the split divides; none: that of the sources without a part.
    pub fn pool(&self) -> Option<Part> {
        let whole = self.sources.iter().any(|s| s.part.is_none());
        (!whole).then_some(Part::Train)
    }

    /// Whether the rows of a part are read some at a time.
    pub fn streams(&self, part: Part) -> bool {
        let own = self.sources.iter().any(|s| s.part == Some(part));
        let of = if own { Some(part) } else { self.pool() };
        self.sources.iter().any(|s| s.stream && s.part == of)
    }

    /// Some sizes are known only once the data have been read.
    pub fn has_unknown_sizes(&self) -> bool {
        self.fits.iter().any(FitSpec::gives_size)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    Train,
    Val,
    Test,
}

impl Part {
    pub const ALL: [Part; 3] = [Part::Train, Part::Val, Part::Test];
    pub fn name(self) -> &'static str {
        match self {
            Part::Train => "train",
            Part::Val => "val",
            Part::Test => "test",
        }
    }

    /// What people call it: `training` (set, rows), `validation`, `test`.
    pub fn adjective(self) -> &'static str {
        match self {
            Part::Train => "training",
            Part::Val => "validation",
            Part::Test => "test",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct ColumnSpec {
    pub name: String,
    pub kind: ColumnKind,
    /// Per sample.
    pub shape: Vec<usize>,
    pub selector: Selector,
    /// What stands for a value that is not there; none: there may be no such value.
    pub missing: Option<Missing>,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Missing {
    /// The row is left out, of whatever part it is.
    Drop,
    /// Learnt of the training rows, feature by feature.
    Fitted(Imputed),
    Constant(f64),
}

/// scikit-learn's strategies of `SimpleImputer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imputed {
    Mean,
    Median,
    MostFrequent,
}

/// How a column is stored and what its values may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    U8,
    I32,
    F32,
    /// `I32` in 0..n
    Class(usize),
    /// `I32` in 0..n
    Token(usize),
    Bool,
    /// Read by fits and derived columns only; a graph has no text.
    Text,
}

impl ColumnKind {
    /// As graphs take it; none for texts.
    pub fn elem(self) -> Option<Elem> {
        Some(match self {
            ColumnKind::U8 => Elem::U8,
            ColumnKind::I32 | ColumnKind::Class(_) | ColumnKind::Token(_) => Elem::I32,
            ColumnKind::F32 => Elem::F32,
            ColumnKind::Bool => Elem::Bool,
            ColumnKind::Text => return None,
        })
    }
}

/// Which fields of a source make a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Selector {
    Name(String),
    Index(usize),
    /// Both ends included.
    Names(String, String),
    Indices(usize, usize),
    /// Those of these names, in this order: a range of names, once the training file has said
    /// what lies between its ends.
    Each(Vec<String>),
}
