//! The portable emitter: kernels of the vector IR as Cranelift functions, four lanes wide.
//!
//! A kernel becomes `fn(ptrs: *const *mut u8, rows: usize, cols: usize)`. Over the columns, a loop of `SLOTS` vectors
//! a turn and then one of single elements; both run the same instructions, so a result does not depend on
//! where a range is cut. What vectors cannot do (doubles, calls, odd strides) is done by single elements alone.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::immediates::Ieee64;
use cranelift_codegen::ir::{
    self, AbiParam, Block, BlockArg, Function, InstBuilder, MemFlagsData, SigRef, Signature, Type,
    Value, types,
};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};

use super::calls;
use super::vir::{
    Acc, Bin, Cmp, Func, Inst, Kernel, Level, Op, Operand, Orient, Stage, Store, Ty, Un, V,
    each_arg,
};
use crate::ir::Elem;
use crate::ir::prim::Reduce;

/// Lanes of a vector.
const LANES: usize = 4;
/// Vectors of one turn of the wide loops.
const SLOTS: usize = 4;
/// Environment of the single-element code.
const SCALAR: usize = SLOTS;

/// Writes `kernel` into `function`, whose signature is set already.
pub fn emit(
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
pub fn signature(convention: cranelift_codegen::isa::CallConv) -> Signature {
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

    fn inst(&mut self, v: V, slot: usize, at: &At) {
        let Inst { op, ty } = self.k.inst(v);
        let to = clif_type(ty, slot);
        let value = match op {
            Op::F32(bits) => {
                let x = self.b.ins().f32const(f32::from_bits(bits));
                self.fill(x, slot, to)
            }
            Op::F64(bits) => self.b.ins().f64const(Ieee64::with_bits(bits)),
            Op::I32(x) => {
                let x = self.b.ins().iconst(types::I32, i64::from(x as u32));
                self.fill(x, slot, to)
            }
            Op::Mask(x) => {
                let x = self.b.ins().iconst(types::I8, i64::from(x));
                match slot {
                    SCALAR => x,
                    _ => self.splat(x, Ty::Mask),
                }
            }
            Op::Load(o) => self.load(o, slot, at),
            Op::Index(o) => self.index(o, slot, at),
            // Set when the reduction ends.
            Op::Reduced(_) => return,
            Op::Un(un, a) => {
                let from = self.k.inst(a).ty;
                let a = self.get(a, slot);
                self.un(un, a, from, slot)
            }
            Op::Bin(bin, x, y) => {
                let (x, y) = (self.get(x, slot), self.get(y, slot));
                self.bin(bin, x, y, ty, slot)
            }
            Op::Fma(x, y, z) => {
                let (x, y, z) = (self.get(x, slot), self.get(y, slot), self.get(z, slot));
                if self.fma {
                    self.b.ins().fma(x, y, z)
                } else {
                    let product = self.b.ins().fmul(x, y);
                    self.b.ins().fadd(product, z)
                }
            }
            Op::Cmp(cmp, x, y) => {
                let operand = self.k.inst(x).ty;
                let (x, y) = (self.get(x, slot), self.get(y, slot));
                match operand {
                    Ty::I32 => self.b.ins().icmp(int_condition(cmp), x, y),
                    _ => self.b.ins().fcmp(float_condition(cmp), x, y),
                }
            }
            Op::Select(c, x, y) => {
                let (c, x, y) = (self.get(c, slot), self.get(x, slot), self.get(y, slot));
                self.choose(c, x, y, slot)
            }
            Op::Call(f, x, y) => {
                let mut args = vec![self.get(x, slot)];
                if let Some(y) = y {
                    args.push(self.get(y, slot));
                }
                self.call(f, &args, ty)
            }
        };
        self.env[slot][v.0 as usize] = Some(value);
    }

    fn fill(&mut self, x: Value, slot: usize, ty: Type) -> Value {
        match slot {
            SCALAR => x,
            _ => self.b.ins().splat(ty, x),
        }
    }

    fn choose(&mut self, c: Value, x: Value, y: Value, slot: usize) -> Value {
        if slot == SCALAR {
            return self.b.ins().select(c, x, y);
        }
        let ty = self.b.func.dfg.value_type(x);
        let c = match ty {
            types::I32X4 => c,
            _ => self.b.ins().bitcast(ty, same(), c),
        };
        self.b.ins().bitselect(c, x, y)
    }

    fn un(&mut self, un: Un, a: Value, from: Ty, slot: usize) -> Value {
        let int = from == Ty::I32;
        match un {
            Un::Neg if int => self.b.ins().ineg(a),
            Un::Neg => self.b.ins().fneg(a),
            Un::Abs if int => self.b.ins().iabs(a),
            Un::Abs => self.b.ins().fabs(a),
            Un::Sqrt => self.b.ins().sqrt(a),
            Un::Floor => self.b.ins().floor(a),
            Un::Ceil => self.b.ins().ceil(a),
            Un::Round => self.b.ins().nearest(a),
            Un::Not if slot == SCALAR => {
                let one = self.b.ins().iconst(types::I8, 1);
                self.b.ins().bxor(a, one)
            }
            Un::Not => self.b.ins().bnot(a),
            Un::Bits => {
                let to = if int { Ty::F32 } else { Ty::I32 };
                self.b.ins().bitcast(clif_type(to, slot), same(), a)
            }
            Un::ToF32 if int => self.b.ins().fcvt_from_sint(clif_type(Ty::F32, slot), a),
            Un::ToF32 => self.b.ins().fdemote(types::F32, a),
            Un::ToF64 if int => self.b.ins().fcvt_from_sint(types::F64, a),
            Un::ToF64 => self.b.ins().fpromote(types::F64, a),
            Un::ToI32 => self.b.ins().fcvt_to_sint_sat(clif_type(Ty::I32, slot), a),
            Un::Shl(by) => {
                let by = self.b.ins().iconst(types::I32, i64::from(by));
                self.b.ins().ishl(a, by)
            }
            Un::Sra(by) => {
                let by = self.b.ins().iconst(types::I32, i64::from(by));
                self.b.ins().sshr(a, by)
            }
        }
    }

    fn bin(&mut self, bin: Bin, x: Value, y: Value, ty: Ty, slot: usize) -> Value {
        let int = ty == Ty::I32;
        match bin {
            Bin::Add if int => self.b.ins().iadd(x, y),
            Bin::Add => self.b.ins().fadd(x, y),
            Bin::Sub if int => self.b.ins().isub(x, y),
            Bin::Sub => self.b.ins().fsub(x, y),
            Bin::Mul if int => self.b.ins().imul(x, y),
            Bin::Mul => self.b.ins().fmul(x, y),
            Bin::Div if int => self.int_call(false, x, y),
            Bin::Div => self.b.ins().fdiv(x, y),
            Bin::Rem => self.int_call(true, x, y),
            Bin::Max if int => self.b.ins().smax(x, y),
            Bin::Min if int => self.b.ins().smin(x, y),
            // Cranelift makes one instruction of this form.
            Bin::Max => {
                let more = self.b.ins().fcmp(FloatCC::LessThan, y, x);
                self.choose(more, x, y, slot)
            }
            Bin::Min => {
                let less = self.b.ins().fcmp(FloatCC::LessThan, x, y);
                self.choose(less, x, y, slot)
            }
            Bin::And => self.b.ins().band(x, y),
            Bin::Or => self.b.ins().bor(x, y),
            Bin::Scale => self.scale(x, y, slot),
        }
    }

    /// In two steps, for exponents that one float's exponent cannot hold.
    fn scale(&mut self, x: Value, n: Value, slot: usize) -> Value {
        let (f, i) = (clif_type(Ty::F32, slot), clif_type(Ty::I32, slot));
        let magic = 12_582_912.0f32;
        let m = self.b.ins().f32const(magic);
        let m = self.fill(m, slot, f);
        let moved = self.b.ins().fadd(n, m);
        let bits = self.b.ins().bitcast(i, same(), moved);
        let m = self.b.ins().iconst(types::I32, i64::from(magic.to_bits()));
        let m = self.fill(m, slot, i);
        let n = self.b.ins().isub(bits, m);
        let one = self.b.ins().iconst(types::I32, 1);
        let half = self.b.ins().sshr(n, one);
        let rest = self.b.ins().isub(n, half);
        let bias = self.b.ins().iconst(types::I32, 127);
        let bias = self.fill(bias, slot, i);
        let by = self.b.ins().iconst(types::I32, 23);
        [half, rest].into_iter().fold(x, |x, e| {
            let e = self.b.ins().iadd(e, bias);
            let e = self.b.ins().ishl(e, by);
            let power = self.b.ins().bitcast(f, same(), e);
            self.b.ins().fmul(x, power)
        })
    }

    fn int_call(&mut self, remainder: bool, x: Value, y: Value) -> Value {
        let sig = self.signature(types::I32, 2);
        let address = self.int(calls::address_int(remainder) as i64);
        let call = self.b.ins().call_indirect(sig, address, &[x, y]);
        self.b.inst_results(call)[0]
    }

    fn call(&mut self, f: Func, args: &[Value], ty: Ty) -> Value {
        let sig = self.signature(types::F64, args.len());
        let wide: Vec<Value> = args
            .iter()
            .map(|a| match ty {
                Ty::F32 => self.b.ins().fpromote(types::F64, *a),
                _ => *a,
            })
            .collect();
        let address = self.int(calls::address64(f) as i64);
        let call = self.b.ins().call_indirect(sig, address, &wide);
        let result = self.b.inst_results(call)[0];
        match ty {
            Ty::F32 => self.b.ins().fdemote(types::F32, result),
            _ => result,
        }
    }

    fn signature(&mut self, ty: Type, args: usize) -> SigRef {
        let mut s = Signature::new(self.b.func.signature.call_conv);
        s.params = vec![AbiParam::new(ty); args];
        s.returns.push(AbiParam::new(ty));
        self.b.func.import_signature(s)
    }

    fn load(&mut self, o: u16, slot: usize, at: &At) -> Value {
        let operand = self.k.operand(o);
        let address = at.get(o as usize).copied().flatten();
        let address = address.unwrap_or(self.line[o as usize]);
        if slot == SCALAR || operand.col == 0 {
            let one = match operand.elem {
                Elem::F32 => self.b.ins().load(types::F32, plain(), address, 0),
                Elem::F64 => self.b.ins().load(types::F64, plain(), address, 0),
                Elem::I32 => self.b.ins().load(types::I32, plain(), address, 0),
                Elem::U8 => self.b.ins().uload8(types::I32, plain(), address, 0),
                Elem::Bool => {
                    let byte = self.b.ins().load(types::I8, plain(), address, 0);
                    let zero = self.b.ins().iconst(types::I8, 0);
                    self.b.ins().icmp(IntCC::NotEqual, byte, zero)
                }
            };
            return match slot {
                SCALAR => one,
                _ => self.splat(one, super::vir::reg_type(operand.elem)),
            };
        }
        let offset = (slot * LANES * operand.elem.size()) as i32;
        match operand.elem {
            Elem::F32 => self.b.ins().load(types::F32X4, plain(), address, offset),
            Elem::I32 => self.b.ins().load(types::I32X4, plain(), address, offset),
            Elem::F64 => unreachable!("doubles are not vectors"),
            Elem::U8 | Elem::Bool => {
                let four = self.b.ins().load(types::I32, plain(), address, offset);
                let v = self.b.ins().scalar_to_vector(types::I32X4, four);
                let v = self.b.ins().bitcast(types::I8X16, same(), v);
                let v = self.b.ins().uwiden_low(v);
                let v = self.b.ins().uwiden_low(v);
                if operand.elem == Elem::U8 {
                    return v;
                }
                let zero = self.b.ins().iconst(types::I32, 0);
                let zero = self.b.ins().splat(types::I32X4, zero);
                self.b.ins().icmp(IntCC::NotEqual, v, zero)
            }
        }
    }

    fn index(&mut self, o: u16, slot: usize, at: &At) -> Value {
        let operand = self.k.operand(o);
        let address = at.get(o as usize).copied().flatten();
        let address = address.unwrap_or(self.line[o as usize]);
        let first = self.b.ins().ireduce(types::I32, address);
        if slot == SCALAR {
            return first;
        }
        let first = self.b.ins().splat(types::I32X4, first);
        let lanes = (0..LANES).map(|i| (slot * LANES + i) as i32 * operand.col as i32);
        let bytes: Vec<u8> = lanes.flat_map(i32::to_le_bytes).collect();
        let constant = self
            .b
            .func
            .dfg
            .constants
            .insert(ir::ConstantData::from(&bytes[..]));
        let lanes = self.b.ins().vconst(types::I32X4, constant);
        self.b.ins().iadd(first, lanes)
    }

    fn store(&mut self, s: Store, slot: usize, at: &At) {
        let operand = self.k.operand(s.operand);
        let address = at[s.operand as usize].unwrap_or(self.line[s.operand as usize]);
        let value = self.get(s.value, slot);
        let offset = match slot {
            SCALAR => 0,
            _ => (slot * LANES * operand.elem.size()) as i32,
        };
        let value = match (slot, operand.elem) {
            (_, Elem::F32 | Elem::F64 | Elem::I32) | (SCALAR, Elem::Bool) => value,
            (SCALAR, Elem::U8) => self.b.ins().ireduce(types::I8, value),
            (_, Elem::U8 | Elem::Bool) => {
                let half = self.b.ins().snarrow(value, value);
                let bytes = match operand.elem {
                    Elem::U8 => self.b.ins().unarrow(half, half),
                    _ => {
                        let bytes = self.b.ins().snarrow(half, half);
                        let one = self.b.ins().iconst(types::I8, 1);
                        let one = self.b.ins().splat(types::I8X16, one);
                        self.b.ins().band(bytes, one)
                    }
                };
                let words = self.b.ins().bitcast(types::I32X4, same(), bytes);
                self.b.ins().extractlane(words, 0)
            }
        };
        self.b.ins().store(plain(), value, address, offset);
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

/// Of a change of type: lanes in order.
fn same() -> MemFlagsData {
    MemFlagsData::new().with_endianness(ir::Endianness::Little)
}

fn int_condition(cmp: Cmp) -> IntCC {
    match cmp {
        Cmp::Eq => IntCC::Equal,
        Cmp::Ne => IntCC::NotEqual,
        Cmp::Lt => IntCC::SignedLessThan,
        Cmp::Le => IntCC::SignedLessThanOrEqual,
        Cmp::Gt => IntCC::SignedGreaterThan,
        Cmp::Ge => IntCC::SignedGreaterThanOrEqual,
    }
}

fn float_condition(cmp: Cmp) -> FloatCC {
    match cmp {
        Cmp::Eq => FloatCC::Equal,
        Cmp::Ne => FloatCC::NotEqual,
        Cmp::Lt => FloatCC::LessThan,
        Cmp::Le => FloatCC::LessThanOrEqual,
        Cmp::Gt => FloatCC::GreaterThan,
        Cmp::Ge => FloatCC::GreaterThanOrEqual,
    }
}
