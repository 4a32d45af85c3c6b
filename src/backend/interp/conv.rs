//! Convolutions, windows and their gradients, over `[batch, spatial.., channels]`.
//!
//! All of them are sums over *taps*: a place in the result, a place in the
//! window and the place in the input that the two select. Sums are in f64.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array3, ArrayD, ArrayViewMut2, Axis, Ix3, IxDyn, s};

use super::array::Array;
use super::elementwise::float_max;
use super::moves::reshaped;
use super::reduce::larger;
use crate::ir::Dim;
use crate::ir::prim::{ConvDims, WindowDims, WindowOp};

/// Row-major indices of one multiplication's places.
struct Tap {
    out: usize,
    window: usize,
    input: usize,
}

/// Which of the three tensors of a convolution is computed from the other two.
#[derive(Clone, Copy)]
enum Solve {
    Output,
    Input,
    Kernel,
}

pub(super) fn conv(c: &ConvDims, x: &Array, kernel: &Array, shape: &[usize]) -> Array {
    let y = zeros(shape);
    let [_, _, y] = products(c, [&x.to_f64(), &kernel.to_f64(), &y], Solve::Output);
    Array::from_f64(x.elem(), y)
}

pub(super) fn conv_input_grad(c: &ConvDims, dy: &Array, kernel: &Array, shape: &[usize]) -> Array {
    let dx = zeros(shape);
    let [dx, _, _] = products(c, [&dx, &kernel.to_f64(), &dy.to_f64()], Solve::Input);
    Array::from_f64(dy.elem(), dx)
}

pub(super) fn conv_kernel_grad(c: &ConvDims, x: &Array, dy: &Array, shape: &[usize]) -> Array {
    let dk = zeros(shape);
    let [_, dk, _] = products(c, [&x.to_f64(), &dk, &dy.to_f64()], Solve::Kernel);
    Array::from_f64(x.elem(), dk)
}

pub(super) fn window(op: WindowOp, w: &WindowDims, x: &Array, shape: &[usize]) -> Array {
    let x3 = three(&x.to_f64(), 1);
    let (init, join): (f64, fn(f64, f64) -> f64) = match op {
        WindowOp::Max => (f64::NEG_INFINITY, float_max),
        WindowOp::Sum => (0.0, |a, b| a + b),
    };
    let mut y = three(&ArrayD::from_elem(IxDyn(shape), init), 1);
    for tap in window_taps(w, x.shape(), shape) {
        let part = x3.index_axis(Axis(1), tap.input);
        let mut sum = y.index_axis_mut(Axis(1), tap.out);
        sum.zip_mut_with(&part, |s, &v| *s = join(*s, v));
    }
    Array::from_f64(x.elem(), reshaped(&y.into_dyn(), shape))
}

pub(super) fn window_grad(op: WindowOp, w: &WindowDims, x: &Array, dy: &Array) -> Array {
    let x3 = three(&x.to_f64(), 1);
    let dy3 = three(&dy.to_f64(), 1);
    let mut dx = Array3::<f64>::zeros(x3.dim());
    let taps = window_taps(w, x.shape(), dy.shape());
    match op {
        WindowOp::Sum => {
            for tap in taps {
                let mut sum = dx.index_axis_mut(Axis(1), tap.input);
                sum += &dy3.index_axis(Axis(1), tap.out);
            }
        }
        WindowOp::Max => {
            // Taps of one result come in the order of the window, so the first of equals wins.
            let mut winner = Array3::<Option<usize>>::from_elem(dy3.dim(), None);
            for tap in taps {
                for ((b, c), v) in x3.index_axis(Axis(1), tap.input).indexed_iter() {
                    let best = &mut winner[[b, tap.out, c]];
                    if best.is_none_or(|i| larger(*v, x3[[b, i, c]])) {
                        *best = Some(tap.input);
                    }
                }
            }
            for ((b, t, c), i) in winner.indexed_iter() {
                if let Some(i) = *i {
                    dx[[b, i, c]] += dy3[[b, t, c]];
                }
            }
        }
    }
    Array::from_f64(x.elem(), reshaped(&dx.into_dyn(), x.shape()))
}

