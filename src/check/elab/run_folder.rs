//! Names of files that a run writes below its folder.

use crate::diag::Code;
use crate::span::Span;

use super::Elab;

/// Files of a run's folder that the run itself writes.
const TAKEN: [&str; 7] = [
    "events.jsonl",
    "history.csv",
    "lock.json",
    "program.nn",
    "report",
    "report.html",
    "weights.safetensors",
];

impl Elab<'_> {
    /// Refuses what is not below the folder of the run, or is there already.
    pub fn below_the_run(&mut self, path: &str, at: Span) -> Option<String> {
        let mut parts = path.split('/');
        let first = parts.clone().next().unwrap_or_default();
        if path.starts_with(['/', '\\', '.']) || parts.any(|p| p.is_empty() || p == "..") {
            return self.bad_path(at, "it must be a name in the folder of the run");
        }
        if TAKEN.contains(&first) {
            return self.bad_path(at, &format!("the run itself writes `{first}`"));
        }
        Some(path.to_string())
    }

    pub fn bad_path<T>(&mut self, at: Span, reason: &str) -> Option<T> {
        self.error(
            Code::E0618,
            at,
            "a run cannot write to this path",
            reason.to_owned(),
        );
        None
    }
}
