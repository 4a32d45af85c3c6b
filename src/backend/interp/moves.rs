//! Primitives that move elements without computing with them, and those that
//! make tensors from nothing; gather and scatter.

use ndarray::{ArrayD, Axis, IxDyn, Slice};

use super::array::{Array, map_array, zip_arrays};
use crate::ir::Elem;
use crate::random;

pub(super) fn iota(axis: usize, shape: &[usize], elem: Elem) -> Array {
    let indices = ArrayD::from_shape_fn(IxDyn(shape), |i| i[axis] as f64);
    Array::from_f64(elem, indices)
}

pub(super) fn random(seed: u64, site: &str, counter: &Array, shape: &[usize]) -> Array {
    let key = random::site_key(seed, site);
    let draw = u64::from(counter.i32s()[0] as u32);
    let count = shape.iter().product::<usize>() as u64;
    let values = (0..count).map(|i| random::uniform(key, draw, i)).collect();
    Array::F32(ArrayD::from_shape_vec(IxDyn(shape), values).expect("as many as the shape has"))
}

pub(super) fn reshape(x: &Array, shape: &[usize]) -> Array {
    map_array!(x, x => reshaped(x, shape))
}

pub(super) fn transpose(x: &Array, perm: &[usize]) -> Array {
    map_array!(x, x => x.view().permuted_axes(IxDyn(perm)).as_standard_layout().into_owned())
}

pub(super) fn broadcast(x: &Array, shape: &[usize], axes: &[usize]) -> Array {
    let mut aligned = vec![1; shape.len()];
    for (i, &axis) in axes.iter().enumerate() {
        aligned[axis] = x.shape()[i];
    }
    map_array!(x, x => {
        let x = reshaped(x, &aligned);
        let stretched = x.broadcast(IxDyn(shape)).expect("only axes of size 1 are stretched");
        stretched.as_standard_layout().into_owned()
    })
}

pub(super) fn slice(x: &Array, starts: &[usize], ends: &[usize], steps: &[usize]) -> Array {
    map_array!(x, x => {
        let part = x.slice_each_axis(|a| {
            let i = a.axis.index();
            every(starts[i], ends[i], steps[i])
        });
        part.as_standard_layout().into_owned()
    })
}

pub(super) fn pad(
    x: &Array,
    value: &Array,
    low: &[usize],
    interior: &[usize],
    shape: &[usize],
) -> Array {
    zip_arrays!(x, value, (x, value) => {
        let mut padded = ArrayD::from_elem(IxDyn(shape), value[IxDyn(&[])]);
        if !x.is_empty() {
            let mut inner = padded.slice_each_axis_mut(|a| {
                let i = a.axis.index();
                let step = interior[i] + 1;
                every(low[i], low[i] + (x.shape()[i] - 1) * step + 1, step)
            });
            inner.assign(x);
        }
        padded
    }, same)
}

pub(super) fn concat(args: &[&Array], axis: usize) -> Array {
    let mut shape = args[0].shape().to_vec();
    shape[axis] = args.iter().map(|a| a.shape()[axis]).sum();
    let mut result = Array::full(args[0].elem(), &shape, 0.0);
    let mut start = 0;
    for arg in args {
        let end = start + arg.shape()[axis];
        zip_arrays!(&mut result, *arg, (r, x) => {
            r.slice_axis_mut(Axis(axis), every(start, end, 1)).assign(x);
        }, plain);
        start = end;
    }
    result
}

pub(super) fn reverse(x: &Array, axes: &[usize]) -> Array {
    map_array!(x, x => {
        let mut view = x.view();
        for &axis in axes {
            view.invert_axis(Axis(axis));
        }
        view.as_standard_layout().into_owned()
    })
}

/// Indices outside the axis are clamped.
pub(super) fn gather(x: &Array, indices: &Array, axis: usize) -> Array {
    let size = x.shape()[axis];
    let mut shape = x.shape().to_vec();
    shape.splice(axis..=axis, indices.shape().iter().copied());
    let indices: Vec<usize> = indices.i32s().iter().map(|&i| clamp(i, size)).collect();
    map_array!(x, x => reshaped(&x.select(Axis(axis), &indices), &shape))
}

/// Indices outside the axis are clamped, as in [`gather`], whose gradient it is.
/// Floats are added in f64.
pub(super) fn scatter_add(indices: &Array, updates: &Array, axis: usize, size: usize) -> Array {
    let shape = updates.shape();
    let (before, after) = (&shape[..axis], &shape[axis + indices.shape().len()..]);
    let shape: Vec<usize> = before.iter().chain([&size]).chain(after).copied().collect();
    let three = |middle| {
        [
            before.iter().product(),
            middle,
            after.iter().product::<usize>(),
        ]
    };
    let indices = indices.i32s();
    let (from, to) = (three(indices.len()), three(size));
    let indices: Vec<usize> = indices.iter().map(|&i| clamp(i, size)).collect();
    match updates {
        Array::I32(u) => {
            let sums = add_rows(&reshaped(u, &from), &indices, &to, i32::wrapping_add);
            Array::I32(reshaped(&sums, &shape))
        }
        Array::F32(_) | Array::F64(_) => {
            let u = reshaped(&updates.to_f64(), &from);
            let sums = add_rows(&u, &indices, &to, |a, b| a + b);
            Array::from_f64(updates.elem(), reshaped(&sums, &shape))
        }
        Array::U8(_) | Array::Bool(_) => unreachable!("the verifier saw a number"),
    }
}

/// `[a, rows, b]` to `[a, size, b]`
fn add_rows<T: Copy + Default>(
    updates: &ArrayD<T>,
    indices: &[usize],
    shape: &[usize],
    add: impl Fn(T, T) -> T,
) -> ArrayD<T> {
    let mut sums = ArrayD::from_elem(IxDyn(shape), T::default());
    for (row, &i) in indices.iter().enumerate() {
        let mut sum = sums.index_axis_mut(Axis(1), i);
        sum.zip_mut_with(&updates.index_axis(Axis(1), row), |s, &u| *s = add(*s, u));
    }
    sums
}

pub(super) fn reshaped<T: Clone>(x: &ArrayD<T>, shape: &[usize]) -> ArrayD<T> {
    let values = x.iter().cloned().collect();
    ArrayD::from_shape_vec(IxDyn(shape), values).expect("the verifier saw equal counts")
}

fn clamp(index: i32, size: usize) -> usize {
    usize::try_from(index).unwrap_or(0).min(size - 1)
}

fn every(start: usize, end: usize, step: usize) -> Slice {
    Slice::new(start as isize, Some(end as isize), step as isize)
}
