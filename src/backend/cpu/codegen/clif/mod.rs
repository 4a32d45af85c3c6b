//! The portable emitter: kernels of the vector IR as Cranelift functions, four lanes wide.
//!
//! A kernel becomes `fn(ptrs: *const *mut u8, rows: usize, cols: usize)`. Over the columns, a loop of `SLOTS` vectors
//! a turn and then one of single elements; both run the same instructions, so a result does not depend on
//! where a range is cut. What vectors cannot do (doubles, calls, odd strides) is done by single elements alone.

mod ops;

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{
    self, AbiParam, Block, BlockArg, Function, InstBuilder, MemFlagsData, Signature, Type, Value,
    types,
};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};

use crate::backend::fusion::vir::{
    Acc, Bin, Inst, Kernel, Level, Op, Operand, Orient, Stage, Store, Ty, V, each_arg,
};
use crate::ir::prim::Reduce;

/// Lanes of a vector.
const LANES: usize = 4;
/// Vectors of one turn of the wide loops.
const SLOTS: usize = 4;
/// Environment of the single-element code.
const SCALAR: usize = SLOTS;

/// Writes `kernel` into `function`, whose signature is set already.
pub(super) fn emit(
    kernel: &Kernel,
    function: &mut Function,
    context: &mut FunctionBuilderContext,
    config: cranelift_codegen::isa::TargetFrontendConfig,
    fma: bool,
) {
    let mut b = FunctionBuilder::new(function, context);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let params = b.block_params(entry).to_vec();
    let count = kernel.insts.len();
    let mut e = Emit {
        k: kernel,
        env: vec![vec![None; count]; SLOTS + 1],
        pointers: Vec::new(),
        line: Vec::new(),
        rows: params[1],
        cols: params[2],
        wide: is_wide(kernel),
        fma,
        b,
    };
    for i in 0..kernel.operands.len() {
        let p =
            e.b.ins()
                .load(types::I64, MemFlagsData::trusted(), params[0], 8 * i as i32);
        e.pointers.push(p);
    }
    e.line = e.pointers.clone();
    for &v in &kernel.once {
        e.inst(v, SCALAR, &Vec::new());
    }
    match kernel.orient {
        Orient::Rows => e.rows(),
        Orient::Columns => e.columns(),
    }
    e.b.ins().return_(&[]);
    e.b.seal_all_blocks();
    e.b.finalize(config);
}

/// The signature of every kernel.
pub(super) fn signature(convention: cranelift_codegen::isa::CallConv) -> Signature {
    let mut s = Signature::new(convention);
    s.params = vec![AbiParam::new(types::I64); 3];
    s
}

fn is_wide(k: &Kernel) -> bool {
    let inst = |v: V| {
        let Inst { op, ty } = k.inst(v);
        let strange = match op {
            Op::Call(..) => true,
            Op::Bin(Bin::Div | Bin::Rem, ..) => ty == Ty::I32,
            Op::Load(o) => odd(k.operand(o)),
            _ => false,
        };
        ty == Ty::F64 || (strange && k.level(v) == Level::Point)
    };
    // In columns, lines are vectors too.
    let lines = k.orient == Orient::Columns;
    let call = |v: V| {
        let Inst { op, ty } = k.inst(v);
        lines
            && k.level(v) == Level::Line
            && (matches!(op, Op::Call(..))
                || (matches!(op, Op::Bin(Bin::Div | Bin::Rem, ..)) && ty == Ty::I32)
                || matches!(op, Op::Load(o) if odd(k.operand(o))))
    };
    let store = |s: &Store| odd(k.operand(s.operand));
    !k.live().any(|v| inst(v) || call(v))
        && !k
            .stages
            .iter()
            .any(|s| s.stores.iter().any(store) || (lines && s.line_stores.iter().any(store)))
}

fn odd(o: Operand) -> bool {
    o.col != 0 && o.col != o.elem.size() as isize
}

/// Addresses of the operands at the current point, by operand.
type At = Vec<Option<Value>>;

struct Emit<'a> {
    k: &'a Kernel,
    b: FunctionBuilder<'a>,
    /// By slot, by value.
    env: Vec<Vec<Option<Value>>>,
    pointers: Vec<Value>,
    /// Addresses at the start of the current line.
    line: Vec<Value>,
    rows: Value,
    cols: Value,
    wide: bool,
    fma: bool,
}

