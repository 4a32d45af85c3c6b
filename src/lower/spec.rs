//! What a checked file says of data and training, with every name resolved and
//! every default filled in: plain data for `data`, `train` and the CLI.

use std::path::PathBuf;

use crate::ir::{Dim, Elem, Graph, Role};
use crate::lower::augment::AugmentSpec;
use crate::lower::callbacks::Callback;
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

#[derive(Clone, Debug, PartialEq)]
pub struct SourceSpec {
    /// `None`: the rows that the split divides (all of `train`, where there is no split).
    pub part: Option<Part>,
    pub format: Format,
    /// Its rows are read some at a time, not all into memory.
    pub stream: bool,
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
    Idx {
        files: Vec<(String, String)>,
    },
    /// One `.npy` file a column.
    Npy {
        files: Vec<(String, String)>,
    },
    /// Arrays by column name.
    Npz {
        path: String,
    },
    /// A data set that is fetched once.
    Fetched {
        set: &'static str,
        /// Its own training or test rows.
        rows: Part,
        /// Where its files are, once they have been fetched.
        folder: Option<PathBuf>,
    },
    /// An object a line; `.gz` is recognised.
    Jsonl {
        path: String,
    },
    Parquet {
        path: String,
    },
    /// Text files in a folder for each class.
    Texts {
        path: String,
        /// The folders that are read, in the order of the labels.
        class_names: Option<Vec<String>>,
    },
    /// Sounds in a folder for each class.
    Wavs {
        path: String,
        class_names: Option<Vec<String>>,
        /// Samples a second that every file must have.
        rate: Option<u32>,
    },
    /// A folder with a folder of image files for each class.
    Images {
        path: String,
        class_names: Option<Vec<String>>,
        /// Height and width, if they are given.
        size: Option<[usize; 2]>,
        interpolation: Interpolation,
    },
}

/// How an image is brought to another size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpolation {
    Bilinear,
    Nearest,
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
    /// What stands for a value that is not there; none: there may be no such value.
    pub missing: Option<Missing>,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Missing {
    /// The row is left out, of whatever part it is.
    Drop,
    /// Learnt of the training rows, feature by feature.
    Learnt(Imputed),
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
    /// Of no use to a graph; fits and derived columns read it.
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
}

#[derive(Clone, Debug, PartialEq)]
pub struct SplitSpec {
    pub method: Method,
    /// None where a column gives the parts; of folds `test` alone, which is set aside.
    pub parts: Vec<(Part, Amount)>,
    pub seed: Option<u64>,
    pub span: Span,
}

/// What decides where a row goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    Random,
    /// Every part keeps the proportions of a class column.
    Stratify(String),
    /// A hash of a column: rows of one key go to one part.
    Hash(String),
    /// A column of times: the earliest rows train, the last ones test.
    Time(String),
    /// A text column that holds these names of the parts.
    Given {
        column: String,
        names: Vec<(Part, String)>,
    },
    Folds(Folds),
}

/// `kfold`: one fold is held out as `val`, the others train.
#[derive(Clone, Debug, PartialEq)]
pub struct Folds {
    pub count: usize,
    /// The one held out, from 1.
    pub fold: usize,
    pub stratify: Option<String>,
}

impl SplitSpec {
    /// The column that it goes by.
    pub fn column(&self) -> Option<&str> {
        match &self.method {
            Method::Random => None,
            Method::Stratify(c) | Method::Hash(c) | Method::Time(c) => Some(c),
            Method::Given { column, .. } => Some(column),
            Method::Folds(folds) => folds.stratify.as_deref(),
        }
    }

