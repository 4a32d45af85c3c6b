//! Kernels to machine code: which emitter, and who owns the code.

use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::FunctionBuilderContext;
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::Module;

use super::CompileError;
use super::clif;
use super::features::{Features, Isa};
use super::vir::Kernel;

/// A compiled kernel: addresses of the operands, rows, columns.
pub type Entry = unsafe extern "C" fn(*const *mut u8, usize, usize);

/// Machine code, freed when dropped.
pub struct Code {
    entries: Vec<Entry>,
    module: Option<JITModule>,
}

// SAFETY: the module is used by nobody but its owner, and the code it holds is never written again.
unsafe impl Send for Code {}
// SAFETY: as above; through a shared reference only the addresses can be read.
unsafe impl Sync for Code {}

impl Code {
    pub fn entry(&self, kernel: usize) -> Entry {
        self.entries[kernel]
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        if let Some(module) = self.module.take() {
            // SAFETY: `entries` are copied out only for calls that end before the owner does.
            unsafe { module.free_memory() }
        }
    }
}

/// Compiles `kernels` in order.
///
/// # Errors
/// What Cranelift refuses, and memory that cannot be had.
pub fn compile(kernels: &[Kernel], features: Features) -> Result<Code, CompileError> {
    let (isa, fma) = isa(features)?;
    let builder = JITBuilder::with_isa(isa, cranelift_module::default_libcall_names());
    let mut module = JITModule::new(builder);
    let mut context = module.make_context();
    let mut function_context = FunctionBuilderContext::new();
    let mut ids = Vec::with_capacity(kernels.len());
    for kernel in kernels {
        context.func.signature = clif::signature(module.target_config().default_call_conv);
        clif::emit(
            kernel,
            &mut context.func,
            &mut function_context,
            module.target_config(),
            fma,
        );
        let id = module
            .declare_anonymous_function(&context.func.signature)
            .map_err(failure)?;
        module
            .define_function(id, &mut context)
            .map_err(|e| match e {
                cranelift_module::ModuleError::Compilation(e) => {
                    CompileError::Jit(format!("{e:?}"))
                }
                e => failure(e),
            })?;
        module.clear_context(&mut context);
        ids.push(id);
    }
    module.finalize_definitions().map_err(failure)?;
    let entries = ids
        .iter()
        .map(|id| {
            let address = module.get_finalized_function(*id);
            // SAFETY: the function was emitted with this signature, in the target's own convention.
            unsafe { std::mem::transmute::<*const u8, Entry>(address) }
        })
        .collect();
    Ok(Code {
        entries,
        module: Some(module),
    })
}

/// The intermediate text and the disassembly of one kernel, as Cranelift has them.
pub fn text(kernel: &Kernel, features: Features) -> Result<(String, String), CompileError> {
    let (isa, fma) = isa(features)?;
    let mut context = cranelift_codegen::Context::new();
    context.func.signature = clif::signature(isa.default_call_conv());
    let mut function_context = FunctionBuilderContext::new();
    let config = isa.frontend_config();
    clif::emit(
        kernel,
        &mut context.func,
        &mut function_context,
        config,
        fma,
    );
    let clif = context.func.display().to_string();
    context.set_disasm(true);
    let compiled = context
        .compile(&*isa, &mut Default::default())
        .map_err(|e| CompileError::Jit(format!("{:?}", e.inner)))?;
    let assembly = compiled.vcode.clone().unwrap_or_default();
    Ok((clif, assembly))
}

fn isa(features: Features) -> Result<(cranelift_codegen::isa::OwnedTargetIsa, bool), CompileError> {
    let mut flags = settings::builder();
    for (name, value) in [
        ("use_colocated_libcalls", "false"),
        ("is_pic", "false"),
        ("opt_level", "speed"),
        (
            "enable_verifier",
            if cfg!(debug_assertions) {
                "true"
            } else {
                "false"
            },
        ),
    ] {
        flags.set(name, value).map_err(failure)?;
    }
    let mut builder = cranelift_native::builder().map_err(|e| CompileError::Jit(e.into()))?;
    let mut fma = cfg!(target_arch = "aarch64");
    if cfg!(target_arch = "x86_64") {
        fma = features.isa() >= Isa::Avx2;
        if !fma {
            for name in ["has_avx", "has_avx2", "has_fma"] {
                builder.set(name, "false").map_err(failure)?;
            }
        }
    }
    let isa = builder
        .finish(settings::Flags::new(flags))
        .map_err(failure)?;
    Ok((isa, fma))
}

fn failure(error: impl std::fmt::Display) -> CompileError {
    CompileError::Jit(error.to_string())
}
