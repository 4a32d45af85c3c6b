//! What depends on what in a graph: where gradients go, what the rows of a batch share, what is
//! a softmax of what, what a value is made of.

mod back;
mod gradient;
mod rows;
mod slice;
mod softmax;

pub use back::Back;
pub use gradient::{blocked, flows, reached};
pub use rows::mixing;
pub use slice::{bounds, is_of_data, slice, unshaped};
pub use softmax::Softmax;
