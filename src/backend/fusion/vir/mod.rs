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

mod builder;
mod text;

pub use builder::Builder;

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
