//! The interpreter: slow and obvious, on ndarray. The oracle that every other back end is held to.
//!
//! Floats are computed in f64 and rounded to their type after every primitive,
//! sums and products included, so a result of `F32` is within half a unit in the
//! last place of the exact one for its arguments. Unlike other back ends it
//! allocates while it runs.
//!
//! ```text
//! array         arrays of any element type
//! elementwise   unary, binary, compare, select, cast
//! moves         shape moves, gather and scatter, iota, random
//! reduce        reductions, arg max, dot
//! conv          convolutions, windows, their gradients
//! ```

mod array;
mod conv;
mod elementwise;
mod moves;
mod reduce;

#[cfg(test)]
mod tests;

pub(crate) use array::Array;

use super::{Cost, Executable, Options, run_on};
use crate::ir::cost::known_flops;
use crate::ir::prim::Scan;
use crate::ir::{Dim, Graph, Node, OutputRole, Prim, Stage, Tensor, Type, VerifyError, verify};

/// A graph without symbols and gradients, ready to run.
pub struct Interpreter {
    graph: Graph,
    seed: u64,
}

/// What the verifier says of a graph that cannot be run: a symbol or a gradient is left, or worse.
#[derive(Clone, Debug, PartialEq)]
pub struct CompileError(pub Vec<VerifyError>);

impl std::error::Error for CompileError {}

impl std::fmt::Display for CompileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if i > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

impl Interpreter {
    pub fn compile(graph: &Graph, options: &Options) -> Result<Interpreter, CompileError> {
        verify(graph, Stage::Specialized).map_err(CompileError)?;
        Ok(Interpreter {
            graph: graph.clone(),
            seed: options.seed,
        })
    }
}

/// Runs `graph` once: the values of all its outputs, in order.
///
/// # Panics
/// If the verifier refuses the graph at [`Stage::Specialized`], or `inputs` are not of its inputs' types.
pub fn evaluate(graph: &Graph, inputs: &[Tensor], seed: u64) -> Vec<Tensor> {
    let options = Options { seed, threads: 1 };
    let mut interpreter = Interpreter::compile(graph, &options).expect("a graph that can be run");
    run_on(&mut interpreter, inputs)
}

impl Executable for Interpreter {
    fn graph(&self) -> &Graph {
        &self.graph
    }
    fn cost(&self) -> Cost {
        Cost {
            arena_bytes: value_bytes(&self.graph),
            scratch_bytes: 0,
            flops: known_flops(&self.graph),
        }
    }
    unsafe fn run(&mut self, inputs: &[*mut u8], results: &[*mut u8]) {
        let graph = &self.graph;
        let arguments = graph.inputs.iter().zip(inputs).map(|(input, &start)| {
            let ty = graph.ty(input.value);
            // SAFETY: the caller passes a buffer of the type's size.
            let bytes = unsafe { std::slice::from_raw_parts(start, ty.bytes()) };
            Array::from_bytes(ty.elem, &sizes(&ty.shape), bytes)
        });
        let outputs = run_graph(graph, arguments.collect(), self.seed, &mut |_, _, _, _| {});
        let mut results = results.iter();
        for (output, value) in graph.outputs.iter().zip(outputs) {
            let start = match output.role {
                OutputRole::Update(input) => inputs[input],
                OutputRole::Result => *results.next().expect("a buffer for every result"),
            };
            let len = graph.ty(output.value).bytes();
            // SAFETY: as above; what is read from the inputs has been copied.
            value.write(unsafe { std::slice::from_raw_parts_mut(start, len) });
        }
    }
}

/// Sees an operation, its arguments and its results; those of regions each time, before
/// what they are regions of.
pub(crate) type Observer<'a> = dyn FnMut(&Graph, &Node, &[&Array], &[Array]) + 'a;

/// Runs a graph that the verifier takes at [`Stage::Specialized`], each operation seen.
pub(crate) fn observe(graph: &Graph, inputs: Vec<Array>, seed: u64, see: &mut Observer) {
    run_graph(graph, inputs, seed, see);
}

/// Values of the outputs, given those of the inputs.
fn run_graph(graph: &Graph, inputs: Vec<Array>, seed: u64, see: &mut Observer) -> Vec<Array> {
    let mut values: Vec<Option<Array>> = vec![None; graph.value_count()];
    for (input, value) in graph.inputs.iter().zip(inputs) {
        values[input.value.0 as usize] = Some(value);
    }
    for node in &graph.nodes {
        let results = {
            let args: Vec<&Array> = node
                .args
                .iter()
                .map(|v| values[v.0 as usize].as_ref())
                .map(|value| value.expect("definitions come before uses"))
                .collect();
            let types: Vec<&Type> = node.values().map(|v| graph.ty(v)).collect();
            let results = evaluate_prim(&node.prim, &args, &types, seed, see);
            see(graph, node, &args, &results);
            results
        };
        for (v, result) in node.values().zip(results) {
            debug_assert_eq!(result.elem(), graph.ty(v).elem);
            debug_assert_eq!(result.shape(), sizes(&graph.ty(v).shape));
            values[v.0 as usize] = Some(result);
        }
    }
    let outputs = graph.outputs.iter();
    outputs
        .map(|o| values[o.value.0 as usize].clone())
        .map(|value| value.expect("definitions come before uses"))
        .collect()
}

