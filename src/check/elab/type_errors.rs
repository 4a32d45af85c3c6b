//! From the type rules' errors to diagnostics.

use crate::diag::{Code, Diagnostic};
use crate::ir::dim::{Dim, DimError};
use crate::ir::infer::MAX_ELEMENTS;
use crate::ir::ty::ShapeText;
use crate::ir::{Shape, TypeError};

/// In a generic check, sizes that are not known to differ may agree in each use.
pub(crate) fn may_hold(e: &TypeError) -> bool {
    let unsure = |a: &Dim, b: &Dim| a.sub(b).map_or(true, |d| d.as_const().is_none());
    match e {
        TypeError::Size { left, right, .. } => unsure(left, right),
        TypeError::Reshape {
            from_count,
            to_count,
            ..
        } => unsure(from_count, to_count),
        TypeError::Type {
            found, expected, ..
        } => {
            found.elem == expected.elem
                && found.rank() == expected.rank()
                && found
                    .shape
                    .iter()
                    .zip(&expected.shape)
                    .all(|(a, b)| a == b || unsure(a, b))
        }
        TypeError::Slice {
            start, end, size, ..
        } => [start, end, size].iter().any(|d| d.as_const().is_none()),
        TypeError::Window { size, .. } => size.as_const().is_none(),
        TypeError::Arity { .. }
        | TypeError::Elem { .. }
        | TypeError::Rank { .. }
        | TypeError::Axis { .. }
        | TypeError::Dim(_)
        | TypeError::Attribute(_)
        | TypeError::TooLarge { .. } => false,
    }
}

/// Code and message; the caller adds the places.
pub(crate) fn describe(e: &TypeError) -> Diagnostic {
    match e {
        TypeError::Size { left, right, .. } => Diagnostic::error(
            Code::E0203,
            format!("shapes do not match: {left} and {right}"),
        ),
        TypeError::Rank {
            found, expected, ..
        } => Diagnostic::error(
            Code::E0201,
            format!(
                "expected a tensor of {}, found {}",
                axes(*expected),
                axes(*found)
            ),
        ),
        TypeError::Reshape {
            from,
            to,
            from_count,
            to_count,
        } => {
            let d = Diagnostic::error(
                Code::E0206,
                format!(
                    "cannot reshape {} to {}",
                    ShapeText(&from.shape),
                    ShapeText(&to.shape)
                ),
            )
            .note(format!(
                "the first has {from_count} elements, the second has {to_count}"
            ));
            let batch = Dim::symbol("B");
            if to_count.mul(&batch).is_ok_and(|n| n == *from_count) {
                let whole: Shape = std::iter::once(batch).chain(to.shape.clone()).collect();
                d.help(format!(
                    "the first axis is the batch: write `{}`",
                    ShapeText(&whole)
                ))
            } else {
                d
            }
        }
        TypeError::Axis { axis, rank } => Diagnostic::error(
            Code::E0207,
            format!(
                "axis {axis} is out of range for a tensor of {}",
                axes(*rank)
            ),
        ),
        TypeError::Slice {
            axis,
            start,
            end,
            size,
        } => Diagnostic::error(
            Code::E0208,
            format!("{start}:{end} is out of bounds for axis {axis}, which has size {size}"),
        ),
        TypeError::Window { window, size, .. } => Diagnostic::error(
            Code::E0209,
            format!("a window of {window} does not fit into an axis of size {size}"),
        )
        .help("use a smaller window, `padding = same`, or fewer pooling layers before it"),
        TypeError::Dim(DimError::Overflow) => {
            Diagnostic::error(Code::E0211, "a size overflows 64 bits")
                .help("check the factors: a tensor cannot be this large")
        }
        TypeError::Dim(DimError::DivisionByZero) => {
            Diagnostic::error(Code::E0211, "division of a size by zero")
        }
        TypeError::TooLarge { elements } => Diagnostic::error(
            Code::E0212,
            format!("a tensor of {elements} elements is too large"),
        )
        .note(format!(
            "the limit is {MAX_ELEMENTS} elements, 4 TiB of f32"
        )),
        TypeError::Type {
            found, expected, ..
        } => Diagnostic::error(
            Code::E0203,
            format!("shapes do not match: expected {expected}, found {found}"),
        ),
        TypeError::Elem {
            found, expected, ..
        } => Diagnostic::error(
            Code::E0309,
            format!("the elements are {found}, but must be {expected}"),
        ),
        TypeError::Arity { expected, found } => Diagnostic::error(
            Code::E0106,
            format!("takes {expected} tensors, got {found}"),
        ),
        TypeError::Attribute(what) => Diagnostic::error(Code::E0205, *what),
    }
}

pub(crate) fn axes(n: usize) -> String {
    match n {
        0 => "no axes (a scalar)".into(),
        1 => "1 axis".into(),
        n => format!("{n} axes"),
    }
}
