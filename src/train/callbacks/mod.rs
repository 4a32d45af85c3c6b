//! Callbacks: what acts on a run between its steps and epochs. They act in the order in which
//! the file names them, at the moments at which Keras' do.
//!
//! ```text
//! early_stopping, reduce_lr_on_plateau, ...   a file per callback: settings, arguments, hooks
//! when         `when CONDITION do ACTION`
//! tensor_board                                also `events`, its files' format, and `picture`
//! logs         metrics by name
//! sender       sends the messages of RemoteMonitor and `notify`
//! rates        the learning rates that callbacks change
//! exact        numbers in a saved state
//! ```
//!
//! A new callback is a file here and a row of `ROWS`: the file says how it is written
//! ([`Declared`]) and what it does ([`Callback`]). What it remembers is part of a run's saved
//! state, so a resumed run decides as one that was not stopped.

pub mod backup_and_restore;
pub mod csv_logger;
pub mod early_stopping;
pub mod exact;
mod learning_rate_scheduler;
mod logs;
pub mod model_checkpoint;
mod progbar_logger;
mod rates;
pub mod reduce_lr_on_plateau;
pub mod remote_monitor;
pub mod sender;
mod tensor_board;
mod terminate_on_nan;
pub mod when;

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::backend::Executable;
use crate::spec::Rate;
use crate::spec::call::{Arguments, Signature};
use crate::spec::callbacks::{CallbackEntry, CallbackSettings, CallbackSpec};
use crate::spec::trigger::Trigger;
use crate::train::store::Snapshot;
use crate::train::{ProgressSink, RunError, Session};

pub(super) use rates::scheduled;

pub use logs::Logs;
use sender::Sender;

/// A callback at work. Hooks are named as Keras'; each may do nothing.
pub trait Callback {
    fn on_train_begin(&mut self, _: &mut RunContext) -> Result<(), RunError> {
        Ok(())
    }

    fn on_epoch_begin(
        &mut self,
        _: &mut CallbackContext,
        _: &mut RunContext,
    ) -> Result<(), RunError> {
        Ok(())
    }

    fn on_train_batch_end(
        &mut self,
        _: Batch,
        _: &mut CallbackContext,
        _: &mut RunContext,
    ) -> Result<(), RunError> {
        Ok(())
    }

    /// After an epoch and its validation; it may add to the logs for those after it.
    fn on_epoch_end(
        &mut self,
        _: &mut Logs,
        _: &mut CallbackContext,
        _: &mut RunContext,
    ) -> Result<(), RunError> {
        Ok(())
    }

    /// Training has ended. Returns the epoch, from 1, whose weights it has put back.
    fn on_train_end(&mut self, _: &mut CallbackContext) -> Option<usize> {
        None
    }

    /// Whether it deals with a loss that is not finite.
    fn handles_not_finite(&self) -> bool {
        false
    }

    /// What it remembers, as JSON; the weights that it keeps apart.
    fn state(&self) -> Value {
        Value::Null
    }

    /// Puts back what [`Callback::state`] gave.
    fn restore(&mut self, _: &Value) -> Result<(), serde_json::Error> {
        Ok(())
    }

    /// The weights that it keeps.
    fn kept(&self) -> Option<&Snapshot> {
        None
    }

    /// Where the weights go that it keeps, if its state says that it keeps some.
    fn kept_mut(&mut self) -> Option<&mut Option<Snapshot>> {
        None
    }
}

/// A kind of callback: how a file writes it, and how it starts.
pub trait Declared: CallbackSettings + Sized {
    const SIGNATURE: Signature;
    /// Why a run has one of it at most; none: it may have several.
    const ONCE: Option<&'static str> = None;

    /// Reads its arguments; `None` where a mistake was reported.
    fn read(args: &mut dyn Arguments) -> Option<Self>;

    fn start(&self, session: &Session, folder: &Path) -> Result<Box<dyn Callback>, RunError>;
}

/// Makes the callback of a setting; none for settings of other callbacks.
type Start = fn(&CallbackSpec, &Session, &Path) -> Option<Result<Box<dyn Callback>, RunError>>;

/// A callback in the table.
#[derive(Clone, Copy)]
struct Row {
    entry: CallbackEntry,
    start: Start,
}

/// Every callback that a file may name.
const ROWS: [Row; 10] = [
    row::<backup_and_restore::BackupAndRestore>(),
    row::<csv_logger::CsvLogger>(),
    row::<early_stopping::EarlyStopping>(),
    row::<learning_rate_scheduler::LearningRateScheduler>(),
    row::<model_checkpoint::ModelCheckpoint>(),
    row::<progbar_logger::ProgbarLogger>(),
    row::<reduce_lr_on_plateau::ReduceLrOnPlateau>(),
    row::<remote_monitor::RemoteMonitor>(),
    row::<tensor_board::TensorBoard>(),
    row::<terminate_on_nan::TerminateOnNan>(),
];

