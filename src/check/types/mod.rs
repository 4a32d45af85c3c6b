//! Types as they are written: patterns of signatures, and how a value does not fit one.

pub(super) mod mismatch;
mod result;
pub(super) mod shape;
