//! Functions that generated code calls lane by lane.

use crate::backend::fusion::vir::Func;

/// The address of `f` for doubles.
pub(super) fn address64(f: Func) -> usize {
    match f {
        Func::Exp => (exp as extern "C" fn(f64) -> f64) as usize,
        Func::Log => (log as extern "C" fn(f64) -> f64) as usize,
        Func::Log1p => (log1p as extern "C" fn(f64) -> f64) as usize,
        Func::Expm1 => (expm1 as extern "C" fn(f64) -> f64) as usize,
        Func::Sin => (sin as extern "C" fn(f64) -> f64) as usize,
        Func::Cos => (cos as extern "C" fn(f64) -> f64) as usize,
        Func::Tanh => (tanh as extern "C" fn(f64) -> f64) as usize,
        Func::Logistic => (logistic as extern "C" fn(f64) -> f64) as usize,
        Func::Erf => (erf as extern "C" fn(f64) -> f64) as usize,
        Func::Pow => (pow as extern "C" fn(f64, f64) -> f64) as usize,
        Func::Rem => (rem as extern "C" fn(f64, f64) -> f64) as usize,
    }
}

/// The address of quotient or remainder of `I32`.
pub(super) fn address_int(remainder: bool) -> usize {
    match remainder {
        false => (int_div as extern "C" fn(i32, i32) -> i32) as usize,
        true => (int_rem as extern "C" fn(i32, i32) -> i32) as usize,
    }
}

extern "C" fn exp(x: f64) -> f64 {
    x.exp()
}
extern "C" fn log(x: f64) -> f64 {
    x.ln()
}
extern "C" fn log1p(x: f64) -> f64 {
    x.ln_1p()
}
extern "C" fn expm1(x: f64) -> f64 {
    x.exp_m1()
}
extern "C" fn sin(x: f64) -> f64 {
    x.sin()
}
extern "C" fn cos(x: f64) -> f64 {
    x.cos()
}
extern "C" fn tanh(x: f64) -> f64 {
    x.tanh()
}
extern "C" fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
extern "C" fn erf(x: f64) -> f64 {
    libm::erf(x)
}
extern "C" fn pow(x: f64, y: f64) -> f64 {
    x.powf(y)
}
/// The remainder has the sign of the divisor.
extern "C" fn rem(x: f64, y: f64) -> f64 {
    let r = x % y;
    if r == 0.0 {
        0.0f64.copysign(y)
    } else if (r < 0.0) != (y < 0.0) {
        r + y
    } else {
        r
    }
}
extern "C" fn int_div(x: i32, y: i32) -> i32 {
    if y == 0 { 0 } else { x.wrapping_div(y) }
}
extern "C" fn int_rem(x: i32, y: i32) -> i32 {
    if y == 0 {
        return 0;
    }
    let r = x.wrapping_rem(y);
    if r != 0 && (r < 0) != (y < 0) {
        r + y
    } else {
        r
    }
}
