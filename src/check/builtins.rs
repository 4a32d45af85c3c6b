//! The functions that are primitives, or compile-time arithmetic on shapes: all
//! that Rust knows by name. Everything else is written in nn.

use crate::diag::{Diagnostic, did_you_mean};
use crate::ir::prim::{Binary, ConvDims, Reduce, Unary, WindowDims, WindowOp};
use crate::ir::{Dim, Elem, Prim, Shape};
use crate::span::Span;

use super::elab::Elab;
use super::ops::float;
use super::value::{ArgVal, Kind, Meaning, Tensor, Val};

pub struct Builtin {
    pub name: &'static str,
    /// Parameter names; optional ones end in `?`, a last `...` takes any number.
    pub params: &'static [&'static str],
    /// One line for `nnc explain`.
    pub doc: &'static str,
    pub run: fn(&mut Elab, &Args) -> Val,
}

impl std::fmt::Debug for Builtin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

pub struct Args {
    pub builtin: &'static Builtin,
    pub args: Vec<ArgVal>,
    pub span: Span,
}

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
    b("abs", &["x"], "|x|", |el, a| {
        el.unary(a, Unary::Abs, Some(f64::abs))
    }),
    b(
        "argmax",
        &["x", "axis?"],
        "index of the largest along `axis`, the first of equals",
        |el, a| el.argmax(a),
    ),
    b(
        "broadcast",
        &["x", "shape"],
        "`x` stretched to `shape`",
        |el, a| el.broadcast_to(a),
    ),
    b(
        "cast",
        &["x", "to"],
        "`x` as `real`, `int` or `bool`",
        |el, a| el.cast_to(a),
    ),
    b("ceil", &["x"], "the whole number above", |el, a| {
        el.unary(a, Unary::Ceil, Some(f64::ceil))
    }),
    b(
        "concat",
        &["...", "axis?"],
        "tensors one after the other along `axis`",
        |el, a| el.concat(a),
    ),
    b(
        "conv",
        &["x", "kernel", "strides", "padding", "dilation?", "groups?"],
        "convolution over the middle axes",
        |el, a| el.conv(a),
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
    b("floor", &["x"], "the whole number below", |el, a| {
        el.unary(a, Unary::Floor, Some(f64::floor))
    }),
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
        "iota",
        &["shape", "axis"],
        "the index along `axis`",
        |el, a| el.iota(a),
    ),
    b(
        "is_list",
        &["x"],
        "whether `x` is a list",
        |el, a| match el.at(a, "x") {
            Some(Val::Error) | None => Val::Error,
            Some(v) => Val::Bool(matches!(v, Val::List(_))),
        },
    ),
    b(
        "len",
        &["x"],
        "number of items of a list",
        |el, a| match el.at(a, "x") {
            Some(Val::List(l)) => Val::Int(Dim::from(l.len())),
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
    b(
        "max",
        &["x", "axis?", "keepdims?"],
        "largest along axes",
        |el, a| el.reduce(a, Reduce::Max),
    ),
    b(
        "maximum",
        &["x", "y"],
        "the larger, element by element",
        |el, a| el.extreme(a, Binary::Max),
    ),
    b(
        "mean",
        &["x", "axis?", "keepdims?"],
        "mean along axes",
        |el, a| el.mean(a),
    ),
    b(
        "min",
        &["x", "axis?", "keepdims?"],
        "smallest along axes",
        |el, a| el.reduce(a, Reduce::Min),
    ),
    b(
        "minimum",
        &["x", "y"],
        "the smaller, element by element",
        |el, a| el.extreme(a, Binary::Min),
    ),
    b(
        "pad",
        &["x", "low", "high", "value?"],
        "`x` with `low` and `high` elements added to each axis",
        |el, a| el.pad(a),
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
        "the same elements in another shape",
        |el, a| el.reshape(a),
    ),
    b(
        "reverse",
        &["x", "axis"],
        "back to front along `axis`",
        |el, a| el.reverse(a),
    ),
    b(
        "round",
        &["x"],
        "the nearest whole number, halves to even",
        |el, a| el.unary(a, Unary::Round, Some(f64::round_ties_even)),
    ),
    b(
        "scatter_add",
        &["indices", "updates", "size", "axis?"],
        "`updates` added up at `indices`",
        |el, a| el.scatter(a),
    ),
    b(
        "select",
        &["condition", "x", "y"],
        "`x` where the condition holds, else `y`",
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
        "`n` equal parts along `axis`, as a tuple",
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
        "`x`, seen as a constant by gradients",
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
        "transpose",
        &["x", "axes"],
        "axes in another order",
        |el, a| el.transpose(a),
    ),
    b(
        "window_max",
        &["x", "window", "strides", "padding"],
        "largest in each window of the middle axes",
        |el, a| el.window(a, WindowOp::Max),
    ),
    b(
        "window_sum",
        &["x", "window", "strides", "padding"],
        "sum of each window of the middle axes",
        |el, a| el.window(a, WindowOp::Sum),
    ),
];

pub fn find(name: &str) -> Option<&'static Builtin> {
    BUILTINS
        .binary_search_by(|b| b.name.cmp(name))
        .ok()
        .map(|i| &BUILTINS[i])
}

