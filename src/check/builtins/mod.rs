//! The functions that are primitives, or compile-time arithmetic on shapes. These and the tables
//! of `eval` and `data` are all that Rust knows by name. Everything else is written in nn.

mod args;
mod mask;
mod math;
mod shape;
mod window;

use crate::ir::prim::{Binary, Reduce, Unary, WindowOp};
use crate::ir::{Dim, Prim};

use crate::check::elab::builtin::{Builtin, builtin};
use crate::check::elab::value::Val;

/// By name, in order.
pub(super) const TABLE: &[Builtin] = &[
    builtin("abs", &["x"], "|x|", |el, a| {
        el.unary(a, Unary::Abs, Some(f64::abs))
    }),
    builtin(
        "argmax",
        &["x", "axis?"],
        "index of the maximum along `axis`, the first of equal ones",
        |el, a| el.argmax(a),
    ),
    builtin(
        "argsort",
        &["x", "axis?"],
        "indices that sort `x` along `axis` in ascending order; equal elements keep their order",
        |el, a| el.argsort(a),
    ),
    builtin(
        "axes_of",
        &["x", "axis"],
        "`axis`, a number or a list, as a sorted list counted from 0",
        |el, a| el.axes_of(a, false),
    ),
    builtin(
        "broadcast",
        &["x", "shape", "axes?"],
        "`x` broadcast to `shape`; its axes become the last ones, or `axes`",
        |el, a| el.broadcast_to(a),
    ),
    builtin(
        "cast",
        &["x", "to"],
        "`x` converted to `real`, `int` or `bool`",
        |el, a| el.cast_to(a),
    ),
    builtin("ceil", &["x"], "smallest integer not below `x`", |el, a| {
        el.unary(a, Unary::Ceil, Some(f64::ceil))
    }),
    builtin(
        "concat",
        &["...", "axis?"],
        "concatenation of tensors, or of a list of them, along `axis`",
        |el, a| el.concat(a),
    ),
    builtin(
        "conv",
        &["x", "kernel", "strides", "padding", "dilation?", "groups?"],
        "convolution over the middle axes",
        |el, a| el.conv(a),
    ),
    builtin(
        "conv_transpose",
        &[
            "x",
            "kernel",
            "strides",
            "padding",
            "output_padding?",
            "dilation?",
        ],
        "transposed convolution over the middle axes, of a kernel `[.., filters, channels]`",
        |el, a| el.conv_transpose(a),
    ),
    builtin("cos", &["x"], "the cosine", |el, a| {
        el.unary(a, Unary::Cos, Some(f64::cos))
    }),
    builtin("erf", &["x"], "error function", |el, a| {
        el.unary(a, Unary::Erf, None)
    }),
    builtin("exp", &["x"], "e^x", |el, a| {
        el.unary(a, Unary::Exp, Some(f64::exp))
    }),
    builtin(
        "expand",
        &["x", "axis"],
        "`x` with a new axis of size 1",
        |el, a| el.expand(a),
    ),
    builtin("expm1", &["x"], "e^x - 1, exact near 0", |el, a| {
        el.unary(a, Unary::Expm1, Some(f64::exp_m1))
    }),
    builtin(
        "filled",
        &["list", "by"],
        "`list`, with each `none` replaced by the item of `by` at the same index",
        |el, a| el.filled(a),
    ),
    builtin("floor", &["x"], "largest integer not above `x`", |el, a| {
        el.unary(a, Unary::Floor, Some(f64::floor))
    }),
    builtin(
        "full",
        &["shape", "value"],
        "a tensor of one value",
        |el, a| el.full(a),
    ),
    builtin(
        "gather",
        &["x", "indices", "axis?"],
        "slices of `x` at `indices`",
        |el, a| el.gather(a),
    ),
    builtin(
        "gradient",
        &["of", "by"],
        "gradient of a scalar by a tensor",
        |el, a| el.gradient_of(a),
    ),
    builtin(
        "iota",
        &["shape", "axis"],
        "the index along `axis`",
        |el, a| el.iota(a),
    ),
    builtin(
        "is_list",
        &["x"],
        "whether `x` is a list or a tuple",
        |el, a| match el.at(a, "x") {
            Some(Val::Error) | None => Val::Error,
            Some(v) => Val::Bool(matches!(v, Val::List(_) | Val::Tuple(_))),
        },
    ),
    builtin(
        "len",
        &["x"],
        "number of items of a list or a tuple; for ids, in a data block, the number of ids per row",
        |el, a| match el.at(a, "x") {
            Some(Val::List(l)) => Val::Int(Dim::from(l.len())),
            Some(Val::Tuple(t)) => Val::Int(Dim::from(t.len())),
            Some(Val::Error) | None => Val::Error,
            Some(v) => el.wrong(a, "x", "a list", &v),
        },
    ),
    builtin("log", &["x"], "natural logarithm", |el, a| {
        el.unary(a, Unary::Log, Some(f64::ln))
    }),
    builtin("log1p", &["x"], "log(1 + x), exact near 0", |el, a| {
        el.unary(a, Unary::Log1p, Some(f64::ln_1p))
    }),
    builtin("logistic", &["x"], "1 / (1 + exp(-x))", |el, a| {
        el.unary(a, Unary::Logistic, None)
    }),
    builtin("mask", &["x"], "mask of `x`, or none", |el, a| {
        el.mask_of(a)
    }),
    builtin(
        "max",
        &["x", "axis?", "keepdims?"],
        "maximum along axes",
        |el, a| el.reduce(a, Reduce::Max),
    ),
    builtin("maximum", &["x", "y"], "elementwise maximum", |el, a| {
        el.extreme(a, Binary::Max)
    }),
    builtin(
        "mean",
        &["x", "axis?", "keepdims?"],
        "mean along axes",
        |el, a| el.mean(a),
    ),
    builtin(
        "min",
        &["x", "axis?", "keepdims?"],
        "minimum along axes",
        |el, a| el.reduce(a, Reduce::Min),
    ),
    builtin("minimum", &["x", "y"], "elementwise minimum", |el, a| {
        el.extreme(a, Binary::Min)
    }),
    builtin(
        "other_axes",
        &["x", "axis"],
        "list of the axes of `x` that are not in `axis`, a number or a list",
        |el, a| el.axes_of(a, true),
    ),
    builtin(
        "pad",
        &["x", "low", "high", "value?"],
        "`x` with `low` and `high` elements added to each axis; for ids, in a data block: `pad(length, side = pre, truncate = pre)`",
        |el, a| el.pad(a),
    ),
    builtin(
        "prod",
        &["x", "axis?", "keepdims?"],
        "product along axes",
        |el, a| el.reduce(a, Reduce::Prod),
    ),
    builtin("rand", &["shape"], "uniform draws on [0, 1)", |el, a| {
        el.rand(a)
    }),
    builtin(
        "range",
        &["n"],
        "the list 0, 1, .. n - 1",
        |el, a| match el.at(a, "n") {
            Some(Val::Int(Dim::Const(n))) if (0..=4096).contains(&n) => {
                Val::list((0..n).map(|i| Val::Int(Dim::Const(i))))
            }
            Some(v) if el.is_open(&v) => Val::Error,
            Some(v) => el.wrong(a, "n", "a number from 0 to 4096", &v),
            None => Val::Error,
        },
    ),
    builtin("rank", &["x"], "number of axes", |el, a| {
        el.tensor_at(a, "x")
            .map_or(Val::Error, |t| Val::Int(Dim::from(t.ty.rank())))
    }),
    builtin(
        "reshape",
        &["x", "shape"],
        "the same elements in a different shape; one size may be -1, which is computed from the others",
        |el, a| el.reshape(a),
    ),
    builtin(
        "reverse",
        &["x", "axis"],
        "`x` reversed along `axis`",
        |el, a| el.reverse(a),
    ),
    builtin(
        "round",
        &["x"],
        "nearest integer; halves are rounded to even",
        |el, a| el.unary(a, Unary::Round, Some(f64::round_ties_even)),
    ),
    builtin(
        "scatter_add",
        &["indices", "updates", "size", "axis?"],
        "sum of `updates` at `indices`",
        |el, a| el.scatter(a),
    ),
    builtin(
        "select",
        &["condition", "x", "y"],
        "`x` where the condition is true, `y` elsewhere",
        |el, a| el.select(a),
    ),
    builtin("shape", &["x"], "the sizes, as a list", |el, a| {
        el.tensor_at(a, "x").map_or(Val::Error, |t| {
            Val::list(t.ty.shape.iter().cloned().map(Val::Int))
        })
    }),
    builtin("sign", &["x"], "-1, 0 or 1", |el, a| {
        el.unary(a, Unary::Sign, None)
    }),
    builtin("sin", &["x"], "sine", |el, a| {
        el.unary(a, Unary::Sin, Some(f64::sin))
    }),
    builtin("size", &["x"], "number of elements", |el, a| {
        match el.tensor_at(a, "x") {
            Some(t) => match crate::ir::infer::count(&t.ty.shape) {
                Ok(n) => Val::Int(n),
                Err(e) => el.type_error(e, a.span),
            },
            None => Val::Error,
        }
    }),
    builtin(
        "split",
        &["x", "n", "axis?"],
        "`n` equal pieces along `axis`, as a tuple",
        |el, a| el.split(a),
    ),
    builtin("sqrt", &["x"], "square root", |el, a| {
        el.unary(a, Unary::Sqrt, Some(f64::sqrt))
    }),
    builtin(
        "squeeze",
        &["x", "axis"],
        "`x` without an axis of size 1",
        |el, a| el.squeeze(a),
    ),
    builtin(
        "stop_gradient",
        &["x"],
        "`x`, treated as a constant by gradients",
        |el, a| match el.tensor_at(a, "x") {
            Some(t) => el.emit(Prim::StopGradient, &[&t], t.meaning.clone(), a.span),
            None => Val::Error,
        },
    ),
    builtin(
        "sum",
        &["x", "axis?", "keepdims?"],
        "sum along axes",
        |el, a| el.reduce(a, Reduce::Sum),
    ),
    builtin("tanh", &["x"], "hyperbolic tangent", |el, a| {
        el.unary(a, Unary::Tanh, Some(f64::tanh))
    }),
    builtin(
        "transpose",
        &["x", "axes"],
        "`x` with its axes in a different order",
        |el, a| el.transpose(a),
    ),
    builtin(
        "vector",
        &["list"],
        "the numbers of a list as a tensor",
        |el, a| el.vector(a),
    ),
    builtin(
        "window_max",
        &["x", "window", "strides", "padding"],
        "maximum of each window of the middle axes",
        |el, a| el.window(a, WindowOp::Max),
    ),
    builtin(
        "window_sum",
        &["x", "window", "strides", "padding"],
        "sum of each window of the middle axes",
        |el, a| el.window(a, WindowOp::Sum),
    ),
    builtin(
        "with_mask",
        &["x", "mask"],
        "`x` with a mask: a boolean for each position of its leading axes; none removes the mask",
        |el, a| el.with_mask(a),
    ),
];
