//! Types as they are written: patterns of signatures, and how a value does not fit one.

pub mod broadcast;
pub mod mismatch;
