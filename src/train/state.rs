//! A run's state in a file: everything that decides how it goes on.
//!
//! ```text
//! tensors      parameters, states, fitted statistics, slots, rates; in an epoch's midst
//!              also the metric accumulators; `kept/N/...` what callback N keeps
//! metadata     nnc, program, text, data, seed, batch    what must be the same
//!              steps                                    the counter of everything random
//!              epoch, epoch_step                        the place in the epochs' shuffles
//!              callbacks, history, ended                what they remember; the epochs before
//!              crc32c_of_file                           of all of the file but its own digits
//! ```
//!
//! Equal states are equal files: no time and no place is in them.

use std::collections::BTreeMap;
use std::path::Path;

use crate::data::batch::Costs;
use crate::spec::names;
use crate::train::fit::Position;
use crate::train::identity::Identity;
use crate::train::progress::EpochRow;
use crate::train::store::Saved;
use crate::train::weights::WeightsFile;
use crate::train::{Callbacks, Outcome, RunError, Session, Stopped};

/// Writes a run's state.
pub fn save_state(
    path: &Path,
    session: &mut Session,
    callbacks: &Callbacks,
    outcome: &Outcome,
    identity: &Identity,
) -> Result<(), RunError> {
    let mut metadata = standing(session.steps(), outcome.position, identity);
    metadata.insert("callbacks".into(), callbacks.state().to_string());
    metadata.insert("history".into(), history_text(&outcome.history));
    if let Some(Stopped::Callback(name)) = outcome.stopped {
        metadata.insert("ended".into(), name.into());
    }
    let kept: Vec<_> = callbacks
        .kept()
        .map(|(i, s)| (names::kept_weights(i), s))
        .collect();
    let saved = if outcome.accumulators.is_empty() {
        Saved::Training
    } else {
        session.store_mut().set_accumulators(&outcome.accumulators);
        Saved::Everything
    };
    session.store().save(path, saved, &metadata, &kept)
}

/// Writes the model for a callback: without what only training needs, or (where the
/// callbacks of a run that goes on from it may begin anew) with it.
pub fn save_model(
    path: &Path,
    session: &Session,
    weights_only: bool,
    position: Position,
    identity: &Identity,
) -> Result<(), RunError> {
    let saved = match (weights_only, position.step) {
        (true, _) => Saved::Model,
        (false, 0) => Saved::Training,
        (false, _) => Saved::Everything,
    };
    let metadata = standing(session.steps(), position, identity);
    session.store().save(path, saved, &metadata, &[])
}

/// From where a run goes on.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Resumed {
    pub position: Position,
    /// The epochs before.
    pub history: Vec<EpochRow>,
    /// The callback that ended training.
    pub ended: Option<String>,
    /// Seconds that the epoch which was cut short has taken.
    pub spent: f64,
}

/// Fills the session and the callbacks from a saved state of the same run.
pub fn resume(
    path: &Path,
    session: &mut Session,
    callbacks: &mut Callbacks,
    identity: &Identity,
) -> Result<Resumed, RunError> {
    let mut file = WeightsFile::open(path)?;
    let reason = |reason: String| RunError::Resume {
        path: path.to_owned(),
        reason,
    };
    let text = |key: &str| {
        let value = file.metadata().get(key);
        value
            .cloned()
            .ok_or_else(|| reason(format!("it does not record its `{key}`")))
    };
    let number = |key: &str| {
        let value = text(key)?;
        value
            .parse::<u64>()
            .map_err(|_| reason(format!("its `{key}` is `{value}`")))
    };
    if let Some(difference) = identity.difference(file.metadata()) {
        return Err(reason(difference));
    }
    let steps = number("steps")?;
    let position = Position {
        epoch: number("epoch")? as usize,
        step: number("epoch_step")? as usize,
    };
    let mut history = match file.metadata().get("history") {
        Some(text) => history_of(text).ok_or_else(|| reason("its history is corrupt".into()))?,
        None => Vec::new(),
    };
    // the epoch that was cut short is told again, whole
    history.retain(|row| row.epoch <= position.epoch);
    with_seconds(path, &mut history);
    let ended = file.metadata().get("ended").cloned();
    if let Some(state) = file.metadata().get("callbacks") {
        let state = serde_json::from_str(state).map_err(|e| reason(e.to_string()))?;
        callbacks.restore(&state).map_err(&reason)?;
    }
    let saved = if position.step == 0 {
        Saved::Training
    } else {
        Saved::Everything
    };
    for (i, kept) in callbacks.keepers() {
        *kept = Some(
            session
                .store()
                .read_snapshot(&mut file, &names::kept_weights(i))?,
        );
    }
    session.store_mut().load(&mut file, saved)?;
    session.set_steps(steps);
    Ok(Resumed {
        position,
        history,
        ended,
        spent: spent(path, steps),
    })
}

