//! What is shown of labels that may hold together (multi-label): each is a yes or no of its own.
//! Definitions and numbers are scikit-learn's for a matrix of labels.

use serde_json::json;

use super::classes::{self, CalibrationCurve, RankedLabels};
use super::ranking::Curve;
use super::scores::{HEAD, Predictions, Scores};
use super::{Shown, Subject, page, terminal};
use crate::train::RunError;

/// A prediction of each label: class 1 is that it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Labels {
    pub each: Vec<Predictions>,
}

/// Averages over labels and over rows.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct LabelScores {
    pub labels: Vec<Scores>,
    /// Scores over all decisions together.
    pub micro_average: Scores,
    pub macro_average: Scores,
    pub weighted_average: Scores,
    /// The mean over rows.
    pub samples_average: Scores,
}

/// True positives, false positives and misses.
#[derive(Clone, Copy, Default)]
struct Counts {
    hits: usize,
    wrong: usize,
    missed: usize,
}

impl Counts {
    fn add(&mut self, truth: bool, predicted: bool) {
        self.hits += usize::from(truth && predicted);
        self.wrong += usize::from(!truth && predicted);
        self.missed += usize::from(truth && !predicted);
    }

    fn scores(self) -> Scores {
        let share = |a: usize, b: usize| if b == 0 { 0.0 } else { a as f64 / b as f64 };
        let Counts {
            hits,
            wrong,
            missed,
        } = self;
        Scores {
            precision: share(hits, hits + wrong),
            recall: share(hits, hits + missed),
            f1: share(2 * hits, 2 * hits + wrong + missed),
            support: hits + missed,
        }
    }
}

impl Labels {
    /// Rows of `labels` probabilities, and what holds.
    pub fn new(probabilities: &[f32], truth: &[f64], labels: usize) -> Labels {
        let column = |i: usize| {
            let p: Vec<f32> = probabilities
                .iter()
                .skip(i)
                .step_by(labels)
                .copied()
                .collect();
            let holds = truth.iter().skip(i).step_by(labels);
            let holds: Vec<f64> = holds.map(|y| f64::from(u8::from(*y > 0.5))).collect();
            Predictions::new(&p, 1, &holds)
        };
        Labels {
            each: (0..labels).map(column).collect(),
        }
    }

    /// Those rows whose place in `mask` is not 0.
    pub fn where_true(&self, mask: &[f32]) -> Labels {
        Labels {
            each: self.each.iter().map(|p| p.where_true(mask)).collect(),
        }
    }

    /// One matrix per label, rows by truth and columns by prediction.
    pub fn confusion(&self) -> Vec<Vec<Vec<usize>>> {
        self.each.iter().map(Predictions::confusion).collect()
    }

    pub fn scores(&self) -> LabelScores {
        let rows = self.each.first().map_or(0, |p| p.truth.len());
        let mut all = Counts::default();
        let mut by_row = vec![Counts::default(); rows];
        let of_label = |p: &Predictions| {
            let mut own = Counts::default();
            for ((truth, predicted), row) in p.truth.iter().zip(p.predicted()).zip(&mut by_row) {
                let (truth, predicted) = (*truth == 1, predicted == 1);
                for counts in [&mut own, &mut all, row] {
                    counts.add(truth, predicted);
                }
            }
            own.scores()
        };
        let labels: Vec<Scores> = self.each.iter().map(of_label).collect();
        let of_rows: Vec<Scores> = by_row.into_iter().map(Counts::scores).collect();
        let support = all.scores().support;
        LabelScores {
            micro_average: all.scores(),
            macro_average: mean(&labels, support, |_| 1.0),
            weighted_average: mean(&labels, support, |s| s.support as f64),
            samples_average: mean(&of_rows, support, |_| 1.0),
            labels,
        }
    }

    /// The curve of each label.
    fn curves(&self, of: impl Fn(&Predictions) -> Vec<Curve>) -> Vec<Curve> {
        let each = self.each.iter().enumerate();
        let curves =
            each.flat_map(|(label, p)| of(p).into_iter().map(move |c| Curve { class: label, ..c }));
        curves.collect()
    }

    /// Every label of every row as one decision.
    fn pooled(&self) -> Predictions {
        let mut all = Predictions {
            classes: 2,
            ..Predictions::default()
        };
        for p in &self.each {
            all.probabilities.extend(&p.probabilities);
            all.truth.extend(&p.truth);
        }
        all
    }