/// A counted loop under construction.
struct Loop {
    header: Block,
    exit: Block,
    index: Value,
    carried: Vec<Value>,
}

impl Emit<'_> {
    fn rows(&mut self) {
        let k = self.k;
        let zero = self.int(0);
        let rows = self.begin(zero, self.rows, 1, &[]);
        for i in 0..k.operands.len() {
            self.line[i] = self.offset(self.pointers[i], rows.index, k.operands[i].row);
        }
        for stage in &k.stages {
            let at = self.line.iter().copied().map(Some).collect();
            for &v in &stage.line {
                self.inst(v, SCALAR, &at);
            }
            for &s in &stage.line_stores {
                self.store(s, SCALAR, &at);
            }
            if stage.has_pass() {
                self.row_pass(stage);
            }
        }
        self.end(rows, 1, &[]);
    }

    fn row_pass(&mut self, stage: &Stage) {
        let zero = self.int(0);
        let (mut start, mut sums) = (zero, Vec::new());
        let single: Vec<Value> = stage
            .accs
            .iter()
            .map(|a| self.identity(a, SCALAR))
            .collect();
        if self.wide {
            let slots = slots(stage);
            self.prepare(stage, slots);
            let step = (LANES * slots) as i64;
            let mask = self.int(-step);
            let whole = self.b.ins().band(self.cols, mask);
            let init: Vec<Value> = (0..slots)
                .flat_map(|s| stage.accs.iter().map(move |a| (s, a)))
                .map(|(s, a)| self.identity(a, s))
                .collect();
            let l = self.begin(zero, whole, step, &init);
            let at = self.points(stage, l.index);
            let mut next = Vec::new();
            for slot in 0..slots {
                for &v in &stage.body {
                    self.inst(v, slot, &at);
                }
                for (i, acc) in stage.accs.iter().enumerate() {
                    let v = self.get(acc.value, slot);
                    let sum = l.carried[slot * stage.accs.len() + i];
                    next.push(self.accumulate(acc, sum, v));
                }
            }
            for slot in 0..slots {
                for &s in &stage.stores {
                    self.store(s, slot, &at);
                }
            }
            sums = self.end(l, step, &next);
            start = whole;
        }
        let l = self.begin(start, self.cols, 1, &single);
        let at = self.points(stage, l.index);
        for &v in &stage.body {
            self.inst(v, SCALAR, &at);
        }
        let mut next = Vec::new();
        for (acc, &sum) in stage.accs.iter().zip(&l.carried) {
            let v = self.get(acc.value, SCALAR);
            next.push(self.accumulate(acc, sum, v));
        }
        for &s in &stage.stores {
            self.store(s, SCALAR, &at);
        }
        let single = self.end(l, 1, &next);
        for (i, acc) in stage.accs.iter().enumerate() {
            let parts: Vec<Value> = sums
                .iter()
                .skip(i)
                .step_by(stage.accs.len())
                .copied()
                .collect();
            let mut total = single[i];
            if let Some(wide) = self.fold(acc, parts) {
                let lanes: Vec<Value> = (0..LANES as u8)
                    .map(|lane| self.b.ins().extractlane(wide, lane))
                    .collect();
                if let Some(sum) = self.fold(acc, vec![lanes[0], lanes[2], lanes[1], lanes[3]]) {
                    total = self.accumulate(acc, sum, total);
                }
            }
            self.set_reduced(acc, SCALAR, total);
        }
    }

    fn columns(&mut self) {
        let zero = self.int(0);
        let mut start = zero;
        if self.wide {
            let slots = self.k.stages.iter().map(slots).min().unwrap_or(SLOTS);
            for v in self.k.once.clone() {
                for slot in 0..slots {
                    self.get(v, slot);
                }
            }
            let step = (LANES * slots) as i64;
            let mask = self.int(-step);
            let whole = self.b.ins().band(self.cols, mask);
            let l = self.begin(zero, whole, step, &[]);
            self.column_group(l.index, &(0..slots).collect::<Vec<_>>());
            self.end(l, step, &[]);
            start = whole;
        }
        let l = self.begin(start, self.cols, 1, &[]);
        self.column_group(l.index, &[SCALAR]);
        self.end(l, 1, &[]);
    }

    /// All stages for the columns from `index` on.
    fn column_group(&mut self, index: Value, slots: &[usize]) {
        let k = self.k;
        for i in 0..k.operands.len() {
            self.line[i] = self.offset(self.pointers[i], index, k.operands[i].col);
        }
        for stage in &k.stages {
            let at: At = self.line.iter().copied().map(Some).collect();
            for &slot in slots {
                for &v in &stage.line {
                    self.inst(v, slot, &at);
                }
                for &s in &stage.line_stores {
                    self.store(s, slot, &at);
                }
            }
            if !stage.has_pass() {
                continue;
            }
            let init: Vec<Value> = slots
                .iter()
                .flat_map(|s| stage.accs.iter().map(move |a| (*s, a)))
                .map(|(s, a)| self.identity(a, s))
                .collect();
            let zero = self.int(0);
            let l = self.begin(zero, self.rows, 1, &init);
            let at = self.points(stage, l.index);
            let mut next = Vec::new();
            for (n, &slot) in slots.iter().enumerate() {
                for &v in &stage.body {
                    self.inst(v, slot, &at);
                }
                for (i, acc) in stage.accs.iter().enumerate() {
                    let v = self.get(acc.value, slot);
                    next.push(self.accumulate(acc, l.carried[n * stage.accs.len() + i], v));
                }
            }
            for &slot in slots {
                for &s in &stage.stores {
                    self.store(s, slot, &at);
                }
            }
            let sums = self.end(l, 1, &next);
            for (n, &slot) in slots.iter().enumerate() {
                for (i, acc) in stage.accs.iter().enumerate() {
                    self.set_reduced(acc, slot, sums[n * stage.accs.len() + i]);
                }
            }
        }
    }

    /// Makes vectors of what the pass reads that is not of the point.
    fn prepare(&mut self, stage: &Stage, slots: usize) {
        let k = self.k;
        let mut read: Vec<V> = stage.stores.iter().map(|s| s.value).collect();
        read.extend(stage.accs.iter().map(|a| a.value));
        for &v in &stage.body {
            each_arg(k.inst(v).op, |a| read.push(a));
        }
        for v in read.into_iter().filter(|v| k.level(*v) != Level::Point) {
            for slot in 0..slots {
                self.get(v, slot);
            }
        }
    }

    fn set_reduced(&mut self, acc: &Acc, slot: usize, total: Value) {
        for (i, inst) in self.k.insts.iter().enumerate() {
            if inst.op == Op::Reduced(acc.id) {
                self.env[slot][i] = Some(total);
            }
        }
    }

    /// Addresses of the operands that the pass uses, `index` points along the line.
    fn points(&mut self, stage: &Stage, index: Value) -> At {
        let mut at = vec![None; self.k.operands.len()];
        let loads = stage.body.iter().filter_map(|v| match self.k.inst(*v).op {
            Op::Load(o) | Op::Index(o) => Some(o),
            _ => None,
        });
        let used: Vec<u16> = loads
            .chain(stage.stores.iter().map(|s| s.operand))
            .collect();
        for o in used {
            let operand = self.k.operand(o);
            let stride = match self.k.orient {
                Orient::Rows => operand.col,
                Orient::Columns => operand.row,
            };
            if at[o as usize].is_none() {
                at[o as usize] = Some(self.offset(self.line[o as usize], index, stride));
            }
        }
        at
    }

    fn int(&mut self, x: i64) -> Value {
        self.b.ins().iconst(types::I64, x)
    }

    fn offset(&mut self, base: Value, index: Value, stride: isize) -> Value {
        let moved = match stride {
            0 => return base,
            1 => index,
            s if s > 0 && s.count_ones() == 1 => {
                let by = self.int(i64::from(s.trailing_zeros()));
                self.b.ins().ishl(index, by)
            }
            s => {
                let by = self.int(s as i64);
                self.b.ins().imul(index, by)
            }
        };
        self.b.ins().iadd(base, moved)
    }

    /// `for index in (start..end).step_by(step)`; the block of its body is current afterwards.
    fn begin(&mut self, start: Value, end: Value, step: i64, carried: &[Value]) -> Loop {
        let _ = step;
        let (header, body, exit) = (
            self.b.create_block(),
            self.b.create_block(),
            self.b.create_block(),
        );
        let index = self.b.append_block_param(header, types::I64);
        let inner: Vec<Value> = carried
            .iter()
            .map(|v| {
                let ty = self.b.func.dfg.value_type(*v);
                self.b.append_block_param(header, ty)
            })
            .collect();
        let args: Vec<BlockArg> = std::iter::once(&start)
            .chain(carried)
            .map(|v| (*v).into())
            .collect();
        self.b.ins().jump(header, &args);
        self.b.switch_to_block(header);
        let more = self.b.ins().icmp(IntCC::UnsignedLessThan, index, end);
        self.b.ins().brif(more, body, &[], exit, &[]);
        self.b.switch_to_block(body);
        Loop {
            header,
            exit,
            index,
            carried: inner,
        }
    }

    /// Ends the body; the values carried are what they are after the loop.
    fn end(&mut self, l: Loop, step: i64, next: &[Value]) -> Vec<Value> {
        let step = self.int(step);
        let index = self.b.ins().iadd(l.index, step);
        let args: Vec<BlockArg> = std::iter::once(&index)
            .chain(next)
            .map(|v| (*v).into())
            .collect();
        self.b.ins().jump(l.header, &args);
        self.b.switch_to_block(l.exit);
        l.carried
    }

    fn get(&mut self, v: V, slot: usize) -> Value {
        if let Some(value) = self.env[slot][v.0 as usize] {
            return value;
        }
        let scalar = self.env[SCALAR][v.0 as usize].expect("computed before it is used");
        let value = self.splat(scalar, self.k.inst(v).ty);
        self.env[slot][v.0 as usize] = Some(value);
        value
    }

    fn splat(&mut self, scalar: Value, ty: Ty) -> Value {
        let scalar = match ty {
            Ty::Mask => self.b.ins().bmask(types::I32, scalar),
            Ty::F32 | Ty::F64 | Ty::I32 => scalar,
        };
        self.b.ins().splat(clif_type(ty, 0), scalar)
    }

    fn identity(&mut self, acc: &Acc, slot: usize) -> Value {
        let x = match acc.op {
            Reduce::Sum => 0.0,
            Reduce::Prod => 1.0,
            Reduce::Max => f64::NEG_INFINITY,
            Reduce::Min => f64::INFINITY,
        };
        let value = match acc.ty {
            Ty::F32 => self.b.ins().f32const(x as f32),
            Ty::F64 => self.b.ins().f64const(x),
            // Saturates to the least and the greatest.
            Ty::I32 | Ty::Mask => self.b.ins().iconst(types::I32, i64::from(x as i32 as u32)),
        };
        self.fill(value, slot, clif_type(acc.ty, slot))
    }

    fn accumulate(&mut self, acc: &Acc, sum: Value, v: Value) -> Value {
        let slot = match self.b.func.dfg.value_type(v).is_vector() {
            true => 0,
            false => SCALAR,
        };
        let op = match acc.op {
            Reduce::Sum => Bin::Add,
            Reduce::Prod => Bin::Mul,
            Reduce::Max => Bin::Max,
            Reduce::Min => Bin::Min,
        };
        let next = self.bin(op, sum, v, acc.ty, slot);
        match (acc.op, acc.ty) {
            (Reduce::Max | Reduce::Min, Ty::F32 | Ty::F64) => {
                let nan = self.b.ins().fcmp(FloatCC::Unordered, sum, sum);
                self.choose(nan, sum, next, slot)
            }
            _ => next,
        }
    }

    /// Pairwise; none of none.
    fn fold(&mut self, acc: &Acc, mut parts: Vec<Value>) -> Option<Value> {
        while parts.len() > 1 {
            parts = parts
                .chunks(2)
                .map(|pair| match pair {
                    [x, y] => self.accumulate(acc, *x, *y),
                    _ => pair[0],
                })
                .collect();
        }
        parts.pop()
    }
}

/// Long bodies fill the machine without being repeated.
fn slots(stage: &Stage) -> usize {
    match stage.body.len() {
        0..=24 => SLOTS,
        25..=60 => 2,
        _ => 1,
    }
}

fn clif_type(ty: Ty, slot: usize) -> Type {
    match (ty, slot) {
        (Ty::F32, SCALAR) => types::F32,
        (Ty::I32, SCALAR) => types::I32,
        (Ty::Mask, SCALAR) => types::I8,
        (Ty::F64, _) => types::F64,
        (Ty::F32, _) => types::F32X4,
        (Ty::I32 | Ty::Mask, _) => types::I32X4,
    }
}

fn plain() -> MemFlagsData {
    MemFlagsData::new().with_notrap()
}

/// Flags of a bitcast that keeps the lanes in order.
fn same() -> MemFlagsData {
    MemFlagsData::new().with_endianness(ir::Endianness::Little)
}
