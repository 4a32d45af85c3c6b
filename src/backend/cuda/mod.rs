//! The CUDA back end: from a specialised, differentiated graph to CUDA C++ and what the host launches.
//!
//! ```text
//! target    what CUDA decides about a plan
//! ops       instructions of the vector IR as expressions
//! kernel    fused kernels
//! steps     products, indexing, random numbers (spatial: convolutions and windows)
//! program   the text of a whole graph, and the launches in their order
//! ```
//!
//! Fusion and the plan are those of every compiling back end. Every element has one writer and one order of additions.

mod kernel;
mod ops;
mod program;
mod spatial;
mod steps;
mod target;

use super::fusion::LowerError;
use super::schedule::{plan, program as schedule};
use crate::ir::Graph;

pub use program::{Body, KernelInfo, Loop, Node, Place, Source};

/// What every kernel may use; comes before the text of a [`Source`].
pub const PRELUDE: &str = include_str!("prelude.cu");

/// Threads of every block.
pub const THREADS: usize = program::THREADS;

/// The graph, which has no symbols and no gradients left, as CUDA C++. Names of its kernels begin with `name`.
///
/// # Errors
/// A symbol or a gradient that is left.
pub fn source(graph: &Graph, seed: u64, name: &str) -> Result<Source, LowerError> {
    let settings = schedule::Settings {
        seed,
        target: target::Cuda,
    };
    let mut kernels = schedule::Kernels::default();
    let planned = plan::plan(graph, false, &settings, &mut kernels)?;
    Ok(program::emit(&planned, &kernels.list, name))
}
