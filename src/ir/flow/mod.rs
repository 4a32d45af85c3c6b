//! What depends on what in a graph: where gradients go, and what the rows of a batch share.

mod gradient;
mod rows;

pub use gradient::{blocked, flows, reached};
pub use rows::mixing;
