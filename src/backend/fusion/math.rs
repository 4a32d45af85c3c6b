//! Transcendental functions of the vector IR, written once for every emitter.
//!
//! Single precision is expanded into range reduction and a polynomial: coefficients of Cephes
//! (S. L. Moshier, `expf.c`, `logf.c`), the rational erf of Eigen (`generic_fast_erf_float`). Errors are about two
//! units in the last place; infinities, NaN, zeros and subnormals come out as IEEE 754 has them. Rounding to a whole number is
//! by adding 1.5 * 2^23. Double precision, sine, cosine and powers call the system's functions lane by lane.

use super::vir::{Bin, Builder, Cmp, Func, Ty, Un, V};
use crate::ir::prim::Unary;

/// `1.5 * 2^23`: adding and subtracting it rounds to a whole number.
const MAGIC: f32 = 12_582_912.0;
/// ln 2, in a part with few bits and the rest.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// `f(x)` for the functions that machines do not have.
pub(super) fn expand(b: &mut Builder, f: Unary, x: V) -> V {
    if b.ty(x) == Ty::F64 {
        return b.call(function(f), x, None);
    }
    match f {
        Unary::Exp => exp(b, x),
        Unary::Expm1 => expm1(b, x),
        Unary::Log => log(b, x),
        Unary::Log1p => log1p(b, x),
        Unary::Tanh => tanh(b, x),
        Unary::Logistic => logistic(b, x),
        Unary::Erf => erf(b, x),
        _ => b.call(function(f), x, None),
    }
}

/// `x ^ y`; small whole and half exponents that are constants need no call.
pub(super) fn pow(b: &mut Builder, x: V, y: V) -> V {
    let exponent = match b.op(y) {
        super::vir::Op::F32(bits) => Some(f64::from(f32::from_bits(bits))),
        super::vir::Op::F64(bits) => Some(f64::from_bits(bits)),
        _ => None,
    };
    let ty = b.ty(x);
    match exponent {
        Some(1.0) => x,
        Some(2.0) => b.mul(x, x),
        Some(3.0) => {
            let square = b.mul(x, x);
            b.mul(square, x)
        }
        Some(4.0) => {
            let square = b.mul(x, x);
            b.mul(square, square)
        }
        Some(-1.0) => {
            let one = b.number(1.0, ty);
            b.div(one, x)
        }
        _ => b.call(Func::Pow, x, Some(y)),
    }
}

fn function(f: Unary) -> Func {
    match f {
        Unary::Exp => Func::Exp,
        Unary::Log => Func::Log,
        Unary::Log1p => Func::Log1p,
        Unary::Expm1 => Func::Expm1,
        Unary::Sin => Func::Sin,
        Unary::Cos => Func::Cos,
        Unary::Tanh => Func::Tanh,
        Unary::Logistic => Func::Logistic,
        Unary::Erf => Func::Erf,
        Unary::Neg
        | Unary::Abs
        | Unary::Sign
        | Unary::Floor
        | Unary::Ceil
        | Unary::Round
        | Unary::Sqrt
        | Unary::Not => unreachable!("an instruction of the vector IR"),
    }
}

/// Horner's rule, highest power first.
fn poly(b: &mut Builder, x: V, coefficients: &[f32]) -> V {
    let mut sum = b.f32(coefficients[0]);
    for &c in &coefficients[1..] {
        let c = b.f32(c);
        sum = b.fma(sum, x, c);
    }
    sum
}

/// `x` within low..=high; NaN stays.
fn clamp(b: &mut Builder, x: V, low: f32, high: f32) -> V {
    let (low, high) = (b.f32(low), b.f32(high));
    let x = b.bin(Bin::Max, low, x);
    b.bin(Bin::Min, high, x)
}

/// `x = n ln 2 + r` with whole n and |r| <= ln 2 / 2; and `exp(r) - 1 - r`.
fn reduce(b: &mut Builder, x: V) -> (V, V, V) {
    let magic = b.f32(MAGIC);
    let log2e = b.f32(std::f32::consts::LOG2_E);
    let shifted = b.fma(x, log2e, magic);
    let n = b.sub(shifted, magic);
    let (high, low) = (b.f32(-LN2_HIGH), b.f32(-LN2_LOW));
    let r = b.fma(n, high, x);
    let r = b.fma(n, low, r);
    let p = poly(
        b,
        r,
        &[
            1.987_569_1e-4,
            1.398_199_9e-3,
            8.333_452e-3,
            4.166_579_6e-2,
            1.666_666_5e-1,
            0.5,
        ],
    );
    let square = b.mul(r, r);
    let p = b.mul(p, square);
    (n, r, p)
}

fn exp(b: &mut Builder, x: V) -> V {
    let x = clamp(b, x, -104.0, 89.0);
    let (n, r, p) = reduce(b, x);
    let one = b.f32(1.0);
    let sum = b.add(p, r);
    let sum = b.add(sum, one);
    b.bin(Bin::Scale, sum, n)
}

