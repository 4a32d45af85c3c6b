//! A function that Rust knows by name: a row of a table.

use crate::span::Span;

use super::Elab;
use super::value::{ArgVal, Val};

pub struct Builtin {
    pub name: &'static str,
    /// Parameter names; optional ones end in `?`, a last `...` takes any number.
    pub params: &'static [&'static str],
    /// One line for `nnc explain`.
    pub doc: &'static str,
    pub run: fn(&mut Elab, &Args) -> Val,
}

impl std::fmt::Debug for Builtin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

pub struct Args {
    pub builtin: &'static Builtin,
    pub args: Vec<ArgVal>,
    pub span: Span,
}
