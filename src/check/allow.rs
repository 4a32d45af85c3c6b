//! `@allow(W0651)` before a declaration: its author means it.

use crate::diag::{Code, Diagnostic, Severity};
use crate::span::Span;
use crate::syntax::ast::{Attribute, Decl, ExprKind};

const ALLOW: &str = "allow";

/// What is wrong with an attribute of a program.
pub(super) fn mistake(a: &Attribute) -> Option<Diagnostic> {
    if &*a.name.text != ALLOW {
        let message = format!("the attribute `@{}` is not available here", a.name.text);
        let d = Diagnostic::error(Code::E0115, message)
            .label(a.span, "only the standard library uses it")
            .help("remove it");
        return Some(d);
    }
    let wrong = a.args.iter().find(|arg| warning(&arg.value.kind).is_none());
    let at = match (wrong, a.args.is_empty()) {
        (Some(arg), _) => arg.span,
        (None, true) => a.span,
        (None, false) => return None,
    };
    let d = Diagnostic::error(Code::E0115, "`@allow` takes codes of warnings")
        .label(at, "not a warning")
        .help("for example, `@allow(W0101)`");
    Some(d)
}

/// The code of a warning.
fn warning(e: &ExprKind) -> Option<Code> {
    let ExprKind::Name(n) = e else {
        return None;
    };
    Code::find(&n.text).filter(|c| c.name().starts_with('W'))
}

/// The warnings that declarations allow, each with the place of its declaration.
#[derive(Debug, Default)]
pub struct Allowed(Vec<(Code, Span)>);

impl Allowed {
    pub(super) fn new(decls: &[Decl]) -> Allowed {
        let attributes = decls
            .iter()
            .flat_map(|d| d.attributes.iter().map(move |a| (a, d.span)));
        let codes = attributes
            .filter(|(a, _)| &*a.name.text == ALLOW)
            .flat_map(|(a, span)| a.args.iter().map(move |arg| (arg, span)))
            .filter_map(|(arg, span)| Some((warning(&arg.value.kind)?, span)));
        Allowed(codes.collect())
    }

    /// Whether a warning at a place is meant.
    pub fn covers(&self, code: Code, at: Span) -> bool {
        let within = |of: Span| at.source == of.source && of.start <= at.start && at.end <= of.end;
        self.0.iter().any(|(c, span)| *c == code && within(*span))
    }

    /// Drops the warnings that are meant.
    pub fn apply(&self, diags: &mut Vec<Diagnostic>) {
        diags.retain(|d| {
            let meant = d.span().is_some_and(|at| self.covers(d.code, at));
            d.severity != Severity::Warning || !meant
        });
    }
}
