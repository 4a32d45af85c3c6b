//! The functions that are primitives, or compile-time arithmetic on shapes: all
//! that Rust knows by name. Everything else is written in nn.

mod args;
mod mask;
mod math;
mod shape;
mod window;

use crate::diag::Code;
use crate::ir::prim::{Binary, Reduce, Unary, WindowOp};
use crate::ir::{Dim, Prim};

use crate::check::data::augment::PARAMS;
use crate::check::elab::Elab;
use crate::check::elab::builtin::{Args, Builtin};
use crate::check::elab::value::Val;
use crate::check::eval::collected::COLLECTED;

const fn b(
    name: &'static str,
    params: &'static [&'static str],
    doc: &'static str,
    run: fn(&mut Elab, &Args) -> Val,
) -> Builtin {
    Builtin {
        name,
        params,
        doc,
        run,
    }
}

/// By name, in order.
pub const BUILTINS: &[Builtin] = &[
    b(
        "BPE",
        &["column", "vocab_size", "min_frequency?", "lower?"],
        "byte-pair encoding of a text column, fitted to the training rows, as GPT-2's: `fit vocab = BPE(train.text, vocab_size = 8000)`",
        |el, a| el.of_rows_only(a),
    ),
    b(
        "Hashing",
        &[
            "column",
            "num_words",
            "filters?",
            "lower?",
            "split?",
            "char_level?",
            "ngrams?",
        ],
        "vocabulary of a text column, with words numbered by their hash: `fit vocab = Hashing(train.text, num_words = 5000)`",
        |el, a| el.of_rows_only(a),
    ),
    b(
        "Tokenizer",
        &[
            "column",
            "num_words?",
            "filters?",
            "lower?",
            "split?",
            "char_level?",
            "oov_token?",
            "ngrams?",
        ],
        "vocabulary of a text column, fitted to the training rows, most frequent words first: `fit vocab = Tokenizer(train.text)`",
        |el, a| el.of_rows_only(a),
    ),
    b("abs", &["x"], "|x|", |el, a| {
        el.unary(a, Unary::Abs, Some(f64::abs))
    }),
    b(
        "ahead",
        &["column", "k"],
        "value of a column `k` rows later, in a data block; rows without one are dropped",
        |el, a| el.of_rows_only(a),
    ),
    b(
        "argmax",
        &["x", "axis?"],
        "index of the maximum along `axis`, the first of equal ones",
        |el, a| el.argmax(a),
    ),
    b(
        "argsort",
        &["x", "axis?"],
        "indices that sort `x` along `axis` in ascending order; equal elements keep their order",
        |el, a| el.argsort(a),
    ),
    b(
        "augment",
        PARAMS,
        "images of a column, changed at random during training only: `input x : [28, 28] = image |> augment(rotation_range = 10)`",
        |el, a| el.augment(a),
    ),
    b(
        "axes_of",
        &["x", "axis"],
        "`axis`, a number or a list, as a sorted list counted from 0",
        |el, a| el.axes_of(a, false),
    ),
    b(
        "bag",
        &["rows", "vocab", "mode?"],
        "bag of words: one number per word of a vocabulary, in a data block: `binary`, `count`, `freq` or `tfidf`",
        |el, a| el.of_rows_only(a),
    ),
    b(
        "broadcast",
        &["x", "shape", "axes?"],
        "`x` broadcast to `shape`; its axes become the last ones, or `axes`",
        |el, a| el.broadcast_to(a),
    ),
    b(
        "cast",
        &["x", "to"],
        "`x` converted to `real`, `int` or `bool`",
        |el, a| el.cast_to(a),
    ),
    b("ceil", &["x"], "smallest integer not below `x`", |el, a| {
        el.unary(a, Unary::Ceil, Some(f64::ceil))
    }),
    b(
        COLLECTED,
        &["x"],
        "every row of `x` in the epoch, as the initial value of a metric's state",
        |el, a| {
            el.error(
                Code::E0415,
                a.span,
                "`collected` must be the initial value of a metric's state",
                "write `state all = ` before it",
            )
        },
    ),
    b(
        "concat",
        &["...", "axis?"],
        "concatenation of tensors, or of a list of them, along `axis`",
        |el, a| el.concat(a),
    ),
    b(
        "conv",
        &["x", "kernel", "strides", "padding", "dilation?", "groups?"],
        "convolution over the middle axes",
        |el, a| el.conv(a),
    ),
    b(
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
    b("cos", &["x"], "the cosine", |el, a| {
        el.unary(a, Unary::Cos, Some(f64::cos))
    }),
    b("erf", &["x"], "error function", |el, a| {
        el.unary(a, Unary::Erf, None)
    }),
    b("exp", &["x"], "e^x", |el, a| {
        el.unary(a, Unary::Exp, Some(f64::exp))
    }),
    b(
        "expand",
        &["x", "axis"],
        "`x` with a new axis of size 1",
        |el, a| el.expand(a),
    ),
    b("expm1", &["x"], "e^x - 1, exact near 0", |el, a| {
        el.unary(a, Unary::Expm1, Some(f64::exp_m1))
    }),
    b(
        "filled",
        &["list", "by"],
        "`list`, with each `none` replaced by the item of `by` at the same index",
        |el, a| el.filled(a),
    ),
    b("floor", &["x"], "largest integer not above `x`", |el, a| {
        el.unary(a, Unary::Floor, Some(f64::floor))
    }),
    b(
        "fold",
        &["list", "f"],
        "`f(f(a, b), c)` for `[a, b, c]`",
        |el, a| el.fold(a),
    ),
    b(
        "full",
        &["shape", "value"],
        "a tensor of one value",
        |el, a| el.full(a),
    ),
    b(
        "gather",
        &["x", "indices", "axis?"],
        "slices of `x` at `indices`",
        |el, a| el.gather(a),
    ),
    b(
        "gradient",
        &["of", "by"],
        "gradient of a scalar by a tensor",
        |el, a| el.gradient_of(a),
    ),
    b(
        "index",
        &["text", "labels", "unseen?"],
        "index of a text among fitted labels, in a data block; `unseen` is `error` or `other`",
        |el, a| el.of_rows_only(a),
    ),
    b(
        "iota",
        &["shape", "axis"],
        "the index along `axis`",
        |el, a| el.iota(a),
    ),
    b(
        "is_list",
        &["x"],
        "whether `x` is a list or a tuple",
        |el, a| match el.at(a, "x") {
            Some(Val::Error) | None => Val::Error,
            Some(v) => Val::Bool(matches!(v, Val::List(_) | Val::Tuple(_))),
        },
    ),
    b(
        "lag",
        &["column", "k"],
        "value of a column `k` rows earlier, in a data block; rows without one are dropped",
        |el, a| el.of_rows_only(a),
    ),
    b(
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
    b("log", &["x"], "natural logarithm", |el, a| {
        el.unary(a, Unary::Log, Some(f64::ln))
    }),
    b("log1p", &["x"], "log(1 + x), exact near 0", |el, a| {
        el.unary(a, Unary::Log1p, Some(f64::ln_1p))
    }),
    b("logistic", &["x"], "1 / (1 + exp(-x))", |el, a| {
        el.unary(a, Unary::Logistic, None)
    }),
    b("mask", &["x"], "mask of `x`, or none", |el, a| {
        el.mask_of(a)
    }),
    b(
        "max",
        &["x", "axis?", "keepdims?"],
        "maximum along axes",
        |el, a| el.reduce(a, Reduce::Max),
    ),
    b("maximum", &["x", "y"], "elementwise maximum", |el, a| {
        el.extreme(a, Binary::Max)
    }),
    b(
        "mean",
        &["x", "axis?", "keepdims?"],
        "mean along axes",
        |el, a| el.mean(a),
    ),
    b(
        "min",
        &["x", "axis?", "keepdims?"],
        "minimum along axes",
        |el, a| el.reduce(a, Reduce::Min),
    ),
    b("minimum", &["x", "y"], "elementwise minimum", |el, a| {
        el.extreme(a, Binary::Min)
    }),
    b(
        "missing",
        &["column"],
        "where a column of a data block has no value in the file; the column must declare `missing`, such as `missing = mean`",
        |el, a| el.of_rows_only(a),
    ),
    b(
        "other_axes",
        &["x", "axis"],
        "list of the axes of `x` that are not in `axis`, a number or a list",
        |el, a| el.axes_of(a, true),
    ),
    b(
        "pad",
        &["x", "low", "high", "value?"],
        "`x` with `low` and `high` elements added to each axis; for ids, in a data block: `pad(length, side = pre, truncate = pre)`",
        |el, a| el.pad(a),
    ),
    b(
        "percentile",
        &["lengths", "q"],
        "length that `q` percent of the rows do not exceed, in a fit",
        |el, a| el.of_rows_only(a),
    ),
    b(
        "prod",
        &["x", "axis?", "keepdims?"],
        "product along axes",
        |el, a| el.reduce(a, Reduce::Prod),
    ),
    b("rand", &["shape"], "uniform draws on [0, 1)", |el, a| {
        el.rand(a)
    }),
    b(
        "range",
        &["n"],
        "the list 0, 1, .. n - 1",
        |el, a| match el.at(a, "n") {
            Some(Val::Int(Dim::Const(n))) if (0..=4096).contains(&n) => {
                Val::list((0..n).map(|i| Val::Int(Dim::Const(i))))
            }
            Some(Val::Error | Val::Unknown(_)) | None => Val::Error,
            Some(v) => el.wrong(a, "n", "a number from 0 to 4096", &v),
        },
    ),
    b("rank", &["x"], "number of axes", |el, a| {
        el.tensor_at(a, "x")
            .map_or(Val::Error, |t| Val::Int(Dim::from(t.ty.rank())))
    }),
    b(
        "reshape",
        &["x", "shape"],
        "the same elements in a different shape; one size may be -1, which is computed from the others",
        |el, a| el.reshape(a),
    ),
    b(
        "reverse",
        &["x", "axis"],
        "`x` reversed along `axis`",
        |el, a| el.reverse(a),
    ),
    b(
        "round",
        &["x"],
        "nearest integer; halves are rounded to even",
        |el, a| el.unary(a, Unary::Round, Some(f64::round_ties_even)),
    ),
    b(
        "scatter_add",
        &["indices", "updates", "size", "axis?"],
        "sum of `updates` at `indices`",
        |el, a| el.scatter(a),
    ),
    b(
        "select",
        &["condition", "x", "y"],
        "`x` where the condition is true, `y` elsewhere",
        |el, a| el.select(a),
    ),
    b("shape", &["x"], "the sizes, as a list", |el, a| {
        el.tensor_at(a, "x").map_or(Val::Error, |t| {
            Val::list(t.ty.shape.iter().cloned().map(Val::Int))
        })
    }),
    b("sign", &["x"], "-1, 0 or 1", |el, a| {
        el.unary(a, Unary::Sign, None)
    }),
    b("sin", &["x"], "sine", |el, a| {
        el.unary(a, Unary::Sin, Some(f64::sin))
    }),
    b("size", &["x"], "number of elements", |el, a| {
        match el.tensor_at(a, "x") {
            Some(t) => match crate::ir::infer::count(&t.ty.shape) {
                Ok(n) => Val::Int(n),
                Err(e) => el.type_error(e, a.span),
            },
            None => Val::Error,
        }
    }),
    b(
        "split",
        &["x", "n", "axis?"],
        "`n` equal pieces along `axis`, as a tuple",
        |el, a| el.split(a),
    ),
    b("sqrt", &["x"], "square root", |el, a| {
        el.unary(a, Unary::Sqrt, Some(f64::sqrt))
    }),
    b(
        "squeeze",
        &["x", "axis"],
        "`x` without an axis of size 1",
        |el, a| el.squeeze(a),
    ),
    b(
        "stop_gradient",
        &["x"],
        "`x`, treated as a constant by gradients",
        |el, a| match el.tensor_at(a, "x") {
            Some(t) => el.emit(Prim::StopGradient, &[&t], t.meaning.clone(), a.span),
            None => Val::Error,
        },
    ),
    b(
        "sum",
        &["x", "axis?", "keepdims?"],
        "sum along axes",
        |el, a| el.reduce(a, Reduce::Sum),
    ),
    b("tanh", &["x"], "hyperbolic tangent", |el, a| {
        el.unary(a, Unary::Tanh, Some(f64::tanh))
    }),
    b(
        "tokens",
        &["text", "vocab"],
        "ids of the words of a text column, in a data block",
        |el, a| el.of_rows_only(a),
    ),
    b(
        "transpose",
        &["x", "axes"],
        "`x` with its axes in a different order",
        |el, a| el.transpose(a),
    ),
    b(
        "vector",
        &["list"],
        "the numbers of a list as a tensor",
        |el, a| el.vector(a),
    ),
    b(
        "window_max",
        &["x", "window", "strides", "padding"],
        "maximum of each window of the middle axes",
        |el, a| el.window(a, WindowOp::Max),
    ),
    b(
        "window_sum",
        &["x", "window", "strides", "padding"],
        "sum of each window of the middle axes",
        |el, a| el.window(a, WindowOp::Sum),
    ),
    b(
        "windows",
        &[
            "column",
            "sequence_length",
            "sampling_rate?",
            "sequence_stride?",
        ],
        "values of a column at this row and the rows before it, in a data block, like Keras' `timeseries_dataset_from_array`",
        |el, a| el.of_rows_only(a),
    ),
    b(
        "with_mask",
        &["x", "mask"],
        "`x` with a mask: a boolean for each position of its leading axes; none removes the mask",
        |el, a| el.with_mask(a),
    ),
    b(
        "word_vectors",
        &["file", "vocab"],
        "vectors for the words of a vocabulary, read from a file in the text format of GloVe or word2vec: `fit vectors = word_vectors(\"glove.txt\", vocab)`",
        |el, a| el.of_rows_only(a),
    ),
];

pub fn find(name: &str) -> Option<&'static Builtin> {
    BUILTINS
        .binary_search_by(|b| b.name.cmp(name))
        .ok()
        .map(|i| &BUILTINS[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_find_works() {
        assert!(BUILTINS.windows(2).all(|w| w[0].name < w[1].name));
        assert!(find("reshape").is_some() && find("dense").is_none());
    }
}
