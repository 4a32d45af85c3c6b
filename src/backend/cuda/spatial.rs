//! Convolutions and pooling windows as CUDA C++, one thread per element of the result.

use super::kernel::head;
use super::ops::{memory, number};
use super::program::{Launch, THREADS};
use super::steps::{end, line, per_element, pointer};
use super::target::Convolution;
use crate::backend::fusion::contractions::{ConvResult, ConvSizes};
use crate::backend::fusion::vir::reg_type;
use crate::backend::schedule::program::Buf;
use crate::ir::Elem;
use crate::ir::prim::WindowOp;

/// One of `x`, `kernel`, `y` from the other two.
pub(super) fn convolution(
    conv: &Convolution,
    [x, kernel, y]: [&Buf; 3],
    name: &str,
    out: &mut String,
) -> Launch {
    let s = &conv.sizes;
    let (cx, cy) = s.channels;
    let (gx, gy) = s.group();
    let (inputs, outputs, taps) = (s.inputs(), s.outputs(), s.taps());
    let ty = memory(conv.elem);
    let constant = format!("const {ty}*");
    let variable = format!("{ty}*");
    let pointers = |to: ConvResult, out: &mut String| {
        for (which, name, buf) in [
            (ConvResult::Input, "x", x),
            (ConvResult::Kernel, "w", kernel),
            (ConvResult::Output, "y", y),
        ] {
            let ty = if which == to { &variable } else { &constant };
            pointer(ty, name, buf, out);
        }
    };
    match conv.which {
        ConvResult::Output => {
            let count = s.batch * outputs * cy;
            place_function(s, name, out);
            per_element(name, count, out);
            pointers(conv.which, out);
            line(
                out,
                &format!(
                    "const long c = i % {cy}, o = i / {cy} % {outputs}, n = i / {};",
                    cy * outputs
                ),
            );
            line(out, &format!("const long g = c / {gy};"));
            line(out, &format!("{ty} sum = 0;"));
            line(out, &format!("for (int tap = 0; tap < {taps}; tap++) {{"));
            line(out, &format!("  const long at = {name}_place(o, tap);"));
            line(out, "  if (at < 0) continue;");
            line(
                out,
                &format!("  const {ty}* from = x + (n * {inputs} + at) * {cx} + g * {gx};"),
            );
            line(
                out,
                &format!("  const {ty}* k = w + (long)tap * {} + c;", gx * cy),
            );
            line(
                out,
                &format!(
                    "  for (int j = 0; j < {gx}; j++) sum = times_plus(from[j], k[(long)j * {cy}], sum);"
                ),
            );
            line(out, "}");
            line(out, "y[i] = sum;");
            end(count, out)
        }
        ConvResult::Input => {
            let count = s.batch * inputs * cx;
            from_function(s, name, out);
            per_element(name, count, out);
            pointers(conv.which, out);
            line(
                out,
                &format!(
                    "const long c = i % {cx}, at = i / {cx} % {inputs}, n = i / {};",
                    cx * inputs
                ),
            );
            line(out, &format!("const long g = c / {gx};"));
            line(out, &format!("{ty} sum = 0;"));
            line(out, &format!("for (int tap = 0; tap < {taps}; tap++) {{"));
            line(out, &format!("  const long o = {name}_from(at, tap);"));
            line(out, "  if (o < 0) continue;");
            line(
                out,
                &format!("  const {ty}* dy = y + (n * {outputs} + o) * {cy} + g * {gy};"),
            );
            line(
                out,
                &format!("  const {ty}* k = w + ((long)tap * {gx} + c % {gx}) * {cy} + g * {gy};"),
            );
            line(
                out,
                &format!("  for (int j = 0; j < {gy}; j++) sum = times_plus(dy[j], k[j], sum);"),
            );
            line(out, "}");
            line(out, "x[i] = sum;");
            end(count, out)
        }
        ConvResult::Kernel => {
            // Neighbouring threads have neighbouring channels of the output; lanes share the places.
            let width = cy.next_power_of_two().clamp(1, 32);
            let (lanes, parts) = (THREADS / width, cy.div_ceil(width));
            place_function(s, name, out);
            head(name, out);
            pointers(conv.which, out);
            let text = format!(
                "const long c = (long)(blockIdx.x % {parts}) * {width} + threadIdx.x % {width};
  const long j = blockIdx.x / {parts} % {gx}, g = c / {gy};
  const int tap = (int)(blockIdx.x / {});
  {ty} sum = 0;
  if (c < {cy})
    for (long p = threadIdx.x / {width}; p < {}; p += {lanes}) {{
      const long at = {name}_place(p % {outputs}, tap);
      if (at < 0) continue;
      const {ty} v = x[(p / {outputs} * {inputs} + at) * {cx} + g * {gx} + j];
      sum = times_plus(v, y[p * {cy} + c], sum);
    }}
  __shared__ {ty} shared[{THREADS}];
  sum = fold<{lanes}, {width}>(sum, Sum(), shared);
  if (threadIdx.x < {width} && c < {cy}) w[(tap * {gx} + j) * {cy} + c] = sum;",
                parts * gx,
                s.batch * outputs,
                outputs = outputs.max(1),
            );
            line(out, &text);
            out.push_str("}\n");
            Launch {
                blocks: taps * gx * parts,
                barriers: true,
            }
        }
    }
}

