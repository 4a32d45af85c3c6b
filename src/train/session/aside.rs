//! A program beside those of a run.

use super::compiled::{Compiled, Results, results};
use super::{Session, data_columns, sized};
use crate::data::Batch;
use crate::ir::{Graph, Type};
use crate::train::RunError;

/// A program beside those of a run, over the buffers of its session; its results are its own.
pub struct Aside {
    graph: Graph,
    compiled: Vec<(usize, Compiled)>,
}

impl Aside {
    pub fn new(graph: Graph) -> Aside {
        Aside {
            graph,
            compiled: Vec::new(),
        }
    }

    /// The columns that it takes, in the order in which its batches must hold them.
    pub fn columns(&self) -> Vec<&str> {
        data_columns(&self.graph)
    }

    /// Names and types of its results.
    pub fn results(&self) -> Vec<(&str, &Type)> {
        results(&self.graph).collect()
    }

    /// Runs it on a batch; the results as bytes, in the order of [`Aside::results`].
    pub fn run(
        &mut self,
        session: &mut Session,
        batch: &Batch,
    ) -> Result<impl Iterator<Item = &[u8]>, RunError> {
        let rows = batch.rows();
        let i = match self.compiled.iter().position(|(n, _)| *n == rows) {
            Some(i) => i,
            None => {
                let run = (session.compile)(sized(&self.graph, rows)?)?;
                let compiled = Compiled::new(run, &session.store, Results::Own)?;
                self.compiled.push((rows, compiled));
                self.compiled.len() - 1
            }
        };
        let compiled = &mut self.compiled[i].1;
        compiled.run(&mut session.store, Some(batch))?;
        Ok(compiled.own())
    }
}
