//! The trials of a sweep, and what may run next.
//!
//! A trial is trained to the end of a rung, then waits until its whole rung is done; the best
//! go on. Every other search is one rung of all epochs. Trials of TPE come in generations:
//! those of one are suggested from the results of all trials before it, so that a sweep comes
//! to the same trials however many run at once.

use std::collections::{BTreeMap, HashSet};

use crate::spec::callbacks::Better;
use crate::spec::sweep::{Axis, Method, SweepSpec, Tpe};
use crate::train::sweep::halving::{self, Rung};
use crate::train::sweep::{draw, space};

/// A configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// In [0, 1), an axis each.
    pub place: Vec<f64>,
    /// As a program says them.
    pub values: Vec<String>,
    pub bracket: usize,
}

/// A trial to be trained until it has done so many epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Work {
    pub trial: usize,
    pub rung: usize,
    pub epochs: usize,
}

/// What a trial came to in a rung.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Done {
    /// The goal's value; none where the trial failed.
    pub score: Option<f64>,
    /// Whether it has ended by itself: it is not trained further.
    pub ended: bool,
}

/// By trial and rung.
pub type Results = BTreeMap<(usize, usize), Done>;

#[derive(Clone, Debug)]
pub struct Plan {
    spec: SweepSpec,
    seed: u64,
    brackets: Vec<Bracket>,
    trials: Vec<Trial>,
    /// Configurations that there are.
    seen: HashSet<Vec<String>>,
}

#[derive(Clone, Debug)]
struct Bracket {
    first: usize,
    rungs: Vec<Rung>,
}

impl Plan {
    /// `seed` counts where the sweep has none of its own; `epochs` are those of a whole run;
    /// `trials` replaces the number that the sweep says.
    ///
    /// # Errors
    /// What does not go together, a sentence.
    pub fn new(
        spec: &SweepSpec,
        seed: u64,
        epochs: usize,
        trials: Option<usize>,
    ) -> Result<Plan, String> {
        let mut spec = spec.clone();
        if let Some(n) = trials {
            set_trials(&mut spec.search.method, n)?;
        }
        let there = combinations(&spec.axes);
        if let Some(all) = there {
            // to run one again would say nothing
            match &mut spec.search.method {
                Method::Random { trials } => *trials = all.min(*trials),
                Method::Tpe(set) => set.trials = all.min(set.trials),
                _ => {}
            }
        }
        let enough = |factor: usize, least: usize| match factor.saturating_mul(least) <= epochs {
            true => Ok(()),
            false => Err(format!(
                "{} stops trials between epochs: it needs at least {} epochs, not {epochs}",
                spec.search.method.name(),
                factor.saturating_mul(least)
            )),
        };
        let one = |trials: usize| vec![vec![Rung { trials, epochs }]];
        let axes = &spec.axes;
        let seed = spec.search.seed.unwrap_or(seed);
        let mut drawn: Vec<(Vec<f64>, Option<Vec<String>>)> = Vec::new();
        let brackets = match &spec.search.method {
            Method::Grid { points } => {
                let all = draw::grid(axes, *points).into_iter();
                drawn.extend(all.map(|(place, texts)| (place, Some(texts))));
                drawn.truncate(trials.unwrap_or(usize::MAX));
                one(drawn.len())
            }
            Method::Random { trials } => one(*trials),
            Method::Tpe(set) => one(set.trials),
            Method::Latin { trials } => {
                let all = draw::latin(axes, seed, *trials).into_iter();
                drawn.extend(all.map(|place| (place, None)));
                one(*trials)
            }
            Method::Halving {
                trials,
                factor,
                least,
            } => {
                enough(*factor, *least)?;
                if trials < factor {
                    return Err(format!(
                        "halving by {factor} needs at least {factor} trials"
                    ));
                }
                vec![halving::halving(*trials, *factor, *least, epochs)]
            }
            Method::Hyperband { factor, least } => {
                enough(*factor, *least)?;
                halving::hyperband(*factor, *least, epochs)
            }
        };
        let mut first = 0;
        let brackets = brackets.into_iter().map(|rungs| {
            let bracket = Bracket { first, rungs };
            first += bracket.trials();
            bracket
        });
        let mut plan = Plan {
            seed,
            brackets: brackets.collect(),
            trials: Vec::new(),
            seen: HashSet::new(),
            spec,
        };
        for (place, texts) in drawn {
            let texts = texts.unwrap_or_else(|| plan.values(&place));
            plan.add(place, texts);
        }
        let startup = match &plan.spec.search.method {
            Method::Grid { .. } | Method::Latin { .. } => 0,
            Method::Tpe(set) => set.startup.min(set.trials),
            _ => plan.planned(),
        };
        for _ in 0..startup {
            plan.add_by_chance();
        }
        Ok(plan)
    }

    /// The sweep, with what the command line said of it.
    pub fn spec(&self) -> &SweepSpec {
        &self.spec
    }

    /// Those that there are so far.
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// How many there will be.
    pub fn planned(&self) -> usize {
        self.brackets.iter().map(Bracket::trials).sum()
    }

    /// Whether there is no other configuration.
    pub fn is_exhaustive(&self) -> bool {
        combinations(&self.spec.axes).is_some_and(|all| all <= self.planned())
    }

    /// Trainings in all, one a trial and rung, and the epochs that they take together.
    pub fn extent(&self) -> (usize, usize) {
        let rungs = self.brackets.iter().flat_map(|b| {
            let before = [0].into_iter().chain(b.rungs.iter().map(|r| r.epochs));
            b.rungs.iter().zip(before)
        });
        let both = rungs.map(|(r, before)| (r.trials, r.trials * (r.epochs - before)));
        both.fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    }

