//! From fused units to a program: buffers with their places, and the steps over them.
//!
//! ```text
//! plan      units -> buffers in one arena and a flat list of steps
//! steps     kernels cut into tasks, products, loops, the rest (windows: convolution and pooling)
//! program   what a plan is: steps and buffers as data
//! text      programs for people
//! ```

pub(super) mod plan;
pub(super) mod program;
mod steps;
pub(super) mod text;
mod windows;

use crate::backend::fusion::Limits;

/// A call takes a table of pointers on the stack, and a task has its lines of scratch there.
pub(super) const LIMITS: Limits = Limits {
    operands: 120,
    column_elements: 1 << 22,
    long_run: 4096,
    scratch_bytes: 32 << 10,
};
