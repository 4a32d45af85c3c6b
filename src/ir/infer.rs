//! The type rule of every primitive: from attributes and argument types to result types.
//!
//! One place for the builder, the checker and the verifier. Errors are data;
//! `argument` is the index of the guilty one.

use smallvec::{SmallVec, smallvec};

use super::dim::{Dim, DimError};
use super::prim::{Binary, ConvDims, DotDims, Prim, Scan, Unary, WindowDims};
use super::ty::{Elem, Shape, Type};

#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum TypeError {
    #[error("takes {expected} arguments, got {found}")]
    Arity { expected: usize, found: usize },
    #[error("argument {argument} is {found}, but must be {expected}")]
    Elem {
        argument: usize,
        found: Elem2,
        expected: &'static str,
    },
    #[error("argument {argument} is {found}, but must be {expected}")]
    Type {
        argument: usize,
        found: Type,
        expected: Type,
    },
    #[error("argument {argument} has rank {found}, but must have rank {expected}")]
    Rank {
        argument: usize,
        found: usize,
        expected: usize,
    },
    #[error("axis {axis} is out of range for a tensor of rank {rank}")]
    Axis { axis: usize, rank: usize },
    #[error("sizes {left} and {right} differ (axis {axis} of argument {argument})")]
    Size {
        argument: usize,
        axis: usize,
        left: Dim,
        right: Dim,
    },
    #[error("{from} has {from_count} elements, {to} has {to_count}")]
    Reshape {
        from: Type,
        to: Type,
        from_count: Dim,
        to_count: Dim,
    },
    #[error("{start}..{end} is not within an axis of size {size}")]
    Slice {
        axis: usize,
        start: Dim,
        end: Dim,
        size: Dim,
    },
    #[error("a window of {window} does not fit an axis of size {size}")]
    Window { axis: usize, window: Dim, size: Dim },
    #[error("{0}")]
    Dim(#[from] DimError),
    #[error("{0}")]
    Attribute(&'static str),
    #[error("a tensor of {elements} elements is too large (the limit is 2^40)")]
    TooLarge { elements: i64 },
}

/// [`Elem`] that prints its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Elem2(pub Elem);

impl std::fmt::Display for Elem2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name())
    }
}

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
        Prim::Reshape(shape) => {
            arity(args, 1)?;
            let to = Type {
                elem: args[0].elem,
                shape: shape.clone(),
            };
            let (a, b) = (count(&args[0].shape)?, count(shape)?);
            if a != b {
                return Err(TypeError::Reshape {
                    from: args[0].clone(),
                    to,
                    from_count: a,
                    to_count: b,
                });
            }
            smallvec![to]
        }
        Prim::Transpose(perm) => {
            arity(args, 1)?;
            rank(args, 0, perm.len())?;
            let mut seen = vec![false; perm.len()];
            for &p in perm {
                check_axis(p, perm.len())?;
                if std::mem::replace(&mut seen[p], true) {
                    return Err(TypeError::Attribute("an axis appears twice"));
                }
            }
            smallvec![Type::new(
                args[0].elem,
                perm.iter().map(|&p| args[0].shape[p].clone())
            )]
        }
        Prim::Broadcast { shape, axes } => {
            arity(args, 1)?;
            rank(args, 0, axes.len())?;
            increasing(axes)?;
            for (i, &axis) in axes.iter().enumerate() {
                check_axis(axis, shape.len())?;
                let (from, to) = (&args[0].shape[i], &shape[axis]);
                if from != to && *from != Dim::ONE {
                    return Err(TypeError::Size {
                        argument: 0,
                        axis: i,
                        left: from.clone(),
                        right: to.clone(),
                    });
                }
            }
            smallvec![Type {
                elem: args[0].elem,
                shape: shape.clone()
            }]
        }
        Prim::Slice {
            starts,
            ends,
            steps,
        } => {
            arity(args, 1)?;
            for len in [starts.len(), ends.len(), steps.len()] {
                rank(args, 0, len)?;
            }
            let mut shape = Shape::new();
            for (axis, size) in args[0].shape.iter().enumerate() {
                let (start, end, step) = (&starts[axis], &ends[axis], steps[axis]);
                let bad = || TypeError::Slice {
                    axis,
                    start: start.clone(),
                    end: end.clone(),
                    size: size.clone(),
                };
                let negative = |d: &Dim| d.sign() == Some(std::cmp::Ordering::Less);
                if negative(start) || negative(&end.sub(start)?) || negative(&size.sub(end)?) {
                    return Err(bad());
                }
                if step == 0 {
                    return Err(TypeError::Attribute("a step of 0"));
                }
                let step = Dim::from(step);
                shape.push(end.sub(start)?.add(&step)?.sub(&Dim::ONE)?.div(&step)?);
            }
            smallvec![Type {
                elem: args[0].elem,
                shape
            }]
        }
        Prim::Pad {
            low,
            high,
            interior,
        } => {
            arity(args, 2)?;
            same(args, 1, &Type::scalar(args[0].elem))?;
            for len in [low.len(), high.len(), interior.len()] {
                rank(args, 0, len)?;
            }
            let mut shape = Shape::new();
            for (axis, size) in args[0].shape.iter().enumerate() {
                if [&low[axis], &high[axis]]
                    .iter()
                    .any(|d| d.sign() == Some(std::cmp::Ordering::Less))
                {
                    return Err(TypeError::Attribute("negative padding"));
                }
                let gaps = size.sub(&Dim::ONE)?.mul(&Dim::from(interior[axis]))?;
                let gaps = if *size == Dim::ZERO { Dim::ZERO } else { gaps };
                shape.push(size.add(&gaps)?.add(&low[axis])?.add(&high[axis])?);
            }
            smallvec![Type {
                elem: args[0].elem,
                shape
            }]
        }
        Prim::Concat { axis } => {
            if args.is_empty() {
                return Err(TypeError::Arity {
                    expected: 1,
                    found: 0,
                });
            }
            check_axis(*axis, args[0].rank())?;
            let mut result = args[0].clone();
            for (i, arg) in args.iter().enumerate().skip(1) {
                rank(args, i, result.rank())?;
                want(
                    i,
                    arg.elem,
                    arg.elem == result.elem,
                    "of the same element type as the first",
                )?;
                for a in 0..result.rank() {
                    if a == *axis {
                        result.shape[a] = result.shape[a].add(&arg.shape[a])?;
                    } else if result.shape[a] != arg.shape[a] {
                        let (left, right) = (result.shape[a].clone(), arg.shape[a].clone());
                        return Err(TypeError::Size {
                            argument: i,
                            axis: a,
                            left,
                            right,
                        });
                    }
                }
            }
            smallvec![result]
        }
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
        Prim::Gather { axis } => {
            arity(args, 2)?;
            check_axis(*axis, args[0].rank())?;
            want(1, args[1].elem, args[1].elem == Elem::I32, "i32")?;
            let x = &args[0].shape;
            not_empty(&x[*axis])?;
            let shape = x[..*axis]
                .iter()
                .chain(&args[1].shape)
                .chain(&x[axis + 1..])
                .cloned();
            smallvec![Type::new(args[0].elem, shape)]
        }
        Prim::ScatterAdd { axis, size } => {
            arity(args, 2)?;
            want(0, args[0].elem, args[0].elem == Elem::I32, "i32")?;
            let (index, update) = (args[0], args[1]);
            let number = matches!(update.elem, Elem::F32 | Elem::F64 | Elem::I32);
            want(1, update.elem, number, "a number")?;
            not_empty(size)?;
            if update.rank() < index.rank() + axis {
                return Err(TypeError::Rank {
                    argument: 1,
                    found: update.rank(),
                    expected: index.rank() + axis,
                });
            }
            for (i, size) in index.shape.iter().enumerate() {
                equal(1, axis + i, size, &update.shape[axis + i])?;
            }
            let shape = update.shape[..*axis]
                .iter()
                .chain([size])
                .chain(&update.shape[axis + index.rank()..]);
            smallvec![Type::new(update.elem, shape.cloned())]
        }
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

