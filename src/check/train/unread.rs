//! What a training step computes in vain: targets that nothing is compared with, masks that
//! nothing uses.

use crate::diag::{Code, Diagnostic};
use crate::ir::Value;
use crate::syntax::ast::Ident;

use crate::check::data::env::DataEnv;
use crate::check::elab::Elab;
use crate::check::elab::state::Applied;
use crate::check::elab::value::{Home, Tensor};

impl Elab<'_> {
    /// The values on which what a step updates or returns depends.
    fn used_values(&self) -> Vec<bool> {
        let mut used = vec![false; self.step.value_count()];
        for output in &self.step.outputs {
            used[output.value.0 as usize] = true;
        }
        for node in self.step.nodes.iter().rev() {
            if node.values().any(|v| used[v.0 as usize]) {
                node.args.iter().for_each(|a| used[a.0 as usize] = true);
            }
        }
        used
    }

    /// Warns of targets and masks that a whole training step does not use.
    pub(super) fn warn_of_unused(&mut self, env: &DataEnv, feeds: &[(Ident, Tensor)]) {
        let used = self.used_values();
        let is_used = |v: Value| used.get(v.0 as usize).is_none_or(|u| *u);
        let mut found = Vec::new();
        for target in &env.targets {
            let fed = feeds.iter().find(|(n, _)| n.text == target.name.text);
            if fed.is_some_and(|(_, t)| !is_used(t.value)) && !target.name.text.starts_with('_') {
                let what = format!("the target `{}` is never used", target.name.text);
                let d = Diagnostic::warning(Code::W0103, what)
                    .label(target.name.span, "no loss or metric compares it")
                    .help("remove it, or use it in a loss or metric");
                found.push(d);
            }
        }
        if let Some(i) = self.applied.iter().position(|a| makes_mask(a, is_used)) {
            found.push(self.unused_mask(i));
        }
        for d in found {
            self.diagnose(d);
        }
    }

    fn unused_mask(&self, made: usize) -> Diagnostic {
        let layer = &self.applied[made];
        let mask = mask_of(Some(&layer.output));
        let drops = |a: &&Applied| {
            let takes = mask_of(a.input.as_ref());
            takes == mask && a.output.mask.is_none()
        };
        let name = |a: &Applied| a.instance.configured.defs[0].def.name.text.clone();
        let what = format!("the mask of `{}` is never used", name(layer));
        let mut d = Diagnostic::warning(Code::W0663, what)
            .label(layer.span, "this says which positions are padding");
        if let Some(at) = self.applied[made..].iter().find(drops) {
            let label = format!("`{}` drops the mask: padding counts from here on", name(at));
            d = d.label(at.span, label);
        }
        d.help(
            "leave the mask out, or use it first, in a recurrent layer, in attention or in a mean",
        )
    }
}

/// Whether a layer gives its output a mask that nothing uses.
fn makes_mask(a: &Applied, is_used: impl Fn(Value) -> bool) -> bool {
    let mask = mask_of(Some(&a.output));
    mask.is_some_and(|m| !is_used(m)) && mask != mask_of(a.input.as_ref())
}

/// The mask of a tensor of the step.
fn mask_of(t: Option<&Tensor>) -> Option<Value> {
    let mask = t?.mask.as_ref()?;
    (mask.home == Home::Step).then_some(mask.value)
}
