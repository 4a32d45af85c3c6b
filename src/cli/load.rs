//! From a path to programs: the checker and the lowering, diagnostics shown.

use std::path::PathBuf;

use crate::cli::common::{Common, Failure};
use crate::lower::Programs;
use crate::lower::spec::{DataSpec, TrainSpec};
use crate::train::output::Identity;

/// A program that can run.
pub struct Loaded {
    pub data: DataSpec,
    pub train: TrainSpec,
    pub programs: Programs,
    /// The file's name without `.nn`.
    pub name: String,
    /// The folder that it is in.
    pub folder: PathBuf,
    /// Of everything that decides what a step computes.
    hash: u64,
}

impl Loaded {
    pub fn identity(&self) -> Identity {
        Identity {
            program: format!("{:016x}", self.hash),
            seed: self.train.seed,
            batch: self.train.batch,
        }
    }
}

/// Checks and lowers a file that is to be run.
pub fn load(common: &Common) -> Result<Loaded, Failure> {
    Err(Failure::usage(format!("{}", common.file.display())))
}
