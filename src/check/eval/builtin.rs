//! Functions that call what they are given.

use crate::check::elab::Elab;
use crate::check::elab::builtin::Args;
use crate::check::elab::value::{ArgVal, Val};

impl Elab<'_> {
    /// Items from the left, two at a time.
    pub fn fold(&mut self, a: &Args) -> Val {
        let (Some(items), Some(f)) = (self.list_at(a, "list"), self.at(a, "f")) else {
            return Val::Error;
        };
        let arg = |val: &Val| ArgVal {
            name: None,
            val: val.clone(),
            span: a.span,
            symbol: None,
        };
        let Some((first, rest)) = items.split_first() else {
            return self.wrong(a, "list", "a list of at least one item", &Val::List(items));
        };
        rest.iter()
            .fold(first.clone(), |so_far, next| match so_far {
                Val::Error => Val::Error,
                v => self.call(f.clone(), vec![arg(&v), arg(next)], a.span, None),
            })
    }
}
