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
        if !stdin {
            load::refuse_pipe(path)?;
        }
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
        let formatted = match on_a_stack(|| formatted(path, &text)) {
            Ok(formatted) => formatted,
            Err(failed) => {
                code = code.max(failed);
                continue;
            }
        };
        if args.check {
            if formatted != text {
                console::line(&format!("{}: not formatted", path.display()))?;
                code = code.max(exit::PROGRAM);
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

/// Deep programs recurse deeply, as in a check.
fn on_a_stack<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(256 << 20);
        match thread.spawn_scoped(scope, f).map(|t| t.join()) {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(e) => panic!("cannot start a thread: {e}"),
        }
    })
}

/// Or the exit code, for a file that does not parse or, by a mistake of the formatter,
/// would not mean the same.
fn formatted(path: &Path, text: &str) -> Result<String, u8> {
    let mut map = SourceMap::default();
    let id = map.add(path.display().to_string(), text, false);
    let (file, diagnostics) = syntax::parse(id, text);
    if !diagnostics.is_empty() {
        console::note(render(&diagnostics, &map, load::style()).trim_end());
        return Err(exit::PROGRAM);
    }
    let formatted = syntax::format(&file, text);
    let (again, diagnostics) = syntax::parse(id, &formatted);
    if diagnostics.is_empty() && syntax::same_meaning(&file, &again) {
        return Ok(formatted);
    }
    console::note(&format!(
        "{}: nnc fmt would change what this program means; the file is unchanged. This is a bug in nnc.",
        path.display()
    ));
    Err(exit::BUG)
}
