//! Steps of a plan: kernels cut into tasks, products, loops and the rest, on buffers that have their places.

use rustc_hash::FxHashMap;

use super::{Home, Kernels, Settings};
use crate::backend::cpu::CompileError;
use crate::backend::cpu::gemm::{BatchAxis, Gemm, Shape};
use crate::backend::cpu::kernel::{self, Built};
use crate::backend::cpu::ops::{Arg, Op, Ops, Source, Val, dot_axes};
use crate::backend::cpu::step::{
    ARENA, Buf, Call, Carry, DotSizes, FIRST_INPUT, OperandAt, Program, ScanStep, Step,
};
use crate::backend::cpu::view::View;
use crate::backend::cpu::vir::Orient;
use crate::ir::prim::{DotDims, Prim, Scan};
use crate::ir::{Dim, Elem};
use crate::random;

/// Buffers of values, now that the arena is laid out.
pub(super) struct Placement<'a> {
    pub ops: &'a Ops,
    pub homes: &'a FxHashMap<Val, Home>,
    pub offsets: &'a [usize],
    pub inputs: usize,
}

/// Elements below which a call is one task, and those of a cell of a larger one.
const SMALL: usize = 24 << 10;
const CELL: usize = 8 << 10;

impl Placement<'_> {
    pub fn home(&self, home: Home) -> Buf {
        match home {
            Home::Input(i) => Buf {
                base: FIRST_INPUT + i as u16,
                offset: 0,
            },
            Home::Result(i) => Buf {
                base: FIRST_INPUT + (self.inputs + i) as u16,
                offset: 0,
            },
            Home::Arena(r) => Buf {
                base: ARENA,
                offset: self.offsets[r],
            },
        }
    }

    pub fn buf(&self, val: Val) -> Buf {
        self.home(self.homes[&val])
    }

    /// Where an operand of a product starts; its source is a value.
    pub fn arg(&self, arg: &Arg) -> Buf {
        let nowhere = Buf {
            base: ARENA,
            offset: 0,
        };
        let buf = arg.val().map_or(nowhere, |v| self.buf(v));
        Buf {
            base: buf.base,
            offset: buf.offset + arg.view.offset as usize * arg.elem.size(),
        }
    }

    pub fn call(&self, built: Built, kernels: &mut Kernels) -> Call {
        self.call_on(built, kernels, |val| {
            let info = self.ops.info(val);
            let bytes = info.sizes.iter().product::<usize>() * info.elem.size();
            (self.buf(val), bytes)
        })
    }

    /// A copy to memory that belongs to no value.
    pub fn copy_to(&self, from: &Arg, to: Buf, kernels: &mut Kernels) -> Call {
        let marker = Val(u32::MAX);
        let place = View::contiguous(&from.view.sizes);
        let bytes = from.view.elements() * from.elem.size();
        let built = kernel::copy(from, marker, &place);
        self.call_on(built, kernels, |val| match val == marker {
            true => (to, bytes),
            false => {
                let info = self.ops.info(val);
                let bytes = info.sizes.iter().product::<usize>() * info.elem.size();
                (self.buf(val), bytes)
            }
        })
    }

    fn call_on(
        &self,
        built: Built,
        kernels: &mut Kernels,
        buffer: impl Fn(Val) -> (Buf, usize),
    ) -> Call {
        let k = &built.kernel;
        let operands = k
            .operands
            .iter()
            .enumerate()
            .map(|(i, o)| {
                let bound = built.operands.get(i);
                let (buf, bytes) = match bound.and_then(|b| b.val) {
                    Some(val) => {
                        let (buf, bytes) = buffer(val);
                        (Some(buf), bytes)
                    }
                    None => (None, 0),
                };
                OperandAt {
                    buf,
                    is_store: bound.is_some_and(|b| b.is_store),
                    bytes,
                    scratch: o.scratch,
                    offset: bound.map_or(0, |b| b.offset),
                    outer: match bound {
                        Some(b) => b.outer.clone(),
                        None => smallvec::SmallVec::from_elem(0, built.outer.len()),
                    },
                    row: o.row,
                    col: o.col,
                }
            })
            .collect();
        let (rows, cols) = (built.rows, built.cols);
        let reduces = k.stages.len() > 1 || k.stages.iter().any(|s| !s.accs.is_empty());
        let outer: usize = built.outer.iter().product();
        // An empty reduction still has lines to store.
        let lines_only = match k.orient {
            Orient::Rows => outer * rows,
            Orient::Columns => outer * cols,
        };
        let work = outer * rows.max(1) * cols.max(1);
        let cell = match k.orient {
            _ if work <= SMALL => (rows.max(1), cols.max(1)),
            Orient::Rows if reduces => ((CELL / cols.max(1)).clamp(1, rows.max(1)), cols.max(1)),
            Orient::Rows if cols >= CELL => (1, CELL),
            Orient::Rows => ((CELL / cols.max(1)).clamp(1, rows.max(1)), cols.max(1)),
            Orient::Columns => (rows.max(1), 64.min(cols.max(1))),
        };
        let cells = outer * rows.max(1).div_ceil(cell.0) * cols.max(1).div_ceil(cell.1);
        let per_task = match work <= SMALL {
            true => cells.max(1),
            false => (CELL / (cell.0 * cell.1)).clamp(1, cells.max(1)),
        };
        let empty = lines_only == 0 || (!reduces && work != outer * rows * cols);
        Call {
            orient: k.orient,
            kernel: kernels.add(built.kernel),
            operands,
            outer: built.outer,
            rows,
            cols,
            cell,
            cells_per_task: per_task,
            tasks: if empty { 0 } else { cells.div_ceil(per_task) },
        }
    }

    pub fn dot(
        &self,
        dims: &DotDims,
        op: &Op,
        settings: &Settings,
        kernels: &mut Kernels,
        program: &mut Program,
    ) {
        let (a, b, result) = (&op.args[0], &op.args[1], op.results[0]);
        let info = self.ops.info(result);
        if info.sizes.contains(&0) {
            return;
        }
        let size =
            |view: &View, axes: &[usize]| axes.iter().map(|&i| view.sizes[i]).product::<usize>();
        let [batch_a, free_a, sum_a] = dot_axes(dims, 0, a.view.sizes.len());
        let [batch_b, free_b, sum_b] = dot_axes(dims, 1, b.view.sizes.len());
        let (m, n, k) = (
            size(&a.view, &free_a),
            size(&b.view, &free_b),
            size(&a.view, &sum_a),
        );
        if k == 0 {
            let zero = Arg {
                source: Source::Const(0.0),
                elem: info.elem,
                view: View::contiguous(&[]).broadcast(&info.sizes, &[]),
            };
            let built = kernel::copy(&zero, result, &View::contiguous(&info.sizes));
            program.kernel(self.call(built, kernels), "zero".into());
            return;
        }
        let stride = |view: &View, axes: &[usize]| {
            let joined = view.transpose(axes).join(0, axes.len());
            joined.map_or(0, |(_, stride)| stride as usize)
        };
        let strides_a = (stride(&a.view, &free_a), stride(&a.view, &sum_a));
        let strides_b = (stride(&b.view, &sum_b), stride(&b.view, &free_b));
        let c = View::contiguous(&info.sizes);
        let mut axes = Vec::new();
        for (i, (&x, &y)) in batch_a.iter().zip(&batch_b).enumerate() {
            let (sa, sb) = (a.view.strides[x] as usize, b.view.strides[y] as usize);
            axes.push((a.view.sizes[x], sa, sb, c.strides[i] as usize));
        }
        let count: usize = axes.iter().map(|x| x.0).product();
        program.flops += 2 * (count * m * n * k) as u64;
        let (pa, pb, pc) = (self.arg(a), self.arg(b), self.buf(result));
        let label = format!("{m}x{k}x{n}");
        if info.elem == Elem::F64 {
            let dims = DotSizes {
                m,
                n,
                k,
                a: strides_a,
                b: strides_b,
                batch: axes,
            };
            let step = Step::Dot64 {
                dims,
                a: pa,
                b: pb,
                c: pc,
            };
            return program.push(step, label);
        }
        let shape = Shape {
            m,
            n,
            k,
            a: strides_a,
            b: strides_b,
            c: (n, 1),
            accumulate: false,
            batch: axes
                .iter()
                .map(|&(len, a, b, c)| BatchAxis { len, a, b, c })
                .collect(),
        };
        let gemm = Gemm::new(shape, settings.features);
        program.scratch = program.scratch.max(gemm.scratch_bytes());
        let step = Step::Gemm {
            gemm,
            a: pa,
            b: pb,
            c: pc,
        };
        program.push(step, label);
    }

    #[expect(clippy::too_many_arguments, reason = "parts of one step")]
    pub fn scan(
        &self,
        scan: &Scan,
        op: &Op,
        body: Program,
        arena: usize,
        spares: &[usize],
        kernels: &mut Kernels,
        program: &mut Program,
    ) -> Result<(), CompileError> {
        let length = constant(&scan.length)?;
        if length == 0 {
            for i in 0..scan.carries {
                let call = self.copy_to(&op.args[i], self.buf(op.results[i]), kernels);
                program.kernel(call, "copy".into());
            }
            return Ok(());
        }
        let (carries, rest) = op.args.split_at(scan.carries);
        let (scanned, constants) = rest.split_at(scan.scanned);
        let slice =
            |sizes: &[usize], elem: Elem| sizes[1..].iter().product::<usize>() * elem.size();
        let step = ScanStep {
            length,
            reverse: scan.reverse,
            arena: self.home(Home::Arena(arena)),
            carries: carries
                .iter()
                .enumerate()
                .map(|(i, initial)| Carry {
                    initial: self.arg(initial),
                    spare: self.home(Home::Arena(spares[i])),
                    result: self.buf(op.results[i]),
                })
                .collect(),
            scanned: scanned
                .iter()
                .map(|a| (self.arg(a), slice(&a.view.sizes, a.elem)))
                .collect(),
            constants: constants.iter().map(|a| self.arg(a)).collect(),
            stacked: op.results[scan.carries..]
                .iter()
                .map(|&v| {
                    (
                        self.buf(v),
                        slice(&self.ops.info(v).sizes, self.ops.info(v).elem),
                    )
                })
                .collect(),
            body,
        };
        program.scratch = program.scratch.max(step.body.scratch);
        program.flops += step.body.flops * length as u64;
        program.bases = program
            .bases
            .max(usize::from(FIRST_INPUT) + program.inputs + program.results + step.body.bases);
        let label = format!("scan of {length}");
        program.push(Step::Scan(Box::new(step)), label);
        Ok(())
    }

    pub fn other(
        &self,
        prim: &Prim,
        op: &Op,
        settings: &Settings,
        program: &mut Program,
    ) -> Result<Option<Step>, CompileError> {
        let to = op.results[0];
        let info = self.ops.info(to);
        if info.sizes.contains(&0) {
            return Ok(None);
        }
        let out = self.buf(to);
        let elem = info.elem;
        let sizes = |i: usize| &op.args[i].view.sizes;
        let product = |s: &[usize]| s.iter().product::<usize>();
        Ok(Some(match prim {
            Prim::Random { site, .. } => Step::Random {
                key: random::site_key(settings.seed, site),
                count: product(&info.sizes),
                counter: self.arg(&op.args[0]),
                to: out,
            },
            Prim::ArgMax { axis } => {
                let s = sizes(0);
                Step::ArgMax {
                    elem: op.args[0].elem,
                    sizes: [product(&s[..*axis]), s[*axis], product(&s[axis + 1..])],
                    x: self.arg(&op.args[0]),
                    to: out,
                }
            }
            Prim::ArgSort { axis } => {
                let s = sizes(0);
                Step::ArgSort {
                    elem: op.args[0].elem,
                    sizes: [product(&s[..*axis]), s[*axis], product(&s[axis + 1..])],
                    x: self.arg(&op.args[0]),
                    to: out,
                }
            }
            Prim::Gather { axis } => {
                let s = sizes(0);
                Step::Gather {
                    outer: product(&s[..*axis]),
                    axis: s[*axis],
                    inner: product(&s[axis + 1..]) * elem.size(),
                    count: product(sizes(1)),
                    x: self.arg(&op.args[0]),
                    index: self.arg(&op.args[1]),
                    to: out,
                }
            }
            Prim::ScatterAdd { axis, .. } => Step::ScatterAdd {
                elem,
                outer: product(&info.sizes[..*axis]),
                axis: info.sizes[*axis],
                inner: product(&info.sizes[axis + 1..]),
                count: product(sizes(0)),
                index: self.arg(&op.args[0]),
                updates: self.arg(&op.args[1]),
                to: out,
            },
            Prim::Conv(_)
            | Prim::ConvInputGrad { .. }
            | Prim::ConvKernelGrad { .. }
            | Prim::Window { .. }
            | Prim::WindowGrad { .. } => self.windowed(prim, op, settings, program)?,
            Prim::Const { .. }
            | Prim::Size { .. }
            | Prim::Iota { .. }
            | Prim::Unary(_)
            | Prim::Binary(_)
            | Prim::Compare(_)
            | Prim::Select
            | Prim::Cast(_)
            | Prim::StopGradient
            | Prim::Reshape(_)
            | Prim::Transpose(_)
            | Prim::Broadcast { .. }
            | Prim::Slice { .. }
            | Prim::Pad { .. }
            | Prim::Concat { .. }
            | Prim::Reverse { .. }
            | Prim::Reduce { .. }
            | Prim::Dot(_)
            | Prim::Scan(_)
            | Prim::Gradient => unreachable!("not a step of its own"),
        }))
    }
}

pub(super) fn constant(dim: &Dim) -> Result<usize, CompileError> {
    let size = dim.as_const().and_then(|c| usize::try_from(c).ok());
    size.ok_or(CompileError::Symbol)
}