/// The table as the checker sees it.
pub const ENTRIES: &[CallbackEntry] = &entries(&ROWS);

const fn row<C: Declared>() -> Row {
    Row {
        entry: CallbackEntry {
            signature: C::SIGNATURE,
            once: C::ONCE,
            read: |args| Some(CallbackSpec::new(C::SIGNATURE.name, C::read(args)?)),
        },
        start: |spec, session, folder| Some(spec.settings::<C>()?.start(session, folder)),
    }
}

const fn entries<const N: usize>(rows: &[Row; N]) -> [CallbackEntry; N] {
    let mut all = [rows[0].entry; N];
    let mut i = 0;
    while i < N {
        all[i] = rows[i].entry;
        i += 1;
    }
    all
}

fn start(
    spec: &CallbackSpec,
    session: &Session,
    folder: &Path,
) -> Result<Box<dyn Callback>, RunError> {
    if let Some(trigger) = spec.settings::<Trigger>() {
        return Ok(Box::new(when::When::new(trigger)));
    }
    let started = ROWS
        .iter()
        .find_map(|row| (row.start)(spec, session, folder));
    started.unwrap_or_else(|| {
        Err(RunError::Program(format!(
            "no callback is `{}`",
            spec.name()
        )))
    })
}

/// A batch of training that is done.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// Batches done in this epoch, this one included.
    pub done: usize,
    /// Whether the loss is still finite.
    pub finite: bool,
}

/// What callbacks see and change at one moment of the loop.
pub struct CallbackContext<'a, 's> {
    pub session: &'a mut Session<'s>,
    pub progress: &'a mut dyn ProgressSink,
    /// From 0.
    pub epoch: usize,
    /// Saves the model: a path, and whether without what only training needs.
    pub save: &'a mut dyn FnMut(&mut Session, &Path, bool) -> Result<(), RunError>,
    /// The callback that has asked to stop.
    pub stop: &'a mut Option<&'static str>,
}

/// What callbacks share for a whole run.
pub struct RunContext {
    /// The run's.
    folder: PathBuf,
    /// Whether the run was resumed from a saved state.
    resumed: bool,
    /// The rates that schedules give.
    schedules: Vec<(String, Box<dyn Executable>)>,
    /// Sends messages over the network; none: nothing is sent.
    sender: Option<Sender>,
}

/// The callbacks of a run.
pub struct Callbacks {
    list: Vec<Box<dyn Callback>>,
    run: RunContext,
    restored_epoch: Option<usize>,
}

impl Callbacks {
    /// `schedules` are the rates of the train block; `folder` is the run's.
    pub fn new(
        list: &[CallbackSpec],
        schedules: &[Rate],
        session: &Session,
        folder: &Path,
    ) -> Result<Callbacks, RunError> {
        let list = list.iter().map(|spec| start(spec, session, folder));
        let schedules = schedules
            .iter()
            .map(|rate| Ok((rate.name.clone(), session.compile(rate.graph.clone())?)));
        Ok(Callbacks {
            list: list.collect::<Result<_, RunError>>()?,
            run: RunContext {
                folder: folder.to_owned(),
                resumed: false,
                schedules: schedules.collect::<Result<_, RunError>>()?,
                sender: None,
            },
            restored_epoch: None,
        })
    }

    /// No callbacks.
    pub fn none() -> Callbacks {
        Callbacks {
            list: Vec::new(),
            run: RunContext {
                folder: PathBuf::new(),
                resumed: false,
                schedules: Vec::new(),
                sender: None,
            },
            restored_epoch: None,
        }
    }

    /// Lets them send messages to other machines: a run, not its repetition.
    pub fn online(mut self) -> Callbacks {
        self.run.sender = Some(Sender::new());
        self
    }

    /// Whether one of them deals with a loss that is not finite.
    pub fn handle_not_finite(&self) -> bool {
        self.list.iter().any(|c| c.handles_not_finite())
    }

    pub fn train_begin(&mut self) -> Result<(), RunError> {
        let run = &mut self.run;
        self.list.iter_mut().try_for_each(|c| c.on_train_begin(run))
    }

    pub fn epoch_begin(&mut self, cx: &mut CallbackContext) -> Result<(), RunError> {
        let run = &mut self.run;
        let mut list = self.list.iter_mut();
        list.try_for_each(|c| c.on_epoch_begin(cx, run))
    }

