//! How much each axis matters: the share of the scores' variation that goes with it.
//!
//! For each axis trials are put into groups (of equal values; values of a range into groups of
//! equal size, about as many as the square root of the trials), and epsilon squared of the
//! scores' *ranks* over these groups is taken,
//!
//! ```text
//! eta² = between-group sum of squares / whole sum of squares
//! epsilon² = 1 - (1 - eta²) (n - 1) / (n - k)        n trials, k groups
//! ```
//!
//! not below 0. eta² is the correlation ratio, an estimate from given data of the first-order
//! Sobol index (Plischke, Borgonovo and Smith, "Global sensitivity measures from given data",
//! 2013); epsilon² (Kelley, "An unbiased correlation ratio measure", 1935) takes away what any
//! grouping would explain by chance. Ranks, as in Kruskal and Wallis' test, keep one trial that
//! diverged from deciding it all. What axes do only together is not seen.

/// For each axis; `places` and `losses` are those of trials that came to a score.
/// `listed[axis]`: how many values it has, where they are listed.
pub fn importance(places: &[&[f64]], losses: &[f64], listed: &[Option<usize>]) -> Vec<f64> {
    let ranks = ranks(losses);
    (listed.iter().enumerate())
        .map(|(axis, listed)| {
            let at: Vec<f64> = places.iter().map(|p| p[axis]).collect();
            let groups = match listed {
                Some(n) => at.iter().map(|p| super::space::cell(*p, *n)).collect(),
                None => equal_groups(&at),
            };
            explained(&ranks, &groups)
        })
        .collect()
}

/// From 0, equals share the mean of theirs.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let below = |x: f64| values.iter().filter(|v| **v < x).count() as f64;
    let equal = |x: f64| values.iter().filter(|v| **v == x).count() as f64;
    let rank = |&x: &f64| below(x) + (equal(x) - 1.0) / 2.0;
    values.iter().map(rank).collect()
}

/// Groups of equal size in order of place; equal places are never parted.
fn equal_groups(places: &[f64]) -> Vec<usize> {
    let n = places.len();
    let count = ((n as f64).sqrt().round() as usize).clamp(2, 8);
    let below = |x: f64| places.iter().filter(|p| **p < x).count();
    places
        .iter()
        .map(|&p| below(p) * count / n.max(1))
        .collect()
}

/// Epsilon squared.
fn explained(values: &[f64], groups: &[usize]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let whole: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    let mut names: Vec<usize> = groups.to_vec();
    names.sort_unstable();
    names.dedup();
    let k = names.len() as f64;
    if whole == 0.0 || k < 2.0 || n <= k {
        return 0.0;
    }
    let between: f64 = (names.iter())
        .map(|g| {
            let of = values.iter().zip(groups).filter(|(_, x)| *x == g);
            let of: Vec<f64> = of.map(|(v, _)| *v).collect();
            let m = of.iter().sum::<f64>() / of.len() as f64;
            of.len() as f64 * (m - mean).powi(2)
        })
        .sum();
    (1.0 - (1.0 - between / whole) * (n - 1.0) / (n - k)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_is_important() {
        let places: Vec<[f64; 2]> = (0..40)
            .map(|i| [f64::from(i % 10) / 10.0, f64::from(i * 7 % 40) / 40.0])
            .collect();
        let losses: Vec<f64> = places.iter().map(|p| (p[0] * 10.0).exp()).collect();
        let places: Vec<&[f64]> = places.iter().map(|p| p.as_slice()).collect();
        let found = importance(&places, &losses, &[None, None]);
        assert!(found[0] > 0.9 && found[1] < 0.2, "{found:?}");
        // the same by listed values, and nothing where all are equal
        let found = importance(&places, &losses, &[Some(10), Some(2)]);
        assert!(found[0] > 0.999, "{found:?}");
        assert_eq!(importance(&places, &[1.0; 40], &[None, None]), [0.0, 0.0]);
    }

    /// By hand: ranks 0 1 2 3, groups {0, 1} and {2, 3}; eta² = 4 / 5, epsilon² = 1 - 0.2 * 3 / 2.
    #[test]
    fn epsilon_squared_by_hand() {
        let places = [[0.1], [0.2], [0.6], [0.7]];
        let places: Vec<&[f64]> = places.iter().map(|p| p.as_slice()).collect();
        let found = importance(&places, &[1.0, 2.0, 30.0, 31.0], &[Some(2)]);
        assert!((found[0] - 0.7).abs() < 1e-12, "{found:?}");
        assert_eq!(ranks(&[2.0, 1.0, 2.0]), [1.5, 0.0, 1.5]);
    }
}
