//! The type rule of every primitive: from attributes and argument types to result types.
//!
//! One place for the builder, the checker and the verifier. Errors are data;
//! `argument` is the index of the guilty one.

mod contraction;
mod error;
mod expect;
mod movement;
mod scan;

use smallvec::{SmallVec, smallvec};

use super::dim::{Dim, DimError};
use super::prim::{Binary, Prim, Unary};
use super::ty::{Elem, Type};
use contraction::{convolution, dot, window};
use expect::{arity, check_axis, increasing, rank, same, want};
use movement::{broadcast, concat, gather, pad, reshape, scatter_add, slice, transpose};
use scan::scan;

pub use error::TypeError;

/// No tensor has more elements than this.
pub const MAX_ELEMENTS: i64 = 1 << 40;

type Result<T> = std::result::Result<T, TypeError>;
type Types = SmallVec<[Type; 2]>;

/// Result types of `prim` on arguments of types `args`.
pub fn infer(prim: &Prim, args: &[&Type]) -> Result<Types> {
    let results: Types = match prim {
        Prim::Const { elem, .. } | Prim::Size { elem, .. } => {
            arity(args, 0)?;
            smallvec![Type::scalar(*elem)]
        }
        Prim::Iota { axis, shape, elem } => {
            arity(args, 0)?;
            check_axis(*axis, shape.len())?;
            smallvec![Type {
                elem: *elem,
                shape: shape.clone()
            }]
        }
        Prim::Random { shape, .. } => {
            arity(args, 1)?;
            same(args, 0, &Type::scalar(Elem::I32))?;
            smallvec![Type {
                elem: Elem::F32,
                shape: shape.clone()
            }]
        }
        Prim::Unary(op) => {
            arity(args, 1)?;
            unary_elem(*op, args[0].elem)?;
            smallvec![args[0].clone()]
        }
        Prim::Binary(op) => {
            arity(args, 2)?;
            same(args, 1, args[0])?;
            let elem = args[0].elem;
            match op {
                Binary::And | Binary::Or => want(0, elem, elem == Elem::Bool, "bool")?,
                Binary::Pow => want(0, elem, elem.is_float(), "a float")?,
                Binary::Add | Binary::Sub | Binary::Mul | Binary::Div | Binary::Rem => want(
                    0,
                    elem,
                    matches!(elem, Elem::F32 | Elem::F64 | Elem::I32),
                    "a number",
                )?,
                Binary::Max | Binary::Min => want(0, elem, elem != Elem::Bool, "a number")?,
            }
            smallvec![args[0].clone()]
        }
        Prim::Compare(_) => {
            arity(args, 2)?;
            same(args, 1, args[0])?;
            smallvec![Type {
                elem: Elem::Bool,
                shape: args[0].shape.clone()
            }]
        }
        Prim::Select => {
            arity(args, 3)?;
            same(
                args,
                0,
                &Type {
                    elem: Elem::Bool,
                    shape: args[1].shape.clone(),
                },
            )?;
            same(args, 2, args[1])?;
            smallvec![args[1].clone()]
        }
        Prim::Cast(elem) => {
            arity(args, 1)?;
            smallvec![Type {
                elem: *elem,
                shape: args[0].shape.clone()
            }]
        }
        Prim::StopGradient => {
            arity(args, 1)?;
            smallvec![args[0].clone()]
        }
        Prim::Reshape(shape) => smallvec![reshape(args, shape)?],
        Prim::Transpose(perm) => smallvec![transpose(args, perm)?],
        Prim::Broadcast { shape, axes } => smallvec![broadcast(args, shape, axes)?],
        Prim::Slice {
            starts,
            ends,
            steps,
        } => smallvec![slice(args, starts, ends, steps)?],
        Prim::Pad {
            low,
            high,
            interior,
        } => smallvec![pad(args, low, high, interior)?],
        Prim::Concat { axis } => smallvec![concat(args, *axis)?],
        Prim::Reverse { axes } => {
            arity(args, 1)?;
            increasing(axes)?;
            axes.iter()
                .try_for_each(|a| check_axis(*a, args[0].rank()))?;
            smallvec![args[0].clone()]
        }
        Prim::Reduce { op: _, axes } => {
            arity(args, 1)?;
            increasing(axes)?;
            axes.iter()
                .try_for_each(|a| check_axis(*a, args[0].rank()))?;
            let elem = args[0].elem;
            want(
                0,
                elem,
                matches!(elem, Elem::F32 | Elem::F64 | Elem::I32),
                "a number",
            )?;
            let kept = (0..args[0].rank()).filter(|a| !axes.contains(a));
            smallvec![Type::new(elem, kept.map(|a| args[0].shape[a].clone()))]
        }
        Prim::ArgMax { axis } => {
            arity(args, 1)?;
            check_axis(*axis, args[0].rank())?;
            let mut shape = args[0].shape.clone();
            shape.remove(*axis);
            smallvec![Type {
                elem: Elem::I32,
                shape
            }]
        }
        Prim::ArgSort { axis } => {
            arity(args, 1)?;
            check_axis(*axis, args[0].rank())?;
            smallvec![Type {
                elem: Elem::I32,
                shape: args[0].shape.clone()
            }]
        }
        Prim::Dot(dims) => {
            arity(args, 2)?;
            smallvec![dot(dims, args[0], args[1])?]
        }
        Prim::Gather { axis } => smallvec![gather(args, *axis)?],
        Prim::ScatterAdd { axis, size } => smallvec![scatter_add(args, *axis, size)?],
        Prim::Conv(conv) => {
            arity(args, 2)?;
            smallvec![convolution(conv, args[0], args[1])?]
        }
        Prim::ConvInputGrad { conv, spatial } => {
            arity(args, 2)?;
            let n = conv.strides.len();
            rank(args, 0, n + 2)?;
            rank(args, 1, n + 2)?;
            let channels = args[1].shape[n].mul(&Dim::from(conv.groups))?;
            let b = args[0].shape[0].clone();
            let x = Type::new(
                args[0].elem,
                [b].into_iter()
                    .chain(spatial.iter().cloned())
                    .chain([channels]),
            );
            same(args, 0, &convolution(conv, &x, args[1])?)?;
            smallvec![x]
        }
        Prim::ConvKernelGrad { conv, kernel } => {
            arity(args, 2)?;
            let n = conv.strides.len();
            rank(args, 0, n + 2)?;
            rank(args, 1, n + 2)?;
            let per_group = args[0].shape[n + 1].div(&Dim::from(conv.groups))?;
            let out = args[1].shape[n + 1].clone();
            let k = Type::new(args[0].elem, kernel.iter().cloned().chain([per_group, out]));
            same(args, 1, &convolution(conv, args[0], &k)?)?;
            smallvec![k]
        }
        Prim::Window { op: _, dims } => {
            arity(args, 1)?;
            smallvec![window(dims, args[0])?]
        }
        Prim::WindowGrad { op: _, dims } => {
            arity(args, 2)?;
            same(args, 1, &window(dims, args[0])?)?;
            smallvec![args[0].clone()]
        }
        Prim::Scan(s) => scan(s, args)?,
        Prim::Gradient => {
            if args.is_empty() {
                return Err(TypeError::Arity {
                    expected: 1,
                    found: 0,
                });
            }
            rank(args, 0, 0)?;
            for (i, a) in args.iter().enumerate() {
                want(i, a.elem, a.elem.is_float(), "a float")?;
            }
            args[1..].iter().map(|a| (*a).clone()).collect()
        }
    };
    for t in &results {
        let elements = least_elements(&t.shape)?;
        if elements > MAX_ELEMENTS {
            return Err(TypeError::TooLarge { elements });
        }
    }
    Ok(results)
}

/// Number of elements.
pub fn count(shape: &[Dim]) -> Result<Dim> {
    let mut n = Dim::ONE;
    for d in shape {
        n = n.mul(d)?;
    }
    Ok(n)
}

/// Number of elements if every symbol were 1: cheap, where polynomials are not.
fn least_elements(shape: &[Dim]) -> Result<i64> {
    let mut known = shape.iter().filter_map(Dim::as_const);
    let product = known.try_fold(1i64, i64::checked_mul);
    product.ok_or(TypeError::Dim(DimError::Overflow))
}

fn unary_elem(op: Unary, elem: Elem) -> Result<()> {
    match op {
        Unary::Not => want(0, elem, elem == Elem::Bool, "bool"),
        Unary::Neg | Unary::Abs | Unary::Sign => want(
            0,
            elem,
            matches!(elem, Elem::F32 | Elem::F64 | Elem::I32),
            "a signed number",
        ),
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
        | Unary::Erf => want(0, elem, elem.is_float(), "a float"),
    }
}
