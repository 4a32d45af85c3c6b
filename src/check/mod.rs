//! Checking: from the tree to a program in which every mistake that can be found
//! before data are read has been found, and the graphs that a run needs.
//!
//! Pure: sources come through [`Host`]; nothing here touches a disk, a clock or a device.

mod allow;
mod builtins;
mod data;
mod elab;
mod eval;
mod fixes;
mod generic;
mod probe;
mod program;
mod sweep;
mod train;
mod trained;
mod types;
mod unused;

use std::collections::HashSet;

use crate::diag::{Code, Diagnostic, Severity};
use crate::span::SourceMap;
use crate::spec::Runtime;

use elab::load::load;
use elab::world::Purpose;
use program::{EXTENSIONS, check_decls};

pub use allow::Allowed;
pub use data::feed::FeedInfo;
pub use elab::builtin::Builtin;
pub use elab::load::Host;
pub use elab::state::LayerUse;
pub use elab::world::Sizes;
pub use fixes::applied;
pub use program::Checked;

/// Every function that Rust knows by name.
pub fn functions() -> impl Iterator<Item = &'static Builtin> {
    EXTENSIONS.all()
}

/// The result of checking: diagnostics in order of place, and the program if none is an error.
pub struct Report {
    pub checked: Option<Checked>,
    pub diagnostics: Vec<Diagnostic>,
    pub map: SourceMap,
}

/// Checks a file with what it imports. `overrides` replace the values of `const`s.
pub fn check_file(files: &dyn Host, path: &str, overrides: &[(String, String)]) -> Report {
    check_sized(files, path, overrides, &Sizes::new())
}

/// Checks a file whose data have been read: `sizes` are those that they determined.
pub fn check_sized(
    files: &dyn Host,
    path: &str,
    overrides: &[(String, String)],
    sizes: &Sizes,
) -> Report {
    on_a_stack(files, path, overrides, sizes, Purpose::Run)
}

/// The mistakes of a file, those of [`check_file`] exactly; its program is not kept.
pub fn find_mistakes(files: &dyn Host, path: &str, overrides: &[(String, String)]) -> Report {
    on_a_stack(files, path, overrides, &Sizes::new(), Purpose::Report)
}

fn on_a_stack(
    files: &dyn Host,
    path: &str,
    overrides: &[(String, String)],
    sizes: &Sizes,
    purpose: Purpose,
) -> Report {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("check".into())
            .stack_size(STACK)
            .spawn_scoped(scope, || check_here(files, path, overrides, sizes, purpose));
        match thread.map(|t| t.join()) {
            Ok(Ok(report)) => report,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            // No thread is to be had: what is not nested deeply needs none.
            Err(_) => check_here(files, path, overrides, sizes, purpose),
        }
    })
}

/// Deep programs recurse deeply; only what is used of it takes memory.
const STACK: usize = 256 << 20;

fn check_here(
    files: &dyn Host,
    path: &str,
    overrides: &[(String, String)],
    sizes: &Sizes,
    purpose: Purpose,
) -> Report {
    let mut report = check_once(files, path, overrides, sizes, purpose);
    fixes::keep_what_works(&mut report.diagnostics, &report.map, |name, text| {
        let edited = Edited { files, name, text };
        let again = check_once(&edited, path, overrides, sizes, Purpose::Report);
        fixes::Trial {
            diagnostics: again.diagnostics,
            map: again.map,
        }
    });
    report
}

/// The files with another text of one of them.
struct Edited<'a> {
    files: &'a dyn Host,
    name: &'a str,
    text: String,
}

impl Host for Edited<'_> {
    fn read(&self, path: &str) -> Result<String, String> {
        if path == self.name {
            return Ok(self.text.clone());
        }
        self.files.read(path)
    }

    fn runtime(&self) -> Runtime {
        self.files.runtime()
    }
}

fn check_once(
    files: &dyn Host,
    path: &str,
    overrides: &[(String, String)],
    sizes: &Sizes,
    purpose: Purpose,
) -> Report {
    let mut loaded = load(files, path, overrides, purpose, EXTENSIONS);
    loaded.world.sizes = sizes.clone();
    let mut diags = std::mem::take(&mut loaded.diagnostics);
    let mut probes = Vec::new();
    let checked = check_decls(&loaded, &mut diags, &mut probes);
    let fine = |diags: &[Diagnostic]| diags.iter().all(|d| d.severity != Severity::Error);
    if sizes.is_empty() && fine(&diags) {
        probe::probe(files, path, overrides, &probes, &mut diags);
    }
    checked.allowed.apply(&mut diags);
    // What a program may have meant is worth a word once it has no mistake.
    if !fine(&diags) {
        let advice = [Code::W0101..=Code::W0103, Code::W0650..=Code::W0663];
        diags.retain(|d| !advice.iter().any(|range| range.contains(&d.code)));
    }
    let mut seen = HashSet::new();
    diags.retain(|d| {
        seen.insert((
            d.code,
            d.span(),
            d.span().is_none().then(|| d.message.clone()),
        ))
    });
    diags.sort_by_key(|d| d.span().map_or((u32::MAX, 0), |s| (s.source.0, s.start)));
    let failed = !fine(&diags);
    let map = loaded.world.map.into_inner();
    Report {
        checked: (!failed && purpose == Purpose::Run).then_some(checked),
        diagnostics: diags,
        map,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_so_that_find_works() {
        for table in EXTENSIONS.tables {
            assert!(table.windows(2).all(|w| w[0].name < w[1].name));
        }
        assert!(EXTENSIONS.find("reshape").is_some() && EXTENSIONS.find("dense").is_none());
        assert!(functions().all(|b| EXTENSIONS.find(b.name).is_some_and(|f| f.name == b.name)));
    }
}
