//! nnc: a compiler for a small declarative language of neural networks.
//!
//! Data goes one way, and each module uses only those above it in this list:
//!
//! ```text
//! span, bytes    positions in sources; numbers as bytes, aligned buffers
//! plural         numbers and nouns in messages
//! random         counter-based random numbers (Philox), the same on every back end
//! diag           coded diagnostics and how they are shown
//! syntax         text -> tree (pest), comments kept; the formatter
//! library        the standard library, written in nn
//! ir             sizes, types, primitives, graphs, their text form, the verifier
//! spec           a checked program as plain data: the graphs and settings of a run
//! check          tree -> a checked program; elaborates models into graphs
//! passes         autodiff, simplification, memory planning
//! backend        interp (the oracle), cpu (Cranelift and AVX-512 kernels)
//! data           files -> columns -> batches
//! train          the training loop, callbacks, metrics, weights, reports
//! cli            one file per subcommand
//! ```

pub mod backend;
pub mod bytes;
pub mod check;
pub mod cli;
pub mod data;
pub mod diag;
pub mod ir;
pub mod library;
pub mod passes;
pub mod plural;
pub mod random;
pub mod span;
pub mod spec;
pub mod syntax;
pub mod train;
