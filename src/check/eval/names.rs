//! What a name stands for.

use std::rc::Rc;
use std::sync::Arc;

use crate::diag::{Code, Diagnostic};
use crate::ir::Elem;
use crate::span::Span;
use crate::syntax::ast::Ident;

use crate::check::elab::Elab;
use crate::check::elab::scope::{Frame, VarRole};
use crate::check::elab::state::Fit;
use crate::check::elab::value::{Configured, Val};
use crate::check::elab::world::{ConstState, Global};

impl Elab<'_> {
    pub(super) fn is_known(&self, name: &str) -> bool {
        self.top().get(name).is_some()
            || (!self.top().library
                && (self.world.globals.contains_key(name) || self.world.fit(name).is_some()))
            || self.world.builtin(name).is_some()
            || matches!(name, "training" | "trainable" | "real" | "int" | "bool")
            || self.world.library(name).is_some()
    }

    /// A name as a value: a layer bound to a name becomes one layer.
    pub(super) fn bare_name(&mut self, n: &Ident, hint: Option<Arc<str>>, span: Span) -> Val {
        match (self.name(n), hint) {
            (Val::Def(c), Some(hint))
                if c.defs[0].def.kind == crate::syntax::ast::DefKind::Layer =>
            {
                self.instance(c, span, Some(hint))
            }
            (v, _) => v,
        }
    }

    /// What a name stands for: the body's own names, the file's, the library's, the primitives.
    pub fn name(&mut self, n: &Ident) -> Val {
        if let Some(var) = self.top().get(&n.text) {
            return match &var.role {
                VarRole::State(full) => match self.states.get(full) {
                    Some(s) => Val::Tensor(s.current.clone()),
                    None => var.val.clone(),
                },
                _ => var.val.clone(),
            };
        }
        if !self.top().library
            && let Some((global, _)) = self.world.globals.get(&n.text)
        {
            match global {
                Global::Const => return self.constant_value(n),
                Global::Defs(defs) => {
                    return Val::Def(Rc::new(Configured::new(defs.clone(), Vec::new(), n.span)));
                }
                Global::Broken => return Val::Error,
                Global::Model(m) => return Val::Model(m.clone()),
                Global::Data => {
                    return self.error(
                        Code::E0103,
                        n.span,
                        format!("`{}` is a data block, not a value", n.text),
                        "used as a value",
                    );
                }
            }
        }
        match &*n.text {
            "training" => {
                self.asked_training = true;
                return Val::Bool(self.mode.training);
            }
            "trainable" => return Val::Bool(!self.is_frozen(&self.top().path)),
            "real" => return Val::Elem(Elem::F32),
            "int" => return Val::Elem(Elem::I32),
            "bool" => return Val::Elem(Elem::Bool),
            _ => {}
        }
        if !self.top().library {
            match self.world.fit(&n.text) {
                Some(Fit::Size(size)) => return Val::Int(size),
                Some(Fit::Vocabulary(_) | Fit::Vectors { .. } | Fit::Labels(_)) => {
                    return Val::Fitted(Rc::from(&*n.text));
                }
                Some(Fit::Broken) => return Val::Error,
                Some(Fit::Tensors(_) | Fit::Lengths(_)) | None => {}
            }
        }
        if let Some(b) = self.world.builtin(&n.text) {
            return Val::Builtin(b);
        }
        if let Some(defs) = self.world.library(&n.text) {
            return Val::Def(Rc::new(Configured::new(defs, Vec::new(), n.span)));
        }
        self.unknown_name(n)
    }

    /// A `const`, evaluated at its first use.
    fn constant_value(&mut self, n: &Ident) -> Val {
        let state = self.world.consts.borrow().get(&n.text).cloned();
        match state {
            Some(ConstState::Done(v)) => v,
            Some(ConstState::Busy) => {
                let mut d = Diagnostic::error(
                    Code::E0111,
                    format!("`{}` is defined in terms of itself", n.text),
                )
                .label(n.span, "its own value is needed here");
                if let Some((_, declared)) = self.world.globals.get(&n.text) {
                    d = d.label(*declared, "declared here");
                }
                self.diagnose(d)
            }
            Some(ConstState::Pending(e)) => {
                self.world
                    .consts
                    .borrow_mut()
                    .insert(n.text.clone(), ConstState::Busy);
                let frames = std::mem::take(&mut self.frames);
                self.frames.push(Frame::new(
                    "".into(),
                    format!("const {}", n.text),
                    false,
                    None,
                ));
                let v = self.eval(&e);
                self.frames = frames;
                let v = match v {
                    Val::Tensor(_) => self.error(
                        Code::E0315,
                        e.span,
                        "a const must be a number, a string, a list or a definition",
                        "this is a tensor",
                    ),
                    v => v,
                };
                self.world
                    .consts
                    .borrow_mut()
                    .insert(n.text.clone(), ConstState::Done(v.clone()));
                v
            }
            None => Val::Error,
        }
    }
}
