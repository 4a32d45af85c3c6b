//! Recursion has an end: how deep calls may nest, and how many a program may make.

use crate::diag::{Code, Diagnostic};
use crate::span::Span;

use super::Elab;
use super::scope::Frame;

/// Calls nested deeper than this are a mistake (or recursion).
const MAX_DEPTH: usize = 64;

/// A program that applies more definitions than this is refused: each is unrolled.
const MAX_CALLS: usize = 30_000;

/// Expressions inside expressions, through the bodies of calls and consts. The stack
/// that checking runs on is large enough for these.
const MAX_HEIGHT: usize = 10_000;

/// How deep the walk is, and how much it has done.
#[derive(Default)]
pub(crate) struct Limits {
    /// Calls, one inside the other.
    depth: usize,
    /// Expressions being evaluated, one inside the other.
    height: usize,
    calls: usize,
    /// Definitions were found to call each other without end: nothing more is entered.
    endless: bool,
}

impl Elab<'_> {
    /// Guards against recursion without end; balanced by `leave`.
    pub fn enter(&mut self, span: Span) -> bool {
        if self.limits.endless || self.world.exhausted.get() {
            return false;
        }
        self.count_uses(1, span) && self.descend(span)
    }

    /// As `enter`, for what is no use of its own.
    pub fn descend(&mut self, span: Span) -> bool {
        if self.limits.endless || self.world.exhausted.get() {
            return false;
        }
        if self.limits.depth == MAX_DEPTH {
            self.limits.endless = true;
            self.diagnose_cycle(span);
            return false;
        }
        self.limits.depth += 1;
        true
    }

    pub fn leave(&mut self) {
        self.limits.depth -= 1;
    }

    /// The number of definitions applied so far.
    pub fn uses(&self) -> usize {
        self.limits.calls
    }

    /// Counts uses of definitions, also of those that are left out because they would say nothing
    /// new; whether the program is not too large.
    pub fn count_uses(&mut self, uses: usize, span: Span) -> bool {
        self.limits.calls += uses;
        if self.limits.calls <= MAX_CALLS {
            return true;
        }
        self.world.exhausted.set(true);
        let d = Diagnostic::error(Code::E0116, "the program is too large")
            .label(self.user_span(span), "the limit is reached here")
            .note(format!(
                "each use of a definition is expanded; the limit is {MAX_CALLS} uses"
            ));
        if self.seen.insert((d.code, d.span().unwrap_or_default())) {
            self.diags.push(d);
        }
        false
    }

    /// Whether definitions call each other without end, of which sizes that grow from call to call
    /// and overflow are the first sign. Reports the cycle.
    pub fn grows_endlessly(&mut self, span: Span) -> bool {
        let calls: Vec<Span> = self.frames.iter().filter_map(|f| f.call).collect();
        let often = |at: &Span| calls.iter().filter(|c| *c == at).count() > MAX_DEPTH / 8;
        if self.limits.endless || !calls.iter().any(often) {
            return self.limits.endless;
        }
        self.limits.endless = true;
        self.diagnose_cycle(span);
        true
    }

    /// The calls that lead back to `span`, from the first in the text.
    fn diagnose_cycle(&mut self, span: Span) {
        let frames: Vec<(Span, &Frame)> = self
            .frames
            .iter()
            .rev()
            .filter_map(|f| Some((f.call?, f)))
            .collect();
        let again = |i: usize| {
            let rest = frames[i + 1..].iter();
            rest.take_while(|(at, _)| *at != frames[i].0).count() + i + 1
        };
        let cycle = (0..frames.len()).find(|i| again(*i) < frames.len());
        let mut calls: Vec<(Span, String)> = cycle.map_or(Vec::new(), |i| {
            let users = frames[i..again(i)].iter().filter(|(_, f)| !f.library);
            users.map(|(at, f)| (*at, f.what.clone())).collect()
        });
        if calls.is_empty() {
            let d = Diagnostic::error(Code::E0111, "calls are nested too deeply").label(
                span,
                format!("this is nested more than {MAX_DEPTH} calls deep"),
            );
            self.diagnose(d);
            return;
        }
        calls.sort();
        calls.dedup();
        let names: Vec<String> = calls.iter().map(|(_, n)| format!("`{n}`")).collect();
        let message = match names.as_slice() {
            [one] => format!("{one} calls itself endlessly"),
            many => format!("{} call each other endlessly", many.join(" and ")),
        };
        let mut d = Diagnostic::error(Code::E0111, message);
        for (at, name) in calls {
            d = d.label(at, format!("this calls `{name}`"));
        }
        if self.seen.insert((d.code, d.span().unwrap_or_default())) {
            self.diags.push(d);
        }
    }

    /// Guards against expressions nested too deeply; balanced by `leave_expression`.
    pub fn enter_expression(&mut self, span: Span) -> bool {
        if self.limits.height == MAX_HEIGHT {
            self.error(
                Code::E0116,
                span,
                "expressions are nested too deeply",
                "the limit is reached here",
            );
            return false;
        }
        self.limits.height += 1;
        true
    }
    pub fn leave_expression(&mut self) {
        self.limits.height -= 1;
    }
}
