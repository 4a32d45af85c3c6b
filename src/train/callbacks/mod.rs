//! Callbacks at work. They act in the order in which the file names them, at the moments
//! at which Keras' do: before and after an epoch, after a step, once training has ended.
//!
//! ```text
//! early        EarlyStopping         decides; the weights kept are here
//! plateau      ReduceLROnPlateau     decides
//! checkpoint   ModelCheckpoint       when, and the name
//! table        CSVLogger
//! board        TensorBoard; `events`: the format of its files; `picture`: graph and images
//! remote       RemoteMonitor, and what sends it and `notify`
//! rule         `when CONDITION do ACTION`
//! rates        the learning rates that they change
//! exact        numbers in a saved state
//! ```
//!
//! What they remember is part of a run's saved state ([`Callbacks::state`]), so that a run
//! that goes on decides as one that was not stopped.

mod board;
pub mod checkpoint;
pub mod early;
mod events;
pub mod exact;
mod picture;
pub mod plateau;
mod rates;
pub mod remote;
pub mod rule;
pub mod table;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::backend::Executable;
use crate::bytes::AlignedBytes;
use crate::ir::Graph;
use crate::spec::callbacks as set;
use crate::spec::callbacks::{Callback, Frequency};
use crate::spec::rules as set_rules;
use crate::train::store::Snapshot;
use crate::train::{RunError, Session, Watch};

/// The callbacks of a run, with what they remember.
pub struct Callbacks {
    list: Vec<Active>,
    folder: PathBuf,
    /// Whether they go on from a saved state.
    resumed: bool,
    /// The rates that schedules give.
    rates: Vec<(String, Box<dyn Executable>)>,
    /// Sends what goes over the network; none: nothing does.
    sender: Option<remote::Sender>,
    taken_back: Option<usize>,
}

enum Active {
    Early(set::EarlyStopping, early::State, Option<Snapshot>),
    Plateau(set::Plateau, plateau::State),
    Scheduler(set::Scheduler, Box<dyn Executable>),
    Checkpoint(set::Checkpoint, checkpoint::State),
    Table(set::CsvLogger, table::Table),
    Board(set::TensorBoard, board::Board),
    Nan(set::TerminateOnNan),
    Remote(set::Remote),
    Rule(set_rules::Rule, rule::State, Option<Snapshot>),
    /// What the loop does by itself.
    Passive,
}

/// Metrics by name, in the order in which they are reported.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Logs(Vec<(String, f64)>);

/// What callbacks see and change.
pub struct Scene<'a, 's> {
    pub session: &'a mut Session<'s>,
    pub watch: &'a mut dyn Watch,
    /// From 0.
    pub epoch: usize,
    /// Saves the model: a path, and whether without what only training needs.
    pub save: &'a mut dyn FnMut(&mut Session, &Path, bool) -> Result<(), RunError>,
    /// The callback that has asked to stop.
    pub stop: &'a mut Option<&'static str>,
}

impl Callbacks {
    /// `rates` are those of the train block; `folder` is the run's.
    pub fn new(
        list: &[Callback],
        rates: &[(String, Graph)],
        session: &Session,
        folder: &Path,
    ) -> Result<Callbacks, RunError> {
        let active = |callback: &Callback| {
            Ok(match callback {
                Callback::EarlyStopping(s) => {
                    Active::Early(s.clone(), early::State::default(), None)
                }
                Callback::ReduceLrOnPlateau(s) => {
                    Active::Plateau(s.clone(), plateau::State::default())
                }
                Callback::LearningRateScheduler(s) => {
                    Active::Scheduler(s.clone(), session.compile(s.rate.clone())?)
                }
                Callback::ModelCheckpoint(s) => {
                    Active::Checkpoint(s.clone(), checkpoint::State::new(s))
                }
                Callback::CsvLogger(s) => Active::Table(s.clone(), table::Table::new(s, folder)),
                Callback::TensorBoard(s) => {
                    Active::Board(s.clone(), board::Board::new(s, session, folder))
                }
                Callback::TerminateOnNan(s) => Active::Nan(s.clone()),
                Callback::RemoteMonitor(s) => Active::Remote(s.clone()),
                Callback::When(s) => Active::Rule(s.clone(), rule::State::new(s), None),
                Callback::BackupAndRestore(_) | Callback::ProgbarLogger => Active::Passive,
            })
        };
        Ok(Callbacks {
            list: list.iter().map(active).collect::<Result<_, RunError>>()?,
            folder: folder.to_owned(),
            resumed: false,
            sender: None,
            taken_back: None,
            rates: rates
                .iter()
                .map(|(name, graph)| Ok((name.clone(), session.compile(graph.clone())?)))
                .collect::<Result<_, RunError>>()?,
        })
    }

