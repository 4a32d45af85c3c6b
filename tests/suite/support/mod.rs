//! What several tests share.

pub mod random_graph;
pub mod trainer;
