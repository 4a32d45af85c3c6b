//! Diagnostics: each once for a code and place, and never inside the library.

use crate::diag::{Code, Diagnostic};
use crate::ir::TypeError;
use crate::span::Span;

use super::Elab;
use super::type_errors::{describe, may_hold};
use super::value::{Home, Tensor, Val};

impl Elab<'_> {
    /// Reports an error at `span`; inside the library, at the user's call that led there.
    pub fn error(
        &mut self,
        code: Code,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Val {
        let d = Diagnostic::error(code, message).label(span, label);
        self.diagnose(d)
    }

    /// Reports once a code and place. The first label moves out of the library.
    pub fn diagnose(&mut self, mut d: Diagnostic) -> Val {
        if d.code == Code::E0211 && self.grows_endlessly(d.span().unwrap_or_default()) {
            return Val::Error;
        }
        if let Some(written) = d.span() {
            let at = self.user_span(written);
            // Places inside the library say nothing to its user.
            let map = self.world.map.borrow();
            let mut first = true;
            d.labels
                .retain(|l| std::mem::take(&mut first) || !map.get(l.span.source).library);
            drop(map);
            if at != written {
                d.labels[0].span = at;
                let what = self.public_name();
                d.notes.push(format!(
                    "in the library's `{what}`: see `nnc explain {what}`"
                ));
            } else if self.frames.len() > 2 && !self.mode.generic {
                // A mistake in the user's own definition that only this use brings out.
                if let Some(call) = self.top().call {
                    let call = self.user_span_of_call(call);
                    if call != at {
                        d = d.label(call, "in this use");
                    }
                }
            }
        }
        let key = (d.code, d.span().unwrap_or_default());
        if self.seen.insert(key) {
            self.diags.push(d);
        }
        Val::Error
    }

    /// The innermost definition at work that users know: names that begin with an underscore are
    /// shared parts of the library.
    pub fn public_name(&self) -> &str {
        let mut known = self.frames.iter().rev().map(|f| f.what.as_str());
        known.find(|n| !n.starts_with('_')).unwrap_or("the library")
    }

    /// The place in the user's text: the innermost call that is not inside the library.
    pub fn user_span(&self, span: Span) -> Span {
        let library = |at: Span| self.world.map.borrow().get(at.source).library;
        let mut at = span;
        for frame in self.frames.iter().rev() {
            if !frame.library || !library(at) {
                break;
            }
            at = frame.call.unwrap_or(at);
        }
        at
    }

    fn user_span_of_call(&self, call: Span) -> Span {
        let mut at = call;
        for frame in self.frames.iter().rev().skip(1) {
            if !frame.library {
                break;
            }
            at = frame.call.unwrap_or(at);
        }
        at
    }

    /// The user's expression that computed a tensor; `None` for one that was given.
    pub fn made_at(&self, t: &Tensor) -> Option<Span> {
        let graph = match t.home {
            Home::Step => &self.step,
            Home::Init => &self.init,
            Home::Scan(k) => &self.scans.get(k as usize)?.graph,
        };
        let node = graph.nodes.iter().rev().find(|n| n.first <= t.value)?;
        let inside = t.value.0 < node.first.0 + node.results;
        graph.origins[node.origin.0 as usize]
            .span
            .filter(|_| inside)
    }

    /// The text at a place.
    pub fn source_text(&self, span: Span) -> String {
        self.world.map.borrow().text(span).to_owned()
    }

    /// Turns what the type rules found into a report.
    pub fn type_error(&mut self, e: TypeError, span: Span) -> Val {
        if self.mode.generic && may_hold(&e) {
            return Val::Error;
        }
        let d = describe(&e).label(span, "found here");
        self.diagnose(d)
    }

    /// The same, with the shape of what the operation works on, and where that comes from.
    pub(super) fn type_error_on(&mut self, e: TypeError, args: &[&Tensor], span: Span) -> Val {
        let Some(input) = args.first() else {
            return self.type_error(e, span);
        };
        if self.mode.generic && may_hold(&e) {
            return Val::Error;
        }
        let at = self.user_span(span);
        let mut d = describe(&e);
        let made = self.made_at(input).filter(|m| *m != at);
        d = match made {
            Some(made) => d
                .label(span, "this does not match")
                .label(made, format!("this returns {input}")),
            None => d.label(span, format!("applied to {input}")),
        };
        self.diagnose(d)
    }
}
