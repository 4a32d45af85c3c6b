//! What several tests share.

pub(crate) mod differences;
pub(crate) mod emulated;
pub(crate) mod mutate;
pub(crate) mod nvrtc;
pub(crate) mod random_graph;
pub(crate) mod trainer;
