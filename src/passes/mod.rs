//! Graph to graph: from what was written to what is worth compiling.
//!
//! Every pass takes a graph and gives a new one that computes the same outputs. They
//! work on symbolic graphs too. The verifier runs between them in debug builds.
//!
//! ```text
//! simplify   constants, identities, layout, common subexpressions, scans
//! stable     logarithms of softmax and sigmoid, before their gradient is taken
//! autodiff   gradients
//! simplify   what autodiff made; dead code
//! memory     buffers of a plan share an arena (called by back ends)
//! ```

pub mod autodiff;
pub(crate) mod build;
pub mod dce;
pub mod memory;
pub(crate) mod rewrite;
pub mod simplify;
pub mod stable;

use crate::ir::{Graph, Stage, TypeError, VerifyError, verify};

/// A pass by name.
pub struct Pass {
    pub name: &'static str,
    pub run: fn(&Graph) -> Result<Graph, TypeError>,
    /// What the verifier may ask of the result.
    pub stage: Stage,
}

/// What [`optimize`] does, in this order.
pub const PIPELINE: [Pass; 4] = [
    Pass {
        name: "simplify",
        run: simplify::simplify,
        stage: Stage::Built,
    },
    Pass {
        name: "stable",
        run: stable::stable,
        stage: Stage::Built,
    },
    Pass {
        name: "autodiff",
        run: autodiff::autodiff,
        stage: Stage::Differentiated,
    },
    Pass {
        name: "simplify",
        run: simplify::simplify,
        stage: Stage::Differentiated,
    },
];

/// A pass failed. Sizes that overflow are the user's; anything else is a fault of the compiler.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PassError {
    #[error("{pass}: {error}")]
    Type {
        pass: &'static str,
        error: TypeError,
    },
    #[error("{pass} made a graph that is not well formed: {}", first(errors))]
    Malformed {
        pass: &'static str,
        errors: Vec<VerifyError>,
    },
}

/// Runs all passes.
///
/// # Errors
/// The pass that failed, and why.
pub fn optimize(graph: &Graph) -> Result<Graph, PassError> {
    let mut graph = graph.clone();
    for Pass { name, run, stage } in PIPELINE {
        graph = run(&graph).map_err(|error| PassError::Type { pass: name, error })?;
        if cfg!(debug_assertions) {
            verify(&graph, stage).map_err(|errors| PassError::Malformed { pass: name, errors })?;
        }
    }
    Ok(graph)
}

fn first(errors: &[VerifyError]) -> String {
    errors
        .first()
        .map(VerifyError::to_string)
        .unwrap_or_default()
}