impl Elab<'_> {
    /// The argument for a parameter, by name or position; `None` (reported) where it is missing.
    fn at(&mut self, a: &Args, param: &str) -> Option<Val> {
        match self.arg(a, param) {
            Some(arg) => Some(arg.val.clone()),
            None => {
                let d = Diagnostic::error("E0106", format!("`{}` needs `{param}`", a.builtin.name))
                    .label(a.span, format!("`{param}` is not given"))
                    .note(format!(
                        "it takes: {}",
                        a.builtin.params.join(", ").replace('?', "")
                    ));
                self.report(d);
                None
            }
        }
    }

    /// The argument for a parameter, if it is given. Unknown and surplus ones are reported.
    fn arg<'a>(&mut self, a: &'a Args, param: &str) -> Option<&'a ArgVal> {
        let params = a.builtin.params;
        let plain = |p: &str| p.trim_end_matches('?').to_string();
        if let Some(first) = params.first()
            && (plain(first) == param || *first == "...")
        {
            self.check_names(a);
        }
        let at = params.iter().position(|p| plain(p) == param)?;
        let mut position = 0;
        for arg in &a.args {
            match &arg.name {
                Some(n) if &*n.text == param => return Some(arg),
                Some(_) => {}
                // After `...`, only a name reaches a parameter.
                None if params.contains(&"...") => {}
                None => {
                    if position == at {
                        return Some(arg);
                    }
                    position += 1;
                }
            }
        }
        None
    }

    fn check_names(&mut self, a: &Args) {
        let params = a.builtin.params;
        let known: Vec<&str> = params.iter().map(|p| p.trim_end_matches('?')).collect();
        for arg in &a.args {
            let Some(n) = &arg.name else { continue };
            if !known.contains(&&*n.text) {
                let mut d = Diagnostic::error(
                    "E0104",
                    format!("`{}` has no argument `{}`", a.builtin.name, n.text),
                )
                .label(n.span, "unknown argument");
                if let Some(near) = did_you_mean(&n.text, known.iter().copied()) {
                    d = d.help(format!("did you mean `{near}`?")).fix(n.span, near);
                }
                self.report(d);
            }
        }
        let positional = a.args.iter().filter(|a| a.name.is_none()).count();
        if !params.contains(&"...") && positional > params.len() {
            let d = Diagnostic::error(
                "E0107",
                format!("`{}` takes {} arguments", a.builtin.name, params.len()),
            )
            .label(a.span, format!("{positional} are given"));
            self.report(d);
        }
        for arg in &a.args {
            if let (Val::Error, Some(s)) = (&arg.val, &arg.symbol)
                && !matches!(&*s.text, "valid" | "same")
            {
                let s = s.clone();
                if self.top().get(&s.text).is_none() {
                    self.unknown_name(&s);
                }
            }
        }
    }

    fn wrong(&mut self, a: &Args, param: &str, expected: &str, found: &Val) -> Val {
        let at = self.arg(a, param).map_or(a.span, |x| x.span);
        let d = Diagnostic::error(
            "E0301",
            format!("`{param}` of `{}` must be {expected}", a.builtin.name),
        )
        .label(at, format!("this is {}", found.describe()));
        self.report(d)
    }

    fn tensor_at(&mut self, a: &Args, param: &str) -> Option<Tensor> {
        match self.at(a, param)? {
            Val::Tensor(t) => Some(t),
            Val::Error => None,
            v @ (Val::Int(_) | Val::Float(_)) => self.as_tensor(&v, Elem::F32, a.span),
            other => {
                let at = self.arg(a, param).map_or(a.span, |x| x.span);
                let d = Diagnostic::error(
                    "E0312",
                    format!("`{param}` of `{}` takes a tensor", a.builtin.name),
                )
                .label(at, format!("this is {}", other.describe()));
                self.report(d);
                None
            }
        }
    }

    fn shape_at(&mut self, a: &Args, param: &str) -> Option<Shape> {
        let at = self.arg(a, param).map_or(a.span, |x| x.span);
        match self.at(a, param)? {
            Val::List(items) => items
                .iter()
                .map(|v| self.positive_size(v.clone(), at))
                .collect(),
            Val::Error | Val::Unknown(_) => None,
            other => {
                self.wrong(a, param, "a list of sizes", &other);
                None
            }
        }
    }

    /// A list of small whole numbers; one number stands for all of `n`.
    fn counts_at(&mut self, a: &Args, param: &str, n: usize) -> Option<Vec<usize>> {
        let number = |v: &Val| match v {
            Val::Int(Dim::Const(c)) if *c > 0 => usize::try_from(*c).ok(),
            _ => None,
        };
        match self.arg(a, param).map(|x| x.val.clone()) {
            None => Some(vec![1; n]),
            Some(Val::Error | Val::Unknown(_)) => None,
            Some(v @ Val::Int(_)) if number(&v).is_some() => {
                Some(vec![number(&v).expect("just seen"); n])
            }
            Some(Val::List(l)) if l.len() == n && l.iter().all(|v| number(v).is_some()) => {
                l.iter().map(number).collect()
            }
            Some(Val::List(l)) if l.iter().any(|v| matches!(v, Val::Error | Val::Unknown(_))) => {
                None
            }
            Some(other) => {
                self.wrong(
                    a,
                    param,
                    &format!("a positive number or a list of {n}"),
                    &other,
                );
                None
            }
        }
    }

    fn flag_at(&mut self, a: &Args, param: &str, default: bool) -> bool {
        match self.arg(a, param).map(|x| x.val.clone()) {
            Some(Val::Bool(b)) => b,
            Some(Val::Error | Val::Unknown(_)) | None => default,
            Some(v) => {
                self.wrong(a, param, "true or false", &v);
                default
            }
        }
    }

    /// One axis; negative ones count from the end.
    fn axis_at(
        &mut self,
        a: &Args,
        param: &str,
        rank: usize,
        default: Option<i64>,
    ) -> Option<usize> {
        let (v, at) = match self.arg(a, param) {
            Some(x) => (x.val.clone(), x.span),
            None => match default {
                Some(d) => (Val::Int(Dim::Const(d)), a.span),
                None => {
                    self.at(a, param)?;
                    return None;
                }
            },
        };
        self.axis(v, rank, at)
    }

    fn axis(&mut self, v: Val, rank: usize, at: Span) -> Option<usize> {
        match v {
            Val::Int(Dim::Const(i)) => {
                let axis = if i < 0 { i + rank as i64 } else { i };
                if axis >= 0 && (axis as usize) < rank {
                    return Some(axis as usize);
                }
                let have = super::errors::axes(rank);
                self.error(
                    "E0207",
                    at,
                    format!("there is no axis {i} in a tensor of {have}"),
                    match rank {
                        0 => "a scalar has none".to_owned(),
                        1 => "the one axis is 0, or -1".to_owned(),
                        _ => format!("axes are 0 to {}, or -1 from the end", rank - 1),
                    },
                );
                None
            }
            Val::Error | Val::Unknown(_) => None,
            other => {
                self.error(
                    "E0301",
                    at,
                    "an axis is an integer",
                    format!("this is {}", other.describe()),
                );
                None
            }
        }
    }

    /// Axes to reduce: all, one or a list.
    fn axes_at(&mut self, a: &Args, rank: usize) -> Option<Vec<usize>> {
        let mut axes = match self.arg(a, "axis").map(|x| (x.val.clone(), x.span)) {
            None | Some((Val::None, _)) => (0..rank).collect(),
            Some((Val::List(l), at)) => l
                .iter()
                .map(|v| self.axis(v.clone(), rank, at))
                .collect::<Option<Vec<_>>>()?,
            Some((v, at)) => vec![self.axis(v, rank, at)?],
        };
        axes.sort_unstable();
        axes.dedup();
        Some(axes)
    }

    fn unary(&mut self, a: &Args, op: Unary, number: Option<fn(f64) -> f64>) -> Val {
        let v = match self.at(a, "x") {
            Some(v) => v,
            None => return Val::Error,
        };
        match (&v, number) {
            (Val::Unknown(Kind::Int | Kind::Float), _) => return Val::Unknown(Kind::Float),
            (Val::Float(_) | Val::Int(_), Some(f)) => match float(&v) {
                // Whole numbers can be sizes: `ceil(length / n)`.
                Some(x)
                    if matches!(op, Unary::Floor | Unary::Ceil | Unary::Round)
                        && f(x).abs() < 9e15 =>
                {
                    return Val::Int(Dim::Const(f(x) as i64));
                }
                Some(x) => return Val::Float(f(x)),
                None if self.mode.generic => return Val::Unknown(Kind::Float),
                None => {}
            },
            _ => {}
        }
        let Some(t) = self.tensor_at(a, "x") else {
            return Val::Error;
        };
        let what = format!("the argument of `{}`", a.builtin.name);
        let Some(t) = self.quantity(t, a.span, &what) else {
            return Val::Error;
        };
        let t = match (op, t.ty.elem) {
            (Unary::Abs | Unary::Sign, Elem::I32) => Some(t),
            (_, Elem::I32) => self.cast(t, Elem::F32, a.span),
            _ => Some(t),
        };
        t.map_or(Val::Error, |t| {
            self.emit(Prim::Unary(op), &[&t], Meaning::Real, a.span)
        })
    }

    fn extreme(&mut self, a: &Args, op: Binary) -> Val {
        let (Some(x), Some(y)) = (self.at(a, "x"), self.at(a, "y")) else {
            return Val::Error;
        };
        match (&x, &y) {
            (Val::Error, _) | (_, Val::Error) => return Val::Error,
            (Val::Int(p), Val::Int(q)) => {
                return Val::Int(if op == Binary::Max {
                    p.max_with(q)
                } else {
                    p.min_with(q)
                });
            }
            _ => {}
        }
        if let (Some(p), Some(q)) = (float(&x), float(&y)) {
            return Val::Float(if op == Binary::Max {
                p.max(q)
            } else {
                p.min(q)
            });
        }
        if matches!(
            (&x, &y),
            (
                Val::Unknown(_),
                Val::Unknown(_) | Val::Int(_) | Val::Float(_)
            ) | (Val::Int(_) | Val::Float(_), Val::Unknown(_))
        ) {
            return Val::Unknown(Kind::Float);
        }
        let mut sides = Vec::new();
        for v in [x, y] {
            match v {
                Val::Tensor(t) => match self.quantity(t, a.span, "compared by size") {
                    Some(t) => sides.push(Val::Tensor(t)),
                    None => return Val::Error,
                },
                v => sides.push(v),
            }
        }
        // Clipping a probability leaves it one.
        let prob = sides
            .iter()
            .any(|v| matches!(v, Val::Tensor(t) if t.meaning == Meaning::Prob))
            && sides
                .iter()
                .any(|v| float(v).is_some_and(|x| (0.0..=1.0).contains(&x)));
        let meaning = if prob { Meaning::Prob } else { Meaning::Real };
        match self.align(&sides[0], &sides[1], a.builtin.name, a.span) {
            Some((x, y)) => self.emit(Prim::Binary(op), &[&x, &y], meaning, a.span),
            None => Val::Error,
        }
    }

    fn reduce(&mut self, a: &Args, op: Reduce) -> Val {
        let Some(t) = self.tensor_at(a, "x") else {
            return Val::Error;
        };
        let Some(t) = self.quantity(t, a.span, "added up or compared") else {
            return Val::Error;
        };
        let t = if t.ty.elem == Elem::Bool {
            self.cast(t, Elem::F32, a.span)
        } else {
            Some(t)
        };
        let Some(t) = t else { return Val::Error };
        let Some(axes) = self.axes_at(a, t.ty.rank()) else {
            return Val::Error;
        };
        let keep = self.flag_at(a, "keepdims", false);
        self.reduce_over(&t, op, axes, keep, a.span)
    }

    fn reduce_over(
        &mut self,
        t: &Tensor,
        op: Reduce,
        axes: Vec<usize>,
        keep: bool,
        span: Span,
    ) -> Val {
        let mut kept = t.ty.shape.clone();
        for &x in &axes {
            kept[x] = Dim::ONE;
        }
        match self.emit(Prim::Reduce { op, axes }, &[t], Meaning::Real, span) {
            Val::Tensor(r) if keep => self.emit(Prim::Reshape(kept), &[&r], Meaning::Real, span),
            other => other,
        }
    }

    fn mean(&mut self, a: &Args) -> Val {
        let Some(t) = self.tensor_at(a, "x") else {
            return Val::Error;
        };
        let Some(t) = self.quantity(t, a.span, "averaged") else {
            return Val::Error;
        };
        let t = if t.ty.elem.is_float() {
            Some(t)
        } else {
            self.cast(t, Elem::F32, a.span)
        };
        let Some(t) = t else { return Val::Error };
        let Some(axes) = self.axes_at(a, t.ty.rank()) else {
            return Val::Error;
        };
        let keep = self.flag_at(a, "keepdims", false);
        self.mean_over(&t, axes, keep, a.span)
    }

    pub fn mean_over(&mut self, t: &Tensor, axes: Vec<usize>, keep: bool, span: Span) -> Val {
        let mut n = Dim::ONE;
        for &x in &axes {
            match n.mul(&t.ty.shape[x]) {
                Ok(p) => n = p,
                Err(e) => return self.type_error(e.into(), span),
            }
        }
        let elem = t.ty.elem;
        let total = self.reduce_over(t, Reduce::Sum, axes, keep, span);
        let (Val::Tensor(total), Val::Tensor(n)) = (total, self.size(&n, elem, span)) else {
            return Val::Error;
        };
        match self.align_shapes(total, n, "/", span) {
            Some((x, y)) => self.emit(Prim::Binary(Binary::Div), &[&x, &y], Meaning::Real, span),
            None => Val::Error,
        }
    }

    fn argmax(&mut self, a: &Args) -> Val {
        let Some(t) = self.tensor_at(a, "x") else {
            return Val::Error;
        };
        let Some(axis) = self.axis_at(a, "axis", t.ty.rank(), Some(-1)) else {
            return Val::Error;
        };
        self.emit(Prim::ArgMax { axis }, &[&t], Meaning::Real, a.span)
    }

    fn select(&mut self, a: &Args) -> Val {
        let (Some(c), Some(x), Some(y)) = (
            self.tensor_at(a, "condition"),
            self.at(a, "x"),
            self.at(a, "y"),
        ) else {
            return Val::Error;
        };
        if c.ty.elem != Elem::Bool {
            return self.wrong(a, "condition", "made of truth values", &Val::Tensor(c));
        }
        let same = |x: &Val, y: &Val| match (x, y) {
            (Val::Tensor(x), Val::Tensor(y)) if x.meaning == y.meaning => x.meaning.clone(),
            _ => Meaning::Real,
        };
        let meaning = same(&x, &y);
        let Some((x, y)) = self.align(&x, &y, "select", a.span) else {
            return Val::Error;
        };
        let Some((c, x)) = self.align_shapes(c, x, "select", a.span) else {
            return Val::Error;
        };
        let Some(y) = self.stretch(y, &c.ty.shape.clone(), a.span) else {
            return Val::Error;
        };
        self.emit(Prim::Select, &[&c, &x, &y], meaning, a.span)
    }

    fn cast_to(&mut self, a: &Args) -> Val {
        let (Some(t), Some(to)) = (self.tensor_at(a, "x"), self.at(a, "to")) else {
            return Val::Error;
        };
        match to {
            Val::Elem(e) => {
                let t = Tensor {
                    meaning: Meaning::Real,
                    ..t
                };
                self.cast(t, e, a.span).map_or(Val::Error, Val::Tensor)
            }
            other => self.wrong(a, "to", "`real`, `int` or `bool`", &other),
        }
    }

    fn reshape(&mut self, a: &Args) -> Val {
        let (Some(t), Some(shape)) = (self.tensor_at(a, "x"), self.shape_at(a, "shape")) else {
            return Val::Error;
        };
        let meaning = t.meaning.clone();
        self.emit(Prim::Reshape(shape), &[&t], meaning, a.span)
    }

    fn broadcast_to(&mut self, a: &Args) -> Val {
        let (Some(t), Some(shape)) = (self.tensor_at(a, "x"), self.shape_at(a, "shape")) else {
            return Val::Error;
        };
        match super::ops::broadcast_shape(&t.ty.shape, &shape) {
            Some(s) if s == shape => self
                .stretch(t, &shape, a.span)
                .map_or(Val::Error, Val::Tensor),
            _ => {
                let text = crate::ir::ty::ShapeText(&shape).to_string();
                self.error(
                    "E0204",
                    a.span,
                    format!("{t} does not stretch to {text}"),
                    "only a suffix of the shape, or axes of 1, can be stretched",
                )
            }
        }
    }

    fn expand(&mut self, a: &Args) -> Val {
        let Some(t) = self.tensor_at(a, "x") else {
            return Val::Error;
        };
        let Some(axis) = self.axis_at(a, "axis", t.ty.rank() + 1, None) else {
            return Val::Error;
        };
        let mut shape = t.ty.shape.clone();
        shape.insert(axis, Dim::ONE);
        let meaning = t.meaning.clone();
        self.emit(Prim::Reshape(shape), &[&t], meaning, a.span)
    }

    fn squeeze(&mut self, a: &Args) -> Val {
        let Some(t) = self.tensor_at(a, "x") else {
            return Val::Error;
        };
        let Some(axis) = self.axis_at(a, "axis", t.ty.rank(), None) else {
            return Val::Error;
        };
        if t.ty.shape[axis] != Dim::ONE {
            return self.error(
                "E0206",
                a.span,
                format!("axis {axis} of {t} has size {}, not 1", t.ty.shape[axis]),
                "squeezed here",
            );
        }
        let mut shape = t.ty.shape.clone();
        shape.remove(axis);
        let meaning = t.meaning.clone();
        self.emit(Prim::Reshape(shape), &[&t], meaning, a.span)
    }

    fn transpose(&mut self, a: &Args) -> Val {
        let Some(t) = self.tensor_at(a, "x") else {
            return Val::Error;
        };
        let rank = t.ty.rank();
        let axes = match self.at(a, "axes") {
            Some(Val::List(l)) => l
                .iter()
                .map(|v| self.axis(v.clone(), rank, a.span))
                .collect::<Option<Vec<_>>>(),
            Some(Val::Error) | None => None,
            Some(other) => return self.wrong(a, "axes", "a list of axes", &other),
        };
        let meaning = t.meaning.clone();
        axes.map_or(Val::Error, |perm| {
            self.emit(Prim::Transpose(perm), &[&t], meaning, a.span)
        })
    }

    fn reverse(&mut self, a: &Args) -> Val {
        let Some(t) = self.tensor_at(a, "x") else {
            return Val::Error;
        };
        let Some(axis) = self.axis_at(a, "axis", t.ty.rank(), None) else {
            return Val::Error;
        };
        let meaning = t.meaning.clone();
        self.emit(Prim::Reverse { axes: vec![axis] }, &[&t], meaning, a.span)
    }

    fn concat(&mut self, a: &Args) -> Val {
        self.check_names(a);
        let mut parts = Vec::new();
        for arg in a.args.iter().filter(|x| x.name.is_none()) {
            match &arg.val {
                Val::Tensor(t) => parts.push(t.clone()),
                Val::Error => return Val::Error,
                other => {
                    let d = Diagnostic::error("E0312", "`concat` joins tensors")
                        .label(arg.span, format!("this is {}", other.describe()));
                    return self.report(d);
                }
            }
        }
        let Some(first) = parts.first() else {
            return self.error(
                "E0106",
                a.span,
                "`concat` needs at least one tensor",
                "none is given",
            );
        };
        let rank = first.ty.rank();
        let Some(axis) = self.axis_at(a, "axis", rank, Some(-1)) else {
            return Val::Error;
        };
        for p in &parts {
            let agree = p.ty.rank() == rank
                && p.ty.elem == first.ty.elem
                && (0..rank).all(|i| i == axis || p.ty.shape[i] == first.ty.shape[i]);
            if !agree && !self.mode.generic {
                let d = Diagnostic::error(
                    "E0216",
                    format!("cannot join {first} and {p} along axis {axis}"),
                )
                .label(a.span, "joined here")
                .help("all sizes but that of the joined axis must agree");
                return self.report(d);
            }
        }
        let refs: Vec<&Tensor> = parts.iter().collect();
        let meaning = if parts.iter().all(|p| p.meaning == first.meaning) {
            first.meaning.clone()
        } else {
            Meaning::Real
        };
        self.emit(Prim::Concat { axis }, &refs, meaning, a.span)
    }

    fn split(&mut self, a: &Args) -> Val {
        let Some(t) = self.tensor_at(a, "x") else {
            return Val::Error;
        };
        let Some(axis) = self.axis_at(a, "axis", t.ty.rank(), Some(-1)) else {
            return Val::Error;
        };
        let n = match self.at(a, "n") {
            Some(Val::Int(Dim::Const(n))) if (1..=4096).contains(&n) => n,
            Some(Val::Error | Val::Unknown(_)) | None => return Val::Error,
            Some(other) => return self.wrong(a, "n", "a number from 1 to 4096", &other),
        };
        let size = t.ty.shape[axis].clone();
        let Some(part) = size.div_exact(&Dim::Const(n)) else {
            if self.mode.generic && size.as_const().is_none() {
                return Val::Error;
            }
            return self.error(
                "E0206",
                a.span,
                format!("axis {axis} of {t} does not divide into {n} equal parts"),
                "split here",
            );
        };
        let mut parts = Vec::new();
        for i in 0..n {
            let (mut starts, mut ends) = (vec![Dim::ZERO; t.ty.rank()], t.ty.shape.to_vec());
            let (Ok(s), Ok(e)) = (part.mul(&Dim::Const(i)), part.mul(&Dim::Const(i + 1))) else {
                return Val::Error;
            };
            starts[axis] = s;
            ends[axis] = e;
            let steps = vec![1; t.ty.rank()];
            let meaning = t.meaning.clone();
            parts.push((
                None,
                self.emit(
                    Prim::Slice {
                        starts,
                        ends,
                        steps,
                    },
                    &[&t],
                    meaning,
                    a.span,
                ),
            ));
        }
        Val::Tuple(std::rc::Rc::new(parts))
    }

    fn pad(&mut self, a: &Args) -> Val {
        let Some(t) = self.tensor_at(a, "x") else {
            return Val::Error;
        };
        let (Some(low), Some(high)) = (self.shape_at(a, "low"), self.shape_at(a, "high")) else {
            return Val::Error;
        };
        let value = self
            .arg(a, "value")
            .map_or(Val::Float(0.0), |x| x.val.clone());
        let Some(value) = self.as_tensor(&value, t.ty.elem, a.span) else {
            return Val::Error;
        };
        let Some(value) = self.cast(value, t.ty.elem, a.span) else {
            return Val::Error;
        };
        let interior = vec![0; t.ty.rank()];
        self.emit(
            Prim::Pad {
                low: low.to_vec(),
                high: high.to_vec(),
                interior,
            },
            &[&t, &value],
            Meaning::Real,
            a.span,
        )
    }

    fn full(&mut self, a: &Args) -> Val {
        let (Some(shape), Some(v)) = (self.shape_at(a, "shape"), self.at(a, "value")) else {
            return Val::Error;
        };
        match self.as_tensor(&v, Elem::F32, a.span) {
            Some(t) => self
                .stretch(t, &shape, a.span)
                .map_or(Val::Error, Val::Tensor),
            None => Val::Error,
        }
    }

    fn iota(&mut self, a: &Args) -> Val {
        let Some(shape) = self.shape_at(a, "shape") else {
            return Val::Error;
        };
        let Some(axis) = self.axis_at(a, "axis", shape.len(), Some(0)) else {
            return Val::Error;
        };
        self.emit(
            Prim::Iota {
                axis,
                shape,
                elem: Elem::I32,
            },
            &[],
            Meaning::Real,
            a.span,
        )
    }

    fn gather(&mut self, a: &Args) -> Val {
        let (Some(t), Some(i)) = (self.tensor_at(a, "x"), self.tensor_at(a, "indices")) else {
            return Val::Error;
        };
        let Some(axis) = self.axis_at(a, "axis", t.ty.rank(), Some(0)) else {
            return Val::Error;
        };
        if i.ty.elem != Elem::I32 {
            return self.wrong(a, "indices", "made of integers", &Val::Tensor(i));
        }
        let meaning = t.meaning.clone();
        self.emit(Prim::Gather { axis }, &[&t, &i], meaning, a.span)
    }

    fn scatter(&mut self, a: &Args) -> Val {
        let (Some(i), Some(u)) = (self.tensor_at(a, "indices"), self.tensor_at(a, "updates"))
        else {
            return Val::Error;
        };
        let Some(axis) = self.axis_at(a, "axis", u.ty.rank(), Some(0)) else {
            return Val::Error;
        };
        let Some(size) = self
            .at(a, "size")
            .and_then(|v| self.positive_size(v, a.span))
        else {
            return Val::Error;
        };
        if i.ty.elem != Elem::I32 {
            return self.wrong(a, "indices", "made of integers", &Val::Tensor(i));
        }
        self.emit(
            Prim::ScatterAdd { axis, size },
            &[&i, &u],
            Meaning::Real,
            a.span,
        )
    }

    /// Draws of the place where it stands, counted by step (and by iteration inside a scan).
    fn rand(&mut self, a: &Args) -> Val {
        let Some(shape) = self.shape_at(a, "shape") else {
            return Val::Error;
        };
        let frame = self.frame();
        frame.draws += 1;
        let site = format!("{}#{}", frame.path, frame.draws);
        let mut counter = match self.base {
            super::value::Home::Init => {
                let scans = std::mem::take(&mut self.scans);
                let zero = self.constant(0.0, Elem::I32);
                self.scans = scans;
                zero
            }
            _ => self.step_counter(),
        };
        for level in 0..self.scans.len() {
            let length = self.scans[level].length.clone();
            let scope = &mut self.scans[level];
            let index = *scope.index.get_or_insert_with(|| {
                scope.graph.input(
                    "index",
                    crate::ir::Role::Plain,
                    crate::ir::Type::scalar(Elem::I32),
                )
            });
            let index = Tensor {
                value: index,
                home: super::value::Home::Scan(level as u32),
                ty: crate::ir::Type::scalar(Elem::I32),
                meaning: Meaning::Real,
            };
            let Val::Tensor(n) = self.size(&length, Elem::I32, a.span) else {
                return Val::Error;
            };
            let Val::Tensor(p) = self.emit(
                Prim::Binary(Binary::Mul),
                &[&counter, &n],
                Meaning::Real,
                a.span,
            ) else {
                return Val::Error;
            };
            let Val::Tensor(s) = self.emit(
                Prim::Binary(Binary::Add),
                &[&p, &index],
                Meaning::Real,
                a.span,
            ) else {
                return Val::Error;
            };
            counter = s;
        }
        self.emit(
            Prim::Random {
                site: site.into(),
                shape,
            },
            &[&counter],
            Meaning::Real,
            a.span,
        )
    }

    fn gradient_of(&mut self, a: &Args) -> Val {
        let (Some(of), Some(by)) = (self.tensor_at(a, "of"), self.tensor_at(a, "by")) else {
            return Val::Error;
        };
        if of.ty.rank() != 0 {
            return self.wrong(a, "of", "a scalar", &Val::Tensor(of));
        }
        self.emit(Prim::Gradient, &[&of, &by], Meaning::Real, a.span)
    }

    fn conv(&mut self, a: &Args) -> Val {
        let (Some(x), Some(k)) = (self.tensor_at(a, "x"), self.tensor_at(a, "kernel")) else {
            return Val::Error;
        };
        let n = x.ty.rank().saturating_sub(2);
        let (Some(strides), Some(dilation)) = (
            self.counts_at(a, "strides", n),
            self.counts_at(a, "dilation", n),
        ) else {
            return Val::Error;
        };
        let Some(groups) = self.counts_at(a, "groups", 1).map(|g| g[0]) else {
            return Val::Error;
        };
        if k.ty.rank() != n + 2 {
            return self.wrong(a, "kernel", &format!("of {} axes", n + 2), &Val::Tensor(k));
        }
        let mut window = Vec::new();
        for (i, d) in dilation.iter().enumerate() {
            let reach = k.ty.shape[i]
                .sub(&Dim::ONE)
                .and_then(|w| w.mul(&Dim::from(*d)))
                .and_then(|w| w.add(&Dim::ONE));
            match reach {
                Ok(w) => window.push(w),
                Err(e) => return self.type_error(e.into(), a.span),
            }
        }
        let Some((low, high)) = self.padding_at(a, &x.ty.shape[1..=n], &window, &strides) else {
            return Val::Error;
        };
        let dims = ConvDims {
            strides,
            dilation,
            low,
            high,
            groups,
        };
        self.emit(Prim::Conv(dims), &[&x, &k], Meaning::Real, a.span)
    }

    fn window(&mut self, a: &Args, op: WindowOp) -> Val {
        let Some(x) = self.tensor_at(a, "x") else {
            return Val::Error;
        };
        let n = x.ty.rank().saturating_sub(2);
        let (Some(window), Some(strides)) = (
            self.counts_at(a, "window", n),
            self.counts_at(a, "strides", n),
        ) else {
            return Val::Error;
        };
        let sizes: Vec<Dim> = window.iter().map(|w| Dim::from(*w)).collect();
        let Some((low, high)) = self.padding_at(a, &x.ty.shape[1..=n], &sizes, &strides) else {
            return Val::Error;
        };
        self.emit(
            Prim::Window {
                op,
                dims: WindowDims {
                    window,
                    strides,
                    low,
                    high,
                },
            },
            &[&x],
            Meaning::Real,
            a.span,
        )
    }

    /// `valid` pads nothing; `same` so that the result has `ceil(size / stride)`, the odd one at the end.
    fn padding_at(
        &mut self,
        a: &Args,
        sizes: &[Dim],
        window: &[Dim],
        strides: &[usize],
    ) -> Option<(Vec<Dim>, Vec<Dim>)> {
        let arg = self.arg(a, "padding").cloned();
        let word = match &arg {
            None => "valid".into(),
            Some(ArgVal {
                val: Val::Symbol(s),
                ..
            }) => s.to_string(),
            Some(ArgVal {
                symbol: Some(s), ..
            }) => s.text.to_string(),
            Some(ArgVal {
                val: Val::Error, ..
            }) => return None,
            Some(other) => {
                let v = other.val.clone();
                self.wrong(a, "padding", "`valid` or `same`", &v);
                return None;
            }
        };
        let zeros = vec![Dim::ZERO; sizes.len()];
        if word == "valid" {
            return Some((zeros.clone(), zeros));
        }
        let (mut low, mut high) = (Vec::new(), Vec::new());
        for ((size, window), &stride) in sizes.iter().zip(window).zip(strides) {
            let stride = Dim::from(stride);
            let total = || -> Result<Dim, crate::ir::DimError> {
                let out = size.add(&stride)?.sub(&Dim::ONE)?.div(&stride)?;
                Ok(out
                    .sub(&Dim::ONE)?
                    .mul(&stride)?
                    .add(window)?
                    .sub(size)?
                    .max_with(&Dim::ZERO))
            };
            let total = match total() {
                Ok(t) => t,
                Err(e) => {
                    self.type_error(e.into(), a.span);
                    return None;
                }
            };
            let half = total.div(&Dim::Const(2)).ok()?;
            high.push(total.sub(&half).ok()?);
            low.push(half);
        }
        Some((low, high))
    }
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