    pub fn batch_end(&mut self, batch: Batch, cx: &mut CallbackContext) -> Result<(), RunError> {
        let run = &mut self.run;
        let mut list = self.list.iter_mut();
        list.try_for_each(|c| c.on_train_batch_end(batch, cx, run))
    }

    /// After an epoch and its validation.
    pub fn epoch_end(&mut self, logs: &mut Logs, cx: &mut CallbackContext) -> Result<(), RunError> {
        let run = &mut self.run;
        let mut list = self.list.iter_mut();
        list.try_for_each(|c| c.on_epoch_end(logs, cx, run))?;
        self.report_failures(cx);
        Ok(())
    }

    /// Training has ended: the best weights come back where that was asked for.
    pub fn train_end(&mut self, cx: &mut CallbackContext) {
        for callback in &mut self.list {
            self.restored_epoch = callback.on_train_end(cx).or(self.restored_epoch);
        }
    }

    /// No step follows, whether or not training has ended: messages that wait get a moment.
    pub fn finish(&mut self, cx: &mut CallbackContext) {
        if let Some(sender) = &mut self.run.sender {
            sender.finish();
        }
        self.report_failures(cx);
    }

    fn report_failures(&mut self, cx: &mut CallbackContext) {
        for failure in self.run.sender.iter_mut().flat_map(Sender::failures) {
            cx.tell(remote_monitor::NAME, &failure, true);
        }
    }

    /// The learning rates as they are, by Keras' names.
    pub fn rates(&mut self, session: &Session) -> Vec<(String, f64)> {
        self.run.rates(session)
    }

    /// The epoch, from 1, whose weights have come back at the end of training.
    pub fn restored_epoch(&self) -> Option<usize> {
        self.restored_epoch
    }

    /// What they remember, as JSON; the weights they keep apart.
    pub fn state(&self) -> Value {
        Value::Array(self.list.iter().map(|c| c.state()).collect())
    }

    /// Puts back what [`Callbacks::state`] gave. The error says what does not fit.
    pub fn restore(&mut self, state: &Value) -> Result<(), String> {
        let states = state.as_array().filter(|s| s.len() == self.list.len());
        let states = states.ok_or("its callbacks have changed")?;
        for (callback, state) in self.list.iter_mut().zip(states) {
            let read = callback.restore(state);
            read.map_err(|e| format!("its callbacks have changed ({e})"))?;
        }
        self.run.resumed = true;
        Ok(())
    }

    /// Weights kept, by the place of the callback that keeps them.
    pub fn kept(&self) -> impl Iterator<Item = (usize, &Snapshot)> {
        let all = self.list.iter().enumerate();
        all.filter_map(|(i, c)| Some((i, c.kept()?)))
    }

    /// Where the weights that were kept go: the places that have some.
    pub fn keepers(&mut self) -> impl Iterator<Item = (usize, &mut Option<Snapshot>)> {
        let all = self.list.iter_mut().enumerate();
        all.filter_map(|(i, c)| Some((i, c.kept_mut()?)))
    }
}

impl CallbackContext<'_, '_> {
    fn tell(&mut self, callback: &'static str, text: &str, aloud: bool) {
        self.progress.acted(callback, self.epoch + 1, text, aloud);
    }

    /// The metrics of the epoch so far, of training alone.
    fn running_logs(&mut self) -> Result<Logs, RunError> {
        let names = self.session.metric_names().to_vec();
        Ok(Logs::new(&names, self.session.metrics()?, None))
    }

    /// Saves the model under a name below the run's folder.
    fn save_as(
        &mut self,
        name: &str,
        weights_only: bool,
        run: &RunContext,
    ) -> Result<(), RunError> {
        let path = run.folder.join(name);
        if let Some(folder) = path.parent() {
            let made = std::fs::create_dir_all(folder);
            made.map_err(|e| RunError::file(folder, "create the folder", &e))?;
        }
        (self.save)(self.session, &path, weights_only)
    }
}

impl RunContext {
    /// The rates that are kept, and those that schedules give for the next step.
    fn rates(&mut self, session: &Session) -> Vec<(String, f64)> {
        let next = session.steps() + 1;
        let given = self.schedules.iter_mut();
        let given = given.map(|(name, rate)| (name.clone(), rates::scheduled(rate.as_mut(), next)));
        rates::logged(session.store(), given.collect())
    }
}

fn read<T: serde::de::DeserializeOwned>(from: &Value, to: &mut T) -> Result<(), serde_json::Error> {
    *to = T::deserialize(from)?;
    Ok(())
}
