//! All integration tests in one binary: linking is what costs.

#![expect(
    clippy::print_stdout,
    reason = "tests show what they measured or could not run"
)]

mod allocations;
mod book;
mod callbacks;
mod check;
mod cli;
mod collected;
mod cpu;
mod cpu_conv;
mod cuda;
mod data;
mod data_warnings;
mod diagnostics;
mod editors;
mod explain;
mod fetch;
mod fixing;
mod fixtures;
mod flow;
mod format;
mod formats;
mod frozen;
mod fuzz;
mod gradients;
mod images;
mod inspect;
mod ir;
mod layers;
mod malformed;
mod masked_losses;
mod memory;
mod names;
mod names_for_numbers;
mod passes;
mod programs;
mod random_gradients;
mod random_passes;
mod recurrence;
mod reference;
mod refusals;
mod remote;
mod rendering;
mod reports;
mod rules;
mod runs;
mod series;
mod splits;
mod stable_log;
mod streams;
mod support;
mod sweeps;
mod syntax;
mod text;
mod train;
mod w1_curve;
mod words;
mod wrong;
