//! What runs a planned graph: the interpreter (the oracle) and the CPU compiler.
pub mod cpu;
pub mod interp;
