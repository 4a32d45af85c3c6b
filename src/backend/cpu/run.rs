//! Running a program: one step after the other, each cut over the pool. Allocates nothing.

use std::mem::MaybeUninit;

use super::codegen::jit::Code;
use super::kernels::gemm::{self, Epilogue};
use super::kernels::{indexing, philox, pooling, reference};
use super::machine::features::Features;
use super::machine::pool::Pool;
use super::machine::shared::Shared;
use super::target::{Convolution, Cpu, Cut, Product};
use crate::backend::fusion::kernel::scratch_line;
use crate::backend::schedule::program::{self, ARENA, Buf, FIRST_INPUT, SCRATCH};
use crate::backend::schedule::target::Target;
use crate::ir::Elem;
use crate::random::GROUP;

type Program = program::Program<Cpu>;
type Step = program::Step<Cpu>;
type ScanStep = program::ScanStep<Cpu>;
type Call = program::Call<Cut>;

/// What every step may use.
pub(super) struct Context<'a> {
    pub pool: &'a Pool,
    pub code: &'a Code,
    pub features: Features,
}

/// Runs `program`. `bases` holds arena, scratch, inputs and results, and room for what is nested.
///
/// # Safety
/// The bases are valid for the program's buffers and do not overlap.
pub(super) unsafe fn run(program: &Program, bases: &mut [*mut u8], context: &Context) {
    for step in &program.steps {
        // SAFETY: by the contract; every buffer of a step is within its base.
        unsafe { run_step(program, step, bases, context) }
    }
}

/// Runs one step.
///
/// # Safety
/// As for [`run`].
pub(super) unsafe fn run_step(
    program: &Program,
    step: &Step,
    bases: &mut [*mut u8],
    context: &Context,
) {
    let pool = context.pool;
    let own = usize::from(FIRST_INPUT) + program.inputs + program.results;
    let (bases, nested) = bases.split_at_mut(own);
    // SAFETY (all): buffers are within their bases, by the plan.
    let at = |buf: Buf| unsafe { bases[buf.base as usize].add(buf.offset) };
    match step {
        Step::Kernels(calls) => unsafe { run_calls(calls, bases, context) },
        Step::Product { product, a, b, c } => unsafe {
            let (a, b, c) = (at(*a).cast_const(), at(*b).cast_const(), at(*c));
            match product {
                Product::Single(gemm) => {
                    let scratch = bases[usize::from(SCRATCH)];
                    gemm.run(pool, a.cast(), b.cast(), c.cast(), scratch, Epilogue::None);
                }
                Product::Double(product) => {
                    gemm::double::multiply(pool, product, a.cast(), b.cast(), c.cast());
                }
            }
        },
        Step::Random {
            key,
            count,
            counter,
            to,
        } => unsafe {
            let draw = u64::from(at(*counter).cast::<u32>().read());
            let out = Shared::new(at(*to).cast::<f32>());
            let part = 64 * GROUP;
            pool.run(count.div_ceil(part), &|task| {
                let start = task * part;
                let out = out.part(start, part.min(count - start));
                philox::fill_uniform(context.features, out, *key, draw, start as u64);
            });
        },
        Step::ArgMax { elem, sizes, x, to } => unsafe {
            let (count, kept) = (sizes.iter().product(), sizes[0] * sizes[2]);
            let to = slice_mut(at(*to), kept);
            match elem {
                Elem::F32 => indexing::arg_max::<f32>(pool, *sizes, slice(at(*x), count), to),
                Elem::F64 => indexing::arg_max::<f64>(pool, *sizes, slice(at(*x), count), to),
                Elem::I32 => indexing::arg_max::<i32>(pool, *sizes, slice(at(*x), count), to),
                Elem::U8 | Elem::Bool => {
                    indexing::arg_max::<u8>(pool, *sizes, slice(at(*x), count), to);
                }
            }
        },
        Step::ArgSort { elem, sizes, x, to } => unsafe {
            let count = sizes.iter().product();
            let to = slice_mut(at(*to), count);
            match elem {
                Elem::F32 => indexing::arg_sort::<f32>(pool, *sizes, slice(at(*x), count), to),
                Elem::F64 => indexing::arg_sort::<f64>(pool, *sizes, slice(at(*x), count), to),
                Elem::I32 => indexing::arg_sort::<i32>(pool, *sizes, slice(at(*x), count), to),
                Elem::U8 | Elem::Bool => {
                    indexing::arg_sort::<u8>(pool, *sizes, slice(at(*x), count), to);
                }
            }
        },
        Step::Gather {
            outer,
            axis,
            inner,
            count,
            x,
            index,
            to,
        } => unsafe {
            let from = slice(at(*x), outer * axis * inner);
            let to = slice_mut(at(*to), outer * count * inner);
            let sizes = [*outer, *axis, *inner];
            indexing::gather(pool, sizes, from, slice(at(*index), *count), to);
        },
        Step::ScatterAdd {
            elem,
            outer,
            axis,
            inner,
            count,
            index,
            updates,
            to,
        } => unsafe {
            let sizes = [*outer, *axis, *inner];
            let (from, into) = (outer * count * inner, outer * axis * inner);
            let index = slice(at(*index), *count);
            let (u, to) = (at(*updates), at(*to));
            match elem {
                Elem::F32 => indexing::scatter_add::<f32>(
                    pool,
                    sizes,
                    index,
                    slice(u, from),
                    slice_mut(to, into),
                ),
                Elem::F64 => indexing::scatter_add::<f64>(
                    pool,
                    sizes,
                    index,
                    slice(u, from),
                    slice_mut(to, into),
                ),
                Elem::I32 | Elem::U8 | Elem::Bool => indexing::scatter_add::<i32>(
                    pool,
                    sizes,
                    index,
                    slice(u, from),
                    slice_mut(to, into),
                ),
            }
        },
        Step::Conv { conv, x, kernel, y } => unsafe {
            let (x, k, y) = (at(*x), at(*kernel), at(*y));
            match conv {
                Convolution::Planned(conv) => {
                    let scratch = bases[usize::from(SCRATCH)];
                    conv.run(pool, x.cast(), k.cast(), y.cast(), scratch);
                }
                Convolution::Direct { elem, which, sizes } => match elem {
                    Elem::F64 => {
                        reference::conv::<f64>(pool, *which, sizes, x.cast(), k.cast(), y.cast());
                    }
                    _ => reference::conv::<f32>(pool, *which, sizes, x.cast(), k.cast(), y.cast()),
                },
            }
        },
        Step::Window {
            elem,
            op,
            sizes,
            x,
            y,
            dx,
        } => unsafe {
            let (x, y) = (at(*x), at(*y));
            match (elem, dx) {
                (Elem::F64, None) => reference::window::<f64>(pool, *op, sizes, x.cast(), y.cast()),
                (_, None) => {
                    pooling::window(pool, context.features, *op, sizes, x.cast(), y.cast());
                }
                (Elem::F64, Some(dx)) => {
                    let dx = at(*dx).cast();
                    reference::window_grad::<f64>(pool, *op, sizes, x.cast(), y.cast(), dx);
                }
                (_, Some(dx)) => {
                    let all = [x.cast(), y.cast(), at(*dx).cast()];
                    pooling::window_grad(pool, context.features, *op, sizes, all);
                }
            }
        },
        Step::Scan(scan) => unsafe { run_scan(scan, bases, nested, context) },
    }
}

