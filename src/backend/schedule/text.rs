//! Plans for people: steps, buffers, and what each kernel computes.

use std::fmt::{Display, Write};

use super::program::{ARENA, Buf, Call, FIRST_INPUT, Program, Step};
use super::target::Target;
use crate::backend::fusion::vir::Kernel;

/// Every step of a program, then every kernel.
pub(crate) fn program<T: Target>(program: &Program<T>, kernels: &[Kernel]) -> String {
    let mut out = String::new();
    write_program(&mut out, program, 0);
    for (i, k) in kernels.iter().enumerate() {
        let _ = writeln!(out, "kernel k{i} {k}");
    }
    out
}

/// What a step is, in a few words.
pub(crate) fn step_name<T: Target>(step: &Step<T>, label: &str) -> String {
    let kind = match step {
        Step::Kernels(_) => "kernel",
        Step::Product { .. } => "product",
        Step::Random { .. } => "random",
        Step::ArgMax { .. } => "argmax",
        Step::ArgSort { .. } => "argsort",
        Step::Gather { .. } => "gather",
        Step::ScatterAdd { .. } => "scatter_add",
        Step::Conv { .. } => "conv",
        Step::Window { .. } => "window",
        Step::Scan(_) => "scan",
    };
    format!("{kind} {label}").trim_end().to_string()
}

// Writing to a string cannot fail.
fn write_program<T: Target>(out: &mut String, p: &Program<T>, depth: usize) {
    let indent = "  ".repeat(depth);
    let _ = writeln!(
        out,
        "{indent}program: {} steps, arena {} bytes, scratch {} bytes, {} flops",
        p.steps.len(),
        p.arena,
        p.scratch,
        p.flops
    );
    let buf = |b: &Buf| {
        let base = usize::from(b.base);
        let first_result = usize::from(FIRST_INPUT) + p.inputs;
        match base {
            _ if b.base == ARENA => format!("arena+{}", b.offset),
            _ if base < first_result => format!("in{}+{}", b.base - FIRST_INPUT, b.offset),
            _ => format!("out{}+{}", base - first_result, b.offset),
        }
    };
    for (i, (step, label)) in p.steps.iter().zip(&p.labels).enumerate() {
        let _ = writeln!(out, "{indent}{i:3} {}", step_name(step, label));
        match step {
            Step::Kernels(calls) => {
                for call in calls {
                    write_call(out, &indent, call, &buf);
                }
            }
            Step::Product { a, b, c, .. } => {
                let _ = writeln!(out, "{indent}      {} = {} x {}", buf(c), buf(a), buf(b));
            }
            Step::Random { to, .. } => {
                let _ = writeln!(out, "{indent}      {}", buf(to));
            }
            Step::ArgMax { x, to, .. } | Step::ArgSort { x, to, .. } => {
                let _ = writeln!(out, "{indent}      {} = {}", buf(to), buf(x));
            }
            Step::Gather { x, index, to, .. } => {
                let _ = writeln!(
                    out,
                    "{indent}      {} = {}[{}]",
                    buf(to),
                    buf(x),
                    buf(index)
                );
            }
            Step::ScatterAdd {
                index, updates, to, ..
            } => {
                let _ = writeln!(
                    out,
                    "{indent}      {}[{}] += {}",
                    buf(to),
                    buf(index),
                    buf(updates)
                );
            }
            Step::Conv { conv, x, kernel, y } => {
                let _ = writeln!(
                    out,
                    "{indent}      {} of x {} kernel {} y {}",
                    conv,
                    buf(x),
                    buf(kernel),
                    buf(y)
                );
            }
            Step::Window { op, x, y, dx, .. } => {
                let dx = dx.map_or(String::new(), |d| format!(", gradient to {}", buf(&d)));
                let _ = writeln!(out, "{indent}      {op:?} of {} at {}{dx}", buf(x), buf(y));
            }
            Step::Scan(scan) => write_program(out, &scan.body, depth + 1),
        }
    }
}

fn write_call<C: Display>(
    out: &mut String,
    indent: &str,
    call: &Call<C>,
    buf: &dyn Fn(&Buf) -> String,
) {
    let operands: Vec<String> = call
        .operands
        .iter()
        .map(|o| match (&o.buf, o.scratch) {
            (Some(b), _) if o.is_store => format!("->{}", buf(b)),
            (Some(b), _) => buf(b),
            (None, Some(line)) => format!("line{line}"),
            (None, None) => "index".to_string(),
        })
        .collect();
    let _ = writeln!(
        out,
        "{indent}      k{} {:?} outer {:?} rows {} cols {}, {}: {}",
        call.kernel,
        call.orient,
        call.outer.as_slice(),
        call.rows,
        call.cols,
        call.cut,
        operands.join(", ")
    );
}
