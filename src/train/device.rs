//! The back ends, as one function from graph to executable.

use std::sync::Arc;

use crate::backend::cpu::machine::workspace::Workspace;
use crate::backend::cpu::{self, CpuExecutable};
use crate::backend::interp::Interpreter;
use crate::backend::{Cost, Executable, Options};
use crate::ir::Graph;
use crate::passes::{PassError, optimize};
use crate::train::RunError;

/// What computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    Cpu,
    Interp,
}

/// Compiles graphs for a target; graphs must have no symbols left. What it compiles
/// shares threads and memory, and runs one at a time.
pub struct Device {
    target: Target,
    options: Options,
    workspace: Arc<Workspace>,
}

impl Device {
    pub fn new(target: Target, options: Options) -> Device {
        let threads = match target {
            Target::Cpu => options.threads,
            Target::Interp => 1,
        };
        Device {
            target,
            workspace: Arc::new(Workspace::new(threads)),
            options,
        }
    }

    pub fn compile(&self, graph: Graph) -> Result<Box<dyn Executable>, RunError> {
        match self.target {
            Target::Cpu => Ok(Box::new(self.compile_cpu(&graph)?)),
            Target::Interp => {
                let run = Interpreter::compile(&optimized(&graph)?, &self.options);
                Ok(Box::new(run.map_err(|e| compile_error(&e))?))
            }
        }
    }

    /// What running a graph would take, before any memory is taken for it.
    pub fn cost(&self, graph: &Graph) -> Result<Cost, RunError> {
        let graph = optimized(graph)?;
        match self.target {
            Target::Cpu => cpu::cost(&graph, &self.options).map_err(|e| compile_error(&e)),
            Target::Interp => {
                let run = Interpreter::compile(&graph, &self.options);
                Ok(run.map_err(|e| compile_error(&e))?.cost())
            }
        }
    }

    /// As [`Device::compile`], for the CPU whatever the target.
    pub fn compile_cpu(&self, graph: &Graph) -> Result<CpuExecutable, RunError> {
        let graph = optimized(graph)?;
        cpu::compile(&graph, &self.options, self.workspace.clone()).map_err(|e| compile_error(&e))
    }
}

/// What all back ends are given.
pub fn optimized(graph: &Graph) -> Result<Graph, RunError> {
    optimize(graph).map_err(|e| match e {
        PassError::Type { .. } => compile_error(&e),
        PassError::Malformed { .. } => RunError::Program(e.to_string()),
    })
}

fn compile_error(error: &dyn std::error::Error) -> RunError {
    RunError::Compile {
        reason: error.to_string(),
    }
}
