//! The vector IR: the body of one fused kernel as SSA over lanes, which every emitter reads.
//!
//! A kernel runs over `rows` x `cols` points; lanes are neighbouring columns. An instruction has a *level*: it
//! depends on nothing ([`Level::Once`]), on the line only ([`Level::Line`]), or on the point ([`Level::Point`]). A line
//! is a row, or, where the reduction runs down the columns ([`Orient::Columns`]), a group of columns.
//!
//! A reduction ends a *pass* over a line: what depends on its result is computed in the next *stage*. So
//! a softmax is one kernel of three passes:
//!
//! ```text
//! stage 0   pass: m = max x
//! stage 1   pass: e = exp(x - m), store e to scratch, s = sum e
//! stage 2   line: r = 1 / s      pass: store e * r
//! ```
//!
//! A value of an earlier pass is computed again where that is cheap, else kept in a scratch line.

use rustc_hash::FxHashMap;

use crate::ir::Elem;
use crate::ir::prim::Reduce;

/// Register types. `U8` is `I32` in registers, `Bool` is `Mask`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ty {
    F32,
    F64,
    I32,
    Mask,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct V(pub u32);

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Un {
    /// Floats and `I32`.
    Neg,
    Abs,
    Sqrt,
    Floor,
    Ceil,
    /// Halves to even.
    Round,
    /// Masks.
    Not,
    /// The same bits as another type, between `F32` and `I32`.
    Bits,
    /// From `I32` or the other float.
    ToF32,
    ToF64,
    /// Truncates, saturates, NaN to 0.
    ToI32,
    /// `I32` shifts.
    Shl(u8),
    Sra(u8),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Bin {
    Add,
    Sub,
    Mul,
    /// `I32`: truncating, by zero gives 0.
    Div,
    /// `I32` only: of the sign of the divisor, by zero gives 0.
    Rem,
    /// `a > b ? a : b`: b where they do not compare.
    Max,
    /// `a < b ? a : b`
    Min,
    /// Masks and `I32`.
    And,
    Or,
    /// `a * 2^b`, both `F32`, b whole: exact but for one rounding into the subnormals.
    Scale,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cmp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// Functions called lane by lane.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Func {
    Exp,
    Log,
    Log1p,
    Expm1,
    Sin,
    Cos,
    Tanh,
    Logistic,
    Erf,
    Pow,
    Rem,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Op {
    /// Bits of an f32.
    F32(u32),
    /// Bits of an f64.
    F64(u64),
    I32(i32),
    Mask(bool),
    /// The operand's element at this point.
    Load(u16),
    /// The operand's address at this point, which is an index.
    Index(u16),
    /// The final value of a reduction of an earlier stage.
    Reduced(u16),
    Un(Un, V),
    Bin(Bin, V, V),
    /// `a * b + c`, rounded once where the machine can.
    Fma(V, V, V),
    Cmp(Cmp, V, V),
    Select(V, V, V),
    Call(Func, V, Option<V>),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Inst {
    pub op: Op,
    pub ty: Ty,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Level {
    Once,
    Line,
    Point,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Orient {
    Rows,
    Columns,
}

/// Memory that a kernel reads or writes, or a row of indices. Strides are in bytes (of indices: in units).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Operand {
    pub elem: Elem,
    pub row: isize,
    pub col: isize,
    /// Line of scratch number n: the driver gives each task its own.
    pub scratch: Option<u16>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Store {
    pub operand: u16,
    pub value: V,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Acc {
    pub op: Reduce,
    pub value: V,
    pub ty: Ty,
    /// The number that [`Op::Reduced`] names.
    pub id: u16,
}

/// What is done for a line at one stage: values of the line, then a pass over its points.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Stage {
    pub line: Vec<V>,
    pub line_stores: Vec<Store>,
    pub body: Vec<V>,
    pub stores: Vec<Store>,
    pub accs: Vec<Acc>,
}

impl Stage {
    /// Whether the points are gone over at all.
    pub fn has_pass(&self) -> bool {
        !self.stores.is_empty() || !self.accs.is_empty()
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Kernel {
    pub orient: Orient,
    pub operands: Vec<Operand>,
    pub insts: Vec<Inst>,
    pub levels: Vec<Level>,
    pub once: Vec<V>,
    pub stages: Vec<Stage>,
    /// Lines of scratch, each of `cols` elements of 8 bytes at most.
    pub scratch: u16,
}

impl Kernel {
    pub fn inst(&self, v: V) -> Inst {
        self.insts[v.0 as usize]
    }
    pub fn level(&self, v: V) -> Level {
        self.levels[v.0 as usize]
    }
    pub fn operand(&self, i: u16) -> Operand {
        self.operands[i as usize]
    }
    /// Every instruction that is executed.
    pub fn live(&self) -> impl Iterator<Item = V> {
        let stages = self
            .stages
            .iter()
            .flat_map(|s| s.line.iter().chain(&s.body));
        self.once.iter().chain(stages).copied()
    }
}

pub fn reg_type(elem: Elem) -> Ty {
    match elem {
        Elem::F32 => Ty::F32,
        Elem::F64 => Ty::F64,
        Elem::I32 | Elem::U8 => Ty::I32,
        Elem::Bool => Ty::Mask,
    }
}

pub fn each_arg(op: Op, mut f: impl FnMut(V)) {
    map_args(op, |v| {
        f(v);
        v
    });
}

pub fn map_args(op: Op, mut f: impl FnMut(V) -> V) -> Op {
    match op {
        Op::F32(_)
        | Op::F64(_)
        | Op::I32(_)
        | Op::Mask(_)
        | Op::Load(_)
        | Op::Index(_)
        | Op::Reduced(_) => op,
        Op::Un(u, a) => Op::Un(u, f(a)),
        Op::Bin(b, x, y) => Op::Bin(b, f(x), f(y)),
        Op::Fma(x, y, z) => Op::Fma(f(x), f(y), f(z)),
        Op::Cmp(c, x, y) => Op::Cmp(c, f(x), f(y)),
        Op::Select(c, x, y) => Op::Select(f(c), f(x), f(y)),
        Op::Call(func, x, y) => Op::Call(func, f(x), y.map(f)),
    }
}

/// Builds a kernel; equal instructions become one.
pub struct Builder {
    orient: Orient,
    operands: Vec<Operand>,
    insts: Vec<Inst>,
    levels: Vec<Level>,
    stages: Vec<u16>,
    seen: FxHashMap<Inst, V>,
    accs: Vec<(Reduce, V)>,
    stores: Vec<Store>,
    scratch: u16,
    max_scratch: u16,
}

/// Instructions that it is worth computing again rather than storing and loading.
const CHEAP: usize = 8;

impl Builder {
    /// `max_scratch`: how many lines of scratch the driver can give.
    pub fn new(orient: Orient, max_scratch: u16) -> Builder {
        Builder {
            orient,
            operands: Vec::new(),
            insts: Vec::new(),
            levels: Vec::new(),
            stages: Vec::new(),
            seen: FxHashMap::default(),
            accs: Vec::new(),
            stores: Vec::new(),
            scratch: 0,
            max_scratch,
        }
    }

    pub fn operand(&mut self, elem: Elem, row: isize, col: isize) -> u16 {
        self.operands.push(Operand {
            elem,
            row,
            col,
            scratch: None,
        });
        self.operands.len() as u16 - 1
    }
    pub fn ty(&self, v: V) -> Ty {
        self.insts[v.0 as usize].ty
    }
    pub fn op(&self, v: V) -> Op {
        self.insts[v.0 as usize].op
    }
    pub fn load(&mut self, operand: u16) -> V {
        let ty = reg_type(self.operands[operand as usize].elem);
        self.inst(Op::Load(operand), ty)
    }
    pub fn index(&mut self, operand: u16) -> V {
        self.inst(Op::Index(operand), Ty::I32)
    }
    pub fn f32(&mut self, x: f32) -> V {
        self.inst(Op::F32(x.to_bits()), Ty::F32)
    }
    pub fn f64(&mut self, x: f64) -> V {
        self.inst(Op::F64(x.to_bits()), Ty::F64)
    }
    pub fn i32(&mut self, x: i32) -> V {
        self.inst(Op::I32(x), Ty::I32)
    }
    pub fn mask(&mut self, x: bool) -> V {
        self.inst(Op::Mask(x), Ty::Mask)
    }
    /// A number of register type `ty`.
    pub fn number(&mut self, x: f64, ty: Ty) -> V {
        match ty {
            Ty::F32 => self.f32(x as f32),
            Ty::F64 => self.f64(x),
            Ty::I32 => self.i32(x as i32),
            Ty::Mask => self.mask(x != 0.0),
        }
    }
    pub fn un(&mut self, op: Un, a: V) -> V {
        let ty = match op {
            Un::Bits if self.ty(a) == Ty::F32 => Ty::I32,
            Un::Bits | Un::ToF32 => Ty::F32,
            Un::ToF64 => Ty::F64,
            Un::ToI32 => Ty::I32,
            Un::Neg
            | Un::Abs
            | Un::Sqrt
            | Un::Floor
            | Un::Ceil
            | Un::Round
            | Un::Not
            | Un::Shl(_)
            | Un::Sra(_) => self.ty(a),
        };
        self.inst(Op::Un(op, a), ty)
    }
    pub fn bin(&mut self, op: Bin, a: V, b: V) -> V {
        let ty = self.ty(a);
        self.inst(Op::Bin(op, a, b), ty)
    }
    pub fn add(&mut self, a: V, b: V) -> V {
        self.bin(Bin::Add, a, b)
    }
    pub fn sub(&mut self, a: V, b: V) -> V {
        self.bin(Bin::Sub, a, b)
    }
    pub fn mul(&mut self, a: V, b: V) -> V {
        self.bin(Bin::Mul, a, b)
    }
    pub fn div(&mut self, a: V, b: V) -> V {
        self.bin(Bin::Div, a, b)
    }
    pub fn fma(&mut self, a: V, b: V, c: V) -> V {
        let ty = self.ty(a);
        self.inst(Op::Fma(a, b, c), ty)
    }
    pub fn cmp(&mut self, op: Cmp, a: V, b: V) -> V {
        self.inst(Op::Cmp(op, a, b), Ty::Mask)
    }
    pub fn select(&mut self, c: V, a: V, b: V) -> V {
        let ty = self.ty(a);
        self.inst(Op::Select(c, a, b), ty)
    }
    pub fn call(&mut self, f: Func, a: V, b: Option<V>) -> V {
        let ty = self.ty(a);
        self.inst(Op::Call(f, a, b), ty)
    }
    /// Reduces along the line; the result is known from the next stage on.
    pub fn reduce(&mut self, op: Reduce, v: V) -> V {
        let ty = self.ty(v);
        let id = match self.accs.iter().position(|a| *a == (op, v)) {
            Some(id) => id,
            None => {
                self.accs.push((op, v));
                self.accs.len() - 1
            }
        };
        self.inst(Op::Reduced(id as u16), ty)
    }
    pub fn store(&mut self, operand: u16, value: V) {
        self.stores.push(Store { operand, value });
    }

    fn inst(&mut self, op: Op, ty: Ty) -> V {
        let inst = Inst { op, ty };
        if let Some(&v) = self.seen.get(&inst) {
            return v;
        }
        let (level, stage) = self.place(op);
        let v = self.push(inst, level, stage);
        self.seen.insert(inst, v);
        v
    }
    fn push(&mut self, inst: Inst, level: Level, stage: u16) -> V {
        self.insts.push(inst);
        self.levels.push(level);
        self.stages.push(stage);
        V(self.insts.len() as u32 - 1)
    }
    fn place(&self, op: Op) -> (Level, u16) {
        match op {
            Op::Load(o) | Op::Index(o) => (self.operand_level(o), 0),
            Op::Reduced(id) => {
                let (_, v) = self.accs[id as usize];
                (Level::Line, self.stages[v.0 as usize] + 1)
            }
            _ => {
                let mut at = (Level::Once, 0);
                each_arg(op, |v| {
                    let i = v.0 as usize;
                    at = (at.0.max(self.levels[i]), at.1.max(self.stages[i]));
                });
                at
            }
        }
    }
    fn operand_level(&self, operand: u16) -> Level {
        let o = &self.operands[operand as usize];
        let (along, across) = match self.orient {
            Orient::Rows => (o.col, o.row),
            Orient::Columns => (o.row, o.col),
        };
        match (along, across) {
            (0, 0) => Level::Once,
            (0, _) => Level::Line,
            _ => Level::Point,
        }
    }

    /// Orders everything by stages.
    ///
    /// `points` and `lines` say whether the space has more than one point a line and more than one line: a
    /// store with a stride of 0 along an axis of size 1 is still a store of its level.
    pub fn finish(mut self, stores_at: impl Fn(u16) -> Level) -> Kernel {
        let count = self.stages.iter().max().map_or(1, |s| *s as usize + 1);
        let mut stages: Vec<Stage> = vec![Stage::default(); count];
        let mut marked: Vec<V> = Vec::new();
        for store in std::mem::take(&mut self.stores) {
            let stage = &mut stages[self.stages[store.value.0 as usize] as usize];
            match stores_at(store.operand) {
                Level::Point => stage.stores.push(store),
                Level::Line | Level::Once => {
                    stage.line_stores.push(store);
                    marked.push(store.value);
                }
            }
        }
        for (id, &(op, value)) in self.accs.iter().enumerate() {
            let at = self.stages[value.0 as usize] as usize;
            stages[at].accs.push(Acc {
                op,
                value,
                ty: self.insts[value.0 as usize].ty,
                id: id as u16,
            });
        }
        // Later passes first: they may ask earlier ones to keep a line.
        for at in (0..count).rev() {
            let mut pass = std::mem::take(&mut stages[at]);
            let mut memo = FxHashMap::default();
            for i in 0..pass.stores.len() {
                let v = pass.stores[i].value;
                pass.stores[i].value =
                    self.demand(v, at, &mut pass.body, &mut memo, &mut stages, &mut marked);
            }
            for i in 0..pass.accs.len() {
                let v = pass.accs[i].value;
                pass.accs[i].value =
                    self.demand(v, at, &mut pass.body, &mut memo, &mut stages, &mut marked);
            }
            stages[at] = pass;
        }
        let mut needed = vec![false; self.insts.len()];
        while let Some(v) = marked.pop() {
            if !std::mem::replace(&mut needed[v.0 as usize], true) {
                each_arg(self.insts[v.0 as usize].op, |a| marked.push(a));
            }
        }
        let mut once = Vec::new();
        for (i, _) in needed.iter().enumerate().filter(|(_, n)| **n) {
            match self.levels[i] {
                Level::Once => once.push(V(i as u32)),
                Level::Line => stages[self.stages[i] as usize].line.push(V(i as u32)),
                Level::Point => {}
            }
        }
        Kernel {
            orient: self.orient,
            operands: self.operands,
            insts: self.insts,
            levels: self.levels,
            once,
            stages,
            scratch: self.scratch,
        }
    }

    /// The value in pass `at` that equals `v`; appends to the pass what computes it.
    fn demand(
        &mut self,
        v: V,
        at: usize,
        body: &mut Vec<V>,
        memo: &mut FxHashMap<V, V>,
        stages: &mut [Stage],
        marked: &mut Vec<V>,
    ) -> V {
        if self.levels[v.0 as usize] != Level::Point {
            marked.push(v);
            return v;
        }
        if let Some(&known) = memo.get(&v) {
            return known;
        }
        let from = self.stages[v.0 as usize] as usize;
        let inst = self.insts[v.0 as usize];
        if from < at
            && inst.ty != Ty::Mask
            && self.cost(v, CHEAP + 1) > CHEAP
            && let Some(kept) = self.keep(v, from, stages)
        {
            memo.insert(v, kept);
            body.push(kept);
            return kept;
        }
        let op = map_args(inst.op, |a| self.demand(a, at, body, memo, stages, marked));
        let here = match op == inst.op && from == at {
            true => v,
            false => self.push(Inst { op, ty: inst.ty }, Level::Point, at as u16),
        };
        body.push(here);
        memo.insert(v, here);
        here
    }

    /// A load of `v`, which its own pass stores to a scratch line; none where there is no room.
    fn keep(&mut self, v: V, from: usize, stages: &mut [Stage]) -> Option<V> {
        let stored = stages[from]
            .stores
            .iter()
            .find(|s| s.value == v && self.operands[s.operand as usize].scratch.is_some());
        let operand = match stored {
            Some(s) => s.operand,
            None => {
                if self.orient != Orient::Rows || self.scratch == self.max_scratch {
                    return None;
                }
                let elem = match self.insts[v.0 as usize].ty {
                    Ty::F32 => Elem::F32,
                    Ty::F64 => Elem::F64,
                    Ty::I32 => Elem::I32,
                    Ty::Mask => return None,
                };
                self.operands.push(Operand {
                    elem,
                    row: 0,
                    col: elem.size() as isize,
                    scratch: Some(self.scratch),
                });
                self.scratch += 1;
                let operand = self.operands.len() as u16 - 1;
                stages[from].stores.push(Store { operand, value: v });
                operand
            }
        };
        let inst = Inst {
            op: Op::Load(operand),
            ty: self.insts[v.0 as usize].ty,
        };
        Some(self.push(inst, Level::Point, from as u16))
    }

    /// Point instructions behind `v`, up to `limit`.
    fn cost(&self, v: V, limit: usize) -> usize {
        if limit == 0 || self.levels[v.0 as usize] != Level::Point {
            return 0;
        }
        let inst = self.insts[v.0 as usize];
        if matches!(inst.op, Op::Call(..)) {
            return limit;
        }
        let mut sum = 1;
        each_arg(inst.op, |a| {
            if sum < limit {
                sum += self.cost(a, limit - sum);
            }
        });
        sum.min(limit)
    }
}
