//! Rungs: how many trials are trained for how long, before the best of them go on.
//!
//! Li, Jamieson, DeSalvo, Rostamizadeh and Talwalkar, "Hyperband: a novel bandit-based
//! approach to hyperparameter optimization" (JMLR 18, 2018), algorithm 1. With `R` epochs in
//! all and a factor `eta`, rung `i` of a bracket of `s + 1` rungs and `n` trials has
//! `floor(n eta^-i)` trials, trained for `R eta^(i - s)` epochs. Hyperband's brackets are
//! those of `s = floor(log_eta(R / least))` down to 0, with `n = ceil((s_max + 1) / (s + 1) eta^s)`.

/// The trials of a rung, and the epochs that they have been trained for at its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rung {
    pub trials: usize,
    pub epochs: usize,
}

/// One bracket of successive halving.
pub fn bracket(trials: usize, factor: usize, last: u32, epochs: usize) -> Vec<Rung> {
    (0..=last)
        .map(|i| Rung {
            trials: trials / factor.pow(i),
            epochs: (epochs / factor.pow(last - i)).max(1),
        })
        .collect()
}

/// Successive halving of `trials`: as many rungs as there are epochs and trials for.
pub fn halving(trials: usize, factor: usize, least: usize, epochs: usize) -> Vec<Rung> {
    let last = power(factor, epochs / least.max(1)).min(power(factor, trials));
    bracket(trials, factor, last, epochs)
}

/// The brackets of Hyperband, the one that stops most trials first.
pub fn hyperband(factor: usize, least: usize, epochs: usize) -> Vec<Vec<Rung>> {
    let most = power(factor, epochs / least.max(1));
    let brackets = (0..=most).rev();
    brackets
        .map(|s| {
            let trials = ((most as usize + 1) * factor.pow(s)).div_ceil(s as usize + 1);
            bracket(trials, factor, s, epochs)
        })
        .collect()
}

/// The greatest `n` with `factor^n <= x`.
fn power(factor: usize, x: usize) -> u32 {
    x.max(1).ilog(factor.max(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(rungs: &[Rung]) -> Vec<(usize, usize)> {
        rungs.iter().map(|r| (r.trials, r.epochs)).collect()
    }

    /// The paper's table 1: R = 81, eta = 3.
    #[test]
    fn hyperband_is_the_papers() {
        let all: Vec<_> = hyperband(3, 1, 81).iter().map(|b| pairs(b)).collect();
        let expected = [
            vec![(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
            vec![(34, 3), (11, 9), (3, 27), (1, 81)],
            vec![(15, 9), (5, 27), (1, 81)],
            vec![(8, 27), (2, 81)],
            vec![(5, 81)],
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn halving_ends_at_all_epochs() {
        assert_eq!(
            pairs(&halving(27, 3, 1, 27)),
            [(27, 1), (9, 3), (3, 9), (1, 27)]
        );
        // epochs for three rungs, trials for two
        assert_eq!(pairs(&halving(5, 3, 1, 10)), [(5, 3), (1, 10)]);
        assert_eq!(
            pairs(&halving(8, 2, 5, 40)),
            [(8, 5), (4, 10), (2, 20), (1, 40)]
        );
        assert_eq!(pairs(&hyperband(3, 1, 1)[0]), [(1, 1)]);
    }
}
