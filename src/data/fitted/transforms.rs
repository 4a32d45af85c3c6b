//! Transforms fitted feature by feature: power transforms to a normal shape, bins,
//! percentiles; and principal components of a row.
//!
//! All in f64, rows in the order given, by one thread. `features[i]` holds the values
//! of feature i.

use nalgebra::{DMatrix, SymmetricEigen};

use crate::data::error::DataError;
use crate::data::table::{Column, ColumnData};

/// The values of each feature of a column of numbers over `rows`.
pub fn features(column: &Column, rows: &[u32]) -> Result<Vec<Vec<f64>>, DataError> {
    if rows.is_empty() {
        return Err(DataError::NoRows { doing: "fit" });
    }
    if matches!(column.data(), ColumnData::Text(_)) {
        return Err(DataError::ColumnKind {
            column: column.name.clone(),
            found: "text",
            doing: "fitting a transform",
            expected: "numbers",
        });
    }
    let each = column.per_row();
    let mut all = vec![Vec::with_capacity(rows.len()); each];
    for &row in rows {
        for (i, feature) in all.iter_mut().enumerate() {
            let x = column.number(row as usize * each + i);
            feature.push(x.ok_or(DataError::RowIndex {
                row: row as usize,
                rows: column.rows(),
            })?);
        }
    }
    Ok(all)
}

/// The numbers that `q` percent (each 0..=100) are not above, by a straight line between
/// neighbours: numpy's default.
pub fn percentiles(values: &[f64], qs: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    let of = |q: &f64| {
        let at = (q / 100.0 * last as f64).clamp(0.0, last as f64);
        let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
        low + (high - low) * at.fract()
    };
    qs.iter().map(of).collect()
}

/// The inner edges of `count` bins: of one width, or of one number of values each.
pub fn edges(values: &[f64], count: usize, quantile: bool) -> Vec<f64> {
    let inner = 1..count;
    if quantile {
        let qs: Vec<f64> = inner.map(|i| 100.0 * i as f64 / count as f64).collect();
        return percentiles(values, &qs);
    }
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let width = (max - min) / count as f64;
    inner.map(|i| min + width * i as f64).collect()
}

/// Box and Cox 1964; values are above 0.
pub fn box_cox(x: f64, lambda: f64) -> f64 {
    if lambda == 0.0 {
        x.ln()
    } else {
        (lambda * x.ln()).exp_m1() / lambda
    }
}

/// Yeo and Johnson 2000.
pub fn yeo_johnson(x: f64, lambda: f64) -> f64 {
    if x >= 0.0 {
        box_cox(x + 1.0, lambda)
    } else {
        -box_cox(1.0 - x, 2.0 - lambda)
    }
}

/// The exponent under which the transformed values are likeliest to be normal; 1 for
/// values that are all alike.
pub fn likeliest(values: &[f64], transform: fn(f64, f64) -> f64, yeo: bool) -> f64 {
    if values.windows(2).all(|w| w[0] == w[1]) {
        return 1.0;
    }
    let n = values.len() as f64;
    // the logarithm of the derivative by x, but for the exponent
    let slope: f64 = if yeo {
        values.iter().map(|x| x.signum() * x.abs().ln_1p()).sum()
    } else {
        values.iter().map(|x| x.ln()).sum()
    };
    let unlikely = |lambda: f64| {
        let y: Vec<f64> = values.iter().map(|&x| transform(x, lambda)).collect();
        let (_, std) = moments(&y);
        let cost = n * std.ln() - (lambda - 1.0) * slope;
        if cost.is_nan() { f64::INFINITY } else { cost }
    };
    minimum(&unlikely)
}

/// Mean and population standard deviation.
pub fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    (mean, (squares / n).sqrt())
}

/// The minimum of a unimodal function, by golden-section search from -2 .. 2 outward.
fn minimum(f: &dyn Fn(f64) -> f64) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let (mut low, mut high) = (-2.0, 2.0);
    let middle = |low: f64, high: f64| (f(low), f(0.5 * (low + high)), f(high));
    for _ in 0..40 {
        let (a, b, c) = middle(low, high);
        if b <= a && b <= c {
            break;
        }
        let width = high - low;
        if a < c {
            low -= width;
        } else {
            high += width;
        }
    }
    let mut a = high - GOLDEN * (high - low);
    let mut b = low + GOLDEN * (high - low);
    let (mut fa, mut fb) = (f(a), f(b));
    for _ in 0..200 {
        if high - low < 1e-10 {
            break;
        }
        if fa <= fb {
            (high, b, fb) = (b, a, fa);
            a = high - GOLDEN * (high - low);
            fa = f(a);
        } else {
            (low, a, fa) = (a, b, fb);
            b = low + GOLDEN * (high - low);
            fb = f(b);
        }
    }
    0.5 * (low + high)
}

/// Directions in which rows vary most.
#[derive(Clone, PartialEq, Debug)]
pub struct Components {
    pub mean: Vec<f64>,
    /// Row-major, a feature a row, a component a column. Of each the largest entry is
    /// above 0, as scikit-learn has it.
    pub components: Vec<f64>,
    /// Sample standard deviation along each.
    pub std: Vec<f64>,
}

/// The first `count` principal components.
pub fn components(features: &[Vec<f64>], count: usize) -> Components {
    let n = features.len();
    let rows = features.first().map_or(0, Vec::len) as f64;
    let mean: Vec<f64> = features.iter().map(|f| moments(f).0).collect();
    let covariance = DMatrix::from_fn(n, n, |i, j| {
        let both = features[i].iter().zip(&features[j]);
        let sum: f64 = both.map(|(a, b)| (a - mean[i]) * (b - mean[j])).sum();
        sum / (rows - 1.0).max(1.0)
    });
    let SymmetricEigen {
        eigenvalues: values,
        eigenvectors: vectors,
    } = SymmetricEigen::new(covariance);
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    let mut kept = vec![0.0; n * count];
    let mut std = Vec::with_capacity(count);
    for (c, &of) in order.iter().take(count).enumerate() {
        std.push(values[of].max(0.0).sqrt());
        let entry = |i: usize| vectors[(i, of)];
        let largest = (0..n).fold(0, |b, i| {
            if entry(i).abs() > entry(b).abs() {
                i
            } else {
                b
            }
        });
        let sign = if entry(largest) < 0.0 { -1.0 } else { 1.0 };
        (0..n).for_each(|i| kept[i * count + c] = sign * entry(i));
    }
    Components {
        mean,
        components: kept,
        std,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minimum_is_found_outside_of_where_it_is_first_sought() {
        assert!((minimum(&|x| (x - 7.0).powi(2)) - 7.0).abs() < 1e-6);
        assert!((minimum(&|x| (x + 30.0).powi(2)) + 30.0).abs() < 1e-5);
        assert_eq!(likeliest(&[3.0; 4], box_cox, false), 1.0);
    }
}
