//! From fused units to a program: which buffer every value has, and the steps that fill them.
//!
//! A value that is the new value of an input is written over the old one where nothing reads that later, and a
//! value that is a result goes straight to where results go; else a copy at the end does it. The rest lives in one
//! arena (`passes::memory`); an elementwise kernel may write over an operand that nobody reads afterwards.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::CompileError;
use super::features::Features;
use super::fuse::{self, Fused, Place, Unit};
use super::gemm::{BatchAxis, Gemm, Shape};
use super::kernel::{self, Built};
use super::ops::{Arg, Def, Kind, Op, Ops, Source, Val, dot_axes};
use super::step::{
    ARENA, Buf, Call, Carry, ConvResult, ConvSizes, DotSizes, FIRST_INPUT, OperandAt, Program,
    ScanStep, Step,
};
use super::view::View;
use super::vir::{Kernel, Orient};
use crate::ir::prim::{ConvDims, DotDims, Prim, Scan, WindowDims};
use crate::ir::{Dim, Elem, Graph, OutputRole, random};
use crate::passes::memory::{self, Request};

/// Kernels of a program and of those nested in it; equal ones are compiled once.
#[derive(Default)]
pub struct Kernels {
    pub list: Vec<Kernel>,
    known: FxHashMap<Arc<Kernel>, usize>,
}

impl Kernels {
    fn add(&mut self, kernel: Kernel) -> usize {
        if let Some(&i) = self.known.get(&kernel) {
            return i;
        }
        self.list.push(kernel.clone());
        self.known.insert(Arc::new(kernel), self.list.len() - 1);
        self.list.len() - 1
    }
}

/// What is the same for every program of a compilation.
pub struct Settings {
    pub seed: u64,
    pub features: Features,
}

/// Where a value lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Home {
    Input(usize),
    Result(usize),
    Arena(usize),
}

/// Makes the program of `graph`. In a loop's body every output is a result.
pub fn plan(
    graph: &Graph,
    is_body: bool,
    settings: &Settings,
    kernels: &mut Kernels,
) -> Result<Program, CompileError> {
    let mut ops = Ops::of(graph)?;
    ops.remove_dead();
    let fused = fuse::fuse(&ops);
    let mut targets = Vec::new();
    let mut results = 0;
    for output in &graph.outputs {
        targets.push(match output.role {
            OutputRole::Update(i) if !is_body => Home::Input(i),
            OutputRole::Update(_) | OutputRole::Result => {
                results += 1;
                Home::Result(results - 1)
            }
        });
    }
    let mut planner = Planner {
        uses: Uses::of(&ops, &fused),
        homes: FxHashMap::default(),
        requests: Vec::new(),
        built: Vec::new(),
        ops: &ops,
        fused: &fused,
        settings,
        kernels,
        inputs: graph.inputs.len(),
    };
    let final_copies = planner.homes_of_outputs(&targets);
    planner.build_kernels();
    planner.homes_of_rest();
    planner.program(results, &final_copies)
}

/// Who reads what, by position of the unit.
struct Uses {
    /// Units that read a value, ascending.
    readers: FxHashMap<Val, Vec<usize>>,
    /// Unit by operation.
    unit_of: Vec<usize>,
}

impl Uses {
    fn of(ops: &Ops, fused: &Fused) -> Uses {
        let mut uses = Uses {
            readers: FxHashMap::default(),
            unit_of: vec![usize::MAX; ops.ops.len()],
        };
        for (u, unit) in fused.units.iter().enumerate() {
            for &o in &unit.ops {
                uses.unit_of[o] = u;
            }
        }
        for (u, unit) in fused.units.iter().enumerate() {
            for val in unit
                .ops
                .iter()
                .flat_map(|&o| &ops.ops[o].args)
                .filter_map(Arg::val)
            {
                let readers = uses.readers.entry(val).or_default();
                if readers.last() != Some(&u) {
                    readers.push(u);
                }
            }
        }
        uses
    }
    fn readers(&self, val: Val) -> &[usize] {
        self.readers.get(&val).map_or(&[], |r| r)
    }
}

struct Planner<'a> {
    ops: &'a Ops,
    fused: &'a Fused,
    uses: Uses,
    settings: &'a Settings,
    kernels: &'a mut Kernels,
    homes: FxHashMap<Val, Home>,
    requests: Vec<Request>,
    /// Kernels by unit.
    built: Vec<Option<Built>>,
    inputs: usize,
}

