//! The machine: its instruction sets, its threads, and memory for a run.

pub mod features;
pub mod pool;
pub mod shared;
pub mod workspace;
