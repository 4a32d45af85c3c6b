//! Cranelift on the CPU: threads, GEMM, wide kernels, generated loops.
pub mod features;
pub mod gemm;
pub mod philox;
pub mod pool;