    /// Of a run without any.
    pub fn none() -> Callbacks {
        Callbacks {
            list: Vec::new(),
            folder: PathBuf::new(),
            resumed: false,
            taken_back: None,
            rates: Vec::new(),
            sender: None,
        }
    }

    /// Lets them send what they have to say to other machines: a run, not its repetition.
    pub fn online(mut self) -> Callbacks {
        self.sender = Some(remote::Sender::new());
        self
    }

    /// Whether a loss that is not finite is theirs to deal with.
    pub fn handle_not_finite(&self) -> bool {
        let gentle = |a: &Active| matches!(a, Active::Nan(s) if !s.raise_error);
        self.list.iter().any(gentle)
    }

    pub fn train_begin(&mut self) -> Result<(), RunError> {
        for active in &mut self.list {
            if let Active::Table(set, table) = active {
                table.begin(set, self.resumed)?;
            }
        }
        Ok(())
    }

    pub fn epoch_begin(&mut self, scene: &mut Scene) -> Result<(), RunError> {
        for active in &mut self.list {
            if let Active::Board(_, board) = active {
                board.epoch_begin(scene.session.steps());
            }
            if let Active::Scheduler(set, rate) = active {
                let rate = scheduled(rate.as_mut(), scene.epoch as u64 + 1);
                let store = scene.session.store_mut();
                for (name, _) in rates::all(store) {
                    rates::set(store, &name, rate);
                }
                let text = format!("set the learning rate to {rate}");
                scene.tell("LearningRateScheduler", &text, set.verbose);
            }
        }
        Ok(())
    }

