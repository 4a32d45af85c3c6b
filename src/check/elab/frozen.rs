//! Layers that training leaves as they are, by path.

use crate::span::Span;
use crate::syntax::ast::{Expr, ExprKind};

use super::Elab;

/// A layer as a train block names it.
#[derive(Clone, Debug)]
pub struct LayerName {
    /// With `/` between its parts.
    pub path: String,
    pub span: Span,
    /// Models are the first parts of paths.
    pub stepped: bool,
}

impl LayerName {
    /// Whether a parameter or a layer lies in it.
    pub fn holds(&self, full: &str) -> bool {
        let inside = |full: &str| {
            let rest = full.strip_prefix(&*self.path);
            rest.is_some_and(|r| r.is_empty() || r.starts_with('/'))
        };
        let in_model = |(_, rest): (&str, &str)| inside(rest);
        inside(full) || (self.stepped && full.split_once('/').is_some_and(in_model))
    }

    pub fn written(&self) -> String {
        self.path.replace('/', ".")
    }
}

/// `a.b` as a path.
pub(crate) fn dotted_path(e: &Expr) -> Option<String> {
    match &e.kind {
        ExprKind::Name(n) => Some(n.text.to_string()),
        ExprKind::Field { base, name } => Some(format!("{}/{}", dotted_path(base)?, name.text)),
        _ => None,
    }
}

impl Elab<'_> {
    /// Whether a layer or a parameter is left as it is: by the train block, or by
    /// `trainable = false` of a layer around it.
    pub fn is_frozen(&self, full: &str) -> bool {
        self.train.frozen.iter().any(|f| f.holds(full)) || self.frames.iter().any(|f| f.frozen)
    }
}
