//! Graph to graph.

pub mod autodiff;
pub(crate) mod build;
pub mod dce;
