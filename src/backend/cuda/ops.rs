//! Instructions of the vector IR as expressions of CUDA C++.

use crate::backend::fusion::vir::{Bin, Cmp, Func, Kernel, Op, Ty, Un, V};
use crate::ir::Elem;

/// The type of a value in a register.
pub(super) fn register(ty: Ty) -> &'static str {
    match ty {
        Ty::F32 => "float",
        Ty::F64 => "double",
        Ty::I32 => "int",
        Ty::Mask => "bool",
    }
}

/// The type of an element in memory.
pub(super) fn memory(elem: Elem) -> &'static str {
    match elem {
        Elem::F32 => "float",
        Elem::F64 => "double",
        Elem::I32 => "int",
        Elem::U8 | Elem::Bool => "unsigned char",
    }
}

/// A number of type `ty`, with all its bits.
pub(super) fn number(x: f64, ty: Ty) -> String {
    match ty {
        Ty::F32 => single(x as f32),
        Ty::F64 => double(x),
        Ty::I32 => whole(x as i32),
        Ty::Mask => (x != 0.0).to_string(),
    }
}

fn single(x: f32) -> String {
    match x.is_finite() {
        true => format!("{x:?}f"),
        false => format!("__int_as_float({:#x})", x.to_bits()),
    }
}

fn double(x: f64) -> String {
    match x.is_finite() {
        true => format!("{x:?}"),
        false => format!("__longlong_as_double({:#x}ll)", x.to_bits()),
    }
}

fn whole(x: i32) -> String {
    match x {
        i32::MIN => "(-2147483647 - 1)".into(),
        x => x.to_string(),
    }
}

/// The value of `v`; `load` and `index` give what memory holds.
pub(super) fn expression(
    k: &Kernel,
    v: V,
    load: impl Fn(u16) -> String,
    index: impl Fn(u16) -> String,
) -> String {
    let inst = k.inst(v);
    let name = |v: V| format!("v{}", v.0);
    match inst.op {
        Op::F32(bits) => single(f32::from_bits(bits)),
        Op::F64(bits) => double(f64::from_bits(bits)),
        Op::I32(x) => whole(x),
        Op::Mask(x) => x.to_string(),
        Op::Load(o) => load(o),
        Op::Index(o) => index(o),
        Op::Reduced(id) => format!("r{id}"),
        Op::Un(un, a) => unary(un, &name(a), k.inst(a).ty),
        Op::Bin(bin, a, b) => binary(bin, &name(a), &name(b), inst.ty),
        Op::Fma(a, b, c) => format!("times_plus({}, {}, {})", name(a), name(b), name(c)),
        Op::Cmp(cmp, a, b) => format!("{} {} {}", name(a), comparison(cmp), name(b)),
        Op::Select(c, a, b) => format!("{} ? {} : {}", name(c), name(a), name(b)),
        Op::Call(f, a, b) => call(f, &name(a), b.map(name).as_deref(), inst.ty),
    }
}

fn unary(un: Un, a: &str, from: Ty) -> String {
    let float = |f: &str| match from {
        Ty::F32 => format!("{f}f({a})"),
        _ => format!("{f}({a})"),
    };
    match (un, from) {
        (Un::Neg, Ty::I32) => format!("(int)(0u - (unsigned){a})"),
        (Un::Neg, _) => format!("-{a}"),
        (Un::Abs, Ty::I32) => format!("{a} < 0 ? (int)(0u - (unsigned){a}) : {a}"),
        (Un::Abs, _) => float("fabs"),
        (Un::Sqrt, _) => float("sqrt"),
        (Un::Floor, _) => float("floor"),
        (Un::Ceil, _) => float("ceil"),
        (Un::Round, _) => float("rint"),
        (Un::Not, _) => format!("!{a}"),
        (Un::Bits, Ty::F32) => format!("__float_as_int({a})"),
        (Un::Bits, _) => format!("__int_as_float({a})"),
        (Un::ToF32, _) => format!("(float){a}"),
        (Un::ToF64, _) => format!("(double){a}"),
        (Un::ToI32, _) => format!("to_int({a})"),
        (Un::Shl(by), _) => format!("(int)((unsigned){a} << {by})"),
        (Un::Sra(by), _) => format!("{a} >> {by}"),
    }
}

pub(super) fn binary(bin: Bin, a: &str, b: &str, ty: Ty) -> String {
    // Integers wrap.
    let wrapping = |op: &str| format!("(int)((unsigned){a} {op} (unsigned){b})");
    let bits = |op: &str| match ty {
        Ty::Mask => format!("{a} {op}{op} {b}"),
        _ => format!("{a} {op} {b}"),
    };
    match (bin, ty) {
        (Bin::Add, Ty::I32) => wrapping("+"),
        (Bin::Sub, Ty::I32) => wrapping("-"),
        (Bin::Mul, Ty::I32) => wrapping("*"),
        (Bin::Div, Ty::I32) => format!("int_div({a}, {b})"),
        (Bin::Add, _) => format!("{a} + {b}"),
        (Bin::Sub, _) => format!("{a} - {b}"),
        (Bin::Mul, _) => format!("{a} * {b}"),
        (Bin::Div, _) => format!("{a} / {b}"),
        (Bin::Rem, _) => format!("int_rem({a}, {b})"),
        (Bin::Max, _) => format!("{a} > {b} ? {a} : {b}"),
        (Bin::Min, _) => format!("{a} < {b} ? {a} : {b}"),
        (Bin::And, _) => bits("&"),
        (Bin::Or, _) => bits("|"),
        (Bin::Scale, _) => format!("scale({a}, {b})"),
    }
}

fn comparison(cmp: Cmp) -> &'static str {
    match cmp {
        Cmp::Eq => "==",
        Cmp::Ne => "!=",
        Cmp::Lt => "<",
        Cmp::Le => "<=",
        Cmp::Gt => ">",
        Cmp::Ge => ">=",
    }
}

/// In double precision, as the CPU calls the system's functions.
fn call(f: Func, a: &str, b: Option<&str>, ty: Ty) -> String {
    let name = match f {
        Func::Exp => "exp",
        Func::Log => "log",
        Func::Log1p => "log1p",
        Func::Expm1 => "expm1",
        Func::Sin => "sin",
        Func::Cos => "cos",
        Func::Tanh => "tanh",
        Func::Logistic => "logistic",
        Func::Erf => "erf",
        Func::Pow => "pow",
        Func::Rem => "rem",
    };
    let args = [Some(a), b].into_iter().flatten();
    match ty {
        Ty::F32 => {
            let args: Vec<String> = args.map(|a| format!("(double){a}")).collect();
            format!("(float){name}({})", args.join(", "))
        }
        _ => format!("{name}({})", args.collect::<Vec<_>>().join(", ")),
    }
}
