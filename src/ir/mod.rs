//! The intermediate representation: closed primitives over typed tensors,
//! regions for loops, roles for what the runtime keeps.

pub mod attributes;
pub mod cost;
pub mod dim;
pub mod flow;
pub mod graph;
pub mod infer;
pub mod prim;
pub mod specialize;
pub mod tensor;
pub mod text;
mod text_attr;
mod text_lex;
pub mod text_parse;
pub mod ty;
pub mod verify;

pub use dim::{Bindings, Dim, DimError};
pub use graph::{Graph, Input, Node, Origin, OriginId, Output, OutputRole, Role, Value};
pub use infer::TypeError;
pub use prim::Prim;
pub use tensor::Tensor;
pub use ty::{Elem, Shape, Type};
pub use verify::{Stage, VerifyError, verify};
