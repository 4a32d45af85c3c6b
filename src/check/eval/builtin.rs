//! Functions that Rust knows by name and that evaluate something.

use crate::diag::Code;

use crate::check::elab::Elab;
use crate::check::elab::builtin::{Args, Builtin, builtin};
use crate::check::elab::value::{ArgVal, Val};

use super::collected::COLLECTED;

/// By name, in order.
pub(crate) const TABLE: &[Builtin] = &[
    builtin(
        COLLECTED,
        &["x"],
        "every row of `x` in the epoch, as the initial value of a metric's state",
        |el, a| {
            el.error(
                Code::E0415,
                a.span,
                "`collected` must be the initial value of a metric's state",
                "write `state all = ` before it",
            )
        },
    ),
    builtin(
        "fold",
        &["list", "f"],
        "`f(f(a, b), c)` for `[a, b, c]`",
        |el, a| el.fold(a),
    ),
];

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
