//! What runs a graph: the interpreter (the oracle) and the CPU compiler.
//!
//! The runtime owns every buffer that outlives a step (parameters, states,
//! slots, metric accumulators) and every batch; an [`Executable`] owns only its
//! own arena. Several executables (full batch, last partial batch, evaluation)
//! share the runtime's buffers by pointer.

pub mod cpu;
pub mod cuda;
pub mod fusion;
pub mod interp;
mod schedule;

use crate::ir::{Graph, OutputRole, Tensor};

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

/// Runs `executable` once on copies of `inputs`: the values of all outputs of its
/// graph, in order, those that update an input included.
///
/// # Panics
/// If `inputs` are not of the types of the graph's inputs.
pub fn run_on(executable: &mut dyn Executable, inputs: &[Tensor]) -> Vec<Tensor> {
    let graph = executable.graph().clone();
    let expected = graph.inputs.iter().map(|i| graph.ty(i.value).clone());
    let found: Vec<_> = inputs.iter().map(Tensor::ty).collect();
    assert_eq!(found, expected.collect::<Vec<_>>(), "types of the inputs");

    let mut inputs = inputs.to_vec();
    let is_result = |role: &OutputRole| *role == OutputRole::Result;
    let mut results: Vec<Tensor> = graph
        .outputs
        .iter()
        .filter(|o| is_result(&o.role))
        .map(|o| Tensor::of_type(graph.ty(o.value)).expect("a type without symbols"))
        .collect();
    let pointers = |tensors: &mut [Tensor]| -> Vec<*mut u8> {
        tensors.iter_mut().map(Tensor::as_mut_ptr).collect()
    };
    let (ins, outs) = (pointers(&mut inputs), pointers(&mut results));
    // SAFETY: the types were checked, and tensors are aligned and apart.
    unsafe { executable.run(&ins, &outs) };

    let mut results = results.into_iter();
    let outputs = graph.outputs.iter();
    outputs
        .map(|o| match o.role {
            OutputRole::Update(input) => inputs[input].clone(),
            OutputRole::Result => results.next().expect("one for every result"),
        })
        .collect()
}
