//! Steps of a plan: kernels cut into tasks, products, loops and the rest, on buffers that have their places.

use rustc_hash::FxHashMap;

use super::program::{
    ARENA, Body, Buf, Call, Carry, FIRST_INPUT, Kernels, OperandAt, Program, ScanStep, Settings,
    Step,
};
use crate::backend::cpu::kernels::gemm::Gemm;
use crate::backend::fusion::LowerError;
use crate::backend::fusion::buffers::{FinalCopy, Home};
use crate::backend::fusion::contractions::MatMul;
use crate::backend::fusion::kernel::{self, Built};
use crate::backend::fusion::ops::{Arg, Op, Ops, Source, Val, constant_size};
use crate::backend::fusion::view::View;
use crate::backend::fusion::vir::Orient;
use crate::ir::Elem;
use crate::ir::prim::{DotDims, Prim, Scan};
use crate::random;

/// Buffers of values, now that the arena is laid out.
pub(super) struct Placement<'a> {
    pub ops: &'a Ops,
    pub homes: &'a FxHashMap<Val, Home>,
    pub offsets: &'a [usize],
    pub inputs: usize,
    pub settings: &'a Settings,
}

/// Elements below which a call is one task, and those of a cell of a larger one.
const SMALL: usize = 24 << 10;
const CELL: usize = 8 << 10;

impl Placement<'_> {
    pub(super) fn home(&self, home: Home) -> Buf {
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

    pub(super) fn buf(&self, val: Val) -> Buf {
        self.home(self.homes[&val])
    }

    /// Where an operand of a product starts; its source is a value.
    pub(super) fn arg(&self, arg: &Arg) -> Buf {
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

    pub(super) fn call(&self, built: Built, kernels: &mut Kernels) -> Call {
        self.call_on(built, kernels, |val| {
            let info = self.ops.info(val);
            let bytes = info.sizes.iter().product::<usize>() * info.elem.size();
            (self.buf(val), bytes)
        })
    }

    /// A copy to memory that belongs to no value.
    pub(super) fn copy_to(&self, from: &Arg, to: Buf, kernels: &mut Kernels) -> Call {
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

    /// Arguments that go to their places of the result; what is between them is filled with the last one.
    pub(super) fn place(
        &self,
        op: &Op,
        places: &[View],
        fill: bool,
        kernels: &mut Kernels,
        program: &mut Program,
    ) {
        let to = op.results[0];
        if fill {
            let mut scalar = op.args[1].clone();
            let sizes = &self.ops.info(to).sizes;
            scalar.view = scalar.view.broadcast(sizes, &[]);
            let built = kernel::copy(&scalar, to, &View::contiguous(sizes));
            program.kernel(self.call(built, kernels), "fill".into());
        }
        for (arg, place) in op.args.iter().zip(places) {
            let built = kernel::copy(arg, to, place);
            program.kernel(self.call(built, kernels), "place".into());
        }
    }

    /// What is copied after the last step, staged copies in two steps.
    pub(super) fn final_copies(
        &self,
        copies: &[FinalCopy],
        kernels: &mut Kernels,
        program: &mut Program,
    ) {
        for staged in [true, false] {
            for copy in copies.iter().filter(|c| c.staged.is_some() == staged) {
                let to = match copy.staged {
                    Some(r) => Home::Arena(r),
                    None => copy.to,
                };
                let call = self.copy_to(&copy.from, self.home(to), kernels);
                program.kernel(call, "copy".into());
            }
        }
        for copy in copies {
            let Some(r) = copy.staged else { continue };
            let from = Arg {
                source: Source::Val(Val(u32::MAX)),
                elem: copy.from.elem,
                view: View::contiguous(&copy.from.view.sizes),
            };
            let mut call = self.copy_to(&from, self.home(copy.to), kernels);
            for operand in call.operands.iter_mut().filter(|o| !o.is_store) {
                operand.buf = Some(self.home(Home::Arena(r)));
            }
            program.kernel(call, "copy".into());
        }
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

    pub(super) fn dot(
        &self,
        dims: &DotDims,
        op: &Op,
        kernels: &mut Kernels,
        program: &mut Program,
    ) {
        let (a, b, result) = (&op.args[0], &op.args[1], op.results[0]);
        let info = self.ops.info(result);
        if info.sizes.contains(&0) {
            return;
        }
        let product = MatMul::of_dot(dims, a, b, &info.sizes);
        if product.k == 0 {
            let zero = Arg {
                source: Source::Const(0.0),
                elem: info.elem,
                view: View::contiguous(&[]).broadcast(&info.sizes, &[]),
            };
            let built = kernel::copy(&zero, result, &View::contiguous(&info.sizes));
            program.kernel(self.call(built, kernels), "zero".into());
            return;
        }
        program.flops += product.flops();
        let (pa, pb, pc) = (self.arg(a), self.arg(b), self.buf(result));
        let label = format!("{}x{}x{}", product.m, product.k, product.n);
        if info.elem == Elem::F64 {
            let step = Step::Dot64 {
                product,
                a: pa,
                b: pb,
                c: pc,
            };
            return program.push(step, label);
        }
        let gemm = Gemm::new(product, self.settings.features);
        program.scratch = program.scratch.max(gemm.scratch_bytes());
        let step = Step::Gemm {
            gemm,
            a: pa,
            b: pb,
            c: pc,
        };
        program.push(step, label);
    }

    /// A loop.
    pub(super) fn scan(
        &self,
        scan: &Scan,
        op: &Op,
        body: Body,
        kernels: &mut Kernels,
        program: &mut Program,
    ) -> Result<(), LowerError> {
        let length = constant_size(&scan.length)?;
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
            arena: self.home(Home::Arena(body.arena)),
            carries: carries
                .iter()
                .enumerate()
                .map(|(i, initial)| Carry {
                    initial: self.arg(initial),
                    spare: self.home(Home::Arena(body.spares[i])),
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
            body: body.program,
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

    pub(super) fn other(
        &self,
        prim: &Prim,
        op: &Op,
        program: &mut Program,
    ) -> Result<Option<Step>, LowerError> {
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
                key: random::site_key(self.settings.seed, site),
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
            | Prim::WindowGrad { .. } => self.windowed(prim, op, program)?,
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
            | Prim::Gradient => unreachable!("fused, or a step that was made before"),
        }))
    }
}
