//! Fused kernels as CUDA C++.
//!
//! A kernel whose points do not depend on each other has one thread per point. Where lines are reduced, a block of
//! 256 threads has some lines, each with a power of two of threads, its lanes: lane n takes points n, n + lanes, ...
//! of the line, and the lanes are folded in one order, so that a run repeats bit for bit.

use std::fmt::Write;

use super::ops::{expression, memory, register};
use super::program::{Launch, THREADS, blocks};
use super::target::Whole;
use crate::backend::fusion::kernel::scratch_line;
use crate::backend::fusion::vir::{Acc, Kernel, Op, Orient, Stage, Store, Ty, V};
use crate::backend::schedule::program::{Call, OperandAt};
use crate::ir::Elem;
use crate::ir::prim::Reduce;

/// A call of `kernel` as a function named `name`.
pub(super) fn emit(kernel: &Kernel, call: &Call<Whole>, name: &str, out: &mut String) -> Launch {
    let flat = kernel.orient == Orient::Rows
        && kernel.scratch == 0
        && kernel
            .stages
            .iter()
            .all(|s| s.accs.is_empty() && s.line_stores.is_empty());
    let emit = Emit { kernel, call };
    match flat {
        true => emit.flat(name, out),
        false => emit.lines(name, out),
    }
}

struct Emit<'a> {
    kernel: &'a Kernel,
    call: &'a Call<Whole>,
}

/// Threads of a line, and how far apart they are in the block.
struct Lanes {
    count: usize,
    stride: usize,
}

