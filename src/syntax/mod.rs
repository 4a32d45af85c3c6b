//! Text -> tree. [`parse`] gives the declarations that parsed and every syntax error.

pub mod ast;
