//! Moves of data, gather and scatter.

use super::expect::{arity, check_axis, equal, increasing, not_empty, rank, same, want};
use super::{Result, TypeError, count};
use crate::ir::dim::Dim;
use crate::ir::ty::{Elem, Shape, Type};

pub(super) fn reshape(args: &[&Type], shape: &Shape) -> Result<Type> {
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
    Ok(to)
}

pub(super) fn transpose(args: &[&Type], perm: &[usize]) -> Result<Type> {
    arity(args, 1)?;
    rank(args, 0, perm.len())?;
    let mut seen = vec![false; perm.len()];
    for &p in perm {
        check_axis(p, perm.len())?;
        if std::mem::replace(&mut seen[p], true) {
            return Err(TypeError::Attribute("an axis appears twice"));
        }
    }
    Ok(Type::new(
        args[0].elem,
        perm.iter().map(|&p| args[0].shape[p].clone()),
    ))
}

pub(super) fn broadcast(args: &[&Type], shape: &Shape, axes: &[usize]) -> Result<Type> {
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
    Ok(Type {
        elem: args[0].elem,
        shape: shape.clone(),
    })
}

pub(super) fn slice(args: &[&Type], starts: &[Dim], ends: &[Dim], steps: &[usize]) -> Result<Type> {
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
    Ok(Type {
        elem: args[0].elem,
        shape,
    })
}

pub(super) fn pad(args: &[&Type], low: &[Dim], high: &[Dim], interior: &[usize]) -> Result<Type> {
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
    Ok(Type {
        elem: args[0].elem,
        shape,
    })
}

pub(super) fn concat(args: &[&Type], axis: usize) -> Result<Type> {
    if args.is_empty() {
        return Err(TypeError::Arity {
            expected: 1,
            found: 0,
        });
    }
    check_axis(axis, args[0].rank())?;
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
            if a == axis {
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
    Ok(result)
}

pub(super) fn gather(args: &[&Type], axis: usize) -> Result<Type> {
    arity(args, 2)?;
    check_axis(axis, args[0].rank())?;
    want(1, args[1].elem, args[1].elem == Elem::I32, "i32")?;
    let x = &args[0].shape;
    not_empty(&x[axis])?;
    let shape = x[..axis]
        .iter()
        .chain(&args[1].shape)
        .chain(&x[axis + 1..])
        .cloned();
    Ok(Type::new(args[0].elem, shape))
}

pub(super) fn scatter_add(args: &[&Type], axis: usize, size: &Dim) -> Result<Type> {
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
    let shape = update.shape[..axis]
        .iter()
        .chain([size])
        .chain(&update.shape[axis + index.rank()..]);
    Ok(Type::new(update.elem, shape.cloned()))
}
