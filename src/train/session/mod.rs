//! Executables by kind and batch size, compiled when first needed, bound to the
//! store and to batches. A step allocates nothing.

mod aside;
mod compiled;

use crate::backend::Executable;
use crate::data::Batch;
use crate::ir::{Bindings, Elem, Graph, Role};
use crate::spec::{Programs, names};
use crate::train::RunError;
use crate::train::memory;
use crate::train::store::Store;
use compiled::{Compiled, Results, results};

pub use aside::Aside;
pub(in crate::train) use compiled::place;

/// Graph without symbols -> something that runs: passes and a back end.
pub type Compile<'a> = dyn Fn(Graph) -> Result<Box<dyn Executable>, RunError> + 'a;

/// The programs that take batches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProgramKind {
    Train,
    Eval,
    Predict,
}

/// Programs for the end of an epoch that are kept.
const CLOSINGS: usize = 4;

pub struct Session<'a> {
    programs: &'a Programs,
    compile: Box<Compile<'a>>,
    store: Store,
    compiled: Vec<(ProgramKind, usize, Compiled)>,
    metrics: Compiled,
    /// `closing` by the number of rows of the epoch.
    closing: Vec<(usize, Compiled)>,
    /// Where the numbers of rows collected are counted; none: no metric collects.
    rows: Option<usize>,
    /// Values of the results of `metrics`, then of `closing`.
    values: Vec<f64>,
    names: Vec<String>,
    /// Offsets of the `F64[]` accumulators that the loss is made of.
    loss: Vec<usize>,
    steps: u64,
}

impl<'a> Session<'a> {
    /// Runs `init` once; no other program is compiled yet, apart from `metrics`. `rows` is the
    /// most that an epoch of any part has.
    pub fn new(
        programs: &'a Programs,
        rows: usize,
        compile: Box<Compile<'a>>,
    ) -> Result<Session<'a>, RunError> {
        Session::filled(programs, rows, |_| {}, compile)
    }

    /// The same, where initial values are made of what was fitted: `fill` sets that.
    pub fn filled(
        programs: &'a Programs,
        rows: usize,
        fill: impl FnOnce(&mut Store),
        compile: Box<Compile<'a>>,
    ) -> Result<Session<'a>, RunError> {
        let store = Store::laid_out(programs, rows)?;
        memory::holds(&store)?;
        let mut store = store.allocated();
        fill(&mut store);
        let mut init = Compiled::new(compile(programs.init.clone())?, &store, Results::InStore)?;
        init.run(&mut store, None)?;
        drop(init);
        store.accumulators_are_fresh();
        let metrics = Compiled::new(compile(programs.metrics.clone())?, &store, Results::Own)?;
        let shown = results(&programs.metrics).chain(results(&programs.closing));
        let names: Vec<String> = shown.map(|(n, _)| n.into()).collect();
        let rows = programs
            .closing
            .inputs
            .first()
            .map(|i| names::collected_rows(&i.name));
        let rows = rows.and_then(|name| store.find(&name).map(super::store::Buffer::offset));
        let loss = loss_accumulators(&programs.metrics)
            .filter_map(|name| store.find(&name).map(super::store::Buffer::offset))
            .collect();
        Ok(Session {
            programs,
            compile,
            values: vec![0.0; names.len()],
            store,
            compiled: Vec::new(),
            metrics,
            closing: Vec::new(),
            rows,
            names,
            loss,
            steps: 0,
        })
    }

    /// The columns that a program takes, in the order in which its batches must hold them.
    pub fn columns(&self, kind: ProgramKind) -> Vec<&'a str> {
        columns(self.programs, kind)
    }

    /// One step of training.
    pub fn train(&mut self, batch: &Batch) -> Result<(), RunError> {
        self.run(ProgramKind::Train, batch)?;
        self.set_steps(self.steps + 1);
        Ok(())
    }

    /// Training has ended: parameters that are to be averages of themselves become that.
    pub fn settle(&mut self) {
        for (to, from) in &self.programs.ends {
            self.store.copy(to, from);
        }
    }

    /// Adds a batch to the metric accumulators.
    pub fn evaluate(&mut self, batch: &Batch) -> Result<(), RunError> {
        self.run(ProgramKind::Eval, batch).map(drop)
    }

    /// The model's outputs for a batch, as bytes, in the order of [`Session::outputs`].
    pub fn predict(&mut self, batch: &Batch) -> Result<impl Iterator<Item = &[u8]>, RunError> {
        let i = self.run(ProgramKind::Predict, batch)?;
        Ok(self.compiled[i].2.own())
    }

    /// Names and types of the model's outputs; their first axis is the batch.
    pub fn outputs(&self) -> Vec<(&'a str, &'a crate::ir::Type)> {
        results(&self.programs.predict).collect()
    }

    /// Steps done since training began.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    pub fn set_steps(&mut self, steps: u64) {
        self.steps = steps;
        // I32: wraps after two billion steps, where only the draws of old steps come again
        let counter = (steps as i32).to_le_bytes();
        let name = self
            .store
            .buffers()
            .iter()
            .find(|b| b.role == Role::Step)
            .map(|b| b.name.clone());
        if let Some(name) = name {
            self.store.set(&name, &counter);
        }
    }

    pub fn reset_metrics(&mut self) {
        self.store.reset_accumulators();
    }

    /// What the accumulators amount to now, in the order of [`Session::metric_names`]; those that
    /// need every row of the epoch, which come last, are left out.
    pub fn running(&mut self) -> Result<&[f64], RunError> {
        self.metrics.run(&mut self.store, None)?;
        let known = self.metrics.results.len();
        self.metrics.read(&mut self.values[..known]);
        Ok(&self.values[..known])
    }

    /// What the accumulators and the rows collected amount to, in the order of
    /// [`Session::metric_names`].
    pub fn metrics(&mut self) -> Result<&[f64], RunError> {
        let known = self.running()?.len();
        let Some(at) = self.rows else {
            return Ok(&self.values);
        };
        // SAFETY: the offset is that of an F64 scalar in the store.
        let rows = unsafe { self.store.base().add(at).cast::<f64>().read() } as usize;
        if rows == 0 {
            self.values[known..].fill(f64::NAN);
            return Ok(&self.values);
        }
        let i = match self.closing.iter().position(|(n, _)| *n == rows) {
            Some(i) => i,
            None => {
                let run = (self.compile)(sized(&self.programs.closing, rows)?)?;
                let compiled = Compiled::new(run, &self.store, Results::Own)?;
                // One for each part; an epoch broken off has a number of rows of its own.
                if self.closing.len() == CLOSINGS {
                    self.closing.remove(0);
                }
                self.closing.push((rows, compiled));
                self.closing.len() - 1
            }
        };
        let closing = &mut self.closing[i].1;
        closing.run(&mut self.store, None)?;
        closing.read(&mut self.values[known..]);
        Ok(&self.values)
    }

    pub fn metric_names(&self) -> &[String] {
        &self.names
    }

    /// False once a NaN or an infinity has got into the loss.
    pub fn loss_is_finite(&mut self) -> bool {
        let base = self.store.base();
        // SAFETY: the offsets are those of F64 scalars in the store.
        let read = |&at: &usize| unsafe { base.add(at).cast::<f64>().read() };
        self.loss.iter().all(|at| read(at).is_finite())
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    pub fn store_mut(&mut self) -> &mut Store {
        &mut self.store
    }

    pub fn programs(&self) -> &'a Programs {
        self.programs
    }

    /// Compiles a graph without symbols, for this session's device.
    pub fn compile(&self, graph: Graph) -> Result<Box<dyn Executable>, RunError> {
        (self.compile)(graph)
    }

    /// Compiles a program for batches of `rows`, unless it has been.
    pub fn prepare(&mut self, kind: ProgramKind, rows: usize) -> Result<&dyn Executable, RunError> {
        let i = self.index(kind, rows)?;
        Ok(&*self.compiled[i].2.run)
    }

    fn run(&mut self, kind: ProgramKind, batch: &Batch) -> Result<usize, RunError> {
        let i = self.index(kind, batch.rows())?;
        self.compiled[i].2.run(&mut self.store, Some(batch))?;
        Ok(i)
    }

    fn index(&mut self, kind: ProgramKind, rows: usize) -> Result<usize, RunError> {
        let known = self
            .compiled
            .iter()
            .position(|(k, r, _)| (*k, *r) == (kind, rows));
        if let Some(i) = known {
            return Ok(i);
        }
        let graph = sized(graph(self.programs, kind), rows)?;
        let to = match kind {
            ProgramKind::Train | ProgramKind::Eval => Results::Collected,
            ProgramKind::Predict => Results::Own,
        };
        let compiled = Compiled::new((self.compile)(graph)?, &self.store, to)?;
        self.compiled.push((kind, rows, compiled));
        Ok(self.compiled.len() - 1)
    }
}

