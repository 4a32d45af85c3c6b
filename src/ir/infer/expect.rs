//! Checks of arguments, each with its error.

use super::{Result, TypeError};
use crate::ir::dim::Dim;
use crate::ir::ty::{Elem, Type};

pub(super) fn arity(args: &[&Type], expected: usize) -> Result<()> {
    let found = args.len();
    if found == expected {
        Ok(())
    } else {
        Err(TypeError::Arity { expected, found })
    }
}

pub(super) fn rank(args: &[&Type], argument: usize, expected: usize) -> Result<()> {
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

pub(super) fn same(args: &[&Type], argument: usize, expected: &Type) -> Result<()> {
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

pub(super) fn want(argument: usize, found: Elem, ok: bool, expected: &'static str) -> Result<()> {
    if ok {
        Ok(())
    } else {
        Err(TypeError::Elem {
            argument,
            found,
            expected,
        })
    }
}

/// An index needs something to be the index of.
pub(super) fn not_empty(size: &Dim) -> Result<()> {
    if *size == Dim::ZERO {
        return Err(TypeError::Attribute(
            "an axis without elements has no index",
        ));
    }
    Ok(())
}

pub(super) fn check_axis(axis: usize, rank: usize) -> Result<()> {
    if axis < rank {
        Ok(())
    } else {
        Err(TypeError::Axis { axis, rank })
    }
}

pub(super) fn equal(argument: usize, axis: usize, left: &Dim, right: &Dim) -> Result<()> {
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

pub(super) fn increasing(axes: &[usize]) -> Result<()> {
    if axes.windows(2).all(|w| w[0] < w[1]) {
        Ok(())
    } else {
        Err(TypeError::Attribute("axes must increase"))
    }
}