    /// After a step, the `done`th of its epoch; `finite`: whether the loss still is.
    pub fn step_end(
        &mut self,
        done: usize,
        finite: bool,
        scene: &mut Scene,
    ) -> Result<(), RunError> {
        for active in &mut self.list {
            match active {
                Active::Checkpoint(set, state) => {
                    if !state.due(set) {
                        continue;
                    }
                    let names = scene.session.metric_names().to_vec();
                    let logs = Logs::new(&names, scene.session.metrics()?, None);
                    save(set, state, done, &logs, scene, &self.folder)?;
                }
                Active::Board(set, board) => board.step_end(set, scene.session)?,
                Active::Rule(set, state, kept) if set.each_step => {
                    let names = scene.session.metric_names();
                    let logs = match set.reads_metrics() {
                        true => {
                            let names = names.to_vec();
                            Logs::new(&names, scene.session.metrics()?, None)
                        }
                        false => Logs::default(),
                    };
                    let mut at = rule::Place {
                        logs: &logs,
                        folder: &self.folder,
                        rates: &mut self.rates,
                        sender: &mut self.sender,
                    };
                    state.consider(set, kept, &mut at, scene)?;
                }
                Active::Nan(_) if !finite => {
                    let text = format!("the loss is not finite after batch {done}");
                    scene.tell("TerminateOnNaN", &text, true);
                    *scene.stop = Some("TerminateOnNaN");
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// After an epoch and its validation. Some add to the logs for those after them.
    pub fn epoch_end(&mut self, logs: &mut Logs, scene: &mut Scene) -> Result<(), RunError> {
        let epoch = scene.epoch;
        for active in &mut self.list {
            match active {
                Active::Early(set, state, kept) => {
                    let Some(current) = logs.get(&set.monitor.name) else {
                        continue;
                    };
                    let decision = state.epoch_end(set, epoch, current);
                    if decision.keep {
                        scene.session.store().snapshot(kept);
                    }
                    if decision.stop {
                        let best = state.best_epoch + 1;
                        let text = format!(
                            "early stopping at epoch {} (best {} in epoch {best})",
                            epoch + 1,
                            set.monitor.name
                        );
                        scene.tell("EarlyStopping", &text, true);
                        *scene.stop = Some("EarlyStopping");
                    }
                }
                Active::Plateau(set, state) => {
                    logs.add_rates(scene.session);
                    let Some(current) = logs.get(&set.monitor.name) else {
                        continue;
                    };
                    if !state.epoch_end(set, current) {
                        continue;
                    }
                    let store = scene.session.store_mut();
                    let mut changed = Vec::new();
                    for (name, old) in rates::all(store) {
                        if let Some(new) = plateau::next_rate(set, old) {
                            rates::set(store, &name, new);
                            changed.push(format!("{old} to {new}"));
                        }
                    }
                    if !changed.is_empty() {
                        state.reduced(set);
                        let text = format!("reduced the learning rate from {}", changed.join(", "));
                        scene.tell("ReduceLROnPlateau", &text, set.verbose);
                    }
                }
                Active::Scheduler(..) => logs.add_rates(scene.session),
                Active::Checkpoint(set, state) if set.frequency == Frequency::Epoch => {
                    save(set, state, 0, logs, scene, &self.folder)?;
                }
                Active::Table(_, table) => table.epoch_end(epoch, logs)?,
                Active::Rule(set, state, kept) if !set.each_step => {
                    let mut at = rule::Place {
                        logs,
                        folder: &self.folder,
                        rates: &mut self.rates,
                        sender: &mut self.sender,
                    };
                    state.consider(set, kept, &mut at, scene)?;
                }
                Active::Remote(set) => {
                    if let Some(sender) = &mut self.sender {
                        sender.send(&set.root, remote::post(set, epoch, logs));
                    }
                }
                Active::Board(set, board) => {
                    let rates = logged(&mut self.rates, scene.session);
                    board.epoch_end(set, epoch, logs, &rates, scene.session)?;
                }
                Active::Checkpoint(..) | Active::Nan(_) | Active::Rule(..) | Active::Passive => {}
            }
        }
        self.tell_failures(scene);
        Ok(())
    }

    fn tell_failures(&mut self, scene: &mut Scene) {
        for failure in self.sender.iter_mut().flat_map(remote::Sender::failures) {
            scene.tell("RemoteMonitor", &failure, true);
        }
    }

    /// No step follows, whether or not training has ended: what is still to be sent gets a moment.
    pub fn part(&mut self, scene: &mut Scene) {
        if let Some(sender) = &mut self.sender {
            sender.finish();
        }
        self.tell_failures(scene);
    }

    /// The learning rates as they are, by Keras' names.
    pub fn rates(&mut self, session: &Session) -> Vec<(String, f64)> {
        logged(&mut self.rates, session)
    }

    /// Once training has ended: the best weights come back where that was asked for.
    pub fn train_end(&mut self, scene: &mut Scene) {
        for active in &mut self.list {
            if let Active::Early(_, state, Some(kept)) = active {
                scene.session.store_mut().put_back(kept);
                self.taken_back = Some(state.best_epoch + 1);
                let text = format!("restored the weights of epoch {}", state.best_epoch + 1);
                scene.tell("EarlyStopping", &text, true);
            }
        }
    }

    /// The epoch, from 1, whose weights have come back at the end of training.
    pub fn taken_back(&self) -> Option<usize> {
        self.taken_back
    }

    /// What they remember, as JSON; the weights they keep apart.
    pub fn state(&self) -> Value {
        let states = self.list.iter().map(|active| match active {
            Active::Early(_, state, _) => json!(state),
            Active::Plateau(_, state) => json!(state),
            Active::Checkpoint(_, state) => json!(state),
            Active::Table(_, table) => json!(table.state),
            Active::Board(_, board) => json!(board.state),
            Active::Rule(_, state, _) => json!(state),
            Active::Scheduler(..) | Active::Nan(_) | Active::Remote(_) | Active::Passive => {
                Value::Null
            }
        });
        Value::Array(states.collect())
    }

    /// Puts back what [`Callbacks::state`] gave. The error says what does not fit.
    pub fn restore(&mut self, state: &Value) -> Result<(), String> {
        let states = state.as_array().filter(|s| s.len() == self.list.len());
        let states = states.ok_or("its callbacks have changed")?;
        for (active, state) in self.list.iter_mut().zip(states) {
            let read = match active {
                Active::Early(_, s, _) => read(state, s),
                Active::Plateau(_, s) => read(state, s),
                Active::Checkpoint(_, s) => read(state, s),
                Active::Table(_, t) => read(state, &mut t.state),
                Active::Board(_, b) => read(state, &mut b.state),
                Active::Rule(_, s, _) => read(state, s),
                Active::Scheduler(..) | Active::Nan(_) | Active::Remote(_) | Active::Passive => {
                    Ok(())
                }
            };
            read.map_err(|e| format!("its callbacks have changed ({e})"))?;
        }
        self.resumed = true;
        Ok(())
    }

    /// Weights kept, by the place of the callback that keeps them.
    pub fn kept(&self) -> impl Iterator<Item = (usize, &Snapshot)> {
        let all = self.list.iter().enumerate();
        all.filter_map(|(i, a)| match a {
            Active::Early(_, _, Some(kept)) | Active::Rule(_, _, Some(kept)) => Some((i, kept)),
            _ => None,
        })
    }

    /// Where the weights that were kept go: the places that have some.
    pub fn keepers(&mut self) -> impl Iterator<Item = (usize, &mut Option<Snapshot>)> {
        let all = self.list.iter_mut().enumerate();
        all.filter_map(|(i, a)| match a {
            Active::Early(_, state, kept) if state.kept => Some((i, kept)),
            Active::Rule(_, state, kept) if state.kept => Some((i, kept)),
            _ => None,
        })
    }
}

impl Logs {
    pub fn new(names: &[String], train: &[f64], val: Option<&[f64]>) -> Logs {
        let mut logs = Logs::default();
        for (name, value) in names.iter().zip(train) {
            logs.set(name, *value);
        }
        for (name, value) in names.iter().zip(val.into_iter().flatten()) {
            logs.set(&format!("val_{name}"), *value);
        }
        logs
    }

    pub fn get(&self, name: &str) -> Option<f64> {
        let mut all = self.0.iter();
        all.find(|(n, _)| n == name).map(|(_, v)| *v)
    }

    pub fn set(&mut self, name: &str, value: f64) {
        match self.0.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.into(), value)),
        }
    }

    pub fn all(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(n, v)| (n.as_str(), *v))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(n, _)| n.as_str())
    }

    fn add_rates(&mut self, session: &Session) {
        for (name, rate) in rates::logged(session.store(), Vec::new()) {
            self.set(&name, rate);
        }
    }
}