/// The columns that a program takes.
pub fn columns(programs: &Programs, kind: ProgramKind) -> Vec<&str> {
    data_columns(graph(programs, kind))
}

fn data_columns(graph: &Graph) -> Vec<&str> {
    let inputs = graph.inputs.iter();
    inputs
        .filter(|i| i.role == Role::Data)
        .map(|i| &*i.name)
        .collect()
}

fn graph(programs: &Programs, kind: ProgramKind) -> &Graph {
    match kind {
        ProgramKind::Train => &programs.train,
        ProgramKind::Eval => &programs.eval,
        ProgramKind::Predict => &programs.predict,
    }
}

/// A graph for batches of `rows`.
pub fn sized(graph: &Graph, rows: usize) -> Result<Graph, RunError> {
    let bindings = Bindings::from([("B".into(), rows as i64)]);
    graph.specialize(&bindings).map_err(|e| RunError::Size {
        rows,
        reason: e.to_string(),
    })
}

/// Names of the scalar accumulators that the result `loss` is computed from.
fn loss_accumulators(metrics: &Graph) -> impl Iterator<Item = std::sync::Arc<str>> {
    let mut needed = vec![false; metrics.value_count()];
    if let Some(o) = metrics.outputs.iter().find(|o| &*o.name == names::LOSS) {
        needed[o.value.0 as usize] = true;
    }
    for node in metrics.nodes.iter().rev() {
        if node.values().any(|v| needed[v.0 as usize]) {
            node.args.iter().for_each(|a| needed[a.0 as usize] = true);
        }
    }
    metrics.inputs.iter().filter_map(move |i| {
        let ty = metrics.ty(i.value);
        (needed[i.value.0 as usize] && ty.elem == Elem::F64 && ty.rank() == 0)
            .then(|| i.name.clone())
    })
}
