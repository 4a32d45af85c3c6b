//! `nnc check FILE.nn`: every mistake, without reading the data; `--fix` corrects those whose
//! fix is certain.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use crate::check::{Report, applied};
use crate::cli::common::{Common, Failure, exit};
use crate::cli::{console, heap, load};
use crate::data::write::write_to;
use crate::diag::{Diagnostic, Severity, is_certain};
use crate::plural::count;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    pub common: Common,
    /// Apply the fixes that are certain, in place
    #[arg(long)]
    pub fix: bool,
}

/// More fixes than this in one file are left to the next call.
const MOST_FIXES: usize = 200;

pub(super) fn check(args: &Args) -> Result<u8, Failure> {
    heap::in_large_steps();
    let mut report = load::mistakes(&args.common)?;
    let mut fixed = 0;
    if args.fix {
        (report, fixed) = fix(&args.common, report)?;
    }
    let json = args.common.json;
    load::show(&report, json)?;
    let errors = load::count(&report, Severity::Error);
    let warnings = load::count(&report, Severity::Warning);
    let file = args.common.file.display().to_string();
    let fine = errors == 0 && !load::denied(&args.common, &report);
    if json {
        let mut event = json!({
            "event": "checked", "file": file, "ok": fine, "errors": errors, "warnings": warnings,
        });
        if args.fix {
            event["fixed"] = fixed.into();
        }
        console::line(&event.to_string())?;
    } else {
        if args.fix {
            console::note(&format!("fixed {}", count(fixed, "mistake")));
        }
        if fine && warnings == 0 {
            console::line(&format!("{file}: ok"))?;
        }
    }
    Ok(if fine { exit::FINE } else { exit::PROGRAM })
}

/// Applies one certain fix after the other, then writes the files. Returns what is left. Where a
/// mistake of syntax stays, the fixes could not be checked: nothing is written.
fn fix(common: &Common, first: Report) -> Result<(Report, usize), Failure> {
    let mut report = first;
    let mut texts = BTreeMap::new();
    let mut fixed = 0;
    while fixed < MOST_FIXES {
        let map = &report.map;
        let own = |d: &&Diagnostic| {
            let source = d.fix.as_ref().map(|f| map.get(f.span.source));
            source.is_some_and(|s| !s.library && is_certain(d, &s.text))
        };
        let Some(fix) = report
            .diagnostics
            .iter()
            .find(own)
            .and_then(|d| d.fix.as_ref())
        else {
            break;
        };
        let source = map.get(fix.span.source);
        texts.insert(source.name.clone(), applied(&source.text, fix));
        fixed += 1;
        report = load::mistakes_of(common, &texts)?;
    }
    let unparsed = |d: &Diagnostic| d.severity == Severity::Error && d.code.is_of_syntax();
    if report.diagnostics.iter().any(unparsed) {
        return Ok((load::mistakes(common)?, 0));
    }
    for (name, text) in &texts {
        write_to(Path::new(name), |out| {
            std::io::Write::write_all(out, text.as_bytes())
        })?;
    }
    Ok((report, fixed))
}
