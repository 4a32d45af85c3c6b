//! `when CONDITION do ACTION`: what is remembered of metrics, whether the condition
//! holds, and the action.
//!
//! A value that is not there yet (of the epoch before the first; the best of values that are
//! all NaN) makes a comparison neither true nor false: alone it does not act, and `and`, `or`
//! and `not` say what the other side leaves open.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::exact::Exact;
use super::{Logs, Scene, rates, remote, scheduled};
use crate::backend::Executable;
use crate::plural::count;
use crate::spec::pattern::{Number, Pattern};
use crate::spec::rules::{Action, Rule, Term, Test};
use crate::train::RunError;
use crate::train::store::Snapshot;

/// As it is told to people.
const NAME: &str = "when";

#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct State {
    /// Of each of [`Rule::watched`].
    pub seen: Vec<Seen>,
    /// Whether weights are kept.
    pub kept: bool,
}

/// What is remembered of a metric.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Seen {
    pub best: Option<Exact>,
    /// Epochs (or steps) since then.
    pub since: u64,
    /// The value of the last time.
    pub last: Option<Exact>,
}

/// What an evaluation knows.
#[derive(Clone, Copy, Debug)]
pub struct Now<'a> {
    pub logs: &'a Logs,
    /// From 1.
    pub epoch: usize,
    pub steps: u64,
    pub rate: Option<f64>,
}

/// Where a rule acts.
pub(super) struct Place<'a> {
    pub logs: &'a Logs,
    pub folder: &'a Path,
    /// Those of schedules.
    pub rates: &'a mut [(String, Box<dyn Executable>)],
    pub sender: &'a mut Option<remote::Sender>,
}

impl State {
    pub fn new(set: &Rule) -> State {
        State {
            seen: vec![Seen::default(); set.watched.len()],
            kept: false,
        }
    }

    /// Takes the present values in; gives the places of those that are the best so far.
    /// [`State::pass`] follows once all is decided.
    pub fn look(&mut self, set: &Rule, logs: &Logs) -> Vec<usize> {
        let mut improved = Vec::new();
        for (i, (watched, seen)) in set.watched.iter().zip(&mut self.seen).enumerate() {
            let current = logs.get(&watched.metric).filter(|x| !x.is_nan());
            let best = seen.best.map(Exact::get);
            let better = |x: &f64| watched.better.is_some_and(|b| b.improves(*x, 0.0, best));
            match current.filter(better) {
                Some(x) => {
                    seen.best = Some(x.into());
                    seen.since = 0;
                    improved.push(i);
                }
                None => seen.since = seen.since.saturating_add(1),
            }
        }
        improved
    }

    /// The present values become those of before.
    pub fn pass(&mut self, set: &Rule, logs: &Logs) {
        for (watched, seen) in set.watched.iter().zip(&mut self.seen) {
            seen.last = logs.get(&watched.metric).map(Exact::from);
        }
    }

    /// Whether a condition holds; none: what it depends on is not there yet.
    pub fn holds(&self, test: &Test, now: Now) -> Option<bool> {
        match test {
            Test::Known(b) => Some(*b),
            Test::Compare(by, a, b) => Some(by.holds(self.value(a, now)?, self.value(b, now)?)),
            Test::And(a, b) => match (self.holds(a, now), self.holds(b, now)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (a, b) => Some(a? && b?),
            },
            Test::Or(a, b) => match (self.holds(a, now), self.holds(b, now)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (a, b) => Some(a? || b?),
            },
            Test::Not(a) => self.holds(a, now).map(|b| !b),
        }
    }

