//! Predicted quantities against the true ones: scikit-learn's `r2_score`,
//! `mean_absolute_error` and `root_mean_squared_error`, averaged over the numbers of a sample.

/// Rows of `width` numbers a sample.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Quantities {
    pub width: usize,
    pub predicted: Vec<f64>,
    pub truth: Vec<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Errors {
    pub r2: f64,
    pub mae: f64,
    pub rmse: f64,
}

impl Quantities {
    /// Where all true numbers are the same, R2 is 1 if the predictions are those, else 0; of one
    /// sample it is NaN.
    pub fn errors(&self) -> Errors {
        let width = self.width.max(1);
        let samples = (self.truth.len() / width) as f64;
        let mut sum = Errors {
            r2: 0.0,
            mae: 0.0,
            rmse: 0.0,
        };
        for i in 0..width {
            let truth = || self.truth.iter().skip(i).step_by(width);
            let both = || truth().zip(self.predicted.iter().skip(i).step_by(width));
            let mean = truth().sum::<f64>() / samples;
            let left: f64 = both().map(|(y, p)| (y - p).powi(2)).sum();
            let spread: f64 = truth().map(|y| (y - mean).powi(2)).sum();
            sum.r2 += match (spread == 0.0, left == 0.0) {
                _ if samples < 2.0 => f64::NAN,
                (false, _) => 1.0 - left / spread,
                (true, exact) => f64::from(u8::from(exact)),
            };
            sum.mae += both().map(|(y, p)| (y - p).abs()).sum::<f64>() / samples;
            sum.rmse += (left / samples).sqrt();
        }
        let n = width as f64;
        Errors {
            r2: sum.r2 / n,
            mae: sum.mae / n,
            rmse: sum.rmse / n,
        }
    }

    /// Predicted minus true.
    pub fn residuals(&self) -> Vec<f64> {
        let both = self.truth.iter().zip(&self.predicted);
        both.map(|(y, p)| p - y).collect()
    }
}