/// A copy after the last step. `staged`: through a buffer of its own, since its source may be overwritten meanwhile.
struct FinalCopy {
    from: Arg,
    to: Home,
    staged: Option<usize>,
}

impl Planner<'_> {
    fn unit_of(&self, val: Val) -> Option<usize> {
        match self.ops.info(val).def {
            Def::Input(_) => None,
            Def::Op(op) => Some(self.uses.unit_of[op]),
        }
    }

    /// Decides which outputs are written in place, and what must be copied at the end.
    fn homes_of_outputs(&mut self, targets: &[Home]) -> Vec<FinalCopy> {
        let end = self.fused.units.len();
        for (i, &val) in self.ops.inputs.iter().enumerate() {
            self.homes.insert(val, Home::Input(i));
        }
        let mut copies = Vec::new();
        // Updates first: their copies cost most.
        let mut order: Vec<usize> = (0..targets.len()).collect();
        order.sort_by_key(|&i| matches!(targets[i], Home::Result(_)));
        for i in order {
            let (from, to) = (&self.ops.outputs[i], targets[i]);
            let whole = self.ops.whole_val(from);
            if let (Some(val), Home::Input(input)) = (whole, to)
                && val == self.ops.inputs[input]
            {
                continue;
            }
            let direct =
                whole
                    .filter(|val| !self.homes.contains_key(val))
                    .filter(|&val| match to {
                        Home::Input(input) => {
                            self.may_overwrite(val, self.ops.inputs[input], targets)
                        }
                        Home::Result(_) | Home::Arena(_) => true,
                    });
            if let Some(val) = direct {
                self.homes.insert(val, to);
                continue;
            }
            let from_input = from
                .val()
                .is_some_and(|v| matches!(self.ops.info(v).def, Def::Input(_)));
            let staged = (from_input && matches!(to, Home::Input(_))).then(|| {
                let bytes = from.view.elements() * from.elem.size();
                self.request(bytes, end, end + 1)
            });
            copies.push(FinalCopy {
                from: from.clone(),
                to,
                staged,
            });
        }
        // Results may be read from inputs that updates then overwrite.
        copies.sort_by_key(|c| matches!(c.to, Home::Input(_)));
        copies
    }

    /// Whether `val` may be written where `old`, an input, is.
    fn may_overwrite(&self, val: Val, old: Val, targets: &[Home]) -> bool {
        let Some(unit) = self.unit_of(val) else {
            return false;
        };
        let read_at_end = self.ops.outputs.iter().zip(targets).any(|(arg, to)| {
            let itself = self.ops.whole_val(arg) == Some(old)
                && matches!(to, Home::Input(i) if self.ops.inputs[*i] == old);
            arg.val() == Some(old) && !itself
        });
        !read_at_end
            && self.uses.readers(old).iter().all(|&r| r <= unit)
            && (!self.uses.readers(old).contains(&unit) || self.same_point(unit, val, old))
    }

    /// Whether `unit` reads `old` only where it writes `val`, before it does.
    fn same_point(&self, unit: usize, val: Val, old: Val) -> bool {
        let u = &self.fused.units[unit];
        let Def::Op(op) = self.ops.info(val).def else {
            return false;
        };
        let place = self.fused.places[op];
        let once = u.is_kernel && (place == Place::Kept || u.reduced.is_none());
        let (new, was) = (self.ops.info(val), self.ops.info(old));
        once && new.elem == was.elem
            && u.ops.iter().all(|&o| {
                let reader = &self.ops.ops[o];
                let at = match reader.kind {
                    Kind::Reduce { .. } => Place::Full,
                    _ => self.fused.places[o],
                };
                reader
                    .args
                    .iter()
                    .filter(|a| a.val() == Some(old))
                    .all(|a| {
                        at == place
                            && a.view.is_whole()
                            && self.covers(a, new.sizes.iter().product())
                    })
            })
    }

    fn covers(&self, arg: &Arg, elements: usize) -> bool {
        arg.view.elements() == elements
    }

    fn build_kernels(&mut self) {
        for u in 0..self.fused.units.len() {
            let unit = &self.fused.units[u];
            if !unit.is_kernel {
                self.built.push(None);
                continue;
            }
            let outputs = self.outputs(u);
            self.built.push(Some(kernel::build(
                self.ops,
                unit,
                &self.fused.places,
                &outputs,
            )));
        }
    }

    /// Values of a kernel that somebody else reads.
    fn outputs(&self, u: usize) -> Vec<Val> {
        let unit = &self.fused.units[u];
        let results = unit.ops.iter().flat_map(|&o| &self.ops.ops[o].results);
        results
            .copied()
            .filter(|v| {
                self.uses.readers(*v).iter().any(|&r| r != u)
                    || self.ops.outputs.iter().any(|a| a.val() == Some(*v))
            })
            .collect()
    }

    fn request(&mut self, bytes: usize, first: usize, last: usize) -> usize {
        self.requests.push(Request { bytes, first, last });
        self.requests.len() - 1
    }

    fn bytes(&self, val: Val) -> usize {
        let info = self.ops.info(val);
        info.sizes.iter().product::<usize>() * info.elem.size()
    }

    /// Places in the arena, reusing an operand's where it dies.
    fn homes_of_rest(&mut self) {
        let end = self.fused.units.len();
        let read_at_end: FxHashSet<Val> = self.ops.outputs.iter().filter_map(Arg::val).collect();
        let mut last_use: Vec<usize> = Vec::new();
        for u in 0..end {
            let unit = &self.fused.units[u];
            let results: Vec<Val> = match unit.is_kernel {
                true => self.outputs(u),
                false => (unit.ops.iter())
                    .flat_map(|&o| self.ops.ops[o].results.iter().copied())
                    .collect(),
            };
            for val in results {
                if self.homes.contains_key(&val) {
                    continue;
                }
                let last = match read_at_end.contains(&val) {
                    true => end + 1,
                    false => self.uses.readers(val).last().copied().unwrap_or(u).max(u),
                };
                let dying =
                    self.operands(u)
                        .into_iter()
                        .find_map(|old| match self.homes.get(&old) {
                            Some(&Home::Arena(r))
                                if last_use[r] == u
                                    && !read_at_end.contains(&old)
                                    && self.uses.readers(old).last() == Some(&u)
                                    && self.bytes(old) == self.bytes(val)
                                    && self.same_point(u, val, old) =>
                            {
                                Some(r)
                            }
                            _ => None,
                        });
                let r = match dying {
                    Some(r) => {
                        self.requests[r].last = last;
                        r
                    }
                    None => self.request(self.bytes(val), u, last),
                };
                last_use.resize(self.requests.len(), 0);
                last_use[r] = last;
                self.homes.insert(val, Home::Arena(r));
            }
        }
    }

    fn operands(&self, u: usize) -> Vec<Val> {
        let args = self.fused.units[u]
            .ops
            .iter()
            .flat_map(|&o| &self.ops.ops[o].args);
        args.filter_map(Arg::val).collect()
    }

    fn program(
        mut self,
        results: usize,
        final_copies: &[FinalCopy],
    ) -> Result<Program, CompileError> {
        // Loops have their own arenas and spare carries, which live for one step.
        let mut bodies: FxHashMap<usize, (Program, usize, Vec<usize>)> = FxHashMap::default();
        for u in 0..self.fused.units.len() {
            let op = &self.ops.ops[self.fused.units[u].ops[0]];
            if let Kind::Other(Prim::Scan(scan)) = &op.kind {
                let body = plan(&scan.body, true, self.settings, self.kernels)?;
                let arena = self.request(body.arena, u, u);
                let spares = (0..scan.carries)
                    .map(|i| self.request(self.bytes(op.results[i]), u, u))
                    .collect();
                bodies.insert(u, (body, arena, spares));
            }
        }
        let arena = memory::plan(&self.requests);
        let place = Placement {
            ops: self.ops,
            homes: &self.homes,
            offsets: &arena.offsets,
            inputs: self.inputs,
        };
        let mut program = Program {
            steps: Vec::new(),
            labels: Vec::new(),
            inputs: self.inputs,
            results,
            arena: arena.bytes,
            scratch: 0,
            flops: 0,
            bases: usize::from(FIRST_INPUT) + self.inputs + results,
        };
        for (u, unit) in self.fused.units.iter().enumerate() {
            if let Some(built) = self.built[u].take() {
                let call = place.call(built, self.kernels);
                program.kernel(call, label(self.ops, unit));
                continue;
            }
            let op = &self.ops.ops[unit.ops[0]];
            match &op.kind {
                Kind::Place { places, fill } => {
                    let to = op.results[0];
                    if *fill {
                        let mut scalar = op.args[1].clone();
                        let sizes = &self.ops.info(to).sizes;
                        scalar.view = scalar.view.broadcast(sizes, &[]);
                        let built = kernel::copy(&scalar, to, &View::contiguous(sizes));
                        program.kernel(place.call(built, self.kernels), "fill".into());
                    }
                    for (arg, to_place) in op.args.iter().zip(places) {
                        let built = kernel::copy(arg, to, to_place);
                        program.kernel(place.call(built, self.kernels), "place".into());
                    }
                }
                Kind::Dot(dims) => place.dot(dims, op, self.settings, self.kernels, &mut program),
                Kind::Other(Prim::Scan(scan)) => {
                    if let Some((body, arena, spares)) = bodies.remove(&u) {
                        place.scan(scan, op, body, arena, &spares, self.kernels, &mut program)?;
                    }
                }
                Kind::Other(prim) => {
                    if let Some(step) = place.other(prim, op, self.settings, &mut program)? {
                        program.push(step, String::new());
                    }
                }
                Kind::Map(_) | Kind::Reduce { .. } => unreachable!("kernels were built"),
            }
        }
        for staged in [true, false] {
            for copy in final_copies.iter().filter(|c| c.staged.is_some() == staged) {
                let to = match copy.staged {
                    Some(r) => Home::Arena(r),
                    None => copy.to,
                };
                let call = place.copy_to(&copy.from, place.home(to), self.kernels);
                program.kernel(call, "copy".into());
            }
        }
        for copy in final_copies.iter().filter(|c| c.staged.is_some()) {
            let Some(r) = copy.staged else { continue };
            let sizes = &copy.from.view.sizes;
            let from = Arg {
                source: Source::Val(Val(u32::MAX)),
                elem: copy.from.elem,
                view: View::contiguous(sizes),
            };
            let mut call = place.copy_to(&from, place.home(copy.to), self.kernels);
            for operand in call.operands.iter_mut().filter(|o| !o.is_store) {
                operand.buf = Some(place.home(Home::Arena(r)));
            }
            program.kernel(call, "copy".into());
        }
        Ok(program)
    }
}

