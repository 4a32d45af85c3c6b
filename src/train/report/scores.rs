//! What predictions are worth: confusion matrix, precision and recall, ROC. Definitions
//! and numbers are scikit-learn's (`sklearn.metrics`); what divides by zero is 0.

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

/// Of one class, or an average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
    pub support: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Classification {
    pub classes: Vec<Scores>,
    pub accuracy: f64,
    /// All classes alike.
    pub macro_average: Scores,
    /// Classes by their support.
    pub weighted_average: Scores,
}

/// Points from (0, 0) to (1, 1): rates of false and of true positives.
#[derive(Clone, Debug, PartialEq)]
pub struct Roc {
    pub class: usize,
    pub points: Vec<(f64, f64)>,
    /// The area below; NaN where a class is empty or has all samples.
    pub auc: f64,
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

    /// Rows are true classes, columns predicted ones.
    pub fn confusion(&self) -> Vec<Vec<usize>> {
        let mut counts = vec![vec![0; self.classes]; self.classes];
        for (truth, predicted) in self.truth.iter().zip(self.predicted()) {
            counts[*truth][predicted] += 1;
        }
        counts
    }

    /// One class against all others. Of two classes, of the second alone.
    pub fn roc(&self) -> Vec<Roc> {
        let first = usize::from(self.classes == 2);
        (first..self.classes).map(|c| self.roc_of(c)).collect()
    }

    fn roc_of(&self, class: usize) -> Roc {
        let rows = self.probabilities.chunks_exact(self.classes);
        let mut scored: Vec<(f32, bool)> = rows
            .zip(&self.truth)
            .map(|(row, &t)| (row[class], t == class))
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        let positives = scored.iter().filter(|s| s.1).count() as f64;
        let negatives = scored.len() as f64 - positives;
        let mut points = vec![(0.0, 0.0)];
        let (mut hits, mut misses) = (0.0, 0.0);
        for (i, (score, positive)) in scored.iter().enumerate() {
            if *positive {
                hits += 1.0;
            } else {
                misses += 1.0;
            }
            // samples of one score are taken together
            if scored.get(i + 1).is_none_or(|next| next.0 != *score) {
                points.push((misses / negatives, hits / positives));
            }
        }
        let area = points.windows(2).map(|w| {
            let (a, b) = (w[0], w[1]);
            (b.0 - a.0) * (a.1 + b.1) / 2.0
        });
        let auc = if positives > 0.0 && negatives > 0.0 {
            area.sum()
        } else {
            f64::NAN
        };
        Roc { class, points, auc }
    }
}

/// The columns of scikit-learn's table, ten characters each.
const HEAD: &str = " precision    recall  f1-score   support";

impl Classification {
    pub fn of(confusion: &[Vec<usize>]) -> Classification {
        let share = |a: usize, b: usize| if b == 0 { 0.0 } else { a as f64 / b as f64 };
        let of_class = |c: usize| {
            let hits = confusion[c][c];
            let predicted = confusion.iter().map(|row| row[c]).sum();
            let support = confusion[c].iter().sum();
            let (precision, recall) = (share(hits, predicted), share(hits, support));
            Scores {
                precision,
                recall,
                f1: share(2 * hits, predicted + support),
                support,
            }
        };
        let classes: Vec<Scores> = (0..confusion.len()).map(of_class).collect();
        let all: usize = classes.iter().map(|s| s.support).sum();
        let hits = (0..confusion.len()).map(|c| confusion[c][c]).sum();
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
    pub fn text(&self) -> String {
        let mut out = format!("{:>13}{HEAD}\n\n", "");
        let mut line = |name: &str, s: &Scores| {
            let _ = writeln!(
                out,
                "{name:>12} {:>10.2}{:>10.2}{:>10.2}{:>10}",
                s.precision, s.recall, s.f1, s.support
            );
        };
        for (class, scores) in self.classes.iter().enumerate() {
            line(&class.to_string(), scores);
        }
        let all = self.macro_average.support;
        let _ = writeln!(out, "\n    accuracy {:>30.2}{all:>10}", self.accuracy);
        let mut line = |name: &str, s: &Scores| {
            let _ = writeln!(
                out,
                "{name:>12} {:>10.2}{:>10.2}{:>10.2}{:>10}",
                s.precision, s.recall, s.f1, s.support
            );
        };
        line("macro avg", &self.macro_average);
        line("weighted avg", &self.weighted_average);
        out
    }
}
