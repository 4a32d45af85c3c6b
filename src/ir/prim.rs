//! The primitives: a closed enum. Everything else a user can name is written in nn.
//!
//! Arguments of the elementwise primitives have equal shapes; `Broadcast` is
//! explicit. Attributes that are sizes are [`Dim`]s, so a graph may be built
//! before the batch size is known.

use std::sync::Arc;

use super::dim::Dim;
use super::graph::Graph;
use super::ty::{Elem, Shape};

/// A primitive with its attributes.
///
/// What decides the meaning of a primitive matches all of them, without `_`, so that the compiler lists these places
/// when one is added: its name and [`Class`] (here), its attributes ([`attributes`](super::attributes)), its type rule
/// ([`infer`](super::infer)), its gradient (`passes/autodiff`), the interpreter (`backend/interp`) and its lowering for
/// compiling back ends (`backend/fusion/ops.rs`).
///
/// Everything else may ask for the [`Class`] or name the few primitives that it knows something about, and let the others
/// fall through: rewrites (what no rule knows stays as it is), masks (what no rule knows drops them), cost, the text form.
#[derive(Clone, PartialEq, Debug)]
pub enum Prim {
    /// A scalar constant. `I32`, `U8` and `Bool` values are whole.
    Const {
        value: f64,
        elem: Elem,
    },
    /// A size as a scalar.
    Size {
        dim: Dim,
        elem: Elem,
    },
    /// The index along `axis`.
    Iota {
        axis: usize,
        shape: Shape,
        elem: Elem,
    },
    /// Uniform on [0, 1), 24 bits, `F32`. Argument: a draw counter, `I32[]`.
    /// Element i of the draw depends on seed, `site`, counter (as `u32`) and i alone: see [`crate::random`].
    Random {
        site: Arc<str>,
        shape: Shape,
    },
    Unary(Unary),
    Binary(Binary),
    /// Two of a type to `Bool`.
    Compare(Compare),
    /// `Bool` condition, then, otherwise.
    Select,
    /// To an integer: truncates, then saturates, NaN is 0. `Bool` is 0 or 1; anything to `Bool` is `!= 0`.
    Cast(Elem),
    /// The identity, with no gradient.
    StopGradient,
    Reshape(Shape),
    /// Axis i of the result is axis `perm[i]` of the argument.
    Transpose(Vec<usize>),
    /// Axis i of the argument becomes axis `axes[i]` of the result (increasing);
    /// an argument axis of size 1 is stretched, the other result axes are new.
    Broadcast {
        shape: Shape,
        axes: Vec<usize>,
    },
    /// `starts[i] .. ends[i]` by `steps[i]` along every axis.
    Slice {
        starts: Vec<Dim>,
        ends: Vec<Dim>,
        steps: Vec<usize>,
    },
    /// Arguments: the tensor, the scalar to pad with. `interior[i]` copies of it go
    /// between neighbours; none of the counts is negative.
    Pad {
        low: Vec<Dim>,
        high: Vec<Dim>,
        interior: Vec<usize>,
    },
    Concat {
        axis: usize,
    },
    Reverse {
        axes: Vec<usize>,
    },
    /// Removes `axes` (increasing). An empty sum is 0, an empty product 1, an empty
    /// largest or smallest the lowest or highest value there is (an infinity).
    Reduce {
        op: Reduce,
        axes: Vec<usize>,
    },
    /// Index of the largest along `axis`, the first of equals; `I32`. NaN is the largest.
    ArgMax {
        axis: usize,
    },
    /// Indices along `axis` that put the elements in rising order, of the argument's shape; `I32`.
    /// Equals keep their order, NaN comes last.
    ArgSort {
        axis: usize,
    },
    /// Contraction: result axes are the batch axes, the free axes of the left,
    /// the free axes of the right, each in order.
    Dot(DotDims),
    /// `x[.., n, ..]` and `I32` indices `i`: axis `axis` is replaced by the axes of `i`.
    /// An index outside 0..n is clamped by every back end (data are checked when read); n is not 0.
    Gather {
        axis: usize,
    },
    /// Indices `i`, updates `u` of the shape that `Gather` gives: a tensor of zeros
    /// whose axis `axis` has size `size`, with `u` added at `i` (clamped likewise).
    ScatterAdd {
        axis: usize,
        size: Dim,
    },
    /// `x[B, s.., c]`, kernel `[k.., c / groups, o]` to `[B, t.., o]`.
    Conv(ConvDims),
    /// The gradient of `Conv` by its input: `dy`, kernel to `[B, spatial.., c]`; also the transposed convolution.
    ConvInputGrad {
        conv: ConvDims,
        spatial: Vec<Dim>,
    },
    /// The gradient of `Conv` by its kernel: `x`, `dy` to `[k.., c / groups, o]`.
    ConvKernelGrad {
        conv: ConvDims,
        kernel: Vec<Dim>,
    },
    /// Largest (NaN if any is) or sum over windows of the spatial axes of `[B, s.., c]`;
    /// padding counts as -inf or 0.
    Window {
        op: WindowOp,
        dims: WindowDims,
    },
    /// The gradient of `Window`: `x`, `dy` to `x`'s shape. `Max` gives all of it to the first largest.
    WindowGrad {
        op: WindowOp,
        dims: WindowDims,
    },
    /// Runs `body` once for each index of axis 0 of the scanned arguments.
    ///
    /// Arguments: initial carries, scanned, constants. Body inputs: carries, slices
    /// of the scanned (without axis 0), constants. Body outputs: next carries,
    /// then what is stacked along a new axis 0. Results: last carries, stacked.
    Scan(Scan),
    /// Arguments: a scalar float, then values. Results: the gradient of the first by
    /// each of the others. Autodiff replaces it; no back end sees it.
    Gradient,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Unary {
    Neg,
    Abs,
    /// -1, 0 or 1; NaN for NaN.
    Sign,
    Floor,
    Ceil,
    /// Halves to even.
    Round,
    Sqrt,
    Exp,
    Log,
    Log1p,
    Expm1,
    Sin,
    Cos,
    Tanh,
    /// `1 / (1 + exp(-x))`
    Logistic,
    Erf,
    /// `Bool` only.
    Not,
}

/// Integers wrap.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    /// Integers: truncating; by zero gives 0.
    Div,
    /// Has the sign of the divisor, as Python's `%`; an integer by zero gives 0.
    Rem,
    /// Floats only.
    Pow,
    /// NaN if either is. The gradient of a tie is halved.
    Max,
    Min,
    /// `Bool` only.
    And,
    Or,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reduce {
    Sum,
    Prod,
    /// The gradient is shared evenly between equals.
    Max,
    Min,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WindowOp {
    Max,
    Sum,
}

/// Pairs of axes of the left and the right argument.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct DotDims {
    pub batch: Vec<(usize, usize)>,
    pub contract: Vec<(usize, usize)>,
}

/// One entry a spatial axis.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct ConvDims {
    pub strides: Vec<usize>,
    pub dilation: Vec<usize>,
    pub low: Vec<Dim>,
    pub high: Vec<Dim>,
    pub groups: usize,
}