/// Size of the result of sliding `window` (dilated) with `stride` over a padded axis.
pub fn slide(
    axis: usize,
    size: &Dim,
    low: &Dim,
    high: &Dim,
    window: &Dim,
    stride: usize,
    dilation: usize,
) -> Result<Dim> {
    if stride == 0 || dilation == 0 {
        return Err(TypeError::Attribute("a stride or dilation of 0"));
    }
    let reach = window
        .sub(&Dim::ONE)?
        .mul(&Dim::from(dilation))?
        .add(&Dim::ONE)?;
    let room = size.add(low)?.add(high)?.sub(&reach)?;
    if room.sign() == Some(std::cmp::Ordering::Less) || window.sign().is_some_and(|s| s.is_le()) {
        return Err(TypeError::Window {
            axis,
            window: reach,
            size: size.add(low)?.add(high)?,
        });
    }
    Ok(room.div(&Dim::from(stride))?.add(&Dim::ONE)?)
}

fn convolution(c: &ConvDims, x: &Type, k: &Type) -> Result<Type> {
    let n = c.strides.len();
    rank(&[x, k], 0, n + 2)?;
    rank(&[x, k], 1, n + 2)?;
    if [c.dilation.len(), c.low.len(), c.high.len()] != [n; 3] || c.groups == 0 {
        return Err(TypeError::Attribute(
            "a convolution needs one stride, dilation and padding per axis",
        ));
    }
    want(0, x.elem, x.elem.is_float(), "a float")?;
    want(
        1,
        k.elem,
        k.elem == x.elem,
        "of the same element type as the input",
    )?;
    equal(
        1,
        n,
        &k.shape[n].mul(&Dim::from(c.groups))?,
        &x.shape[n + 1],
    )?;
    let out = &k.shape[n + 1];
    if out.rem(&Dim::from(c.groups))? != Dim::ZERO {
        return Err(TypeError::Attribute(
            "the number of filters is not a multiple of the number of groups",
        ));
    }
    let mut shape = Shape::new();
    shape.push(x.shape[0].clone());
    for i in 0..n {
        shape.push(slide(
            i,
            &x.shape[i + 1],
            &c.low[i],
            &c.high[i],
            &k.shape[i],
            c.strides[i],
            c.dilation[i],
        )?);
    }
    shape.push(out.clone());
    Ok(Type {
        elem: x.elem,
        shape,
    })
}

