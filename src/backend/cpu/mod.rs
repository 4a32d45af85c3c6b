//! The CPU back end: from a specialised, differentiated graph to machine code and a step that allocates nothing.
//!
//! ```text
//! ops       graph -> operations over buffers; shape primitives become strides (view)
//! fuse      operations -> units: kernels, products, the rest
//! kernel    unit -> loops, operands, and a body in the vector IR (vir, math)
//! clif      vector IR -> machine code through Cranelift, four lanes, any machine
//! plan      units -> buffers in one arena and a flat list of steps (step)
//! run       steps -> calls, over a pool of threads; gemm, philox, direct: what is precompiled
//! ```
//!
//! Results do not depend on the number of threads: work is cut by shape alone, and every sum has one order.

pub mod features;
pub mod gemm;
pub mod philox;
pub mod pool;

mod calls;
mod clif;
mod direct;
mod fuse;
mod jit;
mod kernel;
mod math;
mod ops;
mod plan;
mod run;
mod step;
mod text;
mod view;
mod vir;

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::sync::Arc;

use super::{Cost, Executable, Options};
use crate::ir::Graph;
use features::Features;
use pool::Pool;

/// Why a graph cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    #[error("a size is still a symbol")]
    Symbol,
    #[error("a gradient is left: autodiff comes first")]
    Gradient,
    #[error("a value is used before it is defined")]
    Order,
    #[error("the machine-code generator failed: {0}")]
    Jit(String),
}

/// A compiled graph with its arena.
pub struct CpuExecutable {
    graph: Graph,
    program: step::Program,
    kernels: Vec<vir::Kernel>,
    code: jit::Code,
    features: Features,
    pool: Arc<Pool>,
    arena: Memory,
    scratch: Memory,
    bases: Vec<*mut u8>,
}

// SAFETY: the pointers are to the executable's own memory, or the caller's during a run.
unsafe impl Send for CpuExecutable {}

/// Compiles `graph`, which has no symbols and no gradients left.
///
/// # Errors
/// A symbol or a gradient that is left; a failure of the code generator.
pub fn compile(
    graph: &Graph,
    options: &Options,
    pool: Arc<Pool>,
) -> Result<CpuExecutable, CompileError> {
    compile_for(graph, options, pool, Features::detect())
}

/// As [`compile`], with no more than `features` of the processor.
///
/// # Errors
/// As [`compile`].
pub fn compile_for(
    graph: &Graph,
    options: &Options,
    pool: Arc<Pool>,
    features: Features,
) -> Result<CpuExecutable, CompileError> {
    let settings = plan::Settings {
        seed: options.seed,
        features,
    };
    let mut kernels = plan::Kernels::default();
    let program = plan::plan(graph, false, &settings, &mut kernels)?;
    let code = jit::compile(&kernels.list, features)?;
    let arena = Memory::new(program.arena);
    let scratch = Memory::new(program.scratch);
    Ok(CpuExecutable {
        graph: graph.clone(),
        kernels: kernels.list,
        bases: vec![std::ptr::null_mut(); program.bases],
        program,
        code,
        features,
        pool,
        arena,
        scratch,
    })
}

impl Executable for CpuExecutable {
    fn graph(&self) -> &Graph {
        &self.graph
    }

    fn cost(&self) -> Cost {
        Cost {
            arena_bytes: self.program.arena,
            scratch_bytes: self.program.scratch,
            flops: self.program.flops,
        }
    }

    unsafe fn run(&mut self, inputs: &[*mut u8], results: &[*mut u8]) {
        self.bind(inputs, results);
        let context = run::Context {
            pool: &self.pool,
            code: &self.code,
            features: self.features,
        };
        // SAFETY: by the caller's contract, and the plan's for arena and scratch.
        unsafe { run::run(&self.program, &mut self.bases, &context) }
    }
}

impl CpuExecutable {
    /// The steps with their buffers: `nnc emit --stage plan`.
    pub fn plan_text(&self) -> String {
        text::program(&self.program, &self.kernels)
    }

    /// Every kernel as Cranelift reads it: `nnc emit --stage clif`.
    ///
    /// # Errors
    /// As [`compile`].
    pub fn clif_text(&self) -> Result<String, CompileError> {
        self.kernel_texts(|(clif, _)| clif)
    }

    /// The machine code of every kernel: `nnc emit --stage asm`.
    ///
    /// # Errors
    /// As [`compile`].
    pub fn asm_text(&self) -> Result<String, CompileError> {
        self.kernel_texts(|(_, asm)| asm)
    }

    /// Runs once, and adds the seconds that each step took to `seconds`, by step, with its label.
    ///
    /// # Safety
    /// As [`Executable::run`].
    pub unsafe fn run_timed(
        &mut self,
        inputs: &[*mut u8],
        results: &[*mut u8],
        clock: &dyn Fn() -> f64,
        seconds: &mut Vec<(String, f64)>,
    ) {
        self.bind(inputs, results);
        let context = run::Context {
            pool: &self.pool,
            code: &self.code,
            features: self.features,
        };
        if seconds.is_empty() {
            let steps = self.program.steps.iter().zip(&self.program.labels);
            *seconds = steps
                .map(|(s, label)| (text::step_name(s, label), 0.0))
                .collect();
        }
        for (step, total) in self.program.steps.iter().zip(seconds) {
            let start = clock();
            // SAFETY: by the caller's contract.
            unsafe { run::run_step(&self.program, step, &mut self.bases, &context) }
            total.1 += clock() - start;
        }
    }

    fn bind(&mut self, inputs: &[*mut u8], results: &[*mut u8]) {
        self.bases[usize::from(step::ARENA)] = self.arena.at;
        self.bases[usize::from(step::SCRATCH)] = self.scratch.at;
        let own = &mut self.bases[usize::from(step::FIRST_INPUT)..];
        own[..inputs.len()].copy_from_slice(inputs);
        own[inputs.len()..inputs.len() + results.len()].copy_from_slice(results);
    }

    fn kernel_texts(
        &self,
        part: impl Fn((String, String)) -> String,
    ) -> Result<String, CompileError> {
        let mut out = String::new();
        for (i, kernel) in self.kernels.iter().enumerate() {
            let body = part(jit::text(kernel, self.features)?);
            out.push_str(&format!("; kernel {i}\n{body}\n"));
        }
        Ok(out)
    }
}

/// Zeroed memory aligned to `passes::memory::ALIGN`; of no bytes, a dangling pointer.
struct Memory {
    at: *mut u8,
    layout: Layout,
}

impl Memory {
    fn new(bytes: usize) -> Memory {
        let layout = Layout::from_size_align(bytes, crate::passes::memory::ALIGN)
            .expect("sizes of tensors are limited");
        let at = match bytes {
            0 => std::ptr::without_provenance_mut(layout.align()),
            // SAFETY: the size is not zero.
            _ => unsafe { alloc_zeroed(layout) },
        };
        if at.is_null() {
            handle_alloc_error(layout);
        }
        Memory { at, layout }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.layout.size() > 0 {
            // SAFETY: allocated with this layout.
            unsafe { dealloc(self.at, self.layout) }
        }
    }
}
