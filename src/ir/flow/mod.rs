//! What depends on what in a graph: where gradients go, what the rows of a batch share, what is
//! a softmax of what.

mod back;
mod gradient;
mod rows;
mod softmax;

pub use back::Back;
pub use gradient::{blocked, flows, reached};
pub use rows::mixing;
pub use softmax::Softmax;
