//! `sweep` blocks are checked here; running them is not supported yet, and said so.

use crate::diag::{Diagnostic, did_you_mean};
use crate::syntax::ast::{ExprKind, Sweep};

use super::elab::Elab;
use super::ops::float;
use super::value::Val;
use super::world::Global;

impl Elab<'_> {
    pub fn sweep(&mut self, s: &Sweep) {
        match self.name(&s.model) {
            Val::Model(_) | Val::Error => {}
            other => {
                self.error(
                    "E0103",
                    s.model.span,
                    format!("`{}` is not a model", s.model.text),
                    format!("this is {}", other.describe()),
                );
            }
        }
        for (name, values) in &s.axes {
            if !matches!(self.world.globals.get(&name.text), Some((Global::Const, _))) {
                let consts: Vec<&str> = self
                    .world
                    .globals
                    .iter()
                    .filter(|(_, (g, _))| matches!(g, Global::Const))
                    .map(|(k, _)| &**k)
                    .collect();
                let mut d = Diagnostic::error(
                    "E0701",
                    format!("a sweep varies a const, and `{}` is none", name.text),
                )
                .label(name.span, "not a const");
                if let Some(near) = did_you_mean(&name.text, consts) {
                    d = d
                        .help(format!("did you mean `{near}`?"))
                        .fix(name.span, near);
                }
                self.report(d);
            }
            self.sweep_values(values);
        }
        let settings = self.settings(
            s.settings.iter(),
            &["search", "minimize", "maximize"],
            "a sweep",
        );
        if settings.get("minimize").is_none() && settings.get("maximize").is_none() {
            self.error(
                "E0703",
                s.model.span,
                "the sweep has no goal",
                "add `minimize val_loss` or `maximize val_accuracy`",
            );
        }
        if !self.diags.is_empty() {
            return;
        }
        let d = Diagnostic::warning("W0702", "sweeps are checked, but not run yet")
            .label(s.model.span, "`nnc run` trains one configuration");
        self.diags.push(d);
    }

    /// A list, a range, or `log(range)`.
    fn sweep_values(&mut self, e: &crate::syntax::ast::Expr) {
        let bad = |el: &mut Self, what: &str| {
            el.error(
                "E0702",
                e.span,
                "a sweep's values are a list, a range, or `log(a .. b)`",
                what.to_string(),
            );
        };
        match &e.kind {
            ExprKind::List(items) if items.is_empty() => bad(self, "an empty list"),
            ExprKind::List(items) => {
                for i in items {
                    self.eval(i);
                }
            }
            ExprKind::Range(a, b) => {
                let (x, y) = (self.eval(a), self.eval(b));
                match (float(&x), float(&y)) {
                    (Some(x), Some(y)) if x < y => {}
                    (Some(_), Some(_)) => bad(self, "it ends before it begins"),
                    _ => bad(self, "its ends are not numbers"),
                }
            }
            ExprKind::Call { callee, args, .. } => match (&callee.kind, args.as_slice()) {
                (ExprKind::Name(f), [one])
                    if &*f.text == "log" && matches!(one.value.kind, ExprKind::Range(..)) =>
                {
                    self.sweep_values(&one.value);
                }
                _ => bad(self, "not one of these"),
            },
            _ => bad(self, "not one of these"),
        }
    }
}
