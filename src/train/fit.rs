//! The epoch loop: training steps, validation after each epoch, the test part
//! at the end.
//!
//! What it computes depends on the programs, the data and the seed alone; a run
//! that was stopped and goes on from its [`Position`] gives the same weights,
//! bit for bit, as one that was not.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use crate::data::Batches;
use crate::train::callbacks::{self, CallbackContext, Callbacks, Logs};
use crate::train::progress::{EpochRow, ProgressSink};
use crate::train::{RunError, Session};

/// The batches of each part.
pub struct Parts {
    pub train: Batches,
    pub val: Option<Batches>,
    pub test: Option<Batches>,
}

/// How far to go.
pub struct Fit<'a> {
    /// The last epoch, from 1.
    pub epochs: usize,
    pub from: Position,
    /// Stop after so many steps, counted from here.
    pub limit: Option<u64>,
    /// Set from without (Ctrl-C): finish the step and stop.
    pub stop: &'a AtomicBool,
    /// Save the state every so many steps, beside after each epoch.
    pub every: Option<u64>,
    /// The epochs before `from`, of a run that goes on.
    pub history: Vec<EpochRow>,
    /// Seconds that the epoch at `from` has taken before.
    pub spent: f64,
}

/// Where training stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Position {
    /// Whole epochs done.
    pub epoch: usize,
    /// Steps done in the epoch after them.
    pub step: usize,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct Outcome {
    pub history: Vec<EpochRow>,
    pub test: Option<Vec<f64>>,
    /// Where to go on.
    pub position: Position,
    /// The metric accumulators there; empty at an epoch's start.
    pub accumulators: Vec<u8>,
    /// Why training ended before its last epoch did.
    pub stopped: Option<Stopped>,
    /// Seconds of the epoch that was cut short and is not in the history, those before it was resumed
    /// included.
    pub unreported_seconds: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stopped {
    /// Asked to from without.
    Interrupted,
    /// [`Fit::limit`] was reached.
    Limit,
    /// By the callback of this name: training has ended.
    Callback(&'static str),
}

/// Saves what is to outlive the run.
pub trait CheckpointSink {
    /// The whole state: after each epoch, and every [`Fit::every`] steps.
    fn state(&mut self, _: &mut Session, _: &Callbacks, _: &Outcome) -> Result<(), RunError> {
        Ok(())
    }
    /// The model as it is, where a callback asks for it; with or without what only training needs.
    fn model(
        &mut self,
        _: &mut Session,
        _to: &Path,
        _weights_only: bool,
        _: Position,
    ) -> Result<(), RunError> {
        Ok(())
    }
}

/// Keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl CheckpointSink for Nothing {}

/// Trains. Where it is interrupted, neither validation nor test follows.
pub fn fit(
    session: &mut Session,
    parts: &mut Parts,
    fit: &Fit,
    callbacks: &mut Callbacks,
    progress: &mut dyn ProgressSink,
    checkpoints: &mut dyn CheckpointSink,
) -> Result<Outcome, RunError> {
    let mut run = Loop {
        session,
        fit,
        callbacks,
        progress,
        checkpoints,
        outcome: Outcome {
            history: fit.history.clone(),
            position: fit.from,
            ..Outcome::default()
        },
        budget: fit.limit.unwrap_or(u64::MAX),
        stop: None,
    };
    run.progress
        .start(fit.from.epoch + 1, fit.epochs, parts.train.len());
    run.callbacks.train_begin()?;
    while run.outcome.position.epoch < fit.epochs
        && run.outcome.stopped.is_none()
        && run.epoch(parts)?
    {}
    run.end(parts.test.as_mut())
}

/// A run under way.
struct Loop<'a, 's> {
    session: &'a mut Session<'s>,
    fit: &'a Fit<'a>,
    callbacks: &'a mut Callbacks,
    progress: &'a mut dyn ProgressSink,
    checkpoints: &'a mut dyn CheckpointSink,
    outcome: Outcome,
    /// Steps that may still be done.
    budget: u64,
    /// The callback that has asked to stop.
    stop: Option<&'static str>,
}

impl Loop<'_, '_> {
    /// Lets callbacks act in an epoch (from 0); `position` is what a model that they save is of.
    fn call<T>(
        &mut self,
        epoch: usize,
        position: Position,
        act: impl FnOnce(&mut Callbacks, &mut CallbackContext) -> T,
    ) -> T {
        let checkpoints = &mut *self.checkpoints;
        let mut context = CallbackContext {
            session: self.session,
            progress: self.progress,
            epoch,
            save: &mut |session, path, bare| checkpoints.model(session, path, bare, position),
            stop: &mut self.stop,
        };
        act(self.callbacks, &mut context)
    }

    /// An epoch, or what is left of it. Returns whether another may follow.
    fn epoch(&mut self, parts: &mut Parts) -> Result<bool, RunError> {
        let started = Instant::now();
        let costs = parts.train.costs();
        let steps = parts.train.len();
        let from = self.outcome.position;
        let epoch = from.epoch;
        if from.step == 0 {
            self.session.reset_metrics();
            self.call(epoch, from, |callbacks, cx| callbacks.epoch_begin(cx))?;
        }
        let done = self.steps(&mut parts.train, from)?;
        let spent = if from == self.fit.from {
            self.fit.spent
        } else {
            0.0
        };
        let train_seconds = spent + started.elapsed().as_secs_f64();
        if !self.close(from, done, steps) {
            self.outcome.unreported_seconds = train_seconds;
            return Ok(false);
        }
        let train = self.session.metrics()?.to_vec();
        let val = match &mut parts.val {
            Some(val) => Some(evaluate(self.session, val)?),
            None => None,
        };
        let row = EpochRow {
            epoch: epoch + 1,
            train,
            val,
            rates: self.callbacks.rates(self.session),
            steps: done - from.step,
            train_seconds,
            seconds: spent + started.elapsed().as_secs_f64(),
            costs: parts.train.costs().since(costs),
        };
        self.progress.epoch(&row);
        if self.outcome.stopped.is_none() {
            let names = self.session.metric_names();
            let mut logs = Logs::new(names, &row.train, row.val.as_deref());
            let position = self.outcome.position;
            self.call(epoch, position, |callbacks, cx| {
                callbacks.epoch_end(&mut logs, cx)
            })?;
        }
        let outcome = &mut self.outcome;
        outcome.history.push(row);
        if self.fit.stop.load(Relaxed) && outcome.position.epoch < self.fit.epochs {
            outcome.stopped = Some(Stopped::Interrupted);
        }
        outcome.stopped = outcome.stopped.or(self.stop.map(Stopped::Callback));
        self.save_state()?;
        Ok(true)
    }

    /// The steps of an epoch from a place in it. Returns how many of its steps are done then.
    fn steps(&mut self, train: &mut Batches, from: Position) -> Result<usize, RunError> {
        let steps = train.len();
        let mut done = from.step;
        let mut batches = train.epoch_from(from.epoch as u64, from.step);
        while done < steps && self.stop.is_none() {
            if self.fit.stop.load(Relaxed) {
                self.outcome.stopped = Some(Stopped::Interrupted);
                break;
            }
            if self.budget == 0 {
                self.outcome.stopped = Some(Stopped::Limit);
                break;
            }
            let Some(batch) = batches.next_batch()? else {
                break;
            };
            self.session.train(&batch)?;
            drop(batch);
            done += 1;
            self.budget -= 1;
            let position = Position {
                epoch: from.epoch,
                step: done,
            };
            self.step_done(position)?;
            if self.is_save_due() && done < steps && self.stop.is_none() {
                self.outcome.position = position;
                self.outcome.accumulators = self.session.store().accumulators();
                self.save_state()?;
                self.outcome.accumulators.clear();
            }
        }
        Ok(done)
    }

    /// After a step: whether the loss is still finite, and callbacks.
    fn step_done(&mut self, position: Position) -> Result<(), RunError> {
        let Position { epoch, step: done } = position;
        let finite = self.session.loss_is_finite();
        if !finite && !self.callbacks.handle_not_finite() {
            return Err(RunError::NotFinite {
                value: self.session.running()?.first().copied().unwrap_or(f64::NAN),
                epoch: epoch + 1,
                step: self.session.steps(),
            });
        }
        let batch = callbacks::Batch { done, finite };
        self.call(epoch, position, |callbacks, cx| {
            callbacks.batch_end(batch, cx)
        })?;
        self.progress.step(epoch + 1, done, self.session)
    }

    /// Whether a state is to be saved after this step.
    fn is_save_due(&self) -> bool {
        let every = self.fit.every;
        every.is_some_and(|n| self.session.steps().is_multiple_of(n.max(1)))
    }

    fn save_state(&mut self) -> Result<(), RunError> {
        (self.checkpoints).state(self.session, self.callbacks, &self.outcome)
    }

    /// Sets the position after the steps of an epoch. Returns whether they are to be reported:
    /// not where the run was interrupted, or nothing was done.
    fn close(&mut self, from: Position, done: usize, steps: usize) -> bool {
        let outcome = &mut self.outcome;
        if done == steps || self.stop.is_some() {
            outcome.position = Position {
                epoch: from.epoch + 1,
                step: 0,
            };
            return true;
        }
        outcome.position = Position {
            epoch: from.epoch,
            step: done,
        };
        if done > 0 {
            outcome.accumulators = self.session.store().accumulators();
        }
        outcome.stopped != Some(Stopped::Interrupted) && done > from.step
    }

    /// After the last epoch: what callbacks put back, and the test rows.
    fn end(mut self, test: Option<&mut Batches>) -> Result<Outcome, RunError> {
        let stopped = self.outcome.stopped;
        let interrupted = matches!(stopped, Some(Stopped::Interrupted | Stopped::Limit));
        if !interrupted {
            self.session.settle();
        }
        let position = self.outcome.position;
        self.call(position.epoch.saturating_sub(1), position, |all, cx| {
            if !interrupted {
                all.train_end(cx);
            }
            all.finish(cx);
        });
        if let Some(test) = test
            && stopped != Some(Stopped::Interrupted)
        {
            let values = evaluate(self.session, test)?;
            self.progress.test(&values);
            self.outcome.test = Some(values);
        }
        Ok(self.outcome)
    }
}

/// Loss and metrics over all of `batches`, exact whatever their sizes.
pub fn evaluate(session: &mut Session, batches: &mut Batches) -> Result<Vec<f64>, RunError> {
    session.reset_metrics();
    let mut epoch = batches.epoch(0);
    while let Some(batch) = epoch.next_batch()? {
        session.evaluate(&batch)?;
    }
    Ok(session.metrics()?.to_vec())
}