// Writing to a string cannot fail.
impl Emit<'_> {
    fn outer(&self) -> usize {
        self.call.outer.iter().product()
    }

    /// One thread per point.
    fn flat(&self, name: &str, out: &mut String) -> Launch {
        let (rows, cols) = (self.call.rows.max(1), self.call.cols.max(1));
        let points = self.outer() * rows * cols;
        head(name, out);
        let _ = writeln!(
            out,
            "  const long i = (long)blockIdx.x * {THREADS} + threadIdx.x;\n  if (i >= {points}) return;\n  const long col = i % {cols}, row = i / {cols} % {rows};"
        );
        self.place(&format!("i / {}", rows * cols), out);
        self.pointers(out);
        self.values(&self.kernel.once, "  ", out);
        for stage in &self.kernel.stages {
            self.values(&stage.line, "  ", out);
            self.values(&stage.body, "  ", out);
            self.stores(&stage.stores, "  ", out);
        }
        out.push_str("}\n");
        Launch {
            blocks: blocks(points),
            barriers: false,
        }
    }

    /// Some threads per line.
    fn lines(&self, name: &str, out: &mut String) -> Launch {
        let (rows, cols) = (self.call.rows, self.call.cols);
        let (lanes, per_block) = match self.kernel.orient {
            Orient::Rows => {
                let count = cols.next_power_of_two().clamp(1, THREADS);
                (Lanes { count, stride: 1 }, THREADS / count)
            }
            Orient::Columns => {
                let stride = cols.next_power_of_two().clamp(1, 32);
                let count = THREADS / stride;
                (Lanes { count, stride }, stride)
            }
        };
        head(name, out);
        let (count, stride) = (lanes.count, lanes.stride);
        let groups = match self.kernel.orient {
            Orient::Rows => (self.outer() * rows.max(1)).div_ceil(per_block),
            Orient::Columns => self.outer() * cols.max(1).div_ceil(per_block),
        };
        let _ = writeln!(out, "  const int lane = threadIdx.x / {stride} % {count};");
        match self.kernel.orient {
            Orient::Rows => {
                let all = self.outer() * rows.max(1);
                let _ = writeln!(
                    out,
                    "  const long line = (long)blockIdx.x * {per_block} + threadIdx.x / {count};\n  const bool inside = line < {all};\n  const long row = line % {};",
                    rows.max(1)
                );
                self.place(&format!("line / {}", rows.max(1)), out);
            }
            Orient::Columns => {
                let parts = cols.max(1).div_ceil(per_block);
                let _ = writeln!(
                    out,
                    "  const long col = (long)(blockIdx.x % {parts}) * {per_block} + threadIdx.x % {stride};\n  const bool inside = col < {cols};"
                );
                self.place(&format!("(long)blockIdx.x / {parts}"), out);
            }
        }
        self.scratch(per_block, out);
        self.pointers(out);
        let accs = self.kernel.stages.iter().flat_map(|s| &s.accs);
        for acc in accs {
            let _ = writeln!(out, "  {} r{};", sum_type(acc), acc.id);
        }
        self.guarded_values(&self.kernel.once, out);
        for stage in &self.kernel.stages {
            self.guarded_values(&stage.line, out);
            if !stage.line_stores.is_empty() {
                out.push_str("  if (inside && lane == 0) {\n");
                self.stores(&stage.line_stores, "    ", out);
                out.push_str("  }\n");
            }
            if stage.has_pass() {
                self.pass(stage, &lanes, out);
            }
        }
        out.push_str("}\n");
        Launch {
            blocks: groups,
            barriers: true,
        }
    }

    /// A loop over the points of the line, and the folds at its end.
    fn pass(&self, stage: &Stage, lanes: &Lanes, out: &mut String) {
        let (along, length) = match self.kernel.orient {
            Orient::Rows => ("col", self.call.cols),
            Orient::Columns => ("row", self.call.rows),
        };
        for acc in &stage.accs {
            let _ = writeln!(out, "  r{} = {};", acc.id, identity(acc));
        }
        let _ = writeln!(
            out,
            "  if (inside)\n    for (long {along} = lane; {along} < {length}; {along} += {}) {{",
            lanes.count
        );
        self.values(&stage.body, "      ", out);
        self.stores(&stage.stores, "      ", out);
        for acc in &stage.accs {
            let (op, id, v) = (fold_name(acc.op), acc.id, acc.value.0);
            let _ = writeln!(out, "      r{id} = {op}()(r{id}, ({})v{v});", sum_type(acc));
        }
        out.push_str("    }\n");
        for acc in &stage.accs {
            let (op, id, ty) = (fold_name(acc.op), acc.id, sum_type(acc));
            let _ = writeln!(
                out,
                "  {{\n    __shared__ {ty} shared[{THREADS}];\n    r{id} = fold<{}, {}>(r{id}, {op}(), shared);\n  }}",
                lanes.count, lanes.stride
            );
        }
    }

    /// Indices of the axes that the driver walks.
    fn place(&self, index: &str, out: &mut String) {
        let outer = &self.call.outer;
        if outer.is_empty() {
            return;
        }
        let _ = writeln!(out, "  const long place = {index};");
        let mut below = 1;
        for axis in (0..outer.len()).rev() {
            let _ = writeln!(
                out,
                "  const long o{axis} = place / {below} % {};",
                outer[axis]
            );
            below *= outer[axis];
        }
    }

    /// The block's lines of scratch.
    fn scratch(&self, per_block: usize, out: &mut String) {
        let lines = usize::from(self.kernel.scratch);
        if lines == 0 {
            return;
        }
        let bytes = lines * scratch_line(self.call.cols.max(1));
        let _ = writeln!(
            out,
            "  __shared__ double room[{}];\n  char* scratch = (char*)room + threadIdx.x / {} * {bytes};",
            (bytes * per_block).div_ceil(8),
            THREADS / per_block
        );
    }

    /// Where the line of each operand starts.
    fn pointers(&self, out: &mut String) {
        for (i, o) in self.call.operands.iter().enumerate() {
            let moved = self.moved(o);
            let _ = match (o.buf, o.scratch) {
                (Some(buf), _) => writeln!(
                    out,
                    "  char* p{i} = bases[{}] + {}{moved};",
                    buf.base,
                    buf.offset as isize + o.offset
                ),
                (None, Some(line)) => writeln!(
                    out,
                    "  char* p{i} = scratch + {};",
                    usize::from(line) * scratch_line(self.call.cols.max(1))
                ),
                (None, None) => writeln!(out, "  const long p{i} = {}{moved};", o.offset),
            };
        }
    }

    /// Terms of an operand's address that do not change along the line.
    fn moved(&self, o: &OperandAt) -> String {
        let mut text = String::new();
        for (axis, stride) in o.outer.iter().enumerate().filter(|(_, s)| **s != 0) {
            let _ = write!(text, " + o{axis} * {stride}");
        }
        let (name, stride) = match self.kernel.orient {
            Orient::Rows => ("row", o.row),
            Orient::Columns => ("col", o.col),
        };
        if stride != 0 && o.scratch.is_none() {
            let _ = write!(text, " + {name} * {stride}");
        }
        text
    }

    /// The address of an operand at the point.
    fn at(&self, o: u16) -> String {
        let operand = self.kernel.operand(o);
        let (name, stride) = match self.kernel.orient {
            Orient::Rows => ("col", operand.col),
            Orient::Columns => ("row", operand.row),
        };
        match stride {
            0 => format!("p{o}"),
            s => format!("p{o} + {name} * {s}"),
        }
    }

    fn value(&self, v: V) -> String {
        let load = |o: u16| {
            let elem = self.kernel.operand(o).elem;
            let value = format!("*(const {}*)({})", memory(elem), self.at(o));
            match elem {
                Elem::Bool => format!("{value} != 0"),
                _ => value,
            }
        };
        let index = |o: u16| format!("(int)({})", self.at(o));
        expression(self.kernel, v, load, index)
    }

    fn values(&self, values: &[V], indent: &str, out: &mut String) {
        for &v in values {
            let ty = register(self.kernel.inst(v).ty);
            let _ = writeln!(out, "{indent}const {ty} v{} = {};", v.0, self.value(v));
        }
    }

    /// Values of a line; a thread without a line reads nothing.
    fn guarded_values(&self, values: &[V], out: &mut String) {
        for &v in values {
            let inst = self.kernel.inst(v);
            let (ty, value) = (register(inst.ty), self.value(v));
            let _ = match inst.op {
                Op::Load(_) => writeln!(out, "  const {ty} v{} = inside ? {value} : {ty}(0);", v.0),
                _ => writeln!(out, "  const {ty} v{} = {value};", v.0),
            };
        }
    }

    fn stores(&self, stores: &[Store], indent: &str, out: &mut String) {
        for s in stores {
            let ty = memory(self.kernel.operand(s.operand).elem);
            let _ = writeln!(
                out,
                "{indent}*({ty}*)({}) = ({ty})v{};",
                self.at(s.operand),
                s.value.0
            );
        }
    }
}

pub(super) fn head(name: &str, out: &mut String) {
    let _ = writeln!(
        out,
        "extern \"C\" __global__ void __launch_bounds__({THREADS}) {name}(char* const* bases) {{"
    );
}

/// Masks are summed as integers.
fn sum_type(acc: &Acc) -> &'static str {
    match acc.ty {
        Ty::Mask => "int",
        ty => register(ty),
    }
}

fn identity(acc: &Acc) -> String {
    let x = match acc.op {
        Reduce::Sum => 0.0,
        Reduce::Prod => 1.0,
        Reduce::Max => f64::NEG_INFINITY,
        Reduce::Min => f64::INFINITY,
    };
    let ty = match acc.ty {
        Ty::Mask => Ty::I32,
        ty => ty,
    };
    super::ops::number(x, ty)
}

fn fold_name(op: Reduce) -> &'static str {
    match op {
        Reduce::Sum => "Sum",
        Reduce::Prod => "Prod",
        Reduce::Max => "Max",
        Reduce::Min => "Min",
    }
}