fn window(w: &WindowDims, x: &Type) -> Result<Type> {
    let n = w.window.len();
    rank(&[x], 0, n + 2)?;
    if [w.strides.len(), w.low.len(), w.high.len()] != [n; 3] {
        return Err(TypeError::Attribute(
            "a window needs one stride and padding per axis",
        ));
    }
    want(0, x.elem, x.elem.is_float(), "a float")?;
    let mut shape = x.shape.clone();
    for i in 0..n {
        shape[i + 1] = slide(
            i,
            &x.shape[i + 1],
            &w.low[i],
            &w.high[i],
            &Dim::from(w.window[i]),
            w.strides[i],
            1,
        )?;
    }
    Ok(Type {
        elem: x.elem,
        shape,
    })
}

fn dot(dims: &DotDims, a: &Type, b: &Type) -> Result<Type> {
    want(0, a.elem, a.elem.is_float(), "a float")?;
    want(
        1,
        b.elem,
        a.elem == b.elem,
        "of the same element type as the left one",
    )?;
    let mut used = [vec![false; a.rank()], vec![false; b.rank()]];
    for &(i, j) in dims.batch.iter().chain(&dims.contract) {
        check_axis(i, a.rank())?;
        check_axis(j, b.rank())?;
        if std::mem::replace(&mut used[0][i], true) || std::mem::replace(&mut used[1][j], true) {
            return Err(TypeError::Attribute("an axis appears twice"));
        }
        equal(1, j, &a.shape[i], &b.shape[j])?;
    }
    let batch = dims.batch.iter().map(|&(i, _)| a.shape[i].clone());
    let left = (0..a.rank())
        .filter(|i| !used[0][*i])
        .map(|i| a.shape[i].clone());
    let right = (0..b.rank())
        .filter(|i| !used[1][*i])
        .map(|i| b.shape[i].clone());
    Ok(Type::new(a.elem, batch.chain(left).chain(right)))
}

