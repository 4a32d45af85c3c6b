//! The back ends, as one function from graph to executable.

use crate::backend::interp::Interpreter;
use crate::backend::{Executable, Options};
use crate::ir::Graph;
use crate::passes::{PassError, optimize};
use crate::train::RunError;

/// What computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    Cpu,
    Interp,
}

/// Compiles graphs for a target; graphs must have no symbols left.
pub struct Device {
    target: Target,
    options: Options,
}

impl Device {
    pub fn new(target: Target, options: Options) -> Device {
        Device { target, options }
    }

    pub fn compile(&self, graph: Graph) -> Result<Box<dyn Executable>, RunError> {
        let graph = optimize(&graph).map_err(|e| match e {
            PassError::Type { .. } => RunError::Compile {
                reason: e.to_string(),
            },
            PassError::Malformed { .. } => RunError::Program(e.to_string()),
        })?;
        match self.target {
            Target::Cpu | Target::Interp => match Interpreter::compile(&graph, &self.options) {
                Ok(run) => Ok(Box::new(run)),
                Err(e) => Err(RunError::Compile {
                    reason: e.to_string(),
                }),
            },
        }
    }
}
