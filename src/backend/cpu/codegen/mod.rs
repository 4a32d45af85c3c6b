//! The vector IR to machine code.
//!
//! ```text
//! clif      through Cranelift, four lanes, any machine
//! avx512    sixteen lanes, through iced-x86, where the processor has them
//! calls     functions that emitted code calls
//! jit       which of the two emitters a kernel gets; owns the code
//! ```

#[cfg(all(target_arch = "x86_64", unix))]
mod avx512;
mod calls;
mod clif;
pub(super) mod jit;
