//! The callbacks of a train block, as plain data: Keras' names, arguments and
//! defaults, every metric that they name resolved.

use crate::ir::Graph;
use crate::spec::pattern::Pattern;
use crate::spec::rules::Rule;

/// One line of `callbacks { ... }`; they act in the order in which they are written.
#[derive(Clone, Debug, PartialEq)]
pub enum Callback {
    BackupAndRestore(Backup),
    CsvLogger(CsvLogger),
    EarlyStopping(EarlyStopping),
    LearningRateScheduler(Scheduler),
    ModelCheckpoint(Checkpoint),
    /// Progress is always shown; Keras adds this one by itself as well.
    ProgbarLogger,
    ReduceLrOnPlateau(Plateau),
    RemoteMonitor(Remote),
    TensorBoard(TensorBoard),
    TerminateOnNan(TerminateOnNan),
    /// `when CONDITION do ACTION`
    When(Rule),
}

/// A metric of the run, and what is better.
#[derive(Clone, Debug, PartialEq)]
pub struct Monitor {
    /// `val_loss`
    pub name: String,
    pub better: Better,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    Less,
    Greater,
}

/// When something is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frequency {
    Epoch,
    /// After every so many steps.
    Steps(u32),
}

#[derive(Clone, Debug, PartialEq)]
pub struct EarlyStopping {
    pub monitor: Monitor,
    /// Not negative.
    pub min_delta: f64,
    pub patience: u32,
    pub verbose: bool,
    pub baseline: Option<f64>,
    pub restore_best_weights: bool,
    pub start_from_epoch: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Plateau {
    pub monitor: Monitor,
    /// Below 1.
    pub factor: f64,
    pub patience: u32,
    pub verbose: bool,
    /// Not negative.
    pub min_delta: f64,
    pub cooldown: u32,
    pub min_lr: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Below the folder of the run.
    pub path: Pattern,
    /// There where `save_best_only` is.
    pub monitor: Option<Monitor>,
    pub verbose: bool,
    pub save_best_only: bool,
    pub save_weights_only: bool,
    pub frequency: Frequency,
    pub initial_value_threshold: Option<f64>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Scheduler {
    /// `step` (`F32[]`, 1 in the first epoch) -> `rate` (`F32[]`).
    pub rate: Graph,
    pub verbose: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CsvLogger {
    /// Below the folder of the run.
    pub path: String,
    pub separator: u8,
    pub append: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Backup {
    /// Below the folder of the run.
    pub folder: String,
    pub frequency: Frequency,
    /// Whether the one before the last is kept.
    pub double_checkpoint: bool,
    /// Whether they are removed once training has ended.
    pub delete_checkpoint: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Remote {
    /// `http://localhost:9000`
    pub root: String,
    /// Put behind it as it is.
    pub path: String,
    /// The field of the form that holds the logs; not used where they are sent as JSON.
    pub field: String,
    pub headers: Vec<(String, String)>,
    pub send_as_json: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TerminateOnNan {
    pub raise_error: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TensorBoard {
    /// Below the folder of the run.
    pub folder: String,
    /// Epochs from one histogram of the weights to the next; 0: none.
    pub histogram_freq: u32,
    /// The model's operations, once.
    pub write_graph: bool,
    /// The weights as pictures, with their histograms.
    pub write_images: bool,
    pub write_steps_per_second: bool,
    pub frequency: Frequency,
}

impl Callback {
    /// All that decides what it does, as text.
    pub fn describe(&self) -> String {
        match self {
            // places in the source are no part of it
            Callback::LearningRateScheduler(s) => format!("LearningRateScheduler {}", s.rate),
            other => format!("{other:?}"),
        }
    }

    /// As it is written.
    pub fn name(&self) -> &'static str {
        match self {
            Callback::BackupAndRestore(_) => "BackupAndRestore",
            Callback::CsvLogger(_) => "CSVLogger",
            Callback::EarlyStopping(_) => "EarlyStopping",
            Callback::LearningRateScheduler(_) => "LearningRateScheduler",
            Callback::ModelCheckpoint(_) => "ModelCheckpoint",
            Callback::ProgbarLogger => "ProgbarLogger",
            Callback::ReduceLrOnPlateau(_) => "ReduceLROnPlateau",
            Callback::RemoteMonitor(_) => "RemoteMonitor",
            Callback::TensorBoard(_) => "TensorBoard",
            Callback::TerminateOnNan(_) => "TerminateOnNaN",
            Callback::When(_) => "when",
        }
    }
}

impl Better {
    /// Whether `value` is better than `best` by more than `min_delta`. As in Keras, both
    /// sides are compared as 32-bit numbers, and nothing is better than NaN.
    pub fn improves(self, value: f64, min_delta: f64, best: Option<f64>) -> bool {
        let Some(best) = best else { return true };
        match self {
            Better::Less => ((value + min_delta) as f32) < best as f32,
            Better::Greater => ((value - min_delta) as f32) > best as f32,
        }
    }
}