/// Takes the times from the run's `history.csv`, where it is still there.
fn with_seconds(state: &Path, history: &mut [EpochRow]) {
    let folders = state.ancestors().skip(1).take(2);
    let text = folders.map(|f| std::fs::read_to_string(f.join("history.csv")));
    let Some(text) = text.flatten().next() else {
        return;
    };
    for line in text.lines().skip(1) {
        let (epoch, seconds) = (line.split(',').next(), line.rsplit(',').next());
        let epoch = epoch.and_then(|e| e.parse::<usize>().ok());
        if let Some(row) = history.iter_mut().find(|r| Some(r.epoch) == epoch)
            && let Some(seconds) = seconds.and_then(|s| s.parse().ok())
        {
            row.seconds = seconds;
        }
    }
}

/// The time of the epoch that was cut short after so many steps, from the run's `events.jsonl`.
fn spent(state: &Path, steps: u64) -> f64 {
    let folders = state.ancestors().skip(1).take(2);
    let text = folders.map(|f| std::fs::read_to_string(f.join("events.jsonl")));
    let text = text.flatten().next().unwrap_or_default();
    let events = text.lines().rev().map(serde_json::from_str);
    let mut saved = events.filter_map(|e: Result<serde_json::Value, _>| {
        let event = e.ok()?;
        (event["event"] == "saved" && event["steps"] == steps).then_some(event)
    });
    let seconds = saved.next().and_then(|e| e["unfinished_seconds"].as_f64());
    seconds.unwrap_or(0.0)
}

fn standing(steps: u64, position: Position, identity: &Identity) -> BTreeMap<String, String> {
    let mut metadata = identity.metadata();
    metadata.insert("steps".into(), steps.to_string());
    metadata.insert("epoch".into(), position.epoch.to_string());
    metadata.insert("epoch_step".into(), position.step.to_string());
    metadata
}

/// A line an epoch: epoch, the numbers as their bits, the rates. Not the times, nor how many steps were
/// since the run was stopped: states of equal runs are equal files.
fn history_text(rows: &[EpochRow]) -> String {
    let bits = |values: &[f64]| {
        let all: Vec<String> = values
            .iter()
            .map(|v| format!("{:016x}", v.to_bits()))
            .collect();
        all.join(",")
    };
    let lines = rows.iter().map(|r| {
        let val = r.val.as_deref().map_or_else(|| "-".into(), bits);
        let rates = r.rates.iter();
        let rates = rates.map(|(name, x)| format!(" {name}={:016x}", x.to_bits()));
        let rates: String = rates.collect();
        format!("{} {} {val}{rates}", r.epoch, bits(&r.train))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn history_of(text: &str) -> Option<Vec<EpochRow>> {
    let values = |text: &str| {
        let all = text.split(',').map(|t| u64::from_str_radix(t, 16).ok());
        all.map(|bits| bits.map(f64::from_bits))
            .collect::<Option<Vec<f64>>>()
    };
    let row = |line: &str| {
        let parts: Vec<&str> = line.split(' ').collect();
        let [epoch, train, val, rates @ ..] = &parts[..] else {
            return None;
        };
        let rate = |text: &&str| {
            let (name, bits) = text.rsplit_once('=')?;
            Some((name.to_owned(), *values(bits)?.first()?))
        };
        Some(EpochRow {
            epoch: epoch.parse().ok()?,
            steps: 0,
            train: values(train)?,
            val: match *val {
                "-" => None,
                val => Some(values(val)?),
            },
            rates: rates.iter().map(rate).collect::<Option<_>>()?,
            train_seconds: 0.0,
            seconds: 0.0,
            costs: Costs::default(),
        })
    };
    text.lines().map(row).collect()
}
