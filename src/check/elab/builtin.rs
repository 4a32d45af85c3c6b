//! A function that Rust knows by name: a row of a table.

use crate::span::Span;
use crate::syntax::ast::Expr;

use super::Elab;
use super::value::{ArgVal, Rows, Val};

/// A function that Rust knows by name.
pub struct Builtin {
    pub name: &'static str,
    /// Parameter names; optional ones end in `?`, a last `...` takes any number.
    pub params: &'static [&'static str],
    /// One line for `nnc explain`.
    pub doc: &'static str,
    pub run: fn(&mut Elab, &Args) -> Val,
    /// What to write in place of an argument that it does not have.
    pub elsewhere: fn(&str) -> Option<String>,
}

pub(crate) const fn builtin(
    name: &'static str,
    params: &'static [&'static str],
    doc: &'static str,
    run: fn(&mut Elab, &Args) -> Val,
) -> Builtin {
    Builtin {
        name,
        params,
        doc,
        run,
        elsewhere: |_| None,
    }
}

impl Builtin {
    pub const fn elsewhere(self, elsewhere: fn(&str) -> Option<String>) -> Builtin {
        Builtin { elsewhere, ..self }
    }
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

/// What expressions may say beside the language itself. Rooms above this one compute it;
/// `check/mod.rs` makes the one table of them.
#[derive(Clone, Copy, Debug)]
pub struct Extensions {
    /// Each by name, in order.
    pub tables: &'static [&'static [Builtin]],
    /// A call or a pipe that is a function of rows or columns, in a data block; `None` where it
    /// is an ordinary one.
    pub data_call: fn(&mut Elab, &Expr) -> Option<Val>,
    /// `rows |> stage`
    pub row_stage: fn(&mut Elab, &Rows, &Expr) -> Val,
}

impl Extensions {
    pub fn find(&self, name: &str) -> Option<&'static Builtin> {
        self.tables.iter().find_map(|table| {
            let at = table.binary_search_by(|b| b.name.cmp(name)).ok()?;
            Some(&table[at])
        })
    }

    pub fn all(self) -> impl Iterator<Item = &'static Builtin> {
        self.tables.iter().copied().flatten()
    }
}
