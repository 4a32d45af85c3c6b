//! Reductions and contractions. Floats accumulate in f64 and are rounded once.

use ndarray::{ArrayD, ArrayView1, Axis, IxDyn};

use super::array::Array;
use super::elementwise::float_max;
use super::moves::reshaped;
use crate::ir::prim::{DotDims, Reduce};

pub(super) fn reduce(op: Reduce, x: &Array, axes: &[usize]) -> Array {
    match x {
        Array::F32(_) | Array::F64(_) => {
            let wide = x.to_f64();
            let r = match op {
                Reduce::Sum => fold(wide, axes, 0.0, |a, b| a + b),
                Reduce::Prod => fold(wide, axes, 1.0, |a, b| a * b),
                Reduce::Max => fold(wide, axes, f64::NEG_INFINITY, float_max),
                Reduce::Min => fold(wide, axes, f64::INFINITY, |a, b| -float_max(-a, -b)),
            };
            Array::from_f64(x.elem(), r)
        }
        Array::I32(x) => Array::I32(match op {
            Reduce::Sum => fold(x.clone(), axes, 0, i32::wrapping_add),
            Reduce::Prod => fold(x.clone(), axes, 1, i32::wrapping_mul),
            Reduce::Max => fold(x.clone(), axes, i32::MIN, i32::max),
            Reduce::Min => fold(x.clone(), axes, i32::MAX, i32::min),
        }),
        Array::U8(_) | Array::Bool(_) => unreachable!("the verifier saw a number"),
    }
}

/// The first of the largest; NaN is larger than any number. 0 of an empty axis.
pub(super) fn arg_max(x: &Array, axis: usize) -> Array {
    let axis = Axis(axis);
    Array::I32(match x {
        Array::F32(x) => x.map_axis(axis, first_largest),
        Array::F64(x) => x.map_axis(axis, first_largest),
        Array::I32(x) => x.map_axis(axis, first_largest),
        Array::U8(x) => x.map_axis(axis, first_largest),
        Array::Bool(x) => x.map_axis(axis, first_largest),
    })
}

/// Indices in rising order of the values, equals in theirs; NaN last.
pub(super) fn arg_sort(x: &Array, axis: usize) -> Array {
    fn sorted<T: PartialOrd + Copy>(x: &ArrayD<T>, axis: usize) -> ArrayD<i32> {
        let mut to = ArrayD::zeros(x.raw_dim());
        for (from, mut to) in x
            .lanes(Axis(axis))
            .into_iter()
            .zip(to.lanes_mut(Axis(axis)))
        {
            let mut order: Vec<usize> = (0..from.len()).collect();
            order.sort_by(|&i, &j| {
                let (a, b) = (from[i], from[j]);
                a.partial_cmp(&b).unwrap_or_else(|| {
                    let nan = |v: T| v.partial_cmp(&v).is_none();
                    nan(a).cmp(&nan(b))
                })
            });
            to.iter_mut().zip(order).for_each(|(t, i)| *t = i as i32);
        }
        to
    }
    Array::I32(match x {
        Array::F32(x) => sorted(x, axis),
        Array::F64(x) => sorted(x, axis),
        Array::I32(x) => sorted(x, axis),
        Array::U8(x) => sorted(x, axis),
        Array::Bool(x) => sorted(x, axis),
    })
}

pub(super) fn dot(dims: &DotDims, x: &Array, y: &Array) -> Array {
    let batch: Vec<usize> = dims.batch.iter().map(|&(i, _)| i).collect();
    let contract: Vec<usize> = dims.contract.iter().map(|&(i, _)| i).collect();
    let batch_right: Vec<usize> = dims.batch.iter().map(|&(_, j)| j).collect();
    let contract_right: Vec<usize> = dims.contract.iter().map(|&(_, j)| j).collect();
    let free = free_axes(x.shape().len(), &batch, &contract);
    let free_right = free_axes(y.shape().len(), &batch_right, &contract_right);

    let sizes = |a: &Array, axes: &[usize]| axes.iter().map(|&i| a.shape()[i]).collect::<Vec<_>>();
    let shape = [sizes(x, &batch), sizes(x, &free), sizes(y, &free_right)];
    let [b, m, n] = [0, 1, 2].map(|i| shape[i].iter().product::<usize>());
    let k = sizes(x, &contract).iter().product::<usize>();

    let x3 = permuted(x, &[&batch, &free, &contract], [b, m, k]);
    let y3 = permuted(y, &[&batch_right, &contract_right, &free_right], [b, k, n]);
    let mut result = ndarray::Array3::<f64>::zeros([b, m, n]);
    for i in 0..b {
        let product = x3.index_axis(Axis(0), i).dot(&y3.index_axis(Axis(0), i));
        result.index_axis_mut(Axis(0), i).assign(&product);
    }
    Array::from_f64(x.elem(), reshaped(&result.into_dyn(), &shape.concat()))
}

fn fold<T: Copy>(x: ArrayD<T>, axes: &[usize], init: T, f: impl Fn(T, T) -> T) -> ArrayD<T> {
    // From the last axis, so that the earlier ones keep their numbers.
    axes.iter().rev().fold(x, |x, &axis| {
        x.map_axis(Axis(axis), |lane| lane.iter().fold(init, |a, &b| f(a, b)))
    })
}

fn first_largest<T: PartialOrd + Copy>(lane: ArrayView1<T>) -> i32 {
    let mut best = 0;
    for (i, v) in lane.iter().enumerate() {
        if larger(*v, lane[best]) {
            best = i;
        }
    }
    best as i32
}

/// Whether `a` takes the place of an earlier `b`.
#[expect(clippy::eq_op, reason = "NaN is what differs from itself")]
pub(super) fn larger<T: PartialOrd + Copy>(a: T, b: T) -> bool {
    a > b || (a != a && b == b)
}

fn free_axes(rank: usize, batch: &[usize], contract: &[usize]) -> Vec<usize> {
    let free = |i: &usize| !batch.contains(i) && !contract.contains(i);
    (0..rank).filter(free).collect()
}

fn permuted(x: &Array, axes: &[&[usize]; 3], shape: [usize; 3]) -> ndarray::Array3<f64> {
    let order = axes.concat();
    let x = x.to_f64().permuted_axes(IxDyn(&order));
    let values = x.iter().copied().collect();
    ndarray::Array3::from_shape_vec(shape, values).expect("the verifier saw the sizes")
}