unsafe fn run_scan(scan: &ScanStep, bases: &[*mut u8], nested: &mut [*mut u8], context: &Context) {
    // SAFETY: buffers are within their bases, by the plan.
    let at = |buf: Buf| unsafe { bases[buf.base as usize].add(buf.offset) };
    let body = &scan.body;
    nested[usize::from(ARENA)] = at(scan.arena);
    nested[usize::from(SCRATCH)] = bases[usize::from(SCRATCH)];
    let inputs = usize::from(FIRST_INPUT);
    let results = inputs + body.inputs;
    let carries = scan.carries.len();
    for (i, constant) in scan.constants.iter().enumerate() {
        nested[inputs + carries + scan.scanned.len() + i] = at(*constant);
    }
    for turn in 0..scan.length {
        let index = match scan.reverse {
            true => scan.length - 1 - turn,
            false => turn,
        };
        for (i, carry) in scan.carries.iter().enumerate() {
            // The last turn writes the result, the one before it the spare, and so on.
            let even = (scan.length - 1 - turn).is_multiple_of(2);
            let (here, there) = match even {
                true => (carry.result, carry.spare),
                false => (carry.spare, carry.result),
            };
            nested[inputs + i] = at(if turn == 0 { carry.initial } else { there });
            nested[results + i] = at(here);
        }
        for (i, (start, stride)) in scan.scanned.iter().enumerate() {
            // SAFETY: slices are within the scanned buffer.
            nested[inputs + carries + i] = unsafe { at(*start).add(index * stride) };
        }
        for (i, (start, stride)) in scan.stacked.iter().enumerate() {
            // SAFETY: slices are within the stacked buffer.
            nested[results + carries + i] = unsafe { at(*start).add(index * stride) };
        }
        // SAFETY: the bases were just set to the body's buffers.
        unsafe { run(body, nested, context) }
    }
}

