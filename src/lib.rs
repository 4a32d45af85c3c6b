//! nnc: a compiler for a small declarative language of neural networks.
//!
//! Data goes one way, and each module uses only those above it in this list:
//!
//! ```text
//! bytes          numbers as bytes, aligned buffers
//! span, diag     positions; coded diagnostics and how they are shown
//! syntax         text -> tree (pest), comments kept; the formatter
//! library        the standard library, written in nn
//! ir             dims, types, primitives, graphs, their text form, the verifier
//! check          tree -> a checked program; elaborates models into graphs
//! lower          checked program -> the graphs and settings of a run
//! passes         autodiff, simplify, fuse, plan memory
//! backend        interp (the oracle), cpu (Cranelift and wide kernels)
//! data           files -> columns -> batches
//! train          the loop, metrics, weights, history
//! cli            one file a subcommand
//! ```

pub mod backend;
pub mod bytes;
pub mod check;
pub mod cli;
pub mod data;
pub mod diag;
pub mod ir;
pub mod library;
pub mod lower;
pub mod passes;
pub mod span;
pub mod syntax;
pub mod train;
