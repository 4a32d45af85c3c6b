//! The loop of a sweep: trials are started while there is room, and listened to.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use crate::cli::common::Failure;
use crate::cli::interrupt;
use crate::cli::sweep::Sweep;
use crate::cli::sweep::child::{self, Ended, Running, TrialMessage, Trials};
use crate::cli::sweep::child_events::Heard;
use crate::cli::sweep::live_table::Board;
use crate::train::RunError;

/// Runs what is not done; whether it was stopped before all was.
pub(super) fn run(sweep: &mut Sweep, jobs: usize, board: &mut Board) -> Result<bool, Failure> {
    let trials = sweep.trials()?;
    let (to, from) = sync_channel(256);
    let mut running: BTreeMap<usize, Running> = BTreeMap::new();
    let mut stopping = false;
    loop {
        if interrupt::flag().load(SeqCst) && !stopping {
            stopping = true;
            running.values_mut().for_each(Running::stop);
        }
        if !stopping {
            fill(sweep, &trials, jobs, &to, &mut running, board)?;
        }
        if running.is_empty() {
            return Ok(stopping);
        }
        board.tick(sweep, &running);
        listen(sweep, &from, &mut running, board, stopping)?;
    }
}

/// Starts trials while there is room for more.
fn fill(
    sweep: &mut Sweep,
    trials: &Trials,
    jobs: usize,
    to: &SyncSender<TrialMessage>,
    running: &mut BTreeMap<usize, Running>,
    board: &mut Board,
) -> Result<(), Failure> {
    while running.len() < jobs {
        let ready = sweep.plan.ready(&sweep.results);
        let Some(work) = ready.into_iter().find(|w| !running.contains_key(&w.trial)) else {
            return Ok(());
        };
        if let Some(record) = sweep.carried(&work) {
            sweep.keep(record, board)?;
            continue;
        }
        let home = sweep.folder.trial(work.trial);
        let left = child::left_behind(&home, &sweep.plan.spec().goal.name);
        if let Some(heard) = left.as_ref().filter(|h| has_ended(h)) {
            let record = sweep.record(&work, heard, None, 0.0);
            sweep.keep(record, board)?;
            continue;
        }
        let resumed = left.is_some();
        let mut heard = left.unwrap_or_default();
        (heard.started, heard.saved, heard.folds, heard.error) = (false, None, None, None);
        let own = sweep.own_arguments(&work, resumed);
        board.started(sweep, &work);
        let one = trials.start(work, &own, heard, resumed, to)?;
        running.insert(work.trial, one);
    }
    Ok(())
}

/// Whether a run that was left behind had finished.
fn has_ended(heard: &Heard) -> bool {
    let cut = |by: &String| by == "limit" || by == "interrupted";
    heard
        .saved
        .as_ref()
        .is_some_and(|s| !s.stopped.as_ref().is_some_and(cut))
}

/// Waits a moment for events of trials.
fn listen(
    sweep: &mut Sweep,
    from: &Receiver<TrialMessage>,
    running: &mut BTreeMap<usize, Running>,
    board: &mut Board,
    stopping: bool,
) -> Result<(), Failure> {
    const MOMENT: Duration = Duration::from_millis(100);
    match from.recv_timeout(MOMENT) {
        Ok(TrialMessage::Line(trial, line)) => {
            board.warn(&line);
            let goal = &sweep.plan.spec().goal.name;
            if let Some(one) = running.get_mut(&trial) {
                one.heard.hear(&line, goal);
            }
        }
        Ok(TrialMessage::Closed(trial)) => {
            let Some(mut one) = running.remove(&trial) else {
                return Ok(());
            };
            let failed = match one.wait() {
                Ended::Well => None,
                // it goes on when the sweep does
                Ended::Interrupted if stopping => return Ok(()),
                Ended::Interrupted => Some("terminated".to_owned()),
                Ended::Badly(_) if one.resumed && !one.heard.started => {
                    // what there was is of no use: from the start
                    let _ = std::fs::remove_dir_all(sweep.folder.trial(trial));
                    return Ok(());
                }
                Ended::Badly(reason) => Some(reason),
            };
            if let Some(reason) = failed.as_ref().filter(|r| sweep.is_hopeless(r)) {
                running.values_mut().for_each(Running::stop);
                return Err(RunError::Usage {
                    what: "no trial can run".into(),
                    reason: reason.clone(),
                }
                .into());
            }
            let seconds = one.began.elapsed().as_secs_f64();
            let record = sweep.record(&one.work, &one.heard, failed, seconds);
            sweep.keep(record, board)?;
        }
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
    }
    Ok(())
}