    pub(super) fn roc(&self) -> Vec<Curve> {
        self.curves(Predictions::roc)
    }

    pub(super) fn precision_recall(&self) -> Vec<Curve> {
        self.curves(Predictions::precision_recall)
    }
}

fn mean(of: &[Scores], support: usize, weight: impl Fn(&Scores) -> f64) -> Scores {
    let total: f64 = of.iter().map(&weight).sum();
    let value = |get: fn(&Scores) -> f64| match total {
        0.0 => 0.0,
        total => of.iter().map(|s| weight(s) * get(s)).sum::<f64>() / total,
    };
    Scores {
        precision: value(|s| s.precision),
        recall: value(|s| s.recall),
        f1: value(|s| s.f1),
        support,
    }
}

/// The subject with names of labels for names of classes.
fn of_labels(of: &Subject, l: &Labels) -> Subject {
    let mut of = of.clone();
    if of.classes.len() != l.each.len() || l.each.len() == 2 {
        of.classes = (0..l.each.len()).map(|i| format!("label {i}")).collect();
    }
    of
}

/// True and false, yes and no, of each label.
pub(super) fn confusion(of: &Subject, l: &Labels) -> Shown {
    let of = of_labels(of, l);
    let counts = l.confusion();
    let heads = [
        "Label",
        "True negatives",
        "False positives",
        "False negatives",
        "True positives",
    ];
    let rows: Vec<Vec<String>> = counts
        .iter()
        .enumerate()
        .map(|(i, c)| {
            let cells = c.iter().flatten().map(usize::to_string);
            std::iter::once(of.class(i)).chain(cells).collect()
        })
        .collect();
    Shown {
        title: of.title("Confusion matrix"),
        caption: of.caption("Of each label: it holds or not, and was predicted or not."),
        body: page::table(&heads, &rows, ""),
        text: terminal::table(&["label", "TN", "FP", "FN", "TP"], &rows, &[0]),
        numbers: json!(counts),
        ..Shown::default()
    }
}

/// Precision, recall and F1 of each label, and their averages.
pub(super) fn classification(of: &Subject, l: &Labels) -> Shown {
    let of = of_labels(of, l);
    let scores = l.scores();
    let averages = [
        ("micro avg", &scores.micro_average),
        ("macro avg", &scores.macro_average),
        ("weighted avg", &scores.weighted_average),
        ("samples avg", &scores.samples_average),
    ];
    let labels = scores.labels.iter().enumerate();
    let rows: Vec<Vec<String>> = labels
        .map(|(i, s)| (of.class(i), s))
        .chain(averages.map(|(name, s)| (name.to_owned(), s)))
        .map(|(name, s)| {
            let shares = [s.precision, s.recall, s.f1].map(|x| format!("{x:.2}"));
            let mut row = vec![name];
            row.extend(shares);
            row.push(s.support.to_string());
            row
        })
        .collect();
    let mut heads = vec!["Label"];
    heads.extend(HEAD.split_whitespace());
    Shown {
        title: of.title("Classification report"),
        caption: of.caption(
            "Of each label. Precision: fraction of its predictions that are correct. Recall: \
             fraction of its rows that were found. F1: their harmonic mean.",
        ),
        body: page::table(&heads, &rows, ""),
        text: terminal::table(&heads, &rows, &[0]),
        numbers: json!(scores),
        ..Shown::default()
    }
}

pub(super) fn roc(of: &Subject, l: &Labels) -> Result<Shown, RunError> {
    let of = of_labels(of, l);
    classes::ranked(&of, RankedLabels::roc(&of), &l.roc(), classes::chance())
}

pub(super) fn precision_recall(of: &Subject, l: &Labels) -> Result<Shown, RunError> {
    let of = of_labels(of, l);
    let told = RankedLabels::precision_recall(&of);
    classes::ranked(&of, told, &l.precision_recall(), Vec::new())
}

/// Every label of every row is one decision.
pub(super) fn calibration(
    of: &Subject,
    l: &Labels,
    set: &CalibrationCurve,
) -> Result<Shown, RunError> {
    let mut of = of.clone();
    of.classes = vec!["no label".into(), "a label".into()];
    classes::calibration(&of, &l.pooled(), set)
}
