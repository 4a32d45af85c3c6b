//! Warnings that only the data can give: shown like those of the checker, before anything is
//! trained or written, and denied like them.

use crate::check::Allowed;
use crate::cli::common::{Common, Failure};
use crate::cli::console;
use crate::cli::load::style;
use crate::diag::render::render;
use crate::diag::{Diagnostic, json};
use crate::span::SourceMap;

/// Shows warnings, but for those that the program allows: to people on stderr, or to programs on
/// stdout. Returns how many.
pub(super) fn show(
    mut found: Vec<Diagnostic>,
    allowed: &Allowed,
    map: &SourceMap,
    to_programs: bool,
) -> Result<usize, Failure> {
    allowed.apply(&mut found);
    if found.is_empty() {
        return Ok(0);
    }
    if to_programs {
        let lines = json::lines(&found, map);
        console::write(|out| out.write_all(lines.as_bytes()))?;
    } else {
        console::note(render(&found, map, style()).trim_end());
    }
    Ok(found.len())
}

/// Stops a command that denies warnings, where there are any.
pub(super) fn deny(common: &Common, warnings: usize) -> Result<(), Failure> {
    match common.deny_warnings && warnings > 0 {
        true => Err(Failure::Denied { warnings }),
        false => Ok(()),
    }
}
