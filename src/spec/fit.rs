//! Statistics and vocabularies that are computed from the training rows.

use super::{Number, Statistic};
use crate::span::Span;

/// What is computed from the training rows before training.
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
    Tensors { column: String, learn: TensorFit },
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
    /// `NAME.weights`, one number per class of a column: higher for classes with fewer training rows.
    ClassWeights {
        column: String,
        /// None: known once the data have been read.
        classes: Option<usize>,
    },
}

impl FitSpec {
    pub(super) fn gives_size(&self) -> bool {
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

/// A transform fitted to a column of numbers, feature by feature but for `Pca`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TensorFit {
    /// The exponent, and `mean` and `std` of what it gives.
    Power(Power),
    /// `edges` between the bins, one fewer than there are bins.
    Bins { count: usize, spacing: Spacing },
    /// `mean`, `components` as columns, `std` along them.
    Pca { components: usize },
    /// `mean` and `std` of each channel, of images multiplied by a number.
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

/// The id of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordIds {
    ByCount,
    ByHash,
    BytePairs { min_frequency: u64 },
}
