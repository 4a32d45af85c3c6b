//! From fused units to a program for a machine: buffers with their places, and the steps over them.
//!
//! ```text
//! target    what a machine decides: how work is cut, how products and convolutions are done
//! plan      units -> buffers in one arena and a flat list of steps
//! steps     kernels, products, loops, the rest (windows: convolution and pooling)
//! program   what a plan is: steps and buffers as data
//! text      programs for people
//! ```

pub(super) mod plan;
pub(super) mod program;
mod steps;
pub(super) mod target;
pub(super) mod text;
mod windows;
