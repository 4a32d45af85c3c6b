//! Types as they are written: patterns of signatures, and how a value does not fit one.

pub(super) mod mismatch;
pub(super) mod shape;
