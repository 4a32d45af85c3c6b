//! Where the trials of a search lie in the unit cube.
//!
//! Draws are of Philox ([`crate::random`]): a trial's place on an axis depends on the
//! seed, the axis' name and the trial's number alone. Latin hypercubes: McKay, Beckman and
//! Conover, "A comparison of three methods for selecting values of input variables" (1979):
//! of `n` trials each falls into another of the `n` equal strata of every axis.
//! TPE: Bergstra, Bardenet, Bengio and Kégl, "Algorithms for hyper-parameter optimization"
//! (2011), by the crate `tpe`, an axis at a time: choices by histograms, numbers (of `log`
//! ranges their logarithms) by Parzen windows.

use rand::SeedableRng;
use rand::rngs::StdRng;
use tpe::{TpeOptimizer, TpeOptimizerBuilder};

use crate::random::{bits, site_key};
use crate::spec::sweep::{Axis, Tpe, Values};
use crate::train::sweep::space;

/// A number in [0, 1) of 32 random bits.
fn uniform(seed: u64, axis: &str, what: &str, draw: u64, element: u64) -> f64 {
    let key = site_key(seed, &format!("sweep/{what}/{axis}"));
    f64::from(bits(key, draw, element)) / 4_294_967_296.0
}

/// A trial by chance; `again`: the how-many-eth attempt at it.
pub fn by_chance(axes: &[Axis], seed: u64, trial: usize, again: u64) -> Vec<f64> {
    let one = |axis: &Axis| uniform(seed, &axis.name, "random", trial as u64, again);
    axes.iter().map(one).collect()
}

/// All trials of a Latin hypercube.
pub fn latin(axes: &[Axis], seed: u64, trials: usize) -> Vec<Vec<f64>> {
    let mut places = vec![Vec::with_capacity(axes.len()); trials];
    for axis in axes {
        let mut strata: Vec<usize> = (0..trials).collect();
        // Fisher and Yates' shuffle
        for i in (1..trials).rev() {
            let draw = uniform(seed, &axis.name, "strata", 0, i as u64);
            strata.swap(i, space::cell(draw, i + 1));
        }
        for (trial, (place, stratum)) in places.iter_mut().zip(strata).enumerate() {
            let within = uniform(seed, &axis.name, "within", 0, trial as u64);
            place.push((stratum as f64 + within) / trials as f64);
        }
    }
    places
}

/// Every combination, the last axis fastest: places and values.
pub fn grid(axes: &[Axis], points: Option<usize>) -> Vec<(Vec<f64>, Vec<String>)> {
    let mut all = vec![(Vec::new(), Vec::new())];
    for axis in axes {
        let values = space::grid(&axis.values, points);
        all = all
            .iter()
            .flat_map(|(places, texts)| {
                values.iter().map(move |(place, text)| {
                    let places = places.iter().copied().chain([*place]).collect();
                    let texts: Vec<String> = texts.iter().cloned().chain([text.clone()]).collect();
                    (places, texts)
                })
            })
            .collect();
    }
    all
}

/// What TPE suggests for a trial, by places and losses (less is better, none where a trial
/// failed) of those before it.
pub fn suggested(
    axes: &[Axis],
    set: &Tpe,
    seed: u64,
    trial: usize,
    known: &[(&[f64], Option<f64>)],
) -> Vec<f64> {
    let key = site_key(seed, "sweep/tpe");
    let seed = u64::from(key[0]) << 32 | u64::from(key[1]);
    let mut rng = StdRng::seed_from_u64(seed.wrapping_add(trial as u64));
    let mut ask = |at: usize, axis: &Axis| {
        let listed = match &axis.values {
            Values::Listed(items) => Some(items.len()),
            Values::Whole { .. } | Values::Real { .. } => None,
        };
        let mut search = estimator(set, listed)?;
        for (place, loss) in known {
            let place = listed.map_or(place[at], |n| space::cell(place[at], n) as f64);
            // a failed trial is the worst of all
            search.tell(place, loss.unwrap_or(f64::INFINITY)).ok()?;
        }
        let Ok(found) = search.ask(&mut rng);
        Some(listed.map_or(found, |n| space::middle(found as usize, n)))
    };
    // a space that cannot be estimated is drawn from by chance
    let fallback =
        |at: usize, axis: &Axis| uniform(seed, &axis.name, "random", trial as u64, at as u64);
    (axes.iter().enumerate())
        .map(|(at, axis)| ask(at, axis).unwrap_or_else(|| fallback(at, axis)))
        .collect()
}

fn estimator(set: &Tpe, listed: Option<usize>) -> Option<TpeOptimizer> {
    let mut builder = TpeOptimizerBuilder::new();
    builder.gamma(set.gamma).candidates(set.candidates);
    let made = match listed {
        Some(n) => builder.build(tpe::histogram_estimator(), tpe::categorical_range(n).ok()?),
        None => builder.build(tpe::parzen_estimator(), tpe::range(0.0, 1.0).ok()?),
    };
    made.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes() -> Vec<Axis> {
        let real = |name: &str| Axis {
            name: name.into(),
            values: Values::Real {
                from: 0.0,
                to: 1.0,
                log: false,
            },
            of_data: false,
        };
        vec![real("a"), real("b")]
    }

    #[test]
    fn each_stratum_has_one_trial() {
        let axes = axes();
        for (seed, n) in [(0, 7), (1, 20), (2, 1)] {
            let all = latin(&axes, seed, n);
            for axis in 0..2 {
                let mut strata: Vec<usize> = all.iter().map(|p| space::cell(p[axis], n)).collect();
                strata.sort_unstable();
                assert_eq!(strata, (0..n).collect::<Vec<_>>());
            }
        }
        // the axes are shuffled apart
        let all = latin(&axes, 1, 20);
        assert!(
            all.iter()
                .any(|p| space::cell(p[0], 20) != space::cell(p[1], 20))
        );
        assert_ne!(latin(&axes, 0, 7), latin(&axes, 1, 7));
    }

    #[test]
    fn an_axis_more_changes_no_other_draw() {
        let axes = axes();
        let both = by_chance(&axes, 3, 5, 0);
        assert_eq!(by_chance(&axes[1..], 3, 5, 0), both[1..]);
        assert_ne!(by_chance(&axes, 3, 6, 0), both);
        assert_ne!(by_chance(&axes, 3, 5, 1), both);
    }

    #[test]
    fn a_grid_counts_its_last_axis_fastest() {
        let listed = |name: &str, items: [&str; 2]| Axis {
            name: name.into(),
            values: Values::Listed(items.map(str::to_owned).to_vec()),
            of_data: false,
        };
        let axes = [listed("a", ["1", "2"]), listed("b", ["x", "y"])];
        let texts: Vec<String> = grid(&axes, None).iter().map(|t| t.1.join("")).collect();
        assert_eq!(texts, ["1x", "1y", "2x", "2y"]);
    }
}
