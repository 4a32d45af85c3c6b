//! How rows are divided into training, validation and test sets.

use super::Part;
use crate::span::Span;

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