/// One entry a spatial axis.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct WindowDims {
    pub window: Vec<usize>,
    pub strides: Vec<usize>,
    pub low: Vec<Dim>,
    pub high: Vec<Dim>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Scan {
    pub body: Arc<Graph>,
    pub carries: usize,
    pub scanned: usize,
    /// Size of axis 0 of the scanned arguments (there may be none of them).
    pub length: Dim,
    /// From the last index to the first; results are stacked at their index.
    pub reverse: bool,
}

impl Prim {
    /// What the text form and messages call it; the operator of those that have one.
    pub fn name(&self) -> &'static str {
        match self {
            Prim::Const { .. } => "const",
            Prim::Size { .. } => "size",
            Prim::Iota { .. } => "iota",
            Prim::Random { .. } => "random",
            Prim::Unary(op) => op.name(),
            Prim::Binary(op) => op.name(),
            Prim::Compare(op) => op.name(),
            Prim::Select => "select",
            Prim::Cast(_) => "cast",
            Prim::StopGradient => "stop_gradient",
            Prim::Reshape(_) => "reshape",
            Prim::Transpose(_) => "transpose",
            Prim::Broadcast { .. } => "broadcast",
            Prim::Slice { .. } => "slice",
            Prim::Pad { .. } => "pad",
            Prim::Concat { .. } => "concat",
            Prim::Reverse { .. } => "reverse",
            Prim::Reduce { op, .. } => op.reduce_name(),
            Prim::ArgMax { .. } => "arg_max",
            Prim::ArgSort { .. } => "arg_sort",
            Prim::Dot(_) => "dot",
            Prim::Gather { .. } => "gather",
            Prim::ScatterAdd { .. } => "scatter_add",
            Prim::Conv(_) => "conv",
            Prim::ConvInputGrad { .. } => "conv_input_grad",
            Prim::ConvKernelGrad { .. } => "conv_kernel_grad",
            Prim::Window { op, .. } => match op {
                WindowOp::Max => "window_max",
                WindowOp::Sum => "window_sum",
            },
            Prim::WindowGrad { op, .. } => match op {
                WindowOp::Max => "window_max_grad",
                WindowOp::Sum => "window_sum_grad",
            },
            Prim::Scan(_) => "scan",
            Prim::Gradient => "gradient",
        }
    }

    pub fn class(&self) -> Class {
        match self {
            Prim::Const { .. } | Prim::Size { .. } | Prim::Iota { .. } | Prim::Random { .. } => {
                Class::Source
            }
            Prim::Unary(_)
            | Prim::Binary(_)
            | Prim::Compare(_)
            | Prim::Select
            | Prim::Cast(_)
            | Prim::StopGradient => Class::Elementwise,
            Prim::Reshape(_)
            | Prim::Transpose(_)
            | Prim::Broadcast { .. }
            | Prim::Slice { .. }
            | Prim::Pad { .. }
            | Prim::Concat { .. }
            | Prim::Reverse { .. } => Class::Movement,
            Prim::Reduce { .. } => Class::Reduction,
            Prim::ArgMax { .. }
            | Prim::ArgSort { .. }
            | Prim::Gather { .. }
            | Prim::ScatterAdd { .. } => Class::Indexing,
            Prim::Dot(_)
            | Prim::Conv(_)
            | Prim::ConvInputGrad { .. }
            | Prim::ConvKernelGrad { .. } => Class::Contraction,
            Prim::Window { .. } | Prim::WindowGrad { .. } => Class::Window,
            Prim::Scan(_) | Prim::Gradient => Class::Control,
        }
    }
}

