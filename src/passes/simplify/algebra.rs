//! Identities that hold for every float, NaN and infinity included.
//!
//! | | |
//! |---|---|
//! | `x * 1`, `x / 1`, `x - 0`, `x + -0`, `x ^ 1` | `x` |
//! | `x + 0` | `x`, for integers and for an `x` that cannot be -0 |
//! | `x * -1`, `x / -1` | `-x` |
//! | `x ^ 2`, `x ^ 3`, `x ^ -1` | `x x`, `x x x`, `1 / x` |
//! | `x / 2^k` | `x * 2^-k` |
//! | `--x`, `not not x`, `abs abs x`, `abs -x` | `x`, `x`, `abs x`, `abs x` |
//! | `a + -b`, `-a + b`, `a - -b` | `a - b`, `b - a`, `a + b` |
//! | `-a * -b`, `-a / -b` | `a * b`, `a / b` |
//! | `-a * c`, `-(a * c)` with constant c | `a * (-c)` |
//! | `max(x, x)`, `min(x, x)`, `x and x`, `x or x` | `x` |
//! | `x and true`, `x or false`; `x and false`, `x or true` | `x`; the constant |
//! | `not (a == b)`, `not (a != b)` | `a != b`, `a == b` |
//! | `select true a b`, `select c a a`, `select (not c) a b` | `a`, `a`, `select c b a` |
//! | `select c 1 0` | `cast c` |
//! | casts to the own type; the second of two, if the first loses nothing | |
//! | `stop_gradient x`, once no gradient is left | `x` |

use crate::ir::prim::{Binary, Compare, Prim, Unary};
use crate::ir::{Elem, OriginId, Value};

use super::{Found, Simplify, is, op};

