//! Whether probabilities are frequencies.
//!
//! With two classes, the probability of class 1 is compared with how often it is the truth; with
//! more, the probability of the predicted class with how often the prediction is right (top-label
//! calibration). Bins and their means are scikit-learn's `calibration_curve`; the Brier score is
//! its `brier_score_loss` (of more than two classes the sum over classes, as Brier, 1950); the
//! expected calibration error is that of Guo et al. (2017, arXiv:1706.04599, eq. 3) over these bins.

use super::scores::Predictions;

/// How probabilities are put into bins: of one width, or of one number of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    Uniform,
    Quantile,
}

impl Strategy {
    pub const ALL: [Strategy; 2] = [Strategy::Uniform, Strategy::Quantile];

    /// As a file writes it: the variant in lower case.
    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Calibration {
    /// Those with samples.
    pub bins: Vec<Bin>,
    pub brier: f64,
    pub expected_error: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Bin {
    /// The mean probability.
    pub predicted: f64,
    /// How often it came true.
    pub observed: f64,
    pub samples: usize,
}

impl Calibration {
    pub fn of(p: &Predictions, bins: usize, strategy: Strategy) -> Calibration {
        let rows = p.probabilities.chunks_exact(p.classes.max(1));
        let mut squares = 0.0;
        let mut scored: Vec<(f64, bool)> = Vec::with_capacity(p.truth.len());
        for ((row, &truth), predicted) in rows.zip(&p.truth).zip(p.predicted()) {
            if let [_, second] = row {
                let second = f64::from(*second);
                squares += (second - f64::from(u8::from(truth == 1))).powi(2);
                scored.push((second, truth == 1));
                continue;
            }
            for (class, x) in row.iter().enumerate() {
                squares += (f64::from(*x) - f64::from(u8::from(class == truth))).powi(2);
            }
            let top = row.get(predicted).copied().map_or(0.0, f64::from);
            scored.push((top, truth == predicted));
        }
        let all = scored.len().max(1) as f64;
        let edges = edges(&scored, bins, strategy);
        let mut sums = vec![(0.0, 0.0, 0usize); bins];
        for (x, came_true) in &scored {
            // the edges between bins: a probability at one is in the bin below it
            let bin = edges[1..bins].partition_point(|e| e < x);
            let (predicted, observed, samples) = &mut sums[bin];
            *predicted += x;
            *observed += f64::from(u8::from(*came_true));
            *samples += 1;
        }
        let bins: Vec<Bin> = sums
            .into_iter()
            .filter(|(_, _, samples)| *samples > 0)
            .map(|(predicted, observed, samples)| Bin {
                predicted: predicted / samples as f64,
                observed: observed / samples as f64,
                samples,
            })
            .collect();
        let error = |b: &Bin| b.samples as f64 / all * (b.observed - b.predicted).abs();
        Calibration {
            expected_error: bins.iter().map(error).sum(),
            brier: squares / all,
            bins,
        }
    }
}

/// `bins + 1` of them: `numpy.linspace(0, 1, bins + 1)`, or those percentiles.
fn edges(scored: &[(f64, bool)], bins: usize, strategy: Strategy) -> Vec<f64> {
    let step = 1.0 / bins as f64;
    let even = (0..=bins).map(|i| if i == bins { 1.0 } else { i as f64 * step });
    if strategy == Strategy::Uniform || scored.is_empty() {
        return even.collect();
    }
    let mut sorted: Vec<f64> = scored.iter().map(|s| s.0).collect();
    sorted.sort_by(f64::total_cmp);
    even.map(|q| percentile(&sorted, q)).collect()
}

/// As `numpy.percentile`, between neighbours on a line.
fn percentile(sorted: &[f64], q: f64) -> f64 {
    let last = sorted.len() - 1;
    // numpy takes percent and divides by 100 again
    let place = (q * 100.0 / 100.0) * last as f64;
    let below = (place.floor() as usize).min(last);
    let (a, b, t) = (sorted[below], sorted[(below + 1).min(last)], place.fract());
    match t < 0.5 {
        true => a + (b - a) * t,
        false => b - (b - a) * (1.0 - t),
    }
}
