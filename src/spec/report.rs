//! The words of `report`.

use crate::span::Span;

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
