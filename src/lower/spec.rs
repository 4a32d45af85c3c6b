//! What a checked file says of data and training, with every name resolved and
//! every default filled in: plain data for `data`, `train` and the CLI.

use crate::ir::{Elem, Graph};
use crate::lower::callbacks::Callback;
use crate::span::Span;

/// A `data` block.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSpec {
    pub name: String,
    pub sources: Vec<SourceSpec>,
    pub columns: Vec<ColumnSpec>,
    pub split: Option<SplitSpec>,
    pub fits: Vec<FitSpec>,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SourceSpec {
    /// `None`: the rows that the split divides (all of `train`, where there is no split).
    pub part: Option<Part>,
    pub format: Format,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// Text with a delimiter; `.gz` is recognised.
    Csv {
        path: String,
        delimiter: u8,
        header: bool,
    },
    /// One IDX file a column.
    Idx { files: Vec<(String, String)> },
    /// One `.npy` file a column.
    Npy { files: Vec<(String, String)> },
    /// Arrays by column name.
    Npz { path: String },
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
}

#[derive(Clone, Debug, PartialEq)]
pub struct ColumnSpec {
    pub name: String,
    pub kind: ColumnKind,
    /// Per sample.
    pub shape: Vec<usize>,
    pub selector: Selector,
    pub span: Span,
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
}

impl ColumnKind {
    pub fn elem(self) -> Elem {
        match self {
            ColumnKind::U8 => Elem::U8,
            ColumnKind::I32 | ColumnKind::Class(_) | ColumnKind::Token(_) => Elem::I32,
            ColumnKind::F32 => Elem::F32,
            ColumnKind::Bool => Elem::Bool,
        }
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
}

#[derive(Clone, Debug, PartialEq)]
pub struct SplitSpec {
    /// The class column whose proportions every part keeps.
    pub stratify: Option<String>,
    pub parts: Vec<(Part, Amount)>,
    pub seed: Option<u64>,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// 0.8 for 80 %
    Fraction(f64),
    Rows(usize),
}

/// Statistics of a column over the training rows; each is a `Fit` input of the
/// graphs, named `NAME.mean` and so on, of the column's per-sample shape, `F32`.
#[derive(Clone, Debug, PartialEq)]
pub struct FitSpec {
    pub name: String,
    pub column: String,
    pub statistics: Vec<Statistic>,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    Mean,
    /// Population standard deviation.
    Std,
    Min,
    Max,
}

impl Statistic {
    pub const ALL: [Statistic; 4] = [
        Statistic::Mean,
        Statistic::Std,
        Statistic::Min,
        Statistic::Max,
    ];
    pub fn name(self) -> &'static str {
        match self {
            Statistic::Mean => "mean",
            Statistic::Std => "std",
            Statistic::Min => "min",
            Statistic::Max => "max",
        }
    }
}

/// A `train` block.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainSpec {
    pub models: Vec<String>,
    pub epochs: usize,
    pub batch: usize,
    pub seed: u64,
    pub shuffle: bool,
    /// `loss`, then the metrics, in the order in which they are shown.
    pub metrics: Vec<String>,
    /// The model's outputs, in the order of the results of `Programs::predict`.
    pub outputs: Vec<OutputSpec>,
    pub callbacks: Vec<Callback>,
    /// The learning rates that schedules give: names as those of rates that are kept, and
    /// graphs from `step` (`F32[]`, 1 in the first) to `rate` (`F32[]`).
    pub rates: Vec<(String, Graph)>,
    pub span: Span,
}

/// An output of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputSpec {
    pub name: String,
    pub meaning: Meaning,
}

/// What the numbers of an output are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    Real,
    /// Probabilities: of each class along the last axis, or of "yes" where it has size 1.
    Prob,
}