fn scan(s: &Scan, args: &[&Type]) -> Result<Types> {
    let body = &s.body;
    if body.inputs.len() != args.len()
        || args.len() < s.carries + s.scanned
        || body.outputs.len() < s.carries
    {
        return Err(TypeError::Arity {
            expected: body.inputs.len(),
            found: args.len(),
        });
    }
    for (i, arg) in args.iter().enumerate() {
        let mut found = (*arg).clone();
        if (s.carries..s.carries + s.scanned).contains(&i) {
            if found.rank() == 0 {
                return Err(TypeError::Rank {
                    argument: i,
                    found: 0,
                    expected: 1,
                });
            }
            equal(i, 0, &found.shape.remove(0), &s.length)?;
        }
        let expected = body.ty(body.inputs[i].value);
        if found != *expected {
            return Err(TypeError::Type {
                argument: i,
                found,
                expected: expected.clone(),
            });
        }
    }
    let mut results = Types::new();
    for (i, output) in body.outputs.iter().enumerate() {
        let ty = body.ty(output.value);
        if i < s.carries {
            same(&[ty], 0, args[i])?;
            results.push(ty.clone());
        } else {
            let stacked = std::iter::once(&s.length).chain(&ty.shape).cloned();
            results.push(Type::new(ty.elem, stacked));
        }
    }
    Ok(results)
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

fn arity(args: &[&Type], expected: usize) -> Result<()> {
    let found = args.len();
    if found == expected {
        Ok(())
    } else {
        Err(TypeError::Arity { expected, found })
    }
}

fn rank(args: &[&Type], argument: usize, expected: usize) -> Result<()> {
    let found = args[argument].rank();
    if found == expected {
        Ok(())
    } else {
        Err(TypeError::Rank {
            argument,
            found,
            expected,
        })
    }
}

fn same(args: &[&Type], argument: usize, expected: &Type) -> Result<()> {
    let found = args[argument];
    if found == expected {
        return Ok(());
    }
    Err(TypeError::Type {
        argument,
        found: found.clone(),
        expected: expected.clone(),
    })
}

fn want(argument: usize, found: Elem, ok: bool, expected: &'static str) -> Result<()> {
    if ok {
        Ok(())
    } else {
        Err(TypeError::Elem {
            argument,
            found: Elem2(found),
            expected,
        })
    }
}

/// An index needs something to be the index of.
fn not_empty(size: &Dim) -> Result<()> {
    if *size == Dim::ZERO {
        return Err(TypeError::Attribute(
            "an axis without elements has no index",
        ));
    }
    Ok(())
}

fn check_axis(axis: usize, rank: usize) -> Result<()> {
    if axis < rank {
        Ok(())
    } else {
        Err(TypeError::Axis { axis, rank })
    }
}

fn equal(argument: usize, axis: usize, left: &Dim, right: &Dim) -> Result<()> {
    if left == right {
        return Ok(());
    }
    Err(TypeError::Size {
        argument,
        axis,
        left: left.clone(),
        right: right.clone(),
    })
}

fn increasing(axes: &[usize]) -> Result<()> {
    if axes.windows(2).all(|w| w[0] < w[1]) {
        Ok(())
    } else {
        Err(TypeError::Attribute("axes must increase"))
    }
}
