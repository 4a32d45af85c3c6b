//! The CPU back end: from a specialised, differentiated graph to machine code and a step that allocates nothing.
//!
//! ```text
//! fusion    graph -> units -> kernels in the vector IR (shared by all back ends)
//! schedule  units -> buffers in one arena and a flat list of steps (shared by all back ends)
//! target    how work is cut, products and convolutions planned
//! codegen   vector IR -> machine code
//! kernels   what is precompiled: products, convolution, pooling, random numbers
//! machine   instruction sets, threads, memory
//! run       steps -> calls, over a pool of threads
//! ```
//!
//! `machine` is the ground; `kernels` and `codegen` use it alone; `target` plans with `kernels`; `run` uses all.
//!
//! Results do not depend on the number of threads: work is cut by shape alone, and every sum has one order.

mod codegen;
pub mod kernels;
pub mod machine;
mod run;
mod target;

use std::sync::Arc;

use super::fusion::{LowerError, vir};
use super::schedule::{plan, program, text};
use super::{Cost, Executable, Options};
use crate::ir::Graph;
use codegen::jit::{self, JitError};
use machine::features::Features;
use machine::workspace::{Buffers, Workspace};
use target::Cpu;

/// Why a graph cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    #[error(transparent)]
    Graph(#[from] LowerError),
    #[error(transparent)]
    Jit(#[from] JitError),
}

/// A compiled graph; its arena is the workspace's.
pub struct CpuExecutable {
    graph: Graph,
    program: program::Program<Cpu>,
    kernels: Vec<vir::Kernel>,
    code: jit::Code,
    features: Features,
    workspace: Arc<Workspace>,
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
    workspace: Arc<Workspace>,
) -> Result<CpuExecutable, CompileError> {
    compile_for(graph, options, workspace, Features::detect())
}

/// As [`compile`], with no more than `features` of the processor.
///
/// # Errors
/// As [`compile`].
pub fn compile_for(
    graph: &Graph,
    options: &Options,
    workspace: Arc<Workspace>,
    features: Features,
) -> Result<CpuExecutable, CompileError> {
    let settings = program::Settings {
        seed: options.seed,
        target: Cpu { features },
    };
    let mut kernels = program::Kernels::default();
    let program = plan::plan(graph, false, &settings, &mut kernels)?;
    let code = jit::compile(&kernels.list, features)?;
    workspace.reserve(program.arena, program.scratch);
    Ok(CpuExecutable {
        graph: graph.clone(),
        kernels: kernels.list,
        bases: vec![std::ptr::null_mut(); program.bases],
        program,
        code,
        features,
        workspace,
    })
}

/// What running a graph would take; nothing is compiled and no memory taken.
///
/// # Errors
/// As [`compile`].
pub fn cost(graph: &Graph, options: &Options) -> Result<Cost, CompileError> {
    let settings = program::Settings {
        seed: options.seed,
        target: Cpu {
            features: Features::detect(),
        },
    };
    let program = plan::plan(graph, false, &settings, &mut program::Kernels::default())?;
    Ok(Cost {
        arena_bytes: program.arena,
        scratch_bytes: program.scratch,
        flops: program.flops,
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
        let workspace = self.workspace.clone();
        let memory = workspace.lock();
        self.bind(inputs, results, &memory);
        let context = run::Context {
            pool: &workspace.pool,
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
        self.kernel_texts(jit::clif_text)
    }

    /// The machine code of every kernel that runs: `nnc emit --stage asm`.
    ///
    /// # Errors
    /// As [`compile`].
    pub fn asm_text(&self) -> Result<String, CompileError> {
        self.kernel_texts(jit::asm_text)
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
        let workspace = self.workspace.clone();
        let memory = workspace.lock();
        self.bind(inputs, results, &memory);
        let context = run::Context {
            pool: &workspace.pool,
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

    fn bind(&mut self, inputs: &[*mut u8], results: &[*mut u8], memory: &Buffers) {
        self.bases[usize::from(program::ARENA)] = memory.arena();
        self.bases[usize::from(program::SCRATCH)] = memory.scratch();
        let own = &mut self.bases[usize::from(program::FIRST_INPUT)..];
        own[..inputs.len()].copy_from_slice(inputs);
        own[inputs.len()..inputs.len() + results.len()].copy_from_slice(results);
    }

    fn kernel_texts(
        &self,
        of: fn(&vir::Kernel, Features) -> Result<String, JitError>,
    ) -> Result<String, CompileError> {
        let mut out = String::new();
        for (i, kernel) in self.kernels.iter().enumerate() {
            let body = of(kernel, self.features)?;
            out.push_str(&format!("; kernel {i}\n{body}\n"));
        }
        Ok(out)
    }
}
