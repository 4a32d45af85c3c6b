//! See ARCHITECTURE.md.
pub mod random;
