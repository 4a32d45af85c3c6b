//! Whether a program can take the values that a sweep will give it: it is checked again with
//! each item of a list and the ends of each range, one axis at a time.

use crate::diag::{Code, Diagnostic, Severity};
use crate::span::SourceId;

use crate::check::elab::load::{Host, load};
use crate::check::elab::world::Purpose;
use crate::check::program::{EXTENSIONS, check_decls};
use crate::check::sweep::Probe;

/// The rest of a longer list is checked when its trials are run.
const MOST: usize = 64;

/// Checks the program with each value, unless the command line gives the const another.
pub(super) fn probe(
    files: &dyn Host,
    path: &str,
    overrides: &[(String, String)],
    probes: &[Probe],
    diags: &mut Vec<Diagnostic>,
) {
    let free = |p: &&Probe| overrides.iter().all(|(name, _)| *name != p.name);
    for p in probes.iter().filter(free).take(MOST) {
        let mut set = overrides.to_vec();
        set.push((p.name.clone(), p.text.clone()));
        let mut loaded = load(files, path, &set, Purpose::Report, EXTENSIONS);
        let mut found = std::mem::take(&mut loaded.diagnostics);
        check_decls(&loaded, &mut found, &mut Vec::new());
        let Some(first) = found.iter().find(|d| d.severity == Severity::Error) else {
            continue;
        };
        let message = format!("the program is not valid with `{} = {}`", p.name, p.text);
        let mut d = Diagnostic::error(Code::E0709, message)
            .label(p.span, "a trial would use this value")
            .note(format!("it fails with {}: {}", first.code, first.message));
        // sources after the file itself may be others here
        let places = first.labels.iter().filter(|l| l.span.source == SourceId(0));
        d.labels.extend(places.cloned());
        diags.push(d);
    }
}
