//! `state all = collected(e)`: a metric's state that keeps every row of an epoch.

use std::sync::Arc;

use crate::diag::{Code, Diagnostic};
use crate::ir::prim::Binary;
use crate::ir::{Dim, Elem, OutputRole, Prim, Role, Type};
use crate::span::Span;
use crate::spec::names;
use crate::syntax::ast;
use crate::syntax::ast::ExprKind;

use crate::check::elab::Elab;
use crate::check::elab::value::{Meaning, Tensor, Val};

/// The builtin that keeps every row of an epoch.
pub(crate) const COLLECTED: &str = "collected";

/// The argument of `collected(..)`.
pub(crate) fn collected(e: &ast::Expr) -> Option<&ast::Expr> {
    match &e.kind {
        ExprKind::Call { callee, args, .. } => match (&callee.kind, args.as_slice()) {
            (ExprKind::Name(n), [one]) if &*n.text == COLLECTED => Some(&one.value),
            _ => None,
        },
        _ => None,
    }
}

impl Elab<'_> {
    /// `state all = collected(e)`: on a batch, its rows as a result; at the end, every row of the
    /// epoch, in f64.
    pub(super) fn collected_state(
        &mut self,
        d: &ast::StateDecl,
        e: &ast::Expr,
    ) -> Option<(Arc<str>, Tensor)> {
        let full = self.full_name(&d.name.text);
        if self.train.ending {
            let ty = self.train.collected.get(&full)?.clone();
            let rows = self.keep(&full, ty, Role::Metric);
            let rows = self.cast(rows, Elem::F64, d.span)?;
            self.states.get_mut(&full)?.current = rows.clone();
            return Some((full, rows));
        }
        let t = match self.eval(e) {
            Val::Tensor(t) => self.quantity(t, e.span, "collected")?,
            Val::Error => return None,
            other => {
                self.error(
                    Code::E0312,
                    e.span,
                    "`collected` needs a tensor",
                    format!("this is {}", other.describe()),
                );
                return None;
            }
        };
        let t = self.cast(t, Elem::F32, e.span)?;
        if self.mode.generic {
            let t = self.cast(t, Elem::F64, e.span)?;
            return Some((full, t));
        }
        let batch = Dim::symbol("B");
        let rows_first = match t.ty.shape.as_slice() {
            [first, rest @ ..] => {
                first
                    .div_exact(&batch)
                    .is_some_and(|d| d.as_const().is_some())
                    && rest.iter().all(|d| d.as_const().is_some())
            }
            [] => false,
        };
        if !rows_first {
            let d = Diagnostic::error(
                Code::E0415,
                "the first axis of a collected tensor must be the batch",
            )
            .label(e.span, format!("this is {t}"));
            self.diagnose(d);
            return None;
        }
        let count = names::collected_rows(&full).into();
        self.count_rows(&count, e.span);
        let value = self.reach(&t, e.span)?;
        self.step.output(&full, OutputRole::Result, value);
        self.train.collected.insert(full, t.ty);
        None
    }

    /// `NAME += B`.
    fn count_rows(&mut self, name: &Arc<str>, span: Span) {
        let kept = self.keep(name, Type::scalar(Elem::F64), Role::Metric);
        self.zero(name);
        let Val::Tensor(b) = self.size(&Dim::symbol("B"), Elem::F64, span) else {
            return;
        };
        let add = Prim::Binary(Binary::Add);
        if let Val::Tensor(next) = self.emit(add, &[&kept, &b], Meaning::Real, span) {
            let s = self.states.get_mut(name).expect("just kept");
            s.current = next;
            s.assigned = true;
        }
    }
}