impl Simplify<'_> {
    pub(super) fn algebra(&mut self, prim: &Prim, args: &[Value], at: OriginId) -> Found {
        match prim {
            Prim::Unary(op) => self.unary(*op, args[0], at),
            Prim::Binary(op) => self.binary(*op, args[0], args[1], at),
            Prim::Select => self.select(args[0], args[1], args[2]),
            Prim::Cast(to) => self.cast(*to, args[0]),
            Prim::StopGradient if self.differentiated => Ok(is(args[0])),
            Prim::StopGradient => Ok(match self.origin_of(args[0]) {
                Some((Prim::StopGradient, _)) => is(args[0]),
                _ => None,
            }),
            _ => Ok(None),
        }
    }

    fn unary(&mut self, f: Unary, x: Value, at: OriginId) -> Found {
        let Some(node) = self.w.def(x).cloned() else {
            return Ok(None);
        };
        let inner = node.args.first().copied();
        Ok(match (f, &node.prim, inner) {
            (Unary::Neg, Prim::Unary(Unary::Neg), Some(y))
            | (Unary::Not, Prim::Unary(Unary::Not), Some(y)) => is(y),
            (Unary::Abs, Prim::Unary(Unary::Abs), _) => is(x),
            (Unary::Abs, Prim::Unary(Unary::Neg), Some(y)) => op(Prim::Unary(Unary::Abs), &[y]),
            (Unary::Neg, Prim::Binary(Binary::Mul), Some(a)) if self.is_float(a) => {
                let b = node.args[1];
                let Some((a, c)) = self.with_constant(a, b) else {
                    return Ok(None);
                };
                let c = self.fill(-c, x, at)?;
                op(Prim::Binary(Binary::Mul), &[a, c])
            }
            (Unary::Not, Prim::Compare(Compare::Eq), _) => {
                op(Prim::Compare(Compare::Ne), &node.args)
            }
            (Unary::Not, Prim::Compare(Compare::Ne), _) => {
                op(Prim::Compare(Compare::Eq), &node.args)
            }
            _ => None,
        })
    }

    fn binary(&mut self, f: Binary, a: Value, b: Value, at: OriginId) -> Found {
        let (ca, cb) = (self.w.uniform(a), self.w.uniform(b));
        let float = self.is_float(a);
        let negative = |s: &mut Self, v: Value| match s.origin_of(v) {
            Some((Prim::Unary(Unary::Neg), x)) => Some(x),
            _ => None,
        };
        let (na, nb) = (negative(self, a), negative(self, b));
        let apply = |f: Binary, a: Value, b: Value| op(Prim::Binary(f), &[a, b]);
        let plus_zero =
            |c: Option<f64>| c == Some(0.0) && (!float || c.is_some_and(f64::is_sign_negative));
        Ok(match f {
            Binary::Add if plus_zero(cb) => is(a),
            Binary::Add if plus_zero(ca) => is(b),
            Binary::Add if cb == Some(0.0) && self.never_negative_zero(a) => is(a),
            Binary::Add if ca == Some(0.0) && self.never_negative_zero(b) => is(b),
            Binary::Add => match (na, nb) {
                (_, Some(b)) => apply(Binary::Sub, a, b),
                (Some(a), None) => apply(Binary::Sub, b, a),
                (None, None) => None,
            },
            Binary::Sub if cb == Some(0.0) && (!float || cb.is_some_and(f64::is_sign_positive)) => {
                is(a)
            }
            Binary::Sub => nb.and_then(|b| apply(Binary::Add, a, b)),
            Binary::Mul if cb == Some(1.0) => is(a),
            Binary::Mul if ca == Some(1.0) => is(b),
            Binary::Mul if cb == Some(-1.0) => op(Prim::Unary(Unary::Neg), &[a]),
            Binary::Mul if ca == Some(-1.0) => op(Prim::Unary(Unary::Neg), &[b]),
            Binary::Mul => match (na, nb, ca, cb) {
                (Some(a), Some(b), ..) => apply(Binary::Mul, a, b),
                (Some(x), None, _, Some(c)) if float => {
                    let c = self.fill(-c, b, at)?;
                    apply(Binary::Mul, x, c)
                }
                (None, Some(x), Some(c), _) if float => {
                    let c = self.fill(-c, a, at)?;
                    apply(Binary::Mul, x, c)
                }
                _ => None,
            },
            Binary::Div if cb == Some(1.0) => is(a),
            Binary::Div if cb == Some(-1.0) => op(Prim::Unary(Unary::Neg), &[a]),
            Binary::Div if float => match (na, nb, cb) {
                (Some(a), Some(b), _) => apply(Binary::Div, a, b),
                (_, _, Some(c)) if is_power_of_two(c) => {
                    let inverse = self.fill(1.0 / c, b, at)?;
                    apply(Binary::Mul, a, inverse)
                }
                _ => None,
            },
            Binary::Div | Binary::Rem => None,
            Binary::Pow => match cb {
                Some(1.0) => is(a),
                Some(2.0) => apply(Binary::Mul, a, a),
                Some(3.0) => {
                    let square = self.emit(Prim::Binary(Binary::Mul), &[a, a], at)?;
                    apply(Binary::Mul, square, a)
                }
                Some(-1.0) => {
                    let one = self.fill(1.0, b, at)?;
                    apply(Binary::Div, one, a)
                }
                _ => None,
            },
            Binary::Max | Binary::Min if a == b => is(a),
            Binary::Max | Binary::Min => None,
            Binary::And | Binary::Or if a == b => is(a),
            Binary::And | Binary::Or => {
                let neutral = f64::from(u8::from(f == Binary::And));
                match (ca, cb) {
                    (Some(c), _) => is(if c == neutral { b } else { a }),
                    (_, Some(c)) => is(if c == neutral { a } else { b }),
                    (None, None) => None,
                }
            }
        })
    }

    fn select(&mut self, c: Value, a: Value, b: Value) -> Found {
        if let Some(c) = self.w.uniform(c) {
            return Ok(is(if c != 0.0 { a } else { b }));
        }
        if a == b {
            return Ok(is(a));
        }
        if let Some((Prim::Unary(Unary::Not), c)) = self.origin_of(c) {
            return Ok(op(Prim::Select, &[c, b, a]));
        }
        let zero = |v: Option<f64>| v == Some(0.0) && v.is_some_and(f64::is_sign_positive);
        if self.w.uniform(a) == Some(1.0) && zero(self.w.uniform(b)) {
            let elem = self.w.g.ty(a).elem;
            return Ok(op(Prim::Cast(elem), &[c]));
        }
        Ok(None)
    }

    fn cast(&mut self, to: Elem, x: Value) -> Found {
        if self.w.g.ty(x).elem == to {
            return Ok(is(x));
        }
        let Some((Prim::Cast(between), y)) = self.origin_of(x) else {
            return Ok(None);
        };
        let between = *between;
        let from = self.w.g.ty(y).elem;
        let kept = holds_all_of(between, from) && (to.is_float() || to == Elem::Bool || to == from);
        Ok(kept.then(|| op(Prim::Cast(to), &[y])).flatten())
    }

    fn is_float(&self, v: Value) -> bool {
        self.w.g.ty(v).elem.is_float()
    }

    /// The other one, and the constant.
    fn with_constant(&mut self, a: Value, b: Value) -> Option<(Value, f64)> {
        match (self.w.uniform(a), self.w.uniform(b)) {
            (_, Some(c)) => Some((a, c)),
            (Some(c), None) => Some((b, c)),
            (None, None) => None,
        }
    }

    fn never_negative_zero(&mut self, v: Value) -> bool {
        let Some(node) = self.w.def(v) else {
            return false;
        };
        match &node.prim {
            Prim::Unary(Unary::Exp | Unary::Abs | Unary::Logistic) => true,
            Prim::Binary(Binary::Mul) => node.args[0] == node.args[1],
            Prim::Cast(_) => {
                let x = node.args[0];
                !self.is_float(x)
            }
            _ => false,
        }
    }
}

/// A power of two whose inverse is normal in f32 too.
fn is_power_of_two(c: f64) -> bool {
    const MANTISSA: u64 = (1 << 52) - 1;
    c.to_bits() & MANTISSA == 0 && (2f64.powi(-60)..=2f64.powi(60)).contains(&c.abs())
}

/// Whether every value of `from` is one of `to`.
fn holds_all_of(to: Elem, from: Elem) -> bool {
    match from {
        Elem::Bool => true,
        Elem::U8 => to != Elem::Bool,
        Elem::I32 | Elem::F32 => to == Elem::F64 || to == from,
        Elem::F64 => to == from,
    }
}
