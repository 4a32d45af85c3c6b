//! Executables by kind and batch size, compiled when first needed, bound to the
//! store and to batches. A step allocates nothing.

use crate::backend::Executable;
use crate::bytes::AlignedBytes;
use crate::data::Batch;
use crate::data::table::Storage;
use crate::ir::{Bindings, Elem, Graph, OutputRole, Role};
use crate::spec::Programs;
use crate::train::RunError;
use crate::train::store::Store;

/// Graph without symbols -> something that runs: passes and a back end.
pub type Compile<'a> = dyn Fn(Graph) -> Result<Box<dyn Executable>, RunError> + 'a;

/// The programs that take batches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
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
    compiled: Vec<(Kind, usize, Compiled)>,
    metrics: Compiled,
    /// `closing` by the number of rows of the epoch.
    closing: Vec<(usize, Compiled)>,
    /// Where the numbers of rows collected are counted; none: no metric collects.
    rows: Option<usize>,
    /// Of each result of `metrics`, then of `closing`.
    values: Vec<f64>,
    names: Vec<String>,
    /// Offsets of the `F64[]` accumulators that the loss is made of.
    loss: Vec<usize>,
    steps: u64,
}

/// An executable, and where its inputs and results are.
struct Compiled {
    run: Box<dyn Executable>,
    inputs: Vec<Source>,
    results: Vec<Target>,
    /// What `run` is handed; filled anew each time.
    pointers: (Vec<*mut u8>, Vec<*mut u8>),
}

enum Source {
    /// At an offset in the store.
    Store(usize),
    /// A column of the batch.
    Column {
        name: String,
        /// Bytes in a batch, as the graph takes them.
        bytes: usize,
        elem: Elem,
        /// Holds the column where the batch's own buffer is not aligned or of another type.
        staging: Option<AlignedBytes>,
    },
}

