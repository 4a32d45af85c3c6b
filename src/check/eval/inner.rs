//! Layers inside layers: an argument that is a layer, its configuration read and changed.

use std::rc::Rc;
use std::sync::Arc;

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::span::Span;
use crate::syntax::ast::{DefKind, Ident};

use crate::check::elab::Elab;
use crate::check::elab::pattern::{ParamType, param_type};
use crate::check::elab::scope::VarRole;
use crate::check::elab::value::{ArgVal, Configured, DefRef, Instance, Val, lists};

/// Whether a call of a layer changes its configuration: all arguments are named, and none of
/// them is an input.
pub(crate) fn configures_anew(layer: &Instance, args: &[ArgVal]) -> bool {
    let (config, inputs) = lists(&layer.configured.defs[0].def);
    let changes = |a: &ArgVal| {
        let input = |n: &Ident| inputs.iter().any(|p| p.name.text == n.text);
        let tensor = matches!(a.val, Val::Tensor(_));
        !tensor && a.name.as_ref().is_some_and(|n| !input(n))
    };
    !config.is_empty() && !args.is_empty() && args.iter().all(changes)
}

impl Elab<'_> {
    /// `layer(go_backwards = true)`: another layer, of the configuration with these changes. Bound
    /// to a name it is called by that and the first one's: `backward_lstm`.
    pub(super) fn reconfigured(
        &mut self,
        layer: &Instance,
        changes: Vec<ArgVal>,
        span: Span,
        hint: Option<Arc<str>>,
    ) -> Val {
        // A name that stands for nothing may be one of the words a parameter lists.
        let failed = |a: &ArgVal| a.val.is_error() && a.symbol.is_none();
        if changes.iter().any(failed) {
            return Val::Error;
        }
        let c = &layer.configured;
        let (config, _) = lists(&c.defs[0].def);
        let mut args = c.args.clone();
        for change in changes {
            let name = change.name.as_ref().expect("all are named");
            let place = config.iter().position(|p| p.name.text == name.text);
            let mut position = 0;
            let known = args.iter_mut().find(|a| match &a.name {
                Some(n) => n.text == name.text,
                None => {
                    position += 1;
                    Some(position - 1) == place
                }
            });
            match known {
                Some(old) => {
                    old.val = change.val;
                    old.span = change.span;
                    old.symbol = change.symbol;
                }
                None => args.push(change),
            }
        }
        let last = layer.path.rsplit('/').next().unwrap_or(&layer.path);
        let hint = hint.map(|h| format!("{h}_{last}").into());
        self.instance(
            Rc::new(Configured::new(c.defs.clone(), args, span)),
            span,
            hint,
        )
    }

    /// `layer.units`: what a layer is configured with.
    pub(super) fn layer_field(&mut self, layer: &Instance, name: &Ident) -> Val {
        let r = layer.configured.defs[0].clone();
        let (config, _) = lists(&r.def);
        if !config.iter().any(|p| p.name.text == name.text) {
            let what = &r.def.name.text;
            let mut d = Diagnostic::error(
                Code::E0110,
                format!("the layer `{what}` has no `{}`", name.text),
            )
            .label(name.span, "asked for here");
            let known = config.iter().map(|p| &*p.name.text);
            if let Some(near) = did_you_mean(&name.text, known) {
                d = d
                    .help(format!("did you mean `{near}`?"))
                    .fix(name.span, near);
            }
            return self.diagnose(d);
        }
        let path = self.top().path.clone();
        self.push_frame(&r, path, layer.configured.span);
        let bound = self.bind_config(&layer.configured, &r);
        let frame = self.frames.pop().expect("pushed above");
        match frame.get(&name.text) {
            Some(var) if bound => var.val.clone(),
            _ => Val::Error,
        }
    }

    /// A layer that is an argument of a layer and has no name of its own is part of it: its
    /// parameters are named below. Works in the frame of the receiving layer.
    pub(super) fn adopt_layers(&mut self, r: &DefRef) -> bool {
        if r.def.kind != DefKind::Layer {
            return true;
        }
        let (config, _) = lists(&r.def);
        for p in config {
            if !matches!(param_type(p.ty.as_ref()), Ok(ParamType::Def("layer"))) {
                continue;
            }
            let Some(var) = self.top().get(&p.name.text).cloned() else {
                continue;
            };
            let adopted = match &var.val {
                Val::Layer(l) if !l.named => {
                    let last = l.path.rsplit('/').next().unwrap_or(&l.path);
                    Val::Layer(Rc::new(Instance {
                        configured: l.configured.clone(),
                        path: self.full_name(last),
                        named: false,
                        span: l.span,
                    }))
                }
                Val::Def(c) => self.instance(c.clone(), var.span, None),
                _ => continue,
            };
            if adopted.is_error() {
                return false;
            }
            self.frame()
                .bind(&p.name.text, adopted, var.span, VarRole::Given);
        }
        true
    }
}