fn evaluate_prim(
    prim: &Prim,
    args: &[&Array],
    types: &[&Type],
    seed: u64,
    see: &mut Observer,
) -> Vec<Array> {
    let shape = || sizes(&types[0].shape);
    let result = match prim {
        Prim::Const { value, elem } => Array::full(*elem, &[], *value),
        Prim::Size { dim, elem } => Array::full(*elem, &[], size(dim) as f64),
        Prim::Iota { axis, shape, elem } => moves::iota(*axis, &sizes(shape), *elem),
        Prim::Random { site, shape } => moves::random(seed, site, args[0], &sizes(shape)),
        Prim::Unary(op) => elementwise::unary(*op, args[0]),
        Prim::Binary(op) => elementwise::binary(*op, args[0], args[1]),
        Prim::Compare(op) => elementwise::compare(*op, args[0], args[1]),
        Prim::Select => elementwise::select(args[0], args[1], args[2]),
        Prim::Cast(elem) => Array::from_f64(*elem, args[0].to_f64()),
        Prim::StopGradient => args[0].clone(),
        Prim::Reshape(shape) => moves::reshape(args[0], &sizes(shape)),
        Prim::Transpose(perm) => moves::transpose(args[0], perm),
        Prim::Broadcast { shape, axes } => moves::broadcast(args[0], &sizes(shape), axes),
        Prim::Slice {
            starts,
            ends,
            steps,
        } => moves::slice(args[0], &sizes(starts), &sizes(ends), steps),
        Prim::Pad {
            low,
            high: _,
            interior,
        } => moves::pad(args[0], args[1], &sizes(low), interior, &shape()),
        Prim::Concat { axis } => moves::concat(args, *axis),
        Prim::Reverse { axes } => moves::reverse(args[0], axes),
        Prim::Reduce { op, axes } => reduce::reduce(*op, args[0], axes),
        Prim::ArgMax { axis } => reduce::arg_max(args[0], *axis),
        Prim::ArgSort { axis } => reduce::arg_sort(args[0], *axis),
        Prim::Dot(dims) => reduce::dot(dims, args[0], args[1]),
        Prim::Gather { axis } => moves::gather(args[0], args[1], *axis),
        Prim::ScatterAdd { axis, size: n } => moves::scatter_add(args[0], args[1], *axis, size(n)),
        Prim::Conv(c) => conv::conv(c, args[0], args[1], &shape()),
        Prim::ConvInputGrad { conv, spatial: _ } => {
            conv::conv_input_grad(conv, args[0], args[1], &shape())
        }
        Prim::ConvKernelGrad { conv, kernel: _ } => {
            conv::conv_kernel_grad(conv, args[0], args[1], &shape())
        }
        Prim::Window { op, dims } => conv::window(*op, dims, args[0], &shape()),
        Prim::WindowGrad { op, dims } => conv::window_grad(*op, dims, args[0], args[1]),
        Prim::Scan(scan) => return run_scan(scan, args, types, seed, see),
        Prim::Gradient => unreachable!("`compile` refuses it"),
    };
    vec![result]
}

fn run_scan(
    scan: &Scan,
    args: &[&Array],
    types: &[&Type],
    seed: u64,
    see: &mut Observer,
) -> Vec<Array> {
    let (carried, rest) = args.split_at(scan.carries);
    let (scanned, constants) = rest.split_at(scan.scanned);
    let mut carries: Vec<Array> = carried.iter().map(|a| (*a).clone()).collect();
    let mut stacked: Vec<Array> = types[scan.carries..]
        .iter()
        .map(|t| Array::full(t.elem, &sizes(&t.shape), 0.0))
        .collect();
    let length = size(&scan.length);
    for step in 0..length {
        let index = if scan.reverse {
            length - 1 - step
        } else {
            step
        };
        let slices = scanned.iter().map(|a| a.row(index));
        let constants = constants.iter().map(|a| (*a).clone());
        let inputs = carries.into_iter().chain(slices).chain(constants);
        let mut outputs = run_graph(&scan.body, inputs.collect(), seed, see);
        for (stack, row) in stacked.iter_mut().zip(outputs.drain(scan.carries..)) {
            stack.set_row(index, &row);
        }
        carries = outputs;
    }
    carries.into_iter().chain(stacked).collect()
}

/// Bytes of all values that nodes make, those of a region once.
fn value_bytes(graph: &Graph) -> usize {
    let nodes = graph.nodes.iter();
    nodes
        .map(|node| {
            let own: usize = node.values().map(|v| graph.ty(v).bytes()).sum();
            if let Prim::Scan(scan) = &node.prim {
                own + value_bytes(&scan.body)
            } else {
                own
            }
        })
        .sum()
}

fn size(d: &Dim) -> usize {
    let size = d.as_const().and_then(|c| usize::try_from(c).ok());
    size.expect("the verifier saw no symbols")
}

fn sizes(dims: &[Dim]) -> Vec<usize> {
    dims.iter().map(size).collect()
}
