//! Where the first number that is not finite came from.
//!
//! The run is made again from a saved state, bit for bit, with a look at everything that it
//! keeps after each step; the first step after which something is not finite is then done on
//! the interpreter, every operation seen. From what is not finite at its end the way leads
//! back, through arguments that are not finite, to operations that made it of finite ones.
//! The first of them is the one told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use ndarray::Dimension;
use rustc_hash::FxHashMap;

use crate::backend::interp::{self, Array};
use crate::bytes::AlignedBytes;
use crate::data::Batch;
use crate::ir::prim::{Binary, Unary};
use crate::ir::{Elem, Graph, Node, Prim, Role, Stage, Value, verify};
use crate::span::Span;
use crate::train::device::optimized;
use crate::train::fit::{Fit, Nothing, Parts};
use crate::train::progress::ProgressSink;
use crate::train::session::{place, sized};
use crate::train::{Callbacks, ProgramKind, RunError, Session, fit};

/// The step at which it happened, and what did.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Both from 1.
    pub epoch: usize,
    pub step: u64,
    pub cause: Cause,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Cause {
    /// A column of the batch holds it, at a row of the batch.
    Data {
        column: String,
        row: usize,
    },
    /// Something that is kept held it before the step.
    Kept {
        name: String,
    },
    Operation(Box<Operation>),
}

/// An operation that made of finite numbers one that is not.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    pub prim: &'static str,
    /// The expression of the program.
    pub span: Option<Span>,
    /// The layer.
    pub path: Arc<str>,
    /// Whether the loss needs it; else it is of the gradient or of the optimizer.
    pub forward: bool,
    /// The first such value, where it is, and how many there are.
    pub value: f64,
    pub at: Vec<usize>,
    pub shape: Vec<usize>,
    pub count: usize,
    pub args: Vec<Argument>,
    pub fault: Fault,
}

/// An argument: its value at the same place, where it has one, and between what its values lie.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    pub value: Option<f64>,
    pub least: f64,
    pub most: f64,
    pub shape: Vec<usize>,
}

/// The usual cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    LogOfZero,
    LogOfNegative,
    RootOfNegative,
    ExpTooLarge,
    DivisionByZero,
    Power,
    /// Too large for 32 bits.
    Overflow,
}

/// Makes a run again from where `plan` begins, to the first step after which something is
/// not finite. Nothing if there is none.
pub fn find(
    session: &mut Session,
    parts: &mut Parts,
    plan: &Fit,
    callbacks: &mut Callbacks,
    seed: u64,
) -> Result<Option<Trace>, RunError> {
    let stop = AtomicBool::new(false);
    let mut search = Search {
        before: session.store().image().to_vec(),
        steps: session.steps(),
        found: false,
        stop: &stop,
    };
    // validation decides what callbacks do
    let test = parts.test.take();
    let again = Fit {
        epochs: plan.epochs,
        from: plan.from,
        limit: None,
        stop: &stop,
        every: None,
        history: Vec::new(),
        spent: 0.0,
    };
    let ended = fit(session, parts, &again, callbacks, &mut search, &mut Nothing);
    parts.test = test;
    match ended {
        Err(RunError::NotFinite { .. }) => search.found = true,
        other => drop(other?),
    }
    let Search {
        before,
        steps,
        found,
        ..
    } = search;
    if !found {
        return Ok(None);
    }
    session.store_mut().set_image(&before);
    session.set_steps(steps);
    let length = parts.train.len() as u64;
    let (epoch, first) = (steps / length, steps % length);
    let mut batches = parts.train.epoch_from(epoch, first as usize);
    let Some(batch) = batches.next_batch()? else {
        return Ok(None);
    };
    let cause = step(session, &batch, seed)?;
    Ok(cause.map(|cause| Trace {
        epoch: epoch as usize + 1,
        step: steps + 1,
        cause,
    }))
}

/// Keeps what was before each step, until one goes wrong.
struct Search<'a> {
    before: Vec<u8>,
    steps: u64,
    found: bool,
    stop: &'a AtomicBool,
}

impl ProgressSink for Search<'_> {
    fn step(&mut self, _: usize, _: usize, session: &mut Session) -> Result<(), RunError> {
        if self.found {
            return Ok(());
        }
        if session.loss_is_finite() && session.store().is_finite() {
            self.before.copy_from_slice(session.store().image());
            self.steps = session.steps();
        } else {
            self.found = true;
            self.stop.store(true, Relaxed);
        }
        Ok(())
    }
}