enum Target {
    Store(usize),
    Own(AlignedBytes),
    /// Rows that are put behind those in the store.
    Rows {
        batch: AlignedBytes,
        /// Of all rows, in the store.
        at: usize,
        len: usize,
        /// Where the store counts them.
        count: usize,
    },
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
        let mut store = Store::new(programs, rows)?;
        fill(&mut store);
        let mut init = Compiled::new(compile(programs.init.clone())?, &store, Results::InStore)?;
        init.run(&mut store, None)?;
        drop(init);
        store.accumulators_are_fresh();
        let metrics = Compiled::new(compile(programs.metrics.clone())?, &store, Results::Own)?;
        let shown = results(&programs.metrics).chain(results(&programs.closing));
        let names: Vec<String> = shown.map(|(n, _)| n.into()).collect();
        let rows = programs.closing.inputs.first().map(|i| count_of(&i.name));
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
    pub fn columns(&self, kind: Kind) -> Vec<&'a str> {
        columns(self.programs, kind)
    }

    /// One step of training.
    pub fn train(&mut self, batch: &Batch) -> Result<(), RunError> {
        self.run(Kind::Train, batch)?;
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
        self.run(Kind::Eval, batch).map(drop)
    }

    /// The model's outputs for a batch, as bytes, in the order of [`Session::outputs`].
    pub fn predict(&mut self, batch: &Batch) -> Result<impl Iterator<Item = &[u8]>, RunError> {
        let i = self.run(Kind::Predict, batch)?;
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
    pub fn prepare(&mut self, kind: Kind, rows: usize) -> Result<&dyn Executable, RunError> {
        let i = self.index(kind, rows)?;
        Ok(&*self.compiled[i].2.run)
    }

    fn run(&mut self, kind: Kind, batch: &Batch) -> Result<usize, RunError> {
        let i = self.index(kind, batch.rows())?;
        self.compiled[i].2.run(&mut self.store, Some(batch))?;
        Ok(i)
    }

    fn index(&mut self, kind: Kind, rows: usize) -> Result<usize, RunError> {
        let known = self
            .compiled
            .iter()
            .position(|(k, r, _)| (*k, *r) == (kind, rows));
        if let Some(i) = known {
            return Ok(i);
        }
        let graph = sized(graph(self.programs, kind), rows)?;
        let to = match kind {
            Kind::Train | Kind::Eval => Results::Collected,
            Kind::Predict => Results::Own,
        };
        let compiled = Compiled::new((self.compile)(graph)?, &self.store, to)?;
        self.compiled.push((kind, rows, compiled));
        Ok(self.compiled.len() - 1)
    }
}

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
    pub fn results(&self) -> Vec<(&str, &crate::ir::Type)> {
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

/// The columns that a program takes.
pub fn columns(programs: &Programs, kind: Kind) -> Vec<&str> {
    data_columns(graph(programs, kind))
}

fn data_columns(graph: &Graph) -> Vec<&str> {
    let inputs = graph.inputs.iter();
    inputs
        .filter(|i| i.role == Role::Data)
        .map(|i| &*i.name)
        .collect()
}

fn graph(programs: &Programs, kind: Kind) -> &Graph {
    match kind {
        Kind::Train => &programs.train,
        Kind::Eval => &programs.eval,
        Kind::Predict => &programs.predict,
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

/// Where results go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Results {
    InStore,
    Own,
    /// Behind the rows that the store holds.
    Collected,
}

/// The accumulator that counts the rows collected under a name.
fn count_of(name: &str) -> String {
    format!("{name}/rows")
}

impl Compiled {
    fn new(run: Box<dyn Executable>, store: &Store, to: Results) -> Result<Compiled, RunError> {
        let graph = run.graph();
        let unknown = |name: &str| RunError::Program(format!("nothing fills `{name}`"));
        let bytes = |v| {
            let ty = graph.ty(v);
            match ty.sizes() {
                Some(_) => Ok(ty.bytes()),
                None => Err(RunError::Program(format!("{ty} has no size yet"))),
            }
        };
        let inputs = graph
            .inputs
            .iter()
            .map(|input| match input.role {
                Role::Data => Ok(Source::Column {
                    name: input.name.to_string(),
                    bytes: bytes(input.value)?,
                    elem: graph.ty(input.value).elem,
                    staging: None,
                }),
                _ => {
                    let buffer = store
                        .find(&input.name)
                        .ok_or_else(|| unknown(&input.name))?;
                    Ok(Source::Store(buffer.offset()))
                }
            })
            .collect::<Result<Vec<_>, RunError>>()?;
        let results = results(graph)
            .zip(
                graph
                    .outputs
                    .iter()
                    .filter(|o| o.role == OutputRole::Result),
            )
            .map(|((name, _), output)| match to {
                Results::InStore => {
                    let buffer = store.find(name).ok_or_else(|| unknown(name))?;
                    Ok(Target::Store(buffer.offset()))
                }
                Results::Own => Ok(Target::Own(AlignedBytes::zeroed(bytes(output.value)?))),
                Results::Collected => {
                    let buffer = store.find(name).ok_or_else(|| unknown(name))?;
                    let count = count_of(name);
                    let count = store.find(&count).ok_or_else(|| unknown(&count))?;
                    Ok(Target::Rows {
                        batch: AlignedBytes::zeroed(bytes(output.value)?),
                        at: buffer.offset(),
                        len: buffer.len(),
                        count: count.offset(),
                    })
                }
            })
            .collect::<Result<Vec<_>, RunError>>()?;
        let pointers = (
            Vec::with_capacity(inputs.len()),
            Vec::with_capacity(results.len()),
        );
        Ok(Compiled {
            run,
            inputs,
            results,
            pointers,
        })
    }

    fn run(&mut self, store: &mut Store, batch: Option<&Batch>) -> Result<(), RunError> {
        let base = store.base();
        let before = self.rows_before(base);
        let (inputs, results) = &mut self.pointers;
        inputs.clear();
        results.clear();
        let mut column = 0;
        for source in &mut self.inputs {
            inputs.push(match source {
                // SAFETY: an offset of a buffer in the store.
                Source::Store(offset) => unsafe { base.add(*offset) },
                Source::Column {
                    name,
                    bytes,
                    elem,
                    staging,
                } => {
                    let batch = batch
                        .filter(|b| column < b.columns())
                        .ok_or_else(|| RunError::Program(format!("no column `{name}`")))?;
                    let from = batch.column(column);
                    column += 1;
                    place(name, from, *bytes, *elem, staging)?
                }
            });
        }
        for target in &mut self.results {
            results.push(match target {
                // SAFETY: as above.
                Target::Store(offset) => unsafe { base.add(*offset) },
                Target::Own(bytes) | Target::Rows { batch: bytes, .. } => bytes.as_mut_ptr(),
            });
        }
        // SAFETY: every buffer has its type's size (checked when it was bound, columns just
        // now) and is aligned; buffers of the store, of results and of batches are distinct.
        unsafe { self.run.run(inputs, results) };
        match before {
            Some(before) => self.collect(base, before),
            None => Ok(()),
        }
    }

    /// Results that are in no store, as bytes.
    fn own(&self) -> impl Iterator<Item = &[u8]> {
        self.results.iter().filter_map(|t| match t {
            Target::Own(bytes) => Some(&**bytes),
            Target::Store(_) | Target::Rows { .. } => None,
        })
    }

    /// Rows collected so far, of a program that collects.
    fn rows_before(&self, base: *mut u8) -> Option<usize> {
        let count = self.results.iter().find_map(|t| match t {
            Target::Rows { count, .. } => Some(*count),
            _ => None,
        })?;
        // SAFETY: the offset is that of an F64 scalar in the store.
        Some(unsafe { base.add(count).cast::<f64>().read() } as usize)
    }

    /// Puts the batch's rows behind the `before` that the store holds.
    fn collect(&self, base: *mut u8, before: usize) -> Result<(), RunError> {
        for target in &self.results {
            let Target::Rows {
                batch,
                at,
                len,
                count,
            } = target
            else {
                continue;
            };
            // SAFETY: the offset is that of an F64 scalar in the store.
            let now = unsafe { base.add(*count).cast::<f64>().read() } as usize;
            let row = batch.len() / now.saturating_sub(before).max(1);
            if row * now > *len {
                return Err(RunError::Program(format!(
                    "a metric collects {now} rows, and has room for {}",
                    *len / row.max(1)
                )));
            }
            // SAFETY: as just seen, the rows end within the buffer, which lies in the store;
            // the batch's own buffer is another.
            unsafe {
                let to = base.add(at + row * before);
                to.copy_from_nonoverlapping(batch.as_ptr(), batch.len());
            }
        }
        Ok(())
    }

    /// Results that are F64 scalars.
    fn read(&self, values: &mut [f64]) {
        for (value, target) in values.iter_mut().zip(&self.results) {
            if let Target::Own(bytes) = target
                && let Some(bytes) = bytes.first_chunk()
            {
                *value = f64::from_le_bytes(*bytes);
            }
        }
    }
}

/// Names and types of a graph's results.
fn results(graph: &Graph) -> impl Iterator<Item = (&str, &crate::ir::Type)> {
    graph
        .outputs
        .iter()
        .filter(|o| o.role == OutputRole::Result)
        .map(|o| (&*o.name, graph.ty(o.value)))
}

/// Where the executable finds a column: in the batch, or in `staging`, where it is
/// copied if it is not aligned, and converted if the file stores it otherwise.
pub(super) fn place(
    name: &str,
    from: crate::data::batch::BatchColumn,
    bytes: usize,
    elem: Elem,
    staging: &mut Option<AlignedBytes>,
) -> Result<*mut u8, RunError> {
    let same = matches!(
        (from.storage, elem),
        (Storage::U8, Elem::U8 | Elem::Bool)
            | (Storage::I32, Elem::I32)
            | (Storage::F32, Elem::F32)
    );
    let size = from.storage.size().unwrap_or(1);
    if from.bytes.len() / size != bytes / elem.size() {
        return Err(RunError::Column {
            column: name.into(),
            found: format!("{:?}", from.shape),
            expected: format!("{} values per batch", bytes / elem.size()),
        });
    }
    let aligned = (from.as_ptr() as usize).is_multiple_of(crate::bytes::ALIGN);
    if same && aligned {
        return Ok(from.as_ptr().cast_mut());
    }
    let to = staging.get_or_insert_with(|| AlignedBytes::zeroed(bytes));
    if same {
        to.copy_from_slice(from.bytes);
    } else {
        let (i32s, f32s) = (to.as_mut_ptr().cast::<i32>(), to.as_mut_ptr().cast::<f32>());
        let count = bytes / elem.size();
        // SAFETY: `to` is aligned and holds `count` elements of the type written.
        match (from.storage, elem) {
            (Storage::U8, Elem::I32) => (from.bytes.iter().take(count).enumerate())
                .for_each(|(i, &x)| unsafe { i32s.add(i).write(i32::from(x)) }),
            (Storage::U8, Elem::F32) => (from.bytes.iter().take(count).enumerate())
                .for_each(|(i, &x)| unsafe { f32s.add(i).write(f32::from(x)) }),
            (Storage::U16, Elem::I32) => (from
                .u16s()
                .unwrap_or_default()
                .iter()
                .take(count)
                .enumerate())
            .for_each(|(i, &x)| unsafe { i32s.add(i).write(i32::from(x)) }),
            (Storage::I32, Elem::F32) => (from
                .i32s()
                .unwrap_or_default()
                .iter()
                .take(count)
                .enumerate())
            .for_each(|(i, &x)| unsafe { f32s.add(i).write(x as f32) }),
            (storage, elem) => {
                return Err(RunError::Column {
                    column: name.into(),
                    found: storage.name().into(),
                    expected: elem.name().into(),
                });
            }
        }
    }
    Ok(to.as_mut_ptr())
}

/// Names of the scalar accumulators that the result `loss` is computed from.
fn loss_accumulators(metrics: &Graph) -> impl Iterator<Item = std::sync::Arc<str>> {
    let mut needed = vec![false; metrics.value_count()];
    if let Some(o) = metrics.outputs.iter().find(|o| &*o.name == "loss") {
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
