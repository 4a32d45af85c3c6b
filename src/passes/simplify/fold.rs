//! Operations on constants. Computed in f64 and rounded to the element type, as
//! the interpreter does; NaN is left to the run.

use crate::ir::prim::{Binary, Compare, Prim, Reduce, Unary};
use crate::ir::{Dim, Elem, Value};

use super::{Found, Result, Simplify, op};

impl Simplify<'_> {
    pub(super) fn fold(&mut self, prim: &Prim, args: &[Value]) -> Found {
        let elem = match args.last() {
            Some(v) => self.w.g.ty(*v).elem,
            None => Elem::F32,
        };
        let folded = match prim {
            Prim::Size { dim, elem } => match dim {
                Dim::Const(c) => Some((round(*c as f64, *elem), *elem)),
                Dim::Poly(_) => None,
            },
            Prim::Unary(op) => {
                let x = self.scalars(args);
                x.and_then(|[x]| Some((unary(*op, x, elem)?, elem)))
            }
            Prim::Binary(op) => {
                let both = self.scalars(args);
                both.and_then(|[a, b]| Some((binary(*op, a, b, elem)?, elem)))
            }
            Prim::Compare(op) => {
                let both = self.scalars(args);
                both.map(|[a, b]| (f64::from(u8::from(holds(*op, a, b))), Elem::Bool))
            }
            Prim::Cast(to) => {
                let x = self.scalars(args);
                x.and_then(|[x]| Some((cast(x, *to)?, *to)))
            }
            Prim::Reduce { op, axes } => self.reduce(*op, axes, args[0])?,
            _ => None,
        };
        Ok(match folded {
            Some((value, elem)) if !value.is_nan() => op(Prim::Const { value, elem }, &[]),
            _ => None,
        })
    }

    /// The values of arguments that are all constants of rank 0.
    fn scalars<const N: usize>(&mut self, args: &[Value]) -> Option<[f64; N]> {
        let mut values = [0.0; N];
        for (value, arg) in values.iter_mut().zip(args) {
            match self.w.def(*arg)?.prim {
                Prim::Const { value: v, .. } => *value = v,
                _ => return None,
            }
        }
        Some(values)
    }

    /// A sum of zeros or ones to a scalar, where it is exact.
    fn reduce(&mut self, op: Reduce, axes: &[usize], x: Value) -> Result<Option<(f64, Elem)>> {
        let ty = self.w.g.ty(x).clone();
        if op != Reduce::Sum || axes.len() != ty.rank() || ty.rank() == 0 {
            return Ok(None);
        }
        let count = crate::ir::infer::count(&ty.shape)?.as_const();
        Ok(match (self.w.uniform(x), count) {
            (Some(0.0), _) => Some((0.0, ty.elem)),
            (Some(1.0), Some(n)) if n <= 1 << 24 => Some((n as f64, ty.elem)),
            _ => None,
        })
    }
}

/// To the nearest value of the type.
pub(super) fn round(value: f64, elem: Elem) -> f64 {
    match elem {
        Elem::F32 => f64::from(value as f32),
        Elem::F64 | Elem::I32 | Elem::U8 | Elem::Bool => value,
    }
}

/// Out of range is left to the run.
fn cast(x: f64, to: Elem) -> Option<f64> {
    Some(match to {
        Elem::F32 | Elem::F64 => round(x, to),
        Elem::Bool => f64::from(u8::from(x != 0.0)),
        Elem::I32 if x.abs() < 2f64.powi(31) => x.trunc(),
        Elem::U8 if (0.0..256.0).contains(&x) => x.trunc(),
        Elem::I32 | Elem::U8 => return None,
    })
}

fn unary(op: Unary, x: f64, elem: Elem) -> Option<f64> {
    Some(match op {
        Unary::Neg | Unary::Abs if elem == Elem::I32 && x == -(2f64.powi(31)) => return None,
        Unary::Neg if elem == Elem::I32 => 0.0 - x,
        Unary::Neg => -x,
        Unary::Abs => x.abs(),
        Unary::Sign => match x.partial_cmp(&0.0)? {
            std::cmp::Ordering::Less => -1.0,
            std::cmp::Ordering::Equal => 0.0,
            std::cmp::Ordering::Greater => 1.0,
        },
        Unary::Floor => x.floor(),
        Unary::Ceil => x.ceil(),
        Unary::Round => x.round_ties_even(),
        Unary::Sqrt => round(x.sqrt(), elem),
        Unary::Exp => round(x.exp(), elem),
        Unary::Log => round(x.ln(), elem),
        Unary::Log1p => round(x.ln_1p(), elem),
        Unary::Expm1 => round(x.exp_m1(), elem),
        Unary::Sin => round(x.sin(), elem),
        Unary::Cos => round(x.cos(), elem),
        Unary::Tanh => round(x.tanh(), elem),
        Unary::Logistic => round(1.0 / (1.0 + (-x).exp()), elem),
        Unary::Erf => return None,
        Unary::Not => 1.0 - x,
    })
}

fn binary(op: Binary, a: f64, b: f64, elem: Elem) -> Option<f64> {
    let value = match op {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div if elem == Elem::I32 => match b == 0.0 {
            true => 0.0,
            false => (a / b).trunc(),
        },
        Binary::Div => a / b,
        Binary::Rem if elem == Elem::I32 && b == 0.0 => 0.0,
        Binary::Rem => {
            let r = a % b;
            match r != 0.0 && (r < 0.0) != (b < 0.0) {
                true => r + b,
                false if r == 0.0 && elem.is_float() => 0f64.copysign(b),
                false => r,
            }
        }
        Binary::Pow => a.powf(b),
        Binary::Max if a.is_nan() || b.is_nan() => return None,
        Binary::Min if a.is_nan() || b.is_nan() => return None,
        Binary::Max => a.max(b),
        Binary::Min => a.min(b),
        Binary::And => f64::from(u8::from(a != 0.0 && b != 0.0)),
        Binary::Or => f64::from(u8::from(a != 0.0 || b != 0.0)),
    };
    // Integers wrap; a constant that would is left to the run. No integer is -0.
    match elem {
        Elem::I32 if value < -(2f64.powi(31)) || value >= 2f64.powi(31) => None,
        Elem::I32 => Some(value + 0.0),
        Elem::F32 | Elem::F64 | Elem::U8 | Elem::Bool => Some(round(value, elem)),
    }
}

fn holds(op: Compare, a: f64, b: f64) -> bool {
    match op {
        Compare::Eq => a == b,
        Compare::Ne => a != b,
        Compare::Lt => a < b,
        Compare::Le => a <= b,
        Compare::Gt => a > b,
        Compare::Ge => a >= b,
    }
}