/// The highest or the sum of every window, or the gradient of it to `dx`.
pub(super) fn window(
    elem: Elem,
    op: WindowOp,
    s: &ConvSizes,
    [x, y]: [&Buf; 2],
    dx: Option<&Buf>,
    name: &str,
    out: &mut String,
) -> Launch {
    let c = s.channels.0;
    let (inputs, outputs, taps) = (s.inputs(), s.outputs(), s.taps());
    let ty = memory(elem);
    let constant = format!("const {ty}*");
    place_function(s, name, out);
    let Some(dx) = dx else {
        let count = s.batch * outputs * c;
        per_element(name, count, out);
        pointer(&constant, "x", x, out);
        pointer(&format!("{ty}*"), "y", y, out);
        line(
            out,
            &format!(
                "const long c = i % {c}, o = i / {c} % {outputs}, n = i / {};",
                c * outputs
            ),
        );
        let start = match op {
            WindowOp::Max => number(f64::NEG_INFINITY, reg_type(elem)),
            WindowOp::Sum => "0".into(),
        };
        line(out, &format!("{ty} best = {start};"));
        line(out, &format!("for (int tap = 0; tap < {taps}; tap++) {{"));
        line(out, &format!("  const long at = {name}_place(o, tap);"));
        line(out, "  if (at < 0) continue;");
        line(
            out,
            &format!("  const {ty} v = x[(n * {inputs} + at) * {c} + c];"),
        );
        line(
            out,
            match op {
                WindowOp::Max => "  if (larger(v, best)) best = v;",
                WindowOp::Sum => "  best = best + v;",
            },
        );
        line(out, "}");
        line(out, "y[i] = best;");
        return end(count, out);
    };
    from_function(s, name, out);
    let count = s.batch * inputs * c;
    per_element(name, count, out);
    pointer(&constant, "x", x, out);
    pointer(&constant, "dy", y, out);
    pointer(&format!("{ty}*"), "dx", dx, out);
    line(
        out,
        &format!(
            "const long c = i % {c}, at = i / {c} % {inputs}, n = i / {};",
            c * inputs
        ),
    );
    line(out, &format!("{ty} sum = 0;"));
    line(
        out,
        "// The windows that this element is in, in rising order.",
    );
    line(
        out,
        &format!("for (int back = {taps} - 1; back >= 0; back--) {{"),
    );
    line(out, &format!("  const long o = {name}_from(at, back);"));
    line(out, "  if (o < 0) continue;");
    if op == WindowOp::Max {
        line(out, "  long first = -1;");
        line(out, &format!("  for (int tap = 0; tap < {taps}; tap++) {{"));
        line(out, &format!("    const long p = {name}_place(o, tap);"));
        line(
            out,
            &format!(
                "    if (p >= 0 && (first < 0 || larger(x[(n * {inputs} + p) * {c} + c], x[(n * {inputs} + first) * {c} + c]))) first = p;"
            ),
        );
        line(out, "  }");
        line(out, "  if (first != at) continue;");
    }
    line(
        out,
        &format!("  sum = sum + dy[(n * {outputs} + o) * {c} + c];"),
    );
    line(out, "}");
    line(out, "dx[i] = sum;");
    end(count, out)
}

/// `NAME_place(o, tap)`: the input that output `o` reads under a tap, or -1.
fn place_function(s: &ConvSizes, name: &str, out: &mut String) {
    out.push_str(&format!(
        "__device__ inline long {name}_place(long o, int tap) {{\n"
    ));
    let mut parts = Vec::new();
    let (mut of, mut ot) = (s.outputs(), s.taps());
    for axis in 0..s.input.len() {
        of /= s.output[axis].max(1);
        ot /= s.window[axis].max(1);
        line(
            out,
            &format!(
                "const long i{axis} = o / {} % {} * {} + tap / {} % {} * {} - ({});",
                of.max(1),
                s.output[axis].max(1),
                s.strides[axis],
                ot.max(1),
                s.window[axis].max(1),
                s.dilation[axis],
                s.low[axis]
            ),
        );
        line(
            out,
            &format!(
                "if (i{axis} < 0 || i{axis} >= {}) return -1;",
                s.input[axis]
            ),
        );
        parts.push(format!("i{axis}"));
    }
    line(out, &format!("return {};", row_major(&parts, &s.input)));
    out.push_str("}\n");
}

/// `NAME_from(at, tap)`: the output that reads input `at` under a tap, or -1.
fn from_function(s: &ConvSizes, name: &str, out: &mut String) {
    out.push_str(&format!(
        "__device__ inline long {name}_from(long at, int tap) {{\n"
    ));
    let mut parts = Vec::new();
    let (mut of, mut ot) = (s.inputs(), s.taps());
    for axis in 0..s.input.len() {
        of /= s.input[axis].max(1);
        ot /= s.window[axis].max(1);
        line(
            out,
            &format!(
                "const long d{axis} = at / {} % {} + ({}) - tap / {} % {} * {};",
                of.max(1),
                s.input[axis].max(1),
                s.low[axis],
                ot.max(1),
                s.window[axis].max(1),
                s.dilation[axis]
            ),
        );
        let stride = s.strides[axis];
        line(
            out,
            &format!(
                "if (d{axis} < 0 || d{axis} % {stride} != 0 || d{axis} / {stride} >= {}) return -1;",
                s.output[axis]
            ),
        );
        parts.push(format!("d{axis} / {stride}"));
    }
    line(out, &format!("return {};", row_major(&parts, &s.output)));
    out.push_str("}\n");
}

fn row_major(parts: &[String], sizes: &[usize]) -> String {
    let mut text = String::from("0");
    for (part, size) in parts.iter().zip(sizes) {
        text = match text.as_str() {
            "0" => format!("({part})"),
            before => format!("({before} * {size} + {part})"),
        };
    }
    text
}