    pub fn value(&self, term: &Term, now: Now) -> Option<f64> {
        Some(match term {
            Term::Number(x) => *x,
            Term::Epoch => now.epoch as f64,
            Term::Step => now.steps as f64,
            Term::Rate => now.rate?,
            Term::Metric(name) => now.logs.get(name)?,
            Term::Best(i) => self.seen[*i].best?.get(),
            Term::Previous(i) => self.seen[*i].last?.get(),
            Term::SinceBest(i) => {
                self.seen[*i].best?;
                self.seen[*i].since as f64
            }
            Term::Negative(a) => -self.value(a, now)?,
            Term::Abs(a) => self.value(a, now)?.abs(),
            Term::Binary(by, a, b) => by.of(self.value(a, now)?, self.value(b, now)?),
        })
    }

    pub(super) fn consider(
        &mut self,
        set: &Rule,
        kept: &mut Option<Snapshot>,
        place: &mut Place,
        scene: &mut Scene,
    ) -> Result<(), RunError> {
        let improved = self.look(set, place.logs);
        if let Action::RestoreBest(i) = &set.action
            && improved.contains(i)
        {
            scene.session.store().snapshot(kept);
            self.kept = true;
        }
        let steps = scene.session.steps();
        let mut now = Now {
            logs: place.logs,
            epoch: scene.epoch + 1,
            steps,
            rate: None,
        };
        if set.reads_rate() {
            let given = (place.rates.iter_mut())
                .map(|(name, rate)| (name.clone(), scheduled(rate.as_mut(), steps + 1)))
                .collect();
            let rates = rates::logged(scene.session.store(), given);
            now.rate = rates.first().map(|(_, rate)| *rate);
        }
        if self.holds(&set.when, now) == Some(true) {
            self.act(set, kept, now, place, scene)?;
        }
        self.pass(set, place.logs);
        Ok(())
    }

    fn act(
        &self,
        set: &Rule,
        kept: &Option<Snapshot>,
        now: Now,
        place: &mut Place,
        scene: &mut Scene,
    ) -> Result<(), RunError> {
        match &set.action {
            Action::Stop => {
                let text = format!("stopped in epoch {}, after step {}", now.epoch, now.steps);
                scene.tell(NAME, &text, true);
                *scene.stop = Some(NAME);
            }
            Action::Print(message) => scene.tell(NAME, &filled(message, now), true),
            Action::Notify { url, message } => {
                if let Some(sender) = place.sender {
                    sender.send(url, remote::note(url, &filled(message, now)));
                }
            }
            Action::RestoreBest(i) => {
                if let Some(kept) = kept {
                    scene.session.store_mut().put_back(kept);
                    let unit = if set.each_step { "step" } else { "epoch" };
                    let text = match self.seen[*i].since {
                        0 => "current weights are the best so far: kept".to_owned(),
                        n => format!("restored the best weights, from {} ago", count(n, unit)),
                    };
                    scene.tell(NAME, &text, true);
                }
            }
            Action::Save { path, weights_only } => {
                let name = filled(path, now);
                super::save_as(&name, *weights_only, place.folder, scene)?;
                scene.tell(NAME, &format!("saved {name}"), true);
            }
            Action::SetRate(rate) => self.set_rates(rate, now, scene),
        }
        Ok(())
    }

    fn set_rates(&self, rate: &Term, now: Now, scene: &mut Scene) {
        let mut texts = Vec::new();
        let store = scene.session.store_mut();
        for (name, old) in rates::all(store) {
            let now = Now {
                rate: Some(f64::from(old)),
                ..now
            };
            let Some(new) = self.value(rate, now) else {
                continue;
            };
            let new = new as f32;
            if !new.is_finite() || new < 0.0 {
                texts.push(format!("{new} is not a learning rate: kept {old}"));
            } else if new != old {
                rates::set(store, &name, new);
                texts.push(format!("set the learning rate from {old} to {new}"));
            }
        }
        for text in texts {
            scene.tell(NAME, &text, true);
        }
    }
}

fn filled(pattern: &Pattern, now: Now) -> String {
    pattern.fill(|name| match name {
        "epoch" => Some(Number::Count(now.epoch)),
        "step" => Some(Number::Count(now.steps as usize)),
        "lr" => now.rate.map(Number::Real),
        metric => now.logs.get(metric).map(Number::Real),
    })
}
