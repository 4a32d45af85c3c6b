//! What several tests share.

pub mod differences;
pub mod random_graph;
pub mod trainer;
