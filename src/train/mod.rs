//! The loop, metrics, weights, history.

pub mod weights;
