//! From a graph to fused kernels: what every compiling back end shares.
//!
//! ```text
//! ops       graph -> operations over buffers; shape primitives become strides (view)
//! units     operations -> units: kernels, products, the rest
//! kernel    unit -> loops, operands, and a body in the vector IR (vir, body, math)
//! buffers   where every value lives, and what it asks of the arena
//! contractions  products, convolutions and windows, which are no loops of kernels, as numbers
//! ```
//!
//! Nothing here knows a thread, a processor or an address: a back end turns units into steps and emits the vector IR
//! for its machine.

mod body;
pub mod buffers;
pub mod contractions;
pub mod kernel;
mod math;
pub mod ops;
pub mod units;
pub mod view;
pub mod vir;

/// Why a graph cannot be lowered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LowerError {
    #[error("a size is still a symbol")]
    Symbol,
    #[error("a gradient is left: autodiff comes first")]
    Gradient,
    #[error("a value is used before it is defined")]
    Order,
}

/// What a back end can do and prefers, as far as the shape of its kernels depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Operands and operations of a kernel at most.
    pub operands: usize,
    /// Elementwise work over more elements than this is not turned down the columns for a reduction's sake.
    pub column_elements: usize,
    /// Reductions longer than this over several axes are cut at the first axis; 16 times as long over one, too.
    pub long_run: usize,
    /// Bytes of scratch for the lines that a kernel keeps.
    pub scratch_bytes: usize,
}
