//! Cranelift on the CPU: threads, GEMM, wide kernels, generated loops.