impl Program {
    fn push(&mut self, step: Step, label: String) {
        self.steps.push(step);
        self.labels.push(label);
    }

    /// Adds a call to the last step if nothing in that touches what it does.
    fn kernel(&mut self, call: Call, label: String) {
        if call.tasks == 0 {
            return;
        }
        if let (Some(Step::Kernels(calls)), Some(text)) =
            (self.steps.last_mut(), self.labels.last_mut())
            && calls.iter().all(|c| independent(c, &call))
        {
            calls.push(call);
            text.push_str(" | ");
            text.push_str(&label);
            return;
        }
        self.push(Step::Kernels(vec![call]), label);
    }
}

fn independent(a: &Call, b: &Call) -> bool {
    let overlap = |x: &OperandAt, y: &OperandAt| match (x.buf, y.buf) {
        (Some(p), Some(q)) => {
            p.base == q.base && p.offset < q.offset + y.bytes && q.offset < p.offset + x.bytes
        }
        _ => false,
    };
    let clash = |x: &OperandAt, y: &OperandAt| (x.is_store || y.is_store) && overlap(x, y);
    !a.operands
        .iter()
        .any(|x| b.operands.iter().any(|y| clash(x, y)))
}

/// Buffers of values, now that the arena is laid out.
struct Placement<'a> {
    ops: &'a Ops,
    homes: &'a FxHashMap<Val, Home>,
    offsets: &'a [usize],
    inputs: usize,
}

