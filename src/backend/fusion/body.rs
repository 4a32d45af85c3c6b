//! The body of a kernel: what each operation is in the vector IR.

use rustc_hash::FxHashMap;

use super::math;
use super::ops::{Arg, MapOp, Source, Val};
use super::vir::{self, Bin, Builder, Cmp, Func, Ty, Un, V, reg_type};
use crate::ir::Elem;
use crate::ir::prim::{Binary, Compare, Unary};

pub(super) fn argument(
    b: &mut Builder,
    arg: &Arg,
    access: Option<&usize>,
    env: &FxHashMap<Val, V>,
) -> V {
    match (arg.source, access) {
        (Source::Const(x), _) => b.number(x, reg_type(arg.elem)),
        (Source::Index, Some(&at)) => {
            let index = b.index(at as u16);
            cast(b, index, Elem::I32, arg.elem)
        }
        (_, Some(&at)) => b.load(at as u16),
        (Source::Val(v), None) => env[&v],
        (Source::Index, None) => unreachable!("an index is an operand"),
    }
}

pub(super) fn cast(b: &mut Builder, v: V, from: Elem, to: Elem) -> V {
    if from == to {
        return v;
    }
    let zero = b.number(0.0, reg_type(from));
    match (from, to) {
        (_, Elem::Bool) if from != Elem::Bool => b.cmp(Cmp::Ne, v, zero),
        (Elem::Bool, _) => {
            let ty = reg_type(to);
            let (one, zero) = (b.number(1.0, ty), b.number(0.0, ty));
            b.select(v, one, zero)
        }
        (_, Elem::F32) => b.un(Un::ToF32, v),
        (_, Elem::F64) => b.un(Un::ToF64, v),
        (Elem::F32 | Elem::F64, Elem::I32) => b.un(Un::ToI32, v),
        (Elem::F32 | Elem::F64 | Elem::I32, Elem::U8) => {
            let whole = match from {
                Elem::I32 => v,
                _ => b.un(Un::ToI32, v),
            };
            let (low, high) = (b.i32(0), b.i32(255));
            let v = b.bin(Bin::Max, whole, low);
            b.bin(Bin::Min, v, high)
        }
        (Elem::U8, Elem::I32) => v,
        (Elem::I32 | Elem::U8, _) | (_, Elem::Bool) => v,
    }
}

pub(super) fn map_op(b: &mut Builder, op: MapOp, args: &[V]) -> V {
    match op {
        MapOp::Copy | MapOp::Cast(_) => args[0],
        MapOp::Unary(op) => unary(b, op, args[0]),
        MapOp::Binary(op) => binary(b, op, args[0], args[1]),
        MapOp::Select => match b.ty(args[1]) {
            Ty::Mask => {
                let (not, yes) = (b.un(Un::Not, args[0]), b.bin(Bin::And, args[0], args[1]));
                let no = b.bin(Bin::And, not, args[2]);
                b.bin(Bin::Or, yes, no)
            }
            _ => b.select(args[0], args[1], args[2]),
        },
        MapOp::Compare(op) => compare(b, op, args[0], args[1]),
    }
}

fn compare(b: &mut Builder, op: Compare, x: V, y: V) -> V {
    let cmp = match op {
        Compare::Eq => Cmp::Eq,
        Compare::Ne => Cmp::Ne,
        Compare::Lt => Cmp::Lt,
        Compare::Le => Cmp::Le,
        Compare::Gt => Cmp::Gt,
        Compare::Ge => Cmp::Ge,
    };
    match b.ty(x) {
        Ty::Mask => {
            let (one, zero) = (b.i32(1), b.i32(0));
            let (x, y) = (b.select(x, one, zero), b.select(y, one, zero));
            b.cmp(cmp, x, y)
        }
        _ => b.cmp(cmp, x, y),
    }
}

fn unary(b: &mut Builder, op: Unary, x: V) -> V {
    match op {
        Unary::Neg => b.un(Un::Neg, x),
        Unary::Abs => b.un(Un::Abs, x),
        Unary::Floor => b.un(Un::Floor, x),
        Unary::Ceil => b.un(Un::Ceil, x),
        Unary::Round => b.un(Un::Round, x),
        Unary::Sqrt => b.un(Un::Sqrt, x),
        Unary::Not => b.un(Un::Not, x),
        Unary::Sign => {
            let ty = b.ty(x);
            let (zero, one, minus) = (b.number(0.0, ty), b.number(1.0, ty), b.number(-1.0, ty));
            let up = b.cmp(Cmp::Gt, x, zero);
            let down = b.cmp(Cmp::Lt, x, zero);
            let below = b.select(down, minus, x);
            b.select(up, one, below)
        }
        Unary::Exp
        | Unary::Log
        | Unary::Log1p
        | Unary::Expm1
        | Unary::Sin
        | Unary::Cos
        | Unary::Tanh
        | Unary::Logistic
        | Unary::Erf => math::expand(b, op, x),
    }
}

fn binary(b: &mut Builder, op: Binary, x: V, y: V) -> V {
    match op {
        Binary::Add => b.add(x, y),
        Binary::Sub => b.sub(x, y),
        Binary::Mul => b.mul(x, y),
        Binary::Div => b.div(x, y),
        Binary::Rem => match b.ty(x) {
            Ty::I32 => b.bin(Bin::Rem, x, y),
            _ => b.call(Func::Rem, x, Some(y)),
        },
        Binary::Pow => math::pow(b, x, y),
        Binary::Max => extreme(b, Bin::Max, x, y),
        Binary::Min => extreme(b, Bin::Min, x, y),
        Binary::And => b.bin(Bin::And, x, y),
        Binary::Or => b.bin(Bin::Or, x, y),
    }
}

/// Max or min that is NaN where either is; one instruction where an operand is a constant.
fn extreme(b: &mut Builder, op: Bin, x: V, y: V) -> V {
    let constant = |b: &Builder, v: V| match b.op(v) {
        vir::Op::F32(bits) => !f32::from_bits(bits).is_nan(),
        vir::Op::F64(bits) => !f64::from_bits(bits).is_nan(),
        _ => false,
    };
    if b.ty(x) == Ty::I32 || constant(b, x) {
        b.bin(op, x, y)
    } else if constant(b, y) {
        b.bin(op, y, x)
    } else {
        let best = b.bin(op, x, y);
        let nan = b.cmp(Cmp::Ne, x, x);
        b.select(nan, x, best)
    }
}
