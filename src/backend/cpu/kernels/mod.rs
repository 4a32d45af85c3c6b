//! Precompiled kernels: what is not emitted for each graph.
//!
//! ```text
//! gemm        matrix products
//! conv        convolutions: im2col and products, or depthwise
//! pooling     the largest or the sum of windows
//! indexing    argmax, argsort, gather, scatter
//! philox      random numbers
//! lines       which inputs lie under a window; dispatch: one body for each instruction set
//! reference   convolution and pooling as plain loops, in any element type
//! ```

pub mod conv;
mod dispatch;
pub mod gemm;
pub mod indexing;
mod lines;
mod number;
pub mod philox;
pub mod pooling;
pub mod reference;
