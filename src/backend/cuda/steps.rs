//! Steps that are not fused kernels: products, convolutions, windows, indexing and random numbers as CUDA C++.
//!
//! Every element has one writer and one order of additions, so that a run repeats bit for bit.

use std::fmt::Write;

use super::kernel::head;
use super::ops::memory;
use super::program::{Launch, THREADS, blocks};
use super::spatial;
use super::target::{Cuda, Product};
use crate::backend::schedule::program::{Buf, Step};

/// What names of kernels begin with.
pub(super) fn kind(step: &Step<Cuda>) -> &'static str {
    match step {
        Step::Kernels(_) => "fused",
        Step::Product { .. } => "product",
        Step::Random { .. } => "random",
        Step::ArgMax { .. } => "arg_max",
        Step::ArgSort { .. } => "arg_sort",
        Step::Gather { .. } => "gather",
        Step::ScatterAdd { .. } => "scatter_add",
        Step::Conv { .. } => "convolution",
        Step::Window { .. } => "window",
        Step::Scan(_) => "loop",
    }
}

/// The function `name` of a step that is one launch.
pub(super) fn emit(step: &Step<Cuda>, name: &str, out: &mut String) -> Launch {
    match step {
        Step::Product { product, a, b, c } => emit_product(product, [a, b, c], name, out),
        Step::Random {
            key,
            count,
            counter,
            to,
        } => {
            per_element(name, *count, out);
            pointer("const unsigned*", "draw", counter, out);
            pointer("float*", "to", to, out);
            line(
                out,
                &format!("to[i] = uniform({}u, {}u, *draw, i);", key[0], key[1]),
            );
            end(*count, out)
        }
        Step::ArgMax { elem, sizes, x, to } => {
            let [outer, axis, inner] = *sizes;
            let count = outer * inner;
            per_element(name, count, out);
            pointer(&format!("const {}*", memory(*elem)), "x", x, out);
            pointer("int*", "to", to, out);
            line(
                out,
                &format!("x += i / {inner} * {} + i % {inner};", axis * inner),
            );
            line(out, "int best = 0;");
            line(
                out,
                &format!(
                    "for (int j = 1; j < {axis}; j++) if (larger(x[(long)j * {inner}], x[(long)best * {inner}])) best = j;"
                ),
            );
            line(out, "to[i] = best;");
            end(count, out)
        }
        Step::ArgSort { elem, sizes, x, to } => {
            let [outer, axis, inner] = *sizes;
            let count = outer * axis * inner;
            per_element(name, count, out);
            pointer(&format!("const {}*", memory(*elem)), "x", x, out);
            pointer("int*", "to", to, out);
            line(
                out,
                &format!(
                    "const long start = i / {} * {} + i % {inner};",
                    axis * inner,
                    axis * inner
                ),
            );
            line(
                out,
                &format!("const int own = (int)(i / {inner} % {axis});"),
            );
            line(
                out,
                "// The rank: how many come before; equal ones by their index.",
            );
            line(out, "int rank = 0;");
            line(out, &format!("for (int j = 0; j < {axis}; j++) {{"));
            line(
                out,
                &format!(
                    "  const {} other = x[start + (long)j * {inner}];",
                    memory(*elem)
                ),
            );
            line(
                out,
                "  rank += before(other, x[i]) || (!before(x[i], other) && j < own);",
            );
            line(out, "}");
            line(out, &format!("to[start + (long)rank * {inner}] = own;"));
            end(count, out)
        }
        Step::Gather {
            outer,
            axis,
            inner,
            count,
            x,
            index,
            to,
        } => {
            let (unit, ty) = match inner % 4 {
                0 => (4, "int"),
                _ => (1, "unsigned char"),
            };
            let width = inner / unit;
            let all = outer * count * width;
            per_element(name, all, out);
            pointer(&format!("const {ty}*"), "x", x, out);
            pointer("const int*", "index", index, out);
            pointer(&format!("{ty}*"), "to", to, out);
            if *axis == 0 {
                line(out, "to[i] = 0;");
                return end(all, out);
            }
            line(
                out,
                &format!("const int given = index[i / {width} % {count}];"),
            );
            clamp(*axis, out);
            line(
                out,
                &format!(
                    "to[i] = x[(i / {} * {axis} + row) * {width} + i % {width}];",
                    count * width
                ),
            );
            end(all, out)
        }
        Step::ScatterAdd {
            elem,
            outer,
            axis,
            inner,
            count,
            index,
            updates,
            to,
        } => {
            let all = outer * inner;
            per_element(name, all, out);
            let ty = memory(*elem);
            pointer("const int*", "index", index, out);
            pointer(&format!("const {ty}*"), "updates", updates, out);
            pointer(&format!("{ty}*"), "to", to, out);
            line(
                out,
                &format!("to += i / {inner} * {} + i % {inner};", axis * inner),
            );
            line(
                out,
                &format!("updates += i / {inner} * {} + i % {inner};", count * inner),
            );
            line(
                out,
                &format!("for (long row = 0; row < {axis}; row++) to[row * {inner}] = 0;"),
            );
            if *axis > 0 {
                line(out, &format!("for (long j = 0; j < {count}; j++) {{"));
                line(out, "const int given = index[j];");
                clamp(*axis, out);
                line(out, &format!("to[row * {inner}] += updates[j * {inner}];"));
                line(out, "}");
            }
            end(all, out)
        }
        Step::Conv { conv, x, kernel, y } => spatial::convolution(conv, [x, kernel, y], name, out),
        Step::Window {
            elem,
            op,
            sizes,
            x,
            y,
            dx,
        } => spatial::window(*elem, *op, sizes, [x, y], dx.as_ref(), name, out),
        Step::Kernels(_) | Step::Scan(_) => unreachable!("launches of their own"),
    }
}

