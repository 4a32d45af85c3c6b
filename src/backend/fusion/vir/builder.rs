//! Building a kernel, instruction by instruction, and ordering it by stages.

use rustc_hash::FxHashMap;

use super::{
    Acc, Bin, Cmp, Func, Inst, Kernel, Level, Op, Operand, Orient, Stage, Store, Ty, Un, V,
    each_arg, map_args, reg_type,
};
use crate::ir::Elem;
use crate::ir::prim::Reduce;

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

/// The pass of one stage while it is put together.
struct Pass<'a> {
    at: usize,
    body: Vec<V>,
    /// Values of the pass by the values that were asked for.
    known: FxHashMap<V, V>,
    stages: &'a mut [Stage],
    /// Values that are computed once or for a line.
    marked: &'a mut Vec<V>,
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
    /// `stores_at` says at which level an operand is stored: a stride of 0 along an axis of size 1 does not tell.
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
            let (mut stores, mut accs) = {
                let stage = &mut stages[at];
                (
                    std::mem::take(&mut stage.stores),
                    std::mem::take(&mut stage.accs),
                )
            };
            let mut pass = Pass {
                at,
                body: Vec::new(),
                known: FxHashMap::default(),
                stages: &mut stages,
                marked: &mut marked,
            };
            for store in &mut stores {
                store.value = self.demand(store.value, &mut pass);
            }
            for acc in &mut accs {
                acc.value = self.demand(acc.value, &mut pass);
            }
            let body = pass.body;
            let stage = &mut stages[at];
            (stage.stores, stage.accs, stage.body) = (stores, accs, body);
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

    /// The value in a pass that equals `v`; appends to the pass what computes it.
    fn demand(&mut self, v: V, pass: &mut Pass) -> V {
        if self.levels[v.0 as usize] != Level::Point {
            pass.marked.push(v);
            return v;
        }
        if let Some(&known) = pass.known.get(&v) {
            return known;
        }
        let at = pass.at;
        let from = self.stages[v.0 as usize] as usize;
        let inst = self.insts[v.0 as usize];
        if from < at
            && inst.ty != Ty::Mask
            && self.cost(v, CHEAP + 1) > CHEAP
            && let Some(kept) = self.keep(v, from, pass.stages)
        {
            pass.known.insert(v, kept);
            pass.body.push(kept);
            return kept;
        }
        let op = map_args(inst.op, |a| self.demand(a, pass));
        let here = match op == inst.op && from == at {
            true => v,
            false => self.push(Inst { op, ty: inst.ty }, Level::Point, at as u16),
        };
        pass.body.push(here);
        pass.known.insert(v, here);
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
