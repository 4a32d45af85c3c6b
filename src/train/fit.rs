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
use crate::train::callbacks::{Callbacks, Logs, Scene};
use crate::train::watch::{EpochRow, Watch};
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
pub trait Keep {
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

impl Keep for Nothing {}

/// Trains. Where it is interrupted, neither validation nor test follows.
pub fn fit(
    session: &mut Session,
    parts: &mut Parts,
    fit: &Fit,
    callbacks: &mut Callbacks,
    watch: &mut dyn Watch,
    keep: &mut dyn Keep,
) -> Result<Outcome, RunError> {
    let steps = parts.train.len();
    watch.start(fit.from.epoch + 1, fit.epochs, steps);
    callbacks.train_begin()?;
    let mut outcome = Outcome {
        history: fit.history.clone(),
        position: fit.from,
        ..Outcome::default()
    };
    let mut budget = fit.limit.unwrap_or(u64::MAX);
    let mut stop = None;
    while outcome.position.epoch < fit.epochs && outcome.stopped.is_none() {
        let started = Instant::now();
        let costs = parts.train.costs();
        let Position { epoch, step: first } = outcome.position;
        if first == 0 {
            session.reset_metrics();
            callbacks.epoch_begin(&mut Scene {
                session,
                watch,
                epoch,
                save: &mut |_, _, _| Ok(()),
                stop: &mut stop,
            })?;
        }
        let mut done = first;
        let mut batches = parts.train.epoch_from(epoch as u64, first);
        while done < steps && stop.is_none() {
            if fit.stop.load(Relaxed) {
                outcome.stopped = Some(Stopped::Interrupted);
                break;
            }
            if budget == 0 {
                outcome.stopped = Some(Stopped::Limit);
                break;
            }
            let Some(batch) = batches.next_batch()? else {
                break;
            };
            session.train(&batch)?;
            drop(batch);
            done += 1;
            budget -= 1;
            let finite = session.loss_is_finite();
            if !finite && !callbacks.handle_not_finite() {
                return Err(RunError::NotFinite {
                    value: session.running()?.first().copied().unwrap_or(f64::NAN),
                    epoch: epoch + 1,
                    step: session.steps(),
                });
            }
            let position = Position { epoch, step: done };
            let mut scene = Scene {
                session,
                watch,
                epoch,
                save: &mut |session, path, bare| keep.model(session, path, bare, position),
                stop: &mut stop,
            };
            callbacks.step_end(done, finite, &mut scene)?;
            watch.step(epoch + 1, done, session)?;
            let every = fit
                .every
                .is_some_and(|n| session.steps().is_multiple_of(n.max(1)));
            if every && done < steps && stop.is_none() {
                outcome.position = position;
                outcome.accumulators = session.store().accumulators();
                keep.state(session, callbacks, &outcome)?;
                outcome.accumulators.clear();
            }
        }
        let train_seconds = started.elapsed().as_secs_f64();
        if done == steps || stop.is_some() {
            outcome.position = Position {
                epoch: epoch + 1,
                step: 0,
            };
        } else {
            outcome.position = Position { epoch, step: done };
            if done > 0 {
                outcome.accumulators = session.store().accumulators();
            }
            if outcome.stopped == Some(Stopped::Interrupted) || done == first {
                break;
            }
        }
        let train = session.metrics()?.to_vec();
        let val = match &mut parts.val {
            Some(val) => Some(evaluate(session, val)?),
            None => None,
        };
        let row = EpochRow {
            epoch: epoch + 1,
            train,
            val,
            rates: callbacks.rates(session),
            steps: done - first,
            train_seconds,
            seconds: started.elapsed().as_secs_f64(),
            costs: parts.train.costs().since(costs),
        };
        watch.epoch(&row);
        if outcome.stopped.is_none() {
            let mut logs = Logs::new(session.metric_names(), &row.train, row.val.as_deref());
            let position = outcome.position;
            let mut scene = Scene {
                session,
                watch,
                epoch,
                save: &mut |session, path, bare| keep.model(session, path, bare, position),
                stop: &mut stop,
            };
            callbacks.epoch_end(&mut logs, &mut scene)?;
        }
        outcome.history.push(row);
        if fit.stop.load(Relaxed) && outcome.position.epoch < fit.epochs {
            outcome.stopped = Some(Stopped::Interrupted);
        }
        outcome.stopped = outcome.stopped.or(stop.map(Stopped::Callback));
        keep.state(session, callbacks, &outcome)?;
    }
    let interrupted = matches!(outcome.stopped, Some(Stopped::Interrupted | Stopped::Limit));
    if !interrupted {
        session.settle();
    }
    let mut scene = Scene {
        session,
        watch,
        epoch: outcome.position.epoch.saturating_sub(1),
        save: &mut |_, _, _| Ok(()),
        stop: &mut stop,
    };
    if !interrupted {
        callbacks.train_end(&mut scene);
    }
    callbacks.part(&mut scene);
    if outcome.stopped != Some(Stopped::Interrupted)
        && let Some(test) = &mut parts.test
    {
        let values = evaluate(session, test)?;
        watch.test(&values);
        outcome.test = Some(values);
    }
    Ok(outcome)
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
