//! `nnc fmt FILES`: format in place; `--check` names the files that are not formatted.

use std::path::{Path, PathBuf};

use crate::cli::common::{Failure, exit};
use crate::cli::{console, load};
use crate::data::error::reason;
use crate::data::write::write_to;
use crate::diag::render::render;
use crate::span::SourceMap;
use crate::syntax;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Programs to format; - formats stdin to stdout
    #[arg(value_name = "FILE.nn", required = true)]
    pub files: Vec<PathBuf>,
    /// Check formatting without writing; exit 1 if a file would change
    #[arg(long)]
    pub check: bool,
}

pub(super) fn fmt(args: &Args) -> Result<u8, Failure> {
    let mut code = exit::FINE;
    for path in &args.files {
        let stdin = path.as_os_str() == "-";
        let text = if stdin {
            std::io::read_to_string(std::io::stdin())
        } else {
            std::fs::read_to_string(path)
        };
        let text = text.map_err(|e| {
            Failure::usage(format!(
                "{}: cannot read the file: {}",
                path.display(),
                reason(&e)
            ))
        })?;
        let Some(formatted) = formatted(path, &text) else {
            code = exit::PROGRAM;
            continue;
        };
        if args.check {
            if formatted != text {
                console::line(&format!("{}: not formatted", path.display()))?;
                code = exit::PROGRAM;
            }
        } else if stdin {
            console::write(|out| out.write_all(formatted.as_bytes()))?;
        } else if formatted != text {
            write_to(path, |out| {
                std::io::Write::write_all(out, formatted.as_bytes())
            })?;
        }
    }
    Ok(code)
}

/// None, its mistakes shown, for a file that does not parse.
fn formatted(path: &Path, text: &str) -> Option<String> {
    let mut map = SourceMap::default();
    let id = map.add(path.display().to_string(), text, false);
    let (file, diagnostics) = syntax::parse(id, text);
    if diagnostics.is_empty() {
        return Some(syntax::format(&file, text));
    }
    console::note(render(&diagnostics, &map, load::style()).trim_end());
    None
}
