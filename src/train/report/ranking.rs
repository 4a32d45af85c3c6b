//! What the order of probabilities is worth: ROC, and precision against recall. Points and
//! areas are scikit-learn's (`roc_curve` and `precision_recall_curve` with
//! `drop_intermediate = False`, `roc_auc_score`, `average_precision_score`); samples of one
//! probability are taken together.

use super::scores::Predictions;

/// A class against all others.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    pub class: usize,
    pub points: Vec<(f64, f64)>,
    /// What lies below it.
    pub area: f64,
    /// The share of samples of the class.
    pub share: f64,
}

impl Predictions {
    /// Rates of false (x) and of true positives (y), from (0, 0) to (1, 1), of every class; of
    /// two classes, of the second alone. The area is NaN where a class is empty or has all samples.
    pub fn roc(&self) -> Vec<Curve> {
        self.curves(|counts, positives, negatives| {
            let mut points = vec![(0.0, 0.0)];
            points.extend(
                counts
                    .iter()
                    .map(|(hits, misses)| (misses / negatives, hits / positives)),
            );
            let area = points.windows(2).map(|w| {
                let (a, b) = (w[0], w[1]);
                (b.0 - a.0) * (a.1 + b.1) / 2.0
            });
            let area = match positives > 0.0 && negatives > 0.0 {
                true => area.sum(),
                false => f64::NAN,
            };
            (points, area)
        })
    }

    /// Recall (x) and precision (y), from (0, 1) on, and the average precision. Of a class
    /// without samples recall is 1 and the average 0.
    pub fn precision_recall(&self) -> Vec<Curve> {
        self.curves(|counts, positives, _| {
            let mut points = vec![(0.0, 1.0)];
            points.extend(counts.iter().map(|(hits, misses)| {
                let recall = if positives > 0.0 {
                    hits / positives
                } else {
                    1.0
                };
                (recall, hits / (hits + misses))
            }));
            let area = points.windows(2).map(|w| (w[1].0 - w[0].0) * w[1].1).sum();
            (points, area)
        })
    }

    /// `of`: true and false positives at each threshold, from the highest; samples of the class,
    /// and others.
    fn curves(&self, of: impl Fn(&[(f64, f64)], f64, f64) -> (Vec<(f64, f64)>, f64)) -> Vec<Curve> {
        let first = usize::from(self.classes == 2);
        let curve = |class: usize| {
            let rows = self.probabilities.chunks_exact(self.classes);
            let mut scored: Vec<(f32, bool)> = rows
                .zip(&self.truth)
                .map(|(row, &t)| (row[class], t == class))
                .collect();
            scored.sort_by(|a, b| b.0.total_cmp(&a.0));
            let mut counts = Vec::new();
            let (mut hits, mut misses) = (0.0, 0.0);
            for (i, (score, positive)) in scored.iter().enumerate() {
                match positive {
                    true => hits += 1.0,
                    false => misses += 1.0,
                }
                if scored.get(i + 1).is_none_or(|next| next.0 != *score) {
                    counts.push((hits, misses));
                }
            }
            let (points, area) = of(&counts, hits, misses);
            Curve {
                class,
                points,
                area,
                share: hits / (hits + misses),
            }
        };
        (first..self.classes).map(curve).collect()
    }
}