impl Scene<'_, '_> {
    fn tell(&mut self, callback: &'static str, text: &str, aloud: bool) {
        self.watch.acted(callback, self.epoch + 1, text, aloud);
    }
}

/// The rates that are kept, and those that schedules give for the next step.
fn logged(
    schedules: &mut [(String, Box<dyn Executable>)],
    session: &Session,
) -> Vec<(String, f64)> {
    let next = session.steps() + 1;
    let given = schedules.iter_mut();
    let given = given.map(|(name, rate)| (name.clone(), scheduled(rate.as_mut(), next)));
    rates::logged(session.store(), given.collect())
}

/// The rate that a schedule gives for a step or an epoch, which count from 1.
fn scheduled(rate: &mut dyn Executable, count: u64) -> f32 {
    let mut step = AlignedBytes::zeroed(4);
    let mut result = AlignedBytes::zeroed(4);
    step.copy_from_slice(&(count as f32).to_le_bytes());
    let takes = rate.graph().inputs.len();
    // SAFETY: the graph takes at most `step`, an F32[], and gives one F32[]; see `spec::callbacks`.
    unsafe { rate.run(&[step.as_mut_ptr()][..takes.min(1)], &[result.as_mut_ptr()]) };
    result.first_chunk().map_or(0.0, |b| f32::from_le_bytes(*b))
}

fn save(
    set: &set::Checkpoint,
    state: &mut checkpoint::State,
    done: usize,
    logs: &Logs,
    scene: &mut Scene,
    folder: &Path,
) -> Result<(), RunError> {
    let name = checkpoint::path(set, scene.epoch, done, logs);
    if !state.wants(set, logs) {
        return Ok(());
    }
    save_as(&name, set.save_weights_only, folder, scene)?;
    scene.tell("ModelCheckpoint", &format!("saved {name}"), set.verbose);
    Ok(())
}

/// Saves the model under a name below the folder of the run.
fn save_as(
    name: &str,
    weights_only: bool,
    folder: &Path,
    scene: &mut Scene,
) -> Result<(), RunError> {
    let path = folder.join(name);
    if let Some(folder) = path.parent() {
        let made = std::fs::create_dir_all(folder);
        made.map_err(|e| RunError::file(folder, "create the folder", &e))?;
    }
    (scene.save)(scene.session, &path, weights_only)
}

fn read<T: serde::de::DeserializeOwned>(from: &Value, to: &mut T) -> Result<(), serde_json::Error> {
    *to = T::deserialize(from)?;
    Ok(())
}
