//! Elementwise primitives. Floats of both widths are computed in f64 and rounded once.

use ndarray::{ArrayD, Zip};

use super::array::{Array, zip_arrays};
use crate::ir::prim::{Binary, Compare, Unary};

pub(super) fn unary(op: Unary, x: &Array) -> Array {
    match x {
        Array::F32(_) | Array::F64(_) => {
            Array::from_f64(x.elem(), x.to_f64().mapv(|v| float_unary(op, v)))
        }
        Array::I32(x) => Array::I32(x.mapv(|v| int_unary(op, v))),
        Array::Bool(x) => Array::Bool(x.mapv(|v| !v)),
        Array::U8(_) => unreachable!("the verifier allows no unary operation on u8"),
    }
}

pub(super) fn binary(op: Binary, x: &Array, y: &Array) -> Array {
    match (x, y) {
        (Array::F32(_) | Array::F64(_), _) => {
            let r = zip(&x.to_f64(), &y.to_f64(), |a, b| float_binary(op, a, b));
            Array::from_f64(x.elem(), r)
        }
        (Array::I32(x), Array::I32(y)) => Array::I32(zip(x, y, |a, b| int_binary(op, a, b))),
        (Array::U8(x), Array::U8(y)) => {
            let wide = |a: u8, b: u8| int_binary(op, a.into(), b.into());
            Array::U8(zip(x, y, |a, b| wide(a, b) as u8))
        }
        (Array::Bool(x), Array::Bool(y)) => Array::Bool(zip(x, y, |a, b| match op {
            Binary::And => a && b,
            Binary::Or => a || b,
            Binary::Add
            | Binary::Sub
            | Binary::Mul
            | Binary::Div
            | Binary::Rem
            | Binary::Pow
            | Binary::Max
            | Binary::Min => unreachable!("the verifier allows only logic on bool"),
        })),
        (Array::I32(_) | Array::U8(_) | Array::Bool(_), _) => {
            unreachable!("the verifier saw equal element types")
        }
    }
}

pub(super) fn compare(op: Compare, x: &Array, y: &Array) -> Array {
    Array::Bool(zip_arrays!(x, y, (x, y) => zip(x, y, |a, b| holds(op, a, b)), plain))
}

pub(super) fn select(condition: &Array, then: &Array, otherwise: &Array) -> Array {
    let Array::Bool(condition) = condition else {
        unreachable!("the verifier saw bool")
    };
    zip_arrays!(then, otherwise, (x, y) => {
        Zip::from(condition).and(x).and(y).map_collect(|&c, &a, &b| if c { a } else { b })
    }, same)
}

fn zip<T: Copy, R>(x: &ArrayD<T>, y: &ArrayD<T>, f: impl Fn(T, T) -> R) -> ArrayD<R> {
    Zip::from(x).and(y).map_collect(|&a, &b| f(a, b))
}

fn holds<T: PartialOrd>(op: Compare, a: T, b: T) -> bool {
    match op {
        Compare::Eq => a == b,
        Compare::Ne => a != b,
        Compare::Lt => a < b,
        Compare::Le => a <= b,
        Compare::Gt => a > b,
        Compare::Ge => a >= b,
    }
}

fn float_unary(op: Unary, x: f64) -> f64 {
    match op {
        Unary::Neg => -x,
        Unary::Abs => x.abs(),
        Unary::Sign => match x.partial_cmp(&0.0) {
            Some(std::cmp::Ordering::Less) => -1.0,
            Some(std::cmp::Ordering::Equal) => 0.0,
            Some(std::cmp::Ordering::Greater) => 1.0,
            None => f64::NAN,
        },
        Unary::Floor => x.floor(),
        Unary::Ceil => x.ceil(),
        Unary::Round => x.round_ties_even(),
        Unary::Sqrt => x.sqrt(),
        Unary::Exp => x.exp(),
        Unary::Log => x.ln(),
        Unary::Log1p => x.ln_1p(),
        Unary::Expm1 => x.exp_m1(),
        Unary::Sin => x.sin(),
        Unary::Cos => x.cos(),
        Unary::Tanh => x.tanh(),
        Unary::Logistic => 1.0 / (1.0 + (-x).exp()),
        Unary::Erf => libm::erf(x),
        Unary::Not => unreachable!("the verifier allows it on bool only"),
    }
}

fn int_unary(op: Unary, x: i32) -> i32 {
    match op {
        Unary::Neg => x.wrapping_neg(),
        Unary::Abs => x.wrapping_abs(),
        Unary::Sign => x.signum(),
        Unary::Floor
        | Unary::Ceil
        | Unary::Round
        | Unary::Sqrt
        | Unary::Exp
        | Unary::Log
        | Unary::Log1p
        | Unary::Expm1
        | Unary::Sin
        | Unary::Cos
        | Unary::Tanh
        | Unary::Logistic
        | Unary::Erf
        | Unary::Not => unreachable!("the verifier allows it on floats or bool only"),
    }
}

fn float_binary(op: Binary, a: f64, b: f64) -> f64 {
    match op {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Rem => {
            let r = a % b;
            if r == 0.0 {
                0.0f64.copysign(b)
            } else if (r < 0.0) != (b < 0.0) {
                r + b
            } else {
                r
            }
        }
        Binary::Pow => a.powf(b),
        Binary::Max => float_max(a, b),
        Binary::Min => -float_max(-a, -b),
        Binary::And | Binary::Or => unreachable!("the verifier allows it on bool only"),
    }
}

/// NaN if either is.
pub(super) fn float_max(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

fn int_binary(op: Binary, a: i32, b: i32) -> i32 {
    match op {
        Binary::Add => a.wrapping_add(b),
        Binary::Sub => a.wrapping_sub(b),
        Binary::Mul => a.wrapping_mul(b),
        Binary::Div if b == 0 => 0,
        Binary::Div => a.wrapping_div(b),
        Binary::Rem if b == 0 => 0,
        Binary::Rem => {
            let r = a.wrapping_rem(b);
            if r != 0 && (r < 0) != (b < 0) {
                r + b
            } else {
                r
            }
        }
        Binary::Max => a.max(b),
        Binary::Min => a.min(b),
        Binary::Pow | Binary::And | Binary::Or => {
            unreachable!("the verifier allows it on floats or bool only")
        }
    }
}
