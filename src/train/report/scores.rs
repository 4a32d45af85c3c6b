//! What predicted classes are worth: confusion matrix, precision and recall. Definitions
//! and numbers are scikit-learn's (`sklearn.metrics`); what divides by zero is 0.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Probabilities of classes, and the true ones.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Predictions {
    /// 2 where the model gives one probability, that of class 1.
    pub classes: usize,
    /// A row of `classes` a sample.
    pub probabilities: Vec<f32>,
    pub truth: Vec<usize>,
}

/// Scores of one class, or an average.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Scores {
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
    pub support: usize,
}

#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Classification {
    pub classes: Vec<Scores>,
    pub accuracy: f64,
    /// All classes alike.
    pub macro_average: Scores,
    /// Classes by their support.
    pub weighted_average: Scores,
}

impl Predictions {
    /// `outputs`: rows of `last` probabilities, or (of a model of one unit) the probability of
    /// class 1 each; `truth`: classes, or rows of as many numbers, one of them 1.
    pub fn new(outputs: &[f32], last: usize, truth: &[f64]) -> Predictions {
        let probabilities: Vec<f32> = match last {
            0 | 1 => outputs.iter().flat_map(|p| [1.0 - p, *p]).collect(),
            _ => outputs.to_vec(),
        };
        let classes = last.max(2);
        let samples = probabilities.len() / classes;
        let truth = if truth.len() == samples {
            let class = |x: &f64| (x.round().max(0.0) as usize).min(classes - 1);
            truth.iter().map(class).collect()
        } else {
            let largest = |row: &[f64]| {
                (1..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best })
            };
            truth.chunks_exact(classes).map(largest).collect()
        };
        Predictions {
            classes,
            probabilities,
            truth,
        }
    }

    /// Those whose place in `mask` is not 0.
    pub fn where_true(&self, mask: &[f32]) -> Predictions {
        let rows = self.probabilities.chunks_exact(self.classes);
        let counted = rows.zip(&self.truth).zip(mask).filter(|(_, m)| **m != 0.0);
        let mut kept = Predictions {
            classes: self.classes,
            ..Predictions::default()
        };
        for ((row, truth), _) in counted {
            kept.probabilities.extend(row);
            kept.truth.push(*truth);
        }
        kept
    }

    /// Class 1 of two where its probability is above a half, else the likeliest (the first
    /// of equals), as `accuracy` counts.
    pub fn predicted(&self) -> Vec<usize> {
        let rows = self.probabilities.chunks_exact(self.classes.max(1));
        let likeliest = |row: &[f32]| match row {
            [_, p] => usize::from(*p > row[0]),
            row => (1..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best }),
        };
        rows.map(likeliest).collect()
    }

    /// How often each pair of a true and a predicted class occurs: as many as rows at most.
    pub fn pairs(&self) -> BTreeMap<(usize, usize), usize> {
        let mut counts = BTreeMap::new();
        for pair in self.truth.iter().copied().zip(self.predicted()) {
            *counts.entry(pair).or_insert(0) += 1;
        }
        counts
    }

    /// Rows are true classes, columns predicted ones.
    pub fn confusion(&self) -> Vec<Vec<usize>> {
        let mut counts = vec![vec![0; self.classes]; self.classes];
        for (truth, predicted) in self.truth.iter().zip(self.predicted()) {
            counts[*truth][predicted] += 1;
        }
        counts
    }
}

/// The columns of scikit-learn's table, ten characters each.
pub const HEAD: &str = " precision    recall  f1-score   support";

impl Classification {
    pub fn of(p: &Predictions) -> Classification {
        let share = |a: usize, b: usize| if b == 0 { 0.0 } else { a as f64 / b as f64 };
        let mut hits = vec![0; p.classes];
        let (mut predicted, mut support) = (hits.clone(), hits.clone());
        for ((truth, found), count) in p.pairs() {
            support[truth] += count;
            predicted[found] += count;
            if truth == found {
                hits[truth] += count;
            }
        }
        let of_class = |c: usize| {
            let (hits, predicted, support) = (hits[c], predicted[c], support[c]);
            let (precision, recall) = (share(hits, predicted), share(hits, support));
            Scores {
                precision,
                recall,
                f1: share(2 * hits, predicted + support),
                support,
            }
        };
        let classes: Vec<Scores> = (0..p.classes).map(of_class).collect();
        let all: usize = classes.iter().map(|s| s.support).sum();
        let hits = hits.iter().sum();
        let average = |weight: &dyn Fn(&Scores) -> f64| {
            let mean = |value: fn(&Scores) -> f64| {
                let total: f64 = classes.iter().map(weight).sum();
                let sum: f64 = classes.iter().map(|s| weight(s) * value(s)).sum();
                if total == 0.0 { 0.0 } else { sum / total }
            };
            Scores {
                precision: mean(|s| s.precision),
                recall: mean(|s| s.recall),
                f1: mean(|s| s.f1),
                support: all,
            }
        };
        Classification {
            accuracy: share(hits, all),
            macro_average: average(&|_| 1.0),
            weighted_average: average(&|s| s.support as f64),
            classes,
        }
    }

    /// The table that scikit-learn's `classification_report` prints.
    pub fn text(&self, names: &[String]) -> String {
        let longest = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
        let wide = longest.max("weighted avg".len());
        let mut out = format!("{:>wide$} {HEAD}\n\n", "");
        let mut line = |name: &str, s: &Scores| {
            let _ = writeln!(
                out,
                "{name:>wide$} {:>10.2}{:>10.2}{:>10.2}{:>10}",
                s.precision, s.recall, s.f1, s.support
            );
        };
        for (name, scores) in names.iter().zip(&self.classes) {
            line(name, scores);
        }
        let all = self.macro_average.support;
        let pad = wide - 8;
        let _ = writeln!(
            out,
            "\n{:pad$}accuracy {:>30.2}{all:>10}",
            "", self.accuracy
        );
        let mut line = |name: &str, s: &Scores| {
            let _ = writeln!(
                out,
                "{name:>wide$} {:>10.2}{:>10.2}{:>10.2}{:>10}",
                s.precision, s.recall, s.f1, s.support
            );
        };
        line("macro avg", &self.macro_average);
        line("weighted avg", &self.weighted_average);
        out
    }
}