/// Elements below which a call is one task, and those of a cell of a larger one.
const SMALL: usize = 24 << 10;
const CELL: usize = 8 << 10;

impl Placement<'_> {
    fn home(&self, home: Home) -> Buf {
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

    fn buf(&self, val: Val) -> Buf {
        self.home(self.homes[&val])
    }

    /// Where an operand of a product starts; its source is a value.
    fn arg(&self, arg: &Arg) -> Buf {
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

    fn call(&self, built: Built, kernels: &mut Kernels) -> Call {
        self.call_on(built, kernels, |val| {
            let info = self.ops.info(val);
            let bytes = info.sizes.iter().product::<usize>() * info.elem.size();
            (self.buf(val), bytes)
        })
    }

    /// A copy to a place that is no value's.
    fn copy_to(&self, from: &Arg, to: Buf, kernels: &mut Kernels) -> Call {
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

    fn dot(
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
    fn scan(
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

    fn other(
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
            Prim::Conv(c) => {
                let s = conv_sizes(c, sizes(0), sizes(1), &info.sizes)?;
                self.conv(
                    ConvResult::Output,
                    s,
                    elem,
                    [&op.args[0], &op.args[1]],
                    out,
                    program,
                )
            }
            Prim::ConvInputGrad { conv, .. } => {
                let s = conv_sizes(conv, &info.sizes, sizes(1), sizes(0))?;
                self.conv(
                    ConvResult::Input,
                    s,
                    elem,
                    [&op.args[1], &op.args[0]],
                    out,
                    program,
                )
            }
            Prim::ConvKernelGrad { conv, .. } => {
                let s = conv_sizes(conv, sizes(0), &info.sizes, sizes(1))?;
                self.conv(
                    ConvResult::Kernel,
                    s,
                    elem,
                    [&op.args[0], &op.args[1]],
                    out,
                    program,
                )
            }
            Prim::Window { op: which, dims } => Step::Window {
                elem,
                op: *which,
                sizes: window_sizes(dims, sizes(0), &info.sizes)?,
                x: self.arg(&op.args[0]),
                y: out,
                dx: None,
            },
            Prim::WindowGrad { op: which, dims } => Step::Window {
                elem,
                op: *which,
                sizes: window_sizes(dims, sizes(0), sizes(1))?,
                x: self.arg(&op.args[0]),
                y: self.arg(&op.args[1]),
                dx: Some(out),
            },
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

    /// `args`: for the output x and kernel, for the input kernel and dy, for the kernel x and dy.
    fn conv(
        &self,
        which: ConvResult,
        sizes: ConvSizes,
        elem: Elem,
        args: [&Arg; 2],
        out: Buf,
        program: &mut Program,
    ) -> Step {
        let (p, q) = (self.arg(args[0]), self.arg(args[1]));
        let (x, kernel, y) = match which {
            ConvResult::Output => (p, q, out),
            ConvResult::Input => (out, p, q),
            ConvResult::Kernel => (p, out, q),
        };
        let per_point = sizes.taps() * sizes.channels.0 / sizes.groups * sizes.channels.1;
        program.flops += 2 * (sizes.batch * sizes.outputs() * per_point) as u64;
        Step::Conv {
            elem,
            which,
            sizes,
            x,
            kernel,
            y,
        }
    }
}

fn conv_sizes(
    c: &ConvDims,
    x: &[usize],
    kernel: &[usize],
    y: &[usize],
) -> Result<ConvSizes, CompileError> {
    let n = c.strides.len();
    Ok(ConvSizes {
        batch: x[0],
        input: x[1..=n].into(),
        window: kernel[..n].into(),
        output: y[1..=n].into(),
        strides: c.strides.clone(),
        dilation: c.dilation.clone(),
        low: c.low.iter().map(constant).collect::<Result<_, _>>()?,
        groups: c.groups,
        channels: (x[n + 1], y[n + 1]),
    })
}

fn window_sizes(w: &WindowDims, x: &[usize], y: &[usize]) -> Result<ConvSizes, CompileError> {
    let n = w.window.len();
    Ok(ConvSizes {
        batch: x[0],
        input: x[1..=n].into(),
        window: w.window.clone(),
        output: y[1..=n].into(),
        strides: w.strides.clone(),
        dilation: vec![1; n],
        low: w.low.iter().map(constant).collect::<Result<_, _>>()?,
        groups: 1,
        channels: (x[n + 1], y[n + 1]),
    })
}

fn constant(dim: &Dim) -> Result<usize, CompileError> {
    let size = dim.as_const().and_then(|c| usize::try_from(c).ok());
    size.ok_or(CompileError::Symbol)
}

/// Names of a unit's operations, in order.
fn label(ops: &Ops, unit: &Unit) -> String {
    use super::ops::MapOp;
    let names = unit.ops.iter().map(|&o| match &ops.ops[o].kind {
        Kind::Map(MapOp::Copy) => "copy".to_string(),
        Kind::Map(MapOp::Unary(u)) => u.name().to_string(),
        Kind::Map(MapOp::Binary(b)) => b.name().to_string(),
        Kind::Map(MapOp::Compare(c)) => c.name().to_string(),
        Kind::Map(MapOp::Select) => "select".to_string(),
        Kind::Map(MapOp::Cast(e)) => format!("cast {}", e.name()),
        Kind::Reduce { op, .. } => format!("reduce_{}", op.name()),
        Kind::Place { .. } | Kind::Dot(_) | Kind::Other(_) => String::new(),
    });
    names.collect::<Vec<_>>().join(" ")
}
