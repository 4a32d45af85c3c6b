//! All integration tests in one binary: linking is what costs.

mod allocations;
mod book;
mod callbacks;
mod check;
mod cli;
mod cpu;
mod data;
mod diagnostics;
mod editors;
mod explain;
mod fixtures;
mod format;
mod gradients;
mod ir;
mod layers;
mod memory;
mod passes;
mod programs;
mod random_gradients;
mod random_passes;
mod rendering;
mod runs;
mod support;
mod syntax;
mod train;
mod w1_curve;