/// `[x, kernel, y]` with the one to solve for, zeros at first, replaced by its sums:
/// every tap is a product of matrices of one group's channels.
fn products(c: &ConvDims, tensors: [&ArrayD<f64>; 3], solve: Solve) -> [ArrayD<f64>; 3] {
    let [x, k, y] = tensors.map(ArrayD::shape);
    let n = c.strides.len();
    let taps = taps(
        &x[1..=n],
        &k[..n],
        &y[1..=n],
        &c.strides,
        &c.dilation,
        &c.low,
    );
    let (inputs, outputs) = (k[n], k[n + 1] / c.groups);
    let shapes = [x.to_vec(), k.to_vec(), y.to_vec()];
    let mut x = three(tensors[0], 1);
    let mut y = three(tensors[2], 1);
    let mut k = {
        let places = k[..n].iter().product();
        into_three(tensors[1], [places, k[n], k[n + 1]])
    };
    for tap in &taps {
        for g in 0..c.groups {
            let (ci, co) = (g * inputs..(g + 1) * inputs, g * outputs..(g + 1) * outputs);
            let mut xs = x.slice_mut(s![.., tap.input, ci]);
            let mut ks = k.slice_mut(s![tap.window, .., co.clone()]);
            let mut ys = y.slice_mut(s![.., tap.out, co]);
            match solve {
                Solve::Output => add_product(xs.view(), ks.view(), &mut ys),
                Solve::Input => add_product(ys.view(), ks.t(), &mut xs),
                Solve::Kernel => add_product(xs.t(), ys.view(), &mut ks),
            }
        }
    }
    let [sx, sk, sy] = shapes;
    [
        reshaped(&x.into_dyn(), &sx),
        reshaped(&k.into_dyn(), &sk),
        reshaped(&y.into_dyn(), &sy),
    ]
}

fn add_product(
    a: ndarray::ArrayView2<f64>,
    b: ndarray::ArrayView2<f64>,
    sum: &mut ArrayViewMut2<f64>,
) {
    general_mat_mul(1.0, &a, &b, 1.0, sum);
}

fn window_taps(w: &WindowDims, x: &[usize], y: &[usize]) -> Vec<Tap> {
    let n = w.window.len();
    let dilation = vec![1; n];
    taps(
        &x[1..=n],
        &w.window,
        &y[1..=n],
        &w.strides,
        &dilation,
        &w.low,
    )
}

/// In row-major order of the result, then of the window; those that fall on padding are left out.
fn taps(
    input: &[usize],
    window: &[usize],
    out: &[usize],
    strides: &[usize],
    dilation: &[usize],
    low: &[Dim],
) -> Vec<Tap> {
    let mut taps = Vec::new();
    for (out_index, o) in ndarray::indices(IxDyn(out)).into_iter().enumerate() {
        for (window_index, k) in ndarray::indices(IxDyn(window)).into_iter().enumerate() {
            let mut index = Some(0);
            for a in 0..input.len() {
                let low = low[a].as_const().expect("the verifier saw no symbols");
                let at = (o[a] * strides[a] + k[a] * dilation[a]) as i64 - low;
                let within = usize::try_from(at).ok().filter(|i| *i < input[a]);
                index = index.zip(within).map(|(i, w)| i * input[a] + w);
            }
            if let Some(input) = index {
                taps.push(Tap {
                    out: out_index,
                    window: window_index,
                    input,
                });
            }
        }
    }
    taps
}

/// `[a.., s.., c]` to `[a, s, c]`, where `a` is the first `leading` axes and `c` the last one.
fn three(x: &ArrayD<f64>, leading: usize) -> Array3<f64> {
    let shape = x.shape();
    let (first, rest) = shape.split_at(leading);
    let (last, middle) = rest.split_last().expect("a tensor with channels");
    into_three(x, [first.iter().product(), middle.iter().product(), *last])
}

fn into_three(x: &ArrayD<f64>, shape: [usize; 3]) -> Array3<f64> {
    reshaped(x, &shape)
        .into_dimensionality::<Ix3>()
        .expect("three axes")
}

fn zeros(shape: &[usize]) -> ArrayD<f64> {
    ArrayD::zeros(IxDyn(shape))
}
