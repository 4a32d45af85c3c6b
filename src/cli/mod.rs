//! The command line: arguments, output streams, exit codes.
//!
//! What programs read goes to stdout (events, diagnostics as JSON, emitted text,
//! predictions); what only people read goes to stderr, save that without `--json` a
//! run's lines go to stdout. Exit codes: 0 fine; 1 the program is wrong; 2 wrong
//! usage; 3 data or run time failed; 70 a bug in nnc; 130 stopped by Ctrl-C.

mod caching;
mod check;
mod common;
mod console;
mod emit;
mod evaluate;
mod explain;
mod fetch;
mod fmt;
mod heap;
mod inspect;
mod interrupt;
mod load;
mod predict;
mod prepare;
mod program;
mod run;
mod runs;
mod summary;
mod sweep;
mod tables;
mod warnings;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;

use clap::{Parser, Subcommand};

use crate::backend::cpu::machine::features::Isa;

pub use common::Failure;
pub use heap::Heap;

/// What `nnc --help` ends with.
const AFTER_HELP: &str = "\
Get started:
  nnc check FILE.nn    find the mistakes in a program
  nnc run FILE.nn      train it, and save the weights in a folder in runs/
  nnc explain Dense    read about a layer, a loss, an optimizer or an error code";

#[derive(Parser)]
#[command(
    name = "nnc",
    version,
    about = "Declare a neural network in a .nn file; check, train and evaluate it",
    after_help = AFTER_HELP,
    max_term_width = 80,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check a program without reading its data
    Check(check::Args),
    /// Train a model
    Run(run::Args),
    /// Run a hyperparameter sweep
    Sweep(sweep::Args),
    /// List runs and compare them
    Runs(runs::Args),
    /// Evaluate saved weights on a data set
    Evaluate(evaluate::Args),
    /// Predict with a trained model
    Predict(predict::Args),
    /// Show layers, shapes, parameters, memory and FLOPs
    Summary(summary::Args),
    /// Describe the data and show sample inputs
    Inspect(inspect::Args),
    /// Print the output of a compiler stage
    Emit(emit::Args),
    /// Explain an error code or a library name
    Explain(explain::Args),
    /// Format programs in place
    Fmt(fmt::Args),
}

impl Command {
    /// Whether a program reads what it prints: `--json`.
    fn is_for_programs(&self) -> bool {
        match self {
            Command::Check(args) => args.common.json,
            Command::Run(args) => args.common.json,
            Command::Sweep(args) => args.common.json,
            Command::Runs(args) => args.json,
            Command::Evaluate(args) => args.common.json,
            Command::Predict(args) => args.common.json,
            Command::Summary(args) => args.common.json,
            Command::Inspect(args) => args.common.json,
            Command::Emit(_) | Command::Explain(_) | Command::Fmt(_) => false,
        }
    }
}

/// Parses the arguments and does what they ask.
pub fn main() -> ExitCode {
    static PANIC: Mutex<String> = Mutex::new(String::new());
    let cli = Cli::parse();
    interrupt::files_may_be_too_large();
    std::panic::set_hook(Box::new(|info| {
        if let Ok(mut text) = PANIC.lock()
            && text.is_empty()
        {
            *text = info.to_string();
        }
    }));
    let code = catch_unwind(AssertUnwindSafe(|| dispatch(cli.command)));
    ExitCode::from(code.unwrap_or_else(|_| {
        let text = PANIC.lock().map(|t| t.clone()).unwrap_or_default();
        console::note(&format!(
            "nnc: internal error: {text}\n  \
             This is a bug in nnc {}, not in your program. Please report it with the file and the command.",
            env!("CARGO_PKG_VERSION")
        ));
        common::exit::BUG
    }))
}

/// Refuses a value of `NNC_CPU` that names no instruction set.
fn check_environment() -> Result<(), Failure> {
    let Some(asked) = std::env::var_os("NNC_CPU").filter(|v| !v.is_empty()) else {
        return Ok(());
    };
    match asked.to_str().and_then(Isa::named) {
        Some(_) => Ok(()),
        None => Err(Failure::Usage {
            message: format!("the environment variable NNC_CPU is {asked:?}"),
            help: Some("set it to baseline, avx2 or avx512, or unset it".into()),
        }),
    }
}

fn dispatch(command: Command) -> u8 {
    if let Err(failure) = check_environment() {
        return failure.report(false);
    }
    let json = command.is_for_programs();
    heap::tell_programs(json);
    let result = match command {
        Command::Check(args) => check::check(&args),
        Command::Run(args) => run::run(&args),
        Command::Sweep(args) => sweep::sweep(&args),
        Command::Runs(args) => runs::runs(&args),
        Command::Evaluate(args) => evaluate::evaluate(&args),
        Command::Predict(args) => predict::predict(&args),
        Command::Summary(args) => summary::summary(&args),
        Command::Inspect(args) => inspect::inspect(&args),
        Command::Emit(args) => emit::emit(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Fmt(args) => fmt::fmt(&args),
    };
    match result {
        Ok(code) => code,
        Err(failure) => failure.report(json),
    }
}
