//! What can go wrong while a program runs. Like diagnostics, each has a stable
//! code; unlike them, the fault is in the data, the numbers or the machine.

use crate::diag::Code;
use crate::plural::{count, word};
use std::path::{Path, PathBuf};

use crate::data::DataError;
use crate::data::missing::is_missing;
use crate::train::weights::WeightsError;

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Data(#[from] DataError),

    #[error(transparent)]
    Weights(#[from] WeightsError),

    #[error("the loss is {value} in epoch {epoch}, after step {step}")]
    NotFinite {
        value: f64,
        /// From 1.
        epoch: usize,
        /// Steps done since training began.
        step: u64,
    },

    #[error("a batch of {} does not fit the model: {reason}", count(*rows, "row"))]
    Size { rows: usize, reason: String },

    #[error("cannot compile for this device: {reason}")]
    Compile { reason: String },

    #[error("{}: cannot {doing}: {reason}", path.display())]
    File {
        path: PathBuf,
        doing: &'static str,
        reason: String,
    },

    #[error("column `{column}` has {found} per row, but the model takes {expected}")]
    Column {
        column: String,
        found: String,
        expected: String,
    },

    #[error("{}: cannot resume: {reason}", path.display())]
    Resume { path: PathBuf, reason: String },

    #[error("{}: cannot resume the sweep: {reason}", folder.display())]
    Sweep { folder: PathBuf, reason: String },

    #[error("{} {}", folder.display(), if *running { "is in use by another run" } else { "already holds a run" })]
    Taken {
        folder: PathBuf,
        /// By another process, at this moment.
        running: bool,
    },

    #[error(
        "{what} of {} needs {} of memory, but only {} is available",
        count(*rows, "row"),
        megabytes(*needs),
        megabytes(*left)
    )]
    Memory {
        what: &'static str,
        rows: usize,
        /// Bytes.
        needs: usize,
        left: usize,
        /// Rows that fit.
        fits: Option<usize>,
    },

    #[error(
        "{} and what is kept beside them need {} of memory, but only {} is available",
        count(*parameters, "parameter"),
        megabytes(*needs),
        megabytes(*left)
    )]
    StoreMemory {
        parameters: usize,
        /// Bytes.
        needs: usize,
        left: usize,
    },

    #[error("{what}: {reason}")]
    Usage { what: String, reason: String },

    /// A graph broke a rule that the compiler should have kept.
    #[error("inconsistent program: {0}")]
    Program(String),
}

impl RunError {
    /// Stable code, as `nnc explain` takes it.
    pub fn code(&self) -> Code {
        match self {
            RunError::Data(error) => error.code(),
            RunError::Weights(error) => error.code(),
            RunError::NotFinite { .. } => Code::E0951,
            RunError::Size { .. } => Code::E0952,
            RunError::Compile { .. } => Code::E0953,
            RunError::File { .. } => Code::E0954,
            RunError::Column { .. } => Code::E0955,
            RunError::Resume { .. } => Code::E0956,
            RunError::Sweep { .. } => Code::E0970,
            RunError::Usage { .. } => Code::E0957,
            RunError::Program(_) => Code::E0958,
            RunError::Taken { .. } => Code::E0959,
            RunError::Memory { .. } | RunError::StoreMemory { .. } => Code::E0960,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            RunError::Data(DataError::NotFound { .. }) => {
                "pass the folder that holds the data with --data DIR".into()
            }
            RunError::Data(
                DataError::BadValue { value: x, .. } | DataError::Kind { found: x, .. },
            ) if is_missing(x.trim()) || x == "nothing" => {
                "choose how to fill missing values: `missing = mean` after the column, or \
                 `drop`, `median`, `most_frequent` or a number"
                    .into()
            }
            RunError::Data(DataError::BadValue { place, value, .. })
                if place.row == 1
                    && place.column.starts_with('#')
                    && value.trim().parse::<f64>().is_err() =>
            {
                "if the first line names the columns, leave out `header = false`".into()
            }
            RunError::NotFinite { .. } => {
                "a smaller learning rate, scaled inputs or gradient clipping usually helps".into()
            }
            RunError::Resume { .. } => {
                "start a new run from these weights with --weights FILE".into()
            }
            RunError::Sweep { .. } => {
                "use the same file and options, or start a new sweep with another --out".into()
            }
            RunError::Memory { fits, .. } => match fits {
                Some(rows) => format!("use a smaller batch: --batch {rows}"),
                None => "even a batch of one row does not fit: make the model smaller".into(),
            },
            RunError::StoreMemory { .. } => {
                "make the model smaller; `nnc summary` shows which layers have the parameters"
                    .into()
            }
            RunError::Taken { folder, running } => match running {
                true => "wait for that run to finish, or choose another --out".into(),
                false => format!(
                    "choose another --out, remove the folder, or resume the run with --resume {}",
                    word(&folder.display().to_string())
                ),
            },
            RunError::Program(_) => {
                "this is a bug in nnc, not in your program; please report it".into()
            }
            _ => return None,
        })
    }

    pub fn file(path: &Path, doing: &'static str, error: &std::io::Error) -> RunError {
        RunError::File {
            path: path.to_owned(),
            doing,
            reason: crate::data::error::reason(error),
        }
    }
}

/// `3.4 GB`, `812 MB`
fn megabytes(bytes: usize) -> String {
    match bytes as f64 / 1e6 {
        n if n < 10.0 => format!("{n:.1} MB"),
        n if n < 1000.0 => format!("{n:.0} MB"),
        n => format!("{:.1} GB", n / 1000.0),
    }
}
