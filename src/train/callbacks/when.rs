//! `when CONDITION do ACTION`: what is remembered of metrics, whether the condition
//! holds, and the action.
//!
//! A value that is not there yet (of the epoch before the first; the best of values that are
//! all NaN) makes a comparison neither true nor false: alone it does not act, and `and`, `or`
//! and `not` say what the other side leaves open.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::exact::Exact;
use super::{Batch, Callback, CallbackContext, Logs, RunContext, rates, read, sender};
use crate::plural::count;
use crate::spec::pattern::{Number, Pattern};
use crate::spec::trigger::{Action, Term, Test, Trigger};
use crate::train::RunError;
use crate::train::store::Snapshot;

/// As it is told to people.
const NAME: &str = "when";

#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct State {
    /// What was seen of each of [`Trigger::watched`].
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

impl State {
    pub fn new(set: &Trigger) -> State {
        State {
            seen: vec![Seen::default(); set.watched.len()],
            kept: false,
        }
    }

    /// Takes the present values in; gives the places of those that are the best so far.
    /// [`State::pass`] follows once all is decided.
    pub fn look(&mut self, set: &Trigger, logs: &Logs) -> Vec<usize> {
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
    pub fn pass(&mut self, set: &Trigger, logs: &Logs) {
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
}

/// A trigger at work.
pub(super) struct When {
    trigger: Trigger,
    state: State,
    kept: Option<Snapshot>,
}

impl When {
    pub(super) fn new(trigger: &Trigger) -> When {
        When {
            state: State::new(trigger),
            trigger: trigger.clone(),
            kept: None,
        }
    }

    fn consider(
        &mut self,
        logs: &Logs,
        cx: &mut CallbackContext,
        run: &mut RunContext,
    ) -> Result<(), RunError> {
        let improved = self.state.look(&self.trigger, logs);
        if let Action::RestoreBest(i) = &self.trigger.action
            && improved.contains(i)
        {
            cx.session.store().snapshot(&mut self.kept);
            self.state.kept = true;
        }
        let rate = match self.trigger.reads_rate() {
            true => run.rates(cx.session).first().map(|(_, rate)| *rate),
            false => None,
        };
        let now = Now {
            logs,
            epoch: cx.epoch + 1,
            steps: cx.session.steps(),
            rate,
        };
        if self.state.holds(&self.trigger.when, now) == Some(true) {
            self.act(now, cx, run)?;
        }
        self.state.pass(&self.trigger, logs);
        Ok(())
    }

    fn act(
        &self,
        now: Now,
        cx: &mut CallbackContext,
        run: &mut RunContext,
    ) -> Result<(), RunError> {
        match &self.trigger.action {
            Action::Stop => {
                let text = format!("stopped in epoch {}, after step {}", now.epoch, now.steps);
                cx.tell(NAME, &text, true);
                *cx.stop = Some(NAME);
            }
            Action::Print(message) => cx.tell(NAME, &filled(message, now), true),
            Action::Notify { url, message } => {
                if let Some(sender) = &mut run.sender {
                    sender.send(url, sender::note(url, &filled(message, now)));
                }
            }
            Action::RestoreBest(i) => self.put_back(*i, cx),
            Action::Save { path, weights_only } => {
                let name = filled(path, now);
                cx.save_as(&name, *weights_only, run)?;
                cx.tell(NAME, &format!("saved {name}"), true);
            }
            Action::SetRate(rate) => self.set_rates(rate, now, cx),
        }
        Ok(())
    }

    /// The best weights by the metric at this place of those watched.
    fn put_back(&self, watched: usize, cx: &mut CallbackContext) {
        let Some(kept) = &self.kept else {
            return;
        };
        cx.session.store_mut().put_back(kept);
        let unit = match self.trigger.each_step {
            true => "step",
            false => "epoch",
        };
        let text = match self.state.seen[watched].since {
            0 => "current weights are the best so far: kept".to_owned(),
            n => format!("restored the best weights, from {} ago", count(n, unit)),
        };
        cx.tell(NAME, &text, true);
    }

    fn set_rates(&self, rate: &Term, now: Now, cx: &mut CallbackContext) {
        let mut texts = Vec::new();
        let store = cx.session.store_mut();
        for (name, old) in rates::all(store) {
            let now = Now {
                rate: Some(f64::from(old)),
                ..now
            };
            let Some(new) = self.state.value(rate, now) else {
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
            cx.tell(NAME, &text, true);
        }
    }
}

impl Callback for When {
    fn on_train_batch_end(
        &mut self,
        _: Batch,
        cx: &mut CallbackContext,
        run: &mut RunContext,
    ) -> Result<(), RunError> {
        if !self.trigger.each_step {
            return Ok(());
        }
        let logs = match self.trigger.reads_metrics() {
            true => cx.running_logs()?,
            false => Logs::default(),
        };
        self.consider(&logs, cx, run)
    }

    fn on_epoch_end(
        &mut self,
        logs: &mut Logs,
        cx: &mut CallbackContext,
        run: &mut RunContext,
    ) -> Result<(), RunError> {
        match self.trigger.each_step {
            true => Ok(()),
            false => self.consider(logs, cx, run),
        }
    }

    fn state(&self) -> Value {
        json!(self.state)
    }

    fn restore(&mut self, state: &Value) -> Result<(), serde_json::Error> {
        read(state, &mut self.state)
    }

    fn kept(&self) -> Option<&Snapshot> {
        self.kept.as_ref()
    }

    fn kept_mut(&mut self) -> Option<&mut Option<Snapshot>> {
        self.state.kept.then_some(&mut self.kept)
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