    /// The rungs of a trial's bracket.
    pub fn rungs(&self, trial: usize) -> usize {
        self.brackets[self.trials[trial].bracket].rungs.len()
    }

    /// The epochs that a trial had done before a rung.
    pub fn epochs_before(&self, work: &Work) -> usize {
        let rungs = &self.brackets[self.trials[work.trial].bracket].rungs;
        work.rung.checked_sub(1).map_or(0, |r| rungs[r].epochs)
    }

    /// What can run now and is not done, in the order in which it is to be begun. Nothing is
    /// left once this is empty and nothing runs.
    pub fn ready(&mut self, done: &Results) -> Vec<Work> {
        if let Method::Tpe(set) = &self.spec.search.method {
            let set = set.clone();
            self.suggest(&set, done);
        }
        let mut ready = Vec::new();
        for bracket in &self.brackets {
            let there = bracket.first..self.trials.len().min(bracket.first + bracket.trials());
            let mut entrants: Vec<usize> = there.collect();
            for (rung, set) in bracket.rungs.iter().enumerate() {
                let open = entrants.iter().filter(|t| !done.contains_key(&(**t, rung)));
                let open: Vec<Work> = open
                    .map(|&trial| Work {
                        trial,
                        rung,
                        epochs: set.epochs,
                    })
                    .collect();
                if !open.is_empty() {
                    ready.extend(open);
                    break;
                }
                let Some(next) = bracket.rungs.get(rung + 1) else {
                    break;
                };
                entrants = self.best(&entrants, rung, done);
                entrants.truncate(next.trials);
            }
        }
        // what has come farthest first: its bracket waits for it
        ready.sort_by_key(|w| (std::cmp::Reverse(w.rung), w.trial));
        ready
    }

    /// Trials that did not fail in a rung, the best first; of equals the earlier.
    fn best(&self, entrants: &[usize], rung: usize, done: &Results) -> Vec<usize> {
        let score = |t: usize| done.get(&(t, rung)).and_then(|d| d.score);
        let mut scored: Vec<(f64, usize)> = entrants
            .iter()
            .filter_map(|&t| Some((self.loss(score(t)?), t)))
            .collect();
        scored.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        scored.into_iter().map(|(_, t)| t).collect()
    }

    /// A score such that less is better.
    pub fn loss(&self, score: f64) -> f64 {
        match self.spec.goal.better {
            Better::Less => score,
            Better::Greater => -score,
        }
    }

    /// The next generations, as far as the results reach.
    fn suggest(&mut self, set: &Tpe, done: &Results) {
        while self.trials.len() < set.trials {
            let all = 0..self.trials.len();
            let Some(results) = all.map(|t| done.get(&(t, 0))).collect::<Option<Vec<_>>>() else {
                return;
            };
            let losses: Vec<Option<f64>> = (results.iter())
                .map(|d| d.score.map(|s| self.loss(s)))
                .collect();
            let first = self.trials.len();
            for trial in first..(first + set.generation).min(set.trials) {
                let known: Vec<(&[f64], Option<f64>)> = (self.trials[..first].iter())
                    .map(|t| t.place.as_slice())
                    .zip(losses.iter().copied())
                    .collect();
                let place = draw::suggested(&self.spec.axes, set, self.seed, trial, &known);
                let values = self.values(&place);
                match self.seen.contains(&values) {
                    // to run it again would say nothing
                    true => self.add_by_chance(),
                    false => self.add(place, values),
                }
            }
        }
    }

    /// A configuration that there is not yet, unless that is hard to find.
    fn add_by_chance(&mut self) {
        const ATTEMPTS: u64 = 64;
        /// Spaces of which every point is looked at.
        const SMALL: usize = 10_000;
        let trial = self.trials.len();
        let axes = &self.spec.axes;
        let draw = |again| {
            let place = draw::by_chance(axes, self.seed, trial, again);
            let values = self.values(&place);
            (place, values)
        };
        let new = |(_, values): &(_, Vec<String>)| !self.seen.contains(values);
        let small = combinations(axes).is_some_and(|all| all <= SMALL);
        let found = (0..ATTEMPTS).map(draw).find(new);
        let found = found.or_else(|| match small {
            true => draw::grid(axes, None).into_iter().find(new),
            false => None,
        });
        let (place, values) = found.unwrap_or_else(|| draw(0));
        self.add(place, values);
    }

    fn add(&mut self, place: Vec<f64>, values: Vec<String>) {
        let trial = self.trials.len();
        let bracket = self.brackets.iter().rposition(|b| b.first <= trial);
        self.seen.insert(values.clone());
        self.trials.push(Trial {
            place,
            values,
            bracket: bracket.unwrap_or(0),
        });
    }

    fn values(&self, place: &[f64]) -> Vec<String> {
        let axes = self.spec.axes.iter().zip(place);
        axes.map(|(axis, p)| space::value(&axis.values, *p))
            .collect()
    }
}

/// How many configurations there are, where they can be counted.
fn combinations(axes: &[Axis]) -> Option<usize> {
    let mut counts = axes.iter().map(|a| a.values.count());
    counts.try_fold(1usize, |all, n| all.checked_mul(n?))
}

impl Bracket {
    fn trials(&self) -> usize {
        self.rungs.first().map_or(0, |r| r.trials)
    }
}

fn set_trials(method: &mut Method, n: usize) -> Result<(), String> {
    match method {
        // the first of them
        Method::Grid { .. } => {}
        Method::Random { trials } | Method::Latin { trials } | Method::Halving { trials, .. } => {
            *trials = n;
        }
        Method::Tpe(set) => set.trials = n,
        Method::Hyperband { .. } => {
            return Err("the number of hyperband trials follows from its epochs".into());
        }
    }
    Ok(())
}
