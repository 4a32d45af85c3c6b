//! Arguments that every optimizer takes: see `train/optimizer_stages.rs`.

use std::rc::Rc;
use std::sync::Arc;

use crate::syntax::ast::DefKind;

use crate::check::elab::Elab;
use crate::check::elab::state::{Gives, Stage};
use crate::check::elab::value::{Configured, DefRef, lists};

impl Elab<'_> {
    /// Whether a named argument is for the stages.
    pub(super) fn is_option_of(&self, name: &str, r: &DefRef) -> bool {
        let takes = |s: &Stage| lists(&s.def.def).0.iter().any(|p| &*p.name.text == name);
        r.def.kind == DefKind::Optimizer
            && lists(&r.def).0.iter().all(|p| &*p.name.text != name)
            && self.world.stages().iter().any(takes)
    }

    /// The names of the arguments that an optimizer takes as every one does.
    pub(super) fn options_of(&self, r: &DefRef) -> Vec<Arc<str>> {
        if r.def.kind != DefKind::Optimizer {
            return Vec::new();
        }
        let stages = self.world.stages();
        let params = stages.iter().flat_map(|s| lists(&s.def.def).0);
        let mut names: Vec<Arc<str>> = Vec::new();
        for p in params {
            if !names.contains(&p.name.text) {
                names.push(p.name.text.clone());
            }
        }
        names
    }

    /// The stages that get an argument of a configured optimizer, configured.
    pub fn staged(&self, c: &Configured) -> Vec<(Gives, Configured)> {
        let r = &c.defs[0];
        let options: Vec<_> = c
            .args
            .iter()
            .filter(|a| {
                let name = a.name.as_ref();
                name.is_some_and(|n| self.is_option_of(&n.text, r))
            })
            .collect();
        if options.is_empty() {
            return Vec::new();
        }
        let stages = self.world.stages();
        let configured = stages.iter().filter_map(|s| {
            let takes = |name: &str| {
                let mut params = lists(&s.def.def).0.iter();
                params.any(|p| &*p.name.text == name)
            };
            let args: Vec<_> = options
                .iter()
                .filter(|a| a.name.as_ref().is_some_and(|n| takes(&n.text)))
                .map(|a| (*a).clone())
                .collect();
            let defs = Rc::new(vec![s.def.clone()]);
            (!args.is_empty()).then(|| (s.gives, Configured::new(defs, args, c.span)))
        });
        configured.collect()
    }
}
