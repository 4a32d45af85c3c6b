//! Names in code that is not evaluated: the branch of an `if` that a known condition does not
//! take, the right side of an `and` that its left decides. Its values are not known, its names are.

use crate::span::Span;
use crate::syntax::ast::{Arg, BinaryOp, Block, Expr, ExprKind, Ident};
use crate::syntax::visit::{Binding, Visitor, walk_expr};

use crate::check::elab::Elab;
use crate::check::elab::pattern::{ParamType, param_type};
use crate::check::elab::value::{DefRef, Val};
use crate::check::elab::world::Global;

/// The names that are read and stand for nothing.
pub(super) struct Untaken<'e, 'a> {
    el: &'e Elab<'e>,
    scopes: Vec<Vec<&'a str>>,
    unknown: Vec<&'a Ident>,
}

impl Elab<'_> {
    pub(super) fn untaken_block(&mut self, b: Option<&Block>) {
        if let Some(b) = b {
            self.untaken(b.span, |names| names.block(b));
        }
    }

    /// Reports the names that stand for nothing in what `walk` visits. Columns of a data block
    /// have no values of their own there and are left to it.
    pub(super) fn untaken<'a>(&mut self, at: Span, walk: impl FnOnce(&mut Untaken<'_, 'a>)) {
        if self.top().library || self.data.feed_depth != 0 || !self.untaken.insert(at) {
            return;
        }
        let mut names = Untaken {
            el: self,
            scopes: Vec::new(),
            unknown: Vec::new(),
        };
        walk(&mut names);
        for n in names.unknown {
            self.unknown_name(n);
        }
    }

    /// Whether a bare word may be an option of what is called.
    fn takes_word(&self, callee: &Expr, arg: &Arg) -> bool {
        let ExprKind::Name(n) = &callee.kind else {
            return true;
        };
        let defs = match self.top().get(&n.text).map(|v| &v.val) {
            Some(Val::Def(c)) => Some(c.defs.clone()),
            Some(Val::Layer(l)) => Some(l.configured.defs.clone()),
            Some(_) => return true,
            None => match self.world.globals.get(&n.text) {
                Some((Global::Defs(defs), _)) => Some(defs.clone()),
                Some(_) => None,
                // Primitives do not list their words.
                None if self.world.builtin(&n.text).is_some() => return true,
                None => self.world.library(&n.text),
            },
        };
        let takes = |d: &DefRef| {
            let mut params = d.def.lists.iter().flatten();
            params.any(|p| {
                let named = arg.name.as_ref().is_none_or(|n| n.text == p.name.text);
                named && matches!(param_type(p.ty.as_ref()), Ok(ParamType::Symbol(_)))
            })
        };
        defs.is_some_and(|defs| defs.iter().any(takes))
    }
}

impl<'a> Untaken<'_, 'a> {
    fn bare(e: &Expr) -> bool {
        matches!(e.kind, ExprKind::Name(_))
    }
}

impl<'a> Visitor<'a> for Untaken<'_, 'a> {
    fn expr(&mut self, e: &'a Expr) {
        match &e.kind {
            ExprKind::Call { callee, args, .. } => {
                self.expr(callee);
                for a in args {
                    if !(Self::bare(&a.value) && self.el.takes_word(callee, a)) {
                        self.expr(&a.value);
                    }
                }
            }
            // `padding == same`
            ExprKind::Binary(BinaryOp::Eq | BinaryOp::Ne, a, b) => {
                let sides = [a, b].into_iter().filter(|e| !Self::bare(e));
                sides.for_each(|e| self.expr(e));
            }
            _ => walk_expr(self, e),
        }
    }
    fn read(&mut self, n: &'a Ident) {
        let bound = self.scopes.iter().flatten().any(|b| **b == *n.text);
        if !bound && !self.el.is_known(&n.text) {
            self.unknown.push(n);
        }
    }
    fn bind(&mut self, n: &'a Ident, _: Binding) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.push(&n.text);
        }
    }
    fn enter(&mut self) {
        self.scopes.push(Vec::new());
    }
    fn leave(&mut self) {
        self.scopes.pop();
    }
}
