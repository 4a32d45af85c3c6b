//! What runs a graph: the interpreter (the oracle) and the CPU compiler.
//!
//! The runtime owns every buffer that outlives a step (parameters, states,
//! slots, metric accumulators) and every batch; an [`Executable`] owns only its
//! own arena. Several executables (full batch, last partial batch, evaluation)
//! share the runtime's buffers by pointer.

pub mod cpu;
pub mod interp;

use crate::ir::Graph;

/// How to compile.
#[derive(Clone, Debug)]
pub struct Options {
    /// Mixed into every random draw.
    pub seed: u64,
    /// Threads of the CPU back end; results do not depend on it.
    pub threads: usize,
}

/// What a compiled graph needs and does, known before it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Bytes of intermediate values alive at once, alignment included.
    pub arena_bytes: usize,
    /// Bytes of scratch beside the arena (packed panels of products).
    pub scratch_bytes: usize,
    /// Multiplications and additions of one run.
    pub flops: u64,
}

/// A compiled graph, without symbols.
pub trait Executable: Send {
    fn graph(&self) -> &Graph;
    fn cost(&self) -> Cost;
    /// Runs once, allocating nothing.
    ///
    /// `inputs[i]` is the buffer of `graph().inputs[i]`; where an output updates that
    /// input, the new value is in it afterwards, and no reader sees it earlier.
    /// `results[j]` is where the `j`-th output of role `Result` goes.
    ///
    /// # Safety
    /// Every buffer has its type's size and is 64-byte aligned; none overlaps another.
    unsafe fn run(&mut self, inputs: &[*mut u8], results: &[*mut u8]);
}