/// Pointers that threads hand to kernels.
#[derive(Clone, Copy)]
struct Bases<'a>(&'a [*mut u8]);

// SAFETY: only cells that write disjoint places run at the same time.
unsafe impl Sync for Bases<'_> {}

impl Bases<'_> {
    fn at(&self, buf: Buf) -> *mut u8 {
        // SAFETY: buffers are within their bases, by the plan.
        unsafe { self.0[buf.base as usize].add(buf.offset) }
    }
}

unsafe fn run_calls(calls: &[Call], bases: &[*mut u8], context: &Context) {
    let bases = Bases(bases);
    let total: usize = calls.iter().map(|c| c.cut.tasks).sum();
    let small = calls.iter().all(|c| c.cut.tasks == 1);
    let task = |mut task: usize| {
        for call in calls {
            if task < call.cut.tasks {
                // SAFETY: tasks write disjoint places; the plan's buffers are within the bases.
                return unsafe { run_task(call, task, &bases, context.code) };
            }
            task -= call.cut.tasks;
        }
    };
    if small {
        (0..total).for_each(task);
    } else {
        context.pool.run(total, &task);
    }
}

/// A task's lines of scratch, on its stack.
#[repr(align(64))]
struct Lines(MaybeUninit<[u8; Cpu::LIMITS.scratch_bytes]>);

unsafe fn run_task(call: &Call, task: usize, bases: &Bases, code: &Code) {
    let entry = code.entry(call.kernel);
    let mut lines = Lines(MaybeUninit::uninit());
    let lines = lines.0.as_mut_ptr().cast::<u8>();
    let (row_cells, col_cells) = (
        call.rows.max(1).div_ceil(call.cut.cell.0),
        call.cols.max(1).div_ceil(call.cut.cell.1),
    );
    let outer: usize = call.outer.iter().product();
    let cells = outer * row_cells * col_cells;
    let first = task * call.cut.cells_per_task;
    let last = (first + call.cut.cells_per_task).min(cells);
    let mut pointers = [std::ptr::null_mut::<u8>(); Cpu::LIMITS.operands + 16];
    for cell in first..last {
        let col = cell % col_cells * call.cut.cell.1;
        let row = cell / col_cells % row_cells * call.cut.cell.0;
        let mut place = cell / col_cells / row_cells;
        for (pointer, operand) in pointers.iter_mut().zip(&call.operands) {
            let base = match (operand.buf, operand.scratch) {
                (Some(buf), _) => bases.at(buf),
                (None, Some(line)) => {
                    // SAFETY: the kernel has no more lines than there is room for.
                    *pointer = unsafe { lines.add(usize::from(line) * scratch_line(call.cols)) };
                    continue;
                }
                (None, None) => std::ptr::null_mut(),
            };
            let moved = operand.offset + row as isize * operand.row + col as isize * operand.col;
            *pointer = base.wrapping_offset(moved);
        }
        for axis in (0..call.outer.len()).rev() {
            let index = (place % call.outer[axis]) as isize;
            place /= call.outer[axis];
            if index != 0 {
                for (pointer, operand) in pointers.iter_mut().zip(&call.operands) {
                    *pointer = pointer.wrapping_offset(index * operand.outer[axis]);
                }
            }
        }
        let (rows, cols) = (
            call.cut.cell.0.min(call.rows.saturating_sub(row)),
            call.cut.cell.1.min(call.cols.saturating_sub(col)),
        );
        // SAFETY: the kernel touches rows x cols points of its operands, which are there.
        unsafe { entry(pointers.as_ptr(), rows, cols) }
    }
}

/// # Safety
/// `at` is aligned and valid for `len` elements that nobody writes meanwhile.
unsafe fn slice<'a, T>(at: *mut u8, len: usize) -> &'a [T] {
    // SAFETY: by the contract.
    unsafe { std::slice::from_raw_parts(at.cast(), len) }
}

/// # Safety
/// `at` is aligned and valid for `len` elements that nobody else uses meanwhile.
unsafe fn slice_mut<'a, T>(at: *mut u8, len: usize) -> &'a mut [T] {
    // SAFETY: by the contract.
    unsafe { std::slice::from_raw_parts_mut(at.cast(), len) }
}
