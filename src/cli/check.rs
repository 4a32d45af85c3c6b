//! `nnc check FILE.nn`: every mistake, without reading the data.

use serde_json::json;

use crate::cli::common::{Common, Failure, exit};
use crate::cli::{console, heap, load};
use crate::diag::Severity;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    pub common: Common,
}

pub(super) fn check(args: &Args) -> Result<u8, Failure> {
    heap::in_large_steps();
    let report = load::mistakes(&args.common)?;
    let json = args.common.json;
    load::show(&report, json)?;
    let errors = load::count(&report, Severity::Error);
    let warnings = load::count(&report, Severity::Warning);
    let file = args.common.file.display().to_string();
    let fine = errors == 0 && !load::denied(&args.common, &report);
    if json {
        let event = json!({
            "event": "checked", "file": file, "ok": fine, "errors": errors, "warnings": warnings,
        });
        console::line(&event.to_string())?;
    } else if fine && warnings == 0 {
        console::line(&format!("{file}: ok"))?;
    }
    Ok(if fine { exit::FINE } else { exit::PROGRAM })
}
