//! Text -> tree. [`parse`] gives the declarations that parsed and every syntax error.
//!
//! ```text
//! lexer     tokens, one at a time
//! layout    which newlines end statements; comments; the pieces of a file; brackets
//! grammar   grammar/nn.pest, read piece by piece
//! parse     pieces -> declarations; build, expr: pairs -> nodes
//! fmt       tree -> text, in the one layout
//! dump      tree -> text, for people who look at trees
//! visit     a walk over the tree, for whoever looks for names in it
//! explain   where the grammar stopped -> what to say about it
//! ```

pub mod ast;
mod build;
pub mod dump;
mod explain;
mod expr;
pub mod fmt;
mod grammar;
pub mod keywords;
mod layout;
mod lexer;
mod parse;
mod slips;
pub mod visit;

pub use fmt::{format, same_meaning};
pub use parse::{MAX_SHOWN, MAX_SOURCE, parse};
