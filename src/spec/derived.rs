//! Columns and numbers that are computed once, before training.

use crate::ir::Dim;
use crate::span::Span;

/// A value for each row that no graph holds.
#[derive(Clone, Debug, PartialEq)]
pub enum RowsSpec {
    /// A text column.
    Text(String),
    /// A column of numbers.
    Numbers(String),
    /// Ids of the words of a text column, by the vocabulary of a fit: any number per row.
    Ids { column: String, vocabulary: String },
    /// How many ids there are.
    Lengths { column: String, vocabulary: String },
}

impl RowsSpec {
    pub fn column(&self) -> &str {
        match self {
            RowsSpec::Text(column)
            | RowsSpec::Numbers(column)
            | RowsSpec::Ids { column, .. }
            | RowsSpec::Lengths { column, .. } => column,
        }
    }
}

/// A number made of what is known of the training rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    Given(f64),
    /// A size fitted before.
    Size(String),
    /// A statistic of the rows' lengths.
    Of(Summary, RowsSpec),
    Neg(Box<Number>),
    Binary(NumberOp, Box<(Number, Number)>),
}

impl Number {
    /// The columns that it is made of.
    pub fn columns(&self) -> Vec<&str> {
        match self {
            Number::Given(_) | Number::Size(_) => Vec::new(),
            Number::Of(_, rows) => vec![rows.column()],
            Number::Neg(a) => a.columns(),
            Number::Binary(_, pair) => [pair.0.columns(), pair.1.columns()].concat(),
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
    pub of: RowsSpec,
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
    /// For percentiles, the percentage of values below it.
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
