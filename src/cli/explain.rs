//! `nnc explain CODE|NAME`: the page of an error code, or a definition of the standard library.

use crate::check::functions;
use crate::cli::common::{Failure, exit};
use crate::cli::console;
use crate::diag::{Code, did_you_mean};
use crate::library::{self, reference};

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// An error code such as E0203, or a library name such as Dense
    #[arg(value_name = "CODE|NAME")]
    pub what: String,
}

pub(super) fn explain(args: &Args) -> Result<u8, Failure> {
    let what = args.what.trim();
    let text = match Code::find(what) {
        Some(code) => code.page().trim_end().to_owned(),
        None => definitions(what)
            .or_else(|| builtin(what))
            .ok_or_else(|| unknown(what))?,
    };
    console::line(&text)?;
    Ok(exit::FINE)
}

fn unknown(what: &str) -> Failure {
    let known = Code::ALL.iter().map(|c| c.name()).chain(library::names());
    Failure::Usage {
        message: format!("`{what}` is neither an error code nor a library name"),
        help: did_you_mean(what, known).map(|near| format!("did you mean `{near}`?")),
    }
}

/// Documentation and source of every library definition called `name`.
fn definitions(name: &str) -> Option<String> {
    let pages: Vec<String> = reference::find(name).iter().map(reference::page).collect();
    (!pages.is_empty()).then(|| pages.join("\n").trim_end().to_owned())
}

/// A function that the compiler knows.
fn builtin(name: &str) -> Option<String> {
    let b = functions().find(|b| b.name == name)?;
    Some(format!("{}({})\n\n{}", b.name, b.params.join(", "), b.doc))
}
