//! Proposed fixes are tried before they are shown: one that does not repair what it is proposed
//! for, or that breaks the lines it edits, is dropped.

use std::collections::HashMap;

use crate::diag::{Code, Diagnostic, Fix, Severity, same_word};
use crate::span::SourceMap;

/// How many bytes of source are checked again for the fixes of one report; later fixes are dropped.
const BUDGET: usize = 4 << 20;

/// What a check of the edited program found.
pub(super) struct Trial {
    pub diagnostics: Vec<Diagnostic>,
    pub map: SourceMap,
}

/// Drops the fixes that do not work. `check` checks the program with another text of one of its
/// files, given by name.
pub(super) fn keep_what_works(
    diagnostics: &mut [Diagnostic],
    map: &SourceMap,
    check: impl Fn(&str, String) -> Trial,
) {
    let before = Counts::of(diagnostics);
    let mut budget = BUDGET;
    for d in diagnostics {
        let Some(fix) = &d.fix else { continue };
        let source = map.get(fix.span.source);
        let works = source.text.len() <= budget && {
            budget -= source.text.len();
            let trial = check(&source.name, applied(&source.text, fix));
            repairs(d, fix, &before, &trial, map)
        };
        if !works {
            d.fix = None;
        }
    }
}

/// The text with the fix in it.
pub fn applied(text: &str, fix: &Fix) -> String {
    let range = fix.span.range();
    format!(
        "{}{}{}",
        &text[..range.start],
        fix.replacement,
        &text[range.end..]
    )
}

/// The diagnostic is gone, no new mistake of syntax came, and none is on the edited lines.
fn repairs(d: &Diagnostic, fix: &Fix, before: &Counts, trial: &Trial, map: &SourceMap) -> bool {
    let after = Counts::of(&trial.diagnostics);
    if after.get(d) >= before.get(d) {
        return false;
    }
    // A name in another spelling is the right one, whatever else is wrong beside it.
    let respelt = same_word(map.text(fix.span), &fix.replacement);
    let name = &map.get(fix.span.source).name;
    let first = map.line_column(fix.span).0;
    let edited = first..=first + fix.replacement.matches('\n').count();
    let at = fix.span.start as usize;
    let written = at..at + fix.replacement.len();
    let on_the_fix = |new: &Diagnostic| {
        new.span().is_some_and(|s| {
            trial.map.get(s.source).name == *name
                && s.range().start < written.end
                && written.start < s.range().end
        })
    };
    let on_edited_lines = |new: &Diagnostic| {
        new.labels.iter().any(|l| {
            let (from, _) = trial.map.line_column(l.span);
            let (to, _) = trial.map.line_column(l.span.after());
            trial.map.get(l.span.source).name == *name
                && (edited.contains(&from) || edited.contains(&to))
        })
    };
    trial.diagnostics.iter().all(|new| {
        let is_new = new.severity == Severity::Error && after.get(new) > before.get(new);
        !is_new
            || (!new.code.is_of_syntax() && !on_the_fix(new) && (respelt || !on_edited_lines(new)))
    })
}

/// How often each message appears.
struct Counts(HashMap<(Code, String), usize>);

impl Counts {
    fn of(all: &[Diagnostic]) -> Counts {
        let mut counts = HashMap::new();
        for d in all {
            *counts.entry((d.code, d.message.clone())).or_insert(0) += 1;
        }
        Counts(counts)
    }

    fn get(&self, d: &Diagnostic) -> usize {
        let key = (d.code, d.message.clone());
        self.0.get(&key).copied().unwrap_or(0)
    }
}
