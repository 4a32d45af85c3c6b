//! The epoch loop: training steps, validation after each epoch, the test part
//! at the end.
//!
//! What it computes depends on the programs, the data and the seed alone; a run
//! that was stopped and goes on from its [`Position`] gives the same weights,
//! bit for bit, as one that was not.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use crate::data::Batches;
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
}

/// Where training stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Position {
    /// Whole epochs done.
    pub epoch: usize,
    /// Steps done in the epoch after them.
    pub step: usize,
}

#[derive(Clone, Debug, PartialEq)]
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
}

/// Trains. Where it is interrupted, neither validation nor test follows.
/// `each` is called after each epoch (to save its history).
pub fn fit(
    session: &mut Session,
    parts: &mut Parts,
    fit: &Fit,
    watch: &mut dyn Watch,
    each: &mut dyn FnMut(&[EpochRow]) -> Result<(), RunError>,
) -> Result<Outcome, RunError> {
    let steps = parts.train.len();
    watch.start(fit.from.epoch + 1, fit.epochs, steps);
    let mut outcome = Outcome {
        history: Vec::new(),
        test: None,
        position: fit.from,
        accumulators: Vec::new(),
        stopped: None,
    };
    let mut budget = fit.limit.unwrap_or(u64::MAX);
    while outcome.position.epoch < fit.epochs && outcome.stopped.is_none() {
        let started = Instant::now();
        let Position { epoch, step: first } = outcome.position;
        if first == 0 {
            session.reset_metrics();
        }
        let mut done = first;
        let mut batches = parts.train.epoch_from(epoch as u64, first);
        while done < steps {
            if fit.stop.load(Relaxed) {
                outcome.stopped = Some(Stopped::Interrupted);
                break;
            }
            if budget == 0 {
                outcome.stopped = Some(Stopped::Limit);
                break;
            }
            let Some(batch) = batches.next_batch() else {
                break;
            };
            session.train(&batch)?;
            drop(batch);
            done += 1;
            budget -= 1;
            if !session.loss_is_finite() {
                return Err(RunError::NotFinite {
                    value: session.metrics()?.first().copied().unwrap_or(f64::NAN),
                    epoch: epoch + 1,
                    step: session.steps(),
                });
            }
            watch.step(epoch + 1, done, session)?;
        }
        let train_seconds = started.elapsed().as_secs_f64();
        if done == steps {
            outcome.position = Position {
                epoch: epoch + 1,
                step: 0,
            };
        } else {
            outcome.position.step = done;
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
            steps: done - first,
            train_seconds,
            seconds: started.elapsed().as_secs_f64(),
        };
        watch.epoch(&row);
        outcome.history.push(row);
        each(&outcome.history)?;
        if fit.stop.load(Relaxed) && outcome.position.epoch < fit.epochs {
            outcome.stopped = Some(Stopped::Interrupted);
        }
    }
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
    while let Some(batch) = epoch.next_batch() {
        session.evaluate(&batch)?;
    }
    Ok(session.metrics()?.to_vec())
}