    /// The parts that it makes.
    pub fn made(&self) -> Vec<Part> {
        let listed = self.parts.iter().map(|(part, _)| *part);
        match &self.method {
            Method::Given { names, .. } => names.iter().map(|(part, _)| *part).collect(),
            Method::Folds(_) => [Part::Train, Part::Val].into_iter().chain(listed).collect(),
            Method::Random | Method::Stratify(_) | Method::Hash(_) | Method::Time(_) => {
                listed.collect()
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// 0.8 for 80 %
    Fraction(f64),
    Rows(usize),
}

/// What is learnt of the training rows before training.
#[derive(Clone, Debug, PartialEq)]
pub struct FitSpec {
    pub name: String,
    pub kind: FitKind,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum FitKind {
    /// Each is a `Fit` input of the graphs, named `NAME.mean` and so on, of the column's
    /// per-sample shape, `F32`.
    Statistics {
        column: String,
        statistics: Vec<Statistic>,
    },
    /// Tensors like statistics: `NAME.edges` and so on.
    Tensors { column: String, learn: Learn },
    /// The different texts of a column, in order; `NAME.size` is their number.
    Labels {
        column: String,
        /// As many as there must be.
        classes: Option<u32>,
    },
    /// A vocabulary; `NAME.size` is the number of its ids.
    Tokenizer { column: String, rules: Tokenizing },
    /// A vector for each id of a vocabulary, out of a file: a `Fit` input of the `init` graph
    /// named `NAME.vectors`. `NAME.dim` is how long they are.
    Vectors { path: String, vocabulary: String },
    /// A number, cut to a whole one: the size `NAME`.
    Size(Number),
    /// `NAME.weights`, a number a class of a column: the fewer its training rows, the greater.
    ClassWeights {
        column: String,
        /// None: known once the data have been read.
        classes: Option<usize>,
    },
}

impl FitSpec {
    fn gives_size(&self) -> bool {
        match &self.kind {
            FitKind::Statistics { .. } | FitKind::Tensors { .. } | FitKind::ClassWeights { .. } => {
                false
            }
            FitKind::Labels { classes, .. } => classes.is_none(),
            FitKind::Tokenizer { rules, .. } => rules.num_words.is_none(),
            FitKind::Size(_) | FitKind::Vectors { .. } => true,
        }
    }
}

/// What is learnt of a column of numbers, feature by feature but for `Pca`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Learn {
    /// The exponent, and `mean` and `std` of what it gives.
    Power(Power),
    /// `edges` between the bins, one fewer than there are bins.
    Bins { count: usize, spacing: Spacing },
    /// `mean`, `components` as columns, `std` along them.
    Pca { components: usize },
    /// Of images times a number: `mean` and `std` of each channel.
    Channels { rescale: f64 },
    /// The same, and the matrix `whitening`; `epsilon` is added to the singular values.
    Zca { rescale: f64, epsilon: f64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    BoxCox,
    YeoJohnson,
}

impl Power {
    /// What the exponent is called: one transform does not take that of the other.
    pub fn exponent(self) -> &'static str {
        match self {
            Power::BoxCox => "box_cox_lambda",
            Power::YeoJohnson => "yeo_johnson_lambda",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    Uniform,
    Quantile,
}

/// The arguments of Keras' `Tokenizer`, and of the other ways from texts to ids.
#[derive(Clone, Debug, PartialEq)]
pub struct Tokenizing {
    /// Ids are below it.
    pub num_words: Option<u32>,
    /// None: Keras' own.
    pub filters: Option<String>,
    pub lower: bool,
    pub split: String,
    pub char_level: bool,
    pub oov_token: Option<String>,
    /// How many neighbouring words stand as one.
    pub ngrams: Vec<u32>,
    pub ids: WordIds,
}

/// Which id a word has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordIds {
    ByCount,
    ByHash,
    BytePairs { min_frequency: u64 },
}

/// A value for each row that no graph holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Rows {
    /// A text column.
    Text(String),
    /// A column of numbers.
    Numbers(String),
    /// Ids of the words of a text column, by the vocabulary of a fit: any number a row.
    Ids { column: String, vocabulary: String },
    /// How many ids there are.
    Lengths { column: String, vocabulary: String },
}

impl Rows {
    pub fn column(&self) -> &str {
        match self {
            Rows::Text(column)
            | Rows::Numbers(column)
            | Rows::Ids { column, .. }
            | Rows::Lengths { column, .. } => column,
        }
    }
}

/// A number made of what is known of the training rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    Given(f64),
    /// A size fitted before.
    Size(String),
    /// Of the lengths.
    Of(Summary, Rows),
    Neg(Box<Number>),
    Of2(NumberOp, Box<(Number, Number)>),
}

impl Number {
    /// The columns that it is made of.
    pub fn columns(&self) -> Vec<&str> {
        match self {
            Number::Given(_) | Number::Size(_) => Vec::new(),
            Number::Of(_, rows) => vec![rows.column()],
            Number::Neg(a) => a.columns(),
            Number::Of2(_, pair) => [pair.0.columns(), pair.1.columns()].concat(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Summary {
    Statistic(Statistic),
    /// 0..=100
    Percentile(f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberOp {
    Add,
    Sub,
    Mul,
    Div,
    Min,
    Max,
}

/// A column that is computed once, before training: a `Data` input of the graphs.
#[derive(Clone, Debug, PartialEq)]
pub struct DerivedSpec {
    pub name: String,
    pub of: Rows,
    pub make: Make,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Make {
    /// Lengths as they are.
    Lengths,
    /// Ids cut or padded with 0 to one length.
    Pad { length: Dim, pad: End, cut: End },
    /// Whether a value is missing in the file.
    Missing,
    /// Values of a series that end with the row's own.
    Windows {
        length: usize,
        /// Rows from one value to the next.
        rate: usize,
        /// Rows from one window to the next.
        stride: usize,
    },
    /// The value so many rows ahead; behind, where it is below 0.
    Ahead(i64),
    /// A number for each id.
    Bag(Bag),
    /// The place of each text among the labels of a fit.
    Index {
        labels: String,
        /// What a text without a label becomes: the number after the last. None: it is refused.
        others: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Pre,
    Post,
}

/// Keras' modes of `texts_to_matrix`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bag {
    Binary,
    Count,
    Freq,
    Tfidf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    Mean,
    /// Population standard deviation.
    Std,
    Min,
    Max,
    Median,
    /// The first quartile.
    Q1,
    /// The third.
    Q3,
}

impl Statistic {
    pub const ALL: [Statistic; 7] = [
        Statistic::Mean,
        Statistic::Std,
        Statistic::Min,
        Statistic::Max,
        Statistic::Median,
        Statistic::Q1,
        Statistic::Q3,
    ];
    /// The share of values below it, in percent, of those that are percentiles.
    pub fn percentile(self) -> Option<f64> {
        match self {
            Statistic::Mean | Statistic::Std | Statistic::Min | Statistic::Max => None,
            Statistic::Median => Some(50.0),
            Statistic::Q1 => Some(25.0),
            Statistic::Q3 => Some(75.0),
        }
    }
    pub fn name(self) -> &'static str {
        match self {
            Statistic::Mean => "mean",
            Statistic::Std => "std",
            Statistic::Min => "min",
            Statistic::Max => "max",
            Statistic::Median => "median",
            Statistic::Q1 => "q1",
            Statistic::Q3 => "q3",
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
    pub balance: Option<BalanceSpec>,
    /// `loss`, then the metrics, in the order in which they are shown.
    pub metrics: Vec<String>,
    /// The model's outputs, in the order of the results of `Programs::predict`.
    pub outputs: Vec<OutputSpec>,
    pub callbacks: Vec<Callback>,
    /// What is reported once the run has ended.
    pub reports: Vec<Report>,
    /// The learning rates that schedules give: names as those of rates that are kept, and
    /// graphs from `step` (`F32[]`, 1 in the first) to `rate` (`F32[]`).
    pub rates: Vec<(String, Graph)>,
    pub span: Span,
}

/// How training rows are drawn so that the classes of a column have as many.
#[derive(Clone, Debug, PartialEq)]
pub struct BalanceSpec {
    pub column: String,
    pub sampling: Sampling,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// As many as the largest class has.
    Over,
    /// As many as the smallest.
    Under,
}

/// A word of `report`.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub kind: ReportKind,
    /// Of which output; none: of the run.
    pub output: Option<String>,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportKind {
    /// Of the history.
    Curves,
    /// Of the history.
    LearningRate,
    ConfusionMatrix,
    ClassificationReport,
    Roc,
    /// Precision against recall.
    Pr,
    Calibration {
        bins: usize,
        strategy: Strategy,
    },
    Residuals,
    /// The samples of the largest losses.
    Worst {
        count: usize,
    },
    Weights,
    Activations,
}

/// How probabilities are put into bins: of one width, or of one number of samples. A file
/// writes the names in small letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    Uniform,
    Quantile,
}

impl ReportKind {
    /// The name in a file, that of the report's picture.
    pub fn name(self) -> &'static str {
        match self {
            ReportKind::Curves => "curves",
            ReportKind::LearningRate => "learning_rate",
            ReportKind::ConfusionMatrix => "confusion_matrix",
            ReportKind::ClassificationReport => "classification_report",
            ReportKind::Roc => "roc",
            ReportKind::Pr => "pr",
            ReportKind::Calibration { .. } => "calibration",
            ReportKind::Residuals => "residuals",
            ReportKind::Worst { .. } => "worst",
            ReportKind::Weights => "weights",
            ReportKind::Activations => "activations",
        }
    }

    /// Whether it shows an output of the model beside its target.
    pub fn compares(self) -> bool {
        !matches!(
            self,
            ReportKind::Curves
                | ReportKind::LearningRate
                | ReportKind::Weights
                | ReportKind::Activations
        )
    }

    /// Whether the model is run for it.
    pub fn runs(self) -> bool {
        self.compares() || self == ReportKind::Activations
    }
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