fn emit_product(p: &Product, [a, b, c]: [&Buf; 3], name: &str, out: &mut String) -> Launch {
    let s = &p.shape;
    let ty = memory(p.elem);
    let tiles = s.m.div_ceil(64) * s.n.div_ceil(64);
    head(name, out);
    pointer(&format!("const {ty}*"), "a", a, out);
    pointer(&format!("const {ty}*"), "b", b, out);
    pointer(&format!("{ty}*"), "c", c, out);
    if !s.batch.is_empty() {
        line(out, &format!("const long batch = blockIdx.x / {tiles};"));
        let mut below = 1;
        for axis in s.batch.iter().rev() {
            let index = format!("batch / {below} % {}", axis.len);
            for (pointer, stride) in [("a", axis.a), ("b", axis.b), ("c", axis.c)] {
                if stride != 0 && axis.len > 1 {
                    line(out, &format!("{pointer} += {index} * {stride};"));
                }
            }
            below *= axis.len;
        }
    }
    let numbers = [s.m, s.n, s.k, s.a.0, s.a.1, s.b.0, s.b.1, s.c.0, s.c.1];
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    line(
        out,
        &format!(
            "product<{ty}, {}, {}>(a, b, c, blockIdx.x % {tiles});",
            numbers.join(", "),
            s.accumulate
        ),
    );
    out.push_str("}\n");
    Launch {
        blocks: tiles * s.count(),
        barriers: true,
    }
}

/// The head of a function of one thread per element, `i`.
pub(super) fn per_element(name: &str, count: usize, out: &mut String) {
    head(name, out);
    line(
        out,
        &format!("const long i = (long)blockIdx.x * {THREADS} + threadIdx.x;"),
    );
    line(out, &format!("if (i >= {count}) return;"));
}

/// The end of a function of one thread per element.
pub(super) fn end(count: usize, out: &mut String) -> Launch {
    out.push_str("}\n");
    Launch {
        blocks: blocks(count),
        barriers: false,
    }
}

pub(super) fn pointer(ty: &str, name: &str, buf: &Buf, out: &mut String) {
    line(
        out,
        &format!(
            "{ty} {name} = ({ty})(bases[{}] + {});",
            buf.base, buf.offset
        ),
    );
}

pub(super) fn line(out: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "  {text}");
}

/// `row` is `given`, within the axis.
fn clamp(axis: usize, out: &mut String) {
    line(
        out,
        &format!(
            "const long row = given < 0 ? 0 : given >= {axis} ? {} : given;",
            axis - 1
        ),
    );
}
