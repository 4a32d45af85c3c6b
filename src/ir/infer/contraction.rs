//! Products, convolutions and pooling windows.

use super::expect::{check_axis, equal, rank, want};
use super::{Result, TypeError};
use crate::ir::dim::Dim;
use crate::ir::prim::{ConvDims, DotDims, WindowDims};
use crate::ir::ty::{Shape, Type};

/// An axis with its padding.
struct Padded<'a> {
    axis: usize,
    size: &'a Dim,
    low: &'a Dim,
    high: &'a Dim,
}

impl Padded<'_> {
    /// Size of the result of sliding `window` (dilated) with `stride` over the axis.
    fn slide(&self, window: &Dim, stride: usize, dilation: usize) -> Result<Dim> {
        if stride == 0 || dilation == 0 {
            return Err(TypeError::Attribute("a stride or dilation of 0"));
        }
        let reach = window
            .sub(&Dim::ONE)?
            .mul(&Dim::from(dilation))?
            .add(&Dim::ONE)?;
        let padded = self.size.add(self.low)?.add(self.high)?;
        let room = padded.sub(&reach)?;
        let negative = room.sign() == Some(std::cmp::Ordering::Less);
        if negative || window.sign().is_some_and(|s| s.is_le()) {
            return Err(TypeError::Window {
                axis: self.axis,
                window: reach,
                size: padded,
            });
        }
        Ok(room.div(&Dim::from(stride))?.add(&Dim::ONE)?)
    }
}

pub(super) fn convolution(c: &ConvDims, x: &Type, k: &Type) -> Result<Type> {
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
        let axis = Padded {
            axis: i,
            size: &x.shape[i + 1],
            low: &c.low[i],
            high: &c.high[i],
        };
        shape.push(axis.slide(&k.shape[i], c.strides[i], c.dilation[i])?);
    }
    shape.push(out.clone());
    Ok(Type {
        elem: x.elem,
        shape,
    })
}

pub(super) fn window(w: &WindowDims, x: &Type) -> Result<Type> {
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
        let axis = Padded {
            axis: i,
            size: &x.shape[i + 1],
            low: &w.low[i],
            high: &w.high[i],
        };
        shape[i + 1] = axis.slide(&Dim::from(w.window[i]), w.strides[i], 1)?;
    }
    Ok(Type {
        elem: x.elem,
        shape,
    })
}

pub(super) fn dot(dims: &DotDims, a: &Type, b: &Type) -> Result<Type> {
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
