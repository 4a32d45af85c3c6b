//! What does not fit.

use crate::ir::dim::{Dim, DimError};
use crate::ir::ty::{Elem, Type};

#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum TypeError {
    #[error("takes {expected} arguments, got {found}")]
    Arity { expected: usize, found: usize },
    #[error("argument {argument} is {found}, but must be {expected}")]
    Elem {
        argument: usize,
        found: Elem,
        expected: &'static str,
    },
    #[error("argument {argument} is {found}, but must be {expected}")]
    Type {
        argument: usize,
        found: Type,
        expected: Type,
    },
    #[error("argument {argument} has rank {found}, but must have rank {expected}")]
    Rank {
        argument: usize,
        found: usize,
        expected: usize,
    },
    #[error("axis {axis} is out of range for a tensor of rank {rank}")]
    Axis { axis: usize, rank: usize },
    #[error("sizes {left} and {right} differ (axis {axis} of argument {argument})")]
    Size {
        argument: usize,
        axis: usize,
        left: Dim,
        right: Dim,
    },
    #[error("{from} has {from_count} elements, {to} has {to_count}")]
    Reshape {
        from: Type,
        to: Type,
        from_count: Dim,
        to_count: Dim,
    },
    #[error("{start}..{end} is not within an axis of size {size}")]
    Slice {
        axis: usize,
        start: Dim,
        end: Dim,
        size: Dim,
    },
    #[error("a window of {window} does not fit an axis of size {size}")]
    Window { axis: usize, window: Dim, size: Dim },
    #[error("{0}")]
    Dim(#[from] DimError),
    #[error("{0}")]
    Attribute(&'static str),
    #[error("a tensor of {elements} elements is too large (the limit is 2^40)")]
    TooLarge { elements: i64 },
}
