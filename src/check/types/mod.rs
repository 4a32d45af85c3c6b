//! Types as they are written: patterns of signatures, and how a value does not fit one.

pub mod mismatch;
pub mod shape;
