//! Layers named in a train block: those that training leaves as they are, and those with an
//! optimizer of their own.
//!
//! A layer is named by its path, `decoder.dense_1`; in a block of steps the model may be left
//! out. What a frozen layer holds has no gradient, no penalty and no slots.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use crate::diag::{Code, Diagnostic, did_you_mean};
use crate::span::Span;
use crate::syntax::ast::{Arg, DefKind, Setting, Train, TrainItem};

use crate::check::elab::Elab;
use crate::check::elab::frozen::{LayerName, dotted_path};
use crate::check::elab::value::Configured;

use super::settings::setting;

/// An optimizer of a train block: for all parameters, or those of a layer.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub rule: Rc<Configured>,
    pub layer: Option<LayerName>,
    pub span: Span,
}

impl Elab<'_> {
    /// Notes what `freeze` names, before any layer is walked.
    pub(super) fn note_frozen(&mut self, t: &Train) {
        self.train.stepped = t.items.iter().any(|i| matches!(i, TrainItem::Step(_)));
        let Some(setting) = setting(t, "freeze") else {
            return;
        };
        for a in &setting.values {
            let path = match (&a.name, dotted_path(&a.value)) {
                (None, Some(path)) => path,
                _ => {
                    let d = Diagnostic::error(Code::E0605, "`freeze` needs names of layers")
                        .label(a.span, "this is not a name")
                        .help("for example, `freeze encoder, decoder.dense_1`");
                    self.diagnose(d);
                    continue;
                }
            };
            self.train.frozen.push(LayerName {
                path,
                span: a.value.span,
                stepped: self.train.stepped,
            });
        }
    }

    /// Names that are no layer's, once all layers are known.
    pub(super) fn check_frozen(&mut self) {
        for name in std::mem::take(&mut self.train.frozen) {
            self.check_layer(&name);
        }
    }

    fn check_layer(&mut self, name: &LayerName) -> bool {
        if self.params.keys().any(|p| name.holds(p)) {
            return true;
        }
        let mut known: BTreeSet<String> = BTreeSet::new();
        for p in self.params.keys() {
            let mut path = &**p;
            while let Some((above, _)) = path.rsplit_once('/') {
                known.insert(above.replace('/', "."));
                path = above;
            }
        }
        let written = name.written();
        let mut d = Diagnostic::error(
            Code::E0619,
            format!("there is no trainable layer `{written}`"),
        )
        .label(name.span, "it has no parameters");
        d = match did_you_mean(&written, known.iter().map(String::as_str)) {
            Some(near) => {
                let near = near.to_string();
                d.help(format!("did you mean `{near}`?"))
                    .fix(name.span, &near)
            }
            None => {
                let some: Vec<&str> = known.iter().take(12).map(String::as_str).collect();
                d.note(format!("layers: {}", some.join(", ")))
            }
        };
        self.diagnose(d);
        false
    }

    /// The optimizers that a setting gives, and `None` after a mistake.
    pub(super) fn optimizers_of(&mut self, setting: &Setting) -> Option<Vec<Chosen>> {
        if !setting.values.iter().any(|a| a.name.is_some()) {
            let (v, span) = self.seeking(Some(DefKind::Optimizer), |el| el.one_value(setting))?;
            let rule = self.of_kind(v, DefKind::Optimizer, span)?;
            let layer = None;
            return Some(vec![Chosen { rule, layer, span }]);
        }
        let mut found: Vec<Chosen> = Vec::new();
        for Arg { name, value, .. } in &setting.values {
            let v = self.seeking(Some(DefKind::Optimizer), |el| el.eval(value));
            let rule = self.of_kind(v, DefKind::Optimizer, value.span)?;
            let layer = name.as_ref().map(|n| LayerName {
                path: n.text.to_string(),
                span: n.span,
                stepped: self.train.stepped,
            });
            let path = |l: &Option<LayerName>| l.as_ref().map(|l| l.path.clone());
            let span = layer.as_ref().map_or(value.span, |l| l.span);
            if let Some(first) = found.iter().find(|f| path(&f.layer) == path(&layer)) {
                let first = first.layer.as_ref().map_or(first.span, |l| l.span);
                let d = Diagnostic::error(Code::E0109, "two optimizers for the same parameters")
                    .label(span, "the second")
                    .label(first, "the first");
                self.diagnose(d);
                return None;
            }
            found.push(Chosen {
                rule,
                layer,
                span: value.span,
            });
        }
        Some(found)
    }

    /// Which of the optimizers each parameter has, by its place; `None` after a mistake. The
    /// longest path counts.
    pub(super) fn assigned(
        &mut self,
        chosen: &[Chosen],
        params: &[Arc<str>],
        setting: &Setting,
    ) -> Option<Vec<usize>> {
        for layer in chosen.iter().filter_map(|c| c.layer.as_ref()) {
            if !self.check_layer(layer) {
                return None;
            }
        }
        let mut places = Vec::new();
        for p in params {
            let length = |c: &Chosen| match &c.layer {
                Some(l) => l.holds(p).then(|| l.path.len() + 1),
                None => Some(0),
            };
            let fit = chosen.iter().enumerate();
            let best = fit.filter_map(|(i, c)| Some((length(c)?, i))).max();
            let Some((_, i)) = best else {
                let d = Diagnostic::error(Code::E0604, format!("`{p}` has no optimizer"))
                    .label(setting.span, "these optimizers are for other layers")
                    .help("put the optimizer of all other layers first");
                self.diagnose(d);
                return None;
            };
            places.push(i);
        }
        let idle = (0..chosen.len()).find(|i| !places.contains(i));
        if let Some(idle) = idle.map(|i| &chosen[i]) {
            let message = match &idle.layer {
                Some(l) => format!("no parameter of `{}` is trained here", l.written()),
                None => "every trained parameter already has its own optimizer".into(),
            };
            self.error(
                Code::E0607,
                idle.span,
                message,
                "this optimizer has nothing to train",
            );
            return None;
        }
        Some(places)
    }
}