/// One step on the interpreter.
fn step(session: &Session, batch: &Batch, seed: u64) -> Result<Option<Cause>, RunError> {
    let graph = optimized(&sized(&session.programs().train, batch.rows())?)?;
    verify(&graph, Stage::Specialized)
        .map_err(|e| RunError::Program(e.first().map(ToString::to_string).unwrap_or_default()))?;
    let columns = session.columns(ProgramKind::Train);
    let mut inputs = Vec::new();
    for input in &graph.inputs {
        let ty = graph.ty(input.value);
        let shape = ty.sizes().unwrap_or_default();
        let array = if input.role == Role::Data {
            let at = columns.iter().position(|c| *c == &*input.name);
            let from = batch.column(at.unwrap_or_default());
            let mut staging: Option<AlignedBytes> = None;
            let start = place(&input.name, from, ty.bytes(), ty.elem, &mut staging)?;
            // SAFETY: `place` gives a buffer of so many bytes, which lives as long as the
            // batch or `staging`.
            let bytes = unsafe { std::slice::from_raw_parts(start, ty.bytes()) };
            Array::from_bytes(ty.elem, &shape, bytes)
        } else {
            let store = session.store();
            let buffer = store.find(&input.name);
            let buffer = buffer
                .ok_or_else(|| RunError::Program(format!("nothing fills `{}`", input.name)))?;
            Array::from_bytes(ty.elem, &shape, store.bytes(buffer))
        };
        if let Some((at, _)) = first_bad(&array) {
            let name = input.name.to_string();
            return Ok(Some(match input.role {
                Role::Data => Cause::Data {
                    column: name,
                    row: at.first().copied().unwrap_or(0),
                },
                _ => Cause::Kept { name },
            }));
        }
        inputs.push(array);
    }
    let mut bad: FxHashMap<Value, ()> = FxHashMap::default();
    let mut found: FxHashMap<Value, Operation> = FxHashMap::default();
    // of the region that is running
    let mut inner: Option<Operation> = None;
    interp::observe(&graph, inputs, seed, &mut |of, node, args, results| {
        let top = std::ptr::eq(of, &graph);
        if top {
            let all = node.values().zip(results);
            bad.extend(
                all.filter(|(_, r)| first_bad(r).is_some())
                    .map(|(v, _)| (v, ())),
            );
        }
        if let Prim::Scan(_) = node.prim {
            if let Some(operation) = inner.take().filter(|_| top) {
                found.insert(node.first, operation);
            }
        } else if let Some(operation) = operation(of, node, args, results) {
            if top {
                found.insert(node.first, operation);
            } else {
                inner.get_or_insert(operation);
            }
        }
    });
    let outputs = graph.outputs.iter().map(|o| o.value);
    let reached = ancestors(&graph, outputs.filter(|v| bad.contains_key(v)), |v| {
        bad.contains_key(&v)
    });
    let losses = graph.outputs.iter().filter(|o| {
        let metric = |i: usize| graph.inputs[i].role == Role::Metric;
        matches!(o.role, crate::ir::OutputRole::Update(i) if metric(i))
    });
    let forward = ancestors(&graph, losses.map(|o| o.value), |_| true);
    let first = graph
        .nodes
        .iter()
        .filter(|n| n.values().any(|v| reached[v.0 as usize]))
        .find_map(|n| Some((n, found.remove(&n.first)?)));
    Ok(first.map(|(node, operation)| {
        Cause::Operation(Box::new(Operation {
            forward: forward[node.first.0 as usize],
            ..operation
        }))
    }))
}

/// Which values `from` is made of, by way of values that `through` takes.
fn ancestors(
    graph: &Graph,
    from: impl Iterator<Item = Value>,
    through: impl Fn(Value) -> bool,
) -> Vec<bool> {
    let mut needed = vec![false; graph.value_count()];
    from.for_each(|v| needed[v.0 as usize] = true);
    for node in graph.nodes.iter().rev() {
        if node.values().any(|v| needed[v.0 as usize]) {
            let args = node.args.iter().filter(|a| through(**a));
            args.for_each(|a| needed[a.0 as usize] = true);
        }
    }
    needed
}

/// What is to be told of a node, if it makes something that is not finite of what is.
fn operation(graph: &Graph, node: &Node, args: &[&Array], results: &[Array]) -> Option<Operation> {
    if matches!(node.prim, Prim::Const { .. }) {
        return None;
    }
    let result = results.iter().find(|r| first_bad(r).is_some())?;
    if args.iter().any(|a| first_bad(a).is_some()) {
        return None;
    }
    let (at, value) = first_bad(result)?;
    let args: Vec<Argument> = args
        .iter()
        .map(|a| {
            let values = a.to_f64();
            Argument {
                value: if a.shape().is_empty() {
                    values.first().copied()
                } else if a.shape() == result.shape() {
                    values.get(&at[..]).copied()
                } else {
                    None
                },
                least: values.iter().copied().fold(f64::INFINITY, f64::min),
                most: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                shape: a.shape().to_vec(),
            }
        })
        .collect();
    let origin = &graph.origins[node.origin.0 as usize];
    let given = |i: usize| args.get(i).and_then(|a| a.value);
    let zero = |i: usize| given(i) == Some(0.0);
    let fault = match node.prim {
        Prim::Unary(Unary::Log) if zero(0) => Fault::LogOfZero,
        Prim::Unary(Unary::Log) => Fault::LogOfNegative,
        Prim::Unary(Unary::Log1p) if given(0) == Some(-1.0) => Fault::LogOfZero,
        Prim::Unary(Unary::Log1p) => Fault::LogOfNegative,
        Prim::Unary(Unary::Sqrt) => Fault::RootOfNegative,
        Prim::Unary(Unary::Exp | Unary::Expm1) => Fault::ExpTooLarge,
        Prim::Binary(Binary::Div | Binary::Rem) if zero(1) => Fault::DivisionByZero,
        Prim::Binary(Binary::Pow) => Fault::Power,
        _ => Fault::Overflow,
    };
    Some(Operation {
        prim: node.prim.name(),
        span: origin.span,
        path: origin.path.clone(),
        forward: true,
        value,
        at,
        shape: result.shape().to_vec(),
        count: result.to_f64().iter().filter(|x| !x.is_finite()).count(),
        args,
        fault,
    })
}

/// The first element that is not finite, and its place.
fn first_bad(array: &Array) -> Option<(Vec<usize>, f64)> {
    if !matches!(array.elem(), Elem::F32 | Elem::F64) {
        return None;
    }
    let values = array.to_f64();
    let found = values.indexed_iter().find(|(_, x)| !x.is_finite());
    found.map(|(at, x)| (at.as_array_view().to_vec(), *x))
}