fn expm1(b: &mut Builder, x: V) -> V {
    // Below -20 the result rounds to -1.
    let y = clamp(b, x, -20.0, 89.0);
    let (n, r, p) = reduce(b, y);
    let one = b.f32(1.0);
    let minus_n = b.un(Un::Neg, n);
    let q = b.add(p, r);
    let power = b.bin(Bin::Scale, one, minus_n);
    let t = b.sub(one, power);
    let sum = b.add(q, t);
    let scaled = b.bin(Bin::Scale, sum, n);
    // Keeps the sign of zero and subnormals.
    let tiny = b.f32(1e-20);
    let size = b.un(Un::Abs, x);
    let small = b.cmp(Cmp::Lt, size, tiny);
    b.select(small, x, scaled)
}

fn log(b: &mut Builder, x: V) -> V {
    let (normal, zero) = (b.f32(f32::MIN_POSITIVE), b.f32(0.0));
    let subnormal = b.cmp(Cmp::Lt, x, normal);
    let up = b.f32(8_388_608.0);
    let scaled = b.mul(x, up);
    let y = b.select(subnormal, scaled, x);
    // Mantissa in sqrt(1/2) .. sqrt(2), exponent beside it.
    let bits = b.un(Un::Bits, y);
    let root = b.i32(0x3f35_04f3);
    let above = b.sub(bits, root);
    let e = b.un(Un::Sra(23), above);
    let shift = b.un(Un::Shl(23), e);
    let mantissa = b.sub(bits, shift);
    let mantissa = b.un(Un::Bits, mantissa);
    let one = b.f32(1.0);
    let f = b.sub(mantissa, one);
    let e = b.un(Un::ToF32, e);
    let bias = b.f32(-23.0);
    let bias = b.select(subnormal, bias, zero);
    let e = b.add(e, bias);
    let p = poly(
        b,
        f,
        &[
            7.037_683_6e-2,
            -1.151_461e-1,
            1.167_699_9e-1,
            -1.242_014_1e-1,
            1.424_932_3e-1,
            -1.666_805_8e-1,
            2.000_071_5e-1,
            -2.499_999_4e-1,
            3.333_333e-1,
        ],
    );
    let square = b.mul(f, f);
    let p = b.mul(p, f);
    let p = b.mul(p, square);
    let low = b.f32(LN2_LOW);
    let p = b.fma(e, low, p);
    let minus_half = b.f32(-0.5);
    let p = b.fma(square, minus_half, p);
    let sum = b.add(f, p);
    let high = b.f32(LN2_HIGH);
    let result = b.fma(e, high, sum);
    // Infinity and NaN are their own logarithms; 0 gives -inf, less than that NaN.
    let infinity = b.f32(f32::INFINITY);
    let finite = b.cmp(Cmp::Lt, x, infinity);
    let result = b.select(finite, result, x);
    let is_zero = b.cmp(Cmp::Eq, x, zero);
    let least = b.f32(f32::NEG_INFINITY);
    let result = b.select(is_zero, least, result);
    let negative = b.cmp(Cmp::Lt, x, zero);
    let nan = b.f32(f32::NAN);
    b.select(negative, nan, result)
}

/// log u + (x - (u - 1)) / u for u = 1 + x rounded.
fn log1p(b: &mut Builder, x: V) -> V {
    let (one, zero) = (b.f32(1.0), b.f32(0.0));
    let u = b.add(x, one);
    let main = log(b, u);
    let lost = b.sub(u, one);
    let lost = b.sub(x, lost);
    let c = b.div(lost, u);
    let infinity = b.f32(f32::INFINITY);
    let positive = b.cmp(Cmp::Gt, u, zero);
    let finite = b.cmp(Cmp::Lt, u, infinity);
    let usable = b.bin(Bin::And, positive, finite);
    let c = b.select(usable, c, zero);
    let sum = b.add(main, c);
    let is_one = b.cmp(Cmp::Eq, u, one);
    b.select(is_one, x, sum)
}

/// -e / (e + 2) for e = expm1(-2 |x|), with the sign of x.
fn tanh(b: &mut Builder, x: V) -> V {
    let (two, minus_two, zero) = (b.f32(2.0), b.f32(-2.0), b.f32(0.0));
    let size = b.un(Un::Abs, x);
    let y = b.mul(size, minus_two);
    let e = expm1(b, y);
    let below = b.add(e, two);
    let negated = b.un(Un::Neg, e);
    let up = b.div(negated, below);
    let down = b.un(Un::Neg, up);
    let negative = b.cmp(Cmp::Lt, x, zero);
    let result = b.select(negative, down, up);
    let is_zero = b.cmp(Cmp::Eq, x, zero);
    b.select(is_zero, x, result)
}

fn logistic(b: &mut Builder, x: V) -> V {
    let one = b.f32(1.0);
    let y = b.un(Un::Neg, x);
    let e = exp(b, y);
    let below = b.add(e, one);
    b.div(one, below)
}

fn erf(b: &mut Builder, x: V) -> V {
    let y = clamp(b, x, -4.0, 4.0);
    let square = b.mul(y, y);
    let p = poly(
        b,
        square,
        &[
            -2.726_142_3e-10,
            2.770_681_4e-8,
            -2.101_024e-6,
            -5.692_506_4e-5,
            -7.349_906_4e-4,
            -2.954_6e-3,
            -1.609_603_3e-2,
        ],
    );
    let p = b.mul(y, p);
    let q = poly(
        b,
        square,
        &[
            -1.456_607_2e-5,
            -2.133_740_6e-4,
            -1.682_827e-3,
            -7.373_329e-3,
            -1.426_473_9e-2,
        ],
    );
    b.div(p, q)
}
