//! Statistics and transforms that are fitted on the training rows.

pub mod statistics;
pub mod transforms;
pub mod whiten;