/// Primitives of one kind, for code that treats them alike.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// Makes a tensor of attributes, and of a counter where it is random.
    Source,
    /// Every element of the result depends on the elements of the arguments at its place.
    Elementwise,
    /// Every element of the result is one of an argument's.
    Movement,
    Reduction,
    /// Makes or takes indices along an axis.
    Indexing,
    /// Sums of products of two arguments.
    Contraction,
    /// Pooling and its gradient.
    Window,
    /// Loops, and what a pass replaces.
    Control,
}

impl WindowOp {
    pub const ALL: [WindowOp; 2] = [WindowOp::Max, WindowOp::Sum];
}

impl Unary {
    pub const ALL: [Unary; 17] = [
        Unary::Neg,
        Unary::Abs,
        Unary::Sign,
        Unary::Floor,
        Unary::Ceil,
        Unary::Round,
        Unary::Sqrt,
        Unary::Exp,
        Unary::Log,
        Unary::Log1p,
        Unary::Expm1,
        Unary::Sin,
        Unary::Cos,
        Unary::Tanh,
        Unary::Logistic,
        Unary::Erf,
        Unary::Not,
    ];
    pub fn name(self) -> &'static str {
        match self {
            Unary::Neg => "neg",
            Unary::Abs => "abs",
            Unary::Sign => "sign",
            Unary::Floor => "floor",
            Unary::Ceil => "ceil",
            Unary::Round => "round",
            Unary::Sqrt => "sqrt",
            Unary::Exp => "exp",
            Unary::Log => "log",
            Unary::Log1p => "log1p",
            Unary::Expm1 => "expm1",
            Unary::Sin => "sin",
            Unary::Cos => "cos",
            Unary::Tanh => "tanh",
            Unary::Logistic => "logistic",
            Unary::Erf => "erf",
            Unary::Not => "not",
        }
    }
}

impl Binary {
    pub const ALL: [Binary; 10] = [
        Binary::Add,
        Binary::Sub,
        Binary::Mul,
        Binary::Div,
        Binary::Rem,
        Binary::Pow,
        Binary::Max,
        Binary::Min,
        Binary::And,
        Binary::Or,
    ];
    pub fn name(self) -> &'static str {
        match self {
            Binary::Add => "add",
            Binary::Sub => "sub",
            Binary::Mul => "mul",
            Binary::Div => "div",
            Binary::Rem => "rem",
            Binary::Pow => "pow",
            Binary::Max => "max",
            Binary::Min => "min",
            Binary::And => "and",
            Binary::Or => "or",
        }
    }
}

impl Compare {
    pub const ALL: [Compare; 6] = [
        Compare::Eq,
        Compare::Ne,
        Compare::Lt,
        Compare::Le,
        Compare::Gt,
        Compare::Ge,
    ];
    pub fn name(self) -> &'static str {
        match self {
            Compare::Eq => "eq",
            Compare::Ne => "ne",
            Compare::Lt => "lt",
            Compare::Le => "le",
            Compare::Gt => "gt",
            Compare::Ge => "ge",
        }
    }
}

impl Reduce {
    pub const ALL: [Reduce; 4] = [Reduce::Sum, Reduce::Prod, Reduce::Max, Reduce::Min];
    pub fn name(self) -> &'static str {
        match self {
            Reduce::Sum => "sum",
            Reduce::Prod => "prod",
            Reduce::Max => "max",
            Reduce::Min => "min",
        }
    }
    /// The primitive's name: `max` alone is the binary one.
    pub fn reduce_name(self) -> &'static str {
        match self {
            Reduce::Sum => "reduce_sum",
            Reduce::Prod => "reduce_prod",
            Reduce::Max => "reduce_max",
            Reduce::Min => "reduce_min",
        }
    }
}
