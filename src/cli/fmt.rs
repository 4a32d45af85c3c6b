//! `nnc fmt FILES`: format in place; `--check` tells which files are not formatted.
use crate::cli::common::Failure;
use std::path::PathBuf;
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The programs
    #[arg(value_name = "FILE.nn", required = true)]
    pub files: Vec<PathBuf>,
    /// Change nothing; exit with 1 if a file is not formatted
    #[arg(long)]
    pub check: bool,
}
pub fn fmt(_args: &Args) -> Result<u8, Failure> {
    Err(Failure::usage("not yet"))
}
